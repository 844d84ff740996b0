//! Estimates, intervals and tests from plain numbers; each function names its source. Knows nothing of evaluations.
//!
//! Conventions of the whole room. Paired binary tables count `n10` = *loss* (canary right, variant wrong) and `n01` =
//! *gain*; δ = (n01 − n10) / n, so negative is worse. `conf` is the two-sided confidence of an interval: a claim at
//! one-sided level α uses conf = 1 − 2α. Counts are `u64` and become `f64` once tallied (exact below 2⁵³). What is
//! undefined is `None`; no function panics on a finite number, and none compares a NaN: every input that may be one is
//! tested first. `expected` values come from `tests/fixtures/stats/`.

mod betting;
mod bootstrap;
mod cluster;
mod clustered_mcnemar;
mod distributions;
mod divergence;
mod exact_power;
mod fay;
mod floors;
mod incomplete_beta;
mod mcnemar;
mod mean;
mod missing;
mod multiplicity;
mod noise;
mod noninferiority;
mod paired;
mod pooled;
mod posterior;
mod power;
mod proportion;
mod quantile;
mod ranks;
mod ratio;
mod reduction;
mod repeats;
mod resample;
mod sequential;
mod signflip;
mod solve;
mod tango;

pub use betting::{Betting, HgKelly, betting_counts, betting_interval, hedged_cs, hgkelly_case, hgkelly_wor};
pub use bootstrap::{
    Bca, Bootstrap, Exhaustive, bca_from_replicates, bootstrap_mean, cluster_bootstrap, cluster_bootstrap_t,
    exhaustive_bootstrap_mean, quantile_ratio,
};
pub use cluster::{ClusterMean, ClusterTango, cluster_mean, deff_by_design, tango_cluster, tango_clustered};
pub use clustered_mcnemar::{ClusteredMcnemar, clustered_mcnemar};
pub use distributions::{
    binomial_cdf, binomial_pmf, binomial_sf, chi_squared_sf, normal_cdf, normal_quantile, normal_sf, t_quantile, t_sf, z_of,
};
pub use divergence::{DocumentErrors, KldStats, TokenColumns, kld_stats};
pub use exact_power::{ExactPower, NiPower, exact_power_mcnemar, ni_power};
pub use fay::{fay_diff, fay_p};
pub use floors::{BETS, FEWEST_CLUSTERS_STRICT, FEWEST_UNITS, SUPPOSED_ICC, T_FROM, bets, least_bets};
pub use incomplete_beta::{beta_cdf, beta_quantile};
pub use mcnemar::{DiscordantEffects, Mcnemar, discordant_effects, mcnemar};
pub use mean::{Fieller, PairedMean, fieller, log_ratio_delta, log_ratio_latency, paired_t};
pub use missing::{Halves, MissingBounds, PairCounts, agreed, missing_bounds, missing_bounds_by, pair_counts};
pub use multiplicity::{Adjusted, adjust, holm};
pub use noise::{Excess, Overdispersion, aa_excess, aa_excess_clustered, run_overdispersion};
pub use noninferiority::{
    Annotation, FailTests, Floor, MarginVerdict, NiTests, SCORE_FROM, Tost, fail_tests, least_pairs, margin_verdict, ni_floor,
    ni_tests, tost_tango,
};
pub use paired::{Newcombe, PairTable, agresti_min, bonett_price, newcombe10, wald_diff};
pub use pooled::{PooledTasks, TaskEffect, mover_macro, pooled};
pub use posterior::{McnemarEvalue, Posterior, dirichlet_ni, mcnemar_evalue};
pub use power::{McnemarSize, Mde, NiSize, mde_mcnemar, ni_sample_size, power_mcnemar};
pub use proportion::{clopper_pearson, jeffreys, midp_binom, wilson};
pub use quantile::{QuantileInterval, quantile, quantile_ci};
pub use ranks::{HodgesLehmann, MannWhitney, Wilcoxon, Zeros, hl_paired, mann_whitney, wilcoxon};
pub use ratio::{RatioNi, ratio_bonett_price, ratio_ni, ratio_score, ratio_wald_log};
pub use reduction::{Allocation, Cuped, cuped, neyman};
pub use repeats::{Epochs, PassAtK, epochs, pass_at_k};
pub use resample::Resampling;
pub use sequential::{
    Boundary, GroupSequential, SequentialVerdict, group_sequential, obf_spending, sequential_by, sequential_verdict,
};
pub use signflip::{SignFlip, cluster_signflip, signflip, signflip_exact};
pub use solve::root;
pub use tango::{rmle_loss, tango, tango_effective, tango_score};

use serde::{Deserialize, Serialize};

/// A two-sided interval and the estimate in it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The point estimate.
    pub estimate: f64,
    /// The lower limit.
    pub lower: f64,
    /// The upper limit.
    pub upper: f64,
}

impl Interval {
    /// The same interval seen from the other side: signs and limits change places.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self { estimate: -self.estimate, lower: -self.upper, upper: -self.lower }
    }
}

#[cfg(test)]
mod tests;
