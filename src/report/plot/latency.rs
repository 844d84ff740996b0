//! The empirical distribution of latency, one step line for each subject.

use super::canvas::{Anchor, Face, Scale, steps, svg};
use super::{Canvas, Figure, GRID, MUTED, PlotError, cut, subject_colour};
use crate::report::model::Report;

const SIZE: (i32, i32) = (500, 340);
const FIELD_X: (i32, i32) = (52, 490);
const FIELD_Y: (i32, i32) = (292, 66);
/// Shortest time that the logarithmic axis tells apart (milliseconds).
const SHORTEST: f64 = 0.01;

/// The plot; none where no time was taken.
pub(super) fn draw(report: &Report) -> Result<Option<Figure>, PlotError> {
    let times = || report.ecdfs.iter().flat_map(|(_, steps)| steps.iter().map(|s| s.0.max(SHORTEST)));
    let (low, high) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
    if high <= 0.0 {
        return Ok(None);
    }
    let x = Scale { values: (low.log10() - 0.04, high.log10() + 0.04), pixels: FIELD_X };
    let y = Scale { values: (0.0, 1.0), pixels: FIELD_Y };
    let svg = svg((SIZE.0 as u32, SIZE.1 as u32), |canvas| {
        axes(canvas, x, y)?;
        for (place, (name, ecdf)) in report.ecdfs.iter().enumerate() {
            let Some(subject) = report.subjects.iter().find(|s| s.name == *name) else { continue };
            let colour = subject_colour(report, subject);
            canvas.line(staircase(ecdf, x, y), colour, 2)?;
            let (left, top) = (FIELD_X.0 + steps(place % 3, 146), 12 + steps(place / 3, 20));
            canvas.line(vec![(left, top), (left + 18, top)], colour, 3)?;
            canvas.text(&cut(name.as_str(), 15), (left + 24, top), Face::of(12.0))?;
        }
        Ok(())
    })?;
    let caption =
        "Share of answers that took at most so long; for batched engines an answer's time is its share of the batch's. \
                   Part of a verdict through a budget on times alone."
            .to_owned();
    Ok(Some(Figure { name: "latency", title: "Latency of answers", caption, svg }))
}

fn staircase(steps: &[(f64, f64)], x: Scale, y: Scale) -> Vec<(i32, i32)> {
    let mut points = Vec::with_capacity(2 * steps.len());
    let mut before = 0.0;
    for &(time, share) in steps {
        let at = x.at(time.max(SHORTEST).log10());
        points.extend([(at, y.at(before)), (at, y.at(share))]);
        before = share;
    }
    points
}

fn axes(canvas: &Canvas<'_>, x: Scale, y: Scale) -> Result<(), PlotError> {
    let faint = Face::of(12.0).colour(MUTED);
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        canvas.line(vec![(FIELD_X.0, y.at(share)), (FIELD_X.1, y.at(share))], GRID, 1)?;
        canvas.text(&format!("{} %", 100.0 * share), (FIELD_X.0 - 8, y.at(share)), faint.anchor(Anchor::End))?;
    }
    for value in log_ticks(x.values) {
        let at = x.at(value.log10());
        canvas.line(vec![(at, FIELD_Y.0), (at, FIELD_Y.0 + 4)], MUTED, 1)?;
        canvas.text(&plain(value), (at, FIELD_Y.0 + 15), faint.anchor(Anchor::Middle))?;
    }
    let title = "milliseconds per answer";
    canvas.text(title, (i32::midpoint(FIELD_X.0, FIELD_X.1), FIELD_Y.0 + 36), faint.anchor(Anchor::Middle))
}

/// Powers of ten within a range of logarithms, with as many of their multiples as three ticks or more need.
fn log_ticks((from, to): (f64, f64)) -> Vec<f64> {
    let ticks = |factors: &[f64]| -> Vec<f64> {
        let powers = (from.floor() as i32)..=(to.ceil() as i32);
        let all = powers.flat_map(|power| factors.iter().map(move |factor| factor * 10.0_f64.powi(power)));
        all.filter(|value| value.log10() >= from && value.log10() <= to).collect()
    };
    let sets: [&[f64]; 3] = [&[1.0], &[1.0, 2.0, 5.0], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]];
    sets.into_iter().map(ticks).find(|t| t.len() >= 3).unwrap_or_else(|| ticks(sets[2]))
}

/// The value with as many decimals as a tick needs.
fn plain(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
