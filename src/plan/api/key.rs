//! Where a subject's key is found: never in the plan itself.

use std::path::{Path, PathBuf};

use crate::domain::{KeySource, Preset};
use crate::engine::api::preset;
use crate::suite::{Section, looks_secret};

/// Reads `key_env` or `key_file`; the service's usual variable where it wants a key and the plan says nothing.
pub(super) fn read(section: &Section<'_>, preset: Preset, root: &Path) -> Option<KeySource> {
    let (name, path) = (section.text("key_env"), section.text("key_file"));
    if name.is_some() && path.is_some() {
        section.fault_at("key_file", format!("{} has both `key_env` and `key_file`", section.name()), Some("keep one of them"));
    }
    if let Some(name) = name {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let named = name.chars().all(good) && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if looks_secret(&name) || !named {
            // The value is not repeated: it may be the key.
            let hint =
                "`key_env` is the name of an environment variable, such as MISTRAL_API_KEY; a key itself never stands in a plan";
            section.fault_at("key_env", "`key_env` holds no name of a variable", Some(hint));
        }
        return Some(KeySource::Env(name));
    }
    if let Some(path) = path {
        if looks_secret(&path) {
            let hint = "`key_file` is the path of a file with the key; a key itself never stands in a plan";
            section.fault_at("key_file", "`key_file` holds no path", Some(hint));
        } else if !root.join(&path).is_file() {
            let hint = "paths start from the plan's folder; the file's first line is the key";
            section.fault_at("key_file", format!("there is no file {path}"), Some(hint));
        }
        return Some(KeySource::File(PathBuf::from(path)));
    }
    let facts = preset::of(preset);
    facts.key_needed.then(|| KeySource::Env(facts.key_variable.to_owned()))
}
