//! An engine that looks among kept answers before it asks, where its model's content is proven.
//!
//! Answers are kept by content, never by name: everything that the subject turned out to be (the weights' digest, vocabulary,
//! template, engine and build, arithmetic, key–value cache, …) and how it is spoken to. An endpoint that shows no more than a
//! name of its model is not kept at all, since another model may stand behind that name tomorrow.

mod content;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use self::content::Content;
use super::store::{Key, Shelf, Store, StoreError};
use super::{BoxFuture, Capabilities, Distribution, Endpoint, Engine, Extent, Failure, Passage, Reply, RetryClass};
use crate::domain::{CauseKind, EngineSpec, Identity, Origin, Request, Served};

/// An engine with its kept answers. It keeps answers alone: distributions are too large, and failures may pass.
pub struct Cached {
    inner: Arc<dyn Engine>,
    shelf: Shelf,
    look: bool,
    found: AtomicUsize,
    /// The model and the mark that the first answer of this run named.
    first: OnceLock<Named>,
}

/// The model and the mark that an endpoint names beside an answer.
type Named = (Option<String>, Option<String>);

impl Cached {
    /// Whether answers of such a subject may be kept: its weights' content must be proven and its engine must name a version,
    /// since another build may answer otherwise; and there must be something to save.
    #[must_use]
    pub fn can_keep(spec: &EngineSpec, identity: &Identity) -> bool {
        let versioned = identity.engine.split_once(' ').is_some_and(|(_, version)| !version.trim().is_empty());
        matches!(spec, EngineSpec::Local(_) | EngineSpec::Api(_)) && identity.weights.is_content() && versioned
    }

    /// An engine with the answers that the store has of its content. Where `look` is false they are not used, and those that
    /// are given now take their places. None where [`Self::can_keep`] says so.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub fn over(inner: Arc<dyn Engine>, spec: &EngineSpec, store: &Store, look: bool) -> Result<Option<Self>, StoreError> {
        if !Self::can_keep(spec, inner.identity()) {
            return Ok(None);
        }
        let shelf = store.shelf(&Content::of(spec, inner.identity()).as_json())?;
        Ok(Some(Self { inner, shelf, look, found: AtomicUsize::new(0), first: OnceLock::new() }))
    }

    /// How many answers were found so far.
    #[must_use]
    pub fn found(&self) -> usize {
        self.found.load(Ordering::Relaxed)
    }

    /// Why answers are no longer kept, where something went wrong.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.shelf.fault()
    }

    fn recall(&self, key: &Key) -> Option<Reply> {
        if !self.look {
            return None;
        }
        let entry = self.shelf.get(key)?;
        // What came over the wire then says nothing of how fast or how often this run was asked.
        let told = entry.served.map(|served| *served).unwrap_or_default();
        let served = Served { pace: None, retries: 0, cached: true, ..told };
        self.found.fetch_add(1, Ordering::Relaxed);
        Some(Reply { served: Some(Box::new(served)), ..Reply::from(entry.answer) })
    }

    /// Keeps those replies that the proven content gave.
    fn keep(&self, keys: &[Key], replies: &[Result<Reply, Failure>]) {
        let given = keys.iter().zip(replies).filter_map(|(key, reply)| Some((key, reply.as_ref().ok()?)));
        let own = given.filter(|(_, reply)| reply.served.as_deref().is_none_or(|served| self.is_own(served)));
        self.shelf.put(own.map(|(key, reply)| (*key, &reply.answer, reply.served.as_deref())));
    }

    /// Whether an answer came from the model whose content was proven when the subject was opened: not from a fallback, and
    /// not after the endpoint began to name another.
    fn is_own(&self, served: &Served) -> bool {
        let named = (served.model.clone(), served.fingerprint.clone());
        served.fallbacks == 0 && *self.first.get_or_init(|| named.clone()) == named
    }
}

impl Engine for Cached {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        self.inner.endpoint()
    }

    fn origin(&self) -> Option<&Origin> {
        self.inner.origin()
    }

    fn answer<'a>(&'a self, requests: &'a [Request]) -> BoxFuture<'a, Vec<Result<Reply, Failure>>> {
        Box::pin(async move {
            let keys: Vec<Key> = requests.iter().map(|request| self.shelf.key(request)).collect();
            let mut replies: Vec<Option<Result<Reply, Failure>>> = keys.iter().map(|key| self.recall(key).map(Ok)).collect();
            let open: Vec<usize> = (0..requests.len()).filter(|&index| replies[index].is_none()).collect();
            if !open.is_empty() {
                let some: Vec<Request>;
                let asked = if open.len() == requests.len() {
                    requests
                } else {
                    some = open.iter().map(|&index| requests[index].clone()).collect();
                    &some
                };
                let keys: Vec<Key> = open.iter().map(|&index| keys[index]).collect();
                let given = self.inner.answer(asked).await;
                self.keep(&keys, &given);
                for (index, reply) in open.into_iter().zip(given) {
                    replies[index] = Some(reply);
                }
            }
            replies.into_iter().map(|reply| reply.unwrap_or_else(|| Err(silence()))).collect()
        })
    }

    fn extents<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Vec<Result<Extent, Failure>>> {
        self.inner.extents(texts)
    }

    fn distributions<'a>(&'a self, passages: &'a [Passage]) -> BoxFuture<'a, Vec<Result<Distribution, Failure>>> {
        self.inner.distributions(passages)
    }
}

/// The failure of a request that the engine beneath gave no word about.
fn silence() -> Failure {
    Failure::new(CauseKind::Engine, RetryClass::No, "the engine gave fewer answers than it was asked for")
}

#[cfg(test)]
mod tests;
