//! `inspect_ai`: JSON logs, one task a file, paired on the sample's id; an error is no score, and epochs are repetitions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::json::{self, fields, items, member, shown, sorted, text_of, word_of};
use super::stream::{self, Broken, Document, entries};
use super::{
    Excerpt, Format, Grouping, HarnessError, MetricHead, Place, ResultFile, Row, RowSink, Source, TaskHead, key_of, print_of,
    score_of,
};
use crate::domain::{RequestKind, TaskName};

const CONVERT: &str = "write it as JSON: `inspect log convert LOG --to json --output-dir FOLDER`";

/// What stands before the samples of a log.
struct Log {
    path: PathBuf,
    status: String,
    eval: Value,
    plan: Value,
    results: Value,
    invalidated: bool,
}

impl Log {
    fn read(path: &Path) -> Result<Option<Self>, HarnessError> {
        let mut log = Self {
            path: path.to_owned(),
            status: String::new(),
            eval: Value::Null,
            plan: Value::Null,
            results: Value::Null,
            invalidated: false,
        };
        let walked = Document::new(stream::open(path, 0)?, 0).object(|document, name| {
            let mut held = Vec::new();
            match name {
                "samples" if !log.eval.is_null() => return Err(Broken::Enough),
                "status" | "eval" | "plan" | "results" | "invalidated" => document.value(Some(&mut held))?,
                _ => return document.value(None),
            }
            let value = json::value_of(&held).unwrap_or_default();
            match name {
                "status" => value.as_str().unwrap_or_default().clone_into(&mut log.status),
                "eval" => log.eval = value,
                "plan" => log.plan = value,
                "invalidated" => log.invalidated = value == Value::Bool(true),
                _ => log.results = value,
            }
            Ok(())
        });
        walked.or_else(|broken| broken.of(path))?;
        Ok(Some(log).filter(|log| log.eval["task"].is_string()))
    }

    fn model(&self) -> &str {
        self.eval["model"].as_str().unwrap_or_default()
    }

    fn created(&self) -> &str {
        self.eval["created"].as_str().unwrap_or_default()
    }

    fn task(&self) -> &str {
        self.eval["task"].as_str().unwrap_or_default()
    }
}

/// Opens a log, or a folder of logs: of each task the newest, of one model.
pub(super) fn open(path: &Path, model: Option<&str>) -> Result<Source, HarnessError> {
    let mut logs = Vec::new();
    for file in files(path)? {
        match Log::read(&file)? {
            Some(log) => logs.push(log),
            None if path.is_file() => {
                return Err(HarnessError::file(path, "not a log of inspect_ai (no `eval` with a `task`)", CONVERT));
            }
            None => {}
        }
    }
    if logs.is_empty() {
        return Err(HarnessError::file(path, "no JSON log of inspect_ai in this folder", CONVERT));
    }
    let models: std::collections::BTreeSet<String> = logs.iter().map(|log| log.model().to_owned()).collect();
    let model = super::detect::chosen(path, model, models)?;
    logs.retain(|log| log.model() == model);
    logs.sort_by(|a, b| (a.task(), a.created()).cmp(&(b.task(), b.created())));
    let mut source = Source {
        format: Format::Inspect,
        program: "inspect_ai".to_owned(),
        model,
        parameters: 0,
        files: Vec::new(),
        tasks: Vec::new(),
        details: BTreeMap::new(),
        notes: Vec::new(),
    };
    for i in 0..logs.len() {
        if logs.get(i + 1).is_some_and(|next| next.task() == logs[i].task()) {
            let name = logs[i].path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            source.notes.push(format!("{name} was left out: there is a newer log of the task"));
            continue;
        }
        add(&mut source, &logs[i])?;
    }
    Ok(source)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, HarnessError> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut all = entries(path)?;
    let packed = all.iter().any(|file| file.extension().is_some_and(|e| e == "eval"));
    all.retain(|file| file.extension().is_some_and(|e| e == "json"));
    if all.is_empty() && packed {
        return Err(HarnessError::file(path, "its logs are .eval archives, which are not read", CONVERT));
    }
    Ok(all)
}

