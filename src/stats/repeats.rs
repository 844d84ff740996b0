//! Several answers to one item: pass@k, and where the variance of a difference of item means comes from.

use super::Interval;
use super::mean::paired_t;
use super::solve::{cross_deviation, mean};

/// Chances with k answers drawn from n of which c are right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassAtK {
    /// That at least one is right.
    pub pass_at_k: f64,
    /// That all are right.
    pub pass_hat_k: f64,
}

/// The unbiased pass@k, 1 − C(n−c, k)/C(n, k), and pass^k, C(c, k)/C(n, k).
///
/// Source: Chen et al. 2021 (arXiv 2107.03374). `None` for k > n, c > n or n above 10⁹.
#[must_use]
pub fn pass_at_k(n: u64, c: u64, k: u64) -> Option<PassAtK> {
    if k > n || c > n || n > 1_000_000_000 {
        return None;
    }
    // ln of C(pool, k)/C(n, k), where pool + others = n: over the shorter of k and others.
    let log_share = |pool: u64| {
        let others = n - pool;
        let (steps, size) = (k.min(others), k.max(others) as f64);
        (0..steps).map(|i| (-size / (n - i) as f64).ln_1p()).sum::<f64>()
    };
    let all_wrong = if n - c < k { f64::NEG_INFINITY } else { log_share(n - c) };
    let all_right = if c < k { f64::NEG_INFINITY } else { log_share(c) };
    Some(PassAtK { pass_at_k: -all_wrong.exp_m1(), pass_hat_k: all_right.exp() })
}

/// A comparison over items that were asked several times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epochs {
    /// The canary's mean of item means.
    pub mean_a: f64,
    /// The variant's.
    pub mean_b: f64,
    /// Their difference, with t limits over items.
    pub interval: Interval,
    /// Its standard error.
    pub se: f64,
    /// Variance of the items' differences.
    pub var_total: f64,
    /// The part of it that more answers an item would remove; `None` where some item has one answer.
    pub var_sampling: Option<f64>,
    /// The rest, at least 0: only more items help.
    pub var_between: Option<f64>,
}

/// Reduces the answers of each item to its mean in each arm, then a paired t over items, unweighted; items may have
/// different numbers of answers. Source: Miller 2024 (arXiv 2411.00640) §3.
///
/// `None` for fewer than two items, different numbers of items, an item without answers, or a score that is not finite.
#[must_use]
pub fn epochs(canary: &[Vec<f64>], variant: &[Vec<f64>], conf: f64) -> Option<Epochs> {
    let means = |side: &[Vec<f64>]| side.iter().map(|item| mean(item)).collect::<Option<Vec<f64>>>();
    let (a, b) = (means(canary)?, means(variant)?);
    let of = paired_t(&a, &b, 0.0, conf)?;
    let sampling = |item: &Vec<f64>| {
        let n = item.len() as f64;
        (item.len() > 1).then(|| cross_deviation(item, item) / (n - 1.0) / n)
    };
    let parts: Option<Vec<f64>> = canary.iter().zip(variant).map(|(a, b)| Some(sampling(a)? + sampling(b)?)).collect();
    let var_sampling = parts.and_then(|parts| mean(&parts));
    let var_total = of.se * of.se * a.len() as f64;
    Some(Epochs {
        mean_a: mean(&a)?,
        mean_b: mean(&b)?,
        interval: of.interval,
        se: of.se,
        var_total,
        var_sampling,
        var_between: var_sampling.map(|sampling| (var_total - sampling).max(0.0)),
    })
}
