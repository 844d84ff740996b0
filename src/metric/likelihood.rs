//! Documents under two models: perplexities, their ratio and how far the distributions moved apart.

use super::certainty::{Looks, looks};
use super::{KldBound, Likeliest};
use crate::domain::TokenShape;
use crate::stats::{self, ClusterMean, Interval};

/// Confidence of the intervals that are shown.
const SHOWN: f64 = 0.95;
/// The histogram's range: 10⁻⁶ to 10² nats, four bins a decade, plus one bin below and one above.
const DECADES: (i32, i32) = (-6, 2);
const BINS_PER_DECADE: i32 = 4;

/// One document's tokens under the canary and a variant; lists of equal length.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentTokens<'a> {
    /// The canary's −ln p of each token (nats).
    pub canary_nll: &'a [f64],
    /// The variant's −ln p of each token (nats).
    pub variant_nll: &'a [f64],
    /// Divergence, Δp and same-top flags of each token, where the engine shows full distributions.
    pub divergence: Option<(&'a [f64], &'a [f64], &'a [bool])>,
    /// What the distributions look like, where the engine shows them in full and a journal tells.
    pub shape: Option<&'a TokenShape>,
    /// What the likeliest tokens say of the divergence, where both engines tell them and neither shows full distributions.
    pub likeliest: Option<Likeliest>,
}

/// Order statistics, type 7 (linear interpolation).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    /// The smallest.
    pub min: f64,
    /// The median.
    pub median: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile.
    pub p999: f64,
    /// The largest.
    pub max: f64,
}

/// A bin of the histogram of per-token divergence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistogramBin {
    /// Lower edge (nats); 0 in the first.
    pub from: f64,
    /// Upper edge (nats); infinite in the last.
    pub to: f64,
    /// Share of tokens, in 0..=1.
    pub share: f64,
}

/// How far a variant's distributions lie from the canary's, in the form of llama.cpp's perplexity tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Displacement {
    /// Mean divergence per token (nats) with its document-clustered 95 % interval; none for fewer than two documents.
    pub kld: Option<Interval>,
    /// Mean divergence per token (nats).
    pub kld_mean: f64,
    /// Its spread over tokens (nats).
    pub quantiles: Quantiles,
    /// Mean Δp of the documents' tokens.
    pub delta_p_mean: f64,
    /// Root of the mean squared Δp.
    pub delta_p_rms: f64,
    /// Share of tokens for which both rank the same token first, with its clustered 95 % interval, that of
    /// [`Displacement::same_top_at`].
    pub same_top: Option<Interval>,
    /// Share of tokens for which both rank the same token first.
    pub same_top_share: f64,
    /// Per-token divergence in logarithmic bins.
    pub histogram: Vec<HistogramBin>,
    /// What the distributions look like; none where the journal doesn't tell.
    pub looks: Option<Looks>,
    /// Each token's divergence and the index of its document.
    tokens: Vec<(f64, usize)>,
    /// The mean divergence over documents.
    kld_spread: Option<ClusterMean>,
    /// The share of same top tokens over documents.
    same_top_spread: Option<ClusterMean>,
}

impl Displacement {
    /// The mean divergence per token (nats) with its document-clustered interval of some two-sided confidence; none for
    /// fewer than two documents.
    #[must_use]
    pub fn kld_at(&self, confidence: f64) -> Option<Interval> {
        self.kld_spread?.interval(confidence)
    }

    /// The sum of the divergences (nats) and the number of the tokens of each document that has any, in their order.
    #[must_use]
    pub fn kld_by_document(&self) -> Vec<(f64, f64)> {
        let last = self.tokens.iter().map(|(_, document)| *document).max();
        let mut sums = vec![(0.0, 0.0); last.map_or(0, |last| last + 1)];
        for &(kld, document) in &self.tokens {
            let (sum, tokens) = &mut sums[document];
            (*sum, *tokens) = (*sum + kld, *tokens + 1.0);
        }
        sums.retain(|(_, tokens)| *tokens > 0.0);
        sums
    }

    /// The share of tokens for which both rank the same token first, with its document-clustered interval, which is never
    /// narrower than what as many documents without an exception allow; none for fewer than two documents.
    #[must_use]
    pub fn same_top_at(&self, confidence: f64) -> Option<Interval> {
        self.same_top_spread?.share(confidence)
    }

