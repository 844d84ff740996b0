//! Budgets of flips: how many answers change at all, and how many more than each subject changes by itself.

use super::budget::{Bounds, Value};
use super::loss::Part;
use crate::domain::Verdict;
use crate::stats::{self, Interval};

/// Confidence of an interval that is shown rather than decided on.
const SHOWN: f64 = 0.95;

/// A verdict and its reason.
type Answer = (Verdict, String);

/// `flips.rate`: the share of items whose scores differ, bounded by Clopper & Pearson's exact limits; over clusters by CR2,
/// never narrower than what as many clusters without a flip allow.
pub(super) fn rate(part: &Part<'_>, max: f64) -> Result<Bounds, Answer> {
    let (flips, n) = (part.pairs.differing(), part.pairs.n());
    let (missing, confidence) = (part.pairs.missing.total(), part.question.confidence());
    let units = part.pairs.sources().unwrap_or(n);
    let one_source = || (Verdict::Inconclusive, "all items come from one source: at least 10 are needed".to_owned());
    let interval = |confidence| interval(part, confidence).ok_or_else(one_source);
    let (tested, shown) = (interval(confidence)?, interval(SHOWN)?);
    // Of independent pairs the bound is exact; of clusters a missing pair moves the limits by its share at most.
    let whatever = if part.pairs.clusters.is_empty() {
        let upper = stats::clopper_pearson(flips + missing, n + missing, confidence).upper;
        (upper, stats::clopper_pearson(flips, n + missing, confidence).lower)
    } else {
        let share = missing as f64 / (n + missing) as f64;
        ((tested.upper + share).min(1.0), (tested.lower - share).max(0.0))
    };
    // What has not been seen in as many units can still be in the next.
    let floor = if max > 0.0 && max < 1.0 { stats::ni_floor(max, part.question.alpha).exact } else { 0 };
    let floor = if max <= 0.0 { u64::MAX } else { (floor as f64 * n as f64 / units as f64).ceil() as u64 };
    Ok(Bounds { shown: Value { value: tested.estimate, interval: Some(shown) }, tested, whatever, floor })
}

fn interval(part: &Part<'_>, confidence: f64) -> Option<Interval> {
    if part.pairs.clusters.is_empty() {
        return Some(stats::clopper_pearson(part.pairs.differing(), part.pairs.n(), confidence));
    }
    let (mut values, mut sources) = (Vec::new(), Vec::new());
    for (source, &(pairs, lost, gained)) in part.pairs.clusters.iter().enumerate() {
        let flips = (lost + gained) as usize;
        values.resize(values.len() + flips, 1.0);
        values.resize(values.len() + pairs as usize - flips, 0.0);
        sources.resize(values.len(), source);
    }
    stats::cluster_mean(&values, &sources, confidence)?.share(confidence)
}

/// `flips.excess`: how much more often canary and variant differ than each differs from itself, 2·AB − AA − BB; never bounded
/// more narrowly than what as many items without any difference allow. It needs at least two passes of both to be kept: by one
/// of the variant, AB − AA, it can only be shown to be broken, since a real change on hard items leaves that at 0.
pub(super) fn excess(part: &Part<'_>, max: f64) -> Result<Bounds, Answer> {
    let invalid = |what: &str| (Verdict::Invalid, format!("flips.excess has a budget, but {what}"));
    let comparison = part.asked.comparison;
    let excess = comparison
        .excess
        .ok_or_else(|| invalid("the canary was asked once: set `repeats = 2` for the canary and for each variant"))?;
    let units = part.pairs.sources().unwrap_or(part.pairs.n());
    let interval = |confidence: f64| {
        let df = (units.max(2) - 1) as f64;
        let reach = stats::t_quantile(0.5 + 0.5 * confidence, df).unwrap_or(f64::INFINITY) * excess.se;
        // An item can have at most 2.
        let unseen = 2.0 * stats::clopper_pearson(0, units, confidence).upper;
        let upper = (excess.excess + reach).max(unseen);
        Interval { estimate: excess.excess, lower: excess.excess - reach, upper }
    };
    let tested = interval(part.question.confidence());
    let shown = Value { value: excess.excess, interval: Some(interval(SHOWN)) };
    if excess.flip_bb.is_none() && tested.lower <= max {
        let what = format!(
            "flips.excess is {:.4} by one pass of the variant, which cannot show that it keeps within {max}: set `repeats = 2` for it",
            excess.excess
        );
        return Err((Verdict::Inconclusive, what));
    }
    let missing = 2.0 * part.pairs.missing.total() as f64 / part.samples().max(1) as f64;
    Ok(Bounds { shown, tested, whatever: (tested.upper + missing, tested.lower - missing), floor: 0 })
}
