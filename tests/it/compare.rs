//! `quantgate compare` on real and on damaged results of other programs: their own numbers, our verdict, clear refusals.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bench::{Bench, Ended};

fn fixture(name: &str) -> PathBuf {
    Bench::repository().join("tests/fixtures").join(name)
}

fn compare(bench: &Bench, canary: &Path, variant: &Path, more: &[&str]) -> Ended {
    let mut command = bench.binary();
    command.arg("compare").arg(canary).arg(variant).args(["--out", "out"]).args(more);
    if !more.iter().any(|flag| matches!(*flag, "--margin" | "--recovery" | "--policy")) {
        command.args(["--margin", "2pp"]);
    }
    Ended(command.output().expect("the binary starts"))
}

fn results(bench: &Bench) -> Value {
    let text = fs::read_to_string(bench.path("out/results.json")).expect("there are results");
    serde_json::from_str(&text).expect("they are JSON")
}

/// The lm-eval pair, copied so that it can be damaged.
fn pair(bench: &Bench) -> (PathBuf, PathBuf) {
    let copy = |name: &str| {
        for entry in fs::read_dir(fixture("lm_eval").join(name)).expect("the fixture is there") {
            let path = entry.expect("it can be read").path();
            let file = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            bench.write(&format!("{name}/{file}"), &fs::read_to_string(&path).expect("it is text"));
        }
        bench.path(name)
    };
    (copy("canary"), copy("q4_0"))
}

/// The file in a folder whose name begins so.
fn file(folder: &Path, start: &str) -> PathBuf {
    let files = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("it can be read").path());
    let mut found: Vec<PathBuf> =
        files.filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(start))).collect();
    assert_eq!(found.len(), 1, "{start} in {}", folder.display());
    found.remove(0)
}

fn change(path: &Path, change: impl Fn(&str) -> String) {
    let text = fs::read_to_string(path).expect("the file is there");
    let changed = change(&text);
    assert_ne!(changed, text, "the test changes something");
    fs::write(path, changed).expect("it can be written");
}

/// What lm-eval itself says of a task's score.
fn told(model: &str, task: &str, metric: &str) -> f64 {
    let text = fs::read_to_string(file(&fixture("lm_eval").join(model), "results_")).expect("it is there");
    let results: Value = serde_json::from_str(&text).expect("it is JSON");
    results["results"][task][metric].as_f64().expect("it is a number")
}

#[test]
fn accuracies_are_lm_evals_own_to_the_last_bit_and_the_verdict_is_the_paired_one() {
    let bench = Bench::new("compare");
    let ended = compare(&bench, &fixture("lm_eval/canary"), &fixture("lm_eval/q4_0"), &["--slice", "slice"]);
    assert_eq!(ended.code(), 3, "{}", ended.complaint());
    let results = results(&bench);
    let tasks = results["subjects"][1]["tasks"].as_array().expect("there are tasks");
    assert_eq!(tasks.len(), 3);
    for task in tasks {
        let name = task["task"].as_str().expect("it has a name");
        let metric = if name == "recall" { "acc,none" } else { "exact_match,strict" };
        for (side, model) in [("canary", "canary"), ("variant", "q4_0")] {
            let ours = task[side]["estimate"].as_f64().expect("it is a number");
            assert_eq!(ours.to_bits(), told(model, name, metric).to_bits(), "{model} {name}");
        }
    }
    let arithmetic = &tasks[0];
    assert_eq!(arithmetic["task"], "arithmetic");
    assert_eq!((&arithmetic["table"]["n10"], &arithmetic["table"]["n01"]), (&7.into(), &1.into()));
    assert_eq!(arithmetic["slices"].as_array().map(Vec::len), Some(4));
    let identity = &results["subjects"][1]["identity"];
    assert_eq!(identity["engine"], "results of lm-evaluation-harness 0.4.13");
    assert!(identity["details"].as_object().is_some_and(|d| d.iter().any(|(name, value)| {
        name.starts_with("file samples_recall_") && value.as_str().is_some_and(|text| text.starts_with("blake3:"))
    })));
    for name in ["report.html", "report.md", "junit.xml", "metrics.csv", "samples.csv", "plots/forest.svg"] {
        assert!(bench.path("out").join(name).is_file(), "{name}");
    }
    let page = fs::read_to_string(bench.path("out/report.html")).expect("it is there");
    assert!(page.contains("64+88+48="), "flipped samples are shown with their prompts");
}

