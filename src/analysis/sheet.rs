//! Sheets: the scores of all subjects on one task, column by column, so that millions of items compare in little memory.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Record;
use crate::domain::{Answer, Finish, MetricKind, Outcome, Role, SampleId, SubjectName, TaskCard, TaskName};

/// What one answer was worth, as far as comparing needs to know.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mark {
    /// Its finite score; none where it has none.
    pub value: Option<f64>,
    /// Whether it was cut off at the token limit.
    pub truncated: bool,
    /// Whether nothing could be read out of it.
    pub unparsed: bool,
    /// A hash of what was read out of it: equal labels are the same behaviour.
    pub label: u64,
}

/// One pass of one subject over a task's items, in their order: nine bytes an item, and eight more where labels are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    values: Vec<f64>,
    flags: Vec<u8>,
    labels: Vec<u64>,
}

const SCORED: u8 = 1;
const TRUNCATED: u8 = 2;
const UNPARSED: u8 = 4;

impl Column {
    /// An empty column with room for some items.
    #[must_use]
    pub fn with_capacity(items: usize) -> Self {
        Self { values: Vec::with_capacity(items), flags: Vec::with_capacity(items), labels: Vec::new() }
    }

    /// Adds the next item's mark without its label. A value that is not finite counts as none.
    pub fn push(&mut self, mark: Mark) {
        let value = mark.value.filter(|value| value.is_finite());
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        self.values.push(value.unwrap_or(0.0));
        self.flags.push(flag(value.is_some(), SCORED) | flag(mark.truncated, TRUNCATED) | flag(mark.unparsed, UNPARSED));
    }

    /// Adds the next item's mark with its label; to be used for every item of a column or for none.
    pub fn push_labelled(&mut self, mark: Mark) {
        self.push(mark);
        self.labels.push(mark.label);
    }

    /// How many items it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether it has no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// An item's finite score; none where it has none, or where there is no such item.
    #[must_use]
    pub fn value(&self, item: usize) -> Option<f64> {
        (self.flags.get(item)? & SCORED != 0).then(|| self.values[item])
    }

    /// Whether an item's answer was cut off at the token limit.
    #[must_use]
    pub fn truncated(&self, item: usize) -> bool {
        self.flags.get(item).is_some_and(|flags| flags & TRUNCATED != 0)
    }

    /// Whether nothing could be read out of an item's answer.
    #[must_use]
    pub fn unparsed(&self, item: usize) -> bool {
        self.flags.get(item).is_some_and(|flags| flags & UNPARSED != 0)
    }

    /// What was read out of an item's answer, where it has a score and labels are kept.
    #[must_use]
    pub fn label(&self, item: usize) -> Option<u64> {
        self.value(item).and(self.labels.get(item).copied())
    }
}

/// Which group each item belongs to; groups are numbered in the alphabetical order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    names: Vec<String>,
    of: Vec<u32>,
}

impl Groups {
    /// The groups of items, in their order; empty where no item has one.
    #[must_use]
    pub fn of<'a>(items: impl Iterator<Item = Option<&'a str>> + Clone) -> Self {
        let names: BTreeSet<&str> = items.clone().flatten().collect();
        if names.is_empty() {
            return Self::default();
        }
        let numbers: BTreeMap<&str, u32> = names.iter().copied().zip(0..).collect();
        let of = items.map(|name| name.map_or(u32::MAX, |name| numbers[name])).collect();
        Self { names: names.into_iter().map(str::to_owned).collect(), of }
    }

    /// The groups' names, in their order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of an item's group; none where it has none.
    #[must_use]
    pub fn group(&self, item: usize) -> Option<usize> {
        self.of.get(item).filter(|group| **group != u32::MAX).map(|group| *group as usize)
    }
}

/// One subject's passes over a task's items.
#[derive(Clone, Debug, PartialEq)]
pub struct Passes {
    /// Who was asked.
    pub subject: SubjectName,
    /// What it is for.
    pub role: Role,
    /// How many of the items, from the first, count for it: fewer than there are where its verdict was certain before.
    pub after: usize,
    /// One column a pass, each with as many items as the sheet; at least one.
    pub columns: Vec<Column>,
}

impl Passes {
    /// An item's score: the unweighted mean over the passes in which it has one; none where it has none in any, or where
    /// the item does not count for this subject.
    #[must_use]
    pub fn score(&self, item: usize) -> Option<f64> {
        self.side().score(item)
    }

    /// Whether something holds of an item in any pass.
    #[must_use]
    pub fn any(&self, item: usize, holds: fn(&Column, usize) -> bool) -> bool {
        self.side().any(item, holds)
    }

    /// All passes, as one side of a comparison.
    pub(super) fn side(&self) -> Side<'_> {
        Side { subject: &self.subject, role: self.role, after: self.after, columns: &self.columns }
    }

    /// One pass, as one side of a comparison.
    pub(super) fn pass(&self, index: usize) -> Side<'_> {
        Side { columns: &self.columns[index..=index], ..self.side() }
    }
}

