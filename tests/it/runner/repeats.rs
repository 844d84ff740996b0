//! Samples asked more than once: each pass a unit of its own, drawn anew where answers are drawn, the same otherwise.

use std::collections::BTreeMap;

use proptest::prelude::*;
use quantgate::analysis::fold;
use quantgate::domain::{EngineSpec, Outcome, Request, UnitKey};
use quantgate::engine::Lane;
use quantgate::event::{Event, EventKind};
use quantgate::journal::{Journal, replay};
use quantgate::plan::Plan;
use quantgate::runner::{Options, Start, Work};

use super::cast::{self, Memory, engines_of, header_of, options, outcomes, play, work_of};
use super::cut_off;

/// Units: canary twice, good once, bad three times, documents always once.
const UNITS: usize = 15 * (2 + 1 + 3) + 6 * 3;

/// The small plan with repeats, where chat answers are drawn and noisy.
fn plan() -> Plan {
    let mut plan = cast::plan();
    for (subject, repeats) in plan.subjects.iter_mut().zip([2, 1, 3]) {
        subject.repeats = repeats;
        if let EngineSpec::Scripted(spec) = &mut subject.engine {
            spec.noise_per_mille = 400;
        }
    }
    for sample in &mut plan.tasks[3].samples {
        if let Request::Chat { generation, .. } = &mut sample.request {
            generation.temperature = 1.0;
        }
    }
    plan
}

fn work(bad: Lane) -> Work {
    let plan = plan();
    let engines = engines_of(&plan, |name, engine| {
        engine.with_capabilities(|able| able.lane = if name == "bad" { bad } else { Lane::Shared })
    });
    work_of(plan, &engines)
}

fn fresh() -> Start {
    Start::Fresh(Box::new(header_of(plan())))
}

fn whole() -> Vec<Event> {
    let memory = Memory::default();
    let summary = play(work(Lane::Shared), fresh(), vec![Box::new(memory.clone())], options()).unwrap();
    assert_eq!((summary.units, summary.scored), (UNITS, UNITS));
    memory.events().into_iter().filter(|event| event.kind.is_durable()).collect()
}

/// The scores of a subject's passes over a task, by sample.
fn passes<'a>(ended: &'a BTreeMap<UnitKey, Outcome>, subject: &str, task: &str) -> BTreeMap<&'a str, Vec<f64>> {
    let mut passes: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (unit, outcome) in ended.iter().filter(|(unit, _)| unit.subject.as_str() == subject && unit.task.as_str() == task) {
        let Outcome::Scored { score, .. } = outcome else { continue };
        passes.entry(unit.sample.as_str()).or_default().push(score.value);
    }
    passes
}

#[test]
fn each_pass_is_a_unit_and_documents_have_one() {
    let events = whole();
    let ended = outcomes(&events);
    let count = |subject: &str, task: &str| {
        ended.keys().filter(|unit| unit.subject.as_str() == subject && unit.task.as_str() == task).count()
    };
    assert_eq!((count("canary", "pick"), count("good", "pick"), count("bad", "pick")), (14, 7, 21));
    assert_eq!((count("canary", "read"), count("bad", "read")), (6, 6));
    let record = fold(events).unwrap();
    assert!(record.finished);
    assert_eq!((record.counts.expected, record.counts.scored), (UNITS, UNITS));
}

#[test]
fn what_is_drawn_differs_from_pass_to_pass_and_what_is_greedy_does_not() {
    let events = whole();
    let ended = outcomes(&events);
    let differs = |subject: &str, task: &str| {
        passes(&ended, subject, task)
            .values()
            .filter(|scores| scores.iter().any(|score| score.to_bits() != scores[0].to_bits()))
            .count()
    };
    assert!(differs("canary", "talk") + differs("bad", "talk") > 0, "four answers in ten are turned round at random");
    assert_eq!((differs("canary", "pick"), differs("bad", "say")), (0, 0));
}

#[test]
fn a_second_pass_of_the_canary_lies_around_the_variants() {
    let memory = Memory::default();
    play(work(Lane::Shared), fresh(), vec![Box::new(memory.clone())], options()).unwrap();
    let turns = memory.events().into_iter().filter_map(|event| match event.kind {
        EventKind::BatchStarted { subject, .. } => Some(subject.as_str().to_owned()),
        _ => None,
    });
    let turns: Vec<String> = turns.take(12).collect();
    let batch = ["canary", "good", "bad", "bad", "canary", "bad"];
    let back: Vec<&str> = batch.into_iter().rev().collect();
    assert_eq!(turns, [batch.to_vec(), back].concat());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_journal_of_repeats_cut_anywhere_goes_on_to_the_same_end(
        cuts in prop::collection::vec(0.0..1.0_f64, 1..4), batch in 1..9_usize, alone in prop::option::of(1..4_usize)
    ) {
        let lane = || alone.map_or(Lane::Shared, Lane::Own);
        let reports = tempfile::TempDir::new().unwrap();
        let (journal, folder) = Journal::create(reports.path(), &header_of(plan())).unwrap();
        play(work(lane()), fresh(), vec![Box::new(journal)], options()).unwrap();
        let expected = outcomes(&replay(&folder.journal()).unwrap());
        prop_assert_eq!(expected.len(), UNITS);
        for cut in cuts {
            cut_off(&folder, cut);
            let (journal, past) = Journal::resume(&folder, &plan().digest).unwrap();
            let summary = play(work(lane()), Start::Resume(past), vec![Box::new(journal)], Options { batch, ..options() });
            prop_assert_eq!(summary.unwrap().left(), 0);
            prop_assert_eq!(outcomes(&replay(&folder.journal()).unwrap()), expected.clone());
        }
    }
}
