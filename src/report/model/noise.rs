//! What a subject does against itself, and how much more it differs from the canary.

use serde::Serialize;

use crate::domain::{SubjectName, TaskName};
use crate::stats::Interval;

/// One subject against itself on one task with scores: all passes under the same settings.
#[derive(Clone, Debug, Serialize)]
pub struct NoiseResult {
    /// Who.
    pub subject: SubjectName,
    /// The task.
    pub task: TaskName,
    /// Passes over the task, at least 2.
    pub passes: u32,
    /// Items with a score in every pass.
    pub n: u64,
    /// Share of pairs of passes in which an item's score differs, averaged over the items.
    pub flips: Option<f64>,
    /// The same of what was read out of the answers.
    pub changed: Option<f64>,
    /// The second pass less the first, with a 95 % interval.
    pub delta: Option<Interval>,
    /// The standard deviation of a difference between two passes.
    pub sd: Option<f64>,
    /// The standard deviation of a whole pass beyond what its items explain; 0 where that is not shown.
    pub sd_run: f64,
    /// The p of "passes vary no more than their items explain".
    pub p_run: Option<f64>,
}

/// How much more often two subjects differ than each differs from itself.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ExcessResult {
    /// The mean over items of twice the share of pairs of passes that differ, less both subjects' own shares; where the
    /// variant has one pass, the first share less the canary's own, which is no test of noise.
    pub excess: f64,
    /// Its standard error over items.
    pub se: f64,
    /// Its one-sided p; none where the variant has one pass.
    pub p: Option<f64>,
    /// Share of pairs of the canary's passes that differ.
    pub aa: f64,
    /// Share of pairs of the variant's passes that differ.
    pub bb: Option<f64>,
}