#[test]
fn the_margin_is_asked_for_and_decides() {
    let bench = Bench::new("compare-margin");
    let (canary, variant) = (fixture("lm_eval/canary"), fixture("lm_eval/q4_0"));
    let none = Ended(bench.binary().arg("compare").arg(&canary).arg(&variant).output().expect("the binary starts"));
    assert_eq!(none.code(), 2);
    assert!(none.complaint().contains("no margin was chosen") && none.complaint().contains("--recovery"), "{}", none.complaint());
    assert_eq!(compare(&bench, &canary, &variant, &["--margin", "15pp"]).code(), 0);
    assert_eq!(compare(&bench, &canary, &variant, &["--margin", "1pp", "--task", "arithmetic"]).code(), 1);
    assert_eq!(compare(&bench, &canary, &variant, &["--margin", "1pp", "--alpha", "0.01", "--task", "arithmetic"]).code(), 3);
    assert_eq!(compare(&bench, &canary, &variant, &["--recovery", "0.8"]).code(), 0);
    assert_eq!(compare(&bench, &canary, &variant, &["--margin", "2"]).code(), 2);
    let policy = bench.write("p.toml", "[policy]\nmargin = \"15pp\"\n[[policy.rule]]\ntask = \"recal\"\nmargin = \"1pp\"\n");
    let slip = compare(&bench, &canary, &variant, &["--policy", &policy.display().to_string()]);
    assert_eq!(slip.code(), 2);
    assert!(slip.complaint().contains("did you mean `recall`?"), "{}", slip.complaint());
    let policy = bench.write("p.toml", "[policy]\nmargin = \"15pp\"\n[[policy.rule]]\nmetric = \"kld.mean\"\nmax = 0.1\n");
    let kept = compare(&bench, &canary, &variant, &["--policy", &policy.display().to_string()]);
    assert_eq!(kept.code(), 2, "a rule that cannot be applied is not passed over");
    assert!(kept.complaint().contains("the policy bounds `kld.mean`"), "{}", kept.complaint());
}

#[test]
fn a_score_is_named_for_all_tasks_or_for_one() {
    let bench = Bench::new("compare-metric");
    let (canary, variant) = (fixture("lm_eval/canary"), fixture("lm_eval/q4_0"));
    let ended = compare(&bench, &canary, &variant, &["--metric", "recall=acc_norm", "--metric", "exact_match"]);
    assert_eq!(ended.code(), 3, "{}", ended.complaint());
    let tasks = results(&bench)["subjects"][1]["tasks"].clone();
    let recall = tasks.as_array().expect("a list").iter().find(|task| task["task"] == "recall").expect("it is there");
    assert_eq!(
        recall["canary"]["estimate"].as_f64().map(f64::to_bits),
        Some(told("canary", "recall", "acc_norm,none").to_bits())
    );
    let wrong = compare(&bench, &canary, &variant, &["--metric", "acc"]);
    assert_eq!(wrong.code(), 2);
    let complaint = wrong.complaint();
    assert!(
        complaint.contains("task 'arithmetic' has no score `acc`") && complaint.contains("exact_match,digits"),
        "{complaint}"
    );
}

#[test]
fn a_grouping_that_no_sample_has_is_refused() {
    let bench = Bench::new("grouping");
    let (canary, variant) = pair(&bench);
    for flag in ["--cluster", "--slice"] {
        let ended = compare(&bench, &canary, &variant, &[flag, "passage_"]);
        let complaint = ended.complaint();
        assert_eq!(ended.code(), 2, "{complaint}");
        assert!(complaint.contains(&format!("no sample of the canary has a `passage_`, which {flag} names")), "{complaint}");
    }
}

/// Damages the variant's results; the first line of the complaint, which must be a refusal.
fn refused(name: &str, damage: impl Fn(&Path)) -> String {
    let bench = Bench::new(name);
    let (canary, variant) = pair(&bench);
    damage(&variant);
    let ended = compare(&bench, &canary, &variant, &[]);
    let complaint = ended.complaint();
    assert_eq!(ended.code(), 2, "{complaint}");
    assert!(complaint.contains(" hint: "), "{complaint}");
    assert!(!bench.path("out").exists(), "nothing is written");
    complaint.lines().find(|line| line.starts_with("error: ")).expect("there is a complaint").to_owned()
}

