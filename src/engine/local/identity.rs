//! What a local model is known by: everything about this engine that can change a result.

use std::collections::BTreeMap;

use pulp::Arch;

use super::rounding::Roundings;
use super::{Settings, kernel};
use crate::domain::{Arithmetic, Device, Identity, KvType};
use crate::weights::{Activation, Checkpoint, Config, RopeOrder, RopeScaling};

/// The tensor library's version, as Cargo.lock has it.
const CANDLE: &str = "0.11.1";

/// The identity of an open model run by this engine.
pub(super) fn identify(checkpoint: &Checkpoint, settings: &Settings, arch: Arch) -> Identity {
    let facts = checkpoint.facts();
    let mut details: BTreeMap<String, String> = [
        ("arithmetic", settings.arithmetic.name().to_owned()),
        ("architecture", checkpoint.config().architecture.to_string()),
        ("candle", CANDLE.to_owned()),
        ("context", checkpoint.config().context.to_string()),
        ("end tokens", format!("{:?}", checkpoint.special().eos)),
        ("heads", heads(checkpoint.config())),
        ("norm epsilon", checkpoint.config().norm_epsilon.to_string()),
        ("rope base", checkpoint.config().rope.base.to_string()),
        ("cpu", features()),
        ("kernel", kernel::name().to_owned()),
        ("lanes", lanes(arch).to_owned()),
        ("kv", settings.kv.name().to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    if let Some(bos) = checkpoint.special().bos {
        details.insert("bos token".to_owned(), bos.to_string());
    }
    if let Some(quantizer) = &facts.quantizer {
        details.insert("quantizer".to_owned(), quantizer.clone());
    }
    let own = parts(checkpoint.config()).into_iter().chain(numbers(checkpoint, settings));
    details.extend(own.map(|(key, value)| (key.to_owned(), value)));
    facts.identity(format!("local {}", env!("CARGO_PKG_VERSION")), details)
}

/// How the rows of queries and keys are cut into heads, and which values of a head turn together: equal weights may be read
/// in several ways.
fn heads(config: &Config) -> String {
    let turned = match config.rope.order {
        RopeOrder::Half => "halves",
        RopeOrder::Interleaved => "pairs",
    };
    format!("{} of {}, {} of keys, turned in {turned}", config.heads, config.head_size, config.kv_heads)
}

/// What the model's configuration says beside a plain llama; nothing of it is in the weights' digest.
fn parts(config: &Config) -> Vec<(&'static str, String)> {
    let mut parts = Vec::new();
    let mut differs = |key, differs: bool, value: String| {
        if differs {
            parts.push((key, value));
        }
    };
    let plain = 1.0 / (config.head_size as f32).sqrt();
    differs("activation", config.activation != Activation::Silu, "tanh-gelu".to_owned());
    differs("attention scale", config.attention_scale.to_bits() != plain.to_bits(), config.attention_scale.to_string());
    differs("attention cap", config.attention_cap.is_some(), config.attention_cap.unwrap_or_default().to_string());
    differs("logit cap", config.logit_cap.is_some(), config.logit_cap.unwrap_or_default().to_string());
    differs("embedding scale", config.embedding_scale.to_bits() != 1.0_f32.to_bits(), config.embedding_scale.to_string());
    differs("rope size", config.rope.size != config.head_size, format!("{} of {}", config.rope.size, config.head_size));
    let stretched = config.rope.scaling != RopeScaling::None || config.rope.magnitude.to_bits() != 1.0_f32.to_bits();
    differs("rope scaling", stretched, scaling(config));
    differs("window", config.windows.iter().any(Option::is_some), windows(&config.windows));
    let experts = config.experts.map(|experts| format!("{} of {}", experts.used, experts.count));
    differs("experts", experts.is_some(), experts.unwrap_or_default());
    parts
}

/// Every layer's window, runs of equal ones at a time: `8, none x 2, 8 x 3`.
fn windows(windows: &[Option<usize>]) -> String {
    let one = |run: &[Option<usize>]| {
        let size = run[0].map_or_else(|| "none".to_owned(), |size| size.to_string());
        if run.len() == 1 { size } else { format!("{size} x {}", run.len()) }
    };
    windows.chunk_by(|a, b| a == b).map(one).collect::<Vec<_>>().join(", ")
}

/// How rotary frequencies were stretched; many divisors by a digest of what they lead to.
fn scaling(config: &Config) -> String {
    let magnitude = config.rope.magnitude;
    let name = match &config.rope.scaling {
        RopeScaling::Factors(factors) => {
            let bytes: Vec<u8> = factors.iter().flat_map(|factor| factor.to_le_bytes()).collect();
            format!("{} divisors {}", factors.len(), &blake3::hash(&bytes).to_hex()[..12])
        }
        other => format!("{other:?}"),
    };
    if magnitude.to_bits() == 1.0_f32.to_bits() { name } else { format!("{name}, magnitude {magnitude}") }
}

/// What is computed in which numbers, and where, beside f32 on the processor.
fn numbers(checkpoint: &Checkpoint, settings: &Settings) -> Vec<(&'static str, String)> {
    let Settings { arithmetic, kv, device, .. } = settings;
    let mut found = Vec::new();
    if *device != Device::Cpu {
        found.push(("device", device.to_string()));
    }
    if (*arithmetic, *kv) != (Arithmetic::default(), KvType::default()) {
        let (weights, kv) = (&checkpoint.facts().quantization, kv.name());
        found.push((
            "numbers",
            match arithmetic {
                Arithmetic::WeightsF32 => format!("weights {weights}, products f32, keys and values {kv}"),
                Arithmetic::Ggml => format!("weights {weights}, products as in ggml, queries, keys and values {kv}"),
            },
        ));
    }
    if let Some([keys, values]) = Roundings::new(*kv, *arithmetic, checkpoint.config().head_size).turns() {
        found.push(("kv rotation", format!("hadamard {keys}, values {values}")));
    }
    found
}

/// The family of vector instructions of everything but the products.
fn lanes(arch: Arch) -> &'static str {
    match format!("{arch:?}") {
        name if name.starts_with("V4") => "x86-v4",
        name if name.starts_with("V3") => "x86-v3",
        name if name.starts_with("Neon") => "neon",
        _ => "scalar",
    }
}

/// The processor's features that decide which kernels run.
#[cfg(target_arch = "x86_64")]
fn features() -> String {
    let known = [
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("fma", std::is_x86_feature_detected!("fma")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
        ("avx512bw", std::is_x86_feature_detected!("avx512bw")),
        ("avx512vnni", std::is_x86_feature_detected!("avx512vnni")),
    ];
    let present: Vec<&str> = known.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
    format!("x86_64 {}", present.join(" "))
}

/// The processor's family.
#[cfg(not(target_arch = "x86_64"))]
fn features() -> String {
    std::env::consts::ARCH.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{Architecture, Experts, Rope, RopeOrder};

    #[test]
    fn a_configuration_is_told_where_it_differs_from_a_plain_llama() {
        let plain = Config {
            architecture: Architecture::Llama,
            layers: 4,
            width: 64,
            feed_forward: 64,
            heads: 1,
            kv_heads: 1,
            head_size: 64,
            vocabulary: 10,
            context: 10,
            rope: Rope::plain(RopeOrder::Half, 1e4, 64),
            norm_epsilon: 1e-5,
            tied: true,
            activation: Activation::Silu,
            embedding_scale: 1.0,
            attention_scale: 0.125,
            attention_cap: None,
            logit_cap: None,
            windows: vec![None; 4],
            qkv_bias: true,
            head_norms: false,
            post_norms: false,
            experts: None,
        };
        assert_eq!(parts(&plain), []);
        assert_eq!(heads(&plain), "1 of 64, 1 of keys, turned in halves");
        let scaled = Config { rope: Rope { magnitude: 1.5, ..plain.rope.clone() }, ..plain.clone() };
        assert_eq!(parts(&scaled), [("rope scaling", "None, magnitude 1.5".to_owned())]);
        let rope = Rope { size: 32, scaling: RopeScaling::Linear { factor: 2.0 }, magnitude: 1.5, ..plain.rope.clone() };
        let (windows, experts) = (vec![Some(8), None, Some(8), Some(8)], Some(Experts { count: 8, used: 2 }));
        let other = Config { rope, windows, experts, attention_cap: Some(50.0), ..plain };
        let told: Vec<String> = parts(&other).iter().map(|(key, value)| format!("{key}: {value}")).collect();
        let expected = [
            "attention cap: 50",
            "rope size: 32 of 64",
            "rope scaling: Linear { factor: 2.0 }, magnitude 1.5",
            "window: 8, none, 8 x 2",
            "experts: 2 of 8",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn the_recorded_candle_version_is_the_one_in_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock").replace("\r\n", "\n");
        let entry = format!("name = \"candle-core\"\nversion = \"{}\"\n", super::CANDLE);
        assert!(lock.contains(&entry), "update CANDLE");
    }
}
