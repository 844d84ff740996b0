//! The latency rule: answers must be shown to come as fast as the budget asks.

use super::budget::{untestable, within};
use super::wording::{confidence_text, count};
use super::{Case, Evidence, Finding, Rule, Spent};
use crate::analysis::{LatencyComparison, PairedTimes, Span};
use crate::domain::{Budget, Measured, Verdict};
use crate::stats::Interval;

/// One finding for each latency budget: on its task, or on all tasks with scores together.
pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let budgets = case.policy.budgets.iter().filter(|budget| budget.measured() == Some(Measured::Times));
    budgets.map(|budget| of_budget(case, budget)).collect()
}

fn of_budget(case: &Case<'_>, budget: &Budget) -> Finding {
    let alpha = case.policy.alpha;
    let mut own = case.comparisons.latencies.iter();
    let row = own.find(|row| row.subject == *case.subject && row.task == budget.task && row.span == span(&budget.metric));
    let (verdict, reason, value, interval) = match (untestable(alpha), row) {
        (Some(fault), _) => (Verdict::Invalid, fault, None, None),
        (None, None) => (Verdict::Invalid, not_measured(case, budget), None, None),
        (None, Some(row)) => {
            let (verdict, reason) = judge(row, budget, (alpha, case.record.header.seed));
            let shown = if quantile(&budget.metric).is_none() { row.times.mean_shown() } else { None };
            (verdict, reason, value(row, &budget.metric), shown)
        }
    };
    let evidence = Evidence::Budget(Spent { metric: budget.metric.clone(), max: budget.max, value, interval });
    let task = budget.task.clone();
    Finding { rule: Rule::Latency, task, slice: None, gating: true, verdict, reason, evidence: Some(evidence) }
}

fn not_measured(case: &Case<'_>, budget: &Budget) -> String {
    let (metric, any) = (&budget.metric, || "any task with scores".to_owned());
    let on = budget.task.as_ref().map_or_else(any, |task| format!("'{task}' (a task with scores is needed)"));
    let lacks = match span(metric) {
        Span::Whole => "has a time and a score of both",
        Span::First => "was streamed by both: set `stream = true` for both",
        Span::Between => "was streamed by both with two tokens or more: set `stream = true` for both",
    };
    let reused = case.record.endpoints.told.values().any(|told| told.cached);
    let reused = if reused { "; answers that were taken from the cache have no time: `--fresh` asks again" } else { "" };
    format!("{metric} has a budget, but was not measured: no sample of {on} {lacks}{reused}")
}

/// The part of the time that a metric is about.
fn span(metric: &str) -> Span {
    match metric.split_once('.') {
        Some(("ttft", _)) => Span::First,
        Some(("itl", _)) => Span::Between,
        _ => Span::Whole,
    }
}

/// The quantile that a metric is about; the mean where none.
fn quantile(metric: &str) -> Option<f64> {
    match metric.split_once('.') {
        Some((_, "p50_ratio")) => Some(0.5),
        Some((_, "p95_ratio")) => Some(0.95),
        Some((_, "p99_ratio")) => Some(0.99),
        _ => None,
    }
}

fn value(row: &LatencyComparison, metric: &str) -> Option<f64> {
    quantile(metric).map_or_else(|| row.times.mean(), |q| row.times.quantile(q))
}

fn judge(row: &LatencyComparison, budget: &Budget, (alpha, seed): (f64, u64)) -> (Verdict, String) {
    let (metric, max, times) = (&budget.metric, budget.max, &row.times);
    let q = quantile(metric);
    let is = value(row, metric).map_or_else(|| metric.clone(), |value| format!("{metric} is {value:.3}"));
    let fewest = q.map_or_else(PairedTimes::fewest_blocks, |q| PairedTimes::fewest_for(q, alpha));
    if times.measurements() < fewest {
        let (have, fewest) = (count(times.measurements() as u64), count(fewest as u64));
        // What is streamed is asked one by one.
        let (what, by) = match row.span {
            Span::Whole => ("batches", "more samples or smaller batches"),
            Span::First | Span::Between => ("answers", "more samples"),
        };
        let what = format!(
            "{is}, but {have} {what} beside the first cannot tell whether it keeps within {max}: at least {fewest} are needed, by \
             {by}"
        );
        return (Verdict::Inconclusive, what);
    }
    let confidence = 1.0 - 2.0 * alpha;
    let interval = q.map_or_else(|| times.mean_interval(confidence), |q| times.quantile_interval(q, confidence, seed));
    let Some(interval) = interval else {
        let what = format!("{is}, but the times do not vary, so the clock is too coarse to tell whether it keeps within {max}");
        return (Verdict::Inconclusive, what);
    };
    within(&format!("{is}{}", in_brackets(interval, confidence)), interval, max)
}

