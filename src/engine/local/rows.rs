//! The element-wise parts of a pass: rows of states dealt out to threads, each row on its own.

use pulp::Arch;
use rayon::prelude::*;

use super::lanes::{self, vectorized};
use crate::weights::Activation;

/// Rows that one task takes.
pub(super) const ROWS: usize = 32;

/// RMS norm of every row; a row is as long as the weight.
pub(super) fn normed(arch: Arch, x: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let width = weight.len();
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(ROWS * width).zip(x.par_chunks(ROWS * width)).for_each(|(out, x)| {
        vectorized(
            arch,
            #[inline(always)]
            || {
                for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                    lanes::rms_norm(x, weight, epsilon, out);
                }
            },
        );
    });
    out
}

/// Adds `y` to `x`, or the RMS norm of its rows where there is a weight for it.
pub(super) fn add(arch: Arch, x: &mut [f32], y: &[f32], norm: Option<(&[f32], f32)>) {
    let width = norm.map_or(256, |(weight, _)| weight.len());
    x.par_chunks_mut(ROWS * width).zip(y.par_chunks(ROWS * width)).for_each(|(x, y)| {
        vectorized(
            arch,
            #[inline(always)]
            || {
                let Some((weight, epsilon)) = norm else { return lanes::add(x, y) };
                for (x, y) in x.chunks_exact_mut(width).zip(y.chunks_exact(width)) {
                    lanes::add_rms_norm(x, y, weight, epsilon);
                }
            },
        );
    });
}

/// `activation(gate) · up` of every row of a gate and an up part side by side, each `width` long.
pub(super) fn gated(arch: Arch, activation: Activation, gate_up: &[f32], width: usize) -> Vec<f32> {
    let mut out = vec![0.0; gate_up.len() / 2];
    out.par_chunks_mut(ROWS * width).zip(gate_up.par_chunks(ROWS * 2 * width)).for_each(|(out, gate_up)| {
        vectorized(
            arch,
            #[inline(always)]
            || {
                for (out, gate_up) in out.chunks_exact_mut(width).zip(gate_up.chunks_exact(2 * width)) {
                    lanes::gated(activation, gate_up, out);
                }
            },
        );
    });
    out
}

/// `x = cap · tanh(x / cap)` of every number.
pub(super) fn cap(arch: Arch, x: &mut [f32], cap: f32) {
    x.par_chunks_mut(1 << 14).for_each(|x| {
        vectorized(
            arch,
            #[inline(always)]
            || lanes::cap(x, cap, 1.0),
        );
    });
}

/// The rows with these numbers, in their order.
pub(super) fn gather(table: &[f32], rows: &[u32], width: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows.len() * width);
    for &row in rows {
        out.extend_from_slice(&table[row as usize * width..][..width]);
    }
    out
}
