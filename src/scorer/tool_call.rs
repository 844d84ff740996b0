//! The text is one JSON object that calls the right tool with the right arguments.

use serde_json::{Map, Value};

use super::json::{equal, unfenced};
use super::{Scorer, judged, misfit, unread};
use crate::domain::{Answer, Score, Target};

/// Compares the call's `name` and `arguments` as JSON values: the order of keys is free and 3 equals 3.0. White space
/// around the object and one ```` ```json ```` fence are allowed; other keys beside the two are ignored.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToolCall;

impl Scorer for ToolCall {
    fn score(&self, target: &Target, answer: &Answer) -> Score {
        let (Target::Call(wanted), Answer::Text { text, .. }) = (target, answer) else {
            return misfit("tool-call", target, answer);
        };
        let given: Value = match serde_json::from_str(unfenced(text)) {
            Ok(given) => given,
            Err(error) => return unread(format!("not JSON: {error}")),
        };
        match (parts(&given), parts(wanted)) {
            (Err(why), _) => unread(why),
            (_, Err(why)) => unread(format!("the target is no call: {why}")),
            (Ok(given), Ok(wanted)) => match fault(given, wanted) {
                Some(fault) => judged(false, fault),
                None => judged(true, format!("{}({})", given.0, Value::Object(given.1.clone()))),
            },
        }
    }
}

/// Whether a value can be the target of this scorer: an object with a `name` (text) and `arguments` (an object).
///
/// # Errors
/// What it lacks, as a fragment of a sentence.
pub fn is_call(value: &Value) -> Result<(), String> {
    parts(value).map(|_| ())
}

type Call<'a> = (&'a str, &'a Map<String, Value>);

fn parts(call: &Value) -> Result<Call<'_>, String> {
    let object = call.as_object().ok_or_else(|| format!("{}, not an object", kind(call)))?;
    let name = match object.get("name") {
        Some(Value::String(name)) => name,
        Some(other) => return Err(format!("`name` is {}, not text", kind(other))),
        None => return Err("no `name`".to_owned()),
    };
    match object.get("arguments") {
        Some(Value::Object(arguments)) => Ok((name, arguments)),
        Some(other) => Err(format!("`arguments` is {}, not an object", kind(other))),
        None => Err("no `arguments`".to_owned()),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The first thing wrong with a call.
fn fault(given: Call<'_>, wanted: Call<'_>) -> Option<String> {
    if given.0 != wanted.0 {
        return Some(format!("another tool: {} instead of {}", given.0, wanted.0));
    }
    for (key, wanted) in wanted.1 {
        match given.1.get(key) {
            None => return Some(format!("argument {key} is missing")),
            Some(given) if !equal(given, wanted) => return Some(format!("argument {key}: {given} instead of {wanted}")),
            Some(_) => {}
        }
    }
    given.1.keys().find(|key| !wanted.1.contains_key(*key)).map(|key| format!("argument {key} is not asked for"))
}
