//! Answers: what a subject gave back, before anybody judged it.

use serde::{Deserialize, Serialize};

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// One of the request's stop texts appeared.
    Stop,
    /// The model ended its turn.
    End,
    /// The token limit was reached: the answer is cut off.
    Length,
}

/// The log-likelihood of one option.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptionScore {
    /// Sum of the natural log-probabilities of its tokens; at most 0.
    pub log_likelihood: f64,
    /// Number of its tokens; at least 1.
    pub tokens: u32,
    /// Number of its UTF-8 bytes.
    pub bytes: u32,
    /// Whether each of its tokens was the most likely one.
    pub greedy: bool,
}

/// Per-token differences between a variant's and the canary's distributions on the same tokens; lists of equal length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenDivergence {
    /// The canary's −ln p of each scored token (nats).
    pub canary_nll: Vec<f64>,
    /// Kullback–Leibler divergence canary → variant over the full vocabulary (nats; ≥ 0 up to rounding).
    pub kld: Vec<f64>,
    /// the variant's probability less the canary's of the token that the text has, in −1..=1.
    pub delta_p: Vec<f64>,
    /// Whether both rank the same token first.
    pub same_top: Vec<bool>,
    /// What the distributions themselves look like; none in journals of versions that did not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Box<TokenShape>>,
}

/// What two subjects' distributions of the same tokens look like, token by token; lists of equal length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenShape {
    /// How many of the canary's five likeliest tokens are among the variant's five likeliest, in 0..=5.
    pub top5: Vec<u8>,
    /// The canary's.
    pub canary: Certainty,
    /// The variant's.
    pub variant: Certainty,
}

/// How certain a subject is of each token and whether it is right; lists of equal length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Certainty {
    /// Entropy of the distribution (nats).
    pub entropy: Vec<f32>,
    /// Probability of the likeliest token, in 0..=1.
    pub confidence: Vec<f32>,
    /// Whether the likeliest token is the one that the text has.
    pub right: Vec<bool>,
}

/// What a subject gave back for one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Answer {
    /// One score per option, in the request's order.
    Choice {
        /// The options' log-likelihoods.
        options: Vec<OptionScore>,
    },
    /// Generated text.
    Text {
        /// The text, without the stop text or the end token.
        text: String,
        /// The generated token ids; empty where the engine doesn't tell.
        tokens: Vec<u32>,
        /// Why it ended.
        finish: Finish,
    },
    /// Rolling log-likelihood of a document.
    Rolling {
        /// −ln p of each scored token (nats), in order.
        nll: Vec<f64>,
        /// UTF-8 bytes of the document.
        bytes: u32,
        /// For a variant whose engine shows full distributions: the divergence from the canary's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        divergence: Option<TokenDivergence>,
        /// Where the engine tells the likeliest tokens only: for each scored token those of the distribution that predicts it,
        /// as (id, natural log-probability), in any order; the scored token itself may be among them. Else empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        top: Vec<Vec<(u32, f32)>>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_tokens_are_pairs_of_numbers_and_are_left_out_where_there_are_none() {
        let rolling = |top| Answer::Rolling { nll: vec![0.5], bytes: 3, divergence: None, top };
        let written = |answer: &Answer| serde_json::to_string(answer).expect("an answer is JSON");
        assert_eq!(written(&rolling(Vec::new())), r#"{"kind":"rolling","nll":[0.5],"bytes":3}"#);
        let told = rolling(vec![vec![(17, -0.25), (4, -3.5)]]);
        assert_eq!(written(&told), r#"{"kind":"rolling","nll":[0.5],"bytes":3,"top":[[[17,-0.25],[4,-3.5]]]}"#);
        assert_eq!(serde_json::from_str::<Answer>(&written(&told)).expect("it is read again"), told);
    }
}
