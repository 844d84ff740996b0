//! Pairs with a missing half: counted, and bounded from both sides.

use super::tango::tango;
use super::{Interval, MarginVerdict, PairTable, margin_verdict};

/// Pairs of which something is missing, by what is known of the other half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Halves {
    /// Canary right, variant missing.
    pub a_right_b_missing: u64,
    /// Canary wrong, variant missing.
    pub a_wrong_b_missing: u64,
    /// Canary missing, variant right.
    pub a_missing_b_right: u64,
    /// Canary missing, variant wrong.
    pub a_missing_b_wrong: u64,
    /// Both missing.
    pub both_missing: u64,
}

impl Halves {
    /// How many pairs are not complete.
    #[must_use]
    pub fn total(&self) -> u64 {
        let one = self.a_right_b_missing.saturating_add(self.a_wrong_b_missing).saturating_add(self.a_missing_b_right);
        one.saturating_add(self.a_missing_b_wrong).saturating_add(self.both_missing)
    }
}

/// What a list of pairs comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairCounts {
    /// The complete pairs.
    pub table: PairTable,
    /// The others.
    pub halves: Halves,
    /// How many halves held something else than 0 or 1 (NaN, ∞, a fraction): each counts as missing.
    pub invalid: u64,
}

/// Counts pairs of right (1) and wrong (0); `None` is missing, any other number is invalid and counts as missing.
///
/// Where one list is longer, its surplus has a missing other half.
#[must_use]
pub fn pair_counts(canary: &[Option<f64>], variant: &[Option<f64>]) -> PairCounts {
    let mut counts = PairCounts::default();
    for i in 0..canary.len().max(variant.len()) {
        let mut read = |side: &[Option<f64>]| {
            let value = side.get(i).copied().flatten()?;
            let right = if value.total_cmp(&1.0).is_eq() { Some(true) } else { (value == 0.0).then_some(false) };
            counts.invalid += u64::from(right.is_none());
            right
        };
        let pair = (read(canary), read(variant));
        let cell = match pair {
            (Some(true), Some(true)) => &mut counts.table.n11,
            (Some(true), Some(false)) => &mut counts.table.n10,
            (Some(false), Some(true)) => &mut counts.table.n01,
            (Some(false), Some(false)) => &mut counts.table.n00,
            (Some(true), None) => &mut counts.halves.a_right_b_missing,
            (Some(false), None) => &mut counts.halves.a_wrong_b_missing,
            (None, Some(true)) => &mut counts.halves.a_missing_b_right,
            (None, Some(false)) => &mut counts.halves.a_missing_b_wrong,
            (None, None) => &mut counts.halves.both_missing,
        };
        *cell += 1;
    }
    counts
}

/// What the missing halves could do to an estimate and to its verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MissingBounds {
    /// The complete pairs alone.
    pub complete: Interval,
    /// Every missing half as bad for the variant as it can be; a pair with both missing is a loss.
    pub worst: Interval,
    /// Every missing half as good for the variant as it can be; a pair with both missing is a gain.
    pub best: Interval,
    /// The verdict of the complete pairs.
    pub verdict_complete: MarginVerdict,
    /// That verdict where all three agree, else INCONCLUSIVE.
    pub verdict_robust: MarginVerdict,
    /// Incomplete pairs / all pairs, in [0, 1]; 0 for none at all.
    pub missing_rate: f64,
}

/// Worst-case and best-case bounds (Manski 1989) by [`tango`]: nothing is assumed about why a half is missing.
#[must_use]
pub fn missing_bounds(table: &PairTable, halves: &Halves, margin: f64, conf: f64) -> MissingBounds {
    missing_bounds_by(table, halves, margin, |table| tango(table, conf))
}

/// The same by any interval: the one that the complete pairs are judged by.
#[must_use]
pub fn missing_bounds_by(
    table: &PairTable,
    halves: &Halves,
    margin: f64,
    interval: impl Fn(&PairTable) -> Interval,
) -> MissingBounds {
    let add = u64::saturating_add;
    let worst = PairTable {
        n11: add(table.n11, halves.a_missing_b_right),
        n10: add(add(table.n10, halves.a_right_b_missing), add(halves.a_missing_b_wrong, halves.both_missing)),
        n01: table.n01,
        n00: add(table.n00, halves.a_wrong_b_missing),
    };
    let best = PairTable {
        n11: add(table.n11, halves.a_right_b_missing),
        n10: table.n10,
        n01: add(add(table.n01, halves.a_wrong_b_missing), add(halves.a_missing_b_right, halves.both_missing)),
        n00: add(table.n00, halves.a_missing_b_wrong),
    };
    let [complete, worst, best] = [table, &worst, &best].map(interval);
    let verdicts = [complete, worst, best].map(|interval| margin_verdict(interval.lower, interval.upper, margin).0);
    let missing = halves.total() as f64;
    MissingBounds {
        complete,
        worst,
        best,
        verdict_complete: verdicts[0],
        verdict_robust: agreed(&verdicts),
        missing_rate: missing / (missing + table.n() as f64).max(1.0),
    }
}

/// The verdict on which all agree, else INCONCLUSIVE; INCONCLUSIVE of none.
#[must_use]
pub fn agreed(verdicts: &[MarginVerdict]) -> MarginVerdict {
    match verdicts {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => *first,
        _ => MarginVerdict::Inconclusive,
    }
}
