//! Activations rounded to 8 bits, row by row, as ggml's x86 code rounds them.

#![expect(clippy::inline_always, reason = "the whole of it has to be compiled with the wide instructions of its caller")]

use half::f16;
use pulp::Arch;
use rayon::prelude::*;

use super::super::lanes::vectorized;
use super::form::Form;

/// Adding it leaves the nearest integer, ties to even, in the low bits of the sum.
const SHIFTER: f32 = 12_582_912.0;

/// Rows that one task rounds.
const SHARE: usize = 16;

/// Rounded rows.
///
/// Blocks of 32 are ggml's `Q8_0` and `Q8_1`: d = max|x| / 127 as f16, q = x · (127 / max|x|) to the nearest, ties to even,
/// s = d · Σq as f16 with d before its rounding. Blocks of 256 are its `Q8_K`: q = x · (−127 / x of the largest
/// magnitude) likewise, d = 1 / that factor in f32. A block with a value that is no number has such a scale, so that its
/// products are none either. (ggml's portable code rounds ties of `Q8_0` away from zero; what is
/// deployed on x86 does not.)
#[derive(Debug)]
pub(in crate::engine::local) struct Rows {
    pub(super) inputs: usize,
    pub(super) block: usize,
    /// `[rows, inputs]`.
    pub(super) q: Vec<i8>,
    /// `[rows, blocks]`: scales.
    pub(super) d: Vec<f32>,
    /// `[rows, blocks]`: what multiplies an f16 least value; blocks of 32 only.
    pub(super) s: Vec<f32>,
    /// `[rows, inputs / 16]`: Σq.
    pub(super) sums_16: Vec<i16>,
    /// `[rows, inputs / 32]`: Σq.
    pub(super) sums_32: Vec<i16>,
}

impl Rows {
    /// Rounds `[rows, inputs]` for weights of this format.
    pub(super) fn new(form: &Form, x: &[f32], inputs: usize) -> Self {
        let (block, rows) = (form.block, x.len() / inputs);
        let mut this = Self {
            inputs,
            block,
            q: vec![0; x.len()],
            d: vec![0.0; x.len() / block],
            s: vec![0.0; x.len() / block],
            sums_16: vec![0; x.len() / 16],
            sums_32: vec![0; x.len() / 32],
        };
        let arch = Arch::new();
        let work = |part: Part<'_>| {
            vectorized(
                arch,
                #[inline(always)]
                || some(block, part),
            );
        };
        let share = SHARE * inputs;
        let sums = this.sums_16.par_chunks_mut(share / 16).zip(this.sums_32.par_chunks_mut(share / 32));
        let scales = this.d.par_chunks_mut(share / block).zip(this.s.par_chunks_mut(share / block));
        let parts = x.par_chunks(share).zip(this.q.par_chunks_mut(share)).zip(scales).zip(sums);
        let parts = parts.map(|(((x, q), (d, s)), sums)| ((((x, q), d), s), sums));
        if rows > SHARE {
            parts.for_each(work);
        } else {
            let sums = (&mut this.sums_16[..], &mut this.sums_32[..]);
            work(((((x, &mut this.q[..]), &mut this.d[..]), &mut this.s[..]), sums));
        }
        this
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.q.len() / self.inputs
    }
}

/// Some rows: values, integers, scales, sums.
type Part<'a> = ((((&'a [f32], &'a mut [i8]), &'a mut [f32]), &'a mut [f32]), (&'a mut [i16], &'a mut [i16]));

/// Rounds some rows.
#[inline(always)]
fn some(block: usize, ((((x, q), d), s), (sixteens, sums)): Part<'_>) {
    for ((x, q), (d, s)) in x.chunks_exact(block).zip(q.chunks_exact_mut(block)).zip(d.iter_mut().zip(s)) {
        (*d, *s) = if block == 32 { legacy(x, q) } else { (super_block(x, q), 0.0) };
    }
    for (sum, q) in sixteens.iter_mut().zip(q.as_chunks::<16>().0) {
        *sum = q.iter().map(|&q| i16::from(q)).sum();
    }
    for (sum, two) in sums.iter_mut().zip(sixteens.as_chunks::<2>().0) {
        *sum = two[0] + two[1];
    }
}

/// The largest magnitude; not a number where one isn't.
#[inline(always)]
fn largest(x: &[f32]) -> f32 {
    // Without their signs, floats are ordered as their bits are, and what is no number is above infinity.
    let mut lanes = [0_u32; 16];
    for x in x.as_chunks::<16>().0 {
        for (lane, x) in lanes.iter_mut().zip(x) {
            *lane = x.abs().to_bits().max(*lane);
        }
    }
    f32::from_bits(lanes.iter().fold(0, |largest, &lane| lane.max(largest)))
}

/// Rounds every value times a factor.
#[inline(always)]
fn round(x: &[f32], factor: f32, q: &mut [i8]) {
    for (q, &x) in q.iter_mut().zip(x) {
        *q = (x * factor + SHIFTER).to_bits() as i8;
    }
}

/// A block of 32: its scale, and its scale times its sum.
#[inline(always)]
fn legacy(x: &[f32], q: &mut [i8]) -> (f32, f32) {
    let largest = largest(x);
    let factor = if largest == 0.0 { 0.0 } else { 127.0 / largest };
    round(x, factor, q);
    let d = largest / 127.0;
    let sum: i32 = q.iter().map(|&q| i32::from(q)).sum();
    (f16::from_f32(d).to_f32(), f16::from_f32(d * sum as f32).to_f32())
}

/// A block of 256: its scale.
#[inline(always)]
fn super_block(x: &[f32], q: &mut [i8]) -> f32 {
    let largest = largest(x);
    if largest == 0.0 {
        q.fill(0);
        return 0.0;
    }
    let signed = x.iter().copied().find(|x| x.abs() >= largest).unwrap_or(largest);
    let factor = -127.0 / signed;
    round(x, factor, q);
    1.0 / factor
}
