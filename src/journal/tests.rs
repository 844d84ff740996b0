//! A journal against torn lines, other plans, other writers and full disks.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;

fn header(run: &str) -> RunHeader {
    let engine = json!({"engine": "scripted", "right_per_mille": 900, "salt": "s"});
    let policy = json!({"alpha": 0.05, "margin": 0.01, "inconclusive": "block", "invalid": "warn",
        "tasks": [{"task": "sums", "margin": 0.02}], "budgets": [{"metric": "kld.mean", "max": 0.1}]});
    let header = json!({"format": 1, "version": "0", "run": run, "plan": "demo", "digest": "blake3:1", "seed": 1,
        "subjects": [{"name": "canary", "role": "canary", "engine": engine}], "tasks": [], "policy": policy});
    serde_json::from_value(header).unwrap()
}

/// A start and one event for each document's log-likelihoods.
fn events(run: &str, documents: &[Vec<f64>]) -> Vec<Event> {
    let mut kinds = vec![EventKind::RunStarted(Box::new(header(run)))];
    kinds.extend(documents.iter().enumerate().map(|(sample, nll)| {
        let unit = json!({"event": "unit-finished", "subject": "canary", "task": "read", "sample": format!("ü{sample}"),
            "micros": 7, "outcome": "scored", "answer": {"kind": "rolling", "nll": [], "bytes": 3},
            "score": {"value": 0.0, "read": "line\nbreak", "parsed": true}});
        let mut unit: EventKind = serde_json::from_value(unit).unwrap();
        if let EventKind::UnitFinished { outcome, .. } = &mut unit
            && let crate::domain::Outcome::Scored { answer: crate::domain::Answer::Rolling { nll: kept, .. }, score } =
                &mut **outcome
        {
            kept.clone_from(nll);
            score.value = nll.iter().sum::<f64>();
        }
        unit
    }));
    kinds.into_iter().enumerate().map(|(seq, kind)| Event { seq: seq as u64, at_ms: 5, kind }).collect()
}

fn write(journal: &mut Journal, events: &[Event]) {
    for event in events {
        journal.emit(event).unwrap();
    }
    journal.flush().unwrap();
}

/// A journal with some events, closed again.
fn written(reports: &TempDir, run: &str, events: &[Event]) -> RunFolder {
    let (mut journal, folder) = Journal::create(reports.path(), &header(run)).unwrap();
    write(&mut journal, events);
    folder
}

fn digest() -> Digest {
    Digest::new("blake3:1")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_read_back_is_what_was_written_to_the_last_bit(
        documents in prop::collection::vec(prop::collection::vec(-1e300..1e300_f64, 0..5), 0..5)
    ) {
        let reports = TempDir::new().unwrap();
        let told = events("a", &documents);
        let folder = written(&reports, "a", &told);
        prop_assert_eq!(replay(&folder.journal()).unwrap(), told);
    }
}

#[test]
fn a_journal_cut_at_any_byte_goes_on_after_its_last_whole_line() {
    let reports = TempDir::new().unwrap();
    let told = events("a", &[vec![0.1, 0.2], vec![], vec![1.0 / 3.0]]);
    let folder = written(&reports, "a", &told);
    let whole = fs::read(folder.journal()).unwrap();
    let first = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    for length in 0..=whole.len() {
        fs::write(folder.journal(), &whole[..length]).unwrap();
        if length < first {
            assert!(matches!(Journal::resume(&folder, &digest()), Err(JournalError::Empty { .. })), "{length} bytes");
            continue;
        }
        let (mut journal, kept) = Journal::resume(&folder, &digest()).unwrap();
        let lines = whole[..length].split(|&byte| byte == b'\n').count() - 1;
        assert_eq!(kept, told[..lines], "{length} bytes");
        write(&mut journal, &told[lines..]);
        assert_eq!(fs::read(folder.journal()).unwrap(), whole, "{length} bytes");
    }
}

#[test]
fn a_damaged_line_in_the_middle_is_named() {
    let reports = TempDir::new().unwrap();
    let folder = written(&reports, "a", &events("a", &[vec![0.5], vec![0.25]]));
    let text = fs::read_to_string(folder.journal()).unwrap();
    fs::write(folder.journal(), text.replacen("\"nll\":[0.5]", "\"nll\":[null]", 1)).unwrap();
    let error = Journal::resume(&folder, &digest()).unwrap_err();
    assert!(matches!(error, JournalError::Line { line: 2, .. }), "{error}");
    assert!(error.to_string().contains("journal.jsonl`, line 2: not an event"), "{error}");
}

