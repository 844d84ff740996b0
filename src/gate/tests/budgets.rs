//! Budgets of items and documents.

use proptest::prelude::*;

use super::decided;
use super::sheets::{Scores, binary};
use crate::analysis::fixture::{Reply, Run};
use crate::analysis::{Comparisons, Sheet};
use crate::domain::{Budget, Policy, TaskName, TaskRule, Tolerance, Verdict};
use crate::gate::{Finding, Rule, decide};

fn budget(metric: &str, max: f64) -> Vec<Budget> {
    vec![Budget { metric: metric.to_owned(), task: None, max }]
}

/// The finding about the only budget.
fn found(run: &Run) -> Finding {
    decided(run).subjects[0].findings.iter().find(|f| f.rule == Rule::Budget).expect("the budget is judged").clone()
}

/// 60 items of which the canary misses every eighth; the variant changes its mind on some.
fn changing(lost: usize, gained: usize, metric: &str, max: f64) -> Run {
    let mut run = Run::pair(60, move |canary, item| match item {
        i if i % 8 == 7 => {
            if !canary && i / 8 < gained {
                Reply::Right
            } else {
                Reply::Wrong
            }
        }
        i if !canary && i < lost => Reply::Wrong,
        _ => Reply::Right,
    });
    run.policy.budgets = budget(metric, max);
    run
}

#[test]
fn no_flip_at_all_is_bounded_by_the_items_that_were_seen() {
    // 1 − 0.05^(1/60) is 0.0487, and 0.96⁷⁴ is below 0.05.
    let of = |max: f64| found(&changing(0, 0, "flips.rate", max));
    assert_eq!(of(0.05).verdict, Verdict::Pass, "{}", of(0.05).reason);
    let open = of(0.04);
    assert_eq!(open.verdict, Verdict::Inconclusive);
    assert!(open.reason.contains("0.0000 to 0.0487") && open.reason.contains("at least 74 are needed"), "{}", open.reason);
    assert_eq!(of(0.0).verdict, Verdict::Inconclusive);
}

#[test]
fn many_flips_break_their_budget_whichever_way_they_go() {
    let finding = found(&changing(6, 7, "flips.rate", 0.05));
    assert_eq!(finding.verdict, Verdict::Fail, "{}", finding.reason);
    assert!(finding.reason.contains("flips.rate is 0.2") && finding.reason.contains("over its budget of 0.05"));
}

#[test]
fn an_error_ratio_without_a_flip_is_bounded_by_the_number_of_errors() {
    // With e errors each and no flip the score puts the upper limit at 1 + z²/e: of 10 errors at 1.2706.
    let of = |max: f64| {
        let mut run = Run::pair(80, |_, item| if item % 8 == 7 { Reply::Wrong } else { Reply::Right });
        run.policy.budgets = budget("error.ratio", max);
        found(&run)
    };
    assert_eq!(of(1.28).verdict, Verdict::Pass, "{}", of(1.28).reason);
    let open = of(1.26);
    assert_eq!(open.verdict, Verdict::Inconclusive);
    assert!(open.reason.contains("to 1.2706"), "{}", open.reason);
}

#[test]
fn one_error_of_the_canary_is_too_little_to_bound_a_ratio_by() {
    // The score would put the upper limit of 0/1 at z² = 2.7; one of two halves of a coin does not show it.
    let mut run = Run::pair(60, |canary, item| if canary && item == 7 { Reply::Wrong } else { Reply::Right });
    run.policy.budgets = budget("error.ratio", 3.0);
    assert_eq!(found(&run).verdict, Verdict::Inconclusive, "{}", found(&run).reason);
}

#[test]
fn twice_the_errors_break_an_error_budget_and_none_at_all_tell_nothing() {
    let mut run = Run::pair(400, |canary, item| match item % 8 {
        7 => Reply::Wrong,
        3 if !canary => Reply::Wrong,
        _ => Reply::Right,
    });
    run.policy.budgets = budget("error.ratio", 1.2);
    assert_eq!(found(&run).verdict, Verdict::Fail, "{}", found(&run).reason);
    let mut perfect = Run::pair(400, |_, _| Reply::Right);
    perfect.policy.budgets = budget("error.ratio", 1.2);
    assert_eq!(found(&perfect).verdict, Verdict::Inconclusive);
    assert!(found(&perfect).reason.contains("neither subject made an error"), "{}", found(&perfect).reason);
    // A canary without errors has a ratio without end.
    let mut worse = Run::pair(400, |canary, item| if !canary && item < 40 { Reply::Wrong } else { Reply::Right });
    worse.policy.budgets = budget("error.ratio", 1.2);
    assert_eq!(found(&worse).verdict, Verdict::Fail, "{}", found(&worse).reason);
}

