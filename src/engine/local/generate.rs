//! Text generation: prompts read together, answers written together, each by its own rules and random stream.

use rayon::prelude::*;

use super::cache::{PAGE, Piece, Write};
use super::decoder::Decoder;
use super::encode::{Vocabulary, failed, not_a_number};
use super::forest::{Block, Forest, Pass};
use super::guide::Guide;
use super::product::ComputeError;
use super::sampler::Chooser;
use super::score::BUDGET;
use crate::domain::{Answer, Finish, Generation};
use crate::engine::Failure;

/// Answers that are written at a time.
const TOGETHER: usize = 256;
/// Bytes that the keys and values of answers written at a time may take.
const CACHE_BYTES: usize = 512 << 20;

/// A prompt to answer.
pub(super) struct Prompt<'a> {
    /// Its tokens; shorter than the context.
    pub tokens: Vec<u32>,
    /// How to answer.
    pub generation: &'a Generation,
    /// What holds the answer to its constraint; taken when the answer is written.
    pub guide: Option<Guide>,
}

/// An answer being written.
struct Live<'a> {
    /// Which prompt it answers.
    index: usize,
    generation: &'a Generation,
    /// Stop texts that are special tokens.
    stop_tokens: Vec<u32>,
    chooser: Chooser,
    guide: Option<Guide>,
    /// Most tokens.
    limit: usize,
    /// The keys so far.
    pieces: Vec<Piece>,
    /// Tokens of the prompt.
    read: usize,
    tokens: Vec<u32>,
    done: Option<Result<Answer, Failure>>,
}

