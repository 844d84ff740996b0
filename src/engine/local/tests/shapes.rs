//! Small random models of every shape that a configuration can ask for, against the slow decoder and in other company.

use std::path::Path;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::slow::Slow;
use super::{Decoder, Settings, Span, random_model, score};
use crate::domain::{Arithmetic, KvType};
use crate::engine::local::{LoadError, LocalEngine};
use crate::weights::{Activation, Architecture, Checkpoint, Config, Experts, Rope, RopeOrder};

/// Tokens of the small models' own embedding.
const VOCABULARY: usize = 96;

/// A plain llama of two layers.
fn plain() -> Config {
    Config {
        architecture: Architecture::Llama,
        layers: 2,
        width: 48,
        feed_forward: 40,
        heads: 4,
        kv_heads: 2,
        head_size: 24,
        vocabulary: VOCABULARY,
        context: 96,
        rope: Rope::plain(RopeOrder::Half, 10_000.0, 24),
        norm_epsilon: 1e-5,
        tied: true,
        activation: Activation::Silu,
        embedding_scale: 1.0,
        attention_scale: 1.0 / 24.0_f32.sqrt(),
        attention_cap: None,
        logit_cap: None,
        windows: Vec::new(),
        qkv_bias: false,
        head_norms: false,
        post_norms: false,
        experts: None,
    }
}

/// Every tensor that a shape asks for.
fn tensors(config: &Config) -> Vec<(String, Vec<usize>)> {
    let (width, inner, size) = (config.width, config.feed_forward, config.head_size);
    let (queries, keys) = (config.heads * size, config.kv_heads * size);
    let mut all =
        vec![("token_embd.weight".to_owned(), vec![config.vocabulary, width]), ("output_norm.weight".into(), vec![width])];
    if !config.tied {
        all.push(("output.weight".into(), vec![config.vocabulary, width]));
    }
    for layer in 0..config.layers {
        let mut add = |part: &str, shape: &[usize]| all.push((format!("blk.{layer}.{part}"), shape.to_vec()));
        for norm in ["attn_norm.weight", "ffn_norm.weight"] {
            add(norm, &[width]);
        }
        for (part, outputs) in [("attn_q", queries), ("attn_k", keys), ("attn_v", keys)] {
            add(&format!("{part}.weight"), &[outputs, width]);
            if config.qkv_bias {
                add(&format!("{part}.bias"), &[outputs]);
            }
        }
        add("attn_output.weight", &[width, queries]);
        if config.head_norms {
            add("attn_q_norm.weight", &[size]);
            add("attn_k_norm.weight", &[size]);
        }
        if config.post_norms {
            add("post_attention_norm.weight", &[width]);
            add("post_ffw_norm.weight", &[width]);
        }
        let suffixes: Vec<String> = match config.experts {
            Some(experts) => (0..experts.count).map(|expert| format!(".{expert}")).collect(),
            None => vec![String::new()],
        };
        if let Some(experts) = config.experts {
            add("ffn_gate_inp.weight", &[experts.count, width]);
        }
        for suffix in suffixes {
            add(&format!("ffn_gate{suffix}.weight"), &[inner, width]);
            add(&format!("ffn_up{suffix}.weight"), &[inner, width]);
            add(&format!("ffn_down{suffix}.weight"), &[width, inner]);
        }
    }
    all
}

/// A model of this shape with random weights; the folder keeps its file.
fn model(config: Config, seed: u64) -> (tempfile::TempDir, Arc<Checkpoint>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    random_model(folder.path(), super::SMALL);
    let checkpoint = Checkpoint::open(folder.path(), None).expect("the model opens");
    let (tensors, file) = (tensors(&config), folder.path().join("numbers"));
    write(&file, &tensors, seed);
    let checkpoint = checkpoint.reshaped(config, &file, &tensors);
    (folder, Arc::new(checkpoint))
}

