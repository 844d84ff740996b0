//! Hashes that order and seed samples: functions of the plan's seed, the task and the sample's id alone.

use crate::domain::{SampleId, TaskName};

/// The seed of a sample's own random stream.
pub(super) fn generation_seed(seed: u64, task: &TaskName, id: &SampleId) -> u64 {
    let digest = hash("quantgate generation seed v1", seed, task, id);
    u64::from_le_bytes(*digest.as_bytes().first_chunk().expect("a digest has 32 bytes"))
}

/// The rank of a sample in the order that is fixed before the run. A random order (rather than the file's) lets a run
/// that stops early stand for all samples: a file's order often goes from short to long.
pub(super) fn rank(seed: u64, task: &TaskName, id: &SampleId) -> [u8; 32] {
    *hash("quantgate sample order v1", seed, task, id).as_bytes()
}

fn hash(purpose: &str, seed: u64, task: &TaskName, id: &SampleId) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_derive_key(purpose);
    hasher.update(&seed.to_le_bytes());
    // The length in front keeps ("a", "bc") apart from ("ab", "c").
    hasher.update(&(task.as_str().len() as u64).to_le_bytes());
    hasher.update(task.as_str().as_bytes());
    hasher.update(id.as_str().as_bytes());
    hasher.finalize()
}
