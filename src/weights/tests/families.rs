//! Models of every family: what is read of their configurations, and which tensors they show.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::{quantized, values};
use crate::weights::gguf::{self, TensorPlan, Value, Writer};
use crate::weights::layout::{expected, written};
use crate::weights::{Activation, Checkpoint, Config, Experts, RopeOrder, RopeScaling, WeightsError};

/// The models that `examples/family_models/make.py` has made.
const NAMES: [&str; 12] =
    ["gemma2", "llama", "llama3", "mistral", "mistral_window", "mixtral", "nemo", "phi3", "phi3_long", "qwen2", "qwen3", "yarn"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/families").join(name)
}

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(&fixture(name), Some(&fixture("tokenizer.json"))).unwrap()
}

/// A model's f32 GGUF form.
fn converted(name: &str) -> (TempDir, Checkpoint) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    let model = quantized(&open(name), "f32", &path);
    (folder, model)
}

fn json_of(name: &str) -> Json {
    serde_json::from_slice(&std::fs::read(fixture(name).join("config.json")).unwrap()).unwrap()
}

fn read(json: &Json) -> Result<Config, WeightsError> {
    Config::from_json(Path::new("config.json"), json)
}

fn near(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() <= 2e-7 * expected.abs(), "{found} for {expected}");
    }
}

/// A llama of 16 values a head with rotary parameters.
fn turned(base: f64, rope: &Json) -> Config {
    read(&json!({
        "model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 1, "intermediate_size": 8,
        "vocab_size": 10, "max_position_embeddings": 4096, "rope_theta": base, "rope_scaling": rope
    }))
    .unwrap()
}

