//! The runner with scripted subjects: once each, whatever the batches, the load, the cuts and the faults.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod barred;
mod bounded;
mod cast;
mod early;
mod endpoint;
mod faults;
mod limits;
mod mixed;
mod repeats;
mod service;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cast::{Memory, UNITS, engines, fresh, header, options, outcomes, plan, play, play_until, undisturbed, work};
use proptest::prelude::*;
use quantgate::domain::{Answer, CauseKind, Digest, Identity, Outcome, Request};
use quantgate::engine::scripted::{Faults, ScriptedEngine};
use quantgate::engine::{BoxFuture, Capabilities, Distribution, Engine, Extent, Failure, Lane, Passage, Reply};
use quantgate::event::{Event, EventKind, Sink, SinkError};
use quantgate::journal::{Journal, RunFolder, replay};
use quantgate::runner::{Backoff, Options, RunError, Start, Stop, StopHandle, run, stop};

#[test]
fn a_run_tells_of_every_unit_once_in_numbers_without_gaps() {
    let memory = Memory::default();
    play(work(&engines(|_, engine| engine)), fresh(), vec![Box::new(memory.clone())], options()).unwrap();
    let events: Vec<Event> = memory.events().into_iter().filter(|event| event.kind.is_durable()).collect();
    assert!(events.iter().enumerate().all(|(index, event)| event.seq == index as u64 && event.at_ms == 7));
    assert!(matches!(events[0].kind, EventKind::RunStarted(_)));
    let last = &events[events.len() - 1].kind;
    assert_eq!(*last, EventKind::RunFinished { scored: UNITS, unscored: 0 });
    let recorded = events.iter().filter(|event| matches!(event.kind, EventKind::TaskRecorded { .. })).count();
    assert_eq!((recorded, outcomes(&events).len()), (4, UNITS));
}

#[test]
fn documents_carry_their_divergence_from_the_canary() {
    for (unit, outcome) in undisturbed() {
        let Outcome::Scored { answer: Answer::Rolling { nll, divergence, .. }, .. } = outcome else { continue };
        assert_eq!(divergence.is_some(), unit.subject.as_str() != "canary", "{unit:?}");
        if let Some(against) = divergence {
            assert_eq!(against.kld.len(), nll.len());
            let mean = against.kld.iter().sum::<f64>() / nll.len() as f64;
            assert!(mean > 0.0 && mean < 0.01, "{unit:?}: {mean}");
        }
    }
}

#[test]
fn subjects_take_turns_forwards_and_backwards() {
    let memory = Memory::default();
    play(work(&engines(|_, engine| engine)), fresh(), vec![Box::new(memory.clone())], options()).unwrap();
    let turns = memory.events().into_iter().filter_map(|event| match event.kind {
        EventKind::BatchStarted { subject, task, .. } if task.as_str() != "read" => Some(format!("{task} {subject}")),
        _ => None,
    });
    let turns: Vec<String> = turns.take(9).collect();
    let expected =
        ["pick canary", "pick good", "pick bad", "pick bad", "pick good", "pick canary", "say canary", "say good", "say bad"];
    assert_eq!(turns, expected);
}

