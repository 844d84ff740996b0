//! Attention of new rows over their own past, piece by piece in the order of positions.
//!
//! A row's result is one fixed sequence of operations on its keys: each score sums over dimensions in order, the
//! weights sum in lanes by position from the first one that it sees, the values add up position by position. Where the past is cut into pieces, which
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

/// How a layer's scores come about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// What products of queries and keys are multiplied with.
    pub scale: f32,
    /// Scores become `cap · tanh(score / cap)`.
    pub cap: Option<f32>,
    /// How many positions a row sees at most, itself included.
    pub window: Option<usize>,
}

impl Sight {
    /// The first position that a row sees.
    pub(super) fn first(self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }
}

/// What a pass's new rows attend to.
pub(super) struct Attention<'a> {
    /// Sizes of heads.
    pub heads: Heads,
    /// The layer's scores.
    pub sight: Sight,
    /// Rows that begin with their queries, turned to their positions, and the length of a row.
    pub rows: (&'a [f32], usize),
    /// Who sees what.
    pub blocks: &'a [Block],
    /// The keys and values, those of the new rows included.
    pub layer: &'a LayerCache<'a>,
    /// The only rows whose result is used; none where all are.
    pub wanted: Option<&'a [u32]>,
}

impl Attention<'_> {
    /// Attends every row: `[rows, query heads · size]`. Rows that are not wanted may stay zero.
    pub(super) fn run(&self, arch: Arch) -> Vec<f32> {
        let (width, row) = (self.heads.queries * self.heads.size, self.rows.1);
        let mut out = vec![0.0; self.rows.0.len() / row * width];
        let mut tasks = Vec::new();
        let (mut rest, mut rest_q) = (&mut out[..], self.rows.0);
        for block in self.blocks {
            for first in (0..block.rows).step_by(TILE) {
                let rows = TILE.min(block.rows - first);
                let (mine, others) = rest.split_at_mut(rows * width);
                let (mine_q, others_q) = rest_q.split_at(rows * row);
                (rest, rest_q) = (others, others_q);
                if self.uses(block.row + first, rows) {
                    tasks.push((Tile { pieces: &block.pieces, first: block.start + first, rows }, mine_q, mine));
                }
            }
        }
        tasks.into_par_iter().for_each_init(Scratch::default, |scratch, (tile, q, out)| {
            let (heads, sight, layer) = (self.heads, self.sight, self.layer);
            arch.dispatch(Attend { heads, sight, tile, q: (q, row), out, layer, scratch });
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
    /// The first position that any of them sees.
    first: usize,
    /// Behind the last position.
    end: usize,
    /// The positions that all of them see.
    common: (usize, usize),
    /// The position that a row of weights begins with: so far before the first that its page has room.
    base: usize,
    /// Length of a row of weights.
    stride: usize,
}

/// One tile's attention.
struct Attend<'a, 'b> {
    heads: Heads,
    sight: Sight,
    tile: Tile<'a>,
    /// As [`Attention::rows`].
    q: (&'a [f32], usize),
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
        let first = self.sight.first(self.tile.first + place(0).0);
        let end = self.tile.first + place(count - 1).0 + 1;
        let common = (self.sight.first(end - 1), self.tile.first + place(0).0 + 1);
        let base = first.saturating_sub(PAGE - 1);
        // The last page of a piece is written whole.
        let stride = (end - base + PAGE).next_multiple_of(PAGE);
        let span = Reach { head, first, end, common, base, stride };
        self.scratch.queries.clear();
        self.scratch.queries.resize(R * size, 0.0);
        for r in 0..count {
            let (row, query) = place(r);
            let source = &self.q.0[row * self.q.1 + query * size..][..size];
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
            let position = if r < count { self.tile.first + place(r).0 } else { first };
            *total = self.weigh(span, r, position);
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

    /// Turns row `r` of scores into the weights of a row at a position, unnormalized, and returns their sum.
    ///
    /// Lanes begin with the first position that the row sees, whatever its neighbours see.
    #[inline(always)]
    fn weigh(&mut self, span: Reach, r: usize, position: usize) -> f32 {
        let row = &mut self.scratch.weights[r * span.stride..][..span.stride];
        let first = self.sight.first(position).max(span.first);
        row[span.first - span.base..first - span.base].fill(0.0);
        let (row, seen) = (&mut row[first - span.base..], position + 1 - first);
        let Some(cap) = self.sight.cap else { return lanes::weigh(row, seen, self.sight.scale) };
        lanes::cap(&mut row[..seen], cap, self.sight.scale);
        lanes::weigh(row, seen, 1.0)
    }

    /// Scores of `R` queries on every key of `span`; what is written past a piece is overwritten by the next.
    #[inline(always)]
    fn scores<S: Simd, const R: usize>(&mut self, simd: S, span: Reach) {
        let Reach { head, first, end: reach, base, stride, .. } = span;
        let size = self.heads.size;
        let area = PAGE * self.heads.padded();
        let vectors = PAGE / S::F32_LANES;
        let (queries, _) = self.scratch.queries.as_chunks::<R>();
        let mut start = 0;
        for piece in self.tile.pieces {
            let end = (start + piece.len).min(reach);
            let before = if end > first { first.saturating_sub(start) / PAGE } else { usize::MAX };
            for (index, at) in (start..end).step_by(PAGE).enumerate().skip(before) {
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
                        let row = &mut self.scratch.weights[r * stride + at - base..][..PAGE];
                        S::as_mut_simd_f32s(row).0[vector] = sum;
                    }
                }
            }
            start = end;
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
        let Reach { head, first, end: reach, common, base, stride } = span;
        let padded = self.heads.padded();
        let [w0, w1, w2, w3] = [0, 1, 2, 3].map(|i| &self.scratch.weights[(r + i) * stride..][..reach - base]);
        let mut sums = [[simd.splat_f32s(0.0); W]; 4];
        let mut start = 0;
        for piece in self.tile.pieces {
            let end = (start + piece.len).min(reach);
            let before = if end > first { first.saturating_sub(start) / PAGE } else { usize::MAX };
            for (index, at) in (start..end).step_by(PAGE).enumerate().skip(before) {
                let (from, until) = (at.max(first), end.min(at + PAGE));
                let rows = &self.layer.values(piece.page + index)[(head * PAGE + from - at) * padded..];
                let rows = &rows[..(until - from) * padded];
                let partly = from < common.0 || until > common.1;
                let (at, until) = (from - base, until - base);
                let weights = w0[at..until].iter().zip(&w1[at..until]).zip(w2[at..until].iter().zip(&w3[at..until]));
                for (row, ((&a, &b), (&c, &d))) in rows.chunks_exact(padded).zip(weights) {
                    let row = &S::as_simd_f32s(row).0[vector..vector + W];
                    for (sums, weight) in sums.iter_mut().zip([a, b, c, d]) {
                        // Zero times an infinity of a position that the row doesn't see would reach it.
                        if partly && weight == 0.0 {
                            continue;
                        }
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

#[cfg(test)]
mod tests {
    use super::super::cache::{Cache, Write};
    use super::*;

    #[test]
    fn values_that_a_row_does_not_see_leave_it_as_it_is_whatever_they_are() {
        let heads = Heads { queries: 1, keys: 1, size: 16 };
        for broken in [f32::INFINITY, f32::NAN] {
            let mut cache = Cache::new(heads, 1, 1);
            let mut layer = cache.layer(0);
            let mut pages = layer.open(&[Write { page: 0, lane: 0, row: 0, count: 3 }]);
            for (values, value) in pages[0].values.chunks_exact_mut(16).zip([broken, 1.0, 3.0, broken]) {
                values.fill(value);
            }
            drop(pages);
            let blocks = [Block { row: 0, rows: 3, start: 1, pieces: vec![Piece { page: 0, len: 4 }] }];
            let sight = Sight { scale: 1.0, cap: None, window: Some(2) };
            let rows = (&[0.0; 48][..], 16);
            let out = Attention { heads, sight, rows, blocks: &blocks, layer: &layer, wanted: None }.run(Arch::new());
            assert!(out[..16].iter().all(|x| !x.is_finite()), "position 1 sees position 0");
            assert_eq!(out[16..32], [2.0; 16], "position 2 sees two whole ones");
            assert!(out[32..].iter().all(|x| !x.is_finite()), "position 3 sees itself");
        }
    }
}
