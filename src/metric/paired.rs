//! Right and wrong, item by item: two rates on the same items, their difference and the tests of it.

use crate::stats::{self, Interval, PairTable};

/// Confidence of every interval that is shown rather than decided on.
const SHOWN: f64 = 0.95;

/// Two subjects on the same right-or-wrong items.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    /// The counts: first digit the canary, second the variant, 1 for right.
    pub table: PairTable,
    /// The canary's accuracy with its Wilson 95 % interval; none where there is no pair.
    pub canary: Option<Interval>,
    /// The variant's accuracy with its Wilson 95 % interval; none where there is no pair.
    pub variant: Option<Interval>,
    /// Variant less canary, a fraction in −1..=1, with Tango's 95 % score interval; none where there is no pair.
    pub delta: Option<Interval>,
    /// McNemar's two-sided mid-p of no difference (Fagerland, Lydersen and Laake 2013).
    pub p_mid: f64,
    /// McNemar's exact two-sided p.
    pub p_exact: f64,
}

impl Paired {
    /// As [`paired`], of scores that are not all right or wrong: the rates are means with t intervals, the difference has
    /// that of the paired t (none where no two differ), and the table counts items that got worse, better, or neither.
    #[must_use]
    pub fn of_means(table: PairTable, canary: &[f64], variant: &[f64]) -> Self {
        let nothing = vec![0.0; canary.len()];
        let mean = |values: &[f64]| stats::paired_t(&nothing, values, 0.0, SHOWN).map(|t| t.interval);
        let difference = stats::paired_t(canary, variant, 0.0, SHOWN).filter(|t| t.se > 0.0).map(|t| t.interval);
        Self { canary: mean(canary), variant: mean(variant), delta: difference, ..paired(table) }
    }

    /// Pairs with both halves.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.table.n()
    }

    /// Items that the canary had right and the variant has wrong.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.table.n10
    }

    /// Items that the canary had wrong and the variant has right.
    #[must_use]
    pub fn gained(&self) -> u64 {
        self.table.n01
    }

    /// Share of items on which the two differ, in 0..=1; 0 where there is no pair.
    #[must_use]
    pub fn flip_rate(&self) -> f64 {
        let flips = self.table.discordant();
        if flips == 0 { 0.0 } else { flips as f64 / self.n() as f64 }
    }
}

/// Rates, difference and tests of a table of pairs.
#[must_use]
pub fn paired(table: PairTable) -> Paired {
    let n = table.n();
    let test = stats::mcnemar(table.n10, table.n01);
    let some = |interval: fn(&PairTable) -> Interval| (n > 0).then(|| interval(&table));
    Paired {
        table,
        canary: some(|t| stats::wilson(t.n11 + t.n10, t.n(), SHOWN)),
        variant: some(|t| stats::wilson(t.n11 + t.n01, t.n(), SHOWN)),
        delta: some(|t| stats::tango(t, SHOWN)),
        p_mid: test.p_midp,
        p_exact: test.p_exact,
    }
}

/// How often something befell one subject and not the other, on the same items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asymmetry {
    /// Items on which it befell the canary.
    pub canary: u64,
    /// Items on which it befell the variant.
    pub variant: u64,
    /// McNemar's two-sided mid-p of no asymmetry.
    pub p_mid: f64,
}

/// Counts and tests what befell (canary, variant) on each item.
#[must_use]
pub fn asymmetry(items: impl IntoIterator<Item = (bool, bool)>) -> Asymmetry {
    let (mut both, mut canary_only, mut variant_only) = (0, 0, 0);
    for item in items {
        match item {
            (true, true) => both += 1,
            (true, false) => canary_only += 1,
            (false, true) => variant_only += 1,
            (false, false) => {}
        }
    }
    let p_mid = stats::mcnemar(canary_only, variant_only).p_midp;
    Asymmetry { canary: both + canary_only, variant: both + variant_only, p_mid }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapping_canary_and_variant_mirrors_the_difference_and_its_interval() {
        let one = paired(PairTable { n11: 70, n10: 9, n01: 4, n00: 17 });
        let other = paired(PairTable { n11: 70, n10: 4, n01: 9, n00: 17 });
        let (a, b) = (one.delta.expect("there are pairs"), other.delta.expect("there are pairs"));
        assert!((a.estimate + b.estimate).abs() < 1e-12);
        assert!((a.lower + b.upper).abs() < 1e-9 && (a.upper + b.lower).abs() < 1e-9, "{a:?} against {b:?}");
        assert_eq!((one.canary, one.variant), (other.variant, other.canary));
        assert!((one.p_mid - other.p_mid).abs() < 1e-12);
    }

    #[test]
    fn a_loss_is_negative() {
        let worse = paired(PairTable { n11: 50, n10: 10, n01: 0, n00: 40 });
        assert!(worse.delta.is_some_and(|d| d.estimate < 0.0 && d.upper < 0.0));
    }

    #[test]
    fn no_pairs_give_no_rates_and_no_nan() {
        let none = paired(PairTable { n11: 0, n10: 0, n01: 0, n00: 0 });
        assert_eq!((none.canary, none.variant, none.delta), (None, None, None));
        assert!(none.flip_rate().abs() < f64::EPSILON && none.p_mid.is_finite());
    }
}
