//! Attention of new rows over their own past, piece by piece in the order of positions.
//!
//! A row's result is one fixed sequence of operations on its keys: each score sums over dimensions in order, the
//! weights sum in lanes by position, the values add up position by position. Where the past is cut into pieces, which
//! rows are computed together and by which thread changes nothing.

#![expect(clippy::inline_always, reason = "the whole kernel has to be compiled with the wide instructions of its caller")]

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::cache::{Heads, LayerCache, PAGE, Piece};
use super::forest::Block;
use super::lanes;

/// Rows of queries that go over the keys together.
const TOGETHER: usize = 8;
/// Rows of a block that one task takes.
const TILE: usize = 32;

/// Rows of one block that see the same pieces.
struct Tile<'a> {
    pieces: &'a [Piece],
    /// Position of the first row.
    first: usize,
    rows: usize,
}

/// What a pass's new rows attend to.
pub(super) struct Attention<'a> {
    /// Sizes of heads.
    pub heads: Heads,
    /// `[rows, query heads · size]`, turned to their positions.
    pub queries: &'a [f32],
    /// Who sees what.
    pub blocks: &'a [Block],
    /// The keys and values, those of the new rows included.
    pub layer: &'a LayerCache<'a>,
    /// The only rows whose result is used; none where all are.
    pub wanted: Option<&'a [u32]>,
}

impl Attention<'_> {
    /// Attends every row; the result is laid out like the queries. Rows that are not wanted may stay zero.
    pub(super) fn run(&self, arch: Arch) -> Vec<f32> {
        let width = self.heads.queries * self.heads.size;
        let mut out = vec![0.0; self.queries.len()];
        let mut tasks = Vec::new();
        let (mut rest, mut rest_q) = (&mut out[..], self.queries);
        for block in self.blocks {
            for first in (0..block.rows).step_by(TILE) {
                let rows = TILE.min(block.rows - first);
                let (mine, others) = rest.split_at_mut(rows * width);
                let (mine_q, others_q) = rest_q.split_at(rows * width);
                (rest, rest_q) = (others, others_q);
                if self.uses(block.row + first, rows) {
                    tasks.push((Tile { pieces: &block.pieces, first: block.start + first, rows }, mine_q, mine));
                }
            }
        }
        tasks.into_par_iter().for_each_init(Scratch::default, |scratch, (tile, q, out)| {
            arch.dispatch(Attend { heads: self.heads, tile, q, out, layer: self.layer, scratch });
        });
        out
    }

    /// Whether any of the rows is wanted.
    fn uses(&self, first: usize, rows: usize) -> bool {
        self.wanted.is_none_or(|wanted| {
            let next = wanted.partition_point(|&row| (row as usize) < first);
            wanted.get(next).is_some_and(|&row| (row as usize) < first + rows)
        })
    }
}

/// Room for one task's intermediate results.
#[derive(Default)]
struct Scratch {
    /// `[dimension, row]`.
    queries: Vec<f32>,
    /// `[row, position]`.
    weights: Vec<f32>,
    /// `[row, dimension]`.
    sums: Vec<f32>,
}

/// The keys that a group of queries goes over.
#[derive(Clone, Copy)]
struct Reach {
    /// The key head.
    head: usize,
    /// Number of positions.
    keys: usize,
    /// Length of a row of weights.
    stride: usize,
}

/// One tile's attention.
struct Attend<'a, 'b> {
    heads: Heads,
    tile: Tile<'a>,
    q: &'a [f32],
    out: &'a mut [f32],
    layer: &'a LayerCache<'a>,
    scratch: &'b mut Scratch,
}

impl WithSimd for Attend<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let total = self.tile.rows * (self.heads.queries / self.heads.keys);
        for head in 0..self.heads.keys {
            let mut index = 0;
            while total - index > 4 {
                self.group::<S, TOGETHER>(simd, head, index);
                index += TOGETHER.min(total - index);
            }
            while index < total {
                self.group::<S, 4>(simd, head, index);
                index += 4.min(total - index);
            }
        }
    }
}