fn write(file: &Path, tensors: &[(String, Vec<usize>)], seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = Vec::new();
    for (name, shape) in tensors {
        let (middle, spread) = match shape.len() {
            1 if name.ends_with("bias") => (0.0, 1.0),
            1 => (1.0, 0.5),
            _ => (0.0, 4.0 / (shape[1] as f32).sqrt()),
        };
        for _ in 0..shape.iter().product::<usize>() {
            let number = middle + spread * (random.next_u32() as f32 / u32::MAX as f32 - 0.5);
            bytes.extend(number.to_le_bytes());
        }
    }
    std::fs::write(file, bytes).expect("writable");
}

fn ids(count: u32) -> Vec<u32> {
    (0..count).map(|i| (i * 37 + i * i * 5 + 11) % VOCABULARY as u32).collect()
}

fn decoder(checkpoint: &Arc<Checkpoint>, kv: KvType, arithmetic: Arithmetic) -> Decoder {
    Decoder::new(checkpoint, &Settings { arithmetic, kv, ..Settings::default() }).expect("the weights are there")
}

fn fast(decoder: &Decoder, spans: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let spans: Vec<Span> = spans.iter().map(|ids| Span { input: ids.clone(), targets: ids.clone() }).collect();
    score::raw(decoder, &spans).into_iter().map(|rows| rows.expect("finite").concat()).collect()
}

/// The largest distance from the slow decoder's logits, which say something.
fn distance(config: &Config, seed: u64, kv: KvType, rounding: fn(&mut [f64])) -> f64 {
    let (_folder, checkpoint) = model(config.clone(), seed);
    let names = tensors(config).into_iter().map(|(name, _)| name);
    let slow = Slow::new(&checkpoint, names, rounding).logits(&ids(40)).concat();
    let fast = fast(&decoder(&checkpoint, kv, Arithmetic::WeightsF32), &[ids(40)]).remove(0);
    assert_eq!(slow.len(), fast.len());
    let spread = slow.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    assert!(spread > 0.5, "logits say something: {spread}");
    slow.iter().zip(&fast).map(|(a, &b)| (a - f64::from(b)).abs()).fold(0.0, f64::max)
}

/// Each part alone, by its name.
fn parts() -> Vec<(&'static str, Config)> {
    let scaled = Rope {
        frequencies: Rope::plain(RopeOrder::Half, 500.0, 24).frequencies.iter().map(|f| f / 3.0).collect(),
        magnitude: 1.2,
        ..Rope::plain(RopeOrder::Half, 500.0, 24)
    };
    vec![
        ("a plain llama", plain()),
        ("pairs side by side", Config { rope: Rope::plain(RopeOrder::Interleaved, 10_000.0, 24), ..plain() }),
        ("half of a head turned", Config { rope: Rope::plain(RopeOrder::Half, 10_000.0, 12), ..plain() }),
        ("some pairs side by side turned", Config { rope: Rope::plain(RopeOrder::Interleaved, 10_000.0, 8), ..plain() }),
        ("scaled positions", Config { rope: scaled, ..plain() }),
        ("biases", Config { qkv_bias: true, ..plain() }),
        ("head norms", Config { head_norms: true, ..plain() }),
        ("a head of its own", Config { tied: false, ..plain() }),
        ("scales", Config { embedding_scale: 48.0_f32.sqrt(), attention_scale: 0.125, ..plain() }),
        ("windows", Config { windows: vec![Some(7), Some(17)], ..plain() }),
        ("a window of one", Config { windows: vec![Some(1), None], ..plain() }),
        ("caps", Config { attention_cap: Some(2.0), logit_cap: Some(3.0), ..plain() }),
        ("norms behind the parts", Config { post_norms: true, ..plain() }),
        ("another activation", Config { activation: Activation::GeluTanh, ..plain() }),
        ("experts", Config { experts: Some(Experts { count: 5, used: 2 }), ..plain() }),
    ]
}

