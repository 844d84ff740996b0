//! The verbs of the real binary: equal runs, reports made again, other policies, a plan to start from.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bench::{Bench, Ended, plan};

/// The one run under a reports folder.
fn run_in(reports: &Path) -> PathBuf {
    let entries = fs::read_dir(reports).expect("there are runs").map(|entry| entry.expect("its entry can be read").path());
    entries.into_iter().find(|path| path.is_dir()).expect("there is one")
}

/// A run's results without the run's own name and the times.
fn results(reports: &Path) -> Value {
    let text = fs::read_to_string(run_in(reports).join("results.json")).expect("the run has results");
    let mut value: Value = serde_json::from_str(&text).expect("they are JSON");
    for key in ["run", "timing"] {
        value.as_object_mut().expect("an object").remove(key).expect("times and the run's name have places of their own");
    }
    value
}

/// Every derived file of a run, by name.
fn derived(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = |folder: &Path| fs::read_dir(folder).expect("the folder can be read").map(|e| e.expect("an entry").path());
    let all = files(run).chain(files(&run.join("plots"))).filter(|path| path.is_file());
    let kept = all.filter(|path| !path.to_string_lossy().contains("journal"));
    kept.map(|path| (path.clone(), fs::read(&path).expect("the file can be read"))).collect()
}

#[test]
fn neither_a_second_run_nor_batch_threads_or_concurrency_changes_a_result() {
    let bench = Bench::new("same");
    let first = bench.reports("first");
    bench.run(&first, &[]).success_or_verdict();
    let settings: [&[&str]; 4] = [&[], &["--batch", "5"], &["--threads", "1"], &["--concurrency", "3", "--batch", "1"]];
    for (at, more) in settings.into_iter().enumerate() {
        let again = bench.reports(&format!("again-{at}"));
        bench.run(&again, more).success_or_verdict();
        assert_eq!(results(&again), results(&first), "with {more:?}");
    }
}

#[test]
fn reports_are_made_again_byte_for_byte_from_the_journal_alone() {
    let bench = Bench::new("again");
    let reports = bench.reports("r");
    bench.run(&reports, &[]).success_or_verdict();
    let run = run_in(&reports);
    let before = derived(&run);
    assert!(before.len() >= 11, "html, md, json, two csv, junit and five plots, got {}", before.len());
    for path in before.keys() {
        fs::remove_file(path).expect("it can be removed");
    }
    let ended = Ended(bench.binary().arg("report").arg(&run).output().expect("the binary starts"));
    assert_eq!(ended.code(), 0, "{}", ended.complaint());
    assert_eq!(derived(&run), before);
}

#[test]
fn another_policy_judges_a_finished_run_without_asking_anything() {
    let bench = Bench::new("policy");
    let reports = bench.reports("r");
    let by_plan = bench.run(&reports, &[]).success_or_verdict().code();
    let run = run_in(&reports);
    let gate = |more: &[&str]| Ended(bench.binary().arg("gate").arg(&run).args(more).output().expect("the binary starts")).code();
    assert_eq!(gate(&[]), by_plan, "its own policy gives the run's verdict");
    bench.write("warn.toml", "[policy]\nmargin = \"50pp\"\ninconclusive = \"warn\"\ninvalid = \"warn\"\n");
    assert_eq!(gate(&["--policy", "warn.toml"]), 0, "doubts that only warn let a run through");
    bench.write("typo.toml", "[policy]\nmargn = \"1pp\"\n");
    assert_eq!(gate(&["--policy", "typo.toml"]), 2);
}

/// The codes of the warnings that a run's results have.
fn warned(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("results.json")).expect("the run has results");
    let value: Value = serde_json::from_str(&text).expect("they are JSON");
    let warnings = value["warnings"].as_array().expect("warnings are a list").iter();
    warnings.map(|warning| warning["code"].as_str().expect("a code is text").to_owned()).collect()
}

/// The newest run under a reports folder.
fn newest_in(reports: &Path) -> PathBuf {
    let entries = fs::read_dir(reports).expect("there are runs").map(|entry| entry.expect("its entry can be read").path());
    let started =
        |path: &PathBuf| fs::metadata(path.join("journal.jsonl")).and_then(|data| data.created()).expect("it has a time");
    entries.filter(|path| path.is_dir()).max_by_key(started).expect("there is one")
}

