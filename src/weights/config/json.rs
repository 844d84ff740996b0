//! The shape of a model from a Hugging Face config.json, in the spellings of old and new writers.

use std::path::Path;

use serde_json::Value as Json;

use super::super::WeightsError;
use super::super::shape::{Architecture, Experts};
use super::keys::{EXPERTS, HEAD, JsonKeys, LAYERS, architecture};
use super::{Config, customary};

/// Hugging Face's own division of the families.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Llama,
    Mistral,
    Mixtral,
    Qwen2,
    Qwen3,
    Gemma2,
    Phi3,
}

impl Kind {
    fn of(path: &Path, json: &Json) -> Result<Self, WeightsError> {
        match json.get("model_type").and_then(Json::as_str) {
            Some("llama") => Ok(Self::Llama),
            Some("mistral") => Ok(Self::Mistral),
            Some("mixtral") => Ok(Self::Mixtral),
            Some("qwen2") => Ok(Self::Qwen2),
            Some("qwen3") => Ok(Self::Qwen3),
            Some("gemma2") => Ok(Self::Gemma2),
            Some("phi3") => Ok(Self::Phi3),
            Some(other) => Err(architecture(path, other)),
            None => Err(WeightsError::key(path, "model_type", "is missing")),
        }
    }

    fn architecture(self) -> Architecture {
        match self {
            Self::Llama | Self::Mistral | Self::Mixtral => Architecture::Llama,
            Self::Qwen2 => Architecture::Qwen2,
            Self::Qwen3 => Architecture::Qwen3,
            Self::Gemma2 => Architecture::Gemma2,
            Self::Phi3 => Architecture::Phi3,
        }
    }

    /// The rotary base of a file that says none.
    pub(super) fn base(self) -> f64 {
        if self == Self::Mixtral { 1e6 } else { 1e4 }
    }

    /// The norm epsilon of a file that says none.
    fn epsilon(self) -> f64 {
        if matches!(self, Self::Mixtral | Self::Phi3) { 1e-5 } else { 1e-6 }
    }

    /// The head size of a file that says none.
    fn head_size(self, width: usize, heads: usize) -> usize {
        match self {
            Self::Gemma2 => 256,
            Self::Qwen3 => 128,
            _ => width / heads,
        }
    }

    /// The window of a file that has no key for it; null is another matter and says that there is none.
    fn window(self) -> Option<f64> {
        matches!(self, Self::Mistral | Self::Qwen2 | Self::Qwen3 | Self::Gemma2).then_some(4096.0)
    }
}

impl Config {
    /// Reads a Hugging Face config.json; `path` is for messages.
    ///
    /// What a file leaves out is what transformers takes for that family. Phi's long rotary embedding is run with the
    /// factors for short texts, so `context` is then at most that of its first training.
    pub(in crate::weights) fn from_json(path: &Path, json: &Json) -> Result<Self, WeightsError> {
        let keys = JsonKeys { path, json };
        let kind = Kind::of(path, json)?;
        refuse(&keys, kind)?;
        let (heads, width) = (keys.count("num_attention_heads")?, keys.count("hidden_size")?);
        let default = kind.head_size(width, heads);
        let head_size = if keys.find("head_dim").is_some() { keys.count_to("head_dim", HEAD)? } else { default.min(HEAD) };
        let layers = keys.count_to("num_hidden_layers", LAYERS)?;
        let (rope, context) = super::rope::from_json(&keys, kind, head_size)?;
        let gemma = kind == Kind::Gemma2;
        let cap = |key: &str, default| {
            let cap = if gemma { keys.nullable(key, Some(default))? } else { None };
            Ok::<_, WeightsError>(cap.map(|cap| cap as f32))
        };
        let family = Self::family(kind.architecture(), width, head_size);
        let scalar = if gemma { keys.real("query_pre_attn_scalar")?.or(Some(256.0)) } else { None };
        let config = Self {
            layers,
            feed_forward: keys.count("intermediate_size")?,
            heads,
            kv_heads: keys.count_or("num_key_value_heads", heads)?,
            vocabulary: keys.count("vocab_size")?,
            context,
            rope,
            norm_epsilon: keys.real("rms_norm_eps")?.unwrap_or(kind.epsilon()) as f32,
            tied: keys.flag_or("tie_word_embeddings", gemma)?,
            attention_scale: scalar.map_or(family.attention_scale, |scalar| scalar.powf(-0.5) as f32),
            attention_cap: cap("attn_logit_softcapping", 50.0)?,
            logit_cap: cap("final_logit_softcapping", 30.0)?,
            windows: windows(&keys, kind, layers)?,
            experts: if kind == Kind::Mixtral { Some(experts(&keys)?) } else { None },
            ..family
        };
        config.check(path)
    }
}

fn experts(keys: &JsonKeys<'_>) -> Result<Experts, WeightsError> {
    Ok(Experts { count: keys.count_to("num_local_experts", EXPERTS)?, used: keys.count_to("num_experts_per_tok", EXPERTS)? })
}

/// Each layer's window.
fn windows(keys: &JsonKeys<'_>, kind: Kind, layers: usize) -> Result<Vec<Option<usize>>, WeightsError> {
    if kind == Kind::Llama {
        return Ok(Vec::new());
    }
    let qwen = matches!(kind, Kind::Qwen2 | Kind::Qwen3);
    let off = qwen && !keys.flag_or("use_sliding_window", false)?;
    let asked = if off { None } else { keys.nullable("sliding_window", kind.window())? };
    let window = match asked {
        None => None,
        Some(_) if keys.find("sliding_window").is_some() => Some(keys.count("sliding_window")?),
        Some(default) => Some(default as usize),
    };
    let first = if qwen { keys.find("max_window_layers").and_then(Json::as_u64).unwrap_or(28) as usize } else { 0 };
    let customary = |layer| customary(kind.architecture(), layer) && layer >= first;
    let Some(types) = keys.find("layer_types") else {
        return Ok((0..layers).map(|layer| window.filter(|_| customary(layer))).collect());
    };
    let types = types.as_array().filter(|types| types.len() == layers);
    let types = types.ok_or_else(|| WeightsError::key(keys.path, "layer_types", format!("must be a list of {layers} names")))?;
    let named = |(layer, name): (usize, &Json)| match name.as_str() {
        Some("sliding_attention") if window.is_some() => Ok(window),
        // These two know layers of one type only, and ignore the key.
        Some("full_attention") if matches!(kind, Kind::Gemma2 | Kind::Qwen2 | Kind::Qwen3) || window.is_none() => Ok(None),
        _ => Err(keys.refuse(format!("`layer_types` with {name} for layer {layer}"))),
    };
    types.iter().enumerate().map(named).collect()
}

/// Refuses by name what a file asks for and isn't built.
fn refuse(keys: &JsonKeys<'_>, kind: Kind) -> Result<(), WeightsError> {
    let mut unknown = vec!["attention_bias", "mlp_bias", "quantization_config", "use_bidirectional_attention"];
    if kind == Kind::Llama {
        unknown.push("sliding_window");
    }
    for key in unknown {
        if let Some(value) = keys.set(key) {
            return Err(keys.refuse(format!("`{key}` = {value}")));
        }
    }
    let (key, built) = match kind {
        Kind::Gemma2 => ("hidden_activation", "gelu_pytorch_tanh"),
        _ => ("hidden_act", "silu"),
    };
    match keys.set(key) {
        Some(activation) if activation.as_str() != Some(built) => Err(keys.refuse(format!("`{key}` = {activation}"))),
        _ => Ok(()),
    }
}
