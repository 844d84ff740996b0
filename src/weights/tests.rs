//! Tests over a tiny random model that they write themselves.

mod families;
mod refusals;
mod templates;
mod tokenizers;
mod vocabulary;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::json;
use tempfile::TempDir;

use super::layout::expected;
use super::{Checkpoint, Config, Recipe, RopeOrder, TensorType, WeightsError, quantize};

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
    let tensors: HashMap<_, _> = expected(&config).enumerate().map(tensor).collect();
    candle_core::safetensors::save(&tensors, at("model.safetensors")).unwrap();
    folder
}

/// The configuration as its GGUF form has it.
fn paired(config: &Config) -> Config {
    let mut config = config.clone();
    config.rope.order = RopeOrder::Interleaved;
    config
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

/// Quantizes and opens the result.
pub(super) fn quantized(source: &Checkpoint, recipe: &str, out: &Path) -> Checkpoint {
    let facts = quantize(source, recipe.parse::<Recipe>().unwrap(), out, &mut |_, _| {}).unwrap();
    let model = Checkpoint::open(out, None).unwrap();
    assert_eq!(model.facts(), &facts);
    model
}

/// What opening a path complains about.
pub(super) fn complaint(path: &Path) -> String {
    Checkpoint::open(path, None).err().expect("the model is refused").to_string()
}

#[test]
fn a_hugging_face_folder_opens_with_its_shape_its_tokens_and_its_facts() {
    let folder = tiny(DType::BF16);
    let model = Checkpoint::open(folder.path(), None).unwrap();
    assert_eq!(model.config().rope.order, RopeOrder::Half);
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

#[test]
fn a_sharded_folder_is_the_same_model() {
    let single = tiny(DType::F32);
    let whole = Checkpoint::open(single.path(), None).unwrap();
    let sharded = tiny(DType::F32);
    let all = candle_core::safetensors::load(sharded.path().join("model.safetensors"), &Device::Cpu).unwrap();
    let (first, second): (HashMap<_, _>, HashMap<_, _>) = all.into_iter().partition(|(name, _)| name.contains("layers.0"));
    let mut map = serde_json::Map::new();
    for (file, tensors) in [("a.safetensors", &first), ("b.safetensors", &second)] {
        candle_core::safetensors::save(tensors, sharded.path().join(file)).unwrap();
        map.extend(tensors.keys().map(|name| (name.clone(), file.into())));
    }
    std::fs::remove_file(sharded.path().join("model.safetensors")).unwrap();
    let index = sharded.path().join("model.safetensors.index.json");
    std::fs::write(&index, json!({"weight_map": map}).to_string()).unwrap();
    assert_eq!(Checkpoint::open(sharded.path(), None).unwrap().facts(), whole.facts());
    std::fs::write(&index, json!({"weight_map": {"a": "../elsewhere"}}).to_string()).unwrap();
    assert!(complaint(sharded.path()).contains("elsewhere"));
}

#[test]
fn quantizing_keeps_the_vocabulary_the_template_the_shape_and_the_special_tokens() {
    let folder = tiny(DType::BF16);
    let source = Checkpoint::open(folder.path(), None).unwrap();
    let model = quantized(&source, "q8_0", &folder.path().join("m.gguf"));
    assert_eq!(model.special(), source.special());
    assert_eq!(model.chat_template(), source.chat_template());
    assert_eq!(model.facts().vocabulary, source.facts().vocabulary);
    assert_eq!(model.facts().template, source.facts().template);
    assert_eq!(model.config(), &paired(source.config()));
}

#[test]
fn a_full_precision_file_holds_the_same_values_with_the_rows_of_q_and_k_in_pairs() {
    let folder = tiny(DType::BF16);
    let source = Checkpoint::open(folder.path(), None).unwrap();
    let model = quantized(&source, "f32", &folder.path().join("m.gguf"));
    for name in ["token_embd.weight", "blk.1.attn_v.weight", "blk.0.ffn_down.weight", "output_norm.weight"] {
        assert_eq!(values(&model, name), values(&source, name), "{name}");
    }
    for (name, heads) in [("blk.0.attn_q.weight", 4), ("blk.1.attn_k.weight", 2)] {
        let (from, to) = (source.tensor(name).unwrap(), model.tensor(name).unwrap());
        let columns = from.dim(1).unwrap();
        let pairs = from.reshape((heads, 2, 32, columns)).unwrap().transpose(1, 2).unwrap();
        let pairs: Vec<f32> = pairs.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(to.flatten_all().unwrap().to_vec1::<f32>().unwrap(), pairs, "{name}");
    }
}

#[test]
fn every_recipe_writes_a_model_whose_error_shrinks_with_its_bits() {
    let folder = tiny(DType::F32);
    let source = Checkpoint::open(folder.path(), None).unwrap();
    let name = "blk.1.ffn_up.weight";
    let original = values(&source, name);
    let mut last = 0.0;
    for recipe in ["f32", "f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k"] {
        let model = quantized(&source, recipe, &folder.path().join(format!("{recipe}.gguf")));
        assert_eq!(model.facts().quantization, recipe);
        assert_eq!(model.facts().quantizer.is_some(), recipe.starts_with('q'));
        let found = values(&model, name);
        let squares = found.iter().zip(&original).map(|(a, b)| f64::from(a - b).powi(2));
        let error: f64 = squares.sum::<f64>() / original.len() as f64;
        assert!(error >= last && (recipe == "f32" || error > last), "{recipe}: {error} after {last}");
        last = error;
    }
    assert!(last < 0.1, "even two bits keep most of a weight: {last}");
}

#[test]
fn a_detour_over_a_full_precision_file_changes_nothing() {
    let folder = tiny(DType::BF16);
    let source = Checkpoint::open(folder.path(), None).unwrap();
    let direct = quantized(&source, "q4_k_m", &folder.path().join("direct.gguf"));
    let middle = quantized(&source, "bf16", &folder.path().join("bf16.gguf"));
    let detour = quantized(&middle, "q4_k_m", &folder.path().join("detour.gguf"));
    assert_eq!(detour.facts(), direct.facts());
    assert_eq!(detour.config(), direct.config());
    assert_eq!(
        std::fs::read(folder.path().join("detour.gguf")).unwrap(),
        std::fs::read(folder.path().join("direct.gguf")).unwrap()
    );
}

#[test]
fn rows_that_are_no_whole_blocks_fall_back_and_the_file_says_so() {
    let mut json = tiny_config();
    json["hidden_size"] = 96.into();
    let folder = folder_with(&json, DType::F32);
    let source = Checkpoint::open(folder.path(), None).unwrap();
    let out = folder.path().join("m.gguf");
    let model = quantized(&source, "q4_k", &out);
    assert_eq!(model.matrix("blk.0.attn_q.weight").unwrap().kind, TensorType::Q5_0);
    assert_eq!(model.matrix("blk.0.ffn_norm.weight").unwrap().kind, TensorType::F32);
    let bytes = std::fs::read(out).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("blk.0.attn_q.weight q4_k -> q5_0"));
}

#[test]
fn progress_counts_up_to_every_weight() {
    let folder = tiny(DType::BF16);
    let source = Checkpoint::open(folder.path(), None).unwrap();
    let mut seen = Vec::new();
    quantize(&source, Recipe::Q8_0, &folder.path().join("m.gguf"), &mut |done, total| seen.push((done, total))).unwrap();
    let parameters = source.facts().parameters;
    assert!(seen.is_sorted() && seen.first() == Some(&(0, parameters)));
    assert_eq!(seen.last(), Some(&(parameters, parameters)));
}

#[test]
fn what_is_quantized_already_is_not_quantized_again() {
    let folder = tiny(DType::BF16);
    let source = Checkpoint::open(folder.path(), None).unwrap();
    let model = quantized(&source, "q8_0", &folder.path().join("m.gguf"));
    let error = quantize(&model, Recipe::Q4_0, &folder.path().join("n.gguf"), &mut |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("already") && error.hint().unwrap().contains("bf16"), "{error}");
}

#[test]
fn a_failed_quantization_leaves_no_file_behind() {
    let folder = tiny(DType::F32);
    let model = folder.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&model, &Device::Cpu).unwrap();
    let bad = Tensor::from_vec(vec![f32::NAN; 256 * 512], (256, 512), &Device::Cpu).unwrap();
    tensors.insert("model.layers.1.mlp.down_proj.weight".to_owned(), bad);
    candle_core::safetensors::save(&tensors, &model).unwrap();
    let source = Checkpoint::open(folder.path(), None).unwrap();
    let before = std::fs::read_dir(folder.path()).unwrap().count();
    let error = quantize(&source, Recipe::Q8_0, &folder.path().join("m.gguf"), &mut |_, _| {}).unwrap_err().to_string();
    assert!(error.contains("blk.1.ffn_down.weight") && error.contains("not finite"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), before);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = tiny(DType::BF16);
    let source = Checkpoint::open(folder.path(), None).unwrap();
    let before = std::fs::read_dir(folder.path()).unwrap().count();
    for place in ["nowhere/m.gguf", "config.json/m.gguf", "."] {
        let out = folder.path().join(place);
        let error = quantize(&source, Recipe::F16, &out, &mut |_, _| {}).unwrap_err();
        assert!(matches!(error, WeightsError::Write { .. }) && error.hint().is_some(), "{error}");
        assert!(error.to_string().contains(folder.path().to_str().unwrap()));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), before);
}

