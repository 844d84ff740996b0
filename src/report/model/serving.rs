//! What endpoints told, and what it took and cost, as reports show it.

use serde::Serialize;

use super::LatencyResult;
use crate::domain::{Origin, SubjectName};
use crate::stats::Interval;

/// A name with its number of answers.
#[derive(Clone, Debug, Serialize)]
pub struct NamedResult {
    /// The name.
    pub name: String,
    /// Answers under it.
    pub answers: u64,
}

/// A ratio of totals, variant over canary.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RatioResult {
    /// The ratio.
    pub value: f64,
    /// That with its 95 % interval; none with fewer than 30 samples.
    pub interval: Option<Interval>,
}

/// What a subject's endpoint told beside its answers.
#[derive(Clone, Debug, Serialize)]
pub struct ServedResult {
    /// Answers that it told anything of.
    pub answers: u64,
    /// Answers whose tokens it counted.
    pub counted: u64,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Tokens written over the canary's, on samples that both answered; none for the canary.
    pub tokens_ratio: Option<RatioResult>,
    /// The models that answered, by the service's word, the commonest first.
    pub models: Vec<NamedResult>,
    /// The service's marks for what answered, the commonest first.
    pub fingerprints: Vec<NamedResult>,
}

/// What it took to get a subject's answers, which the next run of the plan may differ in.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceResult {
    /// Whose answers.
    pub subject: SubjectName,
    /// The ways that its requests took: more than one only where a resume found another.
    pub origins: Vec<Origin>,
    /// Answers that were taken from the cache of answers.
    pub reused: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Tokens read that the service had cached.
    pub cached_tokens: u64,
    /// What the counted answers cost, in the plan's currency; none without a price.
    pub cost: Option<f64>,
    /// The part of it that was asked for and paid in this run.
    pub paid: Option<f64>,
    /// What a thousand requests cost.
    pub per_thousand: Option<f64>,
    /// What its answers cost over what the canary's do, on samples that both answered; none for the canary.
    pub cost_ratio: Option<RatioResult>,
}

/// How fast a subject's streamed answers came.
#[derive(Clone, Debug, Serialize)]
pub struct StreamingResult {
    /// From the request to the first token.
    pub first: LatencyResult,
    /// From one token to the next, averaged over each answer of two tokens or more.
    pub between: Option<LatencyResult>,
    /// Tokens a second of an answer, the wait for its first included.
    pub per_second: Option<f64>,
}
