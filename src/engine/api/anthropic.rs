//! Anthropic's messages: requests out, answers in, whole or as typed events.

use serde_json::{Map, Value, json};

use super::super::{Failure, RetryClass};
use super::exchange::{Ask, Draft, Flow, Frame, Framing, Wire, malformed};
use super::turns::Talk;
use crate::domain::{CauseKind, Finish, Usage};

/// The version of the API that all this is of.
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// Writes a request.
///
/// # Errors
/// [`CauseKind::Refused`] for what the service does not take: see [`Talk::of`].
pub(super) fn encode(ask: &Ask<'_>) -> Result<Wire, Failure> {
    let talk = Talk::of(ask.request)?;
    let (generation, stop) = (talk.generation, talk.stop());
    let turns: Vec<Value> = talk.turns.iter().map(|(role, text)| json!({ "role": role, "content": text })).collect();
    let mut body = Map::new();
    body.insert("model".to_owned(), ask.spec.model.as_str().into());
    body.insert("max_tokens".to_owned(), generation.max_tokens.into());
    if let Some(system) = talk.system {
        body.insert("system".to_owned(), system.into());
    }
    body.insert("messages".to_owned(), turns.into());
    body.insert("temperature".to_owned(), generation.temperature.into());
    // Models since Claude Opus 4.1 refuse a request with both, and without it nothing is cut from the distribution.
    if generation.top_p < 1.0 {
        body.insert("top_p".to_owned(), generation.top_p.into());
    }
    if !stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(stop));
    }
    if !talk.tools.is_empty() {
        let tools = talk.tools.into_iter().map(|tool| {
            let mut written = Map::new();
            written.insert("name".to_owned(), tool.name.into());
            if let Some(description) = tool.description {
                written.insert("description".to_owned(), description.into());
            }
            written.insert("input_schema".to_owned(), tool.schema);
            Value::from(written)
        });
        body.insert("tools".to_owned(), tools.collect());
        body.insert("tool_choice".to_owned(), json!({ "type": "auto" }));
    }
    body.insert("stream".to_owned(), ask.spec.stream.into());
    let own = ask.spec.headers.keys().any(|name| name.eq_ignore_ascii_case(VERSION.0));
    Ok(Wire {
        path: if ask.spec.base_url.trim_end_matches('/').ends_with("/v1") { "/messages" } else { "/v1/messages" }.to_owned(),
        headers: if own { Vec::new() } else { vec![(VERSION.0, VERSION.1.to_owned())] },
        body,
        framing: if ask.spec.stream { Framing::Sse } else { Framing::Whole },
    })
}

/// Reads a whole answer.
///
/// # Errors
/// The error that the body is, or [`CauseKind::Malformed`] where it is neither that nor an answer.
pub(super) fn whole(body: &Value, draft: &mut Draft) -> Result<(), Failure> {
    if let Some(failure) = fault(body) {
        return Err(failure);
    }
    let content = body["content"].as_array().ok_or_else(|| malformed("an answer without content"))?;
    draft.served.model = body["model"].as_str().map(str::to_owned);
    count(&body["usage"], draft);
    for block in content {
        begin(block, draft);
    }
    stop(body, draft)
}

/// Reads one event of a streamed answer. Events of other types than are known here bring nothing, as the service asks.
///
/// # Errors
/// The error that the event is, or [`CauseKind::Malformed`] where it is none of this service's.
pub(super) fn piece(frame: &Frame<'_>, draft: &mut Draft) -> Result<Flow, Failure> {
    let event: Value = serde_json::from_slice(frame.data).map_err(malformed)?;
    match event["type"].as_str().or(frame.event).unwrap_or_default() {
        "message_start" => {
            draft.served.model = event["message"]["model"].as_str().map(str::to_owned);
            count(&event["message"]["usage"], draft);
        }
        "content_block_start" => begin(&event["content_block"], draft),
        "content_block_delta" => {
            let delta = &event["delta"];
            draft.say(delta["text"].as_str().unwrap_or_default());
            // A block ends before the next begins: what comes is the last call's.
            let arguments = delta["partial_json"].as_str().unwrap_or_default();
            if let (Some(last), false) = (draft.calls.len().checked_sub(1), arguments.is_empty()) {
                draft.call(last).arguments.push_str(arguments);
            }
        }
        "message_delta" => {
            count(&event["usage"], draft);
            stop(&event["delta"], draft)?;
        }
        "message_stop" => return Ok(Flow::Done),
        "error" => return Err(fault(&event).unwrap_or_else(|| malformed("an error without a word"))),
        _ => {}
    }
    Ok(Flow::More)
}

