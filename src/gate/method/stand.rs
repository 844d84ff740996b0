//! Where a loss stands against what is tolerated: an interval and its p-values, made to say the same to the last bit.

use crate::domain::Verdict;
use crate::stats::{Annotation, Interval};

/// How far a solved limit may lie from where its test puts it.
const SOLVED: f64 = 1e-8;

/// Where scores stand by one method, at the question's level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::gate) struct Stand {
    /// Variant less canary.
    pub(in crate::gate) delta: Interval,
    /// Variant over canary, for a recovery.
    pub(in crate::gate) ratio: Option<Interval>,
    /// One-sided p of "the loss is at least what is tolerated".
    pub(in crate::gate) p_pass: f64,
    /// One-sided p of "the loss is at most what is tolerated".
    pub(in crate::gate) p_fail: f64,
    /// What the limits are held against: −margin, or the share to be kept.
    bound: f64,
    verdict: Verdict,
}

impl Stand {
    /// By a margin: the interval of the difference, and the p-values at −margin.
    pub(super) fn of_margin(delta: Interval, margin: f64, (p_pass, p_fail): (f64, f64), alpha: f64) -> Option<Self> {
        let bound = -margin;
        let delta = touched(proper(delta)?, bound, (p_pass, p_fail), alpha);
        let verdict = decided(delta, bound, (p_pass, p_fail), alpha);
        Some(Self { delta, ratio: None, p_pass, p_fail, bound, verdict })
    }

    /// By a recovery: the interval of the ratio, and the p-values at the share.
    pub(super) fn of_share(
        delta: Interval,
        ratio: Interval,
        share: f64,
        (p_pass, p_fail): (f64, f64),
        alpha: f64,
    ) -> Option<Self> {
        let ratio = touched(proper(ratio)?, share, (p_pass, p_fail), alpha);
        let verdict = decided(ratio, share, (p_pass, p_fail), alpha);
        Some(Self { delta: proper(delta)?, ratio: Some(ratio), p_pass, p_fail, bound: share, verdict })
    }

    /// PASS, FAIL or INCONCLUSIVE, by the interval and by the p-values: where rounding parts them, INCONCLUSIVE.
    pub(in crate::gate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What the interval says beyond a verdict.
    pub(in crate::gate) fn note(&self, verdict: Verdict) -> Option<Annotation> {
        let (interval, equal) = self.ratio.map_or((self.delta, 0.0), |ratio| (ratio, 1.0));
        note_of(interval, equal, verdict)
    }

    /// How far the estimate is from what is tolerated: 0 or less where the observed loss is at least that.
    pub(in crate::gate) fn room(&self) -> f64 {
        self.ratio.unwrap_or(self.delta).estimate - self.bound
    }
}

/// What an interval says beyond a verdict, where `equal` is what no difference gives.
pub(in crate::gate) fn note_of(interval: Interval, equal: f64, verdict: Verdict) -> Option<Annotation> {
    match verdict {
        Verdict::Pass if interval.upper < equal => Some(Annotation::DetectableRegressionWithinMargin),
        Verdict::Pass if interval.lower > equal => Some(Annotation::Improvement),
        Verdict::Inconclusive if interval.upper < equal => Some(Annotation::SignificantRegressionSizeUnresolved),
        _ => None,
    }
}

/// The interval, if its limits are numbers in their order.
fn proper(interval: Interval) -> Option<Interval> {
    let Interval { estimate, lower, upper } = interval;
    (!estimate.is_nan() && lower <= upper).then_some(interval)
}

/// Moves a limit that was solved to within rounding of the bound to the side on which its test has it: the test decides.
fn touched(interval: Interval, bound: f64, (p_pass, p_fail): (f64, f64), alpha: f64) -> Interval {
    let near = |limit: f64| (limit - bound).abs() < SOLVED;
    let lower = match (near(interval.lower), p_pass < alpha) {
        (true, true) => interval.lower.max(bound.next_up()),
        (true, false) => interval.lower.min(bound),
        (false, _) => interval.lower,
    };
    let upper = match (near(interval.upper), p_fail < alpha) {
        (true, true) => interval.upper.min(bound.next_down()),
        (true, false) => interval.upper.max(bound),
        (false, _) => interval.upper,
    };
    Interval { lower: lower.min(upper), upper, ..interval }
}

fn decided(interval: Interval, bound: f64, (p_pass, p_fail): (f64, f64), alpha: f64) -> Verdict {
    if interval.lower > bound && p_pass < alpha {
        Verdict::Pass
    } else if interval.upper < bound && p_fail < alpha {
        Verdict::Fail
    } else {
        Verdict::Inconclusive
    }
}

/// The one-sided level at which a limit touches a bound, by bisection: the p of a test that is only known by its limits.
/// `beyond` says at a level in (0, ½] whether the limit is beyond the bound, which it is at every larger level too. ½ where
/// it never is.
pub(in crate::gate) fn touches(beyond: impl Fn(f64) -> bool) -> f64 {
    let (mut out, mut inside) = (1e-12_f64.ln(), 0.5_f64.ln());
    if !beyond(0.5) {
        return 0.5;
    }
    if beyond(1e-12) {
        return 1e-12;
    }
    for _ in 0..60 {
        let middle = f64::midpoint(out, inside);
        if beyond(middle.exp()) { inside = middle } else { out = middle }
    }
    inside.exp()
}
