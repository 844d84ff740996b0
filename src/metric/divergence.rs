//! Full-vocabulary divergence of a variant from the canary, token by token.

use crate::domain::TokenDivergence;

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

/// −ln p of each token under the variant (nats) and the per-token divergence from the canary, as llama.cpp's
/// perplexity tool defines it: KLD = Σ p (ln p − ln q) with p the canary's, over the whole vocabulary and without its
/// cut-off at e⁻¹⁶; Δp of the document's token; same top token, where the first of equals wins.
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
    let count = canary.tokens.len();
    let mut nll = Vec::with_capacity(count);
    let mut against = TokenDivergence {
        canary_nll: Vec::with_capacity(count),
        kld: Vec::with_capacity(count),
        delta_p: Vec::with_capacity(count),
        same_top: Vec::with_capacity(count),
    };
    let pairs = canary.rows.chunks_exact(canary.vocabulary).zip(variant.rows.chunks_exact(canary.vocabulary));
    for ((p, q), &token) in pairs.zip(canary.tokens) {
        let (ln_p, ln_q) = (f64::from(p[token as usize]), f64::from(q[token as usize]));
        nll.push(-ln_q);
        against.canary_nll.push(-ln_p);
        against.delta_p.push(ln_q.exp() - ln_p.exp());
        against.same_top.push(top(p) == top(q));
        let terms = p.iter().zip(q).map(|(&p, &q)| (f64::from(p), f64::from(q)));
        against.kld.push(terms.filter(|(p, _)| *p > f64::from(f32::MIN)).map(|(p, q)| p.exp() * (p - q)).sum());
    }
    Ok((nll, against))
}

/// The index of the largest value; the first of equals.
fn top(row: &[f32]) -> usize {
    row.iter().enumerate().fold(0, |best, (i, &x)| if x > row[best] { i } else { best })
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
    }

    #[test]
    fn another_tokenization_is_refused_with_its_first_difference() {
        let one = Rows { tokens: &[1, 2], rows: &[0.0; 6], vocabulary: 3 };
        let other = Rows { tokens: &[1, 0], ..one };
        assert_eq!(divergence(one, other), Err(DivergenceError::Tokens(1)));
    }
}
