//! Warnings: what a reader should know beside the verdict, each with a code that a pipeline can look for.

use crate::domain::{SubjectName, TaskName};

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Too few items for any pass.
    Floor,
    /// Too few items for a likely pass.
    Underpowered,
    /// Few flips.
    LowDiscordance,
    /// The canary hardly errs.
    Ceiling,
    /// The canary is outside its expected band.
    Band,
    /// Answers were cut off more often on one side.
    Truncation,
    /// Answers could not be read more often on one side.
    Parse,
    /// Samples come from few clusters.
    FewClusters,
    /// Few documents.
    FewDocuments,
    /// The canary was not compared with itself.
    NoAa,
    /// The policy names a task that the run doesn't have.
    UnknownTask,
}

impl Code {
    /// The code, as `results.json` spells it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Floor => "W_FLOOR",
            Self::Underpowered => "W_UNDERPOWERED",
            Self::LowDiscordance => "W_LOW_DISCORDANCE",
            Self::Ceiling => "W_CEILING",
            Self::Band => "W_BAND",
            Self::Truncation => "W_TRUNCATION",
            Self::Parse => "W_PARSE",
            Self::FewClusters => "W_FEW_CLUSTERS",
            Self::FewDocuments => "W_FEW_DOCUMENTS",
            Self::NoAa => "W_NO_AA",
            Self::UnknownTask => "W_UNKNOWN_TASK",
        }
    }

    /// What it means, in one sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Floor => "There are too few items for a pass, even if not one answer flips.",
            Self::Underpowered => {
                "At the flip rate seen, a variant that truly lost nothing would pass with less than 80 % probability."
            }
            Self::LowDiscordance => {
                "Fewer than 20 answers flipped. The score interval allows for it; a bootstrap or a t-test would not."
            }
            Self::Ceiling => "The canary is right almost always, so the task is too easy to tell models apart well.",
            Self::Band => "The canary's accuracy is not where this task expects it.",
            Self::Truncation => "Answers were cut off at the token limit more often on one side. They count as answered.",
            Self::Parse => "Answers could not be read more often on one side. They count as wrong.",
            Self::FewClusters => "An interval from fewer than 30 sources of items is rough.",
            Self::FewDocuments => "An interval from fewer than 30 documents is rough.",
            Self::NoAa => {
                "The canary was not run twice, so differences that an engine makes by itself are not told from those of the weights."
            }
            Self::UnknownTask => "The policy has a rule for a task that this run doesn't have.",
        }
    }
}

/// Something that a reader should know beside the verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// What it is about.
    pub code: Code,
    /// The subject that it is about; the canary or the run where none.
    pub subject: Option<SubjectName>,
    /// The task that it is about.
    pub task: Option<TaskName>,
    /// The numbers, as a clause for a person.
    pub detail: String,
}
