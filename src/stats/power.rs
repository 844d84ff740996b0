//! How many pairs a comparison needs, and how small a difference it can see.

use super::distributions::normal_quantile;
use super::solve::root;
use super::tango::Flips;

/// Pairs for a margin test, unrounded; the next whole number is what to run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NiSize {
    /// By the constrained variance of Tango's score: what the gate uses.
    pub n_rmle: f64,
    /// By the unconstrained variance: for comparison.
    pub n_wald: f64,
}

impl NiSize {
    /// The pairs to run.
    #[must_use]
    pub fn pairs(&self) -> u64 {
        self.n_rmle.ceil() as u64
    }
}

/// Φ⁻¹ of 1 − α and of the power, where both are proper.
fn criticals(alpha: f64, power: f64) -> Option<(f64, f64)> {
    let proper = |p: f64| p > 0.0 && p < 1.0;
    (proper(alpha) && proper(power)).then(|| (normal_quantile(1.0 - alpha), normal_quantile(power)))
}

/// Whether two numbers can be the probabilities of loss and gain.
fn probabilities(p10: f64, p01: f64) -> bool {
    p10 >= 0.0 && p01 >= 0.0 && p10 + p01 <= 1.0
}

/// Pairs for a margin test with the given power where a pair is lost with probability `p10` and gained with `p01`:
/// n = [zα σ0 + zβ σ1]² / (δ1+m)², σ1² = ψ − δ1², σ0² = 2q̃ − m(1+m).
///
/// Sources: Nam 1997; Liu et al. 2002. α is one-sided. `None` where δ1 = p01 − p10 is not above −m (no number of pairs
/// would do), m is outside (0, 1], α or power outside (0, 1), or the probabilities are none.
#[must_use]
pub fn ni_sample_size(p10: f64, p01: f64, margin: f64, alpha: f64, power: f64) -> Option<NiSize> {
    let (z_alpha, z_beta) = criticals(alpha, power)?;
    let distance = p01 - p10 + margin;
    if !(probabilities(p10, p01) && margin > 0.0 && margin <= 1.0 && distance > 0.0) {
        return None;
    }
    let q = Flips { b: p10, c: p01, n: 1.0 }.loss_under(-margin);
    let under_null = (2.0 * q - margin * (1.0 + margin)).max(0.0);
    let under_truth = (p10 + p01 - (p01 - p10).powi(2)).max(0.0);
    let over = distance * distance;
    let n_rmle = (z_alpha * under_null.sqrt() + z_beta * under_truth.sqrt()).powi(2) / over;
    let n_wald = (z_alpha + z_beta).powi(2) * under_truth / over;
    (n_rmle.is_finite() && n_wald.is_finite()).then_some(NiSize { n_rmle, n_wald })
}

/// Pairs for McNemar's test, unrounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct McnemarSize {
    /// Connor 1987: [zα√ψ + zβ√(ψ−δ²)]²/δ²; a little too many.
    pub n_connor: f64,
    /// Miettinen 1968: [zαψ + zβ√(ψ²−δ²(3+ψ)/4)]²/(ψδ²); hits the power.
    pub n_miettinen: f64,
}

/// Pairs for McNemar's test to see p01 ≠ p10 with the given power; `sides` is 1 or 2.
///
/// Sources: Connor 1987 (Biometrics 43:207), Miettinen 1968 (Biometrics 24:339). `None` for p10 = p01, other sides, α
/// or power outside (0, 1), or numbers that are no probabilities.
#[must_use]
pub fn power_mcnemar(p10: f64, p01: f64, alpha: f64, power: f64, sides: u8) -> Option<McnemarSize> {
    let (z_alpha, z_beta) = criticals(alpha / f64::from(sides), power).filter(|_| matches!(sides, 1 | 2))?;
    let (psi, delta) = (p10 + p01, p01 - p10);
    let square = delta * delta;
    if !probabilities(p10, p01) || square == 0.0 {
        return None;
    }
    let n_connor = (z_alpha * psi.sqrt() + z_beta * (psi - square).max(0.0).sqrt()).powi(2) / square;
    let rest = (psi * psi - square * (3.0 + psi) / 4.0).max(0.0);
    let n_miettinen = (z_alpha * psi + z_beta * rest.sqrt()).powi(2) / (psi * square);
    (n_connor.is_finite() && n_miettinen.is_finite()).then_some(McnemarSize { n_connor, n_miettinen })
}

/// The smallest difference that McNemar's test sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mde {
    /// Connor's formula solved for δ; `None` where even δ = ψ (every flip a loss) is not seen.
    pub mde: Option<f64>,
    /// (zα + zβ)√(ψ/n).
    pub mde_crude: f64,
}

/// The difference that `n` pairs with flip rate `psi` see with the given power; `sides` is 1 or 2.
///
/// Source: Connor 1987 inverted. `None` for n = 0, ψ outside (0, 1], other sides, α or power outside (0, 1).
#[must_use]
pub fn mde_mcnemar(n: u64, psi: f64, alpha: f64, power: f64, sides: u8) -> Option<Mde> {
    let (z_alpha, z_beta) = criticals(alpha / f64::from(sides), power).filter(|_| matches!(sides, 1 | 2))?;
    if n == 0 || !(psi > 0.0 && psi <= 1.0) {
        return None;
    }
    let short = |d: f64| d * (n as f64).sqrt() - z_alpha * psi.sqrt() - z_beta * (psi - d * d).max(0.0).sqrt();
    Some(Mde { mde: root(short, 0.0, psi, 1e-14), mde_crude: (z_alpha + z_beta) * (psi / n as f64).sqrt() })
}
