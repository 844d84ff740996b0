//! The sign-flip test of a mean: under no difference each item, or each cluster, might as well have the other sign.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::resample::Resampling;
use super::solve::sum;

/// Sums nearer than this share of the sum of absolute values are equal.
const TIE: f64 = 1e-12;

/// Values whose sign patterns are all counted, where they have no common unit.
const MOST_ENUMERATED: usize = 40;

/// The most steps of the count over a lattice.
const MOST_STEPS: f64 = 4e8;

/// Replicates that share a generator.
const PART: u32 = 2048;

/// p-values of the sign-flip test; all in (0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignFlip {
    /// One-sided: the mean is above 0.
    pub p_better: f64,
    /// One-sided: the mean is below 0.
    pub p_worse: f64,
    /// Two-sided.
    pub p_two_sided: f64,
    /// Whether all sign patterns were counted; else they are drawn, and p is (k+1)/(B+1).
    pub exact: bool,
}

/// The sign-flip (paired permutation) test of H₀: the differences are symmetric about 0, counted exactly.
///
/// Source: Fisher 1935 §21; Pitman 1937. Zeros have no effect; no value at all, or only zeros, gives p = 1; on differences of
/// −1, 0 and 1 it is McNemar's exact test. `None` for a value that is not finite, and where counting is too long: more than
/// 40 values that are not 0 and not on a lattice (multiples of 1/n for a small n or a power of ten).
#[must_use]
pub fn signflip_exact(differences: &[f64]) -> Option<SignFlip> {
    let values = nonzero(differences)?;
    let observed = sum(values.iter().copied());
    let size = sum(values.iter().map(|v| v.abs()));
    let tail: Box<dyn Fn(f64) -> f64> = if let Some(lattice) = Lattice::of(&values) {
        Box::new(move |at| lattice.tail(at))
    } else if values.len() <= MOST_ENUMERATED {
        let halves = Halves::of(&values);
        Box::new(move |at| halves.tail(at - TIE * size.max(1.0)))
    } else {
        return None;
    };
    // The distribution is symmetric.
    Some(SignFlip {
        p_better: tail(observed).min(1.0),
        p_worse: tail(-observed).min(1.0),
        p_two_sided: (2.0 * tail(observed.abs())).min(1.0),
        exact: true,
    })
}

/// [`signflip_exact`] where that can be counted, else by drawing sign patterns. `None` for a value that is not finite.
#[must_use]
pub fn signflip(differences: &[f64], how: &Resampling) -> Option<SignFlip> {
    let values = nonzero(differences)?;
    signflip_exact(&values).or_else(|| Some(drawn(&values, how)))
}

/// The sign-flip test with whole clusters: the sum of each cluster's differences keeps or changes its sign, which allows any
/// dependence within a cluster. Exact for up to 40 clusters. To test against a margin m, add it to the differences.
///
/// Source: Canay, Romano & Shaikh 2017 (Econometrica 85:1013). `None` for lists of different lengths and as [`signflip`].
#[must_use]
pub fn cluster_signflip<K: Ord>(differences: &[f64], clusters: &[K], how: &Resampling) -> Option<SignFlip> {
    if differences.len() != clusters.len() {
        return None;
    }
    let mut sums: BTreeMap<&K, Vec<f64>> = BTreeMap::new();
    for (value, cluster) in differences.iter().zip(clusters) {
        sums.entry(cluster).or_default().push(*value);
    }
    signflip(&sums.into_values().map(sum).collect::<Vec<f64>>(), how)
}

/// The values that are not 0, in an order that does not depend on theirs.
fn nonzero(differences: &[f64]) -> Option<Vec<f64>> {
    if differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let mut values: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    values.sort_unstable_by(f64::total_cmp);
    Some(values)
}

/// The distribution of the sum over sign patterns of multiples of a unit.
struct Lattice {
    scale: f64,
    total: usize,
    /// `above[s]`: P(the positive ones sum to s or more).
    above: Vec<f64>,
}

