//! Steps: what one item says about a variant, the unit of evidence that early stopping counts.

use serde::{Deserialize, Serialize};

/// What one item says about a variant against the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// The variant's score is lower.
    Loss,
    /// The variant's score is higher.
    Gain,
    /// The scores are equal.
    Tie,
    /// One of them has no score.
    Missing,
}

impl Step {
    /// What the finite scores (canary, variant) of an item say. Scores are compared as stored, without a tolerance.
    #[must_use]
    pub fn of(halves: (Option<f64>, Option<f64>)) -> Self {
        match halves {
            (Some(canary), Some(variant)) if variant < canary => Self::Loss,
            (Some(canary), Some(variant)) if variant > canary => Self::Gain,
            (Some(_), Some(_)) => Self::Tie,
            _ => Self::Missing,
        }
    }

    /// The same from the other side.
    #[must_use]
    pub fn mirrored(self) -> Self {
        match self {
            Self::Loss => Self::Gain,
            Self::Gain => Self::Loss,
            Self::Tie | Self::Missing => self,
        }
    }
}
