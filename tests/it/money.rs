//! Paid services, through the real binary: a limit of spending stops a run cleanly, and jobs are paid for once.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::bench::{Bench, Ended};
use crate::loopback::{Loopback, Received, Script};

/// Samples of the task.
const SAMPLES: usize = 40;

/// A bench with a task of chat questions, and a canary and a variant at this service.
fn bench(name: &str, subject: &str, keys: &str) -> Bench {
    let bench = Bench::new(name);
    let row = |at| format!("{{\"id\": \"{at}\", \"question\": \"{at}?\", \"answer\": \"7\"}}\n");
    bench.write("datasets/questions.jsonl", &(0..SAMPLES).map(row).collect::<Vec<_>>().concat());
    bench.write(
        "suites/mine.toml",
        "name = \"mine\"\n[[task]]\nname = \"questions\"\nkind = \"chat\"\ndataset = \"../datasets/questions.jsonl\"\n\
         prompt = \"{{ question }}\"\ntarget = \"{{ answer }}\"\nscorer = { kind = \"exact\", trim = true }\n",
    );
    bench.write("quantgate.toml", &plan(subject, keys));
    bench
}

fn plan(subject: &str, keys: &str) -> String {
    format!(
        "name = \"money\"\nsuites = [\"suites/mine.toml\"]\nseed = 7\n{keys}\n[canary]\nmodel = \"large\"\n{subject}\n\
         [[variant]]\nname = \"small\"\nmodel = \"small\"\n{subject}\n[policy]\nmargin = \"5pp\"\n"
    )
}

fn command(bench: &Bench, more: &[&str]) -> Command {
    let mut command = bench.binary();
    command.args(["run", "--no-progress", "--reports"]).arg(bench.reports("r")).args(more);
    command.env("OPENAI_API_KEY", "sk-test-0123456789");
    command
}

fn run(bench: &Bench, more: &[&str]) -> Ended {
    Ended(command(bench, more).output().expect("the binary starts"))
}

