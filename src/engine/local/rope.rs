//! Rotary positions: cosines and sines for every position of the context, and the turning of one head.

#![expect(clippy::inline_always, reason = "the whole kernel has to be compiled with the wide instructions of its caller")]

use crate::weights::RopeOrder;

/// The angles of every position.
pub(super) struct Rope {
    order: RopeOrder,
    half: usize,
    /// `[position, 2, half]`: the cosines of a position, then its sines.
    table: Vec<f32>,
}

impl Rope {
    /// Angles `position · base^(−2i/head_size)`; frequencies and products are rounded to f32 as the models' own code
    /// does, the cosines and sines are of that rounded angle.
    pub(super) fn new(order: RopeOrder, head_size: usize, base: f32, context: usize) -> Self {
        let half = head_size / 2;
        let step = |i: usize| f64::from(base).powf(2.0 * i as f64 / head_size as f64) as f32;
        let frequencies: Vec<f32> = (0..half).map(|i| 1.0 / step(i)).collect();
        let mut table = Vec::with_capacity(context * half * 2);
        for position in 0..context {
            let angles = || frequencies.iter().map(|f| f64::from(position as f32 * f));
            table.extend(angles().map(|a| a.cos() as f32));
            table.extend(angles().map(|a| a.sin() as f32));
        }
        Self { order, half, table }
    }

    /// Turns one head (`head_size` long) from `source` into `out`.
    #[inline(always)]
    pub(super) fn turn(&self, position: usize, source: &[f32], out: &mut [f32]) {
        let half = self.half;
        let (cos, sin) = self.table[position * 2 * half..(position + 1) * 2 * half].split_at(half);
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
