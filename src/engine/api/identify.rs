//! What an endpoint tells of itself and of the model behind it, before anything is asked.

mod told;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Failure, RetryClass};
use super::ask::post;
use super::echo;
use super::http::{Http, Seen};
use super::native::Native;
use super::preset::{self, Scoring, root_path};
use crate::domain::{ApiSpec, CauseKind, Dialect, Digest, Preset};

/// How often an endpoint is looked at that is not there or has too much to do.
const TRIES: u32 = 3;
/// The first wait in between.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait that an endpoint can ask for here.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What was found out.
pub(super) struct Found {
    /// The program or service, with its version where it tells one.
    pub(super) program: String,
    /// The model behind an alias, where the service tells; else none.
    pub(super) resolved: Option<String>,
    /// Digest of the weights' content, where one is told.
    pub(super) weights: Option<Digest>,
    /// Digest of the chat template's text.
    pub(super) template: Digest,
    /// Quantization as a person would name it.
    pub(super) quantization: Option<String>,
    /// Size of the weights in bytes; 0 where it isn't told.
    pub(super) bytes: u64,
    /// Number of weights; 0 where it isn't told.
    pub(super) parameters: u64,
    /// Most tokens of prompt and answer together.
    pub(super) context: Option<usize>,
    /// Requests that the server works on at once.
    pub(super) slots: Option<usize>,
    /// Everything else that can change an answer.
    pub(super) details: BTreeMap<String, String>,
    /// What a person should know, a sentence each.
    pub(super) notes: Vec<String>,
    /// The address that answered.
    pub(super) address: Option<SocketAddr>,
    /// Who issued its certificate.
    pub(super) issuer: Option<String>,
    /// A llama.cpp server in its own dialect.
    pub(super) native: Option<Native>,
    /// Why log-likelihoods can't be had from a service that may tell of prompts, where it was tried and they can't.
    pub(super) silent: Option<String>,
}

/// Why a subject cannot be asked.
#[derive(Debug)]
pub(super) enum Missing {
    /// The service doesn't answer, or not as itself.
    Service(Failure),
    /// The key isn't accepted; the service's own words.
    Leave(String),
    /// There is no such model; some that there are.
    Model(Vec<String>),
}

impl From<Failure> for Missing {
    fn from(failure: Failure) -> Self {
        Self::Service(failure)
    }
}

impl Found {
    fn new(spec: &ApiSpec, seen: &Seen) -> Self {
        let dialect = json!(spec.dialect).as_str().unwrap_or_default().to_owned();
        let mut details = BTreeMap::from([("dialect".to_owned(), dialect), ("model".to_owned(), spec.model.clone())]);
        let own = preset::of(spec.preset).path == "self-hosted" || preset::of(spec.preset).path == "gateway";
        if let Some(server) = seen.headers.get("server").and_then(|value| value.to_str().ok()).filter(|_| own) {
            details.insert("server".to_owned(), server.to_owned());
        }
        Self {
            program: spec.preset.word().to_owned(),
            resolved: None,
            weights: None,
            template: Digest::untold(),
            quantization: None,
            bytes: 0,
            parameters: 0,
            context: None,
            slots: None,
            details,
            notes: Vec::new(),
            address: seen.address,
            issuer: seen.issuer.clone(),
            native: None,
            silent: None,
        }
    }

    /// Notes a detail.
    fn detail(&mut self, name: &str, value: impl Into<String>) {
        self.details.insert(name.to_owned(), value.into());
    }

    /// Notes the program's version.
    fn version(&mut self, program: &str, version: Option<&str>) {
        self.program = version.map_or_else(|| program.to_owned(), |version| format!("{program} {version}"));
    }
}

/// The digest of a chat template's text, by the rule of models in this process.
pub(super) fn template_digest(source: &str) -> Digest {
    Digest::new(format!("blake3:{}", blake3::hash(source.as_bytes()).to_hex()))
}

/// Reaches the endpoint and asks what it is.
pub(super) async fn find(http: &Http, spec: &ApiSpec) -> Result<Found, Missing> {
    let listed = preset::models_path(spec);
    let path = listed.clone().or_else(|| preset::health_path(spec)).unwrap_or_else(|| "/".to_owned());
    let seen = reach(http, spec, &path).await?;
    let mut found = Found::new(spec, &seen);
    if listed.is_some() {
        models(spec, &seen, &mut found)?;
    }
    match spec.preset {
        Preset::LlamaServer => llama_server(http, spec, &mut found).await?,
        Preset::Vllm => {
            let version = see(http, &root_path(&spec.base_url, "/version")).await;
            found.version("vllm", version.as_ref().and_then(|body| body["version"].as_str()));
        }
        Preset::Ollama => ollama(http, spec, &mut found).await?,
        Preset::Litellm => litellm(http, spec, (&seen, &mut found)).await,
        _ => {}
    }
    if preset::scoring(spec) == Scoring::Echo {
        try_scoring(http, spec, &mut found).await;
    }
    if let Some(resolved) = found.resolved.clone() {
        found.detail("resolved model", resolved);
    }
    Ok(found)
}

/// Headers without which a service tells nothing.
fn headers(spec: &ApiSpec) -> Vec<(&'static str, String)> {
    match spec.preset {
        Preset::Anthropic => vec![("anthropic-version", "2023-06-01".to_owned())],
        _ => Vec::new(),
    }
}