/// An answer that counts a thousand tokens each way.
fn completion(model: &Value) -> Value {
    json!({"id": "c", "object": "chat.completion", "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "7"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}})
}

/// What a service lists, whatever is asked beside answers.
fn listed() -> Script {
    Script::json(200, r#"{"object":"list","data":[{"id":"large","object":"model"},{"id":"small","object":"model"}]}"#)
}

/// Units that ended, of the one run.
fn ended(bench: &Bench) -> usize {
    let mut runs = fs::read_dir(bench.reports("r")).expect("there are runs").map(|entry| entry.expect("an entry").path());
    let run = runs.find(|path| path.join("journal.jsonl").is_file()).expect("there is a run");
    let journal = fs::read_to_string(run.join("journal.jsonl")).expect("it has a journal");
    journal.lines().filter(|line| line.contains("\"event\":\"unit-finished\"")).count()
}

#[test]
fn a_run_stops_at_its_spending_limit_and_goes_on_under_a_higher_one() {
    let answered = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&answered);
    let server = Loopback::start(move |request: &Received| {
        if request.method != "POST" {
            return listed();
        }
        counted.fetch_add(1, Ordering::Relaxed);
        Script::json(200, completion(&request.json()["model"]).to_string())
    });
    // Each answer costs 0.5 + 0.5.
    let subject = format!(
        "engine = \"openai-compatible\"\nbase_url = \"{}/v1\"\nconcurrency = 2\nprice = {{ input = 500.0, output = 500.0 }}",
        server.url()
    );
    let limit = |limit: &str| format!("[spending]\nlimit = {limit}\n");
    let bench = bench("spending", &subject, &limit("10.0"));
    let stopped = run(&bench, &[]);
    let said = stopped.complaint();
    assert_eq!(stopped.code(), 130, "{said}");
    let done = ended(&bench);
    assert!((10..=12).contains(&done), "what is under way is waited for, and {done} ended");
    assert_eq!(answered.load(Ordering::Relaxed), done, "every answer that was paid for is kept");
    let left = 2 * SAMPLES - done;
    let expected = format!("stopped at the spending limit: {done}.00 of 10 spent, {left} of {} units left", 2 * SAMPLES);
    assert!(said.contains(&expected), "{said}");
    assert!(said.contains("raise `limit`") && said.contains("--resume"), "{said}");
    let again = run(&bench, &["--resume"]);
    assert_eq!(again.code(), 130, "the same limit asks nothing more: {}", again.complaint());
    assert_eq!(answered.load(Ordering::Relaxed), done);
    bench.write("quantgate.toml", &plan(&subject, &limit("1000.0")));
    let finished = run(&bench, &["--resume"]).success_or_verdict();
    let said = finished.complaint();
    assert!(said.contains(&format!("{}.00 spent", 2 * SAMPLES)), "earlier parts count: {said}");
    assert_eq!((ended(&bench), answered.load(Ordering::Relaxed)), (2 * SAMPLES, 2 * SAMPLES), "nothing was paid for twice");
}

/// `OpenAI`'s files and batches: jobs end once `done` is set, and lines are answered from the last to the first.
fn jobs(done: Arc<AtomicBool>, looked: std::sync::mpsc::Sender<()>) -> impl Fn(&Received) -> Script + Send + Sync {
    let files: Mutex<Vec<String>> = Mutex::default();
    move |request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v1/files") => {
            let body = String::from_utf8_lossy(&request.body);
            let (_, file) = body.split_once("Content-Type: application/jsonl\r\n\r\n").expect("there is a file");
            let (file, _) = file.split_once("\r\n--").expect("the form ends");
            let mut files = files.lock().expect("no panic");
            files.push(file.to_owned());
            Script::json(200, json!({"id": format!("file-{}", files.len() - 1)}).to_string())
        }
        ("POST", "/v1/batches") => {
            let file = request.json()["input_file_id"].as_str().expect("a file").to_owned();
            Script::json(200, json!({"id": format!("batch_{file}"), "status": "validating"}).to_string())
        }
        ("GET", path) if path.starts_with("/v1/batches/batch_") => {
            // The test may no longer listen.
            let _ = looked.send(());
            let file = path.trim_start_matches("/v1/batches/batch_");
            let ended = json!({"status": "completed", "output_file_id": file, "error_file_id": null});
            let working = json!({"status": "in_progress", "output_file_id": null, "error_file_id": null});
            Script::json(200, if done.load(Ordering::Relaxed) { ended } else { working }.to_string())
        }
        ("GET", path) if path.starts_with("/v1/files/file-") => {
            let number: usize = path["/v1/files/file-".len()..].trim_end_matches("/content").parse().expect("a number");
            let file = files.lock().expect("no panic")[number].clone();
            let answer = |line: &str| {
                let line: Value = serde_json::from_str(line).expect("JSON");
                let body = completion(&line["body"]["model"]);
                json!({"custom_id": line["custom_id"], "response": {"status_code": 200, "body": body}, "error": null}).to_string()
            };
            Script::whole(200, &[], file.lines().rev().map(answer).collect::<Vec<_>>().join("\n"))
        }
        ("GET", _) => listed(),
        _ => Script::json(404, "{}"),
    }
}

#[test]
fn a_killed_run_finds_its_jobs_again_and_pays_for_each_task_once() {
    let done = Arc::new(AtomicBool::new(false));
    let (looked, looks) = std::sync::mpsc::channel();
    let server = Loopback::start(jobs(Arc::clone(&done), looked));
    let subject = format!("engine = \"openai\"\nbase_url = \"{}/v1\"\nbatch = true", server.url());
    let bench = bench("jobs", &subject, "");
    let mut child = command(&bench, &[]).stderr(Stdio::null()).spawn().expect("the binary starts");
    // Both subjects wait for a job of their own.
    looks.recv().expect("a job is looked at");
    looks.recv().expect("and the other");
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    done.store(true, Ordering::Relaxed);
    run(&bench, &["--resume"]).success_or_verdict();
    assert_eq!(ended(&bench), 2 * SAMPLES);
    let handed_in = server.log().iter().filter(|request| request.path == "/v1/batches").count();
    assert_eq!(handed_in, 2, "a task is one job for each subject, and no job is handed in twice");
    let notes = fs::read_dir(bench.path("models/cache/jobs")).expect("there is a folder for notes").count();
    assert_eq!(notes, 0, "nothing is left to wait for");
}
