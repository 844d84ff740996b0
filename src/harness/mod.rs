//! Result files of other evaluation harnesses: which tasks they hold, and each sample's score, read as a stream.
//!
//! A file's texts are never held: a row carries a 128-bit key, a score, a few flags and where its entry begins, so that the
//! texts of the few samples that flipped can be fetched afterwards ([`Source::excerpt`]).

mod detect;
mod error;
mod inspect;
mod json;
mod lm_eval;
mod logits;
mod openai;
mod pair;
mod plain;
mod promptfoo;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use detect::open;
pub use error::{HarnessError, Place};
pub use logits::{Chunks, LogitsError, LogitsReader, LogitsWriter, as_stored};
pub use pair::{PlacedSink, Roll, Rows, alike};

use crate::domain::{Digest, RequestKind, TaskName};

/// Who wrote a file, and how it is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// lm-evaluation-harness: a folder with `samples_<task>_<time>.jsonl` and `results_<time>.json` (`--log_samples`).
    LmEval,
    /// `inspect_ai`: a JSON log, or a folder of them.
    Inspect,
    /// promptfoo: the results file of `promptfoo eval --output results.json` (version 3).
    Promptfoo,
    /// OpenAI: a log of `oaieval`, or the output items of an evaluation run of the API, as JSON lines.
    OpenAi,
    /// A table with an id and a score: CSV with a header, or JSON lines.
    Plain,
}

impl Format {
    /// Every format with its name on the command line.
    pub const ALL: [(&'static str, Self); 5] = [
        ("lm-eval", Self::LmEval),
        ("inspect", Self::Inspect),
        ("promptfoo", Self::Promptfoo),
        ("openai", Self::OpenAi),
        ("plain", Self::Plain),
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, format)| *format == self).map_or("plain", |(word, _)| word)
    }
}

/// A file that scores are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Digest of its content.
    pub digest: Digest,
    /// Its length in bytes.
    pub bytes: u64,
}

/// One way of scoring a task's samples.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricHead {
    /// Its name, unique within the task: `acc`, `exact_match,strict-match`.
    pub name: String,
    /// Whether larger scores are better.
    pub higher_is_better: bool,
    /// The program's own number for the task, where its files tell.
    pub reported: Option<f64>,
}

/// One task of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskHead {
    /// Unique within the source.
    pub name: TaskName,
    /// How it asks, as far as the files tell.
    pub kind: RequestKind,
    /// Accuracy of guessing: one over the number of options for choice, else 0.
    pub chance: f64,
    /// At least one; the first is the one to take where none is asked for.
    pub metrics: Vec<MetricHead>,
    /// Rows (samples × epochs) that the files announce.
    pub announced: Option<u64>,
    /// What must be the same on both sides for a fair comparison, by name.
    pub settings: BTreeMap<String, String>,
    /// Which of the source's files holds it.
    file: usize,
    /// What tells its rows from others in the same file, as the format needs it.
    pick: Vec<String>,
}

impl TaskHead {
    /// The metric of a name, or the first of a family: `exact_match` is the first of `exact_match,strict` and
    /// `exact_match,flexible`.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&MetricHead> {
        let family = |head: &&MetricHead| head.name.split(',').next() == Some(name);
        self.metrics.iter().find(|head| head.name == name).or_else(|| self.metrics.iter().find(family))
    }
}

/// One model's results.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The layout of its files.
    pub format: Format,
    /// The program that wrote them, with its version where they tell.
    pub program: String,
    /// The model, as the program names it.
    pub model: String,
    /// Number of weights; 0 where the files don't tell.
    pub parameters: u64,
    /// Its files, in the order of their paths.
    pub files: Vec<ResultFile>,
    /// Its tasks, by name.
    pub tasks: Vec<TaskHead>,
    /// What else the files tell that a reader should know of it, by name.
    pub details: BTreeMap<String, String>,
    /// What was left out or could not be checked, a sentence each.
    pub notes: Vec<String>,
}

/// Members of a sample's document or metadata (columns, in a table) that group samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    /// The member whose value names a sample's slice.
    pub slice: Option<String>,
    /// The member whose value names a sample's cluster.
    pub cluster: Option<String>,
}

