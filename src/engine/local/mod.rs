//! The in-process engine: a llama decoder of our own on candle's products, for every request kind.
//!
//! Requests become token sequences (`encode`, `template`), sequences with equal beginnings become one forest (`forest`),
//! a forest becomes passes through the decoder (`decoder`, with `product`, `attention`, `lanes`, `rope` and `cache`), and
//! final states become scores (`score`) or text (`generate`, `sampler`). Each row's numbers are one fixed sequence of
//! operations on its own past, so that an answer is the same to the last bit whatever it is computed with.

mod attention;
mod cache;
mod decoder;
mod encode;
mod forest;
mod generate;
mod identity;
mod lanes;
mod product;
mod python;
mod rope;
mod sampler;
mod score;
mod template;
#[cfg(test)]
mod tests;

pub(super) use self::identity::CANDLE;
#[cfg(test)]
pub(super) use self::tests::random_model;

use std::sync::Arc;

use rayon::prelude::*;
use tokio::runtime::Handle;

use self::decoder::Decoder;
use self::encode::{Span, Vocabulary, failed, refused};
use self::generate::Prompt;
use self::score::TokenScore;
use self::template::ChatTemplate;
use super::{BoxFuture, Capabilities, Distribution, Engine, Failure, Lane};
use crate::domain::{Answer, Arithmetic, Identity, OptionScore, Request};
use crate::weights::Checkpoint;

/// A model that can't be run in this process.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its chat template isn't valid Jinja.
    #[error("the model's chat template cannot be read: {0}")]
    Template(String),
    /// Its weights can't be taken over.
    #[error("the model's weights cannot be loaded: {0}")]
    Weights(String),
}

/// A model in this process. Clones share it.
#[derive(Clone)]
pub struct LocalEngine {
    inner: Arc<Inner>,
}

/// What an engine is made of.
struct Inner {
    decoder: Decoder,
    vocabulary: Vocabulary,
    template: Option<ChatTemplate>,
    identity: Identity,
}

