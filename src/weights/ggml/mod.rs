//! ggml's quantization of rows, byte for byte what llama.cpp writes: the same searches, in the same order of f32 operations.

mod affine;
mod affine_k;
mod lanes;
mod legacy;
mod symmetric;
mod symmetric_k;

use super::TensorType;
use affine::Grids;
use lanes::Tile;

/// Weights of a super-block.
const SUPER: usize = 256;

/// The grids that are tried where importances are known; `top` is the type's.
const IMPORTANT: Grids = Grids { top: 0, first: -0.9, stride: 0.05, tries: 36, absolute: false };

/// Appends a row's blocks to `out`. `importance`, one number above or equal to zero a weight, says how much an error there costs.
///
/// Source: `ggml_quantize_chunk` of ggml (`ggml-quants.c`), as compiled for the x86-64 baseline: no product is fused with a sum.
///
/// # Panics
/// For a type that isn't one of blocks or is made of activations only, and where the row is no whole number of blocks.
pub(super) fn quantize_row(kind: TensorType, row: &[f32], importance: Option<&[f32]>, out: &mut Vec<u8>) {
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