impl Attend<'_, '_> {
    /// Up to `R` pairs of a row and one of the query heads that share a key head, from pair `index` on.
    #[inline(always)]
    fn group<S: Simd, const R: usize>(&mut self, simd: S, head: usize, index: usize) {
        let Heads { queries, keys, size } = self.heads;
        let (share, width) = (queries / keys, queries * size);
        let count = R.min(self.tile.rows * share - index);
        let place = |r: usize| ((index + r) / share, head * share + (index + r) % share);
        let reach = self.tile.first + place(count - 1).0 + 1;
        // The last page of a piece is written whole.
        let stride = (reach + PAGE).next_multiple_of(PAGE);
        let span = Reach { head, keys: reach, stride };
        self.scratch.queries.clear();
        self.scratch.queries.resize(R * size, 0.0);
        for r in 0..count {
            let (row, query) = place(r);
            let source = &self.q[row * width + query * size..][..size];
            for (slots, &x) in self.scratch.queries.chunks_exact_mut(R).zip(source) {
                slots[r] = x;
            }
        }
        if self.scratch.weights.len() < R * stride {
            self.scratch.weights.resize(R * stride, 0.0);
        }
        self.scores::<S, R>(simd, span);
        let mut totals = [1.0; R];
        for (r, total) in totals.iter_mut().enumerate() {
            let seen = if r < count { self.tile.first + place(r).0 + 1 } else { 1 };
            let scale = 1.0 / (size as f32).sqrt();
            *total = lanes::weigh(&mut self.scratch.weights[r * stride..][..stride], seen, scale);
        }
        self.scratch.sums.resize(R * self.heads.padded(), 0.0);
        for quad in 0..R / 4 {
            self.values::<S>(simd, span, quad * 4);
        }
        for (r, total) in totals.iter().enumerate().take(count) {
            let (row, query) = place(r);
            let sums = &self.scratch.sums[r * self.heads.padded()..][..size];
            for (out, sum) in self.out[row * width + query * size..][..size].iter_mut().zip(sums) {
                *out = sum / total;
            }
        }
    }

    /// Scores of `R` queries on every key up to `reach`; what is written past a piece is overwritten by the next.
    #[inline(always)]
    fn scores<S: Simd, const R: usize>(&mut self, simd: S, span: Reach) {
        let Reach { head, keys: reach, stride } = span;
        let size = self.heads.size;
        let area = PAGE * self.heads.padded();
        let vectors = PAGE / S::F32_LANES;
        let (queries, _) = self.scratch.queries.as_chunks::<R>();
        let mut start = 0;
        for piece in self.tile.pieces {
            for (index, at) in (start..(start + piece.len).min(reach)).step_by(PAGE).enumerate() {
                let keys = &self.layer.keys(piece.page + index)[head * area..][..PAGE * size];
                let (keys, _) = S::as_simd_f32s(keys);
                for vector in 0..vectors {
                    let mut sums = [simd.splat_f32s(0.0); R];
                    for (query, keys) in queries.iter().zip(keys.chunks_exact(vectors)) {
                        for (sum, &q) in sums.iter_mut().zip(query) {
                            *sum = simd.mul_add_f32s(simd.splat_f32s(q), keys[vector], *sum);
                        }
                    }
                    for (r, &sum) in sums.iter().enumerate() {
                        let row = &mut self.scratch.weights[r * stride + at..][..PAGE];
                        S::as_mut_simd_f32s(row).0[vector] = sum;
                    }
                }
            }
            start += piece.len;
            if start >= reach {
                break;
            }
        }
    }

    /// Weighted sums of values for four rows of weights from row `r` on.
    #[inline(always)]
    fn values<S: Simd>(&mut self, simd: S, span: Reach, r: usize) {
        let vectors = self.heads.padded() / S::F32_LANES;
        let mut vector = 0;
        while vector + 4 <= vectors {
            self.columns::<S, 4>(simd, span, r, vector);
            vector += 4;
        }
        while vector < vectors {
            self.columns::<S, 1>(simd, span, r, vector);
            vector += 1;
        }
    }

    /// `W` vectors of dimensions of [`Self::values`], from the given vector on.
    #[inline(always)]
    fn columns<S: Simd, const W: usize>(&mut self, simd: S, span: Reach, r: usize, vector: usize) {
        let Reach { head, keys: reach, stride } = span;
        let padded = self.heads.padded();
        let [w0, w1, w2, w3] = [0, 1, 2, 3].map(|i| &self.scratch.weights[(r + i) * stride..][..reach]);
        let mut sums = [[simd.splat_f32s(0.0); W]; 4];
        let mut start = 0;
        for piece in self.tile.pieces {
            let end = (start + piece.len).min(reach);
            for (index, at) in (start..end).step_by(PAGE).enumerate() {
                let until = end.min(at + PAGE);
                let rows = &self.layer.values(piece.page + index)[head * PAGE * padded..][..(until - at) * padded];
                let weights = w0[at..until].iter().zip(&w1[at..until]).zip(w2[at..until].iter().zip(&w3[at..until]));
                for (row, ((&a, &b), (&c, &d))) in rows.chunks_exact(padded).zip(weights) {
                    let row = &S::as_simd_f32s(row).0[vector..vector + W];
                    for (sums, weight) in sums.iter_mut().zip([a, b, c, d]) {
                        let weight = simd.splat_f32s(weight);
                        for (sum, &value) in sums.iter_mut().zip(row) {
                            *sum = simd.mul_add_f32s(weight, value, *sum);
                        }
                    }
                }
            }
            start = end;
            if start >= reach {
                break;
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            let row = &mut self.scratch.sums[(r + i) * padded..][..padded];
            S::as_mut_simd_f32s(row).0[vector..vector + W].copy_from_slice(sums);
        }
    }
}
