//! Perplexity tasks from comparisons to the report's model.

use std::collections::BTreeMap;

use super::model::{
    BoundResult, BucketResult, CalibrationResult, DisplacementResult, DistributionResult, DocumentResult, LooksResult,
};
use crate::analysis::{Bucket, Calibration, Displacement, DistributionComparison, KldBound, Looks, OneDocument, Quantiles};
use crate::domain::SampleId;

impl From<&DistributionComparison> for DistributionResult {
    fn from(distribution: &DistributionComparison) -> Self {
        let likelihood = distribution.likelihood.as_ref();
        Self {
            task: distribution.task.clone(),
            documents: distribution.documents - distribution.missing,
            missing: distribution.missing,
            tokens: likelihood.map_or(0, |l| l.tokens),
            canary_perplexity: likelihood.map(|l| l.canary_perplexity),
            variant_perplexity: likelihood.map(|l| l.variant_perplexity),
            ln_ratio: likelihood.map(|l| l.ln_ratio),
            ln_ratio_interval: likelihood.and_then(|l| l.ln_ratio_interval),
            displacement: likelihood.and_then(|l| l.displacement.as_ref()).map(|moved| DisplacementResult {
                looks: moved.looks.as_ref().map(|looks| looks_of(looks, &distribution.compared)),
                ..DisplacementResult::from(moved)
            }),
            kld_bound: likelihood.and_then(|l| l.bound.as_ref()).map(BoundResult::from),
        }
    }
}

impl From<&Displacement> for DisplacementResult {
    fn from(moved: &Displacement) -> Self {
        Self {
            kld_mean: moved.kld_mean,
            kld_interval: moved.kld,
            kld: by_name(&moved.quantiles),
            delta_p_mean: moved.delta_p_mean,
            delta_p_rms: moved.delta_p_rms,
            same_top: moved.same_top_share,
            same_top_interval: moved.same_top,
            histogram: moved.histogram.iter().map(|bin| (bin.from, bin.to, bin.share)).collect(),
            looks: None,
        }
    }
}

impl From<&KldBound> for BoundResult {
    fn from(bound: &KldBound) -> Self {
        Self { k: bound.k, mean: bound.mean, interval: bound.interval, quantiles: by_name(&bound.quantiles) }
    }
}

fn by_name(q: &Quantiles) -> BTreeMap<&'static str, f64> {
    let names = ["min", "median", "p90", "p95", "p99", "p999", "max"];
    names.into_iter().zip([q.min, q.median, q.p90, q.p95, q.p99, q.p999, q.max]).collect()
}

/// What distributions look like, with the names of the documents.
fn looks_of(looks: &Looks, compared: &[SampleId]) -> LooksResult {
    let document = |one: &OneDocument| {
        Some(DocumentResult {
            id: compared.get(one.document)?.clone(),
            tokens: one.tokens,
            ln_ratio: one.ln_ratio,
            kld_mean: one.kld,
            delta_p_mean: one.delta_p,
            same_top: one.same_top,
            top5: one.top5,
            entropy: one.entropy,
            overconfidence: one.overconfidence,
        })
    };
    LooksResult {
        top5: looks.top5_share,
        top5_interval: looks.top5,
        canary: looks.canary.into(),
        variant: looks.variant.into(),
        buckets: looks.buckets.iter().map(|bucket| BucketResult::from(*bucket)).collect(),
        documents: looks.documents.iter().filter_map(document).collect(),
    }
}

impl From<Calibration> for CalibrationResult {
    fn from(Calibration { entropy, confidence, right, error }: Calibration) -> Self {
        Self { entropy, confidence, right, calibration_error: error }
    }
}

impl From<Bucket> for BucketResult {
    fn from(Bucket { from, to, share, kld, same_top }: Bucket) -> Self {
        Self { from, to, share, kld_mean: kld, same_top }
    }
}
