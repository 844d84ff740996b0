//! Times the arithmetics of the local engine on one model:
//! `cargo run --release --example kernel_speed -- MODEL.gguf [ARITHMETIC] [REPEATS]`.
//!
//! Prints the prefill of about 512 tokens and the greedy decoding of 64, in tokens a second of wall time and of processor
//! time, next to what `llama-bench -p 512 -n 64` prints for the same file.
#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use std::error::Error;
use std::path::Path;
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

/// The largest resident size so far, and the present one's anonymous part, in MB.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |name: &str| status.lines().find(|line| line.starts_with(name)).map(|line| line.split_whitespace().nth(1));
    let mb = |name| line(name).flatten().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) >> 10;
    format!("peak {} MB, now {} MB of which {} MB mapped from files", mb("VmHWM"), mb("VmRSS"), mb("RssFile"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(model) = arguments.next() else { return Err("usage: kernel_speed MODEL [ARITHMETIC] [REPEATS]".into()) };
    let mut settings = Settings::default();
    if let Some(name) = arguments.next() {
        settings.arithmetic = serde_json::from_value(name.into())?;
    }
    let repeats: usize = arguments.next().map_or(Ok(3), |count| count.parse())?;
    let start = Instant::now();
    let checkpoint = Checkpoint::open(Path::new(&model), None)?;
    let tokenizer = checkpoint.tokenizer().clone();
    let engine = LocalEngine::load(checkpoint, &settings)?;
    println!("loaded in {:.2} s; {}", start.elapsed().as_secs_f64(), resident());
    let runtime = tokio::runtime::Runtime::new()?;
    for repeat in 0..=repeats {
        // Every text differs from its first word on: nothing of it is remembered from the one before.
        let mut context = format!("{repeat}");
        let count = |text: &str| tokenizer.encode_fast(text, true).map_or(0, |encoding| encoding.len());
        while count(&context) < 512 {
            context.push_str([" birds", " and", " the", " garden", " of 7"][context.len() * 7 % 5]);
        }
        let read = count(&context);
        let prefill = Request::Choice { context, options: vec![" a".to_owned()] };
        let generation = Generation { max_tokens: 64, stop: vec![], temperature: 0.0, top_p: 1.0, seed: 0, constraint: None };
        let decode = Request::Generate { prompt: format!("{repeat} one"), generation };
        for (name, request, tokens) in [("pp", prefill, Some(read)), ("tg", decode, None)] {
            let (start, before) = (Instant::now(), cpu());
            let answers = runtime.block_on(engine.answer(&[request]));
            let (wall, used) = (start.elapsed().as_secs_f64(), cpu() - before);
            let answer = answers.into_iter().next().ok_or("an answer to each request")??.answer;
            let tokens = match (tokens, answer) {
                (Some(tokens), _) => tokens,
                (None, Answer::Text { tokens, .. }) => tokens.len(),
                (None, _) => 0,
            } as f64;
            let first = if repeat == 0 { " (first: weights are packed)" } else { "" };
            println!("{name}{tokens}: {:.1} tokens/s, {:.1} a processor second{first}", tokens / wall, tokens / used);
        }
    }
    println!("{}", resident());
    Ok(())
}
