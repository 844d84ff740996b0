//! The statistics that the gate rests on, in the gate's own words.

use crate::analysis::{Comparison, Missing};
use crate::domain::Verdict;
use crate::stats::{self, Annotation, Halves, Interval, MarginVerdict, PairTable};

/// Power at which a needed number of items is computed.
const POWER: f64 = 0.8;

/// Fewer flips than this do not tell how alike the items of a cluster are.
const FEW_FLIPS: u64 = 20;
/// How alike they are taken to be then: the share of the variance that lies between clusters.
const SUPPOSED_ICC: f64 = 0.1;

/// A difference with its interval, and by how much shared clusters swell its variance.
#[derive(Clone, Copy)]
pub(super) struct Difference {
    /// Variant less canary, with the score interval at the two-sided level 1 − 2α.
    pub(super) delta: Interval,
    /// The design effect; 1 for independent items.
    pub(super) deff: f64,
}

/// Tango's score interval; with shared clusters the counts are divided by the design effect and t takes the place of z
/// (few flips: by a supposed likeness). None without pairs, or with one cluster.
pub(super) fn difference(comparison: &Comparison, margin: f64, alpha: f64) -> Option<Difference> {
    let (table, confidence) = (&comparison.paired.table, 1.0 - 2.0 * alpha);
    if table.n() == 0 {
        return None;
    }
    if comparison.clusters.is_empty() {
        return Some(Difference { delta: stats::tango(table, confidence), deff: 1.0 });
    }
    if table.discordant() < FEW_FLIPS {
        let sizes: Vec<u64> = comparison.clusters.iter().map(|c| c.0).collect();
        let deff = stats::deff_by_design(&sizes, SUPPOSED_ICC)?;
        return Some(Difference { delta: stats::tango_effective(table, deff, confidence), deff });
    }
    let clustered = stats::tango_cluster(&comparison.clusters, margin, confidence)?;
    let (lower, upper) = clustered.limits?;
    let delta = Interval { estimate: clustered.estimate, lower, upper };
    Some(Difference { delta, deff: clustered.deff.unwrap_or(1.0) })
}

/// A number of independent items as one of items that share clusters.
pub(super) fn swollen(n: u64, deff: f64) -> u64 {
    if deff > 1.0 { (n as f64 * deff).ceil() as u64 } else { n }
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

/// Fewest pairs with which a pass is possible: what not a single flip needs.
pub(super) fn floor(margin: f64, alpha: f64) -> u64 {
    stats::ni_floor(margin, alpha).tango
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
    let size = stats::ni_sample_size(p10, p01, margin, alpha, POWER)?;
    Some(size.pairs().max(floor(margin, alpha)))
}

/// The verdict that holds whatever the missing halves would have been; INCONCLUSIVE where none does.
pub(super) fn robust(table: &PairTable, missing: &Missing, margin: f64, alpha: f64) -> Verdict {
    let halves = Halves {
        a_right_b_missing: missing.canary_right_variant_missing,
        a_wrong_b_missing: missing.canary_wrong_variant_missing,
        a_missing_b_right: missing.canary_missing_variant_right,
        a_missing_b_wrong: missing.canary_missing_variant_wrong,
        both_missing: missing.both,
    };
    verdict_of(stats::missing_bounds(table, &halves, margin, 1.0 - 2.0 * alpha).verdict_robust)
}
