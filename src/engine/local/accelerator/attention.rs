//! Attention on a device: block by block, every row of a block over the keys that the block sees.

use std::ops::Range;

use candle_core::{D, Result as Computed, Tensor};

use crate::engine::local::attention::Sight;
use crate::engine::local::cache::Piece;
use crate::engine::local::forest::Block;

/// Attends every row of `[rows, query heads, size]`; the result is `[rows, query heads · size]`. `read` gives the keys and
/// values of some positions, each `[positions, key heads, size]`.
pub(super) fn attend(
    sight: Sight,
    q: &Tensor,
    blocks: &[Block],
    read: impl Fn(&[Piece], Range<usize>) -> Computed<[Tensor; 2]>,
) -> Computed<Tensor> {
    let mut parts = Vec::with_capacity(blocks.len());
    for block in blocks {
        let seen = sight.first(block.start)..block.start + block.rows;
        let [k, v] = read(&block.pieces, seen.clone())?;
        parts.push(attend_block(sight, &q.narrow(0, block.row, block.rows)?, (block.start, seen), &k, &v)?);
    }
    Tensor::cat(&parts, 0)
}

/// One block, whose first row is at a position.
fn attend_block(sight: Sight, q: &Tensor, (start, seen): (usize, Range<usize>), k: &Tensor, v: &Tensor) -> Computed<Tensor> {
    let (rows, queries, size) = q.dims3()?;
    let (keys, share) = (k.dim(1)?, queries / k.dim(1)?);
    let q = q.reshape((rows, keys, share, size))?.permute((1, 2, 0, 3))?.contiguous()?.reshape((keys, share * rows, size))?;
    let scores = q.matmul(&k.permute((1, 2, 0))?.contiguous()?)?.affine(f64::from(sight.scale), 0.0)?;
    let mut scores = capped(&scores, sight.cap)?;
    if rows > 1 {
        let hidden = |row: usize, position: usize| position > start + row || position < sight.first(start + row);
        let mask = (0..rows).flat_map(|row| seen.clone().map(move |position| (row, position)));
        let mask: Vec<f32> = mask.map(|(row, position)| if hidden(row, position) { f32::NEG_INFINITY } else { 0.0 }).collect();
        let mask = Tensor::from_vec(mask, (rows, seen.len()), q.device())?;
        scores =
            scores.reshape((keys, share, rows, seen.len()))?.broadcast_add(&mask)?.reshape((keys, share * rows, seen.len()))?;
    }
    let weights = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
    let mixed = weights.matmul(&v.transpose(0, 1)?.contiguous()?)?;
    mixed.reshape((keys, share, rows, size))?.permute((2, 0, 1, 3))?.contiguous()?.reshape((rows, queries * size))
}

/// `cap · tanh(x / cap)`.
pub(super) fn capped(x: &Tensor, cap: Option<f32>) -> Computed<Tensor> {
    let Some(cap) = cap.map(f64::from) else { return Ok(x.clone()) };
    x.affine(1.0 / cap, 0.0)?.tanh()?.affine(cap, 0.0)
}
