//! Models that must not open, and what is said about them.

use std::sync::OnceLock;

use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{complaint, demo, folder_with, quantized, tiny, tiny_config};
use crate::weights::gguf::{self, Array, TensorPlan, Value, Writer};
use crate::weights::layout::expected;
use crate::weights::{Checkpoint, WeightsError};

/// The complaint about a folder whose config.json has one key changed.
fn with_key(key: &str, value: Json) -> String {
    let folder = tiny(DType::BF16);
    let mut config = tiny_config();
    config[key] = value;
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    complaint(folder.path())
}

/// The complaint about a GGUF file whose metadata was changed; tensors are kept.
fn with_metadata(change: impl FnOnce(&mut Vec<(String, Value)>)) -> String {
    let folder = tiny(DType::BF16);
    let path = folder.path().join("m.gguf");
    quantized(&Checkpoint::open(folder.path(), None).unwrap(), "bf16", &path);
    let file = std::fs::read(&path).unwrap();
    let mut header = gguf::parse(&path, &file).unwrap();
    change(&mut header.metadata);
    let plan =
        |tensor: &gguf::TensorInfo| TensorPlan { name: tensor.name.clone(), shape: tensor.shape.clone(), kind: tensor.kind };
    let plans: Vec<_> = header.tensors.iter().map(plan).collect();
    let mut writer = Writer::create(&path, &header.metadata, &plans).unwrap();
    for tensor in &header.tensors {
        writer.tensor(&file[tensor.bytes.clone()]).unwrap();
    }
    writer.finish().unwrap();
    complaint(&path)
}

