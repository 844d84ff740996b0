//! Units that wait to be asked again; they hold no place among the requests under way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokio::time::Instant;

use super::order::Unit;

/// Units by the time from which they may be asked again, first come first served.
#[derive(Default)]
pub(super) struct Waiting {
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    units: std::collections::HashMap<u64, Unit>,
    next: u64,
}

impl Waiting {
    /// Lets a unit wait until a time.
    pub(super) fn push(&mut self, until: Instant, unit: Unit) {
        self.heap.push(Reverse((until, self.next)));
        self.units.insert(self.next, unit);
        self.next += 1;
    }

    /// The unit that has waited longest of those whose time has come.
    pub(super) fn peek(&self, now: Instant) -> Option<Unit> {
        let Reverse((until, id)) = self.heap.peek()?;
        if *until <= now { self.units.get(id).copied() } else { None }
    }

    /// Takes the first unit out.
    pub(super) fn pop(&mut self) {
        if let Some(Reverse((_, id))) = self.heap.pop() {
            self.units.remove(&id);
        }
    }

    /// When the first unit's time comes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((until, _))| *until)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Leaves all of them to the next part of the run.
    pub(super) fn clear(&mut self) {
        self.heap.clear();
        self.units.clear();
    }
}
