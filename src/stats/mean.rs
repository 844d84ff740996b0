//! Differences and ratios of paired continuous scores.

use super::Interval;
use super::distributions::{t_of, t_sf};
use super::solve::{cross_deviation, mean, sum};

/// A paired t analysis of variant − canary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedMean {
    /// The mean difference and its t limits; of width 0 where the differences do not vary, which is no evidence.
    pub interval: Interval,
    /// Its standard error.
    pub se: f64,
    /// Degrees of freedom, n − 1.
    pub df: f64,
    /// (D̄ + m)/SE; `None` where the differences do not vary.
    pub t_ni: Option<f64>,
    /// Its one-sided p of H₀: E D ≤ −m.
    pub p_ni: Option<f64>,
    /// Two-sided p of H₀: E D = 0.
    pub p_two_sided_zero: Option<f64>,
}

/// Whether two lists are paired, hold at least two values, and only finite ones.
fn paired(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.len() > 1 && a.iter().chain(b).all(|v| v.is_finite())
}

/// Student's paired t on D = b − a (a canary, b variant), with a test against the margin m.
///
/// Source: Student 1908; Miller 2024 for its use here. It may decide only where 20 or more differences are not 0 (a
/// measured bound on its error; the caller's guard). `None` for lists of different lengths, fewer than two values, or a
/// value that is not finite.
#[must_use]
pub fn paired_t(a: &[f64], b: &[f64], margin: f64, conf: f64) -> Option<PairedMean> {
    if !paired(a, b) {
        return None;
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    let estimate = mean(&differences)?;
    let n = differences.len() as f64;
    let squares = sum(differences.iter().map(|d| (d - estimate) * (d - estimate)));
    let (se, df) = ((squares / (n - 1.0) / n).sqrt(), n - 1.0);
    let reach = t_of(conf, df)? * se;
    let over = |value: f64| (se > 0.0).then(|| value / se);
    let t_ni = over(estimate + margin);
    Some(PairedMean {
        interval: Interval { estimate, lower: estimate - reach, upper: estimate + reach },
        se,
        df,
        t_ni,
        p_ni: t_ni.and_then(|t| t_sf(t, df)),
        p_two_sided_zero: over(estimate.abs()).and_then(|t| t_sf(t, df)).map(|p| 2.0 * p),
    })
}

/// Means of two paired lists and (co)variances of the means.
struct Moments {
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
    df: f64,
}

impl Moments {
    fn of(a: &[f64], b: &[f64]) -> Option<Self> {
        if !paired(a, b) {
            return None;
        }
        let n = a.len() as f64;
        let over = |x: &[f64], y: &[f64]| cross_deviation(x, y) / (n - 1.0) / n;
        Some(Self { x: mean(a)?, y: mean(b)?, xx: over(a, a), yy: over(b, b), xy: over(a, b), df: n - 1.0 })
    }
}

/// A ratio of paired means, variant over canary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fieller {
    /// ȳ / x̄.
    pub estimate: f64,
    /// t²·Var(x̄) / x̄²: from 1 on the canary's mean cannot be told from 0 and there are no limits.
    pub g: f64,
    /// The limits; `None` where they are unbounded.
    pub limits: Option<(f64, f64)>,
}

/// Fieller's exact interval for b̄ / ā: the R with |ȳ − R x̄| ≤ t·SE(ȳ − R x̄).
///
/// Source: Fieller 1954. `None` for a canary mean of 0 and as in [`paired_t`].
#[must_use]
pub fn fieller(a: &[f64], b: &[f64], conf: f64) -> Option<Fieller> {
    let of = Moments::of(a, b).filter(|of| of.x != 0.0)?;
    let square = t_of(conf, of.df)?.powi(2);
    let g = square * of.xx / (of.x * of.x);
    let (lead, half, last) = (of.x * of.x - square * of.xx, of.x * of.y - square * of.xy, of.y * of.y - square * of.yy);
    let spread = (half * half - lead * last).max(0.0).sqrt();
    let limits = (g < 1.0).then(|| {
        // The larger root first, then the other as the product over it, where that has no cancellation.
        let far = half + if half < 0.0 { -spread } else { spread };
        let (one, other) = (far / lead, if far == 0.0 { 0.0 } else { last / far });
        (one.min(other), one.max(other))
    });
    Some(Fieller { estimate: of.y / of.x, g, limits })
}

/// The same ratio by the delta method on its logarithm, and the SE of the logarithm: a check on [`fieller`].
///
/// `None` where a mean is not positive, and as in [`paired_t`].
#[must_use]
pub fn log_ratio_delta(a: &[f64], b: &[f64], conf: f64) -> Option<(Interval, f64)> {
    let of = Moments::of(a, b).filter(|of| of.x > 0.0 && of.y > 0.0)?;
    let variance = of.xx / (of.x * of.x) + of.yy / (of.y * of.y) - 2.0 * of.xy / (of.x * of.y);
    let se = variance.max(0.0).sqrt();
    let (estimate, reach) = (of.y / of.x, t_of(conf, of.df)? * se);
    Some((Interval { estimate, lower: estimate * (-reach).exp(), upper: estimate * reach.exp() }, se))
}

/// The geometric mean of the paired ratios b/a with t limits on the logarithms: latency of variant over canary on the
/// same prompts. `None` where a value is not positive, and as in [`paired_t`].
#[must_use]
pub fn log_ratio_latency(a: &[f64], b: &[f64], conf: f64) -> Option<Interval> {
    if a.iter().chain(b).any(|v| v.is_nan() || *v <= 0.0) {
        return None;
    }
    let logs = |side: &[f64]| side.iter().map(|v| v.ln()).collect::<Vec<f64>>();
    let of = paired_t(&logs(a), &logs(b), 0.0, conf)?.interval;
    Some(Interval { estimate: of.estimate.exp(), lower: of.lower.exp(), upper: of.upper.exp() })
}
