//! Opening a subject behind an API: its endpoint is reached and says what it is, before anything is asked.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;

use super::super::server::Managed;
use super::super::{Capabilities, Endpoint, Failure, Lane};
use super::ApiEngine;
use super::http::{Http, HttpError, Target};
use super::identify::{self, Found, Missing};
use super::key::Key;
use super::preset::{self, Scoring};
use crate::domain::{ApiSpec, Digest, Identity, KeySource, Origin, Service, SubjectName};

/// After how long a request counts as failed where the plan says nothing: a large model needs minutes for a long answer.
const TIMEOUT: Duration = Duration::from_mins(5);

/// What a subject is opened with beside its description.
#[derive(Default)]
pub struct Access {
    /// The key; none where the service wants none.
    pub key: Option<SecretString>,
    /// How its endpoint is treated.
    pub service: Service,
    /// The folder that the plan's relative paths start from.
    pub root: PathBuf,
    /// The folder that ids of jobs are noted in, for a subject that is asked by jobs.
    pub jobs: PathBuf,
    /// The server that was started for it; it stops with the engine.
    pub server: Option<Managed>,
}

/// A subject behind an API that can't be opened. No message has the key in it.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The key can't be sent.
    #[error("subject `{subject}`: the key has characters that no header can carry")]
    Key {
        /// Which.
        subject: SubjectName,
    },
    /// Its requests are signed for a region, and none is known.
    #[error("subject `{subject}`: its requests are signed for a region, and neither its address nor the plan names one")]
    Region {
        /// Which.
        subject: SubjectName,
    },
    /// The plan's headers can't be sent.
    #[error("subject `{subject}`: the header `{name}` cannot be sent")]
    Header {
        /// Which.
        subject: SubjectName,
        /// The header.
        name: String,
    },
    /// Its address is none, or there is no TLS.
    #[error("subject `{subject}`: {what}")]
    Address {
        /// Which.
        subject: SubjectName,
        /// What is wrong.
        what: String,
    },
    /// Its endpoint does not answer.
    #[error("subject `{subject}`: {what}")]
    Unreachable {
        /// Which.
        subject: SubjectName,
        /// What happened.
        what: String,
    },
    /// The key is not accepted.
    #[error("subject `{subject}`: {host} does not accept the key: {words}")]
    Forbidden {
        /// Which.
        subject: SubjectName,
        /// Host and port.
        host: String,
        /// The service's own words.
        words: String,
    },
    /// The service has no such model.
    #[error("subject `{subject}`: {host} has no model `{model}`{near}")]
    NoModel {
        /// Which.
        subject: SubjectName,
        /// Host and port.
        host: String,
        /// The model.
        model: String,
        /// Models that it has, as the end of the sentence.
        near: String,
    },
}

impl ApiError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Key { .. } => "the key is one line of letters, digits and signs",
            Self::Region { .. } => "name the region that serves the model, as its cloud does: region = \"eu-west-3\"",
            Self::Header { .. } => "a header's name is letters, digits and `-`; its value is one line",
            Self::Address { .. } => "write `base_url` as in \"https://host/v1\"; the key has a place of its own",
            Self::Unreachable { .. } => "check `base_url`, and that the server runs; `quantgate doctor` shows more",
            Self::Forbidden { .. } => "check that the key is right, for this service, and allowed to use the model",
            Self::NoModel { .. } => "write the model as the service lists it",
        }
    }
}

impl ApiEngine {
    /// Reaches a subject's endpoint and finds out what it is. Nothing is started, and no model is asked a question that costs
    /// more than a few tokens.
    ///
    /// # Errors
    /// Where the endpoint can't be reached, doesn't accept the key or doesn't have the model.
    pub async fn open(subject: &SubjectName, spec: &ApiSpec, access: Access) -> Result<Self, ApiError> {
        let mut spec = spec.clone();
        if let Some(server) = &access.server {
            server.base_url().clone_into(&mut spec.base_url);
        }
        let timeout = access.service.timeout_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let timeout = timeout.filter(|timeout| !timeout.is_zero()).unwrap_or(TIMEOUT);
        let http = http(subject, &spec, &access, timeout)?;
        let found = identify::find(&http, &spec).await.map_err(|missing| refused(subject, &spec, &http, missing))?;
        let capabilities = capabilities(&spec, &found, access.service.concurrency);
        let endpoint = endpoint(&spec, &access.service, &found, timeout);
        let origin = origin(&spec, &http, &found);
        let identity = identity(&spec, &http, &found, access.server.as_ref());
        let (native, resolved) = (found.native, found.resolved);
        let (subject, Access { jobs, server, .. }) = (subject.clone(), access);
        Ok(Self { subject, spec, http, jobs, identity, origin, capabilities, endpoint, native, server, resolved })
    }
}

