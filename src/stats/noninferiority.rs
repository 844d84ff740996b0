//! Tests against a margin, the verdict of an interval against it, and the least n that can ever pass.

use serde::{Deserialize, Serialize};

use super::PairTable;
use super::distributions::{normal_cdf, normal_quantile, normal_sf};
use super::fay::fay_p;
use super::paired::wald_se;
use super::tango::Flips;

/// Evidence that the loss is smaller than the margin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NiTests {
    /// δ̂.
    pub estimate: f64,
    /// T(−m): Tango's score; ±∞ where its variance is 0.
    pub z_score: f64,
    /// Its one-sided p of H₀: δ ≤ −m.
    pub p_score: f64,
    /// The loss probability that T supposes.
    pub rmle_q_loss: f64,
    /// (δ̂+m)/SE by Wald; ±∞ where nothing flipped, `None` where that is 0/0. To show, never to gate.
    pub z_wald: Option<f64>,
    /// Its p.
    pub p_wald: Option<f64>,
    /// The exact p of Fay & Lumbard.
    pub p_exact_fay: f64,
}

/// Evidence that the loss is at least the margin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailTests {
    /// T(−m): negative speaks for a loss beyond the margin.
    pub z_score: f64,
    /// Its one-sided p of H₀: δ ≥ −m.
    pub p_score: f64,
    /// The exact p of Fay & Lumbard.
    pub p_exact_fay: f64,
}

/// Non-inferiority by margin m: H₀ δ ≤ −m against δ > −m. `None` for no pairs or m outside [0, 1].
///
/// Sources: Tango 1998, Nam 1997, Liu et al. 2002 (score); Wald; Fay & Lumbard 2021 (exact). By duality, its p is below α
/// just where the lower limit of [`super::tango`] at conf 1 − 2α is above −m.
#[must_use]
pub fn ni_tests(table: &PairTable, margin: f64) -> Option<NiTests> {
    let p_exact_fay = fay_p(table, -margin)?;
    let flips = Flips::of(table)?;
    let z_score = flips.score(-margin);
    let estimate = table.difference()?;
    let z = (estimate + margin) / wald_se(flips.b, flips.c, flips.n);
    let z_wald = (!z.is_nan()).then_some(z);
    Some(NiTests {
        estimate,
        z_score,
        p_score: normal_sf(z_score),
        rmle_q_loss: flips.loss_under(-margin),
        z_wald,
        p_wald: z_wald.map(normal_sf),
        p_exact_fay,
    })
}

/// The mirror of [`ni_tests`]: H₀ δ ≥ −m against δ < −m, with the same sources and domain.
#[must_use]
pub fn fail_tests(table: &PairTable, margin: f64) -> Option<FailTests> {
    let p_exact_fay = fay_p(&table.mirrored(), margin)?;
    let z_score = Flips::of(table)?.score(-margin);
    Some(FailTests { z_score, p_score: normal_cdf(z_score), p_exact_fay })
}

/// Two one-sided score tests of equivalence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tost {
    /// p of H₀: δ ≤ −m.
    pub p_lower: f64,
    /// p of H₀: δ ≥ m.
    pub p_upper: f64,
    /// The larger: p of H₀: |δ| ≥ m.
    pub p_tost: f64,
}

/// Equivalence within ±m by Tango's score (Schuirmann 1987's two tests). `None` for no pairs or m outside [0, 1].
#[must_use]
pub fn tost_tango(table: &PairTable, margin: f64) -> Option<Tost> {
    let flips = Flips::of(table).filter(|_| (0.0..=1.0).contains(&margin))?;
    let (p_lower, p_upper) = (normal_sf(flips.score(-margin)), normal_cdf(flips.score(margin)));
    Some(Tost { p_lower, p_upper, p_tost: p_lower.max(p_upper) })
}

/// What an interval says about a margin; ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MarginVerdict {
    /// The loss is smaller than the margin.
    Pass,
    /// The interval has the margin in it.
    Inconclusive,
    /// The loss is larger than the margin.
    Fail,
}

/// What else the interval says; never a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Annotation {
    /// PASS, and yet surely worse than the canary.
    DetectableRegressionWithinMargin,
    /// PASS, and surely better.
    Improvement,
    /// INCONCLUSIVE, and yet surely worse: only the size is open.
    SignificantRegressionSizeUnresolved,
}

/// PASS where `lower` > −m, FAIL where `upper` < −m, else INCONCLUSIVE; with what the sign of the limits adds.
///
/// The inequalities are strict. A limit or margin that is NaN (an interval that does not exist) is INCONCLUSIVE, and so
/// are limits in the wrong order.
#[must_use]
pub fn margin_verdict(lower: f64, upper: f64, margin: f64) -> (MarginVerdict, Option<Annotation>) {
    if lower.is_nan() || upper.is_nan() || margin.is_nan() || lower > upper {
        return (MarginVerdict::Inconclusive, None);
    }
    if lower > -margin {
        let note = if upper < 0.0 {
            Some(Annotation::DetectableRegressionWithinMargin)
        } else if lower > 0.0 {
            Some(Annotation::Improvement)
        } else {
            None
        };
        return (MarginVerdict::Pass, note);
    }
    if upper < -margin {
        return (MarginVerdict::Fail, None);
    }
    (MarginVerdict::Inconclusive, (upper < 0.0).then_some(Annotation::SignificantRegressionSizeUnresolved))
}

/// The least n that passes a margin where nothing flips: no table with fewer pairs can pass it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// By Tango's interval.
    pub tango: u64,
    /// By the exact test.
    pub exact: u64,
}

/// The design floor: the least n with n > z²(1/m − 1) (Tango) and with (1−m)ⁿ < α (exact).
///
/// Domain margin in (0, 1), α in (0, ½); a margin from 1 on needs 1 pair, anything else outside needs `u64::MAX`: it
/// can't be passed.
#[must_use]
pub fn ni_floor(margin: f64, alpha: f64) -> Floor {
    if margin.is_nan() || margin <= 0.0 || !(alpha > 0.0 && alpha < 0.5) {
        return Floor { tango: u64::MAX, exact: u64::MAX };
    }
    if margin >= 1.0 {
        return Floor { tango: 1, exact: 1 };
    }
    let z = normal_quantile(1.0 - alpha);
    let above = |x: f64| (x.floor() as u64).saturating_add(1);
    Floor { tango: above(z * z * (1.0 / margin - 1.0)), exact: above(alpha.ln() / (-margin).ln_1p()) }
}

/// Below this many pairs the score interval is not trusted, and the exact one decides.
pub const SCORE_FROM: u64 = 50;

/// Fewest independent right-or-wrong pairs with which a pass of a margin is possible at all, by the method that would decide
/// them: [`ni_floor`]'s exact count where that is below [`SCORE_FROM`] or only exact methods may decide, else Tango's.
#[must_use]
pub fn least_pairs(margin: f64, alpha: f64, exact: bool) -> u64 {
    let floor = ni_floor(margin, alpha);
    if exact || floor.exact < SCORE_FROM { floor.exact } else { floor.tango.max(SCORE_FROM) }
}