fn set(metadata: &mut Vec<(String, Value)>, key: &str, value: Value) {
    metadata.retain(|(name, _)| name != key);
    metadata.push((key.to_owned(), value));
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn other_architectures_are_refused_by_name() {
    assert!(with_key("model_type", json!("qwen3_moe")).contains("`qwen3_moe`"));
    assert!(with_metadata(|all| set(all, "general.architecture", text("gemma3"))).contains("`gemma3`"));
}

#[test]
fn rotary_scaling_of_an_unknown_kind_is_refused_and_never_ignored() {
    assert!(with_key("rope_scaling", json!({"type": "dynamic", "factor": 2.0})).contains("dynamic"));
    assert!(with_key("rope_scaling", json!({"type": "longrope", "factor": 2.0})).contains("longrope"));
    assert!(with_key("rope_scaling", json!({"factor": 2.0})).contains("rope_scaling"));
    assert!(with_key("rope_scaling", json!({"type": "linear", "factor": 0.5})).contains("0.5"));
    assert!(with_key("rope_scaling", json!({"rope_type": "yarn", "factor": 2.0, "truncate": false})).contains("truncate"));
    assert!(with_key("rope_parameters", json!({"rope_type": "llama3", "rope_theta": 5e5})).contains("factor"));
    let each = json!({"full_attention": {"rope_theta": 1e4}, "sliding_attention": {"rope_theta": 1e6}});
    assert!(with_key("rope_parameters", each).contains("differs between layers"));
    assert!(with_key("partial_rotary_factor", json!(0.5)).contains("partial_rotary_factor"));
    assert!(with_metadata(|all| set(all, "llama.rope.scaling.type", text("longrope"))).contains("longrope"));
    assert!(with_metadata(|all| set(all, "llama.rope.scaling.novel", Value::F32(4.0))).contains("rope.scaling.novel"));
    assert!(with_metadata(|all| set(all, "llama.rope.scaling.yarn_ext_factor", Value::F32(0.5))).contains("yarn_ext_factor"));
    assert!(with_metadata(|all| set(all, "llama.rope.scale_linear", Value::F32(0.25))).contains("0.25"));
    assert!(with_metadata(|all| set(all, "llama.rope.dimension_count", Value::U32(32))).contains("dimension_count"));
}

#[test]
fn what_the_decoder_does_not_do_is_refused_by_name() {
    let cases = [
        ("attention_bias", json!(true)),
        ("sliding_window", json!(4096)),
        ("hidden_act", json!("gelu")),
        ("quantization_config", json!({"quant_method": "gptq"})),
    ];
    for (key, value) in cases {
        assert!(with_key(key, value).contains(key), "{key}");
    }
    let keys = ["attention.clamp_kqv", "expert_shared_count", "logit_scale", "rope.dimension_sections", "attention.causal"];
    for key in keys {
        let name = format!("llama.{key}");
        assert!(with_metadata(|all| set(all, &name, Value::F32(8.0))).contains(&name), "{key}");
    }
    assert!(with_metadata(|all| set(all, "llama.expert_count", Value::U32(8))).contains("expert_used_count"));
    assert!(with_metadata(|all| set(all, "llama.expert_count", Value::U32(8_000_000))).contains("8000000"));
    assert!(with_metadata(|all| set(all, "split.count", Value::U16(3))).contains("several GGUF files"));
}

#[test]
fn a_configuration_that_cannot_be_is_refused() {
    assert!(with_key("num_attention_heads", json!(0)).contains("num_attention_heads"));
    assert!(with_key("hidden_size", json!("wide")).contains("hidden_size"));
    assert!(with_key("num_key_value_heads", json!(3)).contains("evenly"));
    assert!(with_key("num_hidden_layers", json!(1_000_000)).contains("1000000"));
    assert!(with_key("num_hidden_layers", json!(3)).contains("blk.2."));
    assert!(with_key("num_hidden_layers", json!(1)).contains("blk.1."));
    assert!(with_key("intermediate_size", json!(768)).contains("[256, 768]"));
    assert!(with_metadata(|all| all.retain(|(key, _)| key != "llama.block_count")).contains("llama.block_count"));
    assert!(with_metadata(|all| set(all, "llama.rope.freq_base", Value::F32(f32::NAN))).contains("rope base"));
}

#[test]
fn a_tensor_that_llama_does_not_have_is_named() {
    let folder = tiny(DType::F32);
    let path = folder.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let bias = Tensor::zeros(256, DType::F32, &Device::Cpu).unwrap();
    tensors.insert("model.layers.0.self_attn.q_proj.bias".to_owned(), bias);
    candle_core::safetensors::save(&tensors, &path).unwrap();
    assert!(complaint(folder.path()).contains("blk.0.attn_q.bias"));
}

#[test]
fn an_untied_model_needs_its_head() {
    let mut config = tiny_config();
    config["tie_word_embeddings"] = json!(false);
    let folder = folder_with(&config, DType::BF16);
    assert!(Checkpoint::open(folder.path(), None).unwrap().has("output.weight"));
    assert!(with_key("tie_word_embeddings", json!(false)).contains("`output.weight` is missing"));
}

#[test]
fn a_safetensors_file_that_is_cut_off_names_the_tensor_and_the_missing_bytes() {
    let folder = tiny(DType::BF16);
    let path = folder.path().join("model.safetensors");
    let file = std::fs::read(&path).unwrap();
    std::fs::write(&path, &file[..file.len() - 100]).unwrap();
    let message = complaint(folder.path());
    assert!(message.contains("tensor `") && message.contains("100 bytes are missing"), "{message}");
    std::fs::write(&path, &file[..50]).unwrap();
    assert!(complaint(folder.path()).contains("header"));
    std::fs::write(&path, b"").unwrap();
    assert!(complaint(folder.path()).contains("empty"));
}

#[test]
fn a_gguf_file_that_is_cut_off_names_itself() {
    let folder = tiny(DType::BF16);
    let path = folder.path().join("m.gguf");
    quantized(&Checkpoint::open(folder.path(), None).unwrap(), "q8_0", &path);
    let file = std::fs::read(&path).unwrap();
    std::fs::write(&path, &file[..file.len() / 2]).unwrap();
    let message = complaint(&path);
    assert!(message.contains("m.gguf") && message.contains("`blk."), "{message}");
}

#[test]
fn what_is_no_model_is_told_apart_from_what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    assert!(complaint(&folder.path().join("none.gguf")).starts_with("cannot read"));
    assert!(complaint(folder.path()).contains("is no model"));
    let note = folder.path().join("note.txt");
    std::fs::write(&note, "a note").unwrap();
    let error = Checkpoint::open(&note, None).err().unwrap();
    assert!(error.to_string().contains("note.txt") && error.hint().unwrap().contains("GGUF"), "{error}");
}

