//! lm-evaluation-harness: folders with `samples_<task>_<time>.jsonl` and `results_<time>.json`, paired on `doc_hash`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::json::{self, fields, items, member, number_of, shown, sorted, text_of, word_of};
use super::stream::{self, Line, Lines, entries};
use super::{
    Excerpt, Format, Grouping, HarnessError, MetricHead, ResultFile, Row, RowSink, Source, TaskHead, key_of, print_of, score_of,
};
use crate::domain::{RequestKind, TaskName};

const RUN_AGAIN: &str = "run lm_eval again with --log_samples and --output_path";

/// One file's task and time.
struct Named {
    task: String,
    time: String,
    path: PathBuf,
}

/// Whether a file's name is one of a samples file.
pub(super) fn is_samples(path: &Path) -> bool {
    named(path).is_some()
}

/// `samples_<task>_<time>.jsonl`.
fn named(path: &Path) -> Option<Named> {
    let stem = path.file_name()?.to_str()?.strip_prefix("samples_")?.strip_suffix(".jsonl")?;
    let (task, time) = stem.rsplit_once('_').filter(|(_, time)| is_time(time)).unwrap_or((stem, ""));
    Some(Named { task: task.to_owned(), time: time.to_owned(), path: path.to_owned() })
}

/// Whether it looks like `2026-01-31T12-00-00.123456`.
fn is_time(text: &str) -> bool {
    text.len() > 10
        && text.as_bytes()[..10].iter().enumerate().all(|(i, b)| if matches!(i, 4 | 7) { *b == b'-' } else { b.is_ascii_digit() })
}

/// Opens a folder that holds samples files, a folder with one such folder in it, or one samples file.
pub(super) fn open(path: &Path) -> Result<Source, HarnessError> {
    let (folder, mut found) = samples(path)?;
    let mut source = blank();
    let mut newest: BTreeMap<String, Named> = BTreeMap::new();
    found.sort_by(|a, b| a.time.cmp(&b.time));
    for named in found {
        let (task, time) = (named.task.clone(), named.time.clone());
        if let Some(older) = newest.insert(task, named) {
            let name = older.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            source.notes.push(format!("{name} was left out: there are newer samples of the task, of {time}"));
        }
    }
    let mut results: BTreeMap<String, Option<(PathBuf, Value)>> = BTreeMap::new();
    for named in newest.into_values() {
        if !results.contains_key(&named.time) {
            let of_time = folder.join(format!("results_{}.json", named.time));
            let read = if of_time.is_file() { Some((of_time.clone(), read_results(&of_time)?)) } else { None };
            results.insert(named.time.clone(), read);
        }
        let told = results[&named.time].as_ref().map(|(_, value)| value);
        if told.is_none() {
            let time = if named.time.is_empty() { "*" } else { &named.time };
            let what = format!("no results_{time}.json beside the samples of {}", named.task);
            source.notes.push(format!("{what}: the version of its data and its settings could not be compared"));
        }
        let file = source.files.len();
        let (digest, bytes) = stream::digest(&named.path)?;
        source.tasks.push(head(&named, told, file)?);
        source.files.push(ResultFile { path: named.path, digest, bytes });
    }
    for (path, value) in results.into_values().flatten() {
        let (digest, bytes) = stream::digest(&path)?;
        describe(&mut source, &value);
        source.files.push(ResultFile { path, digest, bytes });
    }
    if source.model.is_empty() {
        source.model = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    }
    Ok(source)
}

fn blank() -> Source {
    Source {
        format: Format::LmEval,
        program: "lm-evaluation-harness".to_owned(),
        model: String::new(),
        parameters: 0,
        files: Vec::new(),
        tasks: Vec::new(),
        details: BTreeMap::new(),
        notes: Vec::new(),
    }
}

/// The samples files that a path means, and their folder.
fn samples(path: &Path) -> Result<(PathBuf, Vec<Named>), HarnessError> {
    if path.is_file() {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let one = named(path).unwrap_or(Named { task: stem, time: String::new(), path: path.to_owned() });
        return Ok((folder, vec![one]));
    }
    let entries = entries(path)?;
    let own: Vec<Named> = entries.iter().filter_map(|entry| named(entry)).collect();
    if !own.is_empty() {
        return Ok((path.to_owned(), own));
    }
    let mut below = Vec::new();
    for folder in entries.into_iter().filter(|entry| entry.is_dir()) {
        let own: Vec<Named> = stream::entries(&folder)?.iter().filter_map(|entry| named(entry)).collect();
        if !own.is_empty() {
            below.push((folder, own));
        }
    }
    match below.len() {
        0 => Err(HarnessError::file(path, "no samples_<task>_<time>.jsonl in this folder", RUN_AGAIN)),
        1 => Ok(below.remove(0)),
        n => {
            let names: Vec<String> = below.iter().map(|(folder, _)| folder.display().to_string()).collect();
            Err(HarnessError::file(
                path,
                format!("it holds the results of {n} models"),
                format!("name one of them: {}", names.join(", ")),
            ))
        }
    }
}

