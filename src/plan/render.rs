//! Rows to samples: a task's templates over a row's fields, through MiniJinja.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde_json::Value;

/// Steps that one template may take: plenty for a prompt, and an end to a loop without one.
const FUEL: u64 = 1_000_000;

use super::order;
use super::shape::Shapes;
use crate::dataset::Row;
use crate::domain::{Constraint, Generation, Message, Request, RequestKind, Sample, SampleId, ScorerSpec, Target, Task};
use crate::scorer;

/// What keeps a row from becoming a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The task's key that it is about.
    pub(super) key: &'static str,
    /// What is wrong, so that "row `17` …" is a sentence; the same words for rows with the same fault.
    pub(super) what: String,
    /// What to do, where that is not plain.
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(key: &'static str, what: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        Self { key, what: what.into(), hint: hint.into() }
    }

    /// A field that a row lacks.
    pub(super) fn no_field(key: &'static str, name: &str, row: &Row) -> Self {
        let fields: Vec<&str> = row.fields.keys().map(String::as_str).collect();
        let hint = format!("its fields are {}", fields.join(", "));
        Self::new(key, format!("has no field `{name}`, which `{key}` asks for"), hint)
    }
}

/// A task's templates, compiled. A field that a row lacks is a fault, never an empty text; nothing is escaped; a line
/// break at a template's end is kept.
pub(super) struct Renderer<'t> {
    task: &'t Task,
    seed: u64,
    environment: Environment<'t>,
    shapes: Shapes,
}

impl<'t> Renderer<'t> {
    /// Compiles a task's templates; `seed` is the plan's.
    ///
    /// # Errors
    /// Every template that is none.
    pub(super) fn new(task: &'t Task, seed: u64) -> Result<Self, Vec<Fault>> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.expect("the delimiters are the usual ones"));
        let prompt = &task.prompt;
        let templates =
            [("prompt", Some(&prompt.prompt)), ("system", prompt.system.as_ref()), ("target", prompt.target.as_ref())];
        let mut faults = Vec::new();
        for (key, template) in templates {
            let Some(template) = template else { continue };
            if let Err(error) = environment.add_template(key, template) {
                let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
                faults.push(Fault::new(key, format!("`{key}` is not a template: {detail}"), None));
            }
        }
        if faults.is_empty() { Ok(Self { task, seed, environment, shapes: Shapes::default() }) } else { Err(faults) }
    }

    /// The sample of a row.
    ///
    /// # Errors
    /// The first thing that keeps the row from being asked.
    pub(super) fn sample(&mut self, row: &Row) -> Result<Sample, Fault> {
        let id = SampleId::new(&row.id);
        let prompt = self.text("prompt", row)?;
        let shape = self.shapes.of(self.task, row)?;
        let held = shape.clone().filter(|_| self.task.constrained);
        let request = match self.task.kind {
            RequestKind::Choice => Request::Choice { context: prompt, options: self.options(row)? },
            RequestKind::Generate => Request::Generate { prompt, generation: self.generation(&id, held) },
            RequestKind::Chat => self.chat(row, prompt, Vec::new(), self.generation(&id, held))?,
            RequestKind::Tools => self.chat(row, prompt, self.tools(row)?, self.generation(&id, held))?,
            RequestKind::Perplexity => Request::Perplexity { text: prompt },
        };
        let target = self.target(row, &request, shape)?;
        let slice = label("slice", self.task.prompt.slice.as_deref(), row)?;
        let cluster = label("cluster", self.task.prompt.cluster.as_deref(), row)?;
        Ok(Sample { id, slice, cluster, request, target })
    }

    fn chat(&self, row: &Row, user: String, tools: Vec<Value>, generation: Generation) -> Result<Request, Fault> {
        let mut messages = Vec::with_capacity(2);
        if self.task.prompt.system.is_some() {
            messages.push(Message { role: "system".to_owned(), content: self.text("system", row)? });
        }
        messages.push(Message { role: "user".to_owned(), content: user });
        Ok(Request::Chat { messages, tools, generation })
    }

    fn generation(&self, id: &SampleId, constraint: Option<Constraint>) -> Generation {
        Generation {
            max_tokens: self.task.max_tokens,
            stop: self.task.stop.clone(),
            temperature: self.task.temperature,
            top_p: self.task.top_p,
            seed: order::generation_seed(self.seed, &self.task.name, id),
            constraint,
        }
    }

