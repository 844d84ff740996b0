//! A canary whose answers were cut off, or could not be read, more often than the variant's: what it lost by that, the
//! variant must not win.

use super::Method;
use super::loss::Part;
use super::method::{self, Scores};
use crate::analysis::Asymmetry;
use crate::domain::Verdict;
use crate::stats::PairTable;

/// Level at which an asymmetry is told from chance.
pub(super) const ASYMMETRY: f64 = 0.01;

/// Answers that the canary had cut off or unreadable more often than the variant, where that is not chance; the larger.
pub(super) fn excess(sides: [&Asymmetry; 2]) -> u64 {
    let of = |side: &&Asymmetry| if side.p_mid < ASYMMETRY { side.canary.saturating_sub(side.variant) } else { 0 };
    sides.iter().map(of).max().unwrap_or(0)
}

/// Whether a pass of numbers holds where each of those answers would have been worth the whole range; without bounds nobody
/// knows what they would have been worth.
fn survives_at_most(part: &Part<'_>, method: Method, excess: u64) -> bool {
    let Some((low, high)) = part.pairs.range else { return false };
    let most = excess as f64 * (high - low) / part.pairs.n() as f64;
    let share = part.question.share().unwrap_or(1.0);
    let Some(stand) = method::stand(method, &part.pairs.complete(), &part.question) else { return false };
    let room = match stand.ratio {
        Some(ratio) => part.pairs.canary.map_or(0.0, |canary| (ratio.lower - share) * canary.estimate),
        None => stand.delta.lower + part.margin(),
    };
    room > most * share
}

/// Whether a pass holds if the canary had been right wherever it was cut off or unread more often than the variant.
pub(super) fn survives(part: &Part<'_>, method: Method) -> bool {
    let comparison = part.asked.comparison;
    let excess = excess([&comparison.truncated, &comparison.unparsed]);
    if excess == 0 || part.slice.is_some() {
        return true;
    }
    let table = match part.pairs.complete() {
        Scores::Counts(table) => table,
        Scores::Values(_) => return survives_at_most(part, method, excess),
    };
    let lost = excess.min(table.n00);
    let gained = (excess - lost).min(table.n01);
    let PairTable { n11, n10, n01, n00 } = table;
    let credited = PairTable { n11: n11 + gained, n10: n10 + lost, n01: n01 - gained, n00: n00 - lost };
    method::stand(method, &Scores::Counts(credited), &part.question).is_some_and(|stand| stand.verdict() == Verdict::Pass)
}
