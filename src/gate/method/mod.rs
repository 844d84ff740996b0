//! How a loss is measured: one file a method, each an interval and two p-values that say the same.
//!
//! Every method answers one question about pairs of scores: is the loss smaller than what is tolerated, or larger? Its limits
//! are the tolerances that its tests do not reject, so that PASS, `p_pass` < α and "the lower limit is above the bound" are one
//! statement.

mod binary;
mod means;
mod recovery;
mod scores;
mod signs;
mod size;
mod stand;

pub(super) use means::Spread;
pub(super) use scores::{Pairs, Scores};
pub(super) use signs::agree as signs_agree;
pub(super) use size::{floor, needed, needed_without_loss};
pub(super) use stand::{Stand, note_of, touches};

use super::Method;
use crate::domain::Tolerance;
use crate::stats::{self, Interval, PairTable, SCORE_FROM, SUPPOSED_ICC, T_FROM};

/// Unbounded scores are judged from so many units on.
pub(super) const UNBOUNDED_FROM: u64 = 100;

/// What is asked of pairs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    /// What is tolerated.
    pub(super) tolerance: Tolerance,
    /// One-sided level of each claim, in (0, ½).
    pub(super) alpha: f64,
    /// Whether only methods may decide that hold at any number of items.
    pub(super) strict: bool,
}

impl Question {
    /// The two-sided confidence that goes with the level.
    pub(super) fn confidence(&self) -> f64 {
        1.0 - 2.0 * self.alpha
    }

    /// The share that must be kept, for a recovery.
    pub(super) fn share(&self) -> Option<f64> {
        match self.tolerance {
            Tolerance::Recovery(share) => Some(share),
            Tolerance::Margin(_) => None,
        }
    }
}

/// What decides about pairs. None without pairs, with one cluster, or for a recovery of nothing.
pub(super) fn choose(pairs: &Pairs<'_>, question: &Question) -> Option<Method> {
    let recovered = question.share().is_none() || pairs.canary.is_some_and(|canary| canary.estimate > 0.0);
    if pairs.n() == 0 || !recovered {
        return None;
    }
    match pairs.means {
        Some(means) => Some(of_means(pairs, means.clusters.is_empty(), question)),
        None if pairs.clusters.is_empty() => Some(of_counts(pairs.n(), question)),
        None => of_clusters(pairs, question),
    }
}

fn of_counts(n: u64, question: &Question) -> Method {
    let exact = question.strict || n < SCORE_FROM;
    match (question.tolerance, exact) {
        (Tolerance::Margin(_), true) => Method::FayLumbard,
        (Tolerance::Margin(_), false) => Method::Tango,
        (Tolerance::Recovery(_), true) => Method::Betting,
        (Tolerance::Recovery(_), false) => Method::RatioScore,
    }
}

fn of_clusters(pairs: &Pairs<'_>, question: &Question) -> Option<Method> {
    let sizes: Vec<u64> = pairs.clusters.iter().map(|c| c.0).collect();
    let clustered = stats::tango_cluster(pairs.clusters, 0.0, 0.0)?;
    // Taken at their word, the twentieth flip could make the interval narrower than the nineteenth.
    let deff = clustered.deff?.max(stats::deff_by_design(&sizes, SUPPOSED_ICC)?);
    let df = clustered.df?;
    Some(match question.tolerance {
        Tolerance::Margin(_) => Method::ClusteredTango { deff, df },
        Tolerance::Recovery(_) => Method::ClusteredRatio { deff, df },
    })
}

fn of_means(pairs: &Pairs<'_>, independent: bool, question: &Question) -> Method {
    let bounded = pairs.range.is_some();
    if bounded && (question.strict || !many_differ(pairs)) {
        Method::Betting
    } else if independent {
        Method::PairedT
    } else {
        Method::ClusteredT
    }
}

/// Whether so many pairs differ, and in so many clusters (all, where those are fewer), that a t interval may decide: what
/// happens in two clusters of many says as little of the others as two pairs do.
pub(super) fn many_differ(pairs: &Pairs<'_>) -> bool {
    let moved = pairs.clusters.iter().filter(|(_, lost, gained)| lost + gained > 0).count() as u64;
    pairs.differing() >= T_FROM && moved >= T_FROM.min(pairs.sources().unwrap_or(0))
}

/// Where scores stand by a method. None where it says nothing: no pairs, no variation.
pub(super) fn stand(method: Method, scores: &Scores<'_>, question: &Question) -> Option<Stand> {
    match (scores, question.tolerance) {
        (Scores::Counts(table), Tolerance::Margin(margin)) => binary::stand(method, table, margin, question.alpha),
        (Scores::Counts(table), Tolerance::Recovery(share)) => recovery::of_counts(method, table, share, question),
        (Scores::Values(values), Tolerance::Margin(margin)) => means::stand(method, values, margin, question.alpha),
        (Scores::Values(values), Tolerance::Recovery(share)) => recovery::of_values(method, values, share, question.alpha),
    }
}

/// Whether the scores of all units are of one mind with a t interval by BCa too: what unbounded scores need.
pub(super) fn bootstrap_agrees(scores: &Scores<'_>, question: &Question, passes: bool) -> bool {
    match scores {
        Scores::Counts(_) => true,
        Scores::Values(values) => means::bootstrap_agrees(values, question, passes),
    }
}

/// What numbers are known by, so that limits at several levels need one pass over them; none of counts.
pub(super) fn spread(method: Method, pairs: &Pairs<'_>) -> Option<Spread> {
    match pairs.complete() {
        Scores::Counts(_) => None,
        Scores::Values(values) => means::spread(method, &values, 1.0),
    }
}

/// Variant less canary with its limits at a one-sided level.
pub(super) fn difference(method: Method, scores: &Scores<'_>, alpha: f64) -> Option<Interval> {
    match scores {
        Scores::Counts(table) => binary::interval(method, table, 1.0 - 2.0 * alpha),
        Scores::Values(values) => means::spread(method, values, 1.0)?.interval(alpha),
    }
}

/// The canary's score with its limits at a one-sided level.
pub(super) fn canary(method: Method, scores: &Scores<'_>, alpha: f64) -> Option<Interval> {
    match scores {
        Scores::Counts(table) => {
            let deff = if let Method::ClusteredTango { deff, .. } = method { deff.max(1.0) } else { 1.0 };
            let over = |count: u64| (count as f64 / deff).round() as u64;
            Some(stats::wilson(over(table.n11 + table.n10), over(table.n()), 1.0 - 2.0 * alpha))
        }
        Scores::Values(values) => means::canary(values, alpha),
    }
}

/// Variant over canary of right answers with its limits at a one-sided level. None where neither has any.
pub(super) fn ratio(method: Method, table: &PairTable, alpha: f64) -> Option<Interval> {
    recovery::interval(method, table, alpha)
}
