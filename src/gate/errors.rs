//! `error.ratio`: the variant's error rate over the canary's, bounded by the score of a ratio of paired proportions.

use super::Method;
use super::budget::{Bounds, Value};
use super::loss::Part;
use super::method::{self, Question, Scores};
use crate::domain::{Tolerance, Verdict};
use crate::stats::{Interval, PairTable};

/// Below so many errors of the canary no score of the ratio is trusted: of one error and none a score would make 1/3.
const SCORE_FROM: u64 = 5;
/// Level of an interval that is shown rather than decided on.
const SHOWN: f64 = 0.025;

/// Bounds of the ratio on the complete pairs and whatever the missing halves would have been; over clusters with the design
/// effect that decides the task, and by betting where a score is not trusted.
pub(super) fn ratio(part: &Part<'_>) -> Result<Bounds, (Verdict, String)> {
    let nothing = |what: &str| (Verdict::Inconclusive, format!("error.ratio is not known: {what}"));
    let any = Question { tolerance: Tolerance::Margin(0.5), ..part.question };
    let method = method::choose(&part.pairs, &any).ok_or_else(|| nothing("all items come from one source"))?;
    let of = |scores: Option<Scores<'_>>, alpha: f64| match scores {
        Some(Scores::Counts(table)) => of_table(method, &errors(&table), alpha),
        _ => None,
    };
    let alpha = part.question.alpha;
    let complete = |alpha: f64| of(Some(part.pairs.complete()), alpha);
    let tested = complete(alpha).ok_or_else(|| nothing("neither subject made an error"))?;
    let worst = of(part.pairs.filled(false), alpha).map_or(f64::INFINITY, |i| i.upper);
    let best = of(part.pairs.filled(true), alpha).map_or(0.0, |i| i.lower);
    let shown = Value { value: tested.estimate, interval: complete(SHOWN) };
    Ok(Bounds { shown, tested, whatever: (worst, best), floor: 0 })
}

/// What is wrong, in the place of what is right.
fn errors(table: &PairTable) -> PairTable {
    PairTable { n11: table.n00, n10: table.n01, n01: table.n10, n00: table.n11 }
}

fn of_table(method: Method, table: &PairTable, alpha: f64) -> Option<Interval> {
    let few = |deff: f64| ((table.n11 + table.n10) as f64) < SCORE_FROM as f64 * deff.max(1.0);
    let by = match method {
        Method::ClusteredTango { deff, df } => {
            let interval = method::ratio(Method::ClusteredRatio { deff, df }, table, alpha)?;
            return Some(if few(deff) { Interval { upper: f64::INFINITY, ..interval } } else { interval });
        }
        Method::FayLumbard => Method::Betting,
        _ if few(1.0) => Method::Betting,
        _ => Method::RatioScore,
    };
    method::ratio(by, table, alpha)
}
