//! How requests end: a unit is answered, waits to be asked again, ends without an answer, or is left open.

use std::time::Duration;

use tokio::task::{Id, JoinError};
use tokio::time::Instant;

use super::drive::{Crowd, Trouble};
use super::fleet::{Answered, Flight, Told};
use super::order::Unit;
use crate::domain::{CauseKind, Outcome};
use crate::engine::{Failure, RetryClass};

/// A request may find no room this many times as often as it may fail.
const BUSY: u32 = 5;

/// When a request failed, after how long, and whether that counts against its unit.
#[derive(Clone, Copy)]
struct Fall {
    at: Instant,
    took: Duration,
    counts: bool,
}

/// Whom an endpoint does not let in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bar {
    All,
    This,
    /// That is still to be seen.
    Perhaps,
}

impl Crowd {
    /// Takes in what one request came to.
    pub(super) fn hear(&mut self, joined: Result<(Id, Told), JoinError>) -> Result<(), JoinError> {
        let (id, told) = match joined {
            Ok((id, told)) => (id, Some(told)),
            // The twin's answer came first.
            Err(error) if error.is_cancelled() => (error.id(), None),
            Err(error) => return Err(error),
        };
        let (Some(sent), Some(Told { at, took, result })) = (self.fleet.landed(id), told) else { return Ok(()) };
        let under_way = self.fleet.len();
        match result {
            Ok(answered) => {
                self.gate.good(sent.stamp, answered.served.as_deref(), at);
                self.gate.heard(answered.headroom, at, under_way);
                if let Some(Flight { unit, .. }) = self.fleet.won(sent.flight) {
                    if answered.served.as_ref().is_none_or(|served| !served.cached) {
                        self.times.note(unit.turn.0, unit.task, took);
                    }
                    self.answered(unit, answered, took);
                }
            }
            Err(failure) => {
                let first = self.fleet.unit(sent.flight).is_none_or(|unit| unit.tries == 0);
                let counts = self.gate.failed(sent.stamp, (&failure, first), at, under_way);
                self.gate.heard(failure.headroom, at, under_way);
                if let Some(Flight { unit, .. }) = self.fleet.lost(sent.flight) {
                    self.failed(unit, failure, Fall { at, took, counts });
                }
            }
        }
        Ok(())
    }

    /// Gives up what is under way and takes in what has ended by then; nothing is asked again.
    pub(super) async fn gather(&mut self) {
        self.draining = true;
        self.fleet.abort();
        while let Some(joined) = self.fleet.next().await {
            // One panic ends the run already; a second one has nothing to add.
            let _ = self.hear(joined);
        }
    }

    /// A unit ends with its answer.
    fn answered(&mut self, unit: Unit, answered: Answered, took: Duration) {
        let Answered { outcome, mut served, .. } = answered;
        if let Some(served) = &mut served {
            served.retries = unit.sends.saturating_sub(1);
        }
        self.outbox.push(self.stage.finished(unit.turn, (unit.task, unit.sample), (outcome, served), took));
    }

    /// A unit waits to be asked again, ends without an answer, or is left open.
    fn failed(&mut self, mut unit: Unit, mut failure: Failure, fall: Fall) {
        let lost = match failure.retry {
            RetryClass::No => Some(String::new()),
            // Nothing is sent again any more, so whether it could be is the next part's question.
            _ if self.draining || self.trouble.is_some() => return,
            RetryClass::Busy => self.no_room(&mut unit),
            RetryClass::Transient => self.passing(&mut unit, fall.counts),
            RetryClass::Unreached => None,
            RetryClass::Barred => match self.not_let_in(&mut unit, failure.kind) {
                Bar::All => return self.give_up(fall.at, (failure.message, true)),
                Bar::This => Some(format!(" (asked {} times)", unit.sends)),
                Bar::Perhaps => None,
            },
        };
        if let Some(why) = lost {
            failure.message.push_str(&why);
            let outcome = Box::new(Outcome::Unscored { cause: failure.into() });
            self.outbox.push(self.stage.finished(unit.turn, (unit.task, unit.sample), (outcome, None), fall.took));
            return;
        }
        // What counts against a unit comes to an end by itself; it may be all that is left.
        let is_its_own = failure.retry == RetryClass::Transient && fall.counts;
        if !is_its_own && self.gate.troubled(fall.at) >= self.stage.options.patience {
            return self.give_up(fall.at, (failure.message, false));
        }
        let until = fall.at + failure.wait.unwrap_or_else(|| self.pause(&unit));
        self.waiting.push(until, unit);
    }

    /// Asks the endpoint no more; what it has not answered stays open.
    fn give_up(&mut self, at: Instant, (what, barred): (String, bool)) {
        let lasted = self.gate.troubled(at);
        self.trouble = Some(Trouble { endpoint: self.group.name.clone(), lasted, what, barred });
        self.waiting.clear();
        // Nobody can wait for this endpoint's subjects any more.
        self.stage.ends.release();
    }

    /// Counts that the endpoint did not let a unit in, and says who that is about.
    fn not_let_in(&mut self, unit: &mut Unit, kind: CauseKind) -> Bar {
        let goods = self.gate.goods();
        let others_came_in = unit.bars > 0 && goods > unit.goods;
        let everybody = unit.bars == 0 && self.gate.bars();
        (unit.bars, unit.goods) = (unit.bars + 1, goods);
        if everybody {
            return Bar::All;
        }
        match unit.bars > self.stage.options.retries.max(1) {
            false => Bar::Perhaps,
            true if others_came_in || kind == CauseKind::Refused => Bar::This,
            true => Bar::All,
        }
    }

    /// Counts that the endpoint had no room for a unit, if it had for others since the last time; why the unit ends, if it
    /// does. A service that only wants its time loses no unit, and one that refuses a single request for good does.
    fn no_room(&self, unit: &mut Unit) -> Option<String> {
        let goods = self.gate.goods();
        unit.busy += u32::from(goods > unit.goods);
        unit.goods = goods;
        let most = BUSY * self.stage.options.retries.max(1);
        (unit.busy > most).then(|| format!(" (asked {} times)", unit.sends))
    }

    /// Counts a passing failure; why the unit ends, if it does.
    fn passing(&mut self, unit: &mut Unit, counts: bool) -> Option<String> {
        if !counts {
            return None;
        }
        unit.tries += 1;
        if unit.tries > self.stage.options.retries {
            return Some(format!(" (asked {} times)", unit.sends));
        }
        let is_paid = self.budget.spend();
        (!is_paid).then(|| " (not asked again: the endpoint's budget for retries is used up)".to_owned())
    }

    /// How long a unit waits that the endpoint said nothing about.
    fn pause(&self, unit: &Unit) -> Duration {
        let (seat, pass) = unit.turn;
        let subject = &self.stage.work.seats[seat].subject.name;
        let sample = &self.stage.samples(unit.task)[unit.sample].id;
        let attempt = (unit.tries + unit.bars + unit.busy).saturating_sub(1);
        self.stage.options.backoff.wait(attempt, &format!("{subject} {sample} {pass}"))
    }
}
