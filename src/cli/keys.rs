//! Keys: read from where the plan says, and handed on as secrets.

use std::env::VarError;
use std::fs;
use std::path::Path;

use secrecy::SecretString;

use super::failure::Failure;
use crate::domain::{ApiSpec, EngineSpec, KeySource, Subject};
use crate::engine::api::preset::{self, KeyPlace};
use crate::plan::Plan;

/// The variable of Bedrock's API keys.
const BEARER: &str = "AWS_BEARER_TOKEN_BEDROCK";
/// The variables of AWS credentials, in the order in which they are written: without an API key, requests are signed with them.
const AWS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Whether every key that the plan names is there, so that the first missing one is told before anything is started.
pub(super) fn check(plan: &Plan) -> Result<(), Failure> {
    plan.subjects.iter().try_for_each(|subject| match &subject.engine {
        EngineSpec::Api(spec) => read(subject, spec, &plan.root).map(drop),
        _ => Ok(()),
    })
}

/// The variables with other subjects' keys: a server that is started for this one has no use for them.
pub(super) fn of_others(plan: &Plan, spec: &ApiSpec) -> Vec<String> {
    let named = plan.subjects.iter().filter_map(|subject| match &subject.engine {
        EngineSpec::Api(other) => other.key.as_ref(),
        _ => None,
    });
    let others = named.filter(|key| Some(*key) != spec.key.as_ref()).filter_map(|key| match key {
        KeySource::Env(variable) => Some(variable.clone()),
        KeySource::File(_) => None,
    });
    others.collect()
}

/// A subject's key; none where its service wants none.
pub(super) fn read(subject: &Subject, spec: &ApiSpec, root: &Path) -> Result<Option<SecretString>, Failure> {
    let Some(source) = &spec.key else { return Ok(None) };
    let name = &subject.name;
    let secret = match source {
        KeySource::Env(variable) => {
            let key = variable_of(name.as_str(), variable)?;
            let signed = is_empty(&key) && preset::key_place(spec) == KeyPlace::Aws && variable == BEARER;
            if signed { credentials(name.as_str())? } else { key }
        }
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

/// What an environment variable holds, white space around it left out; empty where it is not set.
fn variable_of(subject: &str, variable: &str) -> Result<SecretString, Failure> {
    match environment(variable) {
        Ok(value) => Ok(SecretString::from(value.trim())),
        Err(VarError::NotPresent) => Ok(SecretString::default()),
        Err(VarError::NotUnicode(_)) => {
            Err(Failure::usage(format!("subject `{subject}`: the environment variable {variable} is no text"))
                .with_hint("set it to the service's key"))
        }
    }
}

/// AWS credentials to sign with, as `ID:SECRET` or `ID:SECRET:TOKEN`; empty where there are none.
fn credentials(subject: &str) -> Result<SecretString, Failure> {
    use secrecy::ExposeSecret;
    let [id, secret, token] = [variable_of(subject, AWS[0])?, variable_of(subject, AWS[1])?, variable_of(subject, AWS[2])?];
    match (is_empty(&id), is_empty(&secret)) {
        (true, true) => return Ok(SecretString::default()),
        (false, false) => {}
        (no_id, _) => {
            let (there, missing) = if no_id { (AWS[1], AWS[0]) } else { (AWS[0], AWS[1]) };
            let what = format!("subject `{subject}` signs with AWS credentials, and {there} is set without {missing}");
            return Err(Failure::usage(what).with_hint(format!("set {missing} too, or {BEARER} to an API key of Bedrock's")));
        }
    }
    let pair = format!("{}:{}", id.expose_secret(), secret.expose_secret());
    let whole = if is_empty(&token) { pair } else { format!("{pair}:{}", token.expose_secret()) };
    Ok(SecretString::from(whole))
}

/// What an environment variable holds.
#[expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
pub(super) fn environment(variable: &str) -> Result<String, VarError> {
    std::env::var(variable)
}

/// The first line of a key's file.
pub(super) fn first_line(text: &SecretString) -> SecretString {
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
        KeySource::Env(variable) if variable == BEARER => Failure::usage(format!(
            "subject `{subject}` needs a key: neither {BEARER} nor {} and {} are set in the environment",
            AWS[0], AWS[1]
        ))
        .with_hint("set the one to an API key of Bedrock's, or the others to AWS credentials to sign with"),
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
