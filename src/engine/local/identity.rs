//! What a local model is known by: everything about this engine that can change a result.

use std::collections::BTreeMap;

use pulp::Arch;

use super::Settings;
use crate::domain::Identity;
use crate::weights::Checkpoint;

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
        ("norm epsilon", checkpoint.config().norm_epsilon.to_string()),
        ("rope base", checkpoint.config().rope.base.to_string()),
        ("cpu", features()),
        ("kernel", format!("gemm {}f32", kernel(arch))),
        ("kv", settings.kv.name().to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    if let Some(quantizer) = &facts.quantizer {
        details.insert("quantizer".to_owned(), quantizer.clone());
    }
    facts.identity(format!("local {}", env!("CARGO_PKG_VERSION")), details)
}

/// The family of vector instructions, with a space behind it; empty where only scalars are sure.
fn kernel(arch: Arch) -> &'static str {
    match format!("{arch:?}") {
        name if name.starts_with("V4") => "x86-v4 ",
        name if name.starts_with("V3") => "x86-v3 ",
        name if name.starts_with("Neon") => "neon ",
        _ => "",
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
    #[test]
    fn the_recorded_candle_version_is_the_one_in_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock").replace("\r\n", "\n");
        let entry = format!("name = \"candle-core\"\nversion = \"{}\"\n", super::CANDLE);
        assert!(lock.contains(&entry), "update CANDLE");
    }
}
