//! Every verdict, on hand-made journals.

mod budgets;
mod methods;
mod rules;
mod served;
mod sheets;

use proptest::prelude::*;

use super::method::{Pairs, Question, stand};
use super::{Code, Decision, Evidence, Loss, Method, decide, exit_code};
use crate::analysis::fixture::{EventKind, Reply, Run};
use crate::analysis::{Comparison, Comparisons, fold};
use crate::domain::{Budget, Digest, Measured, OnDoubt, Policy, Role, SubjectName, TaskName, TaskRule, Tolerance, Verdict};

fn decided(run: &Run) -> Decision {
    let (record, comparisons) = run.compared();
    decide(&record, &comparisons, &run.policy)
}

/// 60 items: the canary misses every eighth, the variant also the first `lost` of those it could lose.
fn losing(lost: usize) -> Run {
    Run::pair(60, move |canary, item| match item {
        i if i % 8 == 7 => Reply::Wrong,
        i if !canary && i < lost => Reply::Wrong,
        _ => Reply::Right,
    })
}

#[test]
fn a_variant_that_lost_next_to_nothing_passes_and_its_control_must_fail() {
    let decision = decided(&Run::small());
    assert_eq!(decision.verdict, Verdict::Pass, "{}", decision.reason);
    assert_eq!(decision.subjects.iter().map(|s| s.verdict).collect::<Vec<_>>(), [Verdict::Pass, Verdict::Fail]);
    assert!(decision.reason.contains("q4 may replace the canary") && decision.reason.contains("control q2 fails"));
    assert_eq!(exit_code(&decision, &Run::small().policy), 0);
}

#[test]
fn a_variant_that_lost_more_than_the_margin_fails() {
    let run = losing(25);
    let decision = decided(&run);
    assert_eq!(decision.verdict, Verdict::Fail, "{}", decision.reason);
    assert!(decision.reason.contains("loses more than the margin of 10 pp"), "{}", decision.reason);
    assert_eq!(exit_code(&decision, &run.policy), 1);
}

#[test]
fn data_that_cannot_tell_are_inconclusive_and_say_how_many_items_would() {
    let mut run = losing(4);
    let decision = decided(&run);
    assert_eq!(decision.verdict, Verdict::Inconclusive, "{}", decision.reason);
    assert!(decision.reason.contains("would tell, there are 60"), "{}", decision.reason);
    assert_eq!(exit_code(&decision, &run.policy), 3);
    assert!(!decision.reason.contains("Let through"), "{}", decision.reason);
    run.policy.inconclusive = OnDoubt::Warn;
    let decision = decided(&run);
    assert_eq!(exit_code(&decision, &run.policy), 0);
    assert!(decision.reason.contains("the policy's `inconclusive` says warn"), "{}", decision.reason);
}

#[test]
fn an_observed_drop_over_the_margin_that_is_not_sure_says_so() {
    let decision = decided(&losing(7));
    assert_eq!(decision.verdict, Verdict::Inconclusive, "{}", decision.reason);
    assert!(decision.reason.contains("at or over the margin"), "{}", decision.reason);
}

#[test]
fn below_the_design_floor_the_reason_names_the_floor() {
    let mut run = losing(0);
    run.policy.tolerance = Tolerance::Margin(0.01);
    let decision = decided(&run);
    assert_eq!(decision.verdict, Verdict::Inconclusive);
    assert!(decision.reason.contains("a pass needs at least 268"), "{}", decision.reason);
    assert!(decision.warnings.iter().any(|w| w.code == Code::Floor));
}

#[test]
fn fewer_than_ten_items_or_none_are_inconclusive_whatever_they_say() {
    for items in [0, 1, 9] {
        let mut run = Run::pair(items, |_, _| Reply::Right);
        run.policy.tolerance = Tolerance::Margin(0.9);
        let decision = decided(&run);
        assert_eq!(decision.verdict, Verdict::Inconclusive, "{items}: {}", decision.reason);
    }
}

