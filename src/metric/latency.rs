//! Two subjects' times on the same samples: how many times as long one takes, on average and at quantiles.

use crate::stats::{self, ClusterMean, Interval};

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
    /// Of (canary, variant) times in microseconds, in the order in which the samples were asked. The first measurement, a
    /// batch or a single answer, is left out: it warms the machine up. A time below one microsecond counts as one.
    #[must_use]
    pub fn of(micros: &[(u64, u64)]) -> Self {
        let first = micros.iter().take_while(|pair| Some(*pair) == micros.first()).count();
        let rest = &micros[first..];
        let mut batch: Vec<usize> = Vec::with_capacity(rest.len());
        for (index, pair) in rest.iter().enumerate() {
            let last = batch.last().copied();
            let next = last.map_or(0, |last| if rest[index - 1] == *pair { last } else { last + 1 });
            batch.push(next);
        }
        let measurements = batch.last().map_or(0, |last| last + 1);
        let blocks = measurements.min(MOST_BLOCKS);
        let block: Vec<u32> = batch.iter().map(|batch| (batch * blocks / measurements) as u32).collect();
        let time = |micros: u64| micros.max(1) as f64;
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
        let i = of.interval(confidence)?;
        Some(Interval { estimate: i.estimate.exp(), lower: i.lower.exp(), upper: i.upper.exp() })
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

    /// The median over blocks of the blocks' geometric mean ratios: what single slow batches do not move. None where there
    /// is no pair.
    #[must_use]
    pub fn middle(&self) -> Option<f64> {
        let mut sums = vec![(0.0, 0_u32); self.blocks()];
        for ((a, b), block) in self.canary.iter().zip(&self.variant).zip(&self.block) {
            let sum = &mut sums[*block as usize];
            *sum = (sum.0 + (b / a).ln(), sum.1 + 1);
        }
        let mut means: Vec<f64> = sums.into_iter().map(|(sum, n)| sum / f64::from(n)).collect();
        means.sort_unstable_by(f64::total_cmp);
        stats::quantile(&means, 0.5).map(f64::exp)
    }
}
