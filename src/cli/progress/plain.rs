//! Progress without a terminal: a line at the start, and one whenever a subject has ended a task.

use std::io::Write;

use super::standing::{Standing, ready};
use crate::event::{Event, EventKind, Sink, SinkError};

/// Plain lines, in the order in which things end.
pub struct Plain {
    out: Option<Box<dyn Write + Send>>,
    standing: Standing,
}

impl Plain {
    /// Writes to the standard error stream.
    #[must_use]
    pub fn to_stderr() -> Self {
        Self::to(Box::new(std::io::stderr()))
    }

    /// Writes to anything.
    #[must_use]
    pub fn to(out: Box<dyn Write + Send>) -> Self {
        Self { out: Some(out), standing: Standing::default() }
    }

    /// Takes note of an earlier part of the run without a word about it.
    pub fn recall(&mut self, events: &[Event]) {
        for event in events {
            self.standing.note(event);
        }
    }

    fn say(&mut self, line: &str) {
        if let Some(out) = &mut self.out
            && writeln!(out, "{line}").is_err()
        {
            self.out = None;
        }
    }
}

impl Sink for Plain {
    fn emit(&mut self, event: &Event) -> Result<(), SinkError> {
        let place = self.standing.note(event);
        let standing = &self.standing;
        let line = match &event.kind {
            EventKind::RunStarted(_) => {
                let Standing { run, subjects, tasks, .. } = standing;
                let samples: usize = tasks.iter().map(|task| task.samples).sum();
                let (subjects, tasks) = (subjects.len(), tasks.len());
                Some(format!("run {run}: {subjects} subjects on {tasks} tasks, {samples} samples each"))
            }
            EventKind::RunResumed { done } => Some(format!("run {} goes on: {done} units were done", standing.run)),
            EventKind::SubjectReady { .. } => ready(event),
            EventKind::UnitFinished { .. } => place.filter(|&place| standing.is_done(place)).map(|at| standing.line(at)),
            EventKind::RunFinished { scored, unscored } => {
                Some(format!("run {} is complete: {scored} units scored, {unscored} unscored", standing.run))
            }
            EventKind::TaskRecorded { .. } | EventKind::BatchStarted { .. } => None,
        };
        if let Some(line) = line {
            self.say(&line);
        }
        Ok(())
    }
}
