//! A model's logits beside log-probabilities from a `_logits_` file, in the operations and the precision of llama.cpp.

use rayon::prelude::*;

use super::Rows;
use crate::domain::TokenDivergence;

/// The natural log-probability down to which a token of the file has a part in the divergence.
const FLOOR: f32 = -16.0;

/// −ln p of each token under the model (nats) and how far it lies from the stored base; `base` holds the file's
/// log-probabilities and `model` logits, for the same tokens of one vocabulary.
///
/// As llama.cpp's perplexity tool computes it, in single precision where it does, so that its numbers come out to the last
/// printed digit: KLD = Σ p (ln p − ln q) over the tokens whose stored ln p is above −16, p as stored and not normalized.
#[must_use]
pub fn stored_divergence(base: Rows<'_>, model: Rows<'_>) -> (Vec<f64>, TokenDivergence) {
    let length = base.vocabulary.max(1);
    let pairs = base.rows.par_chunks_exact(length).zip(model.rows.par_chunks_exact(length)).zip(base.tokens);
    let told: Vec<Token> = pairs.map(|((stored, logits), &token)| Token::of(stored, logits, token as usize)).collect();
    let apart = TokenDivergence {
        canary_nll: told.iter().map(|token| f64::from(token.base_nll)).collect(),
        kld: told.iter().map(|token| token.kld).collect(),
        delta_p: told.iter().map(|token| f64::from((-token.nll).exp() - (-token.base_nll).exp())).collect(),
        same_top: told.iter().map(|token| token.same_top).collect(),
        shape: None,
    };
    (told.iter().map(|token| f64::from(token.nll)).collect(), apart)
}

struct Token {
    nll: f32,
    base_nll: f32,
    kld: f64,
    same_top: bool,
}

impl Token {
    fn of(stored: &[f32], logits: &[f32], token: usize) -> Self {
        let (top, base_top) = (first_best(logits), first_best(stored));
        let most = logits[top];
        let total: f64 = logits.iter().map(|&x| f64::from((x - most).exp())).sum();
        let whole = most + total.ln() as f32;
        let terms = stored.iter().zip(logits).filter(|(ln_p, _)| **ln_p > FLOOR);
        let kld = terms.map(|(&ln_p, &x)| f64::from(ln_p.exp() * (ln_p - x + whole))).sum();
        Self { nll: whole - logits[token], base_nll: -stored[token], kld, same_top: top == base_top }
    }
}

/// The index of the largest value; the first of equals.
fn first_best(row: &[f32]) -> usize {
    row.iter().enumerate().fold(0, |best, (index, &x)| if x > row[best] { index } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::divergence;

    #[test]
    fn beside_exact_log_probabilities_it_is_the_divergence_itself() {
        let logits = |salt: usize| (0..60).map(|i| ((i * 37 + salt) % 23) as f32 * 0.3).collect::<Vec<f32>>();
        let (mut base, model) = (logits(1), logits(8));
        assert!(crate::metric::log_softmax(&mut base, 30));
        let mut normal = model.clone();
        assert!(crate::metric::log_softmax(&mut normal, 30));
        let rows = |rows| Rows { tokens: &[3, 17], rows, vocabulary: 30 };
        let (nll, stored) = stored_divergence(rows(&base), rows(&model));
        let (own, exact) = divergence(rows(&base), rows(&normal)).expect("the shapes agree");
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-6);
        assert!(near(&nll, &own) && near(&stored.kld, &exact.kld) && near(&stored.delta_p, &exact.delta_p));
        assert!(near(&stored.canary_nll, &exact.canary_nll) && stored.same_top == exact.same_top);
    }

    #[test]
    fn what_lies_at_the_floor_has_no_part() {
        let rows = |rows| Rows { tokens: &[0], rows, vocabulary: 2 };
        let (_, told) = stored_divergence(rows(&[-0.5, -16.0]), rows(&[0.0, 0.0]));
        assert!((told.kld[0] - (-0.5_f64).exp() * (2.0_f64.ln() - 0.5)).abs() < 1e-6, "{:?}", told.kld);
    }
}