fn add(source: &mut Source, log: &Log) -> Result<(), HarnessError> {
    if log.status != "success" {
        let what = format!("the evaluation did not end well (its status is `{}`)", log.status);
        return Err(HarnessError::file(&log.path, what, "go on with it: `inspect eval-retry LOG`"));
    }
    if log.invalidated {
        source.notes.push(format!("the log of task '{}' is marked as invalidated", log.task()));
    }
    let metrics = metrics(&log.results);
    if metrics.is_empty() {
        return Err(HarnessError::file(&log.path, "it has no scores", "score it: `inspect score LOG`"));
    }
    if let Some(version) = log.eval["packages"]["inspect_ai"].as_str() {
        source.program = format!("inspect_ai {version}");
    }
    for name in ["model_args", "model_base_url", "revision"] {
        let value = &log.eval[name];
        if !value.is_null() && *value != serde_json::json!({}) {
            source.details.insert(name.to_owned(), value.to_string());
        }
    }
    let (digest, bytes) = stream::digest(&log.path)?;
    source.tasks.push(TaskHead {
        name: TaskName::new(log.task()),
        kind: RequestKind::Chat,
        chance: 0.0,
        metrics,
        announced: log.results["total_samples"].as_u64(),
        settings: settings(log),
        file: source.files.len(),
        pick: Vec::new(),
    });
    source.files.push(ResultFile { path: log.path.clone(), digest, bytes });
    Ok(())
}

/// The scores of a log: `scorer`, or `scorer/key` where a scorer gives several at once.
fn metrics(results: &Value) -> Vec<MetricHead> {
    let scores = results["scores"].as_array().map_or(&[][..], Vec::as_slice);
    let head = |score: &Value| {
        let (name, scorer) = (score["name"].as_str()?, score["scorer"].as_str().unwrap_or_default());
        let name = if scorer.is_empty() || name == scorer { name.to_owned() } else { format!("{scorer}/{name}") };
        let reported = ["accuracy", "mean"].iter().find_map(|metric| score["metrics"][*metric]["value"].as_f64());
        Some(MetricHead { name, higher_is_better: true, reported })
    };
    scores.iter().filter_map(head).collect()
}

/// What must be the same on both sides.
fn settings(log: &Log) -> BTreeMap<String, String> {
    let eval = &log.eval;
    let settings = [
        ("the task's version", &eval["task_version"]),
        ("the task's arguments", &eval["task_args"]),
        ("the data set", &eval["dataset"]["name"]),
        ("the generation settings", &eval["model_generate_config"]),
        ("the plan's generation settings", &log.plan["config"]),
        ("the solver's steps", &log.plan["steps"]),
        ("the number of epochs", &eval["config"]["epochs"]),
        ("the reducer of epochs", &eval["config"]["epochs_reducer"]),
        ("--limit", &eval["config"]["limit"]),
        ("the limit of messages", &eval["config"]["message_limit"]),
        ("the limit of tokens", &eval["config"]["token_limit"]),
    ];
    settings.into_iter().map(|(name, value)| (name.to_owned(), sorted(value))).collect()
}

/// Walks the samples of a log: `each` gets the offset, the number (from 1) and the bytes of one.
fn samples(path: &Path, mut each: impl FnMut(u64, u64, &[u8]) -> Result<(), HarnessError>) -> Result<(), HarnessError> {
    let mut count = 0;
    let walked = Document::new(stream::open(path, 0)?, 0).object(|document, name| {
        if name != "samples" {
            return document.value(None);
        }
        count = document.samples(&mut each)?;
        Ok(())
    });
    walked.or_else(|broken| broken.of(path))?;
    if count == 0 {
        return Err(HarnessError::file(path, "it has no samples", "run the evaluation without --no-log-samples"));
    }
    Ok(())
}

/// The members of a sample that a row is made of.
#[derive(Default)]
struct Entry<'a> {
    id: Option<&'a [u8]>,
    epoch: Option<&'a [u8]>,
    input: &'a [u8],
    target: &'a [u8],
    choices: &'a [u8],
    attachments: &'a [u8],
    scores: &'a [u8],
    metadata: &'a [u8],
    output: &'a [u8],
    error: &'a [u8],
}

impl<'a> Entry<'a> {
    fn of(sample: &'a [u8]) -> Result<Self, String> {
        let mut entry = Self::default();
        for field in fields(sample).ok_or("not a JSON object")? {
            let (name, value) = field.map_err(|fault| format!("not JSON: {}", fault.what))?;
            match name.as_ref() {
                "id" => entry.id = Some(value),
                "epoch" => entry.epoch = Some(value),
                "input" => entry.input = value,
                "target" => entry.target = value,
                "choices" => entry.choices = value,
                "attachments" => entry.attachments = value,
                "scores" => entry.scores = value,
                "metadata" => entry.metadata = value,
                "output" => entry.output = value,
                "error" => entry.error = value,
                _ => {}
            }
        }
        Ok(entry)
    }

