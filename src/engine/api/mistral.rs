//! Mistral's chat completions and fill-in-the-middle.
//!
//! The API refuses members that it does not know, so only its own are sent; a strict `json_schema` comes through the plan's
//! `extra.response_format`. `prompt_mode` stays the model's.

use serde_json::{Map, Value};

use super::super::Failure;
use super::exchange::{Ask, Draft, Flow, Frame, Framing, Wire, seed};
use super::{openai_chat, preset};
use crate::domain::{Generation, Request};

/// A conversation; a prompt as fill-in-the-middle without a suffix where the model does that, else as one message of a user.
pub(super) fn encode(ask: &Ask<'_>) -> Result<Wire, Failure> {
    let (path, body) = body(ask, &ask.spec.model)?;
    let framing = if ask.spec.stream { Framing::Sse } else { Framing::Whole };
    Ok(Wire { path: preset::api_path(ask.spec, path), headers: Vec::new(), body, framing })
}

/// The path behind `/v1` and the body of a request, for a model by this name.
pub(super) fn body(ask: &Ask<'_>, model: &str) -> Result<(&'static str, Map<String, Value>), Failure> {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    if let Request::Generate { prompt, generation } = ask.request
        && preset::raw(ask.spec)
    {
        body.insert("prompt".into(), prompt.as_str().into());
        body.insert("suffix".into(), Value::Null);
        sampling(generation, &mut body);
        body.insert("stream".into(), ask.spec.stream.into());
        return Ok(("/fim/completions", body));
    }
    let (mut messages, tools, generation) = openai_chat::conversation(ask.request)?;
    if let Some(Value::Object(last)) = messages.last_mut().filter(|last| last["role"] == "assistant") {
        last.insert("prefix".into(), true.into());
    }
    body.insert("messages".into(), messages.into());
    sampling(generation, &mut body);
    body.insert("presence_penalty".into(), 0.0.into());
    body.insert("frequency_penalty".into(), 0.0.into());
    body.insert("safe_prompt".into(), false.into());
    if !tools.is_empty() {
        body.insert("tools".into(), tools.into());
        body.insert("tool_choice".into(), "any".into());
    }
    body.insert("stream".into(), ask.spec.stream.into());
    Ok(("/chat/completions", body))
}

/// The settings that both endpoints take. With temperature 0 the API takes no other `top_p` than 1, which changes nothing then.
fn sampling(generation: &Generation, body: &mut Map<String, Value>) {
    let top_p = if generation.temperature == 0.0 { 1.0 } else { generation.top_p };
    body.insert("max_tokens".into(), generation.max_tokens.into());
    body.insert("temperature".into(), generation.temperature.into());
    body.insert("top_p".into(), top_p.into());
    if !generation.stop.is_empty() {
        body.insert("stop".into(), generation.stop.clone().into());
    }
    body.insert("random_seed".into(), seed(generation).into());
}

/// An answer that came as one document.
pub(super) fn whole(body: &Value, draft: &mut Draft) -> Result<(), Failure> {
    openai_chat::whole(body, draft)
}

/// One event of an answer that is streamed.
pub(super) fn piece(frame: &Frame<'_>, draft: &mut Draft) -> Result<Flow, Failure> {
    openai_chat::piece(frame, draft)
}

#[cfg(test)]
#[path = "tests/mistral.rs"]
mod tests;
