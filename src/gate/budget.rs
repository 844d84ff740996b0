//! Budgets: upper bounds on metrics that must be shown to be kept. What a metric is measured on decides which file judges it.

use super::{Case, Evidence, Finding, Rule, Spent, amounts, documents, errors, flips};
use crate::analysis::Comparison;
use crate::domain::{Budget, Measured, MetricKind, TaskCard, TaskName, Verdict};
use crate::stats::{FEWEST_UNITS, Interval};

use super::loss::{Asked, MOST_MISSING};
use super::wording::{confidence_text, count, plural, without_score};

/// One finding for each budget and each task that it is about; those of times are the latency rule's.
pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    case.policy.budgets.iter().flat_map(|budget| of_budget(case, budget)).collect()
}

fn of_budget(case: &Case<'_>, budget: &Budget) -> Vec<Finding> {
    match budget.measured() {
        Some(Measured::Documents) => documents::findings(case, budget),
        Some(Measured::Items) => of_items(case, budget),
        Some(Measured::Amounts) => amounts::findings(case, budget),
        Some(Measured::Times) => Vec::new(),
        None => {
            let known = Budget::names().collect::<Vec<_>>().join(", ");
            let reason = format!("'{}' is not a metric of this version: budgets can name {known}", budget.metric);
            vec![finding(budget, budget.task.clone(), (Verdict::Invalid, reason), None)]
        }
    }
}

/// What a budget's metric is on a task: its value, and its own 95 % interval where it has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) value: f64,
    pub(super) interval: Option<Interval>,
}

/// The finding of a budget, which gates.
pub(super) fn finding(budget: &Budget, task: Option<TaskName>, answer: (Verdict, String), measured: Option<Value>) -> Finding {
    let evidence = Evidence::Budget(Spent {
        metric: budget.metric.clone(),
        max: budget.max,
        value: measured.map(|m| m.value),
        interval: measured.and_then(|m| m.interval),
    });
    Finding { rule: Rule::Budget, task, slice: None, gating: true, verdict: answer.0, reason: answer.1, evidence: Some(evidence) }
}

/// A level that no budget can be tested at.
pub(super) fn untestable(alpha: f64) -> Option<String> {
    (!(alpha > 0.0 && alpha < 0.5)).then(|| format!("a budget cannot be tested at α = {alpha}: α lies between 0 and 0.5"))
}

/// One finding for each task with scores: of a task that the budget names it gates, of others where the task gates.
fn of_items(case: &Case<'_>, budget: &Budget) -> Vec<Finding> {
    let own = case.comparisons.tasks.iter().filter(|c| c.subject == *case.subject);
    let named = own.filter(|c| budget.task.as_ref().is_none_or(|task| *task == c.task));
    let cards: Vec<(&Comparison, &TaskCard)> = named.filter_map(|c| Some((c, case.record.task(&c.task)?))).collect();
    let fits = |comparison: &Comparison| budget.metric != "error.ratio" || comparison.means.is_none();
    let measurable: Vec<_> = cards.into_iter().filter(|(comparison, _)| fits(comparison)).collect();
    if measurable.is_empty() {
        let on = if budget.metric == "error.ratio" { "right-or-wrong task, asked once an item," } else { "task with scores" };
        let reason = format!("{} has a budget, but the run has no {on} to measure it on", budget.metric);
        return vec![finding(budget, budget.task.clone(), (Verdict::Invalid, reason), None)];
    }
    let one = |(comparison, card): (&Comparison, &TaskCard)| {
        let unscored = || without_score(&case.unscored(&card.name));
        let asked = Asked { unscored: &unscored, ..Asked::plainly(comparison, card, case.policy) };
        let gating = budget.task.is_some() || case.policy.gates(&card.name, card.gating);
        Finding { gating, ..of_item_task(&asked, budget) }
    };
    measurable.into_iter().map(one).collect()
}

fn of_item_task(asked: &Asked<'_>, budget: &Budget) -> Finding {
    debug_assert!(asked.card.metric != MetricKind::Perplexity, "such tasks have no items");
    let (answer, value) = match untestable(asked.policy.alpha) {
        Some(fault) => ((Verdict::Invalid, fault), None),
        None => measured(asked, budget),
    };
    finding(budget, Some(asked.card.name.clone()), answer, value)
}