/// What has to be computed for a request.
enum Work<'a> {
    /// Token scores of the options.
    Options(Vec<Span>, &'a [String]),
    /// Token scores of a document's windows.
    Document(Vec<Span>, &'a str),
    /// Text.
    Text(Prompt<'a>),
}

impl LocalEngine {
    /// Takes over an open model. `arithmetic` says in which numbers it multiplies.
    pub fn load(checkpoint: Checkpoint, arithmetic: Arithmetic) -> Result<Self, LoadError> {
        let checkpoint = Arc::new(checkpoint);
        let decoder = Decoder::new(&checkpoint).map_err(|error| LoadError::Weights(error.to_string()))?;
        let text = |id| checkpoint.tokenizer().id_to_token(id);
        let template = checkpoint.chat_template().map(|source| ChatTemplate::new(source, checkpoint.special(), text));
        let template = template.transpose().map_err(|error| LoadError::Template(error.to_string()))?;
        let identity = identity::identify(&checkpoint, arithmetic, decoder.arch());
        let vocabulary = Vocabulary::new(&checkpoint);
        Ok(Self { inner: Arc::new(Inner { decoder, vocabulary, template, identity }) })
    }

    /// The logits after every token of a sequence (at least one token, at most the context): row-major, one row of the
    /// vocabulary a token.
    pub fn logits(&self, ids: &[u32]) -> Result<Vec<f32>, Failure> {
        let context = self.inner.vocabulary.context();
        if ids.is_empty() || ids.len() > context {
            return Err(refused(format!("a sequence of {} tokens doesn't fit a context of 1 to {context}", ids.len())));
        }
        let span = Span { input: ids.to_vec(), targets: ids.to_vec() };
        let rows = score::raw(&self.inner.decoder, &[span]).pop().unwrap_or_else(|| Ok(Vec::new()));
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

/// One result a request.
type Answers<T> = Vec<Result<T, Failure>>;

impl Engine for LocalEngine {
    fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            log_likelihood: true,
            distributions: true,
            chat: self.inner.template.is_some(),
            context: self.inner.vocabulary.context(),
            lane: Lane::Shared,
        }
    }

    fn answer<'a>(&'a self, requests: &'a [Request]) -> BoxFuture<'a, Vec<Result<Answer, Failure>>> {
        let (count, requests) = (requests.len(), requests.to_vec());
        Box::pin(self.busy(count, move |inner| inner.answer(&requests)))
    }

    fn distributions<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Vec<Result<Distribution, Failure>>> {
        let (count, texts) = (texts.len(), texts.to_vec());
        Box::pin(self.busy(count, move |inner| inner.distributions(&texts)))
    }
}

impl Inner {
    /// Answers every request: all scores together, then all texts.
    fn answer(&self, requests: &[Request]) -> Answers<Answer> {
        let work: Vec<Result<Work<'_>, Failure>> = requests.par_iter().map(|request| self.prepare(request)).collect();
        let (mut spans, mut prompts) = (Vec::new(), Vec::new());
        let mut waiting = Vec::with_capacity(work.len());
        for work in work {
            waiting.push(work.map(|work| match work {
                Work::Options(own, options) => {
                    spans.extend(own);
                    Waiting::Options(options)
                }
                Work::Document(own, text) => {
                    let count = own.len();
                    spans.extend(own);
                    Waiting::Document(text, count)
                }
                Work::Text(prompt) => {
                    prompts.push(prompt);
                    Waiting::Text
                }
            }));
        }
        let mut scores = score::score(&self.decoder, &spans).into_iter();
        let mut texts = generate::generate(&self.decoder, &self.vocabulary, &prompts).into_iter();
        let missing = || Err(failed("an answer is missing".into()));
        let mut collect = |waiting: Waiting<'_>| match waiting {
            Waiting::Options(options) => choice(&mut scores, options),
            Waiting::Document(text, windows) => rolling(&mut scores, text, windows),
            Waiting::Text => texts.next().unwrap_or_else(missing),
        };
        waiting.into_iter().map(|waiting| waiting.and_then(&mut collect)).collect()
    }

    /// The sequences of one request.
    fn prepare<'a>(&self, request: &'a Request) -> Result<Work<'a>, Failure> {
        match request {
            Request::Choice { context, options } => Ok(Work::Options(self.vocabulary.options(context, options)?, options)),
            Request::Perplexity { text } => Ok(Work::Document(self.vocabulary.windows(text)?, text)),
            Request::Generate { prompt, generation } => {
                Ok(Work::Text(Prompt { tokens: self.vocabulary.prompt(prompt)?, generation }))
            }
            Request::Chat { messages, tools, generation } => {
                let template = self.template.as_ref().ok_or_else(|| refused("the model has no chat template".into()))?;
                let tokens = self.vocabulary.rendered(&template.render(messages, tools)?)?;
                Ok(Work::Text(Prompt { tokens, generation }))
            }
        }
    }

    /// The distributions of every document; one that is longer than the context goes through rolling windows.
    fn distributions(&self, texts: &[String]) -> Answers<Distribution> {
        let windows: Vec<_> = texts.par_iter().map(|text| self.vocabulary.windows(text)).collect();
        let valid: Vec<Span> = windows.iter().flatten().flatten().cloned().collect();
        let mut rows = score::distributions(&self.decoder, &valid).into_iter();
        let vocabulary = self.decoder.vocabulary();
        let finish = |windows: Result<Vec<Span>, Failure>| {
            let windows = windows?;
            // All of them are taken before a failure is looked at: the next document's come after.
            let own: Vec<_> = rows.by_ref().take(windows.len()).collect();
            let own: Vec<Vec<Vec<f32>>> = own.into_iter().collect::<Result<_, _>>()?;
            let tokens = windows.into_iter().flat_map(|window| window.targets).collect();
            Ok(Distribution { tokens, rows: own.concat().concat(), vocabulary })
        };
        windows.into_iter().map(finish).collect()
    }
}

/// What a request waits for.
enum Waiting<'a> {
    Options(&'a [String]),
    Document(&'a str, usize),
    Text,
}

/// The token scores of the next `count` spans; one failure fails them all.
fn take(
    scores: &mut impl Iterator<Item = Result<Vec<TokenScore>, Failure>>,
    count: usize,
) -> Result<Vec<Vec<TokenScore>>, Failure> {
    // All of them are taken before a failure is looked at: the next request's come after.
    scores.take(count).collect::<Vec<_>>().into_iter().collect()
}

/// The answer to a choice request.
fn choice(scores: &mut impl Iterator<Item = Result<Vec<TokenScore>, Failure>>, options: &[String]) -> Result<Answer, Failure> {
    let score = |(tokens, option): (Vec<TokenScore>, &String)| OptionScore {
        log_likelihood: tokens.iter().map(|token| token.log_probability).sum(),
        tokens: tokens.len() as u32,
        bytes: option.len() as u32,
        greedy: tokens.iter().all(|token| token.greedy),
    };
    let tokens = take(scores, options.len())?;
    Ok(Answer::Choice { options: tokens.into_iter().zip(options).map(score).collect() })
}

/// The answer to a perplexity request.
fn rolling(
    scores: &mut impl Iterator<Item = Result<Vec<TokenScore>, Failure>>,
    text: &str,
    windows: usize,
) -> Result<Answer, Failure> {
    let tokens = take(scores, windows)?;
    let nll = tokens.iter().flatten().map(|token| -token.log_probability).collect();
    Ok(Answer::Rolling { nll, bytes: text.len() as u32, divergence: None })
}
