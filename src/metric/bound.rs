//! What the likeliest tokens alone say of a divergence: a lower bound of it.

use super::likelihood::{Quantiles, quantiles, spread};
use crate::stats::{ClusterMean, Interval};

/// Confidence of the interval that is shown.
const SHOWN: f64 = 0.95;
/// How far a sum of probabilities may lie from the true one: they are told as logarithms in single precision, or rounded.
const ROUNDING: f64 = 1e-6;

/// A lower bound of the divergence canary → variant (nats; 0 or more) at one place, from tokens with their natural
/// log-probabilities. Tokens that both told are cells of their own, all others together are one: merging cells never adds
/// divergence (the data-processing inequality; Cover & Thomas 2006, 2.8). What is left for that one is known up to rounding
/// only, so the least that it can add is added.
#[must_use]
pub fn kld_bound(canary: &[(u32, f32)], variant: &[(u32, f32)]) -> f64 {
    let (mut left_p, mut left_q, mut sum) = (1.0, 1.0, 0.0);
    for (place, &(id, ln_p)) in canary.iter().enumerate() {
        // A token that is told twice counts once.
        let again = canary[..place].iter().any(|(other, _)| *other == id);
        let Some(&(_, ln_q)) = variant.iter().find(|(other, _)| *other == id).filter(|_| !again) else { continue };
        let (ln_p, ln_q) = (f64::from(ln_p), f64::from(ln_q));
        sum += ln_p.exp() * (ln_p - ln_q);
        (left_p, left_q) = (left_p - ln_p.exp(), left_q - ln_q.exp());
    }
    (sum + least(left_p, left_q)).max(0.0)
}

/// The least that p ln(p/q) can be where both are known up to rounding: q as large as it can be, and p as near as it can be to
/// q/e, where this is smallest.
fn least(p: f64, q: f64) -> f64 {
    let q = q.max(0.0) + ROUNDING;
    let (low, high) = ((p - ROUNDING).max(0.0), p.max(0.0) + ROUNDING);
    let p = (q / std::f64::consts::E).clamp(low, high);
    if p > 0.0 { p * (p / q).ln() } else { 0.0 }
}

/// Lower bounds of the divergence of each token of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Likeliest {
    /// By token (nats; 0 or more).
    pub bounds: Vec<f64>,
    /// Fewest tokens that either told at a place.
    pub k: usize,
}

impl Likeliest {
    /// From what both told at each place; none where they did not tell of as many places, or of none.
    #[must_use]
    pub fn of(canary: &[Vec<(u32, f32)>], variant: &[Vec<(u32, f32)>]) -> Option<Self> {
        let k = canary.iter().chain(variant).map(Vec::len).min().filter(|k| *k > 0)?;
        let bounds = || canary.iter().zip(variant).map(|(p, q)| kld_bound(p, q)).collect();
        (canary.len() == variant.len()).then(|| Self { bounds: bounds(), k })
    }
}

/// A lower bound of how far a variant's distributions lie from the canary's, per token.
#[derive(Clone, Debug, PartialEq)]
pub struct KldBound {
    /// Its mean (nats).
    pub mean: f64,
    /// That with its document-clustered 95 % interval; none for fewer than two documents.
    pub interval: Option<Interval>,
    /// Its spread over tokens (nats).
    pub quantiles: Quantiles,
    /// Fewest tokens that either told at a place.
    pub k: usize,
    tokens: Vec<(f64, usize)>,
    over_documents: Option<ClusterMean>,
}

impl KldBound {
    /// Of each token's bound and the index of its document; none without a token.
    pub(super) fn of(bounds: &[f64], documents: &[usize], k: usize) -> Option<Self> {
        let over_documents = spread(bounds, documents);
        Some(Self {
            mean: over_documents?.mean,
            interval: over_documents.and_then(|of| of.interval(SHOWN)),
            quantiles: quantiles(bounds),
            k,
            tokens: bounds.iter().copied().zip(documents.iter().copied()).collect(),
            over_documents,
        })
    }

    /// Its mean (nats) with its document-clustered interval of some two-sided confidence.
    #[must_use]
    pub fn mean_at(&self, confidence: f64) -> Option<Interval> {
        self.over_documents?.interval(confidence)
    }

