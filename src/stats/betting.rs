//! Bounds for a mean of bounded scores that hold for any n and any distribution, and however often one looks: betting.

use rayon::prelude::*;

use super::solve::{root, sum};
use super::{Interval, PairTable};

/// Below this mean the wealth of a bet is not computed: a limit there is the end of the range.
const LEAST_MEAN: f64 = 1e-15;

/// The largest number of bets in a mixture.
const MOST_BETS: u32 = 1000;

/// More different values than this are multiplied instead of counted.
const MOST_COUNTED: usize = 4096;

/// The shares of the largest safe bet: γ = g/(G+1) for g = 1..=G.
fn shares(grid: u32) -> Option<Vec<f64>> {
    let shares = (1..=grid).map(|g| f64::from(g) / f64::from(grid + 1));
    (1..=MOST_BETS).contains(&grid).then(|| shares.collect())
}

/// ln of the mean of the exponentials.
fn log_mean_exp(logs: &[f64]) -> f64 {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most.is_infinite() {
        return most;
    }
    most + (sum(logs.iter().map(|log| (log - most).exp())) / logs.len() as f64).ln()
}

/// The least log-wealth that rejects at level α: ln(1/α). Domain α in (0, 1), else `None`.
fn threshold(alpha: f64) -> Option<f64> {
    (alpha > 0.0 && alpha < 1.0).then(|| -alpha.ln())
}

/// A difference in [−range, range] as a share of it, in [0, 1]; `None` outside.
fn placed(difference: f64, range: f64) -> Option<f64> {
    let x = 0.5 * (difference / range) + 0.5;
    (range > 0.0 && (0.0..=1.0).contains(&x)).then_some(x)
}

/// Wealth of bets for and against "the mean of values in [0, 1] is μ₀", kept in logarithms: an e-process for each side.
///
/// Source: Waudby-Smith & Ramdas 2024 (JRSSB 86:1), hedged grid-Kelly with constant bets: the mean over γ = g/(G+1) of
/// Π(1 + γ(x−μ₀)/μ₀), and its mirror. By Ville's inequality each side's wealth reaches 1/α with probability at most α at
/// any time, where its null hypothesis holds. The order of the values does not change the wealth.
#[derive(Clone, Debug, PartialEq)]
pub struct Betting {
    mu0: f64,
    shares: Vec<f64>,
    above: Vec<f64>,
    below: Vec<f64>,
}

impl Betting {
    /// Bets about the mean `mu0`, in (0, 1), with a mixture of `grid` bets, 1 to 1000. `None` outside.
    #[must_use]
    pub fn new(grid: u32, mu0: f64) -> Option<Self> {
        let shares = shares(grid).filter(|_| mu0 > 0.0 && mu0 < 1.0)?;
        let none = vec![0.0; shares.len()];
        Some(Self { mu0, shares, above: none.clone(), below: none })
    }

    /// Bets about a mean difference of −margin, where differences lie in [−range, range]: μ₀ = (1 − margin/range)/2.
    /// `None` where the margin is not in (−range, range), and as in [`Betting::new`].
    #[must_use]
    pub fn about_margin(grid: u32, margin: f64, range: f64) -> Option<Self> {
        Self::new(grid, placed(-margin, range)?)
    }

    /// Bets on one value in [0, 1]; false, and nothing is bet, where it is outside or not a number.
    pub fn push(&mut self, x: f64) -> bool {
        let inside = (0.0..=1.0).contains(&x);
        if inside {
            let (up, down) = ((x - self.mu0) / self.mu0, (self.mu0 - x) / (1.0 - self.mu0));
            for (i, share) in self.shares.iter().enumerate() {
                self.above[i] += (share * up).ln_1p();
                self.below[i] += (share * down).ln_1p();
            }
        }
        inside
    }

    /// Bets on one difference in [−range, range], as [`Betting::push`] on its share of the range.
    pub fn push_difference(&mut self, difference: f64, range: f64) -> bool {
        placed(difference, range).is_some_and(|x| self.push(x))
    }

    /// ln wealth of the pass side, which bets that the mean is above μ₀: from ln(1/α) on, that is shown at level α.
    #[must_use]
    pub fn log_pass(&self) -> f64 {
        log_mean_exp(&self.above)
    }

    /// ln wealth of the fail side, which bets that the mean is below μ₀: from ln(1/α) on, that is shown at level α.
    #[must_use]
    pub fn log_fail(&self) -> f64 {
        log_mean_exp(&self.below)
    }
}

/// Values in [0, 1] in a form that the wealth of all of them at a given mean is computed from fast.
enum Values {
    /// Each value once, with its number.
    Counted(Vec<(f64, f64)>),
    /// All of them.
    Listed(Vec<f64>),
}

