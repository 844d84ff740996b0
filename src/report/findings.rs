//! The gate's findings to the report's.

use super::model::{EarlyResult, FindingResult};
use crate::domain::{MetricKind, TaskCard};
use crate::gate::{Early, EarlyBy, Evidence, Finding, Loss, Method, Spent, note_word};

/// A finding as reports show it; the cards say what its task's scores are.
pub(super) fn result(finding: &Finding, cards: &[TaskCard]) -> FindingResult {
    let blank = blank(finding);
    match &finding.evidence {
        None => blank,
        Some(Evidence::Loss(loss)) => {
            let card = cards.iter().find(|card| Some(&card.name) == finding.task.as_ref());
            FindingResult { metric: Some(metric(card).to_owned()), ..of_loss(blank, loss) }
        }
        Some(Evidence::Budget(spent)) => of_budget(blank, spent),
    }
}

/// What a task's scores are reduced to, in a word; those of several tasks are taken for accuracies.
pub(super) fn metric(card: Option<&TaskCard>) -> &'static str {
    if card.is_some_and(|card| card.metric == MetricKind::Mean) { "mean" } else { "accuracy" }
}

fn blank(finding: &Finding) -> FindingResult {
    FindingResult {
        rule: finding.rule.word(),
        task: finding.task.clone(),
        slice: finding.slice.clone(),
        metric: None,
        gating: finding.gating,
        verdict: finding.verdict,
        reason: finding.reason.clone(),
        tolerance: None,
        limit: None,
        value: None,
        interval: None,
        confidence: None,
        method: None,
        deff: None,
        ratio: None,
        p_pass: None,
        p_fail: None,
        p_fail_adjusted: None,
        n: None,
        early: None,
        floor: None,
        needed: None,
        note: None,
        severity: finding.severity(),
    }
}

fn of_loss(blank: FindingResult, loss: &Loss) -> FindingResult {
    let deff = match loss.method {
        Some(Method::ClusteredTango { deff, .. } | Method::ClusteredRatio { deff, .. }) => Some(deff),
        _ => None,
    };
    FindingResult {
        tolerance: Some(loss.tolerance),
        limit: Some(loss.margin),
        value: loss.delta.map(|d| d.estimate),
        interval: loss.delta,
        confidence: Some(loss.confidence),
        method: loss.method.map(Method::word),
        deff,
        ratio: loss.ratio,
        p_pass: loss.p_pass,
        p_fail: loss.p_fail,
        p_fail_adjusted: loss.p_fail_adjusted,
        n: Some(loss.n),
        early: loss.early.map(EarlyResult::from),
        floor: Some(loss.floor),
        needed: loss.needed,
        note: loss.note.map(note_word),
        ..blank
    }
}

fn of_budget(blank: FindingResult, spent: &Spent) -> FindingResult {
    FindingResult {
        metric: Some(spent.metric.clone()),
        limit: Some(spent.max),
        value: spent.value,
        interval: spent.interval,
        confidence: spent.interval.map(|_| 0.95),
        ..blank
    }
}

impl From<Early> for EarlyResult {
    fn from(early: Early) -> Self {
        let (by, look) = match early.by {
            EarlyBy::Look(look, of) => ("look", Some((look, of))),
            EarlyBy::Wealth => ("wealth", None),
            EarlyBy::Curtailment => ("curtailment", None),
        };
        Self { asked: early.asked, samples: early.samples, by, look }
    }
}
