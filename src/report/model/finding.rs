//! Findings as reports show them.

use serde::Serialize;

use crate::domain::{TaskName, Tolerance, Verdict};
use crate::stats::Interval;

/// The answer to one rule.
#[derive(Clone, Debug, Serialize)]
pub struct FindingResult {
    /// `complete`, `fair`, `served`, `noise`, `loss`, `overall`, `budget` or `latency`.
    pub rule: &'static str,
    /// The task that it is about.
    pub task: Option<TaskName>,
    /// The slice of the task that it is about; the task as a whole where none.
    pub slice: Option<String>,
    /// The metric that it is about.
    pub metric: Option<String>,
    /// Whether the verdict depends on it.
    pub gating: bool,
    /// The answer.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// What may be lost; none but for losses.
    pub tolerance: Option<Tolerance>,
    /// The tolerated loss or value.
    pub limit: Option<f64>,
    /// The value found.
    pub value: Option<f64>,
    /// The interval that the verdict rests on.
    pub interval: Option<Interval>,
    /// That interval's confidence.
    pub confidence: Option<f64>,
    /// The method of that interval.
    pub method: Option<&'static str>,
    /// For clusters: by how much they inflate the variance.
    pub deff: Option<f64>,
    /// For a recovery: variant over canary with the interval that decided.
    pub ratio: Option<Interval>,
    /// One-sided p of "the loss is at least what is tolerated".
    pub p_pass: Option<f64>,
    /// One-sided p of "the loss is at most what is tolerated".
    pub p_fail: Option<f64>,
    /// The same, corrected for the number of such claims about the subject.
    pub p_fail_adjusted: Option<f64>,
    /// Complete pairs.
    pub n: Option<u64>,
    /// Set where the subject was asked no more before the last sample.
    pub early: Option<EarlyResult>,
    /// Fewest items with which a pass is possible.
    pub floor: Option<u64>,
    /// Items that would settle an open question.
    pub needed: Option<u64>,
    /// What the interval says beyond the verdict.
    pub note: Option<&'static str>,
    /// How bad it is beside others of its verdict.
    #[serde(skip)]
    pub severity: f64,
}

/// Where a subject was asked no more, and why.
#[derive(Clone, Debug, Serialize)]
pub struct EarlyResult {
    /// Samples that count.
    pub asked: u64,
    /// Samples that the task has.
    pub samples: u64,
    /// What ended it: `look`, `wealth` or `curtailment`.
    pub by: &'static str,
    /// For a look: which, counted from 1, and of how many.
    pub look: Option<(u32, u32)>,
}
