//! How a run begins: fresh, or from what an earlier part of it left.

use std::collections::HashSet;

use super::check::unchanged;
use super::settling::Settling;
use super::spend::Till;
use super::{RunError, Summary, Work};
use crate::domain::{Outcome, SubjectName, TaskName, UnitKey};
use crate::event::{Event, EventKind, RunHeader};

/// Where a run begins.
#[derive(Debug)]
pub enum Start {
    /// At the beginning.
    Fresh(Box<RunHeader>),
    /// After these events, which the journal gave back.
    Resume(Vec<Event>),
}

/// What a start means for the rest of the run.
pub(super) struct Opening {
    /// The events to begin with.
    pub(super) events: Vec<EventKind>,
    /// The number of the first of them.
    pub(super) next: u64,
    /// Units that need not be asked.
    pub(super) done: HashSet<UnitKey>,
    /// What ended already, of how many.
    pub(super) summary: Summary,
    /// Whether the journal says already that every unit ended.
    pub(super) finished: bool,
    /// Who is asked no more of what.
    pub(super) settling: Settling,
}

/// What an earlier part of the run recorded.
#[derive(Default)]
struct Past {
    recorded: HashSet<TaskName>,
    /// What its answers settle.
    settled: Vec<EventKind>,
    /// What it said to be settled.
    told: HashSet<(SubjectName, TaskName)>,
}

impl Opening {
    /// Works out what is done and what is still to be recorded.
    pub(super) fn of(work: &mut Work, start: Start, till: &Till) -> Result<Self, RunError> {
        let referees = std::mem::take(&mut work.referees);
        let settling = Settling::new(work, referees);
        let mut opening = Self {
            events: Vec::new(),
            next: 0,
            done: HashSet::new(),
            summary: Summary { units: settling.units(), ..Summary::default() },
            finished: false,
            settling,
        };
        let mut past = Past::default();
        match start {
            Start::Fresh(header) => opening.events.push(EventKind::RunStarted(header)),
            Start::Resume(events) => {
                unchanged(&events, &work.seats)?;
                for event in events {
                    opening.past(event, &mut past, till);
                }
                opening.events.push(EventKind::RunResumed { done: opening.done.len() });
            }
        }
        opening.record(work, &past.recorded);
        // A kill between an answer and what it settled leaves that to be said now.
        let open = past.settled.into_iter().filter(|event| match event {
            EventKind::TaskSettled { subject, task, .. } => !past.told.contains(&(subject.clone(), task.clone())),
            _ => true,
        });
        opening.events.extend(open);
        opening.summary.saved = opening.settling.saved();
        opening.summary.spent = till.spent();
        Ok(opening)
    }

    /// Takes an event of the past into account.
    fn past(&mut self, event: Event, past: &mut Past, till: &Till) {
        self.next = event.seq + 1;
        match event.kind {
            EventKind::UnitFinished { unit, outcome, served, .. } => {
                let counted = match *outcome {
                    Outcome::Scored { .. } => &mut self.summary.scored,
                    Outcome::Unscored { .. } => &mut self.summary.unscored,
                };
                if !self.done.contains(&unit) {
                    *counted += 1;
                    till.add(&unit.subject, served.as_deref());
                    past.settled.extend(self.settling.note(&unit, &outcome));
                    self.done.insert(unit);
                }
            }
            EventKind::TaskSettled { subject, task, after } => {
                self.settling.told(&subject, &task, after);
                past.told.insert((subject, task));
            }
            EventKind::TaskRecorded { task, .. } => {
                past.recorded.insert(task);
            }
            EventKind::RunFinished { .. } => self.finished = true,
            _ => {}
        }
    }

    /// The subjects as they are loaded now, and the tasks that are not recorded yet.
    fn record(&mut self, work: &Work, recorded: &HashSet<TaskName>) {
        self.events.extend(work.seats.iter().map(|seat| EventKind::SubjectReady {
            subject: seat.subject.name.clone(),
            identity: Box::new(seat.engine.identity().clone()),
            load_ms: seat.load_ms,
            origin: seat.engine.origin().cloned().map(Box::new),
        }));
        let missing = work.plan.tasks.iter().filter(|planned| !recorded.contains(&planned.task.name));
        self.events.extend(missing.map(|planned| EventKind::TaskRecorded {
            task: planned.task.name.clone(),
            samples: planned.samples.iter().map(crate::domain::Sample::card).collect(),
        }));
    }
}
