//! Tests of forced tokens, against a stand-in that answers as llama-server does.

use std::sync::Mutex;

use super::*;
use crate::domain::Message;

/// A response of llama-server (build 0c1e570) to the grammar `root ::= <[52]> <[53]>`, shortened.
const RESPONSE: &str = r#"{"index":0,"content":"MN","tokens":[52,53],"stop":true,"model":"demo","tokens_predicted":2,
    "tokens_evaluated":4,"truncated":false,"stop_type":"limit","stopping_word":"","timings":{"cache_n":0},
    "completion_probabilities":[{"id":52,"token":"M","bytes":[77],"logprob":-23.229007720947266,"top_logprobs":[
    {"id":2,"token":"","bytes":[],"logprob":-5.960466182841628e-07}]},{"id":53,"token":"N","bytes":[78],"logprob":-0.25,
    "top_logprobs":[{"id":53,"token":"N","bytes":[78],"logprob":-0.25}]}]}"#;

fn span() -> Span {
    Span { prompt: vec![1, 47, 311, 641], targets: vec![52, 53] }
}

fn body() -> Value {
    serde_json::from_str(RESPONSE).expect("it is JSON")
}

#[test]
fn the_grammar_is_the_given_tokens_one_after_the_other() {
    let wire = wire(&span(), 3);
    assert_eq!(wire.path, "/completion");
    assert_eq!(wire.body["grammar"], "root ::= <[52]> <[53]>");
    assert_eq!(wire.body["prompt"], json!([1, 47, 311, 641]));
    assert_eq!((&wire.body["n_predict"], &wire.body["n_probs"]), (&json!(2), &json!(3)));
    assert_eq!((&wire.body["temperature"], &wire.body["cache_prompt"]), (&json!(0.0), &json!(false)));
}

#[test]
fn each_forced_token_has_its_probability_and_the_likeliest_in_its_place() {
    let scores = scores(&body(), &span()).expect("it is read");
    assert!((scores[0].log_probability + 23.229_007_720_947_266).abs() < 1e-15);
    assert_eq!((scores[0].greedy, scores[1].greedy), (false, true));
    assert_eq!(scores[0].top, [(2, -5.960_466_182_841_628e-7)]);
}

#[test]
fn other_tokens_than_the_forced_ones_are_never_scored() {
    let other = Span { targets: vec![52, 54], ..span() };
    let failure = scores(&body(), &other).expect_err("another token came");
    assert_eq!((failure.kind, failure.retry), (CauseKind::Malformed, RetryClass::No));
    let longer = Span { targets: vec![52, 53, 54], ..span() };
    assert!(scores(&body(), &longer).is_err(), "a token is missing");
    let cut = Span { prompt: vec![1; 9], ..span() };
    assert!(scores(&body(), &cut).expect_err("the prompt was cut").message.contains("of 9 tokens it read 4"));
    let mut untold = body();
    untold.as_object_mut().expect("an object").remove("completion_probabilities");
    assert!(scores(&untold, &span()).is_err());
}

#[test]
fn a_probability_that_the_server_cannot_write_is_not_a_number() {
    let mut lowest = body();
    lowest["completion_probabilities"][0]["logprob"] = json!(f64::from(f32::MIN));
    assert_eq!(scores(&lowest, &span()).expect_err("it is none").kind, CauseKind::NotANumber);
}

#[test]
fn windows_are_full_and_score_each_token_once() {
    let tokens: Vec<u32> = (10..33).collect();
    let spans = windows(&tokens, 1, 10);
    let scored: Vec<u32> = spans.iter().flat_map(|span| span.targets.clone()).collect();
    assert_eq!(scored, tokens);
    assert_eq!(spans[0].prompt, [1]);
    assert_eq!((spans[1].prompt.as_slice(), spans[1].targets.len()), (&[19][..], 10));
    // The last run is three tokens, after the eight before them.
    assert_eq!(spans[2].prompt, (22..30).collect::<Vec<u32>>());
    assert!(spans.iter().all(|span| span.prompt.len() + span.targets.len() - 1 <= 10));
}

#[test]
fn a_long_window_is_forced_in_steps_that_begin_alike() {
    let tokens: Vec<u32> = (0..600).collect();
    let spans = windows(&tokens, 9, 1_000);
    assert_eq!(spans.iter().map(|span| span.targets.len()).collect::<Vec<_>>(), [256, 256, 88]);
    assert_eq!(spans[1].prompt.len(), 257);
    assert_eq!((spans[1].prompt[0], spans[1].prompt[256], spans[1].targets[0]), (9, 255, 256));
}

