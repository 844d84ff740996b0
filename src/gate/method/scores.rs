//! Pairs of scores as methods take them: counts of right and wrong, or values; with missing halves at their worst or best.

use std::borrow::Cow;

use crate::analysis::{Comparison, MeanPairs, Missing, SliceRow};
use crate::domain::{MetricKind, TaskCard, Tolerance};
use crate::stats::{Interval, PairTable};

/// The pairs of a task or of a slice.
#[derive(Clone, Copy, Debug)]
pub(in crate::gate) struct Pairs<'a> {
    /// Losses, gains and ties of the complete pairs.
    pub(in crate::gate) table: PairTable,
    /// The incomplete pairs.
    pub(in crate::gate) missing: Missing,
    /// (pairs, losses, gains) of each cluster; empty where pairs are independent.
    pub(in crate::gate) clusters: &'a [(u64, u64, u64)],
    /// The scores, where they are not all right or wrong.
    pub(in crate::gate) means: Option<&'a MeanPairs>,
    /// The smallest and the largest possible score; none where there are no bounds.
    pub(in crate::gate) range: Option<(f64, f64)>,
    /// The canary's score.
    pub(in crate::gate) canary: Option<Interval>,
    /// What whole passes add to the variance of the difference.
    pub(in crate::gate) run_variance: f64,
}

impl<'a> Pairs<'a> {
    /// All pairs of a comparison.
    pub(in crate::gate) fn of(comparison: &'a Comparison, card: &TaskCard) -> Self {
        Self {
            table: comparison.paired.table,
            missing: comparison.missing,
            clusters: &comparison.clusters,
            means: comparison.means.as_ref(),
            range: range(comparison.means.as_ref(), card),
            canary: comparison.paired.canary,
            run_variance: comparison.run_variance,
        }
    }

    /// The pairs of one of its slices; what shakes whole passes of the task shakes the slice's.
    pub(in crate::gate) fn of_slice(comparison: &Comparison, row: &'a SliceRow, card: &TaskCard) -> Self {
        Self {
            table: row.paired.table,
            missing: row.missing,
            clusters: &row.clusters,
            means: row.means.as_ref(),
            range: range(row.means.as_ref(), card),
            canary: row.paired.canary,
            run_variance: comparison.run_variance,
        }
    }

    /// Complete pairs.
    pub(in crate::gate) fn n(&self) -> u64 {
        self.table.n()
    }

    /// Pairs whose scores differ.
    pub(in crate::gate) fn differing(&self) -> u64 {
        self.table.discordant()
    }

    /// The number of clusters; none where pairs are independent.
    pub(in crate::gate) fn sources(&self) -> Option<u64> {
        (!self.clusters.is_empty()).then_some(self.clusters.len() as u64)
    }

    /// The complete pairs.
    pub(in crate::gate) fn complete(&self) -> Scores<'a> {
        match self.means {
            None => Scores::Counts(self.table),
            Some(means) => Scores::Values(Values {
                canary: Cow::Borrowed(&means.canary),
                variant: Cow::Borrowed(&means.variant),
                clusters: Cow::Borrowed(&means.clusters),
                range: self.range,
                run_variance: self.run_variance,
            }),
        }
    }

    /// All pairs, with every missing half as bad (or as good) for the variant as it can be; none where scores have no bounds.
    pub(in crate::gate) fn filled(&self, good: bool) -> Option<Scores<'a>> {
        match self.means {
            None => Some(Scores::Counts(filled_table(&self.table, &self.missing, good))),
            Some(means) => Some(Scores::Values(self.filled_values(means, good)?)),
        }
    }

    fn filled_values(&self, means: &MeanPairs, good: bool) -> Option<Values<'a>> {
        let (low, high) = self.range?;
        let (canary_end, variant_end) = if good { (low, high) } else { (high, low) };
        let (mut canary, mut variant) = (means.canary.clone(), means.variant.clone());
        for &known in &means.canary_alone {
            canary.push(known);
            variant.push(variant_end);
        }
        for &known in &means.variant_alone {
            canary.push(canary_end);
            variant.push(known);
        }
        for _ in 0..self.missing.both {
            canary.push(canary_end);
            variant.push(variant_end);
        }
        let mut clusters = means.clusters.clone();
        if !clusters.is_empty() {
            // An incomplete pair's cluster is not known here: it is one of its own.
            let first = clusters.iter().max().map_or(0, |most| most + 1);
            clusters.extend(first..first + (canary.len() - clusters.len()) as u32);
        }
        let (canary, variant, clusters) = (Cow::Owned(canary), Cow::Owned(variant), Cow::Owned(clusters));
        Some(Values { canary, variant, clusters, range: self.range, run_variance: self.run_variance })
    }
}

