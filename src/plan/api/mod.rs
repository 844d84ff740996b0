//! Subjects behind an API: what a plan says of them, checked as far as it can be without asking anybody.

mod address;
mod body;
pub(super) mod facts;
mod key;
mod server;
mod service;

use std::path::Path;

pub(super) use service::{spending, unpriced};

use crate::domain::{ApiSpec, Dialect, Preset, Service};
use crate::suite::{Section, nearest};

/// The keys of a subject behind an API, for engines that have none of them.
pub(super) const KEYS: [&str; 21] = [
    "base_url",
    "api",
    "key_env",
    "key_file",
    "region",
    "project",
    "api_version",
    "stream",
    "batch",
    "extra",
    "omit",
    "headers",
    "insecure",
    "server",
    "command",
    "concurrency",
    "requests_per_minute",
    "tokens_per_minute",
    "timeout",
    "hedge",
    "price",
];

/// Words for other programs' engines, with what they are called here.
const ALIASES: [(&str, &str); 14] = [
    ("llamacpp", "llama-server"),
    ("llama.cpp", "llama-server"),
    ("llama-cpp", "llama-server"),
    ("azure-openai", "azure"),
    ("aws", "bedrock"),
    ("claude", "anthropic"),
    ("google", "vertex"),
    ("gemini", "vertex"),
    ("mistralai", "mistral"),
    ("sglang", "openai-compatible"),
    ("tgi", "openai-compatible"),
    ("lmstudio", "openai-compatible"),
    ("openrouter", "openai-compatible"),
    ("groq", "openai-compatible"),
];

/// The preset that an engine's word means, where it means one.
pub(super) fn preset(word: &str) -> Option<Preset> {
    Preset::ALL.iter().find(|(known, _)| *known == word).map(|(_, preset)| *preset)
}

/// What to do about an engine that nobody knows.
pub(super) fn engines_hint(word: &str) -> String {
    let presets = Preset::ALL.iter().map(|(known, _)| *known);
    let meant = ALIASES.iter().find(|(alias, _)| *alias == word).map(|(_, meant)| *meant);
    match meant.or_else(|| nearest(word, ["local", "scripted"].into_iter().chain(presets.clone()))) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let presets: Vec<&str> = presets.collect();
            format!("engines are `local`, `scripted` (dry runs) and, over HTTP, {}", presets.join(", "))
        }
    }
}

/// Reads a subject behind an API and how its endpoint is treated; faults are noted with the section.
pub(super) fn read(section: &Section<'_>, preset: Preset, root: &Path) -> (ApiSpec, Service) {
    let facts = facts::of(preset);
    let server = server::read(section, preset, root);
    let dialect = dialect(section, preset);
    let key = key::read(section, preset, root);
    let region = region(section, preset);
    let base_url = address::read(section, preset, (server.is_some(), key.is_some(), region.as_deref()));
    let model = model(section, preset);
    let (extra, omit) = body::members(section);
    let (stream, batch) = (section.flag("stream").unwrap_or(false), section.flag("batch").unwrap_or(false));
    let word = preset.word();
    if batch && !facts.batch {
        let hint = format!("engines with batch APIs are {}; remove it", facts::with_batch().join(", "));
        section.fault_at("batch", format!("engine {word} has no batch API"), Some(&hint));
    } else if batch && stream {
        let hint = "a job's answers come all at once: remove one of the two";
        section.fault_at("stream", "`stream` and `batch` exclude each other", Some(hint));
    }
    only(section, "project", preset == Preset::Vertex, preset);
    only(section, "api_version", preset == Preset::Azure, preset);
    let project = section.text("project");
    if preset == Preset::Vertex && project.is_none() && !section.has("base_url") {
        section.fault(format!("{} has no `project`", section.name()), Some("name the project that Vertex AI bills"));
    }
    let spec = ApiSpec {
        preset,
        dialect,
        base_url,
        model,
        key,
        region,
        project,
        api_version: section.text("api_version"),
        stream,
        batch,
        extra,
        omit,
        headers: body::headers(section),
        tokenizer: super::subjects::existing(section, "tokenizer", root),
        server,
    };
    (spec, service::read(section))
}

/// Reads the model's name.
fn model(section: &Section<'_>, preset: Preset) -> String {
    let hint = match preset {
        Preset::LlamaServer => {
            "name the GGUF file that a server is to be started with, or with `base_url` the model that one serves"
        }
        Preset::Azure => "name the deployment, or the model where the endpoint serves one",
        Preset::Bedrock => "name the model or inference profile by its id: model = \"mistral.mistral-large-2407-v1:0\"",
        _ => "name the model as the service does; a name that moves, such as …-latest, is resolved and recorded",
    };
    let model = section.required_text("model", hint);
    if section.has("model") && (model.trim().is_empty() || model.chars().any(char::is_control)) {
        section.fault_at("model", "the model's name is empty, or has a line break in it", None);
    }
    model
}

/// Reads the dialect, which `api` picks among those of the service.
fn dialect(section: &Section<'_>, preset: Preset) -> Dialect {
    let dialects = facts::of(preset).dialects;
    let default = dialects[0];
    let Some(given) = section.text("api") else { return default };
    let native = |dialect: &Dialect| !matches!(dialect, Dialect::OpenaiChat | Dialect::OpenaiCompletions);
    let words: [(&str, Option<Dialect>); 3] = [
        ("chat", dialects.iter().copied().find(|dialect| *dialect == Dialect::OpenaiChat)),
        ("completions", dialects.iter().copied().find(|dialect| *dialect == Dialect::OpenaiCompletions)),
        ("native", dialects.iter().copied().find(native)),
    ];
    let there: Vec<&str> = words.iter().filter(|(_, dialect)| dialect.is_some()).map(|(word, _)| *word).collect();
    match words.iter().find(|(word, _)| *word == given) {
        Some((_, Some(dialect))) => return *dialect,
        Some((_, None)) => {
            let hint = format!("it has {}", there.join(", "));
            section.fault_at("api", format!("engine {} has no `{given}` API", preset.word()), Some(&hint));
        }
        None => {
            let hint = nearest(&given, there.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            section.fault_at("api", format!("`api` is one of {}, not `{given}`", there.join(", ")), hint.as_deref());
        }
    }
    default
}

/// Reads the region: where a plan says that answers come from, and for clouds a part of the address.
fn region(section: &Section<'_>, preset: Preset) -> Option<String> {
    let region = section.text("region");
    if let Some(region) = &region {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if region.is_empty() || !region.chars().all(good) {
            let hint = "a region is a word such as `eu`, or a cloud's own name, such as `eu-west-1` or `europe-west4`";
            section.fault_at("region", format!("`{region}` is no region"), Some(hint));
        }
    } else if matches!(preset, Preset::Bedrock | Preset::Vertex) && !section.has("base_url") && !section.has("region") {
        let example = if preset == Preset::Bedrock { "eu-west-1" } else { "europe-west4" };
        let hint = format!("the address depends on it: region = \"{example}\"");
        section.fault(format!("{} has no `region`", section.name()), Some(&hint));
    }
    region
}

/// Notes a key that means nothing for this service.
fn only(section: &Section<'_>, key: &'static str, allowed: bool, preset: Preset) {
    if !allowed && section.has(key) {
        section.fault_at(key, format!("`{key}` means nothing for engine {}", preset.word()), Some("remove it"));
    }
}