fn read_results(path: &Path) -> Result<Value, HarnessError> {
    let bytes = fs::read(path).map_err(|source| HarnessError::unreadable(path, source))?;
    let value = json::value_of(stream::without_mark(&bytes).trim_ascii());
    value
        .filter(Value::is_object)
        .ok_or_else(|| HarnessError::file(path, "not a JSON object", "the file may be cut off: run lm_eval again"))
}

/// What the results file says of the model and the program.
fn describe(source: &mut Source, results: &Value) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let told = |value: &Value| Some(text(value)).filter(|t| !matches!(t.as_str(), "null" | "" | "{}" | "[]"));
    if let Some(version) = told(&results["lm_eval_version"]) {
        source.program = format!("lm-evaluation-harness {version}");
    }
    if let Some(model) = told(&results["model_name"]) {
        source.model = model;
    }
    source.parameters = results["config"]["model_num_parameters"].as_u64().unwrap_or(source.parameters);
    let of_config = ["model", "model_args", "model_dtype", "model_revision", "model_sha", "batch_size", "device", "use_cache"];
    let details = of_config.iter().map(|name| (*name, &results["config"][*name]));
    let details = details.chain([("transformers_version", &results["transformers_version"])]);
    source.details.extend(details.filter_map(|(name, value)| Some((name.to_owned(), told(value)?))));
}

/// What the first line and the results file say of a task.
fn head(named: &Named, results: Option<&Value>, file: usize) -> Result<TaskHead, HarnessError> {
    let mut lines = Lines::new(stream::open(&named.path, 0)?);
    let first = lines.next().map_err(|source| HarnessError::unreadable(&named.path, source))?;
    let Some(first) = first else {
        return Err(HarnessError::file(&named.path, "the file has no samples", RUN_AGAIN));
    };
    check(&named.path, &first)?;
    let options = options(first.bytes);
    let of_task = |section: &str| results.map_or(&Value::Null, |r| &r[section][&named.task]);
    let filters = match told_filters(first.bytes, of_task("results")) {
        told if told.is_empty() => filters(&named.path)?,
        told => told,
    };
    let metrics = metrics(&filters, of_task("results"), of_task("higher_is_better"));
    if metrics.is_empty() {
        let hint = "a metric of the whole task (such as bleu) cannot be paired; choose a task with a score for each sample";
        return Err(HarnessError::file(&named.path, "no metric with a number for each sample", hint));
    }
    Ok(TaskHead {
        name: TaskName::new(&named.task),
        kind: if options > 1 { RequestKind::Choice } else { RequestKind::Generate },
        chance: if options > 1 { 1.0 / options as f64 } else { 0.0 },
        metrics,
        announced: of_task("n-samples")["effective"].as_u64(),
        settings: results.map_or_else(BTreeMap::new, |results| settings(results, &named.task)),
        file,
        pick: Vec::new(),
    })
}

/// The first line must look like a sample.
fn check(path: &Path, line: &Line<'_>) -> Result<(), HarnessError> {
    match fields(line.bytes).map(|mut all| all.any(|field| matches!(field, Ok((name, _)) if name == "doc_id"))) {
        Some(true) => Ok(()),
        _ => Err(HarnessError::entry(path, line.place(), "not a sample of lm-evaluation-harness (no `doc_id`)", RUN_AGAIN)),
    }
}

/// The metrics of a line that have a number.
fn numeric(line: &[u8]) -> Vec<String> {
    let listed = member(line, "metrics").and_then(items);
    let named = listed.into_iter().flatten().filter_map(|item| Some(text_of(item.ok()?)?.into_owned()));
    // `bypass` stands for no metric at all (--predict_only).
    named.filter(|name| name != "bypass" && member(line, name).is_some_and(|raw| score_of(raw).is_ok())).collect()
}

/// Each filter with its metrics, as the results file has them: `acc,none`.
fn told_filters(line: &[u8], results: &Value) -> Vec<(String, Vec<String>)> {
    let names = numeric(line);
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for key in results.as_object().into_iter().flat_map(serde_json::Map::keys) {
        let Some((metric, filter)) = key.split_once(',').filter(|(metric, _)| names.iter().any(|name| name == metric)) else {
            continue;
        };
        match found.iter_mut().find(|(other, _)| other == filter) {
            Some((_, metrics)) => metrics.push(metric.to_owned()),
            None => found.push((filter.to_owned(), vec![metric.to_owned()])),
        }
    }
    found
}

