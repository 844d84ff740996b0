//! The loop of one endpoint: sends what may be sent, hears what came of it, and lets failures wait.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until};

use super::Group;
use super::budget::Budget;
use super::fleet::Fleet;
use super::gate::{Gate, Pass, Size};
use super::order::{Order, Unit};
use super::times::Times;
use super::waiting::Waiting;
use crate::event::EventKind;
use crate::runner::dispatch::Message;
use crate::runner::stage::Stage;

/// Events that may wait for the dispatcher; beyond that nothing more is sent.
const OUTBOX: usize = 1024;
/// How often it is looked for late requests.
const SWEEP: Duration = Duration::from_millis(100);

/// An endpoint that the run stopped asking.
#[derive(Clone, Debug)]
pub(in crate::runner) struct Trouble {
    /// Its name.
    pub(in crate::runner) endpoint: String,
    /// How long it answered nothing.
    pub(in crate::runner) lasted: Duration,
    /// The last failure's words.
    pub(in crate::runner) what: String,
    /// Whether it said itself that it lets nobody in.
    pub(in crate::runner) barred: bool,
}

/// What there is to wait for.
#[derive(Clone, Copy, Debug, Default)]
struct Outlook {
    /// The time of something.
    at: Option<Instant>,
    /// Word of how far others came.
    word: bool,
    /// Whether something is left to send.
    left: bool,
}

/// What may be sent next.
#[derive(Clone, Copy)]
enum Next {
    /// A second request for a flight that is late.
    Twin(u64, Unit),
    Again(Unit),
    New(Unit),
}

/// One endpoint's requests, and everything about what is sent next.
pub(in crate::runner) struct Crowd {
    pub(super) stage: Arc<Stage>,
    pub(super) group: Group,
    order: Order,
    pub(super) gate: Gate,
    pub(super) budget: Budget,
    pub(super) waiting: Waiting,
    pub(super) fleet: Fleet,
    pub(super) times: Times,
    /// When it is next looked for late requests.
    sweep: Option<Instant>,
    /// Requests that are to get a twin, the oldest last.
    late: Vec<u64>,
    pub(super) outbox: Vec<EventKind>,
    announced: HashSet<(usize, usize)>,
    /// Whether nothing more is sent, since the run was asked to stop.
    pub(super) draining: bool,
    pub(super) trouble: Option<Trouble>,
}

impl Crowd {
    pub(in crate::runner) fn new(stage: Arc<Stage>, group: Group) -> Self {
        let now = Instant::now();
        Self {
            order: Order::new(&stage, group.seats.clone()),
            gate: Gate::new(&group, stage.options.backoff, now),
            budget: Budget::new(),
            waiting: Waiting::default(),
            fleet: Fleet::default(),
            times: Times::default(),
            sweep: group.hedge.then(|| now + SWEEP),
            late: Vec::new(),
            outbox: Vec::new(),
            announced: HashSet::new(),
            draining: false,
            trouble: None,
            stage,
            group,
        }
    }

    /// Asks everything that is open until done, asked to stop, or the endpoint is given up; then the trouble with it.
    ///
    /// # Errors
    /// A panic of the engine or of a scorer; what was answered before is told first.
    pub(in crate::runner) async fn work(mut self) -> Result<Option<Trouble>, JoinError> {
        let ended = self.serve().await;
        self.gather().await;
        if !self.outbox.is_empty() {
            // A dispatcher that is gone says itself why.
            let _ = self.stage.events.send(Message::Events(std::mem::take(&mut self.outbox))).await;
        }
        ended.map(|()| self.trouble)
    }

