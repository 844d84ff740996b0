//! Intervals for one proportion.

use super::Interval;
use super::distributions::{binomial_cdf, binomial_pmf, binomial_sf, upper_tail_of, z_of};
use super::incomplete_beta::beta_quantile;
use super::solve::root;

/// What is said of no trial at all: every value is possible, and the estimate is the middle.
const NOTHING: Interval = Interval { estimate: 0.5, lower: 0.0, upper: 1.0 };

/// Wilson's score interval for x successes of n: (x + z²/2 ± z√(x(n−x)/n + z²/4)) / (n + z²).
///
/// Source: Wilson 1927; Newcombe 1998 (Stat. Med. 17:857) method 3. x is cut to n; the limits are exactly 0 at x = 0 and
/// 1 at x = n, never both at once for n > 0. n = 0 gives [0, 1] about ½. `conf` as in [`z_of`].
#[must_use]
pub fn wilson(x: u64, n: u64, conf: f64) -> Interval {
    if n == 0 {
        return NOTHING;
    }
    let x = x.min(n);
    let (hits, misses, total, z) = (x as f64, (n - x) as f64, n as f64, z_of(conf));
    let spread = z * (hits * misses / total + 0.25 * z * z).sqrt();
    // The smaller root of each quadratic is the product of the roots over the larger one: no cancellation near 0 and 1.
    let below = hits * hits / total / (hits + 0.5 * z * z + spread);
    let above = 1.0 - misses * misses / total / (misses + 0.5 * z * z + spread);
    let clean = |v: f64, at_end: f64| if v.is_nan() { at_end } else { v };
    Interval { estimate: hits / total, lower: clean(below, 0.0), upper: clean(above, 1.0) }
}

/// The exact interval of Clopper & Pearson 1934: Beta(x, n−x+1) and Beta(x+1, n−x) quantiles.
///
/// x is cut to n; n = 0 gives [0, 1] about ½. Coverage is at least `conf` for every proportion.
#[must_use]
pub fn clopper_pearson(x: u64, n: u64, conf: f64) -> Interval {
    if n == 0 {
        return NOTHING;
    }
    let x = x.min(n);
    let (hits, misses, tail) = (x as f64, (n - x) as f64, upper_tail_of(conf));
    let lower = if x == 0 { None } else { beta_quantile(tail, hits, misses + 1.0) };
    let upper = if x == n { None } else { beta_quantile(tail, misses, hits + 1.0) };
    Interval { estimate: hits / n as f64, lower: lower.unwrap_or(0.0), upper: 1.0 - upper.unwrap_or(0.0) }
}

/// The mid-p interval: p with P(X > x) + ½P(X = x) = (1−conf)/2 below, and its mirror above.
///
/// Source: Newcombe 1998 method 6. x is cut to n; 0 at x = 0, 1 at x = n; n = 0 gives [0, 1] about ½.
#[must_use]
pub fn midp_binom(x: u64, n: u64, conf: f64) -> Interval {
    if n == 0 {
        return NOTHING;
    }
    let (x, tail) = (x.min(n), upper_tail_of(conf));
    let above = |p: f64| binomial_sf(x, n, p) - 0.5 * binomial_pmf(x, n, p) - tail;
    let below = |p: f64| binomial_cdf(x, n, p) - 0.5 * binomial_pmf(x, n, p) - tail;
    let lower = if x == 0 { None } else { root(above, 0.0, 1.0, 1e-15) };
    let upper = if x == n { None } else { root(below, 0.0, 1.0, 1e-15) };
    Interval { estimate: x as f64 / n as f64, lower: lower.unwrap_or(0.0), upper: upper.unwrap_or(1.0) }
}

/// The Jeffreys interval: quantiles of Beta(x+½, n−x+½), with 0 at x = 0 and 1 at x = n.
///
/// Source: Brown et al. 2001. x is cut to n; n = 0 gives [0, 1] about ½.
#[must_use]
pub fn jeffreys(x: u64, n: u64, conf: f64) -> Interval {
    if n == 0 {
        return NOTHING;
    }
    let x = x.min(n);
    let (a, b, tail) = (x as f64 + 0.5, (n - x) as f64 + 0.5, upper_tail_of(conf));
    let lower = if x == 0 { None } else { beta_quantile(tail, a, b) };
    let upper = if x == n { None } else { beta_quantile(tail, b, a) };
    Interval { estimate: x as f64 / n as f64, lower: lower.unwrap_or(0.0), upper: 1.0 - upper.unwrap_or(0.0) }
}