impl Lattice {
    fn of(values: &[f64]) -> Option<Self> {
        let whole = |v: f64| (v - v.round()).abs() <= 1e-11;
        let scales = (1..=16_u32).chain([20, 25, 32, 50, 64, 100, 128, 200, 256, 500, 1000, 10_000]).map(f64::from);
        let scale = scales.into_iter().find(|scale| values.iter().all(|v| whole(v * scale)))?;
        let steps: Vec<f64> = values.iter().map(|v| (v * scale).abs().round()).collect();
        let total = sum(steps.iter().copied());
        if (total + 1.0) * steps.len() as f64 > MOST_STEPS {
            return None;
        }
        let mut at = vec![0.0; total as usize + 1];
        at[0] = 1.0;
        let mut reached = 0;
        for step in steps.iter().map(|step| *step as usize) {
            reached += step;
            for s in (0..=reached).rev() {
                let moved = if s >= step { at[s - step] } else { 0.0 };
                at[s] = 0.5 * (at[s] + moved);
            }
        }
        for s in (0..at.len() - 1).rev() {
            at[s] += at[s + 1];
        }
        Some(Self { scale, total: total as usize, above: at })
    }

    /// P(sum ≥ at).
    fn tail(&self, at: f64) -> f64 {
        // The sum is 2·(positive ones) − total, so its steps have the parity of the total.
        let least = f64::midpoint((at * self.scale).round(), self.total as f64);
        self.above.get(least.ceil().max(0.0) as usize).copied().unwrap_or(0.0)
    }
}

/// All sums over the sign patterns of two halves of the values, ascending.
struct Halves {
    one: Vec<f64>,
    other: Vec<f64>,
}

impl Halves {
    fn of(values: &[f64]) -> Self {
        let (one, other) = values.split_at(values.len() / 2);
        let sums = |values: &[f64]| {
            let mut sums = vec![0.0];
            for value in values {
                sums = sums.iter().flat_map(|s| [s - value, s + value]).collect();
            }
            sums.sort_unstable_by(f64::total_cmp);
            sums
        };
        Self { one: sums(one), other: sums(other) }
    }

    /// P(sum ≥ at), by one pass up the one list and down the other.
    fn tail(&self, at: f64) -> f64 {
        let mut from = self.other.len();
        let mut count = 0.0;
        for one in &self.one {
            while from > 0 && one + self.other[from - 1] >= at {
                from -= 1;
            }
            count += (self.other.len() - from) as f64;
        }
        count / (self.one.len() as f64 * self.other.len() as f64)
    }
}

/// Draws sign patterns: eight values at a time, whose 256 sums are made once for many replicates.
fn drawn(values: &[f64], how: &Resampling) -> SignFlip {
    let observed = sum(values.iter().copied());
    let slack = TIE * sum(values.iter().map(|v| v.abs())).max(1.0);
    let part = |part: u32| {
        let mut draws = how.draws(u64::from(part));
        let mut sums = vec![0.0; PART.min(how.replicates - part * PART) as usize];
        for eight in values.chunks(8) {
            let sign = |pattern: usize, i: usize| if pattern >> i & 1 == 1 { 1.0 } else { -1.0 };
            let table: [f64; 256] = std::array::from_fn(|p| eight.iter().enumerate().map(|(i, v)| sign(p, i) * v).sum());
            let mut left = sums.as_mut_slice();
            while !left.is_empty() {
                let bytes = draws.some(left.len() as u64);
                let (now, later) = left.split_at_mut(bytes.len());
                for (sum, byte) in now.iter_mut().zip(bytes) {
                    *sum += table[usize::from(*byte)];
                }
                left = later;
            }
        }
        let count = |kept: &dyn Fn(f64) -> bool| sums.iter().filter(|sum| kept(**sum)).count() as f64;
        [
            count(&|sum| sum >= observed - slack),
            count(&|sum| sum <= observed + slack),
            count(&|sum| sum.abs() >= observed.abs() - slack),
        ]
    };
    let parts: Vec<[f64; 3]> = (0..how.replicates.div_ceil(PART)).into_par_iter().map(part).collect();
    let p = |i: usize| (parts.iter().map(|part| part[i]).sum::<f64>() + 1.0) / (f64::from(how.replicates) + 1.0);
    SignFlip { p_better: p(0), p_worse: p(1), p_two_sided: p(2), exact: false }
}
