//! Bootstrap intervals of means, of token-weighted means over clusters, and of ratios of quantiles.

use super::Interval;
use super::distributions::{normal_cdf, normal_quantile, upper_tail_of};
use super::quantile::quantile;
use super::resample::{Draws, Resampling, sorted};
use super::solve::{mean, sum};

/// Replicates nearer to the estimate than this share of the standard error are equal to it: what rounding makes of ties.
const TIE: f64 = 1e-9;

/// Most items whose resamples are enumerated.
const MOST_ENUMERATED: usize = 12;

/// A bias-corrected and accelerated interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bca {
    /// The bias correction.
    pub z0: f64,
    /// The share of the replicates below the lower limit.
    pub alpha1: f64,
    /// The share of the replicates below the upper limit.
    pub alpha2: f64,
    /// The lower limit.
    pub lower: f64,
    /// The upper limit.
    pub upper: f64,
}

/// Efron's BCa interval from replicates of an estimate and its acceleration.
///
/// Source: Efron 1987 (JASA 82:171); z₀ by the mid rule (replicates equal to the estimate count half), as scipy, and type-7
/// quantiles. `None` where all replicates are on one side of the estimate or equal to it, one is not a number, or there is
/// no acceleration.
#[must_use]
pub fn bca_from_replicates(estimate: f64, replicates: &[f64], acceleration: Option<f64>, conf: f64) -> Option<Bca> {
    let mut ascending = replicates.to_vec();
    ascending.sort_unstable_by(f64::total_cmp);
    if ascending.iter().any(|v| v.is_nan()) || estimate.is_nan() {
        return None;
    }
    let (below, up_to) = (ascending.partition_point(|v| *v < estimate), ascending.partition_point(|v| *v <= estimate));
    let share = 0.5 * (below + up_to) as f64 / ascending.len().max(1) as f64;
    let degenerate = up_to - below == ascending.len();
    let [z0, alpha1, alpha2] = levels(share, acceleration?, conf).filter(|_| !degenerate)?;
    Some(Bca { z0, alpha1, alpha2, lower: quantile(&ascending, alpha1)?, upper: quantile(&ascending, alpha2)? })
}

/// z₀ and the two levels; `None` where no or every replicate is below the estimate.
fn levels(share: f64, acceleration: f64, conf: f64) -> Option<[f64; 3]> {
    if !(share > 0.0 && share < 1.0 && acceleration.is_finite()) {
        return None;
    }
    let (z0, tail) = (normal_quantile(share), upper_tail_of(conf));
    let level = |z: f64| normal_cdf(z0 + (z0 + z) / (1.0 - acceleration * (z0 + z)));
    Some([z0, level(normal_quantile(tail)), level(-normal_quantile(tail))])
}

/// Σu³ / (6(Σu²)^{3/2}) of the jackknife's deviations; `None` where they are all 0.
fn acceleration(deviations: &[f64]) -> Option<f64> {
    let squares = sum(deviations.iter().map(|u| u * u));
    (squares > 0.0).then(|| sum(deviations.iter().map(|u| u * u * u)) / (6.0 * squares.powf(1.5)))
}

/// What a bootstrap says of an estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// The estimate from the data.
    pub estimate: f64,
    /// The standard deviation of the replicates.
    pub se: f64,
    /// Limits by percentiles (type 7).
    pub percentile: (f64, f64),
    /// The acceleration, from the jackknife; `None` where nothing varies.
    pub acceleration: Option<f64>,
    /// Limits by BCa; `None` where it does not exist.
    pub bca: Option<Bca>,
}

impl Bootstrap {
    fn of(estimate: f64, mut replicates: Vec<f64>, acceleration: Option<f64>, conf: f64) -> Option<Self> {
        let centre = mean(&replicates)?;
        let se = (sum(replicates.iter().map(|v| (v - centre).powi(2))) / replicates.len() as f64).sqrt();
        for value in &mut replicates {
            if (*value - estimate).abs() <= TIE * se {
                *value = estimate;
            }
        }
        replicates.sort_unstable_by(f64::total_cmp);
        let tail = upper_tail_of(conf);
        let percentile = (quantile(&replicates, tail)?, quantile(&replicates, 1.0 - tail)?);
        Some(Self { estimate, se, percentile, acceleration, bca: bca_from_replicates(estimate, &replicates, acceleration, conf) })
    }
}

