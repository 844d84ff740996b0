//! What a plan need not say of a known service: its address, its key, its dialect, and what it can do.
//!
//! The facts are those of the services' public documentation; a plan overrides each that can differ between installations.

pub use crate::domain::lies_in;
use crate::domain::{ApiSpec, Dialect, Preset};

/// Where a service wants its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `api-key: KEY`.
    ApiKey,
    /// `x-api-key: KEY`.
    XApiKey,
    /// An API key as bearer, or a signature with AWS credentials (SigV4).
    Aws,
}

/// How the log-likelihood of a given text is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scoring {
    /// It can't be: the service tells nothing about texts that it did not generate.
    None,
    /// The service tells the log-probabilities of a prompt's tokens.
    Echo,
    /// The text is read token by token, and the service tells the log-probability of each as its next one.
    Forced,
}

/// What is known of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub struct Facts {
    /// Its address, `{region}` to be filled in; none where every installation has its own.
    pub base_url: Option<&'static str>,
    /// The environment variable that usually holds its key.
    pub key_variable: &'static str,
    /// Whether it never answers without a key.
    pub key_needed: bool,
    /// Where the key goes; [`key_place`] knows the exceptions.
    pub key_place: KeyPlace,
    /// The dialects that it speaks, the default first.
    pub dialects: &'static [Dialect],
    /// Most requests under way, where the plan says nothing.
    pub concurrency: usize,
    /// The way that requests take: `managed API`, `cloud marketplace`, `gateway` or `self-hosted`.
    pub path: &'static str,
    /// Of how many of the likeliest tokens it can tell the log-probability beside each generated one; 0 for none, `u32::MAX` for
    /// the whole vocabulary.
    pub top: u32,
    /// Whether tools can be offered.
    pub tools: bool,
    /// Whether many requests can be handed in as one job.
    pub batch: bool,
    /// Whether sampling can be seeded.
    pub seed: bool,
    /// Path from the server's root that answers 200 when it is up; asks for no key.
    pub health: Option<&'static str>,
    /// Path from the server's root that lists its models.
    pub models: Option<&'static str>,
}

/// A managed API in OpenAI's manner: what the others are told apart from.
const MANAGED: Facts = Facts {
    base_url: None,
    key_variable: "OPENAI_API_KEY",
    key_needed: true,
    key_place: KeyPlace::Bearer,
    dialects: &[Dialect::OpenaiChat],
    concurrency: 16,
    path: "managed API",
    top: 0,
    tools: true,
    batch: false,
    seed: true,
    health: None,
    models: Some("/v1/models"),
};

const MISTRAL: Facts = Facts {
    base_url: Some("https://api.mistral.ai/v1"),
    key_variable: "MISTRAL_API_KEY",
    dialects: &[Dialect::Mistral],
    concurrency: 8,
    batch: true,
    ..MANAGED
};

const OPENAI: Facts = Facts {
    base_url: Some("https://api.openai.com/v1"),
    dialects: &[Dialect::OpenaiChat, Dialect::OpenaiCompletions],
    concurrency: 32,
    top: 20,
    batch: true,
    ..MANAGED
};

const AZURE: Facts =
    Facts { key_variable: "AZURE_OPENAI_API_KEY", key_place: KeyPlace::ApiKey, path: "cloud marketplace", top: 20, ..MANAGED };

const DEEPSEEK: Facts = Facts {
    base_url: Some("https://api.deepseek.com/v1"),
    key_variable: "DEEPSEEK_API_KEY",
    concurrency: 32,
    top: 20,
    seed: false,
    ..MANAGED
};

const VLLM: Facts = Facts {
    base_url: Some("http://localhost:8000/v1"),
    key_variable: "VLLM_API_KEY",
    key_needed: false,
    dialects: &[Dialect::OpenaiCompletions, Dialect::OpenaiChat],
    concurrency: 64,
    path: "self-hosted",
    top: 20,
    health: Some("/health"),
    ..MANAGED
};

const LLAMA_SERVER: Facts = Facts {
    base_url: Some("http://localhost:8080"),
    key_variable: "LLAMA_API_KEY",
    key_needed: false,
    dialects: &[Dialect::LlamaCpp, Dialect::OpenaiChat, Dialect::OpenaiCompletions],
    concurrency: 8,
    path: "self-hosted",
    top: u32::MAX,
    health: Some("/health"),
    ..MANAGED
};

const OLLAMA: Facts = Facts {
    base_url: Some("http://localhost:11434"),
    key_variable: "OLLAMA_API_KEY",
    key_needed: false,
    dialects: &[Dialect::Ollama, Dialect::OpenaiChat],
    concurrency: 4,
    path: "self-hosted",
    top: 20,
    health: Some("/api/version"),
    models: Some("/api/tags"),
    ..MANAGED
};

const LITELLM: Facts = Facts {
    base_url: Some("http://localhost:4000/v1"),
    key_variable: "LITELLM_API_KEY",
    key_needed: false,
    dialects: &[Dialect::OpenaiChat, Dialect::OpenaiCompletions],
    concurrency: 32,
    path: "gateway",
    seed: false,
    health: Some("/health/liveliness"),
    ..MANAGED
};

