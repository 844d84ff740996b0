//! Runs that end early: settled once, at a sample that the answers alone decide, and never asked twice.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use quantgate::analysis::{Comparisons, Record, fold};
use quantgate::domain::{EngineSpec, Policy, RequestKind, Stopping, SubjectName, Tolerance, Verdict};
use quantgate::engine::Lane;
use quantgate::engine::scripted::{Faults, ScriptedEngine};
use quantgate::event::{Event, EventKind, Sink};
use quantgate::gate::{self, Asking, Course, Terms};
use quantgate::journal::{Journal, replay};
use quantgate::plan::Plan;
use quantgate::runner::{Options, Referee, Start, Work};

use super::cast::{self, Memory, engines_of, header_of, options, outcomes, play, task, work_of};

/// Two tasks of 240 and 120 samples, a document task, a good variant and a broken one.
fn plan(stopping: Stopping) -> Plan {
    let mut plan = cast::plan();
    plan.tasks = vec![
        task("pick", RequestKind::Choice, 240),
        task("read", RequestKind::Perplexity, 3),
        task("say", RequestKind::Generate, 120),
    ];
    plan.policy = Policy { stopping, ..Policy::new(Tolerance::Margin(0.08)) };
    for subject in &mut plan.subjects {
        if let EngineSpec::Scripted(spec) = &mut subject.engine
            && subject.name.as_str() == "good"
        {
            // Right where the canary is, but for a few.
            (spec.salt, spec.right_per_mille) = ("canary".to_owned(), 890);
        }
    }
    plan
}

/// The referees that the gate's rule gives a plan.
fn referees(plan: &Plan) -> Vec<Referee> {
    let cards: Vec<_> = plan.tasks.iter().map(|planned| planned.card.clone()).collect();
    let places = (1..plan.subjects.len()).flat_map(|seat| (0..cards.len()).map(move |task| (seat, task)));
    let referee = |(seat, task): (usize, usize)| {
        let asking = Asking { once: true, clustered: false };
        let mut course = Course::new(Terms::of(&cards[task], &cards, &plan.policy, asking)?)?;
        Some(Referee { seat, task, marks: course.marks(), settles: Box::new(move |step| course.take(step).is_some()) })
    };
    places.filter_map(referee).collect()
}

fn work(stopping: Stopping, change: impl Fn(&str, ScriptedEngine) -> ScriptedEngine) -> (Work, Vec<Arc<ScriptedEngine>>) {
    let plan = plan(stopping);
    let (engines, referees) = (engines_of(&plan, change), referees(&plan));
    (Work { referees, ..work_of(plan, &engines) }, engines)
}

fn fresh(stopping: Stopping) -> Start {
    Start::Fresh(Box::new(header_of(plan(stopping))))
}

/// What a journal says of a run, without the times.
fn told(events: Vec<Event>) -> Record {
    let mut record = fold(events.into_iter().filter(|event| event.kind.is_durable()).collect()).unwrap();
    record.timing = quantgate::analysis::Timing::default();
    record
}

fn undisturbed(stopping: Stopping) -> Record {
    let memory = Memory::default();
    let summary = play(work(stopping, |_, engine| engine).0, fresh(stopping), vec![Box::new(memory.clone())], options()).unwrap();
    assert_eq!(summary.left(), 0);
    told(memory.events())
}

/// After how many samples each subject was settled on each task.
fn ends(record: &Record) -> BTreeMap<(&str, &str), usize> {
    record.settled.iter().map(|((subject, task), after)| ((subject.as_str(), task.as_str()), *after)).collect()
}

#[test]
fn a_broken_subject_is_asked_no_more_and_the_canary_goes_on_for_the_others() {
    let (work, engines) = work(Stopping::GroupSequential, |_, engine| engine);
    let memory = Memory::default();
    let plan = Arc::clone(&work.plan);
    let summary = play(work, fresh(Stopping::GroupSequential), vec![Box::new(memory.clone())], options()).unwrap();
    let record = told(memory.events());
    let ends = ends(&record);
    assert!(record.finished && summary.saved > 0);
    let broken = ends[&("bad", "pick")];
    assert!(broken < 30, "an eighth of 240 at most, took {broken}");
    assert!(!ends.contains_key(&("canary", "pick")) || ends[&("canary", "pick")] > broken);
    // Asked in batches of four, so at most three more than it took.
    let asked = plan.tasks[0].samples.iter().map(|sample| engines[2].times_asked(&sample.request)).sum::<u32>() as usize;
    assert!((broken..broken + 4).contains(&asked), "{asked} asked, settled after {broken}");
    let read = record.outcomes.keys().filter(|unit| unit.task.as_str() == "read").count();
    assert_eq!(read, 9, "documents are asked in full");
}

#[test]
fn the_canary_is_settled_with_the_last_of_the_others() {
    let mut both = plan(Stopping::EProcess);
    both.subjects[1] = quantgate::domain::Subject { name: SubjectName::new("good"), ..both.subjects[2].clone() };
    let engines = engines_of(&both, |_, engine| engine);
    let memory = Memory::default();
    let work = Work { referees: referees(&both), ..work_of(both.clone(), &engines) };
    play(work, Start::Fresh(Box::new(header_of(both))), vec![Box::new(memory.clone())], options()).unwrap();
    let record = told(memory.events());
    let ends = ends(&record);
    assert_eq!(ends[&("canary", "pick")], ends[&("good", "pick")].max(ends[&("bad", "pick")]));
    assert!(record.finished && ends[&("canary", "pick")] < 100);
}