#[test]
fn another_chance_of_the_same_models_is_told_and_a_plain_repetition_is_not() {
    let bench = Bench::new("chances");
    let reports = bench.reports("r");
    let ledger = || fs::read_to_string(reports.join("ledger.jsonl")).expect("there is a ledger").lines().count();
    let codes = |more: &[&str]| {
        let ended = bench.run(&reports, more).success_or_verdict();
        assert!(!ended.complaint().contains("ledger"), "{}", ended.complaint());
        warned(&newest_in(&reports))
    };
    let tells = |codes: &[String], code: &str| codes.iter().any(|told| told == code);
    let first = codes(&[]);
    assert!(!tells(&first, "W_RERUN") && !tells(&first, "W_POSTHOC_MARGIN"));
    let again = codes(&[]);
    assert_eq!(again, first, "the same plan gives the same answers: no new chance");
    assert_eq!(ledger(), 2, "one line a run: one variant, and the control is no candidate");
    let chance = codes(&["--seed", "8"]);
    assert!(tells(&chance, "W_RERUN") && !tells(&chance, "W_POSTHOC_MARGIN"), "{chance:?}");
    bench.write("quantgate.toml", &plan("", "").replace("5pp", "6pp"));
    let moved = codes(&[]);
    assert!(tells(&moved, "W_POSTHOC_MARGIN"), "{moved:?}");
    let run = newest_in(&reports);
    let before = derived(&run);
    let ended = Ended(bench.binary().arg("report").arg(&run).output().expect("the binary starts"));
    assert_eq!((ended.code(), ledger()), (0, 4), "making reports again is no attempt");
    assert_eq!(derived(&run), before);
}

#[test]
fn a_damaged_ledger_costs_no_run() {
    let bench = Bench::new("torn");
    let reports = bench.reports("r");
    fs::create_dir_all(&reports).expect("the folder can be made");
    fs::write(reports.join("ledger.jsonl"), b"{\"at_ms\":7,\"ru").expect("the file can be written");
    let ended = bench.run(&reports, &[]).success_or_verdict();
    assert!(ended.complaint().contains("line 1 cannot be read"), "{}", ended.complaint());
    let text = fs::read_to_string(reports.join("ledger.jsonl")).expect("it is still there");
    assert_eq!(text.lines().count(), 2, "the run's line stands on its own");
}

#[test]
fn a_first_plan_is_written_once_and_can_be_read() {
    let bench = Bench::new("init");
    let init = |more: &[&str]| Ended(bench.binary().args(["init", "mine.toml"]).args(more).output().expect("the binary starts"));
    assert_eq!(init(&[]).code(), 0);
    assert_eq!(init(&[]).code(), 2, "a plan that is there is not overwritten");
    assert_eq!(init(&["--force"]).code(), 0);
    let read = bench.binary().args(["run", "mine.toml", "--show-settings"]).output().expect("the binary starts");
    let complaint = String::from_utf8_lossy(&read.stderr).into_owned();
    assert!(!complaint.contains("unknown key") && !complaint.contains("panicked"), "{complaint}");
}

#[test]
fn settings_say_where_they_came_from() {
    let bench = Bench::new("settings");
    let mut command = bench.command(&bench.reports("r"), &["--show-settings"]);
    let output = command.env("QUANTGATE_BATCH", "64").output().expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let from = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(from("seed").contains('7') && from("seed").ends_with("plan"), "{text}");
    assert!(from("limit").ends_with("flag"), "{text}");
    assert!(from("batch").contains("64") && from("batch").contains("environment (QUANTGATE_BATCH)"), "{text}");
    assert!(from("threads").ends_with("default"), "{text}");
    assert!(!bench.reports("r").exists(), "showing settings runs nothing");
}

#[test]
fn a_control_that_does_not_fail_makes_the_run_invalid() {
    let bench = Bench::new("teeth");
    bench.write("quantgate.toml", &plan("", "").replace("quantize = \"q2_k\"", "quantize = \"q8_0\""));
    let ended = bench.run(&bench.reports("r"), &[]);
    assert_eq!(ended.code(), 4, "{}", String::from_utf8_lossy(&ended.0.stdout));
    assert!(String::from_utf8_lossy(&ended.0.stdout).contains("teeth"));
}
