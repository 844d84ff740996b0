//! Which dialect's functions serve a subject, and what services say when they refuse.

use serde_json::Value;

use super::super::{Failure, RetryClass};
use super::exchange::{Ask, Draft, Flow, Frame, Wire};
use super::{anthropic, bedrock, llama_cpp, mistral, ollama, openai_chat, openai_completions, vertex};
use crate::domain::{CauseKind, Dialect};

/// A request in its subject's dialect.
///
/// # Errors
/// [`CauseKind::Refused`] where the dialect cannot express it.
pub(super) fn encode(ask: &Ask<'_>) -> Result<Wire, Failure> {
    match ask.spec.dialect {
        Dialect::OpenaiChat => openai_chat::encode(ask),
        Dialect::OpenaiCompletions => openai_completions::encode(ask),
        Dialect::Mistral => mistral::encode(ask),
        Dialect::Vertex => vertex::encode(ask),
        Dialect::Ollama => ollama::encode(ask),
        Dialect::LlamaCpp => llama_cpp::encode(ask),
        Dialect::Anthropic => anthropic::encode(ask),
        Dialect::Bedrock => bedrock::encode(ask),
    }
}

/// Reads an answer that came as one document.
///
/// # Errors
/// The service's own fault told under 200, and [`CauseKind::Malformed`] for what is not the dialect's.
pub(super) fn whole(dialect: Dialect, body: &Value, draft: &mut Draft) -> Result<(), Failure> {
    match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiCompletions => openai_chat::whole(body, draft),
        Dialect::Mistral | Dialect::Vertex => mistral::whole(body, draft),
        Dialect::Ollama => ollama::whole(body, draft),
        Dialect::LlamaCpp => llama_cpp::whole(body, draft),
        Dialect::Anthropic => anthropic::whole(body, draft),
        Dialect::Bedrock => bedrock::whole(body, draft),
    }
}

/// Reads one piece of an answer that is streamed.
///
/// # Errors
/// As of [`whole`].
pub(super) fn piece(dialect: Dialect, frame: &Frame<'_>, draft: &mut Draft) -> Result<Flow, Failure> {
    match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiCompletions => openai_chat::piece(frame, draft),
        Dialect::Mistral | Dialect::Vertex => mistral::piece(frame, draft),
        Dialect::Ollama => ollama::piece(frame, draft),
        Dialect::LlamaCpp => llama_cpp::piece(frame, draft),
        Dialect::Anthropic => anthropic::piece(frame, draft),
        Dialect::Bedrock => bedrock::piece(frame, draft),
    }
}

/// Most characters of a service's message that are passed on.
const LONGEST: usize = 400;

/// What a service says in the body of an error, as one plain sentence without what looks like a key. Where it says nothing, the
/// status stands for it.
pub(super) fn refusal(dialect: Dialect, status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let said = serde_json::from_str::<Value>(&text).map_or_else(|_| plain(&text), |body| message(&body));
    let said = said.map(|said| tidy(&said)).filter(|said| !said.is_empty());
    match said {
        Some(said) => said,
        None if dialect == Dialect::Bedrock && status == 403 => "access denied (status 403)".to_owned(),
        None => format!("status {status} without a message"),
    }
}

/// The message of a JSON error body, whoever wrote it: OpenAI, Azure, vLLM, llama.cpp, LiteLLM, `DeepSeek` and Anthropic put it at
/// `error.message`, Ollama at `error`, Mistral at `message` or `detail`, AWS at `message` or `Message`, Google in a list.
fn message(body: &Value) -> Option<String> {
    match body {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let said: Vec<String> = items.iter().filter_map(message).collect();
            (!said.is_empty()).then(|| said.join("; "))
        }
        Value::Object(map) => {
            // A validation error names the place of the fault beside its text.
            if let (Some(Value::Array(place)), Some(Value::String(text))) = (map.get("loc"), map.get("msg")) {
                let place: Vec<String> = place.iter().map(word).collect();
                return Some(format!("{}: {text}", place.join(".")));
            }
            ["error", "message", "Message", "detail", "error_message", "msg"]
                .iter()
                .filter_map(|key| map.get(*key))
                .find_map(message)
        }
        _ => None,
    }
}

