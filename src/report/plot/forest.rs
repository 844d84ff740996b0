//! The forest plot: for each variant and task the loss with its interval, and where the margin lies.

use super::canvas::{Anchor, Face, Scale, steps, svg};
use super::{BEYOND, Canvas, Figure, GRID, INK, MUTED, PlotError, cut, ticks, verdict_colour};
use crate::domain::Role;
use crate::gate::wording::signed_points;
use crate::report::model::{Report, SubjectResult, TaskResult};
use crate::report::phrase;

const WIDTH: i32 = 960;
const ROW: i32 = 24;
const HEAD: i32 = 34;
const TOP: i32 = 12;
const FOOT: i32 = 50;
/// Left and right edge of the field; labels before it, numbers behind it.
const FIELD: (i32, i32) = (160, 625);

/// The plot; none where no task was compared.
pub(super) fn draw(report: &Report) -> Result<Option<Figure>, PlotError> {
    let subjects: Vec<&SubjectResult> = report.worst_first().into_iter().filter(|s| !s.tasks.is_empty()).collect();
    if subjects.is_empty() {
        return Ok(None);
    }
    let height: i32 = subjects.iter().map(|s| HEAD + steps(s.tasks.len(), ROW)).sum::<i32>() + TOP + FOOT;
    let scale = Scale { values: reach(&subjects), pixels: FIELD };
    let svg = svg((WIDTH as u32, height as u32), |canvas| {
        let mut y = TOP;
        for subject in &subjects {
            y = section(canvas, subject, scale, y)?;
        }
        axis(canvas, scale, (TOP, y))
    })?;
    let caption = format!(
        "Each line is the {:.0} % interval that the verdict rests on; the dashed line is the margin. PASS: the whole interval lies right of it. \
         FAIL: the whole interval lies left of it. An arrow says that the interval goes on outside the field.",
        100.0 * (1.0 - 2.0 * report.policy.alpha)
    );
    Ok(Some(Figure { name: "forest", title: "Change in accuracy against the margin", caption, svg }))
}

/// The values that the field shows: all candidates' intervals and margins, but not more than eight margins to the left, so
/// that a control which lost everything doesn't squeeze the rest.
fn reach(subjects: &[&SubjectResult]) -> (f64, f64) {
    let candidates = subjects.iter().any(|s| s.role == Role::Variant);
    let counted = move |s: &&&SubjectResult| s.role == Role::Variant || !candidates;
    let tasks = || subjects.iter().filter(counted).flat_map(|s| &s.tasks);
    let margin = tasks().map(|t| t.margin).fold(0.005, f64::max);
    let low = tasks().filter_map(|t| t.gate).map(|g| g.lower).fold(-1.6 * margin, f64::min).max(-8.0 * margin);
    let high = tasks().filter_map(|t| t.gate).map(|g| g.upper).fold(0.8 * margin, f64::max).min(4.0 * margin);
    let room = 0.04 * (high - low);
    (low - room, high + room)
}

fn section(canvas: &Canvas<'_>, subject: &SubjectResult, scale: Scale, top: i32) -> Result<i32, PlotError> {
    let verdict = subject.verdict.map_or("", crate::domain::Verdict::word);
    let colour = subject.verdict.map_or(INK, verdict_colour);
    let middle = top + HEAD / 2 + 4;
    canvas.text(&cut(subject.name.as_str(), 28), (0, middle), Face::of(14.0).bold())?;
    canvas.text(verdict, (WIDTH, middle), Face::of(13.0).bold().colour(colour).anchor(Anchor::End))?;
    canvas.line(vec![(0, top + HEAD - 2), (WIDTH, top + HEAD - 2)], GRID, 1)?;
    let mut y = top + HEAD;
    for task in subject.tasks_worst_first() {
        row(canvas, task, scale, y)?;
        y += ROW;
    }
    Ok(y)
}

fn row(canvas: &Canvas<'_>, task: &TaskResult, scale: Scale, top: i32) -> Result<(), PlotError> {
    let y = top + ROW / 2;
    let (left, right) = FIELD;
    let colour = if task.gating { verdict_colour(task.verdict) } else { MUTED };
    canvas.block((left, top), (scale.at(-task.margin), top + ROW), BEYOND)?;
    canvas.line(vec![(scale.at(0.0), top), (scale.at(0.0), top + ROW)], GRID, 1)?;
    canvas.dashes((scale.at(-task.margin), top), (scale.at(-task.margin), top + ROW), INK)?;
    canvas.text(&cut(task.task.as_str(), 22), (left - 12, y), Face::of(13.0).anchor(Anchor::End))?;
    if let Some(gate) = task.gate {
        let (from, to) = (scale.at(gate.lower), scale.at(gate.upper));
        canvas.line(vec![(from, y), (to.max(from + 1), y)], colour, 2)?;
        if gate.lower < scale.values.0 {
            canvas.line(vec![(left, y), (left + 20, y)], colour, 2)?;
            canvas.line(vec![(left + 7, y - 4), (left, y), (left + 7, y + 4)], colour, 2)?;
        }
        if gate.upper > scale.values.1 {
            canvas.line(vec![(right - 20, y), (right, y)], colour, 2)?;
            canvas.line(vec![(right - 7, y - 4), (right, y), (right - 7, y + 4)], colour, 2)?;
        }
        if gate.estimate >= scale.values.0 && gate.estimate <= scale.values.1 {
            canvas.mark((scale.at(gate.estimate), y), 0, colour)?;
        }
    }
    let numbers = Face::of(13.0).anchor(Anchor::End);
    canvas.text(&phrase::delta(task.gate), (right + 210, y), numbers)?;
    canvas.text(&phrase::verdict(task), (WIDTH, y), numbers.colour(colour))
}

fn axis(canvas: &Canvas<'_>, scale: Scale, rows: (i32, i32)) -> Result<(), PlotError> {
    let y = rows.1 + 6;
    let (left, right) = FIELD;
    canvas.line(vec![(left, y), (right, y)], MUTED, 1)?;
    for tick in ticks(scale.values.0 * 100.0, scale.values.1 * 100.0, 6) {
        let x = scale.at(tick / 100.0);
        canvas.line(vec![(x, y), (x, y + 4)], MUTED, 1)?;
        let label = signed_points(tick / 100.0).trim_end_matches('0').trim_end_matches('.').to_owned();
        let label = if label.is_empty() || label == "0" { "0".to_owned() } else { label };
        canvas.text(&label, (x, y + 14), Face::of(12.0).colour(MUTED).anchor(Anchor::Middle))?;
    }
    let faint = Face::of(12.0).colour(MUTED);
    let middle = i32::midpoint(left, right);
    canvas.text("variant − canary, percentage points", (middle, y + 34), faint.anchor(Anchor::Middle))?;
    canvas.text("← worse", (left, y + 34), faint)?;
    canvas.text("better →", (right, y + 34), faint.anchor(Anchor::End))
}