/// Cuts a journal off somewhere behind its first line, at a share of the rest.
fn cut_off(folder: &RunFolder, share: f64) {
    let journal = fs::read(folder.journal()).unwrap();
    let first = journal.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let keep = first + (share * (journal.len() - first) as f64) as usize;
    fs::OpenOptions::new().write(true).open(folder.journal()).unwrap().set_len(keep as u64).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn neither_batches_nor_lanes_nor_load_change_a_result(
        batch in 1..20_usize, cap in prop::option::of(1..9_usize), rows_bytes in 0..20_000_usize,
        alone in prop::collection::vec(prop::option::of(1..9_usize), 2), yields in 0..4_u32,
    ) {
        let engines = engines(|name, engine| {
            let lane = match name { "good" => alone[0], "bad" => alone[1], _ => None };
            let own = |able: &mut Capabilities| able.lane = lane.map_or(Lane::Shared, Lane::Own);
            engine.with_capabilities(own).with_yields(yields)
        });
        let memory = Memory::default();
        let options = Options { batch, concurrency: cap, rows_bytes, ..options() };
        play(work(&engines), fresh(), vec![Box::new(memory.clone())], options).unwrap();
        let mut expected = undisturbed();
        for (unit, outcome) in &mut expected {
            // An engine with a machine of its own is not beside the canary, so it has no divergence to tell.
            let lane = match unit.subject.as_str() { "good" => alone[0], "bad" => alone[1], _ => None };
            if let (Some(_), Outcome::Scored { answer: Answer::Rolling { divergence, .. }, .. }) = (lane, outcome) {
                *divergence = None;
            }
        }
        prop_assert_eq!(outcomes(&memory.events()), expected);
    }

    #[test]
    fn a_journal_cut_anywhere_goes_on_to_the_same_end(
        cuts in prop::collection::vec(0.0..1.0_f64, 1..4), batch in 1..9_usize, alone in any::<bool>()
    ) {
        let faults = Faults { permanent_per_mille: 150, ..Faults::default() };
        let cast = || engines(|name, engine| {
            let own = alone && name == "bad";
            engine.with_faults(faults).with_capabilities(|able| able.lane = if own { Lane::Own(3) } else { Lane::Shared })
        });
        let reports = tempfile::TempDir::new().unwrap();
        let (journal, folder) = Journal::create(reports.path(), &header()).unwrap();
        play(work(&cast()), fresh(), vec![Box::new(journal)], options()).unwrap();
        let expected = outcomes(&replay(&folder.journal()).unwrap());
        prop_assert_eq!(expected.len(), UNITS);
        for cut in cuts {
            cut_off(&folder, cut);
            let (journal, past) = Journal::resume(&folder, &plan().digest).unwrap();
            let summary = play(work(&cast()), Start::Resume(past), vec![Box::new(journal)], Options { batch, ..options() });
            prop_assert_eq!(summary.unwrap().left(), 0);
            let events = replay(&folder.journal()).unwrap();
            prop_assert_eq!(outcomes(&events), expected.clone());
            let recorded = events.iter().filter(|event| matches!(event.kind, EventKind::TaskRecorded { .. })).count();
            prop_assert_eq!(recorded, 4, "each task is recorded once");
        }
    }
}

/// A sink that fails at a certain event.
struct Failing(usize);

impl Sink for Failing {
    fn emit(&mut self, _: &Event) -> Result<(), SinkError> {
        match self.0.checked_sub(1) {
            Some(left) => self.0 = left,
            None => return Err(SinkError { what: "the paper is used up".to_owned(), source: None }),
        }
        Ok(())
    }
}

#[test]
fn a_failing_sink_ends_the_run_and_says_why() {
    for at in [0, 5, 30] {
        for lane in [Lane::Shared, Lane::Own(4)] {
            let memory = Memory::default();
            let cast = engines(|_, engine| engine.with_capabilities(|able| able.lane = lane));
            let sinks: Vec<Box<dyn Sink>> = vec![Box::new(memory.clone()), Box::new(Failing(at))];
            let error = play(work(&cast), fresh(), sinks, options()).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.exit_code()), ("the paper is used up", 70));
            assert!(outcomes(&memory.events()).len() < UNITS, "the run went on");
        }
    }
}

#[test]
fn a_passing_fault_is_asked_again_and_a_lasting_one_leaves_only_its_own_unit_unscored() {
    for lane in [Lane::Shared, Lane::Own(4)] {
        let faults = Faults { transient_per_mille: 300, times: 2, permanent_per_mille: 150 };
        let cast = engines(|name, engine| {
            let engine = if name == "good" { engine.with_faults(faults) } else { engine };
            engine.with_capabilities(|able| able.lane = lane)
        });
        let memory = Memory::default();
        play(work(&cast), fresh(), vec![Box::new(memory.clone())], options()).unwrap();
        let ended = outcomes(&memory.events());
        let lost = ended.iter().filter_map(|(unit, outcome)| match outcome {
            Outcome::Unscored { cause } => Some((unit.subject.as_str().to_owned(), cause.kind)),
            Outcome::Scored { .. } => None,
        });
        let lost: BTreeSet<_> = lost.collect();
        assert_eq!(lost, BTreeSet::from([("good".to_owned(), CauseKind::Transport)]));
        let plan = plan();
        let counts = plan.tasks.iter().flat_map(|task| &task.samples).map(|sample| cast[1].times_asked(&sample.request));
        let counts: BTreeSet<u32> = counts.collect();
        assert_eq!(counts, BTreeSet::from([1, 3]), "once, or once after two passing faults");
    }
}

