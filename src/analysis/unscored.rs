//! Answers without a score: whose they are, how many, and why.

use std::collections::BTreeMap;

use super::Record;
use crate::domain::{CauseKind, Outcome, SubjectName, TaskName};

/// The answers of one subject on one task that have no score for causes of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unscored {
    /// Whose answers.
    pub subject: SubjectName,
    /// On which task.
    pub task: TaskName,
    /// The class of their causes.
    pub kind: CauseKind,
    /// How many; at least 1.
    pub count: u64,
    /// How many samples the task has.
    pub of: u64,
    /// The commonest cause of the class, as a sentence for a person.
    pub example: String,
}

/// Every answer without a score: by subject and task in the plan's order, then the commonest class first.
#[must_use]
pub fn unscored(record: &Record) -> Vec<Unscored> {
    let mut counts: BTreeMap<(&SubjectName, &TaskName, CauseKind), BTreeMap<&str, u64>> = BTreeMap::new();
    for (unit, outcome) in &record.outcomes {
        let (kind, message) = match outcome {
            Outcome::Unscored { cause } => (cause.kind, cause.message.as_str()),
            Outcome::Scored { score, .. } if !score.value.is_finite() => {
                (CauseKind::NotANumber, "the score is not a finite number")
            }
            Outcome::Scored { .. } => continue,
        };
        *counts.entry((&unit.subject, &unit.task, kind)).or_default().entry(message).or_default() += 1;
    }
    let subjects = record.header.subjects.iter().map(|s| &s.name);
    let places = subjects.flat_map(|subject| record.header.tasks.iter().map(move |card| (subject, card)));
    let mut all = Vec::new();
    for (subject, card) in places {
        let own = counts.iter().filter(|((of, on, _), _)| *of == subject && **on == card.name);
        let mut rows: Vec<Unscored> = own
            .map(|((.., kind), messages)| Unscored {
                subject: subject.clone(),
                task: card.name.clone(),
                kind: *kind,
                count: messages.values().sum(),
                of: card.samples as u64,
                example: commonest(messages).to_owned(),
            })
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.count));
        all.extend(rows);
    }
    all
}

/// The message that most have; of equals the first in the alphabet.
fn commonest<'a>(messages: &BTreeMap<&'a str, u64>) -> &'a str {
    let most = messages.values().max();
    messages.iter().find(|(_, n)| Some(*n) == most).map_or("", |(message, _)| *message)
}
