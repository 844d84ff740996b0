//! Ollama's own chat and generate.

use serde_json::{Map, Value, json};

use super::super::{Failure, RetryClass};
use super::exchange::{Ask, Draft, Flow, Frame, Framing, Wire, inexpressible, malformed, seed};
use crate::domain::{ApiSpec, CauseKind, Finish, Generation, Message, Request, Served, Usage};

/// How long the model stays loaded after a request: longer than a run's other subjects take between two of them.
const KEEP_ALIVE: &str = "30m";

/// Writes a request.
///
/// # Errors
/// [`CauseKind::Refused`] for log-likelihoods, which the server does not give, and for an empty prompt, which it takes as
/// the wish to load the model.
pub(super) fn encode(ask: &Ask<'_>) -> Result<Wire, Failure> {
    let mut body = Map::new();
    body.insert("model".to_owned(), ask.spec.model.as_str().into());
    let (verb, generation) = match ask.request {
        Request::Generate { prompt, .. } if prompt.is_empty() => {
            return Err(inexpressible("Ollama takes an empty prompt as the wish to load the model"));
        }
        Request::Generate { prompt, generation } => {
            body.insert("prompt".to_owned(), prompt.as_str().into());
            body.insert("raw".to_owned(), true.into());
            ("generate", generation)
        }
        Request::Chat { messages, .. } if messages.is_empty() => {
            return Err(inexpressible("Ollama takes a chat without messages as the wish to load the model"));
        }
        Request::Chat { messages, tools, generation } => {
            body.insert("messages".to_owned(), messages.iter().map(said).collect());
            if !tools.is_empty() {
                body.insert("tools".to_owned(), tools.clone().into());
            }
            ("chat", generation)
        }
        Request::Choice { .. } | Request::Perplexity { .. } => {
            return Err(inexpressible("Ollama gives no log-likelihoods of given text"));
        }
    };
    body.insert("stream".to_owned(), ask.spec.stream.into());
    // A prompt that does not fit is refused then, and not cut; a server older than these fields cuts it all the same.
    body.insert("truncate".to_owned(), false.into());
    body.insert("shift".to_owned(), false.into());
    body.insert("keep_alive".to_owned(), KEEP_ALIVE.into());
    body.insert("options".to_owned(), options(ask.spec, generation).into());
    let folder = if ask.spec.base_url.trim_end_matches('/').ends_with("/api") { "" } else { "/api" };
    let framing = if ask.spec.stream { Framing::Lines } else { Framing::Whole };
    Ok(Wire { path: format!("{folder}/{verb}"), headers: Vec::new(), body, framing })
}

/// Reads a whole answer of either kind.
///
/// # Errors
/// The error that the body is, or [`CauseKind::Malformed`] where it is neither that nor an answer.
pub(super) fn whole(body: &Value, draft: &mut Draft) -> Result<(), Failure> {
    read(body, draft).map(|_| ())
}

/// Reads one line of a streamed answer of either kind.
///
/// # Errors
/// The error that the line is, or [`CauseKind::Malformed`] where it is none of this server's.
pub(super) fn piece(frame: &Frame<'_>, draft: &mut Draft) -> Result<Flow, Failure> {
    read(&serde_json::from_slice(frame.data).map_err(malformed)?, draft)
}

/// Notes that the prompt filled the context: a server that cuts prompts has cut this one. Only where the plan says how large
/// the context is: its server's `context`, or `options.num_ctx` among its extra members.
pub(super) fn note_cut(spec: &ApiSpec, served: &mut Served) {
    if let (Some(context), Some(usage)) = (context(spec), served.usage) {
        served.truncated |= usage.prompt >= context;
    }
}

fn context(spec: &ApiSpec) -> Option<u64> {
    let asked = spec.extra.get("options").and_then(|options| options["num_ctx"].as_u64());
    asked.or_else(|| spec.server.as_ref().and_then(|server| server.context).map(u64::from))
}

/// Every option that changes an answer: a model's own file has others for those that are left out.
fn options(spec: &ApiSpec, generation: &Generation) -> Map<String, Value> {
    let mut options = Map::new();
    let mut set = |name: &str, value: Value| options.insert(name.to_owned(), value);
    set("num_predict", generation.max_tokens.into());
    set("temperature", generation.temperature.into());
    set("top_p", generation.top_p.into());
    set("top_k", 0.into());
    set("min_p", 0.0.into());
    set("typical_p", 1.0.into());
    set("repeat_penalty", 1.0.into());
    set("presence_penalty", 0.0.into());
    set("frequency_penalty", 0.0.into());
    // The server keeps seeds in 32 bits, and the largest of them means another one each time.
    set("seed", seed(generation).into());
    set("stop", json!(generation.stop));
    if let Some(context) = spec.server.as_ref().and_then(|server| server.context) {
        set("num_ctx", context.into());
    }
    options
}

