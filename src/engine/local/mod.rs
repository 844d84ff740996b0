//! The in-process engine: one decoder of our own for all families of models, for every request kind.
//!
//! Requests become token sequences (`encode`, the chat template), sequences with equal beginnings become one forest (`forest`)
//! that outlives calls within a bounded `memory`, what is new of it becomes passes (`plan`) through the decoder (`decoder` over
//! `layer`s: `product` with its `kernel`s, `remember` with `rope` and `rounding`, `attention` over the `cache`, `feed_forward`
//! with its `experts`, `rows` and `lanes` for what goes number by number; or an `accelerator`), and final states become scores
//! (`score`) or text (`generate`, `live`, `sampler`, held to a constraint by `guide`). On the processor each row's numbers are one
//! fixed sequence of operations on its own past, so that an answer is the same to the last bit whatever it is computed with.

mod accelerator;
mod attention;
mod beginning;
mod cache;
mod decoder;
mod encode;
mod experts;
mod feed_forward;
mod forest;
mod generate;
mod guide;
mod identity;
mod inner;
mod kernel;
mod lanes;
mod layer;
mod live;
mod memory;
mod plan;
mod product;
mod remember;
#[cfg(test)]
mod remembering;
mod rope;
mod rounding;
mod rows;
mod sampler;
mod score;
mod settings;
#[cfg(test)]
mod tests;

pub use self::guide::{enforce, loose};
pub use self::settings::{LoadError, Settings};
#[cfg(test)]
pub(super) use self::tests::random_model;

use std::ops::Range;
use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;

use self::decoder::Decoder;
use self::encode::{Span, Vocabulary, failed, refused};
use self::guide::Guides;
use self::inner::{Answers, Inner};
use self::memory::{Limits, Memory};

use super::template::ChatTemplate;
use super::{BoxFuture, Capabilities, Distribution, Engine, Extent, Failure, Lane, Passage, Reply};
use crate::domain::{Identity, Request};
use crate::weights::Checkpoint;

/// A model in this process. Clones share it.
#[derive(Clone)]
pub struct LocalEngine {
    inner: Arc<Inner>,
}

impl LocalEngine {
    /// Takes over an open model.
    pub fn load(checkpoint: Checkpoint, settings: &Settings) -> Result<Self, LoadError> {
        Self::load_on(checkpoint, settings, accelerator::open(settings.device)?.as_ref())
    }

    /// The same model, its identity saying one thing more. Only for an engine that has no clones yet.
    pub(super) fn with_detail(mut self, name: &str, value: String) -> Self {
        let inner = Arc::get_mut(&mut self.inner).expect("nobody else holds an engine that was just loaded");
        inner.identity.details.insert(name.to_owned(), value);
        self
    }

    /// Takes it over to a device of the tensor library; none: the processor.
    fn load_on(checkpoint: Checkpoint, settings: &Settings, device: Option<&candle_core::Device>) -> Result<Self, LoadError> {
        settings.check(device.is_some(), checkpoint.config())?;
        let checkpoint = Arc::new(checkpoint);
        let decoder = match device {
            Some(device) => Decoder::on(&checkpoint, settings, device),
            None => Decoder::new(&checkpoint, settings),
        };
        let decoder = decoder.map_err(|error| LoadError::Weights(error.to_string()))?;
        let text = |id| checkpoint.tokenizer().id_to_token(id);
        let compile = |source| match (ChatTemplate::new(source, checkpoint.special(), text), checkpoint.tool_template()) {
            (Ok(template), Some(tools)) => template.with_tools(tools),
            (compiled, _) => compiled,
        };
        let template = checkpoint.chat_template().map(compile).transpose();
        let template = template.map_err(|error| LoadError::Template(error.to_string()))?;
        let mut identity = identity::identify(&checkpoint, settings, decoder.arch());
        if let Some(says) = template.as_ref().and_then(|template| beginning::beginning(&checkpoint, template)) {
            identity.details.insert(beginning::BEGINNING.to_owned(), says.to_owned());
        }
        let vocabulary = Vocabulary::new(&checkpoint);
        let limits = Limits::of(&decoder, checkpoint.config(), settings.memory);
        let memory = Mutex::new(Memory::new(&decoder, limits));
        let guides = Guides::default();
        Ok(Self { inner: Arc::new(Inner { decoder, memory, vocabulary, template, identity, guides }) })
    }

    /// The logits after every token of a sequence (at least one token, at most the context): row-major, one row of the
    /// vocabulary a token.
    pub fn logits(&self, ids: &[u32]) -> Result<Vec<f32>, Failure> {
        self.logits_after(ids, 0..ids.len())
    }

    /// The logits after some of the tokens of such a sequence, by their places in it.
    pub fn logits_after(&self, ids: &[u32], places: Range<usize>) -> Result<Vec<f32>, Failure> {
        let context = self.inner.vocabulary.context();
        if ids.is_empty() || ids.len() > context {
            return Err(refused(format!("a sequence of {} tokens doesn't fit a context of 1 to {context}", ids.len())));
        }
        let (Some(input), Some(targets)) = (ids.get(..places.end), ids.get(places)) else {
            return Err(refused(format!("a sequence of {} tokens has no such places", ids.len())));
        };
        let span = Span { input: input.to_vec(), targets: targets.to_vec() };
        let rows = score::logits(&self.inner.decoder, &mut self.inner.memory(), &[span]).pop().unwrap_or_else(|| Ok(Vec::new()));
        rows.map(|rows| rows.concat())
    }

    /// Runs work that keeps the processor busy where it blocks no other task.
    async fn busy<T: Send + 'static>(
        &self,
        count: usize,
        work: impl FnOnce(&Inner) -> Answers<T> + Send + 'static,
    ) -> Answers<T> {
        if Handle::try_current().is_err() {
            return work(&self.inner);
        }
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.unwrap_or_else(|fault| (0..count).map(|_| Err(failed(format!("the engine stopped: {fault}")))).collect())
    }
}

impl Engine for LocalEngine {
    fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            log_likelihood: true,
            distributions: true,
            chat: self.inner.template.is_some(),
            tools: self.inner.template.is_some(),
            raw: true,
            constrained: true,
            context: self.inner.vocabulary.context(),
            lane: Lane::Shared,
        }
    }

    fn answer<'a>(&'a self, requests: &'a [Request]) -> BoxFuture<'a, Vec<Result<Reply, Failure>>> {
        let (count, requests) = (requests.len(), requests.to_vec());
        Box::pin(async move {
            let answers = self.busy(count, move |inner| inner.answer(&requests)).await;
            answers.into_iter().map(|answer| answer.map(Reply::from)).collect()
        })
    }

    fn extents<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Vec<Result<Extent, Failure>>> {
        let (count, texts) = (texts.len(), texts.to_vec());
        Box::pin(self.busy(count, move |inner| inner.extents(&texts)))
    }

    fn distributions<'a>(&'a self, passages: &'a [Passage]) -> BoxFuture<'a, Vec<Result<Distribution, Failure>>> {
        let (count, passages) = (passages.len(), passages.to_vec());
        Box::pin(self.busy(count, move |inner| inner.distributions(&passages)))
    }
}
