//! promptfoo: results files of version 3, in which one file may hold several providers and prompts; paired on a test's variables.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::json::{self, fields, member, shown, sorted, text_of, word_of};
use super::stream::{self, Broken, Document};
use super::{
    Excerpt, Format, Grouping, HarnessError, MetricHead, Place, ResultFile, Row, RowSink, Source, TaskHead, key_of, print_of,
    score_of,
};
use crate::domain::{RequestKind, TaskName};

const WRITE: &str = "write it with `promptfoo eval --output results.json` (promptfoo 0.90 or later)";
/// Longest name that a prompt gives its task (characters).
const NAME: usize = 48;

/// The members of one result.
#[derive(Default)]
struct Entry<'a> {
    provider: &'a [u8],
    prompt: &'a [u8],
    vars: &'a [u8],
    case: &'a [u8],
    response: &'a [u8],
    named: &'a [u8],
    score: Option<&'a [u8]>,
    success: Option<&'a [u8]>,
    reason: Option<&'a [u8]>,
    error: &'a [u8],
    index: Option<&'a [u8]>,
}

impl<'a> Entry<'a> {
    fn of(result: &'a [u8]) -> Result<Self, String> {
        let mut entry = Self::default();
        for field in fields(result).ok_or("not a JSON object")? {
            let (name, value) = field.map_err(|fault| format!("not JSON: {}", fault.what))?;
            match name.as_ref() {
                "provider" => entry.provider = value,
                "prompt" => entry.prompt = value,
                "vars" => entry.vars = value,
                "testCase" => entry.case = value,
                "response" => entry.response = value,
                "namedScores" => entry.named = value,
                "score" => entry.score = Some(value),
                "success" => entry.success = Some(value),
                "failureReason" => entry.reason = Some(value),
                "error" => entry.error = value,
                "testIdx" => entry.index = Some(value),
                _ => {}
            }
        }
        Ok(entry)
    }

    /// The provider's label, or its id.
    fn provider(&self) -> String {
        let of = |name| member(self.provider, name).and_then(text_of).filter(|text| !text.is_empty());
        of("label").or_else(|| of("id")).or_else(|| text_of(self.provider)).unwrap_or_default().into_owned()
    }

    fn label(&self) -> String {
        member(self.prompt, "label").and_then(text_of).unwrap_or_default().into_owned()
    }

    /// Whether there is no answer to judge: 2 is promptfoo's own number for that.
    fn failed(&self) -> bool {
        let error = |raw: &[u8]| !raw.is_empty() && raw != b"null";
        match self.reason {
            Some(reason) => reason == b"2",
            None => error(self.error) && member(self.response, "output").is_none(),
        }
    }

    fn score(&self, metric: &str) -> Option<&'a [u8]> {
        match metric {
            "success" => self.success,
            "score" => self.score,
            named => member(self.named, named),
        }
    }

    fn asserted(&self) -> &'a [u8] {
        member(self.case, "assert").unwrap_or_default()
    }

    fn asked(&self) -> u64 {
        print_of(&[member(self.prompt, "raw").unwrap_or_default(), self.asserted()])
    }

    fn grouped(&self, name: Option<&String>) -> Option<Cow<'a, str>> {
        let name = name?;
        let metadata = member(self.case, "metadata").and_then(|all| member(all, name));
        metadata.or_else(|| member(self.vars, name)).and_then(word_of)
    }
}

/// Walks the results of a file: `each` gets the offset, the number (from 1) and the bytes of one.
fn results(path: &Path, mut each: impl FnMut(u64, u64, &[u8]) -> Result<(), HarnessError>) -> Result<Head, HarnessError> {
    let mut head = Head::default();
    let mut held = Vec::new();
    let walked = Document::new(stream::open(path, 0)?, 0).object(|document, name| {
        if name == "metadata" {
            held.clear();
            document.value(Some(&mut held))?;
            head.program = member(&held, "promptfooVersion").and_then(text_of).map(Cow::into_owned);
            return Ok(());
        }
        if name != "results" {
            return document.value(None);
        }
        document.object(|document, name| {
            held.clear();
            match name {
                "version" => {
                    document.value(Some(&mut held))?;
                    head.version = serde_json::from_slice(&held).ok();
                    Ok(())
                }
                "results" => document.samples(&mut each).map(|_| ()),
                _ => document.value(None),
            }
        })
    });
    walked.or_else(|broken: Broken| broken.of(path))?;
    if head.version.is_none_or(|version| version < 3) {
        return Err(HarnessError::file(path, "not a results file of promptfoo, version 3", WRITE));
    }
    Ok(head)
}

#[derive(Default)]
struct Head {
    version: Option<u64>,
    program: Option<String>,
}

/// What the results of one prompt hold.
#[derive(Default)]
struct Prompt {
    rows: u64,
    named: BTreeSet<String>,
    assertions: bool,
}