    fn failed(&self) -> bool {
        !self.error.is_empty() && self.error != b"null"
    }

    /// The raw score of a metric, where the sample has one.
    fn score(&self, metric: &str) -> Option<&'a [u8]> {
        let whole = member(self.scores, metric).and_then(|score| member(score, "value"));
        whole.or_else(|| {
            let (scorer, key) = metric.rsplit_once('/')?;
            member(member(member(self.scores, scorer)?, "value")?, key)
        })
    }

    fn asked(&self) -> u64 {
        let input = messages(self.input);
        print_of(&[input.as_bytes(), self.target, self.choices])
    }

    fn truncated(&self) -> bool {
        let choice = member(self.output, "choices").and_then(items).and_then(|mut all| all.next()).and_then(Result::ok);
        let reason = choice.and_then(|choice| member(choice, "stop_reason")).and_then(text_of);
        matches!(reason.as_deref(), Some("max_tokens" | "model_length"))
    }
}

/// The input as text: messages have ids that are drawn anew each time, so only who said what is kept.
fn messages(input: &[u8]) -> Cow<'_, str> {
    if let Some(text) = text_of(input) {
        return text;
    }
    let said = |message: &[u8]| {
        let role = member(message, "role").and_then(text_of).unwrap_or_default().into_owned();
        format!("{role}: {}", member(message, "content").map(shown).unwrap_or_default())
    };
    let lines: Vec<String> = items(input).into_iter().flatten().filter_map(Result::ok).map(said).collect();
    Cow::Owned(lines.join("\n"))
}

/// Reads the rows of one score.
pub(super) fn read(path: &Path, metric: &str, by: &Grouping, sink: &mut RowSink<'_>) -> Result<(), HarnessError> {
    samples(path, |at, number, bytes| {
        let place = Place::Sample(number);
        let fault = |what: String| HarnessError::entry(path, place, what, "the log may be damaged: write it again");
        let entry = Entry::of(bytes).map_err(fault)?;
        let raw = entry.id.ok_or_else(|| fault("no `id`".to_owned()))?;
        let id = word_of(raw).ok_or_else(|| fault("its `id` is neither text nor a number".to_owned()))?;
        let epoch = entry.epoch.map_or(Some(1), |raw| serde_json::from_slice(raw).ok());
        let found = entry.score(metric).filter(|_| !entry.failed());
        let score = found.map_or(Ok(None), score_of);
        let letter = found.and_then(text_of);
        sink(Row {
            key: key_of(&[id.as_bytes()]),
            id: &id,
            epoch: epoch.ok_or_else(|| fault(format!("the epoch of sample '{id}' is not a whole number")))?,
            score: score.map_err(|()| fault(format!("the score `{metric}` of sample '{id}' is not a number")))?,
            truncated: entry.truncated(),
            parsed: letter.as_deref() != Some("N"),
            asked: entry.asked(),
            slice: by.slice.as_deref().and_then(|name| word_of(member(entry.metadata, name)?)).as_deref(),
            cluster: by.cluster.as_deref().and_then(|name| word_of(member(entry.metadata, name)?)).as_deref(),
            at,
            place,
        })
    })
}

/// What the sample at an offset says.
pub(super) fn excerpt(path: &Path, at: u64) -> Result<Excerpt, HarnessError> {
    let held = stream::value_at(path, at)?;
    let entry = Entry::of(&held).map_err(|what| HarnessError::file(path, what, "the file changed while it was read"))?;
    // Long texts stand elsewhere in the sample, under their digests.
    let whole = |text: String| {
        let attached = text.strip_prefix("attachment://").and_then(|digest| member(entry.attachments, digest)).and_then(text_of);
        attached.map_or(text, Cow::into_owned)
    };
    let answer = whole(member(entry.output, "completion").map(shown).unwrap_or_default());
    let error = member(entry.error, "message").map(shown).unwrap_or_default();
    let asked = messages(entry.input).into_owned();
    Ok(Excerpt {
        id: entry.id.and_then(word_of).map(Cow::into_owned).unwrap_or_default(),
        prompt: whole(asked.clone()),
        target: shown(entry.target),
        answer,
        error,
        asked: vec![("input", asked), ("target", shown(entry.target)), ("choices", shown(entry.choices))],
    })
}
