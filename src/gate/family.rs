//! The family: "this task regressed" is one claim among those about all gating tasks and slices of a variant.
//!
//! That some task fails is a union–intersection claim, so its p-values are corrected for their number; that all pass is an
//! intersection–union claim and needs no correction (Berger 1982). Budgets, noise and the mean over tasks are outside: each
//! of them is a rule of its own.

use super::wording::correction;
use super::{Evidence, Finding, Rule};
use crate::domain::{Family, Policy, Verdict};
use crate::stats;

/// Corrects the gating loss findings of one subject: a FAIL that is none among so many claims becomes INCONCLUSIVE.
///
/// `settled` are those that a rule for early stopping decided, each with its share of α: they are as certain as they can be
/// (p counts as 0 of a FAIL, else as 1), and stay as they are.
pub(super) fn correct(findings: &mut [(Finding, bool)], policy: &Policy) {
    let mut claims: Vec<_> = findings.iter_mut().filter(|(f, _)| f.gating && f.rule == Rule::Loss).collect();
    let p: Vec<f64> = claims.iter().map(|(finding, settled)| p_of(finding, *settled, policy.alpha)).collect();
    let total = p.len();
    for ((finding, settled), adjusted) in claims.iter_mut().map(|claim| (&mut claim.0, claim.1)).zip(adjusted(&p, policy.family))
    {
        let Some(Evidence::Loss(loss)) = finding.evidence.as_mut().filter(|_| !settled) else { continue };
        loss.p_fail_adjusted = loss.p_fail.map(|_| adjusted);
        if finding.verdict == Verdict::Fail && adjusted >= policy.alpha {
            finding.verdict = Verdict::Inconclusive;
            let by = correction(policy.family).unwrap_or("itself");
            finding.reason = format!(
                "{}, but as one of {total} claims about this subject that is not certain (p {} by {by}, α {})",
                finding.reason,
                digits(adjusted),
                policy.alpha
            );
        }
    }
}

/// The p of a claim that a task regressed: 1 where there is none, or where something else than its size keeps it from
/// being made.
fn p_of(finding: &Finding, settled: bool, alpha: f64) -> f64 {
    if settled {
        return f64::from(u8::from(finding.verdict != Verdict::Fail));
    }
    match &finding.evidence {
        Some(Evidence::Loss(loss)) if finding.verdict == Verdict::Fail => loss.p_fail.unwrap_or(1.0),
        Some(Evidence::Loss(loss)) => loss.p_fail.filter(|p| *p >= alpha).unwrap_or(1.0),
        _ => 1.0,
    }
}

fn adjusted(p: &[f64], family: Family) -> Vec<f64> {
    match family {
        Family::Holm => stats::holm(p),
        Family::Hochberg => stats::adjust(p).hochberg,
        Family::Bh => stats::adjust(p).bh,
        Family::By => stats::adjust(p).by,
        Family::None => p.to_vec(),
    }
}

/// A p-value as a person reads it.
fn digits(p: f64) -> String {
    if p < 0.0001 { "below 0.0001".to_owned() } else { format!("{p:.4}") }
}
