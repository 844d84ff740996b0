//! What must hold before the first request: able engines, one vocabulary, one chat template, one way of sending a prompt.

use super::{Referee, RunError, Seat, Work};
use crate::domain::{Identity, RequestKind, SubjectName, Task};
use crate::engine::Capabilities;
use crate::event::{Event, EventKind};

/// Checks every subject against every task and every variant against the canary; nothing is asked. What an endpoint does not
/// tell is no difference: only what both tell and tell differently is.
///
/// # Errors
/// [`RunError::Setup`], [`RunError::OtherVocabulary`], [`RunError::OtherTemplate`], [`RunError::OtherForm`] or
/// [`RunError::Unable`].
pub fn check(work: &Work) -> Result<(), RunError> {
    set_up(work)?;
    for seat in &work.seats[1..] {
        alike(work, seat)?;
    }
    let tasks = || work.plan.tasks.iter().map(|planned| &planned.task);
    for seat in &work.seats {
        let able = seat.engine.capabilities();
        for task in tasks() {
            if let Some(missing) = missing(task, able) {
                let (subject, task) = (seat.subject.name.clone(), task.name.clone());
                return Err(RunError::Unable { subject, task, missing });
            }
        }
    }
    Ok(())
}

/// Whether a variant can be compared with the canary.
fn alike(work: &Work, seat: &Seat) -> Result<(), RunError> {
    let first = |kinds: &[RequestKind]| {
        let mut tasks = work.plan.tasks.iter().map(|planned| &planned.task);
        tasks.find(|task| kinds.contains(&task.kind)).map(|task| task.name.clone())
    };
    let (canary, identity) = (work.seats[0].engine.identity(), seat.engine.identity());
    let variant = seat.subject.name.clone();
    if identity.vocabulary.contradicts(&canary.vocabulary) {
        let (found, canary) = (identity.vocabulary.clone(), canary.vocabulary.clone());
        return Err(RunError::OtherVocabulary { variant, found, canary });
    }
    if let Some(task) = first(&[RequestKind::Chat, RequestKind::Tools])
        && identity.template.contradicts(&canary.template)
    {
        let (found, canary) = (identity.template.clone(), canary.template.clone());
        return Err(RunError::OtherTemplate { variant, task, found, canary });
    }
    let raw = seat.engine.capabilities().raw;
    match first(&[RequestKind::Generate]) {
        Some(task) if raw != work.seats[0].engine.capabilities().raw => {
            let canary = &work.seats[0].subject.name;
            let (continues, wraps) = if raw { (&variant, canary) } else { (canary, &variant) };
            let (continues, wraps) = (continues.clone(), wraps.clone());
            Err(RunError::OtherForm { variant, task, continues, wraps })
        }
        _ => Ok(()),
    }
}

/// Whether seats and scorers are those of the plan, in its order.
fn set_up(work: &Work) -> Result<(), RunError> {
    let names = |names: &mut dyn Iterator<Item = &SubjectName>| -> Vec<SubjectName> { names.cloned().collect() };
    let seated = names(&mut work.seats.iter().map(|seat| &seat.subject.name));
    let planned = names(&mut work.plan.subjects.iter().map(|subject| &subject.name));
    if seated.is_empty() || seated != planned {
        return Err(RunError::Setup { what: format!("seats {seated:?} for the subjects {planned:?}") });
    }
    let (scorers, tasks) = (work.scorers.len(), work.plan.tasks.len());
    if scorers != tasks {
        return Err(RunError::Setup { what: format!("{scorers} scorers for {tasks} tasks") });
    }
    let known = |referee: &Referee| (1..work.seats.len()).contains(&referee.seat) && referee.task < tasks;
    let once = |referee: &Referee| [0, referee.seat].into_iter().all(|seat| work.repeats(seat, referee.task) == 1);
    match work.referees.iter().find(|&referee| !known(referee) || !once(referee)) {
        Some(referee) => Err(RunError::Setup { what: format!("{referee:?} for a subject that cannot end early") }),
        None => Ok(()),
    }
}

/// What an engine lacks for a task.
fn missing(task: &Task, able: Capabilities) -> Option<&'static str> {
    match task.kind {
        _ if task.constrained && !able.constrained => Some("constrained decoding"),
        RequestKind::Choice | RequestKind::Perplexity if !able.log_likelihood => Some("log-likelihoods"),
        RequestKind::Chat | RequestKind::Tools if !able.chat => Some("chat template"),
        RequestKind::Tools if !able.tools => Some("tools"),
        _ => None,
    }
}

/// Whether every subject is still what an earlier part of the run recorded.
pub(super) fn unchanged(events: &[Event], seats: &[Seat]) -> Result<(), RunError> {
    for event in events {
        let EventKind::SubjectReady { subject, identity: before, .. } = &event.kind else { continue };
        let Some(seat) = seats.iter().find(|seat| seat.subject.name == *subject) else { continue };
        if let Some((what, before, now)) = difference(before, seat.engine.identity()) {
            return Err(RunError::OtherSubject { subject: subject.clone(), what, before, now });
        }
    }
    Ok(())
}

/// The first property in which two identities differ, with both values.
fn difference(before: &Identity, now: &Identity) -> Option<(String, String, String)> {
    let rows = |identity: &Identity| {
        let Identity { engine, weights, vocabulary, template, quantization, .. } = identity;
        let named = [
            ("engine", engine.clone()),
            ("weights", weights.to_string()),
            ("vocabulary", vocabulary.to_string()),
            ("chat template", template.to_string()),
            ("quantization", quantization.clone()),
        ];
        let named = named.map(|(name, value)| (name.to_owned(), value));
        named.into_iter().chain(identity.details.clone()).collect::<std::collections::BTreeMap<_, _>>()
    };
    let (before, now) = (rows(before), rows(now));
    let names = before.keys().chain(now.keys());
    let value =
        |rows: &std::collections::BTreeMap<String, String>, name| rows.get(name).cloned().unwrap_or_else(|| "nothing".to_owned());
    names.map(|name| (name.clone(), value(&before, name), value(&now, name))).find(|(_, before, now)| before != now)
}