#[test]
fn retries_come_to_an_end() {
    let faults = Faults { transient_per_mille: 1000, times: 99, permanent_per_mille: 0 };
    let cast = engines(|name, engine| if name == "bad" { engine.with_faults(faults) } else { engine });
    let summary = play(work(&cast), fresh(), vec![], options()).unwrap();
    assert_eq!((summary.unscored, summary.left()), (UNITS / 3, 0));
    assert_eq!(cast[2].times_asked(&plan().tasks[0].samples[0].request), 3);
}

/// The error of a run that must not ask anything.
fn refused(change: impl Fn(&str, ScriptedEngine) -> ScriptedEngine) -> RunError {
    let (memory, cast) = (Memory::default(), engines(change));
    let error = play(work(&cast), fresh(), vec![Box::new(memory.clone())], options()).unwrap_err();
    assert!(memory.events().is_empty(), "nothing happens before the check");
    error
}

#[test]
fn a_variant_with_another_vocabulary_is_refused_as_invalid() {
    let error = refused(|name, engine| match name {
        "good" => engine.with_identity(|identity| identity.vocabulary = Digest::new("blake3:other")),
        _ => engine,
    });
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().starts_with("variant `good` has another vocabulary (blake3:other)"), "{error}");
}

#[test]
fn a_variant_with_another_template_is_refused_where_a_task_needs_one() {
    let error = refused(|name, engine| match name {
        "bad" => engine.with_identity(|identity| identity.template = Digest::new("blake3:other")),
        _ => engine,
    });
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("`bad`") && error.to_string().contains("task `talk`"), "{error}");
}

#[test]
fn what_an_endpoint_does_not_tell_is_no_difference() {
    let untold = engines(|name, engine| match name {
        "good" => {
            engine.with_identity(|identity| (identity.vocabulary, identity.template) = (Digest::untold(), Digest::untold()))
        }
        _ => engine,
    });
    let summary = play(work(&untold), fresh(), vec![], options()).unwrap();
    assert_eq!(summary.scored, UNITS);
}

#[test]
fn prompts_that_would_be_sent_in_two_forms_are_refused_as_unfair() {
    let error = refused(|name, engine| match name {
        "good" => engine.with_capabilities(|able| able.raw = false),
        _ => engine,
    });
    assert_eq!(error.exit_code(), 4);
    assert_eq!(
        error.to_string(),
        "variant `good` and the canary would be asked task `say` in two forms: `canary` continues a prompt as it is, `good` gets it as one message of a user"
    );
}

#[test]
fn an_engine_that_cannot_do_a_task_is_refused_by_name() {
    let error = refused(|name, engine| match name {
        "good" => engine.with_capabilities(|able| able.log_likelihood = false),
        _ => engine,
    });
    assert_eq!(error.exit_code(), 2);
    assert_eq!(error.to_string(), "subject `good` cannot do task `pick`: its engine has no log-likelihoods");
}

/// The events up to and including the first ones of a run.
fn beginning(units: usize) -> Vec<Event> {
    let memory = Memory::default();
    play(work(&engines(|_, engine| engine)), fresh(), vec![Box::new(memory.clone())], options()).unwrap();
    let durable = memory.events().into_iter().filter(|event| event.kind.is_durable());
    let mut left = units;
    let cut = |event: &Event| {
        let unit = matches!(event.kind, EventKind::UnitFinished { .. });
        let take = !unit || left > 0;
        left -= usize::from(unit && left > 0);
        take
    };
    durable.take_while(cut).collect()
}

#[test]
fn a_model_that_changed_meanwhile_is_refused() {
    let cast = engines(|name, engine| match name {
        "good" => engine.with_identity(|identity| identity.weights = Digest::new("blake3:new")),
        _ => engine,
    });
    let error = play(work(&cast), Start::Resume(beginning(10)), vec![], options()).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("`good`") && error.to_string().contains("its weights changed"), "{error}");
}

#[test]
fn what_is_done_is_not_asked_again_save_for_the_canary_documents_that_others_need() {
    let cast = engines(|_, engine| engine);
    play(work(&cast), Start::Resume(beginning(40)), vec![], options()).unwrap();
    let done: BTreeSet<_> = outcomes(&beginning(40)).into_keys().collect();
    let plan = plan();
    for (subject, engine) in plan.subjects.iter().zip(&cast) {
        for task in plan.tasks.iter().filter(|task| task.task.name.as_str() != "read" || subject.name.as_str() != "canary") {
            for sample in &task.samples {
                let unit = (&subject.name, &task.task.name, &sample.id);
                let is_done = done.iter().any(|key| (&key.subject, &key.task, &key.sample) == unit);
                assert_eq!(engine.times_asked(&sample.request), u32::from(!is_done), "{unit:?}");
            }
        }
    }
}

