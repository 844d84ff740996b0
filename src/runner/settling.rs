//! Who is asked no more of what: the dispatcher feeds each sample's outcome to the referees, in the plan's order.
//!
//! Results arrive in any order; a referee hears of a sample when canary and subject both have ended it, and all samples
//! before. So where a subject is settled depends on the answers alone. What was under way then is kept, but does not count.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::watch;

use super::{Referee, Work};
use crate::domain::{Outcome, SampleId, Step, SubjectName, TaskName, UnitKey};
use crate::event::EventKind;

/// The canary's place among the seats.
const CANARY: usize = 0;

/// After how many samples each seat is asked no more of a task, as the workers see it.
#[derive(Debug)]
pub(super) struct Ends {
    tasks: usize,
    after: Vec<AtomicUsize>,
    /// By task: samples, from the first, that canary and every subject that may still be settled have ended.
    heard: Vec<AtomicUsize>,
    /// Whether nobody waits for anybody any more.
    released: AtomicBool,
    /// Rings when `heard` grows.
    bell: watch::Sender<()>,
}

impl Ends {
    fn new(seats: usize, tasks: usize) -> Self {
        let all = |count: usize| (0..count).map(|_| AtomicUsize::new(usize::MAX)).collect();
        let (after, heard) = (all(seats * tasks), all(tasks));
        Self { tasks, after, heard, released: AtomicBool::new(false), bell: watch::channel(()).0 }
    }

    /// How many of a task's samples, from the first, have been ended by all that decide together when the task is over; the
    /// largest number where nobody has to wait for that.
    pub(super) fn heard(&self, task: usize) -> usize {
        if self.released.load(Ordering::Acquire) { usize::MAX } else { self.heard[task].load(Ordering::Acquire) }
    }

    /// Where to wait for word that [`Ends::heard`] has changed.
    pub(super) fn word(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }

    /// Lets nobody wait for anybody: some subject's answers will not come.
    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Release);
        self.bell.send_replace(());
    }

    fn set_heard(&self, task: usize, samples: usize) {
        if self.heard[task].swap(samples, Ordering::AcqRel) != samples {
            self.bell.send_replace(());
        }
    }

    /// After how many samples a seat is settled on a task; the largest number while it isn't.
    pub(super) fn after(&self, seat: usize, task: usize) -> usize {
        self.after[seat * self.tasks + task].load(Ordering::Acquire)
    }

    fn set(&self, seat: usize, task: usize, after: usize) {
        self.after[seat * self.tasks + task].store(after, Ordering::Release);
    }
}

/// Follows every unit of a run.
pub(super) struct Settling {
    seats: Vec<SubjectName>,
    tasks: HashMap<TaskName, usize>,
    names: Vec<TaskName>,
    /// Units of each seat and task: how many there are, and how many have ended.
    cells: Vec<(usize, usize)>,
    contests: Vec<Option<Contest>>,
    ends: Arc<Ends>,
}

/// A task on which some subjects may be settled.
struct Contest {
    samples: HashMap<SampleId, usize>,
    canary: Vec<Half>,
    others: Vec<Side>,
}

/// A finite score; none where the sample has none.
type Score = Option<f64>;
/// A sample's score for one subject, once the sample has ended.
type Half = Option<Score>;

/// One subject against the canary.
struct Side {
    seat: usize,
    halves: Vec<Half>,
    next: usize,
    settles: Box<dyn FnMut(Step) -> bool + Send + Sync>,
}

impl Settling {
    /// At the beginning of a run of this work, with its referees.
    pub(super) fn new(work: &Work, referees: Vec<Referee>) -> Self {
        let plan = &work.plan;
        let (seats, tasks) = (work.seats.len(), plan.tasks.len());
        let mut contests: Vec<Option<Contest>> = (0..tasks).map(|_| None).collect();
        for Referee { seat, task, settles, .. } in referees {
            let samples = &plan.tasks[task].samples;
            let contest = contests[task].get_or_insert_with(|| Contest {
                samples: samples.iter().enumerate().map(|(index, sample)| (sample.id.clone(), index)).collect(),
                canary: vec![None; samples.len()],
                others: Vec::new(),
            });
            contest.others.push(Side { seat, halves: vec![None; samples.len()], next: 0, settles });
        }
        let units = |seat: usize, task: usize| work.repeats(seat, task) as usize * plan.tasks[task].samples.len();
        let names: Vec<TaskName> = plan.tasks.iter().map(|planned| planned.task.name.clone()).collect();
        let ends = Arc::new(Ends::new(seats, tasks));
        (0..tasks).filter(|&task| contests[task].is_some()).for_each(|task| ends.set_heard(task, 0));
        Self {
            seats: work.seats.iter().map(|seat| seat.subject.name.clone()).collect(),
            tasks: names.iter().cloned().zip(0..).collect(),
            names,
            cells: (0..seats).flat_map(|seat| (0..tasks).map(move |task| (units(seat, task), 0))).collect(),
            contests,
            ends,
        }
    }

