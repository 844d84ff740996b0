//! Items that share a passage, a document or a template: standard errors and the score interval over clusters.

use std::collections::HashMap;
use std::hash::Hash;

use super::distributions::{t_of, t_sf};
use super::solve::{Running, cross_deviation, mean, sum};
use super::tango::Flips;
use super::{Interval, PairTable, clopper_pearson};

/// A mean and its standard errors over clusters. Those that need two clusters are `None` with one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusterMean {
    /// The mean over items.
    pub mean: f64,
    /// Number of clusters.
    pub clusters: usize,
    /// Number of items.
    pub items: usize,
    /// s/√n as if items were independent; `None` for one item.
    pub se_iid: Option<f64>,
    /// √Σu²/n, u a cluster's sum of deviations (Miller 2024).
    pub se_cr0: f64,
    /// CR0·√(G/(G−1)).
    pub se_cr1: Option<f64>,
    /// √Σ u²/(1−w) / n, w a cluster's share of the items (Bell & McCaffrey 2002).
    pub se_cr2: Option<f64>,
    /// √Σ u²/(1−w)² / n: the jackknife.
    pub se_cr3: Option<f64>,
    /// G − 1.
    pub df_cr1: Option<f64>,
    /// The Bell–McCaffrey (Satterthwaite) degrees of freedom of CR2 for a mean.
    pub df_satt: Option<f64>,
    /// (CR1 / iid)²; `None` where the iid one is 0.
    pub deff: Option<f64>,
    /// Limits by CR1 and t with G − 1.
    pub ci_cr1: Option<(f64, f64)>,
    /// Limits by CR2 and t with the Satterthwaite degrees of freedom: the one to use.
    pub ci_cr2: Option<(f64, f64)>,
}

impl ClusterMean {
    /// The mean with its limits by CR2 and t with the Satterthwaite degrees of freedom; `None` for fewer than two clusters.
    /// Of width 0 where no cluster differs from another. `conf` as in [`super::z_of`].
    #[must_use]
    pub fn interval(&self, conf: f64) -> Option<Interval> {
        let reach = self.se_cr2? * t_of(conf, self.df_satt?)?;
        Some(Interval { estimate: self.mean, lower: self.mean - reach, upper: self.mean + reach })
    }

    /// [`Self::interval`] of values in [0, 1], never narrower than what as many clusters without a single event allow: the
    /// upper limit is at least that of [`clopper_pearson`] for 0 events in G clusters, and the lower at most its mirror.
    ///
    /// That limit, 1 − ((1−conf)/2)^(1/G), holds whatever the dependence within a cluster; t alone has width 0 there.
    #[must_use]
    pub fn share(&self, conf: f64) -> Option<Interval> {
        let Interval { estimate, lower, upper } = self.interval(conf)?;
        let unseen = clopper_pearson(0, self.clusters as u64, conf).upper;
        Some(Interval { estimate, lower: lower.min(1.0 - unseen).max(0.0), upper: upper.max(unseen).min(1.0) })
    }
}

/// Mean of `values` with standard errors that allow any dependence within a cluster; `clusters[i]` names the cluster of
/// `values[i]`. `None` for no values, lists of different lengths, or a value that is not finite.
///
/// Sources: Cameron & Miller 2015; Bell & McCaffrey 2002, whose degrees of freedom have for a mean the closed form
/// ν = 1/[Σw² + (Σo)² − Σo²], o = w²/(1−w) (G − 1 where clusters are equal). One cluster has no standard error.
#[must_use]
pub fn cluster_mean<K: Eq + Hash>(values: &[f64], clusters: &[K], conf: f64) -> Option<ClusterMean> {
    if values.len() != clusters.len() || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let centre = mean(values)?;
    let parts = parts(values, clusters, centre);
    let n = values.len();
    let se_iid = (n > 1).then(|| (cross_deviation(values, values) / (n - 1) as f64 / n as f64).sqrt());
    let errors = Errors::of(&parts, n as f64);
    let limits = |se: Option<f64>, df: Option<f64>| {
        let reach = se? * t_of(conf, df?)?;
        Some((centre - reach, centre + reach))
    };
    let df_cr1 = errors.several.map(|_| (parts.len() - 1) as f64);
    let [se_cr1, se_cr2, se_cr3] = [0, 1, 2].map(|i| errors.several.map(|of| of[i]));
    Some(ClusterMean {
        mean: centre,
        clusters: parts.len(),
        items: n,
        se_iid,
        se_cr0: errors.cr0,
        se_cr1,
        se_cr2,
        se_cr3,
        df_cr1,
        df_satt: errors.df,
        deff: se_cr1.zip(se_iid).filter(|(_, iid)| *iid > 0.0).map(|(cr1, iid)| (cr1 / iid).powi(2)),
        ci_cr1: limits(se_cr1, df_cr1),
        ci_cr2: limits(se_cr2, errors.df),
    })
}

/// (size, sum of deviations from the centre) of each cluster, in the order of their first values.
fn parts<K: Eq + Hash>(values: &[f64], clusters: &[K], centre: f64) -> Vec<(f64, f64)> {
    let mut numbers: HashMap<&K, usize> = HashMap::new();
    let mut groups: Vec<(f64, Running)> = Vec::new();
    for (value, cluster) in values.iter().zip(clusters) {
        let number = *numbers.entry(cluster).or_insert(groups.len());
        if number == groups.len() {
            groups.push((0.0, Running::default()));
        }
        let (size, deviations) = &mut groups[number];
        *size += 1.0;
        deviations.add(value - centre);
    }
    groups.into_iter().map(|(size, deviations)| (size, deviations.sum())).collect()
}

