//! The tensors that a GGUF file of a model has, in llama.cpp's own form, and what each is made of.

use super::super::{Architecture, Config, RopeScaling};
use super::check::{block_parts, expert_name, of_experts, part_shape};

/// A tensor of a GGUF file to be written.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::weights) struct Written {
    /// Its name, as llama.cpp has it.
    pub(in crate::weights) name: String,
    /// Its shape, rows before columns; experts before both.
    pub(in crate::weights) shape: Vec<usize>,
    /// The tensors of the model whose rows follow each other in it, each named as [`crate::weights::Checkpoint`] names it.
    pub(in crate::weights) parts: Vec<String>,
    /// Numbers that are no tensor of the model but follow from its configuration: the divisors of rotary frequencies.
    /// Empty where there are `parts`.
    pub(in crate::weights) values: Vec<f32>,
}

impl Written {
    fn whole(name: String, shape: Vec<usize>) -> Self {
        Self { parts: vec![name.clone()], name, shape, values: Vec::new() }
    }

    fn divisors(name: &str, values: Vec<f32>) -> Self {
        Self { name: name.to_owned(), shape: vec![values.len()], parts: Vec::new(), values }
    }
}

/// Every tensor of the GGUF file of a model of this configuration, in the customary order.
pub(in crate::weights) fn written(config: &Config) -> Vec<Written> {
    let table = |name: &str| Written::whole(name.to_owned(), vec![config.vocabulary, config.width]);
    let mut tensors = vec![table("token_embd.weight")];
    tensors.extend(divisors(config));
    for layer in 0..config.layers {
        for part in block_parts(config) {
            tensors.extend(block(config, layer, part));
        }
    }
    tensors.push(Written::whole("output_norm.weight".to_owned(), vec![config.width]));
    if !config.tied {
        tensors.push(table("output.weight"));
    }
    tensors
}

/// The tensor that a block's part begins; none where an earlier part has taken it in.
fn block(config: &Config, layer: usize, part: &str) -> Option<Written> {
    let name = |part: &str| format!("blk.{layer}.{part}");
    if let Some(experts) = config.experts.filter(|_| of_experts(config, part)) {
        let stem = part.strip_suffix(".weight").unwrap_or(part);
        let mut shape = vec![experts.count];
        shape.extend(part_shape(config, part));
        let parts = (0..experts.count).map(|expert| expert_name(layer, part, expert)).collect();
        return Some(Written { name: name(&format!("{stem}_exps.weight")), shape, parts, values: Vec::new() });
    }
    let fused = |goal: &str, parts: &[&str]| {
        let rows = parts.iter().map(|part| part_shape(config, part)[0]).sum();
        let parts = parts.iter().map(|part| name(part)).collect();
        Some(Written { name: name(goal), shape: vec![rows, config.width], parts, values: Vec::new() })
    };
    match (config.architecture, part) {
        (Architecture::Phi3, "attn_q.weight") => fused("attn_qkv.weight", &["attn_q.weight", "attn_k.weight", "attn_v.weight"]),
        (Architecture::Phi3, "ffn_gate.weight") => fused("ffn_up.weight", &["ffn_gate.weight", "ffn_up.weight"]),
        (Architecture::Phi3, "attn_k.weight" | "attn_v.weight" | "ffn_up.weight") => None,
        _ => Some(Written::whole(name(part), part_shape(config, part))),
    }
}

/// The divisors of rotary frequencies that llama.cpp wants as tensors.
fn divisors(config: &Config) -> Vec<Written> {
    match &config.rope.scaling {
        RopeScaling::Factors(factors) => vec![Written::divisors("rope_freqs.weight", factors.clone())],
        RopeScaling::Llama3 { .. } => vec![Written::divisors("rope_freqs.weight", config.rope.divisors())],
        RopeScaling::Long { short, long, .. } => vec![
            Written::divisors("rope_factors_long.weight", long.clone()),
            Written::divisors("rope_factors_short.weight", short.clone()),
        ],
        _ => Vec::new(),
    }
}
