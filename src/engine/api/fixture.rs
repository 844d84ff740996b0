//! A subject behind an API, and what a dialect reads, for tests.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::Failure;
use super::exchange::Draft;
use super::preset;
use crate::domain::{Answer, ApiSpec, Dialect, Finish, Preset};

/// A subject of a preset at its usual address, where that goes by region in one of Europe.
pub(super) fn spec(preset: Preset, dialect: Dialect, model: &str, stream: bool) -> ApiSpec {
    let base_url = preset::base_url(preset, Some("europe-west4")).unwrap_or_else(|| "http://h:1/v1".to_owned());
    ApiSpec {
        preset,
        dialect,
        base_url,
        model: model.to_owned(),
        key: None,
        region: None,
        project: None,
        api_version: None,
        stream,
        batch: false,
        extra: Map::new(),
        omit: Vec::new(),
        headers: BTreeMap::new(),
        tokenizer: None,
        server: None,
    }
}

/// What a dialect reads in a body that comes whole.
pub(super) fn read(whole: fn(&Value, &mut Draft) -> Result<(), Failure>, body: &str) -> Result<Draft, Failure> {
    let mut draft = Draft::default();
    whole(&serde_json::from_str(body).expect("the test's body is JSON"), &mut draft)?;
    Ok(draft)
}

/// The text of a complete answer, and why it ended.
pub(super) fn text(draft: Draft) -> (String, Finish) {
    let Answer::Text { text, finish, .. } = draft.finish().expect("the answer is complete").answer else { panic!("no text") };
    (text, finish)
}