/// Each filter with its metrics that have a number, in the file's order.
fn filters(path: &Path) -> Result<Vec<(String, Vec<String>)>, HarnessError> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let mut lines = Lines::new(stream::open(path, 0)?);
    while let Some(line) = lines.next().map_err(|source| HarnessError::unreadable(path, source))? {
        let filter = member(line.bytes, "filter").and_then(text_of).unwrap_or("none".into());
        // Samples come filter by filter.
        if found.last().is_some_and(|(last, _)| *last == filter) || found.iter().any(|(other, _)| *other == filter) {
            continue;
        }
        found.push((filter.into_owned(), numeric(line.bytes)));
    }
    Ok(found)
}

fn metrics(filters: &[(String, Vec<String>)], results: &Value, higher: &Value) -> Vec<MetricHead> {
    let of_filter = |(filter, names): &(String, Vec<String>)| {
        let head = |name: &String| MetricHead {
            name: if filter == "none" { name.clone() } else { format!("{name},{filter}") },
            higher_is_better: higher[name].as_bool().unwrap_or(true),
            reported: results[format!("{name},{filter}")].as_f64(),
        };
        names.iter().map(head).collect::<Vec<_>>()
    };
    filters.iter().flat_map(of_filter).collect()
}

/// What must be the same on both sides.
fn settings(results: &Value, task: &str) -> BTreeMap<String, String> {
    let config = &results["configs"][task];
    let shots = &results["n-shot"][task];
    let mut settings: Vec<(&str, &Value)> = vec![
        ("the task's version", &results["versions"][task]),
        ("the number of few-shot examples", shots),
        ("the data set", &config["dataset_path"]),
        ("the data set's name", &config["dataset_name"]),
        ("the split", &config["test_split"]),
        ("the generation settings", &config["generation_kwargs"]),
        ("--gen_kwargs", &results["config"]["gen_kwargs"]),
        ("the filters", &config["filter_list"]),
        ("the metrics' settings", &config["metric_list"]),
        ("the chat template", &results["chat_template_sha"]),
        ("the system instruction", &results["system_instruction_sha"]),
        ("--fewshot_as_multiturn", &results["fewshot_as_multiturn"]),
        ("the number of samples asked (--limit)", &results["n-samples"][task]["effective"]),
    ];
    if shots.as_u64() != Some(0) {
        settings.push(("the seed of the few-shot examples", &results["config"]["fewshot_seed"]));
    }
    settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect()
}

/// How many continuations of one context a sample has.
fn options(line: &[u8]) -> usize {
    let Some(arguments) = member(line, "arguments").and_then(fields) else { return 0 };
    let contexts: Vec<&[u8]> = arguments.filter_map(|entry| member(entry.ok()?.1, "arg_0")).collect();
    let distinct: BTreeSet<&[u8]> = contexts.iter().copied().collect();
    if distinct.len() == 1 { contexts.len() } else { 0 }
}

/// The members of one line that a row is made of.
#[derive(Default)]
struct Entry<'a> {
    id: Option<&'a [u8]>,
    doc: &'a [u8],
    doc_hash: Option<&'a [u8]>,
    prompt_hash: &'a [u8],
    target_hash: &'a [u8],
    target: &'a [u8],
    arguments: &'a [u8],
    filter: &'a [u8],
    filtered: &'a [u8],
    score: Option<&'a [u8]>,
}

impl<'a> Entry<'a> {
    fn of(line: &'a [u8], metric: &str) -> Result<Self, String> {
        let mut entry = Self::default();
        let members = fields(line).ok_or("not a JSON object")?;
        for field in members {
            let (name, value) = field.map_err(|fault| format!("not JSON: {} (column {})", fault.what, fault.at + 1))?;
            match name.as_ref() {
                "doc_id" => entry.id = Some(value),
                "doc" => entry.doc = value,
                "doc_hash" => entry.doc_hash = Some(value),
                "prompt_hash" => entry.prompt_hash = value,
                "target_hash" => entry.target_hash = value,
                "target" => entry.target = value,
                "arguments" => entry.arguments = value,
                "filter" => entry.filter = value,
                "filtered_resps" => entry.filtered = value,
                _ => {}
            }
            if name == metric {
                entry.score = Some(value);
            }
        }
        Ok(entry)
    }

    /// What pairs it: the digest of the document, as lm-eval made it, or of its text where an old version made none.
    fn key(&self) -> Option<u128> {
        match self.doc_hash {
            Some(hash) => Some(key_of(&[hash])),
            None if self.doc.is_empty() => None,
            None => Some(key_of(&[self.doc])),
        }
    }