/// Shapes with any of the parts at once.
fn mixtures(count: u64) -> Vec<Config> {
    (0..count).map(mixture).collect()
}

fn mixture(seed: u64) -> Config {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut one_of = |choices: &[usize]| choices[random.next_u32() as usize % choices.len()];
    let (head_size, kv_heads, layers) = (one_of(&[8, 18, 32, 40]), one_of(&[1, 2, 3]), one_of(&[1, 2, 3]));
    let order = [RopeOrder::Half, RopeOrder::Interleaved][one_of(&[0, 1])];
    let turning = head_size - one_of(&[0, 2, 4, 6]);
    let window = |choice: usize| (choice > 0).then_some(choice);
    let sometimes = |choice: usize| (choice > 0).then_some(choice as f32);
    let count = one_of(&[0, 3, 8]);
    Config {
        layers,
        width: one_of(&[24, 48, 60]),
        feed_forward: one_of(&[16, 44]),
        heads: kv_heads * one_of(&[1, 2, 4]),
        kv_heads,
        head_size,
        rope: Rope { magnitude: [1.0, 1.3][one_of(&[0, 1])], ..Rope::plain(order, 10_000.0, turning) },
        tied: one_of(&[0, 1]) == 0,
        activation: [Activation::Silu, Activation::GeluTanh][one_of(&[0, 1])],
        embedding_scale: one_of(&[1, 5]) as f32,
        attention_scale: 1.0 / one_of(&[4, 6]) as f32,
        attention_cap: sometimes(one_of(&[0, 3, 50])),
        logit_cap: sometimes(one_of(&[0, 4, 30])),
        windows: (0..layers).map(|_| window(one_of(&[0, 3, 16, 21]))).collect(),
        qkv_bias: one_of(&[0, 1]) == 0,
        head_norms: one_of(&[0, 1]) == 0,
        post_norms: one_of(&[0, 1]) == 0,
        experts: (count > 0).then_some(Experts { count, used: one_of(&[1, 2, 3]) }),
        ..plain()
    }
}

#[test]
fn logits_agree_with_a_scalar_decoder_for_every_part_alone() {
    for (name, config) in parts() {
        let worst = distance(&config, 5, KvType::F32, |_| ());
        assert!(worst < 2e-5, "{name}: {worst:e}");
    }
}

#[test]
fn logits_agree_with_a_scalar_decoder_for_any_mixture_of_parts() {
    for (seed, config) in mixtures(24).iter().enumerate() {
        let worst = distance(config, seed as u64, KvType::F32, |_| ());
        assert!(worst < 1e-4, "{seed}: {worst:e} for {config:?}");
    }
}

#[test]
fn halves_are_remembered_where_halves_are_asked_for() {
    let halve = |head: &mut [f64]| head.iter_mut().for_each(|x| *x = half::f16::from_f64(*x).to_f64());
    let config = Config { qkv_bias: true, windows: vec![Some(9), None], ..plain() };
    let (told, untold) = (distance(&config, 3, KvType::F16, halve), distance(&config, 3, KvType::F16, |_| ()));
    // A number near the middle of two halves may go either way.
    assert!(told < 3e-4 && untold > 2.0 * told, "{told:e} {untold:e}");
}

#[test]
fn coarser_memories_move_logits_farther() {
    let config = Config { head_size: 64, attention_scale: 0.125, rope: Rope::plain(RopeOrder::Half, 1e4, 64), ..plain() };
    let of = |kv| distance(&config, 4, kv, |_| ());
    let [none, half, eight, four] = [KvType::F32, KvType::F16, KvType::Q8_0, KvType::Q4_0].map(of);
    assert!(none < 2e-5 && half < 5e-3 && eight < 0.1 && four < 3.0, "{none:e} {half:e} {eight:e} {four:e}");
    assert!(10.0 * none < half && 3.0 * half < eight && 3.0 * eight < four, "{none:e} {half:e} {eight:e} {four:e}");
}

