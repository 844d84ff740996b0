//! Which type each matrix gets, held against what llama-quantize gave it (tests/fixtures/quantizer/make.py).

use sha2::{Digest as _, Sha256};

use super::*;
use crate::weights::Experts;
use crate::weights::layout::{Written, written};

fn config(layers: usize, heads: usize, kv_heads: usize) -> Config {
    Config {
        layers,
        width: 256,
        feed_forward: 768,
        heads,
        kv_heads,
        vocabulary: 1024,
        context: 512,
        tied: true,
        ..Config::llama(64)
    }
}

#[test]
fn a_name_in_any_case_is_a_recipe_and_plain_k_names_are_the_medium_mixes() {
    assert_eq!("Q4_K".parse::<Recipe>().unwrap(), Recipe::Q4KM);
    assert_eq!("q4_k".parse::<Recipe>().unwrap().to_string(), "q4_k_m");
    for (name, recipe) in NAMES {
        assert_eq!(name.parse::<Recipe>().unwrap(), recipe);
    }
}

#[test]
fn an_unknown_recipe_is_refused_with_every_known_name() {
    let message = "q7_k".parse::<Recipe>().unwrap_err().to_string();
    assert!(message.contains("q7_k"));
    assert!(NAMES.iter().all(|(name, _)| message.contains(name)), "{message}");
}

#[test]
fn the_matrix_that_makes_the_logits_gets_more_bits_whichever_it_is() {
    let mut config = config(4, 4, 2);
    let kind = |config: &Config, name| Recipe::Q4_0.choose(name, &[1024, 256], config, false).kind;
    assert_eq!(kind(&config, "token_embd.weight"), TensorType::Q6_K);
    config.tied = false;
    assert_eq!(kind(&config, "token_embd.weight"), TensorType::Q4_0);
    assert_eq!(kind(&config, "output.weight"), TensorType::Q6_K);
}

#[test]
fn rows_that_are_no_whole_blocks_fall_back_and_say_so() {
    let config = config(4, 4, 2);
    let choice = |recipe: Recipe, columns| recipe.choose("blk.1.attn_q.weight", &[256, columns], &config, false);
    assert_eq!(choice(Recipe::Q4KM, 96), Choice { kind: TensorType::Q5_0, wanted: Some(TensorType::Q4_K) });
    assert_eq!(choice(Recipe::Q2K, 96).kind, TensorType::Q4_0);
    assert_eq!(choice(Recipe::Q5KM, 96).kind, TensorType::Q5_1);
    assert_eq!(choice(Recipe::Q8_0, 40), Choice { kind: TensorType::F16, wanted: Some(TensorType::Q8_0) });
    assert_eq!(choice(Recipe::Q4_0, 96), Choice { kind: TensorType::Q4_0, wanted: None });
}

#[test]
fn the_seventy_billion_shape_raises_its_value_matrices() {
    let kind = |config: &Config| Recipe::Q4KM.choose("blk.11.attn_v.weight", &[1024, 256], config, false).kind;
    assert_eq!(kind(&config(80, 64, 8)), TensorType::Q5_K);
    assert_eq!(kind(&config(80, 64, 64)), TensorType::Q4_K);
}

#[test]
fn norms_stay_in_single_precision() {
    assert_eq!(Recipe::Q2K.choose("blk.0.attn_norm.weight", &[256], &config(4, 4, 2), false).kind, TensorType::F32);
    assert_eq!(Recipe::F16.choose("output_norm.weight", &[256], &config(4, 4, 2), false).kind, TensorType::F32);
}

/// A model of some shape, as its fixture's python has it; `layers`, `heads` and heads of keys and values.
fn shaped(architecture: Architecture, [layers, heads, kv_heads]: [usize; 3], experts: usize, tied: bool) -> Config {
    let experts = (experts > 0).then_some(Experts { count: experts, used: 2 });
    Config { architecture, tied, experts, ..config(layers, heads, kv_heads) }
}

/// The fixture's cases by name, each with its columns.
fn cases() -> [(&'static str, Config, usize); 11] {
    use Architecture::{Gemma2, Llama, Phi3, Qwen2, Qwen3};
    [
        ("mistral", shaped(Llama, [32, 32, 8], 0, false), 256),
        ("mixtral", shaped(Llama, [32, 32, 8], 8, false), 256),
        ("four_experts", shaped(Llama, [24, 16, 16], 4, false), 256),
        ("seventy", shaped(Llama, [80, 64, 8], 0, false), 256),
        ("sixty_five", shaped(Llama, [80, 64, 64], 0, false), 256),
        ("qwen2_large", shaped(Qwen2, [80, 64, 8], 0, false), 256),
        ("qwen3", shaped(Qwen3, [28, 16, 8], 0, true), 256),
        ("gemma2", shaped(Gemma2, [26, 8, 4], 0, true), 256),
        ("phi3", shaped(Phi3, [40, 40, 10], 0, false), 256),
        ("odd", shaped(Llama, [16, 8, 2], 0, true), 96),
        ("odder", shaped(Llama, [16, 8, 2], 0, false), 40),
    ]
}

#[test]
fn matrices_of_all_families_get_the_types_that_llama_quantize_gives_them_in_every_mix() {
    let lines: Vec<&str> = include_str!("../../../tests/fixtures/quantizer/types.txt").lines().collect();
    assert_eq!(lines.len(), 11 * 33);
    for (case, config, columns) in cases() {
        let mut tensors: Vec<Written> = written(&config);
        tensors.retain(|tensor| tensor.shape.len() > 1);
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        for line in lines.iter().filter(|line| line.split(' ').next() == Some(case)) {
            let [_, mix, way, digest] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("four words: {line}") };
            let recipe: Recipe = mix.parse().unwrap();
            let mut found = Sha256::new();
            for Written { name, shape, .. } in &tensors {
                let mut shape = shape.clone();
                *shape.last_mut().unwrap() = columns;
                found.update(format!("{name} {}\n", recipe.choose(name, &shape, &config, way == "important").kind));
            }
            let found = found.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            assert_eq!(found, digest, "{case} {mix} {way}");
        }
    }
}
