//! What answers are kept by beside the request: all that a subject turned out to be, and how it is spoken to.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::{ApiSpec, Dialect, EngineSpec, Identity, Preset, ServerSpec};

/// All that an answer depends on beside the request.
#[derive(Serialize)]
pub(super) struct Content<'a> {
    form: u32,
    identity: &'a Identity,
    spoken: Option<Spoken<'a>>,
}

impl<'a> Content<'a> {
    /// That of a subject and what it turned out to be.
    pub(super) fn of(spec: &'a EngineSpec, identity: &'a Identity) -> Self {
        let spoken = if let EngineSpec::Api(spec) = spec { Some(Spoken::of(spec)) } else { None };
        Self { form: 1, identity, spoken }
    }

    /// As it is written, for its digest.
    pub(super) fn as_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an identity has text keys only")
    }
}

/// How a service is spoken to: of its settings, those that can change an answer. Its address, key and region are not among
/// them: the content behind them is proven.
#[derive(Serialize)]
struct Spoken<'a> {
    preset: Preset,
    dialect: Dialect,
    model: &'a str,
    api_version: Option<&'a str>,
    stream: bool,
    extra: &'a Map<String, Value>,
    omit: &'a [String],
    headers: &'a BTreeMap<String, String>,
    server: Option<&'a ServerSpec>,
}

impl<'a> Spoken<'a> {
    fn of(spec: &'a ApiSpec) -> Self {
        Self {
            preset: spec.preset,
            dialect: spec.dialect,
            model: &spec.model,
            api_version: spec.api_version.as_deref(),
            stream: spec.stream,
            extra: &spec.extra,
            omit: &spec.omit,
            headers: &spec.headers,
            server: spec.server.as_ref(),
        }
    }
}
