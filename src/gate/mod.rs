//! Comparisons and a policy to findings and a verdict; pure, so any policy can be tried on an old run.
//!
//! Every gating finding of a variant must pass (an intersection–union test: each at the full α, without correction), so a
//! variant's verdict is its worst gating finding, and the run's is its worst candidate. A control is known to be bad: if
//! it doesn't fail, the tasks have no teeth and the run is invalid; otherwise it doesn't count.

mod attempts;
mod budget;
mod course;
mod decision;
mod evidence;
mod fairness;
mod guards;
mod latency;
mod loss;
mod noise;
#[cfg(test)]
mod tests;
mod warning;
pub(crate) mod wording;

use crate::analysis::{self, Comparisons, Record, Unscored};
use crate::domain::{OnDoubt, Policy, Role, SubjectName, TaskName, Verdict};

pub use course::{Asking, Course, Ending, Terms};
pub use decision::{Decision, Early, EarlyBy, Evidence, Finding, Loss, Method, Rule, Spent, SubjectDecision};
pub(crate) use evidence::note_word;
pub use warning::{Code, Warning};

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
    findings.extend(noise::findings(case));
    findings.extend(loss::findings(case));
    findings.extend(budget::findings(case));
    findings.extend(latency::findings(case));
    let rules = findings
        .iter()
        .filter(|f| f.gating && matches!(f.rule, Rule::Loss | Rule::Overall | Rule::Budget | Rule::Latency))
        .count();
    let worst = findings.iter().filter(|f| f.gating).map(|f| f.verdict).max();
    let verdict = worst.filter(|_| rules > 0).unwrap_or(Verdict::Invalid);
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
    let rule = if gating(Rule::Loss).next().is_some() { Rule::Loss } else { Rule::Budget };
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
