//! `samples.csv` and `metrics.csv`: flat tables for a spreadsheet or a data frame.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a formula. Every column that
//! holds text from a model, a dataset or another program's files (names of tasks and subjects, too) therefore gets an
//! apostrophe in front of such a cell; a reader that needs the bytes as they were finds them in the journal, or in those files.

use super::lines;
use super::model::{DistributionResult, FindingResult, NoiseResult, RatioResult, Report, SubjectResult, TaskResult};
use super::write::ReportError;
use crate::domain::{Budget, Measured, Role, TaskName};
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
const METRICS: [&str; 10] = ["subject", "role", "task", "slice", "metric", "value", "lower", "upper", "confidence", "n"];

/// The bytes of `samples.csv`: one row for each subject, sample and pass.
pub(super) fn samples(report: &Report) -> Result<Vec<u8>, ReportError> {
    let rows = report.samples.iter().map(|row| {
        let said = &row.said;
        let last = if said.status == "unscored" { &said.cause } else { &said.answer };
        [
            safe(row.task.as_str()),
            safe(row.sample.as_str()),
            safe(&row.slice),
            safe(row.subject.as_str()),
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

/// The bytes of `metrics.csv`: one row for each subject, task, slice and metric. Losses, recoveries and budgets have the
/// intervals that their verdicts rest on, or for budgets the 95 % ones.
pub(super) fn metrics(report: &Report) -> Result<Vec<u8>, ReportError> {
    let rows = report.subjects.iter().flat_map(|subject| {
        let noise = report.noise.iter().filter(|noise| noise.subject == subject.name).flat_map(noise_measures);
        let tasks = subject.tasks.iter().flat_map(task_measures);
        let losses = lines::lines(report, subject).into_iter().filter_map(|line| line.finding).flat_map(loss_measures);
        let budgets = subject.budgets().filter(|f| has_no_row(f)).map(budget_measure);
        let distributions = subject.distributions.iter().flat_map(distribution_measures);
        let serving = serving_measures(report, subject);
        let measures = noise.chain(tasks).chain(losses).chain(budgets).chain(distributions).chain(serving);
        measures.map(|measure| measure.row(subject)).collect::<Vec<_>>()
    });
    write("metrics.csv", METRICS, rows)
}

/// Whether a budget's metric has no row of its own, as those of documents do, and amounts over all tasks.
fn has_no_row(finding: &FindingResult) -> bool {
    let Some(metric) = finding.metric.as_deref() else { return false };
    Budget::METRICS.iter().any(|(name, on)| match on {
        Measured::Documents => false,
        Measured::Amounts => *name == metric && finding.task.is_some(),
        Measured::Items | Measured::Times => *name == metric,
    })
}

/// One metric's value, its interval with its confidence, and the items behind it.
#[derive(Clone, Default)]
struct Measure<'a> {
    task: &'a str,
    slice: &'a str,
    metric: String,
    value: Option<f64>,
    interval: Option<(Interval, f64)>,
    n: Option<u64>,
}

impl Measure<'_> {
    fn row(self, subject: &SubjectResult) -> [String; 10] {
        let number = |x: Option<f64>| x.filter(|x| x.is_finite()).map_or_else(String::new, |x| x.to_string());
        [
            safe(subject.name.as_str()),
            role(subject.role).to_owned(),
            safe(self.task),
            safe(self.slice),
            safe(&self.metric),
            number(self.value),
            number(self.interval.map(|(i, _)| i.lower)),
            number(self.interval.map(|(i, _)| i.upper)),
            number(self.interval.map(|(_, confidence)| confidence)),
            self.n.map_or_else(String::new, |n| n.to_string()),
        ]
    }
}

fn noise_measures(noise: &NoiseResult) -> Vec<Measure<'_>> {
    let measure = |metric: &str, value| Measure {
        task: noise.task.as_str(),
        metric: metric.to_owned(),
        value,
        n: Some(noise.n),
        ..Measure::default()
    };
    vec![
        measure("noise.flips", noise.flips),
        Measure { interval: noise.delta.map(|d| (d, 0.95)), ..measure("noise.delta", noise.delta.map(|d| d.estimate)) },
        measure("noise.sd", noise.sd),
    ]
}

fn task_measures(task: &TaskResult) -> Vec<Measure<'_>> {
    // Without a single pair there is nothing to test.
    let bare = |metric: &str, value: f64| Measure {
        task: task.task.as_str(),
        metric: metric.to_owned(),
        value: (task.n > 0).then_some(value),
        n: Some(task.n),
        ..Measure::default()
    };
    let side = |metric: String, side: Option<Interval>| Measure {
        value: side.map(|i| i.estimate),
        interval: side.map(|i| (i, 0.95)),
        ..bare(&metric, 0.0)
    };
    let mut measures = vec![
        side(format!("{}.canary", task.metric), task.canary),
        side(task.metric.to_owned(), task.variant),
        bare("flips.lost", task.table.n10 as f64),
        bare("flips.gained", task.table.n01 as f64),
        bare("mcnemar.p_mid", task.p_mid),
    ];
    measures.extend(task.excess.map(|excess| bare("flips.excess", excess.excess)));
    measures.extend(task.drift.map(|drift| bare("answers.excess", drift.excess)));
    measures
}