#[test]
fn values_that_half_precision_cannot_hold_are_refused() {
    let folder = tiny(DType::F32);
    let model = folder.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&model, &Device::Cpu).unwrap();
    let large = Tensor::full(70_000.0_f32, (512, 256), &Device::Cpu).unwrap();
    tensors.insert("model.layers.0.mlp.up_proj.weight".to_owned(), large);
    candle_core::safetensors::save(&tensors, &model).unwrap();
    let source = Checkpoint::open(folder.path(), None).unwrap();
    let error = quantize(&source, Recipe::F16, &folder.path().join("m.gguf"), &mut |_, _| {}).unwrap_err().to_string();
    assert!(error.contains("blk.0.ffn_up.weight") && error.contains("bf16"), "{error}");
}

#[test]
fn an_untied_mistral_with_narrow_heads_and_spare_rows_survives_the_round_trip() {
    let mut json = tiny_config();
    json["model_type"] = "mistral".into();
    json["sliding_window"] = serde_json::Value::Null;
    json["tie_word_embeddings"] = false.into();
    json["head_dim"] = 32.into();
    json["vocab_size"] = 1056.into();
    json.as_object_mut().unwrap().remove("rope_theta");
    json["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 1e6});
    let folder = folder_with(&json, DType::F16);
    let source = Checkpoint::open(folder.path(), None).unwrap();
    let model = quantized(&source, "q3_k", &folder.path().join("m.gguf"));
    assert_eq!(model.config(), &paired(source.config()));
    assert!((model.config().rope.base - 1e6).abs() < 1.0 && !model.config().tied);
    assert_eq!(model.tensor("blk.0.attn_output.weight").unwrap().dims(), [256, 128]);
    assert_eq!(model.facts().vocabulary, source.facts().vocabulary);
    assert_eq!(model.tokenizer().get_vocab_size(true), 1024, "spare rows are no tokens");
}

#[test]
fn a_checkpoint_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Checkpoint>();
}
