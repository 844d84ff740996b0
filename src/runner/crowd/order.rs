//! The fair order of an endpoint's units: sample by sample, its subjects in turns, so that a drift hits all alike.

use crate::runner::stage::{Stage, Turn};
use crate::runner::turns::in_turn;

/// A unit on its way: which, and what became of it so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    /// Seat and pass.
    pub(super) turn: Turn,
    pub(super) task: usize,
    pub(super) sample: usize,
    /// Requests that were sent for it, twins included.
    pub(super) sends: u32,
    /// Failures that count against it.
    pub(super) tries: u32,
    /// How often the endpoint let it not in at all.
    pub(super) bars: u32,
    /// How often the endpoint had no room for it though it had for others since.
    pub(super) busy: u32,
    /// Answers of the endpoint at the last time that it had no room for it, or did not let it in.
    pub(super) goods: u64,
}

/// What comes next: the plan's tasks and samples in order; of each sample, every seat in every pass.
pub(super) struct Order {
    seats: Vec<usize>,
    task: usize,
    sample: usize,
    /// The place in the sample's round.
    at: usize,
    /// The turns of even and of odd samples.
    rounds: [Vec<Turn>; 2],
}

impl Order {
    pub(super) fn new(stage: &Stage, seats: Vec<usize>) -> Self {
        let mut order = Self { seats, task: 0, sample: 0, at: 0, rounds: [Vec::new(), Vec::new()] };
        order.open_task(stage);
        order
    }

    /// The next unit that is still open; none where nothing is left.
    pub(super) fn peek(&mut self, stage: &Stage) -> Option<Unit> {
        while self.task < stage.work.plan.tasks.len() {
            let turn = self.rounds[self.sample % 2].get(self.at).copied();
            match turn.filter(|_| self.sample < stage.samples(self.task).len()) {
                Some(turn) if stage.is_open(turn, self.task, self.sample) => {
                    let (task, sample) = (self.task, self.sample);
                    return Some(Unit { turn, task, sample, sends: 0, tries: 0, bars: 0, busy: 0, goods: 0 });
                }
                Some(_) => self.step(stage),
                None => self.next_task(stage),
            }
        }
        None
    }

    /// Goes past the unit that is next.
    pub(super) fn step(&mut self, stage: &Stage) {
        self.at += 1;
        if self.at >= self.rounds[self.sample % 2].len() {
            (self.sample, self.at) = (self.sample + 1, 0);
            let is_asked = |&seat: &usize| self.sample < stage.ends.after(seat, self.task);
            if self.sample >= stage.samples(self.task).len() || !self.seats.iter().any(is_asked) {
                self.next_task(stage);
            }
        }
    }

    fn next_task(&mut self, stage: &Stage) {
        (self.task, self.sample, self.at) = (self.task + 1, 0, 0);
        self.open_task(stage);
    }

    fn open_task(&mut self, stage: &Stage) {
        if self.task < stage.work.plan.tasks.len() {
            let repeats: Vec<(usize, u32)> = self.seats.iter().map(|&seat| (seat, stage.work.repeats(seat, self.task))).collect();
            self.rounds = [in_turn(&repeats, 0), in_turn(&repeats, 1)];
        }
    }
}
