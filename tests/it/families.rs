//! Small random models of every family: logits against those of transformers in f32, from both kinds of files.

#![expect(clippy::print_stdout, reason = "the differences are figures that the README quotes")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use quantgate::engine::local::{LocalEngine, Settings};
use quantgate::weights::{Checkpoint, Recipe, quantize};

/// The largest difference that is allowed.
const LIMIT: f32 = 1e-3;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/families")
}

/// The largest difference to the reference over every position of every prompt, of every eighth column.
fn difference(checkpoint: Checkpoint, reference: &HashMap<String, Tensor>) -> f32 {
    let vocabulary = checkpoint.config().vocabulary;
    let engine = LocalEngine::load(checkpoint, &Settings::default()).expect("it loads");
    let mut worst = 0.0_f32;
    for prompt in 0..3 {
        let tensor = |part: &str| &reference[&format!("{prompt}.{part}")];
        let ids: Vec<i32> = tensor("ids").to_vec1().expect("token ids");
        let ids: Vec<u32> = ids.into_iter().map(i32::cast_unsigned).collect();
        let rows: Vec<Vec<f32>> = tensor("logits").to_vec2().expect("rows of logits");
        assert_eq!(rows.len(), ids.len());
        let logits = engine.logits(&ids).expect("the prompt fits");
        for (position, expected) in rows.iter().enumerate() {
            let own = logits[position * vocabulary..][..vocabulary].iter().skip(position % 8).step_by(8);
            assert_eq!(own.len(), expected.len());
            for (own, expected) in own.zip(expected) {
                let difference = (own - expected).abs();
                // Not a maximum of floats, which would pass over what is no number.
                worst = if difference <= worst { worst } else { difference };
            }
        }
    }
    worst
}

/// Holds a model's logits against the reference, from its Hugging Face files and from the GGUF file made of them.
fn agrees(name: &str) {
    let source = folder().join(name);
    let reference = candle_core::safetensors::load(source.join("logits.safetensors"), &Device::Cpu).expect("the reference");
    let open = || Checkpoint::open(&source, Some(&folder().join("tokenizer.json"))).expect("the model opens");
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let gguf = scratch.path().join("model.gguf");
    quantize(&open(), Recipe::F32, &gguf, &mut |_, _| {}).expect("it can be written");
    let from_folder = difference(open(), &reference);
    let from_gguf = difference(Checkpoint::open(&gguf, None).expect("what was written opens"), &reference);
    println!("{name}: the largest difference is {from_folder:e} from safetensors, {from_gguf:e} from GGUF");
    assert!(from_folder <= LIMIT && from_gguf <= LIMIT, "{name}: {from_folder:e} from safetensors, {from_gguf:e} from GGUF");
}

#[test]
fn a_llama_has_the_logits_of_transformers() {
    agrees("llama");
}

#[test]
fn a_llama_with_stretched_frequencies_has_the_logits_of_transformers() {
    agrees("llama3");
}

#[test]
fn a_llama_with_yarn_has_the_logits_of_transformers() {
    agrees("yarn");
}

#[test]
fn a_mistral_without_a_window_has_the_logits_of_transformers() {
    agrees("mistral");
}

#[test]
fn a_mistral_with_a_window_has_the_logits_of_transformers() {
    agrees("mistral_window");
}

#[test]
fn a_nemo_with_its_own_head_size_has_the_logits_of_transformers() {
    agrees("nemo");
}

#[test]
fn a_mixtral_has_the_logits_of_transformers() {
    agrees("mixtral");
}

#[test]
fn a_qwen2_with_windows_in_its_upper_layers_has_the_logits_of_transformers() {
    agrees("qwen2");
}

#[test]
fn a_qwen3_has_the_logits_of_transformers() {
    agrees("qwen3");
}

#[test]
fn a_gemma2_has_the_logits_of_transformers() {
    agrees("gemma2");
}

#[test]
fn a_phi3_that_turns_half_of_each_head_has_the_logits_of_transformers() {
    agrees("phi3");
}

#[test]
fn a_phi3_with_long_factors_has_the_logits_of_transformers_up_to_its_first_context() {
    agrees("phi3_long");
}
