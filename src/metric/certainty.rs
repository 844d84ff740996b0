//! How certain two subjects are of a text's tokens, whether they are right to be, and where they lie apart.

use super::likelihood::{DocumentTokens, spread};
use crate::domain::{Certainty, TokenShape};
use crate::stats::{ClusterMean, Interval};

/// Confidence of the interval that is shown.
const SHOWN: f64 = 0.95;
/// How many of the likeliest tokens are compared.
const LIKELY: f64 = 5.0;
/// Bins of equal width of the calibration error.
const BINS: usize = 15;
/// Edges of the canary's confidence by which divergences are told apart.
const EDGES: [f64; 6] = [0.0, 0.25, 0.5, 0.75, 0.95, 1.0];

/// One subject's certainty over all tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calibration {
    /// Mean entropy of its distributions (nats).
    pub entropy: f64,
    /// Mean probability of its likeliest token.
    pub confidence: f64,
    /// Share of tokens that its likeliest token is.
    pub right: f64,
    /// Expected calibration error: Σ n/N · |share right − mean confidence| over 15 bins of equal width (Guo et al. 2017).
    pub error: f64,
}

/// The tokens of which the canary is about equally certain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The least probability of the canary's likeliest token; included.
    pub from: f64,
    /// The most; included in the last bucket alone.
    pub to: f64,
    /// Share of all tokens.
    pub share: f64,
    /// Their mean divergence (nats); none where there are none.
    pub kld: Option<f64>,
    /// The share of them for which both rank the same token first; none where there are none.
    pub same_top: Option<f64>,
}

/// One document by itself: means over its tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneDocument {
    /// Its place among the documents that were compared.
    pub document: usize,
    /// Number of its tokens; at least 1.
    pub tokens: usize,
    /// Mean of variant less canary −ln p (nats).
    pub ln_ratio: f64,
    /// Mean divergence (nats).
    pub kld: f64,
    /// Mean Δp.
    pub delta_p: f64,
    /// Share of tokens with the same top token.
    pub same_top: f64,
    /// Mean share of the canary's five likeliest tokens among the variant's.
    pub top5: f64,
    /// Mean entropies (nats), the canary's and the variant's.
    pub entropy: [f64; 2],
    /// Mean confidence less the share right, the canary's and the variant's: above 0 where it is too certain.
    pub overconfidence: [f64; 2],
}

/// What the distributions look like, over all tokens and by document.
#[derive(Clone, Debug, PartialEq)]
pub struct Looks {
    /// Mean share of the canary's five likeliest tokens among the variant's, with its clustered 95 % interval.
    pub top5: Option<Interval>,
    /// That mean.
    pub top5_share: f64,
    /// How certain the canary is.
    pub canary: Calibration,
    /// How certain the variant is.
    pub variant: Calibration,
    /// Divergence by the canary's confidence.
    pub buckets: Vec<Bucket>,
    /// Every document that has tokens.
    pub documents: Vec<OneDocument>,
    top5_spread: Option<ClusterMean>,
}

impl Looks {
    /// The mean share of the five likeliest tokens that both have, with its document-clustered interval of some two-sided
    /// confidence, never narrower than what as many documents without an exception allow; none for fewer than two documents.
    #[must_use]
    pub fn top5_at(&self, confidence: f64) -> Option<Interval> {
        self.top5_spread?.share(confidence)
    }
}

/// Looks at documents; none unless each tells of its tokens.
pub(super) fn looks(documents: &[DocumentTokens<'_>]) -> Option<Looks> {
    let told = documents.iter().map(|document| Some((document.divergence?, document.shape?)));
    let all: Vec<Told<'_>> = told.collect::<Option<_>>()?;
    let (mut shares, mut owners) = (Vec::new(), Vec::new());
    for (index, (_, shape)) in all.iter().enumerate() {
        shares.extend(shape.top5.iter().map(|&of| f64::from(of) / LIKELY));
        owners.resize(shares.len(), index);
    }
    let top5_spread = spread(&shares, &owners);
    let shapes = || all.iter().map(|(_, shape)| *shape);
    let one = |(index, document): (usize, &DocumentTokens<'_>)| one_document(index, document);
    Some(Looks {
        top5: top5_spread.and_then(|of| of.share(SHOWN)),
        top5_share: mean(shares.iter().copied()),
        canary: calibration(shapes().map(|shape| &shape.canary)),
        variant: calibration(shapes().map(|shape| &shape.variant)),
        buckets: buckets(&all),
        documents: documents.iter().enumerate().filter_map(one).collect(),
        top5_spread,
    })
}

fn calibration<'a>(sides: impl Iterator<Item = &'a Certainty>) -> Calibration {
    let (mut sums, mut bins, mut count) = (Calibration::default(), [(0.0, 0.0); BINS], 0.0);
    for side in sides {
        for ((&entropy, &confidence), &right) in side.entropy.iter().zip(&side.confidence).zip(&side.right) {
            let (confidence, right) = (f64::from(confidence), f64::from(u8::from(right)));
            sums.entropy += f64::from(entropy);
            sums.confidence += confidence;
            sums.right += right;
            let (sure, hit) = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
            (*sure, *hit, count) = (*sure + confidence, *hit + right, count + 1.0);
        }
    }
    let error = bins.iter().map(|(sure, hit)| (hit - sure).abs()).sum::<f64>();
    let Calibration { entropy, confidence, right, .. } = sums;
    Calibration { entropy: entropy / count, confidence: confidence / count, right: right / count, error: error / count }
}

type Told<'a> = ((&'a [f64], &'a [f64], &'a [bool]), &'a TokenShape);

