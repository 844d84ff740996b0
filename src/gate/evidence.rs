//! The statistics that the gate rests on, in the gate's own words.

use super::Method;
use crate::analysis::{Comparison, Missing};
use crate::domain::Verdict;
use crate::stats::{self, Annotation, Halves, Interval, MarginVerdict, PairTable};

/// Power at which a needed number of items is computed.
const POWER: f64 = 0.8;

/// Below this many pairs the score interval is not trusted, and the exact one decides.
const SCORE_FROM: u64 = 50;
/// How alike the items of a cluster are at least taken to be, since few flips do not tell: the share of the variance that
/// lies between clusters.
const SUPPOSED_ICC: f64 = 0.1;

impl Method {
    /// What decides a comparison of right-or-wrong pairs. None without pairs, or with one cluster.
    pub(super) fn of(comparison: &Comparison) -> Option<Self> {
        let n = comparison.paired.n();
        if comparison.clusters.is_empty() {
            return (n > 0).then_some(if n < SCORE_FROM { Self::FayLumbard } else { Self::Tango });
        }
        let sizes: Vec<u64> = comparison.clusters.iter().map(|c| c.0).collect();
        let clustered = stats::tango_cluster(&comparison.clusters, 0.0, 0.0)?;
        let deff = clustered.deff?.max(stats::deff_by_design(&sizes, SUPPOSED_ICC)?);
        Some(Self::ClusteredTango { deff, df: clustered.df? })
    }

    pub(super) fn interval(self, table: &PairTable, confidence: f64) -> Option<Interval> {
        match self {
            Self::FayLumbard => stats::fay_diff(table, confidence),
            Self::ClusteredTango { deff, df } => stats::tango_clustered(table, deff, df, confidence),
            _ => (table.n() > 0).then(|| stats::tango(table, confidence)),
        }
    }

    /// Fewest pairs with which a pass is possible: what not a single flip needs.
    pub(super) fn floor(self, margin: f64, alpha: f64) -> u64 {
        let Self::ClusteredTango { deff, df } = self else { return floor(margin, alpha) };
        let least = |t: f64| ((deff * t * t * (1.0 / margin - 1.0)).floor() as u64).saturating_add(1);
        stats::t_quantile(1.0 - alpha, df).map_or(u64::MAX, least)
    }

    /// A number of independent items as one of items that share clusters.
    pub(super) fn swollen(self, n: u64) -> u64 {
        match self {
            Self::ClusteredTango { deff, .. } => (n as f64 * deff).ceil() as u64,
            _ => n,
        }
    }
}

/// A difference with its interval and how it came by it.
#[derive(Clone, Copy)]
pub(super) struct Difference {
    /// Variant less canary, with the interval at the two-sided level 1 − 2α.
    pub(super) delta: Interval,
    /// What made the interval.
    pub(super) method: Method,
}

/// The difference that decides. None without pairs, or with one cluster.
pub(super) fn difference(comparison: &Comparison, alpha: f64) -> Option<Difference> {
    let method = Method::of(comparison)?;
    Some(Difference { delta: method.interval(&comparison.paired.table, 1.0 - 2.0 * alpha)?, method })
}

/// What an interval says about a margin, and beyond it.
pub(super) fn decided(delta: Interval, margin: f64) -> (Verdict, Option<Annotation>) {
    let (verdict, note) = stats::margin_verdict(delta.lower, delta.upper, margin);
    (verdict_of(verdict), note)
}

fn verdict_of(verdict: MarginVerdict) -> Verdict {
    match verdict {
        MarginVerdict::Pass => Verdict::Pass,
        MarginVerdict::Inconclusive => Verdict::Inconclusive,
        MarginVerdict::Fail => Verdict::Fail,
    }
}

/// The word for an annotation in `results.json`.
pub(crate) fn note_word(note: Annotation) -> &'static str {
    match note {
        Annotation::DetectableRegressionWithinMargin => "DETECTABLE_REGRESSION_WITHIN_MARGIN",
        Annotation::Improvement => "IMPROVEMENT",
        Annotation::SignificantRegressionSizeUnresolved => "SIGNIFICANT_REGRESSION_SIZE_UNRESOLVED",
    }
}

/// Fewest independent pairs with which a pass is possible: what not a single flip needs, by the exact interval where so few
/// pairs are judged by it.
pub(super) fn floor(margin: f64, alpha: f64) -> u64 {
    let floor = stats::ni_floor(margin, alpha);
    if floor.exact < SCORE_FROM { floor.exact } else { floor.tango.max(SCORE_FROM) }
}

/// Pairs that would show the loss to be within the margin, if it is what it seems; none where it seems not to be.
pub(super) fn needed(table: &PairTable, margin: f64, alpha: f64) -> Option<u64> {
    let n = table.n() as f64;
    // A loss of exactly the margin differs from it by rounding alone, and would ask for astronomically many pairs.
    if table.n10 as f64 - table.n01 as f64 >= n * margin - 1e-6 {
        return None;
    }
    let share = |count: u64| count as f64 / n;
    needed_at(share(table.n10), share(table.n01), margin, alpha)
}

/// Pairs needed at the table's flip rate if nothing was truly lost.
pub(super) fn needed_without_loss(table: &PairTable, margin: f64, alpha: f64) -> Option<u64> {
    let n = table.n() as f64;
    let half = table.discordant() as f64 / n / 2.0;
    needed_at(half, half, margin, alpha)
}

fn needed_at(p10: f64, p01: f64, margin: f64, alpha: f64) -> Option<u64> {
    let size = stats::ni_sample_size(p10, p01, margin, alpha, POWER)?.pairs();
    let floors = stats::ni_floor(margin, alpha);
    // The size is the score test's; the exact one asks for more, at zero flips by this ratio.
    let exact = (size as f64 * floors.exact as f64 / floors.tango as f64).ceil() as u64;
    let size = if size < SCORE_FROM { exact.clamp(size, SCORE_FROM) } else { size };
    Some(size.max(floor(margin, alpha)))
}

/// The verdict that holds by the deciding method whatever the missing halves would have been; INCONCLUSIVE where none does.
pub(super) fn robust(table: &PairTable, missing: &Missing, method: Method, (margin, alpha): (f64, f64)) -> Verdict {
    let halves = Halves {
        a_right_b_missing: missing.canary_right_variant_missing,
        a_wrong_b_missing: missing.canary_wrong_variant_missing,
        a_missing_b_right: missing.canary_missing_variant_right,
        a_missing_b_wrong: missing.canary_missing_variant_wrong,
        both_missing: missing.both,
    };
    let nothing = Interval { estimate: 0.0, lower: -1.0, upper: 1.0 };
    let interval = |table: &PairTable| method.interval(table, 1.0 - 2.0 * alpha).unwrap_or(nothing);
    verdict_of(stats::missing_bounds_by(table, &halves, margin, interval).verdict_robust)
}
