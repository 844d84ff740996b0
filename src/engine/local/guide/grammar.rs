//! Constraints as llguidance's grammars, and what of a schema no grammar can hold an answer to.

use std::sync::OnceLock;

use llguidance::api::TopLevelGrammar;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv};
use llguidance::{Matcher, ParserFactory};
use serde_json::{Map, Value, json};

use crate::domain::Constraint;

/// White space where JSON may have some: one space, or a line break with up to 20 spaces or tabs. Without a bound a model
/// that is at a loss writes white space until it is cut off.
const WHITE_SPACE: &str = r" |\n[ \t]{0,20}";

/// Formats that llguidance writes; others say nothing that a JSON Schema validator must check.
const FORMATS: [&str; 10] = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"];

/// pydantic's pattern of a decimal number looks ahead; this one means the same and doesn't.
pub(super) const RESTATED: [(&str, &str); 1] = [(r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$", r"^[+-]?(\d+\.?\d*|\.\d+)$")];

/// Whether a constraint can be enforced on any vocabulary that spells every byte.
///
/// # Errors
/// Why not, as a fragment of a sentence, in llguidance's words.
pub fn enforce(constraint: &Constraint) -> Result<(), String> {
    static BYTES: OnceLock<Result<ParserFactory, String>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| factory(&ApproximateTokEnv::single_byte_env()));
    compile(bytes.as_ref().map_err(Clone::clone)?, constraint).map(|_| ())
}

/// What answers may break of a constraint that they are held to, as fragments of a sentence; mostly nothing.
#[must_use]
pub fn loose(constraint: &Constraint) -> Vec<&'static str> {
    match constraint {
        Constraint::JsonSchema(schema) => restated(schema).1,
        Constraint::Regex(_) | Constraint::Choice(_) => Vec::new(),
    }
}

/// llguidance for a vocabulary, without words on its own.
pub(super) fn factory(tokens: &TokEnv) -> Result<ParserFactory, String> {
    let slices = SlicedBiasComputer::general_slices();
    let factory = ParserFactory::new(tokens, InferenceCapabilities::default(), &slices);
    let mut factory = factory.map_err(|error| sentence(&error.to_string()))?;
    factory.quiet();
    factory.limits_mut().verbose_errors = false;
    Ok(factory)
}

/// Compiles a constraint; the error is a fragment of a sentence.
pub(super) fn compile(factory: &ParserFactory, constraint: &Constraint) -> Result<Matcher, String> {
    let grammar = match constraint {
        Constraint::JsonSchema(schema) => TopLevelGrammar::from_json_schema(restated(schema).0),
        Constraint::Regex(regex) => of_regex(regex)?,
        Constraint::Choice(texts) if texts.is_empty() => return Err("there is no text to choose".to_owned()),
        Constraint::Choice(texts) => of_regex(&texts.iter().map(|text| escaped(text)).collect::<Vec<_>>().join("|"))?,
    };
    let matcher = Matcher::new(factory.create_parser(grammar));
    match matcher.get_error() {
        Some(error) => Err(sentence(&error)),
        None => Ok(matcher),
    }
}

fn of_regex(regex: &str) -> Result<TopLevelGrammar, String> {
    // llguidance would drop it.
    if (regex.len() - regex.trim_end_matches('\\').len()) % 2 == 1 {
        return Err("the regular expression ends in a backslash".to_owned());
    }
    Ok(TopLevelGrammar::from_regex(regex))
}

/// A regular expression that matches a text alone.
fn escaped(text: &str) -> String {
    let mut regex = String::with_capacity(text.len());
    for letter in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(letter) {
            regex.push('\\');
        }
        regex.push(letter);
    }
    regex
}

/// An error of llguidance without its drawings: what a regular expression's parser says last, or else the first line.
pub(super) fn sentence(error: &str) -> String {
    let told = error.lines().find_map(|line| line.strip_prefix("error: "));
    told.or_else(|| error.lines().find(|line| !line.trim().is_empty())).unwrap_or("no reason was told").trim().to_owned()
}

/// A schema as llguidance takes it, which accepts what the given one does, and what it can't hold an answer to.
pub(super) fn restated(schema: &Value) -> (Value, Vec<&'static str>) {
    let (mut schema, mut loose) = (schema.clone(), Vec::new());
    restate(&mut schema, &mut loose);
    loose.sort_unstable();
    loose.dedup();
    if let Value::Object(schema) = &mut schema
        && !schema.contains_key("x-guidance")
    {
        schema.insert("x-guidance".to_owned(), json!({ "whitespace_pattern": WHITE_SPACE }));
    }
    (schema, loose)
}

fn restate(schema: &mut Value, loose: &mut Vec<&'static str>) {
    let Value::Object(members) = schema else { return };
    restate_here(members, loose);
    for (key, value) in members {
        match (key.as_str(), value) {
            ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(named)) => {
                named.values_mut().for_each(|schema| restate(schema, loose));
            }
            ("enum" | "const" | "default" | "examples" | "x-guidance", _) => {}
            (_, Value::Array(all)) => all.iter_mut().for_each(|schema| restate(schema, loose)),
            (_, schema) => restate(schema, loose),
        }
    }
}

/// Restates the keywords of one schema, not of those within it.
fn restate_here(members: &mut Map<String, Value>, loose: &mut Vec<&'static str>) {
    if members.get("format").and_then(Value::as_str).is_some_and(|format| !FORMATS.contains(&format)) {
        members.shift_remove("format");
    }
    if members.get("uniqueItems").is_some_and(Value::is_boolean) && members.shift_remove("uniqueItems") == Some(true.into()) {
        loose.push("`uniqueItems`: a list may have the same item twice");
    }
    if let Some(Value::String(pattern)) = members.get_mut("pattern")
        && let Some((_, same)) = RESTATED.iter().find(|(given, _)| given == pattern)
    {
        *pattern = (*same).to_owned();
    }
}
