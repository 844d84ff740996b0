//! Looking at the data before they are complete: boundaries that keep the error rate over all looks together.

use super::distributions::{normal_quantile, normal_sf};
use super::solve::root;
use super::tango::Flips;
use super::{MarginVerdict, PairTable};

/// Beyond this z nothing is observed: a boundary above it is infinite.
const FAR: f64 = 38.0;

/// The lower end of the numerical integration, in standard deviations.
const DEEP: f64 = 9.0;

/// The least step between information fractions.
const LEAST_STEP: f64 = 1e-6;

/// How a boundary spreads the error rate over the looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// The same z at each look (Pocock 1977).
    Pocock,
    /// z falling as 1/√t (O'Brien & Fleming 1979).
    ObrienFleming,
    /// Lan–DeMets 1983 with the O'Brien–Fleming-like spending function of [`obf_spending`].
    LanDemetsObf,
    /// Lan–DeMets 1983 with the Pocock-like spending function α·ln(1 + (e−1)t).
    LanDemetsPocock,
}

/// One-sided boundaries of a group-sequential test, one a look.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSequential {
    bounds: Vec<f64>,
    spent: Vec<f64>,
    constant: Option<f64>,
}

impl GroupSequential {
    /// Lan–DeMets boundaries with O'Brien–Fleming-like spending at these information fractions, which need not be the planned
    /// ones: the share of the error that a look may spend follows from its actual fraction. Fractions from 1 on spend all.
    ///
    /// `None` for no fraction, fractions that are not positive and rising by at least 10⁻⁶, or α outside (0, ½].
    #[must_use]
    pub fn new(fractions: &[f64], alpha: f64) -> Option<Self> {
        group_sequential(fractions, alpha, Boundary::LanDemetsObf)
    }

    /// The same, where the last look is the final one whatever its fraction: it spends all that is left.
    #[must_use]
    pub fn closing(fractions: &[f64], alpha: f64) -> Option<Self> {
        let mut spent = planned(fractions, alpha, obf_spending)?;
        *spent.last_mut()? = alpha;
        Some(Self::spending(fractions, spent))
    }

    /// The boundary of each look, as z; +∞ where a look may spend nothing that could be observed.
    #[must_use]
    pub fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// The error rate that is spent up to each look.
    #[must_use]
    pub fn spent(&self) -> &[f64] {
        &self.spent
    }

    /// Pocock's or O'Brien and Fleming's constant: the boundary at t = 1.
    #[must_use]
    pub fn constant(&self) -> Option<f64> {
        self.constant
    }

    fn spending(fractions: &[f64], spent: Vec<f64>) -> Self {
        let mut walk = Walk::new(fractions);
        let mut before = 0.0;
        let mut bounds = Vec::with_capacity(spent.len());
        for total in &spent {
            bounds.push(walk.bound_spending(total - before));
            before = *total;
        }
        Self { bounds, spent, constant: None }
    }
}

/// The error rate spent up to information fraction t by Lan–DeMets 1983's first function: 2[1 − Φ(z_{1−α/2}/√t)].
/// 0 for t not above 0, α from t = 1 on.
#[must_use]
pub fn obf_spending(t: f64, alpha: f64) -> f64 {
    if t.is_nan() || t <= 0.0 {
        return 0.0;
    }
    if t >= 1.0 { alpha } else { 2.0 * normal_sf(-normal_quantile(0.5 * alpha) / t.sqrt()) }
}

fn pocock_spending(t: f64, alpha: f64) -> f64 {
    alpha * ((std::f64::consts::E - 1.0) * t.clamp(0.0, 1.0)).ln_1p()
}

/// What is spent up to each fraction, where they are in the domain.
fn planned(fractions: &[f64], alpha: f64, spending: fn(f64, f64) -> f64) -> Option<Vec<f64>> {
    let rising = fractions.windows(2).all(|pair| pair[1] - pair[0] >= LEAST_STEP);
    let proper = fractions.first().is_some_and(|t| *t >= LEAST_STEP) && fractions.iter().all(|t| t.is_finite());
    let kept = rising && proper && alpha > 0.0 && alpha <= 0.5;
    kept.then(|| fractions.iter().map(|t| spending(*t, alpha)).collect())
}

