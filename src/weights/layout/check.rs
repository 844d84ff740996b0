//! Which tensors a model of a configuration has, and whether it has them.

use std::path::Path;

use super::super::{Config, RopeScaling, WeightsError};
use super::Entries;

/// The parts of a block that this configuration has, in GGUF's customary order; experts not numbered yet.
pub(super) fn block_parts(config: &Config) -> Vec<&'static str> {
    let mut parts = vec!["attn_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight"];
    if config.qkv_bias {
        parts.extend(["attn_q.bias", "attn_k.bias", "attn_v.bias"]);
    }
    if config.head_norms {
        parts.extend(["attn_q_norm.weight", "attn_k_norm.weight"]);
    }
    parts.push("attn_output.weight");
    if config.post_norms {
        parts.push("post_attention_norm.weight");
    }
    parts.push("ffn_norm.weight");
    parts.extend(config.experts.map(|_| "ffn_gate_inp.weight"));
    parts.extend(["ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"]);
    if config.post_norms {
        parts.push("post_ffw_norm.weight");
    }
    parts
}

/// Whether each expert has its own of a block's part.
pub(super) fn of_experts(config: &Config, part: &str) -> bool {
    config.experts.is_some() && ["ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"].contains(&part)
}

/// The name of an expert's part.
pub(super) fn expert_name(layer: usize, part: &str, expert: usize) -> String {
    let stem = part.strip_suffix(".weight").unwrap_or(part);
    format!("blk.{layer}.{stem}.{expert}.weight")
}

/// The shape of a part of a block.
pub(super) fn part_shape(config: &Config, part: &str) -> Vec<usize> {
    let (queries, keys) = (config.heads * config.head_size, config.kv_heads * config.head_size);
    match part {
        "attn_q.weight" => vec![queries, config.width],
        "attn_k.weight" | "attn_v.weight" => vec![keys, config.width],
        "attn_q.bias" => vec![queries],
        "attn_k.bias" | "attn_v.bias" => vec![keys],
        "attn_q_norm.weight" | "attn_k_norm.weight" => vec![config.head_size],
        "attn_output.weight" => vec![config.width, queries],
        "ffn_gate_inp.weight" => vec![config.experts.map_or(0, |experts| experts.count), config.width],
        "ffn_gate.weight" | "ffn_up.weight" => vec![config.feed_forward, config.width],
        "ffn_down.weight" => vec![config.width, config.feed_forward],
        _ => vec![config.width],
    }
}

/// Every tensor that a model of this configuration has, with its shape, one at a time: a file that lies about their number
/// costs nothing.
pub(in crate::weights) fn expected(config: &Config) -> impl Iterator<Item = (String, Vec<usize>)> {
    let table = || vec![config.vocabulary, config.width];
    let parts = block_parts(config);
    let blocks = (0..config.layers).flat_map(move |layer| {
        parts.clone().into_iter().flat_map(move |part| {
            let numbered = of_experts(config, part);
            let count = if numbered { config.experts.map_or(0, |experts| experts.count) } else { 1 };
            (0..count).map(move |expert| {
                let name = if numbered { expert_name(layer, part, expert) } else { format!("blk.{layer}.{part}") };
                (name, part_shape(config, part))
            })
        })
    });
    let norm = ("output_norm.weight".to_owned(), vec![config.width]);
    let head = (!config.tied).then(|| ("output.weight".to_owned(), table()));
    std::iter::once(("token_embd.weight".to_owned(), table())).chain(blocks).chain([norm]).chain(head)
}

/// The shape of the tensor with this name; none where a model of this configuration has no such tensor.
fn shape_of(config: &Config, name: &str) -> Option<Vec<usize>> {
    match (name, &config.rope.scaling) {
        ("token_embd.weight", _) => return Some(vec![config.vocabulary, config.width]),
        ("output.weight", _) => return (!config.tied).then(|| vec![config.vocabulary, config.width]),
        ("output_norm.weight", _) => return Some(vec![config.width]),
        ("rope_freqs.weight", RopeScaling::Factors(_))
        | ("rope_factors_long.weight" | "rope_factors_short.weight", RopeScaling::Long { .. }) => {
            return Some(vec![config.rope.size / 2]);
        }
        _ => {}
    }
    let (layer, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let number = |text: &str, below: usize| text.parse().is_ok_and(|number: usize| number < below && number.to_string() == text);
    if !number(layer, config.layers) {
        return None;
    }
    let known = |part: &str| block_parts(config).into_iter().find(|known| *known == part);
    if let Some((stem, expert)) = part.strip_suffix(".weight").and_then(|stem| stem.split_once('.')) {
        let part = known(&format!("{stem}.weight")).filter(|part| of_experts(config, part))?;
        let count = config.experts.map_or(0, |experts| experts.count);
        return number(expert, count).then(|| part_shape(config, part));
    }
    known(part).filter(|part| !of_experts(config, part)).map(|part| part_shape(config, part))
}

/// Checks that the model has exactly the tensors of its configuration, each of its shape.
pub(in crate::weights) fn check(path: &Path, config: &Config, entries: &Entries) -> Result<(), WeightsError> {
    if config.layers > entries.len() {
        let problem = format!("says {} blocks, but the file has {} tensors", config.layers, entries.len());
        return Err(WeightsError::key(path, "block count", problem));
    }
    if let Some((name, _)) = expected(config).find(|(name, _)| !entries.contains_key(name)) {
        return Err(WeightsError::MissingTensor { path: path.to_owned(), tensor: name });
    }
    for (name, entry) in entries {
        let Some(shape) = shape_of(config, name) else {
            let hint = format!("a {} model of this configuration has no such tensor", config.architecture);
            return Err(WeightsError::unsupported(path, format!("tensor `{name}`"), hint));
        };
        if entry.shape != shape {
            let found = entry.shape.clone();
            return Err(WeightsError::Shape { path: path.to_owned(), tensor: name.clone(), found, expected: shape });
        }
    }
    Ok(())
}
