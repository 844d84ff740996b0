//! The forecast for a program: one object, shares as fractions.

use serde_json::{Value, json};

use super::{Forecast, Row, Source, Stopped};
use crate::domain::Tolerance;
use crate::plan::power::{Never, Outlook};

/// The forecast as indented JSON.
pub(super) fn render(forecast: &Forecast) -> String {
    let measured = forecast.rows.iter().any(|row| row.worst.is_some());
    let value = json!({
        "plan": forecast.plan,
        "alpha": forecast.policy.alpha,
        "power": forecast.power,
        "variants": forecast.variants,
        "tasks": forecast.rows.iter().map(row).collect::<Vec<_>>(),
        "all_pass": forecast.all(Row::power),
        "all_pass_at_worst": measured.then(|| forecast.all(|row| row.power_at_worst().unwrap_or_else(|| row.power()))),
        "overall": forecast.overall.as_ref().map(|(planned, worst)| json!({
            "power": planned.power,
            "power_at_worst": worst.map(|worst| worst.power),
        })),
    });
    serde_json::to_string_pretty(&value).expect("the value has only text keys")
}

fn row(row: &Row) -> Value {
    json!({
        "task": row.design.task,
        "slice": row.design.slice,
        "samples": row.design.samples,
        "clusters": row.design.clusters.map(|clusters| clusters.count),
        "tolerance": tolerance(row.design.tolerance),
        "canary": row.expected.canary,
        "loss": row.expected.loss,
        "flips": row.expected.flips,
        "flips_at_worst": row.worst.map(|worst| worst.flips),
        "source": source(&row.source),
        "never": row.never.map(never),
        "expected": outlook(&row.outlook),
        "at_worst": row.outlook_at_worst.as_ref().map(outlook),
        "stopping": row.stopped.map(stopped),
        "stopping_at_worst": row.stopped_at_worst.map(stopped),
    })
}

fn tolerance(tolerance: Tolerance) -> Value {
    match tolerance {
        Tolerance::Margin(margin) => json!({ "margin": margin }),
        Tolerance::Recovery(share) => json!({ "recovery": share }),
    }
}

fn outlook(outlook: &Outlook) -> Value {
    json!({
        "margin": outlook.margin,
        "floor": outlook.floor,
        "needed": outlook.needed,
        "power": outlook.planned.power,
        "exact": outlook.planned.exact,
        "smallest": outlook.smallest.map(tolerance),
    })
}

fn stopped(stopped: Stopped) -> Value {
    json!({ "power": stopped.power, "asked": stopped.asked })
}

fn source(source: &Source) -> Value {
    match source {
        Source::Given => json!({ "kind": "given" }),
        Source::Assumed => json!({ "kind": "assumed" }),
        Source::Run(measured) => json!({
            "kind": "run",
            "run": measured.run,
            "subject": measured.subject,
            "pairs": measured.pairs,
            "flips": measured.flips,
            "canary_flips": measured.own_flips,
        }),
    }
}

fn never(why: Never) -> Value {
    match why {
        Never::Samples { least } => json!({ "too_few": "samples", "least": least }),
        Never::Clusters { least } => json!({ "too_few": "clusters", "least": least }),
    }
}
