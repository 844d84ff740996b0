//! Two subjects' amounts on the same samples, tokens or money: how many times as much one comes to in total.

use std::collections::BTreeMap;

use crate::stats::{self, Interval};

/// Confidence of the interval that is shown rather than decided on.
const SHOWN: f64 = 0.95;
/// Fewest units that give an interval: amounts have long tails.
const FEWEST: usize = 30;

/// Two subjects' amounts on the same samples. Samples of one source are one unit: their amounts are added up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairedAmounts {
    canary: Vec<f64>,
    variant: Vec<f64>,
    pairs: usize,
}

impl PairedAmounts {
    /// Of (canary, variant, source) of each sample; a sample without a source is a unit of its own.
    pub fn of<K: Ord>(amounts: impl IntoIterator<Item = (f64, f64, Option<K>)>) -> Self {
        let mut all = Self::default();
        let mut places: BTreeMap<K, usize> = BTreeMap::new();
        for (canary, variant, source) in amounts {
            let next = all.canary.len();
            let place = source.map_or(next, |source| *places.entry(source).or_insert(next));
            if place == next {
                all.canary.push(0.0);
                all.variant.push(0.0);
            }
            all.canary[place] += canary;
            all.variant[place] += variant;
            all.pairs += 1;
        }
        all
    }

    /// Samples that both have an amount of.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// Units that they come to: sources, and samples without one.
    #[must_use]
    pub fn units(&self) -> usize {
        self.canary.len()
    }

    /// Fewest units that give an interval.
    #[must_use]
    pub fn fewest() -> usize {
        FEWEST
    }

    /// The totals: the canary's, the variant's.
    #[must_use]
    pub fn totals(&self) -> (f64, f64) {
        (self.canary.iter().sum(), self.variant.iter().sum())
    }

    /// The ratio of the totals, variant over canary; none where the canary's is not above 0.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let (canary, variant) = self.totals();
        (canary > 0.0).then(|| variant / canary)
    }

    /// The same with its 95 % interval.
    #[must_use]
    pub fn shown(&self) -> Option<Interval> {
        self.interval(SHOWN)
    }

    /// The ratio of the totals with Fieller's limits over units; none with fewer than 30 units, where the limits have no end, or
    /// where no unit differs from another in its ratio, which is no evidence. Source: Fieller 1954.
    #[must_use]
    pub fn interval(&self, confidence: f64) -> Option<Interval> {
        let estimate = self.ratio().filter(|_| self.units() >= FEWEST)?;
        let (lower, upper) = stats::fieller(&self.canary, &self.variant, confidence)?.limits?;
        (upper - lower > 1e-12 * estimate).then_some(Interval { estimate, lower, upper })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(n: u64) -> impl Iterator<Item = (f64, f64, Option<u64>)> {
        (0..n).map(|i| (100.0 + (i * 37 % 50) as f64, 120.0 + (i * 91 % 70) as f64, None))
    }

    #[test]
    fn the_ratio_is_that_of_the_totals_and_lies_in_its_interval() {
        let of = PairedAmounts::of([(10.0, 30.0, None::<u8>), (30.0, 30.0, None)]);
        assert_eq!(of.ratio(), Some(1.5));
        assert_eq!((of.pairs(), of.interval(0.9)), (2, None), "two units tell nothing");
        let many = PairedAmounts::of(amounts(200));
        let interval = many.interval(0.9).expect("there are enough units");
        assert!(interval.lower < interval.estimate && interval.estimate < interval.upper && interval.upper < 1.5, "{interval:?}");
        assert!(many.interval(0.99).expect("as many").upper > interval.upper);
    }

    #[test]
    fn samples_of_one_source_are_one_unit() {
        let apart = PairedAmounts::of(amounts(120));
        let copies = PairedAmounts::of((0..4).flat_map(|_| amounts(120).zip(0_u64..).map(|((a, b, _), i)| (a, b, Some(i)))));
        assert_eq!((copies.pairs(), copies.units()), (480, 120));
        let (one, four) = (apart.interval(0.9).expect("enough"), copies.interval(0.9).expect("enough"));
        assert!((one.lower - four.lower).abs() < 1e-12 && (one.upper - four.upper).abs() < 1e-12);
    }

    #[test]
    fn amounts_in_one_proportion_or_a_canary_without_any_have_no_interval() {
        let still = PairedAmounts::of((1..100).map(|i| (f64::from(i), f64::from(3 * i), None::<u8>)));
        assert!(still.ratio() == Some(3.0) && still.interval(0.9).is_none());
        let nothing = PairedAmounts::of((0..100).map(|_| (0.0, 1.0, None::<u8>)));
        assert!(nothing.ratio().is_none() && nothing.interval(0.9).is_none());
    }
}
