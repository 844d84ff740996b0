//! Subjects: the canary and its variants, how each is reached and what it turned out to be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ApiSpec, Digest, LocalSpec, SubjectName};

/// What a subject is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The full-precision reference.
    Canary,
    /// A quantized candidate, which counts for the verdict.
    Variant,
    /// A variant known to be bad (positive control): it must fail, or the run's tasks have no teeth.
    Control,
}

/// Answers written beforehand, for dry runs and for tests of the runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptedSpec {
    /// Share of samples answered right, per thousand, chosen by a hash of the request.
    pub right_per_mille: u32,
    /// A salt of the hash: equal salts are right on the same samples.
    pub salt: String,
    /// Share of answers, per thousand, that are the other way round, chosen by a hash of the request with its seed: what a
    /// subject that samples its answers differs from itself when it is asked again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub noise_per_mille: u32,
}

/// Whether a number is 0: plans and journals leave that out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Answers that another program asked for and judged: they are read, and nothing is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedSpec {
    /// The program, with its version where its files tell.
    pub program: String,
    /// The model, as the program names it.
    pub model: String,
}

/// What answers a subject's requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "engine", rename_all = "lowercase")]
pub enum EngineSpec {
    /// In this process.
    Local(LocalSpec),
    /// By a service or a server that is spoken to over HTTP.
    Api(Box<ApiSpec>),
    /// From a script.
    Scripted(ScriptedSpec),
    /// From another program's result files.
    Recorded(RecordedSpec),
}

/// Anything that is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Unique within the plan.
    pub name: SubjectName,
    /// What it is for.
    pub role: Role,
    /// How it is reached.
    pub engine: EngineSpec,
    /// How often each sample of a task with scores is asked; at least 1. Asking the canary twice shows how much it differs
    /// from itself.
    #[serde(default = "once")]
    pub repeats: u32,
}

/// The number of repeats where none is given.
fn once() -> u32 {
    1
}

/// What a loaded subject turned out to be: everything about it that can change a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The engine's name and version.
    pub engine: String,
    /// Digest of the weights' content.
    pub weights: Digest,
    /// Digest of the vocabulary; variants must have the canary's.
    pub vocabulary: Digest,
    /// Digest of the chat template; variants must have the canary's.
    pub template: Digest,
    /// Quantization as a person would name it: `bf16`, `q4_k_m`.
    pub quantization: String,
    /// Size of the weights on disk in bytes.
    pub bytes: u64,
    /// Number of weights.
    pub parameters: u64,
    /// Average bits per weight, scales included.
    pub bits_per_weight: f64,
    /// Everything else (arithmetic, kernel, quantizer, processor features), by name.
    pub details: BTreeMap<String, String>,
}

impl Identity {
    /// Whether the weights themselves were seen, so that their size is known; another program's results don't have it.
    #[must_use]
    pub fn has_size(&self) -> bool {
        self.bytes > 0
    }
}
