//! What a subject does against itself: the floor below which a difference means nothing.

use super::cluster::cluster_mean;
use super::distributions::{chi_squared_sf, normal_sf, t_sf};
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
pub fn aa_excess<L: PartialEq, R: AsRef<[L]>>(canary: &[R], variant: &[R]) -> Option<Excess> {
    let items = PerItem::of(canary, variant)?;
    let n = items.excess.len() as f64;
    let se = (cross_deviation(&items.excess, &items.excess) / (n - 1.0) / n).sqrt();
    items.tested(se, |z| Some(normal_sf(z)))
}

/// The same where items share clusters: the standard error is CR2, and the p is of t with the Bell–McCaffrey degrees of
/// freedom. `clusters[i]` names the cluster of item i; `None` also where there are fewer than two, or not one for each item.
#[must_use]
pub fn aa_excess_clustered<L: PartialEq, R: AsRef<[L]>>(canary: &[R], variant: &[R], clusters: &[usize]) -> Option<Excess> {
    let items = PerItem::of(canary, variant)?;
    let of = cluster_mean(&items.excess, clusters, 0.95)?;
    let df = of.df_satt?;
    items.tested(of.se_cr2?, |z| t_sf(z, df))
}

/// Shares of differing pairs of runs, item by item.
struct PerItem {
    ab: Vec<f64>,
    aa: Vec<f64>,
    bb: Option<Vec<f64>>,
    excess: Vec<f64>,
}

impl PerItem {
    fn of<L: PartialEq, R: AsRef<[L]>>(canary: &[R], variant: &[R]) -> Option<Self> {
        let least = |side: &[R]| side.iter().map(|runs| runs.as_ref().len()).min().unwrap_or(0);
        if canary.len() != variant.len() || canary.len() < 2 || least(canary) < 2 || least(variant) < 1 {
            return None;
        }
        let ab: Vec<f64> = canary.iter().zip(variant).map(|(a, b)| across(a.as_ref(), b.as_ref())).collect();
        let of_side = |side: &[R]| side.iter().map(|runs| within(runs.as_ref())).collect::<Vec<f64>>();
        let (aa, bb) = (of_side(canary), (least(variant) > 1).then(|| of_side(variant)));
        let excess = match &bb {
            Some(bb) => ab.iter().zip(&aa).zip(bb).map(|((ab, aa), bb)| 2.0 * ab - aa - bb).collect(),
            None => ab.iter().zip(&aa).map(|(ab, aa)| ab - aa).collect(),
        };
        Some(Self { ab, aa, bb, excess })
    }

    fn tested(&self, se: f64, tail: impl Fn(f64) -> Option<f64>) -> Option<Excess> {
        let excess = mean(&self.excess)?;
        let z = (se > 0.0).then(|| excess / se);
        Some(Excess {
            flip_ab: mean(&self.ab)?,
            flip_aa: mean(&self.aa)?,
            flip_bb: self.bb.as_ref().and_then(|bb| mean(bb)),
            excess,
            se,
            z,
            p: z.and_then(tail).unwrap_or(1.0),
        })
    }
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
