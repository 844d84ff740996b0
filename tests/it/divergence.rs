//! `quantgate divergence`: llama.cpp's chunks, its files, and a model beside its base.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bench::{Bench, Ended};

/// Runs the verb with these arguments.
fn divergence(bench: &Bench, arguments: &[&str]) -> Ended {
    let mut command = bench.binary();
    command.arg("divergence").args(arguments);
    Ended(command.output().expect("the binary starts"))
}

/// What it prints as JSON.
fn told(bench: &Bench, arguments: &[&str]) -> Value {
    let ended = divergence(bench, &[arguments, &["--json"]].concat());
    assert_eq!(ended.code(), 0, "{}", ended.complaint());
    serde_json::from_slice(&ended.0.stdout).expect("it is JSON")
}

fn value(told: &Value, key: &str) -> f64 {
    told["figures"][key]["value"].as_f64().unwrap_or_else(|| panic!("{key} is not in {told}"))
}

/// A bench with the first lines of the prose, the bundled model and a quantization of it.
fn bench() -> (Bench, String, String, String) {
    let bench = Bench::new("divergence");
    let rows = fs::read_to_string(Bench::repository().join("datasets/prose.jsonl")).expect("the prose is there");
    let texts = rows.lines().take(60).map(|row| {
        let row: Value = serde_json::from_str(row).expect("a row is JSON");
        row["text"].as_str().expect("it has a text").to_owned()
    });
    let text = bench.write("prose.txt", &texts.collect::<Vec<_>>().join("\n"));
    let model = Bench::repository().join("models/demo");
    let variant = bench.path("q4_0.gguf");
    let mut quantize = bench.binary();
    quantize.arg("quantize").arg(&model).args(["--to", "q4_0", "--out"]).arg(&variant);
    assert!(quantize.output().expect("the binary starts").status.success());
    let name = |path: PathBuf| path.to_string_lossy().into_owned();
    (bench, name(model), name(variant), name(text))
}

#[test]
fn a_base_from_a_file_and_one_that_is_rounded_like_a_file_give_the_same_block() {
    let (bench, model, variant, text) = bench();
    let file = bench.path("base.logits").to_string_lossy().into_owned();
    let alone = told(&bench, &[&model, "--text", &text, "-c", "64", "--chunks", "6", "--save-logits", &file]);
    assert_eq!((alone["chunks"].as_u64(), alone["scored"].as_u64()), (Some(6), Some(6 * 31)));
    let vocabulary = alone["vocabulary"].as_u64().expect("a number");
    let row = 2 * (vocabulary.next_multiple_of(2) + 4);
    assert_eq!(fs::metadata(&file).expect("it is there").len(), 20 + 6 * 64 * 4 + 6 * 31 * row);
    let read = told(&bench, &[&variant, "--kl-base", &file]);
    let walked = ["--base", &model, "--text", &text, "-c", "64", "--chunks", "6"];
    let rounded = told(&bench, &[&[variant.as_str()], &walked[..], &["--as-stored"]].concat());
    assert_eq!(read["figures"], rounded["figures"]);
    let exact = told(&bench, &[&[variant.as_str()], &walked[..]].concat());
    // The file holds what is 16 nats down as that, and nothing deeper.
    assert!((value(&exact, "ppl_base") / value(&alone, "ppl") - 1.0).abs() < 1e-12);
    assert!((value(&exact, "kld.mean") / value(&read, "kld.mean") - 1.0).abs() < 0.05);
    assert!(value(&exact, "kld.min") >= -1e-6 && value(&exact, "kld.max") > value(&exact, "kld.p99"));
    let itself = told(&bench, &[&[model.as_str()], &walked[..]].concat());
    assert!(value(&itself, "kld.max").abs() < 1e-12 && (value(&itself, "same_top") - 1.0).abs() < 1e-12);
}

#[test]
fn the_block_is_printed_in_llama_cpps_words_to_its_precision() {
    let (bench, model, variant, text) = bench();
    let ended = divergence(&bench, &[&variant, "--base", &model, "--text", &text, "-c", "64", "--chunks", "8"]);
    assert_eq!(ended.code(), 0, "{}", ended.complaint());
    let said = String::from_utf8(ended.0.stdout).expect("it is text");
    let after = |label: &str| {
        let line = said.lines().find(|line| line.trim_start().starts_with(label)).unwrap_or_else(|| panic!("{label}: {said}"));
        line.trim_start()[label.len()..].trim().to_owned()
    };
    let digits = |number: &str| number.split('.').nth(1).map_or(0, str::len);
    for (label, of) in
        [("Mean PPL(Q)-PPL(base)", 6), ("99.9%   KLD", 6), ("Minimum Δp", 3), ("Cor(ln(PPL(Q)), ln(PPL(base)))", 2)]
    {
        let line = after(label);
        assert_eq!(digits(line.split(' ').next().unwrap_or_default()), of, "{line}");
    }
    assert!(after("Same top p").contains('±') && after("Same top p").contains('['), "{said}");
}

/// What a refusal says, on its first line.
fn refusal(bench: &Bench, arguments: &[&str]) -> String {
    let ended = divergence(bench, arguments);
    assert_eq!(ended.code(), 2, "{arguments:?}: {}", ended.complaint());
    ended.complaint().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn files_and_chunks_that_do_not_fit_are_refused_in_one_sentence() {
    let (bench, model, _, text) = bench();
    let file = bench.path("base.logits");
    let name = file.to_string_lossy().into_owned();
    told(&bench, &[&model, "--text", &text, "-c", "64", "--chunks", "2", "--save-logits", &name]);
    let there = refusal(&bench, &[&model, "--text", &text, "--save-logits", &name]);
    assert!(there.contains("is there already"), "{there}");
    let other = refusal(&bench, &[&model, "--kl-base", &name, "-c", "128"]);
    assert!(other.contains("has chunks of 64 tokens, not of 128"), "{other}");
    let whole = fs::read(&file).expect("it is there");
    let changed = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        let path = bench.path(name);
        fs::write(&path, bytes).expect("it can be written");
        refusal(&bench, &[&model, "--kl-base", &path.to_string_lossy()])
    };
    assert!(changed("short", &|bytes| bytes.truncate(bytes.len() - 7)).contains("it was cut off"));
    assert!(changed("other", &|bytes| bytes[0] = b'G').contains("does not begin with `_logits_`"));
    let narrow = changed("narrow", &|bytes| {
        // One row of a vocabulary of two for each scored token.
        let header = 20 + 2 * 64 * 4;
        bytes.truncate(header + 2 * 31 * 12);
        bytes[12..16].copy_from_slice(&2_i32.to_le_bytes());
        bytes[20..header].fill(0);
    });
    assert!(narrow.contains("the base's 2"), "{narrow}");
    let long = refusal(&bench, &[&model, "--text", &text, "-c", "4096"]);
    assert!(long.contains("need at least 8192"), "{long}");
    let nowhere = refusal(&bench, &[&model, "--text", "nowhere.txt"]);
    assert!(nowhere.contains("cannot read the text nowhere.txt"), "{nowhere}");
    assert!(!Path::new(&bench.path("nowhere.txt")).exists());
}