/// The interval that decided, as ` (90 % interval 1.010 to 1.020)`.
fn in_brackets(interval: Interval, confidence: f64) -> String {
    format!(" ({} interval {:.3} to {:.3})", confidence_text(confidence), interval.lower, interval.upper)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::endpoints::Api;
    use crate::analysis::fixture::{Reply, Run};
    use crate::gate::decide;

    /// Batches of four; the variant takes about 1.25 times as long.
    fn timed(items: usize, metric: &str, max: f64) -> Run {
        let mut run = Run::pair(items, |_, _| Reply::Right);
        run.micros = |subject, item| {
            let batch = item as u64 / 4;
            let canary = 2000 + batch * 7919 % 700;
            if subject == "canary" { canary } else { canary * 5 / 4 + batch * 31 % 40 }
        };
        run.policy.budgets = vec![Budget { metric: metric.to_owned(), task: None, max }];
        run
    }

    fn latency_of(run: &Run) -> Vec<(Verdict, String)> {
        let (record, comparisons) = run.compared();
        let decision = decide(&record, &comparisons, &run.policy);
        let found = decision.subjects[0].findings.iter().filter(|f| f.rule == Rule::Latency);
        found.map(|f| (f.verdict, f.reason.clone())).collect()
    }

    #[test]
    fn a_ratio_over_its_budget_fails_and_one_within_passes() {
        for metric in ["latency.mean_ratio", "latency.p50_ratio", "latency.p95_ratio"] {
            for (max, verdict) in [(1.1, Verdict::Fail), (1.4, Verdict::Pass)] {
                let found = latency_of(&timed(480, metric, max));
                assert_eq!(found[0].0, verdict, "{metric}: {}", found[0].1);
                assert_eq!(found.len(), 1);
            }
        }
        let open = latency_of(&timed(480, "latency.p50_ratio", 1.256));
        assert_eq!(open[0].0, Verdict::Inconclusive, "{}", open[0].1);
    }

    #[test]
    fn streamed_tokens_are_held_against_their_own_budgets_and_cached_ones_against_none() {
        let judged = |metric: &str, max: f64, cached: bool| {
            let mut api = Api::telling(move |_, _, _, told| told.cached = cached);
            api.run.items = 400;
            api.run.policy.budgets = vec![Budget { metric: metric.to_owned(), task: None, max }];
            let (record, comparisons) = api.compared();
            let decision = decide(&record, &comparisons, &api.run.policy);
            let found = decision.subjects[0].findings.iter().find(|f| f.rule == Rule::Latency).expect("the budget is judged");
            (found.verdict, found.reason.clone())
        };
        // The variant takes half as long again, to its first token and between tokens.
        for metric in ["ttft.mean_ratio", "ttft.p50_ratio", "ttft.p95_ratio", "ttft.p99_ratio", "itl.mean_ratio", "itl.p95_ratio"]
        {
            for (max, verdict) in [(1.45, Verdict::Fail), (1.55, Verdict::Pass)] {
                let found = judged(metric, max, false);
                assert_eq!(found.0, verdict, "{metric}: {}", found.1);
            }
        }
        for metric in ["ttft.p50_ratio", "itl.mean_ratio", "latency.mean_ratio"] {
            let (verdict, reason) = judged(metric, 9.0, true);
            assert!(verdict == Verdict::Invalid && reason.contains("`--fresh` asks again"), "{reason}");
        }
        let found = latency_of(&timed(60, "ttft.p50_ratio", 2.0));
        assert!(found[0].0 == Verdict::Invalid && found[0].1.contains("`stream = true`"), "{}", found[0].1);
    }

    #[test]
    fn too_few_batches_are_inconclusive_and_say_how_many_are_needed() {
        for (items, metric, needed) in [
            (32, "latency.mean_ratio", "at least 10"),
            (480, "latency.p99_ratio", "at least 299"),
            (4, "latency.p50_ratio", "10"),
        ] {
            let found = latency_of(&timed(items, metric, 9.0));
            assert_eq!(found[0].0, Verdict::Inconclusive, "{metric}: {}", found[0].1);
            assert!(found[0].1.contains(needed), "{}", found[0].1);
        }
    }

    #[test]
    fn without_a_budget_times_enter_no_finding_and_without_times_a_budget_is_invalid() {
        let mut run = timed(480, "latency.mean_ratio", 1.1);
        run.policy.budgets.clear();
        assert!(latency_of(&run).is_empty());
        let mut run = timed(60, "latency.mean_ratio", 1.1);
        run.reply = Box::new(|_, _, _| Reply::Missing);
        assert_eq!(latency_of(&run)[0].0, Verdict::Invalid);
    }
}
