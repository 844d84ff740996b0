//! `report.html`: one self-contained page without scripts, whose every word from a model or a dataset is escaped.

mod browser;
mod card;
mod notes;
mod view;

use askama::Template;

use super::model::Report;
use super::plot::Figure;
use super::write::ReportError;
use view::Page;

/// The text of `report.html`.
pub(super) fn render(report: &Report, figures: &[Figure]) -> Result<String, ReportError> {
    let fault = |fault: askama::Error| ReportError::Format { what: "report.html", fault: fault.to_string() };
    Page::of(report, figures).render().map_err(fault)
}
