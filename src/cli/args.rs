//! The command line as typed: flags, their environment names and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::divergence::DivergenceArgs;
use super::power::{Assumption, assumption};
use crate::harness::Format;

/// Decides, with statistical evidence, whether a quantized language model may replace its full-precision original.
///
/// Without a command, runs the plan in `quantgate.toml`.
#[derive(Debug, Parser)]
#[command(
    name = "quantgate",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Exit codes: 0 PASS · 1 FAIL · 2 usage or configuration error · 3 INCONCLUSIVE · 4 INVALID · 70 internal error · 130 interrupted"
)]
pub(super) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    /// Flags of `run`, which is what happens without a command.
    #[command(flatten)]
    pub(super) run: RunArgs,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Ask canary and variants, compare them and give the verdict
    Run(RunArgs),
    /// Make a run's reports again from its journal, byte for byte
    Report(ReportArgs),
    /// Give the verdict on a finished run, with its own policy or another
    Gate(GateArgs),
    /// Compare results that another program wrote (lm-evaluation-harness, `inspect_ai`, promptfoo, `OpenAI` evals, CSV, JSON lines)
    Compare(CompareArgs),
    /// Say what a plan can show before anything is asked: samples needed, chance of a PASS, tasks that can never pass
    Power(PowerArgs),
    /// Write a model as GGUF in another quantization
    Quantize(QuantizeArgs),
    /// Measure a model on a text by llama.cpp's protocol: its perplexity, or how far it lies from its base
    Divergence(DivergenceArgs),
    /// Ask each subject of a plan once, and say what is known of it: address, region, path, model, abilities, limits
    Doctor(DoctorArgs),
    /// Write a commented plan to start from
    Init(InitArgs),
}

/// Flags of `run`.
#[derive(Args, Clone, Debug)]
pub(super) struct RunArgs {
    /// The plan
    #[arg(default_value = "quantgate.toml", value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// A suite to run in place of the plan's (may be repeated)
    #[arg(long = "suite", env = "QUANTGATE_SUITES", value_name = "FILE", value_delimiter = ',')]
    pub(super) suites: Option<Vec<PathBuf>>,
    /// Seed of everything random, in place of the plan's
    #[arg(long, env = "QUANTGATE_SEED")]
    pub(super) seed: Option<u64>,
    /// Ask only this many samples of each task (a seeded subset)
    #[arg(long, env = "QUANTGATE_LIMIT", value_name = "N")]
    pub(super) limit: Option<usize>,
    /// Go on with a run that was stopped: the newest unfinished one, or this folder; where none is unfinished, the newest
    /// run of this plan is reported again, or a new one begins
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "latest")]
    pub(super) resume: Option<PathBuf>,
    /// The folder that run folders are made in
    #[arg(long, env = "QUANTGATE_REPORTS", value_name = "DIR")]
    pub(super) reports: Option<PathBuf>,
    /// The folder that quantized variants and answers are kept in
    #[arg(long, env = "QUANTGATE_CACHE", value_name = "DIR")]
    pub(super) cache: Option<PathBuf>,
    /// Requests under way at once, for each subject that has a machine of its own
    #[arg(long, env = "QUANTGATE_CONCURRENCY", value_name = "N", value_parser = at_least_one)]
    pub(super) concurrency: Option<usize>,
    /// Threads of the in-process engine [default: one per core]
    #[arg(long, env = "QUANTGATE_THREADS", value_name = "N", value_parser = at_least_one)]
    pub(super) threads: Option<usize>,
    /// Samples of a batch of the in-process engine
    #[arg(long, env = "QUANTGATE_BATCH", value_name = "N", default_value = "128", value_parser = at_least_one)]
    pub(super) batch: usize,
    /// Memory that each subject in this process may take beside its model's own, as in 2GB or 512MiB: what it remembers of
    /// prompts, and what it computes with [default: 512MiB]
    #[arg(long, env = "QUANTGATE_MEMORY", value_name = "SIZE", value_parser = size)]
    pub(super) memory: Option<u64>,
    /// Ask for every answer again, also for those that are kept from earlier runs of the same models
    #[arg(long, env = "QUANTGATE_FRESH", value_parser = clap::builder::FalseyValueParser::new())]
    pub(super) fresh: bool,
    /// Plain lines in place of progress bars
    #[arg(long, env = "QUANTGATE_NO_PROGRESS", value_parser = clap::builder::FalseyValueParser::new())]
    pub(super) no_progress: bool,
    /// Tell of each attempt at a question as it ends, on standard error (-vv: more of its text, -vvv: all of it)
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Print each setting, its value and where that came from, and stop
    #[arg(long)]
    pub(super) show_settings: bool,
}

