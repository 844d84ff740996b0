//! Tables with an id and a score: CSV with a header, or JSON lines; with optional columns for task, model, epoch and groups.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use super::json::{self, fields, word_of};
use super::stream::{self, Lines};
use super::{
    Excerpt, Format, Grouping, HarnessError, MetricHead, Place, ResultFile, Row, RowSink, Source, TaskHead, key_of, print_of,
    score_of_text,
};
use crate::domain::{RequestKind, TaskName};

/// What a column is for.
#[derive(Clone, Copy)]
enum Part {
    Id,
    Task,
    Model,
    Epoch,
    Prompt,
    Target,
    Answer,
    Finish,
    Error,
}

/// What each part may be called, in the order of [`Part`]; of several that are there the first counts.
const PARTS: [&[&str]; 9] = [
    &["id", "sample_id", "sample", "custom_id", "question_id", "doc_id"],
    &["task", "dataset", "benchmark"],
    &["model", "subject"],
    &["epoch", "repeat", "attempt"],
    &["prompt", "question", "input"],
    &["target", "expected", "ideal"],
    &["answer", "output", "response", "completion"],
    &["finish_reason", "finish", "stop_reason"],
    &["error", "cause"],
];
/// What a score may be called where no metric is named, the likeliest first.
const SCORES: [&str; 8] = ["score", "correct", "acc", "accuracy", "exact_match", "passed", "value", "f1"];
/// Columns that group samples where no others are named.
const GROUPS: [&str; 2] = ["slice", "cluster"];

const FORM: &str =
    "give a CSV file with a header or JSON lines, each with an `id` and a `score` (1, 0, a number; empty for none)";
/// The task's name where no column has one.
const TASK: &str = "all";

/// Whether a column may be a sample's id.
pub(super) fn is_id(name: &str) -> bool {
    PARTS[Part::Id as usize].contains(&name)
}

/// Which columns are which parts.
#[derive(Default)]
struct Places {
    /// The columns that this is about.
    names: Vec<String>,
    of: [Option<usize>; PARTS.len()],
}

impl Places {
    /// Finds the parts among the columns, unless it did so before: lines mostly have the same.
    fn find(&mut self, names: &[Cow<'_, str>]) {
        if self.names.len() == names.len() && self.names.iter().zip(names).all(|(a, b)| a == b) {
            return;
        }
        self.names = names.iter().map(|name| name.clone().into_owned()).collect();
        self.of = PARTS.map(|aliases| aliases.iter().find_map(|alias| names.iter().position(|name| name == alias)));
    }
}

/// One row: its cells by column.
struct Cells<'a> {
    names: &'a [Cow<'a, str>],
    values: &'a [Cow<'a, str>],
    /// A null or an empty cell.
    none: &'a [bool],
    places: &'a Places,
}

impl Cells<'_> {
    fn at(&self, column: usize) -> Option<&str> {
        (!self.none[column]).then(|| self.values[column].as_ref())
    }

    fn get(&self, part: Part) -> Option<&str> {
        self.at(self.places.of[part as usize]?)
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|own| own == name)
    }

    fn task(&self) -> &str {
        self.get(Part::Task).unwrap_or(TASK)
    }

    fn model(&self) -> &str {
        self.get(Part::Model).unwrap_or_default()
    }
}

/// Walks the rows of a table.
fn rows(path: &Path, mut each: impl FnMut(u64, Place, &Cells<'_>) -> Result<(), HarnessError>) -> Result<(), HarnessError> {
    if is_json(path)? { json_lines(path, &mut each) } else { records(path, &mut each) }
}

fn is_json(path: &Path) -> Result<bool, HarnessError> {
    Ok(stream::without_mark(&stream::head(path, 4096)?).trim_ascii_start().first() == Some(&b'{'))
}

type Each<'a> = dyn FnMut(u64, Place, &Cells<'_>) -> Result<(), HarnessError> + 'a;

fn json_lines(path: &Path, each: &mut Each<'_>) -> Result<(), HarnessError> {
    let mut lines = Lines::new(stream::open(path, 0)?);
    let mut places = Places::default();
    while let Some(line) = lines.next().map_err(|source| HarnessError::unreadable(path, source))? {
        let (names, values, none) = members(line.bytes).map_err(|what| HarnessError::entry(path, line.place(), what, FORM))?;
        places.find(&names);
        each(line.at, line.place(), &Cells { names: &names, values: &values, none: &none, places: &places })?;
    }
    Ok(())
}

