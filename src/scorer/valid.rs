//! The text has the shape that was asked for, whatever it says: a schema's, a regular expression's, or one of some texts.

use jsonschema::Validator;
use regex::Regex;
use serde_json::Value;

use super::{Scorer, judged, misfit, unread};
use crate::domain::{Answer, Constraint, Score, Target};

/// Looks at the shape alone. White space around the text doesn't count; a fence around JSON does, since a program that reads
/// the answer would stumble over it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Valid;

impl Scorer for Valid {
    fn score(&self, target: &Target, answer: &Answer) -> Score {
        let (Target::Shape(shape), Answer::Text { text, .. }) = (target, answer) else {
            return misfit("valid", target, answer);
        };
        match shape {
            Constraint::JsonSchema(schema) => json(schema, text),
            Constraint::Regex(pattern) => match whole(pattern) {
                Ok(regex) => {
                    let right = regex.is_match(text) || regex.is_match(text.trim());
                    judged(right, if right { text.trim() } else { "it does not match" })
                }
                Err(why) => unread(why),
            },
            Constraint::Choice(texts) => {
                let right = texts.iter().any(|choice| choice == text || choice.trim() == text.trim());
                judged(right, if right { text.trim() } else { "none of the texts" })
            }
        }
    }
}

fn json(schema: &Value, text: &str) -> Score {
    let given: Value = match serde_json::from_str(text.trim()) {
        Ok(given) => given,
        Err(error) => return unread(format!("not JSON: {error}")),
    };
    match validator(schema) {
        Ok(validator) => match validator.validate(&given) {
            Ok(()) => judged(true, given.to_string()),
            Err(error) => {
                let (place, error) = (error.instance_path().to_string(), error.to_string());
                judged(false, if place.is_empty() { error } else { format!("{place}: {error}") })
            }
        },
        Err(why) => unread(why),
    }
}

/// Whether answers can be judged by a shape.
///
/// # Errors
/// Why not, as a fragment of a sentence.
pub fn is_shape(shape: &Constraint) -> Result<(), String> {
    match shape {
        Constraint::JsonSchema(schema) => validator(schema).map(|_| ()),
        Constraint::Regex(pattern) => whole(pattern).map(|_| ()),
        Constraint::Choice(texts) if texts.is_empty() => Err("there is no text to choose".to_owned()),
        Constraint::Choice(_) => Ok(()),
    }
}

/// A validator by the draft that the schema names, or else the latest; formats count, and nothing is fetched.
fn validator(schema: &Value) -> Result<Validator, String> {
    let built = jsonschema::options().should_validate_formats(true).build(schema);
    built.map_err(|error| format!("it is not a JSON Schema: {error}"))
}

/// A regular expression for the whole of a text.
fn whole(pattern: &str) -> Result<Regex, String> {
    let last = |error: String| error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    Regex::new(&format!(r"\A(?:{pattern})\z")).map_err(|error| last(error.to_string()))
}