fn said(message: &Message) -> Value {
    json!({ "role": message.role, "content": message.content })
}

/// Reads a document: a whole answer, or a part of it.
fn read(body: &Value, draft: &mut Draft) -> Result<Flow, Failure> {
    if let Some(error) = body.get("error") {
        return Err(fault(told(error).unwrap_or("an error without a word")));
    }
    let Some(done) = body["done"].as_bool() else {
        return Err(malformed("a document that neither goes on nor ends"));
    };
    if let Some(model) = body["model"].as_str() {
        draft.served.model = Some(model.to_owned());
    }
    // A name on this machine may stand for a model on another.
    if let (Some(model), Some(host)) = (body["remote_model"].as_str(), body["remote_host"].as_str()) {
        draft.served.fingerprint = Some(format!("{model} at {host}"));
    }
    let message = &body["message"];
    draft.say(body["response"].as_str().or_else(|| message["content"].as_str()).unwrap_or_default());
    for function in message["tool_calls"].as_array().into_iter().flatten().map(|call| &call["function"]) {
        let call = draft.call(draft.calls.len());
        function["name"].as_str().unwrap_or_default().clone_into(&mut call.name);
        match &function["arguments"] {
            Value::Null => {}
            Value::String(text) => call.arguments.clone_from(text),
            arguments => call.arguments = arguments.to_string(),
        }
    }
    if !done {
        return Ok(Flow::More);
    }
    end(body, draft)?;
    Ok(Flow::Done)
}

fn end(body: &Value, draft: &mut Draft) -> Result<(), Failure> {
    let count = |name: &str| body[name].as_u64();
    if count("prompt_eval_count").or(count("eval_count")).is_some() {
        let (prompt, completion) = (count("prompt_eval_count").unwrap_or(0), count("eval_count").unwrap_or(0));
        draft.served.usage = Some(Usage { prompt, completion, cached: 0 });
    }
    draft.finish = Some(match body["done_reason"].as_str() {
        // It does not tell a stop text from the end of the turn, and older servers tell nothing.
        None | Some("stop" | "") => Finish::End,
        Some("length") => Finish::Length,
        Some(other) => return Err(malformed(format!("it is done for the reason {other:?}"))),
    });
    Ok(())
}

fn told(error: &Value) -> Option<&str> {
    error.as_str().or_else(|| error["message"].as_str())
}