    /// What the workers look at.
    pub(super) fn ends(&self) -> Arc<Ends> {
        Arc::clone(&self.ends)
    }

    /// Units of the plan.
    pub(super) fn units(&self) -> usize {
        self.cells.iter().map(|(units, _)| units).sum()
    }

    /// Units that were not asked and need not be.
    pub(super) fn saved(&self) -> usize {
        let tasks = self.names.len();
        let settled = |(cell, _): &(usize, &(usize, usize))| self.ends.after(cell / tasks, cell % tasks) != usize::MAX;
        self.cells.iter().enumerate().filter(settled).map(|(_, (units, done))| units - done).sum()
    }

    /// Takes an outcome into account; what it settles, the canary last, as events to follow the unit's own.
    pub(super) fn note(&mut self, unit: &UnitKey, outcome: &Outcome) -> Vec<EventKind> {
        let Some((seat, task)) = self.place(&unit.subject, &unit.task) else { return Vec::new() };
        self.cells[seat * self.names.len() + task].1 += 1;
        let score = match outcome {
            Outcome::Scored { score, .. } => Some(score.value).filter(|value| value.is_finite()),
            Outcome::Unscored { .. } => None,
        };
        // Referees are for subjects that are asked once.
        let Some(contest) = self.contests[task].as_mut().filter(|_| unit.repeat == 0) else { return Vec::new() };
        let settled = contest.hear((seat, &unit.sample, score), |seat| self.ends.after(seat, task) != usize::MAX);
        let events: Vec<EventKind> = settled.into_iter().map(|(seat, after)| self.settle(seat, task, after)).collect();
        self.tell(task);
        if events.is_empty() { events } else { events.into_iter().chain(self.canary(task)).collect() }
    }

    /// Takes the journal's word that a subject was settled.
    pub(super) fn told(&mut self, subject: &SubjectName, task: &TaskName, after: usize) {
        if let Some((seat, task)) = self.place(subject, task) {
            self.ends.set(seat, task, after);
            self.tell(task);
        }
    }

    /// Tells the workers how far those have come who decide together when a task is over.
    fn tell(&self, task: usize) {
        let Some(contest) = &self.contests[task] else { return };
        let open = contest.others.iter().filter(|side| self.ends.after(side.seat, task) == usize::MAX);
        self.ends.set_heard(task, open.map(|side| side.next).min().unwrap_or(usize::MAX));
    }

    fn place(&self, subject: &SubjectName, task: &TaskName) -> Option<(usize, usize)> {
        Some((self.seats.iter().position(|name| name == subject)?, *self.tasks.get(task)?))
    }

    fn settle(&self, seat: usize, task: usize, after: usize) -> EventKind {
        self.ends.set(seat, task, after);
        EventKind::TaskSettled { subject: self.seats[seat].clone(), task: self.names[task].clone(), after }
    }

    /// The canary's own end of a task: where the last of the others has its end, if all have one.
    fn canary(&self, task: usize) -> Option<EventKind> {
        let last = (CANARY + 1..self.seats.len()).map(|seat| self.ends.after(seat, task)).max()?;
        (last != usize::MAX).then(|| self.settle(CANARY, task, last))
    }
}

impl Contest {
    /// Takes a sample's score; the subjects that it settles before the last sample, with the number of samples.
    fn hear(
        &mut self,
        (seat, sample, score): (usize, &SampleId, Score),
        is_settled: impl Fn(usize) -> bool,
    ) -> Vec<(usize, usize)> {
        let Some(&index) = self.samples.get(sample) else { return Vec::new() };
        if seat == CANARY {
            self.canary[index] = Some(score);
        } else if let Some(side) = self.others.iter_mut().find(|side| side.seat == seat) {
            side.halves[index] = Some(score);
        }
        let moved = self.others.iter_mut().filter(|side| seat == CANARY || side.seat == seat);
        let open = moved.filter(|side| !is_settled(side.seat));
        open.filter_map(|side| Some((side.seat, side.advance(&self.canary)?))).collect()
    }
}

impl Side {
    /// Tells the referee of every sample that both have ended, up to the first that one of them has not; the number of
    /// samples where that settles the subject before the last.
    fn advance(&mut self, canary: &[Half]) -> Option<usize> {
        while let (Some(Some(canary)), Some(Some(own))) = (canary.get(self.next), self.halves.get(self.next)) {
            self.next += 1;
            if (self.settles)(Step::of((*canary, *own))) {
                // From here on nothing is told any more.
                let after = std::mem::replace(&mut self.next, usize::MAX);
                return (after < self.halves.len()).then_some(after);
            }
        }
        None
    }
}
