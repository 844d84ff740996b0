//! Policies: how large a loss is tolerated, fixed before the data are seen.

use serde::{Deserialize, Serialize};

use super::TaskName;

/// The largest tolerated loss of a score, as a positive fraction (0.01 is one percentage point).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Margin(pub f64);

/// What an undecided verdict does to the exit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDoubt {
    /// It blocks: the verdict's own exit code.
    #[default]
    Block,
    /// It is reported, and the exit code is 0.
    Warn,
}

/// Exceptions for one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRule {
    /// The task.
    pub task: TaskName,
    /// Its margin, in place of the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<Margin>,
    /// Whether it gates, in place of the suite's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gating: Option<bool>,
}

/// An upper bound on a metric of the distribution, such as `kld.mean` or `perplexity.ratio`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The metric's name.
    pub metric: String,
    /// The task that it is measured on; every perplexity task where none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskName>,
    /// Its largest tolerated value.
    pub max: f64,
}

/// Everything that a verdict depends on besides the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// One-sided error rate of each claim, in (0, 0.5).
    pub alpha: f64,
    /// Margin of every gating task without a rule of its own.
    pub margin: Margin,
    /// What INCONCLUSIVE does.
    pub inconclusive: OnDoubt,
    /// What INVALID does.
    pub invalid: OnDoubt,
    /// Exceptions by task.
    pub tasks: Vec<TaskRule>,
    /// Budgets by metric.
    pub budgets: Vec<Budget>,
}

impl Budget {
    /// Every metric that a budget can bound; larger values are worse.
    pub const METRICS: [&str; 8] =
        ["kld.mean", "kld.median", "kld.p90", "kld.p95", "kld.p99", "kld.p999", "perplexity.ratio", "same_top.loss"];
}

impl Policy {
    /// The margin that holds for a task.
    #[must_use]
    pub fn margin_of(&self, task: &TaskName) -> Margin {
        self.tasks.iter().filter(|rule| rule.task == *task).find_map(|rule| rule.margin).unwrap_or(self.margin)
    }

    /// Whether a task gates, where `by_suite` is what its suite says.
    #[must_use]
    pub fn gates(&self, task: &TaskName, by_suite: bool) -> bool {
        self.tasks.iter().filter(|rule| rule.task == *task).find_map(|rule| rule.gating).unwrap_or(by_suite)
    }
}
