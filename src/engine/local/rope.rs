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
    /// Radians a position of each of the `half` pairs.
    frequencies: Vec<f32>,
    magnitude: f32,
    /// Blocks of `[position, 2, half]`: the cosines of a position, then its sines, both times the magnitude.
    blocks: Vec<OnceLock<Vec<f32>>>,
}

impl Rope {
    /// The angles `position · frequency` are rounded to f32 as the models' own code does; cosines and sines are of that
    /// rounded angle.
    pub(super) fn new(shape: &Shape, context: usize) -> Self {
        let blocks = (0..context.div_ceil(BLOCK)).map(|_| OnceLock::new()).collect();
        let (order, half, magnitude) = (shape.order, shape.size / 2, shape.magnitude);
        Self { order, half, frequencies: shape.frequencies.clone(), magnitude, blocks }
    }

    /// The angles of a block of positions.
    fn block(&self, block: usize) -> &[f32] {
        self.blocks[block].get_or_init(|| {
            let mut table = Vec::with_capacity(BLOCK * self.half * 2);
            for position in block * BLOCK..(block + 1) * BLOCK {
                let angles = || self.frequencies.iter().map(|f| f64::from(position as f32 * f));
                table.extend(angles().map(|a| a.cos() as f32 * self.magnitude));
                table.extend(angles().map(|a| a.sin() as f32 * self.magnitude));
            }
            table
        })
    }

    /// The cosines of a position, then its sines.
    #[inline(always)]
    pub(super) fn angles(&self, position: usize) -> (&[f32], &[f32]) {
        let half = self.half;
        self.block(position / BLOCK)[position % BLOCK * 2 * half..][..2 * half].split_at(half)
    }

    /// Turns one head by [`Self::angles`]; what is behind the turning part stays.
    #[inline(always)]
    pub(super) fn turn(&self, (cos, sin): (&[f32], &[f32]), head: &mut [f32]) {
        let half = self.half;
        let head = &mut head[..2 * half];
        match self.order {
            RopeOrder::Half => {
                let (x, y) = head.split_at_mut(half);
                for ((x, y), (&c, &s)) in x.iter_mut().zip(y).zip(cos.iter().zip(sin)) {
                    (*x, *y) = (*x * c - *y * s, *y * c + *x * s);
                }
            }
            RopeOrder::Interleaved => {
                let (pairs, _) = head.as_chunks_mut::<2>();
                for ([x, y], (&c, &s)) in pairs.iter_mut().zip(cos.iter().zip(sin)) {
                    (*x, *y) = (*x * c - *y * s, *y * c + *x * s);
                }
            }
        }
    }
}