/// Percentile and BCa intervals of a mean over independent items. `None` for no value, one that is not finite, or no replicate.
///
/// Source: Efron & Tibshirani 1993. Resamples are drawn exactly; the same seed gives the same bits whatever the order of the
/// values and the number of threads. Where nothing varies both have width 0 or do not exist: no evidence. To decide it wants
/// 20 values that are not 0.
#[must_use]
pub fn bootstrap_mean(values: &[f64], how: &Resampling) -> Option<Bootstrap> {
    if values.is_empty() || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let rows = sorted(values.iter().map(|v| [*v]).collect());
    let n = rows.len() as f64;
    let estimate = sum(rows.iter().map(|row| row[0])) / n;
    let deviations: Vec<f64> = rows.iter().map(|[v]| v - estimate).collect();
    let replicates = how.replicate(|draws| draws.total(&rows, rows.len() as u64)[0] / n);
    Bootstrap::of(estimate, replicates, acceleration(&deviations), how.conf)
}

/// The clusters as sums and sizes, in a fixed order, and the mean over items: Σ sums / Σ sizes.
fn clustered(clusters: &[(f64, f64)]) -> Option<(Vec<[f64; 2]>, f64)> {
    let proper = |(total, size): &(f64, f64)| total.is_finite() && size.is_finite() && *size > 0.0;
    if clusters.len() < 2 || !clusters.iter().all(proper) {
        return None;
    }
    let rows = sorted(clusters.iter().map(|(total, size)| [*total, *size]).collect());
    let estimate = sum(rows.iter().map(|row| row[0])) / sum(rows.iter().map(|row| row[1]));
    Some((rows, estimate))
}

/// Percentile and BCa intervals of a mean over items in clusters, by resampling clusters: each is (sum of its values, its
/// size), for a document (sum over its tokens, tokens); the mean is Σ sums / Σ sizes.
///
/// Source: Davison & Hinkley 1997 §3.8; the acceleration is that of the jackknife over clusters. As [`bootstrap_mean`], and
/// `None` for fewer than two clusters or a size that is not positive.
#[must_use]
pub fn cluster_bootstrap(clusters: &[(f64, f64)], how: &Resampling) -> Option<Bootstrap> {
    let (rows, estimate) = clustered(clusters)?;
    let [total, size] = [0, 1].map(|i| sum(rows.iter().map(|row| row[i])));
    let without: Vec<f64> = rows.iter().map(|row| (total - row[0]) / (size - row[1])).collect();
    let centre = mean(&without)?;
    let deviations: Vec<f64> = without.iter().map(|value| centre - value).collect();
    let replicates = how.replicate(|draws| {
        let [total, size] = draws.total(&rows, rows.len() as u64);
        total / size
    });
    // Deviations that are no more than rounding are none.
    let spread = deviations.iter().any(|u| u.abs() > 1e-14 * estimate.abs());
    Bootstrap::of(estimate, replicates, acceleration(&deviations).filter(|_| spread), how.conf)
}