/// Opens the results of one provider.
pub(super) fn open(path: &Path, model: Option<&str>) -> Result<Source, HarnessError> {
    let mut found: BTreeMap<String, BTreeMap<String, Prompt>> = BTreeMap::new();
    let mut cached: BTreeMap<String, u64> = BTreeMap::new();
    let head = results(path, |_, number, bytes| {
        let broken = |what: String| HarnessError::entry(path, Place::Sample(number), what, WRITE);
        let entry = Entry::of(bytes).map_err(broken)?;
        let provider = entry.provider();
        *cached.entry(provider.clone()).or_default() += u64::from(member(entry.response, "cached") == Some(b"true"));
        let prompt = found.entry(provider).or_default().entry(entry.label()).or_default();
        prompt.rows += 1;
        prompt.assertions |= !matches!(entry.asserted(), b"" | b"[]" | b"null");
        let named = fields(entry.named).into_iter().flatten().filter_map(Result::ok);
        prompt.named.extend(named.map(|(name, _)| name.into_owned()));
        Ok(())
    })?;
    if found.is_empty() {
        return Err(HarnessError::file(path, "it has no results", WRITE));
    }
    let model = super::detect::chosen(path, model, found.keys().cloned().collect())?;
    let prompts = found.remove(&model).unwrap_or_default();
    let (digest, bytes) = stream::digest(path)?;
    let mut notes = Vec::new();
    if let Some(n) = cached.get(&model).filter(|n| **n > 0) {
        notes.push(format!(
            "{n} answers of {model} came from promptfoo's cache, which doesn't know when the weights behind an address changed: \
             run it with --no-cache"
        ));
    }
    let names = names(&prompts);
    Ok(Source {
        format: Format::Promptfoo,
        program: head.program.map_or_else(|| "promptfoo".to_owned(), |version| format!("promptfoo {version}")),
        model: model.clone(),
        parameters: 0,
        files: vec![ResultFile { path: path.to_owned(), digest, bytes }],
        tasks: prompts.iter().zip(names).map(|((label, prompt), name)| task(name, label, prompt, &model)).collect(),
        details: BTreeMap::new(),
        notes,
    })
}

/// The names of the tasks that prompts are: the beginnings of their labels, told apart by a number where several begin alike;
/// `tests` where there is one prompt only.
fn names(prompts: &BTreeMap<String, Prompt>) -> Vec<TaskName> {
    if prompts.len() == 1 {
        return vec![TaskName::new("tests")];
    }
    let mut taken = BTreeSet::new();
    let name = |label: &String| {
        let words: Vec<&str> = label.split_whitespace().collect();
        let short: String = words.join(" ").chars().take(NAME).collect();
        let numbered = (2..).map(|number| format!("{short} ({number})"));
        let free = std::iter::once(short.clone()).chain(numbered).find(|name| taken.insert(name.clone()));
        TaskName::new(free.expect("some number is free"))
    };
    prompts.keys().map(name).collect()
}

fn task(name: TaskName, label: &str, prompt: &Prompt, model: &str) -> TaskHead {
    let head = |name: &str| MetricHead { name: name.to_owned(), higher_is_better: true, reported: None };
    TaskHead {
        name,
        kind: RequestKind::Chat,
        chance: 0.0,
        metrics: ["success", "score"].into_iter().chain(prompt.named.iter().map(String::as_str)).map(head).collect(),
        announced: Some(prompt.rows),
        settings: BTreeMap::from([("whether anything is asserted".to_owned(), prompt.assertions.to_string())]),
        file: 0,
        pick: vec![model.to_owned(), label.to_owned()],
    }
}

/// Reads the rows of one provider, prompt and metric.
pub(super) fn read(
    path: &Path,
    (pick, metric): (&[String], &str),
    by: &Grouping,
    sink: &mut RowSink<'_>,
) -> Result<(), HarnessError> {
    results(path, |at, number, bytes| {
        let place = Place::Sample(number);
        let fault = |what: String| HarnessError::entry(path, place, what, WRITE);
        let entry = Entry::of(bytes).map_err(fault)?;
        if pick != [entry.provider(), entry.label()] {
            return Ok(());
        }
        let raw = entry.score(metric).filter(|_| !entry.failed());
        let score = raw.map_or(Ok(None), score_of).map_err(|()| fault(format!("its `{metric}` is not a number")))?;
        let vars = json::value_of(entry.vars).map(|vars| sorted(&vars)).unwrap_or_default();
        let finish = member(entry.response, "finishReason").and_then(text_of);
        sink(Row {
            key: key_of(&[vars.as_bytes()]),
            id: &entry.index.and_then(word_of).unwrap_or_default(),
            epoch: 1,
            score,
            truncated: matches!(finish.as_deref(), Some("length" | "max_tokens")),
            parsed: true,
            asked: entry.asked(),
            slice: entry.grouped(by.slice.as_ref()).as_deref(),
            cluster: entry.grouped(by.cluster.as_ref()).as_deref(),
            at,
            place,
        })
    })
    .map(|_| ())
}

/// What the result at an offset says.
pub(super) fn excerpt(path: &Path, at: u64) -> Result<Excerpt, HarnessError> {
    let held = stream::value_at(path, at)?;
    let entry = Entry::of(&held).map_err(|what| HarnessError::file(path, what, "the file changed while it was read"))?;
    let prompt = member(entry.prompt, "raw").map(shown).unwrap_or_default();
    let asserted = json::value_of(entry.asserted()).map(|value| sorted(&value)).unwrap_or_default();
    let error = if entry.failed() { text_of(entry.error).unwrap_or_default().into_owned() } else { String::new() };
    Ok(Excerpt {
        id: entry.index.and_then(word_of).map(Cow::into_owned).unwrap_or_default(),
        target: asserted.clone(),
        answer: member(entry.response, "output").map(shown).unwrap_or_default(),
        error,
        asked: vec![("prompt", prompt.clone()), ("assertions", asserted)],
        prompt,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_that_begin_alike_are_tasks_of_their_own() {
        let long = "You are a careful assistant and answer in one word.";
        let labels = [format!("{long} A: {{{{q}}}}"), format!("{long} B: {{{{q}}}}"), "short".to_owned()];
        let prompts: BTreeMap<String, Prompt> = labels.into_iter().map(|label| (label, Prompt::default())).collect();
        let found = names(&prompts);
        let distinct: BTreeSet<&str> = found.iter().map(TaskName::as_str).collect();
        assert_eq!(distinct.len(), 3, "{found:?}");
        assert_eq!(found, names(&prompts), "two files with equal prompts have equal tasks");
        assert!(distinct.contains("short"));
    }
}
