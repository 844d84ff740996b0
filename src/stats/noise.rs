//! What a subject does against itself: the floor below which a difference means nothing.

use super::distributions::{chi_squared_sf, normal_sf};
use super::solve::{cross_deviation, mean, sum};

/// How much more a variant differs from the canary than each differs from itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Excess {
    /// Share of canary–variant pairs of runs that differ, averaged over items.
    pub flip_ab: f64,
    /// Share of pairs of canary runs that differ.
    pub flip_aa: f64,
    /// Share of pairs of variant runs that differ; `None` where the variant ran once.
    pub flip_bb: Option<f64>,
    /// Mean of 2·AB − AA − BB over items (0 just where the distributions match); AB − AA where the variant ran once,
    /// which is no valid test of noise.
    pub excess: f64,
    /// Its standard error over items.
    pub se: f64,
    /// excess / SE; `None` where the error is 0.
    pub z: Option<f64>,
    /// Its one-sided p; 1 where there is no z.
    pub p: f64,
}

/// Compares runs item by item; each item holds the labels (right/wrong, or the answers) of its runs.
///
/// The statistic is an energy distance, unbiased for Σ(pₖ−qₖ)² over labels; ours. `None` for fewer than two items,
/// different numbers of items, an item with fewer than two canary runs or without a variant run.
#[must_use]
pub fn aa_excess<L: PartialEq>(canary: &[Vec<L>], variant: &[Vec<L>]) -> Option<Excess> {
    let enough = canary.iter().all(|runs| runs.len() > 1) && variant.iter().all(|runs| !runs.is_empty());
    if canary.len() != variant.len() || canary.len() < 2 || !enough {
        return None;
    }
    let twice = variant.iter().all(|runs| runs.len() > 1);
    let ab: Vec<f64> = canary.iter().zip(variant).map(|(a, b)| across(a, b)).collect();
    let aa: Vec<f64> = canary.iter().map(|runs| within(runs)).collect();
    let bb: Option<Vec<f64>> = twice.then(|| variant.iter().map(|runs| within(runs)).collect());
    let excesses: Vec<f64> = match &bb {
        Some(bb) => ab.iter().zip(&aa).zip(bb).map(|((ab, aa), bb)| 2.0 * ab - aa - bb).collect(),
        None => ab.iter().zip(&aa).map(|(ab, aa)| ab - aa).collect(),
    };
    let n = excesses.len() as f64;
    let excess = mean(&excesses)?;
    let se = (cross_deviation(&excesses, &excesses) / (n - 1.0) / n).sqrt();
    let z = (se > 0.0).then(|| excess / se);
    Some(Excess {
        flip_ab: mean(&ab)?,
        flip_aa: mean(&aa)?,
        flip_bb: bb.and_then(|bb| mean(&bb)),
        excess,
        se,
        z,
        p: z.map_or(1.0, normal_sf),
    })
}

/// Share of the pairs of one run from each list that differ.
fn across<L: PartialEq>(a: &[L], b: &[L]) -> f64 {
    let differ = a.iter().map(|x| b.iter().filter(|y| *y != x).count()).sum::<usize>();
    differ as f64 / (a.len() * b.len()) as f64
}

/// Share of the pairs of different runs of one list that differ.
fn within<L: PartialEq>(runs: &[L]) -> f64 {
    let ordered = runs.iter().map(|x| runs.iter().filter(|y| *y != x).count()).sum::<usize>();
    ordered as f64 / (runs.len() * (runs.len() - 1)) as f64
}

/// Whether whole runs vary more than their items explain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overdispersion {
    /// Variance of a run's mean that the items explain, Σvᵢ/n².
    pub expected_var: f64,
    /// Variance of the runs' means.
    pub observed_var: f64,
    /// (R−1)·observed/expected; `None` where nothing is expected.
    pub chi2: Option<f64>,
    /// R − 1.
    pub df: f64,
    /// P(χ² with R − 1 degrees of freedom is larger); 1 where there is no χ².
    pub p: f64,
    /// What is left for the run itself, at least 0.
    pub sigma2_run: f64,
}

/// Tests repeated runs of one subject for shocks that hit a whole run; `runs[r][i]` is the score of item i in run r.
///
/// The statistic is ours: a χ² of the runs' means against their items' variances. `None` for fewer than two runs, no
/// items, runs of different lengths, or a score that is not finite.
#[must_use]
pub fn run_overdispersion(runs: &[Vec<f64>]) -> Option<Overdispersion> {
    let items = runs.first()?.len();
    if runs.len() < 2 || items == 0 || runs.iter().any(|run| run.len() != items || run.iter().any(|v| !v.is_finite())) {
        return None;
    }
    let df = (runs.len() - 1) as f64;
    let spread = |values: &[f64]| cross_deviation(values, values) / df;
    let means: Option<Vec<f64>> = runs.iter().map(|run| mean(run)).collect();
    let observed_var = spread(&means?);
    let of_item = |i: usize| spread(&runs.iter().map(|run| run[i]).collect::<Vec<f64>>());
    let expected_var = sum((0..items).map(of_item)) / (items as f64).powi(2);
    let chi2 = (expected_var > 0.0).then(|| df * observed_var / expected_var);
    Some(Overdispersion {
        expected_var,
        observed_var,
        chi2,
        df,
        p: chi2.and_then(|x| chi_squared_sf(x, df)).unwrap_or(1.0),
        sigma2_run: (observed_var - expected_var).max(0.0),
    })
}
