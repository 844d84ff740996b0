//! ggml's quantization of rows, byte for byte what llama.cpp writes: the same searches, in the same order of f32 operations.

#![expect(clippy::float_cmp, reason = "what equals what decides which bytes ggml writes")]
#![expect(clippy::needless_bitwise_bool, reason = "lanes are compared without branches")]
#![expect(clippy::inline_always, reason = "loops over lanes become vector instructions only where they are used")]

mod affine;
mod affine_k;
mod lanes;
mod legacy;
mod symmetric;
mod symmetric_k;

use half::f16;
use rayon::prelude::*;

use super::TensorType;
use affine::Grids;
use lanes::Tile;

/// Weights of a super-block.
const SUPER: usize = 256;

/// Weights that one task quantizes at a time.
const SLICE: usize = 1 << 16;

/// The grids that are tried where importances are known; `top` is the type's.
const IMPORTANT: Grids = Grids { top: 0, first: -0.9, stride: 0.05, tries: 36, absolute: false };

/// The blocks of a matrix's rows, or of several matrices' that lie one after another (experts), byte for byte what
/// `llama-quantize` writes.
///
/// `importance`, a positive number for each column and matrix, says how much an error there costs; without it each type has
/// guesses of its own. Rows are quantized in parallel; how many threads there are changes nothing.
///
/// Source: `ggml_quantize_chunk` of ggml (`ggml-quants.c`), as compiled for the x86-64 baseline: no product is fused with a sum.
///
/// # Panics
/// For a type that isn't made of blocks, where rows are no whole blocks, and where importances are no whole rows.
#[must_use]
pub fn quantize_rows(kind: TensorType, values: &[f32], columns: usize, importance: Option<&[f32]>) -> Vec<u8> {
    let rows = values.len() / columns;
    assert_eq!(rows * columns, values.len(), "whole rows");
    let read = |row: usize, out: &mut [f32]| out.copy_from_slice(&values[row * columns..(row + 1) * columns]);
    quantize_read(kind, (rows, columns), importance, read)
}

/// As [`quantize_rows`], for rows that `read` writes where it is told to, each just before it is quantized.
pub(super) fn quantize_read(
    kind: TensorType,
    (rows, columns): (usize, usize),
    importance: Option<&[f32]>,
    read: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<u8> {
    let (weights, size) = kind.block().expect("a type of blocks");
    let bytes = columns / weights as usize * size as usize;
    let matrices = importance.map_or(1, |importance| importance.len() / columns);
    assert!(rows.is_multiple_of(matrices.max(1)), "whole matrices");
    let task = (SLICE / columns).max(1);
    let mut out = vec![0; rows * bytes];
    out.par_chunks_mut(task * bytes).enumerate().for_each(|(index, out)| {
        let mut blocks = Vec::with_capacity(out.len());
        let mut values = vec![0.0; columns];
        for row in (index * task..rows).take(task) {
            read(row, &mut values);
            let matrix = row * matrices / rows;
            quantize_row(kind, &values, importance.map(|all| &all[matrix * columns..][..columns]), &mut blocks);
        }
        out.copy_from_slice(&blocks);
    });
    out
}

/// Whether every scale of some blocks is a number: values too great for half precision make others.
pub(super) fn finite(kind: TensorType, blocks: &[u8]) -> bool {
    let (_, size) = kind.block().expect("a type of blocks");
    let scales: &[usize] = match kind {
        TensorType::Q4_1 | TensorType::Q5_1 | TensorType::Q4_K | TensorType::Q5_K => &[0, 2],
        TensorType::Q2_K => &[80, 82],
        TensorType::Q3_K => &[108],
        TensorType::Q6_K => &[208],
        _ => &[0],
    };
    let scale = |block: &[u8], at: usize| f16::from_le_bytes([block[at], block[at + 1]]);
    blocks.chunks_exact(size as usize).all(|block| scales.iter().all(|&at| scale(block, at).is_finite()))
}

/// Appends a row's blocks to `out`.
fn quantize_row(kind: TensorType, row: &[f32], importance: Option<&[f32]>, out: &mut Vec<u8>) {
    assert!(importance.is_none_or(|importance| importance.len() == row.len()), "an importance for every weight");
    match (kind, importance) {
        (TensorType::Q8_0, _) => legacy::bytes(row, out),
        (TensorType::Q4_0, None) => legacy::symmetric(row, 4, out),
        (TensorType::Q4_0, Some(importance)) => legacy::symmetric_by(row, importance, 4, out),
        (TensorType::Q5_0, None) => legacy::symmetric(row, 5, out),
        (TensorType::Q5_0, Some(importance)) => legacy::symmetric_by(row, importance, 5, out),
        (TensorType::Q4_1, None) => legacy::affine(row, 4, out),
        (TensorType::Q4_1, Some(importance)) => legacy::affine_by(row, importance, 4, out),
        (TensorType::Q5_1, None) => legacy::affine(row, 5, out),
        (TensorType::Q5_1, Some(importance)) => legacy::affine_by(row, importance, 5, out),
        (TensorType::Q2_K, importance) => affine_k::q2(row, importance, out),
        (TensorType::Q3_K, importance) => symmetric_k::q3(row, importance, out),
        (TensorType::Q4_K, importance) => affine_k::q4(row, importance, out),
        (TensorType::Q5_K, importance) => affine_k::q5(row, importance, out),
        (TensorType::Q6_K, importance) => symmetric_k::q6(row, importance, out),
        (kind, _) => panic!("{kind} is no type of blocks that files are quantized to"),
    }
}

/// What errors cost: the importance of a weight's column, times the root of its own square and the mean of its neighbours'.
fn weighed<const N: usize, const K: usize>(x: &Tile<N, K>, importance: &Tile<N, K>, variance: f32) -> Tile<N, K> {
    let mut w = *importance;
    for (w, x) in w.iter_mut().zip(x) {
        for (w, x) in w.iter_mut().zip(x) {
            *w *= (variance + x * x).sqrt();
        }
    }
    w
}

/// Levels of two bits, four to a byte: of each 128 weights those 32 apart.
fn push_quarters(out: &mut Vec<u8>, levels: &[u8; SUPER]) {
    for half in levels.as_chunks::<128>().0 {
        let byte = |i: usize| half[i] | half[i + 32] << 2 | half[i + 64] << 4 | half[i + 96] << 6;
        out.extend((0..32).map(byte));
    }
}
