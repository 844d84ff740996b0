//! What stands above single losses: the family, the mean over tasks, slices, early stops, guards.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::sheets::{Scores, binary};
use super::{decided, losing};
use crate::analysis::fixture::{Event, EventKind, Reply, Run};
use crate::analysis::{Comparison, Comparisons, fold};
use crate::domain::{
    Budget, CauseKind, Family, Outcome, Policy, Role, Step, Stopping, SubjectName, TaskName, TaskRule, Tolerance, Verdict,
};
use crate::gate::{
    Asking, Code, Course, Decision, Early, EarlyBy, Evidence, Finding, Loss, Method, Rule, Terms, decide, judge_losses,
};
use crate::stats::{self, PairTable};

fn table(n11: u64, n10: u64, n01: u64, n00: u64) -> PairTable {
    PairTable { n11, n10, n01, n00 }
}

/// One subject's findings on tasks a, b, … of these tables.
fn judged(tables: &[PairTable], policy: &Policy) -> Vec<Finding> {
    let names = ["a", "b", "c", "d", "e"];
    let of = |(&table, name): (&PairTable, &str)| Comparison::of_table(SubjectName::new("q4"), TaskName::new(name), table);
    let comparisons: Vec<Comparison> = tables.iter().zip(names).map(of).collect();
    let cards: Vec<_> = names.map(binary).into_iter().collect();
    judge_losses(&comparisons.iter().zip(&cards).collect::<Vec<_>>(), policy)
}

fn loss(finding: &Finding) -> &Loss {
    match &finding.evidence {
        Some(Evidence::Loss(loss)) => loss,
        other => panic!("a loss has its numbers, not {other:?}: {}", finding.reason),
    }
}

/// 17 losses of 200 where 5 % are tolerated: p about 0.01 of being beyond.
const DOUBTFUL: PairTable = PairTable { n11: 153, n10: 17, n01: 0, n00: 30 };
const FINE: PairTable = PairTable { n11: 170, n10: 0, n01: 0, n00: 30 };

#[test]
fn a_task_that_fails_by_itself_need_not_fail_as_one_of_five_claims() {
    let policy = |family: Family| Policy { family, ..Policy::new(Tolerance::Margin(0.05)) };
    let five = [DOUBTFUL, FINE, FINE, FINE, FINE];
    let alone = judged(&five[..1], &policy(Family::Holm));
    assert_eq!(alone[0].verdict, Verdict::Fail, "{}", alone[0].reason);
    let among = judged(&five, &policy(Family::Holm));
    let (p, adjusted) = (loss(&among[0]).p_fail.expect("it has a p"), loss(&among[0]).p_fail_adjusted.expect("it has a p"));
    assert!((adjusted - 5.0 * p).abs() < 1e-12 && (0.0101..0.05).contains(&p), "{p} {adjusted}");
    assert_eq!(among[0].verdict, Verdict::Inconclusive);
    assert!(among[0].reason.contains("as one of 5 claims about this subject that is not certain"), "{}", among[0].reason);
    assert!(among[1..5].iter().all(|f| f.verdict == Verdict::Pass), "a pass is not corrected");
    assert_eq!(judged(&five, &policy(Family::None))[0].verdict, Verdict::Fail);
    assert_eq!(judged(&five, &policy(Family::By))[0].verdict, Verdict::Inconclusive);
}

#[test]
fn a_task_that_is_plainly_broken_fails_in_any_family() {
    let broken = table(80, 90, 0, 30);
    for family in [Family::Holm, Family::Hochberg, Family::Bh, Family::By, Family::None] {
        let policy = Policy { family, ..Policy::new(Tolerance::Margin(0.05)) };
        assert_eq!(judged(&[FINE, broken, FINE], &policy)[1].verdict, Verdict::Fail, "{family:?}");
    }
}

#[test]
fn what_does_not_gate_is_no_claim_of_the_family() {
    let advisory = |task: &str| TaskRule { task: TaskName::new(task), slice: None, tolerance: None, gating: Some(false) };
    let policy = Policy { tasks: ["b", "c", "d", "e"].map(advisory).to_vec(), ..Policy::new(Tolerance::Margin(0.05)) };
    assert_eq!(judged(&[DOUBTFUL, FINE, FINE, FINE, FINE], &policy)[0].verdict, Verdict::Fail);
}

