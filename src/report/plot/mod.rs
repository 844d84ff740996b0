//! Plots: SVG made by plotters, without system fonts, in colours that colour-blind readers can tell apart.

mod canvas;
mod flips;
mod forest;
mod kld;
mod latency;
mod size;

use super::model::{Report, SubjectResult};
use crate::domain::{Role, Verdict};
use canvas::Canvas;
use plotters::style::RGBColor;

/// A drawn plot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Its name, which is its file's: `forest`.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// How to read it, in a sentence or two.
    pub caption: String,
    /// The whole SVG document.
    pub svg: String,
}

/// A plot that could not be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot draw the plot: {0}")]
pub struct PlotError(pub(super) String);

/// Every plot that the report has data for, in the order in which it is shown.
pub(super) fn all(report: &Report) -> Result<Vec<Figure>, PlotError> {
    let drawn = [forest::draw(report)?, flips::draw(report)?, kld::draw(report)?, size::draw(report)?, latency::draw(report)?];
    Ok(drawn.into_iter().flatten().map(labelled).collect())
}

/// The figure with its title where a reader of the screen finds it.
fn labelled(figure: Figure) -> Figure {
    let head = format!("<svg role=\"img\" aria-label=\"{}\" ", figure.title);
    Figure { svg: figure.svg.replacen("<svg ", &head, 1), ..figure }
}

/// Text and marks.
const INK: RGBColor = RGBColor(0x1F, 0x29, 0x37);
/// Lesser text.
const MUTED: RGBColor = RGBColor(0x6B, 0x72, 0x80);
/// Lines that only guide the eye.
const GRID: RGBColor = RGBColor(0xE5, 0xE7, 0xEB);
/// The ground.
const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
/// The side of the margin that fails.
const BEYOND: RGBColor = RGBColor(0xFB, 0xEC, 0xE8);
/// What the canary differs from itself.
const BAND: RGBColor = RGBColor(0xDC, 0xE6, 0xF2);
/// One colour a subject (Okabe and Ito's, without the yellow that paper swallows); the canary's is the ink.
const SERIES: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0xD5, 0x5E, 0x00),
];

/// A verdict's colour; its word always stands beside it.
fn verdict_colour(verdict: Verdict) -> RGBColor {
    match verdict {
        Verdict::Pass => RGBColor(0x00, 0x7A, 0x6C),
        Verdict::Fail => RGBColor(0xB4, 0x23, 0x18),
        Verdict::Inconclusive => RGBColor(0xA8, 0x62, 0x00),
        Verdict::Invalid => RGBColor(0x6A, 0x4C, 0x9C),
    }
}

/// A subject's colour: by its place in the plan.
fn subject_colour(report: &Report, subject: &SubjectResult) -> RGBColor {
    if subject.role == Role::Canary {
        return INK;
    }
    let others = report.subjects.iter().filter(|s| s.role != Role::Canary);
    let place = others.map(|s| &s.name).position(|name| *name == subject.name).unwrap_or(0);
    SERIES[place % SERIES.len()]
}

/// A name cut to a number of characters.
fn cut(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most - 1).chain(['…']).collect()
}

/// Round numbers within a range, about as many as asked for.
fn ticks(from: f64, to: f64, about: usize) -> Vec<f64> {
    let rough = (to - from) / about.max(1) as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return vec![from];
    }
    let power = 10.0_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough).unwrap_or(power);
    let first = (from / step).ceil() as i64;
    let last = (to / step).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}
