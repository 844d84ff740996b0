//! A Bayesian display of a paired difference and an anytime-valid bet against "no difference": shown, never the gate.

use statrs::function::beta::ln_beta;

use super::PairTable;
use super::incomplete_beta::{binomial_like, far_quantile, tails};
use super::solve::integral;

/// The posterior of δ under a symmetric Dirichlet prior.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Posterior {
    /// P(δ > −m | data).
    pub posterior_prob: f64,
    /// E(δ | data).
    pub posterior_mean: f64,
}

/// P(δ > −m) where losses, gains and agreements have a Dirichlet(k, k, k) prior: the share of flips is
/// T ~ Beta(M+2k, n−M+k), the share of losses among them Beta(b+k, c+k); by quadrature over T.
///
/// Source: Wellek 2010 §5.2.3 (k = ½). Not for a gate: it passes too often where flips are rare. `None` for k outside
/// (0, 1000] or m outside [0, 1].
#[must_use]
pub fn dirichlet_ni(table: &PairTable, margin: f64, k: f64) -> Option<Posterior> {
    if !(k > 0.0 && k <= 1000.0 && (0.0..=1.0).contains(&margin)) {
        return None;
    }
    let (b, c, n) = table.counts();
    let (p, q) = (b + c + 2.0 * k, n - b - c + k);
    let small_loss = |t: f64| {
        let x = 0.5 + 0.5 * margin / t;
        if x >= 1.0 { 1.0 } else { tails(b + k, c + k, x, 0.5 - 0.5 * margin / t).0 }
    };
    let density = |t: f64, left: f64| p * q / (p + q) * binomial_like(p, q, t, left) / (t * left);
    let surely = tails(p, q, margin, 1.0 - margin).0;
    let low = margin.max(far_quantile(1e-17, p, q).0);
    let high = far_quantile(1e-17, q, p).1;
    // Where k < 1 the integrand has root-like corners at the ends; in s with w = s⁴/(s⁴ + (1−s)⁴) it is smooth.
    let width = (high - low).max(0.0);
    let at = |s: f64| {
        let (up, down) = (s.powi(4), (1.0 - s).powi(4));
        let (t, left) = (low + width * (up / (up + down)), 1.0 - high + width * (down / (up + down)));
        let slope = 4.0 * width * (s * (1.0 - s)).powi(3) / (up + down).powi(2);
        if t > 0.0 && left > 0.0 { slope * density(t, left) * small_loss(t) } else { 0.0 }
    };
    let rest = integral(at, 0.0, 1.0, 48);
    Some(Posterior { posterior_prob: (surely + rest).clamp(0.0, 1.0), posterior_mean: (c - b) / (n + 3.0 * k) })
}

/// Logarithms of e-values against "no difference", and their p-values, which hold however often one looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct McnemarEvalue {
    /// ln E of the two-sided bet with a Beta(a, a) prior on the share of losses.
    pub log_e_two_sided: f64,
    /// ln E of the bet that the variant is worse, uniform on shares above ½.
    pub log_e_worse: f64,
    /// min(1, 1/E) of the former.
    pub p_anytime_two_sided: f64,
    /// min(1, 1/E) of the latter.
    pub p_anytime_worse: f64,
}

/// Bets on `n10` losses and `n01` gains: ln B(b+a, c+a) − ln B(a, a) + M ln 2, and 2^(M+1)·B(b+1, c+1)·P(share > ½).
///
/// Source: Ville 1939; Robbins 1970 for the mixture. E is at most 1 on average where losses are not more likely than
/// gains. `None` for a not positive and finite.
#[must_use]
pub fn mcnemar_evalue(n10: u64, n01: u64, a: f64) -> Option<McnemarEvalue> {
    if !(a > 0.0 && a.is_finite()) {
        return None;
    }
    let (b, c, two) = (n10 as f64, n01 as f64, std::f64::consts::LN_2);
    let log_e_two_sided = ln_beta(b + a, c + a) - ln_beta(a, a) + (b + c) * two;
    let log_e_worse = (b + c + 1.0) * two + ln_beta(b + 1.0, c + 1.0) + tails(b + 1.0, c + 1.0, 0.5, 0.5).1.ln();
    let p = |log_e: f64| (-log_e).exp().min(1.0);
    Some(McnemarEvalue { log_e_two_sided, log_e_worse, p_anytime_two_sided: p(log_e_two_sided), p_anytime_worse: p(log_e_worse) })
}
