//! What every worker of a run shares: the plan, the seats and the way to the dispatcher.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::mpsc;

use super::ask::{Call, Patience, Reply, ask};
use super::dispatch::Message;
use super::judge::judge;
use super::{Options, Stop, Work};
use crate::domain::{Answer, Request, Sample, UnitKey};
use crate::event::EventKind;

/// The dispatcher is gone: a sink failed, and it says itself how.
#[derive(Debug)]
pub(super) struct Gone;

/// Shared by all workers of one run; indices are the plan's.
pub(super) struct Stage {
    pub(super) work: Work,
    pub(super) options: Options,
    pub(super) stop: Stop,
    pub(super) done: HashSet<UnitKey>,
    pub(super) events: mpsc::Sender<Message>,
}

impl Stage {
    /// A task's samples.
    pub(super) fn samples(&self, task: usize) -> &[Sample] {
        &self.work.plan.tasks[task].samples
    }

    /// The key of a unit.
    pub(super) fn unit(&self, seat: usize, task: usize, sample: usize) -> UnitKey {
        UnitKey {
            subject: self.work.seats[seat].subject.name.clone(),
            task: self.work.plan.tasks[task].task.name.clone(),
            sample: self.samples(task)[sample].id.clone(),
            repeat: 0,
        }
    }

    /// Whether a unit was still to do when this part of the run began.
    pub(super) fn is_open(&self, seat: usize, task: usize, sample: usize) -> bool {
        !self.done.contains(&self.unit(seat, task, sample))
    }

    /// Those of some samples that a seat has still to answer.
    pub(super) fn open(&self, seat: usize, task: usize, samples: &[usize]) -> Vec<usize> {
        samples.iter().copied().filter(|&sample| self.is_open(seat, task, sample)).collect()
    }

    /// Says that units go to a subject.
    pub(super) async fn announce(&self, seat: usize, task: usize, units: usize) -> Result<(), Gone> {
        let subject = self.work.seats[seat].subject.name.clone();
        let task = self.work.plan.tasks[task].task.name.clone();
        self.send(vec![EventKind::BatchStarted { subject, task, units }]).await
    }

    /// Asks an engine by one of its two ways, with this run's patience.
    pub(super) async fn ask<In: Clone + Sync, Out: Send>(
        &self,
        seat: usize,
        inputs: &[In],
        call: Call<In, Out>,
        salt: &str,
    ) -> Vec<Reply<Out>> {
        let Options { retries, backoff, .. } = self.options;
        let salt = &format!("{} {salt}", self.work.seats[seat].subject.name);
        ask(&*self.work.seats[seat].engine, inputs, call, Patience { retries, backoff, stop: &self.stop, salt }).await
    }

    /// Has a seat answer some samples of a task and reports how they ended.
    pub(super) async fn answer(&self, seat: usize, task: usize, samples: &[usize]) -> Result<(), Gone> {
        let Some(&first) = samples.first() else { return Ok(()) };
        self.announce(seat, task, samples.len()).await?;
        let requests: Vec<Request> = samples.iter().map(|&index| self.samples(task)[index].request.clone()).collect();
        let began = tokio::time::Instant::now();
        let salt = self.samples(task)[first].id.as_str();
        let replies = self.ask(seat, &requests, |engine, requests| engine.answer(requests), salt).await;
        self.report(seat, task, samples.iter().copied().zip(replies), began.elapsed()).await
    }

    /// Scores replies and sends them on; a reply that the run did not wait for is left to the next part of the run.
    pub(super) async fn report(
        &self,
        seat: usize,
        task: usize,
        replies: impl ExactSizeIterator<Item = (usize, Reply<Answer>)>,
        took: Duration,
    ) -> Result<(), Gone> {
        let micros = took.as_micros() as u64 / (replies.len() as u64).max(1);
        let scorer = &*self.work.scorers[task];
        let ended = replies.filter_map(|(sample, reply)| {
            let outcome = judge(scorer, &self.samples(task)[sample].target, reply?);
            Some(EventKind::UnitFinished { unit: self.unit(seat, task, sample), outcome: Box::new(outcome), micros })
        });
        let ended = ended.collect();
        self.send(ended).await
    }

    async fn send(&self, events: Vec<EventKind>) -> Result<(), Gone> {
        self.events.send(Message::Events(events)).await.map_err(|_| Gone)
    }
}
