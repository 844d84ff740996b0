//! The noise rule: a canary that was asked more than once must not differ from itself by more than is tolerated.

use super::wording::{count, interval, plural, pp, signed_points, tolerated};
use super::{Code, Evidence, Finding, Loss, Rule, Warning, judge_loss};
use crate::analysis::{Comparisons, Noise, Record};
use crate::domain::{EngineSpec, Policy, Role, TaskCard, Verdict};

/// A margin should be so many times the standard deviation of a difference between two passes.
const TWICE: f64 = 2.0;

/// One finding for each gating task on which the canary was asked more than once: the same for every subject.
pub(super) fn findings(record: &Record, comparisons: &Comparisons, policy: &Policy) -> Vec<Finding> {
    of_canary(record, comparisons, policy).map(|(noise, card)| finding(noise, card, policy)).collect()
}

/// The canary's noise on each gating task.
fn of_canary<'a>(
    record: &'a Record,
    comparisons: &'a Comparisons,
    policy: &'a Policy,
) -> impl Iterator<Item = (&'a Noise, &'a TaskCard)> {
    let canary = comparisons.noise.iter().filter(|noise| noise.role == Role::Canary);
    let known = canary.filter_map(|noise| Some((noise, record.task(&noise.task)?)));
    known.filter(|(_, card)| policy.gates(&card.name, card.gating))
}

fn finding(noise: &Noise, card: &TaskCard, policy: &Policy) -> Finding {
    let (verdict, reason) = judge(noise, card, policy);
    Finding { rule: Rule::Noise, task: Some(noise.task.clone()), slice: None, gating: true, verdict, reason, evidence: None }
}

/// The second pass against the first and the first against the second, judged as a variant would be.
fn judge(noise: &Noise, card: &TaskCard, policy: &Policy) -> (Verdict, String) {
    if noise.again.paired.n() == 0 {
        return (Verdict::Invalid, "no item has a score in two passes of the canary, so its noise is not known".to_owned());
    }
    let there = judge_loss(&noise.again, card, policy);
    let fails = |finding: &Finding| finding.verdict == Verdict::Fail;
    let apart = fails(&there) || fails(&judge_loss(&noise.again.mirrored(), card, policy));
    let (n, shown) = (noise.again.paired.n(), difference(&there));
    if apart {
        let allowed = tolerated(policy.tolerance_of(&card.name));
        let what = format!(
            "the canary does not agree with itself: its second pass differs from its first by more than is tolerated \
             ({shown}; tolerated: {allowed}); fix the serving set-up"
        );
        return (Verdict::Invalid, what);
    }
    if noise.is_still() {
        let same = if noise.changed.is_some() { "answers and scores" } else { "scores" };
        let what = format!("the canary agrees with itself: {} passes over {} gave the same {same}", noise.passes, items(n));
        return (Verdict::Pass, what);
    }
    (Verdict::Pass, format!("the canary agrees with itself within what is tolerated: {} ({shown})", floor(noise)))
}

/// `1.2 % of 500 items flip between passes, and the answers to 3.4 % change`.
fn floor(noise: &Noise) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let flips = percent(noise.flips.unwrap_or(0.0));
    let changed = noise.changed.map_or_else(String::new, |share| format!(", and the answers to {} change", percent(share)));
    format!("{flips} of {} flip between passes{changed}", items(noise.complete))
}

/// The difference between two passes with the interval that decided.
fn difference(finding: &Finding) -> String {
    match &finding.evidence {
        Some(Evidence::Loss(Loss { delta: Some(delta), confidence, .. })) => {
            format!("{} pp, {}", signed_points(delta.estimate), interval(*delta, *confidence))
        }
        _ => "without an interval".to_owned(),
    }
}

fn items(n: u64) -> String {
    format!("{} {}", count(n), plural(n, "item"))
}

/// What is said of the noise floor, or that there is none.
pub(super) fn warnings(record: &Record, comparisons: &Comparisons, policy: &Policy) -> Vec<Warning> {
    let canary = record.header.canary();
    if canary.is_none_or(|canary| canary.repeats < 2) {
        // What is loaded here repeats itself; a service does not.
        let api = canary.filter(|canary| matches!(canary.engine, EngineSpec::Api(_)));
        let detail = match api {
            Some(_) => "one pass, and a service's answers differ from one request to the next: `repeats = 2` shows by how much",
            None => "one canary, one pass",
        };
        let subject = api.map(|canary| canary.name.clone());
        return vec![Warning { code: Code::NoAa, subject, task: None, detail: detail.to_owned() }];
    }
    let mut warnings: Vec<Warning> = comparisons.noise.iter().filter_map(|noise| overdispersed(noise, record, policy)).collect();
    warnings.extend(of_canary(record, comparisons, policy).filter_map(|(noise, card)| margin_in_noise(noise, card, policy)));
    warnings
}

/// Passes that vary by more than their items explain, on a task that gates. Controls are meant to be bad.
fn overdispersed(noise: &Noise, record: &Record, policy: &Policy) -> Option<Warning> {
    let card = record.task(&noise.task).filter(|card| policy.gates(&card.name, card.gating))?;
    let of = noise.overdispersion.filter(|_| noise.is_overdispersed() && noise.role != Role::Control)?;
    let passes = noise.passes;
    let detail = format!("{passes} passes vary by {} beyond their items, p {:.1e}", pp(of.sigma2_run.sqrt()), of.p);
    let subject = (noise.role != Role::Canary).then(|| noise.subject.clone());
    Some(Warning { code: Code::Overdispersed, subject, task: Some(card.name.clone()), detail })
}

