//! `results.json`: the report's model under a versioned schema, in a stable order.
//!
//! Everything that two runs of one plan and seed may differ in is under `run` and `timing`.

use serde::Serialize;

use super::model::Report;
use super::write::ReportError;

/// The schema's version: the first number changes where a reader must change.
pub const SCHEMA_VERSION: &str = "1.0";
/// The schema's name: a name only, there is nothing to fetch.
pub const SCHEMA_ID: &str = "urn:quantgate:schema:results:1.0";
/// The schema itself, as published.
pub const SCHEMA: &str = include_str!("results.schema.json");

/// The file: the schema's name and version, then the model.
#[derive(Serialize)]
struct Results<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    #[serde(flatten)]
    report: &'a Report,
}

/// The text of `results.json`.
pub(super) fn render(report: &Report) -> Result<String, ReportError> {
    let results = Results { schema: SCHEMA_ID, version: SCHEMA_VERSION, report };
    let fault = |fault: serde_json::Error| ReportError::Format { what: "results.json", fault: fault.to_string() };
    let mut text = serde_json::to_string_pretty(&results).map_err(fault)?;
    text.push('\n');
    Ok(text)
}
