//! llama.cpp's own API: raw prompts out, text, tokens and probabilities in.

use serde_json::{Map, Value, json};

use super::super::{Failure, RetryClass};
use super::exchange::{Ask, Draft, Flow, Frame, Framing, Wire, inexpressible, malformed, seed};
use crate::domain::{CauseKind, Finish, Generation, Request, Usage};

/// The request for a continuation of a raw prompt.
///
/// # Errors
/// A conversation, which is rendered first, and log-likelihoods, which take several requests, are [`CauseKind::Refused`].
pub(super) fn encode(ask: &Ask<'_>) -> Result<Wire, Failure> {
    match ask.request {
        Request::Generate { prompt, generation } => Ok(completion(&Value::from(prompt.as_str()), generation, ask.spec.stream)),
        Request::Chat { .. } => Err(inexpressible("a conversation must be rendered before llama.cpp's /completion takes it")),
        Request::Choice { .. } | Request::Perplexity { .. } => {
            Err(inexpressible("log-likelihoods take more than one request of llama.cpp's own API"))
        }
    }
}

/// A request for a continuation of `prompt`: text, or a list of token ids. Every setting of the server's samplers is sent,
/// because its own defaults are not neutral.
///
/// Prompts are not cached: a cached prefix may have been computed in batches of another size, and an answer is to depend
/// on its request alone. Stop texts that are special tokens are named as tokens to keep, or the server would leave them
/// out of the text and never see them.
pub(super) fn completion(prompt: &Value, generation: &Generation, stream: bool) -> Wire {
    let body = json!({
        "prompt": prompt,
        "n_predict": generation.max_tokens,
        "stop": generation.stop,
        "preserved_tokens": generation.stop,
        "seed": seed(generation),
        "samplers": ["temperature", "top_p"],
        "temperature": generation.temperature,
        "top_p": generation.top_p,
        "dynatemp_range": 0.0,
        "top_k": 0,
        "min_p": 0.0,
        "top_n_sigma": -1.0,
        "typical_p": 1.0,
        "xtc_probability": 0.0,
        "repeat_last_n": 0,
        "repeat_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "dry_multiplier": 0.0,
        "mirostat": 0,
        "adaptive_target": -1.0,
        "logit_bias": [],
        "ignore_eos": false,
        "min_keep": 0,
        "n_keep": 0,
        "n_indent": 0,
        "n_probs": 0,
        "post_sampling_probs": false,
        "cache_prompt": false,
        "return_tokens": true,
        "stream": stream,
    });
    Wire { framing: if stream { Framing::Sse } else { Framing::Whole }, ..post("/completion", body) }
}