impl Values {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let mut counted: Vec<(f64, f64)> = Vec::new();
        for &x in &values {
            match counted.last_mut() {
                Some((last, count)) if last.to_bits() == x.to_bits() => *count += 1.0,
                _ => counted.push((x, 1.0)),
            }
        }
        if counted.len() > MOST_COUNTED { Self::Listed(values) } else { Self::Counted(counted) }
    }

    /// Each value taken from 1.
    fn mirrored(&self) -> Self {
        match self {
            Self::Counted(values) => Self::Counted(values.iter().map(|(x, count)| (1.0 - x, *count)).collect()),
            Self::Listed(values) => Self::Listed(values.iter().rev().map(|x| 1.0 - x).collect()),
        }
    }

    /// ln wealth of the mixture that bets on a mean above `mu`.
    fn log_wealth(&self, mu: f64, shares: &[f64]) -> f64 {
        let logs: Vec<f64> = match self {
            Self::Counted(values) => shares.iter().map(|share| counted_log(values, mu, *share)).collect(),
            Self::Listed(values) => shares.par_chunks(4).flat_map_iter(|four| listed_logs(values, mu, four)).collect(),
        };
        log_mean_exp(&logs)
    }

    /// The values' number, mean and variance.
    fn moments(&self) -> (f64, f64, f64) {
        let over = |f: &dyn Fn(f64) -> f64| match self {
            Self::Counted(values) => sum(values.iter().map(|(x, count)| count * f(*x))),
            Self::Listed(values) => sum(values.iter().map(|x| f(*x))),
        };
        let n = over(&|_| 1.0);
        let mean = over(&|x| x) / n;
        (n, mean, over(&|x| (x - mean).powi(2)) / n)
    }

    /// The largest mean that the bets on a larger one reject: sup{μ: wealth ≥ 1/α}; 0 where there is none.
    fn lower(&self, shares: &[f64], threshold: f64) -> f64 {
        let off = |mu: f64| self.log_wealth(mu, shares) - threshold;
        let (n, mean, variance) = self.moments();
        if mean.is_nan() || mean <= LEAST_MEAN || off(LEAST_MEAN) < 0.0 {
            return 0.0;
        }
        // Wealth is at most 1 at the mean of the values, and grows downwards about as for normal ones.
        let needed = threshold + (shares.len() as f64).ln() + 2.0;
        let (mut high, mut reach) = (mean.min(1.0), (2.0 * needed * variance / n).sqrt() + needed / n);
        let mut low = high - reach;
        while low > LEAST_MEAN && off(low) < 0.0 {
            (high, reach) = (low, 2.0 * reach);
            low = high - reach;
        }
        root(off, low.max(LEAST_MEAN), high, 1e-15).unwrap_or(0.0)
    }
}

fn counted_log(values: &[(f64, f64)], mu: f64, share: f64) -> f64 {
    sum(values.iter().map(|(x, count)| count * (share * ((x - mu) / mu)).ln_1p()))
}

/// ln of each product of the factors 1 + γ(x−μ)/μ, for up to four γ: products of 16 factors (which neither overflow nor
/// vanish for a mean from 10⁻¹⁵ on), of which only the binary exponents are summed until the end.
fn listed_logs(values: &[f64], mu: f64, shares: &[f64]) -> Vec<f64> {
    const EXPONENT: u64 = 0x7ff0_0000_0000_0000;
    let mut slopes = [0.0; 4];
    for (slope, share) in slopes.iter_mut().zip(shares) {
        *slope = share / mu;
    }
    let mut mantissas = [1.0_f64; 4];
    let mut exponents = [0_i64; 4];
    for some in values.chunks(16) {
        let mut products = mantissas;
        for x in some {
            for (product, slope) in products.iter_mut().zip(&slopes) {
                *product *= 1.0 + slope * (x - mu);
            }
        }
        for i in 0..4 {
            let bits = products[i].to_bits();
            exponents[i] += i64::from((bits >> 52) as u32) - 1023;
            mantissas[i] = f64::from_bits((bits & !EXPONENT) | 1.0_f64.to_bits());
        }
    }
    let log = |i: usize| mantissas[i].ln() + exponents[i] as f64 * std::f64::consts::LN_2;
    (0..shares.len()).map(log).collect()
}

/// Both limits of the mean difference, in units of the range.
fn limits(values: &Values, shares: &[f64], threshold: f64) -> (f64, f64) {
    let upper = values.mirrored().lower(shares, threshold);
    (2.0 * values.lower(shares, threshold) - 1.0, 1.0 - 2.0 * upper)
}

