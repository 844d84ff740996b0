//! What a plan need not say of a known service, and what such a service can do.

use crate::domain::{Dialect, Preset};

/// What is known of a preset.
pub(in super::super) struct Facts {
    /// Its address, where it has one of its own.
    base_url: Option<&'static str>,
    /// The environment variable that usually holds its key; none where it wants none.
    pub(super) key: Option<&'static str>,
    /// How it can be spoken to, the usual way first.
    pub(super) dialects: &'static [Dialect],
    /// Whether it takes jobs.
    pub(super) batch: bool,
    /// Whether it is a program that can be started on one's own machine …
    pub(super) own: bool,
    /// … and whether it is known which.
    pub(super) program: bool,
}

/// What is known of a preset.
pub(in super::super) fn of(preset: Preset) -> Facts {
    use Dialect::{OpenaiChat as Chat, OpenaiCompletions as Completions};
    let service = |base_url, key, dialects| Facts { base_url, key, dialects, batch: false, own: false, program: false };
    let own = |base_url, dialects| Facts { own: true, ..service(base_url, None, dialects) };
    match preset {
        Preset::Mistral => {
            Facts { batch: true, ..service(Some("https://api.mistral.ai/v1"), Some("MISTRAL_API_KEY"), &[Dialect::Mistral]) }
        }
        Preset::Openai => {
            Facts { batch: true, ..service(Some("https://api.openai.com/v1"), Some("OPENAI_API_KEY"), &[Chat, Completions]) }
        }
        Preset::Azure => service(None, Some("AZURE_OPENAI_API_KEY"), &[Chat]),
        Preset::Deepseek => service(Some("https://api.deepseek.com/v1"), Some("DEEPSEEK_API_KEY"), &[Chat]),
        Preset::Vllm => Facts { program: true, ..own(Some("http://localhost:8000/v1"), &[Completions, Chat]) },
        Preset::LlamaServer => {
            Facts { program: true, ..own(Some("http://localhost:8080"), &[Dialect::LlamaCpp, Chat, Completions]) }
        }
        Preset::Ollama => own(Some("http://localhost:11434"), &[Dialect::Ollama, Chat]),
        Preset::Litellm => own(Some("http://localhost:4000/v1"), &[Chat, Completions]),
        Preset::Anthropic => {
            Facts { batch: true, ..service(Some("https://api.anthropic.com"), Some("ANTHROPIC_API_KEY"), &[Dialect::Anthropic]) }
        }
        Preset::Bedrock => service(None, Some("AWS_BEARER_TOKEN_BEDROCK"), &[Dialect::Bedrock]),
        Preset::Vertex => service(None, Some("GOOGLE_OAUTH_ACCESS_TOKEN"), &[Dialect::Vertex]),
        Preset::OpenaiCompatible => own(None, &[Chat, Completions]),
    }
}

/// The address of a preset's own service; none where a plan must name it.
pub(super) fn base_url(preset: Preset, region: Option<&str>) -> Option<String> {
    match (preset, region) {
        (Preset::Bedrock, Some(region)) => Some(format!("https://bedrock-runtime.{region}.amazonaws.com")),
        (Preset::Vertex, Some(region)) => Some(format!("https://{region}-aiplatform.googleapis.com")),
        _ => of(preset).base_url.map(str::to_owned),
    }
}

/// The presets that take jobs.
pub(super) fn with_batch() -> Vec<&'static str> {
    Preset::ALL.iter().filter(|(_, preset)| of(*preset).batch).map(|(word, _)| *word).collect()
}
