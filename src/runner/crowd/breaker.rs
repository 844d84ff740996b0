//! The circuit breaker of an endpoint: while nothing comes through, one request at a time asks whether it is back.
//!
//! Nygard, *Release It!* (2007): closed, open, half-open.

use std::time::Duration;

use tokio::time::Instant;

use crate::runner::Backoff;

/// Requests in a row that came to nothing before no more are sent.
const STREAK: u32 = 10;
/// The shortest wait between two probes.
const SHORTEST: Duration = Duration::from_secs(1);

/// Whether anything may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// One request is under way to see whether the endpoint is back.
    Probing,
}

/// What a breaker says to a request that wants to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Go,
    /// Not before this.
    Wait(Instant),
    /// Not before word of the probe.
    Hold,
}

/// Follows what an endpoint does with requests.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    streak: u32,
    /// Counts the openings: what was sent before one says nothing about the endpoint after it.
    epoch: u32,
    /// Probes in a row that failed.
    probes: u32,
    backoff: Backoff,
}

impl Breaker {
    pub(super) fn new(backoff: Backoff) -> Self {
        let base = backoff.base.max(SHORTEST);
        let backoff = Backoff { base, ceiling: backoff.ceiling.max(base) };
        Self { state: State::Closed, streak: 0, epoch: 0, probes: 0, backoff }
    }

    /// Whether a request may be sent.
    pub(super) fn says(&self, now: Instant) -> Said {
        match self.state {
            State::Open { until } if now < until => Said::Wait(until),
            State::Closed | State::Open { .. } => Said::Go,
            State::Probing => Said::Hold,
        }
    }

    /// Takes note of a request that goes out; the mark that its end is told with.
    pub(super) fn sent(&mut self) -> u32 {
        if matches!(self.state, State::Open { .. }) {
            self.state = State::Probing;
        }
        self.epoch
    }

    /// Whether anything may be sent at any time.
    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// The endpoint is there, whatever it said; true where it was not before.
    pub(super) fn alive(&mut self) -> bool {
        self.streak = 0;
        self.probes = 0;
        std::mem::replace(&mut self.state, State::Closed) != State::Closed
    }

    /// A request has ended that says nothing about the endpoint: if it was the probe, another one is due.
    pub(super) fn unknown(&mut self, now: Instant) {
        if self.state == State::Probing {
            self.state = State::Open { until: now };
        }
    }

    /// A request came to nothing; true where that is the request's own fault as much as the endpoint's, false where the
    /// endpoint was down anyway.
    pub(super) fn nothing(&mut self, epoch: u32, now: Instant) -> bool {
        if epoch != self.epoch {
            return false;
        }
        self.streak += 1;
        let probe = self.state == State::Probing;
        if probe || self.streak >= STREAK {
            let wait = self.backoff.base.saturating_mul(1_u32.checked_shl(self.probes).unwrap_or(u32::MAX));
            self.state = State::Open { until: now + wait.min(self.backoff.ceiling) };
            self.probes = (self.probes + 1).min(31);
            self.epoch += 1;
            self.streak = 0;
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(Backoff { base: Duration::from_millis(500), ceiling: Duration::from_secs(5) })
    }

    #[test]
    fn ten_in_a_row_open_it_and_each_failed_probe_doubles_the_wait() {
        let (mut breaker, mut now) = (breaker(), Instant::now());
        for nth in 1..=10 {
            assert_eq!(breaker.says(now), Said::Go);
            let epoch = breaker.sent();
            assert_eq!(breaker.nothing(epoch, now), nth < 10);
        }
        for wait in [1, 2, 4, 5, 5] {
            let until = now + Duration::from_secs(wait);
            assert_eq!(breaker.says(now), Said::Wait(until));
            now = until;
            assert_eq!(breaker.says(now), Said::Go);
            let epoch = breaker.sent();
            assert_eq!(breaker.says(now), Said::Hold, "one probe at a time");
            assert!(!breaker.nothing(epoch, now));
        }
        assert!(breaker.alive());
        assert_eq!(breaker.says(now), Said::Go);
    }

    #[test]
    fn what_was_sent_before_it_opened_neither_counts_nor_closes_the_way_of_the_probe() {
        let (mut breaker, now) = (breaker(), Instant::now());
        let epochs: Vec<u32> = (0..64).map(|_| breaker.sent()).collect();
        let counted = epochs.iter().filter(|&&epoch| breaker.nothing(epoch, now)).count();
        assert_eq!(counted, 9);
        assert_eq!(breaker.says(now), Said::Wait(now + Duration::from_secs(1)), "opened once");
    }

    #[test]
    fn an_answer_in_between_begins_the_count_anew() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for nth in 1..100 {
            let epoch = breaker.sent();
            if nth % 10 == 0 {
                breaker.alive();
            } else {
                assert!(breaker.nothing(epoch, now));
            }
        }
    }
}
