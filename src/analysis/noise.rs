//! The noise floor: what a subject that was asked more than once does against itself, and what is left of a difference.

use rayon::prelude::*;

use super::sheet::Side;
use super::{Column, Comparison, Passes, Sheet};
use crate::domain::{Role, SubjectName, TaskName};
use crate::stats::{self, Excess, Overdispersion};

/// Level at which passes are said to vary more than their items explain.
const OVERDISPERSED: f64 = 0.01;

/// What one subject does against itself on one task with scores: all passes under the same settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    /// Who.
    pub subject: SubjectName,
    /// What it is for.
    pub role: Role,
    /// The task.
    pub task: TaskName,
    /// Passes over the task, at least 2.
    pub passes: u32,
    /// Items with a score in every pass.
    pub complete: u64,
    /// Share of pairs of passes in which an item's score differs, averaged over the complete items, in 0..=1; none where
    /// there is no complete item.
    pub flips: Option<f64>,
    /// The same of what was read out of the answers: behaviour, at whatever score. None where labels are not kept.
    pub changed: Option<f64>,
    /// The second pass (in the variant's place) against the first (in the canary's).
    pub again: Comparison,
    /// The standard deviation of a difference between two passes, by what the items vary and, where it is shown, whole
    /// passes; from all passes. None where there is no complete item.
    pub sd: Option<f64>,
    /// Whether whole passes vary more than their items explain; none where there is no complete item.
    pub overdispersion: Option<Overdispersion>,
}

impl Noise {
    /// The variance of a whole pass's mean beyond what its items explain, where it is shown (p < 0.01); else 0.
    #[must_use]
    pub fn sigma2_run(&self) -> f64 {
        self.overdispersion.as_ref().map_or(0.0, shown_variance)
    }

    /// Whether whole passes are shown to vary more than their items explain.
    #[must_use]
    pub fn is_overdispersed(&self) -> bool {
        self.sigma2_run() > 0.0
    }

    /// Whether every pass gave every item the same score, and the same answer where labels are kept.
    #[must_use]
    pub fn is_still(&self) -> bool {
        self.flips == Some(0.0) && self.changed.is_none_or(|share| share == 0.0)
    }
}

/// What is known of each sheet's subjects, in their order; none of those with one pass.
pub(super) fn measure(sheets: &[Sheet]) -> Vec<Vec<Option<Noise>>> {
    sheets.par_iter().map(|sheet| sheet.subjects.par_iter().map(|passes| of(sheet, passes)).collect()).collect()
}

/// By subject, then task.
pub(super) fn by_subject(noise: Vec<Vec<Option<Noise>>>) -> Vec<Noise> {
    let numbered = noise.into_iter().flat_map(|sheet| sheet.into_iter().enumerate());
    let mut all: Vec<(usize, Noise)> = numbered.filter_map(|(subject, noise)| Some((subject, noise?))).collect();
    // A stable sort: of one subject, tasks stay in the plan's order.
    all.sort_by_key(|(subject, _)| *subject);
    all.into_iter().map(|(_, noise)| noise).collect()
}

fn of(sheet: &Sheet, passes: &Passes) -> Option<Noise> {
    if passes.columns.len() < 2 {
        return None;
    }
    let side = passes.side();
    let overdispersion = overdispersion(passes);
    // Two passes differ by what each varies: twice the variance of one.
    let variance = overdispersion.map(|of| 2.0 * (of.expected_var + shown_variance(&of)));
    Some(Noise {
        subject: passes.subject.clone(),
        role: passes.role,
        task: sheet.task.name.clone(),
        passes: passes.columns.len() as u32,
        complete: (0..passes.after.min(sheet.ids.len())).filter(|&item| scored(side, item)).count() as u64,
        flips: disagreement(side, sheet.ids.len(), Column::value),
        changed: disagreement(side, sheet.ids.len(), Column::label),
        again: Comparison::between(sheet, passes.pass(0), passes.pass(1)),
        sd: variance.map(f64::sqrt),
        overdispersion,
    })
}

/// Whether an item has a score in every pass.
fn scored(side: Side<'_>, item: usize) -> bool {
    side.columns.iter().all(|column| column.value(item).is_some())
}

/// Mean share of pairs of passes that disagree about an item, over items that all passes have; none where there is none.
fn disagreement<T: PartialEq>(side: Side<'_>, items: usize, of: fn(&Column, usize) -> Option<T>) -> Option<f64> {
    let (mut apart, mut complete) = (0_u64, 0_u64);
    for item in 0..side.after.min(items) {
        if side.columns.iter().any(|column| of(column, item).is_none()) {
            continue;
        }
        complete += 1;
        for (i, one) in side.columns.iter().enumerate() {
            let one = of(one, item);
            apart += side.columns[i + 1..].iter().filter(|other| of(other, item) != one).count() as u64;
        }
    }
    let passes = side.columns.len() as u64;
    (complete > 0).then(|| apart as f64 / (complete * passes * (passes - 1) / 2) as f64)
}

/// Whether a subject's passes vary more than their items explain; none where it has one pass or no complete item.
pub(super) fn overdispersion(passes: &Passes) -> Option<Overdispersion> {
    if passes.columns.len() < 2 {
        return None;
    }
    let side = passes.side();
    let items = passes.after.min(passes.columns[0].len());
    let complete: Vec<usize> = (0..items).filter(|&item| scored(side, item)).collect();
    let run = |column: &Column| complete.iter().filter_map(|&item| column.value(item)).collect();
    let runs: Vec<Vec<f64>> = side.columns.iter().map(run).collect();
    stats::run_overdispersion(&runs)
}

/// The variance of whole passes, where it is shown; else 0.
pub(super) fn shown_variance(of: &Overdispersion) -> f64 {
    if of.p < OVERDISPERSED { of.sigma2_run } else { 0.0 }
}

/// How much more a subject differs from the canary than each from itself: by score, and by what was read. Over items that
/// every pass of both has; clusters are allowed for.
pub(super) fn excess(sheet: &Sheet, subject: usize) -> [Option<Excess>; 2] {
    let sides = (sheet.subjects[0].side(), sheet.subjects[subject].side());
    if sides.0.columns.len() < 2 {
        return [None, None];
    }
    [excess_by(sheet, sides, Column::value), excess_by(sheet, sides, Column::label)]
}

fn excess_by<T: PartialEq>(
    sheet: &Sheet,
    (canary, variant): (Side<'_>, Side<'_>),
    of: fn(&Column, usize) -> Option<T>,
) -> Option<Excess> {
    let (mut a, mut b, mut clusters) = (Vec::new(), Vec::new(), Vec::new());
    let groups = sheet.clusters.names().len();
    for item in 0..variant.after.min(canary.after).min(sheet.ids.len()) {
        let all = |side: Side<'_>| side.columns.iter().all(|column| of(column, item).is_some());
        if all(canary) && all(variant) {
            a.extend(canary.columns.iter().filter_map(|column| of(column, item)));
            b.extend(variant.columns.iter().filter_map(|column| of(column, item)));
            // An item without a cluster is one of its own.
            clusters.push(sheet.clusters.group(item).unwrap_or(groups + item));
        }
    }
    let a: Vec<&[T]> = a.chunks_exact(canary.columns.len()).collect();
    let b: Vec<&[T]> = b.chunks_exact(variant.columns.len()).collect();
    if groups == 0 { stats::aa_excess(&a, &b) } else { stats::aa_excess_clustered(&a, &b, &clusters) }
}
