//! Perplexity and divergence statistics over tokens as llama.cpp's perplexity tool prints them, and over documents.

use super::cluster::cluster_mean;
use super::distributions::t_of;
use super::solve::{cross_deviation, mean};

/// Values of scored tokens, one list per kind, equally long.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenColumns<'a> {
    /// −ln p of the token under the variant, nats.
    pub nll_variant: &'a [f64],
    /// −ln p of the token under the canary, nats.
    pub nll_canary: &'a [f64],
    /// KL divergence of the variant from the canary, nats.
    pub kld: &'a [f64],
    /// Variant's minus canary's probability of the token, in [−1, 1].
    pub delta_p: &'a [f64],
    /// The document of the token; empty where there are none to tell apart.
    pub documents: &'a [u32],
}

/// The block that llama.cpp prints. Every uncertainty is one standard error *as if tokens were independent*, which
/// they are not: too small. See [`DocumentErrors`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KldStats {
    /// exp of the variant's mean −ln p.
    pub ppl_variant: f64,
    /// Its uncertainty.
    pub ppl_variant_unc: f64,
    /// The canary's.
    pub ppl_canary: f64,
    /// Its uncertainty.
    pub ppl_canary_unc: f64,
    /// ln of the ratio of the perplexities, variant over canary.
    pub log_ppl_ratio: f64,
    /// Its uncertainty, paired.
    pub log_ppl_ratio_unc: f64,
    /// The ratio.
    pub ppl_ratio: f64,
    /// Its uncertainty.
    pub ppl_ratio_unc: f64,
    /// Pearson's correlation of the tokens' −ln p; `None` where one of them does not vary, or for up to 10 tokens.
    pub cor: Option<f64>,
    /// Mean divergence, nats.
    pub mean_kld: f64,
    /// Its uncertainty.
    pub mean_kld_unc: f64,
    /// Mean Δp.
    pub mean_dp: f64,
    /// Its uncertainty.
    pub mean_dp_unc: f64,
    /// Root mean square of Δp.
    pub rms_dp: f64,
    /// Its uncertainty; `None` where the root is 0.
    pub rms_dp_unc: Option<f64>,
    /// The same errors over documents; `None` for fewer than two documents.
    pub by_document: Option<DocumentErrors>,
}

/// Errors that allow any dependence within a document: CR1, t with G − 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DocumentErrors {
    /// Of ln of the ratio of the perplexities.
    pub log_ppl_ratio_se: f64,
    /// Of the mean divergence.
    pub mean_kld_se: f64,
    /// 95 % limits of the ratio of the perplexities.
    pub ppl_ratio_ci95: (f64, f64),
}

/// √(variance of the mean): (Σx²/n − x̄²)/(n−1), computed in two passes; 0 for up to 10 values, as llama.cpp does.
fn uncertainty(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if values.len() <= 10 { 0.0 } else { (cross_deviation(values, values) / n / (n - 1.0)).sqrt() }
}

/// The statistics of llama.cpp's `--kl-divergence` and, where there are documents, honest errors beside them.
///
/// Source: llama.cpp, tools/perplexity/perplexity.cpp. `None` for no tokens, lists of different lengths (`documents`
/// may be empty), or a value that is not finite.
#[must_use]
pub fn kld_stats(tokens: TokenColumns<'_>) -> Option<KldStats> {
    let TokenColumns { nll_variant, nll_canary, kld, delta_p, documents } = tokens;
    let columns = [nll_variant, nll_canary, kld, delta_p];
    let n = nll_variant.len();
    if columns.iter().any(|column| column.len() != n || column.iter().any(|v| !v.is_finite())) {
        return None;
    }
    if !(documents.is_empty() || documents.len() == n) {
        return None;
    }
    let (mean_variant, mean_canary) = (mean(nll_variant)?, mean(nll_canary)?);
    let (u, v) = (uncertainty(nll_variant), uncertainty(nll_canary));
    let differences: Vec<f64> = nll_variant.iter().zip(nll_canary).map(|(q, p)| q - p).collect();
    let log_ppl_ratio = mean(&differences)?;
    // √(u² + v² − 2 cov) is the error of the mean difference; taking it from the differences loses no digits.
    let log_ppl_ratio_unc = uncertainty(&differences);
    let covariance = if n > 10 { cross_deviation(nll_variant, nll_canary) / n as f64 / (n as f64 - 1.0) } else { 0.0 };
    let squares: Vec<f64> = delta_p.iter().map(|d| d * d).collect();
    let rms_dp = mean(&squares)?.sqrt();
    Some(KldStats {
        ppl_variant: mean_variant.exp(),
        ppl_variant_unc: mean_variant.exp() * u,
        ppl_canary: mean_canary.exp(),
        ppl_canary_unc: mean_canary.exp() * v,
        log_ppl_ratio,
        log_ppl_ratio_unc,
        ppl_ratio: log_ppl_ratio.exp(),
        ppl_ratio_unc: log_ppl_ratio.exp() * log_ppl_ratio_unc,
        cor: (u * v > 0.0).then(|| covariance / (u * v)),
        mean_kld: mean(kld)?,
        mean_kld_unc: uncertainty(kld),
        mean_dp: mean(delta_p)?,
        mean_dp_unc: uncertainty(delta_p),
        rms_dp,
        rms_dp_unc: (rms_dp > 0.0).then(|| 0.5 / rms_dp * uncertainty(&squares)),
        by_document: by_document(&differences, kld, documents),
    })
}

fn by_document(differences: &[f64], kld: &[f64], documents: &[u32]) -> Option<DocumentErrors> {
    let ratio = cluster_mean(differences, documents, 0.95)?;
    let reach = ratio.se_cr1? * t_of(0.95, ratio.df_cr1?)?;
    Some(DocumentErrors {
        log_ppl_ratio_se: ratio.se_cr1?,
        mean_kld_se: cluster_mean(kld, documents, 0.95)?.se_cr1?,
        ppl_ratio_ci95: ((ratio.mean - reach).exp(), (ratio.mean + reach).exp()),
    })
}
