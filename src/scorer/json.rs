//! The text is a JSON value that says what the target says, in all fields or in some.

use serde_json::Value;

use super::{Scorer, judged, misfit, unread};
use crate::domain::{Answer, Score, Target};

/// Compares JSON values: the order of keys is free and 3 equals 3.0. White space around the value and one ```` ```json ````
/// fence are allowed.
#[derive(Clone, Debug)]
pub(super) struct Json {
    /// The fields that count; empty: the whole value, where other keys are wrong.
    pub(super) fields: Vec<String>,
}

impl Scorer for Json {
    fn score(&self, target: &Target, answer: &Answer) -> Score {
        let (Target::Json(wanted), Answer::Text { text, .. }) = (target, answer) else {
            return misfit("json", target, answer);
        };
        let given: Value = match serde_json::from_str(unfenced(text)) {
            Ok(given) => given,
            Err(error) => return unread(format!("not JSON: {error}")),
        };
        if self.fields.is_empty() {
            let right = equal(&given, wanted);
            return judged(right, if right { given.to_string() } else { format!("{given} instead of {wanted}") });
        }
        for field in &self.fields {
            match (given.get(field), wanted.get(field)) {
                (Some(given), Some(wanted)) if equal(given, wanted) => {}
                (None, None) => {}
                (Some(given), wanted) => {
                    let wanted = wanted.map_or_else(|| "none".to_owned(), ToString::to_string);
                    return judged(false, format!("field {field}: {given} instead of {wanted}"));
                }
                (None, Some(_)) => return judged(false, format!("field {field} is missing")),
            }
        }
        judged(true, given.to_string())
    }
}

/// The text without white space and without one fence around it.
pub(super) fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    inner.map_or(text, |inner| inner.strip_prefix("json").unwrap_or(inner).trim())
}

/// Equality of JSON values, where numbers are compared by value and the order of keys is free.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || (x.is_f64() || y.is_f64()) && x.as_f64() == y.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}
