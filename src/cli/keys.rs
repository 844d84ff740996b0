//! Keys: read from where the plan says, and handed on as secrets.

use std::env::VarError;
use std::fs;
use std::path::Path;

use secrecy::SecretString;

use super::failure::Failure;
use crate::domain::{ApiSpec, EngineSpec, KeySource, Subject};
use crate::plan::Plan;

/// Whether every key that the plan names is there, so that the first missing one is told before anything is started.
pub(super) fn check(plan: &Plan) -> Result<(), Failure> {
    plan.subjects.iter().try_for_each(|subject| match &subject.engine {
        EngineSpec::Api(spec) => read(subject, spec, &plan.root).map(drop),
        _ => Ok(()),
    })
}

/// A subject's key; none where its service wants none.
pub(super) fn read(subject: &Subject, spec: &ApiSpec, root: &Path) -> Result<Option<SecretString>, Failure> {
    let Some(source) = &spec.key else { return Ok(None) };
    let name = &subject.name;
    let secret = match source {
        KeySource::Env(variable) => match environment(variable) {
            Ok(value) => SecretString::from(value.trim()),
            Err(VarError::NotPresent) => SecretString::default(),
            Err(VarError::NotUnicode(_)) => {
                return Err(Failure::usage(format!("subject `{name}`: the environment variable {variable} is no text")));
            }
        },
        KeySource::File(path) => {
            let path = root.join(path);
            let text = fs::read_to_string(&path).map(SecretString::from);
            let text = text.map_err(|fault| {
                Failure::usage(format!("subject `{name}`: its key cannot be read from {}: {fault}", path.display()))
                    .with_hint("the file's first line is the key")
            })?;
            first_line(&text)
        }
    };
    if is_empty(&secret) {
        return Err(missing(name.as_str(), source));
    }
    Ok(Some(secret))
}

#[expect(clippy::disallowed_methods, reason = "keys are read from the environment here and nowhere else")]
fn environment(variable: &str) -> Result<String, VarError> {
    std::env::var(variable)
}

fn first_line(text: &SecretString) -> SecretString {
    use secrecy::ExposeSecret;
    SecretString::from(text.expose_secret().lines().next().unwrap_or_default().trim())
}

fn is_empty(secret: &SecretString) -> bool {
    use secrecy::ExposeSecret;
    secret.expose_secret().is_empty()
}

/// What to set, and where.
fn missing(subject: &str, source: &KeySource) -> Failure {
    match source {
        KeySource::Env(variable) => {
            Failure::usage(format!("subject `{subject}` needs a key, and the environment variable {variable} is not set"))
                .with_hint(format!("set {variable} to the service's key, or name another place with `key_env` or `key_file`"))
        }
        KeySource::File(path) => {
            Failure::usage(format!("subject `{subject}` needs a key, and the first line of {} is empty", path.display()))
                .with_hint("write the service's key on the file's first line")
        }
    }
}
