//! Tango's score statistic and interval for a paired difference: what the gate decides by.

use super::distributions::z_of;
use super::solve::root;
use super::{Interval, PairTable};

/// Counts of a paired table; real, so that a design effect can divide them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flips {
    /// Losses.
    pub(super) b: f64,
    /// Gains.
    pub(super) c: f64,
    /// Pairs, at least b + c and more than 0.
    pub(super) n: f64,
}

impl Flips {
    /// Of a table with at least one pair.
    pub(super) fn of(table: &PairTable) -> Option<Self> {
        let (b, c, n) = table.counts();
        (n > 0.0).then_some(Self { b, c, n })
    }

    /// The same information as fewer independent pairs; a design effect below 1 or not a number counts as 1.
    pub(super) fn over(self, deff: f64) -> Self {
        let deff = deff.max(1.0);
        Self { b: self.b / deff, c: self.c / deff, n: self.n / deff }
    }

    fn mirrored(self) -> Self {
        Self { b: self.c, c: self.b, n: self.n }
    }

    /// q̃: the constrained maximum-likelihood probability of a loss where δ = d.
    pub(super) fn loss_under(self, d: f64) -> f64 {
        let Self { b, c, n } = self;
        let a = 2.0 * n;
        let half = (2.0 * n - c + b) * d - c - b;
        let product = -b * d * (1.0 - d);
        let spread = (half * half - 4.0 * a * product).max(0.0).sqrt();
        // Of the two forms of the same root, the one that adds numbers of one sign.
        let root = if half > 0.0 { -2.0 * product / (half + spread) } else { (spread - half) / (2.0 * a) };
        if root.is_nan() { 0.0 } else { root }
    }

    /// T(d): falls with d; ±∞ by the sign of the numerator where its variance is 0, and 0 where both are.
    pub(super) fn score(self, d: f64) -> f64 {
        let above = self.c - self.b - self.n * d;
        let variance = self.n * (2.0 * self.loss_under(d) + d * (1.0 - d));
        standardized(above, variance)
    }

    /// The interval with critical value z: the d with |T(d)| ≤ z.
    pub(super) fn interval(self, z: f64) -> Interval {
        let estimate = (self.c - self.b) / self.n;
        let lower = self.lower(estimate, z);
        Interval { estimate, lower, upper: -self.mirrored().lower(-estimate, z) }
    }

    /// By mirroring, the same arithmetic gives both limits, so that exchanging the subjects mirrors the interval to the bit.
    fn lower(self, estimate: f64, z: f64) -> f64 {
        if estimate <= -1.0 {
            return -1.0;
        }
        let bracketed = || root(|d| self.score(d) - z, -1.0, estimate, 1e-15).unwrap_or(if z > 0.0 { -1.0 } else { estimate });
        self.nearby(estimate, z).unwrap_or_else(bracketed)
    }

    /// The same limit as the fixed point d = δ̂ − z√V(d)/n, by secants from a guess: some twenty times as fast as the
    /// bracket. `None` where they leave the range or do not settle to the last digits.
    fn nearby(self, estimate: f64, z: f64) -> Option<f64> {
        let off = |d: f64| {
            let variance = self.n * (2.0 * self.loss_under(d) + d * (1.0 - d));
            estimate - z * variance.max(0.0).sqrt() / self.n - d
        };
        let spread = (self.b + self.c + 0.25 * z * z).sqrt() + 0.5 * z;
        let mut before = (estimate - z * spread / self.n).max(-1.0);
        let mut off_before = off(before);
        let mut now = before + off_before;
        for _ in 0..12 {
            if !(-1.0..=estimate).contains(&now) {
                return None;
            }
            let off_now = off(now);
            if off_now.abs() <= 4.0 * f64::EPSILON * now.abs() {
                // Where V is 0 the estimate itself is a fixed point, and no limit.
                return ((self.score(now) - z).abs() <= 1e-6 * z && now < estimate).then_some(now);
            }
            let next = now - off_now * (now - before) / (off_now - off_before);
            (before, off_before, now) = (now, off_now, next);
        }
        None
    }
}

/// Tango's score interval for δ: the d with |T(d)| ≤ z, where T is [`tango_score`].
///
/// Source: Tango 1998 (Stat. Med. 17:891). Solved to 10⁻¹⁴. No flips: ±z²/(n+z²), never of width 0. All pairs lost:
/// the lower limit is −1. No pairs: [−1, 1] about 0. Exchanging the subjects mirrors it exactly. `conf` as in [`z_of`].
#[must_use]
pub fn tango(table: &PairTable, conf: f64) -> Interval {
    let nothing = Interval { estimate: 0.0, lower: -1.0, upper: 1.0 };
    Flips::of(table).map_or(nothing, |flips| flips.interval(z_of(conf)))
}

/// Tango's interval where pairs are correlated: counts divided by the design effect `deff` (below 1 counts as 1).
/// Source: Rao & Scott 1992, applied to [`tango`]. No pairs: [−1, 1] about 0.
#[must_use]
pub fn tango_effective(table: &PairTable, deff: f64, conf: f64) -> Interval {
    let nothing = Interval { estimate: 0.0, lower: -1.0, upper: 1.0 };
    Flips::of(table).map_or(nothing, |flips| flips.over(deff).interval(z_of(conf)))
}

/// T(δ0) = (n01 − n10 − nδ0) / √(n[2q̃ + δ0(1−δ0)]), asymptotically N(0, 1) where δ = δ0; q̃ is [`rmle_loss`].
///
/// Domain δ0 in [−1, 1], else `None`, and for no pairs. ±∞ by the numerator's sign where the variance is 0, 0 where both are.
#[must_use]
pub fn tango_score(table: &PairTable, delta0: f64) -> Option<f64> {
    (-1.0..=1.0).contains(&delta0).then(|| Flips::of(table).map(|flips| flips.score(delta0))).flatten()
}

/// The maximum-likelihood probability of a loss among tables with δ = δ0; domain as in [`tango_score`].
///
/// Source: Tango 1998: the larger root of 2n·q² + (−c − b + (2n − c + b)δ0)·q − b·δ0(1−δ0) = 0.
#[must_use]
pub fn rmle_loss(table: &PairTable, delta0: f64) -> Option<f64> {
    (-1.0..=1.0).contains(&delta0).then(|| Flips::of(table).map(|flips| flips.loss_under(delta0))).flatten()
}

/// A score statistic: the numerator over its standard error; ±∞ by the numerator's sign where its variance is 0, and 0 where
/// both are.
pub(super) fn standardized(above: f64, variance: f64) -> f64 {
    if variance > 0.0 {
        above / variance.sqrt()
    } else if above == 0.0 {
        0.0
    } else {
        above.signum() * f64::INFINITY
    }
}
