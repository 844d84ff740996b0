//! What a local engine is made of, and the way of a batch through it: requests to sequences, scores and texts to answers.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

use rayon::prelude::*;

use super::decoder::Decoder;
use super::encode::{Span, Vocabulary, failed, refused};
use super::generate;
use super::guide::{Guide, Guides};
use super::live::Prompt;
use super::memory::Memory;
use super::score::{self, TokenScore};

use crate::domain::{Answer, Generation, Identity, OptionScore, Request};
use crate::engine::template::ChatTemplate;
use crate::engine::{Distribution, Extent, Failure, Passage};

/// One result a request.
pub(super) type Answers<T> = Vec<Result<T, Failure>>;

/// What an engine is made of.
pub(super) struct Inner {
    pub(super) decoder: Decoder,
    pub(super) memory: Mutex<Memory>,
    pub(super) vocabulary: Vocabulary,
    pub(super) template: Option<ChatTemplate>,
    pub(super) identity: Identity,
    pub(super) guides: Guides,
}

/// What has to be computed for a request.
enum Work<'a> {
    /// Token scores of the options.
    Options(Vec<Span>, &'a [String]),
    /// Token scores of a document's windows.
    Document(Vec<Span>, &'a str),
    /// Text.
    Text(Box<Prompt<'a>>),
}

impl Inner {
    /// What is remembered; one call at a time has it.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(|poisoned| {
            // A call that broke off may have left it half written.
            let mut memory = poisoned.into_inner();
            *memory = Memory::new(&self.decoder, memory.limits);
            self.memory.clear_poison();
            memory
        })
    }

    /// Answers every request: all scores together, then all texts.
    pub(super) fn answer(&self, requests: &[Request]) -> Answers<Answer> {
        let work: Vec<Result<Work<'_>, Failure>> = requests.par_iter().map(|request| self.prepare(request)).collect();
        let (mut spans, mut owners, mut prompts) = (Vec::new(), Vec::new(), Vec::new());
        let mut waiting = Vec::with_capacity(work.len());
        for (owner, work) in (0_u32..).zip(work) {
            waiting.push(work.map(|work| match work {
                Work::Options(own, options) => {
                    owners.extend(own.iter().map(|_| owner));
                    spans.extend(own);
                    Waiting::Options(options)
                }
                Work::Document(own, text) => {
                    let count = own.len();
                    owners.extend(own.iter().map(|_| owner));
                    spans.extend(own);
                    Waiting::Document(text, count)
                }
                Work::Text(prompt) => {
                    prompts.push(*prompt);
                    Waiting::Text
                }
            }));
        }
        let work = score::Work { spans: &spans, owners: &owners, growing: false };
        let mut memory = self.memory();
        let mut scores = score::score(&self.decoder, &mut memory, work).into_iter();
        let mut texts = generate::generate(&self.decoder, &mut memory, &self.vocabulary, prompts).into_iter();
        drop(memory);
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
                let guide = self.guide(generation)?;
                Ok(Work::Text(Box::new(Prompt { tokens: self.vocabulary.prompt(prompt)?, generation, guide })))
            }
            Request::Chat { messages, tools, generation } => {
                let template = self.template.as_ref().ok_or_else(|| refused("the model has no chat template".into()))?;
                let tokens = self.vocabulary.rendered(&template.render(messages, tools)?)?;
                Ok(Work::Text(Box::new(Prompt { tokens, generation, guide: self.guide(generation)? })))
            }
        }
    }

    /// What holds an answer to its constraint.
    fn guide(&self, generation: &Generation) -> Result<Option<Guide>, Failure> {
        let constraint = generation.constraint.as_ref();
        constraint.map(|constraint| self.guides.guide(constraint, || self.vocabulary.spelling())).transpose()
    }

    /// How large the distributions of every document are.
    pub(super) fn extents(&self, texts: &[String]) -> Answers<Extent> {
        let vocabulary = self.decoder.vocabulary();
        let extent = |text: &String| Ok(Extent { tokens: self.vocabulary.scored(text)?, vocabulary });
        texts.par_iter().map(extent).collect()
    }

    /// The distributions of every passage; a document that is longer than the context goes through rolling windows.
    pub(super) fn distributions(&self, passages: &[Passage]) -> Answers<Distribution> {
        let windows = |passage: &Passage| {
            let windows = self.vocabulary.windows(&passage.text)?;
            let growing = windows.iter().map(|window| window.targets.len()).sum::<usize>() > passage.rows.end;
            Ok((within(windows, &passage.rows), growing))
        };
        let windows: Vec<Result<(Vec<Span>, bool), Failure>> = passages.par_iter().map(windows).collect();
        // Where a passage ends before its document does, the next one begins with it.
        let growing = windows.iter().flatten().any(|(_, growing)| *growing);
        let valid: Vec<Span> = windows.iter().flatten().flat_map(|(windows, _)| windows).cloned().collect();
        let work = score::Work { spans: &valid, owners: &[], growing };
        let mut rows = score::distributions(&self.decoder, &mut self.memory(), work).into_iter();
        let vocabulary = self.decoder.vocabulary();
        let finish = |windows: Result<(Vec<Span>, bool), Failure>| {
            let (windows, _) = windows?;
            // All of them are taken before a failure is looked at: the next document's come after.
            let own: Vec<_> = rows.by_ref().take(windows.len()).collect();
            let tokens: Vec<u32> = windows.into_iter().flat_map(|window| window.targets).collect();
            let mut joined = Vec::with_capacity(tokens.len() * vocabulary);
            for window in own {
                // Each row is freed as it is taken over: they are held about once.
                window?.into_iter().for_each(|row| joined.extend_from_slice(&row));
            }
            Ok(Distribution { tokens, rows: joined, vocabulary })
        };
        windows.into_iter().map(finish).collect()
    }
}

/// Those parts of a document's windows that score the wanted tokens, each read no further than its last one needs.
fn within(windows: Vec<Span>, rows: &Range<usize>) -> Vec<Span> {
    let mut before = 0;
    let part = |Span { mut input, mut targets }| {
        let count = targets.len();
        let (from, to) = (rows.start.saturating_sub(before).min(count), rows.end.saturating_sub(before).min(count));
        before += count;
        (from < to).then(|| {
            input.truncate(input.len() - (count - to));
            targets.truncate(to);
            Span { input, targets: targets.split_off(from) }
        })
    };
    windows.into_iter().filter_map(part).collect()
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
    Ok(Answer::Rolling { nll, bytes: text.len() as u32, divergence: None, top: Vec::new() })
}
