//! A bracketed root finder and a fixed quadrature: the two numerical tools that the intervals need.

/// A root of `f` between `low` and `high`, to `tolerance` in x (and never finer than two units in the last place).
///
/// Chandrupatla 1997 (Adv. Eng. Software 28:145): inverse quadratic interpolation where it is safe, else bisection, so
/// it never leaves the bracket and ends in about the time of bisection at worst. `f` may return ±∞. `None` where the
/// ends have the same sign or `f` returns NaN.
pub fn root(mut f: impl FnMut(f64) -> f64, low: f64, high: f64, tolerance: f64) -> Option<f64> {
    let mut at = |x: f64| f(x).clamp(-1e150, 1e150);
    let (mut x1, mut x2) = (high, low);
    let (mut f1, mut f2) = (at(high), at(low));
    if f1 == 0.0 {
        return Some(high);
    }
    if f2 == 0.0 {
        return Some(low);
    }
    if f1.is_nan() || f2.is_nan() || f1.signum() == f2.signum() {
        return None;
    }
    let mut share = 0.5;
    for _ in 0..400 {
        let x = x1 + share * (x2 - x1);
        let fx = at(x);
        if fx.is_nan() {
            return None;
        }
        let (x3, f3) = if fx.signum() == f1.signum() {
            (x1, f1)
        } else {
            let old = (x2, f2);
            (x2, f2) = (x1, f1);
            old
        };
        (x1, f1) = (x, fx);
        let (best, f_best) = if f2.abs() < f1.abs() { (x2, f2) } else { (x1, f1) };
        let least = (2.0 * f64::EPSILON * best.abs() + 0.5 * tolerance) / (x2 - x1).abs();
        if f_best == 0.0 || least > 0.5 || least.is_nan() {
            return Some(best);
        }
        share = interpolated((x1, f1), (x2, f2), (x3, f3)).unwrap_or(0.5).clamp(least, 1.0 - least);
    }
    Some(x1)
}

/// The share of the way from the first point to the second where the inverse parabola through the three crosses zero.
fn interpolated((x1, f1): (f64, f64), (x2, f2): (f64, f64), (x3, f3): (f64, f64)) -> Option<f64> {
    let xi = (x1 - x2) / (x3 - x2);
    let phi = (f1 - f2) / (f3 - f2);
    let safe = phi * phi < xi && (1.0 - phi) * (1.0 - phi) < 1.0 - xi;
    let share = f1 / (f2 - f1) * f3 / (f2 - f3) + (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2);
    (safe && share.is_finite()).then_some(share)
}

/// Abscissas and weights of the 16-point Gauss–Legendre rule, positive half.
pub(super) const GAUSS_LEGENDRE_16: [(f64, f64); 8] = [
    (0.095_012_509_837_637_4, 0.189_450_610_455_068_5),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_6),
    (0.458_016_777_657_227_4, 0.169_156_519_395_002_5),
    (0.617_876_244_402_643_8, 0.149_595_988_816_576_7),
    (0.755_404_408_355_003, 0.124_628_971_255_533_9),
    (0.865_631_202_387_831_8, 0.095_158_511_682_492_8),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_9),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_1),
];

/// ∫ f over [low, high] by the 16-point Gauss–Legendre rule on `panels` equal panels; 0 where the range is empty.
pub(super) fn integral(mut f: impl FnMut(f64) -> f64, low: f64, high: f64, panels: u32) -> f64 {
    if high <= low || high.is_nan() || low.is_nan() {
        return 0.0;
    }
    let half = (high - low) / (2.0 * f64::from(panels));
    let mut sum = 0.0;
    for panel in 0..panels {
        let middle = low + half * f64::from(2 * panel + 1);
        for (x, weight) in GAUSS_LEGENDRE_16 {
            sum += weight * (f(middle - half * x) + f(middle + half * x));
        }
    }
    sum * half
}

/// The sum of the values by Neumaier's compensated summation (1974): its error does not grow with their number.
pub(super) fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut running = Running::default();
    for value in values {
        running.add(value);
    }
    running.sum()
}

/// A sum in the making, as [`sum`] makes it.
#[derive(Clone, Copy, Default)]
pub(super) struct Running {
    total: f64,
    lost: f64,
}

impl Running {
    /// Adds a value.
    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        let next = self.total + value;
        self.lost += if self.total.abs() >= value.abs() { (self.total - next) + value } else { (value - next) + self.total };
        self.total = next;
    }

    /// The sum so far.
    pub(super) fn sum(self) -> f64 {
        self.total + self.lost
    }
}

/// The mean of the values; `None` of nothing.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| sum(values.iter().copied()) / values.len() as f64)
}

/// Σ (x − x̄)(y − ȳ) in two passes, over as many pairs as both have.
pub(super) fn cross_deviation(x: &[f64], y: &[f64]) -> f64 {
    let centre = mean(x);
    match (centre, if std::ptr::eq(x, y) { centre } else { mean(y) }) {
        (Some(mx), Some(my)) => sum(x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my))),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_to_tolerance_even_beside_an_infinity() {
        let found = root(|x| x.exp() - 2.0, 0.0, 5.0, 1e-14).expect("the ends differ in sign");
        assert!((found - 2.0_f64.ln()).abs() < 1e-14);
        let found = root(|x| 1.0 / x - 4.0, 0.0, 1.0, 1e-14).expect("the ends differ in sign");
        assert!((found - 0.25).abs() < 1e-13);
    }

    #[test]
    fn bracket_without_a_change_of_sign_has_no_root() {
        assert_eq!(root(|x| x * x + 1.0, -1.0, 1.0, 1e-12), None);
        assert_eq!(root(|_| f64::NAN, -1.0, 1.0, 1e-12), None);
    }

    #[test]
    fn quadrature_is_exact_for_a_polynomial_of_degree_31() {
        let got = integral(|x| x.powi(31), 0.0, 1.0, 1);
        assert!((got - 1.0 / 32.0).abs() < 1e-15, "{got}");
    }

    #[test]
    fn sum_keeps_what_plain_addition_loses() {
        assert!((sum([1e16, 1.0, -1e16]) - 1.0).abs() < f64::EPSILON);
    }
}
