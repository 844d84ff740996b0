//! Amazon Bedrock's Converse: requests out, answers in, whole or as a binary event stream.

use serde_json::{Map, Value, json};

use super::super::{Failure, RetryClass};
use super::exchange::{Ask, Draft, Flow, Frame, Framing, Wire, malformed};
use super::turns::{Talk, Tool};
use crate::domain::{CauseKind, Finish, Usage};

/// Writes a request.
///
/// # Errors
/// [`CauseKind::Refused`] for what the service does not take: see [`Talk::of`].
pub(super) fn encode(ask: &Ask<'_>) -> Result<Wire, Failure> {
    let talk = Talk::of(ask.request)?;
    let generation = talk.generation;
    let mut inference = Map::new();
    // Without a limit the model's own is reserved for every request, and fewer fit into the account's quota.
    inference.insert("maxTokens".to_owned(), generation.max_tokens.into());
    inference.insert("temperature".to_owned(), generation.temperature.into());
    let is_anthropic = ask.spec.model.contains("anthropic.");
    // Anthropic's models since Claude Opus 4.1 refuse a request with both; 1 cuts nothing off.
    if generation.top_p < 1.0 || !is_anthropic {
        inference.insert("topP".to_owned(), generation.top_p.into());
    }
    // Models that know no stop texts refuse the field; to the others none is the same as an empty one.
    let stop = if is_anthropic { talk.stop() } else { generation.stop.iter().map(String::as_str).collect() };
    if !stop.is_empty() {
        inference.insert("stopSequences".to_owned(), json!(stop));
    }
    let mut body = Map::new();
    body.insert("messages".to_owned(), turns(&talk.turns));
    if let Some(system) = talk.system {
        body.insert("system".to_owned(), json!([{ "text": system }]));
    }
    body.insert("inferenceConfig".to_owned(), inference.into());
    if !talk.tools.is_empty() {
        let tools: Vec<Value> = talk.tools.iter().map(tool).collect();
        body.insert("toolConfig".to_owned(), json!({ "tools": tools }));
    }
    let verb = if ask.spec.stream { "converse-stream" } else { "converse" };
    Ok(Wire {
        path: format!("/model/{}/{verb}", encoded(&ask.spec.model)),
        headers: Vec::new(),
        body,
        framing: if ask.spec.stream { Framing::AwsEvents } else { Framing::Whole },
    })
}

/// Reads a whole answer.
///
/// # Errors
/// The error that the body is, or [`CauseKind::Malformed`] where it is neither that nor an answer.
pub(super) fn whole(body: &Value, draft: &mut Draft) -> Result<(), Failure> {
    let Some(content) = body["output"]["message"]["content"].as_array() else {
        let kind = body.get("__type").or_else(|| body["Output"].get("__type")).and_then(Value::as_str);
        return Err(match (kind, told(body)) {
            (None, None) => malformed("an answer without content"),
            (kind, said) => fault(kind.unwrap_or("an error"), said.unwrap_or_default()),
        });
    };
    for block in content {
        draft.say(block["text"].as_str().unwrap_or_default());
        if let Some(used) = block.get("toolUse") {
            begin(used, draft);
            if let Some(last) = draft.calls.last_mut() {
                last.arguments = used["input"].to_string();
            }
        }
    }
    account(body, draft);
    stop(&body["stopReason"], draft)
}

/// Reads one message of a streamed answer.
///
/// # Errors
/// The exception that it is, or [`CauseKind::Malformed`] where it is none of this service's.
pub(super) fn piece(frame: &Frame<'_>, draft: &mut Draft) -> Result<Flow, Failure> {
    let event: Value = serde_json::from_slice(frame.data).map_err(malformed)?;
    match frame.event.unwrap_or_default() {
        "contentBlockStart" => {
            if let Some(used) = event["start"].get("toolUse") {
                begin(used, draft);
            }
        }
        "contentBlockDelta" => {
            let delta = &event["delta"];
            draft.say(delta["text"].as_str().unwrap_or_default());
            // A block ends before the next begins: what comes is the last call's.
            let arguments = delta["toolUse"]["input"].as_str().unwrap_or_default();
            if let (Some(last), false) = (draft.calls.len().checked_sub(1), arguments.is_empty()) {
                draft.call(last).arguments.push_str(arguments);
            }
        }
        "messageStop" => stop(&event["stopReason"], draft)?,
        "metadata" => {
            account(&event, draft);
            return Ok(Flow::Done);
        }
        "error" => return Err(fault(event["code"].as_str().unwrap_or("an error"), told(&event).unwrap_or_default())),
        exception if exception.ends_with("Exception") => return Err(fault(exception, told(&event).unwrap_or_default())),
        _ => {}
    }
    Ok(Flow::More)
}

