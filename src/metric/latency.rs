//! Two subjects' times on the same samples: how many times as long one takes, on average and at quantiles.

use crate::stats::{self, ClusterMean, Interval, Resampling};

/// Confidence of every interval that is shown rather than decided on.
const SHOWN: f64 = 0.95;
/// Most blocks that pairs are put in.
const MOST_BLOCKS: usize = 50;
/// Fewest blocks that give an interval.
const FEWEST_BLOCKS: usize = 10;

/// Two subjects' times on the same samples, in the order in which they were asked.
///
/// Answers of one batch share its time, and what is near in time is alike: so neighbours with equal times are one
/// measurement, and what is independent are blocks of consecutive measurements.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedTimes {
    canary: Vec<f64>,
    variant: Vec<f64>,
    block: Vec<u32>,
    measurements: usize,
    /// Of the logarithm of the ratio.
    ln_ratio: Option<ClusterMean>,
}

impl PairedTimes {
    /// Of (canary, variant) times in one unit (micro- or nanoseconds), in the order in which the samples were asked. The first
    /// measurement, a batch or a single answer, is left out: it warms the machine up. A time of 0 counts as one unit.
    #[must_use]
    pub fn of(times: &[(u64, u64)]) -> Self {
        let first = times.iter().take_while(|pair| Some(*pair) == times.first()).count();
        let rest = &times[first..];
        let mut batch: Vec<usize> = Vec::with_capacity(rest.len());
        for (index, pair) in rest.iter().enumerate() {
            let last = batch.last().copied();
            let next = last.map_or(0, |last| if rest[index - 1] == *pair { last } else { last + 1 });
            batch.push(next);
        }
        let measurements = batch.last().map_or(0, |last| last + 1);
        let blocks = measurements.min(MOST_BLOCKS);
        let block: Vec<u32> = batch.iter().map(|batch| (batch * blocks / measurements) as u32).collect();
        let time = |units: u64| units.max(1) as f64;
        let (canary, variant): (Vec<f64>, Vec<f64>) = rest.iter().map(|&(a, b)| (time(a), time(b))).unzip();
        let ratios: Vec<f64> = canary.iter().zip(&variant).map(|(a, b)| (b / a).ln()).collect();
        let ln_ratio = stats::cluster_mean(&ratios, &block, SHOWN);
        Self { canary, variant, block, measurements, ln_ratio }
    }

    /// How many pairs of times there are, without the warm-up.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.canary.len()
    }

    /// How many of them were measured apart: batches where answers share their batch's time, else pairs.
    #[must_use]
    pub fn measurements(&self) -> usize {
        self.measurements
    }

    /// In how many blocks they are put: as many as there are measurements, at most 50.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.measurements.min(MOST_BLOCKS)
    }

    /// Fewest blocks that give an interval.
    #[must_use]
    pub fn fewest_blocks() -> usize {
        FEWEST_BLOCKS
    }

    /// Fewest measurements that bound a quantile from above with one-sided error `alpha`: ln α / ln q. Source: Conover 1999.
    #[must_use]
    pub fn fewest_for(q: f64, alpha: f64) -> usize {
        ((alpha.ln() / q.ln()).ceil() as usize).max(FEWEST_BLOCKS)
    }

    /// The geometric mean of variant over canary; none where there is no pair.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        self.ln_ratio.map(|of| of.mean.exp())
    }

    /// The same with its 95 % interval.
    #[must_use]
    pub fn mean_shown(&self) -> Option<Interval> {
        self.mean_interval(SHOWN)
    }

    /// The geometric mean of variant over canary with t limits over blocks; none with fewer than 10 blocks, or where no
    /// block differs from another, which is no evidence. Source: Cameron & Miller 2015 for blocks of unequal size.
    #[must_use]
    pub fn mean_interval(&self, confidence: f64) -> Option<Interval> {
        if self.blocks() < FEWEST_BLOCKS {
            return None;
        }
        let of = self.ln_ratio.filter(|of| of.se_cr2.is_some_and(|se| se > 0.0))?;
        of.interval(confidence).map(exponential)
    }

    /// The ratio of a quantile (in 0..=1) of the variant's times to that of the canary's; none where there is no pair.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let at = |times: &[f64]| {
            let mut sorted = times.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            stats::quantile(&sorted, q)
        };
        Some(at(&self.variant)? / at(&self.canary)?)
    }

    /// The same with limits by resampling runs of as many consecutive pairs as a block has (BCa, or percentiles where BCa
    /// does not exist); none with fewer than 10 blocks, or where no resample differs from another, which is no evidence. The
    /// same data and seed give the same limits. Sources: Künsch 1989; Efron 1987.
    #[must_use]
    pub fn quantile_interval(&self, q: f64, confidence: f64, seed: u64) -> Option<Interval> {
        if self.blocks() < FEWEST_BLOCKS {
            return None;
        }
        let how = Resampling { conf: confidence, seed, ..Resampling::default() };
        let length = self.pairs().div_ceil(self.blocks());
        let of = stats::quantile_ratio(&self.canary, &self.variant, q, length, &how).filter(|of| of.se > 0.0)?;
        let (lower, upper) = of.bca.map_or(of.percentile, |bca| (bca.lower, bca.upper));
        Some(Interval { estimate: of.estimate, lower, upper })
    }

    /// The Hodges–Lehmann estimate of variant over canary from the blocks' geometric means, with its interval: what a few slow
    /// blocks do not move. None with fewer than 10 blocks.
    #[must_use]
    pub fn robust(&self, confidence: f64) -> Option<Interval> {
        if self.blocks() < FEWEST_BLOCKS {
            return None;
        }
        let mut sums = vec![(0.0, 0_u32); self.blocks()];
        for ((a, b), block) in self.canary.iter().zip(&self.variant).zip(&self.block) {
            let sum = &mut sums[*block as usize];
            *sum = (sum.0 + (b / a).ln(), sum.1 + 1);
        }
        let means: Vec<f64> = sums.into_iter().map(|(sum, n)| sum / f64::from(n)).collect();
        Some(exponential(stats::hl_paired(&means, confidence)?.interval))
    }
}

