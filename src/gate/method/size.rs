//! How many pairs a claim takes: the fewest that could ever show it, and those that probably would.

use super::{Pairs, Question, Scores, UNBOUNDED_FROM, means};
use crate::domain::Tolerance;
use crate::gate::Method;
use crate::stats::{self, SCORE_FROM, SUPPOSED_ICC, T_FROM};

/// Power at which a needed number of items is computed.
const POWER: f64 = 0.8;
/// Bets take about this many times the pairs of a t-test.
const BETTING: f64 = 1.5;

/// The tolerated difference at the canary's score as measured.
fn margin(pairs: &Pairs<'_>, question: &Question) -> f64 {
    question.tolerance.margin_at(pairs.canary.map_or(1.0, |canary| canary.estimate))
}

/// Fewest pairs with which a pass is possible at all: what not a single difference needs.
pub(in crate::gate) fn floor(method: Option<Method>, pairs: &Pairs<'_>, question: &Question) -> u64 {
    let margin = margin(pairs, question);
    if margin.is_nan() || margin <= 0.0 || margin >= 1.0 {
        return stats::least_pairs(margin, question.alpha, question.strict);
    }
    let independent = || of_counts(pairs, question);
    match method {
        Some(Method::ClusteredTango { deff, df }) => above(deff * t_square(question.alpha, df) * (1.0 / margin - 1.0)),
        Some(Method::ClusteredRatio { deff, df }) => above(deff * t_square(question.alpha, df) * per_pair(pairs, question)),
        Some(Method::PairedT | Method::ClusteredT) => {
            pairs.range.map_or(UNBOUNDED_FROM, |(low, high)| T_FROM.max(unseen(margin / (high - low), pairs, question)))
        }
        Some(Method::Betting) if pairs.means.is_some() => {
            let bets = by_bets(pairs, question);
            let (low, high) = pairs.range.unwrap_or((0.0, 1.0));
            let by_t = T_FROM.max(unseen(margin / (high - low), pairs, question));
            if question.strict { bets } else { bets.min(by_t) }
        }
        _ => independent(),
    }
}

/// The fewest pairs of numbers of which t may pass: those that right and wrong answers without a flip take, since a loss of the
/// whole range that has not been seen yet can be as frequent, however little the numbers seen vary.
fn unseen(margin: f64, pairs: &Pairs<'_>, question: &Question) -> u64 {
    let sizes: Vec<u64> = pairs.clusters.iter().map(|cluster| cluster.0).collect();
    let Some(deff) = stats::deff_by_design(&sizes, SUPPOSED_ICC).filter(|_| margin < 1.0) else {
        return stats::least_pairs(margin, question.alpha, false);
    };
    above(deff * t_square(question.alpha, sizes.len() as f64 - 1.0) * (1.0 / margin - 1.0))
}

/// The floor of independent right-or-wrong pairs.
fn of_counts(pairs: &Pairs<'_>, question: &Question) -> u64 {
    let Tolerance::Recovery(_) = question.tolerance else {
        return stats::least_pairs(margin(pairs, question), question.alpha, question.strict);
    };
    let bets = by_bets(pairs, question);
    if question.strict || bets < SCORE_FROM {
        return bets;
    }
    let z = stats::normal_quantile(1.0 - question.alpha);
    above(z * z * per_pair(pairs, question)).max(SCORE_FROM)
}

/// Pairs for each unit of z² by the score of a ratio where nothing flips: T² = x(1−ρ)/ρ with x right answers of the canary.
fn per_pair(pairs: &Pairs<'_>, question: &Question) -> f64 {
    let (share, right) = (question.share().unwrap_or(1.0), pairs.canary.map_or(1.0, |canary| canary.estimate));
    share / ((1.0 - share) * right)
}

fn t_square(alpha: f64, df: f64) -> f64 {
    stats::t_quantile(1.0 - alpha, df).map_or(f64::INFINITY, |t| t * t)
}

/// The least whole number above.
fn above(x: f64) -> u64 {
    (x.floor() as u64).saturating_add(1)
}

