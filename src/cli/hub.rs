//! Where the Hugging Face Hub is and who asks it: from the variables that its own tools read.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::failure::Failure;
use super::keys::{environment, first_line};
use crate::domain::{EngineSpec, LocalSpec, ModelSource};
use crate::engine::HubAccess;
use crate::plan::Plan;

/// The Hub itself.
const ENDPOINT: &str = "https://huggingface.co";

/// How the Hub is reached; none where no subject is there, so that nothing is read without need.
pub(super) fn access(plan: &Plan) -> Result<Option<HubAccess>, Failure> {
    let there = plan
        .subjects
        .iter()
        .any(|subject| matches!(&subject.engine, EngineSpec::Local(LocalSpec { source: ModelSource::Hub(_), .. })));
    if !there || !cfg!(feature = "hub") {
        return Ok(None);
    }
    let Some(home) = home() else {
        let what = "there is no folder to keep what comes from the Hugging Face Hub in".to_owned();
        return Err(Failure::usage(what).with_hint("set HF_HOME to one"));
    };
    let token = match set("HF_TOKEN") {
        Some(token) => Some(SecretString::from(token.trim())),
        None => token_file(&set("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from))?,
    };
    let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
    let cache = set("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from);
    let offline = set("HF_HUB_OFFLINE").is_some_and(|word| matches!(word.to_lowercase().as_str(), "1" | "true" | "yes" | "on"));
    Ok(Some(HubAccess { endpoint, cache, token: token.filter(|token| !token.expose_secret().is_empty()), offline }))
}

/// The folder of the Hub's tools.
fn home() -> Option<PathBuf> {
    let caches = || set("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cache")));
    set("HF_HOME").map(PathBuf::from).or_else(|| Some(caches()?.join("huggingface")))
}

/// What a variable holds; none where it is not set or empty.
fn set(variable: &str) -> Option<String> {
    environment(variable).ok().filter(|value| !value.trim().is_empty())
}

/// The token that `hf auth login` left.
fn token_file(path: &Path) -> Result<Option<SecretString>, Failure> {
    match fs::read_to_string(path).map(SecretString::from) {
        Ok(text) => Ok(Some(first_line(&text))),
        Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(Failure::usage(format!("the Hub's token cannot be read from {}: {fault}", path.display()))
            .with_hint("set HF_TOKEN, or let the file be read")),
    }
}