fn buckets(all: &[Told<'_>]) -> Vec<Bucket> {
    let mut sums = [(0.0, 0.0, 0.0); EDGES.len() - 1];
    for ((kld, _, same_top), shape) in all {
        for ((&confidence, kld), &same) in shape.canary.confidence.iter().zip(*kld).zip(*same_top) {
            let at = EDGES[1..EDGES.len() - 1].partition_point(|&edge| edge <= f64::from(confidence));
            let (count, diverged, agreed) = &mut sums[at];
            (*count, *diverged, *agreed) = (*count + 1.0, *diverged + kld, *agreed + f64::from(u8::from(same)));
        }
    }
    let tokens: f64 = sums.iter().map(|(count, ..)| count).sum();
    let bucket = |((count, kld, same), edges): (&(f64, f64, f64), &[f64])| {
        let per = |sum: f64| (*count > 0.0).then(|| sum / count);
        Bucket { from: edges[0], to: edges[1], share: count / tokens, kld: per(*kld), same_top: per(*same) }
    };
    sums.iter().zip(EDGES.windows(2)).map(bucket).collect()
}

fn one_document(document: usize, of: &DocumentTokens<'_>) -> Option<OneDocument> {
    let ((kld, delta_p, same_top), shape) = (of.divergence?, of.shape?);
    if kld.is_empty() {
        return None;
    }
    let share = |flags: &[bool]| mean(flags.iter().map(|&flag| f64::from(u8::from(flag))));
    let wide = |values: &[f32]| mean(values.iter().map(|&value| f64::from(value)));
    let sides = [&shape.canary, &shape.variant];
    Some(OneDocument {
        document,
        tokens: kld.len(),
        ln_ratio: mean(of.variant_nll.iter().zip(of.canary_nll).map(|(q, p)| q - p)),
        kld: mean(kld.iter().copied()),
        delta_p: mean(delta_p.iter().copied()),
        same_top: share(same_top),
        top5: mean(shape.top5.iter().map(|&of| f64::from(of) / LIKELY)),
        entropy: sides.map(|side| wide(&side.entropy)),
        overconfidence: sides.map(|side| wide(&side.confidence) - share(&side.right)),
    })
}

/// The arithmetic mean of what isn't empty.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> TokenShape {
        let side = |confidence: [f32; 4]| Certainty {
            entropy: vec![1.0, 2.0, 0.5, 0.5],
            confidence: confidence.to_vec(),
            right: vec![true, false, true, true],
        };
        TokenShape { top5: vec![5, 4, 0, 5], canary: side([0.9, 0.9, 0.3, 1.0]), variant: side([0.5, 0.5, 0.5, 0.5]) }
    }

    #[test]
    fn calibration_buckets_and_documents_are_what_hand_computation_gives() {
        let shape = shape();
        let document = DocumentTokens {
            canary_nll: &[0.1, 0.2, 0.3, 0.4],
            variant_nll: &[0.2, 0.2, 0.3, 0.5],
            divergence: Some((&[0.1, 0.3, 0.4, 0.0], &[0.0; 4], &[true, false, true, true])),
            shape: Some(&shape),
            likeliest: None,
        };
        let told = looks(&[document.clone(), document.clone()]).expect("it tells of its tokens");
        assert!((told.top5_share - 0.7).abs() < 1e-12);
        // Bins: 0.9 with 1 of 2 right, 0.3 with 1 of 1, 1.0 with 1 of 1: (|1 − 1.8| + |1 − 0.3| + 0) / 4.
        assert!((told.canary.error - 0.375).abs() < 1e-6, "{}", told.canary.error);
        assert!((told.variant.error - 0.25).abs() < 1e-6 && (told.variant.right - 0.75).abs() < 1e-12);
        assert!((told.canary.entropy - 1.0).abs() < 1e-6);
        let shares: Vec<f64> = told.buckets.iter().map(|bucket| bucket.share).collect();
        assert_eq!(shares, [0.0, 0.25, 0.0, 0.5, 0.25]);
        assert_eq!(told.buckets[0].kld, None);
        assert!(told.buckets[3].kld.is_some_and(|kld| (kld - 0.2).abs() < 1e-12));
        assert!(told.buckets[3].same_top.is_some_and(|same| (same - 0.5).abs() < 1e-12));
        let one = told.documents[1];
        assert_eq!((one.document, one.tokens), (1, 4));
        assert!((one.ln_ratio - 0.05).abs() < 1e-12 && (one.kld - 0.2).abs() < 1e-12 && (one.top5 - 0.7).abs() < 1e-12);
        assert!((one.overconfidence[0] - 0.025).abs() < 1e-6 && (one.overconfidence[1] + 0.25).abs() < 1e-6);
        let without = DocumentTokens { shape: None, ..document.clone() };
        assert!(looks(&[document, without]).is_none(), "a journal of another version says nothing");
    }
}