/// The standard errors of a mean from (size, sum of deviations) of each cluster.
struct Errors {
    cr0: f64,
    /// CR1, CR2, CR3.
    several: Option<[f64; 3]>,
    df: Option<f64>,
}

impl Errors {
    fn of(parts: &[(f64, f64)], n: f64) -> Self {
        let groups = parts.len() as f64;
        let over = |power: i32| sum(parts.iter().map(|(size, u)| u * u / (1.0 - size / n).powi(power))).sqrt() / n;
        let cr0 = over(0);
        if parts.len() < 2 {
            return Self { cr0, several: None, df: None };
        }
        let several = Some([cr0 * (groups / (groups - 1.0)).sqrt(), over(1), over(2)]);
        let shares = || parts.iter().map(|(size, _)| size / n);
        let o = || shares().map(|w| w * w / (1.0 - w));
        let df = 1.0 / (sum(shares().map(|w| w * w)) + sum(o()).powi(2) - sum(o().map(|o| o * o)));
        Self { cr0, several, df: Some(df).filter(|df| df.is_finite() && *df > 0.0) }
    }
}

/// Tango's interval and margin test over clusters. What needs two clusters is `None` with one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusterTango {
    /// δ̂.
    pub estimate: f64,
    /// The design effect that divided the counts, at least 1. With no or few flips it cannot be estimated and stays
    /// near 1: use [`deff_by_design`] then.
    pub deff: Option<f64>,
    /// Degrees of freedom of the critical value.
    pub df: Option<f64>,
    /// The limits.
    pub limits: Option<(f64, f64)>,
    /// T(−m) with the counts divided.
    pub z_ni: Option<f64>,
    /// Its one-sided p by t.
    pub p_ni: Option<f64>,
}

/// Tango's score interval with counts divided by max(1, V(CR1)/V(iid)) and the t critical value of the Bell–McCaffrey
/// degrees of freedom. `clusters` holds (pairs, losses, gains) of each cluster; empty clusters are left out.
///
/// Sources: Tango 1998, Rao & Scott 1992 for the division, Bell & McCaffrey 2002 for ν; the combination is ours. `None`
/// where there is no pair, a cluster has more flips than pairs, or the margin is outside [0, 1].
#[must_use]
pub fn tango_cluster(clusters: &[(u64, u64, u64)], margin: f64, conf: f64) -> Option<ClusterTango> {
    let counts: Vec<[f64; 3]> = clusters.iter().filter(|c| c.0 > 0).map(|&(n, b, c)| [n as f64, b as f64, c as f64]).collect();
    if counts.is_empty() || counts.iter().any(|[n, b, c]| b + c > *n) || !(0.0..=1.0).contains(&margin) {
        return None;
    }
    let [n, b, c] = [0, 1, 2].map(|i| sum(counts.iter().map(|count| count[i])));
    let estimate = (c - b) / n;
    let parts: Vec<(f64, f64)> = counts.iter().map(|[size, b, c]| (*size, c - b - size * estimate)).collect();
    let errors = Errors::of(&parts, n);
    let (Some([cr1, ..]), Some(df)) = (errors.several, errors.df) else {
        return Some(ClusterTango { estimate, deff: None, df: None, limits: None, z_ni: None, p_ni: None });
    };
    let iid = (b + c - (c - b) * estimate) / (n - 1.0) / n;
    let deff = if iid > 0.0 { (cr1 * cr1 / iid).max(1.0) } else { 1.0 };
    let flips = Flips { b, c, n }.over(deff);
    let interval = flips.interval(t_of(conf, df)?);
    let z_ni = flips.score(-margin);
    Some(ClusterTango {
        estimate,
        deff: Some(deff),
        df: Some(df),
        limits: Some((interval.lower, interval.upper)),
        z_ni: Some(z_ni),
        p_ni: t_sf(z_ni, df),
    })
}

/// Tango's score interval where the clusters are known by their design effect (below 1 counts as 1) and the degrees of
/// freedom of the critical value: what [`tango_cluster`] computes, for another table of the same clusters.
///
/// `None` for no pairs or df not above 0. `conf` as in [`super::z_of`].
#[must_use]
pub fn tango_clustered(table: &PairTable, deff: f64, df: f64, conf: f64) -> Option<Interval> {
    Some(Flips::of(table)?.over(deff).interval(t_of(conf, df)?))
}

/// The design effect that cluster sizes and a supposed intraclass correlation imply: 1 + (n₀−1)·icc, n₀ = (n − Σn²/n)/(G−1).
///
/// Source: Donner & Klar 2000. The least that is supposed, since few flips estimate none. At least 1; `None` for fewer
/// than two clusters or icc outside [0, 1].
#[must_use]
pub fn deff_by_design(sizes: &[u64], icc: f64) -> Option<f64> {
    let sizes: Vec<f64> = sizes.iter().filter(|n| **n > 0).map(|&n| n as f64).collect();
    let n: f64 = sum(sizes.iter().copied());
    if sizes.len() < 2 || !(0.0..=1.0).contains(&icc) {
        return None;
    }
    let typical = (n - sum(sizes.iter().map(|s| s * s)) / n) / (sizes.len() - 1) as f64;
    Some((1.0 + (typical - 1.0) * icc).max(1.0))
}
