//! What a run works with, what changes its speed, and how far it came.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Clock, System};
use crate::domain::{Price, Step, Subject};
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
    /// Who says when a subject is asked no more of a task: at most one for each.
    pub referees: Vec<Referee>,
}

impl Work {
    /// How often a seat is asked each sample of a task.
    pub(super) fn repeats(&self, seat: usize, task: usize) -> u32 {
        self.plan.tasks[task].task.metric.passes(self.seats[seat].subject.repeats)
    }
}

/// Follows one subject on one task, sample by sample, until its verdict there is certain. Canary and subject must be asked
/// once a sample.
pub struct Referee {
    /// The subject, by its place among the seats; not the canary.
    pub seat: usize,
    /// The task, by its place in the plan.
    pub task: usize,
    /// Numbers of samples, rising, after which those who share a machine should wait for word before they go on.
    pub marks: Vec<usize>,
    /// Takes what each sample says, in the plan's order; true at the sample that settles the subject.
    pub settles: Box<dyn FnMut(Step) -> bool + Send + Sync>,
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
    /// The most requests under way at each endpoint, where that is less than the plan says, or the plan says nothing.
    pub concurrency: Option<usize>,
    /// How often a request that failed for a passing reason is asked again.
    pub retries: u32,
    /// How long to wait in between.
    pub backoff: Backoff,
    /// Bytes of one subject's distributions held at a time; a single document may need more.
    pub rows_bytes: usize,
    /// How long an endpoint may answer nothing, while it is asked as often as makes sense, before the run stops asking it.
    pub patience: Duration,
    /// What answers cost, and how much they may.
    pub spending: Option<Spending>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

/// What answers cost, and how much a run may spend, earlier parts of it included.
#[derive(Clone, Debug, PartialEq)]
pub struct Spending {
    /// Once this much was spent, nothing more is asked; what is under way is waited for and may go beyond it. Infinite
    /// where only the sum is wanted.
    pub limit: f64,
    /// What each seat's tokens cost; none where nobody said.
    pub prices: Vec<Option<Price>>,
}

impl Default for Options {
    fn default() -> Self {
        let backoff = Backoff { base: Duration::from_millis(500), ceiling: Duration::from_secs(30) };
        let clock = Arc::new(System);
        Self {
            batch: 128,
            concurrency: None,
            retries: 4,
            backoff,
            rows_bytes: 128 << 20,
            patience: Duration::from_mins(10),
            spending: None,
            clock,
        }
    }
}

/// How far a run came.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Units of the plan: subjects × samples × repeats.
    pub units: usize,
    /// Those with a score.
    pub scored: usize,
    /// Those that ended without one.
    pub unscored: usize,
    /// Those that were not asked, since a verdict was certain before.
    pub saved: usize,
    /// What the answers cost, those of earlier parts of the run included; 0 where nobody stated prices.
    pub spent: f64,
    /// Whether units are left because the limit of spending was reached.
    pub broke: bool,
}

impl Summary {
    /// Units that have not ended; above 0 only where the run was asked to stop (exit code 130) or the money was spent.
    #[must_use]
    pub fn left(self) -> usize {
        self.units - self.scored - self.unscored - self.saved
    }
}

impl fmt::Debug for Referee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Referee").field("seat", &self.seat).field("task", &self.task).finish_non_exhaustive()
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("subject", &self.subject).field("load_ms", &self.load_ms).finish_non_exhaustive()
    }
}
