//! What the lines say.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use indicatif::ProgressDrawTarget;
use serde_json::json;

use super::fit::Fit;
use super::{Bars, Plain};
use crate::event::{Event, EventKind, RunHeader, Sink};

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn header() -> RunHeader {
    let subject = |name: &str, role: &str| json!({"name": name, "role": role, "engine": {"engine": "scripted", "right_per_mille": 900, "salt": "s"}});
    let task = json!({"name": "sums", "about": "", "kind": "generate", "metric": "accuracy", "gating": true, "chance": 0.0,
        "band": null, "dataset": "sums.jsonl", "digest": "blake3:0", "samples": 4});
    let policy = json!({"alpha": 0.05, "margin": 0.01, "inconclusive": "block", "invalid": "block", "tasks": [],
        "budgets": []});
    let header = json!({"format": 1, "version": "0", "run": "demo-1", "plan": "demo", "digest": "blake3:1", "seed": 1,
        "subjects": [subject("canary", "canary"), subject("q4", "variant")], "tasks": [task], "policy": policy});
    serde_json::from_value(header).unwrap()
}

fn unit(subject: &str, sample: usize, right: Option<bool>) -> EventKind {
    let outcome = match right {
        Some(right) => json!({"outcome": "scored",
            "answer": {"kind": "text", "text": "", "tokens": [], "finish": "end"},
            "score": {"value": f64::from(u8::from(right)), "read": "", "parsed": true}}),
        None => json!({"outcome": "unscored", "cause": {"kind": "transport", "message": "gone"}}),
    };
    let mut event = json!({"event": "unit-finished", "subject": subject, "task": "sums", "sample": format!("{sample}"),
        "micros": 250_000});
    event.as_object_mut().unwrap().extend(outcome.as_object().unwrap().clone());
    serde_json::from_value(event).unwrap()
}

fn story() -> Vec<Event> {
    let mut kinds = vec![EventKind::RunStarted(Box::new(header()))];
    // The variant comes first: pairs count whichever side completes them.
    kinds.extend((0..4).map(|sample| unit("q4", sample, Some(sample < 2))));
    kinds.extend((0..4).map(|sample| unit("canary", sample, (sample != 3).then_some(true))));
    kinds.push(EventKind::RunFinished { scored: 7, unscored: 1 });
    kinds.into_iter().enumerate().map(|(seq, kind)| Event { seq: seq as u64, at_ms: 0, kind }).collect()
}

#[test]
fn plain_lines_tell_the_whole_story() {
    let page = Page::default();
    let mut plain = Plain::to(Box::new(page.clone()));
    for event in story() {
        plain.emit(&event).unwrap();
    }
    insta::assert_snapshot!(page.text(), @r"
    run demo-1: 2 subjects, 1 task, 4 samples each
    sums  canary     4 samples in    1.0 s  100.0 %  1 unscored
    sums  q4         4 samples in    1.0 s   50.0 %  Δ −33.3 pp
    run demo-1 is complete: 7 units scored, 1 unscored
    ");
}

#[test]
fn a_delta_counts_only_samples_that_both_have() {
    let mut standing = super::standing::Standing::default();
    let places: Vec<_> = story().iter().filter_map(|event| standing.note(event)).collect();
    assert_eq!(standing.delta(places[0]), "Δ −33.3 pp", "one loss on the three samples that both have");
    assert_eq!(standing.delta(places[7]), "", "the canary is not compared with itself");
}

#[test]
fn what_was_recalled_counts_but_is_not_told_again() {
    let page = Page::default();
    let mut plain = Plain::to(Box::new(page.clone()));
    let (past, rest) = (&story()[..6], &story()[6..]);
    plain.recall(past);
    assert_eq!(page.text(), "");
    for event in rest {
        plain.emit(event).unwrap();
    }
    assert!(page.text().starts_with("sums  canary     4 samples"), "{}", page.text());
}

#[test]
fn a_page_that_is_full_ends_no_run() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut plain = Plain::to(Box::new(Full));
    assert!(story().iter().all(|event| plain.emit(event).is_ok()));
}

#[test]
fn bars_follow_the_same_story() {
    let mut bars = Bars::on(ProgressDrawTarget::hidden());
    assert!(story().iter().all(|event| bars.emit(event).is_ok() && bars.flush().is_ok()));
}

#[test]
fn a_bar_fits_into_the_terminal_and_gives_up_the_least_first() {
    for width in 20..200 {
        for names in [2, 18, 60] {
            let fit = Fit::of(width, names);
            assert!(fit.columns() <= width, "{width} {names}: {fit:?}");
        }
    }
    assert_eq!(Fit::of(120, 18).bar, 16);
    let narrow = Fit::of(80, 18);
    assert!(narrow.rate && narrow.left && narrow.bar < 16, "the bar gives way first: {narrow:?}");
    let narrower = Fit::of(70, 18);
    assert!(!narrower.rate && narrower.left, "then the rate: {narrower:?}");
    assert_eq!(Fit::of(40, 30).bar, 0);
}

#[test]
fn the_line_of_a_task_that_is_over_fits_into_the_terminal() {
    let mut standing = super::standing::Standing::default();
    for event in story() {
        standing.note(&event);
    }
    assert_eq!(standing.summary(0, 80), "sums  canary 100.0 %     q4 Δ −33.3 pp  1 unscored");
    assert_eq!(standing.summary(0, 44), "sums  canary 100.0%  q4 −33.3  1 unscored");
    assert_eq!(standing.summary(0, 20).chars().count(), 20);
}
