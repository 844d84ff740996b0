//! Right and wrong against a margin: Tango's score, Fay and Lumbard's exact test, Tango's over clusters, and bets where they
//! ended the asking.

use super::scores::Values;
use super::{Stand, means};
use crate::gate::Method;
use crate::stats::{self, Interval, PairTable};

/// Where a table stands against a margin. None for no pairs.
pub(super) fn stand(method: Method, table: &PairTable, margin: f64, alpha: f64) -> Option<Stand> {
    Stand::of_margin(interval(method, table, 1.0 - 2.0 * alpha)?, margin, p_values(method, table, margin)?, alpha)
}

/// The interval of the difference by a method of this kind; by Tango for any other.
pub(super) fn interval(method: Method, table: &PairTable, confidence: f64) -> Option<Interval> {
    match method {
        Method::FayLumbard => stats::fay_diff(table, confidence),
        Method::Betting if table.n() > 0 => stats::betting_counts(table, 0.5 * (1.0 - confidence), stats::BETS),
        Method::ClusteredTango { deff, df } | Method::ClusteredRatio { deff, df } => {
            stats::tango_clustered(table, deff, df, confidence)
        }
        _ => (table.n() > 0).then(|| stats::tango(table, confidence)),
    }
}

/// The p-values of "at least the margin is lost" and of "at most the margin is lost".
fn p_values(method: Method, table: &PairTable, margin: f64) -> Option<(f64, f64)> {
    match method {
        Method::FayLumbard => Some((stats::fay_p(table, -margin)?, stats::fay_p(&table.mirrored(), margin)?)),
        Method::Betting => means::spread(method, &Values::of_table(table), 1.0)?.p_values(-margin),
        Method::ClusteredTango { deff, df } => {
            // Dividing all counts by the design effect divides the score by its root.
            let t = stats::tango_score(table, -margin)? / deff.max(1.0).sqrt();
            Some((stats::t_sf(t, df)?, stats::t_sf(-t, df)?))
        }
        _ => {
            let z = stats::tango_score(table, -margin)?;
            Some((stats::normal_sf(z), stats::normal_cdf(z)))
        }
    }
}
