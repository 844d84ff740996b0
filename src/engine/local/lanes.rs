//! Element-wise arithmetic on rows of f32, in fixed lanes: a number never depends on what else is computed with it.

#![expect(clippy::inline_always, reason = "the whole kernel has to be compiled with the wide instructions of its caller")]

use pulp::{Arch, Simd, WithSimd};

use crate::weights::Activation;

/// Partial sums kept side by side; sums run over positions modulo this number on every processor.
const LANES: usize = 16;

/// Runs a closure compiled for the widest vector instructions that the processor has.
pub(super) fn vectorized<R>(arch: Arch, work: impl FnOnce() -> R) -> R {
    struct Work<F>(F);
    impl<R, F: FnOnce() -> R> WithSimd for Work<F> {
        type Output = R;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> R {
            (self.0)()
        }
    }
    arch.dispatch(Work(work))
}

/// eˣ with a relative error below 2e-7 for x in −87.3..=88; beyond, the value at the bound.
///
/// Range reduction by ln 2 in two parts and the Cephes polynomial of degree 6.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "the published coefficients")]
pub(super) fn exp(x: f32) -> f32 {
    // Adding it leaves the nearest integer in the low bits of the sum.
    const SHIFTER: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_375;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.3, 88.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, SHIFTER);
    let n = shifted - SHIFTER;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let mut p = 1.987_569_150_0e-4_f32;
    p = p.mul_add(r, 1.398_199_950_7e-3);
    p = p.mul_add(r, 8.333_451_907_3e-3);
    p = p.mul_add(r, 4.166_579_589_4e-2);
    p = p.mul_add(r, 1.666_666_545_9e-1);
    p = p.mul_add(r, 5.000_000_120_1e-1);
    let y = p.mul_add(r * r, r + 1.0);
    y * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

/// Sum of f(x) over a row, in lanes.
#[inline(always)]
fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (chunks, tail) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(tail) {
        *lane += f(x);
    }
    lanes.iter().sum()
}

/// `row[i] * weight[i] / √(mean(row²) + ε)` into `out`; the three have one length.
#[inline(always)]
pub(super) fn rms_norm(row: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let mean = sum(row, |x| x * x) / row.len() as f32;
    let scale = 1.0 / (mean + epsilon).sqrt();
    for ((out, &x), &w) in out.iter_mut().zip(row).zip(weight) {
        *out = w * (x * scale);
    }
}

/// `activation(gate) · up` of the two halves of `gate_up` into `out`, half as long.
#[inline(always)]
pub(super) fn gated(activation: Activation, gate_up: &[f32], out: &mut [f32]) {
    let (gate, up) = gate_up.split_at(out.len());
    let rows = out.iter_mut().zip(gate).zip(up);
    match activation {
        Activation::Silu => rows.for_each(|((out, &g), &u)| *out = silu(g) * u),
        Activation::GeluTanh => rows.for_each(|((out, &g), &u)| *out = gelu(g) * u),
    }
}

/// x · σ(x).
#[inline(always)]
fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// `x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))`, as x · σ of twice that argument.
#[inline(always)]
fn gelu(x: f32) -> f32 {
    const TWICE_ROOT: f32 = 1.595_769_2;
    let cubic = (0.044_715 * x * x).mul_add(x, x);
    x / (1.0 + exp(-TWICE_ROOT * cubic))
}

/// The hyperbolic tangent with a relative error below 3e-7: the Cephes polynomial up to 0.625, exponentials beyond.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let square = x * x;
    let mut p = -5.704_988_7e-3_f32;
    p = p.mul_add(square, 2.063_909e-2);
    p = p.mul_add(square, -5.373_971_6e-2);
    p = p.mul_add(square, 1.333_144_2e-1);
    p = p.mul_add(square, -3.333_328e-1);
    let near = (p * square).mul_add(x, x);
    let far = (1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0)).copysign(x);
    if x.abs() < 0.625 { near } else { far }
}

/// `x = cap · tanh(scale · x / cap)`.
#[inline(always)]
pub(super) fn cap(row: &mut [f32], cap: f32, scale: f32) {
    let inner = scale / cap;
    for x in row {
        *x = cap * tanh(*x * inner);
    }
}

/// The same in place.
#[inline(always)]
pub(super) fn rms_norm_in_place(row: &mut [f32], weight: &[f32], epsilon: f32) {
    let mean = sum(row, |x| x * x) / row.len() as f32;
    let scale = 1.0 / (mean + epsilon).sqrt();
    for (x, &w) in row.iter_mut().zip(weight) {
        *x = w * (*x * scale);
    }
}

/// Adds the RMS norm of `row` to `x`.
#[inline(always)]
pub(super) fn add_rms_norm(x: &mut [f32], row: &[f32], weight: &[f32], epsilon: f32) {
    let mean = sum(row, |x| x * x) / row.len() as f32;
    let scale = 1.0 / (mean + epsilon).sqrt();
    for ((x, &y), &w) in x.iter_mut().zip(row).zip(weight) {
        *x += w * (y * scale);
    }
}

