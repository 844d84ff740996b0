//! The melded exact interval for a paired difference, central and in agreement with the exact McNemar test.

use super::distributions::upper_tail_of;
use super::incomplete_beta::{binomial_like, far_quantile, tails};
use super::solve::{integral, root};
use super::{Interval, PairTable};

/// Panels of the quadrature: with 16 points on each, smooth integrands are exact to rounding.
const PANELS: u32 = 10;

/// The exact one-sided p of H₀: δ ≤ δ0 against δ > δ0. Domain δ0 in [−1, 1], else `None`, and for no pairs.
///
/// Source: Fay & Lumbard 2021 (Stat. Med. 40:1147): P(T(2B−1) ≤ δ0) for independent B ~ Beta(c, b+1), the lower
/// confidence distribution of the share of gains, and T that of the share of flips, Beta(M+1, n−M) where δ0 < 0 and
/// Beta(M, n−M+1) where δ0 > 0 (a shape of 0 puts all of it on the end); I(½; c, b+1) at 0. By quadrature over T.
#[must_use]
pub fn fay_p(table: &PairTable, delta0: f64) -> Option<f64> {
    let n = table.n();
    if n == 0 || !(-1.0..=1.0).contains(&delta0) {
        return None;
    }
    Some(p_at_most(table, delta0))
}

fn p_at_most(table: &PairTable, delta0: f64) -> f64 {
    let (b, c, n) = table.counts();
    let m = b + c;
    let share = |x: f64| if c == 0.0 { f64::from(u8::from(x >= 0.0)) } else { tails(c, b + 1.0, x, 1.0 - x).0 };
    if delta0 == 0.0 {
        return share(0.5);
    }
    let (p, q) = if delta0 < 0.0 { (m + 1.0, n - m) } else { (m, n - m + 1.0) };
    let gains = |t: f64| share((0.5 + 0.5 * delta0 / t).min(1.0));
    if p == 0.0 {
        return 1.0;
    }
    if q == 0.0 {
        return gains(1.0).min(1.0);
    }
    let edge = delta0.abs();
    let certain = if delta0 > 0.0 { tails(p, q, edge, 1.0 - edge).0 } else { 0.0 };
    if c == 0.0 && delta0 < 0.0 {
        return tails(p, q, edge, 1.0 - edge).1;
    }
    let low = edge.max(far_quantile(1e-17, p, q).0);
    let high = far_quantile(1e-17, q, p).1;
    let density = |t: f64| {
        if t <= 0.0 || t >= 1.0 { 0.0 } else { p * q / (p + q) * binomial_like(p, q, t, 1.0 - t) / (t * (1.0 - t)) }
    };
    (certain + integral(|t| density(t) * gains(t), low, high, PANELS)).clamp(0.0, 1.0)
}

/// The interval of [`fay_p`]: each limit is the δ0 where the one-sided p is (1−conf)/2. `None` for no pairs.
///
/// Central; coverage at least `conf` in every table tried. Solved to 10⁻¹¹. −1 or 1 where every pair is a loss or gain.
#[must_use]
pub fn fay_diff(table: &PairTable, conf: f64) -> Option<Interval> {
    let estimate = table.difference()?;
    let tail = upper_tail_of(conf);
    let mirrored = table.mirrored();
    Some(Interval { estimate, lower: lower(table, tail), upper: -lower(&mirrored, tail) })
}

fn lower(table: &PairTable, tail: f64) -> f64 {
    if table.n10 == table.n() {
        return -1.0;
    }
    let sign = p_at_most(table, 0.0) - tail;
    let (from, to) = if sign > 0.0 { (-1.0, 0.0) } else { (0.0, 1.0) };
    root(|d| p_at_most(table, d) - tail, from, to, 1e-12).unwrap_or(-1.0)
}
