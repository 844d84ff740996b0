//! The requests under way: each a task of its own, a late one with a twin beside it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::gate::Stamp;
use super::order::Unit;
use crate::domain::{Outcome, Served};
use crate::engine::{Failure, Headroom, Reply};
use crate::runner::ask::silence;
use crate::runner::judge::judge;
use crate::runner::repeat::on_pass;
use crate::runner::stage::Stage;

/// What a request came to.
pub(super) struct Told {
    pub(super) at: Instant,
    pub(super) took: Duration,
    pub(super) result: Result<Answered, Failure>,
}

/// An answer, judged.
pub(super) struct Answered {
    pub(super) outcome: Box<Outcome>,
    pub(super) served: Option<Box<Served>>,
    pub(super) headroom: Headroom,
}

/// A request under way.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    /// The flight that it belongs to.
    pub(super) flight: u64,
    pub(super) stamp: Stamp,
}

/// A unit under way, with its request and perhaps a twin of it.
pub(super) struct Flight {
    pub(super) unit: Unit,
    pub(super) began: Instant,
    handles: Vec<AbortHandle>,
    under_way: usize,
}

impl Flight {
    /// Whether it was asked a second time beside the first.
    pub(super) fn has_twin(&self) -> bool {
        self.handles.len() > 1
    }
}

/// All units under way at an endpoint.
#[derive(Default)]
pub(super) struct Fleet {
    set: JoinSet<Told>,
    requests: HashMap<Id, Sent>,
    flights: HashMap<u64, Flight>,
    next: u64,
}

impl Fleet {
    /// Requests under way, those that were given up and have not ended yet included.
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Sends a unit's request.
    pub(super) fn launch(&mut self, stage: &Arc<Stage>, unit: Unit, stamp: Stamp) {
        let flight = Flight { unit, began: Instant::now(), handles: Vec::with_capacity(1), under_way: 0 };
        self.flights.insert(self.next, flight);
        self.send(stage, self.next, stamp);
        self.next += 1;
    }

    /// Sends a request for a flight, its first or its second.
    pub(super) fn send(&mut self, stage: &Arc<Stage>, id: u64, stamp: Stamp) {
        if let Some(flight) = self.flights.get_mut(&id) {
            let handle = self.set.spawn(attempt(Arc::clone(stage), flight.unit));
            self.requests.insert(handle.id(), Sent { flight: id, stamp });
            flight.handles.push(handle);
            flight.under_way += 1;
            flight.unit.sends += 1;
        }
    }

    /// The end of a request; waits for one. None where nothing is under way.
    pub(super) async fn next(&mut self) -> Option<Result<(Id, Told), JoinError>> {
        self.set.join_next_with_id().await
    }

    /// The end of a request that has ended already.
    pub(super) fn ended(&mut self) -> Option<Result<(Id, Told), JoinError>> {
        self.set.try_join_next_with_id()
    }

    /// Gives up everything under way.
    pub(super) fn abort(&mut self) {
        self.set.abort_all();
    }

    /// Takes a request that ended off the list.
    pub(super) fn landed(&mut self, id: Id) -> Option<Sent> {
        self.requests.remove(&id)
    }

    /// A flight whose answer came; its other request is given up. None where that one's answer came before.
    pub(super) fn won(&mut self, id: u64) -> Option<Flight> {
        let flight = self.flights.remove(&id)?;
        // To give up what has ended is no fault.
        flight.handles.iter().for_each(AbortHandle::abort);
        Some(flight)
    }

    /// A flight one of whose requests failed, where no other of its requests is under way.
    pub(super) fn lost(&mut self, id: u64) -> Option<Flight> {
        let flight = self.flights.get_mut(&id)?;
        flight.under_way -= 1;
        if flight.under_way == 0 { self.flights.remove(&id) } else { None }
    }

    /// Flights without a twin that are older than their limit, the oldest last.
    pub(super) fn late(&self, now: Instant, limits: &HashMap<(usize, usize), Duration>) -> Vec<u64> {
        let is_late = |flight: &Flight| {
            let limit = limits.get(&(flight.unit.turn.0, flight.unit.task));
            !flight.has_twin() && limit.is_some_and(|limit| now.saturating_duration_since(flight.began) >= *limit)
        };
        let mut late: Vec<u64> = self.flights.iter().filter(|(_, flight)| is_late(flight)).map(|(id, _)| *id).collect();
        late.sort_unstable_by(|a, b| b.cmp(a));
        late
    }

    /// The unit of a flight.
    pub(super) fn unit(&self, id: u64) -> Option<Unit> {
        self.flights.get(&id).map(|flight| flight.unit)
    }
}

/// Asks once, and judges the answer where that is done beside the other requests' work.
async fn attempt(stage: Arc<Stage>, unit: Unit) -> Told {
    let Unit { turn: (seat, pass), task, sample, .. } = unit;
    let asked = &stage.samples(task)[sample];
    let began = Instant::now();
    let request = on_pass(&asked.request, pass);
    let replies = stage.work.seats[seat].engine.answer(std::slice::from_ref(&*request)).await;
    let at = Instant::now();
    let reply = replies.into_iter().next().unwrap_or_else(|| Err(silence()));
    let result = reply.map(|Reply { answer, served, headroom }| {
        let outcome = Box::new(judge(&*stage.work.scorers[task], &asked.target, Ok(answer)));
        Answered { outcome, served, headroom }
    });
    Told { at, took: at - began, result }
}