#[test]
fn a_run_whose_answers_are_all_missing_is_invalid() {
    let run = Run::pair(60, |_, _| Reply::Missing);
    let decision = decided(&run);
    assert_eq!(decision.verdict, Verdict::Invalid);
    let sides = "60 of 60 answers of 'canary' and 60 of 60 answers of 'q4' have no score (most: engine: the engine ran out";
    assert!(decision.reason.contains(sides), "{}", decision.reason);
    let complete = &decision.subjects[0].findings[0].reason;
    assert!(complete.contains("an answer or a cause (120 without a score)"), "{complete}");
    assert!(!decision.warnings.iter().any(|w| w.code == Code::Floor), "the number of items is not what is wrong");
    assert_eq!(exit_code(&decision, &run.policy), 4);
}

#[test]
fn a_missing_answer_that_could_turn_the_verdict_makes_it_inconclusive() {
    // Whether 37 of 400 items were lost or 38 decides a margin test at the edge: found by walking up to it.
    let verdict = |lost: usize, missing: usize| {
        let run = Run::pair(400, move |canary, item| match item {
            i if i % 8 == 7 => Reply::Wrong,
            i if !canary && i < lost => Reply::Wrong,
            i if !canary && i >= 400 - missing => Reply::Missing,
            _ => Reply::Right,
        });
        let decision = decided(&run);
        (decision.verdict, decision.reason)
    };
    let edge = (0..60).rev().find(|&lost| verdict(lost, 0).0 == Verdict::Pass).expect("few losses pass");
    assert_eq!(verdict(edge - 10, 1).0, Verdict::Pass, "one missing answer cannot turn a clear pass");
    let (at_edge, reason) = verdict(edge, 2);
    assert_eq!(at_edge, Verdict::Inconclusive);
    assert!(reason.contains("could turn the verdict"), "{reason}");
}

#[test]
fn more_than_one_per_cent_missing_is_invalid() {
    let run = Run::pair(60, |canary, item| if !canary && item == 1 { Reply::Missing } else { Reply::Right });
    let decision = decided(&run);
    assert_eq!(decision.verdict, Verdict::Invalid, "{}", decision.reason);
    let expected = "1 of 60 answers of 'q4' has no score (engine: the engine ran out of memory), too many for a verdict";
    assert!(decision.reason.contains(expected), "{}", decision.reason);
}

#[test]
fn a_canary_that_only_guesses_makes_its_task_invalid() {
    let mut run = Run::pair(60, |_, item| if item % 2 == 0 { Reply::Right } else { Reply::Wrong });
    run.tasks = vec!["capitals"];
    let decision = decided(&run);
    assert_eq!(decision.verdict, Verdict::Invalid);
    assert!(decision.reason.contains("the canary cannot do this task"), "{}", decision.reason);
}

#[test]
fn a_control_that_does_not_fail_makes_the_run_invalid() {
    let mut run = Run::small();
    run.reply = Box::new(|_, _, item| if item % 8 == 7 { Reply::Wrong } else { Reply::Right });
    run.policy.budgets = Vec::new();
    let decision = decided(&run);
    assert_eq!(decision.verdict, Verdict::Invalid);
    assert!(decision.reason.contains("no teeth"), "{}", decision.reason);
}

#[test]
fn a_control_that_breaks_a_budget_only_has_not_shown_the_tasks_teeth() {
    let mut run = Run::small();
    run.reply = Box::new(|_, _, item| if item % 8 == 7 { Reply::Wrong } else { Reply::Right });
    let decision = decided(&run);
    assert_eq!(decision.subjects[1].verdict, Verdict::Fail, "the budget is broken");
    assert_eq!(decision.verdict, Verdict::Invalid);
    assert!(decision.reason.contains("fails no task"), "{}", decision.reason);
}

#[test]
fn a_run_with_controls_only_is_invalid() {
    let mut run = Run::small();
    run.subjects.remove(1);
    let decision = decided(&run);
    assert_eq!(decision.verdict, Verdict::Invalid);
    assert!(decision.reason.contains("no candidate"), "{}", decision.reason);
}

