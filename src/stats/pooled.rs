//! Several tasks as one number: unweighted, weighted by items, and by precision.

use super::distributions::{t_of, z_of};
use super::solve::sum;
use super::tango::tango;
use super::{Interval, PairTable};

/// The unweighted mean of the tasks' δ with limits joined from Tango's: L = δ̄ − √Σ(δ̂ₜ−Lₜ)² / T, U in the same way.
///
/// Source: Zou & Donner 2008 (MOVER). `None` for no task, or a task with no pairs.
#[must_use]
pub fn mover_macro(tasks: &[PairTable], conf: f64) -> Option<Interval> {
    if tasks.is_empty() || tasks.iter().any(|table| table.n() == 0) {
        return None;
    }
    let intervals: Vec<Interval> = tasks.iter().map(|table| tango(table, conf)).collect();
    let count = intervals.len() as f64;
    let estimate = sum(intervals.iter().map(|i| i.estimate)) / count;
    let down = sum(intervals.iter().map(|i| (i.estimate - i.lower).powi(2))).sqrt() / count;
    let up = sum(intervals.iter().map(|i| (i.upper - i.estimate).powi(2))).sqrt() / count;
    Some(Interval { estimate, lower: estimate - down, upper: estimate + up })
}

/// One task's difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskEffect {
    /// δ̂.
    pub delta: f64,
    /// Its standard error, above 0.
    pub se: f64,
    /// Degrees of freedom of the error, above 0.
    pub df: f64,
    /// Items.
    pub n: u64,
    /// Losses.
    pub n10: u64,
    /// Gains.
    pub n01: u64,
}

/// Pooled differences. The macro one is the default; the weighted ones are to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PooledTasks {
    /// Unweighted mean.
    pub macro_mean: f64,
    /// Its standard error, √ΣSE²/T.
    pub macro_se: f64,
    /// Its Satterthwaite degrees of freedom.
    pub macro_df: f64,
    /// Its limits, by t.
    pub macro_ci: (f64, f64),
    /// Mean weighted by items.
    pub micro_mean: f64,
    /// Its standard error.
    pub micro_se: f64,
    /// Its limits, by z.
    pub micro_ci: (f64, f64),
    /// Σ(gains − losses)/√Σ(flips): stratified McNemar; `None` for no flips.
    pub strat_mcnemar_z: Option<f64>,
    /// Mean weighted by precision.
    pub fixed: f64,
    /// Its standard error.
    pub fixed_se: f64,
    /// Cochran's Q of heterogeneity.
    pub q: f64,
    /// Share of Q beyond its expectation, in [0, 1).
    pub i2: f64,
    /// DerSimonian & Laird's variance between tasks.
    pub tau2_dl: f64,
    /// Mean with that variance added to each task's.
    pub random: f64,
    /// Its standard error.
    pub random_se: f64,
}

/// Pools tasks. `None` for no task, a task without items, or an error or degrees of freedom that are not positive
/// finite numbers. Sources: Satterthwaite 1946; Cochran 1954; DerSimonian & Laird 1986.
#[must_use]
pub fn pooled(tasks: &[TaskEffect], conf: f64) -> Option<PooledTasks> {
    let proper = |t: &TaskEffect| t.n > 0 && t.delta.is_finite() && [t.se, t.df].iter().all(|v| v.is_finite() && *v > 0.0);
    if tasks.is_empty() || !tasks.iter().all(proper) {
        return None;
    }
    let total = |of: &dyn Fn(&TaskEffect) -> f64| sum(tasks.iter().map(of));
    let count = tasks.len() as f64;
    let variance = total(&|t| t.se * t.se);
    let (macro_mean, macro_se) = (total(&|t| t.delta) / count, variance.sqrt() / count);
    let macro_df = variance * variance / total(&|t| t.se.powi(4) / t.df);
    let items = total(&|t| t.n as f64);
    let micro_mean = total(&|t| t.n as f64 * t.delta) / items;
    let micro_se = total(&|t| (t.n as f64 * t.se).powi(2)).sqrt() / items;
    let flips = total(&|t| t.n01 as f64 + t.n10 as f64);
    let shift = total(&|t| t.n01 as f64 - t.n10 as f64);
    let weighted = |tau2: f64| {
        let weights = total(&|t| 1.0 / (t.se * t.se + tau2));
        (total(&|t| t.delta / (t.se * t.se + tau2)) / weights, (1.0 / weights).sqrt())
    };
    let (fixed, fixed_se) = weighted(0.0);
    let q = total(&|t| ((t.delta - fixed) / t.se).powi(2));
    let weights = total(&|t| t.se.powi(-2));
    let spread = weights - total(&|t| t.se.powi(-4)) / weights;
    // The only task differs from itself by rounding.
    let excess = if tasks.len() > 1 { (q - (count - 1.0)).max(0.0) } else { 0.0 };
    let tau2_dl = if spread > 0.0 { excess / spread } else { 0.0 };
    let (random, random_se) = weighted(tau2_dl);
    let (t, z) = (t_of(conf, macro_df)? * macro_se, z_of(conf) * micro_se);
    Some(PooledTasks {
        macro_mean,
        macro_se,
        macro_df,
        macro_ci: (macro_mean - t, macro_mean + t),
        micro_mean,
        micro_se,
        micro_ci: (micro_mean - z, micro_mean + z),
        strat_mcnemar_z: (flips > 0.0).then(|| shift / flips.sqrt()),
        fixed,
        fixed_se,
        q,
        i2: if q > 0.0 { excess / q } else { 0.0 },
        tau2_dl,
        random,
        random_se,
    })
}
