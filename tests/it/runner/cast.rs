//! A small plan with scripted subjects, and a sink that remembers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quantgate::domain::{
    Answer, DatasetRef, Digest, EngineSpec, Generation, Message, MetricKind, Outcome, Policy, PromptSpec, Request, RequestKind,
    Role, Sample, SampleId, Score, ScorerSpec, ScriptedSpec, Subject, SubjectName, Target, Task, TaskCard, TaskName, Tolerance,
    UnitKey,
};
use quantgate::engine::Engine;
use quantgate::engine::scripted::ScriptedEngine;
use quantgate::event::{Event, EventKind, FORMAT, RunHeader, Sink, SinkError};
use quantgate::plan::{Plan, PlannedTask};
use quantgate::runner::{Backoff, Fixed, Options, RunError, Seat, Start, Stop, Summary, Work, run, stop};
use quantgate::scorer::Scorer;

/// Right where the likeliest option or the text is the target's; the mean of a document's −ln p.
struct Judge;

impl Scorer for Judge {
    fn score(&self, target: &Target, answer: &Answer) -> Score {
        let value = match (target, answer) {
            (Target::Option(right), Answer::Choice { options }) => {
                let others = options.iter().enumerate().filter(|(index, _)| index != right);
                let best = options[*right].log_likelihood;
                f64::from(others.into_iter().all(|(_, other)| other.log_likelihood < best))
            }
            (Target::Text(accepted), Answer::Text { text, .. }) => f64::from(accepted.contains(text)),
            (_, Answer::Rolling { nll, .. }) => nll.iter().sum::<f64>() / nll.len() as f64,
            _ => 0.0,
        };
        Score { value, read: String::new(), parsed: true }
    }
}

/// The judge of every task here.
pub(super) fn judge() -> Box<dyn Scorer> {
    Box::new(Judge)
}

fn generation() -> Generation {
    Generation { max_tokens: 8, stop: vec![], temperature: 0.0, top_p: 1.0, seed: 0, constraint: None }
}

fn sample(kind: RequestKind, index: usize) -> Sample {
    let text = Target::Text(vec![format!("{}", index * 7)]);
    let (request, target) = match kind {
        RequestKind::Choice => {
            let options = vec!["red".to_owned(), "green".to_owned(), "blue".to_owned()];
            (Request::Choice { context: format!("colour {index}"), options }, Target::Option(index % 3))
        }
        RequestKind::Generate => (Request::Generate { prompt: format!("7 x {index} ="), generation: generation() }, text),
        RequestKind::Chat | RequestKind::Tools => {
            let messages = vec![Message { role: "user".to_owned(), content: format!("7 times {index}?") }];
            (Request::Chat { messages, tools: vec![], generation: generation() }, text)
        }
        RequestKind::Perplexity => (Request::Perplexity { text: format!("document {index} says so") }, Target::None),
    };
    Sample { id: SampleId::new(format!("s{index}")), slice: None, cluster: None, request, target }
}

pub(super) fn task(name: &str, kind: RequestKind, samples: usize) -> PlannedTask {
    let prompt =
        PromptSpec { prompt: String::new(), system: None, target: None, options: None, tools: None, slice: None, cluster: None };
    let metric = if kind == RequestKind::Perplexity { MetricKind::Perplexity } else { MetricKind::Accuracy };
    let name = TaskName::new(name);
    let task = Task {
        name: name.clone(),
        about: String::new(),
        kind,
        dataset: DatasetRef { path: PathBuf::new(), subset: None },
        prompt,
        max_tokens: 8,
        stop: vec![],
        temperature: 0.0,
        top_p: 1.0,
        shape: None,
        constrained: false,
        scorer: ScorerSpec::Number,
        metric,
        gating: true,
        chance: 0.0,
        band: None,
    };
    let digest = Digest::new("blake3:0");
    let card = TaskCard {
        name,
        about: String::new(),
        kind,
        metric,
        gating: true,
        chance: 0.0,
        band: None,
        range: None,
        dataset: String::new(),
        digest,
        samples,
    };
    PlannedTask { task, card, samples: (0..samples).map(|index| sample(kind, index)).collect() }
}

/// Three subjects on four tasks of four kinds: 3 × 21 units.
pub(super) fn plan() -> Plan {
    let subjects = [("canary", Role::Canary), ("good", Role::Variant), ("bad", Role::Control)];
    let subject = |(name, role): (&str, Role)| Subject {
        name: SubjectName::new(name),
        role,
        engine: EngineSpec::Scripted(ScriptedSpec {
            right_per_mille: if role == Role::Control { 300 } else { 900 },
            salt: name.to_owned(),
            noise_per_mille: 0,
        }),
        repeats: 1,
    };
    let policy = Policy::new(Tolerance::Margin(0.01));
    Plan {
        name: "test".to_owned(),
        root: PathBuf::new(),
        digest: Digest::new("blake3:plan"),
        seed: 1,
        subjects: subjects.into_iter().map(subject).collect(),
        tasks: vec![
            task("pick", RequestKind::Choice, 7),
            task("say", RequestKind::Generate, 5),
            task("read", RequestKind::Perplexity, 6),
            task("talk", RequestKind::Chat, 3),
        ],
        policy,
        services: std::collections::BTreeMap::new(),
        spending: None,
        reports: PathBuf::new(),
        cache: PathBuf::new(),
        memory: None,
        warnings: Vec::new(),
    }
}

