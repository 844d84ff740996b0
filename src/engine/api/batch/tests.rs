//! Jobs against a server on the loopback, in the wire formats of the services' public specifications.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::header::HeaderMap;
use serde_json::json;

use super::super::http::Target;
use super::super::loopback::{Loopback, Received, Script};
use super::job::later;
use super::notes::Note;
use super::*;
use crate::domain::{Answer, CauseKind, Dialect, Finish, Generation, Message, Preset, Usage};
use crate::engine::RetryClass;

fn question(at: usize) -> Request {
    let generation = Generation { max_tokens: 16, stop: Vec::new(), temperature: 0.0, top_p: 1.0, seed: 7, constraint: None };
    let messages = vec![Message { role: "user".to_owned(), content: format!("question {at}") }];
    Request::Chat { messages, tools: Vec::new(), generation }
}

fn questions(count: usize) -> Vec<Request> {
    (0..count).map(question).collect()
}

/// A subject at a server, with a place for notes.
struct Bench {
    server: Loopback,
    http: Http,
    spec: ApiSpec,
    notes: tempfile::TempDir,
}

impl Bench {
    fn new(preset: Preset, dialect: Dialect, handler: impl Fn(&Received) -> Script + Send + Sync + 'static) -> Self {
        let server = Loopback::start(handler);
        let timeout = Duration::from_secs(30);
        let (base_url, headers) = (server.url(), HeaderMap::new());
        let target = Target { base_url, key: None, headers, concurrency: 4, timeout, dialect, region: None };
        let spec = ApiSpec {
            base_url: server.url(),
            stream: true,
            batch: true,
            ..super::super::fixture::spec(preset, dialect, "model-1", true)
        };
        let http = Http::new(target).expect("a client can be made");
        Self { server, http, spec, notes: tempfile::tempdir().expect("a temporary folder") }
    }

    async fn answer(&self, requests: &[Request]) -> Vec<Result<Reply, Failure>> {
        let subject = SubjectName::new("canary");
        let desk = Desk::new(&subject, &self.spec, &self.http, self.notes.path());
        answer(Desk { looks: [Duration::from_millis(1); 2], ..desk }, requests).await
    }

    /// The requests that the server had, as method and path.
    fn asked(&self) -> Vec<String> {
        self.server.log().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    fn noted(&self) -> usize {
        std::fs::read_dir(self.notes.path()).expect("it can be read").count()
    }
}

fn text(reply: &Result<Reply, Failure>) -> &str {
    match &reply.as_ref().expect("it is answered").answer {
        Answer::Text { text, .. } => text,
        other => panic!("a text was asked for, not {other:?}"),
    }
}

fn failed(reply: &Result<Reply, Failure>) -> (CauseKind, RetryClass, &str) {
    let failure = reply.as_ref().expect_err("it failed");
    (failure.kind, failure.retry, &failure.message)
}

/// The lines of an uploaded file: between its part's headers and the boundary that ends the form.
fn uploaded(body: &[u8]) -> Vec<Value> {
    let body = String::from_utf8(body.to_vec()).expect("it is text");
    let (_, file) = body.split_once("Content-Type: application/jsonl\r\n\r\n").expect("there is a file");
    let (file, _) = file.split_once("\r\n--").expect("the form ends");
    file.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn id_of(line: &Value) -> String {
    line["custom_id"].as_str().expect("it has an id").to_owned()
}

/// A chat completion as `OpenAI` and Mistral write it.
fn completion(text: &str) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "model-1-2024",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}})
}