/// The betting bounds of a mean difference: each limit holds with probability 1 − α for any n and any distribution on
/// [−range, range] of independent differences (one-sided, so both hold with 1 − 2α).
///
/// Source: Waudby-Smith & Ramdas 2024, grid-Kelly as in [`Betting`]; `grid` bets, 20 is usual. Equal values are counted.
/// Without a value the limits are ±range. `None` for a value outside the range or not a number, a range not positive, α
/// outside (0, 1) or grid outside 1..=1000.
#[must_use]
pub fn betting_interval(differences: &[f64], range: f64, alpha: f64, grid: u32) -> Option<Interval> {
    let (shares, threshold) = (shares(grid)?, threshold(alpha)?);
    let placed: Vec<f64> = differences.iter().map(|d| placed(*d, range)).collect::<Option<_>>()?;
    let n = differences.len().max(1) as f64;
    let values = Values::of(placed);
    let estimate = sum(differences.iter().copied()) / n;
    let (lower, upper) = if range > 0.0 { limits(&values, &shares, threshold) } else { return None };
    Some(Interval { estimate, lower: range * lower, upper: range * upper })
}

/// [`betting_interval`] of the differences −1, 0 and 1 of a paired table: for 10⁹ pairs as fast as for ten.
///
/// For no pairs [−1, 1] about 0. `None` for α outside (0, 1) or grid outside 1..=1000.
#[must_use]
pub fn betting_counts(table: &PairTable, alpha: f64, grid: u32) -> Option<Interval> {
    let (shares, threshold) = (shares(grid)?, threshold(alpha)?);
    let (b, c, n) = table.counts();
    let counted = [(0.0, b), (0.5, (n - b - c).max(0.0)), (1.0, c)];
    let values = Values::Counted(counted.into_iter().filter(|(_, count)| *count > 0.0).collect());
    let (lower, upper) = limits(&values, &shares, threshold);
    Some(Interval { estimate: table.difference().unwrap_or(0.0), lower, upper })
}

/// The course of a betting analysis; lists have an entry for each of the times asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct HgKelly {
    /// ln wealth of the pass side.
    pub log_e_pass: Vec<f64>,
    /// ln wealth of the fail side.
    pub log_e_fail: Vec<f64>,
    /// Lower limits from the values up to that time.
    pub lower: Vec<f64>,
    /// Upper limits from the values up to that time.
    pub upper: Vec<f64>,
    /// The largest lower limit of any time until then.
    pub lower_running: Vec<f64>,
    /// The least upper limit of any time until then.
    pub upper_running: Vec<f64>,
    /// The first time, from 1, at which the pass side's wealth reached 1/α.
    pub first_pass_t: Option<usize>,
    /// The first time at which the fail side's wealth reached 1/α.
    pub first_fail_t: Option<usize>,
}

/// Follows differences in [−1, 1] against a margin with the bets of [`Betting`]; `times` count values, from 0.
///
/// `None` for a difference outside, a margin outside (−1, 1), a time after the last value, α outside (0, 1) or grid outside
/// 1..=1000.
#[must_use]
pub fn hgkelly_case(differences: &[f64], margin: f64, alpha: f64, grid: u32, times: &[usize]) -> Option<HgKelly> {
    let (shares, threshold) = (shares(grid)?, threshold(alpha)?);
    let x: Vec<f64> = differences.iter().map(|d| placed(*d, 1.0)).collect::<Option<_>>()?;
    if times.iter().any(|t| *t > x.len()) {
        return None;
    }
    let mut bets = Betting::about_margin(grid, margin, 1.0)?;
    let mut logs = vec![(bets.log_pass(), bets.log_fail())];
    logs.extend(x.iter().map(|&x| {
        bets.push(x);
        (bets.log_pass(), bets.log_fail())
    }));
    let mirrored: Vec<f64> = x.iter().map(|x| 1.0 - x).collect();
    let (low, high) = (running_lower(&x, &shares, threshold), running_lower(&mirrored, &shares, threshold));
    let now: Vec<(f64, f64)> = times.iter().map(|&t| limits(&Values::of(x[..t].to_vec()), &shares, threshold)).collect();
    let first = |side: fn(&(f64, f64)) -> f64| logs.iter().position(|log| side(log) >= threshold);
    Some(HgKelly {
        log_e_pass: times.iter().map(|&t| logs[t].0).collect(),
        log_e_fail: times.iter().map(|&t| logs[t].1).collect(),
        lower: now.iter().map(|now| now.0).collect(),
        upper: now.iter().map(|now| now.1).collect(),
        lower_running: times.iter().map(|&t| 2.0 * low[t] - 1.0).collect(),
        upper_running: times.iter().map(|&t| 1.0 - 2.0 * high[t]).collect(),
        first_pass_t: first(|log| log.0),
        first_fail_t: first(|log| log.1),
    })
}

