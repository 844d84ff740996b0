//! Outlooks: what a design can show, given how often answers are expected to flip.

use super::design::{Clusters, Test};
use super::exact::exact_power;
use super::{Design, Spread};
use crate::domain::Tolerance;
use crate::stats::{self, SCORE_FROM};

/// Most pairs whose power is enumerated.
const ENUMERATED: u64 = 200_000;
/// Most pairs whose power by the exact test is enumerated: each step is a quadrature.
const QUADRATURES: u64 = 2_000;
/// Bets take about so many times the samples of a t-test.
const BETTING: f64 = 1.5;
/// Loss of the score that is taken for no loss at all.
const NOTHING: f64 = 1e-12;

/// What is expected of a variant beside the canary on one task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// The canary's score, in (0, 1].
    pub canary: f64,
    /// Share of items whose score differs, in 0..=1.
    pub flips: f64,
    /// The variant's true loss, 0..=flips (more is taken for flips that are all losses).
    pub loss: f64,
    /// For numeric scores: where the variance comes from; the most that the flips allow where none.
    pub spread: Option<Spread>,
    /// The design effect that a history measured, where samples share clusters.
    pub deff: Option<f64>,
}

impl Expected {
    /// The probabilities of (loss, gain) of an item; their sum is at most 1.
    #[must_use]
    pub fn shares(self) -> (f64, f64) {
        let flips = self.flips.max(self.loss);
        (f64::midpoint(flips, self.loss), f64::midpoint(flips, -self.loss))
    }

    /// The variance of an item's difference where each side is asked as often as `repeats` says.
    pub(super) fn variance(self, repeats: (u32, u32)) -> f64 {
        let of = |spread: Spread| spread.between + spread.canary / f64::from(repeats.0) + spread.variant / f64::from(repeats.1);
        let (lost, gained) = self.shares();
        self.spread.map_or(lost + gained - self.loss * self.loss, of).max(0.0)
    }
}

/// A probability of PASS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planned {
    /// The probability, 0..=1.
    pub power: f64,
    /// Whether every table was enumerated; otherwise it is the normal approximation.
    pub exact: bool,
}

/// What a design can show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// The tolerated difference: the margin, or what a recovery means at the expected score of the canary.
    pub margin: f64,
    /// Fewest samples with which a pass is possible at all.
    pub floor: u64,
    /// Samples that a pass takes with the wanted probability; none where no number does.
    pub needed: Option<u64>,
    /// The probability of a pass with the samples there are.
    pub planned: Planned,
    /// The tightest tolerance that the samples there are show with the wanted probability, in the form of the design's own;
    /// none where none does.
    pub smallest: Option<Tolerance>,
}

impl Outlook {
    /// What a design can show with the wanted probability `power`, in (0, 1).
    #[must_use]
    pub fn of(design: &Design, expected: Expected, power: f64) -> Self {
        let design = &design.with_deff(expected.deff);
        let never = design.never(expected.canary).is_some();
        Self {
            margin: design.tolerance.margin_at(expected.canary),
            floor: design.floor(expected.canary),
            needed: needed(design, expected, power),
            planned: if never { Planned { power: 0.0, exact: true } } else { planned(design, expected) },
            smallest: smallest(design, expected, power),
        }
    }
}

/// What will judge a design's samples if answers flip as expected.
fn test(design: &Design, expected: Expected) -> Test {
    design.test(Some(expected.flips * design.samples as f64))
}

/// Samples that a pass takes with probability `power`; none where the expected loss is not below the margin.
fn needed(design: &Design, expected: Expected, power: f64) -> Option<u64> {
    let test = test(design, expected);
    let alpha = level(design.alpha, test.clusters());
    let size = match test {
        Test::Score | Test::Exact | Test::Clustered(_) => {
            let (lost, gained) = expected.shares();
            let size = stats::ni_sample_size(lost, gained, design.tolerance.margin_at(1.0), alpha, power)?.n_rmle;
            test.clusters().map_or_else(|| as_judged(design, size), |clusters| clusters.deff * size)
        }
        Test::Ratio(_) | Test::Mean(_) | Test::Bets(_) => {
            let Normal { mean, under_null, under_truth } = Normal::of(design, expected, test);
            if mean <= NOTHING {
                return None;
            }
            let (z_alpha, z_beta) = (stats::normal_quantile(1.0 - alpha), stats::normal_quantile(power));
            ((z_alpha * under_null.sqrt() + z_beta * under_truth.sqrt()) / mean).powi(2)
        }
    };
    // What costs more samples than can be counted is not to be had.
    (size < 1e15).then(|| (size.ceil() as u64).max(design.floor(expected.canary)))
}

/// The score test's number of pairs as the test that judges so many needs it: the exact one asks for more, at zero flips by
/// this ratio.
fn as_judged(design: &Design, size: f64) -> f64 {
    let floors = stats::ni_floor(design.tolerance.margin_at(1.0), design.alpha);
    let exact = (size * floors.exact as f64 / floors.tango as f64).ceil();
    if design.strict {
        exact
    } else if size < SCORE_FROM as f64 {
        exact.clamp(size, SCORE_FROM as f64)
    } else {
        size
    }
}

/// The level at which z is as large as t with the clusters' degrees of freedom is at α.
fn level(alpha: f64, clusters: Option<Clusters>) -> f64 {
    clusters.and_then(|clusters| stats::t_quantile(1.0 - alpha, clusters.df)).map_or(alpha, stats::normal_sf)
}