#[test]
fn a_finished_run_has_nothing_left_to_do() {
    let (memory, cast) = (Memory::default(), engines(|_, engine| engine));
    let whole = beginning(UNITS);
    assert!(matches!(whole[whole.len() - 1].kind, EventKind::RunFinished { .. }));
    let summary = play(work(&cast), Start::Resume(whole), vec![Box::new(memory.clone())], options()).unwrap();
    assert_eq!((summary.scored, summary.left(), memory.events().len()), (UNITS, 0, 0));
    assert_eq!(cast[0].times_asked(&plan().tasks[0].samples[0].request), 0);
}

/// A sink that asks the run to stop when some units have ended.
struct Impatient(usize, Arc<StopHandle>);

impl Sink for Impatient {
    fn emit(&mut self, event: &Event) -> Result<(), SinkError> {
        if matches!(event.kind, EventKind::UnitFinished { .. }) {
            self.0 = self.0.saturating_sub(1);
            if self.0 == 0 {
                self.1.ask();
                self.0 = usize::MAX;
            }
        }
        Ok(())
    }
}

/// An engine that answers to its second task only after the run was asked to stop.
struct Hesitant(Arc<ScriptedEngine>, Stop);

impl Engine for Hesitant {
    fn identity(&self) -> &Identity {
        self.0.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn answer<'a>(&'a self, requests: &'a [Request]) -> BoxFuture<'a, Vec<Result<Reply, Failure>>> {
        Box::pin(async move {
            if !requests.iter().all(|request| matches!(request, Request::Choice { .. })) {
                self.1.drain().await;
            }
            self.0.answer(requests).await
        })
    }

    fn extents<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Vec<Result<Extent, Failure>>> {
        self.0.extents(texts)
    }

    fn distributions<'a>(&'a self, passages: &'a [Passage]) -> BoxFuture<'a, Vec<Result<Distribution, Failure>>> {
        self.0.distributions(passages)
    }
}

#[test]
fn a_run_that_is_asked_to_stop_keeps_what_was_under_way_and_goes_on_later() {
    for lane in [Lane::Shared, Lane::Own(2)] {
        let reports = tempfile::TempDir::new().unwrap();
        let (journal, folder) = Journal::create(reports.path(), &header()).unwrap();
        let (handle, listener) = stop();
        let impatient = Impatient(6, Arc::new(handle));
        let cast = || engines(|_, engine| engine.with_capabilities(|able| able.lane = lane).with_yields(3));
        let sinks: Vec<Box<dyn Sink>> = vec![Box::new(journal), Box::new(impatient)];
        let hesitant: Vec<Arc<Hesitant>> =
            cast().into_iter().map(|engine| Arc::new(Hesitant(engine, listener.clone()))).collect();
        let summary = play_until(work(&hesitant), fresh(), sinks, (options(), listener)).unwrap();
        assert!(summary.left() > 0 && summary.scored >= 6, "{summary:?}");
        let before = replay(&folder.journal()).unwrap();
        assert_eq!(outcomes(&before).len(), summary.scored, "what was answered is kept");
        assert!(!before.iter().any(|event| matches!(event.kind, EventKind::RunFinished { .. })));
        let (journal, past) = Journal::resume(&folder, &plan().digest).unwrap();
        let summary = play(work(&cast()), Start::Resume(past), vec![Box::new(journal)], options()).unwrap();
        assert_eq!((summary.scored, summary.left()), (UNITS, 0));
        assert!(RunFolder::new(folder.path()).is_finished().unwrap());
    }
}

/// What an engine does instead of answering.
enum Mood {
    Silent,
    Panicking,
}

/// An engine that never answers.
struct Moody(Mood, ScriptedEngine, Arc<AtomicUsize>);

impl Engine for Moody {
    fn identity(&self) -> &Identity {
        self.1.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.1.capabilities()
    }

    fn answer<'a>(&'a self, _: &'a [Request]) -> BoxFuture<'a, Vec<Result<Reply, Failure>>> {
        self.2.fetch_add(1, Ordering::SeqCst);
        match self.0 {
            Mood::Silent => Box::pin(std::future::pending()),
            Mood::Panicking => panic!("a fault in the engine"),
        }
    }