/// The largest lower limit until each time from 0: it is solved for only where the wealth at the last one allows a larger.
fn running_lower(x: &[f64], shares: &[f64], threshold: f64) -> Vec<f64> {
    let mut best = 0.0;
    let mut course = vec![best];
    for t in 1..=x.len() {
        let log_now = |share: &f64| sum(x[..t].iter().map(|x| (share * ((x - best) / best)).ln_1p()));
        let may_grow = best <= 0.0 || log_mean_exp(&shares.iter().map(log_now).collect::<Vec<_>>()) >= threshold;
        if may_grow {
            best = Values::of(x[..t].to_vec()).lower(shares, threshold).max(best);
        }
        course.push(best);
    }
    course
}

/// ln wealth after each of the differences in [−1, 1], drawn without replacement from a benchmark of `population` items,
/// of bets that the mean over the whole benchmark is above −margin; +∞ once the items seen rule anything else out.
///
/// Source: Waudby-Smith & Ramdas 2024 §5: the null mean of what is left is (Nμ₀ − S)/(N − t + 1). `None` for more
/// differences than items, a difference outside, a margin outside (−1, 1) or grid outside 1..=1000.
#[must_use]
pub fn hgkelly_wor(differences: &[f64], population: u64, margin: f64, grid: u32) -> Option<Vec<f64>> {
    let shares = shares(grid)?;
    let mu0 = placed(-margin, 1.0).filter(|mu| *mu > 0.0 && *mu < 1.0)?;
    let x: Vec<f64> = differences.iter().map(|d| placed(*d, 1.0)).collect::<Option<_>>()?;
    if x.len() as u64 > population {
        return None;
    }
    let all = population as f64;
    let (mut seen, mut impossible) = (0.0, false);
    let mut logs = vec![0.0; shares.len()];
    let step = |(t, x): (usize, &f64)| {
        let mu = (all * mu0 - seen) / (all - t as f64);
        impossible = impossible || mu <= 0.0;
        seen += x;
        if impossible {
            return f64::INFINITY;
        }
        for (log, share) in logs.iter_mut().zip(&shares) {
            *log += (share * ((x - mu) / mu)).ln_1p();
        }
        log_mean_exp(&logs)
    };
    Some(x.iter().enumerate().map(step).collect())
}

/// The predictable-plug-in empirical-Bernstein hedged-capital interval of values in [0, 1], at level α, on a grid of
/// `breaks` + 1 means and widened by one step on each side; it depends on the order of the values.
///
/// Source: Waudby-Smith & Ramdas 2024 and their package confseq, whose grid rule this repeats (½ of the capital on each side,
/// bets at most half of the largest safe one). `None` for no value, one outside [0, 1], α outside (0, 1) or breaks outside
/// 1..=10⁶.
#[must_use]
pub fn hedged_cs(values: &[f64], alpha: f64, breaks: u32) -> Option<(f64, f64)> {
    let inside = values.iter().all(|x| (0.0..=1.0).contains(x));
    if values.is_empty() || !inside || !(1..=1_000_000).contains(&breaks) {
        return None;
    }
    threshold(alpha)?;
    let bets = plug_in_bets(values, alpha);
    let step = 1.0 / f64::from(breaks);
    let kept: Vec<f64> =
        (0..=breaks).map(|i| f64::from(i) * step).filter(|m| hedged_capital(values, &bets, *m) <= 1.0 / alpha).collect();
    let (low, high) = (kept.first().copied().unwrap_or(0.0), kept.last().copied().unwrap_or(1.0));
    Some(((low - step).max(0.0), (high + step).min(1.0)))
}

/// The bets √(2 ln(2/α) / (σ̂² t ln(1+t))), σ̂² of the values before, with one imagined value of mean ½ and variance ¼.
fn plug_in_bets(values: &[f64], alpha: f64) -> Vec<f64> {
    let (mut total, mut squares, mut variance, mut t) = (0.0, 0.0, 0.25, 1.0_f64);
    let bet = |x: &f64| {
        let bet = (2.0 * (2.0 / alpha).ln() / (t * t.ln_1p() * variance)).sqrt();
        total += x;
        squares += (x - (0.5 + total) / (t + 1.0)).powi(2);
        variance = (0.25 + squares) / (t + 1.0);
        t += 1.0;
        bet
    };
    values.iter().map(bet).collect()
}

fn hedged_capital(values: &[f64], bets: &[f64], mean: f64) -> f64 {
    let (mut up, mut down) = (1.0, 1.0);
    for (x, bet) in values.iter().zip(bets) {
        up *= 1.0 + bet.min(0.5 / mean) * (x - mean);
        down *= 1.0 - bet.min(0.5 / (1.0 - mean)) * (x - mean);
    }
    (0.5 * up).max(0.5 * down)
}
