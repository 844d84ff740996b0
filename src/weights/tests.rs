//! Tests over a tiny random model that they write themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::json;
use tempfile::TempDir;

use super::layout::expected;
use super::{Checkpoint, Config, RopeOrder};

/// The repository's own tokenizer and configuration, without its weights.
pub(super) fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo").join(name)
}

/// Pseudo-random values in −1..1 with a few larger ones, the same for the same seed.
pub(super) fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|index| if index % 97 == 0 { 3.0 * next() } else { next() }).collect()
}

pub(super) fn tiny_config() -> serde_json::Value {
    json!({
        "model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 1024, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "tie_word_embeddings": true, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2
    })
}

/// Writes a Hugging Face folder with random weights for a configuration.
pub(super) fn folder_with(json: &serde_json::Value, dtype: DType) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("config.json"), json.to_string()).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
        std::fs::copy(demo(name), at(name)).unwrap();
    }
    let config = Config::from_json(&at("config.json"), json).unwrap();
    let tensor = |(index, (name, shape)): (usize, (String, Vec<usize>))| {
        let values = noise(shape.iter().product(), index as u64 + 1);
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
        (hugging_face_name(&name), tensor)
    };
    let tensors: std::collections::HashMap<_, _> = expected(&config).into_iter().enumerate().map(tensor).collect();
    candle_core::safetensors::save(&tensors, at("model.safetensors")).unwrap();
    folder
}

pub(super) fn tiny(dtype: DType) -> TempDir {
    folder_with(&tiny_config(), dtype)
}

fn hugging_face_name(gguf: &str) -> String {
    let parts = BTreeMap::from([
        ("attn_norm", "input_layernorm"),
        ("attn_q", "self_attn.q_proj"),
        ("attn_k", "self_attn.k_proj"),
        ("attn_v", "self_attn.v_proj"),
        ("attn_output", "self_attn.o_proj"),
        ("ffn_norm", "post_attention_layernorm"),
        ("ffn_gate", "mlp.gate_proj"),
        ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
    ]);
    match gguf.split('.').collect::<Vec<_>>()[..] {
        ["blk", layer, part, _] => format!("model.layers.{layer}.{}.weight", parts[part]),
        ["token_embd", _] => "model.embed_tokens.weight".to_owned(),
        ["output_norm", _] => "model.norm.weight".to_owned(),
        _ => "lm_head.weight".to_owned(),
    }
}

pub(super) fn values(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    checkpoint.tensor(name).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_hugging_face_folder_opens_with_its_shape_its_tokens_and_its_facts() {
    let folder = tiny(DType::BF16);
    let model = Checkpoint::open(folder.path(), None).unwrap();
    assert_eq!(model.config().rope, RopeOrder::Half);
    assert_eq!((model.config().layers, model.config().kv_heads, model.config().vocabulary), (2, 2, 1024));
    assert_eq!(model.special().bos, Some(1));
    assert_eq!(model.special().eos, [2, 7]);
    assert_eq!((model.special().bos_text.as_str(), model.special().add_bos), ("<s>", true));
    assert!(model.chat_template().unwrap().contains("<|assistant|>"));
    assert_eq!(model.facts().quantization, "bf16");
    assert!((model.facts().bits_per_weight - 16.0).abs() < 1e-12);
    assert_eq!(model.tensor("blk.1.attn_k.weight").unwrap().dims(), [128, 256]);
    assert!(!model.has("output.weight"));
    let file = Checkpoint::open(&folder.path().join("model.safetensors"), None).unwrap();
    assert_eq!(file.facts(), model.facts());
}
