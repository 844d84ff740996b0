//! One model of a judged run, and one file for each format that it is written in.
//!
//! A report is made of a replayed journal alone: no clock, no environment, no locale and no order of a hash map enters,
//! so `quantgate report` writes the same bytes from the same journal, each time and everywhere.

mod build;
mod csv;
mod html;
mod json;
mod junit;
mod markdown;
mod model;
mod phrase;
mod plot;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use json::{SCHEMA, SCHEMA_ID, SCHEMA_VERSION};
pub use model::{
    DisplacementResult, DistributionResult, FindingResult, FlippedItem, Report, RunResult, SampleRow, SubjectResult, TaskResult,
    TimingResult, WarningResult,
};
pub use plot::Figure;
pub use text::render as text;
pub use write::{ReportError, write_all};
