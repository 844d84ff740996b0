//! The dispatcher: it alone numbers events and calls the sinks, the journal first.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::settling::Settling;
use super::spend::Till;
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
    /// Say when everything sent before has been taken into account.
    Seen(oneshot::Sender<()>),
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
    /// Who is asked no more of what.
    pub(super) settling: Settling,
    /// What the answers cost.
    pub(super) till: Arc<Till>,
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
                    Message::Events(kinds) => kinds.into_iter().for_each(|kind| self.number(kind, &mut events)),
                    // Whoever asked may be gone meanwhile.
                    Message::Seen(asker) => drop(asker.send(())),
                    Message::Close => closed = true,
                }
            }
            self.summary.saved = self.settling.saved();
            if closed && self.summary.left() == 0 {
                let Summary { scored, unscored, .. } = self.summary;
                self.number(EventKind::RunFinished { scored, unscored }, &mut events);
            }
            self.deliver(&events)?;
            if closed {
                self.summary.spent = self.till.spent();
                self.summary.broke = self.till.is_out() && self.summary.left() > 0;
                return Ok(self.summary);
            }
        }
    }

    /// Gives an event its number and its time, and those that follow from it; events that are not kept share the number of
    /// the next one that is.
    fn number(&mut self, kind: EventKind, events: &mut Vec<Event>) {
        let settled = match &kind {
            EventKind::UnitFinished { unit, outcome, .. } => {
                match **outcome {
                    Outcome::Scored { .. } => self.summary.scored += 1,
                    Outcome::Unscored { .. } => self.summary.unscored += 1,
                }
                self.settling.note(unit, outcome)
            }
            _ => Vec::new(),
        };
        for kind in std::iter::once(kind).chain(settled) {
            let event = Event { seq: self.next, at_ms: self.clock.now_ms(), kind };
            self.next += u64::from(event.kind.is_durable());
            events.push(event);
        }
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