#[test]
fn another_template_or_vocabulary_is_invalid() {
    for template in [true, false] {
        let mut events = Run::small().events();
        for event in &mut events {
            if let EventKind::SubjectReady { subject, identity, .. } = &mut event.kind
                && subject.as_str() == "q4"
            {
                let digest = if template { &mut identity.template } else { &mut identity.vocabulary };
                *digest = Digest::new("blake3:another");
            }
        }
        let record = fold(events).expect("the journal is consistent");
        let decision = decide(&record, &Comparisons::of(&record), &Run::small().policy);
        assert_eq!(decision.verdict, Verdict::Invalid);
        let word = if template { "chat template" } else { "vocabulary" };
        assert!(decision.reason.contains(word), "{}", decision.reason);
    }
}

#[test]
fn an_invalid_that_is_only_warned_of_does_not_let_a_failure_through() {
    let mut run = losing(30);
    run.policy.invalid = OnDoubt::Warn;
    run.policy.budgets = vec![Budget { metric: "kld.mean".to_owned(), task: None, max: 0.1 }];
    let code = |run: &Run| {
        let decision = decided(run);
        assert_eq!(decision.verdict, Verdict::Invalid, "no task measures it: {}", decision.reason);
        (exit_code(&decision, &run.policy), decision.reason.contains("Let through"))
    };
    assert_eq!(code(&run), (4, false), "the task fails");
    run.reply = losing(0).reply;
    assert_eq!(code(&run), (0, true), "nothing else is wrong");
}

#[test]
fn an_unfinished_run_is_invalid_and_says_how_to_go_on() {
    let mut events = Run::small().events();
    events.truncate(150);
    let record = fold(events).expect("a prefix is consistent");
    let decision = decide(&record, &Comparisons::of(&record), &Run::small().policy);
    assert_eq!(decision.verdict, Verdict::Invalid);
    assert!(decision.reason.contains("--resume"), "{}", decision.reason);
}

#[test]
fn a_budget_is_kept_broken_or_cannot_be_measured() {
    let of = |metric: &str, max: f64| {
        let mut run = Run::small();
        run.documents = 300;
        run.policy.budgets = vec![Budget { metric: metric.to_owned(), task: None, max }];
        decided(&run).subjects[0].verdict
    };
    assert_eq!(of("kld.mean", 0.05), Verdict::Pass);
    assert_eq!(of("kld.mean", 0.0001), Verdict::Fail);
    assert_eq!(of("kld.p99", 0.5), Verdict::Pass);
    assert_eq!(of("kld.p99", 0.0001), Verdict::Fail);
    assert_eq!(of("perplexity.ratio", 1.5), Verdict::Pass);
    assert_eq!(of("same_top.loss", 1.0), Verdict::Pass);
    assert_eq!(of("kld.maen", 0.05), Verdict::Invalid);
}

#[test]
fn a_task_that_does_not_gate_cannot_fail_a_variant() {
    let mut run = losing(30);
    run.tasks = vec!["arithmetic", "sorting"];
    run.reply = Box::new(|subject, task, item| {
        let bad = subject == "q4" && task == "sorting" && item < 40;
        if bad || item % 8 == 7 { Reply::Wrong } else { Reply::Right }
    });
    assert_eq!(decided(&run).verdict, Verdict::Fail);
    run.policy.tasks = vec![TaskRule { task: TaskName::new("sorting"), slice: None, tolerance: None, gating: Some(false) }];
    let decision = decided(&run);
    assert_eq!(decision.verdict, Verdict::Pass, "{}", decision.reason);
    let sorting = decision.subjects[0].findings.iter().find(|f| f.task.as_ref().is_some_and(|t| t.as_str() == "sorting"));
    assert_eq!(sorting.map(|f| (f.verdict, f.gating)), Some((Verdict::Fail, false)));
}

#[test]
fn nothing_that_gates_is_invalid_rather_than_a_pass() {
    let mut run = losing(0);
    run.policy.tasks = vec![TaskRule { task: TaskName::new("arithmetic"), slice: None, tolerance: None, gating: Some(false) }];
    assert_eq!(decided(&run).verdict, Verdict::Invalid);
}