    /// The share of tokens whose bound is over a threshold (nats), with its document-clustered interval. The share of those whose
    /// divergence is over it is no smaller.
    #[must_use]
    pub fn share_over(&self, threshold: f64, confidence: f64) -> Option<Interval> {
        let (over, documents): (Vec<f64>, Vec<usize>) =
            self.tokens.iter().map(|&(bound, document)| (if bound > threshold { 1.0 } else { 0.0 }, document)).unzip();
        spread(&over, &documents)?.share(confidence)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(probabilities: &[(u32, f64)]) -> Vec<(u32, f32)> {
        probabilities.iter().map(|&(id, p)| (id, p.ln() as f32)).collect()
    }

    #[test]
    fn the_bound_of_known_distributions_is_what_hand_computation_gives() {
        // Cells {1}: ½ against ¼, {2}: ¼ against ½, and what is left: ¼ against ¼.
        let (canary, variant) = (told(&[(1, 0.5), (2, 0.25)]), told(&[(2, 0.5), (1, 0.25)]));
        let expected = 0.5 * 2.0_f64.ln() - 0.25 * 2.0_f64.ln();
        assert!((kld_bound(&canary, &variant) - expected).abs() < 1e-5, "{}", kld_bound(&canary, &variant));
        // Of 3 the variant told nothing: it is left with the others, ½ against ¾.
        let (canary, variant) = (told(&[(1, 0.5), (3, 0.3)]), told(&[(1, 0.25), (2, 0.5)]));
        let expected = 0.5 * 2.0_f64.ln() + 0.5 * (0.5_f64 / 0.75).ln();
        assert!((kld_bound(&canary, &variant) - expected).abs() < 1e-5, "{}", kld_bound(&canary, &variant));
    }

    #[test]
    fn nothing_in_common_or_nothing_apart_bounds_by_nothing() {
        let one = told(&[(1, 0.5), (2, 0.25)]);
        assert!(kld_bound(&one, &told(&[(7, 0.9)])).abs() < 1e-12);
        assert!(kld_bound(&one, &one).abs() < 1e-12);
        assert!(kld_bound(&[], &[]).abs() < 1e-12);
    }

    #[test]
    fn rounding_that_leaves_no_probability_adds_no_divergence() {
        // The sums are over 1 by rounding; a remainder of 0 would make the bound infinite.
        let full = [(1, 0.6_f32.ln()), (2, 0.400_000_1_f32.ln())];
        let bound = kld_bound(&[(1, 0.6_f32.ln()), (2, 0.399_999_f32.ln())], &full);
        assert!(bound < 1e-5, "{bound}");
    }

    #[test]
    fn documents_that_tell_of_other_places_have_no_bound() {
        let one = vec![told(&[(1, 0.5)])];
        assert_eq!(Likeliest::of(&one, &one).map(|of| (of.bounds.len(), of.k)), Some((1, 1)));
        assert!(Likeliest::of(&one, &[]).is_none() && Likeliest::of(&[], &[]).is_none());
        assert!(Likeliest::of(&one, &[one.clone(), one.clone()].concat()).is_none());
        assert!(Likeliest::of(&[Vec::new()], &one).is_none(), "a place without a token tells nothing");
    }

    /// A distribution over some tokens, and its likeliest ones in single precision.
    fn softmax(logits: &[f64]) -> Vec<f64> {
        let total: f64 = logits.iter().map(|l| l.exp()).sum();
        logits.iter().map(|l| (l.exp() / total).ln()).collect()
    }

    fn likeliest(logs: &[f64], k: usize) -> Vec<(u32, f32)> {
        let mut all: Vec<(u32, f32)> = logs.iter().zip(0..).map(|(log, id)| (id, *log as f32)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(k);
        all
    }

    proptest! {
        #[test]
        fn the_bound_never_exceeds_the_divergence_and_grows_to_it(
            logits in prop::collection::vec((-12.0..6.0_f64, -12.0..6.0_f64), 2..40), k in 1..40_usize,
        ) {
            let (p, q): (Vec<f64>, Vec<f64>) = logits.into_iter().unzip();
            let (p, q) = (softmax(&p), softmax(&q));
            let truth: f64 = p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum();
            let bound = |k: usize| kld_bound(&likeliest(&p, k), &likeliest(&q, k));
            // Single precision moves a logarithm by one part in ten million.
            let slack = 1e-6 * (1.0 + truth);
            prop_assert!(bound(k) <= truth + slack, "{} > {truth}", bound(k));
            prop_assert!((bound(p.len()) - truth).abs() < 1e-4, "all tokens tell all: {} and {truth}", bound(p.len()));
            prop_assert!(bound(k) <= bound(p.len()) + 1e-4);
        }
    }
}
