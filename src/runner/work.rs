//! What a run works with, what changes its speed, and how far it came.

use std::sync::Arc;
use std::time::Duration;

use super::{Clock, System};
use crate::domain::Subject;
use crate::engine::Engine;
use crate::plan::Plan;
use crate::scorer::Scorer;

/// A subject with the engine that answers for it.
#[derive(Clone)]
pub struct Seat {
    /// Who is asked.
    pub subject: Subject,
    /// What answers.
    pub engine: Arc<dyn Engine>,
    /// Milliseconds that loading it took.
    pub load_ms: u64,
}

/// What a run works with.
pub struct Work {
    /// What is asked.
    pub plan: Arc<Plan>,
    /// Who answers: one seat a subject of the plan, in its order, the canary first.
    pub seats: Vec<Seat>,
    /// Who judges: one scorer a task of the plan, in its order.
    pub scorers: Vec<Box<dyn Scorer>>,
}

/// How long to wait before asking again: at most `base`, then twice that, and so on up to `ceiling`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait.
    pub base: Duration,
    /// The longest wait at all.
    pub ceiling: Duration,
}

/// What changes a run's speed but none of its results.
#[derive(Clone)]
pub struct Options {
    /// Units a batch for subjects that share this machine's threads; at least 1.
    pub batch: usize,
    /// A cap on the requests under way for each subject with a machine of its own.
    pub concurrency: Option<usize>,
    /// How often a request that failed for a passing reason is asked again.
    pub retries: u32,
    /// How long to wait in between.
    pub backoff: Backoff,
    /// Bytes of one subject's distributions held at a time; a single document may need more.
    pub rows_bytes: usize,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        let backoff = Backoff { base: Duration::from_millis(500), ceiling: Duration::from_secs(30) };
        let clock = Arc::new(System);
        Self { batch: 128, concurrency: None, retries: 4, backoff, rows_bytes: 128 << 20, clock }
    }
}

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Units of the plan: subjects × samples.
    pub units: usize,
    /// Those with a score.
    pub scored: usize,
    /// Those that ended without one.
    pub unscored: usize,
}

impl Summary {
    /// Units that have not ended; above 0 only where the run was asked to stop (exit code 130).
    #[must_use]
    pub fn left(self) -> usize {
        self.units - self.scored - self.unscored
    }
}