/// The fewest pairs whose bets pass where none differs.
fn by_bets(pairs: &Pairs<'_>, question: &Question) -> u64 {
    let (low, high) = pairs.range.unwrap_or((0.0, 1.0));
    let gain = match question.tolerance {
        Tolerance::Margin(margin) => {
            let part = margin / (high - low);
            part / (1.0 - part)
        }
        Tolerance::Recovery(share) => margin(pairs, question) / (high - share * low).max(high - low),
    };
    stats::least_bets(gain, question.alpha)
}

/// Pairs that would show the loss to be within what is tolerated, if it is what it seems; none where it seems not to be.
pub(in crate::gate) fn needed(method: Option<Method>, pairs: &Pairs<'_>, question: &Question) -> Option<u64> {
    let table = &pairs.table;
    let n = table.n() as f64;
    match pairs.complete() {
        Scores::Counts(_) => {
            // A loss of exactly the margin differs from it by rounding alone, and would ask for astronomically many pairs.
            if table.n10 as f64 - table.n01 as f64 >= n * margin(pairs, question) - 1e-6 {
                return None;
            }
            needed_at(table.n10 as f64 / n, table.n01 as f64 / n, (method, pairs), question)
        }
        Scores::Values(values) => {
            let share = question.share().unwrap_or(1.0);
            let room = values.variant_mean() - share * values.canary_mean()
                + if let Tolerance::Margin(margin) = question.tolerance { margin } else { 0.0 };
            needed_by_spread(room, (method, pairs), question)
        }
    }
}

/// Pairs needed at the differences seen if nothing was truly lost.
pub(in crate::gate) fn needed_without_loss(method: Option<Method>, pairs: &Pairs<'_>, question: &Question) -> Option<u64> {
    match pairs.means {
        None => {
            let half = pairs.table.discordant() as f64 / pairs.n() as f64 / 2.0;
            needed_at(half, half, (method, pairs), question)
        }
        Some(_) => needed_by_spread(margin(pairs, question), (method, pairs), question),
    }
}

/// At probabilities of a loss and a gain.
fn needed_at(p10: f64, p01: f64, (method, pairs): (Option<Method>, &Pairs<'_>), question: &Question) -> Option<u64> {
    let margin = margin(pairs, question);
    let size = stats::ni_sample_size(p10, p01, margin, question.alpha, POWER)?.pairs();
    let floors = stats::ni_floor(margin, question.alpha);
    // The size is the score test's; the exact one asks for more, at zero flips by this ratio.
    let exact = (size as f64 * floors.exact as f64 / floors.tango as f64).ceil() as u64;
    let size = if question.strict {
        exact
    } else if size < SCORE_FROM {
        exact.clamp(size, SCORE_FROM)
    } else {
        size
    };
    let size = match method {
        Some(Method::ClusteredTango { deff, .. } | Method::ClusteredRatio { deff, .. }) => (size as f64 * deff).ceil() as u64,
        Some(Method::Betting) => (size as f64 * BETTING).ceil() as u64,
        _ => size,
    };
    Some(size.max(floor(method, pairs, question)))
}

/// Where the mean has so much room before what is tolerated.
fn needed_by_spread(room: f64, (method, pairs): (Option<Method>, &Pairs<'_>), question: &Question) -> Option<u64> {
    let floor = floor(method, pairs, question);
    let Scores::Values(values) = pairs.complete() else { return None };
    let by_t = if pairs.clusters.is_empty() { Method::PairedT } else { Method::ClusteredT };
    if room.is_nan() || room <= 1e-9 {
        return None;
    }
    let Some(means::Spread::Error { se, .. }) = means::spread(by_t, &values, question.share().unwrap_or(1.0)) else {
        return Some(floor);
    };
    let criticals = stats::normal_quantile(1.0 - question.alpha) + stats::normal_quantile(POWER);
    let size = pairs.n() as f64 * (criticals * se / room).powi(2);
    let size = if method == Some(Method::Betting) { BETTING * size } else { size };
    Some((size.ceil() as u64).max(floor))
}
