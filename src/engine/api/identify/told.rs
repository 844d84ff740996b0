//! The services' own words about models, read: lists, properties, deployments.

use serde_json::Value;

use super::{Found, template_digest};
use crate::domain::{ApiSpec, Digest, Preset};

/// How many names are shown where one is not there.
const SHOWN: usize = 4;

/// The models of a list: `data` in `OpenAI`'s manner, `models` in Ollama's.
pub(super) fn entries(list: &Value) -> Vec<&Value> {
    let of = |key: &str| list.get(key).and_then(Value::as_array);
    of("data").or_else(|| of("models")).into_iter().flatten().collect()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str().filter(|text| !text.is_empty())
}

fn count(value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_u64().filter(|count| *count > 0)
}

/// All names that a model has.
fn names(entry: &Value) -> Vec<&str> {
    let aliases = entry.get("aliases").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    ["id", "model", "name"].iter().filter_map(|key| text(entry, key)).chain(aliases).collect()
}

/// Whether a model of a list is the one with this name; Ollama's `:latest` need not be said.
pub(super) fn is_called(entry: &Value, model: &str) -> bool {
    names(entry).into_iter().any(|name| name == model || name.strip_suffix(":latest") == Some(model))
}

/// Whether what is not in a service's list is not there.
pub(super) fn lists_all(preset: Preset) -> bool {
    matches!(preset, Preset::Mistral | Preset::Openai | Preset::Deepseek | Preset::Vllm | Preset::Ollama)
}

/// The names of a list that are most like one.
pub(super) fn nearest(list: &[&Value], model: &str) -> Vec<String> {
    let mut names: Vec<&str> = list.iter().filter_map(|entry| names(entry).into_iter().next()).collect();
    names.sort_by(|a, b| strsim::jaro_winkler(b, model).total_cmp(&strsim::jaro_winkler(a, model)).then(a.cmp(b)));
    names.dedup();
    let more = names.len().saturating_sub(SHOWN);
    let mut shown: Vec<String> = names.into_iter().take(SHOWN).map(str::to_owned).collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    shown
}

/// What a list says of its model.
pub(super) fn model(spec: &ApiSpec, entry: &Value, found: &mut Found) {
    // Mistral names the model behind an alias `name`; others have no word for it in their lists.
    let behind = match spec.preset {
        Preset::Mistral => text(entry, "name"),
        Preset::Anthropic => text(entry, "id"),
        _ => None,
    };
    found.resolved = behind.filter(|behind| *behind != spec.model).map(str::to_owned);
    if let Some(behind) = &found.resolved {
        found.notes.push(format!("`{}` stands for {behind} today, and may stand for another model tomorrow", spec.model));
    }
    let context = ["max_model_len", "max_context_length", "max_input_tokens"].iter().find_map(|key| count(entry, key));
    found.context = context.map(|context| context as usize);
    if let Some(root) = text(entry, "root").filter(|root| *root != spec.model) {
        found.detail("model root", root);
    }
    if let Some(date) = text(entry, "deprecation").or_else(|| text(entry, "deprecation_date")) {
        found.notes.push(format!("the service says that the model is given up on {}", date.get(..10).unwrap_or(date)));
    }
    if let Some(digest) = text(entry, "digest").filter(|_| spec.preset == Preset::Ollama) {
        let digest = digest.strip_prefix("sha256:").unwrap_or(digest);
        found.weights = Some(Digest::new(format!("ollama:sha256:{digest}")));
        found.bytes = count(entry, "size").unwrap_or(0);
    }
    if let Some(meta) = entry.get("meta") {
        found.parameters = count(meta, "n_params").unwrap_or(0);
        found.bytes = count(meta, "size").unwrap_or(0);
        for (name, key) in [("vocabulary size", "n_vocab"), ("trained context", "n_ctx_train")] {
            if let Some(value) = count(meta, key) {
                found.detail(name, value.to_string());
            }
        }
    }
}

