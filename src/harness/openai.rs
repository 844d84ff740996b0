//! OpenAI: the event log of `oaieval`, and the output items of an evaluation run of the API, both as JSON lines.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use super::json::{at, fields, items, member, number_of, shown, text_of, word_of};
use super::stream::{self, Lines};
use super::{
    Excerpt, Format, Grouping, HarnessError, MetricHead, ResultFile, Row, RowSink, Source, TaskHead, key_of, print_of, score_of,
};
use crate::domain::{RequestKind, TaskName};

const FORM: &str = "give the log that `oaieval --record_path` wrote, or an evaluation run's output items as JSON lines";

/// Whether a line is one of an `oaieval` log or an output item.
pub(super) fn fits(line: &[u8]) -> bool {
    member(line, "spec").is_some() || is_item(line) || (member(line, "sample_id").is_some() && member(line, "data").is_some())
}

fn is_item(line: &[u8]) -> bool {
    member(line, "object") == Some(b"\"eval.run.output_item\"")
}

/// One sample's judgement, on a line of its own.
struct Judged<'a> {
    id: Cow<'a, str>,
    /// What is the same for the same question.
    asked: &'a [u8],
    /// Named scores, in order.
    scores: Vec<(Cow<'a, str>, &'a [u8])>,
    failed: bool,
    truncated: bool,
    group: &'a [u8],
}

impl<'a> Judged<'a> {
    /// None where the line judges nothing (a specification, a sampling event, a final report).
    fn of(line: &'a [u8]) -> Result<Option<Self>, String> {
        let whole = fields(line).ok_or("not a JSON object")?;
        for field in whole {
            field.map_err(|fault| format!("not JSON: {} (column {})", fault.what, fault.at + 1))?;
        }
        if is_item(line) { Self::of_item(line).map(Some) } else { Self::of_event(line) }
    }

    fn of_item(line: &'a [u8]) -> Result<Self, String> {
        let id = member(line, "datasource_item_id").and_then(word_of).ok_or("no `datasource_item_id`")?;
        let status = member(line, "status").unwrap_or_default();
        let mut scores: Vec<(Cow<'_, str>, &[u8])> = vec![("status".into(), status)];
        for result in member(line, "results").and_then(items).into_iter().flatten().filter_map(Result::ok) {
            let name = member(result, "name").and_then(text_of).unwrap_or("score".into());
            scores.extend(member(result, "score").or_else(|| member(result, "passed")).map(|score| (name, score)));
        }
        let error = at(line, &["sample", "error"]).is_some_and(|error| error != b"null");
        Ok(Self {
            id,
            asked: member(line, "datasource_item").unwrap_or_default(),
            scores,
            failed: error || matches!(status, b"\"error\"" | b"\"errored\""),
            truncated: at(line, &["sample", "finish_reason"]) == Some(b"\"length\""),
            group: member(line, "datasource_item").unwrap_or_default(),
        })
    }

    fn of_event(line: &'a [u8]) -> Result<Option<Self>, String> {
        let kind = member(line, "type").and_then(text_of);
        if !matches!(kind.as_deref(), Some("match" | "metrics")) {
            return Ok(None);
        }
        let id = member(line, "sample_id").and_then(word_of).ok_or("no `sample_id`")?;
        let data = member(line, "data").ok_or("no `data`")?;
        let numbers = fields(data).into_iter().flatten().filter_map(Result::ok).filter(|(_, raw)| number_of(raw).is_some());
        Ok(Some(Self {
            id,
            asked: member(data, "expected").unwrap_or_default(),
            scores: numbers.collect(),
            failed: false,
            truncated: false,
            group: b"",
        }))
    }
}

/// Opens a log or a list of output items.
pub(super) fn open(path: &Path) -> Result<Source, HarnessError> {
    let mut lines = Lines::new(stream::open(path, 0)?);
    let (mut model, mut task, mut head) = (String::new(), String::new(), None);
    let mut announced = 0;
    while let Some(line) = lines.next().map_err(|source| HarnessError::unreadable(path, source))? {
        let text = |path: &[&str]| at(line.bytes, path).and_then(text_of).map(Cow::into_owned);
        if let Some(spec) = member(line.bytes, "spec") {
            let first = member(spec, "completion_fns").and_then(items).and_then(|mut all| all.next()).and_then(Result::ok);
            model = first.and_then(text_of).map(Cow::into_owned).unwrap_or_default();
            task = text(&["spec", "eval_name"]).unwrap_or_default();
        }
        let judged = Judged::of(line.bytes).map_err(|what| HarnessError::entry(path, line.place(), what, FORM))?;
        let Some(judged) = judged else { continue };
        announced += 1;
        if head.is_none() {
            model = text(&["sample", "model"]).unwrap_or(model);
            task = text(&["eval_id"]).unwrap_or(task);
            let names = judged.scores.iter().map(|(name, _)| name.clone().into_owned());
            head = Some(names.map(|name| MetricHead { name, higher_is_better: true, reported: None }).collect::<Vec<_>>());
        }
    }
    let Some(metrics) = head.filter(|metrics| !metrics.is_empty()) else {
        return Err(HarnessError::file(path, "it judges no sample", FORM));
    };
    let (digest, bytes) = stream::digest(path)?;
    let named = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Source {
        format: Format::OpenAi,
        program: "OpenAI evals".to_owned(),
        model: if model.is_empty() { named } else { model },
        parameters: 0,
        files: vec![ResultFile { path: path.to_owned(), digest, bytes }],
        tasks: vec![TaskHead {
            name: TaskName::new(if task.is_empty() { "all" } else { &task }),
            kind: RequestKind::Chat,
            chance: 0.0,
            metrics,
            announced: Some(announced),
            settings: BTreeMap::new(),
            file: 0,
            pick: Vec::new(),
        }],
        details: BTreeMap::new(),
        notes: Vec::new(),
    })
}

