//! The real binary on subjects behind an API: a verdict, what is recorded, and the key nowhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use super::{KEY, models, said};
use crate::bench::Bench;
use crate::loopback::{Close, Loopback, Received, Script};

/// A plan with a canary and a variant at one server, and forty questions of two kinds.
fn bench(name: &str, url: &str, more: &str) -> Bench {
    let bench = Bench::new(name);
    let rows: Vec<String> = (0..20).map(|i| format!(r#"{{"id":"r{i}","q":"What is {i} + {i}?","a":"{}"}}"#, 2 * i)).collect();
    bench.write("data.jsonl", &rows.join("\n"));
    let task = |name: &str, kind: &str| {
        format!(
            "[[task]]\nname = \"{name}\"\nabout = \"sums\"\nkind = \"{kind}\"\ndataset = \"data.jsonl\"\n\
             prompt = \"{{{{ q }}}}\"\ntarget = \"{{{{ a }}}}\"\nscorer = \"number\"\nmax_tokens = 8\n"
        )
    };
    bench.write("suite.toml", &format!("name = \"s\"\n{}{}", task("say", "generate"), task("talk", "chat")));
    let subject = |model: &str| {
        format!("engine = \"openai-compatible\"\nbase_url = \"{url}/v1\"\nmodel = \"{model}\"\nkey_env = \"A_KEY\"\n{more}")
    };
    bench.write(
        "quantgate.toml",
        &format!(
            "name = \"behind\"\nsuites = [\"suite.toml\"]\nseed = 1\n[canary]\n{}\n[[variant]]\nname = \"q4\"\n{}\n[policy]\nmargin = \"5pp\"\n",
            subject("demo"),
            subject("demo")
        ),
    );
    bench
}

/// The binary's run, with the key where the plan says.
fn run(bench: &Bench) -> Output {
    bench.command(&bench.reports("r"), &["--limit", "20", "-vvv"]).env("A_KEY", KEY).output().expect("the binary starts")
}

/// The sum that a question asks for.
fn sum(request: &Received) -> u64 {
    let body = request.json();
    let text = body["messages"][0]["content"].as_str().expect("a message").to_owned();
    let digits = text.chars().filter(char::is_ascii_digit).collect::<String>();
    digits[..digits.len() / 2].parse::<u64>().expect("a number") * 2
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("it can be listed").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Fails where the key stands in anything that was written; its beginning counts as the whole.
fn nowhere(bench: &Bench, output: &Output) {
    let needle = &KEY.as_bytes()[..20];
    let has = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(!has(&output.stdout) && !has(&output.stderr), "{}", String::from_utf8_lossy(&output.stderr));
    for path in files(&bench.path("")) {
        assert!(!has(&fs::read(&path).expect("it can be read")), "the key stands in {}", path.display());
    }
}

/// The events of the only run.
fn journal(bench: &Bench) -> Vec<Value> {
    let path = files(&bench.reports("r")).into_iter().find(|path| path.ends_with("journal.jsonl")).expect("a journal");
    let text = fs::read_to_string(path).expect("it can be read");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

#[test]
fn a_plan_of_subjects_behind_an_api_runs_to_its_verdict() {
    let server = Loopback::start(|request| match request.method.as_str() {
        "GET" => Script::json(200, models()),
        _ => Script::json(200, said(&sum(request).to_string())),
    });
    let bench = bench("behind", &server.url(), "");
    let output = run(&bench);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{complaint}");
    let events = journal(&bench);
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).collect::<Vec<_>>();
    let finished = of("unit-finished");
    assert_eq!(finished.len(), 80);
    for event in &finished {
        assert_eq!(event["score"]["value"], 1.0, "every sum is right: {event}");
    }
    assert!(finished.iter().all(|event| event["served"]["model"] == "demo-2026"), "{}", finished[0]);
    let ready = of("subject-ready");
    assert_eq!(ready.len(), 2);
    assert_eq!(ready[0]["origin"]["host"], server.address().to_string());
    let asked: Vec<Received> = server.log().into_iter().filter(|request| request.method == "POST").collect();
    assert_eq!(asked.len(), 80, "each question once");
    let told = complaint.lines().filter(|line| line.contains(" s: generate ") || line.contains(" s: chat ")).count();
    assert_eq!(told, 80, "each attempt is told: {complaint}");
    assert!(asked.iter().all(|request| request.header("authorization") == Some(&format!("Bearer {KEY}"))));
    nowhere(&bench, &output);
}

#[test]
fn a_run_full_of_failures_writes_the_key_nowhere() {
    let server = Loopback::start(|request| {
        if request.method == "GET" {
            return Script::json_with(200, &[("server", KEY), ("x-request-id", KEY)], models());
        }
        let quoted = format!(r#"{{"error":{{"message":"the key {KEY} may not"}}}}"#);
        match sum(request) / 2 % 8 {
            0 => Script::json(400, quoted),
            1 => Script::json(403, quoted),
            2 => Script::json(200, quoted),
            3 => Script::json(422, format!(r#"{{"detail":"Bearer {KEY}"}}"#)),
            4 => Script::whole(404, &[("content-type", "text/html")], format!("<title>{KEY}</title>")),
            5 => Script::json(200, said(&format!("your key is {KEY}"))),
            6 => Script::json_with(307, &[("location", &format!("http://127.0.0.1:1/{KEY}"))], ""),
            _ => Script::json(200, said("12")).closing(Close::End),
        }
    });
    let bench = bench("failing", &server.url(), "");
    let output = run(&bench);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{complaint}");
    assert!(complaint.contains("lets nothing through any more"), "{complaint}");
    let events = journal(&bench);
    let ended: Vec<&Value> = events.iter().filter(|event| event["event"] == "unit-finished").collect();
    let once: BTreeSet<String> =
        ended.iter().map(|unit| format!("{} {} {}", unit["subject"], unit["task"], unit["sample"])).collect();
    assert_eq!(once.len(), ended.len(), "none is there twice");
    // Twenty questions of two tasks to two subjects: at two of the twenty the door is shut, at three it may be.
    assert!((60..=72).contains(&ended.len()), "what was answered or refused for good is kept: {}", ended.len());
    nowhere(&bench, &output);
}

#[test]
fn a_missing_key_is_told_before_anything_is_asked() {
    let server = Loopback::start(|_| Script::json(200, models()));
    let bench = bench("keyless", &server.url(), "");
    let output = bench.command(&bench.reports("r"), &[]).output().expect("the binary starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(complaint.contains("subject `canary` needs a key, and the environment variable A_KEY is not set"), "{complaint}");
    assert!(server.log().is_empty(), "nothing is asked without it");
}

#[test]
fn an_endpoint_that_refuses_the_key_ends_the_command_with_its_words() {
    let server = Loopback::start(|_| Script::json(401, format!(r#"{{"error":{{"message":"no such key: {KEY}"}}}}"#)));
    let bench = bench("refused", &server.url(), "");
    let output = run(&bench);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(complaint.contains("subject `canary`") && complaint.contains("does not accept the key"), "{complaint}");
    nowhere(&bench, &output);
}