/// The bootstrap-t interval of the same mean: for heavy tails, as of divergences over documents.
///
/// Source: Efron 1982; the standard error of each resample is that of a ratio (CR1). `None` as [`cluster_bootstrap`], and
/// where clusters do not vary. A resample without variance counts as infinitely far off.
#[must_use]
pub fn cluster_bootstrap_t(clusters: &[(f64, f64)], how: &Resampling) -> Option<Interval> {
    let (rows, estimate) = clustered(clusters)?;
    let groups = rows.len() as f64;
    let moments = |[total, size]: [f64; 2]| {
        let off = total - estimate * size;
        [off, size, off * off, off * size, size * size]
    };
    // (mean − estimate, its standard error) from sums of the moments.
    let studentized = |[off, size, off_off, off_size, size_size]: [f64; 5]| {
        let shift = off / size;
        let squares = off_off - 2.0 * shift * off_size + shift * shift * size_size;
        (shift, (squares.max(0.0) * groups / (groups - 1.0)).sqrt() / size)
    };
    let rows = sorted(rows.into_iter().map(moments).collect());
    let whole: [f64; 5] = std::array::from_fn(|i| sum(rows.iter().map(|row| row[i])));
    let se = studentized(whole).1;
    if se.is_nan() || se <= 1e-14 * estimate.abs() {
        return None;
    }
    let mut t = how.replicate(|draws| {
        let (shift, error) = studentized(draws.total(&rows, rows.len() as u64));
        if error > 1e-9 * se { shift / error } else { shift.signum() * f64::MAX }
    });
    t.sort_unstable_by(f64::total_cmp);
    let tail = upper_tail_of(how.conf);
    let at = |share: f64| Some((estimate - quantile(&t, share)? * se).clamp(f64::MIN, f64::MAX));
    Some(Interval { estimate, lower: at(1.0 - tail)?, upper: at(tail)? })
}

/// The bootstrap distribution of a mean without any drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exhaustive {
    /// Number of resamples, nⁿ.
    pub resamples: u64,
    /// The bootstrap of all of them.
    pub bootstrap: Bootstrap,
}

/// Percentile and BCa intervals of a mean from all nⁿ resamples: a reference for [`bootstrap_mean`]. `None` for no value,
/// more than 12, or one that is not finite.
#[must_use]
pub fn exhaustive_bootstrap_mean(values: &[f64], conf: f64) -> Option<Exhaustive> {
    if values.is_empty() || values.len() > MOST_ENUMERATED || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let (n, estimate) = (values.len() as f64, mean(values)?);
    let deviations: Vec<f64> = values.iter().map(|v| v - estimate).collect();
    let mut means = Vec::new();
    compositions(&deviations, values.len(), 1.0, 0.0, &mut means);
    let all = n.powf(n);
    let se = (sum(means.iter().map(|(off, weight)| (off / n).powi(2) * weight)) / all).sqrt();
    let mut means: Vec<(f64, f64)> = means.into_iter().map(|(off, weight)| (estimate + off / n, weight)).collect();
    means.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let weight_where = |kept: &dyn Fn(f64) -> bool| means.iter().filter(|(v, _)| kept(v - estimate)).map(|(_, w)| w).sum::<f64>();
    let (below, equal) = (weight_where(&|off| off < -TIE * se), weight_where(&|off| off.abs() <= TIE * se));
    let tail = upper_tail_of(conf);
    let at = |share: f64| weighted_quantile(&means, share, all);
    let acceleration = acceleration(&deviations).filter(|_| se > 1e-14 * estimate.abs());
    let found = acceleration.and_then(|a| levels((below + 0.5 * equal) / all, a, conf));
    let bca = found.map(|[z0, alpha1, alpha2]| Bca { z0, alpha1, alpha2, lower: at(alpha1), upper: at(alpha2) });
    let bootstrap = Bootstrap { estimate, se, percentile: (at(tail), at(1.0 - tail)), acceleration, bca };
    Some(Exhaustive { resamples: all as u64, bootstrap })
}

/// (sum, number of resamples with it) of each way to draw `left` more of the values.
fn compositions(values: &[f64], left: usize, weight: f64, total: f64, found: &mut Vec<(f64, f64)>) {
    let [value, others @ ..] = values else { return };
    if others.is_empty() {
        found.push((total + value * left as f64, weight));
        return;
    }
    let mut choices = weight;
    for taken in 0..=left {
        compositions(others, left - taken, choices, total + value * taken as f64, found);
        choices = choices * (left - taken) as f64 / (taken + 1) as f64;
    }
}

/// The type-7 quantile of values that stand for as many as their weights, `all` together.
fn weighted_quantile(ascending: &[(f64, f64)], share: f64, all: f64) -> f64 {
    let at = share.clamp(0.0, 1.0) * (all - 1.0);
    let ranked = |rank: f64| {
        let mut before = 0.0;
        let holds = |(_, weight): &&(f64, f64)| {
            before += weight;
            before > rank
        };
        ascending.iter().find(holds).or(ascending.last()).map_or(f64::NAN, |(value, _)| *value)
    };
    let (low, high) = (ranked(at.floor()), ranked(at.floor() + 1.0));
    low + (at - at.floor()) * (high - low)
}

