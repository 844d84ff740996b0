//! Requests: what a subject is asked, with every setting that can change the answer.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The five ways of asking that a task can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestKind {
    /// Log-likelihood of each of several options after a context.
    Choice,
    /// Free continuation of a prompt.
    Generate,
    /// An answer to chat messages, rendered by the model's own template.
    Chat,
    /// An answer to chat messages with tools on offer.
    Tools,
    /// Rolling log-likelihood of a document, and its divergence from the canary's.
    Perplexity,
}

/// How text is generated. Every field is always sent to the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Most tokens to generate; at least 1.
    pub max_tokens: usize,
    /// Texts that end the answer and are cut from it.
    pub stop: Vec<String>,
    /// 0 is greedy; otherwise logits are divided by it.
    pub temperature: f64,
    /// Nucleus share in (0, 1]; 1 keeps the whole distribution.
    pub top_p: f64,
    /// Seed of this sample's own random stream; without effect at temperature 0.
    pub seed: u64,
    /// What the answer must look like, enforced while it is written; none leaves the model free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<Constraint>,
}

/// What a constrained answer must look like: only tokens that can still lead there are on offer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// A JSON text that this JSON Schema accepts.
    JsonSchema(serde_json::Value),
    /// A text that this regular expression matches as a whole.
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JsonSchema(schema) => write!(f, "JSON of the schema {schema}"),
            Self::Regex(regex) => write!(f, "text that {regex} matches"),
            Self::Choice(texts) => write!(f, "one of {texts:?}"),
        }
    }
}

/// One chat message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Its text.
    pub content: String,
}

/// What a subject is asked about one sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Request {
    /// Log-likelihood of every option as a continuation of the context.
    Choice {
        /// Text before the options; a trailing space moves into the options (lm-evaluation-harness's rule).
        context: String,
        /// At least two continuations.
        options: Vec<String>,
    },
    /// A continuation of the prompt, without any template.
    Generate {
        /// The text to continue; special tokens are added as the tokenizer's file says.
        prompt: String,
        /// How to generate.
        generation: Generation,
    },
    /// An answer to messages, through the model's chat template.
    Chat {
        /// The conversation so far.
        messages: Vec<Message>,
        /// Tools on offer, as OpenAI function schemas; may be empty.
        tools: Vec<serde_json::Value>,
        /// How to generate.
        generation: Generation,
    },
    /// The log-likelihood of each token of the text, given those before it.
    Perplexity {
        /// The document.
        text: String,
    },
}
