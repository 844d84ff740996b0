//! The tensors of a model: one set of names and shapes for every family, however a file stores and calls them.

mod check;
mod names;
mod split;
mod written;

use std::collections::BTreeMap;
use std::ops::Range;

use super::gguf::TensorType;

pub(super) use check::check;
#[cfg(test)]
pub(super) use check::expected;
pub(super) use names::canonical_name;
pub(super) use split::canonical;
pub(super) use written::{Written, written};

/// One stored tensor of an open model.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Which of the model's files holds it.
    pub(super) file: usize,
    /// Its bytes there.
    pub(super) bytes: Range<usize>,
    /// How it is stored.
    pub(super) kind: TensorType,
    /// Its shape, rows first.
    pub(super) shape: Vec<usize>,
}

/// A model's tensors by name: GGUF's, one matrix each (`blk.N.ffn_gate.E.weight` for each expert).
pub(super) type Entries = BTreeMap<String, Entry>;
