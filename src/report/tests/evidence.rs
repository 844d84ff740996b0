//! What is shown of evidence beyond one pass over right-or-wrong items: snapshots of the terminal's text, and the page.

use super::{check, page};
use crate::analysis::fixture::{Event, EventKind, Reply, Run};
use crate::analysis::{Comparisons, Record, fold};
use crate::domain::{
    Attempt, Budget, Digest, MetricKind, Outcome, Policy, Role, Stopping, SubjectName, TaskName, TaskRule, Tolerance, Verdict,
};
use crate::gate::{Decision, Early, EarlyBy, Evidence, Finding, Loss, Method, Rule, Spent, decide};
use crate::report::{Facts, Judged, Report, Texts, csv, json, junit, markdown, text, write_all};
use crate::stats::Interval;

/// The run on 400 items of two tasks: `q4` loses one item in fifty and gains one in a hundred, the control every second.
fn run() -> Run {
    let mut run = Run::small();
    run.items = 400;
    run.policy.tolerance = Tolerance::Margin(0.05);
    run.reply = Box::new(|subject, task, item| match (subject, task, item) {
        (_, _, i) if i % 8 == 7 => {
            if subject == "q4" && i % 200 == 7 {
                Reply::Right
            } else {
                Reply::Wrong
            }
        }
        ("q4", "arithmetic", i) if i % 50 == 3 => Reply::Wrong,
        ("q2", _, i) if i % 2 == 0 => Reply::Wrong,
        _ => Reply::Right,
    });
    run
}

/// A judged record, and its report after the decision was changed by hand.
fn reported(record: &Record, policy: &Policy, change: impl Fn(&mut Decision)) -> Report {
    let comparisons = Comparisons::of(record);
    let mut decision = decide(record, &comparisons, policy);
    change(&mut decision);
    Report::new(record, &comparisons, &decision, policy)
}

/// Writes a report where it can be looked at, and reads its page.
fn shown(report: &Report, name: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp").join(name);
    write_all(report, &folder).expect("the report can be written");
    let page = page(report);
    assert!(!page.contains("NaN") && !page.contains("<script"), "{name}");
    page
}

/// Changes the losses of a variant's or control's task.
fn on_loss(decision: &mut Decision, subject: &str, task: &str, change: impl Fn(&mut Finding, &mut Loss)) {
    let own = decision.subjects.iter_mut().find(|s| s.subject.as_str() == subject).expect("the subject is judged");
    for finding in own.findings.iter_mut().filter(|f| f.task.as_ref().is_some_and(|t| t.as_str() == task)) {
        if let Some(Evidence::Loss(mut loss)) = finding.evidence.take() {
            change(finding, &mut loss);
            finding.evidence = Some(Evidence::Loss(loss));
        }
    }
}

fn interval(estimate: f64, lower: f64, upper: f64) -> Interval {
    Interval { estimate, lower, upper }
}

/// Changes every score of a task and the card that says what scores are.
fn graded(events: &mut [Event], task: &str, range: Option<(f64, f64)>, score: impl Fn(f64, usize) -> f64) {
    let mut item = 0;
    for event in events {
        match &mut event.kind {
            EventKind::RunStarted(header) => {
                let card = header.tasks.iter_mut().find(|card| card.name.as_str() == task).expect("the task is there");
                (card.metric, card.range) = (MetricKind::Mean, range);
            }
            EventKind::UnitFinished { unit, outcome, .. } if unit.task.as_str() == task => {
                if let Outcome::Scored { score: own, .. } = outcome.as_mut() {
                    own.value = score(own.value, item);
                }
                item += 1;
            }
            _ => {}
        }
    }
}

/// Adds a second pass of every subject, in which every `every`-th item of the canary flips.
fn repeated(events: Vec<Event>, every: usize) -> Vec<Event> {
    let (mut all, mut again, mut item) = (Vec::new(), 0, 0);
    for mut event in events {
        if let EventKind::RunStarted(header) = &mut event.kind {
            header.subjects.iter_mut().for_each(|subject| subject.repeats = 2);
        }
        if let EventKind::RunFinished { scored, .. } = &mut event.kind {
            *scored += again;
        }
        let second = match &event.kind {
            EventKind::UnitFinished { unit, .. } if unit.task.as_str() != "prose" => Some(event.clone()),
            _ => None,
        };
        all.push(event);
        if let Some(mut second) = second {
            again += 1;
            if let EventKind::UnitFinished { unit, outcome, .. } = &mut second.kind {
                unit.repeat = 1;
                item += usize::from(unit.subject.as_str() == "canary");
                if let (Outcome::Scored { score, .. }, true) =
                    (outcome.as_mut(), unit.subject.as_str() == "canary" && item % every == 0)
                {
                    (score.value, score.read) = (1.0 - score.value, "another".to_owned());
                }
            }
            all.push(second);
        }
    }
    all
}

