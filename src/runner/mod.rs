//! The runner: asks every subject every open unit, once, and tells the sinks.
//!
//! Workers hold no state that matters: what a unit came to depends on its request and its engine alone, so neither the
//! size of batches nor the number of requests under way nor a resume can change a result. Where a run may end early, what
//! ends it is the samples' outcomes in the plan's order, and answers beyond that point do not count.

mod ask;
mod check;
mod clock;
mod crew;
mod crowd;
mod dispatch;
mod documents;
mod error;
mod judge;
mod opening;
mod passages;
mod repeat;
mod settling;
mod spend;
mod stage;
mod stop;
mod turns;
mod work;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinError;

pub use check::check;
pub use clock::{Clock, Fixed, System};
pub use error::RunError;
pub use opening::Start;
pub use stop::{Stop, StopHandle, stop};
pub use work::{Backoff, Options, Referee, Seat, Spending, Summary, Work};

use crate::event::{Sink, SinkError};
use crew::Crew;
use dispatch::{Dispatcher, Message, QUEUE};
use opening::Opening;
use spend::Till;
use stage::Stage;

/// Runs everything that is open and gives back how far it came. Sinks are told in their order: the journal must be first.
///
/// A run that was finished before tells nobody anything. Needs a tokio runtime with time enabled; the sinks are served on
/// a thread of their own. When `stop` was asked twice, engines that compute without yielding are left behind, so the
/// runtime should be shut down in the background.
///
/// # Errors
/// Those of [`check`] before the first request; [`RunError::OtherSubject`] where a resumed run's model changed;
/// [`RunError::Sink`], [`RunError::Worker`] and, when everything else is done, [`RunError::Unreachable`] later on.
pub async fn run(
    mut work: Work,
    start: Start,
    sinks: Vec<Box<dyn Sink>>,
    options: Options,
    stop: Stop,
) -> Result<Summary, RunError> {
    check(&work)?;
    let marks = marks(&work);
    let own = Arc::new(self::stop().0);
    let till = Arc::new(Till::new(&work, options.spending.as_ref(), Arc::clone(&own)));
    let Opening { events, next, done, summary, finished, settling } = Opening::of(&mut work, start, &till)?;
    if finished {
        return Ok(summary);
    }
    let (sender, inbox) = mpsc::channel(QUEUE);
    let (stop, ends) = (stop.or(&own), settling.ends());
    let clock = Arc::clone(&options.clock);
    let mut dispatcher = begin(Dispatcher { sinks, clock, next, summary, settling, till: Arc::clone(&till) }, inbox)?;
    // A send that fails means that a sink failed; the dispatcher's own word, awaited below, says how.
    let _ = sender.send(Message::Events(events)).await;
    let stage = Arc::new(Stage { work, options, stop: stop.clone(), done, ends, marks, till, events: sender.clone() });
    let mut crew = Crew::hire(&stage);
    drop(stage);
    let ended = tokio::select! {
        biased;
        served = &mut dispatcher => return said(served),
        ended = crew.all() => ended,
        () = stop.at_once() => Ok(()),
    };
    own.at_once();
    let trouble = crew.dismiss().await;
    let _ = sender.send(Message::Close).await;
    let summary = said(dispatcher.await)?;
    match ended.and(trouble).map_err(|error| broken(&error))? {
        Some(trouble) if summary.left() > 0 => Err(trouble.ends(summary.left())),
        _ => Ok(summary),
    }
}

/// What the dispatcher says at its end; nothing where it panicked.
type LastWord = Result<Result<Summary, SinkError>, oneshot::error::RecvError>;

/// Sets the dispatcher to work on a thread of its own.
fn begin(
    dispatcher: Dispatcher,
    inbox: mpsc::Receiver<Message>,
) -> Result<oneshot::Receiver<Result<Summary, SinkError>>, RunError> {
    let (last, word) = oneshot::channel();
    // Whoever waited for its word may be gone.
    let serve = move || drop(last.send(dispatcher.serve(inbox)));
    let began = std::thread::Builder::new().name("dispatcher".to_owned()).spawn(serve);
    began.map(|_| word).map_err(|fault| RunError::Worker { what: format!("the dispatcher has no thread: {fault}") })
}

/// The referees' marks, by task; none where there is no referee.
fn marks(work: &Work) -> Vec<Option<BTreeSet<usize>>> {
    let mut marks = vec![None; work.plan.tasks.len()];
    for referee in &work.referees {
        marks[referee.task].get_or_insert_with(BTreeSet::new).extend(&referee.marks);
    }
    marks
}

/// The dispatcher's last word.
fn said(served: LastWord) -> Result<Summary, RunError> {
    served.map_err(|_| RunError::Worker { what: "the dispatcher panicked".to_owned() })?.map_err(RunError::Sink)
}

/// A panic, as an error.
fn broken(error: &JoinError) -> RunError {
    RunError::Worker { what: error.to_string() }
}
