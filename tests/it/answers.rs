//! Answers kept from earlier runs, through the real binary: equal results, nothing asked twice, and when they are refused.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::bench::{Bench, Ended, plan};

/// A run that may use what earlier runs kept.
fn run(bench: &Bench, reports: &Path, more: &[&str]) -> Ended {
    let mut command = bench.command(reports, more);
    Ended(command.env_remove("QUANTGATE_FRESH").output().expect("the binary starts")).success_or_verdict()
}

fn run_in(reports: &Path) -> std::path::PathBuf {
    let entries = fs::read_dir(reports).expect("there are runs").map(|entry| entry.expect("an entry").path());
    entries.into_iter().find(|path| path.is_dir()).expect("there is one")
}

/// A run's results without the run's own name and the times.
fn results(reports: &Path) -> Value {
    let text = fs::read_to_string(run_in(reports).join("results.json")).expect("the run has results");
    let mut value: Value = serde_json::from_str(&text).expect("they are JSON");
    for key in ["run", "timing"] {
        value.as_object_mut().expect("an object").remove(key).expect("it is there");
    }
    value
}

/// The units that ended: subject, task, and whether the answer was kept from an earlier run.
fn units(reports: &Path) -> Vec<(String, String, bool)> {
    let journal = fs::read_to_string(run_in(reports).join("journal.jsonl")).expect("the run has a journal");
    let events = journal.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let ended = events.filter(|event| event["event"] == "unit-finished");
    let word = |event: &Value, key: &str| event[key].as_str().expect("a name").to_owned();
    ended.map(|event| (word(&event, "subject"), word(&event, "task"), event["served"]["cached"] == true)).collect()
}

#[test]
fn a_second_run_asks_only_what_cannot_be_kept_and_has_equal_results() {
    let bench = Bench::new("kept");
    let [first, second, fresh] = ["first", "second", "fresh"].map(|name| bench.reports(name));
    let said = run(&bench, &first, &[]).complaint();
    assert!(!said.contains("kept from earlier runs"), "{said}");
    assert!(units(&first).iter().all(|(_, _, cached)| !cached));
    let said = run(&bench, &second, &[]).complaint();
    let (kept, asked): (Vec<_>, Vec<_>) = units(&second).into_iter().partition(|(_, _, cached)| *cached);
    assert!(said.contains(&format!("{} answers were kept from earlier runs", kept.len())), "{said}");
    let documents: Vec<_> = asked.iter().map(|(_, task, _)| task.as_str()).collect();
    assert!(kept.len() > 200 && documents.iter().all(|task| *task == documents[0]), "only documents: {documents:?}");
    assert_eq!(results(&second), results(&first));
    let said = run(&bench, &fresh, &["--fresh"]).complaint();
    assert!(!said.contains("kept from earlier runs"), "{said}");
    assert!(units(&fresh).iter().all(|(_, _, cached)| !cached));
    assert_eq!(results(&fresh), results(&first));
}

#[test]
fn a_changed_variant_is_asked_and_the_canary_is_not_asked_again() {
    let bench = Bench::new("changed");
    let [first, second] = ["first", "second"].map(|name| bench.reports(name));
    run(&bench, &first, &[]);
    // The same name, the same requests, other weights.
    bench.write("quantgate.toml", &plan("", "").replace("quantize = \"q8_0\"", "quantize = \"q4_0\""));
    run(&bench, &second, &[]);
    let cached_of = |subject: &str| units(&second).iter().filter(|(name, _, cached)| name == subject && *cached).count();
    assert!(cached_of("canary") > 60 && cached_of("q2_k") > 60, "{} {}", cached_of("canary"), cached_of("q2_k"));
    assert_eq!(cached_of("q8_0"), 0, "what is named q8_0 is another model now");
}

#[test]
fn repeats_and_budgets_on_times_ask_everything() {
    let bench = Bench::new("refused");
    run(&bench, &bench.reports("first"), &[]);
    bench.write("quantgate.toml", &plan("", "").replace("models/demo\"\n", "models/demo\"\nrepeats = 2\n"));
    run(&bench, &bench.reports("repeats"), &[]);
    let of_canary = |(subject, _, _): &&(String, String, bool)| subject == "canary";
    let asked_twice = units(&bench.reports("repeats"));
    assert!(asked_twice.iter().filter(of_canary).all(|(_, _, cached)| !cached), "its noise must be its own");
    assert!(asked_twice.iter().any(|(_, _, cached)| *cached), "the others are asked once");
    let budget = "[[policy.rule]]\nmetric = \"latency.p50_ratio\"\nmax = 9.0\n";
    bench.write("quantgate.toml", &plan("", budget));
    run(&bench, &bench.reports("times"), &[]);
    assert!(units(&bench.reports("times")).iter().all(|(_, _, cached)| !cached), "times are measured side by side");
}
