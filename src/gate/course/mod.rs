//! The course of one comparison: when its verdict is certain, as its items come in one by one in an order fixed beforehand.
//!
//! Three rules can end it. *Curtailment* holds under every policy and costs no error: whatever is left could not turn the
//! verdict. The *group-sequential* rule looks four times (Lan & DeMets 1983), with a betting process beside it for what is
//! plainly broken. The *e-process* rule looks at every item (Waudby-Smith & Ramdas 2024). Items are taken in the plan's
//! seeded random order, so what was asked stands for all; which item ends it depends on the items alone. Which tasks take part,
//! and at which levels, is said by [`Terms::of`]; all others are asked in full.

mod looks;
mod settled;
mod terms;
#[cfg(test)]
mod tests;
mod wealth;

pub(super) use settled::{Settled, settled, unfounded};
pub use terms::{Asking, Terms};

use super::EarlyBy;
use crate::domain::{Step, Stopping, Verdict};
use crate::stats::FEWEST_UNITS;
use looks::{Look, Tally, Test};
use wealth::{Side, Wealth};

/// Share of a FAIL's error rate that goes to the betting process beside group-sequential looks.
const FAST: f64 = 0.2;
/// Samples between two places where a run should see whether the betting process has ended it.
const STRIDE: usize = 32;
/// How often in its course an exact test looks whether the rest could still turn it: each look integrates.
const EXACT_LOOKS: u64 = 256;

/// How a course ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ending {
    /// After how many samples, counted from 1.
    pub after: u64,
    /// PASS or FAIL.
    pub verdict: Verdict,
    /// What ended it.
    pub by: EarlyBy,
    /// The confidence of the two-sided interval that goes with the boundary that decided, 1 − 2·level.
    pub confidence: f64,
}

/// Follows one variant or control on one task, sample by sample. Pure: equal steps give equal endings.
#[derive(Clone, Debug)]
pub struct Course {
    terms: Terms,
    tally: Tally,
    looks: Vec<Look>,
    /// The betting processes, and how many items each can wait before it has to be computed again.
    pass: Option<(Wealth, u64)>,
    fail: Option<(Wealth, u64)>,
    /// The levels at which the test over all samples passes and fails; none where there is no such test.
    last: Option<(Test, Test)>,
    ending: Option<Ending>,
}

impl Course {
    /// A course at its beginning. None where its samples are too few for any rule (ten or less).
    #[must_use]
    pub fn new(terms: Terms) -> Option<Self> {
        if terms.samples <= FEWEST_UNITS {
            return None;
        }
        let Terms { samples, margin, alpha, alpha_fail, strict, stopping } = terms;
        let (looks, fast) = match stopping {
            Stopping::GroupSequential => (Look::plan(samples, alpha, (1.0 - FAST) * alpha_fail)?, Some(FAST * alpha_fail)),
            Stopping::EProcess => (Vec::new(), Some(alpha_fail)),
            Stopping::None => (Vec::new(), None),
        };
        let last = match (stopping, looks.last()) {
            (Stopping::None, _) => Some((Test::at_level(alpha), Test::at_level(alpha_fail))),
            (_, look) => look.map(|look| (look.pass, look.fail)),
        };
        let tally = Tally::new(samples, margin, strict);
        let pass = (stopping == Stopping::EProcess).then(|| (Wealth::new(Side::Pass, margin, alpha), 0));
        let fail = fast.map(|level| (Wealth::new(Side::Fail, margin, level), 0));
        Some(Self { terms, tally, looks, pass, fail, last, ending: None })
    }

    /// Takes the next sample's step; the ending, from the sample on that settles it. What comes later changes nothing.
    pub fn take(&mut self, step: Step) -> Option<Ending> {
        if self.ending.is_none() && self.tally.seen < self.terms.samples {
            self.tally.take(step);
            if self.tally.complete() >= FEWEST_UNITS {
                self.ending = self.look().or_else(|| self.bet()).or_else(|| self.curtail());
            }
        }
        self.ending
    }

