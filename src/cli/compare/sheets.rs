//! One task's rows of all subjects, streamed into a sheet.

use super::super::args::CompareArgs;
use super::super::terminal;
use super::rows;
use super::subjects::{Chosen, Compared};
use crate::analysis::{Column, Groups, Mark, Passes, Sheet};
use crate::domain::{MetricKind, SampleId, TaskCard};
use crate::harness::{Grouping, HarnessError, Roll, Row, Rows};

/// Most epochs of a sample.
const EPOCHS: usize = 256;
/// Where a sample is that a subject's file doesn't have.
pub(super) const NOWHERE: u64 = u64::MAX;
/// How far a mean may be from the program's own and be the same: sums are added in other orders.
const SAME: f64 = 1e-9;

/// A task's sheet, and where its samples are.
pub(super) struct Filled {
    /// The scores.
    pub(super) sheet: Sheet,
    /// By subject, by sample: where the entry of its first epoch begins in the file, or [`NOWHERE`].
    pub(super) places: Vec<Vec<u64>>,
}

/// The members that group samples, as typed.
pub(super) fn grouping(args: &CompareArgs) -> Grouping {
    Grouping { slice: args.slice.clone(), cluster: args.cluster.clone() }
}

/// Reads a task's rows of every subject.
pub(super) fn fill(subjects: &[Compared], task: &Chosen, by: &Grouping) -> Result<Filled, HarnessError> {
    let canary = rows(&subjects[0], task).expect("every subject has the chosen tasks");
    let roll = Roll::of(canary)?;
    let mut ids = vec![None; roll.len()];
    let (mut slices, mut clusters) = (Names::default(), Names::default());
    let mut passes = Vec::with_capacity(subjects.len());
    let mut places = Vec::with_capacity(subjects.len());
    for (number, subject) in subjects.iter().enumerate() {
        let own = rows(subject, task).expect("every subject has the chosen tasks");
        let mut marks = Marks::new(roll.len());
        let of_canary = (number > 0).then_some(canary);
        roll.follow(own, of_canary, by, &mut |sample, row| {
            if number == 0 {
                ids[sample] = Some(SampleId::new(row.id));
                slices.set((sample, roll.len()), row.slice);
                clusters.set((sample, roll.len()), row.cluster);
            }
            marks.set(sample, row);
        })?;
        marks.check(own)?;
        compare_with_reported(subject, own, &marks);
        let (columns, at) = marks.columns();
        passes.push(Passes { subject: subject.name.clone(), role: subject.role, after: roll.len(), columns });
        places.push(at);
    }
    let ids: Vec<SampleId> = ids.into_iter().map(|id| id.expect("the canary has every sample of its own roll")).collect();
    let card = card(canary, task, &passes);
    Ok(Filled {
        sheet: Sheet { task: card, ids, slices: slices.groups(), clusters: clusters.groups(), subjects: passes },
        places,
    })
}

/// The card of a task, as far as its rows tell.
fn card(canary: Rows<'_>, task: &Chosen, passes: &[Passes]) -> TaskCard {
    let values = || passes.iter().flat_map(|p| &p.columns).flat_map(|column| (0..column.len()).filter_map(|i| column.value(i)));
    let binary = values().all(|value| value.to_bits() == 0 || value.to_bits() == 1.0_f64.to_bits());
    let within = values().all(|value| (0.0..=1.0).contains(&value));
    let file =
        &canary.source.files[canary.source.files.iter().position(|f| f.path == canary.source.file_of(canary.task)).unwrap_or(0)];
    TaskCard {
        name: task.name.clone(),
        about: format!("The score `{}` of {}.", task.metric, canary.source.program),
        kind: canary.task.kind,
        metric: if binary { MetricKind::Accuracy } else { MetricKind::Mean },
        range: (!binary && within).then_some((0.0, 1.0)),
        gating: true,
        chance: canary.task.chance,
        band: None,
        dataset: file.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        digest: file.digest.clone(),
        samples: passes.first().and_then(|p| p.columns.first()).map_or(0, Column::len),
    }
}

/// The marks of one subject while its rows come in, epoch by epoch: 9 bytes each, and 8 for the place.
struct Marks {
    samples: usize,
    epochs: Vec<(u32, Vec<f64>, Vec<u8>)>,
    places: Vec<u64>,
}