/// `OpenAI`'s service (platform.openai.com, "Batch API" and "Files"): the job is worked on for some looks; then the lines have
/// answers from last to first, but for one that was refused, one that was not reached and one that nothing is said of.
fn openai(looks: usize) -> impl Fn(&Received) -> Script + Send + Sync {
    let (lines, looked) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    move |request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v1/files") => {
            *lines.lock().expect("no panic") = uploaded(&request.body).iter().map(id_of).collect();
            Script::json(200, r#"{"id":"file-abc","object":"file","bytes":1,"purpose":"batch","status":"processed"}"#)
        }
        ("POST", "/v1/batches") => Script::json(200, r#"{"id":"batch_abc","object":"batch","status":"validating"}"#),
        ("GET", "/v1/batches/batch_abc") if looked.fetch_add(1, Ordering::Relaxed) < looks => {
            Script::json(200, r#"{"id":"batch_abc","status":"in_progress","output_file_id":null,"error_file_id":null}"#)
        }
        ("GET", "/v1/batches/batch_abc") => Script::json(
            200,
            r#"{"id":"batch_abc","status":"completed","output_file_id":"file-out","error_file_id":"file-err",
                "request_counts":{"total":5,"completed":3,"failed":2}}"#,
        ),
        ("GET", "/v1/files/file-out/content") => {
            let ids = lines.lock().expect("no panic").clone();
            let line = |(at, id): (usize, &String)| {
                json!({"id": format!("batch_req_{at}"), "custom_id": id, "error": null,
                    "response": {"status_code": 200, "request_id": "r", "body": completion(&format!("answer {at}"))}})
                .to_string()
            };
            let told: Vec<String> = ids.iter().enumerate().filter(|(at, _)| ![1, 3, 4].contains(at)).rev().map(line).collect();
            let whole = told.join("\n");
            let (one, two) = whole.split_at(whole.len() / 3);
            Script::stream("application/octet-stream", [one, two])
        }
        ("GET", "/v1/files/file-err/content") => {
            let ids = lines.lock().expect("no panic").clone();
            let refused = json!({"id": "e1", "custom_id": ids[1], "error": null, "response": {"status_code": 400, "request_id": "r",
                "body": {"error": {"message": "Invalid value: 'temperature'.", "type": "invalid_request_error", "code": null}}}});
            let late = json!({"id": "e3", "custom_id": ids[3], "response": null, "error": {"code": "batch_expired",
                "message": "This request could not be executed before the completion window expired."}});
            Script::whole(200, &[("content-type", "application/octet-stream")], format!("{refused}\n{late}\n"))
        }
        _ => Script::json(404, r#"{"error":{"message":"no such path"}}"#),
    }
}

#[tokio::test]
async fn a_batch_of_openai_is_uploaded_made_looked_at_and_read_in_any_order() {
    let bench = Bench::new(Preset::Openai, Dialect::OpenaiChat, openai(2));
    let replies = bench.answer(&questions(5)).await;
    assert_eq!((text(&replies[0]), text(&replies[2])), ("answer 0", "answer 2"));
    let served = replies[0].as_ref().expect("answered").served.clone().expect("the service told something");
    assert_eq!(served.usage, Some(Usage { prompt: 9, completion: 2, cached: 0 }));
    assert_eq!(served.model.as_deref(), Some("model-1-2024"));
    assert!(served.prompt.is_some(), "what was asked can be compared");
    let (kind, class, said) = failed(&replies[1]);
    assert_eq!((kind, class), (CauseKind::Refused, RetryClass::No));
    assert!(said.contains("Invalid value: 'temperature'."), "{said}");
    let (kind, class, said) = failed(&replies[3]);
    assert_eq!((kind, class), (CauseKind::Timeout, RetryClass::Transient));
    assert!(said.contains("before the completion window expired"), "{said}");
    assert_eq!(failed(&replies[4]).0, CauseKind::Malformed, "a request that nothing is said of is not lost");
    let log = bench.server.log();
    let lines = uploaded(&log[0].body);
    assert_eq!(lines.len(), 5);
    for (at, line) in lines.iter().enumerate() {
        assert_eq!((&line["method"], &line["url"]), (&json!("POST"), &json!("/v1/chat/completions")));
        assert_eq!(line["body"]["messages"], json!([{"role": "user", "content": format!("question {at}")}]));
        assert_ne!(line["body"]["stream"], json!(true), "a job's answers are not streamed");
        assert!(id_of(line).len() <= 64 && id_of(line).chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    }
    let boundary = log[0].header("content-type").and_then(|kind| kind.strip_prefix("multipart/form-data; boundary="));
    let boundary = boundary.expect("it is a form");
    let form = String::from_utf8(log[0].body.clone()).expect("text");
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--{boundary}\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"quantgate.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n{{"
    );
    assert!(form.starts_with(&head) && form.ends_with(&format!("}}\n\r\n--{boundary}--\r\n")), "{form}");
    let batch = json!({"input_file_id": "file-abc", "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    assert_eq!(log[1].json(), batch);
    assert_eq!(
        bench.asked()[2..],
        ["GET /v1/batches/batch_abc"; 3]
            .into_iter()
            .chain(["GET /v1/files/file-out/content", "GET /v1/files/file-err/content"])
            .collect::<Vec<_>>()
    );
    assert_eq!(bench.noted(), 0, "nothing is left to wait for");
}

/// Mistral's service (docs.mistral.ai, "Batch inference"; `BatchJobOut` of its public specification).
#[tokio::test]
async fn a_job_of_mistral_has_its_requests_inside() {
    let (ids, looked) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    let bench = Bench::new(Preset::Mistral, Dialect::Mistral, move |request| match (request.method.as_str(), &*request.path) {
        ("POST", "/v1/batch/jobs") => {
            let body = request.json();
            assert_eq!((&body["model"], &body["endpoint"]), (&json!("model-1"), &json!("/v1/chat/completions")));
            assert_eq!(body["timeout_hours"], 24);
            let requests = body["requests"].as_array().expect("there are requests");
            assert_eq!(requests[1]["body"]["messages"][0]["content"], "question 1");
            *ids.lock().expect("no panic") = requests.iter().map(id_of).collect();
            Script::json(200, r#"{"id":"b0a5-1","object":"batch","status":"QUEUED","input_files":[],"errors":[]}"#)
        }
        ("GET", "/v1/batch/jobs/b0a5-1") => match looked.fetch_add(1, Ordering::Relaxed) {
            0 => Script::json(200, r#"{"id":"b0a5-1","status":"QUEUED","output_file":null,"error_file":null}"#),
            1 => Script::json(429, r#"{"message":"Requests rate limit exceeded"}"#),
            2 => Script::json(200, r#"{"id":"b0a5-1","status":"RUNNING","output_file":null,"error_file":null}"#),
            _ => Script::json(200, r#"{"id":"b0a5-1","status":"SUCCESS","output_file":"0f-2","error_file":null}"#),
        },
        ("GET", "/v1/files/0f-2/content") => {
            let ids = ids.lock().expect("no panic").clone();
            let line = |at: usize| {
                let body = completion(&format!("answer {at}"));
                json!({"id": "x", "custom_id": ids[at], "response": {"status_code": 200, "body": body}, "error": null})
                    .to_string()
            };
            Script::whole(200, &[], format!("{}\n{}\n{}\n{{torn", line(2), line(0), line(1)))
        }
        _ => Script::json(404, "{}"),
    });
    let replies = bench.answer(&questions(3)).await;
    assert_eq!(replies.iter().map(text).collect::<Vec<_>>(), ["answer 0", "answer 1", "answer 2"]);
    assert_eq!(bench.noted(), 0);
}

/// Anthropic's service (platform.claude.com, "Message Batches": create, retrieve, results).
#[tokio::test]
async fn a_batch_of_anthropic_is_read_from_its_results() {
    let ids = Mutex::new(Vec::new());
    let looked = AtomicUsize::new(0);
    let bench = Bench::new(Preset::Anthropic, Dialect::Anthropic, move |request| {
        assert_eq!(request.header("anthropic-version"), Some("2023-06-01"), "{}", request.path);
        match (request.method.as_str(), &*request.path) {
            ("POST", "/v1/messages/batches") => {
                let requests = request.json()["requests"].as_array().expect("there are requests").clone();
                assert_eq!(requests[0]["params"]["model"], "model-1");
                *ids.lock().expect("no panic") = requests.iter().map(id_of).collect();
                Script::json(
                    200,
                    r#"{"id":"msgbatch_01","type":"message_batch","processing_status":"in_progress","results_url":null}"#,
                )
            }
            ("GET", "/v1/messages/batches/msgbatch_01") if looked.fetch_add(1, Ordering::Relaxed) == 0 => {
                Script::json(200, r#"{"id":"msgbatch_01","processing_status":"in_progress","results_url":null}"#)
            }
            ("GET", "/v1/messages/batches/msgbatch_01") => Script::json(
                200,
                r#"{"id":"msgbatch_01","processing_status":"ended","results_url":"https://elsewhere.example/results"}"#,
            ),
            ("GET", "/v1/messages/batches/msgbatch_01/results") => {
                let ids = ids.lock().expect("no panic").clone();
                let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "model-1",
                    "content": [{"type": "text", "text": "answer 1"}], "stop_reason": "max_tokens", "stop_sequence": null,
                    "usage": {"input_tokens": 11, "output_tokens": 16}});
                let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
                let lines = [
                    json!({"custom_id": ids[2], "result": {"type": "expired"}}),
                    json!({"custom_id": ids[1], "result": {"type": "succeeded", "message": message}}),
                    json!({"custom_id": ids[0], "result": {"type": "errored", "error": error}}),
                    json!({"custom_id": "another's", "result": {"type": "canceled"}}),
                ];
                Script::whole(200, &[], lines.map(|line| line.to_string()).join("\n"))
            }
            _ => Script::json(404, "{}"),
        }
    });
    let replies = bench.answer(&questions(3)).await;
    assert_eq!(text(&replies[1]), "answer 1");
    let Answer::Text { finish, .. } = &replies[1].as_ref().expect("answered").answer else { panic!("a text") };
    assert_eq!(*finish, Finish::Length);
    let (_, class, said) = failed(&replies[0]);
    assert_eq!(class, RetryClass::Busy);
    assert!(said.contains("Overloaded"), "{said}");
    assert_eq!(failed(&replies[2]).0, CauseKind::Timeout);
    assert_eq!(bench.asked().len(), 4, "results come from where the key belongs: {:?}", bench.asked());
}

#[tokio::test]
async fn a_run_that_was_stopped_finds_its_job_again_and_pays_once() {
    let goes = Arc::new(AtomicUsize::new(usize::MAX));
    let inner = openai(0);
    let until = Arc::clone(&goes);
    let (seen, mut looked) = tokio::sync::mpsc::unbounded_channel();
    let bench = Bench::new(Preset::Openai, Dialect::OpenaiChat, move |request| {
        if request.path == "/v1/batches/batch_abc" && until.load(Ordering::Relaxed) > 0 {
            // Nobody listens any more once the first run was stopped.
            let _ = seen.send(());
            return Script::json(200, r#"{"id":"batch_abc","status":"in_progress"}"#);
        }
        inner(request)
    });
    let requests = questions(5);
    tokio::select! {
        _answers = bench.answer(&requests) => panic!("the job is never done"),
        () = async { for _ in 0..3 { looked.recv().await; } } => {}
    }
    assert_eq!(bench.noted(), 1, "the job's note stays");
    goes.store(0, Ordering::Relaxed);
    let replies = bench.answer(&requests).await;
    assert_eq!(text(&replies[0]), "answer 0");
    let handed_in = bench.asked().iter().filter(|asked| asked.starts_with("POST")).count();
    assert_eq!(handed_in, 2, "one upload and one batch: {:?}", bench.asked());
    assert_eq!(bench.noted(), 0);
    // Later on the same questions are a job of their own.
    bench.answer(&requests).await;
    assert_eq!(bench.asked().iter().filter(|asked| asked.starts_with("POST")).count(), 4);
}

#[tokio::test]
async fn a_job_that_the_service_no_longer_knows_is_handed_in_anew() {
    let inner = openai(0);
    let bench = Bench::new(Preset::Openai, Dialect::OpenaiChat, move |request| inner(request));
    let requests = questions(5);
    let subject = SubjectName::new("canary");
    let spec = ApiSpec { stream: false, ..bench.spec.clone() };
    let lines: Vec<Line> =
        requests.iter().enumerate().map(|(at, request)| Line::of(&spec, at, request).expect("it is written")).collect();
    let mut note = Note::take(bench.notes.path(), &lines::key(&subject, &spec, &lines)).expect("a note");
    note.write("batch_old").expect("it is written");
    drop(note);
    assert_eq!(text(&bench.answer(&requests).await[2]), "answer 2");
    assert_eq!(bench.asked()[0], "GET /v1/batches/batch_old");
    assert_eq!(bench.noted(), 0);
}

#[tokio::test]
async fn a_failed_job_fails_each_request_with_the_services_words() {
    for (code, class) in [("token_limit_exceeded", RetryClass::Busy), ("invalid_json_line", RetryClass::No)] {
        let bench = Bench::new(Preset::Openai, Dialect::OpenaiChat, move |request| match request.path.as_str() {
            "/v1/files" => Script::json(200, r#"{"id":"file-abc"}"#),
            "/v1/batches" => Script::json(200, r#"{"id":"batch_abc","status":"validating"}"#),
            _ => Script::json(
                200,
                json!({"id": "batch_abc", "status": "failed", "output_file_id": null, "errors": {"object": "list", "data":
                    [{"code": code, "message": "Enqueued token limit reached", "param": null, "line": null}]}})
                .to_string(),
            ),
        });
        for reply in bench.answer(&questions(2)).await {
            let (_, found, said) = failed(&reply);
            assert_eq!(found, class);
            assert!(said.contains("Enqueued token limit reached"), "{said}");
        }
        assert_eq!(bench.noted(), 0);
    }
}

#[tokio::test]
async fn a_dialect_without_jobs_is_refused_before_anything_is_sent() {
    let bench = Bench::new(Preset::Ollama, Dialect::Ollama, |_| Script::json(500, "{}"));
    let replies = bench.answer(&questions(2)).await;
    assert!(replies.iter().all(|reply| failed(reply).1 == RetryClass::No));
    assert!(bench.asked().is_empty());
}

#[test]
fn jobs_stay_within_the_services_limits_and_have_one_path_each() {
    let line = |place, path: &str, bytes| Line {
        place,
        id: format!("q{place}"),
        path: path.to_owned(),
        headers: Vec::new(),
        body: "x".repeat(bytes),
    };
    let sizes = |lines: Vec<Line>, most| lines::parts(lines, most).iter().map(Vec::len).collect::<Vec<_>>();
    let most = lines::Most { lines: 3, bytes: 10_000 };
    assert_eq!(sizes((0..7).map(|at| line(at, "/a", 10)).collect(), most), [3, 3, 1]);
    assert_eq!(sizes((0..4).map(|at| line(at, "/a", 4_700)).collect(), most), [2, 2]);
    assert_eq!(sizes(vec![line(0, "/a", 1), line(1, "/b", 1), line(2, "/b", 1)], most), [1, 2]);
    assert_eq!(sizes(vec![line(0, "/a", 20_000), line(1, "/a", 1)], most), [1, 1], "a line too large goes by itself");
}

#[test]
fn two_that_ask_the_same_at_once_have_a_note_each() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut first = Note::take(folder.path(), "k").expect("a note");
    first.write("job-1").expect("it is written");
    let second = Note::take(folder.path(), "k").expect("a note");
    assert_eq!(second.id(), None, "the first one's job is its own");
    drop((first, second));
    assert_eq!(Note::take(folder.path(), "k").expect("a note").id().as_deref(), Some("job-1"), "once it is let go, it is found");
    std::fs::write(folder.path().join("k-0.job"), "../../secret\n").expect("writable");
    assert_eq!(Note::take(folder.path(), "k").expect("a note").id(), None, "what is no id is not used as one");
}

#[test]
fn looks_become_rarer_up_to_one_a_minute() {
    let mut pause = LOOKS[0];
    let mut pauses = Vec::new();
    for _ in 0..8 {
        pauses.push(pause.as_secs_f64());
        pause = later(pause, LOOKS[1]);
    }
    assert_eq!(pauses[..3], [5.0, 7.5, 11.25]);
    assert_eq!(pauses[7..8], [60.0]);
}
