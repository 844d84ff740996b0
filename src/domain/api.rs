//! Subjects behind an API: which service, in which dialect it is spoken to, and the server that may be started for it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A service by the name that a plan gives it; each is a dialect with that service's address, key and habits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Mistral's own API.
    Mistral,
    /// OpenAI's own API.
    Openai,
    /// Azure's OpenAI v1 API and its serverless endpoints.
    Azure,
    /// DeepSeek's own API.
    Deepseek,
    /// A vLLM server.
    Vllm,
    /// llama.cpp's server.
    LlamaServer,
    /// An Ollama server.
    Ollama,
    /// A LiteLLM proxy.
    Litellm,
    /// Anthropic's own API.
    Anthropic,
    /// Amazon Bedrock's runtime.
    Bedrock,
    /// Google's Vertex AI, Mistral's models there.
    Vertex,
    /// Anything that speaks OpenAI's protocol.
    OpenaiCompatible,
}

/// How requests and answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// OpenAI's chat completions.
    OpenaiChat,
    /// OpenAI's completions: raw prompts, and where the server can, the log-probabilities of a prompt.
    OpenaiCompletions,
    /// Mistral's chat completions and fill-in-the-middle.
    Mistral,
    /// Ollama's own `/api/chat` and `/api/generate`.
    Ollama,
    /// llama.cpp's own `/completion`, `/tokenize` and `/apply-template`.
    LlamaCpp,
    /// Anthropic's messages.
    Anthropic,
    /// Bedrock's Converse.
    Bedrock,
    /// Vertex AI's `rawPredict` with Mistral's bodies.
    Vertex,
}

/// Where a secret is found; never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// The environment variable of this name.
    Env(String),
    /// The first line of this file.
    File(PathBuf),
}

/// A server that is started for a subject alone and stopped after the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSpec {
    /// The program and its arguments, as a plan writes them; `{port}`, `{host}` and `{model}` are filled in. The preset's own
    /// program where empty.
    pub command: Vec<String>,
    /// The model file that it serves, if it is one on this machine.
    pub model: Option<PathBuf>,
    /// Most tokens of prompt and answer together, for each request.
    pub context: Option<u32>,
    /// Requests that it works on at once.
    pub parallel: Option<u32>,
    /// Threads that it computes with.
    pub threads: Option<u32>,
    /// Type of its key–value cache: `f16`, `q8_0`, ….
    pub kv_cache: Option<String>,
    /// Further arguments, as written.
    pub args: Vec<String>,
}

/// A subject behind an API: everything about it that can change an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiSpec {
    /// The service.
    pub preset: Preset,
    /// How it is spoken to.
    pub dialect: Dialect,
    /// Scheme, host, port and path before the dialect's own, without a slash at the end; empty where a server is started.
    pub base_url: String,
    /// The model as the service names it.
    pub model: String,
    /// Where the key is found; none where the service wants none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySource>,
    /// The region that the plan says the answers come from: `eu`, `us-east-1`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Vertex AI's project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Azure's version of its API, where the address wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Whether answers are read as they are written, which shows the time to the first token.
    #[serde(default)]
    pub stream: bool,
    /// Whether all requests of a task are handed in as one job, to be fetched when it is done.
    #[serde(default)]
    pub batch: bool,
    /// Members added to the body of every request, over the dialect's own.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// Members left out of every request's body, for models that refuse them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omit: Vec<String>,
    /// Headers added to every request; never a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The model's tokenizer.json on this machine, to check the service's tokens against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// The server to start; none where one is running already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerSpec>,
}

impl Preset {
    /// Every preset with its word in a plan.
    pub const ALL: [(&'static str, Self); 12] = [
        ("mistral", Self::Mistral),
        ("openai", Self::Openai),
        ("azure", Self::Azure),
        ("deepseek", Self::Deepseek),
        ("vllm", Self::Vllm),
        ("llama-server", Self::LlamaServer),
        ("ollama", Self::Ollama),
        ("litellm", Self::Litellm),
        ("anthropic", Self::Anthropic),
        ("bedrock", Self::Bedrock),
        ("vertex", Self::Vertex),
        ("openai-compatible", Self::OpenaiCompatible),
    ];

    /// Its word in a plan.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, preset)| *preset == self).map_or("", |(word, _)| word)
    }
}