#[test]
fn answers_cut_off_on_one_side_are_warned_of() {
    let run = Run::pair(200, |canary, item| match item {
        i if i % 8 == 7 => Reply::Wrong,
        i if !canary && i < 9 => Reply::CutOff,
        _ => Reply::Right,
    });
    let codes: Vec<Code> = decided(&run).warnings.iter().map(|w| w.code).collect();
    assert!(codes.contains(&Code::Truncation) && codes.contains(&Code::Parse), "{codes:?}");
    assert!(codes.contains(&Code::NoAa));
}

#[test]
fn items_that_share_a_source_count_for_less() {
    let reply = |canary: bool, item: usize| match item / 4 {
        i if i % 8 == 7 => Reply::Wrong,
        i if !canary && i % 16 == 3 => Reply::Wrong,
        _ => Reply::Right,
    };
    let width = |cluster: fn(usize) -> Option<String>| {
        let mut run = Run::pair(400, reply);
        run.cluster = cluster;
        let decision = decided(&run);
        let margin = decision.subjects[0].findings.iter().find_map(|f| f.evidence.clone());
        match margin {
            Some(Evidence::Loss(Loss { delta: Some(delta), .. })) => (delta.upper - delta.lower, decision),
            other => panic!("a margin test has an interval, not {other:?}"),
        }
    };
    let (alone, _) = width(|item| Some(item.to_string()));
    let (shared, decision) = width(|item| Some((item / 4).to_string()));
    assert!(shared > 1.5 * alone, "four copies of an item are little more than one: {alone} and {shared}");
    assert!(!decision.warnings.iter().any(|w| w.code == Code::FewClusters));
    let (_, decision) = width(|item| Some((item / 50).to_string()));
    assert_eq!(decision.verdict, Verdict::Inconclusive, "{}", decision.reason);
    assert!(decision.reason.contains("8 sources only"), "{}", decision.reason);
}

#[test]
fn a_margin_that_cannot_be_tested_is_invalid() {
    for margin in [0.0, -0.1, 1.0, f64::NAN] {
        let mut run = losing(0);
        run.policy.tolerance = Tolerance::Margin(margin);
        assert_eq!(decided(&run).verdict, Verdict::Invalid, "{margin}");
    }
}

#[test]
fn only_candidates_can_pass_and_the_worst_decides() {
    let mut run = Run::small();
    run.subjects.insert(2, ("q3", Role::Variant));
    run.reply = Box::new(|subject, _, item| match (subject, item) {
        (_, i) if i % 8 == 7 => Reply::Wrong,
        ("q2" | "q3", i) if i % 2 == 0 => Reply::Wrong,
        _ => Reply::Right,
    });
    run.policy.budgets = Vec::new();
    let decision = decided(&run);
    assert_eq!(decision.verdict, Verdict::Fail);
    assert!(decision.reason.starts_with("q3 fails") && decision.reason.contains("q4 would PASS"), "{}", decision.reason);
}

#[test]
fn among_variants_of_one_verdict_the_one_that_lost_most_is_named_first() {
    let mut run = Run::small();
    run.subjects.insert(2, ("q3", Role::Variant));
    run.policy.budgets = Vec::new();
    run.reply = Box::new(|subject, _, item| match (subject, item) {
        (_, i) if i % 8 == 7 => Reply::Wrong,
        ("q4", i) if i < 25 => Reply::Wrong,
        ("q2" | "q3", i) if i % 2 == 0 => Reply::Wrong,
        _ => Reply::Right,
    });
    let decision = decided(&run);
    assert!(decision.reason.starts_with("q3 and q4 fail. q3: on arithmetic"), "{}", decision.reason);
}

