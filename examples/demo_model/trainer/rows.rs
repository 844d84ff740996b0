//! Packed rows of the corpus, and the batches that are made of them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};

pub(super) use crate::corpus::ROW;

use super::Error;

/// The corpus in memory: tokens and their marks, see [`crate::corpus`] for the format.
pub(super) struct Corpus {
    tokens: Vec<u16>,
    marks: Vec<u16>,
}

/// Rows ready for one step.
pub(super) struct Batch {
    /// Number of rows.
    pub(super) rows: usize,
    /// All tokens, row after row: u32, `[rows * ROW]`.
    pub(super) tokens: Tensor,
    /// For every position, the first position of its row that it may attend to: the start of its example.
    pub(super) starts: Arc<Vec<u32>>,
    /// Positions whose next token counts, as indices into `tokens`: u32, `[n]`.
    pub(super) counted: Tensor,
    /// Those next tokens: u32, `[n]`.
    pub(super) targets: Tensor,
}

impl Corpus {
    /// Reads both files of a corpus folder.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let (tokens, marks) = (numbers(&folder.join("tokens.u16"))?, numbers(&folder.join("documents.u16"))?);
        if tokens.len() != marks.len() || tokens.len() % ROW != 0 {
            return Err(format!("{}: tokens.u16 and documents.u16 are not of one corpus", folder.display()).into());
        }
        Ok(Self { tokens, marks })
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.tokens.len() / ROW
    }

    /// The rows of a step, in the order of the corpus; past the end they start over.
    pub(super) fn batch(&self, step: usize, rows: usize) -> Result<Batch, Error> {
        let first = step * rows % (self.rows() - rows).max(1);
        let range = first * ROW..(first + rows) * ROW;
        let (tokens, marks) = (&self.tokens[range.clone()], &self.marks[range]);
        let (mut starts, mut counted, mut targets) = (Vec::with_capacity(rows * ROW), Vec::new(), Vec::new());
        for index in 0..rows * ROW {
            let (position, example) = (index % ROW, marks[index] / 2);
            let continues = position > 0 && marks[index - 1] / 2 == example;
            starts.push(if continues { starts[index - 1] } else { position as u32 });
            if continues && marks[index] % 2 == 1 {
                counted.push(index as u32 - 1);
                targets.push(u32::from(tokens[index]));
            }
        }
        let tokens: Vec<u32> = tokens.iter().map(|&token| u32::from(token)).collect();
        Ok(Batch {
            rows,
            tokens: Tensor::new(tokens, &Device::Cpu)?,
            starts: Arc::new(starts),
            counted: Tensor::new(counted, &Device::Cpu)?,
            targets: Tensor::new(targets, &Device::Cpu)?,
        })
    }
}

/// Little-endian 16-bit numbers of a file.
fn numbers(path: &Path) -> Result<Vec<u16>, Error> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}; make it with the verb `corpus`", path.display()))?;
    Ok(bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
}
