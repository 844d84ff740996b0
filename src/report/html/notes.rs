//! What stands below the cards: the noise floor, earlier runs, warnings.

use super::card::Badge;
use crate::gate::wording::count;
use crate::report::model::Report;
use crate::report::phrase;

/// The warnings of one code.
pub(super) struct WarningGroup {
    pub(super) code: &'static str,
    pub(super) meaning: &'static str,
    pub(super) remedy: &'static str,
    pub(super) items: Vec<String>,
}

/// What the canary does against itself on one task.
pub(super) struct FloorRow {
    pub(super) task: String,
    pub(super) n: String,
    pub(super) flips: String,
    pub(super) changed: String,
    pub(super) delta: String,
    pub(super) runs: String,
}

/// What the canary does against itself, task by task.
pub(super) fn floor(report: &Report) -> Vec<FloorRow> {
    let share = |x: Option<f64>| x.map_or_else(|| phrase::NOTHING.to_owned(), |x| format!("{:.2}", 100.0 * x));
    let floor = report.floor().into_iter();
    let row = floor.map(|noise| FloorRow {
        task: noise.task.to_string(),
        n: count(noise.n),
        flips: share(noise.flips),
        changed: share(noise.changed),
        delta: phrase::delta(noise.delta, report.unit_of(&noise.task)),
        runs: noise.p_run.map_or_else(|| phrase::NOTHING.to_owned(), phrase::p),
    });
    row.collect()
}

/// Earlier runs that judged the same models: variant, verdict, run, and whether the rules were the same.
pub(super) fn attempts(report: &Report) -> Vec<(String, Badge, String, String)> {
    let attempts = report.run.attempts.iter();
    let row = attempts.map(|attempt| {
        let plan = if attempt.plan.as_str() == report.digest { "the same plan" } else { "another plan" };
        (attempt.subject.to_string(), Badge::of(Some(attempt.verdict)), attempt.run.clone(), plan.to_owned())
    });
    row.collect()
}

/// The warnings, by code.
pub(super) fn warnings(report: &Report) -> Vec<WarningGroup> {
    let mut groups: Vec<WarningGroup> = Vec::new();
    for warning in &report.warnings {
        let names = [warning.subject.as_ref().map(ToString::to_string), warning.task.as_ref().map(ToString::to_string)];
        let names: Vec<String> = names.into_iter().flatten().collect();
        let item = if names.is_empty() { warning.detail.clone() } else { format!("{}: {}", names.join(", "), warning.detail) };
        match groups.last_mut().filter(|g| g.code == warning.code) {
            Some(group) => group.items.push(item),
            None => groups.push(WarningGroup {
                code: warning.code,
                meaning: warning.meaning,
                remedy: warning.remedy,
                items: vec![item],
            }),
        }
    }
    groups
}
