//! The fold: a journal's events to one record, whatever the order of its units.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::told::Words;
use super::{Counts, Endpoints, Record, Timing};
use crate::domain::{
    EngineSpec, Identity, Outcome, Role, SampleCard, SampleId, Served, Subject, SubjectName, TaskCard, TaskName, UnitKey,
};
use crate::event::{Event, EventKind, FORMAT, RunHeader};

/// A journal that tells no consistent story.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// There is no event, or the first is not the run's start.
    #[error("the journal doesn't begin with the start of a run")]
    NoStart,
    /// A second start.
    #[error("the journal has a second start of a run at event {0}")]
    SecondStart(u64),
    /// A newer format.
    #[error("the journal has format {0}, and this version of quantgate reads format {FORMAT} and older")]
    Newer(u32),
    /// No canary, or more than one.
    #[error("the journal names {0} canaries, and a run has exactly one")]
    Canaries(usize),
    /// A unit that ended twice.
    #[error("the journal has two outcomes of sample '{}' of task '{}' for subject '{}'", .0.sample, .0.task, .0.subject)]
    Duplicate(UnitKey),
    /// A unit of a subject, a task or a sample that the journal doesn't announce.
    #[error("the journal answers sample '{}' of task '{}' for subject '{}', which it never announced", .0.sample, .0.task, .0.subject)]
    Unannounced(UnitKey),
    /// A subject that was settled on a task twice.
    #[error("the journal settles '{0}' on task '{1}' twice")]
    SettledTwice(SubjectName, TaskName),
    /// A task whose samples were recorded twice.
    #[error("the journal records the samples of task '{0}' twice")]
    TaskTwice(TaskName),
    /// Two samples of a task with one id, or another number of them than the header says.
    #[error("the journal's samples of task '{task}' are not the {expected} different ones that its header announces")]
    Samples {
        /// The task.
        task: TaskName,
        /// How many the header announces.
        expected: usize,
    },
    /// A subject or a task that the header doesn't have.
    #[error("the journal speaks of '{0}', which its header doesn't announce")]
    Unknown(String),
    /// The last event's counts are not the journal's.
    #[error("the journal ends with {said} units, but holds {held}")]
    Counts {
        /// What its end says.
        said: usize,
        /// What it holds.
        held: usize,
    },
}

/// Folds a journal into a record. The order of units, and the events' numbers, make no difference.
///
/// # Errors
/// Where the events contradict each other: see [`FoldError`].
pub fn fold(events: Vec<Event>) -> Result<Record, FoldError> {
    let mut events = events.into_iter();
    let (first, header) = match events.next() {
        Some(Event { at_ms, kind: EventKind::RunStarted(header), .. }) => (at_ms, *header),
        _ => return Err(FoldError::NoStart),
    };
    check_header(&header)?;
    let mut folding = Folding::begin(header, first);
    for event in events {
        folding.take(event)?;
    }
    folding.end()
}

/// A header of this format with exactly one canary.
fn check_header(header: &RunHeader) -> Result<(), FoldError> {
    if header.format > FORMAT {
        return Err(FoldError::Newer(header.format));
    }
    match header.subjects.iter().filter(|s| s.role == Role::Canary).count() {
        1 => Ok(()),
        n => Err(FoldError::Canaries(n)),
    }
}

/// A record in the making.
struct Folding {
    header: RunHeader,
    identities: BTreeMap<SubjectName, Identity>,
    changed: BTreeSet<SubjectName>,
    samples: BTreeMap<TaskName, Vec<SampleCard>>,
    settled: BTreeMap<(SubjectName, TaskName), usize>,
    outcomes: BTreeMap<UnitKey, Outcome>,
    timing: Timing,
    endpoints: Endpoints,
    words: Words,
    /// Subjects whose answers come as one job, long after they were asked for.
    batched: BTreeSet<SubjectName>,
    said: Option<usize>,
}

impl Folding {
    fn begin(header: RunHeader, at_ms: u64) -> Self {
        let is_batched = |subject: &&Subject| matches!(&subject.engine, EngineSpec::Api(spec) if spec.batch);
        Self {
            batched: header.subjects.iter().filter(is_batched).map(|subject| subject.name.clone()).collect(),
            endpoints: Endpoints::default(),
            words: Words::default(),
            header,
            identities: BTreeMap::new(),
            changed: BTreeSet::new(),
            samples: BTreeMap::new(),
            settled: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            timing: Timing { started_ms: at_ms, ended_ms: at_ms, ..Timing::default() },
            said: None,
        }
    }

    fn take(&mut self, event: Event) -> Result<(), FoldError> {
        self.timing.ended_ms = self.timing.ended_ms.max(event.at_ms);
        match event.kind {
            EventKind::RunStarted(_) => return Err(FoldError::SecondStart(event.seq)),
            EventKind::RunResumed { .. } => {
                self.timing.resumed += 1;
                self.said = None;
            }
            EventKind::SubjectReady { subject, identity, load_ms, origin } => {
                if let Some(origin) = origin {
                    self.endpoints.came_by(&subject, *origin);
                }
                self.ready(subject, *identity, load_ms)?;
            }
            EventKind::TaskRecorded { task, samples } => self.recorded(task, samples)?,
            EventKind::UnitFinished { unit, outcome, micros, served } => {
                self.told(&unit, micros, served);
                match self.outcomes.entry(unit) {
                    Entry::Occupied(held) => return Err(FoldError::Duplicate(held.key().clone())),
                    Entry::Vacant(free) => free.insert(*outcome),
                };
            }
            EventKind::TaskSettled { subject, task, after } => {
                if !self.header.subjects.iter().any(|s| s.name == subject) {
                    return Err(FoldError::Unknown(subject.to_string()));
                }
                if !self.header.tasks.iter().any(|card| card.name == task) {
                    return Err(FoldError::Unknown(task.to_string()));
                }
                if self.settled.insert((subject.clone(), task.clone()), after).is_some() {
                    return Err(FoldError::SettledTwice(subject, task));
                }
            }
            EventKind::BatchStarted { .. } => {}
            EventKind::RunFinished { scored, unscored } => self.said = Some(scored + unscored),
        }
        Ok(())
    }