#[test]
fn a_recovery_shows_the_ratio_that_decided() {
    let mut policy = run().policy;
    policy.tolerance = Tolerance::Recovery(0.95);
    let report = reported(&run().record(), &policy, |decision| {
        for (subject, task, ratio) in [
            ("q4", "arithmetic", interval(0.983, 0.964, 1.001)),
            ("q4", "capitals", interval(1.006, 0.995, 1.017)),
            ("q2", "arithmetic", interval(0.5, 0.45, 0.552)),
            ("q2", "capitals", interval(0.5, 0.45, 0.552)),
        ] {
            on_loss(decision, subject, task, |_, loss| {
                (loss.method, loss.ratio) = (Some(Method::RatioScore), Some(ratio));
                (loss.p_pass, loss.p_fail, loss.p_fail_adjusted) = (Some(0.0021), Some(0.99), Some(0.99));
            });
        }
    });
    let text = text(&report, 100);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    insta::assert_snapshot!("recovery", text);
    let page = shown(&report, "report-of-recovery");
    assert!(page.contains("98.3 [96.4, 100.1]") && page.contains("variant / canary − 1, per cent"));
    assert!(markdown::render(&report).contains("| 98.3 [96.4, 100.1] | 95 %, 4.38 pp |"));
}

#[test]
fn a_task_that_ended_early_says_after_how_many_items_and_what_that_saved() {
    let mut events = run().events();
    let end = events.pop().expect("the run ended");
    for (subject, after) in [("q2", 50), ("canary", 400)] {
        let (subject, task) = (SubjectName::new(subject), TaskName::new("arithmetic"));
        events.push(Event { kind: EventKind::TaskSettled { subject, task, after }, ..end.clone() });
    }
    events.push(end);
    let record = fold(events).expect("the journal is consistent");
    let policy = Policy { stopping: Stopping::GroupSequential, ..run().policy };
    let report = reported(&record, &policy, |decision| {
        on_loss(decision, "q2", "arithmetic", |finding, loss| {
            finding.verdict = Verdict::Fail;
            (loss.method, loss.confidence) = (Some(Method::Tango), 0.9998);
            loss.early = Some(Early { asked: 50, samples: 400, by: EarlyBy::Look(1, 4) });
        });
    });
    assert_eq!(report.units.settled, 350);
    insta::assert_snapshot!("early", text(&report, 100));
    let page = shown(&report, "report-of-early");
    assert!(page.contains("50/400") && page.contains("350 of 2,490 answers") && page.contains("sequential bound"));
    let row = report.samples.iter().find(|r| r.subject.as_str() == "q2" && r.sample.as_str() == "arithmetic-0060");
    assert_eq!(row.map(|row| row.said.status), Some("settled"));
}

#[test]
fn scores_that_are_numbers_are_shown_in_their_own_unit() {
    let mut events = run().events();
    graded(&mut events, "arithmetic", Some((1.0, 10.0)), |value, item| 2.0 + 5.0 * value + (item % 7) as f64 / 4.0);
    graded(&mut events, "capitals", Some((0.0, 1.0)), |value, _| 0.1 + 0.8 * value);
    let record = fold(events).expect("the journal is consistent");
    let report = reported(&record, &run().policy, |_| ());
    assert_eq!(report.subjects[1].tasks.iter().map(|t| (t.metric, t.graded)).collect::<Vec<_>>(), [("mean", true); 2]);
    insta::assert_snapshot!("means", text(&report, 110));
    let page = shown(&report, "report-of-means");
    assert!(page.contains("worse/better") && page.contains("multiples of what is tolerated") && page.contains("own unit"));
    let table = String::from_utf8(csv::metrics(&report).expect("a table")).expect("text");
    assert!(table.contains("q4,variant,arithmetic,,mean.canary,") && !table.contains("accuracy.canary"), "{table}");
}