/// A list of positive times, with the rank of each.
struct Ranked {
    ascending: Vec<f64>,
    ranks: Vec<usize>,
}

impl Ranked {
    fn of(values: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
        let mut ranks = vec![0; values.len()];
        for (rank, &i) in order.iter().enumerate() {
            ranks[i] = rank;
        }
        Self { ascending: order.iter().map(|&i| values[i]).collect(), ranks }
    }

    /// The type-7 quantile of `n` values, of which `ranked` gives the rank of the k-th.
    fn quantile(&self, q: f64, n: usize, ranked: impl Fn(usize) -> usize) -> f64 {
        let at = q * (n - 1) as f64;
        let below = at.floor() as usize;
        let [low, high] = [below, (below + 1).min(n - 1)].map(|k| self.ascending[ranked(k)]);
        low + (at - below as f64) * (high - low)
    }

    /// The quantile of a resample, by how often it holds each rank.
    fn of_counts(&self, q: f64, counts: &[u32]) -> f64 {
        let ranked = |k: usize| {
            let mut seen = 0;
            let holds = |count: &u32| {
                seen += *count as usize;
                seen > k
            };
            counts.iter().position(holds).unwrap_or(counts.len() - 1)
        };
        self.quantile(q, counts.len(), ranked)
    }

    /// The quantile without some of the values.
    fn without(&self, q: f64, left_out: std::ops::Range<usize>) -> f64 {
        let mut ranks = self.ranks[left_out].to_vec();
        ranks.sort_unstable();
        let ranked = |k: usize| ranks.iter().fold(k, |at, rank| if *rank <= at { at + 1 } else { at });
        self.quantile(q, self.ascending.len() - ranks.len(), ranked)
    }
}

/// The ratio of a quantile, variant over canary, of paired times `canary` and `variant` in the order they were taken, with
/// percentile and BCa limits by resampling runs of `block` consecutive pairs (1 where pairs are independent).
///
/// Sources: Künsch 1989 (moving blocks); Efron 1987, its acceleration from the jackknife that leaves out one block of pairs.
/// `None` for lists of different lengths, fewer than two blocks, a time that is not positive and finite, or q outside (0, 1).
#[must_use]
pub fn quantile_ratio(canary: &[f64], variant: &[f64], q: f64, block: usize, how: &Resampling) -> Option<Bootstrap> {
    let n = canary.len();
    let proper = canary.iter().chain(variant).all(|v| v.is_finite() && *v > 0.0);
    if n != variant.len() || block == 0 || n < 2 || n / block < 2 || u32::try_from(n).is_err() || !proper || !(q > 0.0 && q < 1.0)
    {
        return None;
    }
    let (a, b) = (Ranked::of(canary), Ranked::of(variant));
    let whole = |side: &Ranked| side.quantile(q, n, |k| k);
    let one = |draws: &mut Draws| {
        let mut counts = [vec![0; n], vec![0; n]];
        let mut taken = 0;
        while taken < n {
            let from = draws.below((n - block + 1) as u32) as usize;
            for i in (from..from + block).take(n - taken) {
                counts[0][a.ranks[i]] += 1;
                counts[1][b.ranks[i]] += 1;
            }
            taken += block;
        }
        b.of_counts(q, &counts[1]) / a.of_counts(q, &counts[0])
    };
    let without: Vec<f64> = (0..n / block)
        .map(|i| {
            let left_out = i * block..if i + 1 == n / block { n } else { (i + 1) * block };
            b.without(q, left_out.clone()) / a.without(q, left_out)
        })
        .collect();
    let centre = mean(&without)?;
    let deviations: Vec<f64> = without.iter().map(|value| centre - value).collect();
    Bootstrap::of(whole(&b) / whole(&a), how.replicate(one), Some(acceleration(&deviations).unwrap_or(0.0)), how.conf)
}