#[test]
fn a_rough_number_has_two_digits_that_mean_something() {
    let rough = super::wording::rough;
    assert_eq!([rough(0), rough(7), rough(64), rough(302_141), rough(995)], [0, 7, 64, 300_000, 1000]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_looser_margin_never_worsens_a_verdict(
        lost in 0_usize..40, gained in 0_usize..20, missing in 0_usize..3, tight in 0.01_f64..0.3, more in 0.0_f64..0.4,
    ) {
        let mut run = Run::pair(300, move |canary, item| match item {
            i if i < lost => if canary { Reply::Right } else { Reply::Wrong },
            i if i < lost + gained => if canary { Reply::Wrong } else { Reply::Right },
            i if i >= 300 - missing && !canary => Reply::Missing,
            i if i % 6 == 5 => Reply::Wrong,
            _ => Reply::Right,
        });
        let (record, comparisons) = run.compared();
        let mut verdict = |margin: f64| {
            run.policy = Policy { tolerance: Tolerance::Margin(margin), ..run.policy.clone() };
            decide(&record, &comparisons, &run.policy).verdict
        };
        prop_assert!(verdict(tight + more) <= verdict(tight));
    }

    #[test]
    fn one_more_loss_never_betters_a_verdict(lost in 0_usize..60, margin in 0.02_f64..0.2) {
        let verdict = |lost: usize| {
            let mut run = losing(lost);
            run.policy.tolerance = Tolerance::Margin(margin);
            decided(&run).verdict
        };
        prop_assert!(verdict(lost + 1) >= verdict(lost));
    }
}

/// The first finding's margin test: (verdict, interval, floor).
fn margin_test(run: &Run) -> (Verdict, crate::stats::Interval, u64) {
    let decision = decided(run);
    let finding = decision.subjects[0].findings.iter().find(|f| f.rule == super::Rule::Loss).expect("the task is judged");
    match finding.evidence {
        Some(Evidence::Loss(Loss { delta: Some(delta), floor, .. })) => (finding.verdict, delta, floor),
        ref other => panic!("a margin test has an interval, not {other:?}"),
    }
}

/// Items in fours that share a source; the canary misses every eighth source, the variant also the given items.
fn fours(items: usize, lost: impl Fn(usize) -> bool + 'static) -> Run {
    let mut run = Run::pair(items, move |canary, item| match item {
        i if i / 4 % 8 == 7 => Reply::Wrong,
        i if !canary && lost(i) => Reply::Wrong,
        _ => Reply::Right,
    });
    run.cluster = |item| Some((item / 4).to_string());
    run
}

#[test]
fn fewer_than_fifty_items_are_judged_by_the_exact_interval_and_its_floor() {
    // By the score 25 items without a flip would exclude a loss of 10 points; exactly, 29 do.
    let verdict = |items: usize| margin_test(&Run::pair(items, |_, i| if i % 8 == 7 { Reply::Wrong } else { Reply::Right }));
    let (at_26, delta, floor) = verdict(26);
    assert_eq!((at_26, floor), (Verdict::Inconclusive, 29));
    assert!((delta.lower - (0.05_f64.powf(1.0 / 26.0) - 1.0)).abs() < 1e-9, "{delta:?}");
    assert_eq!((verdict(28).0, verdict(29).0), (Verdict::Inconclusive, Verdict::Pass));
    assert_eq!(verdict(49).0, Verdict::Pass);
}

#[test]
fn a_floor_is_the_score_intervals_where_the_exact_one_never_decides_at_it() {
    let mut run = Run::pair(26, |_, i| if i % 8 == 7 { Reply::Wrong } else { Reply::Right });
    run.policy.tolerance = Tolerance::Margin(0.058);
    assert_eq!(margin_test(&run).2, 50, "44 by the score and 51 exactly: from 50 on the score decides");
    run.policy.tolerance = Tolerance::Margin(0.02);
    assert_eq!(margin_test(&run).2, 133);
}

#[test]
fn few_flips_in_shared_sources_are_judged_by_t_as_many_are() {
    // 12 sources of four items: t with 11 degrees of freedom is 1.796 where z is 1.645.
    let (_, delta, floor) = margin_test(&fours(48, |_| false));
    let (t, deff) = (1.795_884_818_704_042_f64, 1.3);
    let effective = 48.0 / deff;
    assert!((delta.upper - t * t / (effective + t * t)).abs() < 1e-9, "{delta:?}");
    assert_eq!(floor, (deff * t * t * 9.0).floor() as u64 + 1);
}

#[test]
fn the_twentieth_flip_does_not_narrow_the_interval() {
    // Flips that share no source look less alike than their sources are: taken at their word, the twentieth made it narrower.
    let width = |lost: usize| {
        let (_, delta, _) = margin_test(&fours(400, move |i| i % 4 == 0 && i / 32 * 7 + i / 4 % 8 < lost));
        delta.upper - delta.lower
    };
    assert!(width(20) > width(19), "{} and {}", width(19), width(20));
}

#[test]
fn missing_answers_are_bounded_by_the_method_that_decides() {
    let verdict = |cluster: fn(usize) -> Option<String>, lost: usize, missing: usize| {
        let mut run = Run::pair(400, move |canary, item| match item {
            i if i / 4 % 8 == 7 => Reply::Wrong,
            i if !canary && i < lost => Reply::Wrong,
            i if !canary && i >= 396 - missing && i < 396 => Reply::Missing,
            _ => Reply::Right,
        });
        run.cluster = cluster;
        let decision = decided(&run);
        (decision.verdict, decision.reason)
    };
    let shared: fn(usize) -> Option<String> = |item| Some((item / 4).to_string());
    let edge = (0..28).rev().find(|&lost| verdict(shared, lost, 0).0 == Verdict::Pass).expect("few losses pass");
    let (at_edge, reason) = verdict(shared, edge, 4);
    assert_eq!(at_edge, Verdict::Inconclusive);
    assert!(reason.contains("could turn the verdict"), "{reason}");
    assert_eq!(verdict(|_| None, edge, 4).0, Verdict::Pass, "as independent items they are far from the edge");
    // Below fifty items the exact interval bounds too: one loss more among 50 is within nine points by the score only.
    let missing = crate::analysis::Missing { canary_right_variant_missing: 1, ..Default::default() };
    let table = crate::stats::PairTable { n11: 44, n10: 0, n01: 0, n00: 5 };
    let mut comparison = Comparison::of_table(SubjectName::new("q4"), TaskName::new("arithmetic"), table);
    comparison.missing = missing;
    let card = Run::pair(50, |_, _| Reply::Right).record().header.tasks.remove(0);
    let question = Question { tolerance: Tolerance::Margin(0.09), alpha: 0.05, strict: false };
    let worst = Pairs::of(&comparison, &card).filled(false).expect("counts can always be filled in");
    let robust = |method| stand(method, &worst, &question).expect("there are pairs").verdict();
    assert_eq!((robust(Method::Tango), robust(Method::FayLumbard)), (Verdict::Pass, Verdict::Inconclusive));
}

/// The first subject's answer to a budget, on some documents and at some level.
fn budgeted(documents: usize, (metric, max): (&str, f64), alpha: f64) -> (Verdict, String) {
    let mut run = Run::small();
    (run.documents, run.policy.alpha) = (documents, alpha);
    run.policy.budgets = vec![Budget { metric: metric.to_owned(), task: None, max }];
    let decision = decided(&run);
    let finding = decision.subjects[0].findings.iter().find(|f| f.rule == super::Rule::Budget).expect("the budget is judged");
    (finding.verdict, finding.reason.clone())
}

/// The metrics that documents are needed for.
fn of_documents() -> impl Iterator<Item = &'static str> {
    Budget::METRICS.into_iter().filter(|(_, on)| *on == Measured::Documents).map(|(name, _)| name)
}

