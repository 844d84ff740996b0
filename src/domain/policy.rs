//! Policies: how large a loss is tolerated, fixed before the data are seen.

use serde::{Deserialize, Deserializer, Serialize};

use super::TaskName;

/// The largest tolerated loss of a score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tolerance {
    /// The variant may lose less than this, an absolute difference in (0, 1): 0.01 is one percentage point of accuracy.
    Margin(f64),
    /// The variant must keep more than this share of the canary's score, in (0, 1): 0.99 is MLPerf's usual target.
    Recovery(f64),
}

impl Tolerance {
    /// The tolerated difference where the canary scores `canary`: of a recovery ρ₀, (1 − ρ₀) of that.
    #[must_use]
    pub fn margin_at(self, canary: f64) -> f64 {
        match self {
            Self::Margin(margin) => margin,
            Self::Recovery(share) => (1.0 - share) * canary,
        }
    }

    /// Whether it can be tested: a number strictly between 0 and 1.
    #[must_use]
    pub fn is_testable(self) -> bool {
        let (Self::Margin(bound) | Self::Recovery(bound)) = self;
        bound > 0.0 && bound < 1.0
    }
}

/// As journals hold it: journals of format 1 have a bare margin.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Margin(f64),
    Tolerance(Tolerance),
}

impl From<Written> for Tolerance {
    fn from(written: Written) -> Self {
        match written {
            Written::Margin(margin) => Self::Margin(margin),
            Written::Tolerance(tolerance) => tolerance,
        }
    }
}

fn tolerance<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tolerance, D::Error> {
    Written::deserialize(deserializer).map(Tolerance::from)
}

fn some_tolerance<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Tolerance>, D::Error> {
    Option::<Written>::deserialize(deserializer).map(|written| written.map(Tolerance::from))
}

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

/// When a subject is asked no more of a task because its verdict there is certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stopping {
    /// Only where no answer that is left could turn the verdict (curtailment).
    #[default]
    None,
    /// At one of four looks, by Lan and DeMets' spending of O'Brien and Fleming's form; and where a betting process shows
    /// that the variant is plainly broken.
    GroupSequential,
    /// At any item, where a betting process has the evidence.
    EProcess,
}

/// How the claims "this task regressed" of one variant are corrected for their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Holm 1979: valid whatever the dependence.
    #[default]
    Holm,
    /// Hochberg 1988: stronger, for tasks that do not oppose each other.
    Hochberg,
    /// Benjamini and Hochberg 1995: the share of false claims, not the chance of one.
    Bh,
    /// Benjamini and Yekutieli 2001: the same under any dependence.
    By,
    /// Not corrected: each claim at the full α.
    None,
}

/// Exceptions for one task, or for one slice of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRule {
    /// The task.
    pub task: TaskName,
    /// The slice that the rule is about; the task as a whole where none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// What it may lose, in place of the policy's tolerance.
    #[serde(default, alias = "margin", deserialize_with = "some_tolerance", skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Tolerance>,
    /// Whether it gates, in place of the suite's word; a slice gates only where this says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gating: Option<bool>,
}

/// What a budget's metric is measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// The documents of perplexity tasks.
    Documents,
    /// The items of tasks with scores.
    Items,
    /// How long answers, or their tokens, took.
    Times,
    /// The tokens that services counted, and what they cost.
    Amounts,
}

/// An upper bound on a metric, such as `kld.mean`, `flips.rate` or `latency.p95_ratio`; larger values are worse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The metric's name.
    pub metric: String,
    /// The task that it is measured on; every task that it can be measured on where none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskName>,
    /// Its largest tolerated value.
    pub max: f64,
}

impl Budget {
    /// Every metric that a budget can bound, with what it is measured on.
    pub const METRICS: [(&str, Measured); 25] = [
        ("kld.mean", Measured::Documents),
        ("kld.median", Measured::Documents),
        ("kld.p90", Measured::Documents),
        ("kld.p95", Measured::Documents),
        ("kld.p99", Measured::Documents),
        ("kld.p999", Measured::Documents),
        ("perplexity.ratio", Measured::Documents),
        ("same_top.loss", Measured::Documents),
        ("top5.loss", Measured::Documents),
        ("flips.rate", Measured::Items),
        ("flips.excess", Measured::Items),
        ("error.ratio", Measured::Items),
        ("latency.mean_ratio", Measured::Times),
        ("latency.p50_ratio", Measured::Times),
        ("latency.p95_ratio", Measured::Times),
        ("latency.p99_ratio", Measured::Times),
        ("ttft.mean_ratio", Measured::Times),
        ("ttft.p50_ratio", Measured::Times),
        ("ttft.p95_ratio", Measured::Times),
        ("ttft.p99_ratio", Measured::Times),
        ("itl.mean_ratio", Measured::Times),
        ("itl.p50_ratio", Measured::Times),
        ("itl.p95_ratio", Measured::Times),
        ("output.tokens_ratio", Measured::Amounts),
        ("cost.ratio", Measured::Amounts),
    ];