/// Flags of `report`.
#[derive(Args, Clone, Debug)]
pub(super) struct ReportArgs {
    /// A run's folder, or `latest`
    #[arg(default_value = "latest", value_name = "RUN")]
    pub(super) run: PathBuf,
    /// The folder that `latest` looks in
    #[arg(long, env = "QUANTGATE_REPORTS", value_name = "DIR", default_value = "reports")]
    pub(super) reports: PathBuf,
}

/// Flags of `gate`.
#[derive(Args, Clone, Debug)]
pub(super) struct GateArgs {
    /// A run's folder, or `latest`
    #[arg(default_value = "latest", value_name = "RUN")]
    pub(super) run: PathBuf,
    /// A TOML file whose [policy] is used in place of the run's own
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Option<PathBuf>,
    /// The folder that `latest` looks in
    #[arg(long, env = "QUANTGATE_REPORTS", value_name = "DIR", default_value = "reports")]
    pub(super) reports: PathBuf,
}

/// Flags of `compare`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "A path may have a name in front, as in q4=out/q4, and where it holds several models one of them behind it, as in results.json#MODEL.
The margin is chosen before the results are looked at. Exit codes are those of `quantgate run`."
)]
pub(super) struct CompareArgs {
    /// The full-precision model's results: a file or folder
    #[arg(value_name = "CANARY")]
    pub(super) canary: String,
    /// The quantized models' results
    #[arg(value_name = "VARIANT", required = true)]
    pub(super) variants: Vec<String>,
    /// A TOML file with a [policy]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["margin", "recovery"])]
    pub(super) policy: Option<PathBuf>,
    /// The largest tolerated loss on every task: percentage points (2pp) or a share (0.02)
    #[arg(long, value_name = "MARGIN", value_parser = super::compare::margin, conflicts_with = "recovery")]
    pub(super) margin: Option<f64>,
    /// The share of the canary's score that must be kept on every task: 0.99
    #[arg(long, value_name = "SHARE", value_parser = super::compare::recovery)]
    pub(super) recovery: Option<f64>,
    /// One-sided error of each claim, in place of the policy's [default: 0.05]
    #[arg(long, value_parser = super::compare::alpha)]
    pub(super) alpha: Option<f64>,
    /// Which score counts, for every task or for one: `acc_norm`, or `TASK=acc_norm` (may be repeated) [default: the first]
    #[arg(long = "metric", value_name = "NAME")]
    pub(super) metrics: Vec<String>,
    /// A task to compare (may be repeated) [default: all]
    #[arg(long = "task", value_name = "NAME")]
    pub(super) tasks: Vec<String>,
    /// A variant that is known to be bad, by its name, and must fail (may be repeated)
    #[arg(long = "control", value_name = "NAME")]
    pub(super) controls: Vec<String>,
    /// The files' format, where it can't be told from their content
    #[arg(long, value_name = "FORMAT", value_parser = super::compare::format)]
    pub(super) format: Option<Format>,
    /// A member of the samples' documents, metadata or columns whose value names a sample's slice
    #[arg(long, value_name = "FIELD")]
    pub(super) slice: Option<String>,
    /// One whose value marks samples that are not independent (a shared passage)
    #[arg(long, value_name = "FIELD")]
    pub(super) cluster: Option<String>,
    /// The folder that the folder of reports is made in
    #[arg(long, env = "QUANTGATE_REPORTS", value_name = "DIR", default_value = "reports")]
    pub(super) reports: PathBuf,
    /// The folder to write the reports to, in place of a new one
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

/// Flags of `power`.
#[derive(Args, Clone, Debug)]
pub(super) struct PowerArgs {
    /// The plan
    #[arg(default_value = "quantgate.toml", value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// Share of items that are expected to flip, for all tasks or one; otherwise as the newest runs measured it, or 4% (may be
    /// repeated)
    #[arg(long, value_name = "[TASK=]SHARE", value_parser = assumption, value_delimiter = ',')]
    pub(super) flips: Vec<Assumption>,
    /// What a variant is expected to lose in truth, for all tasks or one [default: nothing]
    #[arg(long, value_name = "[TASK=]SHARE", value_parser = assumption, value_delimiter = ',')]
    pub(super) loss: Vec<Assumption>,
    /// The canary's expected score, for all tasks or one, which matters to a recovery; otherwise as the newest runs measured it,
    /// the middle of the suite's band, or 80%
    #[arg(long, value_name = "[TASK=]SHARE", value_parser = assumption, value_delimiter = ',')]
    pub(super) canary: Vec<Assumption>,
    /// The probability of a PASS that is planned for
    #[arg(long, value_name = "SHARE", default_value = "80%", value_parser = probability)]
    pub(super) power: f64,
    /// A TOML file whose [policy] is used in place of the plan's
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Option<PathBuf>,
    /// A suite in place of the plan's (may be repeated)
    #[arg(long = "suite", env = "QUANTGATE_SUITES", value_name = "FILE", value_delimiter = ',')]
    pub(super) suites: Option<Vec<PathBuf>>,
    /// Seed of everything random, in place of the plan's
    #[arg(long, env = "QUANTGATE_SEED")]
    pub(super) seed: Option<u64>,
    /// As if only this many samples of each task were asked
    #[arg(long, env = "QUANTGATE_LIMIT", value_name = "N")]
    pub(super) limit: Option<usize>,
    /// The folder with the runs that flips are taken from
    #[arg(long, env = "QUANTGATE_REPORTS", value_name = "DIR")]
    pub(super) reports: Option<PathBuf>,
    /// JSON in place of a table
    #[arg(long)]
    pub(super) json: bool,
}

/// Flags of `quantize`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "The file's types and bytes are those of llama-quantize.

Examples:
  quantgate quantize models/demo --to q4_k_m
  quantgate quantize models/demo --to q4_k_m --imatrix imatrix.gguf --out demo-q4_k_m.gguf
  quantgate quantize model-f32.gguf --to q8_0")]
pub(super) struct QuantizeArgs {
    /// A Hugging Face folder, a safetensors file or a GGUF file in f32, f16 or bf16
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// A type, as `llama-quantize` names it: `f32`, `f16`, `bf16`, `q8_0`, `q6_k`, `q5_1`, `q5_0`, `q4_1`, `q4_0`, `q2_k`, `q2_k_s`, or a
    /// mix: `q5_k_m`, `q5_k_s`, `q4_k_m`, `q4_k_s`, `q3_k_l`, `q3_k_m`, `q3_k_s` (`q5_k`, `q4_k` and `q3_k` are the `_m` mixes)
    #[arg(long, value_name = "TYPE")]
    pub(super) to: String,
    /// llama.cpp's importance matrix, as `llama-imatrix` writes it (GGUF or `.dat`): errors are weighed by it
    #[arg(long, value_name = "FILE")]
    pub(super) imatrix: Option<PathBuf>,
    /// The GGUF file to write [default: the model's name with the type, in the current folder]
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// A tokenizer.json to use in place of the model's own
    #[arg(long, value_name = "FILE")]
    pub(super) tokenizer: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub(super) force: bool,
}

/// Flags of `doctor`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Exit codes: 0 nothing is bad · 2 something keeps a run from starting · 4 a comparison with the canary would be INVALID"
)]
pub(super) struct DoctorArgs {
    /// The plan
    #[arg(default_value = "quantgate.toml", value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// A suite in place of the plan's (may be repeated)
    #[arg(long = "suite", env = "QUANTGATE_SUITES", value_name = "FILE", value_delimiter = ',')]
    pub(super) suites: Option<Vec<PathBuf>>,
    /// The folder that quantized variants are kept in
    #[arg(long, env = "QUANTGATE_CACHE", value_name = "DIR")]
    pub(super) cache: Option<PathBuf>,
    /// Memory that each subject in this process may take beside its model's own, as in 2GB or 512MiB: what it remembers of
    /// prompts, and what it computes with [default: 512MiB]
    #[arg(long, env = "QUANTGATE_MEMORY", value_name = "SIZE", value_parser = size)]
    pub(super) memory: Option<u64>,
    /// JSON in place of lines
    #[arg(long)]
    pub(super) json: bool,
}

/// Flags of `init`.
#[derive(Args, Clone, Debug)]
pub(super) struct InitArgs {
    /// Where to write it
    #[arg(default_value = "quantgate.toml", value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    pub(super) force: bool,
}

/// Reads a count that may not be zero.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(fault) => Err(fault.to_string()),
    }
}

/// Reads a number of bytes with its unit: of thousands (kB, MB, GB) or of 1024 (KiB, MiB, GiB; K, M, G).
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_alphabetic() || c == ' ');
    let unit: u64 = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        other => return Err(format!("there is no unit `{other}`: there are kB, MB, GB, KiB, MiB and GiB")),
    };
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok((number * unit as f64) as u64),
        _ => Err("must be a size above nothing, as in 2GB".to_owned()),
    }
}

/// Reads a probability strictly between 0 and 1.
fn probability(text: &str) -> Result<f64, String> {
    let share = assumption(text)?.share;
    if share > 0.0 && share < 1.0 { Ok(share) } else { Err("must be more than 0 and less than 1".to_owned()) }
}
