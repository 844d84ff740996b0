//! The gate's side of early stopping: the course of a finished comparison, from the journal's own steps.

use super::{Asking, Course, Ending, Terms};
use crate::analysis::{Comparison, Record};
use crate::domain::{EngineSpec, Policy, Role, Stopping, SubjectName, Verdict, share_clusters};
use crate::gate::{Early, EarlyBy};

/// What the rule for early stopping says about a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::gate) struct Settled {
    /// Its verdict.
    pub(in crate::gate) verdict: Verdict,
    /// Where it was settled before the last sample.
    pub(in crate::gate) early: Option<Early>,
    /// The confidence of the interval that goes with it: what the boundary that decided leaves.
    pub(in crate::gate) confidence: f64,
}

/// What early stopping makes of a comparison; none where it has no part in it, so that all samples are judged at once.
///
/// Under a sequential rule the verdict is the first boundary's that was crossed, and INCONCLUSIVE where none was: the test
/// over all samples does not get another chance. A subject that was asked no more under the run's own policy has no verdict
/// under another one by which it is not settled there: INCONCLUSIVE, since the samples that would tell were not asked.
pub(in crate::gate) fn settled(record: &Record, comparison: &Comparison, policy: &Policy) -> Option<Settled> {
    let short = comparison.asked < comparison.samples;
    if comparison.steps.len() as u64 != comparison.asked || (policy.stopping == Stopping::None && !short) {
        return None;
    }
    let course = course(record, comparison, policy);
    let early = |by| short.then_some(Early { asked: comparison.asked, samples: comparison.samples, by });
    if let Some((_, Some(Ending { verdict, by, confidence, .. }))) = course {
        return Some(Settled { verdict, early: early(by), confidence });
    }
    let own = || self::course(record, comparison, &record.header.policy).and_then(|(_, ending)| Some(ending?.by));
    if !short && course.is_none() {
        return None;
    }
    let by = if short { own().unwrap_or(EarlyBy::Curtailment) } else { EarlyBy::Curtailment };
    let confidence = course.map_or(1.0 - 2.0 * policy.alpha, |(course, _)| course.confidence());
    Some(Settled { verdict: Verdict::Inconclusive, early: early(by), confidence })
}

/// Why a journal's word that a subject was settled cannot be right, if it can't: the run's own policy must settle it exactly
/// there, on the journal's own answers.
pub(in crate::gate) fn unfounded(record: &Record, comparisons: &[Comparison], subject: &SubjectName) -> Option<String> {
    let own = comparisons.iter().filter(|comparison| comparison.subject == *subject);
    let told = own.filter_map(|comparison| Some((comparison, record.after(subject, &comparison.task)? as u64)));
    told.filter(|(comparison, after)| *after < comparison.samples).find_map(|(comparison, after)| {
        let ending = course(record, comparison, &record.header.policy).and_then(|(_, ending)| ending);
        (ending.map(|ending| ending.after) != Some(after)).then(|| {
            let task = &comparison.task;
            format!(
                "the journal says that '{subject}' was asked no more of '{task}' after {after} samples, but by the run's own \
                 policy its answers settle nothing there: the journal was changed, or written by another version"
            )
        })
    })
}

/// A comparison's course under a policy, and where that ended it; none where the policy lets it have none, and for results of
/// other programs, whose order nobody fixed beforehand.
fn course(record: &Record, comparison: &Comparison, policy: &Policy) -> Option<(Course, Option<Ending>)> {
    if record.header.subjects.iter().any(|subject| matches!(subject.engine, EngineSpec::Recorded(_))) {
        return None;
    }
    let card = record.task(&comparison.task)?;
    let clusters = record.samples_of(&card.name).iter().map(|sample| sample.cluster.as_deref());
    let clustered = !comparison.clusters.is_empty() || share_clusters(clusters);
    let sides = record.header.subjects.iter().filter(|s| s.role == Role::Canary || s.name == comparison.subject);
    let once = sides.into_iter().all(|subject| subject.repeats <= 1);
    let terms = Terms::of(card, &record.header.tasks, policy, Asking { once, clustered })?;
    let mut course = Course::new(terms)?;
    let ending = comparison.steps.iter().find_map(|&step| course.take(step));
    Some((course, ending))
}
