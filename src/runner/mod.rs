//! The runner: asks every subject every open unit, once, and tells the sinks.
//!
//! Workers hold no state that matters: what a unit came to depends on its request and its engine alone, so neither the
//! size of batches nor the number of requests under way nor a resume can change a result. Where a run may end early, what
//! ends it is the samples' outcomes in the plan's order, and answers beyond that point do not count.

mod alone;
mod ask;
mod check;
mod clock;
mod dispatch;
mod documents;
mod error;
mod judge;
mod opening;
mod repeat;
mod settling;
mod stage;
mod stop;
mod turns;
mod work;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

pub use check::check;
pub use clock::{Clock, Fixed, System};
pub use error::RunError;
pub use opening::Start;
pub use stop::{Stop, StopHandle, stop};
pub use work::{Backoff, Options, Referee, Seat, Summary, Work};

use crate::engine::Lane;
use crate::event::Sink;
use dispatch::{Dispatcher, Message, QUEUE};
use opening::Opening;
use stage::Stage;

/// Runs everything that is open and gives back how far it came. Sinks are told in their order: the journal must be first.
///
/// A run that was finished before tells nobody anything. Needs a tokio runtime with time enabled; the sinks are served on
/// one of its blocking threads. When `stop` was asked twice, engines that compute without yielding are left behind, so the
/// runtime should be shut down in the background.
///
/// # Errors
/// Those of [`check`] before the first request; [`RunError::OtherSubject`] where a resumed run's model changed;
/// [`RunError::Sink`] and [`RunError::Worker`] later on.
pub async fn run(
    mut work: Work,
    start: Start,
    sinks: Vec<Box<dyn Sink>>,
    options: Options,
    stop: Stop,
) -> Result<Summary, RunError> {
    check(&work)?;
    let marks = marks(&work);
    let Opening { events, next, done, summary, finished, settling } = Opening::of(&mut work, start)?;
    if finished {
        return Ok(summary);
    }
    let (sender, inbox) = mpsc::channel(QUEUE);
    let ends = settling.ends();
    let dispatcher = Dispatcher { sinks, clock: Arc::clone(&options.clock), next, summary, settling };
    let mut dispatcher = tokio::task::spawn_blocking(move || dispatcher.serve(inbox));
    // A send that fails means that a sink failed; the dispatcher's own word, awaited below, says how.
    let _ = sender.send(Message::Events(events)).await;
    let stage = Arc::new(Stage { work, options, stop: stop.clone(), done, ends, marks, events: sender.clone() });
    let mut workers = hire(&stage);
    drop(stage);
    let ended = tokio::select! {
        biased;
        served = &mut dispatcher => return said(served),
        ended = all(&mut workers) => ended,
        () = stop.at_once() => Ok(()),
    };
    workers.abort_all();
    let _ = sender.send(Message::Close).await;
    let summary = said(dispatcher.await)?;
    ended.map_err(|error| broken(&error))?;
    Ok(summary)
}

/// The referees' marks, by task; none where there is no referee.
fn marks(work: &Work) -> Vec<Option<BTreeSet<usize>>> {
    let mut marks = vec![None; work.plan.tasks.len()];
    for referee in &work.referees {
        marks[referee.task].get_or_insert_with(BTreeSet::new).extend(&referee.marks);
    }
    marks
}

/// Sets one worker to each subject with a machine of its own, and one to all those that share this one.
fn hire(stage: &Arc<Stage>) -> JoinSet<Result<(), JoinError>> {
    let mut workers = JoinSet::new();
    let mut shared = Vec::new();
    for (index, seat) in stage.work.seats.iter().enumerate() {
        match seat.engine.capabilities().lane {
            Lane::Shared => shared.push(index),
            Lane::Own(width) => {
                let width = stage.options.concurrency.map_or(width, |cap| width.min(cap));
                workers.spawn(alone::go_alone(Arc::clone(stage), index, width));
            }
            Lane::Bulk => {
                workers.spawn(alone::go_alone(Arc::clone(stage), index, 1));
            }
        }
    }
    let stage = Arc::clone(stage);
    workers.spawn(async move {
        // Where the dispatcher is gone, it says itself why.
        let _ = turns::take_turns(stage, shared).await;
        Ok(())
    });
    workers
}

/// Waits for every worker, or for the first that panics.
async fn all(workers: &mut JoinSet<Result<(), JoinError>>) -> Result<(), JoinError> {
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok(())
}

/// The dispatcher's last word.
fn said(served: Result<Result<Summary, crate::event::SinkError>, JoinError>) -> Result<Summary, RunError> {
    served.map_err(|error| broken(&error))?.map_err(RunError::Sink)
}

/// A panic, as an error.
fn broken(error: &JoinError) -> RunError {
    RunError::Worker { what: error.to_string() }
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
