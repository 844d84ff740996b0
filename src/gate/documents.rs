//! Budgets of documents: a metric of the distribution must be shown to keep within its limit.

use super::budget::{Value, finding, in_brackets, untestable};
use super::loss::MOST_MISSING;
use super::wording::{count, plural, without_score};
use super::{Case, Finding, bounded};
use crate::analysis::{Displacement, DistributionComparison, Likelihood};
use crate::domain::{Budget, MetricKind, TaskName, Verdict};
use crate::stats::{self, Interval, Resampling, T_FROM};

/// Fewest documents with which a budget can be kept: with fewer, an interval over documents is too rough.
const FEWEST: u64 = 30;

/// One finding for each perplexity task that a budget is about.
pub(super) fn findings(case: &Case<'_>, budget: &Budget) -> Vec<Finding> {
    let cards = case.record.header.tasks.iter().filter(|card| card.metric == MetricKind::Perplexity);
    let tasks: Vec<&TaskName> =
        cards.map(|card| &card.name).filter(|name| budget.task.as_ref().is_none_or(|task| task == *name)).collect();
    if tasks.is_empty() {
        let nothing = || "the run has no perplexity task to measure it on".to_owned();
        let why =
            budget.task.as_ref().map_or_else(nothing, |task| format!("'{task}' is no perplexity task, which it is measured on"));
        let reason = format!("{} has a budget, but {why}", budget.metric);
        return vec![finding(budget, budget.task.clone(), (Verdict::Invalid, reason), None)];
    }
    tasks.into_iter().map(|task| of_task(case, budget, task)).collect()
}

fn of_task(case: &Case<'_>, budget: &Budget, task: &TaskName) -> Finding {
    if let Some(fault) = untestable(case.policy.alpha) {
        return finding(budget, Some(task.clone()), (Verdict::Invalid, fault), None);
    }
    let mut own = case.comparisons.distributions.iter();
    let comparison = own.find(|d| d.subject == *case.subject && d.task == *task);
    let likelihood = comparison.and_then(|c| c.likelihood.as_ref());
    let confidence = 1.0 - 2.0 * case.policy.alpha;
    if let (Some(comparison), Some(bound)) = (comparison, likelihood.and_then(|l| l.bound.as_ref()))
        && let Some(found) = bounded::found((case, comparison), budget, (bound, confidence))
    {
        return found;
    }
    let measured = likelihood.and_then(|l| measure(l, budget, (confidence, case.policy.strict)));
    let answer = match (comparison, &measured) {
        (Some(comparison), Some(measured)) => judge((case, comparison), budget, measured),
        _ => (Verdict::Invalid, format!("{}{}", not_measured(&budget.metric), because(case, task))),
    };
    let shown = measured.as_ref().map(|measured| Value { value: measured.value, interval: measured.interval });
    finding(budget, Some(task.clone()), answer, shown)
}

/// Whose documents have no score and why, as an addition to a clause.
pub(super) fn because(case: &Case<'_>, task: &TaskName) -> String {
    let text = without_score(&case.unscored(task));
    if text.is_empty() { text } else { format!(": {text}") }
}

/// Why documents can't be judged of which too many could not be compared.
pub(super) fn too_many_missing(case: &Case<'_>, comparison: &DistributionComparison) -> Option<String> {
    let (missing, of) = (comparison.missing, comparison.documents);
    let many = missing as f64 > MOST_MISSING * of as f64;
    let why = || because(case, &comparison.task);
    many.then(|| format!("{missing} of {of} documents could not be compared, too many for a verdict{}", why()))
}

fn not_measured(metric: &str) -> String {
    format!("{metric} has a budget, but was not measured: the engine shows no full distributions, or no document was scored")
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
    /// Documents that differ from the others, where so few of them do that they tell nothing about the next one.
    still: Option<u64>,
}

impl Tested {
    /// A metric without an upper end.
    fn mean(interval: Interval, limit: f64, confidence: f64) -> Self {
        Self { interval, confidence, limit, floor: FEWEST, still: still(&interval) }
    }

