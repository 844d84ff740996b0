//! What an endpoint tells beside an answer, what an answer costs, and where answers come from.

use serde::{Deserialize, Serialize};

use super::Digest;

/// Tokens that a service counted for one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub prompt: u64,
    /// Tokens written, thoughts included.
    pub completion: u64,
    /// Of those read: tokens that were cached by the service.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub cached: u64,
}

/// The tokens of an answer that took several requests.
impl std::ops::Add for Usage {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            prompt: self.prompt + more.prompt,
            completion: self.completion + more.completion,
            cached: self.cached + more.cached,
        }
    }
}

/// When the tokens of a streamed answer came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Microseconds from sending the request to its first token.
    pub first_us: u64,
    /// Microseconds from the first token to the last.
    pub rest_us: u64,
    /// Tokens that came; pieces of the stream where the service counts none.
    pub tokens: u64,
}

/// What an endpoint told beside one answer. No score depends on it; whether a comparison is fair does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// The model that answered, by the service's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The service's mark for the configuration that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Digest of what was asked: `text:` of a prompt rendered here, `chat:` of messages and tools that the service renders.
    /// Two of one kind can be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Digest>,
    /// How many other models were tried before: above 0, another model than the subject's answered.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fallbacks: u32,
    /// Whether the service cut the prompt to fit its context.
    #[serde(default, skip_serializing_if = "is_false")]
    pub truncated: bool,
    /// What the service counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// When the tokens came, for an answer that was streamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
    /// Requests that were sent again for this answer, hedges included.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// Whether the answer was taken from the cache of answers, and nothing was asked.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cached: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_nothing(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What a million tokens cost, in the plan's currency.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Tokens read.
    pub input: f64,
    /// Tokens written.
    pub output: f64,
    /// Tokens read that the service had cached; as `input` where none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<f64>,
}

impl Price {
    /// What one answer cost.
    #[must_use]
    pub fn of(self, usage: Usage) -> f64 {
        let cached = usage.cached.min(usage.prompt);
        let read = (usage.prompt - cached) as f64 * self.input + cached as f64 * self.cached.unwrap_or(self.input);
        (read + usage.completion as f64 * self.output) / 1e6
    }
}

/// How a subject's endpoint is treated: it changes the speed and the bill, and no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Most requests under way at its endpoint; the run finds out how many it can take up to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Most requests a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<f64>,
    /// Most tokens a minute, read and written together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<f64>,
    /// Seconds after which a request counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<f64>,
    /// Whether a request that takes much longer than others is asked a second time beside the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge: Option<bool>,
    /// What its tokens cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

/// The way that requests take, as far as it was seen when the subject was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Host and port that were asked.
    pub host: String,
    /// The address that it resolved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Who issued its certificate; none without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_issuer: Option<String>,
    /// `managed API`, `cloud marketplace`, `gateway`, `self-hosted` or `this machine`.
    pub path: String,
    /// The region that the address tells, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The region that the plan states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_region: Option<String>,
    /// What is worth knowing of this way, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_cost_their_own_price_where_there_is_one() {
        let usage = Usage { prompt: 1_000_000, completion: 500_000, cached: 400_000 };
        let price = Price { input: 2.0, output: 6.0, cached: None };
        assert!((price.of(usage) - 5.0).abs() < 1e-12);
        assert!((Price { cached: Some(0.5), ..price }.of(usage) - (1.2 + 0.2 + 3.0)).abs() < 1e-12);
    }
}
