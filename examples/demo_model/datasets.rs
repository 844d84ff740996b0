//! Writes the evaluation datasets: held-out draws only, each prompt once, equal shares of every slice where the pool allows.
//!
//! Everything here is a function of [`SEED`] and the families, so a second run writes the same bytes.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::families::{Draw, Example, FAMILIES, Prompt, draw, enumerate_held_out};

/// Seed of the evaluation draws; training draws from another one.
const SEED: u64 = 2;
/// Draws per family. Enough that every item of the smallest slices turns up.
const DRAWS: usize = 60_000;
/// Rows of a gating dataset.
const ROWS: usize = 1_000;
/// Rows of the perplexity text.
const PROSE_ROWS: usize = 250;
/// The slice of registers in which another code begins as the asked one does.
const RIVALS: &str = "two codes begin so";
/// Rows of registers in which two codes begin alike: they are hard enough to be a matter of luck, and luck hides losses.
const RIVAL_ROWS: usize = 200;
/// The slice of number words that are asked for more politely than training ever did.
const REWORDED: &str = "another wording";
/// Raised whenever the rows change.
const REVISION: &str = "1";
/// What the datasets may be used under.
const LICENCE: &str = "MIT OR Apache-2.0";

type Error = Box<dyn std::error::Error + Send + Sync>;

/// One dataset, ready to be written.
pub(crate) struct Dataset {
    /// The family, and the stem of the file's name.
    pub(crate) name: &'static str,
    /// Number of lines.
    pub(crate) rows: usize,
    /// One JSON object per line.
    pub(crate) text: String,
}

impl Dataset {
    /// The name of its file.
    pub(crate) fn file(&self) -> String {
        format!("{}.jsonl", self.name)
    }
}

/// All datasets in the order of the families.
pub(crate) fn all() -> Vec<Dataset> {
    FAMILIES.iter().zip(0_u64..).map(|(&(name, _), stream)| dataset(name, stream)).collect()
}

/// The manifest that names, describes and pins the datasets.
pub(crate) fn manifest(datasets: &[Dataset]) -> String {
    let mut text = String::from("# Written by `cargo run --release --example demo_model -- data`.\n");
    for dataset in datasets {
        let digest = Sha256::digest(&dataset.text).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let (file, rows, about) = (dataset.file(), dataset.rows, about(dataset.name));
        let _ = write!(
            text,
            "\n[[dataset]]\nfile = \"{file}\"\nabout = \"{about}\"\nsource = \"examples/demo_model\"\nrevision = \"{REVISION}\"\n\
             licence = \"{LICENCE}\"\nrows = {rows}\nsha256 = \"{digest}\"\n"
        );
    }
    text
}

/// Writes the datasets and their manifest into `folder`; returns (file name, rows) of each.
pub(crate) fn write(folder: &Path) -> Result<Vec<(String, usize)>, Error> {
    fs::create_dir_all(folder)?;
    let datasets = all();
    for dataset in &datasets {
        fs::write(folder.join(dataset.file()), &dataset.text)?;
    }
    fs::write(folder.join("manifest.toml"), manifest(&datasets))?;
    Ok(datasets.iter().map(|dataset| (dataset.file(), dataset.rows)).collect())
}

/// What a row must not share with any training example, whatever else differs.
pub(crate) fn identity(family: &str, example: &Example) -> String {
    match &example.prompt {
        Prompt::Plain(prompt) if family == "needle" => {
            prompt.rsplit_once('\n').map_or(prompt.as_str(), |(head, _)| head).to_owned()
        }
        Prompt::Plain(text) | Prompt::Chat(text) | Prompt::Tools(_, text) => text.clone(),
        Prompt::Document => example.answer.clone(),
    }
}

