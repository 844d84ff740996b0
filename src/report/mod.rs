//! One model of a judged run, and one file for each format that it is written in.
//!
//! A report is made of a replayed journal alone: no clock, no environment, no locale and no order of a hash map enters,
//! so `quantgate report` writes the same bytes from the same journal, each time and everywhere.

mod asides;
mod build;
mod csv;
mod distributions;
mod facts;
mod findings;
mod html;
mod json;
mod junit;
mod lines;
mod markdown;
mod model;
mod noise;
mod phrase;
mod plot;
mod serving;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use build::Judged;
pub use facts::{Asked, Facts, Texts};
pub use json::{SCHEMA, SCHEMA_ID, SCHEMA_VERSION};
pub use model::{
    BoundResult, BucketResult, CalibrationResult, DisplacementResult, DistributionResult, DocumentResult, EarlyResult,
    ExcessResult, FindingResult, FlippedItem, LatencyResult, LooksResult, NamedResult, NoiseResult, RatioResult, Report,
    RunResult, Said, SampleRow, ServedResult, ServiceResult, SidesResult, SliceResult, StreamingResult, SubjectResult,
    TaskResult, TimingResult, Unit, UnitsResult, UnscoredResult, WarningResult,
};
pub use plot::Figure;
pub use text::render as text;
pub use write::{ReportError, write_all};
