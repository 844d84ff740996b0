//! Perplexity tasks as reports show them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::TaskName;
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
}
