//! Two rows of log-probabilities read side by side, once, in the widest vector instructions of the processor.

#![expect(clippy::inline_always, reason = "the whole pass has to be compiled with the wide instructions of its caller")]

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// How many of the likeliest tokens of a row are compared.
pub(super) const LIKELY: usize = 5;
/// Numbers that are taken at a time.
const LANES: usize = 16;
/// The least x whose eˣ is not taken for 0.
const LEAST: f64 = -708.0;

/// The likeliest tokens of a row, falling; the first of equals comes first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Best {
    /// Their natural log-probabilities; −∞ where the row has fewer tokens.
    pub(super) values: [f32; LIKELY],
    /// Their ids.
    pub(super) ids: [u32; LIKELY],
}

impl Best {
    const NONE: Self = Self { values: [f32::NEG_INFINITY; LIKELY], ids: [u32::MAX; LIKELY] };

    /// Takes a token up where it is likelier than the last of them.
    fn offer(&mut self, id: u32, value: f32) {
        let at = self.values.iter().position(|&kept| value > kept);
        if let Some(at) = at {
            self.values.copy_within(at..LIKELY - 1, at + 1);
            self.ids.copy_within(at..LIKELY - 1, at + 1);
            (self.values[at], self.ids[at]) = (value, id);
        }
    }

    /// Takes a stretch of a row up; most stretches hold none of the likeliest.
    #[inline(always)]
    fn take(&mut self, first: usize, stretch: &[f32]) {
        let most = stretch.iter().fold(f32::NEG_INFINITY, |most, &x| if x > most { x } else { most });
        if most > self.values[LIKELY - 1] {
            for (id, &value) in (first as u32..).zip(stretch) {
                self.offer(id, value);
            }
        }
    }

    /// How many of these tokens are among the others.
    pub(super) fn shared(&self, other: &Self) -> u8 {
        self.ids.iter().filter(|id| other.ids.contains(id)).count() as u8
    }
}

/// What one pass over two rows tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside {
    /// Σ p (ln p − ln q), nats.
    pub(super) kld: f64,
    /// −Σ p ln p and −Σ q ln q, nats.
    pub(super) entropy: [f64; 2],
    /// The likeliest of each.
    pub(super) best: [Best; 2],
}

/// eˣ for x up to 0; 0 below −708, so for −∞ too. Relative error below 1e-15.
///
/// Range reduction by ln 2 in two parts and the Taylor polynomial of degree 13 on |x| ≤ ½ ln 2.
#[inline(always)]
fn exp(x: f64) -> f64 {
    // Adding it leaves the nearest integer in the low bits of the sum.
    const SHIFTER: f64 = 6_755_399_441_055_744.0;
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const TAYLOR: [f64; 13] = [
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
    ];
    let bounded = x.max(LEAST);
    let shifted = bounded.mul_add(std::f64::consts::LOG2_E, SHIFTER);
    let n = shifted - SHIFTER;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, bounded));
    let mut p = TAYLOR[0];
    for coefficient in &TAYLOR[1..] {
        p = p.mul_add(r, *coefficient);
    }
    let y = p.mul_add(r, 1.0) * f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    if x < LEAST { 0.0 } else { y }
}

/// Reads the canary's row `p` and the variant's row `q`, of one length. The sums run in a fixed order on every processor.
pub(super) fn beside(arch: Arch, p: &[f32], q: &[f32]) -> Beside {
    arch.dispatch(Pass { p, q })
}

struct Pass<'a> {
    p: &'a [f32],
    q: &'a [f32],
}

/// Turns rows of logits into natural log-probabilities; `false` where a row has no such, since it isn't finite.
#[must_use]
pub fn log_softmax(rows: &mut [f32], vocabulary: usize) -> bool {
    let arch = Arch::new();
    rows.par_chunks_exact_mut(vocabulary.max(1)).map(|row| arch.dispatch(Normalize { row })).reduce(|| true, |a, b| a && b)
}

struct Normalize<'a> {
    row: &'a mut [f32],
}

impl WithSimd for Normalize<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let most = self.row.iter().fold(f32::NEG_INFINITY, |most, &x| if x > most { x } else { most });
        let mut sums = [0.0_f64; LANES];
        let (chunks, tail) = self.row.as_chunks::<LANES>();
        for chunk in chunks {
            for lane in 0..LANES {
                sums[lane] += exp(f64::from(chunk[lane]) - f64::from(most));
            }
        }
        for (sum, &x) in sums.iter_mut().zip(tail) {
            *sum += exp(f64::from(x) - f64::from(most));
        }
        let finite = self.row.iter().fold(0.0_f32, |sum, &x| sum + x * 0.0) == 0.0;
        let whole = f64::from(most) + sums.iter().sum::<f64>().ln();
        for x in self.row.iter_mut() {
            *x = (f64::from(*x) - whole) as f32;
        }
        finite
    }
}

