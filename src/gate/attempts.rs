//! The guard against trying again until it passes: earlier runs that judged the same models.

use std::collections::BTreeSet;

use super::wording::plural;
use super::{Code, Warning};
use crate::analysis::Record;
use crate::domain::{Attempt, Digest, EngineSpec, OnDoubt, Policy, Role, Subject, Verdict};

/// What earlier attempts, or another policy than the run's own, make of a verdict by this policy.
pub(super) fn warnings(record: &Record, policy: &Policy) -> Vec<Warning> {
    let header = &record.header;
    let variants = header.subjects.iter().filter(|subject| subject.role == Role::Variant);
    let mut warnings: Vec<Warning> = variants.flat_map(|variant| of_variant(record, policy, variant)).collect();
    if policy_digest(policy) != policy_digest(&header.policy) {
        let detail = "judged by another policy than the one in the run's plan".to_owned();
        warnings.push(Warning { code: Code::PosthocMargin, subject: None, task: None, detail });
    }
    warnings
}

/// What a policy tolerates, as a digest: everything in it but what doubts do to the exit code.
///
/// # Panics
/// Never: a policy can always be written as JSON.
#[must_use]
pub fn policy_digest(policy: &Policy) -> Digest {
    let policy = Policy { inconclusive: OnDoubt::default(), invalid: OnDoubt::default(), ..policy.clone() };
    let json = serde_json::to_vec(&policy).expect("a policy has text keys and finite numbers only");
    Digest::new(format!("blake3:{}", blake3::hash(&json).to_hex()))
}

fn of_variant(record: &Record, policy: &Policy, variant: &Subject) -> Vec<Warning> {
    let header = &record.header;
    let earlier: Vec<&Attempt> = header.earlier.iter().filter(|attempt| attempt.subject == variant.name).collect();
    let chances = match &variant.engine {
        // Another program's results are known by the digest of their files: the same files say the same whatever the plan.
        EngineSpec::Recorded(_) => Vec::new(),
        // A server draws again: its answers depend on its load.
        EngineSpec::Api(_) => earlier.clone(),
        EngineSpec::Local(_) | EngineSpec::Scripted(_) => chances(&earlier, &header.digest),
    };
    let warning = |code, detail| Warning { code, subject: Some(variant.name.clone()), task: None, detail };
    let mut warnings = Vec::new();
    if !chances.is_empty() {
        warnings.push(warning(Code::Rerun, retried(&chances, policy.alpha)));
    }
    let own = policy_digest(&header.policy);
    let others = earlier.iter().filter(|attempt| attempt.policy != own).count();
    if others > 0 {
        let detail = format!("{others} earlier {} by another policy: {}", plural(others as u64, "run"), runs(&earlier, &own));
        warnings.push(warning(Code::PosthocMargin, detail));
    }
    warnings
}

/// Those attempts that were a chance of their own: one of each other plan, since engines in this process repeat themselves.
fn chances<'a>(earlier: &[&'a Attempt], plan: &Digest) -> Vec<&'a Attempt> {
    let mut seen = BTreeSet::from([plan]);
    earlier.iter().copied().filter(|attempt| seen.insert(&attempt.plan)).collect()
}

/// How often before, with which verdicts, and what that does to the error rate.
fn retried(chances: &[&Attempt], alpha: f64) -> String {
    let verdicts = [Verdict::Pass, Verdict::Inconclusive, Verdict::Fail, Verdict::Invalid];
    let count = |verdict| chances.iter().filter(|attempt| attempt.verdict == verdict).count();
    let counted = verdicts.into_iter().map(|verdict| (count(verdict), verdict)).filter(|(count, _)| *count > 0);
    let counted: Vec<String> = counted.map(|(count, verdict)| format!("{count} {verdict}")).collect();
    let attempts = chances.len() + 1;
    let bound = (100.0 * alpha * attempts as f64).min(100.0);
    let bound = format!("{bound:.1}");
    let bound = bound.trim_end_matches('0').trim_end_matches('.');
    format!("attempt {attempts}, after {}: one of them passes wrongly with a chance of up to {bound} %", counted.join(", "))
}

/// The newest runs by another policy, by name.
fn runs(earlier: &[&Attempt], own: &Digest) -> String {
    const SHOWN: usize = 3;
    let others: Vec<&str> = earlier.iter().filter(|attempt| attempt.policy != *own).map(|attempt| attempt.run.as_str()).collect();
    let (older, newest) = others.split_at(others.len().saturating_sub(SHOWN));
    let before = if older.is_empty() { "" } else { "…, " };
    format!("{before}{}", newest.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(run: &str, plan: &str, verdict: Verdict) -> Attempt {
        let (plan, policy) = (Digest::new(plan), Digest::new("p"));
        Attempt { subject: "q4".into(), run: run.to_owned(), verdict, plan, policy }
    }

    #[test]
    fn the_same_plan_again_is_no_chance_where_engines_repeat_themselves() {
        let attempts = [
            attempt("1", "own", Verdict::Pass),
            attempt("2", "seed 2", Verdict::Inconclusive),
            attempt("3", "seed 2", Verdict::Inconclusive),
            attempt("4", "seed 3", Verdict::Fail),
        ];
        let all: Vec<&Attempt> = attempts.iter().collect();
        let chances = chances(&all, &Digest::new("own"));
        assert_eq!(chances.iter().map(|attempt| attempt.run.as_str()).collect::<Vec<_>>(), ["2", "4"]);
        let told = retried(&chances, 0.05);
        assert_eq!(told, "attempt 3, after 1 INCONCLUSIVE, 1 FAIL: one of them passes wrongly with a chance of up to 15 %");
    }

    #[test]
    fn what_doubts_do_to_the_exit_code_is_no_tolerance() {
        let policy = Policy::new(crate::domain::Tolerance::Margin(0.01));
        let warns = Policy { inconclusive: OnDoubt::Warn, ..policy.clone() };
        let loose = Policy { alpha: 0.1, ..policy.clone() };
        assert_eq!(policy_digest(&policy), policy_digest(&warns));
        assert_ne!(policy_digest(&policy), policy_digest(&loose));
    }
}
