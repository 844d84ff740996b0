//! Every kind of request on a server that speaks vLLM's protocol: scored, continued, answered, streamed in odd pieces.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use quantgate::domain::{Answer, ApiSpec, Finish, Generation, Message, OptionScore, Request, Service, SubjectName};
use quantgate::engine::api::{Access, ApiEngine};
use quantgate::engine::{Engine, Failure};
use serde_json::{Value, json};

use super::loopback::{Loopback, Received, Script};

/// The server's tokens: a beginning, then one for each byte.
fn tokens(text: &str, special: bool) -> Vec<u64> {
    let begin = special.then_some(1);
    begin.into_iter().chain(text.bytes().map(u64::from)).collect()
}

/// What it tells of a prompt: −(byte mod 7 + 1) ⁄ 4 for each token but the first; even ones are the likeliest.
fn prompt_logprobs(prompt: &Value) -> Value {
    let tokens = match prompt {
        Value::String(text) => tokens(text, true),
        ids => ids.as_array().unwrap().iter().filter_map(Value::as_u64).collect(),
    };
    let entry = |id: &u64| {
        let logprob = -((id % 7 + 1) as f64) / 4.0;
        let mut entry = json!({id.to_string(): {"logprob": logprob, "rank": 1 + id % 2, "decoded_token": "?"}});
        if id % 2 == 1 {
            entry["5000"] = json!({"logprob": -0.01, "rank": 1, "decoded_token": "!"});
        }
        entry
    };
    let first = std::iter::once(Value::Null);
    first.chain(tokens[1..].iter().map(entry)).collect()
}

/// A stream of chat in chunks that end in the middle of lines and characters, with comments and blank lines between.
fn stream() -> Script {
    let text = concat!(
        ": ping\r\n\r\n",
        r#"data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
        "\n\n\n",
        r#"data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"reasoning_content":"hm"},"finish_reason":null}]}"#,
        "\n\n",
        r#"data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"Vié"},"finish_reason":null}]}"#,
        "\r\n\r\n: ping\n\n",
        r#"data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"nna"},"finish_reason":"stop","stop_reason":"\n"}]}"#,
        "\n\n",
        r#"data: {"id":"1","model":"m","choices":[],"usage":{"prompt_tokens":7,"total_tokens":10,"completion_tokens":3}}"#,
        "\n\ndata: [DONE]\n\n",
    );
    Script::stream("text/event-stream; charset=utf-8", text.as_bytes().chunks(5))
}