/// One sample's score, once for each epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'a> {
    /// What it is paired on: the same sample has the same key in every file.
    pub key: u128,
    /// Its id, as the file has it.
    pub id: &'a str,
    /// Which repetition it is, from 1.
    pub epoch: u32,
    /// Its score; none where the program has none (an error, NaN). Always finite.
    pub score: Option<f64>,
    /// Whether the answer was cut off at the token limit, where the file tells.
    pub truncated: bool,
    /// False where the program could read nothing out of the answer.
    pub parsed: bool,
    /// A digest of the prompt, the target and the request: equal where the same was asked.
    pub asked: u64,
    /// The slice it belongs to.
    pub slice: Option<&'a str>,
    /// The cluster it belongs to.
    pub cluster: Option<&'a str>,
    /// Where its entry begins in the file (bytes).
    pub at: u64,
    /// The same for a person.
    pub place: Place,
}

/// What a sample's entry says, for a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// Its id.
    pub id: String,
    /// What was asked.
    pub prompt: String,
    /// What would be right.
    pub target: String,
    /// What the model answered.
    pub answer: String,
    /// The class and the message of its error; empty where there is none.
    pub error: String,
    /// What `Row::asked` digests, by name: the same on both sides where the same was asked.
    pub asked: Vec<(&'static str, String)>,
}

/// What takes the rows of a task.
pub type RowSink<'a> = dyn FnMut(Row<'_>) -> Result<(), HarnessError> + 'a;

impl Source {
    /// The task of a name.
    #[must_use]
    pub fn task(&self, name: &TaskName) -> Option<&TaskHead> {
        self.tasks.iter().find(|task| task.name == *name)
    }

    /// The file that a task's rows are in.
    #[must_use]
    pub fn file_of(&self, task: &TaskHead) -> &Path {
        &self.files[task.file].path
    }

    /// Reads a task's rows in the file's order, one at a time.
    ///
    /// # Errors
    /// Where an entry can't be read, and whatever the sink gives back.
    pub fn read(&self, task: &TaskHead, metric: &str, by: &Grouping, sink: &mut RowSink<'_>) -> Result<(), HarnessError> {
        let path = self.file_of(task);
        match self.format {
            Format::LmEval => lm_eval::read(path, metric, by, sink),
            Format::Inspect => inspect::read(path, metric, by, sink),
            Format::Promptfoo => promptfoo::read(path, (&task.pick, metric), by, sink),
            Format::OpenAi => openai::read(path, metric, by, sink),
            Format::Plain => plain::read(path, (&task.pick, metric), by, sink),
        }
    }

    /// What the entry at `Row::at` says.
    ///
    /// # Errors
    /// Where the file can't be read there any more.
    pub fn excerpt(&self, task: &TaskHead, at: u64) -> Result<Excerpt, HarnessError> {
        let path = self.file_of(task);
        match self.format {
            Format::LmEval => lm_eval::excerpt(path, at),
            Format::Inspect => inspect::excerpt(path, at),
            Format::Promptfoo => promptfoo::excerpt(path, at),
            Format::OpenAi => openai::excerpt(path, at),
            Format::Plain => plain::excerpt(path, at),
        }
    }
}

/// 128 bits of the digest of some parts, each kept apart from the next.
fn key_of(parts: &[&[u8]]) -> u128 {
    let digest = digest_of(parts);
    u128::from_le_bytes(digest[..16].try_into().expect("a digest has 32 bytes"))
}

/// 64 bits of the digest of some parts, each kept apart from the next.
fn print_of(parts: &[&[u8]]) -> u64 {
    let digest = digest_of(parts);
    u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    *hasher.finalize().as_bytes()
}

/// A score as programs write it: a number, a truth value, null, or text such as `C`, `correct` or `0.5`.
/// `Ok(None)` is a sample without a score; `Err` a value that is no score.
fn score_of(raw: &[u8]) -> Result<Option<f64>, ()> {
    if raw == b"null" {
        return Ok(None);
    }
    match json::number_of(raw) {
        Some(number) => Ok(Some(number).filter(|n| n.is_finite())),
        None => json::text_of(raw).map_or(Err(()), |text| score_of_text(&text)),
    }
}

/// A score written as text.
fn score_of_text(text: &str) -> Result<Option<f64>, ()> {
    let word = text.trim().to_ascii_lowercase();
    match word.as_str() {
        "" | "nan" | "null" | "none" | "na" | "n/a" => Ok(None),
        "c" | "correct" | "true" | "pass" | "passed" | "yes" => Ok(Some(1.0)),
        "i" | "n" | "incorrect" | "false" | "fail" | "failed" | "no" => Ok(Some(0.0)),
        "p" | "partial" => Ok(Some(0.5)),
        number => number.parse().map(|n: f64| Some(n).filter(|n| n.is_finite())).map_err(|_| ()),
    }
}