/// One-sided group-sequential boundaries of level α for looks at information fractions `t`, by recursive numerical
/// integration (Armitage et al. 1969; Jennison & Turnbull 2000 ch. 19). Domain as in [`GroupSequential::new`].
#[must_use]
pub fn group_sequential(t: &[f64], alpha: f64, kind: Boundary) -> Option<GroupSequential> {
    let spending = if kind == Boundary::LanDemetsPocock { pocock_spending } else { obf_spending };
    let spent = planned(t, alpha, spending)?;
    let shape = |constant: f64| -> Vec<f64> {
        let falls = kind == Boundary::ObrienFleming;
        t.iter().map(|t| if falls { constant / t.sqrt() } else { constant }).collect()
    };
    if matches!(kind, Boundary::LanDemetsObf | Boundary::LanDemetsPocock) {
        return Some(GroupSequential::spending(t, spent));
    }
    let total = |constant: f64| Walk::crossing(t, &shape(constant)).iter().sum::<f64>();
    let constant = root(|c| total(c).ln() - alpha.ln(), 0.0, 12.0, 1e-12)?;
    let mut cumulative = 0.0;
    let add = |p: &f64| {
        cumulative += p;
        cumulative
    };
    let spent = Walk::crossing(t, &shape(constant)).iter().map(add).collect();
    Some(GroupSequential { bounds: shape(constant), spent, constant: Some(constant) })
}

/// A Brownian path on its way through the looks: the density of its place where no boundary was crossed yet.
struct Walk<'a> {
    fractions: &'a [f64],
    look: usize,
    /// Place, and density times the weight of the quadrature.
    nodes: Vec<(f64, f64)>,
}

impl<'a> Walk<'a> {
    fn new(fractions: &'a [f64]) -> Self {
        Self { fractions, look: 0, nodes: vec![(0.0, 1.0)] }
    }

    /// The probability of crossing each bound first there.
    fn crossing(fractions: &'a [f64], bounds: &[f64]) -> Vec<f64> {
        let mut walk = Self::new(fractions);
        let cross = |bound: &f64| {
            let p = walk.beyond(*bound);
            walk.step(*bound);
            p
        };
        bounds.iter().map(cross).collect()
    }

    /// The standard deviation of the step to the next look.
    fn deviation(&self) -> f64 {
        let before = if self.look == 0 { 0.0 } else { self.fractions[self.look - 1] };
        (self.fractions[self.look] - before).sqrt()
    }

    /// The probability of being beyond z = `bound` at the next look.
    fn beyond(&self, bound: f64) -> f64 {
        let (place, deviation) = (bound * self.fractions[self.look].sqrt(), self.deviation());
        self.nodes.iter().map(|(x, weight)| weight * normal_sf((place - x) / deviation)).sum()
    }

    /// Takes the path to the next look, where it is stopped beyond z = `bound`.
    fn step(&mut self, bound: f64) {
        let (scale, deviation) = (self.fractions[self.look].sqrt(), self.deviation());
        let next = self.fractions.get(self.look + 1).map_or(deviation, |t| (t - self.fractions[self.look]).sqrt());
        let places = grid(-DEEP * scale, bound.min(FAR) * scale, 1.5 * deviation.min(next));
        let density = |place: f64| {
            let from = self.nodes.partition_point(|(x, _)| *x < place - FAR * deviation);
            let near = self.nodes[from..].iter().take_while(|(x, _)| *x <= place + FAR * deviation);
            let sum: f64 = near.map(|(x, weight)| weight * (-0.5 * ((place - x) / deviation).powi(2)).exp()).sum();
            sum / (deviation * std::f64::consts::TAU.sqrt())
        };
        self.nodes = places.into_iter().map(|(place, weight)| (place, weight * density(place))).collect();
        self.look += 1;
    }