const ANTHROPIC: Facts = Facts {
    base_url: Some("https://api.anthropic.com"),
    key_variable: "ANTHROPIC_API_KEY",
    key_place: KeyPlace::XApiKey,
    dialects: &[Dialect::Anthropic],
    concurrency: 8,
    batch: true,
    seed: false,
    ..MANAGED
};

const BEDROCK: Facts = Facts {
    base_url: Some("https://bedrock-runtime.{region}.amazonaws.com"),
    key_variable: "AWS_BEARER_TOKEN_BEDROCK",
    key_place: KeyPlace::Aws,
    dialects: &[Dialect::Bedrock],
    concurrency: 8,
    path: "cloud marketplace",
    seed: false,
    models: None,
    ..MANAGED
};

const VERTEX: Facts = Facts {
    base_url: Some("https://{region}-aiplatform.googleapis.com"),
    key_variable: "GOOGLE_OAUTH_ACCESS_TOKEN",
    dialects: &[Dialect::Vertex],
    concurrency: 8,
    path: "cloud marketplace",
    models: None,
    ..MANAGED
};

const COMPATIBLE: Facts =
    Facts { key_needed: false, dialects: &[Dialect::OpenaiChat, Dialect::OpenaiCompletions], path: "self-hosted", ..MANAGED };

/// What is known of a service.
#[must_use]
pub const fn of(preset: Preset) -> &'static Facts {
    match preset {
        Preset::Mistral => &MISTRAL,
        Preset::Openai => &OPENAI,
        Preset::Azure => &AZURE,
        Preset::Deepseek => &DEEPSEEK,
        Preset::Vllm => &VLLM,
        Preset::LlamaServer => &LLAMA_SERVER,
        Preset::Ollama => &OLLAMA,
        Preset::Litellm => &LITELLM,
        Preset::Anthropic => &ANTHROPIC,
        Preset::Bedrock => &BEDROCK,
        Preset::Vertex => &VERTEX,
        Preset::OpenaiCompatible => &COMPATIBLE,
    }
}

/// A service's address, its region filled in; none where the plan must give it, or the region that it goes by.
#[must_use]
pub fn base_url(preset: Preset, region: Option<&str>) -> Option<String> {
    let address = of(preset).base_url?;
    if !address.contains("{region}") {
        return Some(address.to_owned());
    }
    region.map(|region| address.replace("{region}", region))
}

/// Where a subject's key goes: Azure's serverless endpoints want it as a bearer, its OpenAI resources do not.
#[must_use]
pub fn key_place(spec: &ApiSpec) -> KeyPlace {
    if is_serverless(spec) { KeyPlace::Bearer } else { of(spec.preset).key_place }
}

/// Whether a subject is one of Azure's serverless endpoints, which serve other makers' models in their makers' manner.
pub(super) fn is_serverless(spec: &ApiSpec) -> bool {
    let host = host_of(&spec.base_url);
    spec.preset == Preset::Azure && (host.ends_with(".inference.ai.azure.com") || host.ends_with(".models.ai.azure.com"))
}

/// How the log-likelihood of given texts is found for a subject.
///
/// OpenAI's own completions tell it for its two base models alone.
#[must_use]
pub fn scoring(spec: &ApiSpec) -> Scoring {
    match (spec.preset, spec.dialect) {
        (Preset::Openai, Dialect::OpenaiCompletions) if is_base(&spec.model) => Scoring::Echo,
        (Preset::Openai | Preset::Azure | Preset::LlamaServer | Preset::Ollama, Dialect::OpenaiCompletions) => Scoring::None,
        (_, Dialect::OpenaiCompletions) => Scoring::Echo,
        (_, Dialect::LlamaCpp) => Scoring::Forced,
        _ => Scoring::None,
    }
}

/// OpenAI's base models and what was tuned from them.
fn is_base(model: &str) -> bool {
    ["babbage-002", "davinci-002"].iter().any(|base| model == *base || model.starts_with(&format!("ft:{base}:")))
}

/// The presets that can give log-likelihoods, whatever the model, each with what a plan adds where its default dialect does not.
#[must_use]
pub fn could_score() -> Vec<&'static str> {
    vec!["vllm", "llama-server", r#"litellm (api = "completions")"#, r#"openai-compatible (api = "completions")"#]
}

/// Whether a subject continues a prompt as it is; otherwise it is sent as one message of a user.
#[must_use]
pub fn raw(spec: &ApiSpec) -> bool {
    match spec.dialect {
        Dialect::OpenaiCompletions | Dialect::LlamaCpp | Dialect::Ollama => true,
        Dialect::Mistral | Dialect::Vertex => is_code_model(&spec.model),
        Dialect::OpenaiChat | Dialect::Anthropic | Dialect::Bedrock => false,
    }
}

/// Whether a model of Mistral's fills in the middle: Codestral, but not its embeddings.
pub(super) fn is_code_model(model: &str) -> bool {
    model.starts_with("codestral") && !model.contains("embed") && !model.contains("mamba")
}