#[test]
fn stretched_frequencies_are_those_of_transformers() {
    let linear = turned(1e4, &json!({"type": "linear", "factor": 3.0}));
    let expected = [
        0.333_333_343,
        0.105_409_257,
        0.033_333_335,
        0.010_540_926,
        0.003_333_333,
        0.001_054_092_66,
        0.000_333_333_36,
        0.000_105_409_264,
    ];
    near(&linear.rope.frequencies, &expected);
    let llama3 = json!({
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 512
    });
    let expected = [
        1.0,
        0.193_922_758,
        0.027_344_133_7,
        0.000_911_583_134,
        0.000_176_776_681,
        3.428_102_35e-5,
        6.647_869_67e-6,
        1.289_173_16e-6,
    ];
    near(&turned(5e5, &llama3).rope.frequencies, &expected);
    let mut yarn = json!({"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 512});
    let expected = [
        1.0,
        0.247_052_938,
        0.056_250_002_2,
        0.010_870_330_04,
        0.001_249_999_97,
        0.000_395_284_733,
        0.000_125_000_006,
        3.952_847_33e-5,
    ];
    let config = turned(1e4, &yarn);
    near(&config.rope.frequencies, &expected);
    near(&[config.rope.magnitude], &[1.207_944_154_2]);
    for (key, value) in [("beta_fast", 8.0), ("beta_slow", 2.0), ("mscale", 0.7), ("mscale_all_dim", 0.3)] {
        yarn[key] = value.into();
    }
    let expected =
        [1.0, 0.316_227_764, 0.1, 0.017_787_812_3, 0.001_249_999_97, 0.000_395_284_733, 0.000_125_000_006, 3.952_847_33e-5];
    let config = turned(1e4, &yarn);
    near(&config.rope.frequencies, &expected);
    near(&[config.rope.magnitude], &[1.078_293_461_4]);
    yarn["attention_factor"] = 1.5.into();
    near(&[turned(1e4, &yarn).rope.magnitude], &[1.5]);
}

#[test]
fn long_factors_are_run_for_short_texts_only() {
    let config = read(&json!({
        "model_type": "phi3", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 1, "intermediate_size": 8,
        "vocab_size": 10, "max_position_embeddings": 4096, "original_max_position_embeddings": 256,
        "partial_rotary_factor": 0.5, "rope_scaling":
        {"type": "su", "short_factor": [1.0, 1.25, 1.5, 2.0], "long_factor": [1.0, 2.0, 4.0, 8.0]}
    }))
    .unwrap();
    near(&config.rope.frequencies, &[1.0, 0.079_999_998_2, 0.006_666_666_83, 0.000_500_000_024]);
    near(&[config.rope.magnitude], &[1.224_744_871_4]);
    assert_eq!((config.context, config.rope.size), (256, 8));
}

#[test]
fn each_family_has_its_own_parts() {
    let mistral = open("mistral_window");
    assert_eq!(mistral.config().windows, [Some(8), Some(8)]);
    let qwen2 = open("qwen2");
    assert_eq!(qwen2.config().windows, [None, Some(6), Some(6)]);
    assert!(qwen2.config().qkv_bias && !qwen2.config().head_norms && qwen2.has("blk.2.attn_v.bias"));
    let qwen3 = open("qwen3");
    assert!(qwen3.config().head_norms && qwen3.config().tied && qwen3.has("blk.0.attn_q_norm.weight"));
    assert_eq!(qwen3.config().windows, []);
    let phi3 = open("phi3");
    assert_eq!((phi3.config().rope.size, phi3.config().head_size), (4, 8));
    assert_eq!(open("nemo").config().head_size, 16);
    assert_eq!(open("mixtral").config().experts, Some(Experts { count: 4, used: 2 }));
    let gemma2 = open("gemma2");
    let config = gemma2.config();
    assert_eq!(config.windows, [Some(6), None, Some(6)]);
    assert_eq!((config.attention_cap, config.logit_cap), (Some(3.0), Some(8.0)));
    near(&[config.attention_scale, config.embedding_scale], &[0.1_f64.sqrt(), 32_f64.sqrt()]);
    assert_eq!(config.activation, Activation::GeluTanh);
    assert!(config.post_norms && gemma2.has("blk.0.post_ffw_norm.weight"));
}

#[test]
fn old_and_new_spellings_of_a_configuration_are_the_same() {
    for (name, old) in [
        ("gemma2", json!({"rope_theta": 10_000.0})),
        ("qwen2", json!({"rope_theta": 10_000.0})),
        (
            "llama3",
            json!({"rope_theta": 500.0, "rope_scaling": {
                "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64
            }}),
        ),
    ] {
        let mut json = json_of(name);
        let object = json.as_object_mut().unwrap();
        assert!(object.remove("rope_parameters").is_some());
        object.remove("layer_types");
        object.extend(old.as_object().unwrap().clone());
        assert_eq!(read(&json).unwrap(), read(&json_of(name)).unwrap(), "{name}");
    }
}

#[test]
fn what_a_file_leaves_out_is_what_transformers_takes() {
    let without = |name: &str, keys: &[&str]| {
        let mut json = json_of(name);
        for key in keys {
            json.as_object_mut().unwrap().shift_remove(*key);
        }
        read(&json).unwrap()
    };
    assert_eq!(without("mistral", &["sliding_window"]).windows, [Some(4096), Some(4096)]);
    assert_eq!(without("mixtral", &["sliding_window"]).windows, []);
    assert!((without("mixtral", &["rope_parameters"]).rope.base - 1e6).abs() < 1.0);
    let keys = ["attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar", "tie_word_embeddings", "head_dim"];
    let gemma = without("gemma2", &keys);
    assert_eq!((gemma.attention_cap, gemma.logit_cap), (Some(50.0), Some(30.0)));
    assert_eq!((gemma.attention_scale, gemma.head_size, gemma.tied), (0.0625, 256, true));
    assert_eq!(without("qwen2", &["use_sliding_window", "layer_types"]).windows, []);
}

#[test]
fn layers_of_unknown_or_unwanted_types_are_refused() {
    let with = |name: &str, types: Json| {
        let mut json = json_of(name);
        json["layer_types"] = types;
        read(&json).err().map(|error| error.to_string())
    };
    let full = "full_attention";
    assert_eq!(with("qwen2", json!([full, full, "sliding_attention"])), None);
    assert!(with("qwen2", json!([full, full, "linear_attention"])).unwrap().contains("linear_attention"));
    assert!(with("qwen2", json!([full])).unwrap().contains("layer_types"));
    assert!(with("mistral_window", json!(["sliding_attention", full])).unwrap().contains(full));
}

#[test]
fn a_gguf_file_holds_the_configuration_and_every_tensor() {
    for name in NAMES {
        let source = open(name);
        let (_folder, model) = converted(name);
        let (mut from, to) = (source.config().clone(), model.config().clone());
        if from.architecture.name() == "llama" {
            from.rope.order = RopeOrder::Interleaved;
        }
        if name == "llama3" {
            assert!(
                matches!(&to.rope.scaling, RopeScaling::Factors(factors) if factors.first() == Some(&1.0) && factors.last() == Some(&8.0))
            );
            let exact: Vec<f64> = from.rope.frequencies.iter().map(|&frequency| f64::from(frequency)).collect();
            near(&to.rope.frequencies, &exact);
            from.rope = to.rope.clone();
        }
        if name == "yarn" {
            assert!((from.rope.magnitude - to.rope.magnitude).abs() < 1e-6);
            from.rope.magnitude = to.rope.magnitude;
        }
        assert_eq!(from, to, "{name}");
        for (tensor, _) in expected(&to) {
            let turned = to.rope.order == RopeOrder::Interleaved && (tensor.contains("attn_q") || tensor.contains("attn_k"));
            let (mut from, mut found) = (values(&source, &tensor), values(&model, &tensor));
            if turned {
                from.sort_by(f32::total_cmp);
                found.sort_by(f32::total_cmp);
            }
            assert_eq!(from, found, "{name} {tensor}");
        }
    }
}

#[test]
fn fused_and_merged_tensors_show_their_parts() {
    let load = |name: &str| candle_core::safetensors::load(fixture(name).join("model.safetensors"), &Device::Cpu).unwrap();
    let numbers = |tensor: &Tensor| -> Vec<f32> {
        tensor.to_dtype(candle_core::DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    let (phi3, stored) = (open("phi3"), load("phi3"));
    let fused = &stored["model.layers.1.self_attn.qkv_proj.weight"];
    for (part, from, rows) in [("q", 0, 32), ("k", 32, 16), ("v", 48, 16)] {
        let own = numbers(&fused.narrow(0, from, rows).unwrap());
        assert_eq!(values(&phi3, &format!("blk.1.attn_{part}.weight")), own, "{part}");
    }
    let fused = &stored["model.layers.0.mlp.gate_up_proj.weight"];
    assert_eq!(values(&phi3, "blk.0.ffn_gate.weight"), numbers(&fused.narrow(0, 0, 64).unwrap()));
    assert_eq!(values(&phi3, "blk.0.ffn_up.weight"), numbers(&fused.narrow(0, 64, 64).unwrap()));
    let (mixtral, stored) = (open("mixtral"), load("mixtral"));
    let expert = |matrix: &str| numbers(&stored[&format!("model.layers.1.block_sparse_moe.experts.3.{matrix}.weight")]);
    assert_eq!(values(&mixtral, "blk.1.ffn_gate.3.weight"), expert("w1"));
    assert_eq!(values(&mixtral, "blk.1.ffn_down.3.weight"), expert("w2"));
    assert_eq!(values(&mixtral, "blk.1.ffn_up.3.weight"), expert("w3"));
    let matrix = mixtral.matrix("blk.1.ffn_down.3.weight").unwrap();
    assert_eq!((matrix.rows, matrix.columns, matrix.bytes.len()), (32, 32, 2048));
}

/// A folder with a mixtral whose tensors were changed.
fn changed_mixtral(change: impl FnOnce(&mut HashMap<String, Tensor>)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = candle_core::safetensors::load(fixture("mixtral").join("model.safetensors"), &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, folder.path().join("model.safetensors")).unwrap();
    std::fs::copy(fixture("mixtral").join("config.json"), folder.path().join("config.json")).unwrap();
    std::fs::copy(fixture("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    folder
}

#[test]
fn experts_merged_as_newer_writers_do_are_the_same_model() {
    let folder = changed_mixtral(|tensors| {
        for layer in 0..2 {
            let mut take = |matrix: &str, expert: usize| {
                tensors.remove(&format!("model.layers.{layer}.block_sparse_moe.experts.{expert}.{matrix}.weight")).unwrap()
            };
            let gate_up = |expert| Tensor::cat(&[take("w1", expert), take("w3", expert)], 0).unwrap();
            let gate_up: Vec<Tensor> = (0..4).map(gate_up).collect();
            let down: Vec<Tensor> = (0..4).map(|expert| take("w2", expert)).collect();
            let router = tensors.remove(&format!("model.layers.{layer}.block_sparse_moe.gate.weight")).unwrap();
            let name = |part: &str| format!("model.layers.{layer}.mlp.{part}");
            tensors.insert(name("experts.gate_up_proj"), Tensor::stack(&gate_up, 0).unwrap());
            tensors.insert(name("experts.down_proj"), Tensor::stack(&down, 0).unwrap());
            tensors.insert(name("gate.weight"), router);
        }
    });
    let merged = Checkpoint::open(folder.path(), None).unwrap();
    assert_eq!(merged.facts().weights, open("mixtral").facts().weights);
}

#[test]
fn experts_in_tensors_of_their_own_are_read_as_merged_ones_are() {
    let (folder, model) = converted("mixtral");
    let path = folder.path().join("old.gguf");
    let new = std::fs::read(folder.path().join("m.gguf")).unwrap();
    let header = gguf::parse(&path, &new).unwrap();
    let plan = |(name, shape): (String, Vec<usize>)| TensorPlan { name, shape, kind: gguf::TensorType::F32 };
    let plans: Vec<TensorPlan> = expected(model.config()).map(plan).collect();
    let mut writer = Writer::create(&path, &header.metadata, &plans).unwrap();
    for plan in &plans {
        let bytes: Vec<u8> = values(&model, &plan.name).into_iter().flat_map(f32::to_le_bytes).collect();
        writer.tensor(&bytes).unwrap();
    }
    writer.finish().unwrap();
    let old = Checkpoint::open(&path, None).unwrap();
    assert_eq!(old.facts().weights, model.facts().weights);
    assert!(header.tensors.iter().any(|tensor| tensor.name == "blk.0.ffn_up_exps.weight" && tensor.shape == [4, 32, 32]));
}

#[test]
fn a_mixtral_without_one_expert_or_with_one_too_many_is_refused_by_name() {
    let name = "model.layers.0.block_sparse_moe.experts.2.w3.weight";
    let folder = changed_mixtral(|tensors| drop(tensors.remove(name)));
    assert!(super::complaint(folder.path()).contains("`blk.0.ffn_up.2.weight` is missing"));
    let folder = changed_mixtral(|tensors| {
        let one = tensors[name].clone();
        tensors.insert(name.replace("s.2.", "s.4."), one);
    });
    assert!(super::complaint(folder.path()).contains("`blk.0.ffn_up.4.weight`"));
    let folder = changed_mixtral(|tensors| {
        let router = tensors["model.layers.0.block_sparse_moe.gate.weight"].narrow(0, 0, 3).unwrap();
        tensors.insert("model.layers.0.block_sparse_moe.gate.weight".to_owned(), router);
    });
    assert!(super::complaint(folder.path()).contains("[3, 32]"));
}

#[test]
fn what_is_written_is_in_the_form_that_llama_cpp_reads() {
    let names = |name: &str| written(open(name).config()).into_iter().map(|tensor| tensor.name).collect::<Vec<_>>();
    let phi3 = names("phi3");
    assert_eq!(
        phi3[..5],
        ["token_embd", "blk.0.attn_norm", "blk.0.attn_qkv", "blk.0.attn_output", "blk.0.ffn_norm"].map(|n| format!("{n}.weight"))
    );
    assert!(phi3.iter().all(|name| !name.contains("gate")));
    assert_eq!(names("phi3_long")[1..3], ["rope_factors_long.weight", "rope_factors_short.weight"]);
    assert_eq!(names("llama3")[1], "rope_freqs.weight");
    let (_folder, model) = converted("phi3");
    let key = |key: &str| model.header().unwrap().get(key).cloned();
    assert_eq!(key("general.architecture"), Some(Value::Text("phi3".to_owned())));
    assert_eq!(key("phi3.attention.sliding_window"), Some(Value::U32(10)));
    assert_eq!(key("phi3.rope.dimension_count"), Some(Value::U32(4)));
}
