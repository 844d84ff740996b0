//! Warnings: what a reader should know beside the verdict, each with a code that a pipeline can look for.

use crate::domain::{SubjectName, TaskName};

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The variant is the canary itself.
    SameModel,
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
    /// Whole runs vary more than their items explain.
    Overdispersed,
    /// The margin is hardly larger than what the canary differs from itself.
    MarginNoise,
    /// Most of the variance comes from sampling answers.
    Sampling,
    /// The models were judged before.
    Rerun,
    /// The tolerances are not those that stood before the data.
    PosthocMargin,
    /// The data were looked at more often than the test allows for.
    MultiLook,
    /// Tasks move in different directions, which their mean hides.
    Heterogeneity,
    /// Scores that were not numbers.
    NotANumber,
    /// The policy names a task that the run doesn't have.
    UnknownTask,
    /// A service changed its configuration in mid-run.
    Fingerprint,
    /// A model is known by its name alone.
    Unproven,
    /// An address tells another region than the plan.
    Region,
}

impl Code {
    /// Every code, in their order.
    pub const ALL: [Self; 23] = [
        Self::SameModel,
        Self::Floor,
        Self::Underpowered,
        Self::LowDiscordance,
        Self::Ceiling,
        Self::Band,
        Self::Truncation,
        Self::Parse,
        Self::FewClusters,
        Self::FewDocuments,
        Self::NoAa,
        Self::Overdispersed,
        Self::MarginNoise,
        Self::Sampling,
        Self::Rerun,
        Self::PosthocMargin,
        Self::MultiLook,
        Self::Heterogeneity,
        Self::NotANumber,
        Self::UnknownTask,
        Self::Fingerprint,
        Self::Unproven,
        Self::Region,
    ];

    /// The code, as `results.json` spells it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SameModel => "W_SAME_MODEL",
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
            Self::Overdispersed => "W_OVERDISPERSED",
            Self::MarginNoise => "W_MARGIN_NOISE",
            Self::Sampling => "W_SAMPLING",
            Self::Rerun => "W_RERUN",
            Self::PosthocMargin => "W_POSTHOC_MARGIN",
            Self::MultiLook => "W_MULTI_LOOK",
            Self::Heterogeneity => "W_HETEROGENEITY",
            Self::NotANumber => "W_NAN",
            Self::UnknownTask => "W_UNKNOWN_TASK",
            Self::Fingerprint => "W_FINGERPRINT",
            Self::Unproven => "W_UNPROVEN",
            Self::Region => "W_REGION",
        }
    }

    /// What it means, in one sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::SameModel => "The canary was compared with itself, so a pass says nothing about any other model.",
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
            Self::Overdispersed => {
                "Whole runs of the canary differ by more than their items explain; the intervals are widened by that."
            }
            Self::MarginNoise => "The margin is less than twice the spread of the canary's differences from itself.",
            Self::Sampling => {
                "More than half of the variance comes from sampling answers: more repeats help more than more items."
            }
            Self::Rerun => "The same models were judged before; of several attempts one passes by chance more often than α.",
            Self::PosthocMargin => "The tolerances are not those that stood before the data were seen.",
            Self::MultiLook => "The run was stopped early by another rule than the one that judges it now.",
            Self::Heterogeneity => "Tasks move by different amounts, so their mean hides what happens on single ones.",
            Self::NotANumber => "Some scores were not finite numbers. They count as missing, never as right or wrong.",
            Self::UnknownTask => "The policy has a rule for a task or a slice that this run doesn't have.",
            Self::Fingerprint => "The service marked its answers with different configurations, so something changed in mid-run.",
            Self::Unproven => {
                "A name stands for the model: what answers can change behind it, and earlier runs cannot know that it did."
            }
            Self::Region => "The address tells another region than the plan states.",
        }
    }

    /// What to do about it, in one sentence.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::SameModel => "Name the model, and the address, that are to replace the canary.",
            Self::Floor => "Add items up to the number named, or choose a larger margin before the next run.",
            Self::Underpowered => "Add items, or ask `quantgate power` for the margin that these can show.",
            Self::LowDiscordance => "A PASS or FAIL needs nothing done; for an INCONCLUSIVE, more items narrow the interval.",
            Self::Ceiling => "Add harder items, or leave the verdict to tasks with room below the top.",
            Self::Band => "Check the prompt, the template and the scorer on the canary's answers; else correct the task's band.",
            Self::Truncation => "Read some of those answers: raise `max_tokens` if they were still at work, and look for loops.",
            Self::Parse => {
                "Read some of those answers: if they are right in another form, make the prompt or the scorer clearer."
            }
            Self::FewClusters => "Add items from other sources: more of the same sources help little.",
            Self::FewDocuments => "Add documents: at least 30, and for high quantiles as many as the reason names.",
            Self::NoAa => "Set `repeats = 2` for the canary.",
            Self::Overdispersed => "Look for what changes between passes (batching, load, a restarted server), or add passes.",
            Self::MarginNoise => "Choose a larger margin, add passes, or make the engine repeatable.",
            Self::Sampling => "Raise `repeats`, or lower the temperature.",
            Self::Rerun => "Take all attempts together, or divide α by their number.",
            Self::PosthocMargin => "Treat the verdict as a trial: fix the tolerances, then judge a new run by them.",
            Self::MultiLook => "Judge it by the policy of the run, or run it again under this one.",
            Self::Heterogeneity => "Look at the tasks one by one, and gate on those that matter.",
            Self::NotANumber => "Mend the scorer or the engine that gave them, then run again.",
            Self::UnknownTask => "Correct the name in the policy, or add the task to a suite.",
            Self::Fingerprint => "Run it again at a quiet time; where the marks keep changing, raise the canary's `repeats`.",
            Self::Unproven => "Name a dated release, not an alias, or serve the weights yourself, where their digest is known.",
            Self::Region => "Correct `region` or `base_url`; until then do not rely on where the data went.",
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
