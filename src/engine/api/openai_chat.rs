//! OpenAI's chat completions, as OpenAI and all its look-alikes speak them.
//!
//! Responses are read from the documents of completions too: both come from one family of servers, with the same members around
//! the text. Thoughts (`reasoning`, `reasoning_content`, chunks of type `thinking`) are kept out of the text.

use serde_json::{Map, Value, json};

use super::super::{Failure, RetryClass};
use super::dialect::in_band;
use super::exchange::{Ask, Draft, Flow, Frame, Framing, Wire, inexpressible, malformed, seed};
use super::{preset, tool_calls};
use crate::domain::{ApiSpec, CauseKind, Finish, Generation, Message, Preset, Request, Usage};

/// Most stop texts that OpenAI's own API takes; at the others the answer is cut here ([`Draft::cut`]).
const STOPS: usize = 4;

/// A conversation, or a prompt as one message of a user.
pub(super) fn encode(ask: &Ask<'_>) -> Result<Wire, Failure> {
    let spec = ask.spec;
    let (messages, tools, generation) = conversation(ask.request)?;
    let continued = messages.last().is_some_and(|last| last["role"] == "assistant");
    let mut body = Map::new();
    body.insert("model".into(), spec.model.as_str().into());
    body.insert("messages".into(), messages.into());
    let own = matches!(spec.preset, Preset::Openai | Preset::Azure) && !preset::is_serverless(spec);
    let limit = if own { "max_completion_tokens" } else { "max_tokens" };
    body.insert(limit.into(), generation.max_tokens.into());
    sampling(spec, generation, &mut body);
    if continued && spec.preset == Preset::Vllm {
        body.insert("add_generation_prompt".into(), false.into());
        body.insert("continue_final_message".into(), true.into());
    }
    if !tools.is_empty() {
        body.insert("tools".into(), tools.into());
        body.insert("tool_choice".into(), "auto".into());
    }
    let framing = streaming(spec, &mut body);
    Ok(Wire { path: preset::api_path(spec, "/chat/completions"), headers: Vec::new(), body, framing })
}

/// Messages, tools and settings of a request that asks for text.
pub(super) fn conversation(request: &Request) -> Result<(Vec<Value>, &[Value], &Generation), Failure> {
    match request {
        Request::Chat { messages, tools, generation } => Ok((messages.iter().map(message).collect(), tools, generation)),
        Request::Generate { prompt, generation } => Ok((vec![json!({"role": "user", "content": prompt})], &[], generation)),
        Request::Choice { .. } | Request::Perplexity { .. } => {
            Err(inexpressible("this dialect cannot tell the log-likelihood of a given text"))
        }
    }
}

/// One message.
fn message(message: &Message) -> Value {
    json!({"role": message.role, "content": message.content})
}