/// A margin that is hardly larger than what the canary differs from itself.
fn margin_in_noise(noise: &Noise, card: &TaskCard, policy: &Policy) -> Option<Warning> {
    let canary = noise.again.paired.canary.map_or(1.0, |canary| canary.estimate);
    let (margin, sd) = (policy.tolerance_of(&card.name).margin_at(canary), noise.sd?);
    let detail = format!("margin {}, two passes differ with a standard deviation of {}", pp(margin), pp(sd));
    let task = Some(card.name.clone());
    (margin < TWICE * sd).then_some(Warning { code: Code::MarginNoise, subject: None, task, detail })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::fixture::{Reply, Run};
    use crate::domain::{Tolerance, Verdict};
    use crate::gate::{Decision, decide};

    /// 400 items of which every eighth is wrong; a variant that is like the canary, and a canary whose second pass is said.
    fn twice(second: fn(usize) -> Reply) -> Run {
        let first = |item: usize| if item % 8 == 7 { Reply::Wrong } else { Reply::Right };
        Run {
            repeats: |subject| if subject == "canary" { 2 } else { 1 },
            again: Some(Box::new(move |_, _, item, _| second(item))),
            ..Run::pair(400, move |_, item| first(item))
        }
    }

    fn decided(run: &Run) -> Decision {
        let (record, comparisons) = run.compared();
        decide(&record, &comparisons, &run.policy)
    }

    fn noise_of(decision: &Decision) -> &Finding {
        decision.subjects[0].findings.iter().find(|f| f.rule == Rule::Noise).expect("the canary was asked twice")
    }

    fn codes(decision: &Decision) -> Vec<Code> {
        decision.warnings.iter().map(|w| w.code).collect()
    }

    #[test]
    fn a_canary_that_loses_or_gains_too_much_between_passes_makes_the_run_invalid() {
        let worse = |item: usize| if item % 8 == 7 || item.is_multiple_of(4) { Reply::Wrong } else { Reply::Right };
        let better = |_: usize| Reply::Right;
        for second in [worse, better] {
            let mut run = twice(second);
            run.policy.tolerance = Tolerance::Margin(0.05);
            let decision = decided(&run);
            assert_eq!(noise_of(&decision).verdict, Verdict::Invalid, "{}", noise_of(&decision).reason);
            assert_eq!(decision.verdict, Verdict::Invalid, "{}", decision.reason);
            assert!(noise_of(&decision).reason.contains("does not agree with itself"), "{}", noise_of(&decision).reason);
        }
    }

    #[test]
    fn a_canary_that_repeats_itself_to_the_letter_passes_and_says_so() {
        let decision = decided(&twice(|item| if item % 8 == 7 { Reply::Wrong } else { Reply::Right }));
        assert_eq!(decision.verdict, Verdict::Pass, "{}", decision.reason);
        assert!(noise_of(&decision).reason.contains("gave the same answers and scores"), "{}", noise_of(&decision).reason);
        let codes = codes(&decision);
        assert!(!codes.contains(&Code::NoAa) && !codes.contains(&Code::Overdispersed) && !codes.contains(&Code::MarginNoise));
    }

    #[test]
    fn a_canary_that_was_asked_once_is_warned_of_with_what_to_do() {
        let decision = decided(&Run::pair(60, |_, _| Reply::Right));
        assert!(decision.subjects[0].findings.iter().all(|f| f.rule != Rule::Noise));
        let warned = decision.warnings.iter().find(|w| w.code == Code::NoAa).expect("one pass is warned of");
        assert!(warned.code.remedy().contains("repeats = 2"), "{}", warned.code.remedy());
    }

    #[test]
    fn passes_that_differ_within_what_is_tolerated_widen_the_interval_of_the_loss() {
        // As many flips: in one direction a pass shakes as a whole, in both it does not.
        let shaken = |item: usize| if item % 8 == 7 || item < 27 { Reply::Wrong } else { Reply::Right };
        let even = |item: usize| match item {
            i if i % 8 == 7 && i >= 96 => Reply::Wrong,
            i if i % 8 != 7 && i < 14 => Reply::Wrong,
            _ => Reply::Right,
        };
        let width = |decision: &Decision| {
            let loss = decision.subjects[0].findings.iter().find_map(|f| match &f.evidence {
                Some(Evidence::Loss(loss)) => loss.delta,
                _ => None,
            });
            loss.map(|delta| delta.upper - delta.lower).expect("there are pairs")
        };
        let (one, other) = (decided(&twice(shaken)), decided(&twice(even)));
        for decision in [&one, &other] {
            assert_eq!(noise_of(decision).verdict, Verdict::Pass, "{}", noise_of(decision).reason);
            assert!(noise_of(decision).reason.contains("flip between passes"), "{}", noise_of(decision).reason);
        }
        assert!(codes(&one).contains(&Code::Overdispersed) && codes(&one).contains(&Code::MarginNoise), "{:?}", codes(&one));
        assert!(!codes(&other).contains(&Code::Overdispersed) && !codes(&other).contains(&Code::MarginNoise));
        assert!(width(&one) > 2.0 * width(&other), "{} and {}", width(&one), width(&other));
    }
}