/// `x[i] += factor · y[i]`.
#[inline(always)]
pub(super) fn add_scaled(x: &mut [f32], y: &[f32], factor: f32) {
    for (x, &y) in x.iter_mut().zip(y) {
        *x = factor.mul_add(y, *x);
    }
}

/// `x[i] += y[i]`.
#[inline(always)]
pub(super) fn add(x: &mut [f32], y: &[f32]) {
    for (x, &y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// Turns the first `seen` of a row of scores into unnormalized weights `e^((s − max)·scale)`, zeroes the rest, and
/// returns the weights' sum. The row's length is a multiple of 16.
#[inline(always)]
pub(super) fn weigh(row: &mut [f32], seen: usize, scale: f32) -> f32 {
    let max = maximum(&row[..seen]);
    let (chunks, _) = row.as_chunks_mut::<LANES>();
    for chunk in chunks.iter_mut().take(seen.div_ceil(LANES)) {
        for x in chunk {
            *x = exp((*x - max) * scale);
        }
    }
    row[seen..].fill(0.0);
    sum(&row[..seen], |x| x)
}

/// The largest of a row; NaNs are passed over.
#[inline(always)]
fn maximum(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, tail) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(tail) {
        *lane = if x > *lane { x } else { *lane };
    }
    lanes.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}

/// What a row of logits says about its token: everything that a log-softmax needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Softmax {
    /// The largest logit.
    pub max: f32,
    /// ln Σ e^(logit − max).
    pub ln_sum: f64,
}

impl Softmax {
    /// Reads a row; none where a logit is not finite.
    pub(super) fn of(arch: Arch, row: &[f32]) -> Option<Self> {
        vectorized(
            arch,
            #[inline(always)]
            || {
                // Zero times anything finite is zero; times an infinity or NaN it isn't a number.
                if sum(row, |x| x * 0.0).is_nan() {
                    return None;
                }
                let max = maximum(row);
                let mut total = 0.0_f64;
                for block in row.chunks(4 * LANES) {
                    total += f64::from(sum(block, |x| exp(x - max)));
                }
                Some(Self { max, ln_sum: total.ln() })
            },
        )
    }

    /// The natural log-probability of a logit of the row.
    pub(super) fn log_probability(self, logit: f32) -> f64 {
        f64::from(logit) - f64::from(self.max) - self.ln_sum
    }
}

/// The index of the largest logit; the first of equals.
pub(super) fn first_best(row: &[f32]) -> u32 {
    let mut best = 0;
    for (index, &x) in row.iter().enumerate() {
        if x > row[best] {
            best = index;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_stays_within_a_millionth_of_the_true_value() {
        let worst = (-87_000..=87_000).map(|i| i as f32 / 1_000.0).map(|x| {
            let truth = f64::from(x).exp();
            (f64::from(exp(x)) / truth - 1.0).abs()
        });
        let worst = worst.fold(0.0, f64::max);
        assert!(worst < 3e-7, "relative error {worst:e}");
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn activations_and_tangents_stay_within_a_millionth_of_the_true_value() {
        let truth = |x: f64| x / 2.0 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh());
        for x in (-12_000..=12_000).map(|i| i as f32 / 1_000.0) {
            let wide = f64::from(x);
            let error = (f64::from(tanh(x)) - wide.tanh()).abs();
            assert!(error <= 3e-7 * wide.tanh().abs(), "tanh {x}: {error:e}");
            let error = (f64::from(gelu(x)) - truth(wide)).abs();
            assert!(error <= 1e-6 * truth(wide).abs() + 1e-9, "gelu {x}: {error:e}");
            let error = (f64::from(silu(x)) - wide / (1.0 + (-wide).exp())).abs();
            assert!(error <= 1e-6 * (wide / (1.0 + (-wide).exp())).abs(), "silu {x}: {error:e}");
        }
        assert_eq!((tanh(90.0), tanh(-90.0)), (1.0, -1.0));
        assert!(tanh(f32::NAN).is_nan() && gelu(f32::NAN).is_nan());
    }

    #[test]
    fn a_softmax_row_of_known_logits_sums_to_one_and_refuses_infinities() {
        let arch = Arch::new();
        let row: Vec<f32> = (0..1_000).map(|i| (i % 37) as f32 * 0.3).collect();
        let softmax = Softmax::of(arch, &row).expect("finite");
        let total: f64 = row.iter().map(|&x| softmax.log_probability(x).exp()).sum();
        assert!((total - 1.0).abs() < 1e-6, "{total}");
        assert_eq!(first_best(&row), 36, "the first of equals");
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut row = row.clone();
            row[998] = bad;
            assert!(Softmax::of(arch, &row).is_none(), "{bad}");
        }
    }
}
