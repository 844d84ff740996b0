//! Power by enumeration of every table, to check what the formulas promise.

use std::cmp::Ordering;

use super::distributions::{binomial_cdf, binomial_pmf, binomial_sf, normal_cdf, normal_quantile};
use super::mcnemar::mcnemar;
use super::tango::Flips;

/// The most pairs that are enumerated.
const MOST: u64 = 1_000_000;

/// Power of McNemar's two-sided tests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExactPower {
    /// Of the exact conditional test.
    pub power_exact: f64,
    /// Of the mid-p test.
    pub power_midp: f64,
}

/// Σ over the number of flips of P(p ≤ α, in the true direction) for McNemar's two-sided tests on `n` pairs, each lost
/// with probability `p10` and gained with `p01`; where these are equal, in either direction: the size. Exact, in
/// O(n log n); as R's exact2x2 with `strict = FALSE`. `None` for probabilities that are none, α outside (0, 1), or n above 10⁶.
#[must_use]
pub fn exact_power_mcnemar(n: u64, p10: f64, p01: f64, alpha: f64) -> Option<ExactPower> {
    if !(p10 >= 0.0 && p01 >= 0.0 && p10 + p01 <= 1.0 && alpha > 0.0 && alpha < 1.0) || n > MOST {
        return None;
    }
    let psi = p10 + p01;
    let share = if psi > 0.0 { p10 / psi } else { 0.0 };
    let mut power = [0.0; 2];
    for m in 1..=n {
        let weight = binomial_pmf(m, n, psi);
        if weight < 1e-18 {
            continue;
        }
        for (midp, total) in power.iter_mut().enumerate() {
            let rejects = |least: u64| {
                let of = mcnemar(least, m - least);
                (if midp == 1 { of.p_midp } else { of.p_exact }) <= alpha
            };
            let count = first_false(m / 2 + 1, rejects);
            if count > 0 {
                let few_losses = binomial_cdf(count - 1, m, share);
                let few_gains = binomial_cdf(count - 1, m, 1.0 - share);
                // A rejection in the wrong direction is no success: where there is a direction, its tail alone counts.
                *total += weight
                    * match p10.total_cmp(&p01) {
                        Ordering::Less => few_losses,
                        Ordering::Greater => few_gains,
                        Ordering::Equal => few_losses + few_gains,
                    };
            }
        }
    }
    Some(ExactPower { power_exact: power[0], power_midp: power[1] })
}

/// How many of 0, 1, … below `end` come before the first for which the falling predicate is false.
fn first_false(end: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// What the margin test does on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NiPower {
    /// P(PASS), by enumeration.
    pub p_pass_exact: f64,
    /// P(FAIL), by enumeration.
    pub p_fail_exact: f64,
    /// P(PASS), by the normal approximation behind [`super::ni_sample_size`].
    pub p_pass_asym: f64,
}

/// The chances of PASS and FAIL by Tango's score at margin m, for `n` pairs each lost with probability `p10` and gained
/// with `p01`; where δ = −m, the former is the error of a false PASS. Exact, in O(n log n).
///
/// `None` for probabilities that are none, a margin outside (0, 1], α outside (0, ½), no pairs or more than 10⁶.
#[must_use]
pub fn ni_power(n: u64, p10: f64, p01: f64, margin: f64, alpha: f64) -> Option<NiPower> {
    let proper = p10 >= 0.0 && p01 >= 0.0 && p10 + p01 <= 1.0 && margin > 0.0 && margin <= 1.0;
    if !(proper && alpha > 0.0 && alpha < 0.5 && (1..=MOST).contains(&n)) {
        return None;
    }
    let (z, pairs) = (normal_quantile(1.0 - alpha), n as f64);
    let loss_of_rest = if p01 < 1.0 { (p10 / (1.0 - p01)).min(1.0) } else { 0.0 };
    let (mut pass, mut fail) = (0.0, 0.0);
    for gained in 0..=n {
        let weight = binomial_pmf(gained, n, p01);
        if weight < 1e-18 {
            continue;
        }
        let rest = n - gained;
        let score = |lost: u64| Flips { b: lost as f64, c: gained as f64, n: pairs }.score(-margin);
        let passing = first_false(rest + 1, |lost| score(lost) > z);
        let not_failing = first_false(rest + 1, |lost| score(lost) >= -z);
        let at_most = |count: u64| if count == 0 { 0.0 } else { binomial_cdf(count - 1, rest, loss_of_rest) };
        pass += weight * at_most(passing);
        if not_failing <= rest {
            fail += weight * binomial_sf(not_failing, rest, loss_of_rest);
        }
    }
    let under_null = 2.0 * Flips { b: p10, c: p01, n: 1.0 }.loss_under(-margin) - margin * (1.0 + margin);
    let under_truth = (p10 + p01 - (p01 - p10).powi(2)).max(0.0);
    let above = pairs.sqrt() * (p01 - p10 + margin) - z * under_null.max(0.0).sqrt();
    let p_pass_asym = if under_truth > 0.0 { normal_cdf(above / under_truth.sqrt()) } else { f64::from(above > 0.0) };
    Some(NiPower { p_pass_exact: pass.min(1.0), p_fail_exact: fail.min(1.0), p_pass_asym })
}
