//! The spine: what happens in a run, as one closed set of events, and who listens.
//!
//! Workers report to one dispatcher, which numbers the events and hands each to every sink in a fixed order, the
//! journal first. Durable events are the run; ephemeral ones only tell a person how it goes.

mod sink;

use std::collections::BTreeMap;

pub use sink::{Sink, SinkError};

use serde::{Deserialize, Serialize};

use crate::domain::{
    Attempt, Digest, Identity, Origin, Outcome, Policy, Role, SampleCard, Served, Service, Subject, SubjectName, TaskCard,
    TaskName, UnitKey,
};

/// The version of the journal's format; a reader refuses a newer one.
pub const FORMAT: u32 = 2;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, from 0, without gaps among durable events.
    pub seq: u64,
    /// Milliseconds since the Unix epoch; never part of a result.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What a run was going to do, written before its first request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// The journal's format.
    pub format: u32,
    /// The version of quantgate.
    pub version: String,
    /// The run's folder name.
    pub run: String,
    /// The plan's name.
    pub plan: String,
    /// Digest of everything in the plan that can change a result.
    pub digest: Digest,
    /// The plan's seed.
    pub seed: u64,
    /// Who is asked, the canary first.
    pub subjects: Vec<Subject>,
    /// What is asked, in order.
    pub tasks: Vec<TaskCard>,
    /// The tolerances, as they stood before the data.
    pub policy: Policy,
    /// Earlier finished runs that judged the same variants, as the ledger of the reports folder has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Attempt>,
    /// How the endpoints of subjects are treated and what they cost, where the plan says anything about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<SubjectName, Service>,
}

impl RunHeader {
    /// The subject that all others are compared with; none in a header that no plan made.
    #[must_use]
    pub fn canary(&self) -> Option<&Subject> {
        self.subjects.iter().find(|subject| subject.role == Role::Canary)
    }
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// A run began (durable, always the first).
    RunStarted(Box<RunHeader>),
    /// A killed or stopped run goes on (durable).
    RunResumed {
        /// Units that were already done.
        done: usize,
    },
    /// A subject was loaded (durable; again after each resume).
    SubjectReady {
        /// Which.
        subject: SubjectName,
        /// What it turned out to be.
        identity: Box<Identity>,
        /// Milliseconds that loading took.
        load_ms: u64,
        /// The way that its requests take; none for a model in this process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Box<Origin>>,
    },
    /// A task's samples, once per run (durable).
    TaskRecorded {
        /// The task.
        task: TaskName,
        /// Its samples, in order.
        samples: Vec<SampleCard>,
    },
    /// A unit ended (durable, once per unit).
    UnitFinished {
        /// Which.
        #[serde(flatten)]
        unit: UnitKey,
        /// How.
        #[serde(flatten)]
        outcome: Box<Outcome>,
        /// The unit's share of its batch's time in microseconds, without waits and earlier tries; never part of a verdict.
        micros: u64,
        /// What its endpoint told beside the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        served: Option<Box<Served>>,
    },
    /// A subject is asked no more of a task, since its verdict there is certain (durable, at most once for both). The canary
    /// has one where every variant has.
    TaskSettled {
        /// Who.
        subject: SubjectName,
        /// Of which task.
        task: TaskName,
        /// How many of the task's samples, from the first, count: answers to later ones do not.
        after: usize,
    },
    /// A batch went to a subject (ephemeral).
    BatchStarted {
        /// Who is asked.
        subject: SubjectName,
        /// Of which task.
        task: TaskName,
        /// How many units.
        units: usize,
    },
    /// Every unit ended (durable, the last).
    RunFinished {
        /// Units scored.
        scored: usize,
        /// Units without a score.
        unscored: usize,
    },
}

impl EventKind {
    /// True where the event belongs in the journal.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        !matches!(self, Self::BatchStarted { .. })
    }
}
