//! A second opinion for clusters: the sign of each cluster's sum, which allows any dependence within it.

use super::{Pairs, Question, Scores};
use crate::domain::Tolerance;
use crate::stats::{self, Resampling};

/// Whether the sign-flip test over clusters comes to the same answer at the same level. False where pairs are independent.
pub(in crate::gate) fn agree(pairs: &Pairs<'_>, question: &Question, passes: bool) -> bool {
    let sums = sums(pairs, question);
    let how = Resampling { conf: question.confidence(), ..Resampling::default() };
    let p = stats::signflip(&sums, &how).map(|p| if passes { p.p_better } else { p.p_worse });
    !sums.is_empty() && p.is_some_and(|p| p < question.alpha)
}

/// What each cluster has beyond what is tolerated: the sums of D + m, or of B − ρ₀A.
fn sums(pairs: &Pairs<'_>, question: &Question) -> Vec<f64> {
    if pairs.clusters.is_empty() {
        return Vec::new();
    }
    match (pairs.complete(), question.tolerance) {
        (Scores::Values(values), tolerance) => values.sums(tolerance),
        (Scores::Counts(_), tolerance) => {
            // How many of a cluster's answers the canary had right is not kept, so a recovery is taken at its margin.
            let margin = match tolerance {
                Tolerance::Margin(margin) => margin,
                Tolerance::Recovery(_) => tolerance.margin_at(pairs.canary.map_or(1.0, |canary| canary.estimate)),
            };
            pairs.clusters.iter().map(|&(n, lost, gained)| gained as f64 - lost as f64 + margin * n as f64).collect()
        }
    }
}