fn http(subject: &SubjectName, spec: &ApiSpec, access: &Access, timeout: Duration) -> Result<Http, ApiError> {
    let place = preset::key_place(spec);
    let key = access.key.as_ref().map(|key| Key::new(key, place)).transpose();
    let key = key.map_err(|_| ApiError::Key { subject: subject.clone() })?;
    // The address knows better: the plan may mean a wider region.
    let region = preset::region_of(&spec.base_url).or_else(|| spec.region.clone());
    if region.is_none() && key.as_ref().is_some_and(|key| key.credentials().is_some()) {
        return Err(ApiError::Region { subject: subject.clone() });
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &spec.headers {
        let pair = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value.as_str()).ok());
        let (known, value) = pair.ok_or_else(|| ApiError::Header { subject: subject.clone(), name: name.clone() })?;
        headers.insert(known, value);
    }
    let target = Target {
        base_url: spec.base_url.clone(),
        key,
        headers,
        concurrency: concurrency(spec, access.service.concurrency, None),
        timeout,
        dialect: spec.dialect,
        region,
    };
    Http::new(target).map_err(|fault: HttpError| ApiError::Address { subject: subject.clone(), what: fault.to_string() })
}

/// Requests under way: the plan's word, the server's own number, or what is usual for the service.
fn concurrency(spec: &ApiSpec, given: Option<u32>, slots: Option<usize>) -> usize {
    let started = spec.server.as_ref().and_then(|server| server.parallel);
    let told = given.or(started).map(|count| count as usize).or(slots);
    told.unwrap_or(preset::of(spec.preset).concurrency).max(1)
}

/// Why a subject could not be opened.
fn refused(subject: &SubjectName, spec: &ApiSpec, http: &Http, missing: Missing) -> ApiError {
    let (subject, host) = (subject.clone(), http.host().to_owned());
    match missing {
        Missing::Service(Failure { message, .. }) => ApiError::Unreachable { subject, what: message },
        Missing::Leave(words) => ApiError::Forbidden { subject, host, words },
        Missing::Model(there) => {
            let near = match there.as_slice() {
                [] => String::new(),
                some => format!("; it has {}", some.join(", ")),
            };
            ApiError::NoModel { subject, host, model: spec.model.clone(), near }
        }
    }
}

fn capabilities(spec: &ApiSpec, found: &Found, given: Option<u32>) -> Capabilities {
    let log_likelihood = match (preset::scoring(spec), &found.native) {
        (Scoring::None, _) => false,
        (Scoring::Echo, _) => found.silent.is_none(),
        (Scoring::Forced, native) => native.as_ref().is_some_and(|native| native.unforced.is_none()),
    };
    let chat = found.native.as_ref().map_or_else(|| preset::chat(spec), super::native::Native::chats);
    Capabilities {
        log_likelihood,
        distributions: false,
        chat,
        tools: chat && preset::of(spec.preset).tools,
        raw: preset::raw(spec),
        constrained: false,
        context: found.context.unwrap_or(usize::MAX),
        lane: if spec.batch { Lane::Bulk } else { Lane::Own(concurrency(spec, given, found.slots)) },
    }
}

/// What the limits are counted by: the address, and the place that the key came from.
fn endpoint(spec: &ApiSpec, service: &Service, found: &Found, timeout: Duration) -> Endpoint {
    let address = reqwest::Url::parse(&spec.base_url).map_or_else(
        |_| spec.base_url.clone(),
        |url| {
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
        },
    );
    let name = match &spec.key {
        Some(KeySource::Env(variable)) => format!("{address} with {variable}"),
        Some(KeySource::File(path)) => format!("{address} with {}", path.display()),
        None => address,
    };
    Endpoint {
        name,
        concurrency: concurrency(spec, service.concurrency, found.slots),
        requests_per_minute: service.requests_per_minute,
        tokens_per_minute: service.tokens_per_minute,
        timeout,
        hedge: service.hedge.unwrap_or(false),
    }
}

fn origin(spec: &ApiSpec, http: &Http, found: &Found) -> Origin {
    let host = http.host();
    Origin {
        host: host.to_owned(),
        address: found.address.map(|address| address.ip().to_string()),
        tls_issuer: found.issuer.clone(),
        path: preset::path_of(spec.preset, host).to_owned(),
        region: preset::region_of(host),
        stated_region: spec.region.clone(),
        notes: found.notes.clone(),
    }
}

/// What the subject is: by its server's own file where one was started, else by what the endpoint told.
fn identity(spec: &ApiSpec, http: &Http, found: &Found, server: Option<&Managed>) -> Identity {
    let model = found.resolved.as_deref().unwrap_or(&spec.model);
    let told = Identity {
        engine: found.program.clone(),
        weights: found.weights.clone().unwrap_or_else(|| Digest::named(&format!("{model}@{}", http.host()))),
        vocabulary: Digest::untold(),
        template: found.template.clone(),
        quantization: found.quantization.clone().unwrap_or_else(|| "not told".to_owned()),
        bytes: found.bytes,
        parameters: found.parameters,
        bits_per_weight: if found.parameters == 0 { 0.0 } else { 8.0 * found.bytes as f64 / found.parameters as f64 },
        details: found.details.clone(),
    };
    let Some(server) = server else { return told };
    let mut details = told.details.clone();
    details.extend(server.details().clone());
    match server.identity() {
        Some(file) => {
            // What the server renders with counts: a flag may have put another template in the file's place.
            let template = if told.template.is_told() { told.template } else { file.template };
            let quantization = if file.quantization.is_empty() { told.quantization } else { file.quantization };
            Identity { template, quantization, details, ..file }
        }
        None => Identity { details, ..told },
    }
}
