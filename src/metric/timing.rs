//! How long answers took: medians, tails and the whole distribution.

use crate::stats;

/// Order statistics of durations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimingSummary {
    /// Durations summarized.
    pub n: usize,
    /// The median (milliseconds).
    pub p50_ms: f64,
    /// The 95th percentile (milliseconds).
    pub p95_ms: f64,
    /// The longest (milliseconds).
    pub max_ms: f64,
}

/// The order statistics of durations in microseconds; none of an empty list.
#[must_use]
pub fn timing_summary(micros: &[u64]) -> Option<TimingSummary> {
    let sorted = sorted_ms(micros);
    let max_ms = *sorted.last()?;
    Some(TimingSummary {
        n: sorted.len(),
        p50_ms: stats::quantile(&sorted, 0.5)?,
        p95_ms: stats::quantile(&sorted, 0.95)?,
        max_ms,
    })
}

/// The empirical distribution as at most `points` steps of (milliseconds, share at or below), ascending.
#[must_use]
pub fn ecdf(micros: &[u64], points: usize) -> Vec<(f64, f64)> {
    let sorted = sorted_ms(micros);
    let (n, points) = (sorted.len(), points.max(2).min(sorted.len()));
    let rank = |step: usize| if points < 2 { n - 1 } else { step * (n - 1) / (points - 1) };
    (0..points).map(rank).map(|i| (sorted[i], (i + 1) as f64 / n as f64)).collect()
}

/// Microseconds as ascending milliseconds.
fn sorted_ms(micros: &[u64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = micros.iter().map(|&m| m as f64 / 1000.0).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ecdf_ascends_and_ends_at_one() {
        let steps = ecdf(&[5000, 1000, 3000, 2000, 4000], 3);
        assert_eq!(steps, [(1.0, 0.2), (3.0, 0.6), (5.0, 1.0)]);
        assert_eq!(ecdf(&[7000], 10), [(7.0, 1.0)]);
        assert!(ecdf(&[], 10).is_empty());
    }
}
