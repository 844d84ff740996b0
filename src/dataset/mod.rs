//! Datasets: files of rows, read whole and checked row by row, with every fault of a file told at once.

mod error;
mod formats;
mod manifest;
mod subset;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

pub use error::{DatasetError, RowFault};
pub use manifest::{Entry, Manifest, ManifestError};
pub use subset::subset;

use crate::domain::Digest;

/// One row of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its `id`, unique within the file.
    pub id: String,
    /// The line of the file (after unpacking) that it starts on, from 1.
    pub line: usize,
    /// Its fields in the file's order, `id` among them; in CSV every value is text.
    pub fields: Map<String, Value>,
}

/// A file of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The file, as it was asked for.
    pub path: PathBuf,
    /// `sha256:` and the hex digest of the file's bytes as they lie on disk, packed or not.
    pub digest: Digest,
    /// At least one row, in the file's order.
    pub rows: Vec<Row>,
}

/// Reads a dataset: `.jsonl` or `.csv` (with a header), either of them packed as `.gz`; UTF-8, with or without a byte
/// order mark, lines ended by LF or CRLF. Every row needs an `id` (text or a whole number) that no other row has.
///
/// # Errors
/// Where the file can't be read, is of another kind, has no rows, or has rows with faults: all of them at once.
pub fn read(path: &Path) -> Result<Dataset, DatasetError> {
    let form = formats::form_of(path)?;
    let bytes = fs::read(path).map_err(|source| DatasetError::unreadable(path, source))?;
    let digest = Digest::new(format!("sha256:{}", hex(&Sha256::digest(&bytes))));
    let text = formats::unpacked(path, form, bytes)?;
    let (rows, mut faults) = formats::parse(form, &text);
    check_ids(&rows, &mut faults);
    if !faults.is_empty() {
        faults.sort_by_key(|fault| fault.line);
        return Err(DatasetError::Rows { path: path.to_owned(), faults });
    }
    if rows.is_empty() {
        return Err(DatasetError::Empty { path: path.to_owned() });
    }
    Ok(Dataset { path: path.to_owned(), digest, rows })
}

/// Notes ids that occur twice.
fn check_ids(rows: &[Row], faults: &mut Vec<RowFault>) {
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(rows.len());
    for row in rows {
        if let Some(line) = first.get(row.id.as_str()) {
            faults.push(RowFault { line: row.line, what: format!("id `{}` is taken: line {line} has it too", row.id) });
        } else {
            first.insert(&row.id, row.line);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
