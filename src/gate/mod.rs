//! Comparisons and a policy to findings and a verdict; pure, so any policy can be tried on an old run.
//!
//! Every gating finding of a variant must pass (an intersection–union test: each at the full α, without correction), so a
//! variant's verdict is its worst gating finding, and the run's is its worst candidate. A control is known to be bad: if
//! it doesn't fail, the tasks have no teeth and the run is invalid; otherwise it doesn't count.

mod budget;
mod evidence;
mod fairness;
mod guards;
mod margin;
#[cfg(test)]
mod tests;
mod warning;
pub(crate) mod wording;

use crate::analysis::{self, Comparisons, Record, Unscored};
use crate::domain::{OnDoubt, Policy, Role, SubjectName, TaskName, Verdict};
use crate::stats::{Annotation, Interval};

pub(crate) use evidence::note_word;
pub use warning::{Code, Warning};

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

/// Judges a run by a policy.
#[must_use]
pub fn decide(record: &Record, comparisons: &Comparisons, policy: &Policy) -> Decision {
    let judged = record.header.subjects.iter().filter(|s| s.role != Role::Canary);
    let subjects: Vec<SubjectDecision> =
        judged.map(|s| judge(&Case { record, comparisons, policy, subject: &s.name }, s.role)).collect();
    let (verdict, mut reason) = overall(&subjects);
    if lets_through(verdict, policy) {
        reason.push_str(&wording::let_through(verdict));
    }
    let warnings = guards::warnings(record, comparisons, policy);
    Decision { verdict, reason, subjects, warnings }
}

/// The process's exit code: 0 for PASS, 1 for FAIL, 3 for INCONCLUSIVE and 4 for INVALID, these two 0 where the policy
/// only warns of them.
#[must_use]
pub fn exit_code(decision: &Decision, policy: &Policy) -> u8 {
    if lets_through(decision.verdict, policy) { 0 } else { decision.verdict.exit_code() }
}

/// Whether the policy only warns of a verdict that isn't PASS.
fn lets_through(verdict: Verdict, policy: &Policy) -> bool {
    match verdict {
        Verdict::Inconclusive => policy.inconclusive == OnDoubt::Warn,
        Verdict::Invalid => policy.invalid == OnDoubt::Warn,
        Verdict::Pass | Verdict::Fail => false,
    }
}

/// One subject before the gate.
struct Case<'a> {
    record: &'a Record,
    comparisons: &'a Comparisons,
    policy: &'a Policy,
    subject: &'a SubjectName,
}

impl Case<'_> {
    /// The canary's and the subject's answers without a score on a task.
    fn unscored(&self, task: &TaskName) -> Vec<Unscored> {
        let canary = self.record.header.subjects.iter().find(|s| s.role == Role::Canary).map(|s| &s.name);
        let mut rows = analysis::unscored(self.record);
        rows.retain(|row| row.task == *task && (row.subject == *self.subject || Some(&row.subject) == canary));
        rows
    }
}

fn judge(case: &Case<'_>, role: Role) -> SubjectDecision {
    let mut findings = fairness::findings(case);
    findings.extend(margin::findings(case));
    findings.extend(budget::findings(case));
    let rules = findings.iter().filter(|f| f.gating && matches!(f.rule, Rule::Margin | Rule::Budget)).count();
    let gating = || findings.iter().filter(|f| f.gating);
    let verdict = if rules == 0 {
        gating().map(|f| f.verdict).max().unwrap_or(Verdict::Invalid).max(Verdict::Invalid)
    } else {
        gating().map(|f| f.verdict).max().unwrap_or(Verdict::Invalid)
    };
    let reason = if rules == 0 {
        "no task gates and no budget is set, so nothing was decided: mark a task as gating or add a budget.".to_owned()
    } else {
        wording::subject_reason(verdict, &findings)
    };
    let teeth = (role == Role::Control).then(|| verdict == Verdict::Fail && fails_where_it_counts(&findings));
    SubjectDecision { subject: case.subject.clone(), role, verdict, reason, teeth, findings }
}

/// Whether a gating task fails, or, where none gates, a budget: a broken budget alone says nothing about the tasks.
fn fails_where_it_counts(findings: &[Finding]) -> bool {
    let gating = |rule: Rule| findings.iter().filter(move |f| f.gating && f.rule == rule);
    let rule = if gating(Rule::Margin).next().is_some() { Rule::Margin } else { Rule::Budget };
    gating(rule).any(|f| f.verdict == Verdict::Fail)
}

/// The run's verdict and its sentence.
fn overall(subjects: &[SubjectDecision]) -> (Verdict, String) {
    let of = |role| subjects.iter().filter(move |s| s.role == role);
    if let Some(control) = of(Role::Control).find(|s| s.teeth != Some(true)) {
        return (Verdict::Invalid, wording::toothless(control));
    }
    let Some(worst) = of(Role::Variant).map(|s| s.verdict).max() else {
        return (Verdict::Invalid, "there is no candidate to judge: the plan has controls only.".to_owned());
    };
    let controls: Vec<_> = of(Role::Control).collect();
    let candidates: Vec<_> = of(Role::Variant).collect();
    (worst, wording::run_reason(worst, &candidates, &controls))
}
