//! What the answers of a task should look like, and whether they are held to it.

use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use super::{Section, task};
use crate::domain::{AnswerShape, Constraint, RequestKind, ScorerSpec, ShapeKind};

/// The keys that say what answers should look like; a task has one of them.
const KEYS: [(&str, ShapeKind); 3] =
    [("schema", ShapeKind::JsonSchema), ("regex", ShapeKind::Regex), ("choices", ShapeKind::Choice)];

/// Reads `schema`, `regex` or `choices`, and `constrained`.
pub(super) fn read(section: &Section<'_>, kind: RequestKind, scorer: &ScorerSpec) -> (Option<AnswerShape>, bool) {
    let given: Vec<(&'static str, ShapeKind)> = KEYS.into_iter().filter(|(key, _)| section.has(key)).collect();
    let constrained = section.flag("constrained").unwrap_or(false);
    if matches!(kind, RequestKind::Choice | RequestKind::Perplexity) {
        for key in given.iter().map(|(key, _)| *key).chain(section.has("constrained").then_some("constrained")) {
            let message = format!("`{key}` means nothing for a {} task: it writes no text", task::word(kind));
            section.fault_at(key, message, Some("remove it"));
        }
        return (None, false);
    }
    if let [_, (other, _), ..] = given[..] {
        section.fault_at(other, format!("{} has two shapes of an answer", section.name()), Some("keep one of them"));
    }
    let shape = match given.first() {
        Some((key, shape)) => one(section, key, *shape),
        None => (kind == RequestKind::Tools && (constrained || *scorer == ScorerSpec::Valid)).then_some(AnswerShape::Call),
    };
    fitting(section, (given.first().map(|(key, _)| *key), constrained), shape.is_some(), scorer);
    (shape, constrained)
}

/// Notes a shape that is used for nothing, and what needs one.
fn fitting(section: &Section<'_>, (key, constrained): (Option<&'static str>, bool), there: bool, scorer: &ScorerSpec) {
    let valid = *scorer == ScorerSpec::Valid;
    let hint = "say what answers should look like: schema = \"file.json\", regex = \"…\" or choices = [\"…\", …]";
    match key {
        Some(key) if !constrained && !valid => section.fault_at(
            key,
            format!("`{key}` is used for nothing"),
            Some("judge answers by it, scorer = \"valid\", or hold them to it while they are written, constrained = true"),
        ),
        None if !there && constrained => section.fault_at("constrained", "nothing says what answers are held to", Some(hint)),
        None if !there && valid => section.fault_at("scorer", "nothing says what a valid answer is", Some(hint)),
        _ => {}
    }
    if constrained && valid {
        let hint =
            "judge what the answer says, by scorer json for one; validity is measured by another task, without `constrained`";
        section.fault_at("scorer", "an answer that is held to its shape is valid, unless it is cut off", Some(hint));
    }
    if constrained && section.has("stop") {
        let hint = "remove it: an answer that is held to its shape ends by itself";
        section.fault_at("stop", "a stop text could cut a constrained answer before it is whole", Some(hint));
    }
}

/// Reads the value of a key: the shape itself, or the field that holds each row's.
fn one(section: &Section<'_>, key: &'static str, kind: ShapeKind) -> Option<AnswerShape> {
    if matches!(section.value(key).map(Spanned::get_ref), Some(DeValue::Table(_))) {
        let table = section.table(key, &format!("{key} of {}", section.name()))?;
        let field = table.required_text("field", "name the field that holds each row's own: { field = \"…\" }");
        table.close();
        return Some(AnswerShape::Field { kind, name: field });
    }
    match kind {
        ShapeKind::JsonSchema => section.text(key).map(|path| AnswerShape::SchemaFile(PathBuf::from(path))),
        ShapeKind::Regex => section.text(key).map(|regex| AnswerShape::Given(Constraint::Regex(regex))),
        ShapeKind::Choice => section.texts(key).map(|texts| AnswerShape::Given(Constraint::Choice(texts))),
    }
}
