//! Numbers: Student's t over items, CR2 over clusters, the betting bound where few differ or nothing may be assumed.

use super::scores::Values;
use super::{Question, Stand};
use crate::domain::Tolerance;
use crate::gate::Method;
use crate::stats::{self, BETS, Betting, Interval, Resampling};

/// Where numbers stand against a margin. None where nothing varies, unless by betting.
pub(super) fn stand(method: Method, values: &Values<'_>, margin: f64, alpha: f64) -> Option<Stand> {
    let spread = spread(method, values, 1.0)?;
    Stand::of_margin(spread.interval(alpha)?, margin, spread.p_values(-margin)?, alpha)
}

/// What the mean of B − ρA is known by.
pub(in crate::gate) enum Spread {
    /// A standard error above 0 with degrees of freedom.
    Error { estimate: f64, se: f64, df: f64 },
    /// The units that are bet on, and the largest size that one can have.
    Bets { units: Vec<f64>, reach: f64 },
}

/// The mean of B − `share`·A by a method. None where nothing varies, with one cluster, or, for betting, without bounds.
pub(super) fn spread(method: Method, values: &Values<'_>, share: f64) -> Option<Spread> {
    let contrasts = values.contrasts(share);
    if method == Method::Betting {
        let (units, swollen) = units(contrasts, &values.clusters);
        return Some(Spread::Bets { units, reach: swollen * values.reach(share)? });
    }
    let (estimate, se, df) = if values.clusters.is_empty() {
        let nothing = vec![0.0; contrasts.len()];
        let t = stats::paired_t(&nothing, &contrasts, 0.0, 0.9)?;
        (t.interval.estimate, t.se, t.df)
    } else {
        let of = stats::cluster_mean(&contrasts, &values.clusters, 0.9)?;
        (of.mean, of.se_cr2?, of.df_satt?)
    };
    // What is left of the deviations of equal numbers is rounding.
    let varies = se > 1e-12 * estimate.abs();
    varies.then(|| Spread::Error { estimate, se: se.hypot(values.run_variance.sqrt()), df })
}

/// What is bet on: pairs, or clusters as sums in units whose mean is that of the pairs; and how far one can then reach.
fn units(contrasts: Vec<f64>, clusters: &[u32]) -> (Vec<f64>, f64) {
    if clusters.is_empty() {
        return (contrasts, 1.0);
    }
    let groups = clusters.iter().max().map_or(0, |most| *most as usize + 1);
    let (mut sums, mut sizes) = (vec![0.0; groups], vec![0.0_f64; groups]);
    for (&cluster, value) in clusters.iter().zip(&contrasts) {
        sums[cluster as usize] += value;
        sizes[cluster as usize] += 1.0;
    }
    let scale = groups as f64 / contrasts.len() as f64;
    let largest = sizes.iter().copied().fold(0.0, f64::max);
    (sums.into_iter().map(|sum| sum * scale).collect(), largest * scale)
}

impl Spread {
    /// The interval at a one-sided level.
    pub(in crate::gate) fn interval(&self, alpha: f64) -> Option<Interval> {
        match self {
            Self::Error { estimate, se, df } => {
                let reach = stats::t_quantile(1.0 - alpha, *df)? * se;
                Some(Interval { estimate: *estimate, lower: estimate - reach, upper: estimate + reach })
            }
            Self::Bets { units, reach } => {
                let inside: Vec<f64> = units.iter().map(|unit| unit.clamp(-reach, *reach)).collect();
                stats::betting_interval(&inside, *reach, alpha, BETS)
            }
        }
    }

    /// The p-values of "the mean is at most `bound`" and of "the mean is at least `bound`".
    pub(super) fn p_values(&self, bound: f64) -> Option<(f64, f64)> {
        match self {
            Self::Error { estimate, se, df } => {
                let t = (estimate - bound) / se;
                Some((stats::t_sf(t, *df)?, stats::t_sf(-t, *df)?))
            }
            Self::Bets { units, reach } => {
                let mut bets = Betting::about_margin(BETS, -bound, *reach)?;
                for unit in units {
                    bets.push_difference(unit.clamp(-reach, *reach), *reach);
                }
                let p = |log_wealth: f64| (-log_wealth).exp().min(1.0);
                Some((p(bets.log_pass()), p(bets.log_fail())))
            }
        }
    }
}

/// Whether BCa limits over pairs, or over clusters, put the mean on the same side as t did.
pub(super) fn bootstrap_agrees(values: &Values<'_>, question: &Question, passes: bool) -> bool {
    let (share, bound) = match question.tolerance {
        Tolerance::Margin(margin) => (1.0, -margin),
        Tolerance::Recovery(share) => (share, 0.0),
    };
    let how = Resampling { conf: question.confidence(), ..Resampling::default() };
    let contrasts = values.contrasts(share);
    let bootstrap = if values.clusters.is_empty() {
        stats::bootstrap_mean(&contrasts, &how)
    } else {
        let groups = values.clusters.iter().max().map_or(0, |most| *most as usize + 1);
        let mut sums = vec![(0.0, 0.0); groups];
        for (&cluster, value) in values.clusters.iter().zip(&contrasts) {
            let (sum, size) = &mut sums[cluster as usize];
            (*sum, *size) = (*sum + value, *size + 1.0);
        }
        stats::cluster_bootstrap(&sums, &how)
    };
    let bca = bootstrap.and_then(|bootstrap| bootstrap.bca);
    bca.is_some_and(|bca| if passes { bca.lower > bound } else { bca.upper < bound })
}

/// The mean of the canary's scores with t limits; of width 0 where they do not vary.
pub(super) fn canary(values: &Values<'_>, alpha: f64) -> Option<Interval> {
    let estimate = values.canary_mean();
    let nothing = vec![0.0; values.canary.len()];
    let (se, df) = if values.clusters.is_empty() {
        let t = stats::paired_t(&nothing, &values.canary, 0.0, 0.9)?;
        (t.se, t.df)
    } else {
        let of = stats::cluster_mean(&values.canary, &values.clusters, 0.9)?;
        (of.se_cr2?, of.df_satt?)
    };
    let reach = stats::t_quantile(1.0 - alpha, df)? * se;
    Some(Interval { estimate, lower: estimate - reach, upper: estimate + reach })
}