/// The members of a line: names, values as words, and which are null.
type Members<'a> = (Vec<Cow<'a, str>>, Vec<Cow<'a, str>>, Vec<bool>);

fn members(line: &[u8]) -> Result<Members<'_>, String> {
    let (mut names, mut values, mut none) = (Vec::new(), Vec::new(), Vec::new());
    for field in fields(line).ok_or("not a JSON object")? {
        let (name, value) = field.map_err(|fault| format!("not JSON: {} (column {})", fault.what, fault.at + 1))?;
        let word = word_of(value);
        none.push(word.is_none() && value == b"null");
        // Lists and objects are texts for a person only.
        values.push(word.unwrap_or_else(|| String::from_utf8_lossy(value)));
        names.push(name);
    }
    Ok((names, values, none))
}

fn records(path: &Path, each: &mut Each<'_>) -> Result<(), HarnessError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::Headers).from_reader(stream::open(path, 0)?);
    let fault = |line: u64, what: String| HarnessError::entry(path, Place::Line(line), what, FORM);
    let header = reader.headers().map_err(|error| fault(1, format!("the header is not CSV: {error}")))?.clone();
    let names: Vec<Cow<'_, str>> = header.iter().map(|name| Cow::Borrowed(name.trim_start_matches('\u{feff}'))).collect();
    if let Some(twice) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        return Err(fault(1, format!("the header has two columns `{}`", twice.1)));
    }
    let mut places = Places::default();
    places.find(&names);
    let mut record = csv::StringRecord::new();
    loop {
        let (at, line) = (reader.position().byte(), reader.position().line());
        if !reader.read_record(&mut record).map_err(|error| fault(line, format!("not CSV: {error}")))? {
            return Ok(());
        }
        let line = record.position().map_or(line, csv::Position::line);
        if record.len() != names.len() {
            return Err(fault(line, format!("{} cells where the header has {}", record.len(), names.len())));
        }
        let values: Vec<Cow<'_, str>> = record.iter().map(Cow::Borrowed).collect();
        let none: Vec<bool> = values.iter().map(|value| value.is_empty()).collect();
        each(at, Place::Line(line), &Cells { names: &names, values: &values, none: &none, places: &places })?;
    }
}

/// What a task's rows have.
#[derive(Default)]
struct Found {
    rows: u64,
    metrics: Vec<String>,
}

/// Opens a table: the rows of one model, task by task.
pub(super) fn open(path: &Path, model: Option<&str>) -> Result<Source, HarnessError> {
    let mut found: BTreeMap<String, BTreeMap<String, Found>> = BTreeMap::new();
    rows(path, |_, place, cells| {
        if cells.places.of[Part::Id as usize].is_none() {
            return Err(HarnessError::entry(path, place, "no `id`", FORM));
        }
        let task = found.entry(cells.model().to_owned()).or_default().entry(cells.task().to_owned()).or_default();
        if task.rows == 0 {
            task.metrics = metrics(cells);
        }
        task.rows += 1;
        Ok(())
    })?;
    if found.is_empty() {
        return Err(HarnessError::file(path, "it has no rows", FORM));
    }
    let model = super::detect::chosen(path, model, found.keys().cloned().collect())?;
    let own = found.remove(&model).unwrap_or_default();
    let (digest, bytes) = stream::digest(path)?;
    let named = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut tasks = Vec::with_capacity(own.len());
    for (task, found) in own {
        if found.metrics.is_empty() {
            return Err(HarnessError::file(path, format!("task '{task}' has no column with scores"), FORM));
        }
        tasks.push(head(&task, &model, found));
    }
    Ok(Source {
        format: Format::Plain,
        program: "a table of scores".to_owned(),
        model: if model.is_empty() { named } else { model },
        parameters: 0,
        files: vec![ResultFile { path: path.to_owned(), digest, bytes }],
        tasks,
        details: BTreeMap::new(),
        notes: Vec::new(),
    })
}

fn head(task: &str, model: &str, found: Found) -> TaskHead {
    let metrics = found.metrics.into_iter().map(|name| MetricHead { name, higher_is_better: true, reported: None });
    TaskHead {
        name: TaskName::new(task),
        kind: RequestKind::Generate,
        chance: 0.0,
        metrics: metrics.collect(),
        announced: None,
        settings: BTreeMap::new(),
        file: 0,
        pick: vec![model.to_owned(), task.to_owned()],
    }
}

