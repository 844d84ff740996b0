//! Comparisons and a policy to findings and a verdict; pure, so any policy can be tried on an old run.
//!
//! Every gating finding of a variant must pass (an intersection–union test: each at the full α, without correction), so a
//! variant's verdict is its worst gating finding, and the run's is its worst candidate. A control is known to be bad: if
//! it doesn't fail, the tasks have no teeth and the run is invalid; otherwise it doesn't count.

mod amounts;
mod attempts;
mod bounded;
mod budget;
mod case;
mod constant;
mod course;
mod decision;
mod documents;
mod errors;
mod fairness;
mod family;
mod flips;
mod guards;
mod latency;
mod loss;
mod method;
mod noise;
mod overall;
mod reasons;
mod same;
mod served;
mod side;
#[cfg(test)]
mod tests;
mod warning;
pub(crate) mod wording;

use std::sync::OnceLock;

use rayon::prelude::*;

use crate::analysis::{Comparison, Comparisons, Record};
use crate::domain::{OnDoubt, Policy, Role, TaskCard, Verdict};
use case::Case;
use loss::Asked;

pub use attempts::policy_digest;
pub use course::{Asking, Course, Ending, Terms};
pub(crate) use decision::note_word;
pub use decision::{Decision, Early, EarlyBy, Evidence, Finding, Loss, Method, Rule, Spent, SubjectDecision};
pub use warning::{Code, Warning};

/// Judges a run by a policy.
#[must_use]
pub fn decide(record: &Record, comparisons: &Comparisons, policy: &Policy) -> Decision {
    let judged = record.header.subjects.par_iter().filter(|s| s.role != Role::Canary);
    let (noise, unscored) = (noise::findings(record, comparisons, policy), OnceLock::new());
    let case = |subject| Case { record, comparisons, policy, subject, noise: &noise, unscored: &unscored };
    let subjects: Vec<SubjectDecision> = judged.map(|s| judge(&case(&s.name), s.role)).collect();
    let (verdict, mut reason) = overall(&subjects);
    if lets_through(verdict, &subjects, policy) {
        reason.push_str(&wording::let_through(verdict));
    }
    let warnings = guards::warnings(record, comparisons, policy);
    Decision { verdict, reason, subjects, warnings }
}

/// What a policy says of one comparison by itself: all that [`decide`] does for the loss on one task, as one claim. The
/// sentence does not know whose answers have no score.
#[must_use]
pub fn judge_loss(comparison: &Comparison, card: &TaskCard, policy: &Policy) -> Finding {
    Asked::plainly(comparison, card, policy).whole().judge()
}

/// What a policy says of all comparisons of one subject: each task, the slices that it names, corrected for their number, and
/// the mean over tasks.
#[must_use]
pub fn judge_losses(comparisons: &[(&Comparison, &TaskCard)], policy: &Policy) -> Vec<Finding> {
    let asked: Vec<Asked<'_>> = comparisons.iter().map(|(of, card)| Asked::plainly(of, card, policy)).collect();
    loss::findings(&asked, policy)
}

/// The process's exit code: 0 for PASS, 1 for FAIL, 3 for INCONCLUSIVE and 4 for INVALID, these two 0 where the policy
/// only warns of them. An INVALID that stands above a candidate's FAIL, or an INCONCLUSIVE that blocks, is not let through.
#[must_use]
pub fn exit_code(decision: &Decision, policy: &Policy) -> u8 {
    if lets_through(decision.verdict, &decision.subjects, policy) { 0 } else { decision.verdict.exit_code() }
}

/// Whether the policy only warns of a verdict that isn't PASS, and of all that stands below it.
fn lets_through(verdict: Verdict, subjects: &[SubjectDecision], policy: &Policy) -> bool {
    let warns = |verdict: Verdict| match verdict {
        Verdict::Inconclusive => policy.inconclusive == OnDoubt::Warn,
        Verdict::Invalid => policy.invalid == OnDoubt::Warn,
        Verdict::Pass | Verdict::Fail => false,
    };
    let candidates = subjects.iter().filter(|subject| subject.role == Role::Variant);
    let mut open = candidates.flat_map(|subject| &subject.findings).filter(|f| f.gating && f.verdict != Verdict::Pass);
    warns(verdict) && open.all(|finding| warns(finding.verdict))
}

fn judge(case: &Case<'_>, role: Role) -> SubjectDecision {
    let mut findings = fairness::findings(case);
    findings.extend(served::findings(case));
    findings.extend_from_slice(case.noise);
    findings.extend(case.losses());
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

/// Whether a gating task or their mean fails, or, where none gates, a budget: a broken budget alone says nothing about the
/// tasks.
fn fails_where_it_counts(findings: &[Finding]) -> bool {
    let tasks = |rule: Rule| matches!(rule, Rule::Loss | Rule::Overall);
    let gating = |wanted: bool| findings.iter().filter(move |f| f.gating && tasks(f.rule) == wanted);
    if gating(true).next().is_some() {
        return gating(true).any(|f| f.verdict == Verdict::Fail);
    }
    gating(false).any(|f| f.rule == Rule::Budget && f.verdict == Verdict::Fail)
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