#[test]
fn the_mean_over_tasks_is_movers_and_gates_only_where_the_policy_says() {
    let tables = [table(150, 8, 4, 38), table(300, 5, 5, 90), table(80, 2, 9, 20)];
    let mover = stats::mover_macro(&tables, 0.9).expect("there are pairs");
    let policy = Policy::new(Tolerance::Margin(0.05));
    let advisory = judged(&tables, &policy).pop().expect("the mean is last");
    assert_eq!((advisory.rule, advisory.gating), (Rule::Overall, false));
    let delta = loss(&advisory).delta.expect("it has an interval");
    assert!((delta.lower - mover.lower).abs() < 1e-12 && (delta.upper - mover.upper).abs() < 1e-12, "{delta:?} {mover:?}");
    assert_eq!(loss(&advisory).method, Some(Method::Mover));
    let at = |max: f64| {
        let policy = Policy { overall: Some(Tolerance::Margin(max)), ..policy.clone() };
        judged(&tables, &policy).pop().expect("the mean is last")
    };
    let (kept, open) = (at(-mover.lower + 1e-6), at(-mover.lower - 1e-6));
    assert!(kept.gating && kept.verdict == Verdict::Pass, "{}", kept.reason);
    assert_eq!(open.verdict, Verdict::Inconclusive, "{}", open.reason);
    assert!(loss(&kept).p_pass.is_some_and(|p| p < 0.05) && loss(&open).p_pass.is_some_and(|p| p >= 0.05));
    // Where the mean itself is over the margin, a loss as large as that is likelier than not.
    let over = judged(&[table(150, 20, 4, 26), table(300, 30, 5, 65)], &policy).pop().expect("the mean is last");
    assert!(loss(&over).p_pass.is_some_and(|p| p > 0.5), "{:?}", loss(&over).p_pass);
    let one = judged(&tables[..1], &policy);
    assert_eq!(one.len(), 1, "the mean over one task is that task");
}

#[test]
fn a_mean_that_passes_never_makes_up_for_a_task_that_fails() {
    let policy = Policy { overall: Some(Tolerance::Margin(0.2)), ..Policy::new(Tolerance::Margin(0.05)) };
    let findings = judged(&[table(80, 90, 0, 30), table(100, 0, 60, 40), FINE], &policy);
    assert_eq!(findings[0].verdict, Verdict::Fail);
    assert_eq!(findings[3].verdict, Verdict::Pass, "{}", findings[3].reason);
    assert_eq!(findings.iter().filter(|f| f.gating).map(|f| f.verdict).max(), Some(Verdict::Fail));
}

#[test]
fn a_recovery_of_the_mean_is_held_against_the_mean_canary() {
    let tables = [table(900, 5, 5, 90), table(850, 10, 8, 132)];
    let at = |share: f64| {
        let policy = Policy { overall: Some(Tolerance::Recovery(share)), ..Policy::new(Tolerance::Margin(0.05)) };
        judged(&tables, &policy).pop().expect("the mean is last")
    };
    let kept = at(0.98);
    assert_eq!(kept.verdict, Verdict::Pass, "{}", kept.reason);
    let margin = 0.02 * (0.905 + 0.86) / 2.0;
    assert!((loss(&kept).margin - margin).abs() < 1e-12);
    assert_eq!(at(0.999).verdict, Verdict::Inconclusive);
}

#[test]
fn tasks_that_move_by_different_amounts_are_warned_of() {
    let mut run = losing(0);
    run.items = 400;
    run.tasks = vec!["arithmetic", "sorting"];
    run.reply = Box::new(|subject, task, item| match (subject, task, item) {
        (_, _, i) if i % 8 == 7 => Reply::Wrong,
        ("q4", "sorting", i) if i < 40 => Reply::Wrong,
        _ => Reply::Right,
    });
    let decision = decided(&run);
    let warning = decision.warnings.iter().find(|w| w.code == Code::Heterogeneity).expect("they differ");
    assert!(warning.detail.contains("over 2 tasks") && warning.subject.is_some(), "{}", warning.detail);
    run.reply = Box::new(|_, _, item| if item % 8 == 7 { Reply::Wrong } else { Reply::Right });
    assert!(!decided(&run).warnings.iter().any(|w| w.code == Code::Heterogeneity));
}

