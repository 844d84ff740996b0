//! Suites and tasks: what is asked, of which data, and how it is judged.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Constraint, Digest, RequestKind, TaskName};

/// A named set of tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// One sentence about it.
    pub about: String,
    /// Its tasks, in order.
    pub tasks: Vec<Task>,
}

/// A seeded subset of a dataset, stable under re-ordering of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subset {
    /// Rows to keep.
    pub rows: usize,
    /// Seed of the choice.
    pub seed: u64,
}

/// Where a task's rows come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRef {
    /// The file, resolved against the folder that the suite file's paths are relative to.
    pub path: PathBuf,
    /// A part of it; all rows where none.
    pub subset: Option<Subset>,
}

/// How a row becomes a request: MiniJinja templates over the row's fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptSpec {
    /// The prompt (generate), the context (choice), the user message (chat, tools) or the document (perplexity).
    pub prompt: String,
    /// A system message for chat and tools.
    pub system: Option<String>,
    /// The right answer: text, or for choice the text of the right option; none for perplexity.
    pub target: Option<String>,
    /// For choice: the field that holds the list of options.
    pub options: Option<String>,
    /// For tools: the field that holds the list of tools on offer.
    pub tools: Option<String>,
    /// The field whose value groups rows in reports.
    pub slice: Option<String>,
    /// The field whose value marks rows that are not independent.
    pub cluster: Option<String>,
}

/// How the log-likelihoods of options are made comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalization {
    /// The sum over the option's tokens (lm-evaluation-harness's `acc`).
    #[default]
    None,
    /// The mean over its tokens (llama.cpp's multiple choice).
    Token,
    /// The mean over its UTF-8 bytes (lm-evaluation-harness's `acc_norm`).
    Byte,
}

/// What a choice is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChoiceValue {
    /// 1 where the likeliest option is the right one, else 0.
    #[default]
    Right,
    /// The probability of the right option: the softmax over the options' comparable log-likelihoods. Its mean is another
    /// quantity than accuracy, and moves with less noise.
    Probability,
}

/// How an answer is judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ScorerSpec {
    /// The likeliest option is the right one.
    Choice {
        /// How likelihoods are compared.
        #[serde(default)]
        normalize: Normalization,
        /// What the choice is worth.
        #[serde(default)]
        value: ChoiceValue,
    },
    /// The text equals the target.
    Exact {
        /// Ignore white space around both.
        #[serde(default)]
        trim: bool,
        /// Ignore case.
        #[serde(default)]
        ignore_case: bool,
    },
    /// The text shares words with the target: the F1 of their words, as `SQuAD` defines it.
    F1,
    /// The last number in the text equals the target's.
    Number,
    /// The text is one JSON object with the target's `name` and `arguments`.
    ToolCall,
    /// The text is a JSON value that equals the target's.
    Json {
        /// The fields that count; the whole value where none are named.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fields: Vec<String>,
    },
    /// The text looks as the task says, whatever else it says.
    Valid,
    /// Nothing is right or wrong; the value is the mean −ln p.
    Likelihood,
}

impl ScorerSpec {
    /// What its scores are reduced to.
    #[must_use]
    pub fn metric(&self) -> MetricKind {
        match self {
            Self::Choice { value: ChoiceValue::Probability, .. } | Self::F1 => MetricKind::Mean,
            Self::Likelihood => MetricKind::Perplexity,
            Self::Choice { .. } | Self::Exact { .. } | Self::Number | Self::ToolCall | Self::Json { .. } | Self::Valid => {
                MetricKind::Accuracy
            }
        }
    }

    /// The smallest and the largest score that need not be 0 or 1; none where scores are right or wrong, or have no bounds.
    #[must_use]
    pub fn range(&self) -> Option<(f64, f64)> {
        (self.metric() == MetricKind::Mean).then_some((0.0, 1.0))
    }
}

/// A way of saying what answers should look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShapeKind {
    /// By a JSON Schema.
    JsonSchema,
    /// By a regular expression for the whole text.
    Regex,
    /// By a list of texts.
    Choice,
}

/// What a task's answers should look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerShape {
    /// The same for every row.
    Given(Constraint),
    /// By the JSON Schema of a file, from the folder of the suite; a plan reads it.
    SchemaFile(PathBuf),
    /// Each row has its own, in this field.
    Field {
        /// What the field holds.
        kind: ShapeKind,
        /// Its name.
        name: String,
    },
    /// A call of one of the tools that the row offers: an object with its `name` and its `arguments`, and nothing else.
    Call,
}

/// Whether a flag is off: plans and journals leave that out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_off(flag: &bool) -> bool {
    !flag
}

/// What a task's scores are reduced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// Share of right answers; higher is better.
    Accuracy,
    /// Mean of scores that need not be 0 or 1; higher is better.
    Mean,
    /// exp of the mean −ln p per token; lower is better.
    Perplexity,
}

impl MetricKind {
    /// How often each sample of a task is asked where the subject is asked `repeats` times: documents once, since nothing
    /// about them is drawn; at least once in any case.
    #[must_use]
    pub fn passes(self, repeats: u32) -> u32 {
        match self {
            Self::Perplexity => 1,
            Self::Accuracy | Self::Mean => repeats.max(1),
        }
    }
}

/// The share of right answers that is expected of a healthy canary, bounds included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// Lowest expected accuracy.
    pub low: f64,
    /// Highest expected accuracy.
    pub high: f64,
}

/// A dataset with a way of asking and a way of judging.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Unique within a plan.
    pub name: TaskName,
    /// One sentence about it.
    pub about: String,
    /// How it asks.
    pub kind: RequestKind,
    /// What it asks of.
    pub dataset: DatasetRef,
    /// How a row becomes a request.
    pub prompt: PromptSpec,
    /// Most tokens of an answer.
    pub max_tokens: usize,
    /// Texts that end an answer.
    pub stop: Vec<String>,
    /// What answers should look like: what scorer valid judges by, and what constrained answers are held to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<AnswerShape>,
    /// Whether answers are held to their shape while they are written.
    #[serde(default, skip_serializing_if = "is_off")]
    pub constrained: bool,
    /// 0 is greedy.
    pub temperature: f64,
    /// Nucleus share in (0, 1].
    pub top_p: f64,
    /// How an answer is judged.
    pub scorer: ScorerSpec,
    /// What the scores are reduced to.
    pub metric: MetricKind,
    /// Whether the verdict depends on it; otherwise it is shown only.
    pub gating: bool,
    /// Accuracy of guessing, 0..1.
    pub chance: f64,
    /// Where a healthy canary's accuracy should lie.
    pub band: Option<Band>,
}

/// What a journal keeps of a task, so that reports need no suite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskCard {
    /// Unique within the plan.
    pub name: TaskName,
    /// One sentence about it.
    pub about: String,
    /// How it asks.
    pub kind: RequestKind,
    /// What its scores are reduced to.
    pub metric: MetricKind,
    /// Whether the verdict depends on it.
    pub gating: bool,
    /// Accuracy of guessing.
    pub chance: f64,
    /// Where a healthy canary's accuracy should lie.
    pub band: Option<Band>,
    /// For [`MetricKind::Mean`]: the smallest and the largest possible score; none where scores have no bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(f64, f64)>,
    /// The dataset's file name and content.
    pub dataset: String,
    /// Digest of the dataset's content.
    pub digest: Digest,
    /// Samples asked.
    pub samples: usize,
}
