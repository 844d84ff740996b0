//! Perplexity tasks: the canary's and a variant's likelihoods of the same documents, token by token.

use super::Record;
use crate::domain::{Answer, Certainty, MetricKind, Role, SampleId, Subject, SubjectName, TaskCard, TaskName, TokenShape};
use crate::metric::{DocumentTokens, Likeliest, Likelihood, likelihood};

/// A variant or control against the canary on one perplexity task.
#[derive(Clone, Debug, PartialEq)]
pub struct DistributionComparison {
    /// Who is compared with the canary.
    pub subject: SubjectName,
    /// What it is for.
    pub role: Role,
    /// The task.
    pub task: TaskName,
    /// Documents that the task has.
    pub documents: usize,
    /// Documents that could not be compared: a half is missing, or the tokens differ in number.
    pub missing: usize,
    /// The documents that were compared, in order.
    pub compared: Vec<SampleId>,
    /// The comparison; none where no document could be compared.
    pub likelihood: Option<Likelihood>,
}

/// Every variant and control on every perplexity task, in the plan's order.
pub(super) fn compare(record: &Record) -> Vec<DistributionComparison> {
    let tasks = || record.header.tasks.iter().filter(|card| card.metric == MetricKind::Perplexity);
    let Some(canary) = record.header.canary() else { return Vec::new() };
    let others = record.header.subjects.iter().filter(|s| s.role != Role::Canary);
    others.flat_map(|subject| tasks().map(|card| compare_one(record, (canary, subject), card))).collect()
}

fn compare_one(record: &Record, (canary, subject): (&Subject, &Subject), task: &TaskCard) -> DistributionComparison {
    let samples = record.samples_of(&task.name);
    let half = |name: &SubjectName, id| record.scored(name, &task.name, id).map(|(answer, _)| answer);
    let both = |id| document(half(&canary.name, id)?, half(&subject.name, id)?);
    let (compared, documents): (Vec<SampleId>, Vec<DocumentTokens<'_>>) =
        samples.iter().filter_map(|card| Some((card.id.clone(), both(&card.id)?))).unzip();
    DistributionComparison {
        subject: subject.name.clone(),
        role: subject.role,
        task: task.name.clone(),
        documents: samples.len(),
        missing: samples.len() - documents.len(),
        compared,
        likelihood: likelihood(&documents),
    }
}

/// Both halves of a document, where they score the same number of tokens and every number is finite.
fn document<'a>(canary: &'a Answer, variant: &'a Answer) -> Option<DocumentTokens<'a>> {
    let (Answer::Rolling { nll: canary_own, top: canary_top, .. }, Answer::Rolling { nll, divergence, top, .. }) =
        (canary, variant)
    else {
        return None;
    };
    let canary_nll = divergence.as_ref().map_or(canary_own, |d| &d.canary_nll);
    let apart = divergence.as_ref().map(|d| (d.kld.as_slice(), d.delta_p.as_slice(), d.same_top.as_slice()));
    let lengths_agree = canary_nll.len() == nll.len()
        && apart.is_none_or(|(kld, delta_p, same)| [kld.len(), delta_p.len(), same.len()] == [nll.len(); 3]);
    let finite = |values: &[f64]| values.iter().all(|v| v.is_finite());
    let all_finite = finite(canary_nll) && finite(nll) && apart.is_none_or(|(kld, delta_p, _)| finite(kld) && finite(delta_p));
    let told = |top: &[Vec<(u32, f32)>]| {
        let finite = top.iter().flatten().all(|(_, log)| log.is_finite());
        finite && top.len() == nll.len()
    };
    // Beside a full divergence a bound of it says nothing.
    let bounded = divergence.is_none() && told(canary_top) && told(top);
    let likeliest = || if bounded { Likeliest::of(canary_top, top) } else { None };
    (lengths_agree && all_finite).then(|| DocumentTokens {
        canary_nll,
        variant_nll: nll,
        divergence: apart,
        shape: divergence.as_ref().and_then(|d| d.shape.as_deref()).filter(|shape| is_whole(shape, nll.len())),
        likeliest: likeliest(),
    })
}

/// Whether every list of a shape has so many entries, and every number is finite.
fn is_whole(shape: &TokenShape, tokens: usize) -> bool {
    let side = |Certainty { entropy, confidence, right }: &Certainty| {
        let finite = entropy.iter().chain(confidence).all(|value| value.is_finite());
        finite && [entropy.len(), confidence.len(), right.len()] == [tokens; 3]
    };
    shape.top5.len() == tokens && side(&shape.canary) && side(&shape.variant)
}
