//! OpenAI's chat completions byte for byte, as written in OpenAI's openapi.yaml (2.3.0) and in the servers' own documentation.

use super::*;
use crate::domain::{Answer, Dialect};
use crate::engine::Reply;

/// A subject of a preset.
fn subject(preset: Preset, stream: bool) -> ApiSpec {
    super::super::fixture::spec(preset, Dialect::OpenaiChat, "m", stream)
}

fn generation() -> Generation {
    Generation { max_tokens: 64, stop: vec!["\n".into()], temperature: 0.0, top_p: 1.0, seed: 7, constraint: None }
}

fn chat(messages: &[(&str, &str)], tools: Vec<Value>) -> Request {
    let messages = messages.iter().map(|(role, content)| Message { role: (*role).into(), content: (*content).into() });
    Request::Chat { messages: messages.collect(), tools, generation: generation() }
}

fn written(spec: &ApiSpec, request: &Request) -> (String, String) {
    let wire = encode(&Ask { spec, request }).unwrap();
    (wire.path, Value::Object(wire.body).to_string())
}

fn read_whole(body: &str) -> Result<Reply, Failure> {
    let mut draft = Draft::default();
    whole(&serde_json::from_slice(body.as_bytes()).unwrap(), &mut draft)?;
    draft.finish()
}

fn read_pieces(pieces: &[&str]) -> Result<Reply, Failure> {
    let mut draft = Draft::default();
    for data in pieces {
        if piece(&Frame { event: None, data: data.as_bytes() }, &mut draft)? == Flow::Done {
            break;
        }
    }
    draft.finish()
}

fn text(reply: Result<Reply, Failure>) -> (String, Finish) {
    match reply.unwrap().answer {
        Answer::Text { text, finish, .. } => (text, finish),
        other => panic!("{other:?}"),
    }
}

#[test]
fn openai_gets_its_own_name_for_the_token_limit_and_every_setting() {
    let (path, body) = written(&subject(Preset::Openai, false), &chat(&[("system", "Be brief."), ("user", "Hi")], vec![]));
    assert_eq!(path, "/chat/completions");
    let expected = concat!(
        r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}],"#,
        r#""max_completion_tokens":64,"temperature":0.0,"top_p":1.0,"stop":["\n"],"seed":7,"presence_penalty":0.0,"#,
        r#""frequency_penalty":0.0,"stream":false}"#
    );
    assert_eq!(body, expected);
}

#[test]
fn tools_are_offered_as_they_are_and_the_model_may_choose() {
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}});
    let (_, body) = written(&subject(Preset::OpenaiCompatible, true), &chat(&[("user", "Hi")], vec![tool]));
    let expected = concat!(
        r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":64,"temperature":0.0,"top_p":1.0,"#,
        r#""stop":["\n"],"seed":7,"presence_penalty":0.0,"frequency_penalty":0.0,"#,
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}],"#,
        r#""tool_choice":"auto","stream":true,"stream_options":{"include_usage":true}}"#
    );
    assert_eq!(body, expected);
}