/// What bounds a metric of items.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The metric on the complete pairs with its own 95 % interval.
    pub(super) shown: Value,
    /// The interval at the policy's level on the complete pairs.
    pub(super) tested: Interval,
    /// Its upper limit where every missing half speaks against the variant, and its lower one where each speaks for it.
    pub(super) whatever: (f64, f64),
    /// Fewest pairs with which the budget can be kept.
    pub(super) floor: u64,
}

fn measured(asked: &Asked<'_>, budget: &Budget) -> ((Verdict, String), Option<Value>) {
    let (part, comparison) = (asked.whole(), asked.comparison);
    let missing = part.pairs.missing.total();
    if missing as f64 > MOST_MISSING * comparison.asked as f64 {
        let text = (asked.unscored)();
        let who = if text.is_empty() {
            format!("{} of {} items have no answer", count(missing), count(comparison.asked))
        } else {
            text
        };
        return ((Verdict::Invalid, format!("{who}, too many for a verdict")), None);
    }
    // By its own policy a subject with such a budget is asked everything.
    if comparison.is_short() {
        let (asked, samples) = (count(comparison.asked), count(comparison.samples));
        let what = format!("it was asked {asked} of {samples} items only, by another rule for stopping: ask the rest");
        return ((Verdict::Inconclusive, what), None);
    }
    let n = part.pairs.n();
    if n < FEWEST_UNITS {
        let what = format!("{} {} cannot tell anything: at least {FEWEST_UNITS} are needed", count(n), plural(n, "item"));
        return ((Verdict::Inconclusive, what), None);
    }
    let bounds = match budget.metric.as_str() {
        "flips.rate" => flips::rate(&part, budget.max),
        "flips.excess" => flips::excess(&part, budget.max),
        _ => errors::ratio(&part),
    };
    match bounds {
        Ok(bounds) => (judge(asked, budget, n, &bounds), Some(bounds.shown)),
        Err(answer) => (answer, None),
    }
}

fn judge(asked: &Asked<'_>, budget: &Budget, n: u64, bounds: &Bounds) -> (Verdict, String) {
    let (metric, max, tested) = (&budget.metric, budget.max, bounds.tested);
    let is = format!("{metric} is {}{}", digits(bounds.shown.value), in_brackets(tested, 1.0 - 2.0 * asked.policy.alpha));
    let missing = asked.comparison.missing.total();
    let (upper, lower) = bounds.whatever;
    // A comparison that a NaN makes neither over nor within is not a pass.
    if lower > max {
        (Verdict::Fail, format!("{is}, over its budget of {max}"))
    } else if n < bounds.floor {
        let (have, floor) = (count(n), count(bounds.floor));
        let what = format!("{is}, but {have} items cannot show that it keeps within {max}: at least {floor} are needed");
        (Verdict::Inconclusive, what)
    } else if upper <= max {
        (Verdict::Pass, format!("{is}, within its budget of {max}"))
    } else if missing > 0 && (tested.upper <= max || tested.lower > max) {
        let what = format!("{is}, but {missing} without a score could turn that about the budget of {max}");
        (Verdict::Inconclusive, what)
    } else {
        (Verdict::Inconclusive, format!("{is}: more items would tell whether it keeps within {max}"))
    }
}

/// Whether a ratio keeps within a budget, by its interval, behind the words that say what it is.
pub(super) fn within(is: &str, interval: Interval, max: f64) -> (Verdict, String) {
    // A comparison that a NaN makes neither over nor within is not a pass.
    if interval.lower > max {
        (Verdict::Fail, format!("{is}, over its budget of {max}"))
    } else if interval.upper <= max {
        (Verdict::Pass, format!("{is}, within its budget of {max}"))
    } else {
        (Verdict::Inconclusive, format!("{is}: more samples would tell whether it keeps within {max}"))
    }
}

/// The interval that decided, as ` (90 % interval 0.0100 to 0.0200)`.
pub(super) fn in_brackets(interval: Interval, confidence: f64) -> String {
    format!(" ({} interval {} to {})", confidence_text(confidence), digits(interval.lower), digits(interval.upper))
}

/// A number with four digits behind the point; ∞ where it has no end.
fn digits(number: f64) -> String {
    if number.is_finite() { format!("{number:.4}") } else { "∞".to_owned() }
}
