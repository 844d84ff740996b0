//! Wrong uses of the real binary: each ends in one clear sentence and the documented exit code, before any request.

use std::fs;

use crate::bench::{Bench, Ended, plan};

/// Runs the bench's plan and holds exit code and complaint against what is expected.
fn expect(bench: &Bench, code: i32, parts: &[&str]) {
    let ended = bench.run(&bench.reports("r"), &[]);
    let complaint = ended.complaint();
    assert_eq!(ended.code(), code, "{complaint}");
    for part in parts {
        assert!(complaint.contains(part), "`{part}` should be said in:\n{complaint}");
    }
    assert!(!complaint.contains("panicked"), "{complaint}");
}

/// A suite of one task on one dataset, and a plan for it.
fn small_suite(bench: &Bench, dataset: &str, task: &str) {
    bench.write("data.jsonl", dataset);
    bench.write(
        "suite.toml",
        &format!(
            "name = \"s\"\n[[task]]\nname = \"t\"\nkind = \"generate\"\ndataset = \"data.jsonl\"\nprompt = \"{{{{ q }}}}\"\ntarget = \"{{{{ a }}}}\"\nmax_tokens = 4\n{task}"
        ),
    );
    let with_suite = plan("", "").replace(&format!("{}/suites/standard.toml", Bench::repository().display()), "suite.toml");
    bench.write("quantgate.toml", &with_suite);
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_key() {
    let bench = Bench::new("key");
    bench.write("quantgate.toml", &plan("sed = 3", ""));
    expect(&bench, 2, &["quantgate.toml:4", "sed", "seed"]);
}

#[test]
fn a_missing_dataset_is_named() {
    let bench = Bench::new("missing");
    small_suite(&bench, "{\"id\":\"1\",\"q\":\"a\",\"a\":\"b\"}\n", "");
    fs::remove_file(bench.path("data.jsonl")).expect("the dataset was there");
    expect(&bench, 2, &["data.jsonl"]);
}

#[test]
fn a_dataset_that_differs_from_its_manifest_is_refused_with_both_digests() {
    let bench = Bench::new("digest");
    small_suite(&bench, "{\"id\":\"1\",\"q\":\"a\",\"a\":\"b\"}\n", "");
    let manifest = format!(
        "[[dataset]]\nfile = \"data.jsonl\"\nsource = \"test\"\nlicence = \"MIT\"\nrevision = \"1\"\nsha256 = \"{}\"\nrows = 1\nabout = \"one row\"\n",
        "0".repeat(64)
    );
    bench.write("manifest.toml", &manifest);
    expect(&bench, 2, &["data.jsonl", &"0".repeat(64)]);
}

#[test]
fn a_duplicate_id_is_named_with_its_lines() {
    let bench = Bench::new("duplicate");
    small_suite(&bench, "{\"id\":\"x1\",\"q\":\"a\",\"a\":\"b\"}\n{\"id\":\"x1\",\"q\":\"c\",\"a\":\"d\"}\n", "");
    expect(&bench, 2, &["data.jsonl", "x1", "2"]);
}

#[test]
fn an_empty_task_is_refused() {
    let bench = Bench::new("empty");
    small_suite(&bench, "", "");
    expect(&bench, 2, &["data.jsonl"]);
}

#[test]
fn a_margin_of_zero_is_refused_with_the_reason() {
    let bench = Bench::new("margin");
    bench.write("quantgate.toml", &plan("", "").replace("\"5pp\"", "\"0pp\""));
    expect(&bench, 2, &["margin"]);
}

#[test]
fn a_task_below_its_design_floor_is_warned_of_and_never_passes() {
    let bench = Bench::new("floor");
    let ended = bench.run(&bench.reports("r"), &[]).success_or_verdict();
    assert_ne!(ended.code(), 0, "twelve items can't show a loss below 5pp");
    assert!(ended.complaint().contains("floor"), "{}", ended.complaint());
}

#[test]
fn a_truncated_gguf_is_refused_with_what_is_missing() {
    let bench = Bench::new("truncated");
    let made = bench.binary().args(["quantize", "--to", "q4_0", "--out", "whole.gguf"]).arg(demo()).output().expect("it starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let whole = fs::read(bench.path("whole.gguf")).expect("the file was written");
    fs::write(bench.path("cut.gguf"), &whole[..whole.len() - 4096]).expect("a copy can be written");
    bench.write("quantgate.toml", &plan("", "").replace("quantize = \"q8_0\"", "model = \"cut.gguf\""));
    expect(&bench, 2, &["cut.gguf", "bytes"]);
}

#[test]
fn a_tokenizer_that_is_not_the_models_is_refused() {
    let bench = Bench::new("tokenizer");
    let text = fs::read_to_string(demo().join("tokenizer.json")).expect("the bundled model has a tokenizer");
    let mut tokenizer: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let vocabulary = tokenizer["model"]["vocab"].as_object_mut().expect("it has a vocabulary");
    for extra in 0..40 {
        let id = vocabulary.len();
        vocabulary.insert(format!("extra{extra}"), id.into());
    }
    bench.write("other.json", &tokenizer.to_string());
    bench.write(
        "quantgate.toml",
        &plan("", "").replace("quantize = \"q8_0\"", &format!("model = \"{}\"\ntokenizer = \"other.json\"", demo().display())),
    );
    expect(&bench, 2, &["other.json"]);
}

#[test]
fn a_variant_with_another_vocabulary_makes_the_comparison_invalid() {
    let bench = Bench::new("vocabulary");
    let other = bench.path("other");
    fs::create_dir_all(&other).expect("a folder can be made");
    for file in ["config.json", "generation_config.json", "tokenizer_config.json", "model.safetensors"] {
        fs::copy(demo().join(file), other.join(file)).expect("the file can be copied");
    }
    let text = fs::read_to_string(demo().join("tokenizer.json")).expect("the bundled model has a tokenizer");
    let mut tokenizer: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let vocabulary = tokenizer["model"]["vocab"].as_object_mut().expect("it has a vocabulary");
    // Two words change places: the same size, other meanings.
    let last: Vec<(String, serde_json::Value)> =
        vocabulary.iter().rev().take(2).map(|(word, id)| (word.clone(), id.clone())).collect();
    vocabulary.insert(last[0].0.clone(), last[1].1.clone());
    vocabulary.insert(last[1].0.clone(), last[0].1.clone());
    fs::write(other.join("tokenizer.json"), tokenizer.to_string()).expect("the tokenizer can be written");
    bench.write("quantgate.toml", &plan("", "").replace("quantize = \"q8_0\"", "model = \"other\""));
    expect(&bench, 4, &["q8_0", "vocabulary"]);
}

#[test]
fn an_unwritable_reports_folder_is_named() {
    let bench = Bench::new("unwritable");
    bench.write("reports", "a file where a folder should be");
    let ended = bench.run(&bench.path("reports"), &[]);
    assert_eq!(ended.code(), 2, "{}", ended.complaint());
    assert!(ended.complaint().contains("reports"), "{}", ended.complaint());
}

#[test]
fn a_disk_that_fills_up_ends_the_run_with_a_sentence_and_resume_goes_on() {
    let bench = Bench::new("full");
    let reports = bench.reports("r");
    // The first run makes the variants; the second may write no file larger than 50 kB, as if the disk were full then.
    bench.run(&bench.reports("first"), &[]).success_or_verdict();
    let program = env!("CARGO_BIN_EXE_quantgate");
    let limited = format!(
        "trap '' XFSZ; ulimit -f 100; exec {program} run quantgate.toml --no-progress --limit 12 --reports {}",
        reports.display()
    );
    let mut shell = bench.binary_of("/bin/sh");
    let ended = Ended(shell.arg("-c").arg(limited).output().expect("a shell is there"));
    let complaint = ended.complaint();
    assert_eq!(ended.code(), 70, "{complaint}");
    assert!(complaint.contains("journal.jsonl") && complaint.contains("--resume"), "{complaint}");
    bench.run(&reports, &["--resume"]).success_or_verdict();
}

fn demo() -> std::path::PathBuf {
    Bench::repository().join("models/demo")
}
