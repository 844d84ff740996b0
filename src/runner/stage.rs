//! What every worker of a run shares: the plan, the seats and the way to the dispatcher.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::ask::{Call, Patience, Word, ask};
use super::dispatch::Message;
use super::judge::judge;
use super::repeat::on_pass;
use super::settling::Ends;
use super::spend::Till;
use super::{Options, Stop, Work};
use crate::domain::{Outcome, Request, Sample, Served, UnitKey};
use crate::engine::{Failure, Reply};
use crate::event::EventKind;

/// The dispatcher is gone: a sink failed, and it says itself how.
#[derive(Debug)]
pub(super) struct Gone;

/// A seat in one of its passes over a task's samples, counted from 0.
pub(super) type Turn = (usize, u32);

/// Shared by all workers of one run; indices are the plan's.
pub(super) struct Stage {
    pub(super) work: Work,
    pub(super) options: Options,
    pub(super) stop: Stop,
    pub(super) done: HashSet<UnitKey>,
    pub(super) ends: Arc<Ends>,
    /// By task: where to wait for word whether somebody is settled; none where nobody can be.
    pub(super) marks: Vec<Option<BTreeSet<usize>>>,
    /// What the answers cost.
    pub(super) till: Arc<Till>,
    pub(super) events: mpsc::Sender<Message>,
}

impl Stage {
    /// A task's samples.
    pub(super) fn samples(&self, task: usize) -> &[Sample] {
        &self.work.plan.tasks[task].samples
    }

    /// The key of a unit.
    fn unit(&self, (seat, pass): Turn, task: usize, sample: usize) -> UnitKey {
        UnitKey {
            subject: self.work.seats[seat].subject.name.clone(),
            task: self.work.plan.tasks[task].task.name.clone(),
            sample: self.samples(task)[sample].id.clone(),
            repeat: pass,
        }
    }

    /// Whether a unit was still to do when this part of the run began, and its subject is still asked.
    pub(super) fn is_open(&self, turn: Turn, task: usize, sample: usize) -> bool {
        let was_open = || self.done.is_empty() || !self.done.contains(&self.unit(turn, task, sample));
        sample < self.ends.after(turn.0, task) && was_open()
    }

    /// Those of some samples that a seat has still to answer in a pass.
    pub(super) fn open(&self, turn: Turn, task: usize, samples: &[usize]) -> Vec<usize> {
        samples.iter().copied().filter(|&sample| self.is_open(turn, task, sample)).collect()
    }

    /// How many of these rising samples come before the next place where to wait for word.
    pub(super) fn up_to_mark(&self, task: usize, samples: &[usize]) -> usize {
        let next = |marks: &BTreeSet<usize>| marks.range(samples.first()? + 1..).next().copied();
        let mark = self.marks[task].as_ref().and_then(next);
        mark.map_or(samples.len(), |mark| samples.partition_point(|&sample| sample < mark))
    }

    /// Waits until everything that was sent about a task is taken into account, where that could settle somebody.
    pub(super) async fn word(&self, task: usize) -> Result<(), Gone> {
        if self.marks[task].is_none() {
            return Ok(());
        }
        let (asker, seen) = oneshot::channel();
        self.events.send(Message::Seen(asker)).await.map_err(|_| Gone)?;
        seen.await.map_err(|_| Gone)
    }

    /// Says that units go to a subject.
    pub(super) async fn announce(&self, seat: usize, task: usize, units: usize) -> Result<(), Gone> {
        self.send(vec![self.batch(seat, task, units)]).await
    }

    /// That units go to a subject.
    pub(super) fn batch(&self, seat: usize, task: usize, units: usize) -> EventKind {
        let subject = self.work.seats[seat].subject.name.clone();
        let task = self.work.plan.tasks[task].task.name.clone();
        EventKind::BatchStarted { subject, task, units }
    }

