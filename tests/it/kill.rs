//! Killed at any moment, resumed: the real binary ends in the same results as a run that nobody disturbed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::bench::{Bench, plan};

const KILLS: u64 = 24;

/// A run's results without what may differ: the run's own name and the times.
fn results(run: &Path) -> Value {
    let text = fs::read_to_string(run.join("results.json")).expect("the run has results");
    let mut value: Value = serde_json::from_str(&text).expect("results.json is JSON");
    let object = value.as_object_mut().expect("results.json is an object");
    assert!(
        object.remove("timing").is_some() && object.remove("run").is_some(),
        "times and the run's name have places of their own"
    );
    value
}

/// The largest journal under a reports folder: a process killed in its first moments may leave an empty one.
fn journal_of(reports: &Path) -> Option<PathBuf> {
    let runs = fs::read_dir(reports).ok()?.filter_map(Result::ok).map(|entry| entry.path().join("journal.jsonl"));
    runs.max_by_key(|journal| fs::metadata(journal).map_or(0, |data| data.len()))
}

/// Waits until the journal has `bytes`, then kills the process (SIGKILL); false where it ended by itself before.
fn kill_at(child: &mut Child, reports: &Path, bytes: u64) -> bool {
    loop {
        if child.try_wait().expect("the process can be waited for").is_some() {
            return false;
        }
        let written = journal_of(reports).and_then(|path| fs::metadata(path).ok()).map_or(0, |data| data.len());
        if written >= bytes {
            child.kill().expect("the process can be killed");
            child.wait().expect("the killed process ends");
            return true;
        }
        std::thread::yield_now();
    }
}

/// The unit keys in a journal, in order.
fn units(journal: &Path) -> Vec<String> {
    let text = fs::read_to_string(journal).expect("the journal can be read");
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    let finished = events.filter(|event| event["event"] == "unit-finished");
    let name = |event: Value| format!("{}/{}/{}/{}", event["subject"], event["task"], event["sample"], event["repeat"]);
    finished.map(name).collect()
}

/// Kills runs of the bench's plan at moments spread over their journals and resumes them: each must end in the results of a
/// run that nobody disturbed, with no unit asked twice. Gives the number of units of the undisturbed run, and of each other.
fn killed_and_resumed(bench: &Bench, kills: u64) -> (usize, Vec<usize>) {
    let whole = bench.reports("whole");
    bench.run(&whole, &[]).success_or_verdict();
    let whole_run = journal_of(&whole).expect("the whole run has a journal");
    let (size, expected) =
        (fs::metadata(&whole_run).expect("it has a size").len(), results(whole_run.parent().expect("a folder")));
    let (mut killed, mut counts) = (0, Vec::new());
    for point in 0..kills {
        // Spread over the whole journal by a fixed odd stride: early, late and in between.
        let bytes = size * ((point * 7 + 3) % kills) / kills + point;
        let reports = bench.reports(&format!("killed-{point}"));
        let mut child = bench.command(&reports, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        killed += u64::from(kill_at(&mut child, &reports, bytes));
        bench.run(&reports, &["--resume"]).success_or_verdict();
        let journal = journal_of(&reports).expect("the resumed run has a journal");
        assert_eq!(results(journal.parent().expect("a folder")), expected, "killed at {bytes} bytes");
        let mut seen = units(&journal);
        counts.push(seen.len());
        seen.sort();
        seen.dedup();
        assert_eq!(Some(&seen.len()), counts.last(), "none twice, killed at {bytes} bytes");
    }
    assert!(killed * 6 >= kills * 5, "only {killed} of {kills} runs were still going when they were to be killed");
    (units(&whole_run).len(), counts)
}

#[test]
fn a_run_killed_at_any_moment_resumes_to_the_same_results() {
    let bench = Bench::new("kill");
    let (whole, others) = killed_and_resumed(&bench, KILLS);
    assert!(others.iter().all(|units| *units == whole), "none lost: {whole} units, then {others:?}");
}

#[test]
fn a_run_of_repeats_killed_at_any_moment_resumes_to_the_same_results() {
    let bench = Bench::new("kill-repeats");
    let text = plan("", "")
        .replace("[canary]\n", "[canary]\nrepeats = 2\n")
        .replace("name = \"q8_0\"\n", "name = \"q8_0\"\nrepeats = 2\n");
    bench.write("quantgate.toml", &text);
    let (whole, others) = killed_and_resumed(&bench, 6);
    assert!(others.iter().all(|units| *units == whole), "none lost: {whole} units, then {others:?}");
}

#[test]
fn a_run_that_ends_early_killed_at_any_moment_resumes_to_the_same_results() {
    let bench = Bench::new("kill-early");
    // With a margin this wide, ten of the twelve samples settle every task for everybody.
    bench.write("quantgate.toml", &plan("", "stopping = \"group-sequential\"\n").replace("5pp", "90pp"));
    // Which answers come on top of what counts depends on when the run was killed.
    killed_and_resumed(&bench, 6);
    let run = journal_of(&bench.reports("whole")).expect("the whole run has a journal");
    let journal = fs::read_to_string(run).expect("it can be read");
    assert!(journal.contains("\"event\":\"task-settled\""), "tasks end early");
}
