//! The budget rule: a metric of the distribution must be shown to keep within its limit.

use super::wording::{count, plural, without_score};
use super::{Case, Evidence, Finding, Rule, Spent};
use crate::analysis::{DistributionComparison, Likelihood};
use crate::domain::{Budget, MetricKind, TaskName, Verdict};
use crate::stats::{self, Interval};

/// Fewest documents with which a budget can be kept: with fewer, an interval over documents is too rough.
const FEWEST: u64 = 30;
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
    let evidence = Evidence::Budget(Spent {
        metric: budget.metric.clone(),
        max: budget.max,
        value: measured.map(|m| m.value),
        interval: measured.and_then(|m| m.interval),
    });
    Finding { rule: Rule::Budget, task, slice: None, gating: true, verdict: answer.0, reason: answer.1, evidence: Some(evidence) }
}

fn of_task(case: &Case<'_>, budget: &Budget, task: &TaskName) -> Finding {
    let alpha = case.policy.alpha;
    if !(alpha > 0.0 && alpha < 0.5) {
        let reason = format!("a budget cannot be tested at α = {alpha}: α lies between 0 and 0.5");
        return finding(budget, Some(task.clone()), (Verdict::Invalid, reason), None);
    }
    let mut own = case.comparisons.distributions.iter();
    let comparison = own.find(|d| d.subject == *case.subject && d.task == *task);
    let likelihood = comparison.and_then(|c| c.likelihood.as_ref());
    let measured = likelihood.and_then(|l| measure(l, budget, 1.0 - 2.0 * alpha));
    let answer = match (comparison, &measured) {
        (Some(comparison), Some(measured)) => judge((case, comparison), budget, measured),
        _ => (Verdict::Invalid, format!("{}{}", not_measured(&budget.metric), because(case, task))),
    };
    finding(budget, Some(task.clone()), answer, measured.as_ref())
}

/// Whose documents have no score and why, as an addition to a clause.
fn because(case: &Case<'_>, task: &TaskName) -> String {
    let text = without_score(&case.unscored(task));
    if text.is_empty() { text } else { format!(": {text}") }
}

fn not_measured(metric: &str) -> String {
    if Budget::names().any(|name| name == metric) {
        format!("{metric} has a budget, but was not measured: the engine shows no full distributions, or no document was scored")
    } else {
        format!("'{metric}' is not a metric of this version: budgets can name {}", Budget::names().collect::<Vec<_>>().join(", "))
    }
}

/// A metric's value and where it stands against its limit.
struct Measured {
    value: f64,
    /// The metric's own clustered 95 % interval, if it has one: to show.
    interval: Option<Interval>,
    /// What is tested.
    tested: Option<Tested>,
}

/// What a budget bounds: the metric itself, or for a quantile the share of tokens over the budget.
struct Tested {
    /// At the two-sided level 1 − 2α.
    interval: Interval,
    confidence: f64,
    limit: f64,
    /// Fewest documents with which a pass is possible.
    floor: u64,
}

impl Tested {
    /// A metric without an upper end.
    fn mean(interval: Interval, limit: f64, confidence: f64) -> Self {
        Self { interval, confidence, limit, floor: FEWEST }
    }

    /// A share of tokens: what has not been seen in as many documents can still be in the next.
    fn share(interval: Interval, limit: f64, confidence: f64) -> Self {
        let unseen = stats::ni_floor(limit, 0.5 * (1.0 - confidence)).exact;
        Self { interval, confidence, limit, floor: unseen.max(FEWEST) }
    }
}

fn measure(likelihood: &Likelihood, budget: &Budget, confidence: f64) -> Option<Measured> {
    let (metric, max) = (budget.metric.as_str(), budget.max);
    let mean = |value: f64, interval: Option<Interval>, at: Option<Interval>| {
        let tested = at.map(|at| Tested::mean(at, max, confidence));
        Measured { value, interval, tested }
    };
    if metric == "perplexity.ratio" {
        return Some(mean(likelihood.ln_ratio.exp(), likelihood.ratio(), likelihood.ratio_at(confidence)));
    }
    let moved = likelihood.displacement.as_ref()?;
    let quantile = |value: f64, share: f64| {
        let over = moved.share_over(max, confidence);
        Measured { value, interval: None, tested: over.map(|over| Tested::share(over, 1.0 - share, confidence)) }
    };
    let q = &moved.quantiles;
    Some(match metric {
        "kld.mean" => mean(moved.kld_mean, moved.kld, moved.kld_at(confidence)),
        "kld.median" => quantile(q.median, 0.5),
        "kld.p90" => quantile(q.p90, 0.9),
        "kld.p95" => quantile(q.p95, 0.95),
        "kld.p99" => quantile(q.p99, 0.99),
        "kld.p999" => quantile(q.p999, 0.999),
        "same_top.loss" => {
            let lost = |i: Interval| Interval { estimate: 1.0 - i.estimate, lower: 1.0 - i.upper, upper: 1.0 - i.lower };
            let tested = moved.same_top_at(confidence).map(|at| Tested::share(lost(at), max, confidence));
            Measured { value: 1.0 - moved.same_top_share, interval: moved.same_top.map(lost), tested }
        }
        _ => return None,
    })
}

fn judge((case, comparison): (&Case<'_>, &DistributionComparison), budget: &Budget, measured: &Measured) -> (Verdict, String) {
    let (metric, max, value) = (&budget.metric, budget.max, measured.value);
    let missing = comparison.missing;
    if missing as f64 > MOST_MISSING * comparison.documents as f64 {
        let (of, why) = (comparison.documents, because(case, &comparison.task));
        return (Verdict::Invalid, format!("{missing} of {of} documents could not be compared, too many for a verdict{why}"));
    }
    let Some(tested) = &measured.tested else {
        return (Verdict::Inconclusive, format!("{metric} is {value:.4}, but one document has no interval: add documents"));
    };
    let (interval, documents, floor) = (tested.interval, (comparison.documents - missing) as u64, tested.floor);
    let shown = measured.interval.map_or_else(String::new, |_| in_brackets(interval, tested.confidence));
    let is = format!("{metric} is {value:.4}{shown}");
    // A comparison that a NaN makes neither over nor within is not a pass.
    if interval.lower > tested.limit {
        (Verdict::Fail, format!("{is}, over its budget of {max}"))
    } else if documents < floor {
        let (have, floor) = (count(documents), count(floor));
        let what = format!("{is}, but {have} documents cannot show that it keeps within {max}: at least {floor} are needed");
        (Verdict::Inconclusive, what)
    } else if interval.upper.is_nan() || interval.upper > tested.limit {
        (Verdict::Inconclusive, format!("{is}: more documents would tell whether it keeps within {max}"))
    } else if missing > 0 {
        let (documents, why) = (plural(missing as u64, "document"), because(case, &comparison.task));
        (Verdict::Inconclusive, format!("{is}, within {max}, but {missing} {documents} could not be compared{why}"))
    } else {
        (Verdict::Pass, format!("{is}, within its budget of {max}"))
    }
}

/// The interval that decided, as ` (90 % interval 0.0100 to 0.0200)`.
fn in_brackets(interval: Interval, confidence: f64) -> String {
    let percent = format!("{:.1}", 100.0 * confidence);
    let percent = percent.trim_end_matches('0').trim_end_matches('.');
    format!(" ({percent} % interval {:.4} to {:.4})", interval.lower, interval.upper)
}