#[test]
fn vllm_is_told_to_leave_the_model_files_own_sampling_off() {
    let (_, body) = written(&subject(Preset::Vllm, false), &chat(&[("user", "Hi")], vec![]));
    assert!(body.contains(r#""top_k":-1,"min_p":0.0,"repetition_penalty":1.0"#), "{body}");
    assert!(body.contains(r#""max_tokens":64"#) && !body.contains("continue_final_message"), "{body}");
}

#[test]
fn vllm_continues_a_last_message_that_is_the_assistants() {
    let (_, body) = written(&subject(Preset::Vllm, false), &chat(&[("user", "Hi"), ("assistant", "Well,")], vec![]));
    assert!(body.contains(r#""add_generation_prompt":false,"continue_final_message":true"#), "{body}");
}

#[test]
fn llama_server_gets_neutral_values_for_each_of_its_samplers() {
    let (_, body) = written(&subject(Preset::LlamaServer, false), &chat(&[("user", "Hi")], vec![]));
    let neutral = concat!(
        r#""top_k":0,"min_p":0.0,"typical_p":1.0,"top_n_sigma":-1.0,"repeat_penalty":1.0,"dry_multiplier":0.0,"#,
        r#""xtc_probability":0.0,"dynatemp_range":0.0,"mirostat":0"#
    );
    assert!(body.contains(neutral), "{body}");
}

#[test]
fn a_gateway_gets_only_what_all_services_behind_it_take() {
    let (_, body) = written(&subject(Preset::Litellm, false), &chat(&[("user", "Hi")], vec![]));
    let expected = concat!(
        r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":64,"temperature":0.0,"top_p":1.0,"#,
        r#""stop":["\n"],"stream":false}"#
    );
    assert_eq!(body, expected);
}

#[test]
fn deepseek_has_no_seed() {
    let (_, body) = written(&subject(Preset::Deepseek, false), &chat(&[("user", "Hi")], vec![]));
    assert!(!body.contains("seed"), "{body}");
}

#[test]
fn openai_gets_as_many_stop_texts_as_it_takes() {
    let mut generation = generation();
    generation.stop = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
    let request = Request::Generate { prompt: "Hi".into(), generation };
    let (_, body) = written(&subject(Preset::Openai, false), &request);
    assert!(body.contains(r#""stop":["a","b","c","d"]"#), "{body}");
    let (_, body) = written(&subject(Preset::Vllm, false), &request);
    assert!(body.contains(r#""stop":["a","b","c","d","e"]"#), "{body}");
}

#[test]
fn a_prompt_becomes_one_message_of_a_user() {
    let request = Request::Generate { prompt: "2+2=".into(), generation: generation() };
    let (_, body) = written(&subject(Preset::Openai, false), &request);
    assert!(body.contains(r#""messages":[{"role":"user","content":"2+2="}]"#), "{body}");
}

/// The example of openapi.yaml's `createChatCompletion`, with usage details.
const WHOLE: &str = r#"

{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","created":1741569952,"model":"gpt-4.1-2025-04-14",
"choices":[{"index":0,"message":{"role":"assistant","content":"Hello! How can I assist you today?","refusal":null,"annotations":[]},
"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,
"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},
"service_tier":"default","system_fingerprint":"fp_44709d6fcb"}"#;

#[test]
fn a_whole_answer_tells_text_model_fingerprint_and_usage_even_behind_blank_lines() {
    let reply = read_whole(WHOLE).unwrap();
    let served = reply.served.clone().unwrap();
    assert_eq!(served.model.as_deref(), Some("gpt-4.1-2025-04-14"));
    assert_eq!(served.fingerprint.as_deref(), Some("fp_44709d6fcb"));
    assert_eq!(served.usage, Some(Usage { prompt: 19, completion: 10, cached: 4 }));
    assert_eq!(text(Ok(reply)), ("Hello! How can I assist you today?".into(), Finish::End));
}

/// A whole answer with this message and end.
fn answer(message: &str, rest: &str) -> Result<Reply, Failure> {
    read_whole(&format!(r#"{{"id":"x","model":"m","choices":[{{"index":0,"message":{message},{rest}}}]}}"#))
}

#[test]
fn ends_are_told_apart_as_far_as_the_service_tells() {
    let message = r#"{"role":"assistant","content":"a"}"#;
    let finish = |rest: &str| text(answer(message, rest)).1;
    assert_eq!(finish(r#""finish_reason":"stop""#), Finish::End);
    assert_eq!(finish(r#""finish_reason":"stop","stop_reason":null"#), Finish::End);
    assert_eq!(finish(r#""finish_reason":"stop","stop_reason":128009"#), Finish::End);
    assert_eq!(finish(r#""finish_reason":"stop","stop_reason":"\n""#), Finish::Stop);
    assert_eq!(finish(r#""finish_reason":"length""#), Finish::Length);
    assert_eq!(finish(r#""finish_reason":"model_length""#), Finish::Length);
    assert_eq!(finish(r#""finish_reason":"tool_calls""#), Finish::End);
}

#[test]
fn ends_that_are_no_answer_are_failures_of_their_class() {
    let class = |reason: &str| {
        let failure = answer(r#"{"content":"a"}"#, &format!(r#""finish_reason":{reason}"#)).unwrap_err();
        (failure.kind, failure.retry)
    };
    assert_eq!(class(r#""content_filter""#), (CauseKind::Filtered, RetryClass::No));
    assert_eq!(class(r#""error""#), (CauseKind::Transport, RetryClass::Transient));
    assert_eq!(class(r#""insufficient_system_resource""#), (CauseKind::Limited, RetryClass::Busy));
    assert_eq!(class(r#""quota""#), (CauseKind::Malformed, RetryClass::No));
    assert_eq!(class("null"), (CauseKind::Malformed, RetryClass::Transient));
}

#[test]
fn null_content_is_no_text_and_thoughts_are_not_the_answer() {
    let silent = answer(r#"{"role":"assistant","content":null}"#, r#""finish_reason":"stop""#);
    assert_eq!(text(silent), (String::new(), Finish::End));
    let thoughtful = r#"{"content":"4","reasoning_content":"2+2 is 4","reasoning":"2+2 is 4"}"#;
    assert_eq!(text(answer(thoughtful, r#""finish_reason":"stop""#)).0, "4");
    let cut = answer(r#"{"content":null,"reasoning_content":"Let me"}"#, r#""finish_reason":"length""#);
    assert_eq!(text(cut), (String::new(), Finish::Length));
    let chunks = r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"4"}]}"#;
    assert_eq!(text(answer(chunks, r#""finish_reason":"stop""#)).0, "4");
}

#[test]
fn a_refusal_is_what_the_model_said() {
    let refused = r#"{"role":"assistant","content":null,"refusal":"I can't help with that."}"#;
    assert_eq!(text(answer(refused, r#""finish_reason":"stop""#)).0, "I can't help with that.");
}

#[test]
fn tool_calls_become_the_text_that_their_scorer_reads() {
    let one = concat!(
        r#"{"role":"assistant","content":null,"tool_calls":[{"id":"call_abc123","type":"function","#,
        r#""function":{"name":"get_current_weather","arguments":"{\n\"location\": \"Boston, MA\"\n}"}}]}"#
    );
    let expected = "{\"name\": \"get_current_weather\", \"arguments\": {\n\"location\": \"Boston, MA\"\n}}";
    assert_eq!(text(answer(one, r#""finish_reason":"tool_calls""#)), (expected.into(), Finish::End));
    let older = r#"{"content":null,"function_call":{"name":"f","arguments":"{}"}}"#;
    assert_eq!(text(answer(older, r#""finish_reason":"function_call""#)).0, r#"{"name": "f", "arguments": {}}"#);
}

#[test]
fn a_stream_is_read_up_to_its_usage_and_its_end() {
    let reply = read_pieces(&[
        r#"{"id":"1","object":"chat.completion.chunk","model":"","choices":[],"prompt_filter_results":[]}"#,
        r#"{"id":"1","model":"gpt-4o-mini","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        r#"{"id":"1","model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}],"usage":null}"#,
        r#"{"id":"1","model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}],"usage":null}"#,
        r#"{"id":"1","model":"gpt-4o-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
        r#"{"id":"1","model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#,
        " [DONE] ",
        "never read",
    ])
    .unwrap();
    let served = reply.served.clone().unwrap();
    assert_eq!(served.model.as_deref(), Some("gpt-4o-mini"));
    assert_eq!(served.usage, Some(Usage { prompt: 9, completion: 2, cached: 0 }));
    assert_eq!(text(Ok(reply)), ("Hello".into(), Finish::End));
}

/// A streamed answer of these deltas.
fn deltas(deltas: &[&str]) -> String {
    let mut frames: Vec<String> =
        deltas.iter().map(|delta| format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#)).collect();
    frames.push(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#.into());
    text(read_pieces(&frames.iter().map(String::as_str).collect::<Vec<_>>())).0
}

#[test]
fn tool_calls_are_put_together_from_openais_pieces() {
    let calls = deltas(&[
        r#"{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]}"#,
        r#"{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"g","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":": 1}"}}]}"#,
        r#"{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}"#,
    ]);
    assert_eq!(calls, r#"[{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {}}]"#);
}

#[test]
fn calls_of_one_index_with_ids_of_their_own_are_calls_of_their_own() {
    let calls = deltas(&[
        r#"{"tool_calls":[{"index":0,"id":"call_a","function":{"name":"f","arguments":"{}"}}]}"#,
        r#"{"tool_calls":[{"index":0,"id":"call_b","function":{"name":"f","arguments":"{\"b\":2}"}}]}"#,
    ]);
    assert_eq!(calls, r#"[{"name": "f", "arguments": {}}, {"name": "f", "arguments": {"b":2}}]"#);
}

#[test]
fn pieces_without_id_or_index_belong_to_the_last_named_call() {
    let calls = deltas(&[
        r#"{"tool_calls":[{"function":{"name":"f","arguments":""}}]}"#,
        r#"{"tool_calls":[{"id":"","function":{"name":null,"arguments":"{\"a\":"}}]}"#,
        r#"{"tool_calls":[{"function":{"arguments":"1}"}}]}"#,
        r#"{"tool_calls":[{"function":{"name":"g","arguments":{"b":2}}}]}"#,
    ]);
    assert_eq!(calls, r#"[{"name": "f", "arguments": {"a":1}}, {"name": "g", "arguments": {"b":2}}]"#);
}

#[test]
fn a_name_that_comes_with_every_piece_counts_once() {
    let calls = deltas(&[
        r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a\":"}}]}"#,
        r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"1}"}}]}"#,
    ]);
    assert_eq!(calls, r#"{"name": "f", "arguments": {"a":1}}"#);
}

#[test]
fn an_error_under_200_is_a_failure_whole_or_in_a_stream() {
    let overloaded = r#"{"error":{"message":"The engine is currently overloaded, please try again later","type":"server_error","param":null,"code":null}}"#;
    let failure = read_whole(overloaded).unwrap_err();
    assert_eq!((failure.kind, failure.retry), (CauseKind::Limited, RetryClass::Busy));
    let failure = read_pieces(&[
        r#"{"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}"#,
        r#"{"error":{"message":"EngineCore encountered an issue.","type":"InternalServerError","param":null,"code":500}}"#,
    ])
    .unwrap_err();
    assert_eq!((failure.kind, failure.retry), (CauseKind::Transport, RetryClass::Transient));
}

#[test]
fn what_is_not_the_dialects_is_malformed_and_never_an_empty_answer() {
    for body in ["{}", r#"{"choices":[]}"#, r#"{"choices":[{"message":{"content":7},"finish_reason":"stop"}]}"#, "[]", "null"] {
        let failure = read_whole(body).unwrap_err();
        assert_eq!((failure.kind, failure.retry), (CauseKind::Malformed, RetryClass::Transient), "{body}");
    }
    let torn = read_pieces(&[r#"{"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}"#]);
    assert_eq!(torn.unwrap_err().kind, CauseKind::Malformed);
    assert_eq!(read_pieces(&["{\"choices\":"]).unwrap_err().kind, CauseKind::Malformed);
}
