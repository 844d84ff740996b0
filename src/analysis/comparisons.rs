//! Every variant and control against the canary: the comparisons of a run, put together.

use super::{AmountComparison, Comparison, DistributionComparison, LatencyComparison, Noise, Record, Sheet};
use super::{amounts, distribution, latency, noise, pairs};
use crate::domain::{SubjectName, TaskName};

/// Every variant and control against the canary, in the plan's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparisons {
    /// Tasks with scores, by subject, then task.
    pub tasks: Vec<Comparison>,
    /// Perplexity tasks, by subject, then task.
    pub distributions: Vec<DistributionComparison>,
    /// What subjects that were asked more than once do against themselves: by subject, the canary first, then task.
    pub noise: Vec<Noise>,
    /// How long variants and controls took beside the canary: by subject and span, over all tasks first, then by task. Empty
    /// where there are no times.
    pub latencies: Vec<LatencyComparison>,
    /// What variants and controls wrote and cost beside the canary: by subject and amount, over all tasks first, then by task.
    /// Empty where no endpoint counts tokens.
    pub amounts: Vec<AmountComparison>,
}

impl Comparisons {
    /// Compares every variant and control with the canary on every task.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let (distributions, latencies) = (distribution::compare(record), latency::compare(record));
        let amounts = amounts::compare(record);
        Self { distributions, latencies, amounts, ..Self::of_sheets(&Sheet::all(record)) }
    }

    /// Compares every variant and control with the canary on every sheet; there are no distributions and no times in sheets.
    #[must_use]
    pub fn of_sheets(sheets: &[Sheet]) -> Self {
        let noise = noise::measure(sheets);
        let tasks = pairs::compare(sheets, &noise);
        Self { tasks, distributions: Vec::new(), noise: noise::by_subject(noise), latencies: Vec::new(), amounts: Vec::new() }
    }

    /// What a subject does against itself on a task; none where it was asked once.
    #[must_use]
    pub fn noise_of(&self, subject: &SubjectName, task: &TaskName) -> Option<&Noise> {
        self.noise.iter().find(|noise| noise.subject == *subject && noise.task == *task)
    }
}
