//! Accuracy against size: what each byte, and each bit of a weight, buys.

use super::canvas::{Anchor, Face, Scale, steps, svg};
use super::{Canvas, Figure, GRID, MUTED, PlotError, cut, subject_colour, ticks};
use crate::domain::{Identity, Role};
use crate::report::model::{Report, SubjectResult};

const SIZE: (i32, i32) = (960, 330);
const FIELD_Y: (i32, i32) = (270, 40);
/// The two panels' edges: bytes, and bits per weight.
const PANELS: [(i32, i32); 2] = [(56, 470), (530, 944)];

/// A subject in the plane.
struct Point<'a> {
    subject: &'a SubjectResult,
    shape: usize,
    identity: &'a Identity,
    accuracy: f64,
}

/// The plot; none where fewer than two subjects have a size and an accuracy.
pub(super) fn draw(report: &Report) -> Result<Option<Figure>, PlotError> {
    let canary = report.canary_mean();
    let point = |(shape, subject)| {
        let subject: &SubjectResult = subject;
        let own = if subject.role == Role::Canary { canary } else { subject.mean_accuracy(|t| t.variant) };
        Some(Point { subject, shape, identity: subject.identity.as_ref().filter(|i| i.has_size())?, accuracy: 100.0 * own? })
    };
    let points: Vec<Point<'_>> = report.subjects.iter().enumerate().filter_map(point).collect();
    if points.len() < 2 {
        return Ok(None);
    }
    let low = points.iter().map(|p| p.accuracy).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|p| p.accuracy).fold(f64::NEG_INFINITY, f64::max);
    let room = (0.15 * (high - low)).max(0.5);
    let y = Scale { values: (low - room, (high + room).min(100.5)), pixels: FIELD_Y };
    let svg = svg((SIZE.0 as u32, SIZE.1 as u32), |canvas| {
        let megabytes = |p: &Point<'_>| p.identity.bytes as f64 / 1e6;
        let bits = |p: &Point<'_>| p.identity.bits_per_weight;
        panel(canvas, report, &points, &Panel { edges: PANELS[0], title: "size on disk, MB", y, value: &megabytes })?;
        panel(canvas, report, &points, &Panel { edges: PANELS[1], title: "bits per weight", y, value: &bits })
    })?;
    let caption = "Unweighted mean accuracy over the gating tasks, in per cent. Up and to the left is better.".to_owned();
    Ok(Some(Figure { name: "size", title: "Accuracy against size", caption, svg }))
}

/// One panel: its edges, its title, and what it lays along its axis.
struct Panel<'a> {
    edges: (i32, i32),
    title: &'a str,
    y: Scale,
    value: &'a dyn Fn(&Point<'_>) -> f64,
}

fn panel(canvas: &Canvas<'_>, report: &Report, points: &[Point<'_>], panel: &Panel<'_>) -> Result<(), PlotError> {
    let &Panel { edges, title, y, value } = panel;
    let faint = Face::of(12.0).colour(MUTED);
    let most = points.iter().map(value).fold(0.0, f64::max);
    let x = Scale { values: (0.0, most * 1.18), pixels: edges };
    for tick in ticks(y.values.0, y.values.1, 5) {
        canvas.line(vec![(edges.0, y.at(tick)), (edges.1, y.at(tick))], GRID, 1)?;
        canvas.text(&format!("{tick}"), (edges.0 - 8, y.at(tick)), faint.anchor(Anchor::End))?;
    }
    canvas.line(vec![(edges.0, FIELD_Y.0), (edges.1, FIELD_Y.0)], MUTED, 1)?;
    for tick in ticks(0.0, x.values.1, 6) {
        canvas.line(vec![(x.at(tick), FIELD_Y.0), (x.at(tick), FIELD_Y.0 + 4)], MUTED, 1)?;
        canvas.text(&format!("{tick}"), (x.at(tick), FIELD_Y.0 + 15), faint.anchor(Anchor::Middle))?;
    }
    canvas.text("mean accuracy, %", (edges.0, FIELD_Y.1 - 20), faint)?;
    canvas.text(title, (i32::midpoint(edges.0, edges.1), FIELD_Y.0 + 38), faint.anchor(Anchor::Middle))?;
    let marks: Vec<(i32, i32)> = points.iter().map(|p| (x.at(value(p)), y.at(p.accuracy))).collect();
    let mut taken: Vec<Block> = marks.iter().map(|&(x, y)| Block { left: x - 8, right: x + 8, y }).collect();
    for (point, &at) in points.iter().zip(&marks) {
        canvas.mark(at, point.shape, subject_colour(report, point.subject))?;
        let name = cut(point.subject.name.as_str(), 14);
        let (block, anchor) = free_place(&taken, at, &name);
        let start = if matches!(anchor, Anchor::End) { block.right } else { block.left };
        canvas.text(&name, (start, block.y), Face::of(12.0).anchor(anchor))?;
        taken.push(block);
    }
    Ok(())
}

/// The place of a mark or a label: a line high.
#[derive(Clone, Copy)]
struct Block {
    left: i32,
    right: i32,
    y: i32,
}

/// A place beside a mark that neither another mark nor an earlier label takes.
fn free_place(taken: &[Block], at: (i32, i32), name: &str) -> (Block, Anchor) {
    let width = steps(name.chars().count(), 8);
    let beside = |left: bool, dy: i32| {
        let near = if left { at.0 - 11 - width } else { at.0 + 11 };
        (Block { left: near, right: near + width, y: at.1 + dy }, if left { Anchor::End } else { Anchor::Start })
    };
    let clear = |(block, _): &(Block, Anchor)| {
        taken.iter().all(|t| t.right < block.left || t.left > block.right || (t.y - block.y).abs() > 12)
    };
    let places = [0, 14, -14, 28, -28].into_iter().flat_map(|dy| [beside(false, dy), beside(true, dy)]);
    places.into_iter().find(clear).unwrap_or_else(|| beside(false, 0))
}
