//! How long each subject took on each task, and how long beside the canary; apart from every comparison of answers, so that
//! no verdict depends on it but that of a latency budget.

use std::collections::{BTreeMap, HashMap};

use super::Record;
use super::sheet::places;
use crate::domain::{MetricKind, Outcome, Role, SubjectName, TaskCard, TaskName, UnitKey};
use crate::metric::{PairedTimes, TimingSummary, ecdf, timing_summary};

/// Steps of an empirical distribution: enough for a plot, few enough for a page.
const STEPS: usize = 200;

/// How long one subject took.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// Who was asked.
    pub subject: SubjectName,
    /// By task, in the plan's order; a task without a unit is left out.
    pub tasks: Vec<(TaskName, TimingSummary)>,
    /// Over all units; none where there is no unit.
    pub all: Option<TimingSummary>,
    /// The distribution over all units: (milliseconds, share at or below), ascending.
    pub ecdf: Vec<(f64, f64)>,
}

/// Which part of an answer's time is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// From the request to the whole answer.
    Whole,
    /// From the request to its first token, of answers that were streamed.
    First,
    /// From one token to the next on average, of answers of two tokens or more that were streamed.
    Between,
}

impl Span {
    /// How long a unit took: microseconds, and nanoseconds between tokens.
    fn of(self, record: &Record, unit: &UnitKey) -> Option<u64> {
        let pace = || record.timing.pace.get(unit);
        match self {
            Self::Whole => record.timing.micros.get(unit).copied(),
            Self::First => pace().map(|pace| pace.first_us),
            Self::Between => pace().filter(|pace| pace.tokens > 1).map(|pace| 1000 * pace.rest_us / (pace.tokens - 1)),
        }
    }
}

/// How long a variant or control took beside the canary.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyComparison {
    /// Who is compared with the canary.
    pub subject: SubjectName,
    /// What it is for.
    pub role: Role,
    /// The task; all tasks with scores where none. Documents are left out: a variant's time on one has that of comparing
    /// distributions in it.
    pub task: Option<TaskName>,
    /// Which part of the time.
    pub span: Span,
    /// The times of the samples that both have a score of, in the first pass.
    pub times: PairedTimes,
}

/// How long each subject took, in the plan's order.
#[must_use]
pub fn latencies(record: &Record) -> Vec<Latency> {
    let mut micros: BTreeMap<(&SubjectName, &TaskName), Vec<u64>> = BTreeMap::new();
    for (unit, took) in &record.timing.micros {
        micros.entry((&unit.subject, &unit.task)).or_default().push(*took);
    }
    record.header.subjects.iter().map(|subject| latency(record, &subject.name, &micros)).collect()
}

fn latency(record: &Record, subject: &SubjectName, micros: &BTreeMap<(&SubjectName, &TaskName), Vec<u64>>) -> Latency {
    let own: Vec<(&TaskName, &Vec<u64>)> =
        record.header.tasks.iter().filter_map(|card| Some((&card.name, micros.get(&(subject, &card.name))?))).collect();
    let all: Vec<u64> = own.iter().flat_map(|(_, took)| took.iter().copied()).collect();
    Latency {
        subject: subject.clone(),
        tasks: own.into_iter().filter_map(|(task, took)| Some((task.clone(), timing_summary(took)?))).collect(),
        all: timing_summary(&all),
        ecdf: ecdf(&all, STEPS),
    }
}

/// Every variant and control beside the canary: over all tasks with scores, then by task; without those that share no time.
pub(super) fn compare(record: &Record) -> Vec<LatencyComparison> {
    let streamed = if record.timing.pace.is_empty() { &[][..] } else { &[Span::First, Span::Between] };
    [Span::Whole].iter().chain(streamed).flat_map(|span| compare_spans(record, *span)).collect()
}

fn compare_spans(record: &Record, span: Span) -> Vec<LatencyComparison> {
    let times = Times::of(record, span);
    let Some(canary) = record.header.canary() else { return Vec::new() };
    let mut all = Vec::new();
    for subject in record.header.subjects.iter().filter(|s| s.role != Role::Canary) {
        let of_task = |card: &TaskCard| (card.name.clone(), times.pairs(&canary.name, &subject.name, &card.name));
        let by_task: Vec<(TaskName, Vec<(u64, u64)>)> =
            scored(record).map(of_task).filter(|(_, pairs)| !pairs.is_empty()).collect();
        let together: Vec<(u64, u64)> = by_task.iter().flat_map(|(_, pairs)| pairs).copied().collect();
        let row = |task: Option<TaskName>, pairs: &[(u64, u64)]| LatencyComparison {
            subject: subject.name.clone(),
            role: subject.role,
            task,
            span,
            times: PairedTimes::of(pairs),
        };
        if !together.is_empty() {
            all.push(row(None, &together));
            all.extend(by_task.iter().map(|(task, pairs)| row(Some(task.clone()), pairs)));
        }
    }
    all
}

/// The tasks with scores, in the plan's order.
fn scored(record: &Record) -> impl Iterator<Item = &TaskCard> {
    record.header.tasks.iter().filter(|card| card.metric != MetricKind::Perplexity)
}

/// How long each subject took on each sample that it has a score of, in the order of the samples.
struct Times<'a>(HashMap<(&'a SubjectName, &'a TaskName), Vec<Option<u64>>>);

impl<'a> Times<'a> {
    fn of(record: &'a Record, span: Span) -> Self {
        let places = places(record);
        let mut times = HashMap::new();
        // Repeats share batches with the first pass, or come long after it: one pass keeps the order of time.
        let first =
            record.outcomes.iter().filter(|(unit, outcome)| unit.repeat == 0 && matches!(outcome, Outcome::Scored { .. }));
        for (unit, _) in first {
            let Some(samples) = places.get(&unit.task) else { continue };
            let (Some(&place), Some(took)) = (samples.get(&unit.sample), span.of(record, unit)) else { continue };
            times.entry((&unit.subject, &unit.task)).or_insert_with(|| vec![None; samples.len()])[place] = Some(took);
        }
        Self(times)
    }

    /// The times of the samples that both have one of.
    fn pairs(&self, canary: &SubjectName, variant: &SubjectName, task: &TaskName) -> Vec<(u64, u64)> {
        let of = |subject| self.0.get(&(subject, task)).map_or(&[][..], Vec::as_slice);
        of(canary).iter().zip(of(variant)).filter_map(|(a, b)| Some(((*a)?, (*b)?))).collect()
    }
}