    /// That a unit ended, with what its endpoint told and the time that it took.
    pub(super) fn finished(
        &self,
        turn: Turn,
        (task, sample): (usize, usize),
        (outcome, served): (Box<Outcome>, Option<Box<Served>>),
        took: Duration,
    ) -> EventKind {
        let unit = self.unit(turn, task, sample);
        self.till.add(&unit.subject, served.as_deref());
        EventKind::UnitFinished { unit, outcome, micros: took.as_micros() as u64, served }
    }

    /// Asks an engine by one of its two ways, with this run's patience.
    pub(super) async fn ask<In: Clone + Sync, Out: Send>(
        &self,
        seat: usize,
        inputs: &[In],
        call: Call<In, Out>,
        salt: &str,
    ) -> Vec<Word<Out>> {
        let Options { retries, backoff, .. } = self.options;
        let salt = &format!("{} {salt}", self.work.seats[seat].subject.name);
        ask(&*self.work.seats[seat].engine, inputs, call, Patience { retries, backoff, stop: &self.stop, salt }).await
    }

    /// Has a seat answer some samples of a task in one of its passes and reports how they ended.
    pub(super) async fn answer(&self, turn: Turn, task: usize, samples: &[usize]) -> Result<(), Gone> {
        let (replies, took) = self.replies(turn, task, samples).await?;
        self.report(turn, task, samples.iter().copied().zip(replies), took).await
    }

    /// Has a seat answer some samples of a task in one of its passes; the replies in the samples' order and the time it took.
    pub(super) async fn replies(
        &self,
        (seat, pass): Turn,
        task: usize,
        samples: &[usize],
    ) -> Result<(Vec<Word<Reply>>, Duration), Gone> {
        let Some(&first) = samples.first() else { return Ok((Vec::new(), Duration::ZERO)) };
        self.announce(seat, task, samples.len()).await?;
        let request = |&index: &usize| on_pass(&self.samples(task)[index].request, pass).into_owned();
        let requests: Vec<Request> = samples.iter().map(request).collect();
        let began = tokio::time::Instant::now();
        let salt = self.samples(task)[first].id.as_str();
        let replies = self.ask(seat, &requests, |engine, requests| engine.answer(requests), salt).await;
        Ok((replies, began.elapsed()))
    }

    /// Scores replies and sends them on; a reply that the run did not wait for is left to the next part of the run.
    pub(super) async fn report(
        &self,
        turn: Turn,
        task: usize,
        replies: impl ExactSizeIterator<Item = (usize, Word<Reply>)>,
        took: Duration,
    ) -> Result<(), Gone> {
        let replies: Vec<(usize, Word<Reply>)> = replies.collect();
        if replies.is_empty() {
            return Ok(());
        }
        // What was in the cache of answers took no time of the engine's.
        let asked = replies.iter().filter(|(_, reply)| !is_cached(reply.as_ref())).count();
        let share = took / (asked as u32).max(1);
        let scorer = &*self.work.scorers[task];
        let ended = replies.into_iter().filter_map(|(sample, reply)| {
            let took = if is_cached(reply.as_ref()) { Duration::ZERO } else { share };
            let (answer, served) = match reply? {
                Ok(Reply { answer, served, .. }) => (Ok(answer), served),
                Err(failure) => (Err(failure), None),
            };
            let outcome = Box::new(judge(scorer, &self.samples(task)[sample].target, answer));
            Some(self.finished(turn, (task, sample), (outcome, served), took))
        });
        let ended = ended.collect();
        self.send(ended).await
    }

    async fn send(&self, events: Vec<EventKind>) -> Result<(), Gone> {
        self.events.send(Message::Events(events)).await.map_err(|_| Gone)
    }
}

/// Whether a reply was in the cache of answers.
fn is_cached(reply: Option<&Result<Reply, Failure>>) -> bool {
    matches!(reply, Some(Ok(Reply { served: Some(served), .. })) if served.cached)
}
