//! What the course of a comparison decides, when, and how rarely it is wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::{Asking, Course, Ending, Terms};
use crate::domain::{Budget, Family, Policy, Step, Stopping, TaskCard, TaskRule, Tolerance, Verdict};
use crate::gate::EarlyBy;
use crate::stats::{self, MarginVerdict, PairTable};

fn terms(samples: u64, stopping: Stopping) -> Terms {
    Terms { samples, margin: 0.02, alpha: 0.05, alpha_fail: 0.05, strict: false, stopping }
}

/// Numbers in 0..1 that look random and are the same everywhere (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn step(&mut self, loss: f64, gain: f64) -> Step {
        match self.next() {
            x if x < loss => Step::Loss,
            x if x < loss + gain => Step::Gain,
            _ => Step::Tie,
        }
    }
}

fn follow(terms: Terms, steps: impl IntoIterator<Item = Step>) -> Option<Ending> {
    let mut course = Course::new(terms).unwrap();
    steps.into_iter().find_map(|step| course.take(step))
}

/// Endings of simulated comparisons at some rates of losses and gains.
fn simulate(terms: Terms, (loss, gain): (f64, f64), times: usize) -> Vec<Option<Ending>> {
    let mut dice = Dice(0x5eed);
    let begun = Course::new(terms).unwrap();
    let one = |_| {
        let mut course = begun.clone();
        (0..terms.samples).find_map(|_| course.take(dice.step(loss, gain)))
    };
    (0..times).map(one).collect()
}

/// The mean share of the samples that was asked.
fn cost(terms: Terms, endings: &[Option<Ending>]) -> f64 {
    let asked = endings.iter().map(|ending| ending.map_or(terms.samples, |ending| ending.after) as f64);
    asked.sum::<f64>() / (endings.len() as f64 * terms.samples as f64)
}

fn rate(endings: &[Option<Ending>], verdict: Verdict) -> f64 {
    let count = endings.iter().flatten().filter(|ending| ending.verdict == verdict).count();
    count as f64 / endings.len() as f64
}

/// The verdict of all samples at once, which the missing ones cannot turn.
fn at_once(terms: Terms, steps: &[Step]) -> Verdict {
    let count = |wanted: Step| steps.iter().filter(|step| **step == wanted).count() as u64;
    let (losses, gains, missing) = (count(Step::Loss), count(Step::Gain), count(Step::Missing));
    let (all, complete) = (steps.len() as u64, steps.len() as u64 - missing);
    let interval = |table: &PairTable| {
        let exact = terms.strict || complete < 50;
        if exact {
            stats::fay_diff(table, 1.0 - 2.0 * terms.alpha).unwrap()
        } else {
            stats::tango(table, 1.0 - 2.0 * terms.alpha)
        }
    };
    let tables = [
        PairTable::of_flips(losses, gains, complete),
        PairTable::of_flips(losses + missing, gains, all),
        PairTable::of_flips(losses, gains + missing, all),
    ];
    let verdicts = tables.map(|table| {
        let interval = interval(&table);
        stats::margin_verdict(interval.lower, interval.upper, terms.margin).0
    });
    match stats::agreed(&verdicts) {
        MarginVerdict::Pass => Verdict::Pass,
        MarginVerdict::Inconclusive => Verdict::Inconclusive,
        MarginVerdict::Fail => Verdict::Fail,
    }
}