#[test]
fn a_sequence_has_the_same_logits_to_the_last_bit_in_any_company_for_every_shape() {
    let trunk = ids(70);
    let long: Vec<Vec<u32>> = (0..9_u32).map(|i| [&trunk[..5 + 7 * i as usize], &[i, 2 * i + 1, 90]].concat()).collect();
    let kinds = [KvType::F32, KvType::F16, KvType::Q8_0, KvType::Q4_0];
    for (seed, config) in mixtures(12).into_iter().chain(parts().into_iter().map(|(_, config)| config)).enumerate() {
        let kv = if config.head_size.is_multiple_of(32) { kinds[seed % 4] } else { kinds[seed % 2] };
        let arithmetic = [Arithmetic::WeightsF32, Arithmetic::Ggml][seed / 2 % 2];
        let (_folder, checkpoint) = model(config, seed as u64);
        let decoder = decoder(&checkpoint, kv, arithmetic);
        let together = fast(&decoder, &long);
        for (ids, together) in long.iter().zip(&together) {
            let alone = fast(&decoder, std::slice::from_ref(ids)).remove(0);
            let same = alone.iter().zip(together).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "shape {seed}, {} tokens", ids.len());
        }
    }
}

#[test]
fn a_device_of_the_tensor_library_computes_what_the_processor_does_for_every_shape() {
    let trunk = ids(60);
    let sequences: Vec<Vec<u32>> = [7, 30, 45].map(|cut| [&trunk[..cut], &[1, 2, 3, 4]].concat()).to_vec();
    let kinds = [KvType::F32, KvType::F16];
    for (seed, config) in mixtures(12).into_iter().chain(parts().into_iter().map(|(_, config)| config)).enumerate() {
        let (_folder, checkpoint) = model(config, seed as u64);
        let settings = Settings { kv: kinds[seed % 2], ..Settings::default() };
        let device = Decoder::on(&checkpoint, &settings, &candle_core::Device::Cpu).expect("the weights are there");
        let expected = fast(&decoder(&checkpoint, settings.kv, settings.arithmetic), &sequences).concat();
        let found = fast(&device, &sequences).concat();
        assert_eq!(expected.len(), found.len());
        let worst = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // A number near the middle of two halves may go either way.
        let bound = if settings.kv == KvType::F32 { 1e-4 } else { 2e-2 };
        assert!(worst < bound, "shape {seed}: {worst:e}");
    }
}

#[test]
fn text_written_on_a_device_is_the_processors_and_a_device_that_is_not_there_is_named() {
    let load = |device| LocalEngine::load_on(super::small_model().1, &Settings::default(), device).expect("the model loads");
    let (processor, device) = (load(None), load(Some(&candle_core::Device::Cpu)));
    let greedy: Vec<_> = super::requests().into_iter().filter(|r| matches!(r, super::Request::Generate { .. })).collect();
    assert!(greedy.len() > 4);
    assert_eq!(processor.inner.answer(&greedy), device.inner.answer(&greedy));
    let settings = Settings { device: crate::domain::Device::Cuda(9), ..Settings::default() };
    let error = LocalEngine::load(super::small_model().1, &settings).err().expect("there are no ten accelerators here");
    assert!(error.to_string().contains("cuda:9"), "{error}");
}

#[test]
fn blocks_of_keys_that_no_head_holds_are_refused_by_name() {
    let settings = |kv| Settings { kv, ..Settings::default() };
    for kv in [KvType::Q8_0, KvType::Q4_0] {
        let (_folder, checkpoint) = super::small_model();
        let error = LocalEngine::load(checkpoint, &settings(kv)).err().expect("heads of 24 values");
        assert!(matches!(&error, LoadError::Settings(_)), "{error}");
        assert!(error.to_string().contains(kv.name()) && error.to_string().contains("24"), "{error}");
    }
    let (_folder, checkpoint) = super::small_model();
    LocalEngine::load(checkpoint, &settings(KvType::F16)).expect("halves fit any head");
}