/// A policy with one rule about a slice.
fn with_slice(slice: &str, gating: Option<bool>) -> Policy {
    let rule = TaskRule { task: TaskName::new("a"), slice: Some(slice.to_owned()), tolerance: None, gating };
    Policy { tasks: vec![rule], ..Policy::new(Tolerance::Margin(0.1)) }
}

#[test]
fn a_slice_gates_where_a_rule_says_so_and_is_judged_by_its_own_pairs() {
    let canary: Vec<f64> = (0..1000).map(|i| if i % 8 == 7 { 0.0 } else { 1.0 }).collect();
    // Every tenth item is German, and the variant lost half of those.
    let variant = canary.iter().enumerate().map(|(i, a)| if i % 20 == 10 { 0.0 } else { *a }).collect();
    let scores = Scores { slice: |i| Some(if i % 10 == 0 { "de" } else { "en" }), ..Scores::once(binary("a"), canary, variant) };
    let comparison = scores.comparison();
    let of = |policy: &Policy| judge_losses(&[(&comparison, &scores.card)], policy);
    let plain = of(&Policy::new(Tolerance::Margin(0.1)));
    assert_eq!(plain.iter().map(|f| f.verdict).collect::<Vec<_>>(), [Verdict::Pass]);
    let gated = of(&with_slice("de", None));
    assert_eq!(gated.iter().map(|f| (f.verdict, f.gating)).collect::<Vec<_>>(), [(Verdict::Pass, true), (Verdict::Fail, true)]);
    assert_eq!((gated[1].slice.as_deref(), loss(&gated[1]).n), (Some("de"), 100));
    let shown = of(&with_slice("de", Some(false)));
    assert_eq!((shown[1].verdict, shown[1].gating), (Verdict::Fail, false));
    let absent = of(&with_slice("fr", None));
    assert_eq!(absent.iter().map(|f| f.verdict).collect::<Vec<_>>(), [Verdict::Pass, Verdict::Invalid], "no sample is French");
    assert_eq!(of(&with_slice("fr", Some(false))).len(), 1, "it does not gate");
}

#[test]
fn a_rule_about_a_slice_that_is_not_there_is_warned_of() {
    let mut run = losing(0);
    run.policy.tasks =
        vec![TaskRule { task: TaskName::new("arithmetic"), slice: Some("evne".to_owned()), tolerance: None, gating: None }];
    let warned = |run: &Run| decided(run).warnings.iter().any(|w| w.code == Code::UnknownTask);
    assert!(warned(&run));
    run.policy.tasks[0].slice = Some("even".to_owned());
    assert!(!warned(&run));
}

/// A journal of 1000 items that stops asking the variant where its course ends.
fn stopped(stopping: Stopping) -> (Run, Vec<Event>, usize) {
    let mut run = Run::pair(1000, |canary, item| match item {
        i if i % 8 == 7 => Reply::Wrong,
        i if !canary && i % 2 == 0 => Reply::Wrong,
        _ => Reply::Right,
    });
    run.policy.stopping = stopping;
    let header = run.record().header;
    let asking = Asking { once: true, clustered: false };
    let terms = Terms::of(&header.tasks[0], &header.tasks, &run.policy, asking).expect("the task can be stopped");
    let mut course = Course::new(terms).expect("there are items");
    let step = |item: usize| if item % 8 != 7 && item.is_multiple_of(2) { Step::Loss } else { Step::Tie };
    let after = (0..1000).find_map(|item| course.take(step(item))).expect("it is plainly broken").after as usize;
    let mut events = run.events();
    let late = |event: &Event| match &event.kind {
        EventKind::UnitFinished { unit, .. } if unit.subject.as_str() == "q4" => {
            unit.sample.as_str().rsplit('-').next().and_then(|n| n.parse::<usize>().ok()).is_some_and(|item| item >= after)
        }
        _ => false,
    };
    events.retain(|event| !late(event));
    let last = events.len() - 1;
    events[last].kind = EventKind::RunFinished { scored: 1000 + after, unscored: 0 };
    let (subject, task) = (SubjectName::new("q4"), TaskName::new("arithmetic"));
    let settled = Event { kind: EventKind::TaskSettled { subject, task, after }, ..events[last] };
    events.insert(last, settled);
    (run, events, after)
}

