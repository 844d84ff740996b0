//! Several tasks together: the chance that all pass, and what their mean can show.

use super::design::Design;
use super::{Expected, Planned};
use crate::domain::Tolerance;
use crate::stats::{self, PairTable};

/// The probability that all of several tasks pass. Samples of different tasks are drawn independently of each other, so it is
/// the product; 1 of none.
#[must_use]
pub fn joint(powers: &[f64]) -> f64 {
    powers.iter().product()
}

/// The probability that the mean over tasks passes a tolerance at one-sided α, by the normal approximation with the limits that
/// MOVER joins (Zou and Donner 2008) at the tables as expected. None for no task, or one without samples.
#[must_use]
pub fn mean_power(tasks: &[(&Design, Expected)], tolerance: Tolerance, alpha: f64) -> Option<Planned> {
    let count = tasks.len() as f64;
    let (mut score, mut loss, mut down, mut variance) = (0.0, 0.0, 0.0, 0.0);
    for (design, expected) in tasks {
        let design = design.with_deff(expected.deff);
        let samples = design.samples as f64 / design.clusters.map_or(1.0, |clusters| clusters.deff);
        let (lost, gained) = expected.shares();
        let [n10, n01] = [lost, gained].map(|share| (share * samples).round() as u64);
        let table = PairTable { n11: (samples as u64).saturating_sub(n10 + n01), n10, n01, n00: 0 };
        if table.n() == 0 {
            return None;
        }
        let interval = stats::tango(&table, 1.0 - 2.0 * alpha);
        down += (interval.estimate - interval.lower).powi(2);
        variance += expected.variance(design.repeats) / samples;
        score += expected.canary;
        loss += expected.loss;
    }
    let room = tolerance.margin_at(score / count) - loss / count - down.sqrt() / count;
    let error = variance.sqrt() / count;
    let power = if error > 0.0 { stats::normal_cdf(room / error) } else { f64::from(room > 0.0) };
    (!tasks.is_empty()).then_some(Planned { power, exact: false })
}
