//! Log-probabilities of given tokens: spans packed by shared beginnings into passes of a bounded number of tokens.

use rayon::prelude::*;

use super::cache::PASSING;
use super::decoder::Decoder;
use super::encode::{Span, failed, not_a_number};
use super::forest::Forest;
use super::lanes::{Softmax, first_best};
use super::product::ComputeError;
use crate::engine::Failure;

/// Tokens of a pass, unless a single span has more.
pub(super) const BUDGET: usize = 2_048;

/// What is known about a scored token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TokenScore {
    /// Its natural log-probability.
    pub log_probability: f64,
    /// Whether it was the most likely token.
    pub greedy: bool,
}

/// Scores every target of every span.
pub(super) fn score(decoder: &Decoder, spans: &[Span]) -> Vec<Result<Vec<TokenScore>, Failure>> {
    read(decoder, spans, |logits, target| {
        let softmax = Softmax::of(decoder.arch(), logits)?;
        let log_probability = softmax.log_probability(logits[target as usize]);
        Some(TokenScore { log_probability, greedy: first_best(logits) == target })
    })
}

/// The log-softmax row of every target of every span.
pub(super) fn distributions(decoder: &Decoder, spans: &[Span]) -> Vec<Result<Vec<Vec<f32>>, Failure>> {
    read(decoder, spans, |logits, _| {
        let softmax = Softmax::of(decoder.arch(), logits)?;
        Some(logits.iter().map(|&logit| softmax.log_probability(logit) as f32).collect())
    })
}

/// The logits themselves.
pub(super) fn raw(decoder: &Decoder, spans: &[Span]) -> Vec<Result<Vec<Vec<f32>>, Failure>> {
    read(decoder, spans, |logits, _| Some(logits.to_vec()))
}

/// Reads something off the logits that predict each target; none where they are not finite.
fn read<T: Send>(
    decoder: &Decoder,
    spans: &[Span],
    reader: impl Fn(&[f32], u32) -> Option<T> + Sync,
) -> Vec<Result<Vec<T>, Failure>> {
    // Neighbours in this order share the longest beginnings.
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by(|&a, &b| spans[a].input.cmp(&spans[b].input));
    let mut results: Vec<Result<Vec<T>, Failure>> = spans.iter().map(|_| Ok(Vec::new())).collect();
    let mut rest = &order[..];
    while !rest.is_empty() {
        let (mut forest, mut paths) = (Forest::default(), Vec::new());
        for &span in rest {
            if !paths.is_empty() && forest.len() + spans[span].input.len() > BUDGET {
                break;
            }
            paths.push(forest.insert(&spans[span].input));
        }
        let (batch, others) = rest.split_at(paths.len());
        rest = others;
        match batch_rows(decoder, &forest, &uses(spans, batch, &paths), &reader) {
            Ok(rows) => deliver(spans, batch, rows, &mut results),
            Err(error) => batch.iter().for_each(|&span| results[span] = Err(failed(error.to_string()))),
        }
    }
    results
}

/// For each target of the batch: the node that predicts it, its place in the batch, and itself.
fn uses(spans: &[Span], batch: &[usize], paths: &[Vec<u32>]) -> Vec<(u32, u32, u32)> {
    let mut uses = Vec::new();
    for (place, (&span, path)) in batch.iter().zip(paths).enumerate() {
        let targets = &spans[span].targets;
        let nodes = &path[path.len() - targets.len()..];
        uses.extend(nodes.iter().zip(targets).map(|(&node, &target)| (node, place as u32, target)));
    }
    uses
}

/// Runs one pass; returns for each use, in order, its place and what was read.
fn batch_rows<T: Send>(
    decoder: &Decoder,
    forest: &Forest,
    uses: &[(u32, u32, u32)],
    reader: &(impl Fn(&[f32], u32) -> Option<T> + Sync),
) -> Result<Vec<(u32, Option<T>)>, ComputeError> {
    let mut layout = forest.layout(PASSING);
    let rows: Vec<u32> = uses.iter().map(|&(node, ..)| layout.row(node)).collect();
    let mut wanted = rows.clone();
    wanted.sort_unstable();
    wanted.dedup();
    layout.pass.wanted = wanted;
    let mut cache = decoder.cache(0);
    cache.pass(layout.pages);
    let states = decoder.states(&layout.pass, &mut cache)?;
    let mut found: Vec<(u32, Option<T>)> = uses.iter().map(|&(_, place, _)| (place, None)).collect();
    let wanted = &layout.pass.wanted;
    let vocabulary = decoder.vocabulary();
    decoder.logits(&states, |first, logits| {
        let block = first..first + logits.len() / vocabulary;
        found.par_iter_mut().zip(uses).zip(&rows).for_each(|(((_, slot), &(.., target)), row)| {
            let Ok(index) = wanted.binary_search(row) else { return };
            if block.contains(&index) {
                *slot = reader(&logits[(index - first) * vocabulary..][..vocabulary], target);
            }
        });
    })?;
    Ok(found)
}

/// Hands what was read to its spans, in order.
fn deliver<T>(spans: &[Span], batch: &[usize], rows: Vec<(u32, Option<T>)>, results: &mut [Result<Vec<T>, Failure>]) {
    for (place, read) in rows {
        let span = batch[place as usize];
        match (&mut results[span], read) {
            (Ok(list), Some(read)) => list.push(read),
            (result, _) => *result = Err(not_a_number()),
        }
    }
    debug_assert!(batch.iter().all(|&span| results[span].as_ref().map_or(true, |list| list.len() == spans[span].targets.len())));
}
