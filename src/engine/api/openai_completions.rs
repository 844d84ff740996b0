//! OpenAI's completions: raw prompts, and log-probabilities of prompts where the server gives them.
//!
//! Conversations go to the same server's chat completions; its answers are read there too. What scores given texts is in `echo`.

use serde_json::Map;

use super::super::Failure;
use super::exchange::{Ask, Wire, inexpressible};
use super::{openai_chat, preset};
use crate::domain::{Preset, Request};

/// A prompt as it is; a conversation through the server's own template.
pub(super) fn encode(ask: &Ask<'_>) -> Result<Wire, Failure> {
    let spec = ask.spec;
    let Request::Generate { prompt, generation } = ask.request else {
        if !preset::chat(spec) {
            return Err(inexpressible(format!("{}'s completions take no conversations: use api = \"chat\"", spec.preset.word())));
        }
        return openai_chat::encode(ask);
    };
    let mut body = Map::new();
    body.insert("model".into(), spec.model.as_str().into());
    body.insert("prompt".into(), prompt.as_str().into());
    body.insert("max_tokens".into(), generation.max_tokens.into());
    openai_chat::sampling(spec, generation, &mut body);
    if spec.preset == Preset::Vllm {
        body.insert("add_special_tokens".into(), true.into());
    }
    let framing = openai_chat::streaming(spec, &mut body);
    Ok(Wire { path: preset::api_path(spec, "/completions"), headers: Vec::new(), body, framing })
}

#[cfg(test)]
#[path = "tests/openai_completions.rs"]
mod tests;
