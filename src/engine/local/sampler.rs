//! The next token: the most likely one, or one drawn from the request's own random stream.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use llguidance::toktrie::SimpleVob;

use super::lanes::first_best;
use crate::domain::Generation;

/// How one answer's tokens are chosen.
pub(super) enum Chooser {
    /// The first of the most likely.
    Greedy,
    /// Drawn.
    Sampled {
        /// Divides the logits.
        temperature: f64,
        /// Share of the distribution that is kept.
        top_p: f64,
        /// One draw a token.
        stream: Box<ChaCha8Rng>,
    },
}

impl Chooser {
    /// As the request says.
    pub(super) fn new(generation: &Generation) -> Self {
        if generation.temperature <= 0.0 {
            return Self::Greedy;
        }
        let stream = Box::new(ChaCha8Rng::seed_from_u64(generation.seed));
        Self::Sampled { temperature: generation.temperature, top_p: generation.top_p, stream }
    }

    /// The next token, of those that a mask allows where there is one; none where a logit is not finite.
    pub(super) fn next(&mut self, logits: &[f32], mask: Option<&SimpleVob>) -> Option<u32> {
        if logits.iter().any(|logit| !logit.is_finite()) {
            return None;
        }
        let masked = mask.map(|mask| only(logits, mask));
        let logits = masked.as_deref().unwrap_or(logits);
        match self {
            Self::Greedy => Some(first_best(logits)),
            Self::Sampled { temperature, top_p, stream } => {
                // 53 bits make every value in [0, 1) that an f64 tells apart at this scale.
                let draw = (stream.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
                Some(nucleus(logits, *temperature, *top_p, draw))
            }
        }
    }
}

/// The logits of the tokens that a mask allows; the others get no weight at all.
fn only(logits: &[f32], mask: &SimpleVob) -> Vec<f32> {
    let mut masked = vec![f32::NEG_INFINITY; logits.len()];
    mask.iter_set_entries(|token| {
        if let Some(&logit) = logits.get(token) {
            masked[token] = logit;
        }
    });
    masked
}

/// The token at `draw` (in 0..1) of the smallest set of most likely tokens that holds `top_p` of the distribution.
fn nucleus(logits: &[f32], temperature: f64, top_p: f64, draw: f64) -> u32 {
    let max = f64::from(logits[first_best(logits) as usize]);
    let weight = |&logit: &f32| ((f64::from(logit) - max) / temperature).exp();
    let mut tokens: Vec<(f64, u32)> = logits.iter().map(weight).zip(0..).collect();
    tokens.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let total: f64 = tokens.iter().map(|token| token.0).sum();
    let mut kept = 0.0;
    let count = tokens.iter().position(|token| {
        kept += token.0;
        kept >= top_p * total
    });
    tokens.truncate(count.map_or(tokens.len(), |last| last + 1));
    let mut left = draw * tokens.iter().map(|token| token.0).sum::<f64>();
    for &(weight, token) in &tokens {
        if left < weight {
            return token;
        }
        left -= weight;
    }
    tokens.last().map_or(0, |token| token.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_distribution_and_top_p_cuts_its_tail() {
        let logits = [0.5_f32.ln(), 0.3_f32.ln(), 0.2_f32.ln()];
        let count = |top_p: f64, id: u32| {
            let draws = (0..1_000).map(|i| (f64::from(i) + 0.5) / 1_000.0);
            draws.filter(|&draw| nucleus(&logits, 1.0, top_p, draw) == id).count()
        };
        assert_eq!([count(1.0, 0), count(1.0, 1), count(1.0, 2)], [500, 300, 200]);
        assert_eq!(count(0.7, 2), 0, "the first two hold 80 %");
        assert_eq!(count(0.01, 0), 1_000, "one token always stays");
    }

    #[test]
    fn a_seed_fixes_the_stream_and_greedy_takes_the_first_of_equals() {
        let generation =
            |temperature, seed| Generation { max_tokens: 1, stop: vec![], temperature, top_p: 1.0, seed, constraint: None };
        let logits: Vec<f32> = (0..50).map(|i| (i % 7) as f32).collect();
        let draw = |seed| {
            let mut chooser = Chooser::new(&generation(1.5, seed));
            (0..20).map(|_| chooser.next(&logits, None)).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        assert_eq!(Chooser::new(&generation(0.0, 1)).next(&logits, None), Some(6));
        assert_eq!(Chooser::new(&generation(0.0, 1)).next(&[0.0, f32::NAN], None), None);
    }

    #[test]
    fn what_a_mask_leaves_out_is_never_chosen_and_the_rest_keeps_its_proportions() {
        let logits = [0.5_f32.ln(), 0.3_f32.ln(), 0.2_f32.ln()];
        let mask = SimpleVob::from_slice(&[false, true, true]);
        let left = only(&logits, &mask);
        let draws = (0..1_000).map(|i| (f64::from(i) + 0.5) / 1_000.0);
        let count = draws.filter(|&draw| nucleus(&left, 1.0, 1.0, draw) == 1).count();
        assert_eq!(count, 600, "0.3 of 0.5");
        assert!((0..1_000).all(|i| nucleus(&left, 1e-3, 1.0, f64::from(i) / 1_000.0) != 0));
        let mut greedy = Chooser::Greedy;
        assert_eq!(greedy.next(&logits, Some(&mask)), Some(1));
        assert_eq!(greedy.next(&[3.0, -2.0, -1.0], Some(&mask)), Some(2));
    }
}
