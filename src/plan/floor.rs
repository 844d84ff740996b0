//! Warnings about tasks that are too small to ever pass.

use std::collections::BTreeMap;

use super::PlannedTask;
use crate::domain::Policy;
use crate::stats::ni_floor;

/// One warning for each margin that some gating task has too few samples for.
pub(super) fn warnings(policy: &Policy, tasks: &[PlannedTask]) -> Vec<String> {
    let mut small: BTreeMap<usize, (f64, Vec<String>)> = BTreeMap::new();
    for planned in tasks.iter().filter(|planned| policy.gates(&planned.task.name, planned.task.gating)) {
        let margin = policy.tolerance_of(&planned.task.name).margin_at(1.0);
        let needed = needed(policy.alpha, margin);
        if planned.samples.len() < needed {
            let entry = small.entry(needed).or_insert_with(|| (margin, Vec::new()));
            entry.1.push(format!("{} ({})", planned.task.name, planned.samples.len()));
        }
    }
    let sentence = |(needed, (margin, tasks)): (usize, (f64, Vec<String>))| {
        let points = (margin * 1e6).round() / 1e4;
        format!(
            "too few samples to ever PASS a margin of {points}pp at alpha {}, which takes at least {needed}: {}",
            policy.alpha,
            tasks.join(", ")
        )
    };
    small.into_iter().map(sentence).collect()
}

/// The fewest samples that can show a loss below the margin, which takes not a single flip.
fn needed(alpha: f64, margin: f64) -> usize {
    usize::try_from(ni_floor(margin, alpha).tango).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::needed;

    #[test]
    fn the_floor_is_that_of_the_published_table() {
        assert_eq!([0.01, 0.02, 0.05].map(|margin| needed(0.05, margin)), [268, 133, 52]);
    }
}
