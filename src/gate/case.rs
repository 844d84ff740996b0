//! One subject before the gate: what is judged of it, and what is known of its answers.

use std::sync::OnceLock;

use super::loss::{self, Asked};
use super::{Finding, course, wording};
use crate::analysis::{self, Comparison, Comparisons, Record, Unscored};
use crate::domain::{Policy, SubjectName, TaskCard, TaskName};
use crate::stats::{self, Interval};

/// One subject before the gate.
pub(super) struct Case<'a> {
    pub(super) record: &'a Record,
    pub(super) comparisons: &'a Comparisons,
    pub(super) policy: &'a Policy,
    pub(super) subject: &'a SubjectName,
    /// What the noise rule finds: the same for all.
    pub(super) noise: &'a [Finding],
    /// Every answer without a score, once it is asked for: counting them goes through the whole record.
    pub(super) unscored: &'a OnceLock<Vec<Unscored>>,
}

impl Case<'_> {
    /// The canary's and the subject's answers without a score on a task.
    pub(super) fn unscored(&self, task: &TaskName) -> Vec<Unscored> {
        let canary = self.record.header.canary().map(|s| &s.name);
        let rows = self.unscored.get_or_init(|| analysis::unscored(self.record)).iter();
        let own = rows.filter(|row| row.task == *task && (row.subject == *self.subject || Some(&row.subject) == canary));
        own.cloned().collect()
    }

    /// Its findings about losses.
    pub(super) fn losses(&self) -> Vec<Finding> {
        let own = self.comparisons.tasks.iter().filter(|c| c.subject == *self.subject);
        let cards: Vec<(&Comparison, &TaskCard)> =
            own.filter_map(|comparison| Some((comparison, self.record.task(&comparison.task)?))).collect();
        let who: Vec<_> = cards.iter().map(|(_, card)| || wording::without_score(&self.unscored(&card.name))).collect();
        let mut asked = Vec::with_capacity(cards.len());
        for ((comparison, card), unscored) in cards.iter().zip(&who) {
            asked.push(Asked {
                unscored,
                settled: course::settled(self.record, comparison, self.policy),
                canary: (comparison.asked < comparison.samples).then(|| self.canary_everywhere(card)).flatten(),
                ..Asked::plainly(comparison, card, self.policy)
            });
        }
        loss::findings(&asked, self.policy)
    }

    /// The canary's score over all samples of a task, with Wilson's 95 % limits (its mean's ones where scores are numbers).
    fn canary_everywhere(&self, card: &TaskCard) -> Option<Interval> {
        let canary = self.record.header.canary()?;
        let score = |id| self.record.scored(&canary.name, &card.name, id).map(|(_, score)| score.value);
        let scores: Vec<f64> = self.record.samples_of(&card.name).iter().filter_map(|sample| score(&sample.id)).collect();
        if scores.iter().any(|&score| score != 0.0 && score.total_cmp(&1.0).is_ne()) {
            return stats::paired_t(&vec![0.0; scores.len()], &scores, 0.0, 0.95).map(|t| t.interval);
        }
        let right = scores.iter().filter(|score| **score > 0.5).count();
        (!scores.is_empty()).then(|| stats::wilson(right as u64, scores.len() as u64, 0.95))
    }
}
