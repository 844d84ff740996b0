//! Subjects behind HTTP, against servers whose bytes are written out: opened, asked, and run through the real binary.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod open;
mod run;

use std::path::PathBuf;

use quantgate::domain::{ApiSpec, Generation, Message, Request, Service, SubjectName};
use quantgate::engine::api::{Access, ApiEngine, ApiError};
use quantgate::engine::{Engine, Failure, Reply};
use secrecy::SecretString;
use serde_json::{Value, json};

/// A key that is found wherever it is written.
const KEY: &str = "sk-recognisable-0123456789abcdef";

/// A subject of a preset in a dialect, with more or other members.
fn spec(preset: &str, dialect: &str, base_url: &str, more: Value) -> ApiSpec {
    let mut spec = json!({"preset": preset, "dialect": dialect, "base_url": base_url, "model": "demo"});
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
        spec.extend(more);
    }
    serde_json::from_value(spec).unwrap()
}

/// What a subject is opened with here: the key, and time enough for a busy machine.
fn access() -> Access {
    let service = Service { timeout_s: Some(120.0), ..Service::default() };
    Access { key: Some(SecretString::from(KEY)), service, root: PathBuf::new(), server: None, jobs: PathBuf::new() }
}

async fn open(spec: &ApiSpec) -> Result<ApiEngine, ApiError> {
    ApiEngine::open(&SubjectName::new("q4"), spec, access()).await
}

fn generation() -> Generation {
    Generation { max_tokens: 16, stop: vec!["\n".to_owned()], temperature: 0.0, top_p: 1.0, seed: 7, constraint: None }
}

fn question(text: &str) -> Request {
    let messages = vec![Message { role: "user".to_owned(), content: text.to_owned() }];
    Request::Chat { messages, tools: vec![], generation: generation() }
}

/// One question's outcome.
async fn ask(engine: &ApiEngine, request: Request) -> Result<Reply, Failure> {
    engine.answer(&[request]).await.pop().unwrap()
}

/// A list of one model in `OpenAI`'s manner.
fn models() -> String {
    json!({"object": "list", "data": [{"id": "demo", "object": "model", "owned_by": "us"}]}).to_string()
}

/// A complete answer of a chat API.
fn said(text: &str) -> String {
    json!({"id": "1", "object": "chat.completion", "model": "demo-2026", "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}})
    .to_string()
}
