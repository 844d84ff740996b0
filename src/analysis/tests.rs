//! The fold and the pairing, on hand-made journals.

use std::sync::Arc;

use proptest::prelude::*;

use super::endpoints::{self, Api};
use super::fixture::{Reply, Run};
use super::{Comparisons, FoldError, Told, fold};
use crate::domain::{EngineSpec, Role, SubjectName};
use crate::event::{Event, EventKind};

fn is_unit(event: &Event) -> bool {
    matches!(event.kind, EventKind::UnitFinished { .. })
}

#[test]
fn a_journal_folds_into_every_unit_once() {
    let record = Run::small().record();
    assert!(record.finished);
    assert_eq!((record.counts.expected, record.counts.scored, record.counts.unscored), (450, 450, 0));
    assert_eq!(record.identities.len(), 3);
}

#[test]
fn a_unit_that_ended_twice_is_refused() {
    let mut events = Run::small().events();
    let again = events.iter().find(|e| is_unit(e)).cloned().expect("there are units");
    events.push(again);
    assert!(matches!(fold(events), Err(FoldError::Duplicate(_))));
}

#[test]
fn a_unit_that_was_never_announced_is_refused() {
    let mut events = Run::small().events();
    events.retain(|e| !matches!(&e.kind, EventKind::TaskRecorded { task, .. } if task.as_str() == "capitals"));
    assert!(matches!(fold(events), Err(FoldError::Unannounced(unit)) if unit.task.as_str() == "capitals"));
}

#[test]
fn a_journal_without_its_beginning_or_with_two_is_refused() {
    let events = Run::small().events();
    assert_eq!(fold(events[1..].to_vec()), Err(FoldError::NoStart));
    assert_eq!(fold(Vec::new()), Err(FoldError::NoStart));
    let twice = [&events[..1], &events[..]].concat();
    assert!(matches!(fold(twice), Err(FoldError::SecondStart(_))));
}

#[test]
fn an_end_that_counts_other_units_than_there_are_is_refused() {
    let mut events = Run::small().events();
    let unit = events.iter().position(is_unit).expect("there are units");
    events.remove(unit);
    assert_eq!(fold(events), Err(FoldError::Counts { said: 450, held: 449 }));
}

#[test]
fn a_journal_that_breaks_off_is_a_record_that_is_not_finished() {
    let mut events = Run::small().events();
    events.truncate(100);
    assert!(!fold(events).expect("a prefix is consistent").finished);
}

#[test]
fn a_model_that_changed_between_resumes_is_noted() {
    let mut events = Run::small().events();
    let mut again = events[1].clone();
    if let EventKind::SubjectReady { identity, .. } = &mut again.kind {
        identity.parameters += 1;
    }
    events.insert(5, again);
    let record = fold(events).expect("the journal is consistent");
    assert_eq!(record.changed.iter().map(SubjectName::as_str).collect::<Vec<_>>(), ["canary"]);
}

#[test]
fn pairs_are_counted_by_side_and_missing_halves_by_what_the_other_says() {
    let run = Run::pair(8, |canary, item| match (canary, item) {
        (true, 0 | 1 | 4) | (false, 0 | 2 | 6) => Reply::Right,
        (false, 4 | 5) | (true, 6 | 7) => Reply::Missing,
        _ => Reply::Wrong,
    });
    let (_, comparisons) = run.compared();
    let only = &comparisons.tasks[0];
    let table = only.paired.table;
    assert_eq!((table.n11, table.n10, table.n01, table.n00), (1, 1, 1, 1));
    let missing = only.missing;
    assert_eq!((missing.canary_right_variant_missing, missing.canary_wrong_variant_missing), (1, 1));
    assert_eq!((missing.canary_missing_variant_right, missing.canary_missing_variant_wrong, missing.both), (1, 1, 0));
    assert_eq!((only.lost[0].as_str(), only.gained[0].as_str()), ("arithmetic-0001", "arithmetic-0002"));
    assert_eq!(only.slices.iter().map(|s| s.paired.n()).sum::<u64>(), only.paired.n());
}

#[test]
fn a_run_without_a_single_score_gives_comparisons_without_rates() {
    let (_, comparisons) = Run::pair(5, |_, _| Reply::Missing).compared();
    let only = &comparisons.tasks[0];
    assert!(only.paired.delta.is_none() && only.paired.canary.is_none());
    assert_eq!(only.missing.both, 5);
}

