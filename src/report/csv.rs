//! `samples.csv` and `metrics.csv`: flat tables for a spreadsheet or a data frame.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a formula. In `samples.csv`
//! every column that holds text from a model or a dataset (sample, slice, target, read, answer, cause) therefore gets an
//! apostrophe in front of such a cell; a reader that needs the bytes as they were finds them in the journal.

use super::model::{DistributionResult, Report, SubjectResult, TaskResult};
use super::write::ReportError;
use crate::domain::Role;
use crate::stats::Interval;

const SAMPLES: [&str; 13] = [
    "task",
    "sample",
    "slice",
    "subject",
    "role",
    "repeat",
    "status",
    "value",
    "parsed",
    "finish",
    "target",
    "read",
    "answer_or_cause",
];
const METRICS: [&str; 9] = ["subject", "role", "task", "metric", "value", "lower", "upper", "confidence", "n"];

/// The bytes of `samples.csv`: one row for each subject, sample and pass.
pub(super) fn samples(report: &Report) -> Result<Vec<u8>, ReportError> {
    let rows = report.samples.iter().map(|row| {
        let said = &row.said;
        let last = if said.status == "unscored" { &said.cause } else { &said.answer };
        [
            row.task.to_string(),
            safe(row.sample.as_str()),
            safe(&row.slice),
            row.subject.to_string(),
            role(row.role).to_owned(),
            row.repeat.to_string(),
            said.status.to_owned(),
            said.value.map_or_else(String::new, |v| v.to_string()),
            said.parsed.map_or_else(String::new, |parsed| parsed.to_string()),
            said.finish.to_owned(),
            safe(&row.target),
            safe(&said.read),
            safe(last),
        ]
    });
    write("samples.csv", SAMPLES, rows)
}

/// The bytes of `metrics.csv`: one row for each subject, task and metric.
pub(super) fn metrics(report: &Report) -> Result<Vec<u8>, ReportError> {
    let rows = report.subjects.iter().flat_map(|subject| {
        let tasks = subject.tasks.iter().flat_map(|task| task_rows(report, subject, task));
        tasks.chain(subject.distributions.iter().flat_map(|d| distribution_rows(subject, d))).collect::<Vec<_>>()
    });
    write("metrics.csv", METRICS, rows)
}

/// One metric's value, its interval with its confidence, and the items behind it.
struct Measure<'a> {
    task: &'a str,
    metric: &'a str,
    value: Option<f64>,
    interval: Option<(Interval, f64)>,
    n: u64,
}

impl Measure<'_> {
    fn row(self, subject: &SubjectResult) -> [String; 9] {
        let number = |x: Option<f64>| x.map_or_else(String::new, |x| x.to_string());
        [
            subject.name.to_string(),
            role(subject.role).to_owned(),
            self.task.to_owned(),
            self.metric.to_owned(),
            number(self.value),
            number(self.interval.map(|(i, _)| i.lower)),
            number(self.interval.map(|(i, _)| i.upper)),
            number(self.interval.map(|(_, confidence)| confidence)),
            self.n.to_string(),
        ]
    }
}

fn task_rows(report: &Report, subject: &SubjectResult, task: &TaskResult) -> Vec<[String; 9]> {
    let gate = 1.0 - 2.0 * report.policy.alpha;
    let with = |metric, interval: Option<Interval>, confidence| Measure {
        task: task.task.as_str(),
        metric,
        value: interval.map(|i| i.estimate),
        interval: interval.map(|i| (i, confidence)),
        n: task.n,
    };
    // Without a single pair there is nothing to test.
    let value = |x: f64| (task.n > 0).then_some(x);
    let bare = |metric, x| Measure { task: task.task.as_str(), metric, value: value(x), interval: None, n: task.n };
    let measures = [
        with("accuracy.canary", task.canary, 0.95),
        with("accuracy", task.variant, 0.95),
        with("accuracy.delta", task.gate, gate),
        bare("flips.lost", task.table.n10 as f64),
        bare("flips.gained", task.table.n01 as f64),
        bare("mcnemar.p_mid", task.p_mid),
    ];
    measures.into_iter().map(|measure| measure.row(subject)).collect()
}

fn distribution_rows(subject: &SubjectResult, distribution: &DistributionResult) -> Vec<[String; 9]> {
    let n = distribution.tokens as u64;
    let measure = |metric: &str, value, interval: Option<Interval>| {
        let interval = interval.map(|i| (i, 0.95));
        Measure { task: distribution.task.as_str(), metric, value, interval, n }.row(subject)
    };
    let ratio = |i: Interval| Interval { estimate: i.estimate.exp(), lower: i.lower.exp(), upper: i.upper.exp() };
    let mut rows = vec![
        measure("perplexity.canary", distribution.canary_perplexity, None),
        measure("perplexity", distribution.variant_perplexity, None),
        measure("perplexity.ratio", distribution.ln_ratio.map(f64::exp), distribution.ln_ratio_interval.map(ratio)),
    ];
    if let Some(moved) = &distribution.displacement {
        rows.push(measure("kld.mean", Some(moved.kld_mean), moved.kld_interval));
        rows.extend(moved.kld.iter().map(|(name, value)| measure(&format!("kld.{name}"), Some(*value), None)));
        rows.push(measure("delta_p.mean", Some(moved.delta_p_mean), None));
        rows.push(measure("delta_p.rms", Some(moved.delta_p_rms), None));
        rows.push(measure("same_top", Some(moved.same_top), moved.same_top_interval));
    }
    rows
}

fn write<const N: usize>(
    what: &'static str,
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<Vec<u8>, ReportError> {
    let fault = |fault: String| ReportError::Format { what, fault };
    let mut writer = ::csv::WriterBuilder::new().terminator(::csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    writer.write_record(header).map_err(|e| fault(e.to_string()))?;
    for row in rows {
        writer.write_record(&row).map_err(|e| fault(e.to_string()))?;
    }
    writer.into_inner().map_err(|e| fault(e.to_string()))
}

/// The cell, with an apostrophe in front where a spreadsheet would take it for a formula.
fn safe(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Canary => "canary",
        Role::Variant => "variant",
        Role::Control => "control",
    }
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe() {
        assert_eq!(safe("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        assert_eq!([safe("-1"), safe("@a"), safe("+1"), safe("\tx")], ["'-1", "'@a", "'+1", "'\tx"]);
        assert_eq!([safe("1-1"), safe("")], ["1-1", ""]);
    }
}