    /// The samples after which a run should see whether the course has ended: the looks, and while there is a betting
    /// process small strides through the first quarter. Rising, each at least 1 and less than the number of samples.
    #[must_use]
    pub fn marks(&self) -> Vec<usize> {
        let samples = self.terms.samples as usize;
        let early = if self.fail.is_some() { samples.div_ceil(4) } else { 0 };
        let mut marks: Vec<usize> = (STRIDE..early).step_by(STRIDE).collect();
        marks.extend(self.looks.iter().map(|look| look.at as usize).filter(|&at| at < samples));
        marks.sort_unstable();
        marks.dedup();
        marks
    }

    /// The confidence of the interval that goes with a course that came to its end unsettled: the last boundary's of a PASS.
    fn confidence(&self) -> f64 {
        self.looks.last().map_or(1.0 - 2.0 * self.terms.alpha, |look| look.pass.confidence())
    }

    fn end(&self, verdict: Verdict, by: EarlyBy, confidence: f64) -> Ending {
        Ending { after: self.tally.seen, verdict, by, confidence }
    }

    /// The group-sequential look that is due at this sample, if one is.
    fn look(&self) -> Option<Ending> {
        let index = self.looks.iter().position(|look| look.at == self.tally.seen)?;
        let look = &self.looks[index];
        let by = EarlyBy::Look(index as u32 + 1, self.looks.len() as u32);
        let (worst, best) = (self.tally.worst(0), self.tally.best(0));
        if self.tally.rule(worst.n()).passes(&worst, look.pass) {
            return Some(self.end(Verdict::Pass, by, look.pass.confidence()));
        }
        let fails = self.tally.rule(best.n()).fails(&best, look.fail);
        fails.then(|| self.end(Verdict::Fail, by, look.fail.confidence()))
    }

    /// The betting processes; where an answer is missing, each takes it for the one that speaks against it.
    fn bet(&mut self) -> Option<Ending> {
        let Tally { losses, gains, ties, missing, .. } = self.tally;
        let (broken, fine) =
            (rich(&mut self.fail, (losses, gains + missing, ties)), rich(&mut self.pass, (losses + missing, gains, ties)));
        let level = |verdict: Verdict| match (verdict, self.terms.stopping) {
            (Verdict::Pass, _) => self.terms.alpha,
            (_, Stopping::EProcess) => self.terms.alpha_fail,
            _ => FAST * self.terms.alpha_fail,
        };
        let verdict = if broken { Verdict::Fail } else { Verdict::Pass };
        (broken || fine).then(|| self.end(verdict, EarlyBy::Wealth, 1.0 - 2.0 * level(verdict)))
    }

    /// The verdict of all samples, where the rest could not turn it even if every one spoke against it.
    fn curtail(&self) -> Option<Ending> {
        let (pass, fail) = self.last?;
        let rest = self.terms.samples - self.tally.seen;
        let due = self.tally.seen.is_multiple_of((self.terms.samples / EXACT_LOOKS).max(1));
        if rest == 0 || (self.terms.strict && !due) {
            return None;
        }
        let rule = self.tally.final_rule(self.terms.stopping == Stopping::None);
        let ended = |verdict, test: Test| self.end(verdict, EarlyBy::Curtailment, test.confidence());
        let worst = self.tally.worst(rest);
        if rule.passes(&worst, pass.with_slack()) {
            return Some(ended(Verdict::Pass, pass));
        }
        rule.fails(&self.tally.best(rest), fail.with_slack()).then(|| ended(Verdict::Fail, fail))
    }
}

/// Whether a betting process shows its side; it is computed only where it could.
fn rich(wealth: &mut Option<(Wealth, u64)>, (losses, gains, ties): (u64, u64, u64)) -> bool {
    let Some((wealth, wait)) = wealth else { return false };
    if *wait > 0 {
        *wait -= 1;
        return false;
    }
    let short = wealth.short(losses, gains, ties);
    *wait = if short > 0.0 { wealth.items(short) } else { 0 };
    short <= 0.0
}