#[test]
fn a_slice_with_a_rule_has_a_line_of_its_own_everywhere() {
    let mut policy = run().policy;
    let slice = Some("odd".to_owned());
    let rule = |task: &str| TaskName::new(task);
    policy.tasks.push(TaskRule {
        task: rule("arithmetic"),
        slice: slice.clone(),
        tolerance: Some(Tolerance::Margin(0.08)),
        gating: None,
    });
    policy.overall = Some(Tolerance::Margin(0.03));
    let loss = |margin, delta, method| Loss {
        tolerance: Tolerance::Margin(margin),
        margin,
        confidence: 0.9,
        method: Some(method),
        delta: Some(delta),
        ratio: None,
        p_pass: Some(0.004),
        p_fail: Some(0.97),
        p_fail_adjusted: Some(1.0),
        n: 200,
        floor: 32,
        needed: None,
        note: None,
        early: None,
    };
    let finding = |rule, task: Option<&str>, slice, verdict, loss| Finding {
        rule,
        task: task.map(TaskName::new),
        slice,
        gating: true,
        verdict,
        reason: "any loss is smaller than what is tolerated".to_owned(),
        evidence: Some(Evidence::Loss(loss)),
    };
    let report = reported(&run().record(), &policy, |decision| {
        let own = &mut decision.subjects[0].findings;
        own.retain(|f| f.slice.is_none() && f.rule != Rule::Overall);
        let part = loss(0.08, interval(-0.03, -0.06, -0.005), Method::ClusteredTango { deff: 1.8, df: 40.0 });
        own.push(finding(Rule::Loss, Some("arithmetic"), slice.clone(), Verdict::Pass, part));
        let mean = loss(0.03, interval(-0.002, -0.011, 0.007), Method::Mover);
        own.push(finding(Rule::Overall, None, None, Verdict::Pass, mean));
    });
    insta::assert_snapshot!("slice", text(&report, 100));
    let (page, junit) = (shown(&report, "report-of-slice"), junit::render(&report).expect("JUnit can be written"));
    assert!(page.contains("arithmetic / odd") && page.contains("mean of tasks") && page.contains("clustered"));
    assert!(
        junit.contains(r#"name="loss arithmetic / odd accuracy""#) && junit.contains(r#"name="overall accuracy""#),
        "{junit}"
    );
    let table = String::from_utf8(csv::metrics(&report).expect("a table")).expect("text");
    assert!(table.contains("q4,variant,arithmetic,odd,accuracy.delta,-0.03,-0.06,-0.005,0.9,200"), "{table}");
    assert!(table.contains("q4,variant,,,overall.accuracy.delta,-0.002,"), "{table}");
}

#[test]
fn a_canary_that_was_asked_twice_shows_what_it_differs_from_itself() {
    let mut policy = run().policy;
    policy.budgets.push(Budget { metric: "flips.excess".to_owned(), task: Some(TaskName::new("arithmetic")), max: 0.05 });
    let record = fold(repeated(run().events(), 40)).expect("the journal is consistent");
    policy.budgets.push(Budget { metric: "flips.rate".to_owned(), task: None, max: 0.1 });
    let report = reported(&record, &policy, |_| ());
    assert_eq!(report.floor().len(), 2);
    insta::assert_snapshot!("noise", text(&report, 100));
    let page = shown(&report, "report-of-noise");
    assert!(
        page.contains("The canary against itself") && page.contains("The band holds 95 % of the differences between two passes")
    );
    assert!(page.contains("#DCE6F2"), "the band is drawn");
    assert!(markdown::render(&report).contains("## The canary against itself"));
    let table = String::from_utf8(csv::metrics(&report).expect("a table")).expect("text");
    assert!(table.contains("canary,canary,arithmetic,,noise.flips,0.025,"), "{table}");
    let rows = report.samples.iter().filter(|r| r.sample.as_str() == "arithmetic-0001").count();
    assert_eq!(rows, 6, "a row for each subject and pass");
}

#[test]
fn the_p_of_a_fail_is_the_corrected_one_and_is_named_so() {
    let report = reported(&run().record(), &run().policy, |decision| {
        for (subject, task) in [("q2", "arithmetic"), ("q2", "capitals"), ("q4", "arithmetic")] {
            on_loss(decision, subject, task, |finding, loss| {
                let fails = finding.verdict == Verdict::Fail;
                loss.p_pass = Some(if fails { 1.0 } else { 0.011 });
                (loss.p_fail, loss.p_fail_adjusted) = if fails { (Some(0.012), Some(0.024)) } else { (Some(0.9), Some(1.0)) };
            });
        }
    });
    insta::assert_snapshot!("holm", text(&report, 120));
    assert!(shown(&report, "report-of-holm").contains("for FAIL a smaller one (corrected by Holm)"));
}

#[test]
fn a_report_without_samples_times_or_sizes_is_whole() {
    let (record, comparisons) = run().compared();
    let policy = Policy { budgets: Vec::new(), ..run().policy };
    let comparisons = Comparisons { distributions: Vec::new(), latencies: Vec::new(), ..comparisons };
    let decision = decide(&record, &comparisons, &policy);
    let mut facts = Facts::of(&record);
    (facts.recorded, facts.ecdfs) = (true, Vec::new());
    facts.timing.latency.clear();
    facts.subjects.iter_mut().for_each(|subject| subject.identity = None);
    facts.attempts = vec![Attempt {
        subject: SubjectName::new("q4"),
        run: "2026-11-21-030000-demo".to_owned(),
        verdict: Verdict::Inconclusive,
        plan: Digest::new("blake3:91d6f0c2"),
        policy: Digest::new("blake3:aa"),
    }];
    let report = Report::of(facts, Judged { comparisons: &comparisons, decision: &decision, policy: &policy }, Texts::default());
    insta::assert_snapshot!("without_samples", markdown::render(&report));
    let page = shown(&report, "report-of-without-samples");
    assert!(page.contains("from results of other programs") && !page.contains("bits per weight"));
    assert!(!page.contains("Flipped items") && !page.contains("took "));
    assert!(page.contains("Earlier runs of the same models") && page.contains("the same plan"));
}

#[test]
fn the_published_schema_names_the_keys_of_all_evidence() {
    let schema: serde_json::Value = serde_json::from_str(crate::report::SCHEMA).expect("the schema is JSON");
    let mut events = repeated(run().events(), 40);
    if let EventKind::RunStarted(header) = &mut events[0].kind {
        header.earlier = vec![Attempt {
            subject: SubjectName::new("q4"),
            run: "earlier".to_owned(),
            verdict: Verdict::Fail,
            plan: Digest::new("blake3:1"),
            policy: Digest::new("blake3:2"),
        }];
    }
    let mut policy = run().policy;
    policy.budgets = Budget::names().map(|name| Budget { metric: name.to_owned(), task: None, max: 0.5 }).collect();
    policy.tolerance = Tolerance::Recovery(0.9);
    policy.overall = Some(Tolerance::Margin(0.02));
    let slice = Some("even".to_owned());
    policy.tasks.push(TaskRule { task: TaskName::new("capitals"), slice, tolerance: None, gating: Some(true) });
    let record = fold(events).expect("the journal is consistent");
    let report = reported(&record, &policy, |decision| {
        for (by, task) in [(EarlyBy::Look(2, 4), "arithmetic"), (EarlyBy::Wealth, "capitals")] {
            on_loss(decision, "q4", task, |_, loss| {
                (loss.ratio, loss.early) = (Some(interval(0.99, 0.98, 1.0)), Some(Early { asked: 10, samples: 400, by }));
                loss.method = Some(Method::ClusteredTango { deff: 1.2, df: 9.0 });
            });
        }
        let latency = Spent { metric: "latency.p95_ratio".to_owned(), max: 1.1, value: Some(1.0), interval: None };
        decision.subjects[0].findings.push(Finding {
            rule: Rule::Latency,
            task: None,
            slice: None,
            gating: true,
            verdict: Verdict::Pass,
            reason: "within its budget".to_owned(),
            evidence: Some(Evidence::Budget(latency)),
        });
    });
    let text = json::render(&report).expect("results can be written");
    let results: serde_json::Value = serde_json::from_str(&text).expect("results are JSON");
    check(&schema, &schema, &results, "$");
    assert!(results["subjects"][1]["tasks"][0]["excess"]["bb"].is_number());
    assert_eq!(results["run"]["attempts"][0]["verdict"], "FAIL");
    assert!(report.subjects.iter().any(|s| s.role == Role::Control));
}
