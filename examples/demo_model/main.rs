//! Makes the demonstration model and its datasets: vocabulary, training corpus, weights, held-out evaluation rows.
//!
//! `cargo run --release --example demo_model -- all` makes everything anew; `-- help` lists the single steps.
#![expect(clippy::print_stdout, reason = "a program of its own, whose output is its progress")]

mod corpus;
mod datasets;
mod families;
mod tokenizer;
mod trainer;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use tokenizers::Tokenizer;

use trainer::Settings;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Makes the demonstration model of quantgate, step by step or all at once.
#[derive(Parser)]
#[command(name = "demo_model")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Train the BPE vocabulary and write tokenizer.json
    Tokenizer {
        #[command(flatten)]
        model: Model,
        /// Examples of the corpus that the vocabulary is learned from
        #[arg(long, default_value_t = 60_000)]
        examples: u64,
        /// Seed of the corpus
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Write the packed training corpus (tokens.u16, documents.u16)
    Corpus {
        #[command(flatten)]
        model: Model,
        #[command(flatten)]
        work: Work,
        /// Examples to draw; the curriculum spreads over them
        #[arg(long, default_value_t = 1_200_000)]
        examples: u64,
        /// Seed of the corpus
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Train the weights on the corpus, going on from a checkpoint if there is one
    Train {
        #[command(flatten)]
        model: Model,
        #[command(flatten)]
        work: Work,
        #[command(flatten)]
        recipe: Recipe,
    },
    /// Write the evaluation datasets and their manifest
    Data {
        /// Folder of the datasets
        #[arg(long, default_value = "datasets")]
        out: PathBuf,
    },
    /// All of it, in order; the finished weights replace those in the model's folder
    All {
        #[command(flatten)]
        model: Model,
        #[command(flatten)]
        work: Work,
        #[command(flatten)]
        recipe: Recipe,
    },
}

#[derive(Args)]
struct Model {
    /// Folder of the model (config.json, tokenizer.json)
    #[arg(long, default_value = "models/demo")]
    model: PathBuf,
}

#[derive(Args)]
struct Work {
    /// Folder of the corpus, the checkpoint and the new weights
    #[arg(long, default_value = "target/demo_model")]
    out: PathBuf,
}

#[derive(Args)]
struct Recipe {
    /// Steps of the schedule
    #[arg(long, default_value_t = 7_000)]
    steps: usize,
    /// Stop before this step, to go on later
    #[arg(long)]
    until: Option<usize>,
    /// Rows of 256 tokens per step
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Threads; all cores where not given
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Seed of the initial weights
    #[arg(long, default_value_t = 1)]
    init_seed: u64,
}

fn main() -> Result<(), Error> {
    match Cli::parse().verb {
        Verb::Tokenizer { model, examples, seed } => make_tokenizer(&model.model, seed, examples),
        Verb::Corpus { model, work, examples, seed } => make_corpus(&model.model, &work.out, seed, examples),
        Verb::Train { model, work, recipe } => trainer::train(&settings(&model, &work, &recipe)),
        Verb::Data { out } => make_datasets(&out),
        Verb::All { model, work, recipe } => {
            make_tokenizer(&model.model, 1, 60_000)?;
            make_corpus(&model.model, &work.out, 1, 1_200_000)?;
            trainer::train(&settings(&model, &work, &recipe))?;
            fs::copy(work.out.join(trainer::WEIGHTS), model.model.join(trainer::WEIGHTS))?;
            make_datasets(Path::new("datasets"))
        }
    }
}

fn make_tokenizer(model: &Path, seed: u64, examples: u64) -> Result<(), Error> {
    let path = model.join("tokenizer.json");
    tokenizer::train(&path, seed, examples)?;
    println!("{}: {} tokens from {examples} examples", path.display(), tokenizer::VOCABULARY);
    Ok(())
}

fn make_corpus(model: &Path, out: &Path, seed: u64, examples: u64) -> Result<(), Error> {
    fs::create_dir_all(out)?;
    let rows = corpus::write(out, &Tokenizer::from_file(model.join("tokenizer.json"))?, seed, examples)?;
    println!("{}: {rows} rows of {} tokens from {examples} examples", out.display(), corpus::ROW);
    Ok(())
}

fn make_datasets(out: &Path) -> Result<(), Error> {
    for (file, rows) in datasets::write(out)? {
        println!("{}: {rows} rows", out.join(file).display());
    }
    Ok(())
}

fn settings(model: &Model, work: &Work, recipe: &Recipe) -> Settings {
    Settings {
        config: model.model.join("config.json"),
        folder: work.out.clone(),
        steps: recipe.steps,
        until: recipe.until.unwrap_or(recipe.steps).min(recipe.steps),
        batch: recipe.batch,
        threads: recipe.threads,
        seed: recipe.init_seed,
    }
}
