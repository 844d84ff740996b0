//! What a model is known by: digests of its weights, vocabulary and template; its size and quantization.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use tokenizers::Tokenizer;

use super::gguf::TensorType;
use super::layout::Entries;
use super::mapped::Mapped;
use super::template::Templates;
use super::{WeightsError, vocabulary};
use crate::domain::{Digest, Identity};

/// Facts about a model that name it or bear on its results.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Digest of all tensors: names, types, shapes and bytes; not of paths or metadata.
    pub weights: Digest,
    /// Bytes of all tensors.
    pub bytes: u64,
    /// Number of weights.
    pub parameters: u64,
    /// Average bits per weight, scales included.
    pub bits_per_weight: f64,
    /// Quantization as a person would name it: `bf16`, `q4_k_m`.
    pub quantization: String,
    /// Digest of the vocabulary and of how text is cut into it: equal for a model's own forms, GGUF or not.
    pub vocabulary: Digest,
    /// Digest of the chat template's text, with the one for tools where there are two; of an empty text where there is none.
    pub template: Digest,
    /// What made the quantized tensors, where the file says so.
    pub quantizer: Option<String>,
}

/// What [`Facts`] need beside the tensors.
pub(super) struct Known<'a> {
    /// Where the model was found, for messages.
    pub(super) path: &'a Path,
    /// Its tokenizer.
    pub(super) tokenizer: &'a Tokenizer,
    /// Its chat templates.
    pub(super) templates: &'a Templates,
    /// Its quantization's name, where a file says so.
    pub(super) quantization: Option<String>,
    /// Its quantizer, where a file says so.
    pub(super) quantizer: Option<String>,
}

impl Facts {
    /// What the model is known by behind an engine, with what the engine adds to it.
    #[must_use]
    pub fn identity(&self, engine: String, details: BTreeMap<String, String>) -> Identity {
        Identity {
            engine,
            weights: self.weights.clone(),
            vocabulary: self.vocabulary.clone(),
            template: self.template.clone(),
            quantization: self.quantization.clone(),
            bytes: self.bytes,
            parameters: self.parameters,
            bits_per_weight: self.bits_per_weight,
            details,
        }
    }

    /// Reads every tensor's bytes once.
    pub(super) fn gather(files: &[Mapped], entries: &Entries, known: Known<'_>) -> Result<Self, WeightsError> {
        let bytes = entries.values().map(|entry| entry.bytes.len() as u64).sum();
        let parameters = entries.values().map(|entry| weights_of(&entry.shape)).sum();
        Ok(Self {
            weights: weights_digest(files, entries),
            bytes,
            parameters,
            bits_per_weight: if parameters == 0 { 0.0 } else { 8.0 * bytes as f64 / parameters as f64 },
            quantization: known.quantization.unwrap_or_else(|| majority(entries)),
            vocabulary: vocabulary::digest(known.path, known.tokenizer)?,
            template: digest(&blake3::hash(known.templates.digested().as_bytes())),
            quantizer: known.quantizer,
        })
    }
}

fn weights_of(shape: &[usize]) -> u64 {
    shape.iter().map(|&size| size as u64).product()
}

fn digest(hash: &blake3::Hash) -> Digest {
    Digest::new(format!("blake3:{}", hash.to_hex()))
}

fn weights_digest(files: &[Mapped], entries: &Entries) -> Digest {
    let one = |(name, entry): (&String, &super::layout::Entry)| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{name}\n{}\n{:?}\n", entry.kind, entry.shape).as_bytes());
        hasher.update(&files[entry.file][entry.bytes.clone()]);
        hasher.finalize()
    };
    let tensors: Vec<_> = entries.iter().collect();
    let hashes: Vec<blake3::Hash> = tensors.into_par_iter().map(one).collect();
    let mut all = blake3::Hasher::new();
    for hash in hashes {
        all.update(hash.as_bytes());
    }
    digest(&all.finalize())
}

/// The type that most weights are stored in.
fn majority(entries: &Entries) -> String {
    let mut weights: BTreeMap<TensorType, u64> = BTreeMap::new();
    for entry in entries.values() {
        *weights.entry(entry.kind).or_default() += weights_of(&entry.shape);
    }
    weights.into_iter().max_by_key(|&(_, count)| count).map_or_else(String::new, |(kind, _)| kind.to_string())
}