/// An error that came instead of an answer or in the midst of one: it has no code, only words (those of Ollama's
/// `server/sched.go`, `server/routes.go` and `llm/llama_server.go`).
fn fault(said: &str) -> Failure {
    let words = said.to_ascii_lowercase();
    let any = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    let (cause, retry) = if any(&["server busy", "maximum pending requests", "rate limit", "too many requests"]) {
        (CauseKind::Limited, RetryClass::Busy)
    } else if any(&["context length", "context size", "not found", "does not support", "invalid"]) {
        (CauseKind::Refused, RetryClass::No)
    } else {
        (CauseKind::Transport, RetryClass::Transient)
    };
    Failure::new(cause, retry, format!("the server answered with an error: {said}"))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, text};
    use super::super::frames::read_in_pieces;
    use super::*;

    fn spec(extra: &Value, stream: bool) -> ApiSpec {
        serde_json::from_value(json!({
            "preset": "ollama", "dialect": "ollama", "base_url": "http://localhost:11434", "model": "llama3.2",
            "stream": stream, "extra": extra,
        }))
        .unwrap()
    }

    fn generation() -> Generation {
        let stop = vec!["\n".to_owned(), "user:".to_owned()];
        Generation { max_tokens: 100, stop, temperature: 0.8, top_p: 0.9, seed: 0x1_8000_002B, constraint: None }
    }

    fn written(request: &Request, spec: &ApiSpec) -> (Wire, String) {
        let wire = encode(&Ask { spec, request }).unwrap();
        let body = Value::from(wire.body.clone()).to_string();
        (wire, body)
    }

    fn read_whole(body: &str) -> Result<Draft, Failure> {
        fixture::read(whole, body)
    }

    /// The names and types of options: ollama/ollama, api/types.go, type Options; docs/api.md, "Generate request (With options)".
    const OPTIONS: &str = concat!(
        r#"{"num_predict":100,"temperature":0.8,"top_p":0.9,"top_k":0,"min_p":0.0,"typical_p":1.0,"repeat_penalty":1.0,"#,
        r#""presence_penalty":0.0,"frequency_penalty":0.0,"seed":42,"stop":["\n","user:"]"#,
    );

    #[test]
    fn a_raw_prompt_goes_to_generate_without_a_template() {
        let request = Request::Generate { prompt: "[INST] why? [/INST]".to_owned(), generation: generation() };
        let (wire, body) = written(&request, &spec(&json!({}), false));
        let expected = concat!(
            r#"{"model":"llama3.2","prompt":"[INST] why? [/INST]","raw":true,"stream":false,"#,
            r#""truncate":false,"shift":false,"keep_alive":"30m","options":"#,
        );
        assert_eq!(body, format!("{expected}{OPTIONS}}}}}"));
        assert_eq!((wire.path.as_str(), wire.framing), ("/api/generate", Framing::Whole));
        assert!(wire.headers.is_empty());
    }

    #[test]
    fn a_chat_keeps_its_roles_and_its_tools_as_they_are() {
        let tool = r#"{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{}}}}"#;
        let message = |role: &str, text: &str| Message { role: role.to_owned(), content: text.to_owned() };
        let messages = vec![message("system", "Be brief."), message("user", "why is the sky blue?")];
        let tools = vec![serde_json::from_str(tool).unwrap()];
        let request = Request::Chat { messages, tools, generation: generation() };
        let (wire, body) = written(&request, &spec(&json!({}), true));
        let expected = format!(
            concat!(
                r#"{{"model":"llama3.2","messages":[{{"role":"system","content":"Be brief."}},"#,
                r#"{{"role":"user","content":"why is the sky blue?"}}],"tools":[{}],"stream":true,"#,
                r#""truncate":false,"shift":false,"keep_alive":"30m","options":{}}}}}"#,
            ),
            tool, OPTIONS,
        );
        assert_eq!(body, expected);
        assert_eq!((wire.path.as_str(), wire.framing), ("/api/chat", Framing::Lines));
    }

    #[test]
    fn what_the_server_would_misunderstand_is_refused() {
        let empty = Request::Generate { prompt: String::new(), generation: generation() };
        let silent = Request::Chat { messages: Vec::new(), tools: Vec::new(), generation: generation() };
        for request in [empty, silent, Request::Perplexity { text: "a".to_owned() }] {
            let failure = encode(&Ask { spec: &spec(&json!({}), false), request: &request }).unwrap_err();
            assert_eq!((failure.kind, failure.retry), (CauseKind::Refused, RetryClass::No));
        }
    }

    // Answers as in ollama/ollama, docs/api.md, "Generate a completion" and "Generate a chat completion".
    #[test]
    fn a_whole_answer_of_either_kind_is_read_with_its_counts() {
        let generated = read_whole(concat!(
            r#"{"model":"llama3.2","created_at":"2023-08-04T19:22:45.499127Z","response":"The sky is blue.","done":true,"#,
            r#""done_reason":"length","context":[1,2,3],"total_duration":5043500667,"load_duration":5025959,"#,
            r#""prompt_eval_count":26,"prompt_eval_duration":325953000,"eval_count":290,"eval_duration":4709213000}"#,
        ))
        .unwrap();
        assert_eq!(generated.served.usage, Some(Usage { prompt: 26, completion: 290, cached: 0 }));
        assert_eq!(generated.served.model.as_deref(), Some("llama3.2"));
        assert_eq!(text(generated), ("The sky is blue.".to_owned(), Finish::Length));
        let said = read_whole(concat!(
            r#"{"model":"gpt-oss:120b-cloud","remote_model":"gpt-oss:120b","remote_host":"https://ollama.com:443","#,
            r#""message":{"role":"assistant","content":"Hello!","thinking":"A greeting."},"done":true}"#,
        ))
        .unwrap();
        assert_eq!(said.served.fingerprint.as_deref(), Some("gpt-oss:120b at https://ollama.com:443"));
        assert_eq!(said.served.usage, None);
        assert_eq!(text(said), ("Hello!".to_owned(), Finish::End));
        assert_eq!(read_whole("{\"status\":\"fine\"}").unwrap_err().kind, CauseKind::Malformed);
        let loaded = r#"{"model":"llama3.2","response":"","done":true,"done_reason":"load"}"#;
        assert_eq!(read_whole(loaded).unwrap_err().kind, CauseKind::Malformed);
    }

    #[test]
    fn a_stream_with_a_tool_call_is_read_however_it_is_cut() {
        let body = concat!(
            r#"{"model":"llama3.2","created_at":"2025-07-07T20:22:19.1Z","#,
            r#""message":{"role":"assistant","content":"Ça","images":null},"done":false}"#,
            "\n\n",
            r#"{"model":"llama3.2","created_at":"2025-07-07T20:22:19.184789Z","message":{"role":"assistant","#,
            r#""content":"","tool_calls":[{"id":"call_1","function":{"index":0,"name":"get_weather","#,
            r#""arguments":{"city":"Tokyo","days":1.5}}}]},"done":false}"#,
            "\r\n",
            r#"{"model":"llama3.2","created_at":"2025-07-07T20:22:19.19314Z","message":{"role":"assistant","content":""},"#,
            r#""done_reason":"stop","done":true,"total_duration":182242375,"load_duration":41295167,"#,
            r#""prompt_eval_count":169,"prompt_eval_duration":24573166,"eval_count":15,"eval_duration":115959084}"#,
            "\n",
        );
        let (draft, flow) = read_in_pieces(Framing::Lines, body.as_bytes(), piece).unwrap();
        assert_eq!((flow, draft.text.as_str(), draft.pieces), (Flow::Done, "Ça", 2));
        assert_eq!(draft.served.usage, Some(Usage { prompt: 169, completion: 15, cached: 0 }));
        let call = r#"{"name": "get_weather", "arguments": {"city":"Tokyo","days":1.5}}"#;
        assert_eq!(text(draft), (call.to_owned(), Finish::End));
    }

    #[test]
    fn an_error_in_mid_stream_is_a_failure_and_no_shorter_answer() {
        // docs/api/errors.mdx, "Errors that occur while streaming".
        let body = concat!(
            r#"{"model":"gemma4","created_at":"2025-10-26T17:21:21.196249Z","response":" Yes","done":false}"#,
            "\n",
            r#"{"error":"an error was encountered while running the model"}"#,
            "\n",
        );
        let failure = read_in_pieces(Framing::Lines, body.as_bytes(), piece).unwrap_err();
        assert_eq!((failure.kind, failure.retry), (CauseKind::Transport, RetryClass::Transient));
        let cut = r#"{"model":"gemma4","response":" Yes","done":false}"#;
        let (draft, flow) = read_in_pieces(Framing::Lines, cut.as_bytes(), piece).unwrap();
        assert_eq!(flow, Flow::More);
        assert_eq!(draft.finish().unwrap_err().kind, CauseKind::Malformed);
    }

    #[test]
    fn errors_have_their_class_by_their_words() {
        for (said, cause, retry) in [
            ("server busy, please try again.  maximum pending requests exceeded", CauseKind::Limited, RetryClass::Busy),
            ("the input length exceeds the context length", CauseKind::Refused, RetryClass::No),
            ("model 'llama9' not found", CauseKind::Refused, RetryClass::No),
            ("llama runner process has terminated: exit status 2", CauseKind::Transport, RetryClass::Transient),
        ] {
            let body = json!({ "error": said }).to_string();
            let failure = read_whole(&body).unwrap_err();
            assert_eq!((failure.kind, failure.retry), (cause, retry), "{said}");
        }
    }

    #[test]
    fn a_prompt_that_fills_the_context_was_cut() {
        let server = json!({
            "command": [], "model": null, "context": 512, "parallel": null, "threads": null, "kv_cache": null, "args": [],
        });
        let mut started = spec(&json!({}), false);
        started.server = serde_json::from_value(server).unwrap();
        let asked = spec(&json!({ "options": { "num_ctx": 512 } }), false);
        for (spec, prompt, cut) in
            [(&started, 512, true), (&asked, 512, true), (&asked, 511, false), (&spec(&json!({}), false), 512, false)]
        {
            let usage = Some(Usage { prompt, completion: 1, cached: 0 });
            let mut served = Served { usage, ..Served::default() };
            note_cut(spec, &mut served);
            assert_eq!(served.truncated, cut, "{prompt}");
        }
        let request = Request::Generate { prompt: "a".to_owned(), generation: generation() };
        assert!(written(&request, &started).1.ends_with(r#""num_ctx":512}}"#));
    }
}
