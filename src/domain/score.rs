//! Scores and outcomes: what an answer was worth, or why there is none.

use serde::{Deserialize, Serialize};

use super::Answer;

/// The judgement of one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// 1 for right and 0 for wrong; for perplexity the mean −ln p per token. Always finite.
    pub value: f64,
    /// What was read out of the answer, as a person would read it.
    pub read: String,
    /// False where nothing could be read out of the answer (invalid JSON, no number): scored 0, and counted.
    pub parsed: bool,
}

/// The class of a fault that left a sample without a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// The engine cannot take this request (too long for its context, an unsupported kind).
    Refused,
    /// The engine failed while it was computing (out of memory, a fault inside).
    Engine,
    /// The endpoint was gone or answered with an error, after all retries.
    Transport,
    /// The endpoint wanted fewer requests, and still did after all retries.
    Limited,
    /// No answer came in time, after all retries.
    Timeout,
    /// What came was not an answer: cut off, of another type, or not as the dialect says.
    Malformed,
    /// The service kept the answer back by a filter of its own.
    Filtered,
    /// The answer came but its score is not a finite number.
    NotANumber,
}

/// Why a sample has no score. That is the infrastructure's failure, never the model's wrong answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Its class.
    pub kind: CauseKind,
    /// One sentence for a person.
    pub message: String,
}

/// How a unit ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// It was answered and judged.
    Scored {
        /// What the subject gave back.
        answer: Answer,
        /// What that was worth.
        score: Score,
    },
    /// There is no judgement.
    Unscored {
        /// Why not.
        cause: Cause,
    },
}
