//! Writes the training corpus as packed token rows: examples back to back, none cut in two.
//!
//! `tokens.u16` and `documents.u16` hold rows of [`ROW`] little-endian numbers: the token, and 0 for padding or
//! 2·k + (1 where the loss counts the token) for the row's k-th example (k from 1).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use tokenizers::Tokenizer;

use super::families::training_example;

/// Tokens in one packed row.
pub(crate) const ROW: usize = 256;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Packs `total` examples of the stream of `seed` into rows under `folder`; returns the rows written.
pub(crate) fn write(folder: &Path, tokenizer: &Tokenizer, seed: u64, total: u64) -> Result<usize, Error> {
    let mut tokens = BufWriter::new(File::create(folder.join("tokens.u16"))?);
    let mut documents = BufWriter::new(File::create(folder.join("documents.u16"))?);
    let (mut row, mut marks, mut in_row, mut rows) = (Vec::new(), Vec::new(), 0_u16, 0);
    for index in 0..=total {
        let mut ids = Vec::new();
        if index < total {
            for (text, counted) in training_example(seed, index, total).1.segments() {
                let encoding = tokenizer.encode(text, false)?;
                ids.extend(encoding.get_ids().iter().map(|&id| (id as u16, counted)));
            }
        }
        if index == total || row.len() + ids.len() > ROW {
            row.resize(ROW, 3_u16);
            marks.resize(ROW, 0_u16);
            for (token, mark) in row.drain(..).zip(marks.drain(..)) {
                tokens.write_all(&token.to_le_bytes())?;
                documents.write_all(&mark.to_le_bytes())?;
            }
            rows += 1;
            in_row = 0;
        }
        ids.truncate(ROW);
        in_row += 1;
        for (id, counted) in ids {
            row.push(id);
            marks.push(2 * in_row + u16::from(counted));
        }
    }
    tokens.flush()?;
    documents.flush()?;
    Ok(rows)
}