/// Whether a subject takes conversations: OpenAI's legacy completions do not.
#[must_use]
pub fn chat(spec: &ApiSpec) -> bool {
    !(spec.dialect == Dialect::OpenaiCompletions && matches!(spec.preset, Preset::Openai | Preset::Azure))
}

/// A path of OpenAI's protocol behind a subject's address: with `/v1` in front where the address is a bare host.
pub(super) fn api_path(spec: &ApiSpec, path: &str) -> String {
    let bare = !after_scheme(&spec.base_url).contains('/');
    let prefix = match spec.preset {
        _ if !bare => "",
        Preset::Azure if !is_serverless(spec) => "/openai/v1",
        _ => "/v1",
    };
    match &spec.api_version {
        Some(version) if spec.preset == Preset::Azure => format!("{prefix}{path}?api-version={version}"),
        _ => format!("{prefix}{path}"),
    }
}

/// A path from a server's root, behind an address that may end with `/v1`: URLs resolve the dots.
pub(super) fn root_path(base_url: &str, path: &str) -> String {
    if base_url.ends_with("/v1") { format!("/..{path}") } else { path.to_owned() }
}

/// The path behind a subject's address that lists its service's models.
pub(super) fn models_path(spec: &ApiSpec) -> Option<String> {
    let path = of(spec.preset).models?;
    Some(
        path.strip_prefix("/v1")
            .filter(|_| spec.preset != Preset::Anthropic)
            .map_or_else(|| root_path(&spec.base_url, path), |path| api_path(spec, path)),
    )
}

/// The path behind a subject's address that tells whether its server is up.
pub(super) fn health_path(spec: &ApiSpec) -> Option<String> {
    of(spec.preset).health.map(|path| root_path(&spec.base_url, path))
}

/// An address without its scheme.
fn after_scheme(base_url: &str) -> &str {
    base_url.split_once("://").map_or(base_url, |(_, rest)| rest)
}

/// An address's host, without port.
fn host_of(base_url: &str) -> &str {
    let authority = after_scheme(base_url).split(['/', '?']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    if authority.starts_with('[') {
        return authority.split_inclusive(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

/// The region that a host's name tells, as its service writes it; none where it tells none.
///
/// Mistral's own API is served from the EU by default, DeepSeek's from China (their terms).
#[must_use]
pub fn region_of(host: &str) -> Option<String> {
    let host = host_of(host).to_ascii_lowercase();
    let told = |region: &str| Some(region.to_owned());
    match host.as_str() {
        "api.mistral.ai" => return told("eu"),
        "api.deepseek.com" => return told("cn"),
        "aiplatform.googleapis.com" => return told("global"),
        _ => {}
    }
    if let Some(region) = host.strip_suffix("-aiplatform.googleapis.com") {
        return told(region);
    }
    let labels: Vec<&str> = host.split('.').collect();
    let before = |suffix: &str| {
        let rest = host.strip_suffix(suffix)?;
        rest.rsplit('.').next().filter(|region| !region.is_empty()).map(str::to_owned)
    };
    if host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn") || host.ends_with(".api.aws") {
        return labels.iter().find(|label| is_aws_region(label)).map(|&label| label.to_owned());
    }
    [".rep.googleapis.com", ".api.cognitive.microsoft.com", ".inference.ai.azure.com", ".models.ai.azure.com", ".api.openai.com"]
        .into_iter()
        .find_map(before)
}

/// Whether a label is one of AWS's regions: `eu-west-3`, `us-gov-east-1`.
fn is_aws_region(label: &str) -> bool {
    let parts: Vec<&str> = label.split('-').collect();
    let [area, .., number] = parts.as_slice() else { return false };
    let lettered = parts[..parts.len() - 1].iter().all(|part| part.chars().all(|c| c.is_ascii_lowercase()));
    parts.len() >= 3 && area.len() == 2 && lettered && number.parse::<u8>().is_ok()
}

/// The way that requests to a host take, in the words of [`Facts::path`]; `this machine` for a loopback address. A service that
/// is only known by its protocol is self-hosted if its host is of a private network, else a managed API.
#[must_use]
pub fn path_of(preset: Preset, host: &str) -> &'static str {
    let host = host_of(host);
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().ok();
    if is_here(host, address) {
        // A gateway here still passes requests on.
        return if preset == Preset::Litellm { "gateway" } else { "this machine" };
    }
    let private = match address {
        Some(std::net::IpAddr::V4(address)) => address.is_private() || address.is_link_local(),
        Some(std::net::IpAddr::V6(address)) => address.is_unique_local() || address.is_unicast_link_local(),
        None => !host.contains('.') || matches!(host.rsplit('.').next(), Some("local" | "internal" | "svc")),
    };
    if preset == Preset::OpenaiCompatible && !private { "managed API" } else { of(preset).path }
}

fn is_here(host: &str, address: Option<std::net::IpAddr>) -> bool {
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
#[path = "tests/preset.rs"]
mod tests;
