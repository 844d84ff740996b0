//! What answers requests: one trait, and a room for each way of reaching a model.

pub mod local;
mod open;
pub mod scripted;

pub use open::{OpenError, open};

use std::future::Future;
use std::pin::Pin;

use crate::domain::{Answer, Cause, CauseKind, Identity, Request};

/// A future that can be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How requests of an engine may overlap with those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// It uses this process's one group of threads: subjects of this lane take turns, batch by batch.
    Shared,
    /// It has a machine of its own: up to this many requests may be under way.
    Own(usize),
}

/// What an engine can do, asked before the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Log-likelihood of options and of documents.
    pub log_likelihood: bool,
    /// Full-vocabulary distributions of a document's tokens.
    pub distributions: bool,
    /// Whether chat requests can be rendered (a chat template is there).
    pub chat: bool,
    /// Most tokens of prompt and answer together.
    pub context: usize,
    /// How it shares the machine.
    pub lane: Lane,
}

/// Whether asking again could help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryClass {
    /// Never: the same request fails the same way.
    No,
    /// The fault was passing.
    Transient,
}

/// A request that got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The class of the fault.
    pub kind: CauseKind,
    /// One sentence for a person.
    pub message: String,
    /// Whether asking again could help.
    pub retry: RetryClass,
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        Self { kind: failure.kind, message: failure.message }
    }
}

/// The distribution of every scored token of one document.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// The scored tokens: `tokens[i]` is what row `i` predicts.
    pub tokens: Vec<u32>,
    /// Natural log-probabilities, row-major: `rows[i * vocabulary + id]`, each row summing to 1 in probability.
    pub rows: Vec<f32>,
    /// Length of a row.
    pub vocabulary: usize,
}

/// Something that answers requests. Answers depend on the request alone: not on the batch, its order or the load.
pub trait Engine: Send + Sync {
    /// What it turned out to be.
    fn identity(&self) -> &Identity;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Answers each request, in order. A request's failure is its own: the others are still answered.
    fn answer<'a>(&'a self, requests: &'a [Request]) -> BoxFuture<'a, Vec<Result<Answer, Failure>>>;

    /// The distributions of each document's tokens, in order; every document is scored from its first token on.
    ///
    /// Engines without [`Capabilities::distributions`] fail every document with [`RetryClass::No`].
    fn distributions<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Vec<Result<Distribution, Failure>>>;
}
