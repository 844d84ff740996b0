//! Subjects behind an API: what a plan says of them, checked as far as it can be without asking anybody.

mod address;
mod body;
mod key;
mod picks;
mod server;
mod service;
mod words;

use std::path::Path;

pub(super) use service::{spending, unpriced};
pub(super) use words::{called, could_score, engines_hint};

use crate::domain::{ApiSpec, Dialect, Preset, Service};
use crate::engine::api::preset;
use crate::suite::Section;

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

/// Reads a subject behind an API and how its endpoint is treated; faults are noted with the section.
pub(super) fn read(section: &Section<'_>, preset: Preset, root: &Path) -> (ApiSpec, Service) {
    let facts = preset::of(preset);
    let server = server::read(section, preset, root);
    let dialect = picks::dialect(section, preset);
    let key = key::read(section, preset, root);
    let region = picks::region(section, preset);
    let base_url = address::read(section, preset, (server.is_some(), key.is_some(), region.as_deref()));
    // The services' own dialects stand beside OpenAI's, not below it.
    let beside = matches!(dialect, Dialect::LlamaCpp | Dialect::Ollama);
    let base_url = base_url.strip_suffix("/v1").filter(|_| beside).map_or_else(|| base_url.clone(), str::to_owned);
    if let (Some(stated), Some(told)) = (&region, preset::region_of(&base_url))
        && !preset::lies_in(&told, stated)
    {
        let message = format!("the plan says region `{stated}`, and the address is one of region `{told}`");
        section.fault_at("region", message, Some("name an address in the region, or the region that it is"));
    }
    let model = picks::model(section, preset);
    let (extra, omit) = body::members(section);
    let (stream, batch) = (section.flag("stream").unwrap_or(false), section.flag("batch").unwrap_or(false));
    let word = preset.word();
    if batch && !facts.batch {
        let hint = format!("engines with batch APIs are {}; remove it", words::with_batch().join(", "));
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
    body::check_omitted(section, &spec);
    (spec, service::read(section))
}

/// Whether a preset is a program that can be started on one's own machine.
fn is_program(preset: Preset) -> bool {
    matches!(preset::of(preset).path, "self-hosted" | "gateway")
}

/// Notes a key that means nothing for this service.
fn only(section: &Section<'_>, key: &'static str, allowed: bool, preset: Preset) {
    if !allowed && section.has(key) {
        section.fault_at(key, format!("`{key}` means nothing for engine {}", preset.word()), Some("remove it"));
    }
}
