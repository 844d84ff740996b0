//! Vertex AI's paths around Mistral's bodies, as Google's documentation of partner models writes them.

use serde_json::Value;

use super::super::fixture::spec;
use super::*;
use crate::domain::{CauseKind, Dialect, Generation, Preset, Request};

fn request() -> Request {
    let generation = Generation { max_tokens: 8, stop: Vec::new(), temperature: 0.0, top_p: 1.0, seed: 7, constraint: None };
    Request::Generate { prompt: "Hi".into(), generation }
}

#[test]
fn the_path_says_project_region_model_and_version_and_the_body_only_the_model() {
    let mut spec = spec(Preset::Vertex, Dialect::Vertex, "mistral-small-2503@001", false);
    spec.project = Some("team".into());
    // The address tells the place more exactly than the plan's region does.
    spec.region = Some("eu".into());
    let wire = encode(&Ask { spec: &spec, request: &request() }).unwrap();
    let path = "/v1/projects/team/locations/europe-west4/publishers/mistralai/models/mistral-small-2503@001:rawPredict";
    assert_eq!((wire.path.as_str(), wire.framing), (path, Framing::Whole));
    let expected = concat!(
        r#"{"model":"mistral-small-2503","messages":[{"role":"user","content":"Hi"}],"max_tokens":8,"temperature":0.0,"#,
        r#""top_p":1.0,"random_seed":7,"presence_penalty":0.0,"frequency_penalty":0.0,"safe_prompt":false,"stream":false}"#
    );
    assert_eq!(Value::Object(wire.body).to_string(), expected);
}

#[test]
fn a_stream_and_code_models_have_their_own_forms() {
    let mut spec = spec(Preset::Vertex, Dialect::Vertex, "codestral-2", true);
    spec.project = Some("team".into());
    let wire = encode(&Ask { spec: &spec, request: &request() }).unwrap();
    assert!(wire.path.ends_with("/models/codestral-2:streamRawPredict"), "{}", wire.path);
    assert_eq!(wire.framing, Framing::Sse);
    let expected = concat!(
        r#"{"model":"codestral-2","prompt":"Hi","suffix":null,"max_tokens":8,"temperature":0.0,"top_p":1.0,"#,
        r#""random_seed":7,"stream":true}"#
    );
    assert_eq!(Value::Object(wire.body).to_string(), expected);
}

#[test]
fn a_plan_without_a_project_or_a_place_is_told_so() {
    let mut spec = spec(Preset::Vertex, Dialect::Vertex, "codestral-2", false);
    let failure = encode(&Ask { spec: &spec, request: &request() }).unwrap_err();
    assert_eq!(failure.kind, CauseKind::Refused);
    assert!(failure.message.contains("project"), "{failure}");
    spec.project = Some("team".into());
    spec.base_url = "https://proxy.example".into();
    assert!(encode(&Ask { spec: &spec, request: &request() }).unwrap_err().message.contains("region"));
}
