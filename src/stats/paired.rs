//! The 2×2 table of a paired comparison, and the simple intervals for its difference that the gate does not use.

use serde::{Deserialize, Serialize};

use super::Interval;
use super::distributions::z_of;
use super::proportion::wilson;

/// Pairs by what the canary (first digit) and the variant (second digit) got: 1 right, 0 wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairTable {
    /// Both right.
    pub n11: u64,
    /// Lost: the canary was right, the variant is wrong.
    pub n10: u64,
    /// Gained: the canary was wrong, the variant is right.
    pub n01: u64,
    /// Both wrong.
    pub n00: u64,
}

impl PairTable {
    /// A table of which only the discordant counts and the number of pairs matter; the rest counts as both right.
    /// Where `n` is less than the discordant pairs, it is those.
    #[must_use]
    pub fn of_flips(n10: u64, n01: u64, n: u64) -> Self {
        Self { n11: n.saturating_sub(n10).saturating_sub(n01), n10, n01, n00: 0 }
    }

    /// The number of pairs.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n11.saturating_add(self.n10).saturating_add(self.n01).saturating_add(self.n00)
    }

    /// The number of pairs whose halves differ: flips.
    #[must_use]
    pub fn discordant(&self) -> u64 {
        self.n10.saturating_add(self.n01)
    }

    /// δ = (n01 − n10) / n, in [−1, 1]; `None` for no pairs.
    #[must_use]
    pub fn difference(&self) -> Option<f64> {
        (self.n() > 0).then(|| (self.n01 as f64 - self.n10 as f64) / self.n() as f64)
    }

    /// The table with canary and variant exchanged.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        Self { n10: self.n01, n01: self.n10, ..*self }
    }

    /// (n10, n01, n) as numbers.
    pub(super) fn counts(&self) -> (f64, f64, f64) {
        (self.n10 as f64, self.n01 as f64, self.n() as f64)
    }
}

/// The standard error of δ that Wald's interval uses: √[(b+c) − (c−b)²/n] / n; 0 for no discordant pair.
pub(super) fn wald_se(b: f64, c: f64, n: f64) -> f64 {
    // b + c − (c−b)²/n = [ (b+c)(n−b−c) + 4bc ] / n, a sum of terms that are not negative.
    (((b + c) * (n - b - c).max(0.0) + 4.0 * b * c) / n).sqrt() / n
}

/// Wald's interval δ̂ ± z·SE and its SE; the paired CLT up to n/(n−1). `None` for no pairs.
///
/// Its width is 0 where nothing flipped, which makes it unfit for a gate: it is here to be shown beside others.
#[must_use]
pub fn wald_diff(table: &PairTable, conf: f64) -> Option<(Interval, f64)> {
    let estimate = table.difference()?;
    let (b, c, n) = table.counts();
    let se = wald_se(b, c, n);
    let reach = z_of(conf) * se;
    Some((Interval { estimate, lower: estimate - reach, upper: estimate + reach }, se))
}

/// Agresti & Min 2005 (Stat. Med. 24:729): half a pair is added to each cell, then Wald; cut to [−1, 1]. `None` for no pairs.
#[must_use]
pub fn agresti_min(table: &PairTable, conf: f64) -> Option<Interval> {
    let estimate = table.difference()?;
    let (b, c, n) = table.counts();
    let (b, c, n) = (b + 0.5, c + 0.5, n + 2.0);
    let (middle, reach) = ((c - b) / n, z_of(conf) * wald_se(b, c, n));
    Some(Interval { estimate, lower: (middle - reach).max(-1.0), upper: (middle + reach).min(1.0) })
}

/// Bonett & Price 2012 (J. Educ. Behav. Stat. 37:479): one pair is added to each discordant cell; cut to [−1, 1].
/// `None` for no pairs.
#[must_use]
pub fn bonett_price(table: &PairTable, conf: f64) -> Option<Interval> {
    let estimate = table.difference()?;
    let (b, c, n) = table.counts();
    let (lost, gained) = ((b + 1.0) / (n + 2.0), (c + 1.0) / (n + 2.0));
    let middle = gained - lost;
    let reach = z_of(conf) * ((lost + gained - middle * middle) / (n + 2.0)).sqrt();
    Some(Interval { estimate, lower: (middle - reach).max(-1.0), upper: (middle + reach).min(1.0) })
}

/// Newcombe's interval and the correlation that went into it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Newcombe {
    /// The interval for δ.
    pub interval: Interval,
    /// The corrected φ; 0 where a margin of the table is empty.
    pub phi_c: f64,
}

/// Newcombe 1998 (Stat. Med. 17:2635) method 10: Wilson limits of the two proportions, joined by a corrected φ.
/// `None` for no pairs. Too narrow where nearly all pairs agree (φ → 1): not for a gate.
#[must_use]
pub fn newcombe10(table: &PairTable, conf: f64) -> Option<Newcombe> {
    let estimate = table.difference()?;
    let (b, c, n) = table.counts();
    let (both, neither) = (table.n11 as f64, table.n00 as f64);
    let margins = (both + c) * (neither + b) * (both + b) * (neither + c);
    let excess = both * neither - b * c;
    let corrected = if excess > 0.0 { (excess - 0.5 * n).max(0.0) } else { excess };
    let phi_c = if margins > 0.0 { corrected / margins.sqrt() } else { 0.0 };
    let variant = wilson(table.n11.saturating_add(table.n01), table.n(), conf);
    let canary = wilson(table.n11.saturating_add(table.n10), table.n(), conf);
    let reach = |x: f64, y: f64| (x * x - 2.0 * phi_c * x * y + y * y).max(0.0).sqrt();
    let down = reach(variant.estimate - variant.lower, canary.upper - canary.estimate);
    let up = reach(variant.upper - variant.estimate, canary.estimate - canary.lower);
    Some(Newcombe { interval: Interval { estimate, lower: estimate - down, upper: estimate + up }, phi_c })
}