    /// The bound that spends `error` at the next look, and the path taken there.
    fn bound_spending(&mut self, error: f64) -> f64 {
        let off = |z: f64| (self.beyond(z) / error).ln();
        let bound = if error > 1e-300 { root(off, -DEEP, FAR, 1e-13).unwrap_or(f64::INFINITY) } else { f64::INFINITY };
        if self.look + 1 < self.fractions.len() {
            self.step(bound);
        }
        bound
    }
}

/// Places and weights of the 16-point Gauss–Legendre rule on panels of at most this width.
fn grid(low: f64, high: f64, width: f64) -> Vec<(f64, f64)> {
    if high <= low {
        return Vec::new();
    }
    let panels = ((high - low) / width).ceil().max(1.0) as u32;
    let half = (high - low) / (2.0 * f64::from(panels));
    let rule = super::solve::GAUSS_LEGENDRE_16;
    let signed = move |middle: f64| {
        let left = rule.iter().rev().map(move |(x, weight)| (middle - half * x, half * weight));
        left.chain(rule.iter().map(move |(x, weight)| (middle + half * x, half * weight))).collect::<Vec<_>>()
    };
    (0..panels).flat_map(|panel| signed(low + half * f64::from(2 * panel + 1))).collect()
}

/// Where a group-sequential comparison with a margin stands.
#[derive(Clone, Debug, PartialEq)]
pub struct SequentialVerdict {
    /// PASS or FAIL from the first look that crossed its boundary, else INCONCLUSIVE.
    pub verdict: MarginVerdict,
    /// The look, from 1, that decided, or the last one looked at.
    pub look: usize,
    /// T(−m), Tango's score, at each look up to that one.
    pub z: Vec<f64>,
    /// The boundary of PASS (z above it) at each planned look.
    pub pass_bounds: Vec<f64>,
    /// The boundary of FAIL (z below its negative) at each planned look.
    pub fail_bounds: Vec<f64>,
}

/// The verdict of looks at growing tables against a margin in [0, 1]: PASS where Tango's score of H₀ δ ≤ −m is above its
/// Lan–DeMets boundary, FAIL where it is below the negative of its own, at the first look where either is so.
///
/// `fractions` are the information fractions of all planned looks (pairs seen / pairs planned), at least as many as `looks`;
/// domain as in [`GroupSequential::new`] for both levels. `None` outside, and for no look. A look without a pair has z = 0.
#[must_use]
pub fn sequential_verdict(
    looks: &[PairTable],
    fractions: &[f64],
    margin: f64,
    alpha_pass: f64,
    alpha_fail: f64,
) -> Option<SequentialVerdict> {
    let pass = GroupSequential::new(fractions, alpha_pass)?;
    let fail =
        if alpha_fail.to_bits() == alpha_pass.to_bits() { pass.clone() } else { GroupSequential::new(fractions, alpha_fail)? };
    sequential_by(looks, margin, &pass, &fail)
}

/// [`sequential_verdict`] with boundaries that were computed before. `None` for no look, more looks than boundaries on
/// either side, or a margin outside [0, 1].
#[must_use]
pub fn sequential_by(
    looks: &[PairTable],
    margin: f64,
    pass: &GroupSequential,
    fail: &GroupSequential,
) -> Option<SequentialVerdict> {
    let planned = pass.bounds.len().min(fail.bounds.len());
    if looks.is_empty() || looks.len() > planned || !(0.0..=1.0).contains(&margin) {
        return None;
    }
    let (mut verdict, mut z) = (MarginVerdict::Inconclusive, Vec::new());
    for (look, table) in looks.iter().enumerate() {
        let score = Flips::of(table).map_or(0.0, |flips| flips.score(-margin));
        z.push(score);
        if score > pass.bounds[look] {
            verdict = MarginVerdict::Pass;
        } else if score < -fail.bounds[look] {
            verdict = MarginVerdict::Fail;
        }
        if verdict != MarginVerdict::Inconclusive {
            break;
        }
    }
    Some(SequentialVerdict { verdict, look: z.len(), z, pass_bounds: pass.bounds.clone(), fail_bounds: fail.bounds.clone() })
}
