//! Quantiles of a sample.

use super::distributions::{binomial_cdf, upper_tail_of};

/// The type-7 quantile: linear interpolation at index f·(n−1) of values in ascending order, as numpy, R and llama.cpp do.
///
/// Source: Hyndman & Fan 1996. `sorted` must be ascending and free of NaN (the caller's order is trusted); f is cut to
/// [0, 1]. `None` for no values or f not a number.
#[must_use]
pub fn quantile(sorted: &[f64], f: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1).filter(|_| !f.is_nan())?;
    let at = f.clamp(0.0, 1.0) * last as f64;
    let below = at.floor() as usize;
    let share = at - below as f64;
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    Some(if share == 0.0 { low } else { low + share * (high - low) })
}

/// A quantile and its distribution-free interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileInterval {
    /// The type-7 quantile.
    pub estimate: f64,
    /// The lower limit and its rank from 1; `None` where n is too small for one.
    pub lower: Option<(usize, f64)>,
    /// The upper limit and its rank from 1; `None` where n is too small for one.
    pub upper: Option<(usize, f64)>,
}

/// The order-statistic interval of a quantile: ranks r = max{r: P(K ≤ r−1) ≤ α/2} and s = min{s: P(K ≤ s−1) ≥ 1−α/2}
/// with K ~ Bin(n, q). Source: Conover 1999 §3.2. Values in any order; `None` for no values, a NaN, or q outside (0, 1).
#[must_use]
pub fn quantile_ci(values: &[f64], q: f64, conf: f64) -> Option<QuantileInterval> {
    if values.iter().any(|v| v.is_nan()) || !(q > 0.0 && q < 1.0) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (n, tail) = (sorted.len(), upper_tail_of(conf));
    let at_most = |rank: usize| binomial_cdf(rank as u64 - 1, n as u64, q);
    let ranks: Vec<usize> = (1..=n).collect();
    let low = ranks.partition_point(|&rank| at_most(rank) <= tail);
    let high = ranks.partition_point(|&rank| at_most(rank) < 1.0 - tail) + 1;
    let value = |rank: usize| (1..=n).contains(&rank).then(|| (rank, sorted[rank - 1]));
    Some(QuantileInterval { estimate: quantile(&sorted, q)?, lower: value(low), upper: value(high) })
}