    /// The metrics' names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::METRICS.into_iter().map(|(name, _)| name)
    }

    /// What this one is measured on; none where no metric has its name.
    #[must_use]
    pub fn measured(&self) -> Option<Measured> {
        Self::METRICS.iter().find(|(name, _)| *name == self.metric).map(|(_, on)| *on)
    }
}

/// Everything that a verdict depends on besides the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// One-sided error rate of each claim, in (0, 0.5).
    pub alpha: f64,
    /// What a gating task without a rule of its own may lose.
    #[serde(alias = "margin", deserialize_with = "tolerance")]
    pub tolerance: Tolerance,
    /// Whether only methods decide that hold at any number of items: exact intervals in place of scores, betting bounds in
    /// place of t, sign-flips beside clusters.
    #[serde(default)]
    pub strict: bool,
    /// What INCONCLUSIVE does.
    pub inconclusive: OnDoubt,
    /// What INVALID does.
    pub invalid: OnDoubt,
    /// When a subject is asked no more of a task.
    #[serde(default)]
    pub stopping: Stopping,
    /// How claims that a task regressed are corrected for their number.
    #[serde(default)]
    pub family: Family,
    /// What the unweighted mean over the gating tasks may lose; it gates where it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overall: Option<Tolerance>,
    /// Exceptions by task and slice.
    pub tasks: Vec<TaskRule>,
    /// Budgets by metric.
    pub budgets: Vec<Budget>,
}

impl Policy {
    /// A policy with a tolerance at α = 0.05, whose every other setting is the default.
    #[must_use]
    pub fn new(tolerance: Tolerance) -> Self {
        Self {
            alpha: 0.05,
            tolerance,
            strict: false,
            inconclusive: OnDoubt::default(),
            invalid: OnDoubt::default(),
            stopping: Stopping::default(),
            family: Family::default(),
            overall: None,
            tasks: Vec::new(),
            budgets: Vec::new(),
        }
    }

    /// What a task may lose.
    #[must_use]
    pub fn tolerance_of(&self, task: &TaskName) -> Tolerance {
        self.rules_of(task, None).find_map(|rule| rule.tolerance).unwrap_or(self.tolerance)
    }

    /// What a slice may lose: by its own rule, or as its task.
    #[must_use]
    pub fn tolerance_of_slice(&self, task: &TaskName, slice: &str) -> Tolerance {
        self.rules_of(task, Some(slice)).find_map(|rule| rule.tolerance).unwrap_or_else(|| self.tolerance_of(task))
    }

    /// Whether a task gates, where `by_suite` is what its suite says.
    #[must_use]
    pub fn gates(&self, task: &TaskName, by_suite: bool) -> bool {
        self.rules_of(task, None).find_map(|rule| rule.gating).unwrap_or(by_suite)
    }

    /// Whether a slice gates: only where a rule is about it that doesn't say otherwise.
    #[must_use]
    pub fn gates_slice(&self, task: &TaskName, slice: &str) -> bool {
        self.rules_of(task, Some(slice)).any(|rule| rule.gating != Some(false))
    }

    /// Whether some rule is about a slice.
    #[must_use]
    pub fn names_slice(&self, task: &TaskName, slice: &str) -> bool {
        self.rules_of(task, Some(slice)).next().is_some()
    }

    /// The rules about a task, or about one slice of it.
    fn rules_of<'a>(&'a self, task: &'a TaskName, slice: Option<&'a str>) -> impl Iterator<Item = &'a TaskRule> {
        self.tasks.iter().filter(move |rule| rule.task == *task && rule.slice.as_deref() == slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_of_journal_format_1_is_read_and_written_anew() {
        let old = r#"{"alpha":0.05,"margin":0.02,"inconclusive":"block","invalid":"warn",
            "tasks":[{"task":"a","margin":0.03},{"task":"b","gating":false}],"budgets":[]}"#;
        let policy: Policy = serde_json::from_str(old).expect("the old form is known");
        assert_eq!(policy.tolerance_of(&TaskName::new("a")), Tolerance::Margin(0.03));
        assert_eq!(policy.tolerance_of(&TaskName::new("b")), Tolerance::Margin(0.02));
        let again = serde_json::to_string(&policy).expect("a policy is JSON");
        assert_eq!(serde_json::from_str::<Policy>(&again).expect("the new form is known"), policy);
    }
}
