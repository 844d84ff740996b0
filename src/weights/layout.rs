//! The tensors of a llama model: their GGUF names, their Hugging Face names and their shapes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::gguf::TensorType;
use super::{Config, WeightsError};

/// One stored tensor of an open model.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Which of the model's files holds it.
    pub(super) file: usize,
    /// Its bytes there.
    pub(super) bytes: Range<usize>,
    /// How it is stored.
    pub(super) kind: TensorType,
    /// Its shape, rows first.
    pub(super) shape: Vec<usize>,
}

/// A model's tensors by GGUF name.
pub(super) type Entries = BTreeMap<String, Entry>;

/// The parts of a block: GGUF's name, Hugging Face's name.
const BLOCK: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// The parts outside blocks: GGUF's name, Hugging Face's name.
const OUTSIDE: [(&str, &str); 3] = [
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output.weight", "lm_head.weight"),
];

/// The GGUF name of a Hugging Face tensor of a llama model; none for a name that such a model has not.
pub(super) fn gguf_name(hugging_face: &str) -> Option<String> {
    if let Some((name, _)) = OUTSIDE.iter().find(|(_, name)| *name == hugging_face) {
        return Some((*name).to_owned());
    }
    let (layer, part) = hugging_face.strip_prefix("model.layers.")?.split_once('.')?;
    let layer: usize = layer.parse().ok()?;
    let part = part.strip_suffix(".weight")?;
    let (name, _) = BLOCK.iter().find(|(_, name)| *name == part)?;
    Some(format!("blk.{layer}.{name}.weight"))
}

/// Every tensor that a model of this configuration has, with its shape, in GGUF's customary order.
pub(super) fn expected(config: &Config) -> Vec<(String, Vec<usize>)> {
    let mut tensors = vec![("token_embd.weight".to_owned(), vec![config.vocabulary, config.width])];
    for layer in 0..config.layers {
        tensors.extend(BLOCK.iter().map(|(part, _)| (format!("blk.{layer}.{part}.weight"), block_shape(config, part))));
    }
    tensors.push(("output_norm.weight".to_owned(), vec![config.width]));
    if !config.tied {
        tensors.push(("output.weight".to_owned(), vec![config.vocabulary, config.width]));
    }
    tensors
}

fn block_shape(config: &Config, part: &str) -> Vec<usize> {
    let queries = config.heads * config.head_size;
    match part {
        "attn_q" => vec![queries, config.width],
        "attn_k" | "attn_v" => vec![config.kv_heads * config.head_size, config.width],
        "attn_output" => vec![config.width, queries],
        "ffn_gate" | "ffn_up" => vec![config.feed_forward, config.width],
        "ffn_down" => vec![config.width, config.feed_forward],
        _ => vec![config.width],
    }
}

/// Checks that the model has exactly the tensors of its configuration, each of its shape.
pub(super) fn check(path: &Path, config: &Config, entries: &Entries) -> Result<(), WeightsError> {
    if config.layers > entries.len() {
        let problem = format!("says {} blocks, but the file has {} tensors", config.layers, entries.len());
        return Err(WeightsError::key(path, "block count", problem));
    }
    let expected = expected(config);
    for (name, shape) in &expected {
        let Some(entry) = entries.get(name) else {
            return Err(WeightsError::MissingTensor { path: path.to_owned(), tensor: name.clone() });
        };
        if entry.shape != *shape {
            let (found, expected) = (entry.shape.clone(), shape.clone());
            return Err(WeightsError::Shape { path: path.to_owned(), tensor: name.clone(), found, expected });
        }
    }
    if entries.len() > expected.len() {
        let stranger = entries.keys().find(|name| expected.iter().all(|(known, _)| known != *name));
        let name = stranger.map_or("", String::as_str);
        return Err(WeightsError::unsupported(path, format!("tensor `{name}`"), "plain llama models have no such tensor"));
    }
    Ok(())
}