/// A JSON scalar without quotes.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What can be read of a body that is no JSON: a page's title, or the first line with text.
fn plain(text: &str) -> Option<String> {
    if text.trim_start().starts_with('<') {
        let (_, after) = text.split_once("<title>")?;
        return after.split_once("</title>").map(|(title, _)| title.to_owned());
    }
    text.lines().find(|line| !line.trim().is_empty()).map(str::to_owned)
}

/// One line of bounded length, without what looks like a key.
fn tidy(said: &str) -> String {
    let words: Vec<&str> = said.split_whitespace().map(|word| if is_secret(word) { "[key]" } else { word }).collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Whether a word looks like a key, or like the rest of one that was masked: some services repeat it when they refuse it.
fn is_secret(word: &str) -> bool {
    let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '*');
    let known = ["sk-", "sk_", "AKIA", "ASIA", "ya29.", "eyJ", "ABSK"].iter().any(|prefix| core.starts_with(prefix));
    let masked = core.contains("***") || core.len() > 4 && core.starts_with("**");
    let random = core.len() >= 32
        && core.chars().all(|c| c.is_ascii_alphanumeric() || "-_+/=.".contains(c))
        && core.chars().any(|c| c.is_ascii_digit())
        && core.chars().any(|c| c.is_ascii_alphabetic());
    known || masked || random
}

/// The fault that a response's document tells although its status was 200; none where it tells none.
pub(super) fn in_band(body: &Value) -> Option<Failure> {
    let error = match body.get("error") {
        Some(error) if is_said(error) => error,
        // vLLM's older form, and Mistral's: the fault is the document itself.
        _ if body.get("object").and_then(Value::as_str) == Some("error") => body,
        _ => return None,
    };
    let said = message(error).map(|said| tidy(&said)).filter(|said| !said.is_empty());
    let said = said.unwrap_or_else(|| "the service told of an error without a message".to_owned());
    let (kind, retry) = class(error, &said);
    Some(Failure::new(kind, retry, said))
}

/// Whether an `error` member says anything.
fn is_said(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

/// The class of a fault by its own code, status or type: numbers first, then words.
fn class(error: &Value, said: &str) -> (CauseKind, RetryClass) {
    let members = ["code", "status", "type", "status_code"].map(|key| error.get(key));
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).filter(|n| (400..600).contains(n));
    let words: String = members.iter().flatten().map(|value| word(value).to_ascii_lowercase() + " ").collect();
    let names = |list: &[&str]| list.iter().any(|name| words.contains(name));
    if names(&["content_filter", "content_policy"]) {
        return (CauseKind::Filtered, RetryClass::No);
    }
    if names(&["insufficient_quota", "billing"]) {
        return (CauseKind::Transport, RetryClass::Barred);
    }
    match members.iter().flatten().find_map(|value| number(value)) {
        Some(429 | 529) => return (CauseKind::Limited, RetryClass::Busy),
        Some(408 | 409 | 500..) => return (CauseKind::Transport, RetryClass::Transient),
        Some(401 | 402 | 407) => return (CauseKind::Transport, RetryClass::Barred),
        Some(_) => return (CauseKind::Refused, RetryClass::No),
        None => {}
    }
    let spoken = said.to_ascii_lowercase();
    let limits = ["rate_limit", "rate limit", "ratelimit", "overloaded", "too_many", "too many requests", "throttl", "exhausted"];
    if names(&limits) || limits.iter().any(|limit| spoken.contains(limit)) || spoken.contains("busy") {
        return (CauseKind::Limited, RetryClass::Busy);
    }
    if names(&["server_error", "internal", "unavailable", "timeout", "api_error", "generation_error"]) {
        return (CauseKind::Transport, RetryClass::Transient);
    }
    (CauseKind::Refused, RetryClass::No)
}

#[cfg(test)]
#[path = "tests/fuzz.rs"]
mod fuzz;

#[cfg(test)]
#[path = "tests/dialect.rs"]
mod tests;