    /// Takes how long a unit took, and what its endpoint told. What was taken from the cache of answers, or came with a whole
    /// job, took no time of its own.
    fn told(&mut self, unit: &UnitKey, micros: u64, served: Option<Box<Served>>) {
        if served.as_ref().is_none_or(|served| !served.cached) && !self.batched.contains(&unit.subject) {
            self.timing.micros.insert(unit.clone(), micros);
            if let Some(pace) = served.as_ref().and_then(|served| served.pace) {
                self.timing.pace.insert(unit.clone(), pace);
            }
        }
        if let Some(served) = served {
            let told = self.words.told(*served);
            if told.is_of_endpoint() {
                self.endpoints.told.insert(unit.clone(), told);
            }
        }
    }

    fn ready(&mut self, subject: SubjectName, identity: Identity, load_ms: u64) -> Result<(), FoldError> {
        if !self.header.subjects.iter().any(|s| s.name == subject) {
            return Err(FoldError::Unknown(subject.to_string()));
        }
        self.timing.load_ms.entry(subject.clone()).or_default().push(load_ms);
        match self.identities.entry(subject) {
            Entry::Occupied(held) if *held.get() != identity => {
                self.changed.insert(held.key().clone());
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(free) => {
                free.insert(identity);
            }
        }
        Ok(())
    }

    fn recorded(&mut self, task: TaskName, samples: Vec<SampleCard>) -> Result<(), FoldError> {
        let Some(card) = self.header.tasks.iter().find(|card| card.name == task) else {
            return Err(FoldError::Unknown(task.to_string()));
        };
        let distinct: BTreeSet<_> = samples.iter().map(|sample| &sample.id).collect();
        if distinct.len() != samples.len() || samples.len() != card.samples {
            return Err(FoldError::Samples { task, expected: card.samples });
        }
        match self.samples.entry(task) {
            Entry::Occupied(held) => Err(FoldError::TaskTwice(held.key().clone())),
            Entry::Vacant(free) => {
                free.insert(samples);
                Ok(())
            }
        }
    }

    fn end(mut self) -> Result<Record, FoldError> {
        self.check_announced()?;
        if let Some(said) = self.said.filter(|&said| said != self.outcomes.len()) {
            return Err(FoldError::Counts { said, held: self.outcomes.len() });
        }
        self.forget_late();
        let scored = self.outcomes.values().filter(|o| matches!(o, Outcome::Scored { .. })).count();
        let (expected, held) = (self.expected(), self.outcomes.len());
        Ok(Record {
            finished: self.said.is_some() && held == expected,
            counts: Counts { expected, scored, unscored: held - scored },
            header: self.header,
            identities: self.identities,
            changed: self.changed.into_iter().collect(),
            samples: self.samples,
            settled: self.settled,
            outcomes: self.outcomes,
            timing: self.timing,
            endpoints: self.endpoints,
        })
    }

    /// Units that there should be.
    fn expected(&self) -> usize {
        let of = |subject: &Subject, card: &TaskCard| {
            let repeats = card.metric.passes(subject.repeats) as usize;
            let after = self.settled.get(&(subject.name.clone(), card.name.clone()));
            repeats * after.map_or(card.samples, |after| card.samples.min(*after))
        };
        self.header.subjects.iter().map(|subject| self.header.tasks.iter().map(|card| of(subject, card)).sum::<usize>()).sum()
    }

    /// Drops answers that came after their subject was settled: which of them there are depends on how many requests were
    /// under way at once.
    fn forget_late(&mut self) {
        let Self { samples, settled, outcomes, timing, endpoints, .. } = self;
        let mut late: HashMap<(&SubjectName, &TaskName), HashSet<&SampleId>> = HashMap::new();
        for ((subject, task), after) in &*settled {
            let cards = samples.get(task).map_or(&[][..], Vec::as_slice);
            late.insert((subject, task), cards.iter().skip(*after).map(|card| &card.id).collect());
        }
        let kept = |unit: &UnitKey| late.get(&(&unit.subject, &unit.task)).is_none_or(|ids| !ids.contains(&unit.sample));
        if !late.is_empty() {
            outcomes.retain(|unit, _| kept(unit));
            timing.micros.retain(|unit, _| kept(unit));
            timing.pace.retain(|unit, _| kept(unit));
            endpoints.told.retain(|unit, _| kept(unit));
        }
    }

    /// Every unit must be of an announced subject and sample.
    fn check_announced(&self) -> Result<(), FoldError> {
        let subjects: BTreeMap<_, _> = self.header.subjects.iter().map(|s| (&s.name, s.repeats.max(1))).collect();
        let samples: BTreeMap<_, BTreeSet<_>> =
            self.samples.iter().map(|(task, cards)| (task, cards.iter().map(|c| &c.id).collect())).collect();
        let announced = |unit: &&UnitKey| {
            subjects.get(&unit.subject).is_some_and(|repeats| unit.repeat < *repeats)
                && samples.get(&unit.task).is_some_and(|ids| ids.contains(&unit.sample))
        };
        match self.outcomes.keys().find(|unit| !announced(unit)) {
            Some(unit) => Err(FoldError::Unannounced(unit.clone())),
            None => Ok(()),
        }
    }
}