fn decided_by(events: Vec<Event>, policy: &Policy) -> Decision {
    let record = fold(events).expect("the journal is consistent");
    decide(&record, &Comparisons::of(&record), policy)
}

#[test]
fn a_subject_that_was_asked_no_more_has_the_verdict_that_ended_it_and_says_where() {
    let (run, events, after) = stopped(Stopping::EProcess);
    let decision = decided_by(events, &run.policy);
    assert_eq!(decision.verdict, Verdict::Fail, "{}", decision.reason);
    let finding = decision.subjects[0].findings.iter().find(|f| f.rule == Rule::Loss).expect("the task is judged");
    let expected = Early { asked: after as u64, samples: 1000, by: EarlyBy::Wealth };
    assert_eq!(loss(finding).early, Some(expected));
    assert!(loss(finding).p_fail_adjusted.is_some_and(|p| p < 0.05));
    assert_eq!(loss(finding).method, Some(Method::Betting), "a usual interval does not hold where bets chose to stop");
    assert!(loss(finding).delta.is_some_and(|delta| delta.upper < -loss(finding).margin), "it agrees with the verdict");
    let codes: Vec<Code> = decision.warnings.iter().map(|w| w.code).collect();
    assert!(!codes.contains(&Code::MultiLook) && !codes.contains(&Code::Floor), "{codes:?}");
}

#[test]
fn a_stopped_run_that_another_policy_judges_is_inconclusive_and_warned_of() {
    let (run, events, after) = stopped(Stopping::EProcess);
    let policy = Policy { tolerance: Tolerance::Margin(0.49), ..run.policy };
    let decision = decided_by(events, &policy);
    assert_eq!(decision.verdict, Verdict::Inconclusive, "{}", decision.reason);
    assert!(decision.reason.contains(&format!("it was asked {after} of 1,000 items only")), "{}", decision.reason);
    assert!(decision.warnings.iter().any(|w| w.code == Code::MultiLook));
}

#[test]
fn what_was_stopped_early_says_nothing_about_a_budget_or_a_mean_of_another_policy() {
    let (run, events, after) = stopped(Stopping::EProcess);
    let rule = TaskRule { task: TaskName::new("arithmetic"), slice: None, tolerance: None, gating: Some(false) };
    let budget = |task: &str| Budget { metric: "flips.rate".to_owned(), task: Some(TaskName::new(task)), max: 0.9 };
    let policy = Policy { tasks: vec![rule], budgets: vec![budget("arithmetic")], ..run.policy.clone() };
    let decision = decided_by(events.clone(), &policy);
    let found = decision.subjects[0].findings.iter().find(|f| f.rule == Rule::Budget).expect("it is judged");
    assert_eq!((found.verdict, found.gating), (Verdict::Inconclusive, true));
    assert!(found.reason.contains(&format!("asked {after} of 1,000")), "{}", found.reason);
    let policy = Policy { overall: Some(Tolerance::Margin(0.1)), ..run.policy };
    let decision = decided_by(events, &policy);
    let found = decision.subjects[0].findings.iter().find(|f| f.rule == Rule::Overall).expect("it is judged");
    assert_eq!(found.verdict, Verdict::Inconclusive, "{}", found.reason);
}

#[test]
fn a_pass_that_the_canarys_cut_off_answers_explain_is_not_given() {
    let run = |cut: bool| {
        Run::pair(200, move |canary, item| match item {
            i if i < 16 && canary && cut => Reply::CutOff,
            i if i < 16 || i % 8 == 7 => Reply::Wrong,
            _ => Reply::Right,
        })
    };
    assert_eq!(decided(&run(false)).verdict, Verdict::Pass);
    let decision = decided(&run(true));
    assert_eq!(decision.verdict, Verdict::Inconclusive, "{}", decision.reason);
    assert!(decision.reason.contains("16 answers of the canary were cut off, 0 of the variant"), "{}", decision.reason);
    // The same on the variant's side is what the model does: it stands.
    let variants = Run::pair(200, |canary, item| match item {
        i if i < 60 && !canary => Reply::CutOff,
        i if i % 8 == 7 => Reply::Wrong,
        _ => Reply::Right,
    });
    assert_eq!(decided(&variants).verdict, Verdict::Fail);
}

