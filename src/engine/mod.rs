//! What answers requests: one trait, and a room for each way of reaching a model.

pub mod api;
pub mod cached;
#[cfg(feature = "hub")]
mod hub;
pub mod local;
mod open;
mod python;
mod reply;
pub mod scripted;
pub mod server;
pub mod store;
mod template;

#[cfg(feature = "hub")]
pub use hub::HubError;
pub use open::{HubAccess, OpenError, Surroundings, open};
pub use reply::{Failure, Headroom, Reply, RetryClass};

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use crate::domain::{Identity, Origin, Request};

/// A future that can be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How requests of an engine may overlap with those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// It uses this process's one group of threads: subjects of this lane take turns, batch by batch.
    Shared,
    /// It has a machine of its own: up to this many requests may be under way.
    Own(usize),
    /// It takes all requests of a task as one job, which may need hours.
    Bulk,
}

/// A machine or a service that answers, perhaps for several subjects, and what it can take.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// What its limits are counted by: scheme, host and port, with the key's name where limits go by key.
    pub name: String,
    /// Most requests under way.
    pub concurrency: usize,
    /// Most requests a minute.
    pub requests_per_minute: Option<f64>,
    /// Most tokens a minute, read and written together.
    pub tokens_per_minute: Option<f64>,
    /// After how long a request counts as failed.
    pub timeout: Duration,
    /// Whether a request that takes much longer than others may be asked a second time beside the first.
    pub hedge: bool,
}

/// What an engine can do, asked before the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
pub struct Capabilities {
    /// Log-likelihood of options and of documents.
    pub log_likelihood: bool,
    /// Full-vocabulary distributions of a document's tokens.
    pub distributions: bool,
    /// Whether chat requests can be rendered (a chat template is there).
    pub chat: bool,
    /// Whether tools can be offered.
    pub tools: bool,
    /// Whether a prompt is continued as it is; otherwise it is sent as one message of a user, which is another prompt.
    pub raw: bool,
    /// Whether an answer can be held to a constraint while it is written.
    pub constrained: bool,
    /// Most tokens of prompt and answer together.
    pub context: usize,
    /// How it shares the machine.
    pub lane: Lane,
}

/// Part of a document: those of its scored tokens whose distributions are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The whole document.
    pub text: String,
    /// Which of its scored tokens, counted from 0; what lies beyond the last is left out, and may be all of it.
    pub rows: Range<usize>,
}

/// How large the distributions of a whole document are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Number of its scored tokens: rows.
    pub tokens: usize,
    /// Length of a row.
    pub vocabulary: usize,
}

/// The distribution of every scored token of a passage.
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

    /// The machine or service behind it, for [`Lane::Own`]; those of one name share their limits. None: one of its own.
    fn endpoint(&self) -> Option<&Endpoint> {
        None
    }

    /// The way that requests take, as it was seen when the subject was opened.
    fn origin(&self) -> Option<&Origin> {
        None
    }

    /// Answers each request, in order. A request's failure is its own: the others are still answered.
    /// Each request is tried once: what to do about a failure is the caller's. Dropping the future gives up.
    fn answer<'a>(&'a self, requests: &'a [Request]) -> BoxFuture<'a, Vec<Result<Reply, Failure>>>;

    /// How large each document's distributions would be, without computing them.
    ///
    /// Engines without [`Capabilities::distributions`] fail every document with [`RetryClass::No`].
    fn extents<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Vec<Result<Extent, Failure>>>;

    /// The distributions of each passage's tokens, in order. A document is scored from its first token on, and a row is the
    /// same whichever passage it is asked for with: passages laid end to end are the document.
    ///
    /// Engines without [`Capabilities::distributions`] fail every passage with [`RetryClass::No`].
    fn distributions<'a>(&'a self, passages: &'a [Passage]) -> BoxFuture<'a, Vec<Result<Distribution, Failure>>>;
}
