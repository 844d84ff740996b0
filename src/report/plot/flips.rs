//! The flips matrix: for each task and variant the items lost and gained, darker where more answers flipped.

use super::canvas::{Anchor, Face, steps, svg};
use super::{Canvas, Figure, INK, MUTED, PlotError, cut};
use crate::report::model::{Report, SubjectResult, TaskResult};
use plotters::style::RGBColor;

const LABEL: i32 = 150;
const CELL: (i32, i32) = (118, 40);
const TOP: i32 = 36;
const EDGE: i32 = 12;
/// The colour of a cell in which everything that can be seen flipped.
const DARK: RGBColor = RGBColor(0x00, 0x72, 0xB2);
/// The flip rate at which a cell is darkest.
const FULL: f64 = 0.25;

/// The plot; none where no task was compared.
pub(super) fn draw(report: &Report) -> Result<Option<Figure>, PlotError> {
    let subjects: Vec<&SubjectResult> = report.subjects.iter().filter(|s| !s.tasks.is_empty()).collect();
    let Some(first) = subjects.first() else { return Ok(None) };
    let names: Vec<_> = first.tasks.iter().map(|t| &t.task).collect();
    let width = LABEL + steps(subjects.len(), CELL.0) + EDGE;
    let height = TOP + steps(names.len(), CELL.1) + EDGE;
    let svg = svg((width as u32, height as u32), |canvas| {
        for (column, subject) in subjects.iter().enumerate() {
            let x = LABEL + steps(column, CELL.0);
            let middle = (x + CELL.0 / 2, TOP - 16);
            canvas.text(&cut(subject.name.as_str(), 15), middle, Face::of(13.0).bold().anchor(Anchor::Middle))?;
            for (row, task) in subject.tasks.iter().enumerate() {
                cell(canvas, task, (x, TOP + steps(row, CELL.1)))?;
            }
        }
        for (row, name) in names.iter().enumerate() {
            let y = TOP + steps(row, CELL.1) + CELL.1 / 2;
            canvas.text(&cut(name.as_str(), 20), (LABEL - 10, y), Face::of(13.0).anchor(Anchor::End))?;
        }
        Ok(())
    })?;
    let graded = subjects.iter().any(|subject| subject.tasks.iter().any(|task| task.graded));
    let what = if graded {
        "Items on which the variant does worse (−) and better (+)"
    } else {
        "Items that the canary had right and the variant has wrong (−), the other way round (+)"
    };
    let caption = format!(
        "{what}, and the share of all items that flipped. Equal losses and gains leave the accuracy as it was, yet the answers changed."
    );
    Ok(Some(Figure { name: "flips", title: "Answers that flipped", caption, svg }))
}

fn cell(canvas: &Canvas<'_>, task: &TaskResult, at: (i32, i32)) -> Result<(), PlotError> {
    let (x, y) = at;
    if task.n == 0 {
        let middle = (x + CELL.0 / 2, y + CELL.1 / 2);
        return canvas.text("–", middle, Face::of(13.0).colour(MUTED).anchor(Anchor::Middle));
    }
    let strength = 0.06 + 0.74 * (task.flip_rate / FULL).min(1.0).sqrt();
    canvas.veil((x + 2, y + 2), (x + CELL.0 - 2, y + CELL.1 - 2), (DARK, strength))?;
    // White on the dark cells, ink on the light ones: both stay above a contrast of 4.5.
    let dark = strength > 0.62;
    let (main, lesser) = if dark { (RGBColor(0xFF, 0xFF, 0xFE), RGBColor(0xFF, 0xFF, 0xFE)) } else { (INK, MUTED) };
    let (lost, gained) = (task.table.n10, task.table.n01);
    let middle = x + CELL.0 / 2;
    let counts = format!("−{lost}  +{gained}");
    canvas.text(&counts, (middle, y + 15), Face::of(13.0).bold().colour(main).anchor(Anchor::Middle))?;
    let share = format!("{:.1} %", 100.0 * task.flip_rate);
    canvas.text(&share, (middle, y + 29), Face::of(11.0).colour(lesser).anchor(Anchor::Middle))
}
