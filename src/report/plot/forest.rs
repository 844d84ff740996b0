//! The forest plot: for each variant and task the loss with its interval, where the margin lies, and what is noise.

use super::canvas::{Anchor, Face, Scale, steps, svg};
use super::{BAND, BEYOND, Canvas, Figure, GRID, INK, MUTED, PlotError, cut, ticks, verdict_colour};
use crate::domain::Role;
use crate::gate::wording::signed_points;
use crate::report::lines::{self, Line};
use crate::report::model::{Report, SubjectResult, Unit};
use crate::stats::Interval;

const WIDTH: i32 = 960;
const ROW: i32 = 24;
const HEAD: i32 = 34;
const TOP: i32 = 12;
const FOOT: i32 = 50;
/// Left and right edge of the field; labels before it, numbers behind it.
const FIELD: (i32, i32) = (170, 625);

/// What the field measures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Axis {
    /// Differences of shares.
    Points,
    /// Variant over canary, less 1: every verdict rests on a ratio.
    Recovery,
    /// Differences as multiples of what is tolerated: scores of different units.
    Multiples,
}

/// A line of the table on the axis.
struct Row<'a> {
    line: Line<'a>,
    interval: Option<Interval>,
    margin: f64,
    /// Twice the standard deviation of what the canary differs from itself.
    noise: Option<f64>,
}

/// The lines of a subject.
struct Section<'a> {
    subject: &'a SubjectResult,
    rows: Vec<Row<'a>>,
}

/// The plot; none where no task was compared.
pub(super) fn draw(report: &Report) -> Result<Option<Figure>, PlotError> {
    let axis = axis_of(&lines::all(report));
    let of =
        |subject| Section { subject, rows: lines::lines(report, subject).into_iter().map(|l| row_of(report, axis, l)).collect() };
    let sections: Vec<Section<'_>> = report.worst_first().into_iter().map(of).filter(|s| !s.rows.is_empty()).collect();
    if sections.is_empty() {
        return Ok(None);
    }
    let height: i32 = sections.iter().map(|s| HEAD + steps(s.rows.len(), ROW)).sum::<i32>() + TOP + FOOT;
    let scale = Scale { values: reach(&sections), pixels: FIELD };
    let svg = svg((WIDTH as u32, height as u32), |canvas| {
        let mut y = TOP;
        for one in &sections {
            y = section(canvas, one, scale, y)?;
        }
        ruler(canvas, axis, scale, (TOP, y))
    })?;
    let band =
        if report.floor().is_empty() { "" } else { " The band holds 95 % of the differences between two passes of the canary." };
    let caption = format!(
        "Each line is the interval that the verdict rests on, of {:.0} % unless a task says more; the dashed line is what is tolerated. PASS: the whole interval lies right \
         of it. FAIL: the whole interval lies left of it, also when corrected for the number of claims. An arrow says that the interval goes on outside the field.{band}",
        100.0 * (1.0 - 2.0 * report.policy.alpha)
    );
    Ok(Some(Figure { name: "forest", title: "Change against what is tolerated", caption, svg }))
}

fn axis_of(lines: &[Line<'_>]) -> Axis {
    if lines.iter().any(|line| line.unit() == Unit::Score) {
        Axis::Multiples
    } else if lines.iter().all(|line| line.about_ratio().is_some()) {
        Axis::Recovery
    } else {
        Axis::Points
    }
}

fn row_of<'a>(report: &Report, axis: Axis, line: Line<'a>) -> Row<'a> {
    let task = line.task_name();
    let noise = report.floor().into_iter().find(|noise| task == Some(&noise.task)).and_then(|noise| noise.sd).map(|sd| 2.0 * sd);
    let margin = line.margin().unwrap_or(0.0);
    let over = |by: f64| move |x: f64| if by > 0.0 { x / by } else { 0.0 };
    match axis {
        Axis::Points => Row { line, interval: line.interval(), margin, noise },
        Axis::Recovery => {
            let (kept, canary) = line.kept().unwrap_or((1.0, 1.0));
            let interval = line.about_ratio().map(|ratio| scaled(ratio, |x| x - 1.0));
            Row { line, interval, margin: 1.0 - kept, noise: noise.map(over(canary)) }
        }
        Axis::Multiples => {
            Row { line, interval: line.interval().map(|i| scaled(i, over(margin))), margin: 1.0, noise: noise.map(over(margin)) }
        }
    }
}

fn scaled(interval: Interval, by: impl Fn(f64) -> f64) -> Interval {
    Interval { estimate: by(interval.estimate), lower: by(interval.lower), upper: by(interval.upper) }
}