#[test]
fn an_option_has_the_tokens_beyond_those_of_its_context() {
    let start = || Ok(7);
    let made = span_of(&[1, 2, 3], &[1, 2, 4, 5], start);
    assert_eq!(made, Ok(Span { prompt: vec![1, 2, 3], targets: vec![5] }));
    assert_eq!(span_of(&[], &[4, 5], start), Ok(Span { prompt: vec![7], targets: vec![4, 5] }));
    assert!(span_of(&[1, 2], &[1, 9], start).expect_err("nothing is left").message.contains("option 3"));
}

fn span_of(head: &[u32], joint: &[u32], start: impl Fn() -> Result<u32, Failure>) -> Result<Span, Failure> {
    super::span(head, joint, start, 2)
}

/// A server of the kind of llama.cpp's: a token is a byte, BOS is 1 and stands before every text; each token has the
/// log-probability −id / 100, and 65 (`A`) is the likeliest everywhere.
struct StandIn {
    /// Whether its grammars know tokens.
    forces: bool,
    asked: Mutex<Vec<Wire>>,
}

impl StandIn {
    fn new(forces: bool) -> Self {
        Self { forces, asked: Mutex::default() }
    }

    fn answer(&self, wire: &Wire) -> Value {
        self.asked.lock().expect("no test fails within").push(wire.clone());
        let body = &wire.body;
        match wire.path.as_str() {
            "/tokenize" => {
                let bos = body["add_special"] == true;
                let text = body["content"].as_str().expect("a text");
                let (special, text) = text.strip_prefix("<s>").map_or((bos, text), |rest| (true, rest));
                let ids: Vec<u32> = special.then_some(1).into_iter().chain(text.bytes().map(u32::from)).collect();
                json!({"tokens": ids})
            }
            "/apply-template" => json!({"prompt": format!("[{}]", body["messages"][0]["content"].as_str().expect("a text"))}),
            _ if !self.forces => json!({"error": {"code": 400, "message": "failed to parse grammar"}}),
            _ => Self::complete(body),
        }
    }

    fn complete(body: &serde_json::Map<String, Value>) -> Value {
        let grammar = body.get("grammar").and_then(Value::as_str).unwrap_or_default();
        let ids = grammar.split("<[").skip(1).map(|part| part.split(']').next().expect("a part").parse().expect("an id"));
        let entry = |id: u32| json!({"id": id, "logprob": -f64::from(id) / 100.0});
        let count = body["n_probs"].as_u64().expect("a number") as u32;
        let top: Vec<Value> = (65..65 + count).map(entry).collect();
        let entries: Vec<Value> = ids
            .map(|id: u32| {
                let mut told = entry(id);
                told["top_logprobs"] = json!(top);
                told
            })
            .collect();
        let read = body["prompt"].as_array().expect("ids").len();
        json!({"content": "ok", "tokens": [], "stop": true, "stop_type": "limit", "model": "demo", "tokens_evaluated": read,
            "tokens_predicted": entries.len(), "completion_probabilities": entries})
    }

    /// The requests of `/completion` since the last call.
    fn completions(&self) -> Vec<Wire> {
        let asked = std::mem::take(&mut *self.asked.lock().expect("no test fails within"));
        asked.into_iter().filter(|wire| wire.path == "/completion").collect()
    }
}

fn props() -> Value {
    json!({"default_generation_settings": {"n_ctx": 64}, "total_slots": 2, "bos_token": "<s>", "eos_token": "</s>",
        "chat_template": "{{ bos_token }}[{{ messages[0].content }}]", "build_info": "b1-0c1e570"})
}

/// Runs something that never waits.
fn now<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
}

#[test]
fn an_option_is_one_request_and_letters_are_one_together() {
    let server = StandIn::new(true);
    let post = |wire: Wire| -> crate::engine::BoxFuture<'_, _> { Box::pin(std::future::ready(Ok(server.answer(&wire)))) };
    now(async {
        let native = Native::open(&props(), &post).await.expect("it opens");
        assert_eq!((native.context, native.unforced.as_deref()), (64, None));
        assert!(native.chats() && native.notes.is_empty(), "{:?}", native.notes);
        server.completions();
        let options = [" A".to_owned(), " Bc".to_owned()];
        let reply = choice(&native, &post, "Q: ", &options).await.expect("it is scored");
        let Answer::Choice { options: scored } = reply.answer else { panic!("a choice") };
        // The space moved into the options.
        assert_eq!((scored[0].tokens, scored[1].tokens, scored[1].bytes), (3, 4, 3));
        assert!((scored[0].log_likelihood + (32.0 + 32.0 + 65.0) / 100.0).abs() < 1e-12);
        assert_eq!(server.completions().len(), 2);
        assert_eq!(reply.served.and_then(|served| served.usage).map(|usage| usage.prompt), Some(6));
        let letters = ["A", "B", "C", "z"].map(str::to_owned);
        let reply = choice(&native, &post, "Q:", &letters).await.expect("it is scored");
        let Answer::Choice { options: scored } = reply.answer else { panic!("a choice") };
        assert_eq!(scored.iter().map(|option| option.greedy).collect::<Vec<_>>(), [true, false, false, false]);
        assert!((scored[2].log_likelihood + 0.67).abs() < 1e-12);
        assert_eq!(server.completions().len(), 2, "`z` is not among the likeliest");
    });
}

