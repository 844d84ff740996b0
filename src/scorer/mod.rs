//! Answers to scores: pure functions of the target and the answer, one file a scorer.

mod choice;
mod exact;
mod f1;
mod json;
mod likelihood;
mod number;
#[cfg(test)]
mod tests;
mod tool_call;
mod valid;

pub use number::last_number;
pub use tool_call::is_call;
pub use valid::is_shape;

use crate::domain::{Answer, Score, ScorerSpec, Target};

/// Judges answers of one kind.
pub trait Scorer: Send + Sync {
    /// The score of an answer; a kind of answer that it cannot read is scored 0 and marked as not parsed.
    ///
    /// The value is finite unless the answer's own numbers are not (log-likelihoods that are NaN, a document without a
    /// scored token): then it is NaN, and the unit has no score ([`crate::domain::CauseKind::NotANumber`]).
    fn score(&self, target: &Target, answer: &Answer) -> Score;
}

/// The scorer that a task asks for.
pub fn of(spec: &ScorerSpec) -> Box<dyn Scorer> {
    match spec {
        &ScorerSpec::Choice { normalize, value } => Box::new(choice::Choice { normalize, value }),
        &ScorerSpec::Exact { trim, ignore_case } => Box::new(exact::Exact { trim, ignore_case }),
        ScorerSpec::F1 => Box::new(f1::F1),
        ScorerSpec::Number => Box::new(number::Number),
        ScorerSpec::ToolCall => Box::new(tool_call::ToolCall),
        ScorerSpec::Json { fields } => Box::new(json::Json { fields: fields.clone() }),
        ScorerSpec::Valid => Box::new(valid::Valid),
        ScorerSpec::Likelihood => Box::new(likelihood::Likelihood),
    }
}

/// An answer that was read and is right or wrong.
fn judged(right: bool, read: impl Into<String>) -> Score {
    Score { value: f64::from(u8::from(right)), read: read.into(), parsed: true }
}

/// An answer that nothing could be read out of: wrong, and counted as such.
fn unread(why: impl Into<String>) -> Score {
    Score { value: 0.0, read: why.into(), parsed: false }
}

/// An answer of a kind that the scorer does not judge.
fn misfit(scorer: &str, target: &Target, answer: &Answer) -> Score {
    let answer = match answer {
        Answer::Choice { .. } => "choice",
        Answer::Text { .. } => "text",
        Answer::Rolling { .. } => "rolling likelihood",
    };
    let target = match target {
        Target::Text(_) => "text",
        Target::Option(_) => "option",
        Target::Call(_) => "call",
        Target::Json(_) => "JSON",
        Target::Shape(_) => "shape",
        Target::None => "missing",
    };
    unread(format!("scorer {scorer} cannot judge a {answer} answer by a {target} target"))
}
