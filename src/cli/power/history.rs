//! What finished runs say of how often answers flip: the newest run of each task that is large enough.

use std::fs;
use std::path::Path;

use crate::analysis::{self, Comparison, Noise, Passes, Record, Sheet, SliceRow};
use crate::domain::{Role, Subject, SubjectName, TaskCard, TaskName};
use crate::journal::{self, RunFolder};
use crate::plan::PlannedTask;
use crate::plan::power::Spread;
use crate::stats;

/// Pairs from which a run is taken, however large others are.
const ENOUGH: u64 = 100;
/// Fewest flips that tell how alike the items of a cluster are.
const TELLING: u64 = 20;

/// How often scores of a slice differed.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The slice.
    pub(super) slice: String,
    /// Complete pairs.
    pub(super) pairs: u64,
    /// Pairs whose scores differ.
    pub(super) flips: u64,
    /// The canary's score.
    pub(super) canary: f64,
}

/// What a run measured on one task.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// The task.
    pub(super) task: TaskName,
    /// The run's name.
    pub(super) run: String,
    /// The variant that flipped most among those that the plan has too, or among all where it has none.
    pub(super) subject: SubjectName,
    /// Complete pairs.
    pub(super) pairs: u64,
    /// Pairs whose scores differ.
    pub(super) flips: u64,
    /// The canary's score.
    pub(super) canary: f64,
    /// The same by slice.
    pub(super) slices: Vec<Part>,
    /// Share of items on which two passes of the canary differ; none where it was asked once.
    pub(super) own_flips: Option<f64>,
    /// Where the variance of differences comes from.
    pub(super) spread: Option<Spread>,
    /// The design effect of shared clusters.
    pub(super) deff: Option<f64>,
}

impl Measured {
    /// Pairs, flips and the canary's score of a slice, or of the task as a whole where none is asked for or it has no such slice.
    pub(super) fn of(&self, slice: Option<&str>) -> (u64, u64, f64) {
        let part = slice.and_then(|slice| self.slices.iter().find(|part| part.slice == slice));
        part.map_or((self.pairs, self.flips, self.canary), |part| (part.pairs, part.flips, part.canary))
    }
}

/// The newest measurement of each task of the plan in a folder of runs; tasks that no finished run has are left out.
pub(super) fn of(reports: &Path, subjects: &[Subject], tasks: &[PlannedTask]) -> Vec<Measured> {
    let mut found: Vec<Measured> = Vec::new();
    for folder in newest_first(reports, tasks) {
        let open = |task: &&PlannedTask| {
            let enough = ENOUGH.min(task.samples.len() as u64);
            !found.iter().any(|measured| measured.task == task.task.name && measured.pairs >= enough)
        };
        let wanted: Vec<&TaskCard> = tasks.iter().filter(open).map(|task| &task.card).collect();
        if wanted.is_empty() {
            break;
        }
        // A journal that cannot be read, or tells no consistent story, is no history; `report` says what is wrong with it.
        let Ok(events) = journal::replay(&folder.journal()) else { continue };
        let Ok(record) = analysis::fold(events) else { continue };
        for measured in measure(&record, subjects, &wanted) {
            match found.iter_mut().find(|earlier| earlier.task == measured.task) {
                Some(earlier) if earlier.pairs < measured.pairs => *earlier = measured,
                Some(_) => {}
                None => found.push(measured),
            }
        }
    }
    found
}

/// The folders of finished runs that share a task with the plan, the newest first. A folder that can't be read is no run.
fn newest_first(reports: &Path, tasks: &[PlannedTask]) -> Vec<RunFolder> {
    let entries = fs::read_dir(reports).into_iter().flatten().filter_map(Result::ok);
    let mut runs: Vec<(u64, RunFolder)> = Vec::new();
    for entry in entries {
        let folder = RunFolder::new(entry.path());
        let Ok((began, header)) = folder.header() else { continue };
        let shared = header.tasks.iter().any(|card| tasks.iter().any(|task| same(card, &task.card)));
        if shared && folder.is_finished().unwrap_or(false) {
            runs.push((began, folder));
        }
    }
    runs.sort_by(|a, b| (b.0, b.1.path()).cmp(&(a.0, a.1.path())));
    runs.into_iter().map(|(_, folder)| folder).collect()
}

/// Whether two cards ask the same of the same data and judge it alike.
fn same(one: &TaskCard, other: &TaskCard) -> bool {
    (&one.name, &one.digest, one.kind, one.metric) == (&other.name, &other.digest, other.kind, other.metric)
}

/// What a record says of the tasks that are wanted.
fn measure(record: &Record, subjects: &[Subject], wanted: &[&TaskCard]) -> Vec<Measured> {
    let sheets = Sheet::all(record);
    let asked = sheets.iter().filter(|sheet| wanted.iter().any(|card| same(&sheet.task, card)));
    asked.filter_map(|sheet| of_sheet(record, subjects, sheet)).collect()
}

fn of_sheet(record: &Record, subjects: &[Subject], sheet: &Sheet) -> Option<Measured> {
    let variants: Vec<usize> = (1..sheet.subjects.len()).filter(|&i| sheet.subjects[i].role == Role::Variant).collect();
    let known = |i: &usize| subjects.iter().any(|s| s.role == Role::Variant && s.name == sheet.subjects[*i].subject);
    let shared: Vec<usize> = variants.iter().copied().filter(known).collect();
    let candidates = if shared.is_empty() { variants } else { shared };
    let compared = candidates.into_iter().map(|i| (i, Comparison::of(sheet, i))).filter(|(_, c)| c.paired.n() > 0);
    let (at, comparison) = compared.max_by(|(_, a), (_, b)| a.paired.flip_rate().total_cmp(&b.paired.flip_rate()))?;
    let (canary, variant) = (&sheet.subjects[0], &sheet.subjects[at]);
    let flips = comparison.paired.table.discordant();
    let deff = (flips >= TELLING).then(|| stats::tango_cluster(&comparison.clusters, 0.0, 0.0)?.deff).flatten();
    let part = |row: &SliceRow| {
        let (pairs, flips) = (row.paired.n(), row.paired.table.discordant());
        Some(Part { slice: row.slice.clone(), pairs, flips, canary: row.paired.canary?.estimate })
    };
    Some(Measured {
        slices: comparison.slices.iter().filter_map(part).collect(),
        task: sheet.task.name.clone(),
        run: record.header.run.clone(),
        subject: comparison.subject.clone(),
        pairs: comparison.paired.n(),
        flips,
        canary: comparison.paired.canary?.estimate,
        own_flips: Noise::of(sheet, canary).and_then(|noise| noise.flips),
        spread: comparison.means.as_ref().and_then(|_| {
            let (canary, variant) = answers(canary, variant);
            Spread::of(&canary, &variant)
        }),
        deff,
    })
}

/// The answers' scores of each item that both have one of, of the canary and of the variant.
fn answers(canary: &Passes, variant: &Passes) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let of = |passes: &Passes, item: usize| -> Vec<f64> { passes.columns.iter().filter_map(|c| c.value(item)).collect() };
    let items = (0..canary.after.min(variant.after)).map(|item| (of(canary, item), of(variant, item)));
    items.filter(|(a, b)| !a.is_empty() && !b.is_empty()).unzip()
}