#[test]
fn swapping_canary_and_variant_mirrors_every_difference() {
    let reply = |canary: bool, item: usize| match (canary, item % 10) {
        (true, 0 | 1) | (false, 2) => Reply::Wrong,
        _ => Reply::Right,
    };
    let (_, one) = Run::pair(60, reply).compared();
    let (_, other) = Run::pair(60, move |canary, item| reply(!canary, item)).compared();
    let (one, other) = (&one.tasks[0], &other.tasks[0]);
    let (a, b) = (one.paired.delta.expect("there are pairs"), other.paired.delta.expect("there are pairs"));
    assert!((a.estimate + b.estimate).abs() < 1e-12 && (a.lower + b.upper).abs() < 1e-9);
    assert_eq!((&one.lost, &one.gained), (&other.gained, &other.lost));
}

#[test]
fn a_perplexity_task_compares_tokens_where_the_variant_shows_them() {
    let (_, comparisons) = Run::small().compared();
    let q4 = &comparisons.distributions[0];
    let likelihood = q4.likelihood.as_ref().expect("every document is there");
    assert_eq!((likelihood.documents, likelihood.tokens, q4.missing), (30, 1200, 0));
    let moved = likelihood.displacement.as_ref().expect("the variant shows its distributions");
    assert!(moved.kld.is_some_and(|kld| kld.lower <= moved.kld_mean && moved.kld_mean <= kld.upper));
    let control = comparisons.distributions[1].likelihood.as_ref().and_then(|l| l.displacement.as_ref());
    assert!(control.is_some_and(|c| c.kld_mean > moved.kld_mean));
    assert_eq!(comparisons.distributions[1].role, Role::Control);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_order_in_which_units_ended_changes_nothing(order in Just((0..450_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let events = Run::small().events();
        let whole = fold(events.clone()).expect("the journal is consistent");
        let (units, others): (Vec<Event>, Vec<Event>) = events.into_iter().partition(is_unit);
        let mut shuffled = others;
        let end = shuffled.pop().expect("the run ends");
        shuffled.extend(order.into_iter().map(|i| units[i].clone()));
        shuffled.push(end);
        let folded = fold(shuffled).expect("the journal is consistent");
        prop_assert_eq!(Comparisons::of(&folded), Comparisons::of(&whole));
        prop_assert_eq!(folded, whole);
    }
}

#[test]
fn what_endpoints_tell_is_kept_by_unit_and_equal_words_share_their_text() {
    let (record, _) = Api::pair().compared();
    assert_eq!((record.endpoints.told.len(), record.timing.pace.len(), record.timing.micros.len()), (120, 120, 120));
    let [canary, q4] = ["canary", "q4"].map(SubjectName::new);
    let of = |subject| record.endpoints.of(subject).map(|(_, told)| told).collect::<Vec<_>>();
    let (one, other) = (of(&canary), of(&q4));
    assert_eq!((one.len(), other.len()), (60, 60));
    let text = |told: &Told| Arc::clone(told.model.as_ref().expect("a model is told"));
    assert!(Arc::ptr_eq(&text(one[0]), &text(one[59])) && &*text(one[0]) == "canary-2026-01");
    let prompt = |told: &Told| told.prompt.clone().expect("a prompt is told");
    assert!(std::ptr::eq(prompt(one[7]).as_str(), prompt(other[7]).as_str()), "canary and variant share it");
    assert_eq!(record.endpoints.origins[&q4], [endpoints::origin("q4")]);
    assert!(Run::small().record().endpoints == super::Endpoints::default(), "in process nothing is told");
}

#[test]
fn an_answer_from_the_cache_or_of_a_whole_job_has_no_time() {
    let cached = Api::telling(|subject, _, item, told| told.cached = subject == "q4" && item < 20);
    let (record, _) = cached.compared();
    assert_eq!((record.endpoints.told.len(), record.timing.pace.len(), record.timing.micros.len()), (120, 100, 100));
    let mut events = Api::pair().events();
    if let EventKind::RunStarted(header) = &mut events[0].kind
        && let EngineSpec::Api(spec) = &mut header.subjects[1].engine
    {
        spec.batch = true;
    }
    let record = fold(events).expect("the journal is consistent");
    assert_eq!((record.timing.pace.len(), record.timing.micros.len()), (60, 60));
}

#[test]
fn what_was_told_beyond_the_place_where_a_subject_was_settled_is_forgotten() {
    let mut events = Api::pair().events();
    let end = events.pop().expect("the run ended");
    for subject in ["canary", "q4"] {
        let kind = EventKind::TaskSettled { subject: subject.into(), task: "arithmetic".into(), after: 25 };
        events.push(Event { kind, ..end.clone() });
    }
    let record = fold(events).expect("the journal is consistent");
    assert_eq!((record.endpoints.told.len(), record.timing.pace.len()), (50, 50));
}