/// The class of an error by its name: the header `x-amzn-errortype`, a body's `__type` or an exception in a stream, with or
/// without the namespace in front and the address behind that some of them carry.
pub(super) fn class(name: &str) -> (CauseKind, RetryClass) {
    let name = name.rsplit('#').next().unwrap_or(name).split(':').next().unwrap_or(name).to_ascii_lowercase();
    match name.trim_end_matches("exception") {
        "throttling" | "toomanyrequests" | "modelnotready" => (CauseKind::Limited, RetryClass::Busy),
        "serviceunavailable" => (CauseKind::Transport, RetryClass::Busy),
        "modeltimeout" => (CauseKind::Timeout, RetryClass::Transient),
        "internalserver" | "internalfailure" | "internalerror" | "modelerror" | "modelstreamerror" => {
            (CauseKind::Transport, RetryClass::Transient)
        }
        "accessdenied" | "unrecognizedclient" | "expiredtoken" | "invalidsignature" | "resourcenotfound" => {
            (CauseKind::Transport, RetryClass::Barred)
        }
        _ => (CauseKind::Refused, RetryClass::No),
    }
}

fn fault(name: &str, said: &str) -> Failure {
    let (cause, retry) = class(name);
    Failure::new(cause, retry, format!("the service answered with {name}: {said}"))
}

/// The gateway in front of the service writes its own errors with a capital.
fn told(body: &Value) -> Option<&str> {
    body.get("message").or_else(|| body.get("Message")).and_then(Value::as_str)
}

/// Turns must alternate here: what one side says in several messages is one message in several parts.
fn turns(turns: &[(&str, &str)]) -> Value {
    let sides = turns.chunk_by(|one, next| one.0 == next.0);
    let written = sides.map(|side| {
        let parts: Vec<Value> = side.iter().map(|(_, text)| json!({ "text": text })).collect();
        json!({ "role": side[0].0, "content": parts })
    });
    written.collect()
}

fn tool(tool: &Tool<'_>) -> Value {
    let mut written = Map::new();
    written.insert("name".to_owned(), tool.name.into());
    if let Some(description) = tool.description {
        written.insert("description".to_owned(), description.into());
    }
    written.insert("inputSchema".to_owned(), json!({ "json": &tool.schema }));
    json!({ "toolSpec": written })
}

/// A model's name or address as one segment of a path: colons and slashes too are encoded.
fn encoded(model: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let write = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    model.bytes().map(write).collect()
}

fn begin(used: &Value, draft: &mut Draft) {
    let place = draft.calls.len();
    used["name"].as_str().unwrap_or_default().clone_into(&mut draft.call(place).name);
}

/// Takes over what a whole answer and a stream's last message tell alike: counts, and which model a prompt router chose.
fn account(told: &Value, draft: &mut Draft) {
    if let Some(usage) = told["usage"].as_object() {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or(0);
        let cached = count("cacheReadInputTokens");
        let prompt = count("inputTokens") + cached + count("cacheWriteInputTokens");
        draft.served.usage = Some(Usage { prompt, completion: count("outputTokens"), cached });
    }
    draft.served.model = told["trace"]["promptRouter"]["invokedModelId"].as_str().map(str::to_owned);
}

