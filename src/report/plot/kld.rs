//! The histogram of per-token divergence, one outline for each variant, on a logarithmic axis.

use super::canvas::{Anchor, Face, Scale, steps, svg};
use super::{Canvas, Figure, GRID, MUTED, PlotError, cut, subject_colour};
use crate::report::model::{DisplacementResult, Report, SubjectResult};
use crate::report::phrase;

const SIZE: (i32, i32) = (500, 340);
const FIELD_X: (i32, i32) = (44, 490);
const FIELD_Y: (i32, i32) = (292, 66);

/// The plot of the first perplexity task; none where no engine showed full distributions.
pub(super) fn draw(report: &Report) -> Result<Option<Figure>, PlotError> {
    let series: Vec<(&SubjectResult, &DisplacementResult)> =
        report.subjects.iter().filter_map(|s| Some((s, s.distributions.iter().find_map(|d| d.displacement.as_ref())?))).collect();
    let Some((_, any)) = series.first() else { return Ok(None) };
    let edges: Vec<(f64, f64)> = any.histogram.iter().map(|&(from, to, _)| (from, to)).collect();
    let shown = used(&series);
    let tallest = series.iter().flat_map(|(_, d)| d.histogram.iter().map(|bin| bin.2)).fold(0.01, f64::max);
    let x = Scale { values: (shown.0 as f64, shown.1 as f64), pixels: FIELD_X };
    let y = Scale { values: (0.0, tallest * 1.05), pixels: FIELD_Y };
    let svg = svg((SIZE.0 as u32, SIZE.1 as u32), |canvas| {
        axes(canvas, &edges, (x, y), shown)?;
        for (place, (subject, moved)) in series.iter().enumerate() {
            outline(canvas, report, (subject, moved), (x, y), shown)?;
            legend(canvas, report, (subject, moved), place)?;
        }
        Ok(())
    })?;
    let caption =
        "Kullback–Leibler divergence of the variant's next-token distribution from the canary's, for each token of the \
                   documents. It says how much the variant moved, not whether it got worse: the paired tasks say that."
            .to_owned();
    Ok(Some(Figure { name: "kld", title: "Divergence per token", caption, svg }))
}

/// The bins from the first to the one after the last that any variant uses.
fn used(series: &[(&SubjectResult, &DisplacementResult)]) -> (usize, usize) {
    let filled =
        || series.iter().flat_map(|(_, d)| d.histogram.iter().enumerate().filter(|(_, bin)| bin.2 > 0.0).map(|(i, _)| i));
    (filled().min().unwrap_or(0), filled().max().unwrap_or(0) + 1)
}

fn outline(
    canvas: &Canvas<'_>,
    report: &Report,
    (subject, moved): (&SubjectResult, &DisplacementResult),
    (x, y): (Scale, Scale),
    shown: (usize, usize),
) -> Result<(), PlotError> {
    let mut points = vec![(x.at(shown.0 as f64), y.at(0.0))];
    for (i, bin) in moved.histogram.iter().enumerate().take(shown.1).skip(shown.0) {
        points.extend([(x.at(i as f64), y.at(bin.2)), (x.at((i + 1) as f64), y.at(bin.2))]);
    }
    points.push((x.at(shown.1 as f64), y.at(0.0)));
    canvas.line(points, subject_colour(report, subject), 2)
}

fn legend(
    canvas: &Canvas<'_>,
    report: &Report,
    (subject, moved): (&SubjectResult, &DisplacementResult),
    place: usize,
) -> Result<(), PlotError> {
    let (left, y) = (FIELD_X.0 + steps(place % 2, 230), 12 + steps(place / 2, 20));
    let colour = subject_colour(report, subject);
    canvas.line(vec![(left, y), (left + 18, y)], colour, 3)?;
    let label = format!("{} (mean {})", cut(subject.name.as_str(), 12), phrase::number(moved.kld_mean));
    canvas.text(&label, (left + 24, y), Face::of(12.0))
}

fn axes(canvas: &Canvas<'_>, edges: &[(f64, f64)], (x, y): (Scale, Scale), shown: (usize, usize)) -> Result<(), PlotError> {
    let faint = Face::of(12.0).colour(MUTED);
    for tick in super::ticks(0.0, 100.0 * y.values.1, 4) {
        let at = y.at(tick / 100.0);
        canvas.line(vec![(FIELD_X.0, at), (FIELD_X.1, at)], GRID, 1)?;
        canvas.text(&format!("{tick} %"), (FIELD_X.0 - 8, at), faint.anchor(Anchor::End))?;
    }
    canvas.line(vec![(FIELD_X.0, FIELD_Y.0), (FIELD_X.1, FIELD_Y.0)], MUTED, 1)?;
    for (i, (from, _)) in edges.iter().enumerate().take(shown.1 + 1).skip(shown.0.max(1)) {
        let exponent = from.log10();
        if (exponent - exponent.round()).abs() < 1e-9 {
            let at = x.at(i as f64);
            canvas.line(vec![(at, FIELD_Y.0), (at, FIELD_Y.0 + 4)], MUTED, 1)?;
            canvas.text(&decade(exponent.round() as i32), (at, FIELD_Y.0 + 15), faint.anchor(Anchor::Middle))?;
        }
    }
    let title = "nats per token";
    canvas.text(title, (i32::midpoint(FIELD_X.0, FIELD_X.1), FIELD_Y.0 + 36), faint.anchor(Anchor::Middle))
}

/// A power of ten as a plain decimal where it is short.
fn decade(exponent: i32) -> String {
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    if exponent.abs() <= 3 {
        return format!("{}", 10.0_f64.powi(exponent));
    }
    let sign = if exponent < 0 { "⁻" } else { "" };
    let digits = exponent.unsigned_abs().to_string();
    let raised: String = digits.chars().filter_map(|d| d.to_digit(10)).map(|d| RAISED[d as usize]).collect();
    format!("10{sign}{raised}")
}