    async fn serve(&mut self) -> Result<(), JoinError> {
        let (stop, events) = (self.stage.stop.clone(), self.stage.events.clone());
        let mut word = self.stage.ends.word();
        let (mut drain, mut at_once) = (pin!(stop.drain()), pin!(stop.at_once()));
        loop {
            word.mark_unchanged();
            if !self.draining && stop.asked() {
                self.draining = true;
                self.waiting.clear();
            }
            let outlook = if self.draining || self.trouble.is_some() { Outlook::default() } else { self.fill(Instant::now()) };
            if self.fleet.is_empty() && self.outbox.is_empty() && !outlook.left {
                return Ok(());
            }
            let timer = outlook.at.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                () = &mut at_once => return Ok(()),
                () = &mut drain, if !self.draining => {}
                room = events.reserve(), if !self.outbox.is_empty() => match room {
                    Ok(room) => room.send(Message::Events(std::mem::take(&mut self.outbox))),
                    Err(_) => return Ok(()),
                },
                Some(joined) = self.fleet.next(), if !self.fleet.is_empty() => {
                    self.hear(joined)?;
                    while let Some(joined) = self.fleet.ended() {
                        self.hear(joined)?;
                    }
                }
                _ = word.changed(), if outlook.word => {}
                () = sleep_until(timer), if outlook.at.is_some() => {}
            }
        }
    }

    /// Sends everything that may be sent now.
    fn fill(&mut self, mut now: Instant) -> Outlook {
        self.look_for_late(now);
        while self.outbox.len() < OUTBOX {
            let ahead = self.is_ahead();
            let Some(next) = self.next(now, ahead) else {
                let at = [self.waiting.due(), self.sweep()].into_iter().flatten().min();
                return Outlook { at, word: ahead, left: ahead || !self.waiting.is_empty() };
            };
            let (Next::Twin(_, unit) | Next::Again(unit) | Next::New(unit)) = next;
            let size = self.gate.size(&self.stage.samples(unit.task)[unit.sample].request);
            let at = match self.gate.pass(now, self.fleet.len(), size) {
                Pass::Go => {
                    self.send(next, size, now);
                    now = Instant::now();
                    continue;
                }
                Pass::Wait(at) => Some(at),
                Pass::Full => None,
            };
            return Outlook { at: at.into_iter().chain(self.sweep()).min(), word: false, left: true };
        }
        Outlook { at: None, word: false, left: true }
    }

    /// What is sent next: a late request's twin, a unit whose wait is over, or a new one where others are not too far behind.
    fn next(&mut self, now: Instant, ahead: bool) -> Option<Next> {
        while let Some(&flight) = self.late.last() {
            match self.fleet.unit(flight) {
                Some(unit) => return Some(Next::Twin(flight, unit)),
                None => self.late.pop(),
            };
        }
        while let Some(unit) = self.waiting.peek(now) {
            if unit.sample < self.stage.ends.after(unit.turn.0, unit.task) {
                return Some(Next::Again(unit));
            }
            // It was settled while this waited.
            self.waiting.pop();
        }
        self.order.peek(&self.stage).filter(|_| !ahead).map(Next::New)
    }

    fn send(&mut self, next: Next, size: Size, now: Instant) {
        match next {
            Next::Twin(flight, _) => {
                self.late.pop();
                if self.budget.spend() {
                    let stamp = self.gate.sent(now, size);
                    self.fleet.send(&self.stage, flight, stamp);
                }
                return;
            }
            Next::Again(_) => self.waiting.pop(),
            Next::New(unit) => {
                self.order.step(&self.stage);
                self.budget.earn();
                self.announce(unit);
            }
        }
        let (Next::Twin(_, unit) | Next::Again(unit) | Next::New(unit)) = next;
        let stamp = self.gate.sent(now, size);
        self.fleet.launch(&self.stage, unit, stamp);
    }

    /// Whether the next unit is too far ahead of others that decide with it when a task ends.
    fn is_ahead(&mut self) -> bool {
        let Some(unit) = self.order.peek(&self.stage) else { return false };
        let heard = self.stage.ends.heard(unit.task);
        unit.sample >= heard.saturating_add(self.group.lead())
    }

    /// When it is next looked for late requests, while there are any under way.
    fn sweep(&self) -> Option<Instant> {
        self.sweep.filter(|_| !self.fleet.is_empty())
    }

    /// Notes which requests are to get a twin.
    fn look_for_late(&mut self, now: Instant) {
        if self.sweep.is_some_and(|sweep| now >= sweep) {
            self.sweep = Some(now + SWEEP);
            let at_last = self.waiting.is_empty() && self.order.peek(&self.stage).is_none();
            self.late = self.fleet.late(now, &self.times.limits(at_last));
        }
    }

    /// Says once for each subject and task that its units are being asked.
    fn announce(&mut self, unit: Unit) {
        let ((seat, _), task) = (unit.turn, unit.task);
        if self.announced.insert((seat, task)) {
            let units = self.stage.samples(task).len() * self.stage.work.repeats(seat, task) as usize;
            self.outbox.push(self.stage.batch(seat, task, units));
        }
    }
}
