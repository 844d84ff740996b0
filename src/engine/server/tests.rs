//! Tests of managed servers, with this test binary itself as the server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::*;

/// The server: run by the tests below with `port=` among its arguments, and by nobody else. It says 503 until it was asked
/// `loading=` times, keeps connections to `/hold` open, ends on `/end`, and with `die=` before it listens.
#[test]
#[ignore = "a stand-in for a server, started by other tests"]
fn stand_in() {
    let given = |key: &str| std::env::args().find_map(|word| word.strip_prefix(key).map(str::to_owned));
    let Some(port) = given("port=") else { return };
    eprintln!("standing in on port {port}");
    if let Some(status) = given("die=") {
        eprintln!("no room for the model");
        panic!("{status}");
    }
    let mut loading: u32 = given("loading=").map_or(0, |count| count.parse().expect("a number"));
    let listener = TcpListener::bind(("127.0.0.1", port.parse().expect("a port"))).expect("the port is free");
    let mut held = Vec::new();
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).expect("a request");
        let status = if loading > 0 { "503 Service Unavailable" } else { "200 OK" };
        loading = loading.saturating_sub(1);
        let answered = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        match line.split(' ').nth(1) {
            Some("/hold") => held.push(stream),
            Some("/end") => return,
            _ => drop(answered),
        }
    }
}

/// A subject whose server is the stand-in, with further arguments.
fn spec(preset: &str, arguments: &[&str]) -> ApiSpec {
    let program = std::env::current_exe().expect("it is known").to_string_lossy().into_owned();
    let test = "engine::server::tests::stand_in";
    let mut command = vec![program, test.into(), "--exact".into(), "--ignored".into(), "--nocapture".into()];
    command.push("port={port}".into());
    command.extend(arguments.iter().map(|&word| word.to_owned()));
    with_command(preset, &command)
}

fn with_command(preset: &str, command: &[String]) -> ApiSpec {
    let server = json!({"command": command, "model": null, "context": null, "parallel": null, "threads": null, "kv_cache": null,
        "args": []});
    let spec = json!({"preset": preset, "dialect": "openai-chat", "base_url": "", "model": "demo", "server": server});
    serde_json::from_value(spec).expect("it is a spec")
}

async fn start(spec: &ApiSpec, folder: &TempDir) -> Result<Managed, ServerError> {
    let log = folder.path().join("logs/canary.log");
    Managed::start_within(Duration::from_mins(1), (&"canary".into(), spec), folder.path(), &log, &[]).await
}

/// A connection that the server keeps open for as long as it lives.
fn hold(managed: &Managed) -> TcpStream {
    let address = managed.base_url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(b"GET /hold HTTP/1.1\r\n\r\n").expect("it reads");
    BufReader::new(&stream).read_line(&mut String::new()).expect("it answers");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    stream
}

/// Waits for a connection's end: its server's.
fn gone(mut stream: TcpStream) -> bool {
    let read = stream.read_to_end(&mut Vec::new());
    // A killed server's connection may also be reset.
    read.map_or_else(|error| error.kind() == std::io::ErrorKind::ConnectionReset, |_| true)
}

#[tokio::test]
async fn a_server_is_waited_for_while_it_loads_and_gone_when_it_is_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let managed = start(&spec("llama-server", &["loading=3"]), &folder).await.expect("it starts");
    assert!(managed.base_url().starts_with("http://127.0.0.1:"), "{}", managed.base_url());
    assert!(managed.identity().is_none() && managed.fallen().is_none());
    assert!(managed.details()["server flags"].contains("port={port} loading=3"), "{:?}", managed.details());
    let log = std::fs::read_to_string(managed.log()).expect("there is a log");
    assert!(log.contains("standing in on port"), "{log}");
    let held = hold(&managed);
    managed.stop().await;
    assert!(gone(held));
}

#[tokio::test]
async fn a_server_is_gone_when_its_subject_is_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    let managed = start(&spec("llama-server", &[]), &folder).await.expect("it starts");
    let held = hold(&managed);
    drop(managed);
    assert!(gone(held));
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_that_will_not_end_is_made_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = vec!["sh".into(), "-c".into(), "trap '' TERM; \"$@\"".into(), "sh".into()];
    command.extend(spec("llama-server", &[]).server.expect("there is one").command);
    let managed = start(&with_command("llama-server", &command), &folder).await.expect("it starts");
    let held = hold(&managed);
    managed.stop().await;
    assert!(gone(held), "the whole group is killed");
}

#[tokio::test]
async fn a_server_that_dies_says_how_and_its_last_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let managed = start(&spec("llama-server", &[]), &folder).await.expect("it starts");
    let address = managed.base_url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(b"GET /end HTTP/1.1\r\n\r\n").expect("it reads");
    managed.guarded.end().await;
    let fallen = managed.fallen().expect("it has ended");
    assert!(fallen.contains("status 0") && fallen.contains("1 passed"), "{fallen}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_is_not_handed_the_variables_that_are_withheld_and_gets_all_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let words = ["env".to_owned()];
    // Cargo gives tests variables of its own.
    let (kept, withheld) = ("CARGO_MANIFEST_DIR=", ["CARGO_PKG_NAME".to_owned()]);
    let guarded = Guarded::start(&"canary".into(), &words, folder.path(), &log, &withheld).expect("it runs");
    guarded.end().await;
    let said = std::fs::read_to_string(&log).expect("it wrote");
    assert!(said.contains(kept) && !said.contains("CARGO_PKG_NAME="), "{said}");
}

#[tokio::test]
async fn a_server_that_ends_before_it_answers_is_told_with_its_last_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = start(&spec("llama-server", &["die=3"]), &folder).await.err().expect("it can't start");
    assert!(matches!(error, ServerError::Exited { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("`canary`") && said.contains("status 101"), "{said}");
}

#[tokio::test]
async fn a_server_that_never_is_ready_is_given_up_and_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = spec("llama-server", &["loading=1000000"]);
    let log = folder.path().join("log");
    let limit = Duration::from_secs(1);
    let started = Managed::start_within(limit, (&"canary".into(), &spec), folder.path(), &log, &[]).await;
    let error = started.err().expect("it is given up");
    assert!(matches!(&error, ServerError::Slow { last, .. } if last == "it answered with status 503"), "{error}");
}

#[tokio::test]
async fn an_empty_root_is_the_working_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spec, log) = (spec("llama-server", &[]), folder.path().join("log"));
    let started = Managed::start(&"canary".into(), &spec, Path::new(""), &log, &[]).await;
    started.expect("it starts").stop().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = with_command("llama-server", &["no-such-program-anywhere".into(), "{port}".into()]);
    let error = start(&spec, &folder).await.err().expect("it can't start");
    assert!(matches!(&error, ServerError::Start { program, .. } if program == "no-such-program-anywhere"), "{error}");
    let none = ApiSpec { server: None, ..spec };
    assert!(matches!(start(&none, &folder).await.err(), Some(ServerError::Command { .. })));
}

/// The keeper's line is held by another process here, which is killed as quantgate might be.
#[cfg(unix)]
#[tokio::test]
async fn a_server_is_gone_when_the_process_that_started_it_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut managed = start(&spec("llama-server", &[]), &folder).await.expect("it starts");
    let held = hold(&managed);
    let line = managed.guarded.line.take().and_then(|line| line.into_owned_fd().ok()).expect("it is open");
    let mut holder = Command::new("sleep").arg("1000").stdout(line).spawn().expect("it runs");
    assert!(managed.fallen().is_none());
    holder.kill().expect("it is killed");
    assert!(gone(held));
    holder.wait().expect("it has ended");
}
