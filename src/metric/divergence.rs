//! Full-vocabulary divergence of a variant from the canary, token by token.

use pulp::Arch;
use rayon::prelude::*;

use super::rows::{Beside, beside};
use crate::domain::{TokenDivergence, TokenShape};

/// Natural log-probabilities of one document, row-major: `rows[i * vocabulary + id]` predicts `tokens[i]`.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The tokens that the document has.
    pub tokens: &'a [u32],
    /// One row of `vocabulary` log-probabilities a token.
    pub rows: &'a [f32],
    /// Length of a row.
    pub vocabulary: usize,
}

/// Two documents that can't be laid side by side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DivergenceError {
    /// The tokens differ: another tokenizer.
    #[error("the variant reads the document as other tokens than the canary (first difference at token {0})")]
    Tokens(usize),
    /// The rows differ in length: another vocabulary.
    #[error("the variant's vocabulary has {1} tokens, the canary's {0}")]
    Vocabulary(usize, usize),
}

impl DivergenceError {
    /// The same of a passage that begins behind so many tokens of its document.
    #[must_use]
    pub fn behind(self, tokens: usize) -> Self {
        match self {
            Self::Tokens(at) => Self::Tokens(at + tokens),
            Self::Vocabulary(canary, variant) => Self::Vocabulary(canary, variant),
        }
    }
}

/// −ln p of each token under the variant (nats) and the per-token divergence from the canary, as llama.cpp's
/// perplexity tool defines it: KLD = Σ p (ln p − ln q) with p the canary's, over the whole vocabulary and without its
/// cut-off at e⁻¹⁶; Δp of the document's token; same top token, where the first of equals wins. Beside them what the
/// distributions look like: how many of the five likeliest tokens they share, their entropies, how likely their likeliest
/// token is and whether the document has it.
///
/// # Errors
/// Where the tokens or the vocabularies differ.
pub fn divergence(canary: Rows<'_>, variant: Rows<'_>) -> Result<(Vec<f64>, TokenDivergence), DivergenceError> {
    if canary.vocabulary != variant.vocabulary {
        return Err(DivergenceError::Vocabulary(canary.vocabulary, variant.vocabulary));
    }
    if canary.tokens != variant.tokens {
        let same = canary.tokens.iter().zip(variant.tokens).take_while(|(a, b)| a == b).count();
        return Err(DivergenceError::Tokens(same));
    }
    let arch = Arch::new();
    let mut nll = Vec::with_capacity(canary.tokens.len());
    let mut against = TokenDivergence::default();
    let mut shape = TokenShape::default();
    let length = canary.vocabulary.max(1);
    let pairs = canary.rows.par_chunks_exact(length).zip(variant.rows.par_chunks_exact(length));
    let read: Vec<([f32; 2], Beside)> =
        pairs.zip(canary.tokens).map(|((p, q), &token)| ([p[token as usize], q[token as usize]], beside(arch, p, q))).collect();
    for ((own, told), &token) in read.into_iter().zip(canary.tokens) {
        let [ln_p, ln_q] = own.map(f64::from);
        let [p_best, q_best] = told.best;
        nll.push(-ln_q);
        against.canary_nll.push(-ln_p);
        against.kld.push(told.kld);
        against.delta_p.push(ln_q.exp() - ln_p.exp());
        against.same_top.push(p_best.ids[0] == q_best.ids[0]);
        shape.top5.push(p_best.shared(&q_best));
        for (side, best, entropy) in [(&mut shape.canary, p_best, told.entropy[0]), (&mut shape.variant, q_best, told.entropy[1])]
        {
            side.entropy.push(entropy as f32);
            side.confidence.push(best.values[0].exp());
            side.right.push(best.ids[0] == token);
        }
    }
    against.shape = Some(Box::new(shape));
    Ok((nll, against))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_of_two_known_distributions_is_the_textbook_value() {
        let (p, q) = ([0.5_f32.ln(), 0.25_f32.ln(), 0.25_f32.ln()], [0.25_f32.ln(), 0.5_f32.ln(), 0.25_f32.ln()]);
        let rows = |rows| Rows { tokens: &[1], rows, vocabulary: 3 };
        let (nll, against) = divergence(rows(&p), rows(&q)).expect("the shapes agree");
        assert!((nll[0] - 2.0_f64.ln()).abs() < 1e-6);
        assert!((against.kld[0] - 0.25 * 2.0_f64.ln()).abs() < 1e-6, "½ ln 2 − ¼ ln 2, got {}", against.kld[0]);
        assert!((against.delta_p[0] - 0.25).abs() < 1e-6);
        assert_eq!(against.same_top, [false]);
        let shape = against.shape.expect("it is looked at");
        assert!((f64::from(shape.canary.entropy[0]) - 1.5 * 2.0_f64.ln()).abs() < 1e-6, "½ ln 2 + 2 · ¼ ln 4");
        assert!((shape.canary.confidence[0] - 0.5).abs() < 1e-6 && shape.top5 == [5]);
        assert_eq!((shape.canary.right, shape.variant.right), (vec![false], vec![true]));
    }

    #[test]
    fn another_tokenization_is_refused_with_its_first_difference() {
        let one = Rows { tokens: &[1, 2], rows: &[0.0; 6], vocabulary: 3 };
        let other = Rows { tokens: &[1, 0], ..one };
        assert_eq!(divergence(one, other), Err(DivergenceError::Tokens(1)));
        assert_eq!(DivergenceError::Tokens(1).behind(8), DivergenceError::Tokens(9));
    }
}