/// A block of content as it begins: complete in a whole answer, mostly empty in a stream. Thoughts are no part of an answer.
fn begin(block: &Value, draft: &mut Draft) {
    match block["type"].as_str() {
        Some("text") => draft.say(block["text"].as_str().unwrap_or_default()),
        Some("tool_use") => {
            let call = draft.call(draft.calls.len());
            block["name"].as_str().unwrap_or_default().clone_into(&mut call.name);
            if block["input"].as_object().is_some_and(|input| !input.is_empty()) {
                call.arguments = block["input"].to_string();
            }
        }
        _ => {}
    }
}

/// Takes over counts of tokens: those of a stream's later events are of all before them, and may leave some out.
fn count(usage: &Value, draft: &mut Draft) {
    let told = |name: &str| usage[name].as_u64();
    let sum = draft.served.usage.get_or_insert_with(Usage::default);
    if let Some(fresh) = told("input_tokens") {
        sum.cached = told("cache_read_input_tokens").unwrap_or(sum.cached);
        sum.prompt = fresh + sum.cached + told("cache_creation_input_tokens").unwrap_or(0);
    }
    sum.completion = told("output_tokens").unwrap_or(sum.completion);
}

/// Why it stopped. llama.cpp's server, which speaks this dialect too, calls a stop text the end of a turn, but names the text.
fn stop(told: &Value, draft: &mut Draft) -> Result<(), Failure> {
    draft.finish = Some(match told["stop_reason"].as_str() {
        None => return Ok(()),
        Some("end_turn") if told["stop_sequence"].is_string() => Finish::Stop,
        Some("end_turn" | "tool_use") => Finish::End,
        Some("stop_sequence") => Finish::Stop,
        Some("max_tokens" | "model_context_window_exceeded") => Finish::Length,
        Some("refusal") => {
            draft.filtered = true;
            Finish::End
        }
        Some(other) => return Err(malformed(format!("it stopped for the reason {other:?}"))),
    });
    Ok(())
}

