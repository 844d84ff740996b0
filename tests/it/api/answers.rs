//! One question: what is sent, what is read, and what comes beside an answer.

use quantgate::domain::{Answer, CauseKind, Finish, Usage};
use quantgate::engine::{Engine, RetryClass};
use serde_json::json;

use super::{KEY, ask, models, open, question, said, spec};
use crate::loopback::{Close, Loopback, Received, Script};

/// A chat server whose answers are given.
fn server(answer: impl Fn(&Received) -> Script + Send + Sync + 'static) -> Loopback {
    Loopback::start(move |request| if request.method == "GET" { Script::json(200, models()) } else { answer(request) })
}

#[tokio::test]
async fn an_answer_comes_with_what_the_endpoint_told() {
    let server = server(|_| {
        let headers = [
            ("x-ratelimit-remaining-requests", "41"),
            ("x-ratelimit-reset-requests", "3s"),
            ("x-litellm-model-id", "a1b2"),
            ("x-litellm-attempted-fallbacks", "1"),
        ];
        Script::json_with(200, &headers, said("four"))
    });
    let more = json!({"extra": {"min_p": 0.0, "seed": 5}, "omit": ["presence_penalty"], "headers": {"x-team": "a"}});
    let engine = open(&spec("litellm", "openai-chat", &format!("{}/v1", server.url()), more)).await.unwrap();
    let reply = ask(&engine, question("2+2?")).await.unwrap();
    assert_eq!(reply.answer, Answer::Text { text: "four".into(), tokens: vec![], finish: Finish::End });
    assert_eq!(reply.headroom.requests.map(|(left, reset)| (left, reset.as_secs())), Some((41.0, 3)));
    let served = reply.served.unwrap();
    assert_eq!((served.model.as_deref(), served.fallbacks), (Some("demo-2026 (a1b2)"), 1));
    assert_eq!(served.fingerprint.as_deref(), Some("fp_1"));
    assert_eq!(served.usage, Some(Usage { prompt: 9, completion: 2, cached: 0 }));
    assert!(served.prompt.unwrap().as_str().starts_with("chat:"));
    let log = server.log();
    let sent = log.last().unwrap();
    assert_eq!((sent.path.as_str(), sent.header("x-team")), ("/v1/chat/completions", Some("a")));
    let body = sent.json();
    assert_eq!((&body["min_p"], &body["seed"], body.get("presence_penalty")), (&json!(0.0), &json!(5), None));
    assert_eq!(body["messages"], json!([{"role": "user", "content": "2+2?"}]));
    assert_eq!((&body["temperature"], &body["top_p"]), (&json!(0.0), &json!(1.0)));
}

/// A streamed answer, cut into writes of so many bytes.
fn streamed(bytes: usize) -> Script {
    let text = ": keep-alive\n\ndata: {\"model\":\"demo-2026\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"vi\u{e9}\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"r\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    Script::stream("text/event-stream", text.as_bytes().chunks(bytes))
}

#[tokio::test]
async fn a_streamed_answer_is_the_same_however_it_is_cut_and_its_connection_is_kept() {
    let server = server(|request| streamed([1, 7, 64, 4096][request.number % 4]));
    let spec = spec("openai-compatible", "openai-chat", &format!("{}/v1", server.url()), json!({"stream": true}));
    let engine = open(&spec).await.unwrap();
    for _ in 0..4 {
        let reply = ask(&engine, question("four in German?")).await.unwrap();
        assert_eq!(reply.answer, Answer::Text { text: "viér".into(), tokens: vec![], finish: Finish::End });
        let served = reply.served.unwrap();
        assert_eq!(served.pace.unwrap().tokens, 2);
        assert!(served.pace.unwrap().first_us > 0);
    }
    assert!(server.log().iter().all(|request| request.connection == 0), "one connection is enough");
    assert_eq!(server.log()[1].json()["stream"], json!(true));
}