#[test]
fn a_missing_or_doubled_line_is_named() {
    let reports = TempDir::new().unwrap();
    let folder = written(&reports, "a", &events("a", &[vec![0.5], vec![0.25], vec![0.125]]));
    let text = fs::read_to_string(folder.journal()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for order in [[0, 2, 3].as_slice(), &[0, 1, 1, 2, 3]] {
        let damaged: Vec<&str> = order.iter().map(|&line| lines[line]).collect();
        fs::write(folder.journal(), damaged.join("\n") + "\n").unwrap();
        let error = replay(&folder.journal()).unwrap_err();
        assert!(matches!(error, JournalError::Line { .. }) && error.to_string().contains("missing or doubled"), "{error}");
    }
}

#[test]
fn another_plan_is_refused_with_both_digests() {
    let reports = TempDir::new().unwrap();
    let folder = written(&reports, "a", &events("a", &[]));
    let error = Journal::resume(&folder, &Digest::new("blake3:2")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("blake3:1") && text.contains("blake3:2"), "{text}");
    assert_eq!(
        error.hint(),
        Some("give the same flags as the run began with (--limit, --seed, --suite), restore the plan, or start a new run")
    );
}

#[test]
fn a_newer_format_is_refused_even_if_its_header_cannot_be_read() {
    let reports = TempDir::new().unwrap();
    let folder = written(&reports, "a", &[]);
    fs::write(folder.journal(), "{\"event\":\"run-started\",\"format\":99,\"what\":\"who knows\"}\n").unwrap();
    assert!(matches!(replay(&folder.journal()), Err(JournalError::Format { found: 99, .. })));
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let reports = TempDir::new().unwrap();
    let (mut journal, folder) = Journal::create(reports.path(), &header("a")).unwrap();
    write(&mut journal, &events("a", &[vec![0.5]]));
    assert!(matches!(Journal::resume(&folder, &digest()), Err(JournalError::Busy { .. })));
    assert_eq!(replay(&folder.journal()).unwrap().len(), 2, "reading is free");
    drop(journal);
    assert_eq!(Journal::resume(&folder, &digest()).unwrap().1.len(), 2);
}

#[test]
fn a_run_folder_is_never_written_twice() {
    let reports = TempDir::new().unwrap();
    written(&reports, "a", &[]);
    assert!(matches!(Journal::create(reports.path(), &header("a")), Err(JournalError::Taken { .. })));
}

#[test]
fn a_reports_folder_that_cannot_be_made_is_named() {
    let reports = TempDir::new().unwrap();
    let file = reports.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Journal::create(&file.join("reports"), &header("a")).unwrap_err();
    assert!(matches!(&error, JournalError::Folder { .. }) && error.to_string().contains("file/reports"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_says_that_nothing_is_lost() {
    let reports = TempDir::new().unwrap();
    let folder = written(&reports, "a", &[]);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut journal = Journal::over(full, folder.journal(), Lock::take(&folder).unwrap());
    journal.emit(&events("a", &[])[0]).unwrap();
    let error = journal.flush().unwrap_err().to_string();
    assert!(error.contains("no space left") && error.contains("--resume"), "{error}");
}

#[test]
fn ephemeral_events_are_not_kept() {
    let reports = TempDir::new().unwrap();
    let mut told = events("a", &[]);
    let kind = EventKind::BatchStarted { subject: "canary".into(), task: "sums".into(), units: 3 };
    told.push(Event { seq: 1, at_ms: 5, kind });
    let folder = written(&reports, "a", &told);
    assert_eq!(replay(&folder.journal()).unwrap(), told[..1]);
}

#[test]
fn the_newest_run_is_the_one_that_began_last_and_the_unfinished_one_is_found() {
    let reports = TempDir::new().unwrap();
    assert_eq!(latest(&reports.path().join("nowhere"), None).unwrap(), None);
    for (run, began, finished) in [("z", 10, false), ("b", 30, true), ("c", 20, false)] {
        let mut told = events(run, &[vec![0.5; 2000]]);
        told[0].at_ms = began;
        if finished {
            told.push(Event { seq: 2, at_ms: 9, kind: EventKind::RunFinished { scored: 1, unscored: 0 } });
        }
        written(&reports, run, &told);
    }
    fs::create_dir(reports.path().join("not-a-run")).unwrap();
    fs::write(reports.path().join("README.md"), "").unwrap();
    let name = |found: Option<RunFolder>| found.unwrap().path().file_name().unwrap().to_owned();
    assert_eq!(name(latest(reports.path(), None).unwrap()), "b");
    assert_eq!(name(unfinished(reports.path(), None).unwrap()), "c");
}

#[test]
fn a_run_is_named_after_its_plan_and_the_time() {
    let reports = TempDir::new().unwrap();
    let at = 1_795_361_412_000;
    assert_eq!(run_id(reports.path(), "demo", at), "demo-20261122-153012");
    assert_eq!(run_id(reports.path(), "../a b/", 951_782_400_000), "a-b-20000229-000000", "a leap day");
    assert_eq!(run_id(reports.path(), "..", 4_102_444_799_999), "run-20991231-235959");
    fs::create_dir(reports.path().join("demo-20261122-153012")).unwrap();
    assert_eq!(run_id(reports.path(), "demo", at), "demo-20261122-153012-2");
}