#[test]
fn a_document_is_scored_from_its_first_token() {
    let server = StandIn::new(true);
    let post = |wire: Wire| -> crate::engine::BoxFuture<'_, _> { Box::pin(std::future::ready(Ok(server.answer(&wire)))) };
    now(async {
        let native = Native::open(&props(), &post).await.expect("it opens");
        server.completions();
        let text = "x".repeat(100);
        let reply = rolling(&native, &post, &text).await.expect("it is scored");
        let Answer::Rolling { nll, bytes, .. } = reply.answer else { panic!("a document") };
        assert_eq!((nll.len(), bytes), (100, 100));
        let prompts: Vec<usize> =
            server.completions().iter().map(|wire| wire.body["prompt"].as_array().expect("ids").len()).collect();
        assert_eq!(prompts, [1, 27], "windows of 63 tokens");
    });
}

#[test]
fn a_conversation_is_sent_as_the_tokens_of_its_rendered_text() {
    let server = StandIn::new(true);
    let post = |wire: Wire| -> crate::engine::BoxFuture<'_, _> { Box::pin(std::future::ready(Ok(server.answer(&wire)))) };
    let generation = Generation { max_tokens: 4, stop: Vec::new(), temperature: 0.0, top_p: 1.0, seed: 0, constraint: None };
    let messages = vec![Message { role: "user".into(), content: "hi".into() }];
    let chat = Request::Chat { messages, tools: Vec::new(), generation };
    now(async {
        let native = Native::open(&props(), &post).await.expect("it opens");
        let made = prompt(&native, &post, &chat).await.expect("it is rendered");
        assert_eq!((made.text.as_str(), made.tokens.as_slice()), ("<s>[hi]", &[1, 91, 104, 105, 93][..]));
        let mut other = props();
        other["chat_template"] = json!("{% unknown_tag %}");
        let native = Native::open(&other, &post).await.expect("it opens");
        assert!(native.notes[0].contains("the server renders it"), "{:?}", native.notes);
        let theirs = prompt(&native, &post, &chat).await.expect("it is rendered");
        assert_eq!(theirs.tokens, made.tokens, "the BOS that the server leaves out is put in front");
        other["chat_template"] = json!("{{ bos_token }}({{ messages[0].content }})");
        let native = Native::open(&other, &post).await.expect("it opens");
        assert!(native.notes[0].contains("otherwise than its template"), "{:?}", native.notes);
    });
}

#[test]
fn a_server_that_cannot_be_forced_is_known_before_anything_is_scored() {
    let server = StandIn::new(false);
    let post = |wire: Wire| -> crate::engine::BoxFuture<'_, _> { Box::pin(std::future::ready(Ok(server.answer(&wire)))) };
    now(async {
        let native = Native::open(&props(), &post).await.expect("it opens");
        let why = native.unforced.clone().expect("it says why");
        assert!(why.contains("failed to parse grammar"), "{why}");
        let failure = choice(&native, &post, "Q:", &["A".to_owned(), "B".to_owned()]).await.expect_err("nothing is scored");
        assert_eq!(failure.retry, RetryClass::No);
    });
}

#[test]
fn a_prompt_that_leaves_no_room_is_refused() {
    let server = StandIn::new(true);
    let post = |wire: Wire| -> crate::engine::BoxFuture<'_, _> { Box::pin(std::future::ready(Ok(server.answer(&wire)))) };
    let generation = Generation { max_tokens: 4, stop: Vec::new(), temperature: 0.0, top_p: 1.0, seed: 0, constraint: None };
    now(async {
        let native = Native::open(&props(), &post).await.expect("it opens");
        let long = Request::Generate { prompt: "x".repeat(63), generation };
        assert!(prompt(&native, &post, &long).await.expect_err("no room").message.contains("64 tokens"));
        let options = ["y".repeat(70), "z".into()];
        assert!(choice(&native, &post, "Q", &options).await.expect_err("no room").message.contains("context holds 63"));
    });
}