#[test]
fn every_rule_gives_the_verdict_that_the_run_was_ended_by() {
    for stopping in [Stopping::None, Stopping::GroupSequential, Stopping::EProcess] {
        let record = undisturbed(stopping);
        let decision = gate::decide(&record, &Comparisons::of(&record), &record.header.policy);
        let bad = decision.subjects.iter().find(|subject| subject.subject.as_str() == "bad").unwrap();
        assert_eq!((bad.verdict, bad.teeth), (Verdict::Fail, Some(true)), "{stopping:?}: {}", bad.reason);
        assert!(!record.settled.is_empty(), "{stopping:?}");
    }
}

#[test]
fn a_journal_that_was_made_to_end_elsewhere_is_not_believed() {
    let memory = Memory::default();
    let stopping = Stopping::GroupSequential;
    play(work(stopping, |_, engine| engine).0, fresh(stopping), vec![Box::new(memory.clone())], options()).unwrap();
    let mut events: Vec<Event> = memory.events().into_iter().filter(|event| event.kind.is_durable()).collect();
    for event in &mut events {
        if let EventKind::TaskSettled { subject, after, .. } = &mut event.kind
            && subject.as_str() == "bad"
        {
            *after -= 1;
        }
    }
    let record = fold(events).unwrap();
    let decision = gate::decide(&record, &Comparisons::of(&record), &record.header.policy);
    let bad = decision.subjects.iter().find(|subject| subject.subject.as_str() == "bad").unwrap();
    assert_eq!(bad.verdict, Verdict::Invalid, "{}", bad.reason);
}

fn stoppings() -> impl Strategy<Value = Stopping> {
    prop_oneof![Just(Stopping::None), Just(Stopping::GroupSequential), Just(Stopping::EProcess)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn neither_batches_nor_lanes_nor_load_change_where_a_run_ends(
        stopping in stoppings(), batch in 1..300_usize, cap in prop::option::of(1..9_usize),
        alone in prop::collection::vec(prop::option::of(1..9_usize), 3), yields in 0..4_u32,
    ) {
        let change = |name: &str, engine: ScriptedEngine| {
            let lane = alone[["canary", "good", "bad"].iter().position(|other| *other == name).unwrap()];
            engine.with_capabilities(|able| {
                able.lane = lane.map_or(Lane::Shared, Lane::Own);
                // Which documents are laid side by side depends on the lanes, and is not the question here.
                able.distributions = false;
            }).with_yields(yields)
        };
        let memory = Memory::default();
        let options = Options { batch, concurrency: cap, ..options() };
        play(work(stopping, change).0, fresh(stopping), vec![Box::new(memory.clone())], options).unwrap();
        let (record, mut expected) = (told(memory.events()), undisturbed(stopping));
        prop_assert_eq!(ends(&record), ends(&expected));
        prop_assert_eq!(record.counts, expected.counts);
        prop_assert!(record.finished);
        expected.outcomes.retain(|unit, _| unit.task.as_str() != "read");
        let asked: BTreeMap<_, _> = record.outcomes.into_iter().filter(|(unit, _)| unit.task.as_str() != "read").collect();
        prop_assert_eq!(asked, expected.outcomes);
        outcomes(&memory.events());
    }

    #[test]
    fn a_journal_cut_anywhere_ends_early_at_the_same_samples(
        stopping in stoppings(), cuts in prop::collection::vec(0.0..1.0_f64, 1..4), batch in 1..99_usize, alone in any::<bool>()
    ) {
        let faults = Faults { permanent_per_mille: 4, ..Faults::default() };
        let cast = || work(stopping, |name, engine| {
            let own = alone && name == "bad";
            engine.with_faults(faults).with_capabilities(|able| {
                able.lane = if own { Lane::Own(3) } else { Lane::Shared };
                able.distributions = false;
            })
        }).0;
        let reports = tempfile::TempDir::new().unwrap();
        let (journal, folder) = Journal::create(reports.path(), &header_of(plan(stopping))).unwrap();
        play(cast(), fresh(stopping), vec![Box::new(journal)], options()).unwrap();
        let expected = told(replay(&folder.journal()).unwrap());
        let first = fs::read(folder.journal()).unwrap().iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for cut in cuts {
            let length = fs::metadata(folder.journal()).unwrap().len() as usize;
            let keep = first + (cut * (length - first) as f64) as usize;
            fs::OpenOptions::new().write(true).open(folder.journal()).unwrap().set_len(keep as u64).unwrap();
            let (journal, past) = Journal::resume(&folder, &plan(stopping).digest).unwrap();
            let sinks: Vec<Box<dyn Sink>> = vec![Box::new(journal)];
            let summary = play(cast(), Start::Resume(past), sinks, Options { batch, ..options() }).unwrap();
            prop_assert_eq!(summary.left(), 0);
            let events = replay(&folder.journal()).unwrap();
            outcomes(&events);
            let record = told(events);
            prop_assert_eq!(ends(&record), ends(&expected));
            prop_assert_eq!(&record.outcomes, &expected.outcomes);
            prop_assert!(record.finished);
        }
    }
}

#[test]
fn a_run_that_ended_early_has_nothing_left_to_do() {
    let stopping = Stopping::EProcess;
    let memory = Memory::default();
    let first = play(work(stopping, |_, engine| engine).0, fresh(stopping), vec![Box::new(memory.clone())], options()).unwrap();
    let past = memory.events().into_iter().filter(|event| event.kind.is_durable()).collect();
    let again = Memory::default();
    let summary =
        play(work(stopping, |_, engine| engine).0, Start::Resume(past), vec![Box::new(again.clone())], options()).unwrap();
    assert_eq!((summary, again.events().len()), (first, 0));
}
