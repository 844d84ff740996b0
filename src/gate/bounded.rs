//! Budgets of divergence where the likeliest tokens are known alone: a lower bound can break them, and never shows them kept.

use super::budget::{Value, finding, in_brackets};
use super::documents::too_many_missing;
use super::{Case, Evidence, Finding};
use crate::analysis::{DistributionComparison, KldBound};
use crate::domain::{Budget, Verdict};
use crate::stats::Interval;

/// The finding of a budget of divergence; none of other metrics.
pub(super) fn found(
    (case, comparison): (&Case<'_>, &DistributionComparison),
    budget: &Budget,
    (bound, confidence): (&KldBound, f64),
) -> Option<Finding> {
    let name = budget.metric.strip_prefix("kld.")?;
    let measured = measure(name, bound, (budget.max, confidence))?;
    let answer = match too_many_missing(case, comparison) {
        Some(fault) => (Verdict::Invalid, fault),
        None => judge(budget, bound.k, &measured, confidence),
    };
    let value = Value { value: measured.value, interval: measured.shown };
    let mut found = finding(budget, Some(comparison.task.clone()), answer, Some(value));
    // What was measured must not stand under the name of what it bounds.
    if let Some(Evidence::Budget(spent)) = &mut found.evidence {
        spent.metric = format!("kld_bound.{name}");
    }
    Some(found)
}

/// A lower bound of a metric and where it stands against its limit.
struct Measured {
    value: f64,
    /// Its own 95 % interval, if it has one: to show.
    shown: Option<Interval>,
    /// The bound, or for a quantile the share of tokens over the budget, at the two-sided level 1 − 2α.
    tested: Option<Interval>,
    limit: f64,
}

fn measure(name: &str, bound: &KldBound, (max, confidence): (f64, f64)) -> Option<Measured> {
    let q = &bound.quantiles;
    let (value, share) = match name {
        "mean" => {
            let tested = bound.mean_at(confidence);
            return Some(Measured { value: bound.mean, shown: bound.interval, tested, limit: max });
        }
        "median" => (q.median, 0.5),
        "p90" => (q.p90, 0.9),
        "p95" => (q.p95, 0.95),
        "p99" => (q.p99, 0.99),
        "p999" => (q.p999, 0.999),
        _ => return None,
    };
    Some(Measured { value, shown: None, tested: bound.share_over(max, confidence), limit: 1.0 - share })
}

fn judge(budget: &Budget, k: usize, measured: &Measured, confidence: f64) -> (Verdict, String) {
    let (metric, max) = (&budget.metric, budget.max);
    let shown = measured.shown.and(measured.tested).map_or_else(String::new, |tested| in_brackets(tested, confidence));
    let is = format!("{metric} is at least {:.4}{shown}, a lower bound from the top {k}", measured.value);
    // What a bound exceeds, the divergence exceeds too; what it keeps within says nothing about the divergence.
    if measured.tested.is_some_and(|tested| tested.lower > measured.limit) {
        (Verdict::Fail, format!("{is}, over its budget of {max}"))
    } else {
        let what = format!("{is}, which cannot show that it keeps within {max}: only an engine with full distributions can");
        (Verdict::Inconclusive, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::endpoints::likeliest;
    use crate::analysis::{Comparisons, fold};
    use crate::domain::Policy;
    use crate::gate::{Decision, Rule, decide};

    /// A canary that is sure by 80 %, and a variant that is by as much as is said, a little more or less by document.
    fn decided(sure: f64, metric: &str, max: f64) -> Decision {
        let events = likeliest(40, move |subject, item| {
            let p = if subject == "canary" { 0.8 } else { sure + 0.01 * (item % 5) as f64 };
            vec![vec![(1, p.ln() as f32), (2, (0.5 * (1.0 - p)).ln() as f32)]; 40]
        });
        let record = fold(events).expect("the journal is consistent");
        let budgets = vec![Budget { metric: metric.to_owned(), task: None, max }];
        let policy = Policy { budgets, ..record.header.policy.clone() };
        decide(&record, &Comparisons::of(&record), &policy)
    }

    fn budget_of(decision: &Decision) -> &Finding {
        decision.subjects[0].findings.iter().find(|f| f.rule == Rule::Budget).expect("the budget is judged")
    }

    #[test]
    fn a_lower_bound_over_its_budget_fails_under_its_own_name() {
        // 0.8 ln(0.8/0.42) + 0.2 ln(0.2/0.58), about 0.30.
        for metric in ["kld.mean", "kld.median", "kld.p90"] {
            let decision = decided(0.4, metric, 0.1);
            let found = budget_of(&decision);
            assert_eq!(found.verdict, Verdict::Fail, "{}", found.reason);
            assert!(found.reason.contains("a lower bound from the top 2, over its budget of 0.1"), "{}", found.reason);
            let Some(Evidence::Budget(spent)) = &found.evidence else { panic!("a budget has its numbers") };
            assert_eq!(spent.metric, metric.replace("kld.", "kld_bound."));
        }
    }

    #[test]
    fn a_lower_bound_within_its_budget_never_passes() {
        for metric in ["kld.mean", "kld.median", "kld.p99", "kld.p999"] {
            let decision = decided(0.78, metric, 0.5);
            let found = budget_of(&decision);
            assert_eq!(found.verdict, Verdict::Inconclusive, "{}", found.reason);
            assert!(found.reason.contains("cannot show that it keeps within 0.5"), "{}", found.reason);
        }
    }

    #[test]
    fn a_ratio_of_perplexities_needs_no_distribution_and_the_top_token_a_full_one() {
        assert_eq!(budget_of(&decided(0.78, "perplexity.ratio", 9.0)).verdict, Verdict::Pass);
        assert_eq!(budget_of(&decided(0.78, "same_top.loss", 0.5)).verdict, Verdict::Invalid);
    }
}