/// Reads the rows of one score.
pub(super) fn read(path: &Path, metric: &str, by: &Grouping, sink: &mut RowSink<'_>) -> Result<(), HarnessError> {
    let mut lines = Lines::new(stream::open(path, 0)?);
    while let Some(line) = lines.next().map_err(|source| HarnessError::unreadable(path, source))? {
        let place = line.place();
        let fault = |what: String| HarnessError::entry(path, place, what, FORM);
        let Some(judged) = Judged::of(line.bytes).map_err(fault)? else { continue };
        let raw = judged.scores.iter().find(|(name, _)| name == metric).map(|(_, raw)| *raw);
        let raw = raw.filter(|_| !judged.failed);
        let score = raw.map_or(Ok(None), score_of).map_err(|()| fault(format!("its `{metric}` is not a number")))?;
        let group = |name: Option<&String>| word_of(member(judged.group, name?)?);
        sink(Row {
            key: key_of(&[judged.id.as_bytes()]),
            id: &judged.id,
            epoch: 1,
            score,
            truncated: judged.truncated,
            parsed: true,
            asked: print_of(&[judged.asked]),
            slice: group(by.slice.as_ref()).as_deref(),
            cluster: group(by.cluster.as_ref()).as_deref(),
            at: line.at,
            place,
        })?;
    }
    Ok(())
}

/// What the judgement on the line at an offset says.
pub(super) fn excerpt(path: &Path, from: u64) -> Result<Excerpt, HarnessError> {
    let line = stream::line_at(path, from)?;
    let changed = "the file changed while it was read";
    let judged = Judged::of(&line).map_err(|what| HarnessError::file(path, what, changed))?;
    let judged = judged.ok_or_else(|| HarnessError::file(path, "no judgement where there was one", changed))?;
    let text = |path: &[&str]| at(&line, path).filter(|raw| *raw != b"null").map(shown).unwrap_or_default();
    let either = |item: &[&str], event: &[&str]| if is_item(&line) { text(item) } else { text(event) };
    Ok(Excerpt {
        id: judged.id.clone().into_owned(),
        prompt: either(&["sample", "input"], &["data", "prompt"]),
        target: either(&["datasource_item"], &["data", "expected"]),
        answer: either(&["sample", "output"], &["data", "sampled"]),
        error: either(&["sample", "error"], &["data", "error"]),
        asked: vec![("question or expected answer", String::from_utf8_lossy(judged.asked).into_owned())],
    })
}