const TRUNCATED: u8 = 1;
const UNPARSED: u8 = 2;

impl Marks {
    fn new(samples: usize) -> Self {
        Self { samples, epochs: Vec::new(), places: vec![NOWHERE; samples] }
    }

    fn set(&mut self, sample: usize, row: &Row<'_>) {
        let known = self.epochs.iter().position(|(epoch, ..)| *epoch == row.epoch);
        let place = known.unwrap_or_else(|| {
            // Beyond the most, what is in them doesn't matter: the file is refused.
            if self.epochs.len() <= EPOCHS {
                self.epochs.push((row.epoch, vec![f64::NAN; self.samples], vec![0; self.samples]));
            }
            self.epochs.len() - 1
        });
        let (epoch, values, flags) = &mut self.epochs[place];
        values[sample] = row.score.unwrap_or(f64::NAN);
        flags[sample] = if row.truncated { TRUNCATED } else { 0 } | if row.parsed { 0 } else { UNPARSED };
        if *epoch <= 1 || self.places[sample] == NOWHERE {
            self.places[sample] = row.at;
        }
    }

    fn check(&self, rows: Rows<'_>) -> Result<(), HarnessError> {
        if self.epochs.len() <= EPOCHS {
            return Ok(());
        }
        Err(HarnessError::File {
            path: rows.source.file_of(rows.task).to_owned(),
            what: format!("it has more than {EPOCHS} epochs of a sample"),
            hint: "write the number of the repetition as the epoch, or leave it out".to_owned(),
        })
    }

    /// The mean of the scores, where every sample has one.
    fn mean(&self) -> Option<f64> {
        let [(_, values, _)] = self.epochs.as_slice() else { return None };
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        mean.is_finite().then_some(mean)
    }

    /// A column for each epoch, in the order of their numbers, and the places.
    fn columns(mut self) -> (Vec<Column>, Vec<u64>) {
        self.epochs.sort_by_key(|(epoch, ..)| *epoch);
        let repeated = self.epochs.len() > 1;
        let column = |(_, values, flags): (u32, Vec<f64>, Vec<u8>)| {
            let mut column = Column::with_capacity(values.len());
            for (value, flags) in values.into_iter().zip(flags) {
                let (truncated, unparsed) = (flags & TRUNCATED != 0, flags & UNPARSED != 0);
                // What was read out of an answer isn't known: equal scores are taken for the same behaviour.
                let mark = Mark { value: Some(value).filter(|v| v.is_finite()), truncated, unparsed, label: value.to_bits() };
                if repeated { column.push_labelled(mark) } else { column.push(mark) }
            }
            column
        };
        (self.epochs.into_iter().map(column).collect(), self.places)
    }
}

/// Says where the mean of the scores is not what the program itself reports.
fn compare_with_reported(subject: &Compared, rows: Rows<'_>, marks: &Marks) {
    let reported = rows.task.metrics.iter().find(|head| head.name == rows.metric).and_then(|head| head.reported);
    if let (Some(reported), Some(mean)) = (reported, marks.mean())
        && (reported - mean).abs() > SAME * reported.abs().max(1.0)
    {
        terminal::warn(&format!(
            "{}: {} says that `{}` of task '{}' is {reported}, and the mean of its samples' scores is {mean}: it reduces them in another way",
            subject.name, rows.source.program, rows.metric, rows.task.name
        ));
    }
}

/// Names of groups by sample, each name held once.
#[derive(Default)]
struct Names {
    distinct: Vec<String>,
    numbers: std::collections::HashMap<String, u32>,
    of: Vec<u32>,
}

impl Names {
    /// Notes the name of a sample, where it has one, among so many samples.
    fn set(&mut self, (sample, samples): (usize, usize), name: Option<&str>) {
        let Some(name) = name else { return };
        let number = self.numbers.get(name).copied().unwrap_or_else(|| {
            let number = self.distinct.len() as u32;
            self.distinct.push(name.to_owned());
            self.numbers.insert(name.to_owned(), number);
            number
        });
        if self.of.is_empty() {
            self.of = vec![u32::MAX; samples];
        }
        self.of[sample] = number;
    }

    fn groups(&self) -> Groups {
        Groups::of(self.of.iter().map(|number| self.distinct.get(*number as usize).map(String::as_str)))
    }
}