fn stop(reason: &Value, draft: &mut Draft) -> Result<(), Failure> {
    draft.finish = Some(match reason.as_str() {
        // What a model wrote badly is its answer, and judged as such.
        Some("end_turn" | "tool_use" | "malformed_model_output" | "malformed_tool_use") => Finish::End,
        Some("stop_sequence") => Finish::Stop,
        Some("max_tokens" | "model_context_window_exceeded") => Finish::Length,
        Some("guardrail_intervened" | "content_filtered") => {
            draft.filtered = true;
            Finish::End
        }
        other => return Err(malformed(format!("it stopped for the reason {:?}", other.unwrap_or_default()))),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, text};
    use super::super::frames::read_in_pieces;
    use super::*;
    use crate::domain::{ApiSpec, Generation, Message, Request};

    // Binary streams laid out by hand: lengths, CRC-32 (zlib's), headers `:event-type` or `:exception-type`, `:content-type`
    // application/json, `:message-type`, payloads with the padding `p` that the service adds.
    /// messageStart, two of contentBlockDelta, contentBlockStop, messageStop, metadata.
    const TEXT: &str = concat!(
        "00000085000000529941d0530b3a6576656e742d7479706507000c6d65737361676553746172740d3a636f6e74656e742d74797065070010",
        "6170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b2270223a226162636465666768222c2272",
        "6f6c65223a22617373697374616e74227d3d593ac6",
        "0000009f00000057c37babff0b3a6576656e742d74797065070011636f6e74656e74426c6f636b44656c74610d3a636f6e74656e742d7479",
        "70650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22636f6e74656e74426c6f63",
        "6b496e646578223a302c2264656c7461223a7b2274657874223a22426f6e227d2c2270223a22616263227dfd4e869c",
        "000000a400000057158a22680b3a6576656e742d74797065070011636f6e74656e74426c6f636b44656c74610d3a636f6e74656e742d7479",
        "70650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22636f6e74656e74426c6f63",
        "6b496e646578223a302c2264656c7461223a7b2274657874223a226a6f757220c3a9227d2c2270223a2261626364227d331fbd91",
        "0000008600000056d98c6e9a0b3a6576656e742d74797065070010636f6e74656e74426c6f636b53746f700d3a636f6e74656e742d747970",
        "650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22636f6e74656e74426c6f636b",
        "496e646578223a302c2270223a226162227df3388a20",
        "0000008900000051c5b86ce80b3a6576656e742d7479706507000b6d65737361676553746f700d3a636f6e74656e742d7479706507001061",
        "70706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b2270223a22616263646566222c2273746f70",
        "526561736f6e223a226d61785f746f6b656e73227d74248b39",
        "000000c00000004e1d535b250b3a6576656e742d747970650700086d657461646174610d3a636f6e74656e742d747970650700106170706c",
        "69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b226d657472696373223a7b226c6174656e63794d73",
        "223a3431327d2c2270223a2261222c227573616765223a7b22696e707574546f6b656e73223a31372c226f7574707574546f6b656e73223a",
        "342c22746f74616c546f6b656e73223a32317d7d8fd625e4",
    );
    /// The exception modelStreamErrorException.
    const BROKEN: &str = concat!(
        "000000ac00000067032359050f3a657863657074696f6e2d747970650700196d6f64656c53747265616d4572726f72457863657074696f6e",
        "0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009657863657074",
        "696f6e7b226d657373616765223a22546865206d6f64656c2064696564222c226f726967696e616c537461747573436f6465223a3530307d",
        "8113f04a",
    );
    /// A contentBlockDelta of the text "Bon".
    const DELTA: &str = concat!(
        "0000009f00000057c37babff0b3a6576656e742d74797065070011636f6e74656e74426c6f636b44656c74610d3a636f6e74656e742d7479",
        "70650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22636f6e74656e74426c6f63",
        "6b496e646578223a302c2264656c7461223a7b2274657874223a22426f6e227d2c2270223a22616263227dfd4e869c",
    );

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn written(request: &Request, model: &str, stream: bool) -> (Wire, String) {
        let base = "https://bedrock-runtime.eu-west-3.amazonaws.com";
        let spec: ApiSpec = serde_json::from_value(json!({
            "preset": "bedrock", "dialect": "bedrock", "base_url": base, "model": model, "stream": stream,
        }))
        .unwrap();
        let wire = encode(&Ask { spec: &spec, request }).unwrap();
        let body = Value::from(wire.body.clone()).to_string();
        (wire, body)
    }

    fn generation() -> Generation {
        Generation { max_tokens: 64, stop: Vec::new(), temperature: 0.0, top_p: 1.0, seed: 7, constraint: None }
    }

    fn chat(said: &[(&str, &str)], tools: Vec<Value>, generation: Generation) -> Request {
        let messages = said.iter().map(|&(role, text)| Message { role: role.to_owned(), content: text.to_owned() }).collect();
        Request::Chat { messages, tools, generation }
    }

    fn read(body: &str) -> Result<Draft, Failure> {
        fixture::read(whole, body)
    }

    // Request and response of Converse: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
    // API_runtime_ConverseStream.html; the same in Amazon's public service model bedrock-runtime/2023-09-30.
    #[test]
    fn a_conversation_is_written_with_alternating_turns_and_every_setting() {
        let said = [("system", "Be brief."), ("user", "Hi"), ("user", "there"), ("assistant", "Ho"), ("user", "2+2?")];
        let stop = Generation { stop: vec!["\n\n".to_owned()], temperature: 0.5, top_p: 0.9, ..generation() };
        let (wire, body) = written(&chat(&said, Vec::new(), stop), "mistral.mistral-large-2407-v1:0", false);
        assert_eq!(
            body,
            concat!(
                r#"{"messages":[{"role":"user","content":[{"text":"Hi"},{"text":"there"}]},"#,
                r#"{"role":"assistant","content":[{"text":"Ho"}]},{"role":"user","content":[{"text":"2+2?"}]}],"#,
                r#""system":[{"text":"Be brief."}],"#,
                r#""inferenceConfig":{"maxTokens":64,"temperature":0.5,"topP":0.9,"stopSequences":["\n\n"]}}"#,
            )
        );
        assert_eq!((wire.path.as_str(), wire.framing), ("/model/mistral.mistral-large-2407-v1%3A0/converse", Framing::Whole));
    }

    #[test]
    fn a_raw_prompt_is_one_message_and_a_profiles_address_is_one_segment() {
        let request = Request::Generate { prompt: "2+2=".to_owned(), generation: generation() };
        let profile = "arn:aws:bedrock:eu-west-3:1234:application-inference-profile/fm16";
        let (wire, body) = written(&request, profile, true);
        let segment = "arn%3Aaws%3Abedrock%3Aeu-west-3%3A1234%3Aapplication-inference-profile%2Ffm16";
        assert_eq!(wire.path, format!("/model/{segment}/converse-stream"));
        assert_eq!(wire.framing, Framing::AwsEvents);
        let config = r#""inferenceConfig":{"maxTokens":64,"temperature":0.0,"topP":1.0}"#;
        assert_eq!(body, format!(r#"{{"messages":[{{"role":"user","content":[{{"text":"2+2="}}]}}],{config}}}"#));
        let stop = Generation { stop: vec!["\n".to_owned()], ..generation() };
        let request = Request::Generate { prompt: "2+2=".to_owned(), generation: stop };
        let (_, body) = written(&request, "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", true);
        assert!(body.ends_with(r#""inferenceConfig":{"maxTokens":64,"temperature":0.0}}"#), "{body}");
    }

    #[test]
    fn functions_become_tool_specifications() {
        let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
        let weather = json!({ "type": "function", "function": {
            "name": "get_weather", "description": "Weather of a city", "parameters": parameters,
        }});
        let now = json!({ "type": "function", "function": { "name": "now" } });
        let (_, body) = written(&chat(&[("user", "Hi")], vec![weather, now], generation()), "m", false);
        let tools = concat!(
            r#""toolConfig":{"tools":[{"toolSpec":{"name":"get_weather","description":"Weather of a city","#,
            r#""inputSchema":{"json":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}},"#,
            r#"{"toolSpec":{"name":"now","inputSchema":{"json":{"type":"object","properties":{}}}}}]}}"#,
        );
        assert!(body.ends_with(tools), "{body}");
    }

    #[test]
    fn a_whole_answer_is_read_with_its_counts_and_its_calls() {
        let draft = read(concat!(
            r#"{"metrics":{"latencyMs":551},"output":{"message":{"content":["#,
            r#"{"reasoningContent":{"reasoningText":{"text":"Hm."}}},{"text":"Bonjour"},{"text":" !"}],"role":"assistant"}},"#,
            r#""stopReason":"end_turn","usage":{"cacheReadInputTokens":30,"cacheWriteInputTokens":5,"inputTokens":10,"#,
            r#""outputTokens":4,"totalTokens":49}}"#,
        ))
        .unwrap();
        assert_eq!(draft.served.usage, Some(Usage { prompt: 45, completion: 4, cached: 30 }));
        assert_eq!(draft.served.model, None);
        assert_eq!(text(draft), ("Bonjour !".to_owned(), Finish::End));
        let draft = read(concat!(
            r#"{"output":{"message":{"content":[{"text":"Let me look."},{"toolUse":{"input":{"city":"Lyon","days":2},"#,
            r#""name":"get_weather","toolUseId":"tooluse_1"}}],"role":"assistant"}},"stopReason":"tool_use","#,
            r#""trace":{"promptRouter":{"invokedModelId":"arn:m"}},"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}"#,
        ))
        .unwrap();
        assert_eq!(draft.served.model.as_deref(), Some("arn:m"));
        let call = r#"{"name": "get_weather", "arguments": {"city":"Lyon","days":2}}"#;
        assert_eq!(text(draft), (call.to_owned(), Finish::End));
    }

    #[test]
    fn a_binary_stream_is_read_however_it_is_cut() {
        let (draft, flow) = read_in_pieces(Framing::AwsEvents, &bytes(TEXT), piece).unwrap();
        assert_eq!((flow, draft.pieces), (Flow::Done, 2));
        assert_eq!(draft.served.usage, Some(Usage { prompt: 17, completion: 4, cached: 0 }));
        assert_eq!(text(draft), ("Bonjour é".to_owned(), Finish::Length));
        let torn = &bytes(TEXT)[..400];
        let failure = read_in_pieces(Framing::AwsEvents, torn, piece).unwrap_err();
        assert_eq!((failure.kind, failure.retry), (CauseKind::Malformed, RetryClass::Transient));
    }

    #[test]
    fn a_tools_arguments_come_in_parts() {
        let events = [
            ("messageStart", r#"{"role":"assistant"}"#),
            (
                "contentBlockStart",
                r#"{"contentBlockIndex":0,"start":{"toolUse":{"name":"get_weather","toolUseId":"tooluse_1"}}}"#,
            ),
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":""}}}"#),
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"city\":"}}}"#),
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"\"Lyon\"}"}}}"#),
            ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
            ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"reasoningContent":{"text":"Hm."}}}"#),
            ("not known yet", r#"{"delta":{"text":"no"}}"#),
            ("messageStop", r#"{"stopReason":"tool_use"}"#),
        ];
        let mut draft = Draft::default();
        for (event, data) in events {
            assert_eq!(piece(&Frame { event: Some(event), data: data.as_bytes() }, &mut draft).unwrap(), Flow::More);
        }
        let call = r#"{"name": "get_weather", "arguments": {"city":"Lyon"}}"#;
        assert_eq!(text(draft), (call.to_owned(), Finish::End));
    }

    #[test]
    fn an_exception_in_mid_stream_is_a_failure_with_its_class() {
        let body = [bytes(DELTA), bytes(BROKEN)].concat();
        let failure = read_in_pieces(Framing::AwsEvents, &body, piece).unwrap_err();
        assert_eq!((failure.kind, failure.retry), (CauseKind::Transport, RetryClass::Transient));
        assert!(failure.message.ends_with("modelStreamErrorException: The model died"), "{failure}");
        let unmodelled = Frame { event: Some("error"), data: br#"{"code":"InternalError","message":"Oh"}"# };
        assert_eq!(piece(&unmodelled, &mut Draft::default()).unwrap_err().retry, RetryClass::Transient);
    }

    #[test]
    fn errors_have_their_class_by_every_name_they_are_given() {
        for (name, cause, retry) in [
            ("ThrottlingException", CauseKind::Limited, RetryClass::Busy),
            ("ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/", CauseKind::Limited, RetryClass::Busy),
            ("com.amazon.coral.availability#ThrottlingException", CauseKind::Limited, RetryClass::Busy),
            ("ModelNotReadyException", CauseKind::Limited, RetryClass::Busy),
            ("serviceUnavailableException", CauseKind::Transport, RetryClass::Busy),
            ("ModelTimeoutException", CauseKind::Timeout, RetryClass::Transient),
            ("InternalServerException", CauseKind::Transport, RetryClass::Transient),
            ("ModelErrorException", CauseKind::Transport, RetryClass::Transient),
            ("ValidationException", CauseKind::Refused, RetryClass::No),
            ("AccessDeniedException", CauseKind::Transport, RetryClass::Barred),
        ] {
            assert_eq!(class(name), (cause, retry), "{name}");
        }
        let denied = read(r#"{"Message":"User is not authorized"}"#).unwrap_err();
        assert_eq!((denied.kind, denied.retry), (CauseKind::Refused, RetryClass::No));
        assert!(denied.message.ends_with("User is not authorized"), "{denied}");
        let unknown = r#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#;
        assert_eq!(read(unknown).unwrap_err().kind, CauseKind::Refused);
        assert_eq!(read("{}").unwrap_err().kind, CauseKind::Malformed);
    }

    #[test]
    fn filters_are_failures_and_bad_writing_is_an_answer() {
        let body = |reason: &str| {
            format!(r#"{{"output":{{"message":{{"content":[{{"text":"x"}}]}}}},"stopReason":"{reason}","usage":{{}}}}"#)
        };
        for reason in ["guardrail_intervened", "content_filtered"] {
            assert_eq!(read(&body(reason)).unwrap().finish().unwrap_err().kind, CauseKind::Filtered);
        }
        for (reason, finish) in [
            ("malformed_tool_use", Finish::End),
            ("stop_sequence", Finish::Stop),
            ("model_context_window_exceeded", Finish::Length),
        ] {
            assert_eq!(text(read(&body(reason)).unwrap()), ("x".to_owned(), finish));
        }
        assert_eq!(read(&body("something_new")).unwrap_err().kind, CauseKind::Malformed);
    }
}
