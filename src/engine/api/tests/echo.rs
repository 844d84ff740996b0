//! Scoring of given texts against responses as vLLM's protocol and OpenAI's openapi.yaml (2.3.0) write them.

use std::collections::VecDeque;
use std::future::{Future, ready};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use super::super::super::BoxFuture;
use super::super::fixture;
use super::*;
use crate::domain::{Dialect, Usage};

/// A server that gives prepared responses, and what it was asked.
struct Server {
    responses: Mutex<VecDeque<Result<Value, Failure>>>,
    asked: Mutex<Vec<(String, String)>>,
}

impl Server {
    fn new(responses: Vec<Value>) -> Self {
        Self { responses: Mutex::new(responses.into_iter().map(Ok).collect()), asked: Mutex::default() }
    }

    /// A server that fails first.
    fn failing(failure: &Failure, responses: Vec<Value>) -> Self {
        let server = Self::new(responses);
        server.responses.lock().unwrap().push_front(Err(failure.clone()));
        server
    }

    /// Asks it for the score of options.
    fn choice(&self, spec: &ApiSpec, context: &str, options: &[&str]) -> Result<Vec<OptionScore>, Failure> {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let post = |wire| self.answer(wire);
        match at_once(choice(spec, &post, context, &options))?.answer {
            Answer::Choice { options } => Ok(options),
            other => panic!("{other:?}"),
        }
    }

    /// Asks it for the score of a document.
    fn rolling(&self, spec: &ApiSpec, text: &str) -> Result<Vec<f64>, Failure> {
        let post = |wire| self.answer(wire);
        match at_once(rolling(spec, &post, text))?.answer {
            Answer::Rolling { nll, .. } => Ok(nll),
            other => panic!("{other:?}"),
        }
    }

    fn answer(&self, wire: Wire) -> BoxFuture<'_, Result<Value, Failure>> {
        self.asked.lock().unwrap().push((wire.path, Value::Object(wire.body).to_string()));
        let response = self.responses.lock().unwrap().pop_front();
        Box::pin(ready(response.expect("no more is asked than was prepared")))
    }

    /// Paths and bodies that it got.
    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

/// The result of a future that never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn vllm() -> ApiSpec {
    fixture::spec(Preset::Vllm, Dialect::OpenaiCompletions, "m", false)
}

fn legacy(preset: Preset) -> ApiSpec {
    fixture::spec(preset, Dialect::OpenaiCompletions, "davinci-002", false)
}

/// vLLM's `/tokenize`.
fn tokens(ids: &[u64]) -> Value {
    json!({"count": ids.len(), "max_model_len": 16, "tokens": ids, "token_strs": null})
}

/// vLLM's response to a list of prompts with these `prompt_logprobs`.
fn vllm_choices(prompts: &[Value]) -> Value {
    let choice = |(index, entries): (usize, &Value)| json!({"index": index, "text": "x", "logprobs": null, "finish_reason": "length", "stop_reason": null, "prompt_logprobs": entries});
    let choices: Vec<Value> = prompts.iter().enumerate().map(choice).collect();
    json!({"id": "cmpl-1", "object": "text_completion", "model": "m", "choices": choices,
        "usage": {"prompt_tokens": 9, "total_tokens": 11, "completion_tokens": 2}})
}

/// A token that was the likeliest.
fn first(id: u32, logprob: f64) -> Value {
    json!({id.to_string(): {"logprob": logprob, "rank": 1, "decoded_token": "a"}})
}

/// A token of another rank, the likeliest told beside it.
fn later(id: u32, logprob: f64, rank: u32, best: f64) -> Value {
    json!({
        id.to_string(): {"logprob": logprob, "rank": rank, "decoded_token": "a"},
        "999": {"logprob": best, "rank": 1, "decoded_token": "b"},
    })
}

