//! Tests of no difference on discordant pairs, and the size of the shift among them: shown, never the gate.

use super::distributions::{binomial_cdf, binomial_pmf, binomial_sf, chi_squared_sf};
use super::proportion::{clopper_pearson, midp_binom, wilson};

/// Every p-value of McNemar's test; all in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mcnemar {
    /// (b−c)²/(b+c), without correction; 0 for no discordant pair.
    pub chi2: f64,
    /// Its two-sided p.
    pub p_asym: f64,
    /// (max(|b−c|−1, 0))²/(b+c): Edwards' correction, as in R.
    pub chi2_cc: f64,
    /// Its two-sided p.
    pub p_cc: f64,
    /// Two-sided, exact conditional.
    pub p_exact: f64,
    /// Two-sided, mid-p: the default to show.
    pub p_midp: f64,
    /// One-sided exact p for "the variant is worse".
    pub p_worse_exact: f64,
    /// One-sided mid-p for "the variant is worse".
    pub p_worse_midp: f64,
    /// One-sided exact p for "the variant is better".
    pub p_better_exact: f64,
    /// One-sided mid-p for "the variant is better".
    pub p_better_midp: f64,
}

/// McNemar's test on `n10` losses and `n01` gains.
///
/// Sources: McNemar 1947; Edwards 1948; Fagerland, Lydersen & Laake 2013 (BMC MRM 13:91) for the mid-p. Under no
/// difference the losses are Bin(n10+n01, ½). No discordant pair: every p is 1, the one-sided mid-p ½.
#[must_use]
pub fn mcnemar(n10: u64, n01: u64) -> Mcnemar {
    let m = n10.saturating_add(n01);
    let (gap, total) = (n10.abs_diff(n01) as f64, (m as f64).max(1.0));
    let (chi2, chi2_cc) = (gap * gap / total, (gap - 1.0).max(0.0).powi(2) / total);
    let p_of = |x: f64| chi_squared_sf(x, 1.0).unwrap_or(1.0);
    let least = n10.min(n01);
    let p_exact = (2.0 * binomial_cdf(least, m, 0.5)).min(1.0);
    let at = |k: u64| binomial_pmf(k, m, 0.5);
    let p_midp = if n10 == n01 { 1.0 - 0.5 * at(least) } else { p_exact - at(least) };
    let (p_worse_exact, p_better_exact) = (binomial_sf(n10, m, 0.5), binomial_sf(n01, m, 0.5));
    Mcnemar {
        chi2,
        p_asym: p_of(chi2),
        chi2_cc,
        p_cc: p_of(chi2_cc),
        p_exact,
        p_midp: if m == 0 { 1.0 } else { p_midp.clamp(0.0, 1.0) },
        p_worse_exact,
        p_worse_midp: (p_worse_exact - 0.5 * at(n10)).max(0.0),
        p_better_exact,
        p_better_midp: (p_better_exact - 0.5 * at(n01)).max(0.0),
    }
}

/// The shift among the pairs that differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiscordantEffects {
    /// n01 / n10, +∞ for no loss; `None` for no discordant pair.
    pub odds_ratio: Option<f64>,
    /// Cohen's g = share of gains − ½ (0.05 small, 0.15 medium, 0.25 large); `None` for no discordant pair.
    pub cohen_g: Option<f64>,
    /// Limits of the odds ratio, Clopper–Pearson.
    pub exact: (f64, f64),
    /// The same, mid-p.
    pub midp: (f64, f64),
    /// The same, Wilson.
    pub wilson: (f64, f64),
}

/// The conditional odds ratio of gain to loss with intervals from those of θ = P(gain | differs) through θ/(1−θ), and
/// Cohen's g. Source: Fagerland et al. 2014 (Stat. Med. 33:2850). No discordant pair: (0, ∞).
#[must_use]
pub fn discordant_effects(n10: u64, n01: u64, conf: f64) -> DiscordantEffects {
    let m = n10.saturating_add(n01);
    let odds = |share: f64| if share >= 1.0 { f64::INFINITY } else { share / (1.0 - share) };
    let limits = |of: fn(u64, u64, f64) -> super::Interval| {
        let interval = of(n01, m, conf);
        (odds(interval.lower), odds(interval.upper))
    };
    let some = |value: f64| (m > 0).then_some(value);
    DiscordantEffects {
        odds_ratio: some(n01 as f64 / n10 as f64),
        cohen_g: some(n01 as f64 / m as f64 - 0.5),
        exact: limits(clopper_pearson),
        midp: limits(midp_binom),
        wilson: limits(wilson),
    }
}