#[test]
fn a_vocabulary_that_cannot_be_rebuilt_is_refused_with_the_way_out() {
    let folder = tiny(DType::BF16);
    let hint = || WeightsError::tokenizer(folder.path(), "").hint().unwrap().to_owned();
    assert!(hint().contains("tokenizer.json"));
    assert!(with_metadata(|all| set(all, "tokenizer.ggml.model", text("t5"))).contains("`t5`"));
    assert!(with_metadata(|all| set(all, "tokenizer.ggml.model", text("llama"))).contains("0x00"), "bytes are missing");
    assert!(with_metadata(|all| set(all, "tokenizer.ggml.pre", text("viking"))).contains("`viking`"));
    assert!(with_metadata(|all| set(all, "tokenizer.ggml.bos_token_id", Value::U32(5000))).contains("bos_token_id"));
    let short = Value::Array(Array::of_integers(&[1, 2, 3]));
    assert!(with_metadata(|all| set(all, "tokenizer.ggml.token_type", short)).contains("3 token types"));
    let merges = Value::Array(Array::of_texts(["never nowhere"]));
    assert!(with_metadata(|all| set(all, "tokenizer.ggml.merges", merges)).contains("tokenizer is wrong"));
}

#[test]
fn the_tokenizer_of_another_model_is_refused() {
    let folder = tiny(DType::BF16);
    let path = folder.path().join("m.gguf");
    quantized(&Checkpoint::open(folder.path(), None).unwrap(), "q8_0", &path);
    assert!(Checkpoint::open(&path, Some(&demo("tokenizer.json"))).is_ok());
    let mut json: Json = serde_json::from_slice(&std::fs::read(demo("tokenizer.json")).unwrap()).unwrap();
    json["model"]["vocab"]["!"] = 9.into();
    json["model"]["vocab"]["\""] = 8.into();
    let other = folder.path().join("other.json");
    std::fs::write(&other, json.to_string()).unwrap();
    let message = Checkpoint::open(&path, Some(&other)).err().unwrap().to_string();
    assert!(message.contains("another model's") && message.contains("token 8"), "{message}");
    json["model"]["vocab"]["beyond"] = 1024.into();
    std::fs::write(&other, json.to_string()).unwrap();
    let message = Checkpoint::open(folder.path(), Some(&other)).err().unwrap().to_string();
    assert!(message.contains("another model's") && message.contains("1024"), "{message}");
}

proptest! {
    #[test]
    fn a_twisted_model_file_opens_or_is_refused_but_never_panics(
        twists in proptest::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        let mut file = SOUND.get_or_init(|| {
            let source = tiny(DType::BF16);
            quantized(&Checkpoint::open(source.path(), None).unwrap(), "q2_k", &path);
            std::fs::read(&path).unwrap()
        }).clone();
        // Most of a header is vocabulary; half of the twists go to the keys before it and the tensors after it.
        let data = gguf::parse(&path, &file).unwrap().tensors[0].bytes.start;
        let places: Vec<usize> = (0..1000).chain(data - 2500..data).collect();
        for (vital, place, byte) in twists {
            let at = if vital { places[place.index(places.len())] } else { place.index(data) };
            file[at] = byte;
        }
        std::fs::write(&path, &file).unwrap();
        if let Ok(model) = Checkpoint::open(&path, None) {
            let _ = model.tokenizer().encode_fast("any text 12", true);
            for (name, _) in expected(model.config()) {
                let _ = model.tensor(&name);
            }
        }
    }
}
