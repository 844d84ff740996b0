//! The text is the target, letter for letter.

use super::{Scorer, judged, misfit};
use crate::domain::{Answer, Score, Target};

/// Compares the text with each accepted one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exact {
    /// Ignore white space around both.
    pub(super) trim: bool,
    /// Ignore case (Unicode lower case of both).
    pub(super) ignore_case: bool,
}

impl Exact {
    fn normal(self, text: &str) -> String {
        let text = if self.trim { text.trim() } else { text };
        if self.ignore_case { text.to_lowercase() } else { text.to_owned() }
    }
}

impl Scorer for Exact {
    fn score(&self, target: &Target, answer: &Answer) -> Score {
        let (Target::Text(accepted), Answer::Text { text, .. }) = (target, answer) else {
            return misfit("exact", target, answer);
        };
        let given = self.normal(text);
        let right = accepted.iter().any(|accepted| self.normal(accepted) == given);
        judged(right, if self.trim { text.trim() } else { text })
    }
}
