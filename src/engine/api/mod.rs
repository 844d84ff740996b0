//! Subjects behind HTTP: services and servers, each in the dialect that it speaks.
//!
//! A dialect is plain functions from a request to bytes and from bytes to an answer; it neither waits nor reads a clock.
//! `http` sends and receives, once; whether to ask again, when, and how much at a time is the runner's. `open` finds out what
//! a subject is before anything is asked of it, `ask` asks it, and `examine` looks closer for a person.

pub mod exchange;
pub mod preset;

mod anthropic;
mod ask;
mod batch;
mod bedrock;
mod body;
mod dialect;
mod echo;
mod examine;
mod fault;
#[cfg(test)]
mod fixture;
mod forced;
mod frames;
mod headroom;
mod http;
mod identify;
mod key;
mod llama_cpp;
#[cfg(test)]
#[path = "../../../tests/it/loopback.rs"]
mod loopback;
mod mistral;
mod native;
mod ollama;
mod open;
mod openai_chat;
mod openai_completions;
mod sigv4;
mod tool_calls;
mod turns;
mod vertex;

pub use body::members;
pub use examine::{Check, Standing};
pub use open::{Access, ApiError};

use std::path::PathBuf;

use self::http::Http;
#[cfg(feature = "hub")]
pub(super) use self::http::is_this_machine;
use self::native::Native;
use super::server::Managed;
use super::{BoxFuture, Capabilities, Distribution, Endpoint, Engine, Extent, Failure, Passage, Reply, RetryClass};
use crate::domain::{ApiSpec, CauseKind, Identity, Origin, Request, SubjectName};

/// A subject behind an API. It stops its server when it is dropped, where one was started for it.
pub struct ApiEngine {
    subject: SubjectName,
    spec: ApiSpec,
    http: Http,
    /// The folder with the ids of jobs that were handed in and not fetched.
    jobs: PathBuf,
    identity: Identity,
    origin: Origin,
    capabilities: Capabilities,
    endpoint: Endpoint,
    /// A llama.cpp server in its own dialect: what it told of its tokens and its template.
    native: Option<Native>,
    server: Option<Managed>,
    /// The model that answers, where the service told it beforehand.
    resolved: Option<String>,
}

impl Engine for ApiEngine {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        Some(&self.endpoint)
    }

    fn origin(&self) -> Option<&Origin> {
        Some(&self.origin)
    }

    fn answer<'a>(&'a self, requests: &'a [Request]) -> BoxFuture<'a, Vec<Result<Reply, Failure>>> {
        Box::pin(async move {
            if self.spec.batch {
                let desk = batch::Desk::new(&self.subject, &self.spec, &self.http, &self.jobs);
                return batch::answer(desk, requests).await;
            }
            let mut replies = Vec::with_capacity(requests.len());
            for request in requests {
                replies.push(self.ask(request).await);
            }
            replies
        })
    }

    fn extents<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Vec<Result<Extent, Failure>>> {
        Box::pin(std::future::ready(texts.iter().map(|_| Err(no_distributions())).collect()))
    }

    fn distributions<'a>(&'a self, passages: &'a [Passage]) -> BoxFuture<'a, Vec<Result<Distribution, Failure>>> {
        Box::pin(std::future::ready(passages.iter().map(|_| Err(no_distributions())).collect()))
    }
}

/// What nobody tells over a network.
fn no_distributions() -> Failure {
    Failure::new(CauseKind::Refused, RetryClass::No, "an API shows no distributions over a whole vocabulary")
}
