//! The same precision from fewer items: an earlier measurement as a covariate, and items spent where answers flip.

use super::Interval;
use super::distributions::t_of;
use super::solve::{cross_deviation, mean};

/// A mean difference with a covariate's part taken out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cuped {
    /// cov(D, X)/var(X).
    pub theta: f64,
    /// The adjusted mean and its t limits with n − 2 degrees of freedom.
    pub interval: Interval,
    /// Its standard error.
    pub se: f64,
    /// Variance of the adjusted differences over that of the differences: 1 − ρ²; `None` where these do not vary.
    pub variance_ratio: Option<f64>,
}

/// The mean of D − θ(X − μ), where `covariate` X was measured before (never the variant's outputs) and its mean μ over the
/// whole benchmark is known.
///
/// Source: Deng et al. 2013 (CUPED). `None` for lists of different lengths, fewer than three items, a value that is not
/// finite, or a covariate that does not vary.
#[must_use]
pub fn cuped(differences: &[f64], covariate: &[f64], known_mean: f64, conf: f64) -> Option<Cuped> {
    let finite = differences.iter().chain(covariate).all(|v| v.is_finite()) && known_mean.is_finite();
    let spread = cross_deviation(covariate, covariate);
    if differences.len() != covariate.len() || differences.len() < 3 || !finite || spread <= 0.0 {
        return None;
    }
    let n = differences.len() as f64;
    let theta = cross_deviation(differences, covariate) / spread;
    let adjusted: Vec<f64> = differences.iter().zip(covariate).map(|(d, x)| d - theta * (x - known_mean)).collect();
    let (left, whole) = (cross_deviation(&adjusted, &adjusted), cross_deviation(differences, differences));
    let (estimate, se) = (mean(&adjusted)?, (left / (n - 1.0) / n).sqrt());
    let reach = t_of(conf, n - 2.0)? * se;
    Some(Cuped {
        theta,
        interval: Interval { estimate, lower: estimate - reach, upper: estimate + reach },
        se,
        variance_ratio: (whole > 0.0).then(|| left / whole),
    })
}

/// How many items to take from each stratum.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// The optimum, not rounded.
    pub real: Vec<f64>,
    /// Whole items by largest remainders; their sum is the total, or all items where that is less.
    pub integer: Vec<u64>,
}

/// Neyman's allocation of `total` items to strata (items, flip rate ψ): in proportion to N√ψ, at most N each, the surplus
/// shared among the others; strata with ψ = 0 get what the others cannot use, in proportion to N.
///
/// Source: Neyman 1934. A ψ that was guessed too low leaves a stratum a guess: give each a floor. `None` for no stratum or a
/// ψ outside [0, 1].
#[must_use]
pub fn neyman(total: u64, strata: &[(u64, f64)]) -> Option<Allocation> {
    if strata.is_empty() || strata.iter().any(|(_, psi)| !(0.0..=1.0).contains(psi)) {
        return None;
    }
    let sizes: Vec<f64> = strata.iter().map(|(n, _)| *n as f64).collect();
    let total = (total as f64).min(sizes.iter().sum());
    let mut real = vec![0.0; strata.len()];
    let flips: Vec<f64> = strata.iter().map(|(n, psi)| *n as f64 * psi.sqrt()).collect();
    let left = shared(total, &flips, &sizes, &mut real);
    let unused: Vec<f64> = sizes.iter().zip(&flips).map(|(n, weight)| if *weight > 0.0 { 0.0 } else { *n }).collect();
    shared(left, &unused, &sizes, &mut real);
    let mut integer: Vec<u64> = real.iter().map(|n| n.floor() as u64).collect();
    let mut order: Vec<usize> = (0..real.len()).collect();
    order.sort_by(|&i, &j| real[j].fract().total_cmp(&real[i].fract()));
    let missing = total as u64 - integer.iter().sum::<u64>().min(total as u64);
    let roomy = order.into_iter().filter(|&i| integer[i] < strata[i].0).collect::<Vec<usize>>();
    for i in roomy.into_iter().take(missing as usize) {
        integer[i] += 1;
    }
    Some(Allocation { real, integer })
}

/// Shares a total in proportion to the weights, at most the cap each, and returns what is left.
fn shared(total: f64, weights: &[f64], caps: &[f64], real: &mut [f64]) -> f64 {
    let mut free: Vec<usize> = (0..weights.len()).filter(|&i| weights[i] > 0.0).collect();
    let mut left = total;
    while !free.is_empty() {
        let rate = left / free.iter().map(|&i| weights[i]).sum::<f64>();
        let (full, open): (Vec<usize>, Vec<usize>) = free.iter().partition(|&&i| rate * weights[i] >= caps[i]);
        for &i in if full.is_empty() { &open } else { &full } {
            real[i] = caps[i].min(rate * weights[i]);
            left -= real[i];
        }
        if full.is_empty() {
            return 0.0;
        }
        free = open;
    }
    left.max(0.0)
}
