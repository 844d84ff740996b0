//! The block of statistics that llama.cpp's perplexity tool prints of two models on chunks of a text, and intervals over chunks.

use crate::domain::TokenDivergence;
use crate::stats::{self, ClusterMean, Interval, KldStats, TokenColumns};

/// Confidence of the intervals.
const SHOWN: f64 = 0.95;

/// The scored tokens of a text's chunks under the model and, where there is one, the base.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoredChunks {
    chunk: Vec<u32>,
    nll: Vec<f64>,
    apart: TokenDivergence,
}

impl ScoredChunks {
    /// Adds the next chunk: the model's −ln p of its tokens (nats) and how far it lies from the base.
    pub fn push(&mut self, nll: Vec<f64>, apart: Option<TokenDivergence>) {
        let next = self.chunk.last().map_or(0, |last| last + 1);
        self.chunk.resize(self.chunk.len() + nll.len(), next);
        self.nll.extend(nll);
        if let Some(apart) = apart {
            self.apart.canary_nll.extend(apart.canary_nll);
            self.apart.kld.extend(apart.kld);
            self.apart.delta_p.extend(apart.delta_p);
            self.apart.same_top.extend(apart.same_top);
        }
    }

    /// Number of scored tokens.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.nll.len()
    }
}

/// One number of the block.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name for programs.
    pub key: &'static str,
    /// Its name as llama.cpp prints it.
    pub label: &'static str,
    /// The number: nats, a perplexity, or a share.
    pub value: f64,
    /// What llama.cpp prints behind ±: one standard error as if tokens were independent, which they are not.
    pub error: Option<f64>,
    /// The 95 % interval over chunks (CR2, t), which allows any dependence within a chunk.
    pub interval: Option<Interval>,
    /// Whether it is a share that is printed in percent.
    pub percent: bool,
    /// Digits behind the point as llama.cpp prints it: of the number, and of what is behind ±.
    pub digits: (usize, usize),
}

/// A headed part of the block.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its heading.
    pub title: &'static str,
    /// Its numbers, in order.
    pub figures: Vec<Figure>,
}

/// The whole block.
pub type Block = Vec<Part>;

/// The perplexity of one model with its error, as llama.cpp prints it (no error for one token); none for no tokens.
///
/// exp of the mean −ln p, and that times √((Σx²/n − x̄²)/(n−1)).
#[must_use]
pub fn perplexity(tokens: &ScoredChunks) -> Option<Figure> {
    let over = spread(&tokens.nll, tokens)?;
    // √((Σx²/n − x̄²)/(n−1)) is s/√n.
    let error = over.se_iid.map(|se| se * over.mean.exp());
    let figure = number("ppl", "PPL", (over.mean.exp(), error));
    Some(Figure { interval: over.interval(SHOWN).map(exp), digits: (4, 5), ..figure })
}

/// The block of a model beside its base; none for no tokens, or where a number isn't finite.
///
/// Source: llama.cpp, tools/perplexity/perplexity.cpp; its order statistics are in single precision, and so are these.
#[must_use]
pub fn block(tokens: &ScoredChunks) -> Option<Block> {
    let TokenDivergence { canary_nll, kld, delta_p, .. } = &tokens.apart;
    let columns = TokenColumns { nll_variant: &tokens.nll, nll_canary: canary_nll, kld, delta_p, documents: &[] };
    let told = stats::kld_stats(columns)?;
    Some(vec![perplexities(&told, tokens), divergences(&told, tokens), probabilities(&told, tokens)])
}

fn perplexities(told: &KldStats, tokens: &ScoredChunks) -> Part {
    let canary = &tokens.apart.canary_nll;
    let differences: Vec<f64> = tokens.nll.iter().zip(canary).map(|(q, p)| q - p).collect();
    let over = |values: &[f64]| spread(values, tokens).and_then(|over| over.interval(SHOWN));
    let (u, v) = (told.ppl_variant_unc, told.ppl_canary_unc);
    // The same covariance that llama.cpp takes, by way of the correlation.
    let shared = told.cor.map_or(0.0, |cor| cor * u * v);
    let difference = (told.ppl_variant - told.ppl_canary, Some((u * u + v * v - 2.0 * shared).max(0.0).sqrt()));
    let with = |figure: Figure, interval| Figure { interval, ..figure };
    let ratio = over(&differences);
    let mut figures = vec![
        with(number("ppl", "Mean PPL(Q)", (told.ppl_variant, Some(u))), over(&tokens.nll).map(exp)),
        with(number("ppl_base", "Mean PPL(base)", (told.ppl_canary, Some(v))), over(canary).map(exp)),
    ];
    figures.extend(told.cor.map(|cor| share("cor", "Cor(ln(PPL(Q)), ln(PPL(base)))", (cor, None), (2, 2))));
    figures.extend([
        with(number("ln_ppl_ratio", "Mean ln(PPL(Q)/PPL(base))", (told.log_ppl_ratio, Some(told.log_ppl_ratio_unc))), ratio),
        with(number("ppl_ratio", "Mean PPL(Q)/PPL(base)", (told.ppl_ratio, Some(told.ppl_ratio_unc))), ratio.map(exp)),
        number("ppl_difference", "Mean PPL(Q)-PPL(base)", difference),
    ]);
    Part { title: "Perplexity statistics", figures }
}

