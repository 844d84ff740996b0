//! Rotary positions: cosines and sines for every position of the context, and the turning of one head.

#![expect(clippy::inline_always, reason = "the whole kernel has to be compiled with the wide instructions of its caller")]

use std::sync::OnceLock;

use crate::weights::{Rope as Shape, RopeOrder};

/// Positions of one block of angles: a context of a million costs nothing until a text is that long.
const BLOCK: usize = 4096;

/// The angles of every position, computed when first needed.
pub(super) struct Rope {
    order: RopeOrder,
    half: usize,
    /// `head_size / 2` of them.
    frequencies: Vec<f32>,
    /// Blocks of `[position, 2, half]`: the cosines of a position, then its sines.
    blocks: Vec<OnceLock<Vec<f32>>>,
}

impl Rope {
    /// The angles `position · frequency` are rounded to f32 as the models' own code does; cosines and sines are of that
    /// rounded angle.
    pub(super) fn new(shape: &Shape, context: usize) -> Self {
        let blocks = (0..context.div_ceil(BLOCK)).map(|_| OnceLock::new()).collect();
        Self { order: shape.order, half: shape.size / 2, frequencies: shape.frequencies.clone(), blocks }
    }

    /// The angles of a block of positions.
    fn block(&self, block: usize) -> &[f32] {
        self.blocks[block].get_or_init(|| {
            let mut table = Vec::with_capacity(BLOCK * self.half * 2);
            for position in block * BLOCK..(block + 1) * BLOCK {
                let angles = || self.frequencies.iter().map(|f| f64::from(position as f32 * f));
                table.extend(angles().map(|a| a.cos() as f32));
                table.extend(angles().map(|a| a.sin() as f32));
            }
            table
        })
    }

    /// Turns one head (`head_size` long) from `source` into `out`.
    #[inline(always)]
    pub(super) fn turn(&self, position: usize, source: &[f32], out: &mut [f32]) {
        let half = self.half;
        let (cos, sin) = self.block(position / BLOCK)[position % BLOCK * 2 * half..][..2 * half].split_at(half);
        match self.order {
            RopeOrder::Half => {
                let (a, b) = source.split_at(half);
                let (x, y) = out.split_at_mut(half);
                let pairs = a.iter().zip(b).zip(cos.iter().zip(sin));
                for ((x, y), ((&a, &b), (&c, &s))) in x.iter_mut().zip(y).zip(pairs) {
                    *x = a * c - b * s;
                    *y = b * c + a * s;
                }
            }
            RopeOrder::Interleaved => {
                let (pairs, _) = source.as_chunks::<2>();
                let (turned, _) = out.as_chunks_mut::<2>();
                for ((out, &[a, b]), (&c, &s)) in turned.iter_mut().zip(pairs).zip(cos.iter().zip(sin)) {
                    *out = [a * c - b * s, b * c + a * s];
                }
            }
        }
    }
}
