//! Suites and datasets to planned tasks: read once, checked against their manifests, rendered, put in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::PlannedTask;
use super::file::{Listed, SuiteRef};
use super::order;
use super::render::{Fault, Renderer};
use super::shape;
use crate::dataset::{self, Dataset, Manifest, Row};
use crate::domain::{Request, RequestKind, Sample, Subset, Task, TaskCard, TaskName};
use crate::suite::{Diagnostic, Place, SuiteFile, TaskPlaces, nearest};

/// Which tasks are asked, in which form, and how many of their samples.
#[derive(Clone, Copy)]
pub(super) struct Sources<'p> {
    /// Tasks that are set aside.
    pub(super) skip: &'p Listed,
    /// Tasks that are asked in their text form in any case.
    pub(super) as_text: &'p Listed,
    /// Whether every task with a text form is asked in it.
    pub(super) textual: bool,
    /// The plan's seed.
    pub(super) seed: u64,
    /// Most samples a task.
    pub(super) limit: Option<usize>,
}

/// What the suites come to.
pub(super) struct Tasks {
    /// Every task that is asked, in order.
    pub(super) planned: Vec<PlannedTask>,
    /// Those that are asked in their text form.
    pub(super) textual: Vec<TaskName>,
    /// Those that are set aside, by the plan's word.
    pub(super) skipped: Vec<TaskName>,
}

/// Datasets that were read, by path; none for one with faults.
type Datasets = BTreeMap<PathBuf, Option<Dataset>>;

/// The suite whose tasks are asked before all others: it is there to see early whether everything works.
const FIRST: &str = "smoke";

/// Every task of the suites, in order, those of a suite `smoke` before the others; none where a suite can't be read. Faults
/// are added to `faults`.
pub(super) fn plan(suites: &[SuiteRef], sources: Sources<'_>, faults: &mut Vec<Diagnostic>) -> Option<Tasks> {
    let (mut datasets, mut complete) = (Datasets::new(), true);
    let mut tasks = Tasks { planned: Vec::new(), textual: Vec::new(), skipped: Vec::new() };
    let mut planned: Vec<(bool, PlannedTask)> = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for suite in suites {
        let Some(file) = load(suite, faults) else {
            complete = false;
            continue;
        };
        let folder = suite.path.parent().unwrap_or(Path::new(""));
        let later = file.suite.name != FIRST;
        for ((task, places), form) in file.suite.tasks.into_iter().zip(file.places).zip(file.forms) {
            if let Some(other) = seen.insert(task.name.as_str().to_owned(), suite.path.display().to_string()) {
                let message = format!("two tasks are named `{}`: {other} has it too", task.name);
                let fault = Diagnostic::new(message, Some("names are unique within a plan, over all of its suites"));
                faults.push(fault.at(places.of("name")));
                continue;
            }
            if sources.skip.has(&task.name) {
                tasks.skipped.push(task.name);
                continue;
            }
            let wanted = sources.as_text.has(&task.name);
            if wanted && form.is_none() {
                let message = format!("`as_text` names `{}`, which says nowhere how it is asked as text", task.name);
                let hint = "declare it in the suite, for a choice task: chat = { prompt = …, target = … } or generate = { … }";
                faults.push(Diagnostic::new(message, Some(hint)).at(sources.as_text.place.clone()));
            }
            let form = form.filter(|_| sources.textual || wanted);
            tasks.textual.extend(form.as_ref().map(|form| form.task.name.clone()));
            let (mut task, places) = form.map_or((task, places), |form| (form.task, form.places));
            task.dataset.path = folder.join(&task.dataset.path);
            if let Err(why) = shape::read(&mut task, folder) {
                let hint = Some("schema files start from the suite's folder");
                faults.push(Diagnostic::new(why, hint).at(places.of("schema")));
                planned.push((later, unread(task)));
                continue;
            }
            let read = read(&task, &places, sources, (&mut datasets, faults));
            planned.push((later, read.unwrap_or_else(|| unread(task))));
        }
    }
    planned.sort_by_key(|(later, _)| *later);
    tasks.planned = planned.into_iter().map(|(_, planned)| planned).collect();
    if complete {
        faults.extend(unknown("skip", sources.skip, &seen));
        faults.extend(unknown("as_text", sources.as_text, &seen));
        if tasks.planned.is_empty() && !tasks.skipped.is_empty() {
            let fault = Diagnostic::new("`skip` sets every task aside", Some("leave at least one"));
            faults.push(fault.at(sources.skip.place.clone()));
        }
    }
    complete.then_some(tasks)
}

/// A fault where the plan names a task that isn't there.
fn unknown(key: &str, listed: &Listed, seen: &BTreeMap<String, String>) -> Option<Diagnostic> {
    let unknown = listed.names.iter().find(|name| !seen.contains_key(*name))?;
    let known: Vec<&str> = seen.keys().map(String::as_str).collect();
    let hint = match nearest(unknown, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the suites' tasks are {}", known.join(", ")),
    };
    let message = format!("`{key}` names `{unknown}`, and no suite has such a task");
    Some(Diagnostic::new(message, Some(&hint)).at(listed.place.clone()))
}

fn load(suite: &SuiteRef, faults: &mut Vec<Diagnostic>) -> Option<SuiteFile> {
    if !suite.path.exists() {
        let fault = Diagnostic::new(format!("there is no suite {}", suite.path.display()), None);
        faults.push(match &suite.place {
            Some(place) => {
                Diagnostic { hint: Some("suite paths start from the plan's folder".into()), ..fault.at(place.clone()) }
            }
            None => fault,
        });
        return None;
    }
    SuiteFile::load(&suite.path).map_err(|found| faults.extend(found.0)).ok()
}