/// Every setting that can change what is sampled: defaults differ between servers, and a model's own file may set others. A list
/// of stop texts without any is left out, as OpenAI refuses it.
///
/// Gateways get what all services behind them take: `LiteLLM` fails a request for a setting that one of them lacks.
pub(super) fn sampling(spec: &ApiSpec, generation: &Generation, body: &mut Map<String, Value>) {
    body.insert("temperature".into(), generation.temperature.into());
    body.insert("top_p".into(), generation.top_p.into());
    let most = if matches!(spec.preset, Preset::Openai | Preset::Azure) { STOPS } else { usize::MAX };
    let stop: Vec<&str> = generation.stop.iter().map(String::as_str).take(most).collect();
    if !stop.is_empty() {
        body.insert("stop".into(), stop.into());
    }
    if preset::of(spec.preset).seed {
        body.insert("seed".into(), seed(generation).into());
    }
    if spec.preset != Preset::Litellm {
        body.insert("presence_penalty".into(), 0.0.into());
        body.insert("frequency_penalty".into(), 0.0.into());
    }
    let further = match spec.preset {
        Preset::Vllm => json!({"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}),
        Preset::LlamaServer => json!({
            "top_k": 0, "min_p": 0.0, "typical_p": 1.0, "top_n_sigma": -1.0, "repeat_penalty": 1.0, "dry_multiplier": 0.0,
            "xtc_probability": 0.0, "dynatemp_range": 0.0, "mirostat": 0,
        }),
        _ => Value::Null,
    };
    if let Value::Object(further) = further {
        body.extend(further);
    }
}

/// Says whether the answer is to be streamed, and how it then comes.
pub(super) fn streaming(spec: &ApiSpec, body: &mut Map<String, Value>) -> Framing {
    body.insert("stream".into(), spec.stream.into());
    if !spec.stream {
        return Framing::Whole;
    }
    body.insert("stream_options".into(), json!({"include_usage": true}));
    Framing::Sse
}

/// An answer that came as one document.
pub(super) fn whole(body: &Value, draft: &mut Draft) -> Result<(), Failure> {
    if let Some(failure) = in_band(body) {
        return Err(failure);
    }
    told(body, draft);
    let choices = body.get("choices").and_then(Value::as_array).ok_or_else(|| malformed("it has no `choices`"))?;
    let choice = choices.first().ok_or_else(|| malformed("its `choices` are empty"))?;
    read(choice, draft)
}

/// One event of an answer that is streamed. The usage comes after the end, in an event without choices.
pub(super) fn piece(frame: &Frame<'_>, draft: &mut Draft) -> Result<Flow, Failure> {
    let data = frame.data.trim_ascii();
    if data == b"[DONE]" {
        return Ok(Flow::Done);
    }
    let body: Value = serde_json::from_slice(data).map_err(|error| malformed(format!("an event is no JSON: {error}")))?;
    if let Some(failure) = in_band(&body) {
        return Err(failure);
    }
    told(&body, draft);
    if let Some(choice) = body.get("choices").and_then(|choices| choices.get(0)) {
        read(choice, draft)?;
    }
    Ok(Flow::More)
}

/// What is told beside the text: model, fingerprint and usage, wherever they stand.
fn told(body: &Value, draft: &mut Draft) {
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    if let Some(model) = text("model") {
        draft.served.model = Some(model);
    }
    if let Some(fingerprint) = text("system_fingerprint") {
        draft.served.fingerprint = Some(fingerprint);
    }
    if let Some(usage) = body.get("usage").and_then(usage) {
        draft.served.usage = Some(usage);
    }
}

/// What a service counted; cached tokens stand in one of three places.
pub(super) fn usage(usage: &Value) -> Option<Usage> {
    let count = |at: &str| usage.pointer(at).and_then(Value::as_u64);
    Some(Usage {
        prompt: count("/prompt_tokens")?,
        completion: count("/completion_tokens").unwrap_or(0),
        cached: count("/prompt_tokens_details/cached_tokens")
            .or_else(|| count("/prompt_cache_hit_tokens"))
            .or_else(|| count("/num_cached_tokens"))
            .unwrap_or(0),
    })
}

/// One choice: a `message`, a `delta`, or completions' `text`, and why it ended.
fn read(choice: &Value, draft: &mut Draft) -> Result<(), Failure> {
    let spoken = ["delta", "message"].iter().find_map(|key| choice.get(*key).filter(|value| value.is_object()));
    if let Some(message) = spoken {
        content(message.get("content"), draft)?;
        // What a model says when it declines is its answer, in a member of its own.
        content(message.get("refusal"), draft)?;
        tool_calls::read(message, draft)?;
    } else {
        content(choice.get("text"), draft)?;
    }
    match choice.get("finish_reason").filter(|reason| !reason.is_null()) {
        Some(reason) => ended(reason, choice.get("stop_reason"), draft),
        None => Ok(()),
    }
}

/// Text as a string, as chunks of which only those of text count, or none.
fn content(content: Option<&Value>, draft: &mut Draft) -> Result<(), Failure> {
    match content {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => draft.say(text),
        Some(Value::Array(chunks)) => {
            for chunk in chunks {
                let is_text = chunk.get("type").and_then(Value::as_str).is_none_or(|kind| kind == "text");
                if let Some(text) = chunk.get("text").and_then(Value::as_str).filter(|_| is_text) {
                    draft.say(text);
                }
            }
        }
        Some(other) => return Err(malformed(format!("its text is {other}"))),
    }
    Ok(())
}

/// Why it ended. `stop` is the model's end or a stop text: vLLM tells which, in `stop_reason`; with others it counts as the end.
fn ended(reason: &Value, stop: Option<&Value>, draft: &mut Draft) -> Result<(), Failure> {
    let reason = reason.as_str().unwrap_or_default();
    let finish = match reason {
        "stop" if stop.is_some_and(Value::is_string) => Finish::Stop,
        "stop_sequence" => Finish::Stop,
        "stop" | "tool_calls" | "function_call" | "eos" | "eos_token" | "end_turn" => Finish::End,
        "length" | "model_length" | "max_tokens" => Finish::Length,
        "content_filter" => {
            draft.filtered = true;
            Finish::End
        }
        "insufficient_system_resource" => {
            let what = "the service had too little room and cut the answer off";
            return Err(Failure::new(CauseKind::Limited, RetryClass::Busy, what));
        }
        "error" | "abort" | "cancelled" => {
            let what = format!("the service gave the answer up (finish reason {reason:?})");
            return Err(Failure::new(CauseKind::Transport, RetryClass::Transient, what));
        }
        other => {
            let what = format!("the answer ended for a reason that is not known: {other:?}");
            return Err(Failure::new(CauseKind::Malformed, RetryClass::No, what));
        }
    };
    draft.finish = Some(finish);
    Ok(())
}

#[cfg(test)]
#[path = "tests/openai_chat.rs"]
mod tests;
