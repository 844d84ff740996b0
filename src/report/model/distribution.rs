//! Perplexity tasks as reports show them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{SampleId, TaskName};
use crate::stats::Interval;

/// A variant against the canary on one perplexity task.
#[derive(Clone, Debug, Serialize)]
pub struct DistributionResult {
    /// The task.
    pub task: TaskName,
    /// Documents compared.
    pub documents: usize,
    /// Documents that could not be compared.
    pub missing: usize,
    /// Tokens compared.
    pub tokens: usize,
    /// The canary's perplexity.
    pub canary_perplexity: Option<f64>,
    /// The variant's perplexity.
    pub variant_perplexity: Option<f64>,
    /// The logarithm of their ratio, variant over canary.
    pub ln_ratio: Option<f64>,
    /// That with its document-clustered 95 % interval.
    pub ln_ratio_interval: Option<Interval>,
    /// How far the distributions moved apart.
    pub displacement: Option<DisplacementResult>,
    /// A lower bound of that, where the likeliest tokens are known alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kld_bound: Option<BoundResult>,
}

/// A lower bound of the divergence per token, from the likeliest tokens alone.
#[derive(Clone, Debug, Serialize)]
pub struct BoundResult {
    /// Fewest tokens that either side told at a place.
    pub k: usize,
    /// Its mean (nats).
    pub mean: f64,
    /// That with its document-clustered 95 % interval.
    pub interval: Option<Interval>,
    /// `min`, `median`, `p90`, `p95`, `p99`, `p999`, `max` (nats).
    pub quantiles: BTreeMap<&'static str, f64>,
}

/// How far the distributions moved apart, per token.
#[derive(Clone, Debug, Serialize)]
pub struct DisplacementResult {
    /// Mean divergence (nats).
    pub kld_mean: f64,
    /// That with its document-clustered 95 % interval.
    pub kld_interval: Option<Interval>,
    /// `min`, `median`, `p90`, `p95`, `p99`, `p999`, `max` (nats).
    pub kld: BTreeMap<&'static str, f64>,
    /// Mean Δp.
    pub delta_p_mean: f64,
    /// Root mean square of Δp.
    pub delta_p_rms: f64,
    /// Share of tokens with the same top token.
    pub same_top: f64,
    /// That with its document-clustered 95 % interval.
    pub same_top_interval: Option<Interval>,
    /// Share of tokens by divergence: from (nats), to (nats; null for no end), share.
    pub histogram: Vec<(f64, f64, f64)>,
    /// What the distributions look like; absent where the run's journal doesn't tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks: Option<LooksResult>,
}

/// What the distributions look like.
#[derive(Clone, Debug, Serialize)]
pub struct LooksResult {
    /// Mean share of the canary's five likeliest tokens among the variant's five likeliest.
    pub top5: f64,
    /// That with its document-clustered 95 % interval.
    pub top5_interval: Option<Interval>,
    /// How certain the canary is.
    pub canary: CalibrationResult,
    /// How certain the variant is.
    pub variant: CalibrationResult,
    /// Divergence by the probability of the canary's likeliest token.
    pub buckets: Vec<BucketResult>,
    /// Every document by itself.
    pub documents: Vec<DocumentResult>,
}

/// How certain a subject is of the tokens, and whether it is right to be.
#[derive(Clone, Debug, Serialize)]
pub struct CalibrationResult {
    /// Mean entropy of its distributions (nats).
    pub entropy: f64,
    /// Mean probability of its likeliest token.
    pub confidence: f64,
    /// Share of tokens that its likeliest token is.
    pub right: f64,
    /// Expected calibration error over 15 bins of equal width.
    pub calibration_error: f64,
}

/// The tokens of which the canary is about equally certain.
#[derive(Clone, Debug, Serialize)]
pub struct BucketResult {
    /// The least probability of its likeliest token.
    pub from: f64,
    /// The most.
    pub to: f64,
    /// Share of all tokens.
    pub share: f64,
    /// Their mean divergence (nats).
    pub kld_mean: Option<f64>,
    /// The share of them with the same top token.
    pub same_top: Option<f64>,
}

/// One document: means over its tokens.
#[derive(Clone, Debug, Serialize)]
pub struct DocumentResult {
    /// Its sample.
    pub id: SampleId,
    /// Number of its tokens.
    pub tokens: usize,
    /// Variant less canary −ln p (nats).
    pub ln_ratio: f64,
    /// Divergence (nats).
    pub kld_mean: f64,
    /// Δp.
    pub delta_p_mean: f64,
    /// Share of tokens with the same top token.
    pub same_top: f64,
    /// Share of the canary's five likeliest tokens among the variant's.
    pub top5: f64,
    /// Entropies (nats), the canary's and the variant's.
    pub entropy: [f64; 2],
    /// Confidence less the share right, the canary's and the variant's.
    pub overconfidence: [f64; 2],
}
