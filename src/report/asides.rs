//! Sentences beside the table: the noise floor, what early stopping saved, and what p and the marks mean.

use super::lines::{Line, Mark, SEQUENTIAL};
use super::model::{NoiseResult, Report, Unit};
use super::phrase::delta;
use crate::domain::Verdict;
use crate::gate::wording::{correction, count};

/// What the canary does against itself; none where it was asked once: a warning says so.
pub(super) fn floor(report: &Report) -> Option<String> {
    let floor = report.floor();
    let passes = floor.iter().map(|noise| noise.passes).max()?;
    let answers: u64 = floor.iter().map(|noise| noise.n).sum();
    let flips = floor.iter().filter_map(|n| Some(n.flips? * n.n as f64)).sum::<f64>() / answers.max(1) as f64;
    let by_spread = |noise: &&&NoiseResult| noise.delta.map_or(0.0, |delta| delta.estimate.abs());
    // Tasks in points alone can be set side by side; of equals the first.
    let points = |noise: &&&NoiseResult| report.unit_of(&noise.task) == Unit::Points && noise.delta.is_some();
    let most = floor.iter().filter(points).rev().max_by(|a, b| by_spread(a).total_cmp(&by_spread(b)));
    let most = most.map_or_else(String::new, |noise| {
        let (largest, on) = if floor.len() > 1 { ("largest ", format!(", on {}", noise.task)) } else { ("", String::new()) };
        format!("; {largest}Δ {} pp{on}", delta(noise.delta, Unit::Points))
    });
    Some(format!("The canary against itself ({passes} passes): {:.2} % of answers flip{most}.", 100.0 * flips))
}

/// How much early stopping saved; none where it saved nothing.
pub(super) fn early(report: &Report) -> Option<String> {
    let units = report.units;
    if units.settled == 0 {
        return None;
    }
    let whole = units.expected + units.settled;
    let [settled, of] = [units.settled, whole].map(|n| count(n as u64));
    let percent = 100.0 * units.settled as f64 / whole as f64;
    let digits = usize::from(percent < 10.0);
    Some(format!("Verdicts were certain before the end: {settled} of {of} answers ({percent:.digits$} %) were not needed."))
}

/// What the p in the table is of.
pub(super) fn of_p(report: &Report, lines: &[Line<'_>]) -> String {
    let failing = if lines.iter().any(|line| line.answer() == Verdict::Fail) { "; for FAIL a smaller one" } else { "" };
    let corrected = correction(report.policy.family).filter(|_| lines.iter().any(Line::is_corrected));
    let correction = corrected.map_or_else(String::new, |by| format!(" (corrected by {by})"));
    format!("p tests a loss as large as what is tolerated{failing}{correction}.")
}

/// What the letters beside intervals mean; none where there are none.
pub(super) fn of_marks(lines: &[Line<'_>]) -> Option<String> {
    let mut marks: Vec<Mark> = lines.iter().flat_map(Line::marks).collect();
    marks.sort_unstable();
    marks.dedup();
    // The heading names the usual confidence, which a sequential bound exceeds.
    let more = |mark: &Mark| if *mark == SEQUENTIAL { ", at more confidence than the heading says" } else { "" };
    let marks: Vec<String> = marks.iter().map(|mark| format!("{} {}{}", mark.0, mark.1, more(mark))).collect();
    (!marks.is_empty()).then(|| format!("Intervals: {}.", marks.join("; ")))
}
