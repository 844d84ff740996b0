//! Looks at a tally: the score of the pairs so far against a boundary, by the same methods as a verdict over all of them.

use crate::domain::Step;
use crate::stats::{self, GroupSequential, PairTable, SCORE_FROM};

/// Up to this many samples the missing ones can leave fewer pairs than [`SCORE_FROM`].
const SCORE_SURE: u64 = 52;
/// What a verdict about samples that are not there yet must be ahead by, so that rounding cannot turn it.
const SLACK: f64 = 1e-9;

/// A one-sided level, as the boundary of a standard normal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Test {
    z: f64,
}

impl Test {
    /// Of an error rate.
    pub(super) fn at_level(alpha: f64) -> Self {
        Self { z: -stats::normal_quantile(alpha) }
    }

    /// The two-sided confidence of the interval that agrees with the test.
    pub(super) fn confidence(self) -> f64 {
        1.0 - 2.0 * self.level()
    }

    /// The same, a little harder to pass.
    pub(super) fn with_slack(self) -> Self {
        Self { z: self.z + SLACK }
    }

    fn level(self) -> f64 {
        stats::normal_sf(self.z)
    }
}

/// A planned look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// After how many samples.
    pub(super) at: u64,
    /// What a PASS there takes.
    pub(super) pass: Test,
    /// What a FAIL there takes.
    pub(super) fail: Test,
}

impl Look {
    /// Looks after each quarter of the samples, with Lan & DeMets' boundaries of O'Brien & Fleming's form on each side.
    pub(super) fn plan(samples: u64, alpha: f64, alpha_fail: f64) -> Option<Vec<Self>> {
        let places: Vec<u64> = (1..=4).map(|quarter| (quarter * samples).div_ceil(4)).collect();
        let fractions: Vec<f64> = places.iter().map(|&at| at as f64 / samples as f64).collect();
        let pass = GroupSequential::new(&fractions, alpha)?;
        let fail = GroupSequential::new(&fractions, alpha_fail)?;
        let bounds = pass.bounds().iter().zip(fail.bounds());
        let look = |(at, (&pass, &fail))| Self { at, pass: Test { z: pass }, fail: Test { z: fail } };
        Some(places.into_iter().zip(bounds).map(look).collect())
    }
}

/// What the samples so far came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    samples: u64,
    margin: f64,
    strict: bool,
    pub(super) seen: u64,
    pub(super) losses: u64,
    pub(super) gains: u64,
    pub(super) ties: u64,
    pub(super) missing: u64,
}

impl Tally {
    pub(super) fn new(samples: u64, margin: f64, strict: bool) -> Self {
        Self { samples, margin, strict, seen: 0, losses: 0, gains: 0, ties: 0, missing: 0 }
    }

    pub(super) fn take(&mut self, step: Step) {
        let count = match step {
            Step::Loss => &mut self.losses,
            Step::Gain => &mut self.gains,
            Step::Tie => &mut self.ties,
            Step::Missing => &mut self.missing,
        };
        *count += 1;
        self.seen += 1;
    }

    /// Pairs with both scores.
    pub(super) fn complete(&self) -> u64 {
        self.seen - self.missing
    }

    /// The pairs, with the missing ones and so many more as losses.
    pub(super) fn worst(&self, more: u64) -> PairTable {
        PairTable::of_flips(self.losses + self.missing + more, self.gains, self.seen + more)
    }

    /// The pairs, with the missing ones and so many more as gains.
    pub(super) fn best(&self, more: u64) -> PairTable {
        PairTable::of_flips(self.losses, self.gains + self.missing + more, self.seen + more)
    }

    /// By what a look at so many pairs is judged.
    pub(super) fn rule(&self, pairs: u64) -> Rule {
        let exact = self.strict || pairs < SCORE_FROM;
        Rule { margin: self.margin, score: !exact, exact }
    }

    /// By what all samples are judged. Where the gate goes by the pairs that are complete in the end (`open`), samples that
    /// are missing then can make the difference between its two methods: near that both must agree.
    pub(super) fn final_rule(&self, open: bool) -> Rule {
        if !open {
            return self.rule(self.samples);
        }
        Rule { margin: self.margin, score: !self.strict, exact: self.strict || self.samples < SCORE_SURE }
    }
}

/// The test of pairs against a margin: by Tango's score, by Fay and Lumbard's exact p, or by both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    margin: f64,
    score: bool,
    exact: bool,
}

impl Rule {
    /// Whether the pairs show at a level that the loss is smaller than the margin.
    pub(super) fn passes(self, table: &PairTable, test: Test) -> bool {
        self.shows(table, -self.margin, test)
    }

    /// Whether the pairs show at a level that the loss is larger than the margin.
    pub(super) fn fails(self, table: &PairTable, test: Test) -> bool {
        self.shows(&table.mirrored(), self.margin, test)
    }

    /// Whether the difference is shown to be above `least`.
    fn shows(self, table: &PairTable, least: f64, test: Test) -> bool {
        // What the pairs themselves do not say, they show at no level below a half; this also keeps most tables from the
        // integral.
        if table.difference().is_none_or(|difference| difference <= least) {
            return false;
        }
        let by_score = || stats::tango_score(table, least).is_some_and(|z| z > test.z);
        let by_exact = || stats::fay_p(table, least).is_some_and(|p| p < test.level());
        (!self.score || by_score()) && (!self.exact || by_exact())
    }
}