/// A llama.cpp server's `/props`; whether it was started for its subject.
pub(super) fn props(props: &Value, started: bool, found: &mut Found) {
    found.version("llama-server", text(props, "build_info"));
    found.template = text(props, "chat_template").map_or_else(Digest::untold, template_digest);
    let settings = props.get("default_generation_settings").unwrap_or(props);
    if let Some(context) = count(settings, "n_ctx").or_else(|| count(props, "n_ctx")) {
        found.context = Some(context as usize);
        found.detail("context", context.to_string());
    }
    found.slots = count(props, "total_slots").map(|slots| slots as usize);
    if let Some(kind) = text(props, "model_ftype") {
        found.quantization = Some(kind.to_lowercase().trim_end_matches(" - medium").to_owned());
    }
    // Of a server that was started, the plan says which file it reads.
    if let Some(path) = text(props, "model_path").filter(|_| !started) {
        found.notes.push(format!("the server reads its model from {path}"));
    }
}

/// Ollama's `/api/show`. Its template is one of Go's, which cannot be compared with others.
pub(super) fn shown(shown: &Value, found: &mut Found) {
    let details = shown.get("details").unwrap_or(shown);
    found.quantization = text(details, "quantization_level").map(str::to_lowercase);
    if let Some(source) = text(shown, "template") {
        found.detail("ollama template", template_digest(source).to_string());
    }
    if let Some(parameters) = text(shown, "parameters") {
        // A model's own file sets these; what a request says wins over them.
        found.detail("ollama parameters", parameters.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let Some(info) = shown.get("model_info").and_then(Value::as_object) else { return };
    found.parameters = info.get("general.parameter_count").and_then(Value::as_u64).unwrap_or(0);
    for (key, value) in info {
        if key.ends_with(".context_length")
            && let Some(context) = value.as_u64()
        {
            found.detail("trained context", context.to_string());
        }
        if key == "general.architecture"
            && let Some(architecture) = value.as_str()
        {
            found.detail("architecture", architecture);
        }
    }
}

/// `LiteLLM`'s `/model/info`: what stands behind a name.
pub(super) fn deployments(info: &Value, model: &str, found: &mut Found) {
    let behind: Vec<&Value> =
        entries(info).into_iter().filter(|entry| text(entry, "model_name").is_some_and(|name| name == model)).collect();
    let models = behind.iter().filter_map(|entry| text(entry.get("litellm_params")?, "model"));
    let mut models: Vec<&str> = models.collect();
    models.sort_unstable();
    models.dedup();
    match models.as_slice() {
        [] => found.notes.push(format!("the gateway does not say what stands behind `{model}`")),
        [one] => found.resolved = Some((*one).to_owned()).filter(|one| one != model),
        several => found.notes.push(format!("{} models stand behind `{model}`: {}", several.len(), several.join(", "))),
    }
    if !models.is_empty() {
        found.detail("gateway's models", models.join(", "));
    }
    let mut ids: Vec<&str> = behind.iter().filter_map(|entry| text(entry.get("model_info")?, "id")).collect();
    ids.sort_unstable();
    if !ids.is_empty() {
        found.detail("gateway's deployments", ids.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::super::super::http::Seen;
    use super::*;

    fn spec(preset: &str, model: &str) -> ApiSpec {
        let value = json!({"preset": preset, "dialect": "openai-chat", "base_url": "http://127.0.0.1:1/v1", "model": model});
        serde_json::from_value(value).expect("it is a subject")
    }

    fn found(spec: &ApiSpec) -> Found {
        let (words, headers) = (String::new(), HeaderMap::new());
        Found::new(spec, &Seen { status: 200, body: None, words, headers, address: None, issuer: None })
    }

    #[test]
    fn mistrals_aliases_are_resolved_and_its_dates_told() {
        // The fields of `BaseModelCard` in Mistral's OpenAPI document.
        let list = json!({"object": "list", "data": [
            {"id": "mistral-small-2506", "name": "mistral-small-2506", "aliases": ["mistral-small-latest"], "max_context_length": 131_072},
            {"id": "mistral-small-latest", "object": "model", "name": "mistral-small-2506", "aliases": ["mistral-small-2506"],
             "max_context_length": 131_072, "deprecation": "2026-07-31T12:00:00Z"}]});
        let spec = spec("mistral", "mistral-small-latest");
        let mut found = found(&spec);
        let list = entries(&list);
        let entry = list.iter().find(|entry| entry["id"] == "mistral-small-latest").expect("it is there");
        model(&spec, entry, &mut found);
        assert_eq!((found.resolved.as_deref(), found.context), (Some("mistral-small-2506"), Some(131_072)));
        assert!(found.notes.iter().any(|note| note.ends_with("given up on 2026-07-31")), "{:?}", found.notes);
        assert_eq!(nearest(&list, "mistral-smal-2506")[0], "mistral-small-2506");
    }

    #[test]
    fn a_llama_cpp_servers_properties_are_read() {
        // As in llama.cpp's tools/server/README.md, `GET /props` and `GET /v1/models`.
        let spec = spec("llama-server", "any");
        let mut found = found(&spec);
        let list = json!({"object": "list", "data": [{"id": "../models/x.gguf", "object": "model", "owned_by": "llamacpp",
            "meta": {"vocab_type": 2, "n_vocab": 128_256, "n_ctx_train": 131_072, "n_embd": 4096, "n_params": 8_030_261_312_u64, "size": 4_912_898_304_u64}}]});
        model(&spec, entries(&list)[0], &mut found);
        let told = json!({"default_generation_settings": {"id": 0, "n_ctx": 1024, "params": {}}, "total_slots": 2,
            "model_path": "../models/x.gguf", "chat_template": "{{ messages }}", "build_info": "b6123-0a1b2c3d"});
        props(&told, false, &mut found);
        assert_eq!((found.program.as_str(), found.context, found.slots), ("llama-server b6123-0a1b2c3d", Some(1024), Some(2)));
        assert_eq!((found.parameters, found.bytes), (8_030_261_312, 4_912_898_304));
        assert_eq!(found.template, template_digest("{{ messages }}"));
        assert!(!found.details.values().any(|value| value.contains("x.gguf")), "a path is no part of what a model is");
    }

    #[test]
    fn ollamas_digest_is_the_content() {
        // As in Ollama's docs/api.md, "List Local Models" and "Show Model Information".
        let spec = spec("ollama", "llama3.2");
        let mut found = found(&spec);
        let tags = json!({"models": [{"name": "llama3.2:latest", "model": "llama3.2:latest", "size": 2_019_393_189_u64,
            "digest": "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72",
            "details": {"format": "gguf", "quantization_level": "Q4_K_M"}}]});
        let entry = entries(&tags)[0];
        assert!(is_called(entry, "llama3.2") && is_called(entry, "llama3.2:latest") && !is_called(entry, "llama3"));
        model(&spec, entry, &mut found);
        let told = json!({"template": "{{ .Prompt }}", "details": {"quantization_level": "Q4_K_M"},
            "parameters": "stop    \"<|eot|>\"", "model_info": {"general.architecture": "llama",
            "general.parameter_count": 3_212_749_888_u64, "llama.context_length": 131_072}});
        shown(&told, &mut found);
        let weights = found.weights.clone().expect("it is told");
        assert!(weights.is_content() && weights.as_str().starts_with("ollama:sha256:a80c4f17"), "{weights}");
        assert_eq!((found.quantization.as_deref(), found.bytes), (Some("q4_k_m"), 2_019_393_189));
        assert!(!found.template.is_told(), "Go's templates are not comparable with others");
        assert_eq!(found.details["trained context"], "131072");
    }

    #[test]
    fn what_stands_behind_a_gateways_name_is_told() {
        let spec = spec("litellm", "small");
        let mut found = found(&spec);
        let info = json!({"data": [
            {"model_name": "small", "litellm_params": {"model": "openai/demo"}, "model_info": {"id": "b2"}},
            {"model_name": "small", "litellm_params": {"model": "openai/demo"}, "model_info": {"id": "a1"}},
            {"model_name": "large", "litellm_params": {"model": "x"}, "model_info": {"id": "c3"}}]});
        deployments(&info, "small", &mut found);
        assert_eq!(found.resolved.as_deref(), Some("openai/demo"));
        assert_eq!(found.details["gateway's deployments"], "a1, b2");
    }
}
