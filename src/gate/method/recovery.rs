//! A share of the canary's score that must be kept: the score of the ratio, or the mean of B − ρ₀A.
//!
//! Right and wrong answers are judged by the score of the ratio (Nam & Blackwelder 2002), over clusters with its counts divided
//! by the design effect: the mean of B − ρ₀A would have almost no variance where little flips, and pass by that alone. Numbers
//! are judged by B − ρ₀A (Fieller 1954), by t where enough of them differ, else by betting.

use super::scores::Values;
use super::{Question, Stand, binary, means};
use crate::gate::Method;
use crate::stats::{self, Interval, PairTable};

/// Where a table stands against a share. None where the canary had nothing right.
pub(super) fn of_counts(method: Method, table: &PairTable, share: f64, question: &Question) -> Option<Stand> {
    let alpha = question.alpha;
    if table.n11 + table.n10 == 0 {
        return None;
    }
    if method == Method::Betting {
        return of_values(method, &Values::of_table(table), share, alpha);
    }
    let delta = binary::interval(method, table, 1.0 - 2.0 * alpha)?;
    let z = stats::ratio_ni(table, share)?.z_score;
    let p_values = match method {
        Method::ClusteredRatio { deff, df } => {
            let t = z / deff.max(1.0).sqrt();
            (stats::t_sf(t, df)?, stats::t_sf(-t, df)?)
        }
        _ => (stats::normal_sf(z), stats::normal_cdf(z)),
    };
    Stand::of_share(delta, interval(method, table, alpha)?, share, p_values, alpha)
}

/// Variant over canary by a method of this kind, with its limits at a one-sided level. None where neither had anything right.
pub(super) fn interval(method: Method, table: &PairTable, alpha: f64) -> Option<Interval> {
    match method {
        Method::ClusteredRatio { deff, df } => clustered(table, deff, df, 1.0 - 2.0 * alpha),
        Method::Betting if table.n11 + table.n10 > 0 => {
            let values = Values::of_table(table);
            limits(method, &values, values.variant_mean() / values.canary_mean(), alpha)
        }
        _ => stats::ratio_score(table, 1.0 - 2.0 * alpha),
    }
}

/// The score interval of a ratio with t in the place of z and counts divided by a design effect: |T|/√deff ≤ t. Unbounded
/// where that is beyond any confidence.
fn clustered(table: &PairTable, deff: f64, df: f64, confidence: f64) -> Option<Interval> {
    let t = stats::t_quantile(0.5 + 0.5 * confidence, df)? * deff.max(1.0).sqrt();
    let interval = stats::ratio_score(table, 1.0 - 2.0 * stats::normal_sf(t))?;
    Some(if t < 7.5 { interval } else { Interval { lower: 0.0, upper: f64::INFINITY, ..interval } })
}

/// Where numbers stand against a share. None where the canary's mean is not above 0, or cannot be told from it.
pub(super) fn of_values(method: Method, values: &Values<'_>, share: f64, alpha: f64) -> Option<Stand> {
    let (canary, variant) = (values.canary_mean(), values.variant_mean());
    if canary.is_nan() || canary <= 0.0 {
        return None;
    }
    let delta = means::spread(method, values, 1.0)?.interval(alpha)?;
    let contrast = means::spread(method, values, share)?;
    let estimate = variant / canary;
    let ratio = limits(method, values, estimate, alpha)?;
    Stand::of_share(delta, ratio, share, contrast.p_values(0.0)?, alpha)
}

/// The shares at which B − ρA is not told from 0. None where by t the canary's mean can't be told from 0: the shares have no
/// end then. Bets leave only the upper limit open. By t over items they are Fieller's.
fn limits(method: Method, values: &Values<'_>, estimate: f64, alpha: f64) -> Option<Interval> {
    if method == Method::PairedT && values.run_variance <= 0.0 {
        let (lower, upper) = stats::fieller(&values.canary, &values.variant, 1.0 - 2.0 * alpha)?.limits?;
        return Some(Interval { estimate, lower, upper });
    }
    let limit = |share: f64, lower: bool| {
        let interval = means::spread(method, values, share).and_then(|spread| spread.interval(alpha));
        interval.map_or(f64::NAN, |i| if lower { i.lower } else { i.upper })
    };
    let step = 1e-10 * estimate.abs().max(1e-3);
    let lower = if limit(0.0, true) > 0.0 { stats::root(|share| limit(share, true), 0.0, estimate, step)? } else { 0.0 };
    let mut far = std::iter::successors(Some(2.0 * estimate.max(0.5)), |share| Some(2.0 * share)).take(12);
    let upper = match far.find(|&share| limit(share, false) < 0.0) {
        Some(beyond) => stats::root(|share| limit(share, false), estimate, beyond, step)?,
        None if method == Method::Betting => f64::INFINITY,
        None => return None,
    };
    Some(Interval { estimate, lower, upper })
}

impl Values<'_> {
    /// A table's pairs, one by one.
    pub(super) fn of_table(table: &PairTable) -> Self {
        let kinds = [(table.n11, 1.0, 1.0), (table.n10, 1.0, 0.0), (table.n01, 0.0, 1.0), (table.n00, 0.0, 0.0)];
        let (mut canary, mut variant) = (Vec::new(), Vec::new());
        for (count, a, b) in kinds {
            canary.resize(canary.len() + count as usize, a);
            variant.resize(variant.len() + count as usize, b);
        }
        let (canary, variant, clusters) = (canary.into(), variant.into(), Vec::new().into());
        Self { canary, variant, clusters, range: Some((0.0, 1.0)), run_variance: 0.0 }
    }
}
