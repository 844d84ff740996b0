//! Subjects that take all requests of a task as one job.

use std::sync::Arc;
use std::time::Duration;

use super::Trouble;
use crate::domain::CauseKind;
use crate::engine::{Failure, Reply, RetryClass};
use crate::runner::ask::Word;
use crate::runner::stage::{Gone, Stage};

/// Hands a seat whole tasks, one job at a time, until done, asked to stop, or the service takes or gives back no job; then the
/// trouble with it.
pub(in crate::runner) async fn hand_in(stage: Arc<Stage>, seat: usize) -> Result<Option<Trouble>, Gone> {
    for task in 0..stage.work.plan.tasks.len() {
        let samples: Vec<usize> = (0..stage.samples(task).len()).collect();
        for pass in 0..stage.work.repeats(seat, task) {
            if stage.stop.asked() {
                return Ok(None);
            }
            let open = stage.open((seat, pass), task, &samples);
            let (mut replies, lasted) = stage.replies((seat, pass), task, &open).await?;
            let lost = lost(&replies);
            if lost.is_some() {
                replies
                    .iter_mut()
                    .filter(|reply| failure(reply.as_ref()).is_some_and(is_the_services))
                    .for_each(|reply| *reply = None);
            }
            stage.report((seat, pass), task, open.into_iter().zip(replies), lasted).await?;
            if let Some(failure) = lost {
                return Ok(Some(given_up(&stage, seat, failure, lasted)));
            }
        }
    }
    Ok(None)
}

/// The trouble with a seat's service.
fn given_up(stage: &Stage, seat: usize, failure: Failure, lasted: Duration) -> Trouble {
    let seat = &stage.work.seats[seat];
    let endpoint = seat.engine.endpoint().map_or_else(|| seat.subject.name.to_string(), |endpoint| endpoint.name.clone());
    // Nobody can wait for this subject any more.
    stage.ends.release();
    Trouble { endpoint, lasted, what: failure.message, barred: failure.retry == RetryClass::Barred }
}

/// Why a whole job came to nothing, where that is the service's fault and no request's.
fn lost(replies: &[Word<Reply>]) -> Option<Failure> {
    if replies.iter().any(|reply| matches!(reply, Some(Ok(_)))) {
        return None;
    }
    replies.iter().filter_map(|reply| failure(reply.as_ref())).find(|failure| is_the_services(failure)).cloned()
}

fn failure(reply: Option<&Result<Reply, Failure>>) -> Option<&Failure> {
    reply?.as_ref().err()
}

/// Whether a failure says nothing about its request.
fn is_the_services(failure: &Failure) -> bool {
    match failure.retry {
        RetryClass::No => false,
        RetryClass::Unreached | RetryClass::Barred => true,
        RetryClass::Transient | RetryClass::Busy => {
            matches!(failure.kind, CauseKind::Transport | CauseKind::Timeout | CauseKind::Limited)
        }
    }
}
