//! What the gate answers: findings rule by rule, a decision for each subject, and one for the run.

use super::Warning;
use crate::domain::{Role, SubjectName, TaskName, Tolerance, Verdict};
use crate::stats::{Annotation, Interval};

/// What kind of rule a finding answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every unit of the run is accounted for.
    Complete,
    /// Canary and variant were asked the same thing in the same form.
    Fair,
    /// Every answer came from the subject's own model, to the canary's prompts, as far as endpoints tell.
    Served,
    /// The canary does not differ from itself by more than is tolerated.
    Noise,
    /// The loss on a task, or on a slice of one, is smaller than what is tolerated.
    Loss,
    /// The mean loss over the gating tasks is smaller than what is tolerated.
    Overall,
    /// A metric of items or documents keeps within its budget.
    Budget,
    /// Answers come as fast as the budget asks.
    Latency,
}

impl Rule {
    /// The word that reports use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Fair => "fair",
            Self::Served => "served",
            Self::Noise => "noise",
            Self::Loss => "loss",
            Self::Overall => "overall",
            Self::Budget => "budget",
            Self::Latency => "latency",
        }
    }
}

/// How an interval came about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Tango's score interval of a paired difference.
    Tango,
    /// Fay and Lumbard's exact interval of a paired difference.
    FayLumbard,
    /// Tango's, of counts divided by a design effect, with t in the place of z.
    ClusteredTango {
        /// The design effect: the larger of the estimated one and the one that the clusters' sizes imply.
        deff: f64,
        /// Degrees of freedom of t.
        df: f64,
    },
    /// The constrained maximum-likelihood score of a ratio of paired proportions.
    RatioScore,
    /// The same over clusters: its score divided by the root of a design effect, with t in the place of z.
    ClusteredRatio {
        /// The design effect, as for [`Method::ClusteredTango`].
        deff: f64,
        /// Degrees of freedom of t.
        df: f64,
    },
    /// Student's paired t over items.
    PairedT,
    /// The clustered standard error CR2 with t.
    ClusteredT,
    /// The hedged betting bound, valid at any number of items.
    Betting,
    /// The mean over tasks by the method of variance estimates recovery.
    Mover,
}

impl Method {
    /// The word in `results.json`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tango => "tango",
            Self::FayLumbard => "fay-lumbard",
            Self::ClusteredTango { .. } => "tango-clustered",
            Self::RatioScore => "ratio-score",
            Self::ClusteredRatio { .. } => "ratio-score-clustered",
            Self::PairedT => "paired-t",
            Self::ClusteredT => "cr2-t",
            Self::Betting => "betting",
            Self::Mover => "mover",
        }
    }
}

/// Where a subject was asked no more, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Early {
    /// Samples that count.
    pub asked: u64,
    /// Samples that the task has.
    pub samples: u64,
    /// What ended it.
    pub by: EarlyBy,
}

/// What ended the asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyBy {
    /// A look of the group-sequential test, counted from 1, of how many.
    Look(u32, u32),
    /// The betting process.
    Wealth,
    /// No answer that was left could have turned the verdict.
    Curtailment,
}

/// The numbers behind a finding about a loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    /// What is tolerated.
    pub tolerance: Tolerance,
    /// The tolerated difference: the margin, or what a recovery means at the canary's score as measured.
    pub margin: f64,
    /// The confidence of the intervals, 1 − 2α or what a sequential boundary leaves.
    pub confidence: f64,
    /// What made the interval that decided; none without pairs.
    pub method: Option<Method>,
    /// Variant less canary with the interval that decided, or for a recovery the one of the same level; none without pairs.
    pub delta: Option<Interval>,
    /// For a recovery: variant over canary with the interval that decided.
    pub ratio: Option<Interval>,
    /// One-sided p of "the loss is at least what is tolerated"; a pass rejects it.
    pub p_pass: Option<f64>,
    /// One-sided p of "the loss is at most what is tolerated"; a fail rejects it.
    pub p_fail: Option<f64>,
    /// The same, corrected for the number of such claims about the subject.
    pub p_fail_adjusted: Option<f64>,
    /// Complete pairs.
    pub n: u64,
    /// Fewest pairs with which a pass is possible at all.
    pub floor: u64,
    /// Pairs that would settle an open question, where more of the same could.
    pub needed: Option<u64>,
    /// What the interval says beyond the verdict.
    pub note: Option<Annotation>,
    /// Set where the subject was asked no more before the last sample.
    pub early: Option<Early>,
}

/// The word for an annotation in `results.json`.
pub(crate) fn note_word(note: Annotation) -> &'static str {
    match note {
        Annotation::DetectableRegressionWithinMargin => "DETECTABLE_REGRESSION_WITHIN_MARGIN",
        Annotation::Improvement => "IMPROVEMENT",
        Annotation::SignificantRegressionSizeUnresolved => "SIGNIFICANT_REGRESSION_SIZE_UNRESOLVED",
    }
}

/// The numbers behind a finding about a budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Spent {
    /// The metric.
    pub metric: String,
    /// Its largest tolerated value.
    pub max: f64,
    /// Its value.
    pub value: Option<f64>,
    /// Its own 95 % interval, where it has one.
    pub interval: Option<Interval>,
}

/// The numbers behind a finding.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// A test of a loss.
    Loss(Loss),
    /// A test of a budget.
    Budget(Spent),
}

/// The answer to one rule for one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The task that it is about.
    pub task: Option<TaskName>,
    /// The slice of the task that it is about; the task as a whole where none.
    pub slice: Option<String>,
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
            Some(Evidence::Loss(Loss { delta: Some(delta), margin, .. })) if *margin > 0.0 => -delta.estimate / margin,
            Some(Evidence::Budget(Spent { value: Some(value), max, .. })) if *max > 0.0 => value / max,
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