/// A task whose dataset has faults, so that rules about it don't look misspelt.
fn unread(task: Task) -> PlannedTask {
    let card = card(&task, "", 0);
    PlannedTask { task, card, samples: Vec::new() }
}

fn card(task: &Task, digest: &str, samples: usize) -> TaskCard {
    TaskCard {
        name: task.name.clone(),
        about: task.about.clone(),
        kind: task.kind,
        metric: task.metric,
        gating: task.gating,
        chance: task.chance,
        band: task.band,
        range: task.scorer.range(),
        dataset: task.dataset.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        digest: digest.into(),
        samples,
    }
}

/// Reads a task's dataset and renders its rows; none where there is a fault, which is noted.
fn read(
    task: &Task,
    places: &TaskPlaces,
    sources: Sources<'_>,
    (datasets, faults): (&mut Datasets, &mut Vec<Diagnostic>),
) -> Option<PlannedTask> {
    let dataset = datasets
        .entry(task.dataset.path.clone())
        .or_insert_with_key(|path| open(path, &places.of("dataset"), faults))
        .as_ref()?;
    let rows: Vec<&Row> = dataset.rows.iter().collect();
    if let Some(wanted) = task.dataset.subset.filter(|subset| subset.rows > rows.len()) {
        let message =
            format!("task `{}` wants {} rows of {}, which has {}", task.name, wanted.rows, path_of(dataset), rows.len());
        faults.push(Diagnostic::new(message, Some("ask for fewer rows, or leave `subset` out")).at(places.of("subset")));
        return None;
    }
    let rows = task.dataset.subset.map_or(rows.clone(), |subset| dataset::subset(&rows, subset));
    let limit = sources.limit.map(|limit| Subset { rows: limit, seed: sources.seed });
    let rows = limit.map_or(rows.clone(), |limit| dataset::subset(&rows, limit));
    let mut samples = render(task, &rows, sources.seed, &mut |fault, rows| {
        faults.push(sentence(&fault, rows, dataset, places));
    })?;
    samples.sort_by_cached_key(|sample| order::rank(sources.seed, &task.name, &sample.id));
    let mut task = task.clone();
    if task.kind == RequestKind::Choice && !places.keys.contains_key("chance") {
        task.chance = guessing(&samples);
    }
    let card = card(&task, dataset.digest.as_str(), samples.len());
    Some(PlannedTask { task, card, samples })
}

fn path_of(dataset: &Dataset) -> String {
    dataset.path.display().to_string()
}

/// Reads a dataset and compares it with the manifest beside it, if there is one.
fn open(path: &Path, place: &Place, faults: &mut Vec<Diagnostic>) -> Option<Dataset> {
    let dataset = dataset::read(path).map_err(|error| {
        faults.push(Diagnostic::new(error.to_string(), error.hint().as_deref()).at(place.clone()));
    });
    let dataset = dataset.ok()?;
    let manifest = path.with_file_name("manifest.toml");
    if manifest.exists() {
        let checked = Manifest::load(&manifest).and_then(|manifest| manifest.verify(&dataset));
        if let Err(error) = checked {
            let fault = Diagnostic::new(error.to_string(), error.hint()).at(place.clone());
            // A manifest that can't be read is one fault, not one for each dataset.
            if !faults.iter().any(|other| other.message == fault.message) {
                faults.push(fault);
            }
            return None;
        }
    }
    Some(dataset)
}

/// Renders all rows; the same fault of several rows is told once.
fn render(task: &Task, rows: &[&Row], seed: u64, tell: &mut dyn FnMut(Fault, &[&Row])) -> Option<Vec<Sample>> {
    let renderer = Renderer::new(task, seed).map_err(|faults| faults.into_iter().for_each(|fault| tell(fault, &[])));
    let mut renderer = renderer.ok()?;
    let mut samples = Vec::with_capacity(rows.len());
    let mut failed: Vec<(Fault, Vec<&Row>)> = Vec::new();
    for row in rows {
        match renderer.sample(row) {
            Ok(sample) => samples.push(sample),
            Err(fault) => match failed.iter_mut().find(|(other, _)| other.key == fault.key && other.what == fault.what) {
                Some((_, rows)) => rows.push(row),
                None => failed.push((fault, vec![row])),
            },
        }
    }
    let good = failed.is_empty();
    for (fault, rows) in failed {
        tell(fault, &rows);
    }
    good.then_some(samples)
}

fn sentence(fault: &Fault, rows: &[&Row], dataset: &Dataset, places: &TaskPlaces) -> Diagnostic {
    let message = match rows {
        [] => fault.what.clone(),
        [row, others @ ..] => {
            let line = format!("{}:{}: row `{}` {}", path_of(dataset), row.line, row.id, fault.what);
            match others.len() {
                0 => line,
                1 => format!("{line}; so in one more row"),
                more => format!("{line}; so in {more} more rows"),
            }
        }
    };
    Diagnostic::new(message, fault.hint.as_deref()).at(places.of(fault.key))
}

/// The accuracy of guessing: the mean of one over the number of options.
fn guessing(samples: &[Sample]) -> f64 {
    // By number of options, so that equal numbers give exactly one over it.
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for sample in samples {
        if let Request::Choice { options, .. } = &sample.request {
            *counts.entry(options.len()).or_default() += 1;
        }
    }
    match counts.keys().collect::<Vec<_>>()[..] {
        [options] => 1.0 / *options as f64,
        _ => counts.iter().map(|(&options, &n)| n as f64 / options as f64).sum::<f64>() / samples.len().max(1) as f64,
    }
}