fn loss_measures(finding: &FindingResult) -> Vec<Measure<'_>> {
    let metric = finding.metric.as_deref().unwrap_or_default();
    let prefix = if finding.rule == "overall" { format!("overall.{metric}") } else { metric.to_owned() };
    let bare = |metric: &str, value| Measure {
        task: finding.task.as_ref().map_or("", TaskName::as_str),
        slice: finding.slice.as_deref().unwrap_or_default(),
        metric: format!("{prefix}.{metric}"),
        value,
        interval: None,
        n: finding.n,
    };
    let with = |metric: &str, interval: Option<Interval>| Measure {
        interval: interval.zip(finding.confidence),
        ..bare(metric, interval.map(|i| i.estimate))
    };
    let mut measures = vec![with("delta", finding.interval)];
    measures.extend(finding.ratio.map(|ratio| with("recovery", Some(ratio))));
    let ps = [("p_pass", finding.p_pass), ("p_fail", finding.p_fail), ("p_fail_adjusted", finding.p_fail_adjusted)];
    measures.extend(ps.into_iter().filter(|(_, p)| p.is_some()).map(|(name, p)| bare(name, p)));
    measures
}

fn budget_measure(finding: &FindingResult) -> Measure<'_> {
    Measure {
        task: finding.task.as_ref().map_or("", TaskName::as_str),
        metric: finding.metric.clone().unwrap_or_default(),
        value: finding.value,
        interval: finding.interval.zip(finding.confidence),
        ..Measure::default()
    }
}

fn distribution_measures(distribution: &DistributionResult) -> Vec<Measure<'_>> {
    let measure = |metric: &str, value, interval: Option<Interval>| Measure {
        task: distribution.task.as_str(),
        metric: metric.to_owned(),
        value,
        interval: interval.map(|i| (i, 0.95)),
        n: Some(distribution.tokens as u64),
        ..Measure::default()
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
        if let Some(looks) = &moved.looks {
            rows.push(measure("top5", Some(looks.top5), looks.top5_interval));
            for (name, side) in [(".canary", &looks.canary), ("", &looks.variant)] {
                rows.push(measure(&format!("entropy{name}"), Some(side.entropy), None));
                rows.push(measure(&format!("calibration_error{name}"), Some(side.calibration_error), None));
            }
        }
    }
    if let Some(bound) = &distribution.kld_bound {
        rows.push(measure("kld_bound.mean", Some(bound.mean), bound.interval));
        rows.extend(bound.quantiles.iter().map(|(name, value)| measure(&format!("kld_bound.{name}"), Some(*value), None)));
    }
    rows
}

/// What a subject's endpoint told, over all tasks; nothing of a subject in process.
fn serving_measures<'a>(report: &'a Report, subject: &SubjectResult) -> Vec<Measure<'a>> {
    let measure =
        |metric: &str, value: Option<f64>, n: Option<u64>| Measure { metric: metric.to_owned(), value, n, ..Measure::default() };
    let ratio = |metric: &str, of: &RatioResult| Measure {
        interval: of.interval.map(|i| (i, 0.95)),
        ..measure(metric, Some(of.value), None)
    };
    let mut rows = Vec::new();
    if let Some(served) = subject.served.as_ref().filter(|served| served.counted > 0) {
        let n = Some(served.counted);
        rows.push(measure("tokens.read", Some(served.prompt_tokens as f64), n));
        rows.push(measure("tokens.written", Some(served.completion_tokens as f64), n));
        rows.extend(served.tokens_ratio.as_ref().map(|of| ratio("output.tokens_ratio", of)));
    }
    if let Some(service) = report.run.services.iter().find(|service| service.subject == subject.name) {
        let n = subject.served.as_ref().map(|served| served.answers);
        rows.push(measure("answers.from_cache", Some(service.reused as f64), n));
        rows.push(measure("requests.sent_again", Some(service.retries as f64), n));
        let money = [("cost", service.cost), ("cost.paid", service.paid), ("cost.per_thousand", service.per_thousand)];
        rows.extend(money.into_iter().filter(|(_, cost)| cost.is_some()).map(|(metric, cost)| measure(metric, cost, n)));
        rows.extend(service.cost_ratio.as_ref().map(|of| ratio("cost.ratio", of)));
    }
    if let Some(streamed) = report.timing.streaming.get(&subject.name) {
        let times = [("ttft", Some(&streamed.first)), ("itl", streamed.between.as_ref())];
        for (name, of) in times.into_iter().filter_map(|(name, of)| Some((name, of?))) {
            rows.push(measure(&format!("{name}.p50_ms"), Some(of.p50_ms), Some(of.n as u64)));
            rows.push(measure(&format!("{name}.p95_ms"), Some(of.p95_ms), Some(of.n as u64)));
        }
        rows.push(measure("tokens_per_second", streamed.per_second, Some(streamed.first.n as u64)));
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