/// The bounds of a task's scores: what the task says, or 0 and 1 of right and wrong answers that were asked repeatedly.
fn range(means: Option<&MeanPairs>, card: &TaskCard) -> Option<(f64, f64)> {
    let said = means.and_then(|means| means.range).or(card.range);
    said.or((card.metric == MetricKind::Accuracy).then_some((0.0, 1.0))).filter(|(low, high)| low < high)
}

fn filled_table(table: &PairTable, missing: &Missing, good: bool) -> PairTable {
    let (kept, moved) = (missing.canary_right_variant_missing, missing.canary_wrong_variant_missing);
    let (right, wrong) = (missing.canary_missing_variant_right, missing.canary_missing_variant_wrong);
    let PairTable { n11, n10, n01, n00 } = *table;
    if good {
        PairTable { n11: n11 + kept, n10, n01: n01 + moved + right + missing.both, n00: n00 + wrong }
    } else {
        PairTable { n11: n11 + right, n10: n10 + kept + wrong + missing.both, n01, n00: n00 + moved }
    }
}

/// What a method computes from.
#[derive(Clone, Debug)]
pub(in crate::gate) enum Scores<'a> {
    /// Right and wrong.
    Counts(PairTable),
    /// Numbers.
    Values(Values<'a>),
}

/// Paired numbers.
#[derive(Clone, Debug)]
pub(in crate::gate) struct Values<'a> {
    pub(super) canary: Cow<'a, [f64]>,
    pub(super) variant: Cow<'a, [f64]>,
    /// The cluster of each pair; empty where pairs are independent.
    pub(super) clusters: Cow<'a, [u32]>,
    pub(super) range: Option<(f64, f64)>,
    pub(super) run_variance: f64,
}

impl Values<'_> {
    /// What is compared with 0 (recovery: B − ρ₀A) or with −margin (B − A), pair by pair.
    pub(super) fn contrasts(&self, share: f64) -> Vec<f64> {
        self.canary.iter().zip(self.variant.iter()).map(|(a, b)| b - share * a).collect()
    }

    /// The largest possible contrast, in size.
    pub(super) fn reach(&self, share: f64) -> Option<f64> {
        let (low, high) = self.range?;
        Some((high - share * low).abs().max((low - share * high).abs()))
    }

    /// The mean of the canary's scores.
    pub(super) fn canary_mean(&self) -> f64 {
        mean(&self.canary)
    }

    /// The mean of the variant's scores.
    pub(super) fn variant_mean(&self) -> f64 {
        mean(&self.variant)
    }

    /// The sums of shifted differences of each cluster, or of each pair where they are independent.
    pub(super) fn sums(&self, tolerance: Tolerance) -> Vec<f64> {
        let (share, shift) = match tolerance {
            Tolerance::Margin(margin) => (1.0, margin),
            Tolerance::Recovery(share) => (share, 0.0),
        };
        let shifted = self.contrasts(share).into_iter().map(|d| d + shift);
        if self.clusters.is_empty() {
            return shifted.collect();
        }
        let mut sums = vec![0.0; self.clusters.iter().max().map_or(0, |most| *most as usize + 1)];
        for (&cluster, value) in self.clusters.iter().zip(shifted) {
            sums[cluster as usize] += value;
        }
        sums
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
