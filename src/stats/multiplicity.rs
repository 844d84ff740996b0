//! Many p-values at once. A p that is NaN or missing counts as 1 and stays in the family.

/// The p-values of a family after each correction, in the order of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Adjusted {
    /// Bonferroni: m·p.
    pub bonferroni: Vec<f64>,
    /// Holm 1979: the default for claims that a task regressed.
    pub holm: Vec<f64>,
    /// Hochberg 1988: valid under positive dependence.
    pub hochberg: Vec<f64>,
    /// Hommel 1988: valid under positive dependence.
    pub hommel: Vec<f64>,
    /// Benjamini & Hochberg 1995: false discovery rate.
    pub bh: Vec<f64>,
    /// Benjamini & Yekutieli 2001: false discovery rate under any dependence.
    pub by: Vec<f64>,
    /// The largest p: of the intersection–union test that every task passes (Berger 1982); 1 for none.
    pub iut_max_p: f64,
    /// Simes 1986: p of the global null; 1 for none.
    pub simes: f64,
}

/// A p-value cut to [0, 1]; NaN is 1.
fn proper(p: f64) -> f64 {
    if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) }
}

/// The indices of a family from its smallest to its largest p.
fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&i, &j| p[i].total_cmp(&p[j]));
    order
}

/// Walks the order, multiplies each p by `factor(rank)` (ranks from 1) and keeps the running extreme.
fn stepwise(p: &[f64], order: &[usize], upward: bool, factor: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut adjusted = vec![1.0; p.len()];
    let mut bound = if upward { 0.0_f64 } else { 1.0 };
    for step in 0..order.len() {
        let place = if upward { step } else { order.len() - 1 - step };
        let value = (factor(place + 1) * p[order[place]]).min(1.0);
        bound = if upward { bound.max(value) } else { bound.min(value) };
        adjusted[order[place]] = bound;
    }
    adjusted
}

/// Holm's step-down adjustment, in the order of the input. Source: Holm 1979 (Scand. J. Stat. 6:65); as R's p.adjust.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let p: Vec<f64> = p.iter().copied().map(proper).collect();
    let m = p.len();
    stepwise(&p, &ascending(&p), true, |rank| (m + 1 - rank) as f64)
}

/// Hommel's adjustment, as R's p.adjust computes it.
fn hommel(p: &[f64], order: &[usize]) -> Vec<f64> {
    let m = p.len();
    let sorted: Vec<f64> = order.iter().map(|&i| p[i]).collect();
    let simes = sorted.iter().enumerate().map(|(i, p)| m as f64 * p / (i + 1) as f64).fold(1.0, f64::min);
    let mut bound = vec![simes; m];
    let mut reached = vec![simes; m];
    for size in (2..m).rev() {
        let (head, tail) = sorted.split_at(m - size + 1);
        let least = tail.iter().enumerate().map(|(i, p)| size as f64 * p / (i + 2) as f64).fold(1.0, f64::min);
        for (q, p) in bound.iter_mut().zip(head) {
            *q = (size as f64 * p).min(least);
        }
        let last = bound[m - size];
        bound[m - size + 1..].fill(last);
        for (a, q) in reached.iter_mut().zip(&bound) {
            *a = a.max(*q);
        }
    }
    let mut adjusted = vec![1.0; m];
    for (place, &i) in order.iter().enumerate() {
        adjusted[i] = if m == 1 { sorted[place] } else { reached[place].max(sorted[place]) };
    }
    adjusted
}

/// Every correction of a family of p-values; agrees with R's p.adjust.
#[must_use]
pub fn adjust(p: &[f64]) -> Adjusted {
    let p: Vec<f64> = p.iter().copied().map(proper).collect();
    let m = p.len();
    let total = m as f64;
    let order = ascending(&p);
    let harmonic: f64 = (1..=m).map(|i| 1.0 / i as f64).sum();
    let bh = stepwise(&p, &order, false, |rank| total / rank as f64);
    Adjusted {
        bonferroni: p.iter().map(|p| (p * total).min(1.0)).collect(),
        holm: holm(&p),
        hochberg: stepwise(&p, &order, false, |rank| (m + 1 - rank) as f64),
        hommel: hommel(&p, &order),
        by: stepwise(&p, &order, false, |rank| harmonic * total / rank as f64),
        iut_max_p: p.iter().copied().reduce(f64::max).unwrap_or(1.0),
        simes: bh.iter().copied().fold(1.0, f64::min),
        bh,
    }
}
