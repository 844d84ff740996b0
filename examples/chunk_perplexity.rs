//! Perplexity of a model on a text by llama.cpp's chunk protocol, with quantgate's own engine:
//! `cargo run --release --example chunk_perplexity -- MODEL TEXT [TOKENS_A_CHUNK] [ARITHMETIC] [KV]`.
//!
//! The text is cut into chunks of n tokens, the first of each replaced by the beginning-of-sequence token; the tokens
//! after the middle of each chunk are scored. `benches/llama_cpp.sh` holds the number against llama-perplexity's.
#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use std::error::Error;
use std::path::Path;

use quantgate::engine::local::{LocalEngine, Settings};
use quantgate::weights::Checkpoint;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(model), Some(text)) = (arguments.next(), arguments.next()) else {
        return Err("usage: chunk_perplexity MODEL TEXT [TOKENS_A_CHUNK] [ARITHMETIC] [KV]".into());
    };
    let chunk: usize = arguments.next().map_or(Ok(256), |count| count.parse())?;
    let mut settings = Settings::default();
    if let Some(name) = arguments.next() {
        settings.arithmetic = serde_json::from_value(name.into())?;
    }
    if let Some(name) = arguments.next() {
        settings.kv = serde_json::from_value(name.into())?;
    }
    let checkpoint = Checkpoint::open(Path::new(&model), None)?;
    let text = std::fs::read_to_string(text)?;
    let encoding = checkpoint.tokenizer().encode(text, true).map_err(|fault| fault.to_string())?;
    let (vocabulary, first) = (checkpoint.config().vocabulary, checkpoint.special().bos);
    let engine = LocalEngine::load(checkpoint, &settings)?;
    let (mut sum, mut count) = (0.0, 0_usize);
    for tokens in encoding.get_ids().chunks_exact(chunk) {
        let mut tokens = tokens.to_vec();
        if let Some(first) = first {
            tokens[0] = first;
        }
        let logits = engine.logits(&tokens)?;
        for at in chunk / 2..chunk - 1 {
            let row = &logits[at * vocabulary..(at + 1) * vocabulary];
            sum += nll(row, tokens[at + 1] as usize);
            count += 1;
        }
    }
    println!("{:.4}", (sum / count as f64).exp());
    Ok(())
}

/// −ln of the softmax of one row at one token.
fn nll(row: &[f32], token: usize) -> f64 {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|&x| f64::from(x - largest).exp()).sum();
    sum.ln() - f64::from(row[token] - largest)
}