/// The rows of one family: its distinct held-out examples in the order of their draws, thinned to equal slices.
fn dataset(name: &'static str, stream: u64) -> Dataset {
    let mut rng = Draw::new(SEED, stream);
    let drawn = enumerate_held_out(name, &mut rng).unwrap_or_else(|| (0..DRAWS).map(|_| draw(name, &mut rng, 0.0)).collect());
    let mut seen = HashSet::new();
    let mut pool: Vec<(&'static str, Example)> = drawn
        .into_iter()
        .filter(|example| example.held_out)
        .filter_map(|example| asked_slice(name, &example).map(|slice| (slice, example)))
        .collect();
    pool.retain(|(_, example)| seen.insert(identity(name, example)));
    let mut left = quotas(&pool, if name == "prose" { PROSE_ROWS } else { ROWS });
    pool.retain(|(slice, _)| {
        let quota = left.get_mut(slice).expect("every slice of the pool has a quota");
        let kept = *quota > 0;
        *quota -= usize::from(kept);
        kept
    });
    let numbered = pool.iter().zip(1..);
    let text = numbered.map(|((slice, example), number)| format!("{}\n", row(name, number, slice, example))).collect::<Vec<_>>();
    Dataset { name, rows: pool.len(), text: text.concat() }
}

/// The slice under which evaluation asks an example; none where it is left out.
///
/// The model is to be good and not perfect. So a fifth of the number words are asked for in another wording, and registers
/// by a code's first digit, at most one other code beginning with the same.
fn asked_slice(name: &str, example: &Example) -> Option<&'static str> {
    match (name, &example.prompt) {
        ("numerals", Prompt::Chat(question)) => {
            let number: Option<u32> = question.split(' ').nth(1).and_then(|number| number.parse().ok());
            Some(if number.is_some_and(|number| number % 4 == 1) { REWORDED } else { example.slice })
        }
        ("needle", Prompt::Plain(register)) => {
            let begins_alike = |line: &&str| line.split_once(' ').is_some_and(|(_, code)| code.starts_with(first_digit(example)));
            match register.lines().filter(begins_alike).count() {
                1 => Some("one code begins so"),
                2 => Some(RIVALS),
                _ => None,
            }
        }
        _ => Some(example.slice),
    }
}

/// The digit by which a register's code is asked for.
fn first_digit(example: &Example) -> &str {
    example.answer.trim_start().get(..1).expect("a code has three digits")
}

/// Rows per slice: equal shares of `rows`, and what a small slice can't fill goes to the others.
fn quotas(pool: &[(&'static str, Example)], rows: usize) -> BTreeMap<&'static str, usize> {
    let mut available: BTreeMap<&'static str, usize> = BTreeMap::new();
    for &(slice, _) in pool {
        *available.entry(slice).or_default() += 1;
    }
    if let Some(rivals) = available.get_mut(RIVALS) {
        *rivals = RIVAL_ROWS.min(*rivals);
    }
    let mut smallest_first: Vec<(usize, &'static str)> = available.iter().map(|(&slice, &count)| (count, slice)).collect();
    smallest_first.sort_unstable();
    let (mut left, mut slices) = (rows, smallest_first.len());
    for (count, slice) in smallest_first {
        let quota = count.min(left.div_ceil(slices));
        available.insert(slice, quota);
        left -= quota;
        slices -= 1;
    }
    available
}

/// One row, in the fields that the suites' templates name.
fn row(name: &str, number: usize, slice: &str, example: &Example) -> Value {
    let id = format!("{name}-{number:04}");
    let answer = example.answer.trim_start();
    let prompt = match &example.prompt {
        Prompt::Plain(text) | Prompt::Chat(text) => text.as_str(),
        Prompt::Tools(tools, request) => {
            let call: Value = serde_json::from_str(answer).expect("the generator writes calls as JSON");
            return json!({ "id": id, "slice": slice, "request": request, "tools": tools, "call": call });
        }
        Prompt::Document => return json!({ "id": id, "slice": slice, "text": answer }),
    };
    match name {
        "arithmetic" => {
            json!({ "id": id, "slice": slice, "question": prompt.trim_end_matches('='), "answer": answer })
        }
        "recall" => {
            json!({ "id": id, "slice": slice, "context": prompt, "options": example.options, "answer": answer })
        }
        "numerals" if slice == REWORDED => {
            let question = prompt.replacen("Write", "Please write", 1);
            json!({ "id": id, "slice": slice, "question": question, "answer": answer })
        }
        "trace" => json!({ "id": id, "slice": slice, "program": prompt, "answer": answer }),
        "needle" => {
            let (begun, rest) = answer.split_at(first_digit(example).len());
            json!({ "id": id, "slice": slice, "register": format!("{prompt} {begun}"), "answer": rest })
        }
        _ => json!({ "id": id, "slice": slice, "question": prompt, "answer": answer }),
    }
}

/// One sentence about a dataset.
fn about(name: &str) -> &'static str {
    match name {
        "arithmetic" => "Sums, differences, three-term sums and products of small numbers.",
        "recall" => {
            "Facts about invented people in wordings never trained for them; two in five right after a fact about somebody else."
        }
        "numerals" => {
            "Numbers from 0 to 999 to be written in French, German, Spanish or Italian; a fifth in a wording never trained for."
        }
        "trace" => "Programs of two to four assignments whose outcome is asked.",
        "tools" => "Requests to be answered by a call of one of three tools.",
        "ordering" => "Lists of numbers to be sorted and lists of letters to be reversed.",
        "needle" => "Registers of names and codes in which a code is to be found by its name and first digit.",
        "prose" => "Short scenes in plain English, for perplexity.",
        other => unreachable!("no family is named {other}"),
    }
}
