//! Tests of no difference on pairs in clusters: shown, never the gate.

use super::PairTable;
use super::distributions::chi_squared_sf;
use super::solve::sum;

/// χ² statistics with one degree of freedom, each with its p; `None` where the variance is 0 or not defined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusteredMcnemar {
    /// Obuchowski 1998 (Stat. Med. 17:1495).
    pub obuchowski: Option<(f64, f64)>,
    /// Durkalski et al. 2003 (Stat. Med. 22:2417).
    pub durkalski: Option<(f64, f64)>,
    /// Yang, Sun & Hardin 2010 (Biom. J. 52:638).
    pub yang: Option<(f64, f64)>,
    /// Eliasziw & Donner 1991 (Stat. Med. 10:1981).
    pub eliasziw: Option<(f64, f64)>,
}

/// McNemar's test over clusters, one table each, by four methods, as R's clust.bin.pair. Empty clusters are left out; `None`
/// where none is left.
#[must_use]
pub fn clustered_mcnemar(clusters: &[PairTable]) -> Option<ClusteredMcnemar> {
    let kept: Vec<&PairTable> = clusters.iter().filter(|table| table.n() > 0).collect();
    let gaps: Vec<(f64, f64)> = kept.iter().map(|table| (table.n10 as f64 - table.n01 as f64, table.n() as f64)).collect();
    let groups = gaps.len() as f64;
    let over = |f: &dyn Fn(f64, f64) -> f64| sum(gaps.iter().map(|(gap, n)| f(*gap, *n)));
    if kept.is_empty() {
        return None;
    }
    let (gap, n) = (over(&|gap, _| gap), over(&|_, n| n));
    let about_zero = over(&|gap, _| gap * gap);
    let about_mean = over(&|d, size| (d - size * gap / n).powi(2));
    let rescaled = (groups - 1.0) / groups * gap * gap;
    let tested = |above: f64, below: f64| {
        let chi2 = above / below;
        (below > 0.0 && chi2.is_finite()).then(|| (chi2, chi_squared_sf(chi2, 1.0).unwrap_or(1.0)))
    };
    let spread = over(&|gap, size| (gap / size).powi(2));
    Some(ClusteredMcnemar {
        obuchowski: tested(rescaled, about_zero),
        durkalski: tested(over(&|gap, size| gap / size).powi(2), spread),
        yang: tested(rescaled, 0.5 * (about_mean + about_zero)),
        eliasziw: inflation(&kept).and_then(|inflation| {
            let flips = sum(kept.iter().map(|table| table.discordant() as f64));
            tested(gap * gap / flips, inflation)
        }),
    })
}

/// The factor by which Eliasziw and Donner divide McNemar's χ²: 1 + (nc − 1)ρ̃.
fn inflation(clusters: &[&PairTable]) -> Option<f64> {
    let groups = clusters.len() as f64;
    let cells = |table: &PairTable| [table.n11, table.n10, table.n01, table.n00].map(|n| n as f64);
    let sizes: Vec<f64> = clusters.iter().map(|table| table.n() as f64).collect();
    let n = sum(sizes.iter().copied());
    let shares: [f64; 4] = std::array::from_fn(|i| sum(clusters.iter().map(|table| cells(table)[i])) / n);
    let average = n / groups;
    let typical = average - sum(sizes.iter().map(|size| (size - average).powi(2))) / (groups * (groups - 1.0) * average);
    let between = |table: &&PairTable, size: f64| -> f64 {
        cells(table).iter().zip(&shares).map(|(x, share)| (x - size * share).powi(2) / size).sum()
    };
    let within = |table: &&PairTable, size: f64| cells(table).iter().map(|x| x * (size - x) / size).sum::<f64>();
    let both = || clusters.iter().zip(sizes.iter().copied());
    let between = sum(both().map(|(table, size)| between(table, size))) / groups;
    let within = sum(both().map(|(table, size)| within(table, size))) / (groups * (average - 1.0));
    let correlation = (between - within) / (between + (typical - 1.0) * within);
    let discordant = correlation / (correlation + (shares[1] + shares[2]) * (1.0 - correlation));
    let flips: Vec<f64> = clusters.iter().map(|table| table.discordant() as f64).filter(|s| *s > 0.0).collect();
    let flipped = flips.len() as f64;
    let mean_flips = sum(flips.iter().copied()) / flipped;
    let least = mean_flips - sum(flips.iter().map(|s| (s - mean_flips).powi(2))) / (flipped * (flipped - 1.0) * mean_flips);
    let factor = 1.0 + (least + flipped * (mean_flips - least) - 1.0) * discordant;
    (flipped > 0.0 && factor.is_finite()).then_some(factor)
}