#[test]
fn a_missing_answer_that_could_break_a_budget_keeps_it_open() {
    let of = |missing: bool, max: f64| {
        let mut run = Run::pair(300, move |canary, item| match item {
            5 if missing && !canary => Reply::Missing,
            i if i % 8 == 7 => Reply::Wrong,
            i if !canary && i < 8 => Reply::Wrong,
            _ => Reply::Right,
        });
        run.policy.budgets = budget("flips.rate", max);
        found(&run)
    };
    let upper = crate::stats::clopper_pearson(7, 300, 0.9).upper + 1e-4;
    assert_eq!(of(false, upper).verdict, Verdict::Pass, "{}", of(false, upper).reason);
    let lost = of(true, crate::stats::clopper_pearson(6, 299, 0.9).upper + 1e-4);
    assert_eq!(lost.verdict, Verdict::Inconclusive, "{}", lost.reason);
    assert!(lost.reason.contains("1 without a score could turn that"), "{}", lost.reason);
    assert_eq!(of(true, 0.2).verdict, Verdict::Pass);
}

#[test]
fn an_excess_needs_a_canary_that_was_asked_twice() {
    let finding = found(&changing(0, 0, "flips.excess", 0.2));
    assert_eq!(finding.verdict, Verdict::Invalid);
    assert!(finding.reason.contains("set `repeats = 2` for the canary"), "{}", finding.reason);
}

/// What a policy says of a sheet, by a record that goes with it.
fn of_sheet(sheet: Sheet, budgets: Vec<Budget>) -> Finding {
    let mut record = Run::pair(sheet.ids.len(), |_, _| Reply::Right).record();
    record.header.tasks = vec![sheet.task.clone()];
    let policy = Policy { budgets, ..Policy::new(Tolerance::Margin(0.3)) };
    let decision = decide(&record, &Comparisons::of_sheets(&[sheet]), &policy);
    decision.subjects[0].findings.iter().find(|f| f.rule == Rule::Budget).expect("the budget is judged").clone()
}

#[test]
fn an_excess_without_any_difference_is_bounded_by_the_items_that_were_seen() {
    let column = || (0..100).map(|i| if i % 8 == 7 { 0.0 } else { 1.0 }).collect::<Vec<f64>>();
    let other = || (0..100).map(|i| if i % 2 == 0 { 0.0 } else { 1.0 }).collect::<Vec<f64>>();
    let of = |passes: [Vec<Vec<f64>>; 2], max: f64| {
        let scores = Scores { passes, ..Scores::once(binary("arithmetic"), column(), column()) };
        of_sheet(scores.sheet(), budget("flips.excess", max))
    };
    // Twice 1 − 0.05^(1/100).
    let same = || [vec![column(), column()], vec![column(), column()]];
    assert_eq!((of(same(), 0.06).verdict, of(same(), 0.059).verdict), (Verdict::Pass, Verdict::Inconclusive));
    let apart = of([vec![column(), column()], vec![other(), other()]], 0.1);
    assert_eq!(apart.verdict, Verdict::Fail, "{}", apart.reason);
    let once = of([vec![column(), column()], vec![column()]], 0.1);
    assert!(once.verdict == Verdict::Inconclusive && once.reason.contains("by one pass of the variant"), "{}", once.reason);
    let broken = of([vec![column(), column()], vec![other()]], 0.1);
    assert_eq!(broken.verdict, Verdict::Fail, "{}", broken.reason);
}

#[test]
fn a_budget_without_a_task_gates_where_the_task_does() {
    let mut run = changing(6, 7, "flips.rate", 0.05);
    run.policy.tasks = vec![TaskRule { task: TaskName::new("arithmetic"), slice: None, tolerance: None, gating: Some(false) }];
    assert!(!found(&run).gating);
    run.policy.budgets[0].task = Some(TaskName::new("arithmetic"));
    assert!(found(&run).gating);
}

#[test]
fn documents_that_do_not_differ_from_each_other_are_no_free_pass() {
    let of = |shift: fn(&str) -> f64, strict: bool| {
        let mut run = Run::small();
        (run.documents, run.shift, run.policy.strict) = (40, shift, strict);
        found(&run)
    };
    let still = of(|subject| if subject == "q2" { 0.9 } else { 0.0 }, false);
    assert_eq!(still.verdict, Verdict::Inconclusive, "{}", still.reason);
    assert!(still.reason.contains("of 40 documents none differs from the others"), "{}", still.reason);
    let varied = of(|subject| if subject == "q2" { 0.9 } else { 0.01 }, false);
    assert_eq!(varied.verdict, Verdict::Pass, "{}", varied.reason);
    let strict = of(|subject| if subject == "q2" { 0.9 } else { 0.01 }, true);
    assert_eq!(strict.verdict, Verdict::Pass, "{}", strict.reason);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_larger_budget_of_items_never_worsens_a_verdict(
        lost in 0_usize..30, gained in 0_usize..7, tight in 0.0_f64..0.5, more in 0.0_f64..0.5, rate: bool,
    ) {
        let of = |max: f64| {
            let (metric, max) = if rate { ("flips.rate", max) } else { ("error.ratio", 0.5 + 4.0 * max) };
            found(&changing(lost, gained, metric, max)).verdict
        };
        prop_assert!(of(tight + more) <= of(tight));
    }
}