/// An interval of a logarithm as one of the number.
fn exponential(of: Interval) -> Interval {
    Interval { estimate: of.estimate.exp(), lower: of.lower.exp(), upper: of.upper.exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of eight; the canary's time wanders slowly, the variant takes `ratio` times as long, a little more or less.
    fn times(batches: u64, ratio: f64) -> Vec<(u64, u64)> {
        let batch = |i: u64| {
            let canary = 10_000 + (i * 37) % 900 + 40 * (i % 50);
            let shake = 1.0 + 0.02 * ((i * 7919 % 101) as f64 / 50.0 - 1.0);
            (canary, (canary as f64 * ratio * shake).round() as u64)
        };
        (0..batches).flat_map(|i| std::iter::repeat_n(batch(i), 8)).collect()
    }

    #[test]
    fn a_known_ratio_is_found_and_answers_of_one_batch_are_one_measurement() {
        let of = PairedTimes::of(&times(121, 1.25));
        assert_eq!((of.pairs(), of.measurements(), of.blocks()), (960, 120, 50), "the first batch warms up");
        let mean = of.mean_interval(0.9).expect("there are enough blocks");
        assert!(mean.lower < 1.25 && 1.25 < mean.upper && mean.upper - mean.lower < 0.02, "{mean:?}");
        for q in [0.5, 0.95] {
            let at = of.quantile_interval(q, 0.9, 7).expect("there are enough blocks");
            assert!(at.lower < 1.26 && 1.24 < at.upper && at.upper - at.lower < 0.06, "{q}: {at:?}");
            assert_eq!(Some(at), of.quantile_interval(q, 0.9, 7), "the seed decides");
        }
        let robust = of.robust(0.9).expect("there are enough blocks");
        assert!(robust.lower < 1.25 && 1.25 < robust.upper, "{robust:?}");
    }

    #[test]
    fn copies_of_a_measurement_do_not_narrow_the_interval() {
        let single: Vec<(u64, u64)> = times(121, 1.25).into_iter().step_by(8).collect();
        let (one, eight) = (PairedTimes::of(&single), PairedTimes::of(&times(121, 1.25)));
        let width = |of: &PairedTimes| of.mean_interval(0.9).map(|i| i.upper / i.lower).expect("there are enough blocks");
        assert!((width(&one) - width(&eight)).abs() < 1e-9);
    }

    #[test]
    fn exchanging_the_sides_gives_the_reciprocal() {
        let (one, swapped): (Vec<_>, Vec<_>) = times(121, 1.25).into_iter().map(|(a, b)| ((a, b), (b, a))).unzip();
        let [one, other] = [one, swapped].map(|times| PairedTimes::of(&times).mean_interval(0.9).expect("enough blocks"));
        assert!((one.lower * other.upper - 1.0).abs() < 1e-9 && (one.estimate * other.estimate - 1.0).abs() < 1e-9);
    }

    #[test]
    fn few_batches_or_times_that_never_vary_have_no_interval() {
        let few = PairedTimes::of(&times(10, 1.25));
        assert!(few.blocks() == 9 && few.mean().is_some() && few.mean_interval(0.9).is_none());
        assert!(few.quantile_interval(0.5, 0.9, 0).is_none() && few.robust(0.9).is_none());
        let still: Vec<(u64, u64)> = (1..=100).map(|i| (1000 * i, 1000 * i)).collect();
        let still = PairedTimes::of(&still);
        assert!(still.mean_interval(0.9).is_none() && still.quantile_interval(0.95, 0.9, 0).is_none());
        let none = PairedTimes::of(&[(5, 5), (5, 5)]);
        assert!(none.pairs() == 0 && none.mean().is_none() && none.quantile(0.5).is_none());
    }

    #[test]
    fn a_time_too_short_to_measure_counts_as_a_microsecond() {
        let of = PairedTimes::of(&[(9, 9), (0, 4), (2, 0)]);
        assert!((of.mean().expect("two pairs are left") - 2.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(PairedTimes::fewest_for(0.99, 0.05), 299);
        assert_eq!(PairedTimes::fewest_for(0.95, 0.05), 59);
    }
}