/// Some of a subject's passes: one side of a comparison.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    pub(super) subject: &'a SubjectName,
    pub(super) role: Role,
    /// How many of the items, from the first, count.
    pub(super) after: usize,
    pub(super) columns: &'a [Column],
}

impl Side<'_> {
    /// As [`Passes::score`], over these passes.
    pub(super) fn score(self, item: usize) -> Option<f64> {
        if item >= self.after {
            return None;
        }
        if let [only] = self.columns {
            return only.value(item);
        }
        let (sum, n) =
            self.columns.iter().filter_map(|c| c.value(item)).fold((0.0, 0_u32), |(sum, n), value| (sum + value, n + 1));
        (n > 0).then(|| sum / f64::from(n))
    }

    /// Whether something holds of an item in any of the passes.
    pub(super) fn any(self, item: usize, holds: fn(&Column, usize) -> bool) -> bool {
        self.columns.iter().any(|column| holds(column, item))
    }
}

/// The scores of all subjects on one task.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    /// The task; its scores are right or wrong, or numbers, but never likelihoods of documents.
    pub task: TaskCard,
    /// The items, in the order that was fixed before the run.
    pub ids: Vec<SampleId>,
    /// By what items are reported.
    pub slices: Groups,
    /// Which items are not independent of each other.
    pub clusters: Groups,
    /// The canary first.
    pub subjects: Vec<Passes>,
}

impl Sheet {
    /// The sheets of a record's tasks, without those that measure likelihood, in the plan's order.
    #[must_use]
    pub fn all(record: &Record) -> Vec<Self> {
        let marks = marks(record);
        let tasks = record.header.tasks.iter().filter(|card| card.metric != MetricKind::Perplexity);
        tasks.map(|card| Self::of(record, card, &marks)).collect()
    }

    fn of(record: &Record, task: &TaskCard, marks: &Marks<'_>) -> Self {
        let cards = record.samples_of(&task.name);
        let labelled = is_labelled(record);
        let column = |subject: &SubjectName, repeat: u32| {
            let nothing = || vec![Mark::default(); cards.len()];
            let own = marks.get(&(&task.name, subject, repeat)).map_or_else(|| Cow::Owned(nothing()), Cow::Borrowed);
            let mut column = Column::with_capacity(cards.len());
            own.iter().for_each(|mark| if labelled { column.push_labelled(*mark) } else { column.push(*mark) });
            column
        };
        let passes = record.header.subjects.iter().map(|subject| Passes {
            subject: subject.name.clone(),
            role: subject.role,
            after: record.after(&subject.name, &task.name).unwrap_or(cards.len()),
            columns: (0..subject.repeats.max(1)).map(|repeat| column(&subject.name, repeat)).collect(),
        });
        // The canary comes first, whatever the plan's order.
        let (canary, others): (Vec<_>, Vec<_>) = passes.partition(|passes| passes.role == Role::Canary);
        Self {
            task: task.clone(),
            ids: cards.iter().map(|card| card.id.clone()).collect(),
            slices: Groups::of(cards.iter().map(|card| card.slice.as_deref())),
            clusters: Groups::of(cards.iter().map(|card| card.cluster.as_deref())),
            subjects: canary.into_iter().chain(others).collect(),
        }
    }
}

/// Where each sample of a task with scores stands among the task's.
pub(super) fn places(record: &Record) -> HashMap<&TaskName, HashMap<&SampleId, usize>> {
    let scored = record.header.tasks.iter().filter(|card| card.metric != MetricKind::Perplexity);
    let ids = |card: &TaskCard| record.samples_of(&card.name).iter().map(|sample| &sample.id).zip(0..).collect();
    scored.map(|card| (&card.name, ids(card))).collect()
}

/// What the answers of each pass of a subject over a task were worth, in the order of the samples.
type Marks<'a> = HashMap<(&'a TaskName, &'a SubjectName, u32), Vec<Mark>>;

/// One way through the record: looking each answer up would cost more than comparing them.
fn marks(record: &Record) -> Marks<'_> {
    let (places, labelled) = (places(record), is_labelled(record));
    let mut marks = Marks::new();
    for (unit, outcome) in &record.outcomes {
        let Some(samples) = places.get(&unit.task) else { continue };
        let Some(&place) = samples.get(&unit.sample) else { continue };
        let pass = (&unit.task, &unit.subject, unit.repeat);
        marks.entry(pass).or_insert_with(|| vec![Mark::default(); samples.len()])[place] = mark(outcome, labelled);
    }
    marks
}

/// Whether labels are kept: only where a subject is compared with itself.
fn is_labelled(record: &Record) -> bool {
    record.header.subjects.iter().any(|subject| subject.repeats > 1)
}

fn mark(outcome: &Outcome, labelled: bool) -> Mark {
    let Outcome::Scored { answer, score } = outcome else { return Mark::default() };
    let mut hasher = DefaultHasher::new();
    if labelled {
        score.read.hash(&mut hasher);
    }
    Mark {
        value: Some(score.value),
        truncated: matches!(answer, Answer::Text { finish: Finish::Length, .. }),
        unparsed: !score.parsed,
        label: hasher.finish(),
    }
}