#[test]
fn vllm_scores_all_options_in_one_request_behind_the_servers_own_count() {
    let entries = [
        json!([null, first(5, -0.5), first(6, -0.25), later(7, -2.0, 3, -0.5)]),
        json!([null, first(5, -0.5), first(8, -1.0), first(9, -0.5)]),
    ];
    let server = Server::new(vec![tokens(&[1, 5]), vllm_choices(&entries)]);
    let options = server.choice(&vllm(), "Q: ", &["yes!", "no é"]).unwrap();
    let score = |log_likelihood, bytes, greedy| OptionScore { log_likelihood, tokens: 2, bytes, greedy };
    assert_eq!(options, [score(-2.25, 4, false), score(-1.5, 5, true)]);
    let expected = concat!(
        r#"{"model":"m","prompt":["Q: yes!","Q: no é"],"max_tokens":1,"temperature":0.0,"top_p":1.0,"seed":0,"#,
        r#""presence_penalty":0.0,"frequency_penalty":0.0,"top_k":-1,"min_p":0.0,"repetition_penalty":1.0,"#,
        r#""add_special_tokens":true,"prompt_logprobs":1,"stream":false}"#
    );
    let asked = server.asked();
    assert_eq!(asked[0], ("/../tokenize".into(), r#"{"model":"m","prompt":"Q:","add_special_tokens":true}"#.into()));
    assert_eq!(asked[1], ("/completions".into(), expected.into()));
    assert_eq!(asked.len(), 2);
}

#[test]
fn where_the_tokenizer_is_hidden_the_context_goes_along_as_one_more_prompt() {
    let hidden = Failure::new(CauseKind::Refused, RetryClass::No, "Not Found");
    let entries = [
        json!([null, first(5, -0.5), first(6, -0.25)]),
        json!([null, first(5, -0.5), later(8, -1.0, 2, -0.25)]),
        json!([null, first(5, -0.5)]),
    ];
    let server = Server::failing(&hidden, vec![vllm_choices(&entries)]);
    let options = server.choice(&vllm(), "Q:", &[" a", " b"]).unwrap();
    assert_eq!(options.iter().map(|option| (option.tokens, option.log_likelihood)).collect::<Vec<_>>(), [(1, -0.25), (1, -1.0)]);
    assert!(server.asked()[1].1.contains(r#""prompt":["Q: a","Q: b","Q:"]"#), "{:?}", server.asked());
}

#[test]
fn a_fault_that_may_pass_is_not_taken_for_a_server_without_tokenizer() {
    let busy = Failure::new(CauseKind::Limited, RetryClass::Busy, "slow down");
    let server = Server::failing(&busy, vec![]);
    assert_eq!(server.choice(&vllm(), "Q:", &[" a", " b"]).unwrap_err(), busy);
}

/// A legacy completion that echoes prompts: each a list of own log-probabilities and of the likeliest.
fn echo(prompts: &[(Value, Value)], usage: Option<u64>) -> Value {
    let choice = |(index, (own, top)): (usize, &(Value, Value))| {
        let logprobs = json!({"tokens": [], "token_logprobs": own, "top_logprobs": top, "text_offset": []});
        json!({"text": "", "index": index, "logprobs": logprobs, "finish_reason": "length"})
    };
    // Choices may come in any order.
    let choices: Vec<Value> = prompts.iter().enumerate().rev().map(choice).collect();
    let mut body = json!({"id": "cmpl-1", "object": "text_completion", "model": "davinci-002", "choices": choices});
    if let Some(prompt) = usage {
        body["usage"] = json!({"prompt_tokens": prompt, "total_tokens": prompt});
    }
    body
}

#[test]
fn openais_base_models_echo_without_generating() {
    let prompts = [
        (json!([null, -0.5, -2.0]), json!([null, {" x": -0.5}, {" y": -0.25, " a": -2.0}])),
        (json!([null, -0.5, -1.0]), json!([null, {" x": -0.5}, {" b": -1.0}])),
        (json!([null, -0.5]), json!([null, {" x": -0.5}])),
    ];
    for usage in [Some(8), None] {
        let server = Server::new(vec![echo(&prompts, usage)]);
        let options = server.choice(&legacy(Preset::Openai), "Q: x", &[" a", " b"]).unwrap();
        let score = |log_likelihood, greedy| OptionScore { log_likelihood, tokens: 1, bytes: 2, greedy };
        assert_eq!(options, [score(-2.0, false), score(-1.0, true)]);
        let expected = concat!(
            r#"{"model":"davinci-002","prompt":["Q: x a","Q: x b","Q: x"],"max_tokens":0,"temperature":0.0,"top_p":1.0,"seed":0,"#,
            r#""presence_penalty":0.0,"frequency_penalty":0.0,"echo":true,"logprobs":1,"stream":false}"#
        );
        assert_eq!(server.asked(), [("/completions".to_owned(), expected.to_owned())]);
    }
}

#[test]
fn tokens_generated_behind_the_prompts_are_taken_off_by_count_and_never_guessed() {
    let prompts = [
        (json!([null, -0.5, -2.0, -9.0]), json!([null, {"x": -0.5}, {"a": -2.0}, {"g": -9.0}])),
        (json!([null, -0.5, -9.0]), json!([null, {"x": -0.5}, {"g": -9.0}])),
    ];
    for usage in [Some(5), None] {
        let server = Server::new(vec![echo(&prompts, usage)]);
        let scored = server.choice(&legacy(Preset::OpenaiCompatible), "Q", &[" a"]).unwrap();
        assert_eq!((scored[0].tokens, scored[0].log_likelihood), (1, -2.0));
        assert!(server.asked()[0].1.contains(r#""max_tokens":1"#));
    }
    let server = Server::new(vec![echo(&prompts, Some(6))]);
    let failure = server.choice(&legacy(Preset::OpenaiCompatible), "Q", &[" a"]).unwrap_err();
    assert_eq!(failure.kind, CauseKind::Malformed);
}

/// What becomes of one option whose only token has this entry.
fn entry(entry: &Value) -> Result<Vec<OptionScore>, Failure> {
    Server::new(vec![tokens(&[1]), vllm_choices(&[json!([null, entry])])]).choice(&vllm(), "Q", &["a"])
}

#[test]
fn what_is_no_log_probability_is_a_failure_and_never_a_number() {
    for value in [json!(null), json!("NaN"), json!(-9999.0), json!(-1e300), json!(0.5)] {
        let failure = entry(&json!({"5": {"logprob": value, "rank": 1, "decoded_token": "a"}})).unwrap_err();
        assert_eq!((failure.kind, failure.retry), (CauseKind::NotANumber, RetryClass::No), "{value}");
    }
    assert_eq!(entry(&Value::Null).unwrap_err().kind, CauseKind::NotANumber);
    let unclear = json!({"5": {"logprob": -1.0}, "6": {"logprob": -2.0}});
    assert_eq!(entry(&unclear).unwrap_err().kind, CauseKind::Malformed);
    let rounding = entry(&json!({"5": {"logprob": 1e-7, "rank": 1}})).unwrap();
    assert!(rounding[0].log_likelihood.abs() < f64::MIN_POSITIVE);
    let without = json!({"choices": [{"index": 0, "text": "x", "finish_reason": "length", "prompt_logprobs": null}]});
    let server = Server::new(vec![tokens(&[1]), without]);
    let failure = server.choice(&vllm(), "Q", &["a"]).unwrap_err();
    assert_eq!((failure.kind, failure.retry), (CauseKind::Malformed, RetryClass::No));
}

#[test]
fn equal_probabilities_are_all_the_most_likely() {
    let tied = entry(&later(7, -1.0, 2, -1.0)).unwrap();
    assert!(tied[0].greedy);
}

#[test]
fn options_without_tokens_or_without_anything_before_them_are_refused() {
    let server = Server::new(vec![tokens(&[1, 2]), vllm_choices(&[json!([null, first(2, -1.0)])])]);
    let failure = server.choice(&vllm(), "Q", &[""]).unwrap_err();
    assert!(failure.kind == CauseKind::Refused && failure.message.contains("option 1"), "{failure}");
    let server = Server::new(vec![tokens(&[]), vllm_choices(&[json!([null, first(2, -1.0)])])]);
    assert_eq!(server.choice(&vllm(), " ", &["a"]).unwrap_err().kind, CauseKind::Refused);
    // With a token that begins texts, an empty context is one.
    let server = Server::new(vec![tokens(&[1]), vllm_choices(&[json!([null, first(2, -1.0)])])]);
    assert_eq!(server.choice(&vllm(), " ", &["a"]).unwrap()[0].tokens, 1);
    let server = Server::new(vec![]);
    assert_eq!(server.choice(&legacy(Preset::Openai), "", &["a"]).unwrap_err().kind, CauseKind::Refused);
}

#[test]
fn a_response_with_other_choices_than_prompts_is_malformed() {
    for prompts in [&[json!([null])][..], &[json!([null]), json!([null]), json!([null])]] {
        let server = Server::new(vec![tokens(&[1]), vllm_choices(prompts)]);
        assert_eq!(server.choice(&vllm(), "Q", &["a", "b"]).unwrap_err().kind, CauseKind::Malformed);
    }
}

#[test]
fn a_document_is_scored_behind_the_token_that_begins_it() {
    let entries = [json!([null, first(5, -0.5), later(6, -2.0, 4, -0.1)])];
    let server = Server::new(vec![tokens(&[1, 5, 6]), tokens(&[5, 6]), vllm_choices(&entries)]);
    assert_eq!(server.rolling(&vllm(), "two tokens").unwrap(), [0.5, 2.0]);
    assert!(server.asked()[2].1.contains(r#""prompt":[[1,5,6]]"#), "{:?}", server.asked());
}

/// A place with the likeliest tokens beside its own, as vLLM writes it for `prompt_logprobs` above 1.
fn among(own: (u32, f64, u32), likeliest: &[(u32, f64)]) -> Value {
    let mut place = serde_json::Map::new();
    for (rank, (id, logprob)) in likeliest.iter().enumerate() {
        place.insert(id.to_string(), json!({"logprob": logprob, "rank": rank + 1, "decoded_token": "?"}));
    }
    let (id, logprob, rank) = own;
    place.insert(id.to_string(), json!({"logprob": logprob, "rank": rank, "decoded_token": "a"}));
    place.into()
}

#[test]
fn a_document_is_told_with_the_likeliest_tokens_and_its_own_are_found_by_their_ids() {
    let places =
        json!([null, among((5, -3.5, 4), &[(8, -0.5), (9, -1.5), (7, -2.5)]), among((6, -0.25, 1), &[(6, -0.25), (4, -9999.0)])]);
    let server = Server::new(vec![tokens(&[1, 5, 6]), tokens(&[5, 6]), vllm_choices(&[places])]);
    let spec = vllm();
    let post = |wire| server.answer(wire);
    let Answer::Rolling { nll, top, .. } = at_once(rolling(&spec, &post, "two tokens")).unwrap().answer else {
        panic!("no document")
    };
    assert_eq!(nll, [3.5, 0.25]);
    assert_eq!(
        top,
        [vec![(8, -0.5), (9, -1.5), (7, -2.5), (5, -3.5)], vec![(6, -0.25)]],
        "what has no probability tells nothing"
    );
    assert!(server.asked()[2].1.contains(r#""prompt_logprobs":20,"#), "{:?}", server.asked());
}

#[test]
fn a_server_that_tells_fewer_is_asked_for_one() {
    // vLLM's words, with `--max-logprobs 5`.
    let words = "h answered with HTTP 400: Requested prompt logprobs of 20, which is greater than max allowed: 5";
    let refused = Failure::new(CauseKind::Refused, RetryClass::No, words);
    let server = Server::new(vec![tokens(&[1, 5]), tokens(&[5])]);
    server.responses.lock().unwrap().push_back(Err(refused));
    server.responses.lock().unwrap().push_back(Ok(vllm_choices(&[json!([null, first(5, -0.5)])])));
    assert_eq!(server.rolling(&vllm(), "a").unwrap(), [0.5]);
    assert!(server.asked()[3].1.contains(r#""prompt_logprobs":1,"#), "{:?}", server.asked());
}

#[test]
fn tokens_other_than_those_that_were_sent_are_no_answer() {
    for places in [json!([null, first(7, -0.5)]), json!([null, first(5, -0.5), first(6, -0.5)]), json!([null])] {
        let server = Server::new(vec![tokens(&[1, 5]), tokens(&[5]), vllm_choices(&[places])]);
        assert_eq!(server.rolling(&vllm(), "a").unwrap_err().kind, CauseKind::Malformed);
    }
}

#[test]
fn windows_go_out_together_as_far_as_a_response_has_room_for_them() {
    let window = |tokens: usize| Window { prompt: vec![7; tokens].into(), scored: 1 };
    let parts = |sizes: &[usize]| {
        let windows: Vec<Window> = sizes.iter().map(|&tokens| window(tokens)).collect();
        together(&windows).iter().map(|part| part.len()).collect::<Vec<_>>()
    };
    assert_eq!(parts(&[100, 100, 100]), [3]);
    assert_eq!(parts(&[8192, 8192, 1, 16_384, 40_000, 5]), [2, 1, 1, 1, 1]);
}

#[test]
fn windows_cover_a_long_document_once_and_leave_room_for_one_token() {
    for (front, length, context) in [(vec![1], 40, 8), (vec![], 40, 8), (vec![1], 6, 8), (vec![1, 2], 100, 5), (vec![1], 7, 8)] {
        let content: Vec<u64> = (100..100 + length).collect();
        let windows = windows(&front, &content, context);
        let mut scored = Vec::new();
        for window in &windows {
            let prompt: Vec<u64> = window.prompt.as_array().unwrap().iter().filter_map(Value::as_u64).collect();
            assert!(prompt.len() < context, "{front:?} {length} {context}");
            scored.extend_from_slice(&prompt[prompt.len() - window.scored..]);
            assert!(window.scored < prompt.len() || front.is_empty(), "each scored token has one before it");
        }
        assert_eq!(scored, content, "{front:?} {length} {context}");
    }
}

#[test]
fn a_document_on_a_server_without_tokenizer_is_one_prompt() {
    let prompts = [(json!([null, -0.5, -1.5]), json!([null, {"x": -0.5}, {"a": -1.5}]))];
    let server = Server::new(vec![echo(&prompts, Some(3))]);
    assert_eq!(server.rolling(&legacy(Preset::Openai), "abc").unwrap(), [0.5, 1.5]);
    let server = Server::new(vec![echo(&[(json!([null]), json!([null]))], Some(1))]);
    assert_eq!(server.rolling(&legacy(Preset::Openai), "a").unwrap_err().kind, CauseKind::Refused);
    assert_eq!(Server::new(vec![]).rolling(&legacy(Preset::Openai), "").unwrap_err().kind, CauseKind::Refused);
}

#[test]
fn what_was_told_beside_the_scores_is_kept() {
    let server = Server::new(vec![tokens(&[1]), vllm_choices(&[json!([null, first(2, -1.0)])])]);
    let spec = vllm();
    let post = |wire| server.answer(wire);
    let reply = at_once(choice(&spec, &post, "Q", &["a".to_owned()])).unwrap();
    let served = reply.served.unwrap();
    assert_eq!(served.model.as_deref(), Some("m"));
    assert_eq!(served.usage, Some(Usage { prompt: 9, completion: 2, cached: 0 }));
}
