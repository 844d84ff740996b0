//! How long each subject took on each task; apart from every comparison, so that no verdict can depend on it.

use super::Record;
use crate::domain::{SubjectName, TaskName};
use crate::metric::{TimingSummary, ecdf, timing_summary};

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

/// How long each subject took, in the plan's order.
#[must_use]
pub fn latencies(record: &Record) -> Vec<Latency> {
    record.header.subjects.iter().map(|subject| latency(record, &subject.name)).collect()
}

fn latency(record: &Record, subject: &SubjectName) -> Latency {
    let micros = |task: Option<&TaskName>| -> Vec<u64> {
        let units = record.timing.micros.iter().filter(|(unit, _)| unit.subject == *subject);
        units.filter(|(unit, _)| task.is_none_or(|t| unit.task == *t)).map(|(_, &m)| m).collect()
    };
    let all = micros(None);
    let by_task = |card: &crate::domain::TaskCard| Some((card.name.clone(), timing_summary(&micros(Some(&card.name)))?));
    Latency {
        subject: subject.clone(),
        tasks: record.header.tasks.iter().filter_map(by_task).collect(),
        all: timing_summary(&all),
        ecdf: ecdf(&all, STEPS),
    }
}
