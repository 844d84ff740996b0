//! The dispatcher: it alone numbers events and calls the sinks, the journal first.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Clock, Summary};
use crate::domain::Outcome;
use crate::event::{Event, EventKind, Sink, SinkError};

/// Messages that may wait for the dispatcher; a full queue holds the workers back, so memory stays bounded.
pub(super) const QUEUE: usize = 16;

/// What workers and the run itself tell the dispatcher.
#[derive(Debug)]
pub(super) enum Message {
    /// Events that belong together, such as a batch's.
    Events(Vec<EventKind>),
    /// Nothing more will come.
    Close,
}

/// Numbers, counts and hands on.
pub(super) struct Dispatcher {
    pub(super) sinks: Vec<Box<dyn Sink>>,
    pub(super) clock: Arc<dyn Clock>,
    /// The number of the next durable event.
    pub(super) next: u64,
    /// What ended so far, of how many.
    pub(super) summary: Summary,
}

impl Dispatcher {
    /// Serves until it is told that nothing more comes; blocks, so it wants a thread of its own.
    ///
    /// # Errors
    /// The first sink's fault; what it was told before stays with the sinks.
    pub(super) fn serve(mut self, mut inbox: mpsc::Receiver<Message>) -> Result<Summary, SinkError> {
        let mut waiting = Vec::with_capacity(QUEUE);
        loop {
            waiting.clear();
            let received = inbox.blocking_recv_many(&mut waiting, QUEUE);
            let mut closed = received == 0;
            let mut events = Vec::new();
            for message in waiting.drain(..) {
                match message {
                    Message::Events(kinds) => events.extend(kinds.into_iter().map(|kind| self.number(kind))),
                    Message::Close => closed = true,
                }
            }
            if closed && self.summary.left() == 0 {
                let Summary { scored, unscored, .. } = self.summary;
                events.push(self.number(EventKind::RunFinished { scored, unscored }));
            }
            self.deliver(&events)?;
            if closed {
                return Ok(self.summary);
            }
        }
    }

    /// Gives an event its number and its time; events that are not kept share the number of the next one that is.
    fn number(&mut self, kind: EventKind) -> Event {
        let event = Event { seq: self.next, at_ms: self.clock.now_ms(), kind };
        if event.kind.is_durable() {
            self.next += 1;
        }
        if let EventKind::UnitFinished { outcome, .. } = &event.kind {
            match **outcome {
                Outcome::Scored { .. } => self.summary.scored += 1,
                Outcome::Unscored { .. } => self.summary.unscored += 1,
            }
        }
        event
    }

    /// Each sink has everything, and has made it safe, before the next sink hears of it.
    fn deliver(&mut self, events: &[Event]) -> Result<(), SinkError> {
        for sink in &mut self.sinks {
            for event in events {
                sink.emit(event)?;
            }
            sink.flush()?;
        }
        Ok(())
    }
}
