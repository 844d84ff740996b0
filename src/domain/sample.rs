//! Samples: one item of a task, rendered and ready to be asked.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Constraint, Request, SampleId};

/// What a right answer is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "lowercase")]
pub enum Target {
    /// Any of these texts.
    Text(Vec<String>),
    /// The option at this index.
    Option(usize),
    /// A tool call: an object with `name` and `arguments`.
    Call(serde_json::Value),
    /// This value, or some of its fields.
    Json(serde_json::Value),
    /// Anything that looks like this.
    Shape(Constraint),
    /// Nothing to be right about (perplexity).
    None,
}

/// One item of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Unique within its task.
    pub id: SampleId,
    /// The group that it is reported under (language, length, difficulty).
    pub slice: Option<String>,
    /// Items with the same cluster are not independent (a shared passage or template).
    pub cluster: Option<String>,
    /// What is asked.
    pub request: Request,
    /// What would be right.
    pub target: Target,
}

/// What a journal keeps of a sample, so that reports need no dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleCard {
    /// Unique within its task.
    pub id: SampleId,
    /// The group that it is reported under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// The cluster that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The prompt as a person would read it.
    pub prompt: String,
    /// The right answer as a person would read it; empty for perplexity.
    pub target: String,
    /// For choice tasks, the options.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Sample {
    /// The card of this sample, for the journal.
    #[must_use]
    pub fn card(&self) -> SampleCard {
        let (prompt, options) = match &self.request {
            Request::Choice { context, options } => (context.clone(), options.clone()),
            Request::Generate { prompt, .. } => (prompt.clone(), Vec::new()),
            Request::Chat { messages, .. } => {
                let lines: Vec<String> = messages.iter().map(|m| format!("{}: {}", m.role, m.content)).collect();
                (lines.join("\n"), Vec::new())
            }
            Request::Perplexity { text } => (text.clone(), Vec::new()),
        };
        let target = match &self.target {
            Target::Text(accepted) => accepted.join(" | "),
            Target::Option(index) => options.get(*index).cloned().unwrap_or_default(),
            Target::Call(value) | Target::Json(value) => value.to_string(),
            Target::Shape(shape) => shape.to_string(),
            Target::None => String::new(),
        };
        SampleCard { id: self.id.clone(), slice: self.slice.clone(), cluster: self.cluster.clone(), prompt, target, options }
    }
}

/// Whether any two of a task's samples share a cluster, so that they are not independent; takes each sample's cluster.
pub fn share_clusters<'a>(clusters: impl Iterator<Item = Option<&'a str>>) -> bool {
    let mut seen = HashSet::new();
    clusters.flatten().any(|cluster| !seen.insert(cluster))
}
