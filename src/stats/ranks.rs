//! Tests and estimates by ranks: secondary, since what they test is not the mean.

use super::Interval;
use super::distributions::{normal_quantile, normal_sf, upper_tail_of};
use super::solve::sum;

/// The most steps of an exact distribution.
const MOST_STEPS: f64 = 2e9;

/// The most values whose pairwise averages are listed.
const MOST_LISTED: usize = 4000;

/// The most pairs whose differences are listed.
const MOST_PAIRS: usize = 20_000_000;

/// What becomes of differences of 0 in the signed-rank test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zeros {
    /// They are left out (Wilcoxon 1945).
    Dropped,
    /// They are ranked, then left out (Pratt 1959).
    Pratt,
}

/// Wilcoxon's signed-rank test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wilcoxon {
    /// Sum of the ranks of positive differences.
    pub w_plus: f64,
    /// Sum of the ranks of negative differences.
    pub w_minus: f64,
    /// Two-sided exact p; `None` for more than about 1000 differences, as the two that follow.
    pub p_exact: Option<f64>,
    /// One-sided exact p for "positive".
    pub p_better_exact: Option<f64>,
    /// One-sided exact p for "negative".
    pub p_worse_exact: Option<f64>,
    /// Two-sided p by the normal approximation.
    pub p_asym: f64,
    /// The same with a continuity correction of ½.
    pub p_asym_cc: f64,
    /// (W₊ − W₋)/(W₊ + W₋); `None` where every difference is 0.
    pub rank_biserial: Option<f64>,
}

/// The signed-rank test with mid-ranks: it tests the pseudomedian under symmetry, not the mean.
///
/// Sources: Wilcoxon 1945; Pratt 1959. The variance is Σr²/4, which holds with ties and zeros; the exact distribution is that
/// of the ranks at hand. Only zeros: every p is 1. `None` for a value that is not finite.
#[must_use]
pub fn wilcoxon(differences: &[f64], zeros: Zeros) -> Option<Wilcoxon> {
    if differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let kept: Vec<f64> = differences.iter().copied().filter(|d| zeros == Zeros::Pratt || *d != 0.0).collect();
    let ranks = mid_ranks(&kept.iter().map(|d| d.abs()).collect::<Vec<f64>>());
    let signed: Vec<(f64, f64)> = kept.into_iter().zip(ranks).filter(|(d, _)| *d != 0.0).collect();
    let of_sign = |positive: bool| sum(signed.iter().filter(|(d, _)| (*d > 0.0) == positive).map(|(_, rank)| *rank));
    let (w_plus, w_minus) = (of_sign(true), of_sign(false));
    let deviation = 0.5 * sum(signed.iter().map(|(_, rank)| rank * rank)).sqrt();
    let p = |off: f64| if deviation > 0.0 { 2.0 * normal_sf(off.max(0.0) / deviation) } else { 1.0 };
    let off = (w_plus - w_minus).abs() / 2.0;
    // Mid-ranks are halves: twice a rank is whole.
    let steps: Vec<usize> = signed.iter().map(|(_, rank)| (2.0 * rank) as usize).collect();
    let above = tail_of_subsets(&steps);
    let at_least = |w: f64| above.as_ref().map(|above| above[(2.0 * w) as usize].min(1.0));
    let (p_better_exact, p_worse_exact) = (at_least(w_plus), at_least(w_minus));
    Some(Wilcoxon {
        w_plus,
        w_minus,
        p_exact: p_better_exact.zip(p_worse_exact).map(|(better, worse)| (2.0 * better.min(worse)).min(1.0)),
        p_better_exact,
        p_worse_exact,
        p_asym: p(off).min(1.0),
        p_asym_cc: p(off - 0.5).min(1.0),
        rank_biserial: (w_plus + w_minus > 0.0).then(|| (w_plus - w_minus) / (w_plus + w_minus)),
    })
}

/// Ranks from 1, equal values sharing the mean of theirs.
fn mid_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    for equal in order.chunk_by(|&i, &j| values[i].total_cmp(&values[j]).is_eq()) {
        for &i in equal {
            ranks[i] = from as f64 + 0.5 * (equal.len() + 1) as f64;
        }
        from += equal.len();
    }
    ranks
}

/// `tail[s]`: the probability that a random half of the numbers (each in or out by a coin) sums to s or more.
fn tail_of_subsets(numbers: &[usize]) -> Option<Vec<f64>> {
    let total: usize = numbers.iter().sum();
    if total as f64 * numbers.len() as f64 > MOST_STEPS {
        return None;
    }
    let mut at = vec![0.0; total + 1];
    at[0] = 1.0;
    let mut reached = 0;
    for &number in numbers {
        reached += number;
        for s in (0..=reached).rev() {
            let moved = if s >= number { at[s - number] } else { 0.0 };
            at[s] = 0.5 * (at[s] + moved);
        }
    }
    for s in (0..total).rev() {
        at[s] += at[s + 1];
    }
    Some(at)
}

/// The Hodges–Lehmann estimate and the confidence that its interval reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HodgesLehmann {
    /// The median of the averages of all pairs of differences (each also with itself), and its limits.
    pub interval: Interval,
    /// 1 − 2·P(W < the rank used): at least `conf`, save for very few differences.
    pub achieved_conf: f64,
}