impl WithSimd for Pass<'_> {
    type Output = Beside;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Beside {
        let mut sums = [[0.0_f64; LANES]; 3];
        let (mut p_best, mut q_best) = (Best::NONE, Best::NONE);
        let ((p_chunks, p_tail), (q_chunks, q_tail)) = (self.p.as_chunks::<LANES>(), self.q.as_chunks::<LANES>());
        for (index, (p, q)) in p_chunks.iter().zip(q_chunks).enumerate() {
            add((p, q), &mut sums);
            p_best.take(index * LANES, p);
            q_best.take(index * LANES, q);
        }
        let (mut p, mut q) = ([f32::NEG_INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
        p[..p_tail.len()].copy_from_slice(p_tail);
        q[..q_tail.len()].copy_from_slice(q_tail);
        add((&p, &q), &mut sums);
        p_best.take(p_chunks.len() * LANES, p_tail);
        q_best.take(q_chunks.len() * LANES, q_tail);
        let [kld, p_entropy, q_entropy] = sums.map(|lanes| lanes.iter().sum::<f64>());
        Beside { kld, entropy: [p_entropy, q_entropy], best: [p_best, q_best] }
    }
}

/// Adds one stretch to the sums of its lanes. What has no probability adds nothing.
#[inline(always)]
fn add((p, q): (&[f32; LANES], &[f32; LANES]), [kld, p_entropy, q_entropy]: &mut [[f64; LANES]; 3]) {
    for lane in 0..LANES {
        let (ln_p, ln_q) = (f64::from(p[lane]), f64::from(q[lane]));
        let (p_e, q_e) = (exp(ln_p), exp(ln_q));
        kld[lane] += if p_e > 0.0 { p_e * (ln_p - ln_q) } else { 0.0 };
        p_entropy[lane] -= if p_e > 0.0 { p_e * ln_p } else { 0.0 };
        q_entropy[lane] -= if q_e > 0.0 { q_e * ln_q } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_right_to_the_last_digits_and_nothing_far_below() {
        for i in 0..=7_000 {
            let x = -f64::from(i) * 0.1;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-14, "{x}: {}", exp(x) / x.exp() - 1.0);
        }
        assert_eq!([exp(-709.0), exp(f64::NEG_INFINITY)].map(f64::to_bits), [0, 0]);
    }

    #[test]
    fn one_pass_gives_the_textbook_sums_for_rows_of_any_length() {
        for length in [1, 5, 16, 17, 333] {
            let row = |salt: usize| {
                let logits: Vec<f64> = (0..length).map(|i| (i * 7919 + salt) as f64 % 13.7 - 4.0).collect();
                let total = logits.iter().map(|x| x.exp()).sum::<f64>().ln();
                logits.iter().map(|x| (x - total) as f32).collect::<Vec<_>>()
            };
            let (p, q) = (row(3), row(11));
            let wide = |row: &[f32]| row.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
            let (p64, q64) = (wide(&p), wide(&q));
            let told = beside(Arch::new(), &p, &q);
            let kld: f64 = p64.iter().zip(&q64).map(|(p, q)| p.exp() * (p - q)).sum();
            let entropy = |row: &[f64]| -row.iter().map(|x| x.exp() * x).sum::<f64>();
            assert!((told.kld - kld).abs() < 1e-12, "{length}: {} and {kld}", told.kld);
            assert!((told.entropy[0] - entropy(&p64)).abs() < 1e-12 && (told.entropy[1] - entropy(&q64)).abs() < 1e-12);
            let mut falling: Vec<u32> = (0..length as u32).collect();
            falling.sort_by(|&a, &b| p[b as usize].total_cmp(&p[a as usize]).then(a.cmp(&b)));
            let kept = length.min(LIKELY);
            assert_eq!(told.best[0].ids[..kept], falling[..kept], "{length}");
        }
    }

    #[test]
    fn a_softmax_of_logits_sums_to_one_and_says_where_it_is_none() {
        let mut rows: Vec<f32> = (0..66).map(|i| (i * 31 % 17) as f32 * 0.9 - 3.0).collect();
        let apart = rows[5] - rows[0];
        assert!(log_softmax(&mut rows, 33));
        for row in rows.chunks_exact(33) {
            assert!((row.iter().map(|&x| f64::from(x).exp()).sum::<f64>() - 1.0).abs() < 1e-6);
        }
        assert!((rows[5] - rows[0] - apart).abs() < 1e-5, "they keep their distances");
        rows[40] = f32::NAN;
        assert!(!log_softmax(&mut rows, 33));
        rows[40] = f32::INFINITY;
        assert!(!log_softmax(&mut rows, 33));
    }

    #[test]
    fn the_first_of_equals_leads_and_short_rows_share_all_they_have() {
        let told = beside(Arch::new(), &[-1.0, -1.0, f32::NEG_INFINITY], &[-1.0, -2.0, -0.5]);
        assert_eq!((told.best[0].ids[0], told.best[1].ids[0]), (0, 2));
        assert!(told.kld.is_finite(), "a token without probability adds nothing");
        assert_eq!(told.best[0].shared(&told.best[0]), 5);
    }
}