/// Looks at a path until the endpoint is there and has time, a few times at most.
async fn reach(http: &Http, spec: &ApiSpec, path: &str) -> Result<Seen, Missing> {
    let mut wait = FIRST_WAIT;
    let mut tries = 0;
    loop {
        tries += 1;
        let (failure, asked) = match http.look(path, &headers(spec)).await {
            Ok(seen) if seen.status == 401 => return Err(Missing::Leave(seen.words)),
            // Without a database LiteLLM has no other word for a key that it does not know.
            Ok(seen) if seen.status == 400 && spec.preset == Preset::Litellm => return Err(Missing::Leave(seen.words)),
            Ok(seen) if seen.status == 429 || seen.status >= 500 => {
                let asked = super::headroom::read(&seen.headers, std::time::SystemTime::now()).wait;
                let what = format!("{} answered with HTTP {}: {}", http.host(), seen.status, seen.words);
                (Failure::new(CauseKind::Transport, RetryClass::Transient, what), asked)
            }
            Ok(seen) => return Ok(seen),
            Err(failure) => (failure, None),
        };
        if tries >= TRIES || failure.retry == RetryClass::No {
            return Err(Missing::Service(failure));
        }
        tokio::time::sleep(asked.unwrap_or(wait).min(LONGEST_WAIT)).await;
        wait *= 2;
    }
}

/// What a path holds, where it holds JSON.
async fn see(http: &Http, path: &str) -> Option<Value> {
    let seen = http.look(path, &[]).await.ok()?;
    seen.body.filter(|_| seen.status < 300)
}

/// Finds the model in the service's list.
fn models(spec: &ApiSpec, seen: &Seen, found: &mut Found) -> Result<(), Missing> {
    let list = seen.body.as_ref().filter(|_| seen.status < 300).map(told::entries);
    let Some(list) = list.filter(|list| !list.is_empty()) else {
        if seen.status == 404 && matches!(spec.preset, Preset::Vllm | Preset::Litellm) {
            let what = format!("{} lists no models there, as {} does: HTTP 404", spec.base_url, spec.preset.word());
            return Err(Failure::new(CauseKind::Transport, RetryClass::No, what).into());
        }
        found.notes.push(format!(
            "the service lists no models (status {}), so it is not known what the model's name stands for",
            seen.status
        ));
        return Ok(());
    };
    match list.iter().copied().find(|entry| told::is_called(entry, &spec.model)) {
        Some(entry) => told::model(spec, entry, found),
        None if told::lists_all(spec.preset) => return Err(Missing::Model(told::nearest(&list, &spec.model))),
        // A llama.cpp server answers whatever the model is called, and there is one.
        None if spec.preset == Preset::LlamaServer => told::model(spec, list[0], found),
        None => found.notes.push(format!("the service's list of models has no `{}`", spec.model)),
    }
    Ok(())
}

/// A llama.cpp server: its properties, and in its own dialect its tokens and its template.
async fn llama_server(http: &Http, spec: &ApiSpec, found: &mut Found) -> Result<(), Missing> {
    let Some(props) = see(http, &root_path(&spec.base_url, "/props")).await else {
        if spec.dialect == Dialect::LlamaCpp {
            let what = format!("{} has no /props: it is no llama.cpp server", http.host());
            return Err(Failure::new(CauseKind::Malformed, RetryClass::No, what).into());
        }
        found.notes.push("the server tells no properties: it is not known which template it renders with".to_owned());
        return Ok(());
    };
    told::props(&props, spec.server.is_some(), found);
    if spec.dialect == Dialect::LlamaCpp {
        let native = Native::open(&props, &*post(http, spec)).await?;
        found.notes.extend(native.notes.iter().cloned());
        found.notes.extend(native.unforced.clone());
        found.native = Some(native);
    }
    Ok(())
}

/// Ollama: its version, the model's digest, and what it says of the model.
async fn ollama(http: &Http, spec: &ApiSpec, found: &mut Found) -> Result<(), Missing> {
    let version = see(http, &root_path(&spec.base_url, "/api/version")).await;
    found.version("ollama", version.as_ref().and_then(|body| body["version"].as_str()));
    let body = json!({"model": spec.model}).to_string().into_bytes();
    let shown = http.post(&root_path(&spec.base_url, "/api/show"), &[], body).await?.json().await?;
    told::shown(&shown, found);
    Ok(())
}

/// `LiteLLM`: its version, and the models behind the name where the key may see them.
async fn litellm(http: &Http, spec: &ApiSpec, (seen, found): (&Seen, &mut Found)) {
    let version = seen.headers.get("x-litellm-version").and_then(|value| value.to_str().ok());
    found.version("litellm", version);
    match see(http, &root_path(&spec.base_url, "/model/info")).await {
        Some(info) => told::deployments(&info, &spec.model, found),
        None => found.notes.push("the key may not see which models stand behind the name".to_owned()),
    }
}

/// Has two options scored: not every server of the protocol tells of prompts. A passing fault says nothing about that.
async fn try_scoring(http: &Http, spec: &ApiSpec, found: &mut Found) {
    let options = [" blue".to_owned(), " red".to_owned()];
    if let Err(failure) = echo::choice(spec, &*post(http, spec), "The colour of the sky is", &options).await
        && (failure.retry == RetryClass::No || failure.kind == CauseKind::Malformed)
    {
        let why = format!("its log-likelihoods can't be had: it was asked for those of two words ({})", failure.message);
        found.notes.push(why.clone());
        found.silent = Some(why);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::weights::Checkpoint;

    #[test]
    fn a_template_has_the_digest_that_a_model_in_this_process_has() {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
        let model = Checkpoint::open(&model, None).expect("the bundled model opens");
        let source = model.chat_template().expect("it has a template");
        assert_eq!(template_digest(source), model.facts().template);
    }
}
