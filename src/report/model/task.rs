//! Tasks with scores as reports show them.

use serde::Serialize;

use super::ExcessResult;
use crate::domain::{SampleId, TaskName, Verdict};
use crate::stats::{Interval, PairTable};

/// How often something befell each side, and the p of no asymmetry.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SidesResult {
    /// On the canary's side.
    pub canary: u64,
    /// On the variant's side.
    pub variant: u64,
    /// McNemar's mid-p.
    pub p: f64,
}

/// In what a task's scores are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Percentage points: scores lie between 0 and 1.
    #[default]
    Points,
    /// The score's own unit.
    Score,
}

/// A slice of a task.
#[derive(Clone, Debug, Serialize)]
pub struct SliceResult {
    /// Its name.
    pub slice: String,
    /// Complete pairs.
    pub n: u64,
    /// The counts.
    pub table: PairTable,
    /// The canary's accuracy, or mean score.
    pub canary: Option<Interval>,
    /// The variant's accuracy, or mean score.
    pub variant: Option<Interval>,
    /// Variant less canary, with a 95 % interval.
    pub delta: Option<Interval>,
}

/// A variant against the canary on one task with scores.
#[derive(Clone, Debug, Serialize)]
pub struct TaskResult {
    /// The task.
    pub task: TaskName,
    /// What its scores are reduced to: `accuracy` or `mean`.
    pub metric: &'static str,
    /// Whether scores are not all right or wrong, be it that they are numbers or means over repeated answers. Lost and
    /// gained then count items with a lower and a higher score.
    pub graded: bool,
    /// Whether the verdict depends on it.
    pub gating: bool,
    /// The answer of the loss rule.
    pub verdict: Verdict,
    /// The tolerated difference: the margin, or what a recovery means at the canary's score as measured.
    pub margin: f64,
    /// Complete pairs.
    pub n: u64,
    /// Samples that the task has.
    pub samples: u64,
    /// Samples that count for this subject, from the first: fewer where its verdict was certain before the last.
    pub asked: u64,
    /// The counts.
    pub table: PairTable,
    /// Share of items that flipped.
    pub flip_rate: f64,
    /// The canary's accuracy with its Wilson 95 % interval, or mean score with that of t.
    pub canary: Option<Interval>,
    /// The variant's accuracy with its Wilson 95 % interval, or mean score with that of t.
    pub variant: Option<Interval>,
    /// Variant less canary with the interval that the gate decided on.
    pub gate: Option<Interval>,
    /// Variant less canary with its 95 % interval.
    pub delta: Option<Interval>,
    /// McNemar's mid-p of no difference.
    pub p_mid: f64,
    /// McNemar's exact p of no difference.
    pub p_exact: f64,
    /// Items without a score: on the canary's side, on the variant's, on both.
    pub missing: [u64; 3],
    /// How much more often scores differ than each side's from itself; none where the canary was asked once.
    pub excess: Option<ExcessResult>,
    /// The same of what was read out of the answers.
    pub drift: Option<ExcessResult>,
    /// Answers cut off at the token limit.
    pub truncated: SidesResult,
    /// Answers that could not be read.
    pub unparsed: SidesResult,
    /// By slice.
    pub slices: Vec<SliceResult>,
    /// Ids of the items lost.
    pub lost: Vec<SampleId>,
    /// Ids of the items gained.
    pub gained: Vec<SampleId>,
    /// In what its scores are read.
    #[serde(skip)]
    pub unit: Unit,
}
