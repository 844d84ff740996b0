//! Whatever a service writes, reading it ends, without a panic, and with an answer or a failure.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::super::exchange::{Draft, Flow, Frame};
use super::{piece, whole};
use crate::domain::Dialect;

const DIALECTS: [Dialect; 8] = [
    Dialect::OpenaiChat,
    Dialect::OpenaiCompletions,
    Dialect::Mistral,
    Dialect::Ollama,
    Dialect::LlamaCpp,
    Dialect::Anthropic,
    Dialect::Bedrock,
    Dialect::Vertex,
];

/// Members that dialects look at, so that what is drawn gets past their first look.
const NAMES: [&str; 40] = [
    "choices",
    "message",
    "delta",
    "content",
    "text",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "index",
    "id",
    "finish_reason",
    "usage",
    "prompt_tokens",
    "completion_tokens",
    "model",
    "error",
    "code",
    "type",
    "logprobs",
    "function_call",
    "content_block",
    "partial_json",
    "stop_reason",
    "output",
    "stopReason",
    "toolUse",
    "input",
    "done",
    "done_reason",
    "prompt_eval_count",
    "eval_count",
    "response",
    "tokens",
    "stop",
    "stop_type",
    "truncated",
    "timings",
    "system_fingerprint",
    "status",
];

const WORDS: [&str; 16] = [
    "",
    "stop",
    "length",
    "tool_use",
    "end_turn",
    "text",
    "content_filter",
    "null",
    "429",
    "message_start",
    "{",
    "\u{0}",
    "content_block_start",
    "content_block_delta",
    "function",
    "é",
];

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        select(vec![0_i64, 1, -1, i64::MIN, i64::MAX]).prop_map(Value::from),
        Just(json!(u64::MAX)),
        any::<f64>().prop_map(Value::from),
        select(&WORDS[..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((select(&NAMES[..]), inner), 0..8)
                .prop_map(|members| Value::from(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>())),
        ]
    })
}

/// What is drawn, as it is and where answers stand.
fn placed(value: Value) -> [Value; 4] {
    [
        json!({"choices": [value.clone()], "usage": value.clone()}),
        json!({"choices": [{"message": value.clone(), "delta": value.clone(), "finish_reason": "stop"}]}),
        json!({"message": value.clone(), "output": {"message": value.clone()}, "content": [value.clone()], "done": true}),
        value,
    ]
}

proptest! {
    #[test]
    fn no_document_and_no_stream_makes_a_dialect_panic(
        values in proptest::collection::vec(json(), 1..4),
        event in select(vec!["", "message_start", "content_block_start", "content_block_delta", "contentBlockDelta", "messageStop"]),
    ) {
        for dialect in DIALECTS {
            let mut stream = Draft::default();
            for body in values.iter().cloned().flat_map(placed) {
                let mut draft = Draft::default();
                if whole(dialect, &body, &mut draft).is_ok() {
                    let _ = draft.finish();
                }
                let data = body.to_string().into_bytes();
                let frame = Frame { event: Some(event).filter(|event| !event.is_empty()), data: &data };
                if !matches!(piece(dialect, &frame, &mut stream), Ok(Flow::More)) {
                    stream = Draft::default();
                }
            }
            prop_assert!(stream.calls.len() < 1000);
            let _ = stream.finish();
        }
    }
}
