//! The wealth of bets on one side of a margin, from counts alone: whatever the order, the same number to the last bit.

use crate::stats;

/// Which way the bets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// That the loss is smaller than the margin.
    Pass,
    /// That it is larger.
    Fail,
}

/// How one bet grows with each item, in logarithms.
#[derive(Clone, Copy, Debug)]
struct Bet {
    loss: f64,
    gain: f64,
    tie: f64,
}

/// The hedged grid-Kelly wealth of Waudby-Smith & Ramdas 2024 (JRSSB 86:1) for items that lose, gain or tie, as in
/// [`crate::stats::Betting`]: the mean of Π(1 + γ(x−μ₀)/μ₀) over γ = g/21, with x = 0, 1 or ½ and μ₀ = (1−margin)/2, or its
/// mirror. By Ville's inequality it reaches 1/α at any time with probability at most α where its null hypothesis holds.
#[derive(Clone, Debug)]
pub(super) struct Wealth {
    bets: Vec<Bet>,
    /// ln(1/α).
    threshold: f64,
    /// The most that one item can add to the logarithm.
    most: f64,
}

impl Wealth {
    /// Bets about a margin in (0, 1), that show their side at level α in (0, 1).
    pub(super) fn new(side: Side, margin: f64, alpha: f64) -> Self {
        let mu = 0.5 * (1.0 - margin);
        let growth = |share: f64, x: f64| match side {
            Side::Pass => (share * ((x - mu) / mu)).ln_1p(),
            Side::Fail => (share * ((mu - x) / (1.0 - mu))).ln_1p(),
        };
        let bet = |share| Bet { loss: growth(share, 0.0), gain: growth(share, 1.0), tie: growth(share, 0.5) };
        let bets: Vec<Bet> = stats::bets().map(bet).collect();
        let most = bets.iter().map(|bet| bet.loss.max(bet.gain)).fold(0.0, f64::max);
        Self { bets, threshold: -alpha.ln(), most }
    }

    /// By how much the logarithm of the wealth is short of what shows the side; 0 or less where it is shown.
    pub(super) fn short(&self, losses: u64, gains: u64, ties: u64) -> f64 {
        let (losses, gains, ties) = (losses as f64, gains as f64, ties as f64);
        let log = |bet: &Bet| losses * bet.loss + gains * bet.gain + ties * bet.tie;
        let most = self.bets.iter().map(log).fold(f64::NEG_INFINITY, f64::max);
        let mean = self.bets.iter().map(|bet| (log(bet) - most).exp()).sum::<f64>() / self.bets.len() as f64;
        self.threshold - (most + mean.ln())
    }

    /// Items that a shortfall needs at least.
    pub(super) fn items(&self, short: f64) -> u64 {
        // One less than it takes: rounding must never skip the item that shows the side.
        ((short / self.most).floor() as u64).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{BETS, Betting};

    #[test]
    fn wealth_from_counts_is_that_of_the_bets_one_by_one() {
        let (margin, alpha) = (0.02, 0.05_f64);
        let mut bets = Betting::about_margin(BETS, margin, 1.0).expect("the margin is in its domain");
        for difference in [0.0, -1.0, 0.0, 1.0, -1.0, -1.0, 0.0, 0.0, -1.0] {
            assert!(bets.push_difference(difference, 1.0));
        }
        let short = |side| Wealth::new(side, margin, alpha).short(4, 1, 4);
        assert!((short(Side::Pass) - (-alpha.ln() - bets.log_pass())).abs() < 1e-12);
        assert!((short(Side::Fail) - (-alpha.ln() - bets.log_fail())).abs() < 1e-12);
    }

    #[test]
    fn no_number_of_items_below_the_forecast_shows_a_side() {
        let wealth = Wealth::new(Side::Fail, 0.01, 0.001);
        let wait = wealth.items(wealth.short(3, 1, 10));
        assert!(wait > 2, "{wait}");
        assert!(wealth.short(3 + wait, 1, 10) > 0.0, "even where every item is a loss");
    }
}
