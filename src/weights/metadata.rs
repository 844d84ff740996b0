//! The shape of a model as GGUF metadata, by llama.cpp's keys.

#![expect(clippy::float_cmp, reason = "files say exactly that nothing is stretched or scaled")]

use super::config::{customary, customary_scale};
use super::describe::Metadata;
use super::gguf::{Array, Value};
use super::{Architecture, Config, RopeScaling};

/// Everything that [`Config::from_header`] reads, in llama.cpp's keys: what its converter writes for the family, and beyond that
/// windows and a scale of attention where a model has them and llama.cpp doesn't know them.
pub(super) fn shape(config: &Config) -> Metadata {
    let mut metadata = Metadata::new();
    let name = |key: &str| format!("{}.{key}", config.architecture);
    // Counts were checked to be below 2^31 when the configuration was read.
    let count = |key: &str, count: usize| (name(key), Value::U32(count as u32));
    let context = match config.rope.scaling {
        RopeScaling::Long { context, .. } => context,
        _ => config.context,
    };
    metadata.extend([
        count("vocab_size", config.vocabulary),
        count("context_length", context),
        count("embedding_length", config.width),
        count("block_count", config.layers),
        count("feed_forward_length", config.feed_forward),
        count("rope.dimension_count", config.rope.size),
        count("attention.head_count", config.heads),
        count("attention.head_count_kv", config.kv_heads),
        count("attention.key_length", config.head_size),
        count("attention.value_length", config.head_size),
        (name("attention.layer_norm_rms_epsilon"), Value::F32(config.norm_epsilon)),
        (name("rope.freq_base"), Value::F32(config.rope.base)),
    ]);
    metadata.extend(
        config
            .experts
            .iter()
            .flat_map(|experts| [count("expert_count", experts.count), count("expert_used_count", experts.used)]),
    );
    metadata.extend(scaling(config).into_iter().map(|(key, value)| (name(key), value)));
    metadata.extend(windows(config).into_iter().map(|(key, value)| (name(key), value)));
    if config.architecture == Architecture::Gemma2 {
        let caps = [("attn_logit_softcapping", config.attention_cap), ("final_logit_softcapping", config.logit_cap)];
        metadata.extend(caps.map(|(key, cap)| (name(key), Value::F32(cap.unwrap_or(0.0)))));
    }
    if config.attention_scale != customary_scale(config) {
        metadata.push((name("attention.scale"), Value::F32(config.attention_scale)));
    }
    metadata
}

fn scaling(config: &Config) -> Vec<(&'static str, Value)> {
    let text = |text: &str| ("rope.scaling.type", Value::Text(text.to_owned()));
    let original = |original: usize| ("rope.scaling.original_context_length", Value::U32(original as u32));
    match config.rope.scaling {
        RopeScaling::None | RopeScaling::Factors(_) | RopeScaling::Llama3 { .. } => {
            // Without a first training of its own, the context of Phi's is its whole.
            (config.architecture == Architecture::Phi3).then(|| original(config.context)).into_iter().collect()
        }
        RopeScaling::Linear { factor } => vec![text("linear"), ("rope.scaling.factor", Value::F32(factor))],
        RopeScaling::Yarn { factor, original: first, beta_fast, beta_slow } => {
            let mut keys = vec![text("yarn"), ("rope.scaling.factor", Value::F32(factor)), original(first)];
            if beta_fast != 32.0 {
                keys.push(("rope.scaling.yarn_beta_fast", Value::F32(beta_fast)));
            }
            if beta_slow != 1.0 {
                keys.push(("rope.scaling.yarn_beta_slow", Value::F32(beta_slow)));
            }
            // llama.cpp infers this much itself, and multiplies.
            let inferred = 0.1 * factor.ln() + 1.0;
            if config.rope.magnitude != inferred {
                keys.push(("rope.scaling.attn_factor", Value::F32(config.rope.magnitude / inferred)));
            }
            keys
        }
        RopeScaling::Long { original: first, .. } => {
            vec![original(first), ("rope.scaling.attn_factor", Value::F32(config.rope.magnitude))]
        }
    }
}

fn windows(config: &Config) -> Vec<(&'static str, Value)> {
    let key = "attention.sliding_window";
    let Some(window) = config.windows.iter().copied().flatten().next() else {
        // Zero tells the later Phi, which has none, from the first.
        let zero = [Architecture::Gemma2, Architecture::Phi3].contains(&config.architecture);
        return zero.then_some((key, Value::U32(0))).into_iter().collect();
    };
    let mut keys = vec![(key, Value::U32(window as u32))];
    let customary = |layer: usize| customary(config.architecture, layer);
    if config.windows.iter().enumerate().any(|(layer, window)| window.is_some() != customary(layer)) {
        let flags: Vec<i32> = config.windows.iter().map(|window| i32::from(window.is_some())).collect();
        keys.push(("attention.sliding_window_pattern", Value::Array(Array::of_integers(&flags))));
    }
    keys
}