/// Columns that can be scores: known names first, then any other with a score in it.
fn metrics(cells: &Cells<'_>) -> Vec<String> {
    let taken =
        |name: &str| PARTS.iter().any(|aliases| aliases.contains(&name)) || GROUPS.contains(&name) || SCORES.contains(&name);
    let known = SCORES.iter().copied().filter(|name| cells.column(name).is_some()).map(str::to_owned);
    let numeric = |column: usize| matches!(score_of_text(&cells.values[column]), Ok(Some(_)));
    let other = cells.names.iter().enumerate().filter(|(column, name)| !taken(name) && numeric(*column));
    known.chain(other.map(|(_, name)| name.clone().into_owned())).collect()
}

/// Reads the rows of one model, task and column.
pub(super) fn read(
    path: &Path,
    (pick, metric): (&[String], &str),
    by: &Grouping,
    sink: &mut RowSink<'_>,
) -> Result<(), HarnessError> {
    let group = |cells: &Cells<'_>, name: Option<&String>, default: usize| {
        let column = cells.column(name.map_or(GROUPS[default], String::as_str))?;
        cells.at(column).map(str::to_owned)
    };
    rows(path, |at, place, cells| {
        if pick != [cells.model(), cells.task()] {
            return Ok(());
        }
        let fault = |what: String| HarnessError::entry(path, place, what, FORM);
        let id = cells.get(Part::Id).ok_or_else(|| fault("no `id`".to_owned()))?;
        let column = cells.column(metric).ok_or_else(|| fault(format!("sample '{id}' has no `{metric}`")))?;
        let score = cells.at(column).map_or(Ok(None), score_of_text);
        let score = score.map_err(|()| fault(format!("the `{metric}` of sample '{id}' is no score")))?;
        let epoch = cells.get(Part::Epoch).map_or(Ok(1), str::parse);
        let said = |part: Part| cells.get(part).unwrap_or_default().as_bytes();
        sink(Row {
            key: key_of(&[id.as_bytes()]),
            id,
            epoch: epoch.map_err(|_| fault(format!("the epoch of sample '{id}' is not a whole number")))?,
            score: score.filter(|_| cells.get(Part::Error).is_none()),
            truncated: matches!(cells.get(Part::Finish), Some("length" | "max_tokens")),
            parsed: true,
            asked: print_of(&[said(Part::Prompt), said(Part::Target)]),
            slice: group(cells, by.slice.as_ref(), 0).as_deref(),
            cluster: group(cells, by.cluster.as_ref(), 1).as_deref(),
            at,
            place,
        })
    })
}

/// What the row at an offset says.
pub(super) fn excerpt(path: &Path, at: u64) -> Result<Excerpt, HarnessError> {
    if is_json(path)? {
        let line = stream::line_at(path, at)?;
        let (names, values, none) =
            members(&line).map_err(|what| HarnessError::file(path, what, "the file changed while it was read"))?;
        return Ok(said(&names, &values, &none));
    }
    let broken = |error: csv::Error| HarnessError::file(path, error.to_string(), "the file changed while it was read");
    let mut header = csv::Reader::from_reader(stream::open(path, 0)?);
    let names = header.headers().map_err(broken)?.clone();
    let names: Vec<Cow<'_, str>> =
        names.iter().map(|name| Cow::Owned(name.trim().trim_start_matches('\u{feff}').to_owned())).collect();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(stream::open(path, at)?);
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record).map_err(broken)?;
    let mut values: Vec<Cow<'_, str>> = record.iter().map(Cow::Borrowed).collect();
    values.resize(names.len(), Cow::Borrowed(""));
    let none: Vec<bool> = values.iter().map(|value| value.is_empty()).collect();
    Ok(said(&names, &values, &none))
}

fn said(names: &[Cow<'_, str>], values: &[Cow<'_, str>], none: &[bool]) -> Excerpt {
    let mut places = Places::default();
    places.find(names);
    let text = |part: Part| {
        let column = places.of[part as usize].filter(|column| !none[*column]);
        column.map(|column| values[column].clone().into_owned()).unwrap_or_default()
    };
    let (prompt, target) = (text(Part::Prompt), text(Part::Target));
    Excerpt {
        id: text(Part::Id),
        answer: text(Part::Answer),
        error: text(Part::Error),
        asked: vec![("prompt", prompt.clone()), ("target", target.clone())],
        prompt,
        target,
    }
}

/// Whether the first line of a file is a row of a table.
pub(super) fn fits(head: &[u8]) -> bool {
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
    if first.starts_with(b"{") {
        return json::fields(first).is_some_and(|all| all.flatten().any(|(name, _)| is_id(&name)));
    }
    String::from_utf8_lossy(first).split(',').any(|name| is_id(name.trim().trim_matches('"')))
}
