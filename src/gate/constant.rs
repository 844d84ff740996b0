//! One text in answer to everything: not the canary, but something between it and the run.

use std::collections::HashSet;

use super::wording::{count, list};
use crate::analysis::Record;
use crate::domain::{Answer, Outcome, SubjectName, TaskName, UnitKey};

/// Fewest answers of one text that are no accident.
const FEWEST: usize = 20;

/// The tasks with several right answers on which a canary gave one and the same text to all of its samples: a gateway that
/// answers from a cache by too little, or a model that reads no prompt. A variant beside it would lose nothing.
pub(super) fn fault(record: &Record, canary: &SubjectName) -> Option<String> {
    let found: Vec<String> = record.header.tasks.iter().filter_map(|card| on(record, canary, &card.name)).collect();
    if found.is_empty() {
        return None;
    }
    let what = "ask it by hand, and look for a cache or a gateway in between";
    Some(format!("'{canary}' gave one and the same text to all samples of {}: {what}", list(&found)))
}

fn on(record: &Record, canary: &SubjectName, task: &TaskName) -> Option<String> {
    let targets: HashSet<&str> = record.samples.get(task)?.iter().map(|card| card.target.as_str()).collect();
    let first = UnitKey { subject: canary.clone(), task: task.clone(), sample: "".into(), repeat: 0 };
    let units = record.outcomes.range(first..).take_while(|(unit, _)| unit.subject == *canary && unit.task == *task);
    let mut texts = units.filter_map(|(_, outcome)| match outcome {
        Outcome::Scored { answer: Answer::Text { text, .. }, .. } => Some(text),
        _ => None,
    });
    let one = texts.next()?;
    let others = texts.try_fold(0, |n, text| (text == one).then_some(n + 1))?;
    let all = others + 1;
    (targets.len() > 1 && all >= FEWEST).then(|| format!("{task} ({})", count(all as u64)))
}