    /// The share of tokens whose divergence is over a threshold (nats), with its document-clustered interval, which is never
    /// narrower than what as many documents without such a token allow; none for fewer than two documents. A quantile is
    /// below the threshold exactly where this share is small enough.
    #[must_use]
    pub fn share_over(&self, threshold: f64, confidence: f64) -> Option<Interval> {
        let (over, documents): (Vec<f64>, Vec<usize>) =
            self.tokens.iter().map(|&(kld, document)| (if kld > threshold { 1.0 } else { 0.0 }, document)).unzip();
        spread(&over, &documents)?.share(confidence)
    }
}

/// Perplexities of two subjects on the same tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Likelihood {
    /// Documents compared.
    pub documents: usize,
    /// Tokens compared.
    pub tokens: usize,
    /// exp of the canary's mean −ln p.
    pub canary_perplexity: f64,
    /// exp of the variant's mean −ln p.
    pub variant_perplexity: f64,
    /// Mean of variant less canary −ln p: the logarithm of the perplexity ratio.
    pub ln_ratio: f64,
    /// The same with its document-clustered (CR2, t) 95 % interval; none for fewer than two documents.
    pub ln_ratio_interval: Option<Interval>,
    /// How far the distributions moved apart; none where the engine doesn't show them.
    pub displacement: Option<Displacement>,
    /// A lower bound of that, where the likeliest tokens are known alone.
    pub bound: Option<KldBound>,
    /// The logarithm of the perplexity ratio over documents.
    ln_ratio_spread: Option<ClusterMean>,
}

impl Likelihood {
    /// The ratio of the perplexities, variant over canary, with its 95 % interval.
    #[must_use]
    pub fn ratio(&self) -> Option<Interval> {
        self.ratio_at(SHOWN)
    }

    /// The same with its interval of some two-sided confidence.
    #[must_use]
    pub fn ratio_at(&self, confidence: f64) -> Option<Interval> {
        let i = self.ln_ratio_spread?.interval(confidence)?;
        Some(Interval { estimate: i.estimate.exp(), lower: i.lower.exp(), upper: i.upper.exp() })
    }
}

