//! Right-or-wrong tasks: the canary's and a variant's answers to the same samples, side by side.

use std::collections::BTreeMap;

use super::Record;
use crate::domain::{Answer, Finish, MetricKind, Role, SampleCard, SampleId, Score, Subject, SubjectName, TaskCard, TaskName};
use crate::metric::{Asymmetry, Paired, asymmetry, paired};
use crate::stats::PairTable;

/// Pairs without one of their halves, by what the other half says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// The canary is right, the variant has no score.
    pub canary_right_variant_missing: u64,
    /// The canary is wrong, the variant has no score.
    pub canary_wrong_variant_missing: u64,
    /// The canary has no score, the variant is right.
    pub canary_missing_variant_right: u64,
    /// The canary has no score, the variant is wrong.
    pub canary_missing_variant_wrong: u64,
    /// Neither has a score.
    pub both: u64,
}

impl Missing {
    /// Samples on which the variant alone has no score.
    #[must_use]
    pub fn variant_only(&self) -> u64 {
        self.canary_right_variant_missing + self.canary_wrong_variant_missing
    }

    /// Samples on which the canary alone has no score.
    #[must_use]
    pub fn canary_only(&self) -> u64 {
        self.canary_missing_variant_right + self.canary_missing_variant_wrong
    }

    /// Samples that are not a complete pair.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.variant_only() + self.canary_only() + self.both
    }
}

/// The pairs of one slice of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceRow {
    /// The slice's name.
    pub slice: String,
    /// Its complete pairs.
    pub paired: Paired,
}

/// A variant or control against the canary on one right-or-wrong task.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Who is compared with the canary.
    pub subject: SubjectName,
    /// What it is for.
    pub role: Role,
    /// The task.
    pub task: TaskName,
    /// Samples that the task has.
    pub samples: u64,
    /// The complete pairs.
    pub paired: Paired,
    /// The others.
    pub missing: Missing,
    /// Whether the missing halves lie on one side.
    pub missingness: Asymmetry,
    /// Answers cut off at the token limit, among complete pairs.
    pub truncated: Asymmetry,
    /// Answers out of which nothing could be read, among complete pairs.
    pub unparsed: Asymmetry,
    /// The complete pairs by slice, in alphabetical order; empty where samples have none.
    pub slices: Vec<SliceRow>,
    /// Samples that the canary had right and the variant has wrong, in the task's order.
    pub lost: Vec<SampleId>,
    /// Samples that the canary had wrong and the variant has right, in the task's order.
    pub gained: Vec<SampleId>,
    /// Where samples share clusters, so that they are not independent: (pairs, losses, gains) of each cluster that has a
    /// complete pair, by the cluster's name; a sample without a cluster is one of its own. Empty where none is shared.
    pub clusters: Vec<(u64, u64, u64)>,
}

/// Every variant and control on every right-or-wrong task, in the plan's order.
pub(super) fn compare(record: &Record) -> Vec<Comparison> {
    let tasks = || record.header.tasks.iter().filter(|card| card.metric == MetricKind::Accuracy);
    let Some(canary) = record.header.subjects.iter().find(|s| s.role == Role::Canary) else { return Vec::new() };
    let others = record.header.subjects.iter().filter(|s| s.role != Role::Canary);
    others.flat_map(|subject| tasks().map(|card| compare_one(record, (canary, subject), card))).collect()
}

/// Both halves of a sample: each a score, or nothing.
struct Pair<'a> {
    card: &'a SampleCard,
    canary: Option<(&'a Answer, &'a Score)>,
    variant: Option<(&'a Answer, &'a Score)>,
}

impl Pair<'_> {
    /// Whether (canary, variant) are right, where both have a score.
    fn right(&self) -> Option<(bool, bool)> {
        Some((is_right(self.canary?.1), is_right(self.variant?.1)))
    }

    /// A trait of both answers, where both have a score.
    fn both(&self, holds: impl Fn(&Answer, &Score) -> bool) -> Option<(bool, bool)> {
        let ((a, s), (b, t)) = (self.canary?, self.variant?);
        Some((holds(a, s), holds(b, t)))
    }
}

