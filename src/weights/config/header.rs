//! The shape of a model from GGUF metadata.

use std::path::Path;

use super::super::WeightsError;
use super::super::gguf::{Header, Value};
use super::super::shape::{Architecture, Experts};
use super::keys::{EXPERTS, HEAD, HeaderKeys, LAYERS, architecture};
use super::{Config, customary, customary_scale};

/// Keys of an architecture that change its arithmetic in ways that aren't built, save with a value that changes nothing.
const UNBUILT: [&str; 19] = [
    "attention.causal",
    "attention.clamp_kqv",
    "attention.key_length_swa",
    "attention.max_alibi_bias",
    "attention.temperature_scale",
    "attention.value_length_swa",
    "embedding_scale",
    "expert_gating_func",
    "expert_group_count",
    "expert_shared_count",
    "expert_shared_feed_forward_length",
    "expert_weights_scale",
    "leading_dense_block_count",
    "logit_scale",
    "residual_scale",
    "rope.dimension_count_swa",
    "rope.dimension_sections",
    "rope.freq_base_swa",
    "use_parallel_residual",
];

impl Config {
    /// Reads GGUF metadata; `file` is the whole file, of which tensors of rotary divisors are read, `path` is for messages.
    ///
    /// A window that the file gives is kept to, though llama.cpp itself knows windows of Gemma only.
    pub(in crate::weights) fn from_header(path: &Path, header: &Header, file: &[u8]) -> Result<Self, WeightsError> {
        let Some(name) = header.get("general.architecture").and_then(Value::text) else {
            return Err(WeightsError::key(path, "general.architecture", "is missing"));
        };
        let family = Architecture::ALL.into_iter().find(|family| family.name() == name);
        let family = family.ok_or_else(|| architecture(path, name))?;
        let keys = HeaderKeys { path, header, prefix: name };
        refuse(&keys)?;
        let (heads, width) = (keys.count("attention.head_count")?, keys.count("embedding_length")?);
        let head_size = match keys.find("attention.key_length") {
            Some(_) => keys.count_to("attention.key_length", HEAD)?,
            None => (width / heads).min(HEAD),
        };
        keys.same("attention.value_length", head_size)?;
        let context = keys.count("context_length")?;
        let (rope, context) = super::rope::from_header(&keys, (family, file), (head_size, context))?;
        let embedding = header.tensors.iter().find(|tensor| tensor.name == "token_embd.weight");
        let experts = keys.optional("expert_count", EXPERTS)?;
        let experts = experts.map(|count| Ok(Experts { count, used: keys.count_to("expert_used_count", EXPERTS)? }));
        let config = Self {
            layers: keys.count_to("block_count", LAYERS)?,
            feed_forward: keys.count("feed_forward_length")?,
            heads,
            kv_heads: keys.count_or("attention.head_count_kv", heads)?,
            vocabulary: match embedding {
                Some(tensor) => tensor.shape[0],
                None => keys.count("vocab_size")?,
            },
            context,
            rope,
            norm_epsilon: keys
                .real("attention.layer_norm_rms_epsilon")?
                .ok_or_else(|| WeightsError::key(path, keys.name("attention.layer_norm_rms_epsilon"), "is missing"))?,
            tied: !header.tensors.iter().any(|tensor| tensor.name == "output.weight"),
            attention_cap: cap(&keys, family, ("attn_logit_softcapping", 50.0))?,
            logit_cap: cap(&keys, family, ("final_logit_softcapping", 30.0))?,
            experts: experts.transpose()?,
            ..Self::family(family, width, head_size)
        };
        let scale = keys.real("attention.scale")?.filter(|scale| *scale != 0.0);
        let attention_scale = scale.unwrap_or_else(|| customary_scale(&config));
        let windows = windows(&keys, family, config.layers)?;
        Self { attention_scale, windows, ..config }.check(path)
    }
}

/// Gemma's caps, of which zero says that there is none.
fn cap(keys: &HeaderKeys<'_>, family: Architecture, (key, default): (&str, f32)) -> Result<Option<f32>, WeightsError> {
    if family != Architecture::Gemma2 {
        return Ok(None);
    }
    Ok(Some(keys.real(key)?.unwrap_or(default)).filter(|cap| *cap != 0.0))
}

/// Each layer's window, by llama.cpp's two spellings of the pattern or by the family's custom.
fn windows(keys: &HeaderKeys<'_>, family: Architecture, layers: usize) -> Result<Vec<Option<usize>>, WeightsError> {
    let default = (family == Architecture::Gemma2).then_some(4096);
    let window = match keys.find("attention.sliding_window") {
        None => default,
        Some(_) => keys.optional("attention.sliding_window", usize::MAX >> 1)?,
    };
    let key = "attention.sliding_window_pattern";
    let within: Box<dyn Fn(usize) -> bool> = match keys.find(key) {
        None => Box::new(|layer| customary(family, layer)),
        Some(Value::Array(array)) => {
            let flags = array.integers().filter(|flags| flags.len() == layers);
            let flags = flags.ok_or_else(|| WeightsError::key(keys.path, keys.name(key), "must have one flag per layer"))?;
            Box::new(move |layer| flags[layer] != 0)
        }
        Some(_) => {
            let period = keys.count(key)?;
            Box::new(move |layer| layer % period < period - 1)
        }
    };
    Ok((0..layers).map(|layer| window.filter(|_| within(layer))).collect())
}

/// Refuses by name what a file asks for and isn't built.
fn refuse(keys: &HeaderKeys<'_>) -> Result<(), WeightsError> {
    let number = |value: &Value| value.real().or_else(|| value.integer().map(|integer| integer as f64));
    if keys.header.get("split.count").and_then(number).is_some_and(|parts| parts > 1.0) {
        let hint = "join the parts first: llama-gguf-split --merge";
        return Err(WeightsError::unsupported(keys.path, "a model in several GGUF files", hint));
    }
    for key in UNBUILT {
        let Some(value) = keys.find(key) else { continue };
        let harmless = match key {
            "attention.causal" => *value == Value::Bool(true),
            "use_parallel_residual" => *value == Value::Bool(false),
            // A softmax.
            "expert_gating_func" => matches!(number(value), Some(0.0 | 1.0)),
            "embedding_scale" | "expert_weights_scale" | "logit_scale" | "residual_scale" => {
                matches!(number(value), Some(0.0 | 1.0))
            }
            _ => number(value) == Some(0.0),
        };
        if !harmless {
            return Err(keys.refuse(format!("`{}` = {value:?}", keys.name(key))));
        }
    }
    Ok(())
}