/// How many units that is.
pub(super) const UNITS: usize = 63;

/// A plan's scripted engines, each changed as the test wants it.
pub(super) fn engines_of(plan: &Plan, change: impl Fn(&str, ScriptedEngine) -> ScriptedEngine) -> Vec<Arc<ScriptedEngine>> {
    let items = || plan.tasks.iter().flat_map(|task| &task.samples).map(|sample| (&sample.request, &sample.target));
    let engine = |subject: &Subject| match &subject.engine {
        EngineSpec::Scripted(spec) => Arc::new(change(subject.name.as_str(), ScriptedEngine::new(spec, items()))),
        _ => unreachable!("every subject is scripted"),
    };
    plan.subjects.iter().map(engine).collect()
}

/// The engines of the small plan.
pub(super) fn engines(change: impl Fn(&str, ScriptedEngine) -> ScriptedEngine) -> Vec<Arc<ScriptedEngine>> {
    engines_of(&plan(), change)
}

/// The work of a plan with these engines; nothing ends early.
pub(super) fn work_of<E: Engine + 'static>(plan: Plan, engines: &[Arc<E>]) -> Work {
    let seat = |(subject, engine): (&Subject, &Arc<E>)| Seat {
        subject: subject.clone(),
        engine: Arc::clone(engine) as Arc<dyn Engine>,
        load_ms: 3,
    };
    let seats = plan.subjects.iter().zip(engines).map(seat).collect();
    let scorers = plan.tasks.iter().map(|_| judge()).collect();
    Work { plan: Arc::new(plan), seats, scorers, referees: Vec::new() }
}

/// The work of the small plan.
pub(super) fn work<E: Engine + 'static>(engines: &[Arc<E>]) -> Work {
    work_of(plan(), engines)
}

/// A plan's header.
pub(super) fn header_of(plan: Plan) -> RunHeader {
    let Plan { name, digest, seed, subjects, tasks, policy, .. } = plan;
    let tasks = tasks.into_iter().map(|task| task.card).collect();
    let (version, run) = ("0".to_owned(), "test-1".to_owned());
    RunHeader {
        format: FORMAT,
        version,
        run,
        plan: name,
        digest,
        seed,
        subjects,
        tasks,
        policy,
        earlier: Vec::new(),
        services: std::collections::BTreeMap::new(),
    }
}

/// The small plan's header.
pub(super) fn header() -> RunHeader {
    header_of(plan())
}

/// The beginning of a new run.
pub(super) fn fresh() -> Start {
    Start::Fresh(Box::new(header()))
}

/// Small batches, no waiting, a clock that stands still.
pub(super) fn options() -> Options {
    let backoff = Backoff { base: Duration::ZERO, ceiling: Duration::ZERO };
    Options { batch: 4, retries: 2, backoff, clock: Arc::new(Fixed(7)), ..Options::default() }
}

/// A sink that remembers what it was told; clones share the memory.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Vec<Event>>>);

impl Sink for Memory {
    fn emit(&mut self, event: &Event) -> Result<(), SinkError> {
        self.0.lock().unwrap().push(event.clone());
        Ok(())
    }
}

impl Memory {
    /// What it was told.
    pub(super) fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }
}

/// Runs to the end, or to an error, on a runtime of its own.
pub(super) fn play(work: Work, start: Start, sinks: Vec<Box<dyn Sink>>, options: Options) -> Result<Summary, RunError> {
    let (_handle, never) = stop();
    play_until(work, start, sinks, (options, never))
}

/// Runs until it ends or is stopped.
pub(super) fn play_until(
    work: Work,
    start: Start,
    sinks: Vec<Box<dyn Sink>>,
    (options, stop): (Options, Stop),
) -> Result<Summary, RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(run(work, start, sinks, options, stop))
}

/// How each unit ended; fails where one ended twice.
pub(super) fn outcomes(events: &[Event]) -> BTreeMap<UnitKey, Outcome> {
    let mut outcomes = BTreeMap::new();
    for event in events {
        if let EventKind::UnitFinished { unit, outcome, .. } = &event.kind {
            assert!(outcomes.insert(unit.clone(), (**outcome).clone()).is_none(), "{unit:?} ended twice");
        }
    }
    outcomes
}

/// What an undisturbed run comes to.
pub(super) fn undisturbed() -> BTreeMap<UnitKey, Outcome> {
    let memory = Memory::default();
    let summary = play(work(&engines(|_, engine| engine)), fresh(), vec![Box::new(memory.clone())], options()).unwrap();
    assert_eq!(summary, Summary { units: UNITS, scored: UNITS, unscored: 0, saved: 0, ..Summary::default() });
    outcomes(&memory.events())
}
