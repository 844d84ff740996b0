//! Engines by their words: which are known, and what somebody may have meant.

use crate::domain::Preset;
use crate::engine::api::preset;
use crate::suite::nearest;

/// Words for other programs' engines, with what they are called here.
const ALIASES: [(&str, &str); 14] = [
    ("llamacpp", "llama-server"),
    ("llama.cpp", "llama-server"),
    ("llama-cpp", "llama-server"),
    ("azure-openai", "azure"),
    ("aws", "bedrock"),
    ("claude", "anthropic"),
    ("google", "vertex"),
    ("gemini", "vertex"),
    ("mistralai", "mistral"),
    ("sglang", "openai-compatible"),
    ("tgi", "openai-compatible"),
    ("lmstudio", "openai-compatible"),
    ("openrouter", "openai-compatible"),
    ("groq", "openai-compatible"),
];

/// The preset that an engine's word means, where it means one.
pub(in super::super) fn called(word: &str) -> Option<Preset> {
    Preset::ALL.iter().find(|(known, _)| *known == word).map(|(_, preset)| *preset)
}

/// What to do about an engine that nobody knows.
pub(in super::super) fn engines_hint(word: &str) -> String {
    let presets = Preset::ALL.iter().map(|(known, _)| *known);
    let meant = ALIASES.iter().find(|(alias, _)| *alias == word).map(|(_, meant)| *meant);
    if let Some(near) = meant.or_else(|| nearest(word, ["local", "scripted"].into_iter().chain(presets.clone()))) {
        return format!("did you mean `{near}`?");
    }
    let presets: Vec<&str> = presets.collect();
    format!("engines are `local`, `scripted` (dry runs) and, over HTTP, {}", presets.join(", "))
}

/// The presets that take jobs.
pub(super) fn with_batch() -> Vec<&'static str> {
    Preset::ALL.iter().filter(|(_, preset)| preset::of(*preset).batch).map(|(word, _)| *word).collect()
}

/// The engines that tell how likely a given text is, in a plan's words.
pub(in super::super) fn could_score() -> String {
    ["local"].into_iter().chain(preset::could_score()).collect::<Vec<_>>().join(", ")
}
