//! The ratio of two paired proportions: how much of the canary's accuracy the variant keeps.

use super::distributions::{normal_sf, z_of};
use super::solve::root;
use super::tango::standardized;
use super::{Interval, PairTable};

/// The counts that a ratio depends on.
#[derive(Clone, Copy)]
struct Counts {
    /// Right under the canary.
    a: f64,
    /// Right under the variant.
    b: f64,
    /// Right under either.
    either: f64,
}

impl Counts {
    /// `None` where neither got anything right: the ratio is 0/0.
    fn of(table: &PairTable) -> Option<Self> {
        let (lost, gained, _) = table.counts();
        let both = table.n11 as f64;
        (both + lost + gained > 0.0).then_some(Self { a: both + lost, b: both + gained, either: both + lost + gained })
    }

    fn ratio(self) -> f64 {
        self.b / self.a
    }

    /// T(φ), falling in φ.
    fn score(self, phi: f64) -> f64 {
        let Self { a, b, either } = self;
        let above = b - phi * a;
        // n(1+φ)q̃ + (n11+n10+n01)(φ−1) is the larger root of v² + middle·v = product/4; as that sum it would lose all its
        // digits where φ is small.
        let middle = b - 2.0 * either * phi + a * phi * phi;
        let product = 4.0 * either * phi * (1.0 - phi) * above;
        let spread = (middle * middle + product).max(0.0).sqrt();
        let variance = if middle > 0.0 { 0.5 * product / (spread + middle) } else { 0.5 * (spread - middle) };
        standardized(above, variance)
    }
}

/// Wald's interval for ln R with SE = √((n10+n01)/(xᴮxᴬ)), and that SE. R is +∞ where the canary got nothing right,
/// with limits 0 and ∞; of width 0 where nothing flipped. `None` where neither got anything right.
#[must_use]
pub fn ratio_wald_log(table: &PairTable, conf: f64) -> Option<(Interval, f64)> {
    let of = Counts::of(table)?;
    let (lost, gained, _) = table.counts();
    if of.a == 0.0 || of.b == 0.0 {
        return Some((Interval { estimate: of.ratio(), lower: 0.0, upper: f64::INFINITY }, f64::INFINITY));
    }
    let se = ((lost + gained) / of.a / of.b).sqrt();
    let (estimate, reach) = (of.ratio(), z_of(conf) * se);
    Some((Interval { estimate, lower: estimate * (-reach).exp(), upper: estimate * reach.exp() }, se))
}

/// Bonett & Price's hybrid of two Wilson intervals for R.
///
/// Source: Bonett & Price 2006; Fagerland et al. 2014 (Stat. Med. 33:2850). The pairs that both got wrong do not enter.
/// `None` where neither got anything right.
#[must_use]
pub fn ratio_bonett_price(table: &PairTable, conf: f64) -> Option<Interval> {
    let of = Counts::of(table)?;
    let (lost, gained, _) = table.counts();
    let (b, a, n) = (of.b + 1.0, of.a + 1.0, of.either + 2.0);
    let joint = ((lost + gained + 2.0) / (a * b)).sqrt();
    let apart = ((1.0 - b / n) / b).sqrt() + ((1.0 - a / n) / a).sqrt();
    let z = z_of(conf) * joint / apart;
    let limits = |x: f64| {
        let (misses, s) = (of.either - x, 0.25 * z * z);
        let spread = z * (x * misses / of.either + s).sqrt();
        (x * x / of.either / (x + 2.0 * s + spread), (x + 2.0 * s + spread) / (of.either + z * z))
    };
    let ((low_b, high_b), (low_a, high_a)) = (limits(of.b), limits(of.a));
    Some(Interval { estimate: of.ratio(), lower: low_b / high_a, upper: high_b / low_a })
}

/// The score interval for R: the φ with |T(φ)| ≤ z, T with the constrained maximum-likelihood variance.
///
/// Sources: Nam & Blackwelder 2002 (Stat. Med. 21:689); Tang, Tang & Chan 2003 (Stat. Med. 22:1217). R is +∞ where the
/// canary got nothing right. `None` where neither got anything right.
#[must_use]
pub fn ratio_score(table: &PairTable, conf: f64) -> Option<Interval> {
    let of = Counts::of(table)?;
    let (z, estimate) = (z_of(conf), of.ratio());
    // In ln φ, so that one tolerance serves ratios of every size.
    let at = |target: f64, low: f64, high: f64| root(|u| of.score(u.exp()) - target, low, high, 1e-14).map(f64::exp);
    let middle = estimate.ln().clamp(-50.0, 50.0);
    let lower = if of.b == 0.0 { None } else { at(z, -50.0, middle) };
    let upper = if of.a == 0.0 { None } else { at(-z, middle, 50.0) };
    Some(Interval { estimate, lower: lower.unwrap_or(0.0), upper: upper.unwrap_or(f64::INFINITY) })
}

/// Evidence that the variant keeps more than a share ρ₀ of the canary's accuracy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioNi {
    /// T(ρ₀); ±∞ where its variance is 0.
    pub z_score: f64,
    /// Its one-sided p of H₀: R ≤ ρ₀.
    pub p_score: f64,
    /// Mean of B − ρ₀A over pairs.
    pub contrast_mean: f64,
    /// Its standard error.
    pub contrast_se: f64,
    /// Their ratio; ±∞ where the error is 0, `None` for 0/0.
    pub z_contrast: Option<f64>,
    /// Its p by the normal distribution.
    pub p_contrast: Option<f64>,
}

/// Margin tests of recovery: by the score of [`ratio_score`] at ρ₀, and by the linear contrast B − ρ₀A (Fieller).
///
/// `None` where neither got anything right, for fewer than two pairs, or ρ₀ not positive and finite.
#[must_use]
pub fn ratio_ni(table: &PairTable, rho0: f64) -> Option<RatioNi> {
    let of = Counts::of(table).filter(|_| table.n() > 1 && rho0 > 0.0 && rho0.is_finite())?;
    let z_score = of.score(rho0);
    let (lost, gained, n) = table.counts();
    let contrast_mean = (of.b - rho0 * of.a) / n;
    let values = [(table.n11 as f64, 1.0 - rho0), (lost, -rho0), (gained, 1.0), (table.n00 as f64, 0.0)];
    let squares: f64 = values.iter().map(|(count, value)| count * (value - contrast_mean).powi(2)).sum();
    // Where every pair has the same value, what is left of the squares is rounding.
    let varies = values.iter().filter(|(count, _)| *count > 0.0).count() > 1;
    let contrast_se = if varies { (squares / (n - 1.0) / n).sqrt() } else { 0.0 };
    let z = contrast_mean / contrast_se;
    let z_contrast = (!z.is_nan()).then_some(z);
    Some(RatioNi {
        z_score,
        p_score: normal_sf(z_score),
        contrast_mean,
        contrast_se,
        z_contrast,
        p_contrast: z_contrast.map(normal_sf),
    })
}
