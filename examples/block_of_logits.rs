//! The statistics of `quantgate divergence` of logits that another program computed, beside a `_logits_` file, as JSON:
//! `cargo run --release --example block_of_logits -- KL_BASE LOGITS`.
//!
//! LOGITS holds the rows of every chunk's scored tokens as f32. `benches/divergence.sh` takes llama.cpp's own, so that what is
//! compared is the reading of the file and the statistics alone.
#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use quantgate::harness::LogitsReader;
use quantgate::metric::{Rows, ScoredChunks, block, stored_divergence};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(base), Some(logits)) = (arguments.next(), arguments.next()) else {
        return Err("usage: block_of_logits KL_BASE LOGITS".into());
    };
    let mut base = LogitsReader::open(Path::new(&base))?;
    let mut logits = BufReader::new(File::open(logits)?);
    let chunks = base.chunks().clone();
    let (mut scored, mut rows) = (ScoredChunks::default(), Vec::new());
    for chunk in chunks.tokens.chunks_exact(chunks.context) {
        base.next(&mut rows)?;
        let mut bytes = vec![0; 4 * rows.len()];
        logits.read_exact(&mut bytes)?;
        let own: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let of = |rows| Rows { tokens: &chunk[chunks.first() + 1..], rows, vocabulary: chunks.vocabulary };
        let (nll, apart) = stored_divergence(of(&rows), of(&own));
        scored.push(nll, Some(apart));
    }
    let block = block(&scored).ok_or("a number is not finite")?;
    let told: BTreeMap<&str, BTreeMap<&str, f64>> = block
        .iter()
        .flat_map(|part| &part.figures)
        .map(|figure| {
            let error = figure.error.map(|error| ("error", error));
            (figure.key, [("value", figure.value)].into_iter().chain(error).collect())
        })
        .collect();
    println!("{}", serde_json::json!({ "figures": told }));
    Ok(())
}
