//! OpenAI's completions byte for byte, as written in OpenAI's openapi.yaml (2.3.0) and vLLM's documentation.

use serde_json::Value;

use super::super::exchange::{Draft, Flow, Frame};
use super::super::fixture::spec;
use super::*;
use crate::domain::{Answer, ApiSpec, CauseKind, Dialect, Finish, Generation, Message, Usage};

fn generation() -> Generation {
    Generation { max_tokens: 16, stop: vec!["\n".into(), "Q:".into()], temperature: 0.7, top_p: 0.9, seed: 7, constraint: None }
}

fn written(spec: &ApiSpec, request: &Request) -> (String, String) {
    let wire = encode(&Ask { spec, request }).unwrap();
    (wire.path, Value::Object(wire.body).to_string())
}

fn prompt() -> Request {
    Request::Generate { prompt: "Q: 2+2\nA:".into(), generation: generation() }
}

#[test]
fn a_prompt_goes_out_as_it_is_with_every_setting() {
    let (path, body) = written(&spec(Preset::OpenaiCompatible, Dialect::OpenaiCompletions, "m", false), &prompt());
    assert_eq!(path, "/completions");
    let expected = concat!(
        r#"{"model":"m","prompt":"Q: 2+2\nA:","max_tokens":16,"temperature":0.7,"top_p":0.9,"stop":["\n","Q:"],"seed":7,"#,
        r#""presence_penalty":0.0,"frequency_penalty":0.0,"stream":false}"#
    );
    assert_eq!(body, expected);
}

#[test]
fn vllm_gets_its_own_settings_too() {
    let (_, body) = written(&spec(Preset::Vllm, Dialect::OpenaiCompletions, "m", true), &prompt());
    let expected = concat!(
        r#"{"model":"m","prompt":"Q: 2+2\nA:","max_tokens":16,"temperature":0.7,"top_p":0.9,"stop":["\n","Q:"],"seed":7,"#,
        r#""presence_penalty":0.0,"frequency_penalty":0.0,"top_k":-1,"min_p":0.0,"repetition_penalty":1.0,"#,
        r#""add_special_tokens":true,"stream":true,"stream_options":{"include_usage":true}}"#
    );
    assert_eq!(body, expected);
}

#[test]
fn conversations_go_to_the_same_servers_chat() {
    let messages = vec![Message { role: "user".into(), content: "Hi".into() }];
    let request = Request::Chat { messages, tools: Vec::new(), generation: generation() };
    let (path, _) = written(&spec(Preset::Vllm, Dialect::OpenaiCompletions, "m", false), &request);
    assert_eq!(path, "/chat/completions");
    let openai = spec(Preset::Openai, Dialect::OpenaiCompletions, "davinci-002", false);
    assert_eq!(encode(&Ask { spec: &openai, request: &request }).unwrap_err().kind, CauseKind::Refused);
}

#[test]
fn a_whole_answer_is_read() {
    // openapi.yaml's example of a completion, with vLLM's `stop_reason`.
    let body = r#"{"id":"cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7","object":"text_completion","created":1589478378,"model":"m",
        "choices":[{"text":" 4","index":0,"logprobs":null,"finish_reason":"stop","stop_reason":"\n"}],
        "usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#;
    let mut draft = Draft::default();
    openai_chat::whole(&serde_json::from_str(body).unwrap(), &mut draft).unwrap();
    let reply = draft.finish().unwrap();
    assert_eq!(reply.answer, Answer::Text { text: " 4".into(), tokens: Vec::new(), finish: Finish::Stop });
    assert_eq!(reply.served.unwrap().usage, Some(Usage { prompt: 5, completion: 7, cached: 0 }));
}

#[test]
fn a_stream_is_read() {
    let mut draft = Draft::default();
    let frames = [
        r#"{"id":"cmpl-1","object":"text_completion","model":"m","choices":[{"index":0,"text":" ","logprobs":null,"finish_reason":null,"stop_reason":null}]}"#,
        r#"{"id":"cmpl-1","object":"text_completion","model":"m","choices":[{"index":0,"text":"4","logprobs":null,"finish_reason":"length","stop_reason":null}]}"#,
        r#"{"id":"cmpl-1","object":"text_completion","model":"m","choices":[],"usage":{"prompt_tokens":5,"total_tokens":7,"completion_tokens":2}}"#,
    ];
    for data in frames {
        let flow = openai_chat::piece(&Frame { event: None, data: data.as_bytes() }, &mut draft).unwrap();
        assert_eq!(flow, Flow::More);
    }
    assert_eq!(openai_chat::piece(&Frame { event: None, data: b"[DONE]" }, &mut draft).unwrap(), Flow::Done);
    assert_eq!(draft.pieces, 2);
    let reply = draft.finish().unwrap();
    assert_eq!(reply.answer, Answer::Text { text: " 4".into(), tokens: Vec::new(), finish: Finish::Length });
}
