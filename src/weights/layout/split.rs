//! Splits the tensors that hold several matrices: rows, and experts before them, lie one after the other.

use std::collections::btree_map::Entry as Place;
use std::path::Path;

use super::super::gguf::TensorType;
use super::super::{Architecture, Config, WeightsError};
use super::{Entries, Entry};

/// What a stored tensor is made of.
enum Parts {
    /// Matrices one below the other: name and rows of each.
    Rows(Vec<(String, usize)>),
    /// For each expert the same: name before its number, rows.
    Experts(Vec<(String, usize)>),
}

/// The tensors by their own names, every one a single matrix or vector.
///
/// Nothing is copied: parts are ranges of the bytes of what they are parts of.
pub(in crate::weights) fn canonical(path: &Path, config: &Config, stored: Entries) -> Result<Entries, WeightsError> {
    let mut entries = Entries::new();
    for (name, entry) in stored {
        match parts(config, &name) {
            None => add(path, &mut entries, name, entry)?,
            Some(Parts::Rows(parts)) => {
                let rows = parts.iter().map(|(_, rows)| rows).sum();
                let mut expected = vec![rows];
                expected.extend((entry.shape.len() == 2).then_some(config.width));
                same_shape(path, &name, &entry, &expected)?;
                rows_of(path, &mut entries, (&name, &entry), parts)?;
            }
            Some(Parts::Experts(parts)) => {
                let count = config.experts.map_or(0, |experts| experts.count);
                let rows: usize = parts.iter().map(|(_, rows)| rows).sum();
                let columns = if name.ends_with("ffn_down_exps.weight") { config.feed_forward } else { config.width };
                same_shape(path, &name, &entry, &[count, rows, columns])?;
                let parts = (0..count)
                    .flat_map(|expert| parts.iter().map(move |(name, rows)| (format!("{name}.{expert}.weight"), *rows)));
                rows_of(path, &mut entries, (&name, &entry), parts)?;
            }
        }
    }
    Ok(entries)
}

/// The parts of a tensor that has some.
fn parts(config: &Config, name: &str) -> Option<Parts> {
    let (layer, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let named = |part: &str| format!("blk.{layer}.{part}");
    let (queries, keys) = (config.heads * config.head_size, config.kv_heads * config.head_size);
    let forward = config.feed_forward;
    let qkv = |kind: &str| {
        let part = |part: &str, rows| (named(&format!("attn_{part}.{kind}")), rows);
        Some(Parts::Rows(vec![part("q", queries), part("k", keys), part("v", keys)]))
    };
    let gate_up = || Some(Parts::Rows(vec![(named("ffn_gate.weight"), forward), (named("ffn_up.weight"), forward)]));
    match part {
        "attn_qkv.weight" => qkv("weight"),
        "attn_qkv.bias" => qkv("bias"),
        "ffn_gate_up.weight" => gate_up(),
        // Phi's converter keeps the fused matrix under the name of its second half.
        "ffn_up.weight" if config.architecture == Architecture::Phi3 => gate_up(),
        "ffn_gate_exps.weight" => Some(Parts::Experts(vec![(named("ffn_gate"), forward)])),
        "ffn_up_exps.weight" => Some(Parts::Experts(vec![(named("ffn_up"), forward)])),
        "ffn_down_exps.weight" => Some(Parts::Experts(vec![(named("ffn_down"), config.width)])),
        "ffn_gate_up_exps.weight" => Some(Parts::Experts(vec![(named("ffn_gate"), forward), (named("ffn_up"), forward)])),
        _ => None,
    }
}

fn same_shape(path: &Path, name: &str, entry: &Entry, expected: &[usize]) -> Result<(), WeightsError> {
    if entry.shape == expected {
        return Ok(());
    }
    let (found, expected) = (entry.shape.clone(), expected.to_vec());
    Err(WeightsError::Shape { path: path.to_owned(), tensor: name.to_owned(), found, expected })
}

/// Enters matrices that lie one after the other in a tensor whose shape was checked against theirs.
fn rows_of(
    path: &Path,
    entries: &mut Entries,
    (name, entry): (&str, &Entry),
    parts: impl IntoIterator<Item = (String, usize)>,
) -> Result<(), WeightsError> {
    // A vector's rows are its numbers.
    let columns = if entry.shape.len() == 1 { 1 } else { entry.shape[entry.shape.len() - 1] };
    let Some(row) = row_bytes(entry.kind, columns) else {
        let (path, tensor) = (path.to_owned(), name.to_owned());
        return Err(WeightsError::TensorType { path, tensor, kind: entry.kind.to_string() });
    };
    let mut at = entry.bytes.start;
    for (part, rows) in parts {
        let bytes = at..at + rows * row;
        at = bytes.end;
        let shape = if entry.shape.len() == 1 { vec![rows] } else { vec![rows, columns] };
        add(path, entries, part, Entry { file: entry.file, bytes, kind: entry.kind, shape })?;
    }
    Ok(())
}

fn row_bytes(kind: TensorType, columns: usize) -> Option<usize> {
    usize::try_from(kind.size(columns as u64, 1)?).ok()
}

fn add(path: &Path, entries: &mut Entries, name: String, entry: Entry) -> Result<(), WeightsError> {
    match entries.entry(name) {
        Place::Vacant(place) => {
            place.insert(entry);
            Ok(())
        }
        Place::Occupied(place) => {
            let problem = format!("tensor `{}` is there twice, once within a larger one", place.key());
            Err(WeightsError::malformed(path, problem))
        }
    }
}