/// Hodges & Lehmann's (1963) pseudomedian of paired differences with Tukey's interval, ranks as R's wilcox.test picks them.
///
/// `None` for no difference, more than 4000, or one that is not finite. Above 1000 the rank is by the normal approximation.
#[must_use]
pub fn hl_paired(differences: &[f64], conf: f64) -> Option<HodgesLehmann> {
    let n = differences.len();
    if n == 0 || n > MOST_LISTED || differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let mut averages: Vec<f64> =
        (0..n).flat_map(|i| differences[i..].iter().map(move |other| 0.5 * differences[i] + 0.5 * other)).collect();
    averages.sort_unstable_by(f64::total_cmp);
    let tail = upper_tail_of(conf);
    let (rank, below) = if n <= 1000 { signed_rank_quantile(n, tail)? } else { approximate_rank(n, tail) };
    let interval = Interval { estimate: median(&averages), lower: averages[rank - 1], upper: averages[averages.len() - rank] };
    Some(HodgesLehmann { interval, achieved_conf: 1.0 - 2.0 * below })
}

/// The least q, at least 1, with P(W ≤ q) ≥ `tail`, and P(W < q).
fn signed_rank_quantile(n: usize, tail: f64) -> Option<(usize, f64)> {
    // By symmetry P(W < q) = P(W > total − q).
    let above = tail_of_subsets(&(1..=n).collect::<Vec<usize>>())?;
    let total = above.len() - 1;
    let below = |q: usize| above.get(total + 1 - q).copied().unwrap_or(0.0);
    let wanted = tail - 10.0 * f64::EPSILON;
    let rank = (1..=total).find(|&q| below(q + 1) >= wanted).unwrap_or(total.max(1));
    Some((rank, below(rank)))
}

fn approximate_rank(n: usize, tail: f64) -> (usize, f64) {
    let n = n as f64;
    let (centre, deviation) = (n * (n + 1.0) / 4.0, (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0).sqrt());
    let rank = (centre + normal_quantile(tail) * deviation).ceil().max(1.0);
    (rank as usize, normal_sf((centre - rank + 0.5) / deviation))
}

/// The median of values in ascending order, of which there is at least one.
fn median(ascending: &[f64]) -> f64 {
    let n = ascending.len();
    0.5 * ascending[(n - 1) / 2] + 0.5 * ascending[n / 2]
}

/// The Mann–Whitney test of two unpaired lists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// How many pairs have the second value above the first; ties count half.
    pub u: f64,
    /// Two-sided p by the normal approximation with ties and a continuity correction of ½.
    pub p_asym: f64,
    /// Two-sided exact p; `None` with ties and for more than about 60,000 pairs.
    pub p_exact: Option<f64>,
    /// P(second above first) + ½P(equal).
    pub prob_superiority: f64,
    /// The median of second − first over all pairs; `None` above 2·10⁷ pairs.
    pub hl_shift: Option<f64>,
}

/// Mann & Whitney's (1947) U of `second` against `first`, with p as scipy and R give them. Not a test of means or medians
/// where the shapes differ. `None` for an empty list or a value that is not finite.
#[must_use]
pub fn mann_whitney(first: &[f64], second: &[f64]) -> Option<MannWhitney> {
    if first.is_empty() || second.is_empty() || first.iter().chain(second).any(|v| !v.is_finite()) {
        return None;
    }
    // Adding 0 makes −0 equal to 0 in every order.
    let joint: Vec<f64> = second.iter().chain(first).map(|v| v + 0.0).collect();
    let (n, m, all) = (first.len() as f64, second.len() as f64, joint.len() as f64);
    let u = sum(mid_ranks(&joint).into_iter().take(second.len())) - m * (m + 1.0) / 2.0;
    let mut sorted = joint;
    sorted.sort_unstable_by(f64::total_cmp);
    let tied = sum(sorted.chunk_by(|a, b| a.total_cmp(b).is_eq()).map(|equal| (equal.len() as f64).powi(3) - equal.len() as f64));
    let variance = n * m / 12.0 * ((all + 1.0) - tied / (all * (all - 1.0)));
    let off = ((u - n * m / 2.0).abs() - 0.5).max(0.0);
    let p_asym = if variance > 0.0 { (2.0 * normal_sf(off / variance.sqrt())).min(1.0) } else { 1.0 };
    let exact = || rank_sum_tail(first.len(), second.len(), u.max(n * m - u) as usize);
    let p_exact = if tied == 0.0 { exact().map(|tail| (2.0 * tail).min(1.0)) } else { None };
    let hl_shift = (first.len().saturating_mul(second.len()) <= MOST_PAIRS).then(|| {
        let mut shifts: Vec<f64> = first.iter().flat_map(|x| second.iter().map(move |y| y - x)).collect();
        shifts.sort_unstable_by(f64::total_cmp);
        median(&shifts)
    });
    Some(MannWhitney { u, p_asym, p_exact, prob_superiority: u / (n * m), hl_shift })
}

/// P(U ≥ `least`) without ties, for lists of n and m: the distribution for (i, j) mixes those for (i−1, j), moved by j, and
/// (i, j−1), by which list holds the largest value.
fn rank_sum_tail(n: usize, m: usize, least: usize) -> Option<f64> {
    if (n as f64 * m as f64).powi(2) / 4.0 > MOST_STEPS / 2.0 {
        return None;
    }
    let mut row: Vec<Vec<f64>> = vec![vec![1.0]; m + 1];
    for i in 1..=n {
        let mut next: Vec<Vec<f64>> = vec![vec![1.0]];
        for j in 1..=m {
            let mut at = vec![0.0; i * j + 1];
            let (from_i, from_j) = (i as f64 / (i + j) as f64, j as f64 / (i + j) as f64);
            for (to, p) in at[j..].iter_mut().zip(&row[j]) {
                *to = from_i * p;
            }
            for (to, p) in at.iter_mut().zip(&next[j - 1]) {
                *to += from_j * p;
            }
            next.push(at);
        }
        row = next;
    }
    Some(row[m].get(least..).map_or(0.0, |tail| tail.iter().rev().sum()))
}
