//! What a plan adds to requests or leaves out of them: members of the body, and headers.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::suite::{Section, is_secret_name, looks_secret};

/// Members that are what a sample asks; a plan that changed them would ask something else.
const ASKED: [&str; 8] = ["model", "messages", "prompt", "input", "stream", "n", "tools", "echo"];

/// Headers that a request has anyway.
const SET: [&str; 7] =
    ["content-type", "content-length", "host", "connection", "transfer-encoding", "accept-encoding", "anthropic-version"];

const KEY_HINT: &str = "name the environment variable that holds the key with `key_env`, or its file with `key_file`";

/// Reads `extra` and `omit`.
pub(super) fn members(section: &Section<'_>) -> (Map<String, Value>, Vec<String>) {
    let table = section.table("extra", "extra");
    let extra: Map<String, Value> = table.as_ref().map(|table| table.members().into_iter().collect()).unwrap_or_default();
    if let Some(table) = &table {
        for (name, value) in &extra {
            if ASKED.contains(&name.as_str()) {
                let hint = if name == "stream" { "it is a key of its own: stream = true" } else { "remove it" };
                table.fault_of(name, format!("`{name}` is part of what is asked, and no `extra`"), Some(hint));
            } else if holds_secret(name, value) {
                table.fault_of(name, format!("`{name}` in extra: a secret does not belong in this file"), Some(KEY_HINT));
            }
        }
    }
    let omit = section.texts("omit").unwrap_or_default();
    for name in &omit {
        if ASKED.contains(&name.as_str()) {
            let message = format!("`{name}` is part of what is asked, and cannot be left out");
            section.fault_at("omit", message, Some("leave out what a model refuses, such as \"seed\" or \"top_p\""));
        } else if extra.contains_key(name) {
            section.fault_at("omit", format!("`{name}` is both in `extra` and in `omit`"), Some("keep one of them"));
        }
    }
    (extra, omit)
}

/// Whether a member or one within it is a secret.
fn holds_secret(name: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => is_secret_name(name) || looks_secret(text),
        Value::Array(items) => items.iter().any(|item| holds_secret(name, item)),
        Value::Object(members) => members.iter().any(|(name, value)| holds_secret(name, value)),
        _ => false,
    }
}

/// Reads `headers`: names to texts.
pub(super) fn headers(section: &Section<'_>) -> BTreeMap<String, String> {
    let Some(table) = section.table("headers", "headers") else { return BTreeMap::new() };
    let mut headers = BTreeMap::new();
    for (name, value) in table.members() {
        let Some(text) = value.as_str() else {
            table.fault_of(&name, format!("header `{name}` must be text in quotes"), None);
            continue;
        };
        let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if is_secret_name(&name) || looks_secret(text) || holds_scheme(text) {
            table.fault_of(&name, format!("header `{name}` would hold a secret"), Some(KEY_HINT));
        } else if name.is_empty() || !name.chars().all(of_name) {
            table.fault_of(&name, format!("`{name}` is no name of a header"), None);
        } else if SET.contains(&name.to_lowercase().as_str()) {
            table.fault_of(&name, format!("header `{name}` is set by the engine"), Some("remove it"));
        } else if text.chars().any(|c| !matches!(c, ' '..='~')) {
            table.fault_of(&name, format!("header `{name}` has characters that no header may have"), None);
        }
        headers.insert(name.to_lowercase(), text.to_owned());
    }
    headers
}

/// Whether a value says how somebody is authorized.
fn holds_scheme(text: &str) -> bool {
    ["bearer ", "basic "].iter().any(|scheme| text.to_lowercase().starts_with(scheme))
}
