//! What a run may cost: prices and limit for the runner, and the words about what was spent.

use crate::plan::Plan;
use crate::runner::{Spending, Summary};

/// What answers cost and how much they may; none where the plan names no price.
pub(super) fn of(plan: &Plan) -> Option<Spending> {
    let price = |name| plan.services.get(name).and_then(|service| service.price);
    let prices: Vec<_> = plan.subjects.iter().map(|subject| price(&subject.name)).collect();
    let priced = prices.iter().any(Option::is_some);
    priced.then(|| Spending { limit: plan.spending.unwrap_or(f64::INFINITY), prices })
}

/// That the limit was reached, and what is left to ask.
pub(super) fn reached(summary: Summary, limit: f64) -> String {
    let (spent, left, units) = (amount(summary.spent), summary.left(), summary.units);
    format!("stopped at the spending limit: {spent} of {limit} spent, {left} of {units} units left")
}

/// What a finished run cost, to stand behind other words; nothing where nothing cost anything.
pub(super) fn spent(summary: Summary) -> String {
    if summary.spent > 0.0 { format!("; {} spent", amount(summary.spent)) } else { String::new() }
}

/// An amount of money with cents, or with as many digits as a small one needs.
fn amount(amount: f64) -> String {
    if amount >= 1.0 { format!("{amount:.2}") } else { format!("{amount:.5}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_is_said_in_cents_or_finer() {
        let summary = Summary { units: 100, scored: 60, spent: 5.003, broke: true, ..Summary::default() };
        assert_eq!(reached(summary, 5.0), "stopped at the spending limit: 5.00 of 5 spent, 40 of 100 units left");
        assert_eq!(spent(Summary { spent: 0.000_42, ..summary }), "; 0.00042 spent");
        assert_eq!(spent(Summary { spent: 0.0, ..summary }), "");
    }
}
