//! The power of the exact margin test, by enumeration.

use crate::stats::{self, PairTable};

/// A weight below which a number of gains is left out.
const NEGLIGIBLE: f64 = 1e-12;

/// P(PASS) by Fay and Lumbard's test at margin and α, for n pairs each lost or gained with the given probabilities.
pub(super) fn exact_power(n: u64, (lost, gained): (f64, f64), margin: f64, alpha: f64) -> f64 {
    let of_rest = if gained < 1.0 { (lost / (1.0 - gained)).min(1.0) } else { 0.0 };
    let passes = |losses: u64, gains: u64| {
        let table = PairTable { n11: n - losses - gains, n10: losses, n01: gains, n00: 0 };
        stats::fay_p(&table, -margin).is_some_and(|p| p < alpha)
    };
    let (mut power, mut passing) = (0.0, 0);
    for gains in 0..=n {
        let weight = stats::binomial_pmf(gains, n, gained);
        if weight < NEGLIGIBLE {
            continue;
        }
        // Each gain leaves room for as many losses as before, or more.
        let rest = n - gains;
        passing = passing.min(rest + 1);
        while passing <= rest && passes(passing, gains) {
            passing += 1;
        }
        if passing > 0 {
            power += weight * stats::binomial_cdf(passing - 1, rest, of_rest);
        }
    }
    power.min(1.0)
}
