//! Progress without a terminal: a line at the start, and one whenever a subject and the canary have ended a task.

use std::io::Write;

use super::standing::{Standing, count, ready};
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
        let run = self.standing.run.clone();
        let lines = match (&event.kind, place) {
            (EventKind::RunStarted(_), _) => vec![self.standing.outlook()],
            (EventKind::RunResumed { done }, _) => vec![format!("run {run} goes on: {} done", count(*done, "unit"))],
            (EventKind::SubjectReady { .. }, _) => ready(event).into_iter().collect(),
            (EventKind::UnitFinished { .. } | EventKind::TaskSettled { .. }, Some(place)) => self.standing.ended(place),
            (EventKind::RunFinished { scored, unscored }, _) => {
                vec![format!("run {run} is complete: {} scored, {unscored} unscored", count(*scored, "unit"))]
            }
            _ => Vec::new(),
        };
        for line in lines {
            self.say(&line);
        }
        Ok(())
    }
}
