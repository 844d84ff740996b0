//! What was asked and said, item by item: for `samples.csv` and the browser of flipped items.

use crate::domain::{Role, SampleId, SubjectName, TaskName};

/// One subject's answer to one sample.
#[derive(Clone, Debug)]
pub struct SampleRow {
    /// The task.
    pub task: TaskName,
    /// The sample.
    pub sample: SampleId,
    /// Its slice.
    pub slice: String,
    /// The subject.
    pub subject: SubjectName,
    /// The subject's role.
    pub role: Role,
    /// Which of the subject's passes over the samples, from 0.
    pub repeat: u32,
    /// What the subject said.
    pub said: Said,
    /// What would be right.
    pub target: String,
}

/// An answer as a person reads it.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// `scored`, `unscored`, `missing`, or `settled` where no answer was needed any more.
    pub status: &'static str,
    /// The score.
    pub value: Option<f64>,
    /// Whether the answer could be read.
    pub parsed: Option<bool>,
    /// `stop`, `end` or `length`.
    pub finish: &'static str,
    /// What was read out of the answer.
    pub read: String,
    /// The answer: the text, or the options' log-likelihoods.
    pub answer: String,
    /// Why there is no score.
    pub cause: String,
}

/// An item whose answer flipped.
#[derive(Clone, Debug)]
pub struct FlippedItem {
    /// The variant.
    pub subject: SubjectName,
    /// The task.
    pub task: TaskName,
    /// The sample.
    pub sample: SampleId,
    /// True where the canary was right.
    pub lost: bool,
    /// The prompt.
    pub prompt: String,
    /// What would be right.
    pub target: String,
    /// The canary's answer.
    pub canary: Said,
    /// The variant's answer.
    pub variant: Said,
}