/// llama.cpp's server answers `Keep-Alive: timeout=5, max=100` and closes the connection when a stream has ended.
#[tokio::test]
async fn a_stream_of_a_server_that_hangs_up_after_it_has_a_connection_of_its_own() {
    let server = server(|_| streamed(64));
    let spec = spec("llama-server", "openai-chat", &format!("{}/v1", server.url()), json!({"stream": true}));
    let engine = open(&spec).await.unwrap();
    for _ in 0..3 {
        ask(&engine, question("four in German?")).await.unwrap();
    }
    let asked: Vec<_> = server.log().into_iter().filter(|request| request.method == "POST").collect();
    assert!(asked.iter().all(|request| request.header("connection") == Some("close")), "{asked:?}");
}

#[tokio::test]
async fn a_service_that_does_not_stream_is_read_whole() {
    let server = server(|_| Script::json(200, said("four")));
    let spec = spec("openai-compatible", "openai-chat", &server.url(), json!({"stream": true}));
    let reply = ask(&open(&spec).await.unwrap(), question("2+2?")).await.unwrap();
    assert!(matches!(reply.answer, Answer::Text { text, .. } if text == "four") && reply.served.unwrap().pace.is_none());
}

#[tokio::test]
async fn errors_under_a_status_of_success_have_their_own_class() {
    let bodies = [
        (r#"{"error":{"message":"slow down","type":"rate_limit_error","code":429}}"#, CauseKind::Limited, RetryClass::Busy),
        (r#"{"error":{"message":"boom","type":"server_error","code":500}}"#, CauseKind::Transport, RetryClass::Transient),
        (r#"{"error":{"message":"too long","type":"invalid_request_error","code":400}}"#, CauseKind::Refused, RetryClass::No),
    ];
    for (body, kind, class) in bodies {
        let server = server(move |_| Script::json(200, body));
        let engine = open(&spec("openai-compatible", "openai-chat", &server.url(), json!({}))).await.unwrap();
        let failure = ask(&engine, question("2+2?")).await.unwrap_err();
        assert_eq!((failure.kind, failure.retry), (kind, class), "{body}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_too_early_is_malformed_and_the_key_is_in_no_failure() {
    let error = format!("data: {{\"error\":{{\"message\":\"key {KEY} is over its limit\",\"code\":429}}}}\n\n");
    let scripts = [
        Script::stream("text/event-stream", ["data: {\"choices\":[{\"delta\":{\"content\":\"vi\"}}]}\n\n"]),
        Script::torn("text/event-stream", ["data: {\"choices\":[{\"delta\""], Close::End),
        Script::stream("text/event-stream", ["data: {\"choices\":[{\"delta\""]),
        Script::whole(200, &[("content-type", "text/html")], format!("<html>{KEY}</html>")),
        Script::stream("text/event-stream", [error]),
        Script::json(400, format!("{{\"error\":\"{KEY}\"}}")),
    ];
    for script in scripts {
        let answer = script.clone();
        let server = server(move |_| answer.clone());
        let spec = spec("openai-compatible", "openai-chat", &server.url(), json!({"stream": true}));
        let failure = ask(&open(&spec).await.unwrap(), question("2+2?")).await.unwrap_err();
        let expected = [CauseKind::Malformed, CauseKind::Transport, CauseKind::Limited, CauseKind::Refused];
        assert!(expected.contains(&failure.kind), "{failure:?} of {script:?}");
        assert!(!format!("{failure:?}").contains("recognisable"), "{failure:?}");
    }
}

#[tokio::test]
async fn what_was_dropped_is_given_up() {
    let server = server(|_| Script::silence(Close::Keep).then(crate::loopback::Act::Hold));
    let engine = open(&spec("openai-compatible", "openai-chat", &server.url(), json!({}))).await.unwrap();
    let requests = [question("2+2?")];
    let given_up = tokio::time::timeout(std::time::Duration::from_millis(50), engine.answer(&requests)).await;
    assert!(given_up.is_err());
}
