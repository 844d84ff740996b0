//! What one try at a request comes to: an answer with what came beside it, or a failure with its class.

use std::time::Duration;

use crate::domain::{Answer, Cause, CauseKind, Served};

/// What a service says is left of a limit, beside an answer or a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Headroom {
    /// Requests left, and how long until all are there again.
    pub requests: Option<(f64, Duration)>,
    /// Tokens left, and how long until all are there again.
    pub tokens: Option<(f64, Duration)>,
}

/// An answer with what came beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// What the endpoint told; none for a model in this process.
    pub served: Option<Box<Served>>,
    /// What the service says is left of its limits.
    pub headroom: Headroom,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self { answer, served: None, headroom: Headroom::default() }
    }
}

/// Whether asking again could help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryClass {
    /// Never: the same request fails the same way.
    No,
    /// The fault was passing.
    Transient,
    /// The endpoint has more to do than it can: again, and fewer at a time.
    Busy,
    /// The endpoint could not be reached, so the request says nothing about itself: again, however often.
    Unreached,
    /// The endpoint lets nobody in: a key that is no longer accepted, no credit, a server that has ended. No other request
    /// would fare better, until a person has mended it. With [`CauseKind::Refused`] it may be about this request after all.
    Barred,
}

/// A request that got no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The class of the fault.
    pub kind: CauseKind,
    /// One sentence for a person.
    pub message: String,
    /// Whether asking again could help.
    pub retry: RetryClass,
    /// The endpoint's own word on how long to wait before anything is asked again.
    pub wait: Option<Duration>,
    /// What the service says is left of its limits.
    pub headroom: Headroom,
}

impl Failure {
    /// A failure about which the endpoint said nothing more.
    #[must_use]
    pub fn new(kind: CauseKind, retry: RetryClass, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry, wait: None, headroom: Headroom::default() }
    }
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        Self { kind: failure.kind, message: failure.message }
    }
}