/// Reduces documents to one comparison; none where they have no token.
#[must_use]
pub fn likelihood(documents: &[DocumentTokens<'_>]) -> Option<Likelihood> {
    let mut columns = Columns::default();
    for (index, document) in documents.iter().enumerate() {
        columns.push(index, document);
    }
    let tokens = columns.difference.len();
    if tokens == 0 {
        return None;
    }
    let (complete, bounded) = (columns.kld.len() == tokens, columns.bounds.len() == tokens);
    let ln_ratio_spread = spread(&columns.difference, &columns.document);
    Some(Likelihood {
        documents: documents.len(),
        tokens,
        canary_perplexity: (columns.canary / tokens as f64).exp(),
        variant_perplexity: (columns.variant / tokens as f64).exp(),
        ln_ratio: mean(&columns.difference),
        ln_ratio_interval: ln_ratio_spread.and_then(|of| of.interval(SHOWN)),
        displacement: complete.then(|| Displacement { looks: looks(documents), ..columns.displacement() }),
        bound: if bounded { KldBound::of(&columns.bounds, &columns.document, columns.k) } else { None },
        ln_ratio_spread,
    })
}

/// The documents' tokens laid end to end.
#[derive(Default)]
struct Columns {
    document: Vec<usize>,
    canary: f64,
    variant: f64,
    difference: Vec<f64>,
    kld: Vec<f64>,
    delta_p: Vec<f64>,
    same_top: Vec<f64>,
    bounds: Vec<f64>,
    k: usize,
}

impl Columns {
    fn push(&mut self, index: usize, tokens: &DocumentTokens<'_>) {
        for (&canary, &variant) in tokens.canary_nll.iter().zip(tokens.variant_nll) {
            self.document.push(index);
            self.canary += canary;
            self.variant += variant;
            self.difference.push(variant - canary);
        }
        if let Some((kld, delta_p, same_top)) = tokens.divergence {
            self.kld.extend_from_slice(kld);
            self.delta_p.extend_from_slice(delta_p);
            self.same_top.extend(same_top.iter().map(|&same| if same { 1.0 } else { 0.0 }));
        }
        if let Some(likeliest) = &tokens.likeliest {
            self.k = if self.bounds.is_empty() { likeliest.k } else { self.k.min(likeliest.k) };
            self.bounds.extend_from_slice(&likeliest.bounds);
        }
    }

    fn displacement(&self) -> Displacement {
        let squares: Vec<f64> = self.delta_p.iter().map(|d| d * d).collect();
        let kld_spread = spread(&self.kld, &self.document);
        let same_top_spread = spread(&self.same_top, &self.document);
        Displacement {
            kld: kld_spread.and_then(|of| of.interval(SHOWN)),
            kld_mean: mean(&self.kld),
            quantiles: quantiles(&self.kld),
            delta_p_mean: mean(&self.delta_p),
            delta_p_rms: mean(&squares).sqrt(),
            same_top: same_top_spread.and_then(|of| of.share(SHOWN)),
            same_top_share: mean(&self.same_top),
            histogram: histogram(&self.kld),
            looks: None,
            tokens: self.kld.iter().copied().zip(self.document.iter().copied()).collect(),
            kld_spread,
            same_top_spread,
        }
    }
}

/// The mean and its spread over documents.
pub(super) fn spread(values: &[f64], documents: &[usize]) -> Option<ClusterMean> {
    stats::cluster_mean(values, documents, SHOWN)
}

/// The arithmetic mean of a list that isn't empty.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The order statistics of a list that isn't empty.
pub(super) fn quantiles(values: &[f64]) -> Quantiles {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |q: f64| stats::quantile(&sorted, q).expect("there is a value for each token");
    Quantiles {
        min: sorted[0],
        median: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: sorted[sorted.len() - 1],
    }
}

/// Shares of values by logarithmic bin, the first from 0 (rounding below 0 included), the last without an end.
fn histogram(values: &[f64]) -> Vec<HistogramBin> {
    let steps = (DECADES.1 - DECADES.0) * BINS_PER_DECADE;
    let edge = |i: i32| 10.0_f64.powf(f64::from(DECADES.0) + f64::from(i) / f64::from(BINS_PER_DECADE));
    let edges: Vec<f64> = (0..=steps).map(edge).collect();
    let mut counts = vec![0_usize; edges.len() + 1];
    for value in values {
        counts[edges.partition_point(|e| e <= value)] += 1;
    }
    let from = std::iter::once(0.0).chain(edges.iter().copied());
    let to = edges.iter().copied().chain(std::iter::once(f64::INFINITY));
    let share = counts.iter().map(|&c| c as f64 / values.len() as f64);
    from.zip(to).zip(share).map(|((from, to), share)| HistogramBin { from, to, share }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document<'a>(canary_nll: &'a [f64], variant_nll: &'a [f64], kld: &'a [f64]) -> DocumentTokens<'a> {
        DocumentTokens {
            canary_nll,
            variant_nll,
            divergence: Some((kld, &[0.0, -0.1], &[true, false])),
            shape: None,
            likeliest: None,
        }
    }

    #[test]
    fn the_ratio_of_perplexities_is_the_exponential_of_the_mean_difference() {
        let documents = [document(&[1.0, 2.0], &[1.5, 2.5], &[0.1, 0.2]), document(&[0.5, 0.5], &[0.7, 1.3], &[0.0, 5.0])];
        let both = likelihood(&documents).expect("there are tokens");
        assert!((both.variant_perplexity / both.canary_perplexity - both.ln_ratio.exp()).abs() < 1e-12);
        let moved = both.displacement.expect("every document has its divergence");
        assert!((moved.same_top_share - 0.5).abs() < 1e-12);
        assert!((moved.histogram.iter().map(|bin| bin.share).sum::<f64>() - 1.0).abs() < 1e-12, "every token is in a bin");
        assert!((moved.quantiles.max - 5.0).abs() < 1e-12);
    }

    #[test]
    fn one_document_has_a_ratio_but_no_interval() {
        let one = likelihood(&[document(&[1.0, 2.0], &[1.5, 2.5], &[0.1, 0.2])]).expect("there are tokens");
        assert!(one.ln_ratio_interval.is_none() && one.ln_ratio.is_finite());
    }

    #[test]
    fn a_share_that_no_token_speaks_against_still_has_an_interval() {
        let two = [document(&[1.0, 2.0], &[1.5, 2.5], &[0.1, 0.2]), document(&[1.0, 2.0], &[1.5, 2.5], &[0.1, 0.2])];
        let moved = likelihood(&two).and_then(|both| both.displacement).expect("every document has its divergence");
        let none = moved.share_over(1.0, 0.9).expect("there are two documents");
        assert!(none.estimate == 0.0 && (none.upper - (1.0 - 0.05_f64.sqrt())).abs() < 1e-12, "{none:?}");
        let all = moved.share_over(0.0, 0.9).expect("there are two documents");
        assert!((all.upper - 1.0).abs() < 1e-12 && (all.lower - 0.05_f64.sqrt()).abs() < 1e-12, "{all:?}");
        assert!(moved.share_over(1.0, 0.98).expect("there are two documents").upper > none.upper, "the level decides");
    }

    #[test]
    fn no_token_gives_no_comparison() {
        assert!(likelihood(&[]).is_none());
    }
}
