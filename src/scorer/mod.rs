//! Answers to scores: pure functions of the target and the answer, one file a scorer.

use crate::domain::{Answer, Score, Target};

/// Judges answers of one kind.
pub trait Scorer: Send + Sync {
    /// The score of an answer; a kind of answer that it cannot read is scored 0 and marked as not parsed.
    fn score(&self, target: &Target, answer: &Answer) -> Score;
}
