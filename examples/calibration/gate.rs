//! The gate's own path from counts to a verdict.

use std::collections::HashMap;

use quantgate::analysis::Comparison;
use quantgate::domain::{Digest, MetricKind, Policy, RequestKind, SubjectName, TaskCard, TaskName, Tolerance, Verdict};
use quantgate::gate::judge_loss;
use quantgate::stats::PairTable;

/// A gate with one task and its policy; verdicts on equal counts are remembered, since they depend on nothing else.
pub(crate) struct Gate {
    card: TaskCard,
    /// What it judges by.
    pub(crate) policy: Policy,
    known: HashMap<(u64, u64, u64), Verdict>,
}

impl Gate {
    pub(crate) fn new(tolerance: Tolerance, samples: u64) -> Self {
        Self { card: card(samples), policy: Policy::new(tolerance), known: HashMap::new() }
    }

    /// The same for one of several tasks.
    pub(crate) fn named(mut self, task: usize) -> Self {
        self.card.name = TaskName::new(format!("simulated-{task}"));
        self
    }

    /// A comparison of `n` independent pairs on its task, of which the canary has four in five right.
    pub(crate) fn comparison(&self, n: u64, flips: (u64, u64)) -> Comparison {
        Comparison::of_table(SubjectName::new("variant"), self.card.name.clone(), table(n, flips, n * 4 / 5))
    }

    /// The task's card.
    pub(crate) fn card(&self) -> &TaskCard {
        &self.card
    }

    /// The verdict on `n` independent pairs, of which the canary has `right` items right and some were lost and gained.
    pub(crate) fn counts(&mut self, n: u64, (lost, gained): (u64, u64), right: u64) -> Verdict {
        if let Some(known) = self.known.get(&(lost, gained, right)) {
            return *known;
        }
        let table = table(n, (lost, gained), right);
        let verdict = self.judge(&Comparison::of_table(SubjectName::new("variant"), self.card.name.clone(), table));
        self.known.insert((lost, gained, right), verdict);
        verdict
    }

    /// The verdict on (pairs, losses, gains) of clusters.
    pub(crate) fn clusters(&self, clusters: Vec<(u64, u64, u64)>) -> Verdict {
        let sum = |of: fn(&(u64, u64, u64)) -> u64| clusters.iter().map(of).sum::<u64>();
        let (n, lost, gained) = (sum(|c| c.0), sum(|c| c.1), sum(|c| c.2));
        let table = table(n, (lost, gained), n * 4 / 5);
        let of_table = Comparison::of_table(SubjectName::new("variant"), self.card.name.clone(), table);
        self.judge(&Comparison { clusters, ..of_table })
    }

    /// The verdict on a comparison.
    pub(crate) fn judge(&self, comparison: &Comparison) -> Verdict {
        judge_loss(comparison, &self.card, &self.policy).verdict
    }
}

/// A table of `n` pairs of which the canary has `right` right, or as near to it as the flips allow.
fn table(n: u64, (lost, gained): (u64, u64), right: u64) -> PairTable {
    let right = right.clamp(lost, n - gained);
    PairTable { n11: right - lost, n10: lost, n01: gained, n00: n - right - gained }
}

fn card(samples: u64) -> TaskCard {
    TaskCard {
        name: TaskName::new("simulated"),
        about: String::new(),
        kind: RequestKind::Generate,
        metric: MetricKind::Accuracy,
        gating: true,
        chance: 0.0,
        band: None,
        range: None,
        dataset: String::new(),
        digest: Digest::new("none:"),
        samples: samples as usize,
    }
}
