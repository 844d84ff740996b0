//! Greedy continuations of prompts with quantgate's own engine, as JSON lines:
//! `cargo run --release --example greedy -- MODEL ARITHMETIC KV TOKENS < PROMPTS`, a prompt a line as a JSON string.
//!
//! Each line has the tokens and, for each of them, by how much its logit lies above the next one. `benches/greedy.py` holds
//! them against llama-server's.
#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use std::error::Error;
use std::io::BufRead;
use std::path::Path;

use quantgate::domain::{Answer, Arithmetic, Generation, KvType, Request};
use quantgate::engine::Engine;
use quantgate::engine::local::{LocalEngine, Settings};
use quantgate::weights::Checkpoint;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, arithmetic, kv, tokens] = arguments.as_slice() else {
        return Err("usage: greedy MODEL ARITHMETIC KV TOKENS < PROMPTS".into());
    };
    let arithmetic = Arithmetic::NAMES.iter().find(|(name, _)| name == arithmetic).ok_or("no such arithmetic")?.1;
    let kv = KvType::NAMES.iter().find(|(name, _)| name == kv).ok_or("no such type of keys and values")?.1;
    let checkpoint = Checkpoint::open(Path::new(model), None)?;
    let tokenizer = checkpoint.tokenizer().clone();
    let vocabulary = checkpoint.config().vocabulary;
    let engine = LocalEngine::load(checkpoint, &Settings { arithmetic, kv, ..Settings::default() })?;
    let prompts: Vec<String> =
        std::io::stdin().lock().lines().map(|line| Ok(serde_json::from_str(&line?)?)).collect::<Result<_, Box<dyn Error>>>()?;
    let max_tokens = tokens.parse()?;
    let generation = Generation { max_tokens, stop: Vec::new(), temperature: 0.0, top_p: 1.0, seed: 0, constraint: None };
    let request = |prompt: &String| Request::Generate { prompt: prompt.clone(), generation: generation.clone() };
    let requests: Vec<Request> = prompts.iter().map(request).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let replies = runtime.block_on(engine.answer(&requests));
    for (prompt, reply) in prompts.iter().zip(replies) {
        let Answer::Text { tokens, .. } = reply.map_err(|failure| failure.message)?.answer else {
            return Err("a prompt is answered by a text".into());
        };
        let encoding = tokenizer.encode(prompt.as_str(), true).map_err(|fault| fault.to_string())?;
        let read = encoding.get_ids().len();
        let ids: Vec<u32> = encoding.get_ids().iter().chain(&tokens).copied().collect();
        // One more: the token that ended the answer, or would follow.
        let rows = engine.logits_after(&ids, read - 1..ids.len()).map_err(|failure| failure.message)?;
        let gaps: Vec<f32> = rows.chunks_exact(vocabulary).map(gap).collect();
        println!("{}", serde_json::json!({ "prompt": read, "tokens": tokens, "gaps": gaps }));
    }
    Ok(())
}

/// By how much the largest logit lies above the next.
fn gap(row: &[f32]) -> f32 {
    let (mut first, mut second) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
    for &x in row {
        if x > first {
            (first, second) = (x, first);
        } else if x > second {
            second = x;
        }
    }
    first - second
}
