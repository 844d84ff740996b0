//! What the gate answers: findings rule by rule, a decision for each subject, and one for the run.

use super::Warning;
use crate::domain::{Role, SubjectName, TaskName, Verdict};
use crate::stats::{Annotation, Interval};

/// What kind of rule a finding answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every unit of the run is accounted for.
    Complete,
    /// Canary and variant were asked the same thing in the same form.
    Fair,
    /// The loss of a score is smaller than the margin.
    Margin,
    /// A metric of the distribution keeps within its budget.
    Budget,
}

impl Rule {
    /// The word that reports use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Fair => "fair",
            Self::Margin => "margin",
            Self::Budget => "budget",
        }
    }
}

/// The numbers behind a finding.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// A margin test.
    Margin {
        /// The largest tolerated loss, a fraction.
        margin: f64,
        /// The interval's confidence, 1 − 2α.
        confidence: f64,
        /// Variant less canary, a fraction, with its score interval; none without pairs.
        delta: Option<Interval>,
        /// Complete pairs.
        n: u64,
        /// Fewest pairs with which a pass is possible at all.
        floor: u64,
        /// Pairs that would settle an open question, where more of the same could.
        needed: Option<u64>,
        /// What the interval says beyond the verdict.
        note: Option<Annotation>,
    },
    /// A budget test.
    Budget {
        /// The metric.
        metric: String,
        /// Its largest tolerated value.
        max: f64,
        /// Its value.
        value: Option<f64>,
        /// Its clustered 95 % interval, where it has one of its own.
        interval: Option<Interval>,
    },
}

/// The answer to one rule for one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The task that it is about.
    pub task: Option<TaskName>,
    /// Whether the subject's verdict depends on it.
    pub gating: bool,
    /// The answer.
    pub verdict: Verdict,
    /// Why, as a clause for a person.
    pub reason: String,
    /// The numbers behind it.
    pub evidence: Option<Evidence>,
}

impl Finding {
    /// How bad the finding is beside others of its verdict: the loss as a multiple of the margin, or the value as one of the
    /// budget; infinite where there is no number.
    #[must_use]
    pub fn severity(&self) -> f64 {
        match &self.evidence {
            Some(Evidence::Margin { delta: Some(delta), margin, .. }) => -delta.estimate / margin,
            Some(Evidence::Budget { value: Some(value), max, .. }) if *max > 0.0 => value / max,
            _ => f64::INFINITY,
        }
    }
}

/// The gate's answer for one variant or control.
#[derive(Clone, Debug, PartialEq)]
pub struct SubjectDecision {
    /// Who.
    pub subject: SubjectName,
    /// What it is for.
    pub role: Role,
    /// The worst of its gating findings.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// For a control: whether it fails as it must, by a task where any task gates. None for a variant.
    pub teeth: Option<bool>,
    /// Everything that was found, in the plan's order.
    pub findings: Vec<Finding>,
}

impl SubjectDecision {
    /// The severity of the worst of the findings that its verdict rests on.
    #[must_use]
    pub fn severity(&self) -> f64 {
        let own = self.findings.iter().filter(|f| f.gating && f.verdict == self.verdict);
        let ruled = own.filter(|f| f.verdict != Verdict::Pass || f.evidence.is_some());
        ruled.map(Finding::severity).fold(f64::NEG_INFINITY, f64::max)
    }
}

/// The gate's answer for a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The worst of the candidates', or INVALID where a control doesn't fail.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// By subject, in the plan's order, without the canary.
    pub subjects: Vec<SubjectDecision>,
    /// What a reader should know beside the verdict.
    pub warnings: Vec<Warning>,
}
