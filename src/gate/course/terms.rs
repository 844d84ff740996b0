//! The terms of early stopping: which tasks take part in it, and at which levels.

use crate::domain::{Budget, Family, Measured, MetricKind, Policy, Stopping, TaskCard, Tolerance};
use crate::stats::FEWEST_UNITS;

/// What is known of a task beyond its card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// Whether canary and subject are each asked once a sample.
    pub once: bool,
    /// Whether samples share clusters, so that they are not independent.
    pub clustered: bool,
}

/// What the course of a comparison is judged by, fixed before its first item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// The task's samples.
    pub samples: u64,
    /// The tolerated difference, in (0, 1).
    pub margin: f64,
    /// One-sided error rate of a PASS, in (0, 0.5).
    pub alpha: f64,
    /// One-sided error rate of a FAIL, at most α: α over the number of such claims about the subject.
    pub alpha_fail: f64,
    /// Whether only exact intervals decide.
    pub strict: bool,
    /// The rule.
    pub stopping: Stopping,
}

impl Terms {
    /// The terms of a task under a policy; none where the task is asked in full.
    ///
    /// Only a task may end early whose verdict is one claim about its pairs: it gates by an absolute margin, its scores are
    /// right or wrong, each side is asked once a sample, samples share no clusters, and no other rule (about a slice of it,
    /// about its flips, errors or times, or about the mean of all tasks) needs the answers that would not be asked.
    ///
    /// The claims that a subject FAILs, one for each gating task and slice, share α evenly, or with [`Family::By`] by its
    /// harmonic sum: what each then shows is shown under every one of the corrections, without waiting for the others.
    #[must_use]
    pub fn of(card: &TaskCard, cards: &[TaskCard], policy: &Policy, asking: Asking) -> Option<Self> {
        let Tolerance::Margin(margin) = policy.tolerance_of(&card.name) else { return None };
        let gates = |card: &TaskCard| card.metric != MetricKind::Perplexity && policy.gates(&card.name, card.gating);
        let sliced = |card: &TaskCard| policy.tasks.iter().filter(|rule| rule.task == card.name && rule.slice.is_some()).count();
        let needed = |budget: &Budget| {
            let of_pairs = !matches!(budget.measured(), Some(Measured::Documents));
            of_pairs && budget.task.as_ref().is_none_or(|task| *task == card.name)
        };
        let alone = policy.overall.is_none() && sliced(card) == 0 && !policy.budgets.iter().any(needed);
        let plain = card.metric == MetricKind::Accuracy && asking.once && !asking.clustered;
        let usable = margin > 0.0 && margin < 1.0 && policy.alpha > 0.0 && policy.alpha < 0.5;
        if !(gates(card) && alone && plain && usable && card.samples as u64 > FEWEST_UNITS) {
            return None;
        }
        let claims = cards.iter().map(|card| usize::from(gates(card)) + sliced(card)).sum();
        Some(Self {
            samples: card.samples as u64,
            margin,
            alpha: policy.alpha,
            alpha_fail: policy.alpha / share(policy.family, claims),
            strict: policy.strict,
            stopping: policy.stopping,
        })
    }
}

/// By what α is divided so that a claim at that level holds under a correction, whatever the other claims come to.
fn share(family: Family, claims: usize) -> f64 {
    let claims = claims.max(1);
    match family {
        Family::None => 1.0,
        Family::Holm | Family::Hochberg | Family::Bh => claims as f64,
        Family::By => (1..=claims).map(|i| claims as f64 / i as f64).sum(),
    }
}
