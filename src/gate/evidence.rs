//! The statistics that the gate rests on, in the gate's own words.

use crate::analysis::Missing;
use crate::domain::Verdict;
use crate::stats::{self, Annotation, Halves, Interval, MarginVerdict, PairTable};

/// Power at which a needed number of items is computed.
const POWER: f64 = 0.8;

/// Tango's score interval at the two-sided level 1 − 2α; none without pairs.
pub(super) fn interval(table: &PairTable, alpha: f64) -> Option<Interval> {
    (table.n() > 0).then(|| stats::tango(table, 1.0 - 2.0 * alpha))
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