fn steps(samples: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Step>> {
    let rates = prop_oneof![Just((2, 1)), Just((0, 0)), Just((30, 5)), Just((70, 0)), Just((1, 25))];
    (rates, 0..3_u32, samples).prop_flat_map(|((loss, gain), missing, samples)| {
        let step = (0..100_u32).prop_map(move |x| match x {
            x if x < missing => Step::Missing,
            x if x < missing + loss => Step::Loss,
            x if x < missing + loss + gain => Step::Gain,
            _ => Step::Tie,
        });
        prop::collection::vec(step, samples)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn curtailment_gives_the_verdict_of_all_samples(steps in steps(11..400), margin in 0.01..0.2_f64, strict in any::<bool>()) {
        let terms = Terms { margin, strict: strict && steps.len() < 80, ..terms(steps.len() as u64, Stopping::None) };
        if let Some(ending) = follow(terms, steps.iter().copied()) {
            prop_assert_eq!(ending.by, EarlyBy::Curtailment);
            prop_assert!(ending.after < terms.samples);
            prop_assert_eq!(at_once(terms, &steps), ending.verdict);
        }
    }

    #[test]
    fn no_rest_whatever_turns_what_curtailment_settled(steps in steps(60..300), seed in any::<u64>()) {
        let terms = Terms { margin: 0.05, ..terms(steps.len() as u64, Stopping::None) };
        if let Some(ending) = follow(terms, steps.iter().copied()) {
            let (mut dice, asked) = (Dice(seed), ending.after as usize);
            for (loss, gain) in [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.4, 0.4)] {
                let rest = (asked..steps.len()).map(|_| dice.step(loss, gain));
                let other: Vec<Step> = steps[..asked].iter().copied().chain(rest).collect();
                prop_assert_eq!(at_once(terms, &other), ending.verdict);
            }
        }
    }

    #[test]
    fn what_comes_after_the_ending_changes_nothing(
        steps in steps(40..300), more in steps(1..40),
        stopping in prop_oneof![Just(Stopping::None), Just(Stopping::GroupSequential), Just(Stopping::EProcess)],
    ) {
        let mut course = Course::new(terms(300, stopping)).unwrap();
        let ending = steps.iter().find_map(|&step| course.take(step));
        if let Some(ending) = ending {
            for step in more {
                prop_assert_eq!(course.take(step), Some(ending));
            }
            prop_assert!(ending.after <= steps.len() as u64);
        }
    }

    #[test]
    fn a_loss_in_place_of_a_gain_never_turns_a_fail_into_a_pass(
        steps in steps(100..300), at in 0..100_usize,
        stopping in prop_oneof![Just(Stopping::GroupSequential), Just(Stopping::EProcess)],
    ) {
        let terms = terms(steps.len() as u64, stopping);
        let mut worse = steps.clone();
        worse[at] = Step::Loss;
        let verdict = |steps: &[Step]| follow(terms, steps.iter().copied()).map_or(Verdict::Inconclusive, |ending| ending.verdict);
        prop_assert!(verdict(&worse) >= verdict(&steps), "PASS < INCONCLUSIVE < FAIL");
    }
}

#[test]
fn what_is_plainly_broken_costs_a_tenth_and_what_is_plainly_fine_at_most_82_percent() {
    // A claim about each of six gating tasks.
    let terms = Terms { alpha_fail: 0.05 / 6.0, ..terms(1000, Stopping::GroupSequential) };
    let broken = simulate(terms, (0.35, 0.02), 400);
    assert!(cost(terms, &broken) < 0.1, "{}", cost(terms, &broken));
    assert!(rate(&broken, Verdict::Fail) > 0.999);
    let fine = simulate(terms, (0.02, 0.02), 400);
    assert!(cost(terms, &fine) < 0.82, "{}", cost(terms, &fine));
    assert!(rate(&fine, Verdict::Pass) > 0.85, "{}", rate(&fine, Verdict::Pass));
}

#[test]
fn looking_more_often_costs_no_error() {
    for stopping in [Stopping::GroupSequential, Stopping::EProcess] {
        let at_margin = simulate(terms(400, stopping), (0.04, 0.02), 3000);
        let (pass, fail) = (rate(&at_margin, Verdict::Pass), rate(&at_margin, Verdict::Fail));
        assert!(pass < 0.06 && fail < 0.07, "{stopping:?}: {pass} {fail}");
    }
}

#[test]
fn a_betting_process_ends_at_the_very_item() {
    let terms = terms(5000, Stopping::EProcess);
    let ending = follow(terms, std::iter::repeat_n(Step::Loss, 5000)).unwrap();
    assert_eq!((ending.verdict, ending.by), (Verdict::Fail, EarlyBy::Wealth));
    let mut bets = stats::Betting::about_margin(20, 0.02, 1.0).unwrap();
    let first = (1..1000).find(|_| {
        bets.push_difference(-1.0, 1.0);
        bets.log_fail() >= -0.05_f64.ln()
    });
    assert_eq!(first.unwrap().max(10), ending.after, "or where there are ten pairs");
}

#[test]
fn looks_are_taken_at_the_quarters_and_missing_answers_must_not_matter() {
    let terms = terms(2000, Stopping::GroupSequential);
    let quiet = |missing: usize| {
        let lost = std::iter::repeat_n(Step::Missing, missing);
        follow(terms, lost.chain(std::iter::repeat_n(Step::Tie, 2000 - missing))).unwrap()
    };
    assert_eq!((quiet(0).after, quiet(0).by, quiet(0).verdict), (1000, EarlyBy::Look(2, 4), Verdict::Pass));
    assert!(quiet(0).confidence > 0.98, "the second look's boundary is beyond 2.5 standard errors");
    assert!(quiet(12).after > 1000, "twelve losses would not have passed there");
}

#[test]
fn a_run_sees_each_look_and_early_on_every_stride() {
    let marks = Course::new(terms(400, Stopping::GroupSequential)).unwrap().marks();
    assert_eq!(marks, [32, 64, 96, 100, 200, 300]);
    assert!(Course::new(terms(400, Stopping::None)).unwrap().marks().is_empty());
    assert!(Course::new(terms(10, Stopping::None)).is_none());
}

fn card(name: &str, metric: &str) -> TaskCard {
    let kind = if metric == "perplexity" { "perplexity" } else { "generate" };
    let card = serde_json::json!({"name": name, "about": "", "kind": kind, "metric": metric, "gating": true, "chance": 0.0,
        "band": null, "dataset": "d", "digest": "blake3:0", "samples": 100});
    serde_json::from_value(card).unwrap()
}

#[test]
fn only_a_task_whose_verdict_is_one_claim_about_its_pairs_may_end_early() {
    let cards = [card("a", "accuracy"), card("b", "accuracy"), card("text", "perplexity"), card("m", "mean")];
    let plain = Asking { once: true, clustered: false };
    let of = |policy: &Policy, task: usize, asking| Terms::of(&cards[task], &cards, policy, asking);
    let policy = Policy::new(Tolerance::Margin(0.02));
    assert!((of(&policy, 0, plain).unwrap().alpha_fail - 0.05 / 3.0).abs() < 1e-15, "one claim for each gating task");
    assert!(of(&policy, 2, plain).is_none() && of(&policy, 3, plain).is_none());
    assert!(of(&policy, 0, Asking { once: false, ..plain }).is_none());
    assert!(of(&policy, 0, Asking { clustered: true, ..plain }).is_none());
    let rule = |slice: Option<&str>, tolerance, gating| TaskRule {
        task: "a".into(),
        slice: slice.map(str::to_owned),
        tolerance,
        gating,
    };
    let with = |change: &dyn Fn(&mut Policy)| {
        let mut policy = policy.clone();
        change(&mut policy);
        (of(&policy, 0, plain), of(&policy, 1, plain))
    };
    let (a, b) = with(&|policy| policy.tasks.push(rule(Some("long"), None, None)));
    assert!(a.is_none() && (b.unwrap().alpha_fail - 0.05 / 4.0).abs() < 1e-15, "the slice is a claim of its own");
    let (a, b) = with(&|policy| policy.tasks.push(rule(None, None, Some(false))));
    assert!(a.is_none() && (b.unwrap().alpha_fail - 0.05 / 2.0).abs() < 1e-15);
    assert!(with(&|policy| policy.tasks.push(rule(None, Some(Tolerance::Recovery(0.99)), None))).0.is_none());
    assert_eq!(with(&|policy| policy.overall = Some(Tolerance::Margin(0.01))), (None, None));
    let budget = |metric: &str, task: Option<&str>| Budget { metric: metric.to_owned(), task: task.map(Into::into), max: 0.1 };
    assert_eq!(with(&|policy| policy.budgets.push(budget("flips.rate", None))), (None, None));
    let (a, b) = with(&|policy| policy.budgets.push(budget("latency.p95_ratio", Some("b"))));
    assert!(a.is_some() && b.is_none());
    assert!(with(&|policy| policy.budgets.push(budget("kld.mean", None))).0.is_some());
    let (a, _) = with(&|policy| policy.family = Family::By);
    assert!((a.unwrap().alpha_fail - 0.05 / (3.0 + 1.5 + 1.0)).abs() < 1e-15);
}