/// Answers every prompt, in order.
pub(super) fn generate(decoder: &Decoder, vocabulary: &Vocabulary, prompts: &mut [Prompt<'_>]) -> Vec<Result<Answer, Failure>> {
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    let longest = |index: &usize| (prompts[*index].generation.max_tokens, prompts[*index].tokens.len());
    order.sort_by_key(|index| std::cmp::Reverse(longest(index)));
    let mut answers: Vec<Result<Answer, Failure>> = prompts.iter().map(|_| Err(failed("not answered".into()))).collect();
    let mut rest = &order[..];
    while !rest.is_empty() {
        let (mut forest, mut ends, mut bytes) = (Forest::default(), Vec::new(), 0);
        for &index in rest {
            let Prompt { tokens, generation, .. } = &prompts[index];
            let room = (tokens.len() + generation.max_tokens).min(vocabulary.context());
            bytes += room.div_ceil(PAGE) * decoder.page_bytes();
            let full = forest.len() + tokens.len() > 2 * BUDGET || ends.len() == TOGETHER || bytes > CACHE_BYTES;
            if !ends.is_empty() && full {
                break;
            }
            ends.extend(forest.insert(tokens).last());
        }
        let (batch, others) = rest.split_at(ends.len());
        rest = others;
        let live = batch.iter().map(|&index| Live::new(vocabulary, index, &mut prompts[index])).collect();
        if let Err(error) = write(decoder, vocabulary, (&forest, &ends), live, &mut answers) {
            for &index in batch {
                answers[index] = Err(failed(error.to_string()));
            }
        }
    }
    answers
}

/// Writes the answers of one batch, whose prompts end at `ends` of the forest.
fn write(
    decoder: &Decoder,
    vocabulary: &Vocabulary,
    (forest, ends): (&Forest, &[u32]),
    mut live: Vec<Live<'_>>,
    answers: &mut [Result<Answer, Failure>],
) -> Result<(), ComputeError> {
    let mut layout = forest.layout(0);
    let mut next = layout.pages;
    let mut cache = decoder.cache(next + live.iter().map(|live| live.limit.div_ceil(PAGE)).sum::<usize>());
    let mut wanted: Vec<u32> = ends.iter().map(|&end| layout.row(end)).collect();
    let rows = wanted.clone();
    wanted.sort_unstable();
    wanted.dedup();
    let mut states_of: Vec<usize> = rows.iter().map(|row| wanted.partition_point(|w| w < row)).collect();
    layout.pass.wanted = wanted;
    for (live, &end) in live.iter_mut().zip(ends) {
        live.pieces = layout.pieces(end);
    }
    let mut states = beside(&mut live, || decoder.states(&layout.pass, &mut cache))?;
    loop {
        let length = decoder.vocabulary();
        decoder.logits(&states, |first, logits| {
            let block = first..first + logits.len() / length;
            live.par_iter_mut().zip(&states_of).for_each(|(live, state)| {
                if block.contains(state) {
                    live.done = live.take(vocabulary, &logits[(state - first) * length..][..length]);
                }
            });
        })?;
        live.retain_mut(|live| match live.done.take() {
            Some(answer) => {
                answers[live.index] = answer;
                false
            }
            None => true,
        });
        if live.is_empty() {
            return Ok(());
        }
        let pass = step(&mut live, &mut next);
        states_of = (0..live.len()).collect();
        states = beside(&mut live, || decoder.states(&pass, &mut cache))?;
    }
}

/// Computes the masks of constrained answers while the decoder computes what they are for.
fn beside<T: Send>(live: &mut [Live<'_>], compute: impl FnOnce() -> T + Send) -> T {
    let mut guides: Vec<&mut Guide> = live.iter_mut().filter_map(|live| live.guide.as_mut()).collect();
    if guides.is_empty() {
        return compute();
    }
    rayon::join(compute, || guides.par_iter_mut().for_each(|guide| guide.look())).0
}

/// The pass that reads the last token of every answer.
fn step(live: &mut [Live<'_>], next: &mut usize) -> Pass {
    let mut pass = Pass { wanted: (0..live.len() as u32).collect(), ..Pass::default() };
    for (row, live) in live.iter_mut().enumerate() {
        let written = live.tokens.len() - 1;
        if written.is_multiple_of(PAGE) {
            live.pieces.push(Piece { page: *next, len: 0 });
            *next += 1;
        }
        let own = live.pieces.last_mut().expect("a page was just added or is in use");
        pass.writes.push(Write { page: own.page, lane: own.len, row, count: 1 });
        own.len += 1;
        let start = live.read + written;
        pass.tokens.push(live.tokens[written]);
        pass.positions.push(start as u32);
        pass.blocks.push(Block { row, rows: 1, start, pieces: live.pieces.clone() });
    }
    pass
}

impl<'a> Live<'a> {
    /// An answer without tokens.
    fn new(vocabulary: &Vocabulary, index: usize, prompt: &mut Prompt<'a>) -> Self {
        let read = prompt.tokens.len();
        Self {
            index,
            generation: prompt.generation,
            stop_tokens: prompt.generation.stop.iter().filter_map(|stop| vocabulary.special(stop)).collect(),
            chooser: Chooser::new(prompt.generation),
            guide: prompt.guide.take(),
            limit: prompt.generation.max_tokens.clamp(1, vocabulary.context() - read),
            pieces: Vec::new(),
            read,
            tokens: Vec::new(),
            done: None,
        }
    }

    /// Chooses the next token; returns the answer where that ends it.
    fn take(&mut self, vocabulary: &Vocabulary, logits: &[f32]) -> Option<Result<Answer, Failure>> {
        let mask = match self.guide.as_mut().map(Guide::mask).transpose() {
            Ok(mask) => mask,
            Err(failure) => return Some(Err(failure)),
        };
        let Some(token) = self.chooser.next(logits, mask) else { return Some(Err(not_a_number())) };
        if self.stop_tokens.contains(&token) {
            return Some(self.finish(vocabulary, Finish::Stop));
        }
        if vocabulary.ends(token) {
            return Some(self.finish(vocabulary, Finish::End));
        }
        self.tokens.push(token);
        if let Some(guide) = &mut self.guide {
            match guide.accept(token) {
                Ok(()) if guide.is_complete() => return Some(self.finish(vocabulary, Finish::End)),
                Ok(()) => {}
                Err(failure) => return Some(Err(failure)),
            }
        }
        if !self.generation.stop.is_empty() {
            match vocabulary.text(&self.tokens) {
                Ok(text) if cut(&text, &self.generation.stop).is_some() => return Some(self.finish(vocabulary, Finish::Stop)),
                Ok(_) => {}
                Err(failure) => return Some(Err(failure)),
            }
        }
        (self.tokens.len() >= self.limit).then(|| self.finish(vocabulary, Finish::Length))
    }

    /// The answer so far.
    fn finish(&mut self, vocabulary: &Vocabulary, finish: Finish) -> Result<Answer, Failure> {
        let mut text = match &self.guide {
            Some(guide) => guide.text(),
            None => vocabulary.text(&self.tokens)?,
        };
        if let Some(end) = cut(&text, &self.generation.stop) {
            text.truncate(end);
        }
        Ok(Answer::Text { text, tokens: std::mem::take(&mut self.tokens), finish })
    }
}

/// Where the first of the stop texts begins.
fn cut(text: &str, stop: &[String]) -> Option<usize> {
    stop.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop.as_str())).min()
}
