//! A drawing area in pixels with the few shapes that the plots are made of.

use plotters::coord::Shift;
use plotters::prelude::{Circle, DrawingArea, IntoDrawingArea, PathElement, Polygon, Rectangle, SVGBackend, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, RGBColor, ShapeStyle, TextStyle};

use super::{INK, PAPER, PlotError};

/// Where a text stands on its point.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// How a text looks.
#[derive(Clone, Copy)]
pub(super) struct Face {
    size: f64,
    colour: RGBColor,
    anchor: Anchor,
    bold: bool,
}

impl Face {
    /// Ink of a size in pixels, beginning at its point.
    pub(super) fn of(size: f64) -> Self {
        Self { size, colour: INK, anchor: Anchor::Start, bold: false }
    }

    pub(super) fn colour(self, colour: RGBColor) -> Self {
        Self { colour, ..self }
    }

    pub(super) fn anchor(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub(super) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }
}

/// A drawing area in pixels, the origin at the top left.
pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// Runs a drawing and gives the SVG document.
pub(super) fn svg(size: (u32, u32), draw: impl FnOnce(&Canvas<'_>) -> Result<(), PlotError>) -> Result<String, PlotError> {
    let mut document = String::new();
    {
        let area = SVGBackend::with_string(&mut document, size).into_drawing_area();
        area.fill(&PAPER).map_err(fault)?;
        let canvas = Canvas { area };
        draw(&canvas)?;
        canvas.area.present().map_err(fault)?;
    }
    Ok(document)
}

fn fault(fault: impl std::fmt::Display) -> PlotError {
    PlotError(fault.to_string())
}

impl Canvas<'_> {
    /// A text, its middle at the height of the point.
    pub(super) fn text(&self, text: &str, at: (i32, i32), face: Face) -> Result<(), PlotError> {
        let h_pos = match face.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        // The backend divides sizes by 1.24, a ratio of point to em that browsers don't have.
        let font = ("sans-serif", face.size * 1.24);
        let mut style = TextStyle::from(font).color(&face.colour).pos(Pos::new(h_pos, VPos::Center));
        if face.bold {
            style.font = style.font.style(FontStyle::Bold);
        }
        self.area.draw(&Text::new(text.to_owned(), at, style)).map_err(fault)
    }

    /// A line through points.
    pub(super) fn line(&self, points: Vec<(i32, i32)>, colour: RGBColor, width: u32) -> Result<(), PlotError> {
        self.area.draw(&PathElement::new(points, stroke(colour, width))).map_err(fault)
    }

    /// A dashed straight line across or down.
    pub(super) fn dashes(&self, from: (i32, i32), to: (i32, i32), colour: RGBColor) -> Result<(), PlotError> {
        let (dx, dy) = ((to.0 - from.0).signum(), (to.1 - from.1).signum());
        let length = (to.0 - from.0).abs().max((to.1 - from.1).abs());
        let at = |step: i32| (from.0 + dx * step, from.1 + dy * step);
        for start in (0..length).step_by(7) {
            self.line(vec![at(start), at((start + 4).min(length))], colour, 1)?;
        }
        Ok(())
    }

    /// A filled rectangle.
    pub(super) fn block(&self, from: (i32, i32), to: (i32, i32), fill: RGBColor) -> Result<(), PlotError> {
        self.area.draw(&Rectangle::new([from, to], fill.filled())).map_err(fault)
    }

    /// A filled rectangle that lets the ground through.
    pub(super) fn veil(&self, from: (i32, i32), to: (i32, i32), fill: (RGBColor, f64)) -> Result<(), PlotError> {
        self.area.draw(&Rectangle::new([from, to], fill.0.mix(fill.1).filled())).map_err(fault)
    }

    /// A mark: each subject has a shape of its own beside its colour.
    pub(super) fn mark(&self, at: (i32, i32), shape: usize, colour: RGBColor) -> Result<(), PlotError> {
        let (x, y) = at;
        let corners: &[(i32, i32)] = match shape % 5 {
            0 => return self.area.draw(&Circle::new(at, 5, colour.filled())).map_err(fault),
            1 => &[(-5, -5), (5, -5), (5, 5), (-5, 5)],
            2 => &[(0, -7), (7, 5), (-7, 5)],
            3 => &[(0, -7), (7, 0), (0, 7), (-7, 0)],
            _ => &[(0, 7), (7, -5), (-7, -5)],
        };
        let points: Vec<(i32, i32)> = corners.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
        self.area.draw(&Polygon::new(points, colour.filled())).map_err(fault)
    }
}

/// Where the place-th of a row of equal steps begins.
pub(super) fn steps(place: usize, step: i32) -> i32 {
    i32::try_from(place).map_or(i32::MAX, |place| place.saturating_mul(step))
}

fn stroke(colour: RGBColor, width: u32) -> ShapeStyle {
    colour.stroke_width(width)
}

/// A straight scale from values to pixels.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    /// The value at the first pixel, and at the last.
    pub(super) values: (f64, f64),
    /// The first pixel, and the last.
    pub(super) pixels: (i32, i32),
}

impl Scale {
    /// The pixel of a value; values outside lie on the edge.
    pub(super) fn at(&self, value: f64) -> i32 {
        let (a, b) = self.values;
        let share = if b > a { ((value - a) / (b - a)).clamp(0.0, 1.0) } else { 0.5 };
        let (p, q) = (f64::from(self.pixels.0), f64::from(self.pixels.1));
        (p + share * (q - p)).round() as i32
    }
}
