//! Times the local engine on one model: `cargo run --release --example engine_speed -- models/demo`.
#![allow(clippy::print_stdout, missing_docs)]

use std::time::Instant;

use quantgate::domain::{Answer, Generation, Request};
use quantgate::engine::Engine as _;
use quantgate::engine::local::{LocalEngine, Settings};
use quantgate::weights::Checkpoint;

/// Processor seconds of this process so far, user and system.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat.rsplit(')').next().unwrap_or("").split_whitespace().map(|x| x.parse().unwrap_or(0.0)).collect();
    fields.get(11..13).map_or(0.0, |times| times.iter().sum::<f64>() / 100.0)
}

fn main() {
    let path = std::env::args().nth(1).unwrap_or_else(|| "models/demo".into());
    let checkpoint = Checkpoint::open(path.as_ref(), None).expect("the model opens");
    let tokenizer = checkpoint.tokenizer().clone();
    let engine = LocalEngine::load(checkpoint, &Settings::default()).expect("the model loads");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
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
    let sets: Vec<(&str, Vec<Request>)> = vec![
        ("perplexity", (0..512).map(|i| Request::Perplexity { text: prose(i) }).collect()),
        (
            "choice",
            (0..512)
                .map(|i| Request::Choice {
                    context: prose(i) + "\nThe animal is a",
                    options: [" bird", " cat of the garden", " dog", " stone"].map(String::from).to_vec(),
                })
                .collect(),
        ),
        ("generate", (0..512).map(|i| Request::Generate { prompt: prose(i), generation: generation.clone() }).collect()),
    ];
    for (name, requests) in sets {
        let texts: Vec<String> = requests
            .iter()
            .map(|r| match r {
                Request::Perplexity { text } => text.clone(),
                Request::Choice { context, .. } => context.clone(),
                Request::Generate { prompt, .. } => prompt.clone(),
                Request::Chat { .. } => String::new(),
            })
            .collect();
        let tokens: usize = texts.iter().map(|text| tokenizer.encode_fast(text.as_str(), true).expect("encodes").len()).sum();
        for _ in 0..3 {
            let (start, before) = (Instant::now(), cpu());
            let answers = runtime.block_on(engine.answer(&requests));
            let (wall, used) = (start.elapsed().as_secs_f64(), cpu() - before);
            let written: usize = answers
                .iter()
                .map(|a| match &a.as_ref().expect("answered").answer {
                    Answer::Text { tokens, .. } => tokens.len(),
                    _ => 0,
                })
                .sum();
            let told: Vec<_> = answers.iter().map(|a| a.as_ref().map(|reply| &reply.answer)).collect();
            let digest = blake3::hash(format!("{told:?}").as_bytes()).to_hex();
            println!(
                "{name:>10} {}: {tokens} tokens read, {written} written, {wall:.3} s wall, {used:.2} s cpu, {:.0} tokens/s wall, {:.0} tokens/s cpu",
                &digest[..8],
                (tokens + written) as f64 / wall,
                (tokens + written) as f64 / used
            );
        }
    }
}