/// A test whose statistic is about normal: per sample, what it estimates and its variance where that is 0 and as expected,
/// swollen by clusters and by what bets cost.
struct Normal {
    mean: f64,
    under_null: f64,
    under_truth: f64,
}

impl Normal {
    fn of(design: &Design, expected: Expected, test: Test) -> Self {
        let (lost, gained) = expected.shares();
        let both = (expected.canary - lost).max(0.0);
        let bets = if matches!(test, Test::Bets(_)) { BETTING } else { 1.0 };
        let swollen = bets * test.clusters().map_or(1.0, |clusters| clusters.deff);
        let mean = design.tolerance.margin_at(expected.canary) - expected.loss;
        let (under_null, under_truth) = match (design.tolerance, design.numeric) {
            // Of a contrast B − ρA, what A itself spreads by (1 − ρ)² is left out: it is far below the rest.
            (_, true) | (Tolerance::Margin(_), _) => [expected.variance(design.repeats); 2].into(),
            (Tolerance::Recovery(rho), false) => {
                let squares = both * (1.0 - rho).powi(2) + lost * rho * rho + gained;
                (ratio_variance((both, lost, gained), rho), (squares - mean * mean).max(0.0))
            }
        };
        Self { mean, under_null: swollen * under_null, under_truth: swollen * under_truth }
    }
}

/// The variance per pair of the score of a ratio where that is ρ, at population shares of (both right, lost, gained).
///
/// Sources: Nam and Blackwelder 2002; Tang, Tang and Chan 2003.
fn ratio_variance((both, lost, gained): (f64, f64, f64), rho: f64) -> f64 {
    let (canary, variant, either) = (both + lost, both + gained, both + lost + gained);
    let a = 1.0 + rho;
    let b = canary * rho * rho - (variant + 2.0 * lost);
    let c = lost * (1.0 - rho) * either;
    let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
    // The form without cancellation, whichever sign b has.
    let q = if b > 0.0 { -2.0 * c / (b + root) } else { (root - b) / (2.0 * a) };
    (a * q + either * (rho - 1.0)).max(0.0)
}

/// The probability of a pass with the samples there are.
fn planned(design: &Design, expected: Expected) -> Planned {
    let (shares, n) = (expected.shares(), design.samples);
    let margin = design.tolerance.margin_at(1.0);
    let test = test(design, expected);
    match test {
        Test::Score => by_score(n, shares, margin, design.alpha),
        Test::Exact if n <= QUADRATURES => Planned { power: exact_power(n, shares, margin, design.alpha), exact: true },
        Test::Exact => {
            let floors = stats::ni_floor(margin, design.alpha);
            let like = (n as f64 * floors.tango as f64 / floors.exact as f64) as u64;
            Planned { exact: false, ..by_score(like, shares, margin, design.alpha) }
        }
        Test::Clustered(clusters) => {
            let effective = ((n as f64 / clusters.deff) as u64).max(1);
            Planned { exact: false, ..by_score(effective, shares, margin, level(design.alpha, Some(clusters))) }
        }
        Test::Ratio(_) | Test::Mean(_) | Test::Bets(_) => {
            let Normal { mean, under_null, under_truth } = Normal::of(design, expected, test);
            let z = stats::normal_quantile(1.0 - level(design.alpha, test.clusters()));
            let above = (n as f64).sqrt() * mean - z * under_null.sqrt();
            let power = if under_truth > 0.0 { stats::normal_cdf(above / under_truth.sqrt()) } else { f64::from(above > 0.0) };
            Planned { power, exact: false }
        }
    }
}

/// The probability of a pass by the score test on n pairs.
fn by_score(n: u64, (lost, gained): (f64, f64), margin: f64, alpha: f64) -> Planned {
    let exact = (n <= ENUMERATED).then(|| stats::ni_power(n, lost, gained, margin, alpha)).flatten();
    match exact {
        Some(exact) => Planned { power: exact.p_pass_exact, exact: true },
        None => Planned { power: approximate(n, (lost, gained), margin, alpha), exact: false },
    }
}

/// The probability of a pass by the score test in the normal approximation: the power whose sample size is n.
fn approximate(n: u64, (lost, gained): (f64, f64), margin: f64, alpha: f64) -> f64 {
    let enough =
        |power: f64| stats::ni_sample_size(lost, gained, margin, alpha, power).is_some_and(|size| size.n_rmle <= n as f64);
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if enough(middle) { low = middle } else { high = middle }
    }
    low
}

/// The tightest tolerance that the samples there are show with probability `power`.
fn smallest(design: &Design, expected: Expected, power: f64) -> Option<Tolerance> {
    let of = |slack: f64| match design.tolerance {
        Tolerance::Margin(_) => Tolerance::Margin(slack),
        Tolerance::Recovery(_) => Tolerance::Recovery(1.0 - slack),
    };
    let shown = |slack: f64| {
        let design = Design { tolerance: of(slack), ..design.clone() };
        design.never(expected.canary).is_none() && needed(&design, expected, power).is_some_and(|needed| needed <= design.samples)
    };
    let (mut low, mut high) = (0.0, 1.0 - 1e-9);
    if !shown(high) {
        return None;
    }
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if shown(middle) { high = middle } else { low = middle }
    }
    Some(of(high))
}
