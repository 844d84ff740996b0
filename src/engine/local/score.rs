//! Log-probabilities of given tokens: spans walked in sorted order, in passes of a bounded number of tokens, over what is
//! remembered of their beginnings.

use rayon::prelude::*;

use super::decoder::Decoder;
use super::encode::{Span, failed, not_a_number};
use super::forest::{Pass, Sequence};
use super::lanes::{Softmax, first_best};
use super::memory::Memory;
use super::plan::{Plan, Step};
use super::product::ComputeError;
use crate::engine::Failure;

/// What is known about a scored token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TokenScore {
    /// Its natural log-probability.
    pub log_probability: f64,
    /// Whether it was the most likely token.
    pub greedy: bool,
}

/// What is to be scored.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    /// The spans.
    pub spans: &'a [Span],
    /// Which request each belongs to: what different requests share may be shared by later ones. Empty: each one of its own.
    pub owners: &'a [u32],
    /// Whether longer spans with the same beginnings are to come.
    pub growing: bool,
}

/// Scores every target of every span.
pub(super) fn score(decoder: &Decoder, memory: &mut Memory, work: Work<'_>) -> Vec<Result<Vec<TokenScore>, Failure>> {
    read(decoder, memory, work, |logits, target| {
        let softmax = Softmax::of(decoder.arch(), logits)?;
        let log_probability = softmax.log_probability(logits[target as usize]);
        Some(TokenScore { log_probability, greedy: first_best(logits) == target })
    })
}

/// The log-softmax row of every target of every span.
pub(super) fn distributions(decoder: &Decoder, memory: &mut Memory, work: Work<'_>) -> Vec<Result<Vec<Vec<f32>>, Failure>> {
    read(decoder, memory, work, |logits, _| {
        let softmax = Softmax::of(decoder.arch(), logits)?;
        Some(logits.iter().map(|&logit| softmax.log_probability(logit) as f32).collect())
    })
}

/// The logits themselves.
pub(super) fn logits(decoder: &Decoder, memory: &mut Memory, spans: &[Span]) -> Vec<Result<Vec<Vec<f32>>, Failure>> {
    read(decoder, memory, Work { spans, owners: &[], growing: false }, |logits, _| Some(logits.to_vec()))
}

/// The same with nothing remembered.
#[cfg(test)]
pub(super) fn raw(decoder: &Decoder, spans: &[Span]) -> Vec<Result<Vec<Vec<f32>>, Failure>> {
    let limits = super::memory::Limits { tokens: 2_048, pages: 0, page_bytes: decoder.page_bytes() };
    logits(decoder, &mut Memory::new(decoder, limits), spans)
}

/// A wanted number: where its logits are, whose it is and what is looked up.
struct Use {
    row: u32,
    span: u32,
    place: u32,
    target: u32,
}

/// Reads something off the logits that predict each target; none where they are not finite.
fn read<T: Send>(
    decoder: &Decoder,
    memory: &mut Memory,
    work: Work<'_>,
    reader: impl Fn(&[f32], u32) -> Option<T> + Sync,
) -> Vec<Result<Vec<T>, Failure>> {
    let spans = work.spans;
    let mut plan = Plan::new(work, memory);
    let mut read: Vec<Vec<Option<T>>> = spans.iter().map(|span| span.targets.iter().map(|_| None).collect()).collect();
    let mut failures: Vec<Option<Failure>> = vec![None; spans.len()];
    let mut tidied = None;
    while let Some(steps) = plan.next(memory) {
        let mut pass = Pass::default();
        let uses = match lay_out(spans, &steps, memory, &mut pass) {
            Ok(uses) => uses,
            Err((span, failure)) => {
                memory.forest.end(false);
                // Half-empty pages of others may be in its way.
                if tidied.replace(span) != Some(span) {
                    memory.forest.clear();
                    continue;
                }
                plan.drop(span);
                failures[span] = Some(failure);
                continue;
            }
        };
        match run(decoder, memory, &mut pass, &uses, &reader) {
            Ok(found) => {
                for (found, wanted) in found.into_iter().zip(&uses) {
                    read[wanted.span as usize][wanted.place as usize] = found;
                }
            }
            Err(error) => {
                for step in &steps {
                    plan.drop(step.span);
                    failures[step.span].get_or_insert_with(|| failed(error.to_string()));
                }
            }
        }
    }
    plan.close(memory);
    let finish = |(read, failure): (Vec<Option<T>>, Option<Failure>)| match failure {
        Some(failure) => Err(failure),
        None => read.into_iter().collect::<Option<Vec<T>>>().ok_or_else(not_a_number),
    };
    read.into_iter().zip(failures).map(finish).collect()
}

/// Adds the steps of one pass to the forest; returns what is wanted of it, in the order of rows.
fn lay_out(spans: &[Span], steps: &[Step], memory: &mut Memory, pass: &mut Pass) -> Result<Vec<Use>, (usize, Failure)> {
    let mut uses = Vec::new();
    memory.forest.begin();
    for step in steps {
        memory.forest.touch(&spans[step.span].input[..step.end], 0);
    }
    for step in steps {
        let Span { input, targets } = &spans[step.span];
        let sequence = Sequence { tokens: &input[..step.end], wanted: step.wanted, lasting: step.lasting };
        let path = if let Some(tokens) = step.must_last {
            let refusal = || (step.span, memory.limits.refusal(tokens, "a context"));
            if !memory.limits.fits(tokens) {
                return Err(refusal());
            }
            memory.forest.insert_lasting(sequence, pass).map_err(|_| refusal())?
        } else {
            memory.forest.insert(sequence, pass)
        };
        // Target i is predicted by the token at position first + i.
        let first = input.len() - targets.len();
        let places = (step.wanted..step.end).rev().map(|position| position - first);
        uses.extend(memory.forest.rows(&path).zip(places).map(|(row, place)| Use {
            row,
            span: step.span as u32,
            place: place as u32,
            target: targets[place],
        }));
    }
    uses.sort_by_key(|wanted| wanted.row);
    pass.wanted = uses.iter().map(|wanted| wanted.row).collect();
    if pass.wanted.is_empty() && !pass.tokens.is_empty() {
        // Only a pass whose states are looked at is computed.
        pass.wanted.push(pass.tokens.len() as u32 - 1);
    }
    Ok(uses)
}

/// Runs one pass; returns for each use what was read.
fn run<T: Send>(
    decoder: &Decoder,
    memory: &mut Memory,
    pass: &mut Pass,
    uses: &[Use],
    reader: &(impl Fn(&[f32], u32) -> Option<T> + Sync),
) -> Result<Vec<Option<T>>, ComputeError> {
    let mut found: Vec<Option<T>> = uses.iter().map(|_| None).collect();
    let states = memory.run(decoder, pass)?;
    if uses.is_empty() {
        return Ok(found);
    }
    let (wanted, length) = (&pass.wanted, decoder.vocabulary());
    decoder.logits(&states, |first, logits| {
        let rows = &wanted[first..first + logits.len() / length];
        let (Some(&low), Some(&high)) = (rows.first(), rows.last()) else { return };
        let own = uses.partition_point(|one| one.row < low)..uses.partition_point(|one| one.row <= high);
        found[own.clone()].par_iter_mut().zip(&uses[own]).for_each(|(slot, one)| {
            let index = rows.partition_point(|&row| row < one.row);
            *slot = reader(&logits[index * length..][..length], one.target);
        });
    })?;
    Ok(found)
}
