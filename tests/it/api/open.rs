//! What an endpoint is found to be, and why a subject cannot be opened.

use quantgate::engine::{Engine, Lane};
use serde_json::json;

use super::{KEY, models, open, spec};
use crate::loopback::{Close, Loopback, Received, Script};

/// A server that answers by path.
fn server(answers: impl Fn(&Received) -> Option<Script> + Send + Sync + 'static) -> Loopback {
    Loopback::start(move |request| {
        answers(request).unwrap_or_else(|| Script::json(404, r#"{"error":{"message":"no such path"}}"#))
    })
}

#[tokio::test]
async fn an_endpoint_says_where_and_what_it_is() {
    let server = server(|request| (request.path == "/v1/models").then(|| Script::json(200, models())));
    let spec = spec("openai-compatible", "openai-chat", &format!("{}/v1", server.url()), json!({"key": {"env": "A_KEY"}}));
    let engine = open(&spec).await.unwrap();
    let identity = engine.identity();
    assert_eq!(identity.weights.as_str(), format!("name:demo@{}", server.address()));
    assert!(!identity.weights.is_content() && !identity.template.is_told() && !identity.vocabulary.is_told());
    let origin = engine.origin().unwrap();
    assert_eq!((origin.path.as_str(), origin.address.as_deref()), ("this machine", Some("127.0.0.1")));
    assert_eq!(origin.host, server.address().to_string());
    assert_eq!(engine.endpoint().unwrap().name, format!("{} with A_KEY", server.url()));
    let able = engine.capabilities();
    assert!(able.chat && able.tools && !able.raw && !able.log_likelihood);
    assert!(matches!(able.lane, Lane::Own(width) if width > 1));
    assert_eq!(server.log()[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    let shown = format!("{identity:?} {origin:?} {:?}", engine.endpoint());
    assert!(!shown.contains("recognisable"), "{shown}");
}

#[tokio::test]
async fn a_llama_cpp_server_tells_its_template_and_its_context() {
    let template = "{% for m in messages %}{{ m.content }}{% endfor %}";
    let told = json!({"default_generation_settings": {"n_ctx": 2048}, "total_slots": 3, "build_info": "b1-c0ffee",
        "chat_template": template, "model_path": "/m/x.gguf"});
    let server = server(move |request| match request.path.as_str() {
        "/v1/models" => Some(Script::json(200, models())),
        "/props" => Some(Script::json(200, told.to_string())),
        _ => None,
    });
    let spec = spec("llama-server", "openai-chat", &format!("{}/v1", server.url()), json!({}));
    let engine = open(&spec).await.unwrap();
    assert_eq!(engine.identity().engine, "llama-server b1-c0ffee");
    assert_eq!(engine.identity().template.as_str(), format!("blake3:{}", blake3::hash(template.as_bytes()).to_hex()));
    assert_eq!((engine.capabilities().context, engine.capabilities().lane), (2048, Lane::Own(3)));
}

#[tokio::test]
async fn ollamas_digest_is_the_identity() {
    let server = server(|request| match request.path.as_str() {
        "/api/tags" => {
            Some(Script::json(200, r#"{"models":[{"name":"demo:latest","model":"demo:latest","digest":"a80c","size":9}]}"#))
        }
        "/api/version" => Some(Script::json(200, r#"{"version":"0.9.1"}"#)),
        "/api/show" => Some(Script::json(200, r#"{"details":{"quantization_level":"Q4_K_M"},"template":"{{ .Prompt }}"}"#)),
        _ => None,
    });
    let engine = open(&spec("ollama", "ollama", &server.url(), json!({}))).await.unwrap();
    let identity = engine.identity();
    assert_eq!((identity.engine.as_str(), identity.weights.as_str()), ("ollama 0.9.1", "ollama:sha256:a80c"));
    assert_eq!(identity.quantization, "q4_k_m");
}

#[tokio::test]
async fn a_key_that_is_not_accepted_is_said_at_once_and_not_shown() {
    let server = Loopback::start(|request| {
        let body =
            json!({"error": {"message": format!("Incorrect API key provided: {}", request.header("authorization").unwrap())}});
        Script::json(401, body.to_string())
    });
    let fault = open(&spec("openai", "openai-chat", &format!("{}/v1", server.url()), json!({}))).await.err().unwrap();
    let shown = format!("{fault} {fault:?}");
    assert!(shown.contains("does not accept the key: Incorrect API key provided"), "{shown}");
    assert!(!shown.contains("recognisable"), "{shown}");
    assert_eq!(server.log().len(), 1, "a refusal is not asked for again");
}

#[tokio::test]
async fn a_model_that_is_not_there_is_said_with_those_that_are() {
    let server = server(|request| (request.path == "/v1/models").then(|| Script::json(200, models())));
    let more = json!({"model": "dmeo"});
    let fault = open(&spec("vllm", "openai-chat", &format!("{}/v1", server.url()), more)).await.err().unwrap();
    assert_eq!(fault.to_string(), format!("subject `q4`: {} has no model `dmeo`; it has demo", server.address()));
}

#[tokio::test]
async fn an_endpoint_that_is_still_starting_is_looked_at_again() {
    let server = Loopback::start(|request| match request.number {
        0 => Script::json_with(503, &[("retry-after-ms", "5")], r#"{"error":{"code":503,"message":"Loading model"}}"#),
        1 => Script::silence(Close::Reset),
        _ => Script::json(200, models()),
    });
    open(&spec("openai-compatible", "openai-chat", &server.url(), json!({}))).await.unwrap();
    assert_eq!(server.log().len(), 3);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_said_with_its_host() {
    let gone = Loopback::start(|_| Script::silence(Close::End)).address();
    let fault = open(&spec("openai-compatible", "openai-chat", &format!("http://{gone}"), json!({}))).await.err().unwrap();
    assert!(fault.to_string().contains(&format!("{gone} could not be reached")), "{fault}");
}

#[tokio::test]
async fn a_service_that_tells_nothing_of_prompts_is_not_believed_to_score() {
    let server = server(|request| match request.path.as_str() {
        "/v1/models" => Some(Script::json(200, models())),
        "/v1/completions" => Some(Script::json(400, r#"{"error":{"message":"echo is not supported"}}"#)),
        _ => None,
    });
    let spec = spec("openai-compatible", "openai-completions", &format!("{}/v1", server.url()), json!({}));
    let engine = open(&spec).await.unwrap();
    assert!(!engine.capabilities().log_likelihood && engine.capabilities().raw);
    let notes = &engine.origin().unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("log-likelihoods can't be had")), "{notes:?}");
}

#[tokio::test]
async fn an_address_below_which_there_is_nothing_is_not_taken_for_a_gateway() {
    let server = server(|_| None);
    let spec = spec("litellm", "openai-chat", &format!("{}/foo", server.url()), json!({}));
    let error = open(&spec).await.err().unwrap().to_string();
    assert!(error.contains("/foo lists no models there, as litellm does"), "{error}");
}

/// `LiteLLM` without a database: `{"error":{"message":"No connected db.","type":"no_db_connection","code":"400"}}`.
#[tokio::test]
async fn a_key_that_a_gateway_without_a_database_does_not_know_is_not_accepted() {
    let words = r#"{"error":{"message":"No connected db.","type":"no_db_connection","param":null,"code":"400"}}"#;
    let server = server(move |_| Some(Script::json(400, words)));
    let spec = spec("litellm", "openai-chat", &format!("{}/v1", server.url()), json!({}));
    let error = open(&spec).await.err().unwrap().to_string();
    assert!(error.contains("does not accept the key: No connected db"), "{error}");
}
