//! The rules before all others: the run is complete, and canary and variant were asked the same thing in the same form.

use super::wording::count;
use super::{Case, Finding, Rule, course};
use crate::domain::{EngineSpec, Identity, Verdict};

/// Whether the run is complete, and whether the comparison is fair.
pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    vec![complete(case), fair(case)]
}

fn finding(rule: Rule, fault: Option<String>, fine: &str) -> Finding {
    let verdict = if fault.is_some() { Verdict::Invalid } else { Verdict::Pass };
    Finding {
        rule,
        task: None,
        slice: None,
        gating: true,
        verdict,
        reason: fault.unwrap_or_else(|| fine.to_owned()),
        evidence: None,
    }
}

fn complete(case: &Case<'_>) -> Finding {
    let counts = case.record.counts;
    let done = counts.scored + counts.unscored;
    let fault = (!case.record.finished)
        .then(|| format!("the run is not finished ({done} of {} answers): go on with `quantgate run --resume`", counts.expected));
    let fine = match counts.unscored {
        0 => "every sample is accounted for".to_owned(),
        n => format!("every sample has an answer or a cause ({} without a score)", count(n as u64)),
    };
    finding(Rule::Complete, fault, &fine)
}

fn fair(case: &Case<'_>) -> Finding {
    let recorded =
        case.record.header.subjects.iter().any(|s| s.name == *case.subject && matches!(s.engine, EngineSpec::Recorded(_)));
    let fine = if recorded {
        "the same samples were asked in the same way, as far as the files tell"
    } else {
        match told(case) {
            (true, true) => "the vocabulary and the chat template are the canary's",
            (true, false) => "the vocabulary is the canary's; not every endpoint tells its chat template",
            (false, true) => "the chat template is the canary's; not every endpoint tells its vocabulary",
            (false, false) => {
                "nothing that the endpoints tell is another than the canary's; not all tell vocabulary and template"
            }
        }
    };
    finding(Rule::Fair, unfair(case), fine)
}

/// Whether canary and variant both tell their vocabulary, and their chat template.
fn told(case: &Case<'_>) -> (bool, bool) {
    let record = case.record;
    let canary = record.header.canary().and_then(|canary| record.identities.get(&canary.name));
    let both: Vec<&Identity> = canary.into_iter().chain(record.identities.get(case.subject)).collect();
    (both.iter().all(|identity| identity.vocabulary.is_told()), both.iter().all(|identity| identity.template.is_told()))
}

/// Why canary and variant can't be compared, if they can't.
fn unfair(case: &Case<'_>) -> Option<String> {
    let record = case.record;
    let canary = record.header.canary()?;
    for name in [&canary.name, case.subject] {
        if record.changed.contains(name) {
            return Some(format!("'{name}' was another model after a resume than before it: start a new run"));
        }
    }
    if let Some(fault) = course::unfounded(record, &case.comparisons.tasks, case.subject) {
        return Some(fault);
    }
    match (record.identities.get(&canary.name), record.identities.get(case.subject)) {
        (Some(canary), Some(variant)) => differs(canary, variant),
        (None, _) => Some("the journal doesn't say what the canary is: its model was never loaded".to_owned()),
        (_, None) => Some("the journal doesn't say what the variant is: its model was never loaded".to_owned()),
    }
}

/// What both tell and tell differently: what is not told is no difference.
fn differs(canary: &Identity, variant: &Identity) -> Option<String> {
    if canary.vocabulary.contradicts(&variant.vocabulary) {
        return Some("its vocabulary is not the canary's, so the two read other tokens: use the canary's tokenizer".to_owned());
    }
    canary
        .template
        .contradicts(&variant.template)
        .then(|| "its chat template is not the canary's, so the two were asked other things: use the canary's".to_owned())
}