#[test]
fn what_was_asked_differently_is_refused() {
    let hash = "\"prompt_hash\": \"5420cfdedb0ac0283472ae8c8e0ca7dbec35ddc583f17ba6c6ba278323e7cdc9\"";
    let what = refused("prompt", |folder| {
        change(&file(folder, "samples_arithmetic_"), |text| text.replace(hash, &hash.replace("5420", "0000")));
    });
    assert!(what.contains("sample '0' of task 'arithmetic' was asked differently: its prompt_hash is \"5420"), "{what}");
    let what = refused("target", |folder| {
        change(&file(folder, "samples_recall_"), |text| text.replacen("\"target_hash\": \"", "\"target_hash\": \"00", 1));
    });
    assert!(what.contains("its target_hash is"), "{what}");
    let what = refused("settings", |folder| {
        change(&file(folder, "samples_trace_"), |text| text.replace("\"max_gen_toks\": 6", "\"max_gen_toks\": 7"));
    });
    assert!(what.contains("its arguments (options or generation settings) is"), "{what}");
    let what = refused("shots", |folder| change(&file(folder, "results_"), |text| text.replace("\"trace\": 0", "\"trace\": 5")));
    assert!(
        what.contains("task 'trace' was run differently: the number of few-shot examples is 0 for the canary, and 5"),
        "{what}"
    );
    let what = refused("version", |folder| {
        change(&file(folder, "results_"), |text| text.replacen("\"recall\": 1.0", "\"recall\": 2.0", 1));
    });
    assert!(what.contains("task 'recall' was run differently: the task's version is 1.0 for the canary, and 2.0"), "{what}");
}

#[test]
fn an_answer_cache_that_both_shared_is_refused() {
    let bench = Bench::new("compare-cache");
    let (canary, variant) = pair(&bench);
    for folder in [&canary, &variant] {
        change(&file(folder, "results_"), |text| text.replace("\"use_cache\": null", "\"use_cache\": \"cache/answers\""));
    }
    let ended = compare(&bench, &canary, &variant, &[]);
    assert_eq!(ended.code(), 2);
    assert!(ended.complaint().contains("--use_cache cache/answers, which doesn't tell models apart"), "{}", ended.complaint());
}

#[test]
fn samples_that_do_not_match_are_refused() {
    let what = refused("task", |folder| fs::remove_file(file(folder, "samples_trace_")).expect("it is there"));
    assert!(what.contains("task 'trace' is in the results of canary, but not in those of q4_0"), "{what}");
    let what = refused("ids", |folder| {
        change(&file(folder, "samples_trace_"), |text| text.replace("\"doc_hash\": \"", "\"doc_hash\": \"0"));
    });
    assert!(what.contains("it has no sample of task 'trace' that the canary has"), "{what}");
    let what = refused("twice", |folder| {
        change(&file(folder, "samples_trace_"), |text| {
            let lines: Vec<&str> = text.lines().collect();
            format!("{}\n{}\n", lines[..96].join("\n"), lines[3])
        });
    });
    assert!(what.contains("line 97: sample '3' of task 'trace' is there a second time"), "{what}");
    let what = refused("fewer", |folder| {
        change(&file(folder, "samples_trace_"), |text| text.lines().take(50).flat_map(|line| [line, "\n"]).collect());
    });
    assert!(what.contains("it holds 50 samples of task 'trace', and 97 were asked"), "{what}");
    let what = refused("torn", |folder| {
        change(&file(folder, "samples_trace_"), |text| text[..text.len() - 40].to_owned());
    });
    assert!(what.contains("line 97: not JSON: the text ends too early"), "{what}");
    let what = refused("empty", |folder| fs::write(file(folder, "samples_trace_"), "").expect("it can be written"));
    assert!(what.contains("the file has no samples"), "{what}");
}