#[test]
fn no_budget_is_kept_on_fewer_than_thirty_documents_but_it_can_be_broken() {
    for metric in of_documents() {
        let (verdict, reason) = budgeted(2, (metric, 100.0), 0.05);
        assert_eq!(verdict, Verdict::Inconclusive, "{reason}");
        assert!(reason.contains("2 documents cannot show"), "{reason}");
        assert_eq!(budgeted(29, (metric, 100.0), 0.05).0, Verdict::Inconclusive);
    }
    assert_eq!(budgeted(29, ("kld.mean", 0.0001), 0.05).0, Verdict::Fail);
    assert_eq!(budgeted(2, ("kld.p99", 1e-9), 0.05).0, Verdict::Fail);
    assert_eq!(budgeted(30, ("kld.mean", 0.05), 0.05).0, Verdict::Pass);
}

#[test]
fn a_quantile_that_no_token_exceeds_needs_the_documents_of_the_exact_limit() {
    let (verdict, reason) = budgeted(298, ("kld.p99", 100.0), 0.05);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(reason.contains("at least 299 are needed"), "{reason}");
    assert_eq!(budgeted(299, ("kld.p99", 100.0), 0.05).0, Verdict::Pass);
    assert_eq!(budgeted(299, ("kld.p99", 100.0), 0.01).0, Verdict::Inconclusive, "a stricter level needs more");
    assert_eq!(budgeted(30, ("kld.p90", 100.0), 0.05).0, Verdict::Pass);
}