/// The values that the field shows: all candidates' intervals and margins, but not more than eight margins to the left, so
/// that a control which lost everything doesn't squeeze the rest.
fn reach(sections: &[Section<'_>]) -> (f64, f64) {
    let candidates = sections.iter().any(|s| s.subject.role == Role::Variant);
    let counted = move |s: &&Section<'_>| s.subject.role == Role::Variant || !candidates;
    let rows = || sections.iter().filter(counted).flat_map(|s| &s.rows);
    let margin = rows().map(|row| row.margin).fold(0.005, f64::max);
    let low = rows().filter_map(|row| row.interval).map(|i| i.lower).fold(-1.6 * margin, f64::min).max(-8.0 * margin);
    let high = rows().filter_map(|row| row.interval).map(|i| i.upper).fold(0.8 * margin, f64::max).min(4.0 * margin);
    let room = 0.04 * (high - low);
    (low - room, high + room)
}

fn section(canvas: &Canvas<'_>, section: &Section<'_>, scale: Scale, top: i32) -> Result<i32, PlotError> {
    let subject = section.subject;
    let verdict = subject.verdict.map_or("", crate::domain::Verdict::word);
    let colour = subject.verdict.map_or(INK, verdict_colour);
    let middle = top + HEAD / 2 + 4;
    canvas.text(&cut(subject.name.as_str(), 28), (0, middle), Face::of(14.0).bold())?;
    canvas.text(verdict, (WIDTH, middle), Face::of(13.0).bold().colour(colour).anchor(Anchor::End))?;
    canvas.line(vec![(0, top + HEAD - 2), (WIDTH, top + HEAD - 2)], GRID, 1)?;
    let mut y = top + HEAD;
    for row in &section.rows {
        draw_row(canvas, row, scale, y)?;
        y += ROW;
    }
    Ok(y)
}

fn draw_row(canvas: &Canvas<'_>, row: &Row<'_>, scale: Scale, top: i32) -> Result<(), PlotError> {
    let (y, line, (left, right)) = (top + ROW / 2, &row.line, FIELD);
    let colour = if line.gates() { verdict_colour(line.answer()) } else { MUTED };
    let margin = scale.at(-row.margin);
    canvas.block((left, top), (margin, top + ROW), BEYOND)?;
    if let Some(noise) = row.noise {
        canvas.block((scale.at(-noise), top + 2), (scale.at(noise), top + ROW - 2), BAND)?;
    }
    canvas.line(vec![(scale.at(0.0), top), (scale.at(0.0), top + ROW)], GRID, 1)?;
    canvas.dashes((margin, top), (margin, top + ROW), INK)?;
    let face = if line.is_task() { Face::of(13.0) } else { Face::of(13.0).colour(MUTED) };
    canvas.text(&cut(&line.name(), 23), (left - 12, y), face.anchor(Anchor::End))?;
    if let Some(interval) = row.interval {
        whiskers(canvas, interval, scale, (y, colour))?;
    }
    let numbers = Face::of(13.0).anchor(Anchor::End);
    let text = if line.about_ratio().is_some() { line.recovery() } else { line.delta() };
    canvas.text(&text, (right + 210, y), numbers)?;
    canvas.text(&line.verdict(), (WIDTH, y), numbers.colour(colour))
}

fn whiskers(
    canvas: &Canvas<'_>,
    interval: Interval,
    scale: Scale,
    (y, colour): (i32, plotters::style::RGBColor),
) -> Result<(), PlotError> {
    let (left, right) = FIELD;
    let (from, to) = (scale.at(interval.lower), scale.at(interval.upper));
    canvas.line(vec![(from, y), (to.max(from + 1), y)], colour, 2)?;
    if interval.lower < scale.values.0 {
        canvas.line(vec![(left, y), (left + 20, y)], colour, 2)?;
        canvas.line(vec![(left + 7, y - 4), (left, y), (left + 7, y + 4)], colour, 2)?;
    }
    if interval.upper > scale.values.1 {
        canvas.line(vec![(right - 20, y), (right, y)], colour, 2)?;
        canvas.line(vec![(right - 7, y - 4), (right, y), (right - 7, y + 4)], colour, 2)?;
    }
    if interval.estimate >= scale.values.0 && interval.estimate <= scale.values.1 {
        canvas.mark((scale.at(interval.estimate), y), 0, colour)?;
    }
    Ok(())
}

fn ruler(canvas: &Canvas<'_>, axis: Axis, scale: Scale, rows: (i32, i32)) -> Result<(), PlotError> {
    let y = rows.1 + 6;
    let (left, right) = FIELD;
    let (title, per) = match axis {
        Axis::Points => ("variant − canary, percentage points", 100.0),
        Axis::Recovery => ("variant / canary − 1, per cent", 100.0),
        Axis::Multiples => ("variant − canary, in multiples of what is tolerated", 1.0),
    };
    canvas.line(vec![(left, y), (right, y)], MUTED, 1)?;
    for tick in ticks(scale.values.0 * per, scale.values.1 * per, 6) {
        let x = scale.at(tick / per);
        canvas.line(vec![(x, y), (x, y + 4)], MUTED, 1)?;
        let label = signed_points(tick / 100.0).trim_end_matches('0').trim_end_matches('.').to_owned();
        let label = if label.is_empty() || label == "0" { "0".to_owned() } else { label };
        canvas.text(&label, (x, y + 14), Face::of(12.0).colour(MUTED).anchor(Anchor::Middle))?;
    }
    let faint = Face::of(12.0).colour(MUTED);
    let middle = i32::midpoint(left, right);
    canvas.text(title, (middle, y + 34), faint.anchor(Anchor::Middle))?;
    canvas.text("← worse", (left, y + 34), faint)?;
    canvas.text("better →", (right, y + 34), faint.anchor(Anchor::End))
}