fn compare_one(record: &Record, (canary, subject): (&Subject, &Subject), task: &TaskCard) -> Comparison {
    let half = |name: &SubjectName, card: &SampleCard| record.scored(name, &task.name, &card.id);
    let pairs: Vec<Pair<'_>> = record
        .samples_of(&task.name)
        .iter()
        .map(|card| Pair { card, canary: half(&canary.name, card), variant: half(&subject.name, card) })
        .collect();
    let flipped =
        |way: (bool, bool)| pairs.iter().filter(|pair| pair.right() == Some(way)).map(|pair| pair.card.id.clone()).collect();
    Comparison {
        subject: subject.name.clone(),
        role: subject.role,
        task: task.name.clone(),
        samples: pairs.len() as u64,
        paired: paired(table(pairs.iter())),
        missing: missing(&pairs),
        missingness: asymmetry(pairs.iter().map(|p| (p.canary.is_none(), p.variant.is_none()))),
        truncated: asymmetry(pairs.iter().filter_map(|p| p.both(|answer, _| is_truncated(answer)))),
        unparsed: asymmetry(pairs.iter().filter_map(|p| p.both(|_, score| !score.parsed))),
        slices: slices(&pairs),
        lost: flipped((true, false)),
        gained: flipped((false, true)),
        clusters: clusters(&pairs),
    }
}

/// A score of 1 is right and one of 0 is wrong.
fn is_right(score: &Score) -> bool {
    score.value > 0.5
}

fn is_truncated(answer: &Answer) -> bool {
    matches!(answer, Answer::Text { finish: Finish::Length, .. })
}

fn table<'a>(pairs: impl Iterator<Item = &'a Pair<'a>>) -> PairTable {
    let mut table = PairTable { n11: 0, n10: 0, n01: 0, n00: 0 };
    for right in pairs.filter_map(Pair::right) {
        match right {
            (true, true) => table.n11 += 1,
            (true, false) => table.n10 += 1,
            (false, true) => table.n01 += 1,
            (false, false) => table.n00 += 1,
        }
    }
    table
}

fn missing(pairs: &[Pair<'_>]) -> Missing {
    let mut missing = Missing::default();
    for pair in pairs {
        match (pair.canary.map(|h| is_right(h.1)), pair.variant.map(|h| is_right(h.1))) {
            (Some(true), None) => missing.canary_right_variant_missing += 1,
            (Some(false), None) => missing.canary_wrong_variant_missing += 1,
            (None, Some(true)) => missing.canary_missing_variant_right += 1,
            (None, Some(false)) => missing.canary_missing_variant_wrong += 1,
            (None, None) => missing.both += 1,
            (Some(_), Some(_)) => {}
        }
    }
    missing
}

fn slices(pairs: &[Pair<'_>]) -> Vec<SliceRow> {
    let mut by_slice: BTreeMap<&str, Vec<&Pair<'_>>> = BTreeMap::new();
    for pair in pairs {
        if let Some(slice) = &pair.card.slice {
            by_slice.entry(slice).or_default().push(pair);
        }
    }
    let row =
        |(slice, pairs): (&str, Vec<&Pair<'_>>)| SliceRow { slice: slice.to_owned(), paired: paired(table(pairs.into_iter())) };
    by_slice.into_iter().map(row).collect()
}

fn clusters(pairs: &[Pair<'_>]) -> Vec<(u64, u64, u64)> {
    let mut by_cluster: BTreeMap<(bool, &str), (u64, u64, u64)> = BTreeMap::new();
    let mut complete = 0;
    for pair in pairs {
        let Some(right) = pair.right() else { continue };
        let key = pair.card.cluster.as_deref().map_or((false, pair.card.id.as_str()), |cluster| (true, cluster));
        let counts = by_cluster.entry(key).or_default();
        complete += 1;
        counts.0 += 1;
        counts.1 += u64::from(right == (true, false));
        counts.2 += u64::from(right == (false, true));
    }
    if by_cluster.len() == complete { Vec::new() } else { by_cluster.into_values().collect() }
}