#[test]
fn no_lost_top_token_is_bounded_by_the_documents_that_were_seen() {
    // A negative shift of the fixture's documents moves no top token.
    let agreeing = |documents: usize, max: f64| {
        let mut run = Run::small();
        run.documents = documents;
        run.shift = |subject| if subject == "q2" { 0.9 } else { -0.01 };
        run.policy.budgets = vec![Budget { metric: "same_top.loss".to_owned(), task: None, max }];
        decided(&run).subjects[0].findings.last().map(|f| (f.verdict, f.reason.clone())).expect("the budget is judged")
    };
    let (verdict, reason) = agreeing(40, 0.05);
    assert_eq!(verdict, Verdict::Inconclusive, "{reason}");
    assert!(reason.starts_with("same_top.loss is 0.0000") && reason.contains("at least 59 are needed"), "{reason}");
    assert_eq!(agreeing(59, 0.05).0, Verdict::Pass);
}

#[test]
fn a_budget_is_decided_at_the_level_of_the_policy() {
    let (_, strict) = budgeted(40, ("kld.mean", 0.05), 0.005);
    assert!(strict.contains("(99 % interval"), "{strict}");
    let value = |reason: &str| reason.split(" to ").nth(1).and_then(|r| r.split(')').next()?.parse::<f64>().ok());
    let (_, loose) = budgeted(40, ("kld.mean", 0.05), 0.2);
    assert!(loose.contains("(60 % interval") && value(&strict) >= value(&loose), "{strict} {loose}");
    let of = |alpha: f64| budgeted(40, ("kld.mean", 0.05), alpha).0;
    assert_eq!((of(0.0), of(0.5), of(f64::NAN)), (Verdict::Invalid, Verdict::Invalid, Verdict::Invalid));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_looser_budget_never_worsens_a_verdict(
        documents in 25_usize..70, tight in 1e-5_f64..0.01, more in 0.0_f64..0.02, metric in 0..8_usize,
    ) {
        let metric = of_documents().nth(metric).expect("eight metrics are of documents");
        let verdict = |max: f64| budgeted(documents, (metric, max), 0.05).0;
        prop_assert!(verdict(tight + more) <= verdict(tight));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn verdicts_by_the_exact_interval_are_ordered_too(
        items in 10_usize..50, lost in 0_usize..30, gained in 0_usize..6, tight in 0.05_f64..0.4, more in 0.0_f64..0.3,
    ) {
        let verdict = |lost: usize, margin: f64| {
            let mut run = Run::pair(items, move |canary, item| match item {
                i if i < lost => if canary { Reply::Right } else { Reply::Wrong },
                i if i >= items - gained => if canary { Reply::Wrong } else { Reply::Right },
                _ => Reply::Right,
            });
            run.policy.tolerance = Tolerance::Margin(margin);
            decided(&run).verdict
        };
        let lost = lost.min(items - gained.min(items - 1) - 1);
        prop_assert!(verdict(lost, tight + more) <= verdict(lost, tight), "a looser margin");
        prop_assert!(verdict((lost + 1).min(items - gained), tight) >= verdict(lost, tight), "one more loss");
    }
}
