//! What a plan adds to requests or leaves out of them: members of the body, and headers.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::ApiSpec;
use crate::engine::api;
use crate::suite::{Section, is_secret_name, looks_secret, nearest};

/// Members that are what a sample asks; a plan that changed them would ask something else.
const ASKED: [&str; 8] = ["model", "messages", "prompt", "input", "stream", "n", "tools", "echo"];

/// Headers that a request has anyway.
const SET: [&str; 7] =
    ["content-type", "content-length", "host", "connection", "transfer-encoding", "accept-encoding", "anthropic-version"];

const KEY_HINT: &str = "name the environment variable that holds the key with `key_env`, or its file with `key_file`";

/// Reads `extra` and `omit`. A name with dots is a path: the member within the one before the dot.
pub(super) fn members(section: &Section<'_>) -> (Map<String, Value>, Vec<String>) {
    let mut extra = Map::new();
    if let Some(table) = section.table("extra", "extra") {
        for (path, value) in table.members() {
            let name = first(&path);
            if ASKED.contains(&name) {
                let hint = if name == "stream" { "it is a key of its own: stream = true" } else { "remove it" };
                table.fault_of(&path, format!("`{path}` is part of what is asked, and no `extra`"), Some(hint));
            } else if holds_secret(path.rsplit('.').next().unwrap_or_default(), &value) {
                table.fault_of(&path, format!("`{path}` in extra: a secret does not belong in this file"), Some(KEY_HINT));
            } else if path.split('.').any(str::is_empty) {
                table.fault_of(&path, format!("`{path}` is no path of names with dots between"), None);
            } else if !put(&mut extra, &path, value) {
                table.fault_of(&path, format!("`{path}` is in extra twice"), Some("keep one of them"));
            }
        }
    }
    let omit = section.texts("omit").unwrap_or_default();
    for path in &omit {
        if ASKED.contains(&first(path)) {
            let message = format!("`{path}` is part of what is asked, and cannot be left out");
            section.fault_at("omit", message, Some("leave out what a model refuses, such as \"seed\" or \"top_p\""));
        } else if has(&extra, path) {
            section.fault_at("omit", format!("`{path}` is both in `extra` and in `omit`"), Some("keep one of them"));
        }
    }
    (extra, omit)
}

/// Notes what a subject's requests do not have and a plan leaves out all the same: a slip, or another service's name for it.
pub(super) fn check_omitted(section: &Section<'_>, spec: &ApiSpec) {
    let known = api::members(spec);
    // Where requests cannot be written at all, something else is wrong, and told.
    let unknown = |path: &&String| !known.is_empty() && !known.contains(path) && !ASKED.contains(&first(path));
    for path in spec.omit.iter().filter(unknown) {
        let message = format!("`{path}` is left out of requests that do not have it");
        let inner = known.iter().find(|known| known.rsplit('.').next() == Some(path) && known.contains('.'));
        let near = inner.map(String::as_str).or_else(|| nearest(path, known.iter().map(String::as_str)));
        let hint = near.map_or_else(|| "remove it from `omit`".to_owned(), |near| format!("did you mean `{near}`?"));
        section.fault_at("omit", message, Some(&hint));
    }
}

/// The first name of a path.
fn first(path: &str) -> &str {
    path.split('.').next().unwrap_or_default()
}

/// Puts a value at a path, objects beside objects; false where something else is there already.
fn put(into: &mut Map<String, Value>, path: &str, value: Value) -> bool {
    let (name, value) = match path.split_once('.') {
        None => (path, value),
        Some((name, rest)) => {
            let mut within = Map::new();
            put(&mut within, rest, value);
            (name, Value::Object(within))
        }
    };
    match (into.get_mut(name), value) {
        (None, value) => {
            into.insert(name.to_owned(), value);
            true
        }
        (Some(Value::Object(there)), Value::Object(more)) => {
            more.into_iter().fold(true, |good, (name, value)| put(there, &name, value) && good)
        }
        (Some(_), _) => false,
    }
}

/// Whether there is a member at a path.
fn has(members: &Map<String, Value>, path: &str) -> bool {
    match path.split_once('.') {
        None => members.contains_key(path),
        Some((name, rest)) => members.get(name).and_then(Value::as_object).is_some_and(|within| has(within, rest)),
    }
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