/// A request whose response is one JSON document.
pub(super) fn post(path: &str, body: Value) -> Wire {
    let body = match body {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    Wire { path: path.to_owned(), headers: Vec::new(), body, framing: Framing::Whole }
}

/// Reads a whole response.
///
/// # Errors
/// An error in place of an answer, and a response that isn't one of `/completion`.
pub(super) fn whole(body: &Value, draft: &mut Draft) -> Result<(), Failure> {
    match take(body, draft)? {
        Flow::Done => Ok(()),
        Flow::More => Err(malformed("it is a part of a stream, and none was asked for")),
    }
}

/// Reads a piece of a stream.
///
/// # Errors
/// An error in the midst of the answer, and a piece that isn't one of `/completion`.
pub(super) fn piece(frame: &Frame<'_>, draft: &mut Draft) -> Result<Flow, Failure> {
    let body: Value = serde_json::from_slice(frame.data).map_err(|error| malformed(format!("a piece is no JSON ({error})")))?;
    take(&body, draft)
}

/// Adds what a response, or a piece of one, says.
fn take(body: &Value, draft: &mut Draft) -> Result<Flow, Failure> {
    check(body)?;
    let content = body.get("content").and_then(Value::as_str).ok_or_else(|| malformed("it has no `content`"))?;
    draft.say(content);
    draft.tokens.extend(ids(body.get("tokens")));
    if body.get("stop").and_then(Value::as_bool) != Some(true) {
        return Ok(Flow::More);
    }
    let limited = match body.get("stop_type").and_then(Value::as_str) {
        Some("eos") => {
            // The end token itself is among the tokens, and not part of the answer.
            draft.tokens.pop();
            draft.finish = Some(Finish::End);
            false
        }
        Some("word") => {
            draft.finish = Some(Finish::Stop);
            false
        }
        Some("limit") => {
            draft.finish = Some(Finish::Length);
            true
        }
        other => return Err(malformed(format!("its `stop_type` is {other:?}"))),
    };
    // A server also says `truncated` of an answer that met the end of the context; that one's prompt was whole.
    draft.served.truncated |= !limited && body.get("truncated").and_then(Value::as_bool) == Some(true);
    draft.served.model = body.get("model").and_then(Value::as_str).filter(|name| !name.is_empty()).map(str::to_owned);
    draft.served.usage = usage(body);
    Ok(Flow::Done)
}

/// The tokens that a response says it read and wrote; none where it doesn't say.
pub(super) fn usage(body: &Value) -> Option<Usage> {
    let number = |value: &Value| value.as_u64();
    let prompt = body.get("tokens_evaluated").and_then(number)?;
    let completion = body.get("tokens_predicted").and_then(number)?;
    let cached = body.pointer("/timings/cache_n").and_then(number).unwrap_or(0);
    Some(Usage { prompt, completion, cached })
}

/// Token ids out of a list of numbers, or of objects with an `id`.
pub(super) fn ids(list: Option<&Value>) -> impl Iterator<Item = u32> {
    let id = |item: &Value| item.as_u64().or_else(|| item.get("id")?.as_u64()).and_then(|id| u32::try_from(id).ok());
    list.and_then(Value::as_array).into_iter().flatten().filter_map(id)
}

/// Fails where a response is an error, whatever its status was.
pub(super) fn check(body: &Value) -> Result<(), Failure> {
    let Some(error) = body.get("error") else { return Ok(()) };
    let said = error.get("message").and_then(Value::as_str).or_else(|| error.as_str()).unwrap_or("no reason given");
    let kind = error.get("type").and_then(Value::as_str).unwrap_or_default();
    let (cause, retry) = match (error.get("code").and_then(Value::as_u64), kind) {
        (Some(429 | 503), _) | (None, "unavailable_error") => (CauseKind::Limited, RetryClass::Busy),
        (Some(501), _) => (CauseKind::Refused, RetryClass::No),
        (Some(500..), _) | (None, "server_error") => (CauseKind::Transport, RetryClass::Transient),
        _ => (CauseKind::Refused, RetryClass::No),
    };
    Err(Failure::new(cause, retry, format!("the server says: {said}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ApiSpec;

    /// A subject behind a llama.cpp server.
    fn spec(stream: bool) -> ApiSpec {
        let spec = json!({"preset": "llama-server", "dialect": "llama-cpp", "base_url": "http://127.0.0.1:8080", "model": "demo",
            "stream": stream});
        serde_json::from_value(spec).expect("it is a spec")
    }

    fn request(temperature: f64, seed: u64) -> Request {
        let generation = Generation { max_tokens: 16, stop: vec!["\n".into()], temperature, top_p: 0.9, seed, constraint: None };
        Request::Generate { prompt: "2 + 2 =".into(), generation }
    }

    /// The fields and their neutral values: tools/server/README.md of llama.cpp, "POST /completion".
    #[test]
    fn every_setting_of_the_samplers_is_sent() {
        let wire = encode(&Ask { spec: &spec(true), request: &request(0.5, 7) }).expect("it is written");
        assert_eq!((wire.path.as_str(), wire.framing), ("/completion", Framing::Sse));
        let expected = concat!(
            r#"{"prompt":"2 + 2 =","n_predict":16,"stop":["\n"],"preserved_tokens":["\n"],"seed":7,"#,
            r#""samplers":["temperature","top_p"],"temperature":0.5,"top_p":0.9,"dynatemp_range":0.0,"top_k":0,"min_p":0.0,"#,
            r#""top_n_sigma":-1.0,"typical_p":1.0,"xtc_probability":0.0,"repeat_last_n":0,"repeat_penalty":1.0,"#,
            r#""presence_penalty":0.0,"frequency_penalty":0.0,"dry_multiplier":0.0,"mirostat":0,"adaptive_target":-1.0,"#,
            r#""logit_bias":[],"ignore_eos":false,"min_keep":0,"n_keep":0,"n_indent":0,"n_probs":0,"#,
            r#""post_sampling_probs":false,"cache_prompt":false,"return_tokens":true,"stream":true}"#,
        );
        assert_eq!(Value::Object(wire.body).to_string(), expected);
    }

    #[test]
    fn a_seed_never_asks_for_a_random_one() {
        let wire = encode(&Ask { spec: &spec(false), request: &request(0.0, 0xffff_ffff) }).expect("it is written");
        assert_eq!(wire.body["seed"], 0x7fff_ffff);
        assert_eq!(wire.framing, Framing::Whole);
    }

    #[test]
    fn what_takes_more_than_one_request_is_refused_here() {
        let asked = Request::Perplexity { text: "a".into() };
        let failure = encode(&Ask { spec: &spec(false), request: &asked }).expect_err("it is refused");
        assert_eq!((failure.kind, failure.retry), (CauseKind::Refused, RetryClass::No));
    }

    /// A response of llama-server (build 0c1e570), its `generation_settings` left out.
    const WHOLE: &str = r#"{"index":0,"content":"{\"name\":","tokens":[310,331,278,7],"id_slot":0,"stop":true,"model":"demo",
        "tokens_predicted":4,"tokens_evaluated":5,"prompt":"<s><|user|>hi<|end|><|assistant|>","has_new_line":false,
        "truncated":false,"stop_type":"eos","stopping_word":"","tokens_cached":8,"timings":{"cache_n":1,"prompt_n":4}}"#;

    fn read(text: &str) -> Result<Draft, Failure> {
        let mut draft = Draft::default();
        whole(&serde_json::from_str(text).expect("it is JSON"), &mut draft)?;
        Ok(draft)
    }

    #[test]
    fn a_whole_response_gives_text_tokens_and_counts() {
        let draft = read(WHOLE).expect("it is read");
        assert_eq!((draft.text.as_str(), draft.tokens.as_slice()), ("{\"name\":", &[310, 331, 278][..]));
        assert_eq!(draft.finish, Some(Finish::End));
        assert_eq!(draft.served.usage, Some(Usage { prompt: 5, completion: 4, cached: 1 }));
        assert_eq!(draft.served.model.as_deref(), Some("demo"));
        assert!(!draft.served.truncated);
    }

    #[test]
    fn an_answer_that_met_the_end_of_the_context_is_short_and_its_prompt_whole() {
        let limited = WHOLE.replace("\"eos\"", "\"limit\"").replace("\"truncated\":false", "\"truncated\":true");
        let draft = read(&limited).expect("it is read");
        assert_eq!((draft.finish, draft.served.truncated), (Some(Finish::Length), false));
        assert_eq!(draft.tokens, [310, 331, 278, 7]);
        let shifted = WHOLE.replace("\"truncated\":false", "\"truncated\":true");
        assert!(read(&shifted).expect("it is read").served.truncated);
    }

    /// The pieces of a stream of llama-server (build 0c1e570), their settings left out.
    #[test]
    fn a_stream_gives_what_a_whole_response_gives() {
        let pieces = [
            r#"{"index":0,"content":"{\"","tokens":[310],"stop":false,"id_slot":-1,"tokens_predicted":1,"tokens_evaluated":5}"#,
            r#"{"index":0,"content":"name","tokens":[331],"stop":false,"id_slot":-1,"tokens_predicted":2,"tokens_evaluated":5}"#,
            r#"{"index":0,"content":"\":","tokens":[278],"stop":false,"id_slot":-1,"tokens_predicted":3,"tokens_evaluated":5}"#,
            r#"{"index":0,"content":"","tokens":[7],"stop":false,"id_slot":-1,"tokens_predicted":4,"tokens_evaluated":5}"#,
            r#"{"index":0,"content":"","tokens":[],"id_slot":0,"stop":true,"model":"demo","tokens_predicted":4,"tokens_evaluated":5,
                "truncated":false,"stop_type":"eos","stopping_word":"","tokens_cached":8,"timings":{"cache_n":1}}"#,
        ];
        let mut draft = Draft::default();
        for (index, piece) in pieces.iter().enumerate() {
            let flow = super::piece(&Frame { event: None, data: piece.as_bytes() }, &mut draft).expect("it is read");
            assert_eq!(flow, if index == 4 { Flow::Done } else { Flow::More });
        }
        assert_eq!(draft.pieces, 3, "the end token brings no text");
        let whole = read(WHOLE).expect("it is read");
        assert_eq!(Draft { pieces: whole.pieces, ..draft }, whole);
    }

    #[test]
    fn errors_under_a_good_status_have_their_class() {
        let class = |code: u16, kind: &str| {
            let body = json!({"error": {"code": code, "message": "so it is", "type": kind}});
            let failure = check(&body).expect_err("it is an error");
            assert!(failure.message.contains("so it is"));
            (failure.kind, failure.retry)
        };
        assert_eq!(class(503, "unavailable_error"), (CauseKind::Limited, RetryClass::Busy));
        assert_eq!(class(500, "server_error"), (CauseKind::Transport, RetryClass::Transient));
        assert_eq!(class(400, "exceed_context_size_error"), (CauseKind::Refused, RetryClass::No));
        assert_eq!(class(501, "not_supported_error"), (CauseKind::Refused, RetryClass::No));
    }

    #[test]
    fn a_response_without_text_or_with_an_unknown_end_is_no_answer() {
        for broken in [WHOLE.replace("\"content\"", "\"text\""), WHOLE.replace("\"eos\"", "\"tired\"")] {
            assert_eq!(read(&broken).expect_err("it is refused").kind, CauseKind::Malformed);
        }
        let failure = super::piece(&Frame { event: None, data: b"{\"content\"" }, &mut Draft::default());
        assert_eq!(failure.expect_err("it is cut off").kind, CauseKind::Malformed);
    }
}
