//! Budgets of amounts: tokens written and money spent must be shown to keep within a multiple of the canary's.

use super::budget::{Value, finding, in_brackets, untestable, within};
use super::wording::count;
use super::{Case, Finding};
use crate::analysis::{Amount, PairedAmounts};
use crate::domain::{Budget, Verdict};

/// The finding of a budget: on its task, or on all tasks together.
pub(super) fn findings(case: &Case<'_>, budget: &Budget) -> Vec<Finding> {
    let amount = if budget.metric == "cost.ratio" { Amount::Cost } else { Amount::Output };
    let mut rows = case.comparisons.amounts.iter();
    let row = rows.find(|row| row.subject == *case.subject && row.task == budget.task && row.amount == amount);
    let (answer, value) = match (untestable(case.policy.alpha), row) {
        (Some(fault), _) => ((Verdict::Invalid, fault), None),
        (None, None) => ((Verdict::Invalid, not_measured(budget, amount)), None),
        (None, Some(row)) => {
            let value = row.amounts.ratio().map(|value| Value { value, interval: row.amounts.shown() });
            (judge(&row.amounts, budget, case.policy.alpha), value)
        }
    };
    vec![finding(budget, budget.task.clone(), answer, value)]
}

fn not_measured(budget: &Budget, amount: Amount) -> String {
    let on = budget.task.as_ref().map_or_else(|| "no sample".to_owned(), |task| format!("no sample of '{task}'"));
    let what = match amount {
        Amount::Output => format!("{on} has tokens that both services counted"),
        Amount::Cost => format!("{on} has a cost on both sides: give `price` to both, whose services must count tokens"),
    };
    format!("{} has a budget, but was not measured: {what}", budget.metric)
}

fn judge(amounts: &PairedAmounts, budget: &Budget, alpha: f64) -> (Verdict, String) {
    let (metric, max, units) = (&budget.metric, budget.max, amounts.units());
    let Some(value) = amounts.ratio() else {
        return (Verdict::Invalid, format!("{metric} has a budget, but the canary's total is 0"));
    };
    let is = format!("{metric} is {value:.4}");
    if units < PairedAmounts::fewest() {
        let (have, fewest) = (count(units as u64), count(PairedAmounts::fewest() as u64));
        let what = format!("{is}, but {have} samples cannot tell whether it keeps within {max}: at least {fewest} are needed");
        return (Verdict::Inconclusive, what);
    }
    let confidence = 1.0 - 2.0 * alpha;
    let Some(interval) = amounts.interval(confidence) else {
        let what = format!("{is}, but it is the same on every sample, or too uneven to bound, which says nothing about the next");
        return (Verdict::Inconclusive, what);
    };
    within(&format!("{is}{}", in_brackets(interval, confidence)), interval, max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::endpoints::Api;
    use crate::domain::{Price, Usage};
    use crate::gate::{Rule, decide};

    /// The variant writes about 12 tokens where the canary writes about 10, and costs half as much a token.
    fn judged(metric: &str, max: f64, prices: &[&'static str]) -> (Verdict, String) {
        let mut api = Api::telling(|subject, _, item, told| {
            let written = if subject == "q4" { 12 + item as u64 % 3 } else { 10 + item as u64 % 2 };
            told.usage = Some(Usage { prompt: 0, completion: written, cached: 0 });
        });
        let price = |name: &str| Price { input: 1.0, output: if name == "q4" { 1.0 } else { 2.0 }, cached: None };
        api.prices = prices.iter().map(|name| (*name, price(name))).collect();
        api.run.policy.budgets = vec![Budget { metric: metric.to_owned(), task: None, max }];
        let (record, comparisons) = api.compared();
        let decision = decide(&record, &comparisons, &api.run.policy);
        let found = decision.subjects[0].findings.iter().find(|f| f.rule == Rule::Budget).expect("the budget is judged");
        (found.verdict, found.reason.clone())
    }

    #[test]
    fn a_variant_that_writes_more_breaks_a_budget_of_tokens() {
        // 13 against 10.5 on average.
        let (verdict, reason) = judged("output.tokens_ratio", 1.1, &[]);
        assert_eq!(verdict, Verdict::Fail, "{reason}");
        assert!(reason.contains("output.tokens_ratio is 1.2381 (90 % interval 1.2"), "{reason}");
        assert_eq!(judged("output.tokens_ratio", 1.3, &[]).0, Verdict::Pass);
        assert_eq!(judged("output.tokens_ratio", 1.2382, &[]).0, Verdict::Inconclusive);
    }

    #[test]
    fn a_cheaper_token_makes_up_for_more_of_them_and_a_missing_price_is_invalid() {
        let (verdict, reason) = judged("cost.ratio", 0.7, &["canary", "q4"]);
        assert_eq!(verdict, Verdict::Pass, "{reason}");
        assert!(reason.contains("cost.ratio is 0.6190"), "{reason}");
        assert_eq!(judged("cost.ratio", 0.6, &["canary", "q4"]).0, Verdict::Fail);
        let (verdict, reason) = judged("cost.ratio", 0.7, &["q4"]);
        assert_eq!(verdict, Verdict::Invalid);
        assert!(reason.contains("give `price` to both"), "{reason}");
    }

    #[test]
    fn few_samples_and_one_proportion_everywhere_tell_nothing() {
        let verdict = |items, each: fn(usize) -> u64| {
            let mut api = Api::telling(move |_, _, item, told| {
                told.usage = Some(Usage { prompt: 9, completion: each(item), cached: 0 });
            });
            api.run.items = items;
            api.run.policy.budgets = vec![Budget { metric: "output.tokens_ratio".to_owned(), task: None, max: 2.0 }];
            let (record, comparisons) = api.compared();
            let decision = decide(&record, &comparisons, &api.run.policy);
            let found =
                decision.subjects[0].findings.iter().find(|f| f.rule == Rule::Budget).map(|f| (f.verdict, f.reason.clone()));
            found.expect("the budget is judged")
        };
        let (few, reason) = verdict(29, |item| item as u64);
        assert!(few == Verdict::Inconclusive && reason.contains("at least 30"), "{reason}");
        let (same, reason) = verdict(60, |item| item as u64);
        assert!(same == Verdict::Inconclusive && reason.contains("the same on every sample"), "{reason}");
        assert_eq!(verdict(60, |_| 0).0, Verdict::Invalid);
    }
}