fn divergences(told: &KldStats, tokens: &ScoredChunks) -> Part {
    let sorted = sorted(&tokens.apart.kld);
    let interval = spread(&tokens.apart.kld, tokens).and_then(|over| over.interval(SHOWN));
    let mean = Figure { interval, ..number("kld.mean", "Mean    KLD", (told.mean_kld, Some(told.mean_kld_unc))) };
    let at = |key, label, fraction| number(key, label, (f64::from(percentile(&sorted, fraction)), None));
    let figures = vec![
        mean,
        at("kld.max", "Maximum KLD", 1.0),
        at("kld.p999", "99.9%   KLD", 0.999),
        at("kld.p99", "99.0%   KLD", 0.99),
        at("kld.p95", "95.0%   KLD", 0.95),
        at("kld.p90", "90.0%   KLD", 0.9),
        number("kld.median", "Median  KLD", (f64::from(median(&sorted)), None)),
        at("kld.p10", "10.0%   KLD", 0.1),
        at("kld.p5", " 5.0%   KLD", 0.05),
        at("kld.p1", " 1.0%   KLD", 0.01),
        at("kld.p01", " 0.1%   KLD", 0.001),
        at("kld.min", "Minimum KLD", 0.0),
    ];
    Part { title: "KL divergence statistics", figures }
}

fn probabilities(told: &KldStats, tokens: &ScoredChunks) -> Part {
    let delta_p = &tokens.apart.delta_p;
    let sorted = sorted(delta_p);
    let over = |values: &[f64]| spread(values, tokens);
    let at = |key, label, fraction| share(key, label, (f64::from(percentile(&sorted, fraction)), None), (3, 3));
    let squares: Vec<f64> = delta_p.iter().map(|d| d * d).collect();
    let root = |i: Interval| Interval {
        estimate: i.estimate.max(0.0).sqrt(),
        lower: i.lower.max(0.0).sqrt(),
        upper: i.upper.max(0.0).sqrt(),
    };
    let same: Vec<f64> = tokens.apart.same_top.iter().map(|&same| f64::from(u8::from(same))).collect();
    let top = same.iter().sum::<f64>() / same.len() as f64;
    let wald = (top * (1.0 - top) / (same.len() as f64 - 1.0)).sqrt();
    let mean = share("delta_p.mean", "Mean    Δp", (told.mean_dp, Some(told.mean_dp_unc)), (3, 3));
    let rms = share("delta_p.rms", "RMS Δp", (told.rms_dp, told.rms_dp_unc), (3, 3));
    let same_top = share("same_top", "Same top p", (top, wald.is_finite().then_some(wald)), (3, 3));
    let figures = vec![
        Figure { interval: over(delta_p).and_then(|over| over.interval(SHOWN)), ..mean },
        at("delta_p.max", "Maximum Δp", 1.0),
        at("delta_p.p999", "99.9%   Δp", 0.999),
        at("delta_p.p99", "99.0%   Δp", 0.99),
        at("delta_p.p95", "95.0%   Δp", 0.95),
        at("delta_p.p90", "90.0%   Δp", 0.9),
        at("delta_p.p75", "75.0%   Δp", 0.75),
        share("delta_p.median", "Median  Δp", (f64::from(median(&sorted)), None), (3, 3)),
        at("delta_p.p25", "25.0%   Δp", 0.25),
        at("delta_p.p10", "10.0%   Δp", 0.1),
        at("delta_p.p5", " 5.0%   Δp", 0.05),
        at("delta_p.p1", " 1.0%   Δp", 0.01),
        at("delta_p.p01", " 0.1%   Δp", 0.001),
        at("delta_p.min", "Minimum Δp", 0.0),
        Figure { interval: over(&squares).and_then(|over| over.interval(SHOWN)).map(root), ..rms },
        Figure { interval: over(&same).and_then(|over| over.share(SHOWN)), ..same_top },
    ];
    Part { title: "Token probability statistics", figures }
}

fn number(key: &'static str, label: &'static str, (value, error): (f64, Option<f64>)) -> Figure {
    Figure { key, label, value, error, interval: None, percent: false, digits: (6, 6) }
}

fn share(key: &'static str, label: &'static str, (value, error): (f64, Option<f64>), digits: (usize, usize)) -> Figure {
    Figure { key, label, value, error, interval: None, percent: true, digits }
}

fn exp(i: Interval) -> Interval {
    Interval { estimate: i.estimate.exp(), lower: i.lower.exp(), upper: i.upper.exp() }
}

fn spread(values: &[f64], tokens: &ScoredChunks) -> Option<ClusterMean> {
    stats::cluster_mean(values, &tokens.chunk, SHOWN)
}

/// In single precision, rising.
fn sorted(values: &[f64]) -> Vec<f32> {
    let mut sorted: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    sorted
}

