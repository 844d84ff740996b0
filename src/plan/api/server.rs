//! Servers that are started for a subject: the program, its model and its settings.

use std::path::{Path, PathBuf};

use super::is_program;
use crate::domain::{Preset, ServerSpec};
use crate::suite::{Section, nearest};

/// Types of llama.cpp's key–value cache.
const CACHES: [&str; 9] = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"];

/// What is filled into a command.
const BLANKS: [&str; 3] = ["port", "host", "model"];

/// Reads `server` and `command`; none where a running server is asked.
pub(super) fn read(section: &Section<'_>, preset: Preset, root: &Path) -> Option<ServerSpec> {
    let table = section.table("server", "server");
    let asked = section.has("server") || section.has("command");
    if asked && !is_program(preset) {
        let key = if section.has("server") { "server" } else { "command" };
        let hint = "remove it; servers are started for llama-server, vllm and openai-compatible";
        section.fault_at(key, format!("engine {} is a service: no server is started for it", preset.word()), Some(hint));
        section.skip(&["command", "server"]);
        return None;
    }
    // A llama-server without an address is one to be started.
    let own = preset == Preset::LlamaServer && !section.has("base_url");
    if !asked && !own {
        return None;
    }
    let command = command(section, table.as_ref(), preset);
    let whole = command.iter().any(|word| word.contains("{port}"));
    let mut server =
        ServerSpec { command, model: None, context: None, parallel: None, threads: None, kv_cache: None, args: Vec::new() };
    if let Some(table) = &table {
        server.context = count(table, "context", 16..=16_777_216);
        server.parallel = count(table, "parallel", 1..=1024);
        server.threads = count(table, "threads", 1..=4096);
        server.kv_cache = table.word("kv_cache", &CACHES.map(|word| (word, word))).map(str::to_owned);
        server.args = table.texts("args").unwrap_or_default();
        for key in ["context", "threads", "kv_cache"].into_iter().filter(|key| whole && table.has(key)) {
            let hint = "a command with {port} is run as it is: write the server's own flag into it";
            table.fault_at(key, format!("`{key}` means nothing beside a command of one's own"), Some(hint));
        }
        table.close();
    }
    server.model = model(section, preset, (&server, whole), root);
    Some(server)
}

/// Reads the program with its arguments; empty for llama-server from the search path.
fn command(section: &Section<'_>, table: Option<&Section<'_>>, preset: Preset) -> Vec<String> {
    let within = table.filter(|table| table.has("command"));
    if within.is_some() && section.has("command") {
        section.fault_at("command", format!("{} has two commands", section.name()), Some("keep one of them"));
    }
    let section = within.unwrap_or(section);
    let Some(command) = section.texts("command") else {
        if !section.has("command") && preset != Preset::LlamaServer {
            let hint =
                "give it the program and its arguments: command = [\"vllm\", \"serve\", \"my/model\", \"--port\", \"{port}\"]";
            section.fault(format!("{} has a server to start, and no `command`", section.name()), Some(hint));
        }
        return Vec::new();
    };
    if command.first().is_none_or(String::is_empty) {
        section.fault_at(
            "command",
            "`command` names no program",
            Some("its first text is the program, the others its arguments"),
        );
        return command;
    }
    let blanks: Vec<&str> = command.iter().flat_map(|text| blanks(text)).collect();
    if let Some(unknown) = blanks.iter().find(|blank| !BLANKS.contains(blank)) {
        let hint = match nearest(unknown, BLANKS) {
            Some(near) => format!("did you mean `{{{near}}}`?"),
            None => "what is filled in are {port}, {host} and {model}".to_owned(),
        };
        section.fault_at("command", format!("nothing is known to fill in for `{{{unknown}}}`"), Some(&hint));
    } else if !blanks.contains(&"port") && preset != Preset::LlamaServer {
        let hint = "the server is given a free port: write {port} where its command takes it, as in \"--port\", \"{port}\"";
        section.fault_at("command", "`command` has no {port}", Some(hint));
    }
    command
}

/// The words in braces of a text that are no JSON: letters alone.
fn blanks(text: &str) -> Vec<&str> {
    let parts = text.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(word, _)| word);
    parts.filter(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')).collect()
}

/// The model's file where it is one on this machine; llama-server without a command of one's own serves no other.
fn model(section: &Section<'_>, preset: Preset, (server, whole): (&ServerSpec, bool), root: &Path) -> Option<PathBuf> {
    let path = PathBuf::from(section.text("model")?);
    if root.join(&path).exists() {
        return Some(path);
    }
    let named = server.command.iter().chain(&server.args).any(|word| word.contains("{model}"));
    if named || (preset == Preset::LlamaServer && !whole) {
        let hint =
            "paths start from the plan's folder; with `base_url` a server that runs already is asked, and the model is a name";
        section.fault_at("model", format!("there is no model {}", path.display()), Some(hint));
    }
    None
}

fn count(table: &Section<'_>, key: &'static str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let given = table.whole(key)?;
    let count = u32::try_from(given).ok().filter(|count| range.contains(count));
    if count.is_none() {
        table.fault_at(key, format!("`{key}` must be from {} to {}", range.start(), range.end()), None);
    }
    count
}
