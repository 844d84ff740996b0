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

/// Whether a pass holds if the canary had been right wherever it was cut off or unread more often than the variant.
pub(super) fn survives(part: &Part<'_>, method: Method) -> bool {
    let comparison = part.asked.comparison;
    let excess = excess([&comparison.truncated, &comparison.unparsed]);
    if excess == 0 || part.slice.is_some() {
        return true;
    }
    // Of numbers it is not known what the answers would have been worth.
    let Scores::Counts(table) = part.pairs.complete() else { return true };
    let lost = excess.min(table.n00);
    let gained = (excess - lost).min(table.n01);
    let PairTable { n11, n10, n01, n00 } = table;
    let credited = PairTable { n11: n11 + gained, n10: n10 + lost, n01: n01 - gained, n00: n00 - lost };
    method::stand(method, &Scores::Counts(credited), &part.question).is_some_and(|stand| stand.verdict() == Verdict::Pass)
}