#[test]
fn errors_are_no_wrong_answers_and_bound_the_verdict() {
    let bench = Bench::new("compare-errors");
    let row = |i: usize, score: &str| format!("{i},{score}\n");
    let rows =
        |score: &dyn Fn(usize) -> &'static str| format!("id,score\n{}", (0..400).map(|i| row(i, score(i))).collect::<String>());
    let canary = bench.write("a.csv", &rows(&|i| if i % 5 == 0 { "0" } else { "1" }));
    let variant = bench.write(
        "b.csv",
        &rows(&|i| {
            if i == 3 {
                "NaN"
            } else if i % 5 == 0 {
                "0"
            } else {
                "1"
            }
        }),
    );
    let ended = compare(&bench, &canary, &variant, &[]);
    assert_eq!(ended.code(), 0, "{}", ended.complaint());
    let task = results(&bench)["subjects"][1]["tasks"][0].clone();
    assert_eq!((&task["n"], &task["missing"]), (&399.into(), &serde_json::json!([0, 1, 0])));
    let broken = bench.write(
        "c.csv",
        &rows(&|i| {
            if i % 9 == 1 {
                ""
            } else if i % 5 == 0 {
                "0"
            } else {
                "1"
            }
        }),
    );
    assert_eq!(compare(&bench, &canary, &broken, &[]).code(), 4);
    let half = bench.write(
        "d.csv",
        &rows(&|i| if i % 5 == 0 { "0" } else { "1" }).lines().take(200).flat_map(|l| [l, "\n"]).collect::<String>(),
    );
    assert_eq!(compare(&bench, &canary, &half, &[]).code(), 4, "half of the samples are missing");
    assert_eq!(compare(&bench, &half, &canary, &[]).code(), 2, "the canary lacks half of the variant's");
}

#[test]
fn one_promptfoo_file_holds_both_sides_and_an_inspect_log_its_epochs() {
    let bench = Bench::new("compare-others");
    let file = fixture("promptfoo/results.json").display().to_string();
    let of = |provider: &str| PathBuf::from(format!("{file}#{provider}"));
    let ended = compare(&bench, &of("canary"), &of("variant"), &["--margin", "40pp"]);
    assert_eq!(ended.code(), 4, "one of ten has no answer: {}", ended.complaint());
    let html = fs::read_to_string(bench.path("out/report.html")).expect("it is there");
    assert!(html.contains("503 Service Unavailable"));
    let epochs = fixture("inspect/epochs.json");
    let ended = compare(&bench, &epochs, &epochs, &["--margin", "10pp"]);
    assert!(ended.complaint().contains("its files are the canary's own, byte for byte"), "{}", ended.complaint());
    assert_eq!(results(&bench)["units"]["expected"], 72);
    let other = compare(&bench, &epochs, &fixture("inspect/variant.json"), &[]);
    assert_eq!(other.code(), 2);
    assert!(other.complaint().contains("the number of epochs is 3 for the canary, and 1"), "{}", other.complaint());
    let mixed = compare(&bench, &epochs, &fixture("lm_eval/canary"), &[]);
    assert!(mixed.code() == 2 && mixed.complaint().contains("is in the results of"), "{}", mixed.complaint());
}

#[test]
fn a_margin_that_was_changed_after_the_results_were_seen_is_told() {
    let bench = Bench::new("compare-again");
    let (canary, variant) = (fixture("lm_eval/canary"), fixture("lm_eval/q4_0"));
    let codes = |bench: &Bench| -> Vec<String> {
        let warnings = results(bench)["warnings"].clone();
        warnings.as_array().expect("a list").iter().filter_map(|w| w["code"].as_str().map(str::to_owned)).collect()
    };
    let mut told = Vec::new();
    for margin in ["1pp", "1pp", "15pp"] {
        compare(&bench, &canary, &variant, &["--margin", margin]).success_or_verdict();
        told.push(codes(&bench).iter().any(|code| code == "W_POSTHOC_MARGIN"));
    }
    assert_eq!(told, [false, false, true], "{:?}", codes(&bench));
}

#[test]
fn a_control_that_does_not_fail_takes_the_verdict_away() {
    let bench = Bench::new("compare-control");
    let canary = fixture("lm_eval/canary");
    let variant = PathBuf::from(format!("bad={}", fixture("lm_eval/q4_0").display()));
    let ended = compare(&bench, &canary, &variant, &["--margin", "15pp", "--control", "bad"]);
    assert_eq!(ended.code(), 4, "{}", ended.complaint());
    let wrong = compare(&bench, &canary, &variant, &["--control", "worse"]);
    assert!(wrong.code() == 2 && wrong.complaint().contains("no variant is called 'worse'"), "{}", wrong.complaint());
}
