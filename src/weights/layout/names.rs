//! Hugging Face's names of tensors in GGUF's words.

use super::super::Architecture;

/// The parts outside blocks: Hugging Face's name, GGUF's name.
const OUTSIDE: [(&str, &str); 3] = [
    ("model.embed_tokens.weight", "token_embd.weight"),
    ("model.norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
];

/// The parts of a block: Hugging Face's name, GGUF's name. Those that hold several matrices are split afterwards.
const BLOCK: [(&str, &str); 21] = [
    ("input_layernorm.weight", "attn_norm.weight"),
    ("self_attn.q_proj.weight", "attn_q.weight"),
    ("self_attn.k_proj.weight", "attn_k.weight"),
    ("self_attn.v_proj.weight", "attn_v.weight"),
    ("self_attn.q_proj.bias", "attn_q.bias"),
    ("self_attn.k_proj.bias", "attn_k.bias"),
    ("self_attn.v_proj.bias", "attn_v.bias"),
    ("self_attn.qkv_proj.weight", "attn_qkv.weight"),
    ("self_attn.q_norm.weight", "attn_q_norm.weight"),
    ("self_attn.k_norm.weight", "attn_k_norm.weight"),
    ("self_attn.o_proj.weight", "attn_output.weight"),
    ("mlp.gate_proj.weight", "ffn_gate.weight"),
    ("mlp.up_proj.weight", "ffn_up.weight"),
    ("mlp.gate_up_proj.weight", "ffn_gate_up.weight"),
    ("mlp.down_proj.weight", "ffn_down.weight"),
    ("block_sparse_moe.gate.weight", "ffn_gate_inp.weight"),
    ("mlp.gate.weight", "ffn_gate_inp.weight"),
    ("mlp.experts.gate_up_proj", "ffn_gate_up_exps.weight"),
    ("mlp.experts.down_proj", "ffn_down_exps.weight"),
    ("pre_feedforward_layernorm.weight", "ffn_norm.weight"),
    ("post_feedforward_layernorm.weight", "post_ffw_norm.weight"),
];

/// The matrices of an expert: Mixtral's name, GGUF's name.
const EXPERT: [(&str, &str); 3] = [("w1.weight", "ffn_gate"), ("w2.weight", "ffn_down"), ("w3.weight", "ffn_up")];

/// The GGUF name of a Hugging Face tensor; none for a name that no family has.
pub(in crate::weights) fn canonical_name(hugging_face: &str, architecture: Architecture) -> Option<String> {
    let find = |table: &[(&str, &'static str)], name: &str| {
        table.iter().find(|(known, _)| *known == name).map(|&(_, canonical)| canonical)
    };
    if let Some(name) = find(&OUTSIDE, hugging_face) {
        return Some(name.to_owned());
    }
    let (layer, part) = hugging_face.strip_prefix("model.layers.")?.split_once('.')?;
    let layer: usize = layer.parse().ok()?;
    if let Some(expert) = part.strip_prefix("block_sparse_moe.experts.") {
        let (expert, matrix) = expert.split_once('.')?;
        let (expert, matrix) = (expert.parse::<usize>().ok()?, find(&EXPERT, matrix)?);
        return Some(format!("blk.{layer}.{matrix}.{expert}.weight"));
    }
    let part = match (part, architecture) {
        // The norm before the feed-forward part, but Gemma's behind attention.
        ("post_attention_layernorm.weight", Architecture::Gemma2) => "post_attention_norm.weight",
        ("post_attention_layernorm.weight", _) => "ffn_norm.weight",
        _ => find(&BLOCK, part)?,
    };
    Some(format!("blk.{layer}.{part}"))
}
