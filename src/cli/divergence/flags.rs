//! Flags of `divergence` as typed: chunks, files and how the model is computed.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::at_least_one;
use crate::domain::{Arithmetic, KvType};

/// Flags of `divergence`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "The text is tokenized once, cut into chunks, and of each chunk the tokens behind the middle are scored. With neither --base nor
--kl-base the model's perplexity is printed. What stands behind ± is llama.cpp's: one standard error as if tokens were
independent. What stands in brackets is the 95 % interval over chunks, which allows that tokens of a chunk are alike."
)]
pub(in crate::cli) struct DivergenceArgs {
    /// The model: a GGUF file, a Hugging Face folder or a safetensors file
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// The full-precision model that it is laid beside, chunk by chunk; nothing is stored
    #[arg(long, value_name = "MODEL", conflicts_with = "kl_base")]
    pub(super) base: Option<PathBuf>,
    /// A `_logits_` file to lay it beside, as `llama-perplexity --kl-divergence-base` and --save-logits write them; text and
    /// chunks are the file's
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    pub(super) kl_base: Option<PathBuf>,
    /// The text
    #[arg(long, value_name = "FILE", required_unless_present = "kl_base")]
    pub(super) text: Option<PathBuf>,
    /// Tokens of a chunk [default: 512]
    #[arg(short = 'c', long, value_name = "N", value_parser = at_least_one)]
    pub(super) context: Option<usize>,
    /// Round the base of --base as a `_logits_` file would, 16 nats deep, to get llama.cpp's numbers without the file
    #[arg(long, requires = "base")]
    pub(super) as_stored: bool,
    /// Only this many chunks
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) chunks: Option<usize>,
    /// A `_logits_` file to write the model's own distributions to
    #[arg(long, value_name = "FILE")]
    pub(super) save_logits: Option<PathBuf>,
    /// How the model multiplies: `weights-f32` or `ggml`; the base is computed in `weights-f32`
    #[arg(long, value_name = "NAME", value_parser = arithmetic, default_value = Arithmetic::WeightsF32.name())]
    pub(super) arithmetic: Arithmetic,
    /// What the model's keys and values are rounded to: `f32`, `f16`, `q8_0` or `q4_0`; the base's are f32
    #[arg(long, value_name = "TYPE", value_parser = kv, default_value = KvType::F32.name())]
    pub(super) kv: KvType,
    /// A tokenizer.json to use in place of the models' own
    #[arg(long, value_name = "FILE")]
    pub(super) tokenizer: Option<PathBuf>,
    /// Threads [default: one per core]
    #[arg(long, env = "QUANTGATE_THREADS", value_name = "N", value_parser = at_least_one)]
    pub(super) threads: Option<usize>,
    /// Replace a file that is there
    #[arg(long)]
    pub(super) force: bool,
    /// JSON in place of lines
    #[arg(long)]
    pub(super) json: bool,
}

/// Reads the name of an arithmetic.
fn arithmetic(text: &str) -> Result<Arithmetic, String> {
    named(&Arithmetic::NAMES, text)
}

/// Reads the name of a type for keys and values.
fn kv(text: &str) -> Result<KvType, String> {
    named(&KvType::NAMES, text)
}

fn named<T: Copy>(all: &[(&str, T)], text: &str) -> Result<T, String> {
    let found = all.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    found.ok_or_else(|| format!("there are {}", names.join(", ")))
}
