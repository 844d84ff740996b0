//! Times the local engine on one model: `cargo run --release --example engine_speed -- models/demo`.
//!
//! * without flags: documents, choices and texts made up here;
//! * `--items FILE [--out FILE]`: choices from JSON lines of `context` and `options`, in batches of `--batch` (128) as a run
//!   sends them; `--out` gets each option's log-likelihood;
//! * `--prefill N --decode M`: reading N tokens, and writing M after one, `--repeat` (5) times.
//!
//! `--arithmetic NAME`, `--memory BYTES` and `--threads N` say how. Times are printed as JSON lines, in seconds.
#![allow(clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use quantgate::domain::{Answer, Arithmetic, Generation, Request};
use quantgate::engine::Engine as _;
use quantgate::engine::local::{LocalEngine, Settings};
use quantgate::weights::Checkpoint;
use tokio::runtime::Runtime;

/// Processor seconds of this process so far, user and system.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat.rsplit(')').next().unwrap_or("").split_whitespace().map(|x| x.parse().unwrap_or(0.0)).collect();
    fields.get(11..13).map_or(0.0, |times| times.iter().sum::<f64>() / 100.0)
}

/// Most main memory that this process had, in MiB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// The flags by their names, and the model.
fn arguments() -> (String, BTreeMap<String, String>) {
    let (mut model, mut flags) = ("models/demo".to_owned(), BTreeMap::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.strip_prefix("--") {
            Some(flag) => {
                flags.insert(flag.to_owned(), words.next().expect("a flag has a value"));
            }
            None => model = word,
        }
    }
    (model, flags)
}

