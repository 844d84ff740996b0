//! The texts of samples that reports show: all of them where they are few, else those that flipped.

use std::collections::BTreeSet;

use super::rows;
use super::sheets::{Filled, NOWHERE};
use super::subjects::{Chosen, Compared};
use crate::analysis::Comparison;
use crate::domain::{Answer, Cause, CauseKind, Finish, Outcome, SampleCard, SampleId, Score, UnitKey};
use crate::harness::{Excerpt, HarnessError};

/// Most answers of a task whose texts are all fetched.
const ALL: usize = 10_000;
/// Most losses, and most gains, of a variant whose texts are fetched where there are more.
const FLIPS: usize = 20;
/// Most answers without a score of a subject whose cause is fetched.
const CAUSES: usize = 100;

/// What is kept of a task's samples for the reports.
pub(super) struct Texts {
    /// Their cards.
    pub(super) cards: Vec<SampleCard>,
    /// How their units ended, and all units without a score.
    pub(super) outcomes: Vec<(UnitKey, Outcome)>,
    /// Whether samples were left out.
    pub(super) partial: bool,
}

/// Fetches a task's texts.
pub(super) fn of(subjects: &[Compared], task: &Chosen, filled: &Filled, compared: &[Comparison]) -> Result<Texts, HarnessError> {
    let sheet = &filled.sheet;
    let whole = sheet.ids.len() * subjects.len() <= ALL;
    let wanted: BTreeSet<usize> = if whole { (0..sheet.ids.len()).collect() } else { shown(filled, compared) };
    let mut texts = Texts { cards: Vec::new(), outcomes: Vec::new(), partial: !whole };
    for (number, subject) in subjects.iter().enumerate() {
        let own = rows(subject, task).expect("every subject has the chosen tasks");
        let mut causes = 0;
        for sample in 0..sheet.ids.len() {
            let place = filled.places[number][sample];
            let scored = sheet.subjects[number].columns[0].value(sample).is_some();
            let fetched = place != NOWHERE && (wanted.contains(&sample) || (!scored && causes < CAUSES));
            causes += usize::from(!scored);
            let excerpt = if fetched { Some(own.source.excerpt(own.task, place)?) } else { None };
            if wanted.contains(&sample) || !scored {
                texts.outcomes.push((key(filled, (number, sample), 0), outcome(filled, (number, sample), excerpt.as_ref())));
            }
            if let (0, Some(excerpt)) = (number, excerpt.filter(|_| wanted.contains(&sample))) {
                texts.cards.push(card(filled, sample, excerpt));
            }
        }
        for (repeat, column) in sheet.subjects[number].columns.iter().enumerate().skip(1) {
            let without = (0..column.len()).filter(|i| column.value(*i).is_none());
            texts
                .outcomes
                .extend(without.map(|i| (key(filled, (number, i), repeat as u32), unscored("the file has no score for it"))));
        }
    }
    Ok(texts)
}

/// The samples that flipped first, and those without a score.
fn shown(filled: &Filled, compared: &[Comparison]) -> BTreeSet<usize> {
    let ids: BTreeSet<&SampleId> =
        compared.iter().flat_map(|c| c.lost.iter().take(FLIPS).chain(c.gained.iter().take(FLIPS))).collect();
    (0..filled.sheet.ids.len()).filter(|i| ids.contains(&filled.sheet.ids[*i])).collect()
}

fn key(filled: &Filled, (subject, sample): (usize, usize), repeat: u32) -> UnitKey {
    let sheet = &filled.sheet;
    UnitKey {
        subject: sheet.subjects[subject].subject.clone(),
        task: sheet.task.name.clone(),
        sample: sheet.ids[sample].clone(),
        repeat,
    }
}

fn card(filled: &Filled, sample: usize, excerpt: Excerpt) -> SampleCard {
    let sheet = &filled.sheet;
    let slice = sheet.slices.group(sample).map(|group| sheet.slices.names()[group].clone());
    let cluster = sheet.clusters.group(sample).map(|group| sheet.clusters.names()[group].clone());
    let id = sheet.ids[sample].clone();
    SampleCard { id, slice, cluster, prompt: excerpt.prompt, target: excerpt.target, options: Vec::new() }
}

fn outcome(filled: &Filled, (subject, sample): (usize, usize), excerpt: Option<&Excerpt>) -> Outcome {
    let column = &filled.sheet.subjects[subject].columns[0];
    let Some(value) = column.value(sample) else {
        let absent = filled.places[subject][sample] == NOWHERE;
        let error = excerpt.map(|excerpt| excerpt.error.as_str()).filter(|error| !error.is_empty());
        return unscored(error.unwrap_or(if absent { "the file doesn't have it" } else { "the file has no score for it" }));
    };
    let finish = if column.truncated(sample) { Finish::Length } else { Finish::End };
    Outcome::Scored {
        answer: Answer::Text { text: excerpt.map(|e| e.answer.clone()).unwrap_or_default(), tokens: Vec::new(), finish },
        score: Score { value, read: String::new(), parsed: !column.unparsed(sample) },
    }
}

fn unscored(message: &str) -> Outcome {
    Outcome::Unscored { cause: Cause { kind: CauseKind::Engine, message: message.to_owned() } }
}