/// The server's answer to a request.
fn serve(request: &Received) -> Script {
    let body = || request.json();
    match request.path.as_str() {
        "/v1/models" => {
            let model = json!({"id": "m", "object": "model", "owned_by": "vllm", "root": "org/m", "max_model_len": 24});
            Script::json(200, json!({"object": "list", "data": [model]}).to_string())
        }
        "/version" => Script::json(200, r#"{"version":"0.11.0"}"#),
        "/tokenize" => {
            let asked = body();
            let tokens = tokens(asked["prompt"].as_str().unwrap(), asked["add_special_tokens"] == true);
            Script::json(200, json!({"count": tokens.len(), "max_model_len": 24, "tokens": tokens}).to_string())
        }
        "/v1/completions" if body().get("prompt_logprobs").is_some() => {
            let asked = body();
            let prompts = asked["prompt"].as_array().unwrap();
            let choice = |(index, prompt): (usize, &Value)| json!({"index": index, "text": "?", "finish_reason": "length", "prompt_logprobs": prompt_logprobs(prompt)});
            let choices: Vec<Value> = prompts.iter().enumerate().map(choice).collect();
            Script::json(200, json!({"id": "1", "model": "m", "choices": choices}).to_string())
        }
        "/v1/completions" => {
            let text =
                json!({"choices": [{"index": 0, "text": " 4", "finish_reason": "length", "stop_reason": null}], "model": "m"});
            Script::json(200, format!("\n\n{text}"))
        }
        "/v1/chat/completions" => stream(),
        _ => Script::json(404, r#"{"detail":"Not Found"}"#),
    }
}

/// The answer to one request.
async fn ask(engine: &ApiEngine, request: Request) -> Result<Answer, Failure> {
    engine.answer(&[request]).await.pop().unwrap().map(|reply| reply.answer)
}

#[tokio::test]
async fn every_kind_of_request_is_answered_by_a_server_of_vllms_protocol() {
    let server = Loopback::start(serve);
    let base_url = format!("{}/v1", server.url());
    let spec = json!({"preset": "vllm", "dialect": "openai-completions", "base_url": base_url, "model": "m", "stream": true});
    let spec: ApiSpec = serde_json::from_value(spec).unwrap();
    let service = Service { timeout_s: Some(120.0), ..Service::default() };
    let access = Access { key: None, service, root: PathBuf::new(), server: None, jobs: PathBuf::new() };
    let engine = ApiEngine::open(&SubjectName::new("awq"), &spec, access).await.unwrap();
    let able = engine.capabilities();
    assert!(able.log_likelihood && able.raw && able.chat && able.tools && !able.distributions);

    let options = vec!["A".to_owned(), "Bé".to_owned()];
    let scored = ask(&engine, Request::Choice { context: "Q: ".into(), options }).await.unwrap();
    let score = |log_likelihood, tokens, bytes| OptionScore { log_likelihood, tokens, bytes, greedy: false };
    // " A" is 32, 65: −5⁄4 − 3⁄4; " Bé" is 32, 66, 195, 169: −5⁄4 − 4⁄4 − 7⁄4 − 2⁄4.
    assert_eq!(scored, Answer::Choice { options: vec![score(-2.0, 2, 1), score(-4.5, 4, 3)] });

    let text = "a document of more tokens than the context holds";
    let Answer::Rolling { nll, bytes, top, .. } = ask(&engine, Request::Perplexity { text: text.into() }).await.unwrap() else {
        panic!("a document's score");
    };
    assert_eq!(bytes as usize, text.len());
    assert_eq!(nll, text.bytes().map(|byte| f64::from(byte % 7 + 1) / 4.0).collect::<Vec<_>>());
    assert_eq!(top.len(), nll.len(), "each place has the likeliest tokens: its own, and another where that is likelier");
    assert!(top.iter().zip(text.bytes()).all(|(top, byte)| top.len() == 1 + usize::from(byte % 2)), "{top:?}");

    let generation =
        Generation { max_tokens: 16, stop: vec!["\n".into()], temperature: 0.0, top_p: 1.0, seed: 7, constraint: None };
    let request = Request::Generate { prompt: "2+2=".into(), generation: generation.clone() };
    let said = |text: &str, finish| Answer::Text { text: text.into(), tokens: Vec::new(), finish };
    assert_eq!(ask(&engine, request).await.unwrap(), said(" 4", Finish::Length));

    let messages = vec![Message { role: "user".into(), content: "Which city?".into() }];
    let answer = ask(&engine, Request::Chat { messages, tools: Vec::new(), generation }).await.unwrap();
    assert_eq!(answer, said("Viénna", Finish::Stop));
}

/// A gateway before a server that echoes prompts, whose first choice was out of order.
fn gateway(request: &Received) -> Script {
    if request.path != "/v1/completions" {
        return Script::json(200, r#"{"object":"list","data":[{"id":"m","object":"model"}]}"#);
    }
    let prompts = request.json()["prompt"].as_array().unwrap().len();
    let logprobs = |last: usize| {
        let own: Vec<Value> = [json!(null), json!(-0.5), json!(-1.5), json!(-9.0)].into_iter().take(last).collect();
        let top: Vec<Value> = own.iter().map(|own| if own.is_null() { json!(null) } else { json!({"?": own}) }).collect();
        json!({"tokens": [], "token_logprobs": own, "top_logprobs": top, "text_offset": []})
    };
    // The last prompt is the context alone.
    let choice = |index: usize| {
        let last = if index + 1 == prompts { 3 } else { 4 };
        json!({"index": index, "text": "?", "finish_reason": "length", "logprobs": logprobs(last)})
    };
    let choices: Vec<Value> = (0..prompts).map(choice).collect();
    let usage = json!({"prompt_tokens": 3 * prompts - 1, "completion_tokens": prompts});
    let headers = [
        ("x-litellm-attempted-fallbacks", "1"),
        ("x-litellm-model-id", "b2"),
        ("x-ratelimit-remaining-requests", "7"),
        ("x-ratelimit-reset-requests", "2s"),
    ];
    Script::json_with(200, &headers, json!({"id": "1", "model": "m", "choices": choices, "usage": usage}).to_string())
}

#[tokio::test]
async fn scores_through_a_gateway_tell_of_fallbacks_and_of_what_is_left_of_limits() {
    let server = Loopback::start(gateway);
    let base_url = server.url();
    let spec = json!({"preset": "litellm", "dialect": "openai-completions", "base_url": base_url, "model": "m"});
    let spec: ApiSpec = serde_json::from_value(spec).unwrap();
    let service = Service { timeout_s: Some(120.0), ..Service::default() };
    let access = Access { key: None, service, root: PathBuf::new(), server: None, jobs: PathBuf::new() };
    let engine = ApiEngine::open(&SubjectName::new("behind"), &spec, access).await.unwrap();
    let request = Request::Choice { context: "Q:".into(), options: vec![" A".into(), " B".into()] };
    let reply = engine.answer(&[request]).await.pop().unwrap().unwrap();
    let score = OptionScore { log_likelihood: -1.5, tokens: 1, bytes: 2, greedy: true };
    assert_eq!(reply.answer, Answer::Choice { options: vec![score.clone(), score] });
    let served = reply.served.unwrap();
    assert_eq!((served.fallbacks, served.model.as_deref()), (1, Some("m (b2)")));
    assert!(served.prompt.is_some() && served.usage.is_some());
    assert_eq!(reply.headroom.requests.map(|(left, _)| left), Some(7.0));
}
