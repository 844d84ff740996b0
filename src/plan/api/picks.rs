//! What a plan picks of a service: the model, the dialect and the region.

use crate::domain::{Dialect, Preset};
use crate::engine::api::preset;
use crate::suite::{Section, nearest};

/// Reads the model's name.
pub(super) fn model(section: &Section<'_>, preset: Preset) -> String {
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
pub(super) fn dialect(section: &Section<'_>, preset: Preset) -> Dialect {
    let dialects = preset::of(preset).dialects;
    let default = dialects[0];
    let Some(given) = section.text("api") else { return default };
    let native = |dialect: &Dialect| !matches!(dialect, Dialect::OpenaiChat | Dialect::OpenaiCompletions);
    let words: [(&str, Option<Dialect>); 3] = [
        // A service's only API is one of conversations.
        ("chat", dialects.iter().copied().find(|dialect| *dialect == Dialect::OpenaiChat || dialects.len() == 1)),
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
pub(super) fn region(section: &Section<'_>, preset: Preset) -> Option<String> {
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