    fn extents<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Vec<Result<Extent, Failure>>> {
        self.1.extents(texts)
    }

    fn distributions<'a>(&'a self, passages: &'a [Passage]) -> BoxFuture<'a, Vec<Result<Distribution, Failure>>> {
        self.1.distributions(passages)
    }
}

/// Three engines of one mood, and how often they were asked.
fn moody(mood: fn() -> Mood, lane: Lane) -> (Vec<Arc<Moody>>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let cast = engines(|_, engine| engine.with_capabilities(|able| able.lane = lane));
    let cast = cast.into_iter().map(|engine| {
        let engine = Arc::into_inner(engine).unwrap();
        Arc::new(Moody(mood(), engine, Arc::clone(&asked)))
    });
    (cast.collect(), asked)
}

#[test]
fn asking_twice_stops_a_run_that_waits_for_an_answer() {
    for lane in [Lane::Shared, Lane::Own(2)] {
        let (cast, asked) = moody(|| Mood::Silent, lane);
        let (handle, listener) = stop();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let summary = runtime.block_on(async {
            let asking = async {
                while asked.load(Ordering::SeqCst) == 0 {
                    tokio::task::yield_now().await;
                }
                handle.ask();
                handle.ask();
            };
            let (summary, ()) = tokio::join!(run(work(&cast), fresh(), vec![], options(), listener), asking);
            summary
        });
        assert_eq!(summary.unwrap().left(), UNITS);
    }
}

#[test]
fn an_engine_that_panics_ends_the_run_with_its_words() {
    for lane in [Lane::Shared, Lane::Own(2)] {
        let (cast, _) = moody(|| Mood::Panicking, lane);
        let error = play(work(&cast), fresh(), vec![], options()).unwrap_err();
        assert_eq!(error.exit_code(), 70);
        assert!(error.to_string().contains("a fault in the engine"), "{error}");
    }
}

#[test]
fn a_unit_that_waits_to_be_asked_again_is_left_open_by_a_stop() {
    for lane in [Lane::Shared, Lane::Own(2)] {
        let faults = Faults { transient_per_mille: 1000, times: 99, permanent_per_mille: 0 };
        let cast = engines(|_, engine| engine.with_faults(faults).with_capabilities(|able| able.lane = lane));
        let hour = Duration::from_hours(1);
        let options = Options { backoff: Backoff { base: hour, ceiling: hour }, ..options() };
        let (handle, listener) = stop();
        let first = &plan().tasks[0].samples[0].request;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let summary = runtime.block_on(async {
            let asking = async {
                while cast[0].times_asked(first) == 0 {
                    tokio::task::yield_now().await;
                }
                handle.ask();
            };
            let (summary, ()) = tokio::join!(run(work(&cast), fresh(), vec![], options, listener), asking);
            summary
        });
        assert_eq!(summary.unwrap().left(), UNITS, "a fault that may pass is no outcome yet");
    }
}

#[test]
fn documents_come_to_the_same_whichever_number_of_rows_is_held() {
    let came_to = |rows_bytes| {
        let mut plan = plan();
        plan.tasks = vec![cast::task("read", quantgate::domain::RequestKind::Perplexity, 5)];
        let memory = Memory::default();
        let start = Start::Fresh(Box::new(cast::header_of(plan.clone())));
        let engines = cast::engines_of(&plan, |_, engine| engine);
        let options = Options { rows_bytes, ..options() };
        play(cast::work_of(plan, &engines), start, vec![Box::new(memory.clone())], options).unwrap();
        outcomes(&memory.events())
    };
    let together = came_to(64 << 20);
    let divergences = together.values().filter(|outcome| match outcome {
        Outcome::Scored { answer: Answer::Rolling { nll, divergence, .. }, .. } => divergence.as_ref().is_some_and(|apart| {
            let shape = apart.shape.as_ref().expect("distributions are looked at");
            [apart.kld.len(), shape.top5.len(), shape.variant.right.len()] == [nll.len(); 3] && nll.len() > 3
        }),
        _ => false,
    });
    assert_eq!(divergences.count() * 3, together.len() * 2, "two of three subjects are laid beside the canary");
    // The scripted vocabulary has sixteen tokens: rows of 64 bytes.
    for rows in [1, 2, 3, 7, 40] {
        assert_eq!(came_to(rows * 64), together, "{rows} rows at a time");
    }
}
