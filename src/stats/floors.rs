//! Fewest units that methods are trusted with: one set of numbers for what judges and for what plans.

/// Fewest pairs, and fewest clusters, of which anything is claimed.
pub const FEWEST_UNITS: u64 = 10;
/// Fewest clusters of which anything is claimed where only methods may decide that hold at any number of items.
pub const FEWEST_CLUSTERS_STRICT: u64 = 30;
/// From so many differing pairs on Student's t is trusted; below, bounded scores are bet on.
pub const T_FROM: u64 = 20;
/// How alike the items of a cluster are at least taken to be, since few flips do not tell: the share of the variance that
/// lies between clusters.
pub const SUPPOSED_ICC: f64 = 0.1;
/// Bets in the mixture of the betting bound.
pub const BETS: u32 = 20;

/// The bets of that mixture, as shares of the largest safe one: γ = g/21 for g = 1..=20.
pub fn bets() -> impl Iterator<Item = f64> {
    (1..=BETS).map(|g| f64::from(g) / f64::from(BETS + 1))
}

/// Fewest pairs whose bets pass at one-sided level α where no pair differs: the least n at which the mean of (1 + γg)ⁿ over
/// [`bets`] γ exceeds 1/α (Waudby-Smith & Ramdas 2024). `gain` is what a pair without a difference gains a bet of all: for
/// differences in −1..=1 and a margin m it is m/(1−m). The largest number where the gain is not above 0.
#[must_use]
pub fn least_bets(gain: f64, alpha: f64) -> u64 {
    let wealth = |n: u64| bets().map(|bet| (n as f64 * (bet * gain).ln_1p()).exp()).sum::<f64>() / f64::from(BETS);
    let enough = |n: u64| wealth(n) > 1.0 / alpha;
    if gain.is_nan() || gain <= 0.0 {
        return u64::MAX;
    }
    let Some(many) = (0..63).map(|power| 1_u64 << power).find(|&n| enough(n)) else { return u64::MAX };
    let (mut few, mut many) = (many / 2, many);
    while many - few > 1 {
        let middle = few + (many - few) / 2;
        if enough(middle) { many = middle } else { few = middle }
    }
    many
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Betting;

    #[test]
    fn the_fewest_bets_are_the_first_ties_that_a_betting_process_passes_on() {
        for (margin, alpha) in [(0.05_f64, 0.05_f64), (0.2, 0.01), (0.01, 0.1)] {
            let mut process = Betting::about_margin(BETS, margin, 1.0).expect("the margin is in its domain");
            let first = (1..10_000_u64).find(|_| process.push_difference(0.0, 1.0) && process.log_pass() > -alpha.ln());
            assert_eq!(first, Some(least_bets(margin / (1.0 - margin), alpha)), "margin {margin} at {alpha}");
        }
        assert_eq!([least_bets(0.0, 0.05), least_bets(f64::NAN, 0.05)], [u64::MAX; 2]);
    }
}