/// The failure that a body or an event is, where it is one.
fn fault(body: &Value) -> Option<Failure> {
    let error = body.get("error")?;
    let kind = error["type"].as_str().unwrap_or("error");
    let (cause, retry) = match kind {
        "rate_limit_error" | "overloaded_error" => (CauseKind::Limited, RetryClass::Busy),
        "timeout_error" => (CauseKind::Timeout, RetryClass::Transient),
        "api_error" | "server_error" => (CauseKind::Transport, RetryClass::Transient),
        "authentication_error" | "billing_error" => (CauseKind::Transport, RetryClass::Barred),
        _ => (CauseKind::Refused, RetryClass::No),
    };
    let said = error["message"].as_str().unwrap_or_default();
    Some(Failure::new(cause, retry, format!("the service answered with {kind}: {said}")))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, text};
    use super::super::frames::read_in_pieces;
    use super::*;
    use crate::domain::{ApiSpec, Generation, Message, Request};

    fn spec(stream: bool) -> ApiSpec {
        let base = "https://api.anthropic.com";
        serde_json::from_value(json!({
            "preset": "anthropic", "dialect": "anthropic", "base_url": base, "model": "claude-sonnet-4-5", "stream": stream,
        }))
        .unwrap()
    }

    fn generation() -> Generation {
        Generation { max_tokens: 64, stop: Vec::new(), temperature: 0.0, top_p: 1.0, seed: 7, constraint: None }
    }

    fn chat(tools: Vec<Value>, generation: Generation) -> Request {
        let message = |role: &str, text: &str| Message { role: role.to_owned(), content: text.to_owned() };
        let messages = vec![message("system", "Be brief."), message("user", "What's the weather in \"Paris\"?\n")];
        Request::Chat { messages, tools, generation }
    }

    fn written(request: &Request, stream: bool) -> (Wire, String) {
        let wire = encode(&Ask { spec: &spec(stream), request }).unwrap();
        let body = Value::from(wire.body.clone()).to_string();
        (wire, body)
    }

    fn read(body: &str) -> Result<Draft, Failure> {
        fixture::read(whole, body)
    }

    // Field names, types and ranges of requests: platform.claude.com, "Create a Message" (POST /v1/messages); in the public
    // SDK's generated types message_create_params, tool_param and tool_choice_auto_param.
    #[test]
    fn a_chat_is_written_with_its_system_prompt_apart() {
        let stop = Generation { stop: vec!["\nQ:".to_owned()], temperature: 0.7, top_p: 0.95, ..generation() };
        let (wire, body) = written(&chat(Vec::new(), stop), false);
        assert_eq!(
            body,
            concat!(
                r#"{"model":"claude-sonnet-4-5","max_tokens":64,"system":"Be brief.","#,
                r#""messages":[{"role":"user","content":"What's the weather in \"Paris\"?\n"}],"#,
                r#""temperature":0.7,"top_p":0.95,"stop_sequences":["\nQ:"],"stream":false}"#,
            )
        );
        assert_eq!((wire.path.as_str(), wire.framing), ("/v1/messages", Framing::Whole));
        assert_eq!(wire.headers, [("anthropic-version", "2023-06-01".to_owned())]);
    }

    #[test]
    fn functions_become_tools_with_an_input_schema() {
        let function = json!({ "type": "function", "function": {
            "name": "get_weather", "description": "Weather of a place",
            "parameters": { "type": "object", "properties": { "location": { "type": "string" } }, "required": ["location"] },
        }});
        let (wire, body) = written(&chat(vec![function], generation()), true);
        assert_eq!(
            body,
            concat!(
                r#"{"model":"claude-sonnet-4-5","max_tokens":64,"system":"Be brief.","#,
                r#""messages":[{"role":"user","content":"What's the weather in \"Paris\"?\n"}],"temperature":0.0,"#,
                r#""tools":[{"name":"get_weather","description":"Weather of a place","input_schema":"#,
                r#"{"type":"object","properties":{"location":{"type":"string"}},"required":["location"]}}],"#,
                r#""tool_choice":{"type":"auto"},"stream":true}"#,
            )
        );
        assert_eq!(wire.framing, Framing::Sse);
    }

    #[test]
    fn a_raw_prompt_is_one_message_of_a_user() {
        let request = Request::Generate { prompt: "2+2=".to_owned(), generation: generation() };
        let body = concat!(
            r#"{"model":"claude-sonnet-4-5","max_tokens":64,"messages":[{"role":"user","content":"2+2="}],"#,
            r#""temperature":0.0,"stream":false}"#,
        );
        assert_eq!(written(&request, false).1, body);
        let blank = Generation { stop: vec!["\n\n".to_owned()], ..generation() };
        let request = Request::Generate { prompt: "2+2=".to_owned(), generation: blank };
        assert_eq!(written(&request, false).1, body, "Anthropic refuses a stop text of white space alone");
    }

    #[test]
    fn a_whole_answer_is_read_with_its_model_its_counts_and_its_end() {
        // "Total input tokens in a request is the summation of input_tokens, cache_creation_input_tokens, and
        // cache_read_input_tokens" (type Message of the specification).
        let draft = read(concat!(
            r#"{"id":"msg_013Zva2CMHLNnXjNJJKqJ2EF","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","#,
            r#""content":[{"type":"thinking","thinking":"Easy.","signature":"EqQB"},{"type":"text","text":"Hi!"},"#,
            r#"{"type":"text","text":" My name is Claude."}],"stop_reason":"end_turn","stop_sequence":null,"#,
            r#""usage":{"input_tokens":10,"cache_creation_input_tokens":200,"cache_read_input_tokens":3000,"output_tokens":25}}"#,
        ))
        .unwrap();
        assert_eq!(draft.served.model.as_deref(), Some("claude-sonnet-4-5-20250929"));
        assert_eq!(draft.served.usage, Some(Usage { prompt: 3210, completion: 25, cached: 3000 }));
        assert_eq!(text(draft), ("Hi! My name is Claude.".to_owned(), Finish::End));
    }

    #[test]
    fn each_stop_reason_has_its_meaning() {
        let body = |reason: &str| format!(r#"{{"content":[],"model":"m","stop_reason":{reason},"usage":{{"output_tokens":1}}}}"#);
        for (reason, finish) in [
            ("end_turn", Finish::End),
            ("tool_use", Finish::End),
            ("stop_sequence", Finish::Stop),
            ("max_tokens", Finish::Length),
            ("model_context_window_exceeded", Finish::Length),
        ] {
            assert_eq!(read(&body(&format!("{reason:?}"))).unwrap().finish, Some(finish), "{reason}");
        }
        let named = r#"{"content":[],"model":"m","stop_reason":"end_turn","stop_sequence":"\n","usage":{"output_tokens":1}}"#;
        assert_eq!(read(named).unwrap().finish, Some(Finish::Stop));
        let refusal = read(&body("\"refusal\"")).unwrap().finish().unwrap_err();
        assert_eq!(refusal.kind, CauseKind::Filtered);
        assert_eq!(read(&body("null")).unwrap().finish().unwrap_err().kind, CauseKind::Malformed);
        assert_eq!(read(&body("\"pause_turn\"")).unwrap_err().kind, CauseKind::Malformed);
    }

    #[test]
    fn a_stream_with_a_tool_call_is_read_however_it_is_cut() {
        // platform.claude.com, "Streaming messages", its example of a tool's use, with a ping and a type that is not known yet.
        let body = concat!(
            "event: message_start\n",
            r#"data: {"type":"message_start","message":{"id":"msg_014p7gG3wDgGV9EUtLvnow3U","type":"message","#,
            r#""role":"assistant","#,
            r#""model":"claude-sonnet-4-5-20250929","stop_sequence":null,"usage":{"input_tokens":472,"output_tokens":2},"#,
            "\"content\":[],\"stop_reason\":null}}\n\n",
            "event: content_block_start\n",
            "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            "event: content_block_delta\n",
            r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Okay – let"}}"#,
            "\n\n",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
            "event: content_block_start\n",
            r#"data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","#,
            "\"id\":\"toolu_01T1x1fJ34qAmk2tNTrN7Up6\",\"name\":\"get_weather\",\"input\":{}}}\n\n",
            "event: content_block_delta\n",
            r#"data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            "\n\n",
            "event: content_block_delta\n",
            r#"data: {"type":"content_block_delta","index":1,"delta":"#,
            r#"{"type":"input_json_delta","partial_json":"{\"location\":"}}"#,
            "\n\nevent: not_known_yet\ndata: {\"type\":\"not_known_yet\",\"delta\":{\"text\":\"no\"}}\n\n",
            "event: content_block_delta\n",
            r#"data: {"type":"content_block_delta","index":1,"delta":"#,
            r#"{"type":"input_json_delta","partial_json":" \"Paris\"}"}}"#,
            "\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
            "event: message_delta\n",
            r#"data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"#,
            r#""usage":{"output_tokens":89}}"#,
            "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        );
        let (draft, flow) = read_in_pieces(Framing::Sse, body.as_bytes(), piece).unwrap();
        assert_eq!(flow, Flow::Done);
        assert_eq!(draft.text, "Okay – let");
        assert_eq!(draft.pieces, 4, "one of text, the call's name, and two with arguments");
        assert_eq!(draft.served.usage, Some(Usage { prompt: 472, completion: 89, cached: 0 }));
        assert_eq!(draft.served.model.as_deref(), Some("claude-sonnet-4-5-20250929"));
        let call = r#"{"name": "get_weather", "arguments": {"location": "Paris"}}"#;
        assert_eq!(text(draft), (call.to_owned(), Finish::End));
    }

    #[test]
    fn a_whole_answers_calls_are_read_in_order() {
        let draft = read(concat!(
            r#"{"model":"m","content":[{"type":"tool_use","id":"a","name":"add","input":{"b":2,"a":1.50}},"#,
            r#"{"type":"tool_use","id":"b","name":"now","input":{}}],"stop_reason":"tool_use","#,
            r#""usage":{"input_tokens":1,"output_tokens":2}}"#,
        ))
        .unwrap();
        let calls = r#"[{"name": "add", "arguments": {"b":2,"a":1.5}}, {"name": "now", "arguments": {}}]"#;
        assert_eq!(text(draft), (calls.to_owned(), Finish::End));
    }

    #[test]
    fn errors_have_their_class_whole_and_in_mid_stream() {
        let cases = [
            ("overloaded_error", CauseKind::Limited, RetryClass::Busy),
            ("rate_limit_error", CauseKind::Limited, RetryClass::Busy),
            ("api_error", CauseKind::Transport, RetryClass::Transient),
            ("timeout_error", CauseKind::Timeout, RetryClass::Transient),
            ("invalid_request_error", CauseKind::Refused, RetryClass::No),
            ("authentication_error", CauseKind::Transport, RetryClass::Barred),
        ];
        for (kind, cause, retry) in cases {
            let body = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"Too bad"}},"request_id":"req_1"}}"#);
            let whole = read(&body).unwrap_err();
            let stream = format!("event: error\ndata: {body}\n\n");
            let streamed = read_in_pieces(Framing::Sse, stream.as_bytes(), piece).unwrap_err();
            assert_eq!((whole.kind, whole.retry), (cause, retry), "{kind}");
            assert_eq!(whole, streamed);
        }
        assert_eq!(read("[]").unwrap_err().kind, CauseKind::Malformed);
    }
}
