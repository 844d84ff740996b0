//! Killed at any moment, resumed: the real binary ends in the same results as a run that nobody disturbed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::bench::Bench;

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
    finished.map(|event| format!("{}/{}/{}", event["subject"], event["task"], event["sample"])).collect()
}

#[test]
fn a_run_killed_at_any_moment_resumes_to_the_same_results() {
    let bench = Bench::new("kill");
    let whole = bench.reports("whole");
    bench.run(&whole, &[]).success_or_verdict();
    let whole_run = journal_of(&whole).expect("the whole run has a journal");
    let (size, expected) =
        (fs::metadata(&whole_run).expect("it has a size").len(), results(whole_run.parent().expect("a folder")));
    let all_units = units(&whole_run).len();
    let mut killed = 0;
    for point in 0..KILLS {
        // Spread over the whole journal by a fixed odd stride: early, late and in between.
        let bytes = size * ((point * 7 + 3) % KILLS) / KILLS + point;
        let reports = bench.reports(&format!("killed-{point}"));
        let mut child = bench.command(&reports, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        killed += u64::from(kill_at(&mut child, &reports, bytes));
        bench.run(&reports, &["--resume"]).success_or_verdict();
        let journal = journal_of(&reports).expect("the resumed run has a journal");
        assert_eq!(results(journal.parent().expect("a folder")), expected, "killed at {bytes} bytes");
        let mut seen = units(&journal);
        assert_eq!(seen.len(), all_units, "none lost, killed at {bytes} bytes");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all_units, "none twice, killed at {bytes} bytes");
    }
    assert!(killed >= 20, "only {killed} of {KILLS} runs were still going when they were to be killed");
}
