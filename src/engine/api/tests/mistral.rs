//! Mistral's API byte for byte, as written in its public openapi.yaml.

use serde_json::json;

use super::super::fixture::spec;
use super::*;
use crate::domain::{Answer, CauseKind, Dialect, Finish, Message, Preset, Usage};

fn generation() -> Generation {
    Generation { max_tokens: 32, stop: vec!["\n".into()], temperature: 0.0, top_p: 0.9, seed: 7, constraint: None }
}

fn written(model: &str, stream: bool, request: &Request) -> (String, String, Framing) {
    let spec = spec(Preset::Mistral, Dialect::Mistral, model, stream);
    let wire = encode(&Ask { spec: &spec, request }).unwrap();
    (wire.path, Value::Object(wire.body).to_string(), wire.framing)
}

fn chat(messages: &[(&str, &str)], tools: Vec<Value>) -> Request {
    let messages = messages.iter().map(|(role, content)| Message { role: (*role).into(), content: (*content).into() });
    Request::Chat { messages: messages.collect(), tools, generation: generation() }
}

#[test]
fn a_conversation_has_mistrals_own_members_and_no_others() {
    let (path, body, framing) = written("mistral-small-2603", false, &chat(&[("system", "S"), ("user", "Hi")], vec![]));
    assert_eq!((path.as_str(), framing), ("/chat/completions", Framing::Whole));
    // Greedy sampling takes no `top_p` but 1.
    let expected = concat!(
        r#"{"model":"mistral-small-2603","messages":[{"role":"system","content":"S"},{"role":"user","content":"Hi"}],"#,
        r#""max_tokens":32,"temperature":0.0,"top_p":1.0,"stop":["\n"],"random_seed":7,"presence_penalty":0.0,"#,
        r#""frequency_penalty":0.0,"safe_prompt":false,"stream":false}"#
    );
    assert_eq!(body, expected);
}

#[test]
fn tools_must_be_used_and_a_last_message_of_the_assistant_is_a_prefix() {
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {}}});
    let (_, body, framing) = written("mistral-small-2603", true, &chat(&[("user", "Hi"), ("assistant", "Well,")], vec![tool]));
    assert_eq!(framing, Framing::Sse);
    let expected = concat!(
        r#"{"model":"mistral-small-2603","messages":[{"role":"user","content":"Hi"},"#,
        r#"{"role":"assistant","content":"Well,","prefix":true}],"#,
        r#""max_tokens":32,"temperature":0.0,"top_p":1.0,"stop":["\n"],"random_seed":7,"presence_penalty":0.0,"#,
        r#""frequency_penalty":0.0,"safe_prompt":false,"#,
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"tool_choice":"any","stream":true}"#
    );
    assert_eq!(body, expected);
}

#[test]
fn codestral_fills_in_after_a_prompt_and_other_models_get_it_as_a_message() {
    let mut sampled = generation();
    sampled.temperature = 0.7;
    let request = Request::Generate { prompt: "def".into(), generation: sampled };
    let (path, body, _) = written("codestral-2508", false, &request);
    assert_eq!(path, "/fim/completions");
    let expected = concat!(
        r#"{"model":"codestral-2508","prompt":"def","suffix":null,"max_tokens":32,"temperature":0.7,"top_p":0.9,"#,
        r#""stop":["\n"],"random_seed":7,"stream":false}"#
    );
    assert_eq!(body, expected);
    let (path, body, _) = written("mistral-small-2603", false, &request);
    assert_eq!(path, "/chat/completions");
    assert!(body.contains(r#""messages":[{"role":"user","content":"def"}]"#), "{body}");
}

#[test]
fn texts_cannot_be_scored() {
    let request = Request::Choice { context: "a".into(), options: vec!["b".into(), "c".into()] };
    let spec = spec(Preset::Mistral, Dialect::Mistral, "mistral-small-2603", false);
    assert_eq!(encode(&Ask { spec: &spec, request: &request }).unwrap_err().kind, CauseKind::Refused);
}

#[test]
fn the_specifications_example_of_a_completion_is_read() {
    let body = r#"{"id":"447e3e0d457e42e98248b5d2ef52a2a3","object":"chat.completion","model":"codestral-2508",
        "usage":{"prompt_tokens":8,"completion_tokens":91,"total_tokens":99},"created":1759496862,
        "choices":[{"index":0,"message":{"content":"add_numbers(a: int, b: int) -> int:\n","tool_calls":null,"prefix":false,
        "role":"assistant"},"finish_reason":"stop"}]}"#;
    let mut draft = Draft::default();
    whole(&serde_json::from_str(body).unwrap(), &mut draft).unwrap();
    let reply = draft.finish().unwrap();
    assert_eq!(reply.served.as_ref().unwrap().usage, Some(Usage { prompt: 8, completion: 91, cached: 0 }));
    let text = "add_numbers(a: int, b: int) -> int:\n".to_owned();
    assert_eq!(reply.answer, Answer::Text { text, tokens: Vec::new(), finish: Finish::End });
}

#[test]
fn a_stream_ends_with_usage_in_its_last_choice_and_calls_may_carry_objects() {
    let frames = [
        r#"{"id":"1","object":"chat.completion.chunk","created":1,"model":"mistral-small-2603","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
        r#"{"id":"1","object":"chat.completion.chunk","created":1,"model":"mistral-small-2603","choices":[{"index":0,"delta":{"content":"","tool_calls":[{"id":"D681PevKs","type":"function","function":{"name":"f","arguments":{"a":1}},"index":0},{"id":"null","function":{"name":"g","arguments":"{}"},"index":1}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":10,"total_tokens":15,"completion_tokens":5,"num_cached_tokens":4}}"#,
        "[DONE]",
    ];
    let mut draft = Draft::default();
    let flows: Vec<Flow> =
        frames.iter().map(|data| piece(&Frame { event: None, data: data.as_bytes() }, &mut draft).unwrap()).collect();
    assert_eq!(flows, [Flow::More, Flow::More, Flow::Done]);
    let reply = draft.finish().unwrap();
    let served = reply.served.unwrap();
    assert_eq!(served.model.as_deref(), Some("mistral-small-2603"));
    assert_eq!(served.usage, Some(Usage { prompt: 10, completion: 5, cached: 4 }));
    let text = r#"[{"name": "f", "arguments": {"a":1}}, {"name": "g", "arguments": {}}]"#.to_owned();
    assert_eq!(reply.answer, Answer::Text { text, tokens: Vec::new(), finish: Finish::End });
}

#[test]
fn a_stream_that_ends_in_an_error_is_a_failure() {
    let mut draft = Draft::default();
    let data = br#"{"id":"1","model":"m","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}"#;
    let failure = piece(&Frame { event: None, data }, &mut draft).unwrap_err();
    assert_eq!(failure.kind, CauseKind::Transport);
}