fn main() {
    let began = Instant::now();
    let (path, flags) = arguments();
    let number = |name: &str, or: usize| flags.get(name).map_or(or, |value| value.parse().expect("a number"));
    if let Some(threads) = flags.get("threads") {
        let threads = threads.parse().expect("a number");
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("it is built once");
    }
    let named = |name: &String| Arithmetic::NAMES.iter().find(|(known, _)| known == name).expect("an arithmetic's name").1;
    let settings = Settings {
        arithmetic: flags.get("arithmetic").map(named).unwrap_or_default(),
        memory: flags.get("memory").map(|bytes| bytes.parse().expect("a number of bytes")),
        ..Settings::default()
    };
    let checkpoint = Checkpoint::open(path.as_ref(), None).expect("the model opens");
    let opened = began.elapsed().as_secs_f64();
    let vocabulary = checkpoint.tokenizer().get_vocab_size(true) as u32;
    let engine = LocalEngine::load(checkpoint, &settings).expect("the model loads");
    println!(r#"{{"opened": {opened:.3}, "loaded": {:.3}, "peak_mib": {:.0}}}"#, began.elapsed().as_secs_f64(), peak());
    let runtime = Runtime::new().expect("a runtime");
    if let Some(items) = flags.get("items") {
        choices(&runtime, &engine, (items, number("batch", 128)), flags.get("out"));
    } else if flags.contains_key("prefill") || flags.contains_key("decode") {
        bench(&runtime, &engine, vocabulary, (number("prefill", 512), number("decode", 64), number("repeat", 5)));
    } else {
        made_up(&runtime, &engine);
    }
    println!(r#"{{"process": {:.3}, "peak_mib": {:.0}}}"#, began.elapsed().as_secs_f64(), peak());
}

/// Scores choices from a file.
fn choices(runtime: &Runtime, engine: &LocalEngine, (items, batch): (&str, usize), out: Option<&String>) {
    let read = std::fs::read_to_string(items).expect("the items can be read");
    let request = |line: &str| {
        let item: serde_json::Value = serde_json::from_str(line).expect("an item is JSON");
        let options = item["options"].as_array().expect("it has options").iter();
        let options = options.map(|option| option.as_str().expect("a text").to_owned()).collect();
        Request::Choice { context: item["context"].as_str().expect("it has a context").to_owned(), options }
    };
    let requests: Vec<Request> = read.lines().map(request).collect();
    let (start, before) = (Instant::now(), cpu());
    let mut told = String::new();
    for batch in requests.chunks(batch) {
        for answer in runtime.block_on(engine.answer(batch)) {
            let Answer::Choice { options } = answer.expect("answered").answer else { panic!("a choice has scores") };
            let scores: Vec<f64> = options.iter().map(|option| option.log_likelihood).collect();
            writeln!(told, "{scores:?}").expect("a text grows");
        }
    }
    let (wall, used) = (start.elapsed().as_secs_f64(), cpu() - before);
    println!(r#"{{"items": {}, "scoring": {wall:.3}, "cpu": {used:.2}}}"#, requests.len());
    if let Some(out) = out {
        std::fs::write(out, told).expect("it can be written");
    }
}

/// Reads and writes tokens that mean nothing.
fn bench(runtime: &Runtime, engine: &LocalEngine, vocabulary: u32, (prefill, decode, repeat): (usize, usize, usize)) {
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let (mut read, mut written) = (Vec::new(), Vec::new());
    for round in 0..=repeat as u32 {
        let ids: Vec<u32> = (0..prefill as u32).map(|i| 8 + (i * 7_919 + (round + 1) * 104_729) % (vocabulary - 8)).collect();
        let start = Instant::now();
        engine.logits_after(&ids, prefill - 1..prefill).expect("it fits");
        read.push(start.elapsed().as_secs_f64());
        let prompt = char::from(b'a' + (round % 26) as u8).to_string();
        let generation = Generation { max_tokens: decode, stop: vec![], temperature: 0.0, top_p: 1.0, seed: 1, constraint: None };
        let start = Instant::now();
        let answer = runtime.block_on(engine.answer(&[Request::Generate { prompt, generation }])).remove(0).expect("answered");
        let Answer::Text { tokens, .. } = answer.answer else { panic!("a text") };
        written.push(start.elapsed().as_secs_f64() / tokens.len().max(1) as f64 * decode as f64);
    }
    // The first round warms up.
    let (read, written) = (median(read.split_off(1)), median(written.split_off(1)));
    let speed = |tokens: usize, time: f64| tokens as f64 / time;
    println!(
        r#"{{"prefill": {read:.4}, "prefill_tokens_per_second": {:.2}, "decode": {written:.4}, "decode_tokens_per_second": {:.2}}}"#,
        speed(prefill, read),
        speed(decode, written)
    );
}

/// Documents, choices and texts.
fn made_up(runtime: &Runtime, engine: &LocalEngine) {
    let prose = |i: usize| {
        format!(
            "Item {i}: the old man by the church counts {} boats and {} birds, writes their names in a small book, and goes home to the garden under the hill before the rain. {}",
            i * 7 % 91,
            i * 13 % 57,
            "Then he reads. ".repeat(i % 9)
        )
    };
    let generation =
        Generation { max_tokens: 24, stop: vec!["\n".into()], temperature: 0.0, top_p: 1.0, seed: 1, constraint: None };
    let options = [" bird", " cat of the garden", " dog", " stone"].map(String::from).to_vec();
    let choice = |i| Request::Choice { context: prose(i) + "\nThe animal is a", options: options.clone() };
    let sets: Vec<(&str, Vec<Request>)> = vec![
        ("perplexity", (0..512).map(|i| Request::Perplexity { text: prose(i) }).collect()),
        ("choice", (0..512).map(choice).collect()),
        ("generate", (0..512).map(|i| Request::Generate { prompt: prose(i), generation: generation.clone() }).collect()),
    ];
    for (name, requests) in sets {
        for _ in 0..3 {
            let (start, before) = (Instant::now(), cpu());
            let answers = runtime.block_on(engine.answer(&requests));
            let (wall, used) = (start.elapsed().as_secs_f64(), cpu() - before);
            let told: Vec<_> = answers.iter().map(|a| a.as_ref().map(|reply| &reply.answer)).collect();
            let digest = blake3::hash(format!("{told:?}").as_bytes()).to_hex();
            println!(r#"{{"{name}": "{}", "wall": {wall:.3}, "cpu": {used:.2}}}"#, &digest[..8]);
        }
    }
}