#[test]
fn scores_that_are_not_numbers_are_warned_of() {
    let mut events = losing(0).events();
    for event in &mut events {
        if let EventKind::UnitFinished { unit, outcome, .. } = &mut event.kind
            && unit.sample.as_str() == "arithmetic-0003"
            && unit.subject.as_str() == "q4"
        {
            let cause = crate::domain::Cause { kind: CauseKind::NotANumber, message: "the score is NaN".to_owned() };
            **outcome = Outcome::Unscored { cause };
        }
    }
    let last = events.len() - 1;
    events[last].kind = EventKind::RunFinished { scored: 119, unscored: 1 };
    let decision = decided_by(events, &losing(0).policy);
    let warning = decision.warnings.iter().find(|w| w.code == Code::NotANumber).expect("one score is none");
    assert_eq!(warning.detail, "1 answer");
}

#[test]
fn answers_that_vary_by_themselves_more_than_between_the_subjects_ask_for_repeats() {
    let noisy =
        |turn: usize| (0..300).map(|i| if (i * 7 + turn * 5_usize).is_multiple_of(3) { 0.0 } else { 1.0 }).collect::<Vec<f64>>();
    let still = |from: usize| (0..300).map(|i| if i % 8 == 7 || i < from { 0.0 } else { 1.0 }).collect::<Vec<f64>>();
    let warned = |passes: [Vec<Vec<f64>>; 2]| {
        let scores = Scores { passes, ..Scores::once(binary("arithmetic"), still(0), still(0)) };
        let sheet = scores.sheet();
        let mut record = Run::pair(300, |_, _| Reply::Right).record();
        record.header.tasks = vec![sheet.task.clone()];
        let decision = decide(&record, &Comparisons::of_sheets(&[sheet]), &Policy::new(Tolerance::Margin(0.3)));
        decision.warnings.into_iter().find(|w| w.code == Code::Sampling)
    };
    let said = warned([vec![noisy(0), noisy(1)], vec![noisy(2), noisy(4)]]).expect("nothing else varies");
    assert!(said.detail.contains("% of the variance of the difference"), "{}", said.detail);
    assert!(warned([vec![still(0), still(0)], vec![still(40), still(41)]]).is_none());
}

#[test]
fn each_code_has_a_word_of_its_own_a_meaning_and_something_to_do() {
    let words: BTreeSet<&str> = Code::ALL.iter().map(|code| code.word()).collect();
    assert_eq!(words.len(), Code::ALL.len());
    for code in Code::ALL {
        assert!(code.word().starts_with("W_") && code.meaning().ends_with('.') && code.remedy().ends_with('.'), "{code:?}");
    }
}

#[test]
fn a_mean_over_tasks_that_fails_shows_the_teeth_of_a_control() {
    let mut run = Run::small();
    run.subjects[2].1 = Role::Control;
    run.documents = 0;
    run.policy = Policy { overall: Some(Tolerance::Margin(0.1)), ..Policy::new(Tolerance::Margin(0.1)) };
    let decision = decided(&run);
    assert_eq!(decision.subjects[1].teeth, Some(true), "{}", decision.reason);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_looser_rule_never_worsens_any_finding(
        lost in proptest::collection::vec(0_u64..40, 2..5), gained in 0_u64..10, tight in 0.02_f64..0.2, more in 0.0_f64..0.2,
        share: bool,
    ) {
        let tables: Vec<PairTable> = lost.iter().map(|&lost| table(200 - lost, lost, gained, 40)).collect();
        let tolerance = |bound: f64| if share { Tolerance::Recovery(1.0 - bound) } else { Tolerance::Margin(bound) };
        let of = |bound: f64, family: Family| {
            let policy = Policy { overall: Some(tolerance(bound)), family, ..Policy::new(tolerance(bound)) };
            judged(&tables, &policy).into_iter().map(|f| f.verdict).collect::<Vec<_>>()
        };
        for (loose, tight) in of(tight + more, Family::Holm).into_iter().zip(of(tight, Family::Holm)) {
            prop_assert!(loose <= tight);
        }
        for (corrected, alone) in of(tight, Family::Holm).into_iter().zip(of(tight, Family::None)) {
            prop_assert!(corrected <= alone && (corrected == Verdict::Pass) == (alone == Verdict::Pass));
        }
    }
}
