//! A subject behind an API, for tests.

use std::collections::BTreeMap;

use serde_json::Map;

use super::preset;
use crate::domain::{ApiSpec, Dialect, Preset};

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