    /// A template over the row; never empty.
    fn text(&self, key: &'static str, row: &Row) -> Result<String, Fault> {
        let template = self.environment.get_template(key).expect("a task with this key had it compiled");
        let text = template.render(Serde(&row.fields)).map_err(|error| {
            let mut missing: Vec<String> = template.undeclared_variables(false).into_iter().collect();
            missing.retain(|name| !row.fields.contains_key(name));
            missing.sort_unstable();
            match missing.first() {
                Some(name) if error.kind() == ErrorKind::UndefinedError => Fault::no_field(key, name, row),
                _ => {
                    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
                    Fault::new(key, format!("cannot be put into `{key}`: {}{detail}", error.kind()), None)
                }
            }
        })?;
        if text.is_empty() {
            return Err(Fault::new(key, format!("makes `{key}` empty"), None));
        }
        Ok(text)
    }

    fn options(&self, row: &Row) -> Result<Vec<String>, Fault> {
        let name = self.task.prompt.options.as_deref().unwrap_or("options");
        let listed = row.fields.get(name).ok_or_else(|| Fault::no_field("options", name, row))?;
        let options: Option<Vec<String>> =
            listed.as_array().and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
        let fault = |what: String| Err(Fault::new("options", what, None));
        let Some(options) = options else { return fault(format!("has a field `{name}` that is not a list of texts")) };
        if options.len() < 2 {
            return fault(format!("has fewer than two texts in its field `{name}`"));
        }
        if options.iter().any(String::is_empty) {
            return fault(format!("has an empty text in its field `{name}`"));
        }
        if (1..options.len()).any(|i| options[..i].contains(&options[i])) {
            return fault(format!("has the same text twice in its field `{name}`"));
        }
        Ok(options)
    }

    fn tools(&self, row: &Row) -> Result<Vec<Value>, Fault> {
        let name = self.task.prompt.tools.as_deref().unwrap_or("tools");
        let listed = row.fields.get(name).ok_or_else(|| Fault::no_field("tools", name, row))?;
        let is_tool = |tool: &Value| tool["function"]["name"].is_string();
        match listed.as_array() {
            Some(tools) if !tools.is_empty() && tools.iter().all(is_tool) => Ok(tools.clone()),
            _ => {
                let hint = "a tool reads {\"type\": \"function\", \"function\": {\"name\": …, \"parameters\": …}}";
                let what = format!("has a field `{name}` that is not a list of tools");
                Err(Fault::new("tools", what, hint.to_owned()))
            }
        }
    }

    fn target(&self, row: &Row, request: &Request, shape: Option<Constraint>) -> Result<Target, Fault> {
        match (&self.task.scorer, shape) {
            (ScorerSpec::Likelihood, _) => return Ok(Target::None),
            (ScorerSpec::Valid, Some(shape)) => return Ok(Target::Shape(shape)),
            _ => {}
        }
        let text = self.text("target", row)?;
        let fault = |what: &str, hint: Option<String>| Err(Fault::new("target", what, hint));
        match (&self.task.scorer, request) {
            (ScorerSpec::Choice { .. }, Request::Choice { options, .. }) => {
                if let Some(index) = options.iter().position(|option| *option == text) {
                    return Ok(Target::Option(index));
                }
                let hint = format!("its target is {text:?}; the options are {options:?}");
                fault("has a target that is none of its options", Some(hint))
            }
            (ScorerSpec::Number, _) if scorer::last_number(&text).is_none() => {
                fault("has a target without a number", Some(format!("its target is {text:?}")))
            }
            (ScorerSpec::ToolCall, _) => {
                let call = serde_json::from_str(&text).map_err(|error| format!("not JSON: {error}"));
                match call.and_then(|call| scorer::is_call(&call).map(|()| call)) {
                    Ok(call) => Ok(Target::Call(call)),
                    Err(why) => {
                        let hint = format!("{why}; write target = \"{{{{ call | tojson }}}}\" for a field `call`");
                        fault("has a target that is no tool call", Some(hint))
                    }
                }
            }
            (ScorerSpec::Json { fields }, _) => json_target(&text, fields),
            _ => Ok(Target::Text(vec![text])),
        }
    }
}

/// A target that is JSON and has the fields that count.
fn json_target(text: &str, fields: &[String]) -> Result<Target, Fault> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let hint = format!("{error}; write target = \"{{{{ answer | tojson }}}}\" for a field `answer`");
        Fault::new("target", "has a target that is not JSON", hint)
    })?;
    match fields.iter().find(|field| value.get(field.as_str()).is_none()) {
        Some(field) => {
            Err(Fault::new("target", format!("has a target without the field `{field}`, which the scorer looks at"), None))
        }
        None => Ok(Target::Json(value)),
    }
}

/// The value of a slice or cluster field as text; none where the task names no field or the row says null.
fn label(key: &'static str, name: Option<&str>, row: &Row) -> Result<Option<String>, Fault> {
    let Some(name) = name else { return Ok(None) };
    match row.fields.get(name) {
        None => Err(Fault::no_field(key, name, row)),
        Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Ok(Some(other.to_string())),
    }
}