    /// A share of tokens: what has not been seen in as many documents can still be in the next.
    fn share(interval: Interval, limit: f64, confidence: f64) -> Self {
        let unseen = stats::ni_floor(limit, 0.5 * (1.0 - confidence)).exact;
        Self { interval, confidence, limit, floor: unseen.max(FEWEST), still: None }
    }
}

/// None of the documents differs where the interval is no wider than rounding.
fn still(interval: &Interval) -> Option<u64> {
    (interval.upper - interval.lower <= 1e-12 * interval.estimate.abs()).then_some(0)
}

/// The mean divergence: by t over documents; in strict mode no narrower than the bootstrap-t over documents, since its tail is
/// heavy. Where hardly any document differs from the others, neither says anything about the next.
fn divergence(moved: &Displacement, max: f64, (confidence, strict): (f64, bool)) -> Option<Tested> {
    let documents = moved.kld_by_document();
    let mut by_t = moved.kld_at(confidence)?;
    if strict {
        let how = Resampling { conf: confidence, ..Resampling::default() };
        let bootstrap = stats::cluster_bootstrap_t(&documents, &how);
        by_t.lower = bootstrap.map_or(f64::NEG_INFINITY, |b| b.lower.min(by_t.lower));
        by_t.upper = bootstrap.map_or(f64::INFINITY, |b| b.upper.max(by_t.upper));
    }
    let mut means: Vec<f64> = documents.iter().map(|(sum, tokens)| sum / tokens).collect();
    means.sort_unstable_by(f64::total_cmp);
    let middle = means[means.len() / 2];
    let differ = means.iter().filter(|mean| (*mean - middle).abs() > 1e-12 * middle.abs()).count() as u64;
    Some(Tested { still: (differ < T_FROM.min(FEWEST)).then_some(differ), ..Tested::mean(by_t, max, confidence) })
}

fn measure(likelihood: &Likelihood, budget: &Budget, (confidence, strict): (f64, bool)) -> Option<Measured> {
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
    let lost = |i: Interval| Interval { estimate: 1.0 - i.estimate, lower: 1.0 - i.upper, upper: 1.0 - i.lower };
    Some(match metric {
        "kld.mean" => {
            let tested = divergence(moved, max, (confidence, strict));
            Measured { value: moved.kld_mean, interval: moved.kld, tested }
        }
        "kld.median" => quantile(q.median, 0.5),
        "kld.p90" => quantile(q.p90, 0.9),
        "kld.p95" => quantile(q.p95, 0.95),
        "kld.p99" => quantile(q.p99, 0.99),
        "kld.p999" => quantile(q.p999, 0.999),
        "top5.loss" => {
            let looks = moved.looks.as_ref()?;
            let tested = looks.top5_at(confidence).map(|at| Tested::share(lost(at), max, confidence));
            Measured { value: 1.0 - looks.top5_share, interval: looks.top5.map(lost), tested }
        }
        "same_top.loss" => {
            let tested = moved.same_top_at(confidence).map(|at| Tested::share(lost(at), max, confidence));
            Measured { value: 1.0 - moved.same_top_share, interval: moved.same_top.map(lost), tested }
        }
        _ => return None,
    })
}

fn judge((case, comparison): (&Case<'_>, &DistributionComparison), budget: &Budget, measured: &Measured) -> (Verdict, String) {
    let (metric, max, value) = (&budget.metric, budget.max, measured.value);
    let missing = comparison.missing;
    if let Some(fault) = too_many_missing(case, comparison) {
        return (Verdict::Invalid, fault);
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
    } else if let Some(differ) = tested.still {
        let differ = if differ == 0 { "none".to_owned() } else { format!("{differ} only") };
        let what = format!(
            "{is}, but of {} documents {differ} differs from the others, which says nothing about the next: add other documents",
            count(documents)
        );
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