/// Linear interpolation at index f·(n − 1), all of it in single precision: in long lists the index itself is rounded.
fn percentile(sorted: &[f32], fraction: f32) -> f32 {
    let last = sorted.len() - 1;
    if fraction >= 1.0 {
        return sorted[last];
    }
    let index = fraction * last as f32;
    let below = index as usize;
    let part = index - below as f32;
    (1.0 - part) * sorted[below] + part * sorted[last.min(below + 1)]
}

fn median(sorted: &[f32]) -> f32 {
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { 0.5 * (sorted[half] + sorted[half - 1]) } else { sorted[half] }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two chunks of 60 tokens.
    fn chunks() -> ScoredChunks {
        let mut tokens = ScoredChunks::default();
        for chunk in 0..2 {
            let wave = |t: usize, step: usize| ((t * step + chunk * 5) % 13) as f64 / 13.0;
            let canary_nll: Vec<f64> = (0..60).map(|t| 0.2 + 3.0 * wave(t, 5)).collect();
            let nll: Vec<f64> = canary_nll.iter().enumerate().map(|(t, x)| x + 0.1 * (wave(t, 7) - 0.4)).collect();
            let apart = TokenDivergence {
                kld: (0..60).map(|t| 0.01 * wave(t, 3)).collect(),
                delta_p: canary_nll.iter().zip(&nll).map(|(p, q)| (-q).exp() - (-p).exp()).collect(),
                same_top: (0..60).map(|t| t % 9 > 0).collect(),
                canary_nll,
                shape: None,
            };
            tokens.push(nll, Some(apart));
        }
        tokens
    }

    fn figure(key: &str) -> Figure {
        let block = block(&chunks()).expect("every number is finite");
        block.into_iter().flat_map(|part| part.figures).find(|figure| figure.key == key).expect("it is in the block")
    }

    #[test]
    fn the_block_has_llama_cpps_quantities_by_its_formulas() {
        let tokens = chunks();
        let (n, x, b) = (120.0, &tokens.nll, &tokens.apart.canary_nll);
        let mean = |v: &[f64]| v.iter().sum::<f64>() / n;
        let se = |v: &[f64]| ((v.iter().map(|x| x * x).sum::<f64>() / n - mean(v).powi(2)) / (n - 1.0)).sqrt();
        let product: Vec<f64> = x.iter().zip(b).map(|(x, b)| x * b).collect();
        let cov = (mean(&product) - mean(x) * mean(b)) / (n - 1.0);
        let (q, p) = (mean(x).exp(), mean(b).exp());
        let (u, v) = (q * se(x), p * se(b));
        let expected = [
            ("ppl", q, Some(u)),
            ("ppl_base", p, Some(v)),
            ("cor", cov / (se(x) * se(b)), None),
            ("ln_ppl_ratio", mean(x) - mean(b), Some((se(x).powi(2) + se(b).powi(2) - 2.0 * cov).sqrt())),
            ("ppl_difference", q - p, Some((u * u + v * v - 2.0 * q * p * cov).sqrt())),
            ("kld.mean", mean(&tokens.apart.kld), Some(se(&tokens.apart.kld))),
            ("same_top", 106.0 / 120.0, Some((106.0_f64 / 120.0 * (14.0 / 120.0) / 119.0).sqrt())),
        ];
        for (key, value, error) in expected {
            let told = figure(key);
            assert!((told.value - value).abs() < 1e-12, "{key}: {} and {value}", told.value);
            match (told.error, error) {
                (Some(told), Some(error)) => assert!((told - error).abs() < 1e-10, "{key}: ± {told} and {error}"),
                (told, error) => assert_eq!(told, error, "{key}"),
            }
        }
        assert_eq!(perplexity(&tokens).map(|ppl| ppl.digits), Some((4, 5)));
    }

    #[test]
    fn order_statistics_interpolate_between_neighbours() {
        let sorted = [0.0, 1.0, 4.0, 9.0];
        assert_eq!([0.0, 0.5, 1.0].map(|f| percentile(&sorted, f).to_bits()), [0.0_f32, 2.5, 9.0].map(f32::to_bits));
        assert_eq!([median(&sorted), median(&sorted[..3])].map(f32::to_bits), [2.5_f32, 1.0].map(f32::to_bits));
        assert!((percentile(&[3.0], 0.999) - 3.0).abs() < 1e-6);
    }

    #[test]
    fn chunks_that_differ_from_each_other_widen_the_interval() {
        let mut tokens = ScoredChunks::default();
        for chunk in 0..20 {
            tokens.push((0..100).map(|t| f64::from(chunk % 5) + f64::from(t % 10) * 0.01).collect(), None);
        }
        assert_eq!(tokens.tokens(), 2_000);
        let told = perplexity(&tokens).expect("there are tokens");
        let (error, interval) = (told.error.expect("there are many"), told.interval.expect("there are chunks"));
        assert!(interval.upper - told.value > 5.0 * error, "{interval:?} and ± {error}");
    }
}
