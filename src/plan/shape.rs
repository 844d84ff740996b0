//! What answers should look like, row by row: read from the task, its schema file, a field of the row or the tools it offers.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};

use super::render::Fault;
use crate::dataset::Row;
use crate::domain::{AnswerShape, Constraint, ScorerSpec, ShapeKind, Task};
use crate::engine::local;
use crate::scorer;

/// The key that a task's shape is said by.
pub(super) fn key(shape: &AnswerShape) -> &'static str {
    let kind = match shape {
        AnswerShape::Call => return "tools",
        AnswerShape::SchemaFile(_) | AnswerShape::Given(Constraint::JsonSchema(_)) => ShapeKind::JsonSchema,
        AnswerShape::Given(Constraint::Regex(_)) => ShapeKind::Regex,
        AnswerShape::Given(Constraint::Choice(_)) => ShapeKind::Choice,
        AnswerShape::Field { kind, .. } => *kind,
    };
    match kind {
        ShapeKind::JsonSchema => "schema",
        ShapeKind::Regex => "regex",
        ShapeKind::Choice => "choices",
    }
}

/// Reads the schema that a task names as a file, from the suite's folder.
///
/// # Errors
/// Why it can't be read, as a sentence.
pub(super) fn read(task: &mut Task, folder: &Path) -> Result<(), String> {
    let Some(AnswerShape::SchemaFile(path)) = &task.shape else { return Ok(()) };
    let path = folder.join(path);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let schema = serde_json::from_str(&text).map_err(|error| format!("{} is not JSON: {error}", path.display()))?;
    task.shape = Some(AnswerShape::Given(Constraint::JsonSchema(schema)));
    Ok(())
}

/// The shapes of a task's rows, each checked once.
#[derive(Default)]
pub(super) struct Shapes {
    checked: HashMap<String, Result<(), String>>,
}

impl Shapes {
    /// The shape of a row's answer, where the task has one.
    ///
    /// # Errors
    /// It is none, or nothing that answers can be judged by or held to.
    pub(super) fn of(&mut self, task: &Task, row: &Row) -> Result<Option<Constraint>, Fault> {
        let Some(shape) = &task.shape else { return Ok(None) };
        let constraint = match shape {
            AnswerShape::Given(constraint) => constraint.clone(),
            AnswerShape::Field { kind, name } => of_field(*kind, (key(shape), name), row)?,
            AnswerShape::Call => call(task, row)?,
            AnswerShape::SchemaFile(_) => return Err(Fault::new("schema", "has a schema that was not read", None)),
        };
        let checked = self.checked.entry(constraint.to_string()).or_insert_with(|| check(task, &constraint));
        match checked {
            Ok(()) => Ok(Some(constraint)),
            Err(why) => {
                let owner = if matches!(shape, AnswerShape::Given(_)) { "gets" } else { "has" };
                Err(Fault::new(key(shape), format!("{owner} a shape of its answer that is of no use: {why}"), None))
            }
        }
    }
}

/// Whether a task can do with a shape what it wants to.
fn check(task: &Task, constraint: &Constraint) -> Result<(), String> {
    if task.scorer == ScorerSpec::Valid {
        scorer::is_shape(constraint)?;
    }
    if task.constrained {
        local::enforce(constraint)?;
    }
    Ok(())
}

fn of_field(kind: ShapeKind, (key, name): (&'static str, &str), row: &Row) -> Result<Constraint, Fault> {
    let Some(value) = row.fields.get(name) else { return Err(Fault::no_field(key, name, row)) };
    let wanted = |what: &str| Fault::new(key, format!("has a field `{name}` that is not {what}"), None);
    match kind {
        ShapeKind::JsonSchema if value.is_object() || value.is_boolean() => Ok(Constraint::JsonSchema(value.clone())),
        ShapeKind::JsonSchema => Err(wanted("a JSON Schema")),
        ShapeKind::Regex => value.as_str().map(|text| Constraint::Regex(text.to_owned())).ok_or_else(|| wanted("text")),
        ShapeKind::Choice => {
            let texts = value.as_array().and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
            texts.map(Constraint::Choice).ok_or_else(|| wanted("a list of texts"))
        }
    }
}

/// A call of one of the row's tools: its name, and arguments that its parameters declare.
fn call(task: &Task, row: &Row) -> Result<Constraint, Fault> {
    let name = task.prompt.tools.as_deref().unwrap_or("tools");
    let tools = row.fields.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let calls = tools.iter().map(|tool| {
        let mut arguments = match &tool["function"]["parameters"] {
            Value::Object(_) => tool["function"]["parameters"].clone(),
            _ => json!({ "type": "object" }),
        };
        if arguments.to_string().contains("\"$ref\"") {
            let hint = "say what a call looks like by a `schema`".to_owned();
            return Err(Fault::new("tools", format!("has a tool in `{name}` whose parameters refer to other schemas"), hint));
        }
        if let Value::Object(declared) = &mut arguments {
            declared.entry("additionalProperties").or_insert(false.into());
        }
        let properties = json!({ "name": { "const": tool["function"]["name"] }, "arguments": arguments });
        Ok(json!({
            "type": "object", "properties": properties, "required": ["name", "arguments"], "additionalProperties": false,
        }))
    });
    Ok(Constraint::JsonSchema(json!({ "anyOf": calls.collect::<Result<Vec<_>, Fault>>()? })))
}
