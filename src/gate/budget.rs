//! The budget rule: a metric of the distribution must be shown to keep within its limit.

use super::{Case, Evidence, Finding, Rule};
use crate::analysis::{DistributionComparison, Likelihood};
use crate::domain::{Budget, MetricKind, TaskName, Verdict};
use crate::stats::Interval;

/// Largest share of missing documents that is judged at all.
const MOST_MISSING: f64 = 0.01;

/// One finding for each budget and each perplexity task that it is about.
pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    case.policy.budgets.iter().flat_map(|budget| of_budget(case, budget)).collect()
}

fn of_budget(case: &Case<'_>, budget: &Budget) -> Vec<Finding> {
    let cards = case.record.header.tasks.iter().filter(|card| card.metric == MetricKind::Perplexity);
    let tasks: Vec<&TaskName> =
        cards.map(|card| &card.name).filter(|name| budget.task.as_ref().is_none_or(|task| task == *name)).collect();
    if tasks.is_empty() {
        let reason = format!("{} has a budget, but the run has no perplexity task to measure it on", budget.metric);
        return vec![finding(budget, budget.task.clone(), (Verdict::Invalid, reason), None)];
    }
    tasks.into_iter().map(|task| of_task(case, budget, task)).collect()
}

fn finding(budget: &Budget, task: Option<TaskName>, answer: (Verdict, String), measured: Option<&Measured>) -> Finding {
    let evidence = Evidence::Budget {
        metric: budget.metric.clone(),
        max: budget.max,
        value: measured.map(|m| m.value),
        interval: measured.and_then(|m| m.interval),
    };
    Finding { rule: Rule::Budget, task, gating: true, verdict: answer.0, reason: answer.1, evidence: Some(evidence) }
}

fn of_task(case: &Case<'_>, budget: &Budget, task: &TaskName) -> Finding {
    let mut own = case.comparisons.distributions.iter();
    let comparison = own.find(|d| d.subject == *case.subject && d.task == *task);
    let measured = comparison.and_then(|c| c.likelihood.as_ref()).and_then(|l| measure(l, &budget.metric, budget.max));
    let answer = match (comparison, &measured) {
        (Some(comparison), Some(measured)) => judge(comparison, budget, measured),
        _ => (Verdict::Invalid, not_measured(&budget.metric)),
    };
    finding(budget, Some(task.clone()), answer, measured.as_ref())
}

fn not_measured(metric: &str) -> String {
    if Budget::METRICS.contains(&metric) {
        format!("{metric} has a budget, but was not measured: the engine shows no full distributions, or no document was scored")
    } else {
        format!("'{metric}' is not a metric of this version: budgets can name {}", Budget::METRICS.join(", "))
    }
}

/// A metric's value and where it stands against its limit.
struct Measured {
    value: f64,
    /// The metric's own clustered 95 % interval, if it has one.
    interval: Option<Interval>,
    /// What is tested, and its limit: the metric itself, or for a quantile the share of tokens over the limit.
    tested: Option<(Interval, f64)>,
}

fn measure(likelihood: &Likelihood, metric: &str, max: f64) -> Option<Measured> {
    let direct = |value: f64, interval: Option<Interval>| Measured { value, interval, tested: interval.map(|i| (i, max)) };
    if metric == "perplexity.ratio" {
        return Some(direct(likelihood.ln_ratio.exp(), likelihood.ratio()));
    }
    let moved = likelihood.displacement.as_ref()?;
    let quantile = |value: f64, share: f64| {
        let over = moved.share_over(max);
        Measured { value, interval: None, tested: over.map(|i| (i, 1.0 - share)) }
    };
    let q = &moved.quantiles;
    Some(match metric {
        "kld.mean" => direct(moved.kld_mean, moved.kld),
        "kld.median" => quantile(q.median, 0.5),
        "kld.p90" => quantile(q.p90, 0.9),
        "kld.p95" => quantile(q.p95, 0.95),
        "kld.p99" => quantile(q.p99, 0.99),
        "kld.p999" => quantile(q.p999, 0.999),
        "same_top.loss" => {
            let lost = |i: Interval| Interval { estimate: 1.0 - i.estimate, lower: 1.0 - i.upper, upper: 1.0 - i.lower };
            direct(1.0 - moved.same_top_share, moved.same_top.map(lost))
        }
        _ => return None,
    })
}

fn judge(comparison: &DistributionComparison, budget: &Budget, measured: &Measured) -> (Verdict, String) {
    let (metric, max, value) = (&budget.metric, budget.max, measured.value);
    let missing = comparison.missing;
    if missing as f64 > MOST_MISSING * comparison.documents as f64 {
        let of = comparison.documents;
        return (Verdict::Invalid, format!("{missing} of {of} documents could not be compared, too many for a verdict"));
    }
    let Some((interval, limit)) = measured.tested else {
        return (Verdict::Inconclusive, format!("{metric} is {value:.4}, but one document has no interval: add documents"));
    };
    let shown = measured.interval.map_or_else(String::new, |i| format!(" (95 % interval {:.4} to {:.4})", i.lower, i.upper));
    if interval.lower > limit {
        (Verdict::Fail, format!("{metric} is {value:.4}{shown}, over its budget of {max}"))
    } else if interval.upper > limit {
        (Verdict::Inconclusive, format!("{metric} is {value:.4}{shown}: more documents would tell whether it keeps within {max}"))
    } else if missing > 0 {
        let what = format!("{metric} is {value:.4}{shown}, within {max}, but {missing} documents could not be compared");
        (Verdict::Inconclusive, what)
    } else {
        (Verdict::Pass, format!("{metric} is {value:.4}{shown}, within its budget of {max}"))
    }
}