    fn asked(&self) -> u64 {
        let target = if self.target_hash.is_empty() { self.target } else { self.target_hash };
        print_of(&[self.prompt_hash, target, self.arguments])
    }
}

/// A member of the sample's document as a word.
fn grouped<'a>(doc: &'a [u8], name: Option<&String>) -> Option<std::borrow::Cow<'a, str>> {
    member(doc, name?).and_then(word_of)
}

/// Reads the rows of one metric, named as in [`MetricHead`].
pub(super) fn read(path: &Path, metric: &str, by: &Grouping, sink: &mut RowSink<'_>) -> Result<(), HarnessError> {
    let (metric, filter) = metric.split_once(',').unwrap_or((metric, "none"));
    let mut lines = Lines::new(stream::open(path, 0)?);
    let again = "the file may be cut off or damaged: run lm_eval again";
    while let Some(line) = lines.next().map_err(|source| HarnessError::unreadable(path, source))? {
        let place = line.place();
        let fault = |what: String| HarnessError::entry(path, place, what, again);
        let entry = Entry::of(line.bytes, metric).map_err(fault)?;
        let own = if entry.filter.is_empty() { "none".into() } else { text_of(entry.filter).unwrap_or_default() };
        if own != filter {
            continue;
        }
        let key = entry.key().ok_or_else(|| fault("no `doc_hash`, on which samples are paired".to_owned()))?;
        let id = entry.id.and_then(word_of).ok_or_else(|| fault("no `doc_id`".to_owned()))?;
        let raw = entry.score.ok_or_else(|| fault(format!("sample {id} has no `{metric}`")))?;
        let score = score_of(raw).map_err(|()| fault(format!("the `{metric}` of sample {id} is not a number")))?;
        sink(Row {
            key,
            id: &id,
            epoch: 1,
            score,
            truncated: false,
            parsed: !entry.filtered.windows(11).any(|w| w == b"\"[invalid]\""),
            asked: entry.asked(),
            slice: grouped(entry.doc, by.slice.as_ref()).as_deref(),
            cluster: grouped(entry.doc, by.cluster.as_ref()).as_deref(),
            at: line.at,
            place,
        })?;
    }
    Ok(())
}

/// What the sample on the line at an offset says.
pub(super) fn excerpt(path: &Path, at: u64) -> Result<Excerpt, HarnessError> {
    let line = stream::line_at(path, at)?;
    let entry = Entry::of(&line, "").map_err(|what| HarnessError::file(path, what, "the file changed while it was read"))?;
    let text = |raw: &[u8]| word_of(raw).map(std::borrow::Cow::into_owned).unwrap_or_default();
    let asked: Vec<(String, String)> = requests(entry.arguments);
    let scores: Vec<&[u8]> = items(entry.filtered).into_iter().flatten().filter_map(Result::ok).collect();
    let choice = asked.len() > 1 && asked.len() == scores.len();
    let mut target = text(entry.target);
    if let Some((_, option)) = target.parse::<usize>().ok().and_then(|i| asked.get(i)).filter(|_| choice) {
        target.clone_from(option);
    }
    let answer = if choice {
        let lines = asked.iter().zip(&scores).map(|((_, option), score)| format!("{}: {}", option.trim(), first(score)));
        lines.collect::<Vec<_>>().join("\n")
    } else {
        scores.iter().map(|raw| text(raw)).collect::<Vec<_>>().join("\n")
    };
    Ok(Excerpt {
        id: entry.id.map(text).unwrap_or_default(),
        prompt: asked.first().map(|(prompt, _)| prompt.clone()).unwrap_or_default(),
        target,
        answer,
        error: String::new(),
        asked: vec![
            ("prompt_hash", text(entry.prompt_hash)),
            ("target_hash", text(if entry.target_hash.is_empty() { entry.target } else { entry.target_hash })),
            (
                "arguments (options or generation settings)",
                json::value_of(entry.arguments).map(|v| sorted(&v)).unwrap_or_default(),
            ),
        ],
    })
}

/// (context, continuation or settings) of each request.
fn requests(arguments: &[u8]) -> Vec<(String, String)> {
    let pair = |raw: &[u8]| Some((shown(member(raw, "arg_0")?), member(raw, "arg_1").map(shown).unwrap_or_default()));
    fields(arguments).into_iter().flatten().filter_map(|field| pair(field.ok()?.1)).collect()
}

/// The first number of a list, shortened.
fn first(raw: &[u8]) -> String {
    let found = items(raw).and_then(|mut list| list.next()).and_then(Result::ok).unwrap_or(raw);
    let number = number_of(found).or_else(|| text_of(found)?.parse().ok());
    number.map_or_else(|| String::from_utf8_lossy(found).into_owned(), |x| format!("{x:.3}"))
}
