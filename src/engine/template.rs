//! Chat templates: MiniJinja in the environment that Hugging Face renders them in.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Environment, Error, ErrorKind, context};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::{Failure, RetryClass, python};
use crate::domain::{CauseKind, Message};
use crate::weights::Special;

/// The template's name.
const NAME: &str = "chat_template";
/// The name of the one for conversations with tools.
const TOOLS: &str = "tool_use";

/// A model's chat template, ready to render.
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
    unk: Option<String>,
    pad: Option<String>,
}

impl ChatTemplate {
    /// Compiles a template; `text` gives a token's text.
    pub(super) fn new(source: &str, special: &Special, text: impl Fn(u32) -> Option<String>) -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.add_filter("tojson", tojson);
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", |format: String| python::strftime(&format));
        environment.add_template_owned(NAME, source.to_owned())?;
        Ok(Self {
            environment,
            bos: special.bos_text.clone(),
            eos: special.eos_text.clone(),
            unk: special.unk.and_then(&text),
            pad: special.pad.and_then(&text),
        })
    }

    /// Takes another template for conversations with tools, as transformers does.
    pub(super) fn with_tools(mut self, source: &str) -> Result<Self, Error> {
        self.environment.add_template_owned(TOOLS, source.to_owned())?;
        Ok(self)
    }

    /// The prompt for an answer to the messages.
    pub(super) fn render(&self, messages: &[Message], tools: &[serde_json::Value]) -> Result<String, Failure> {
        let offered = self.environment.get_template(TOOLS).ok().filter(|_| !tools.is_empty());
        let tools = if tools.is_empty() { Value::from(()) } else { Value::from(Serde(tools)) };
        let values = context! {
            messages => Value::from(Serde(messages)),
            tools => tools,
            documents => Value::from(()),
            add_generation_prompt => true,
            bos_token => &self.bos,
            eos_token => &self.eos,
            unk_token => &self.unk,
            pad_token => &self.pad,
        };
        let template = offered.map_or_else(|| self.environment.get_template(NAME), Ok);
        let rendered = template.and_then(|template| template.render(values));
        let refused = |error| format!("the chat template cannot render this conversation: {error}");
        rendered.map_err(|error| Failure::new(CauseKind::Refused, RetryClass::No, refused(error)))
    }
}

/// Jinja's `tojson` as transformers defines it: Python's `json.dumps`, non-ASCII text as it is, nothing escaped for HTML.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a filter")]
fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let ascii: Option<bool> = options.get("ensure_ascii")?;
    let sorted: Option<bool> = options.get("sort_keys")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    options.assert_all_used()?;
    let json = serde_json::to_value(value).map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))?;
    let mut style =
        python::Json { indent, ascii: ascii.unwrap_or(false), sorted: sorted.unwrap_or(false), ..python::Json::default() };
    if indent.is_some() {
        style.item = ",".into();
    }
    if let Some([item, key]) = separators.as_deref() {
        (style.item, style.key) = (item.clone(), key.clone());
    }
    Ok(Value::from_safe_string(style.dump(&json)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, tools: &[serde_json::Value]) -> Result<String, Failure> {
        let special = Special { bos_text: "<s>".into(), eos_text: "</s>".into(), ..Special::default() };
        let template = ChatTemplate::new(source, &special, |_| None).expect("the template compiles");
        let message = |role: &str, content: &str| Message { role: role.into(), content: content.into() };
        template.render(&[message("user", "a < b & \"c\""), message("assistant", "é")], tools)
    }

    #[test]
    fn blocks_are_trimmed_and_tokens_and_python_methods_are_there() {
        let source = "{{ bos_token }}\n{% for m in messages %}\n    {% if m.role == 'user' %}\n[{{ m['content'].strip() }}]\n    {% endif %}\n{% endfor %}\n{{ eos_token }}{% if tools is none %}no tools{% endif %}";
        assert_eq!(render(source, &[]).expect("renders"), "<s>\n[a < b & \"c\"]\n</s>no tools");
    }

    #[test]
    fn tojson_writes_what_python_writes() {
        let tool =
            serde_json::json!({"name": "f<x>", "list": [1, 2.0, true, null, 1e20, 1.5e-7], "empty": {}, "text": "é'\n\u{1}"});
        let plain = render("{{ tools[0] | tojson }}", std::slice::from_ref(&tool)).expect("renders");
        assert_eq!(plain, r#"{"name": "f<x>", "list": [1, 2.0, true, null, 1e+20, 1.5e-07], "empty": {}, "text": "é'\n\u0001"}"#);
        let indented = render("{{ tools[0].list | tojson(indent=2, ensure_ascii=False) }}", &[tool]).expect("renders");
        assert_eq!(indented, "[\n  1,\n  2.0,\n  true,\n  null,\n  1e+20,\n  1.5e-07\n]");
    }

    #[test]
    fn a_template_for_tools_is_used_where_tools_are_offered() {
        let template = ChatTemplate::new("plain", &Special::default(), |_| None).expect("the template compiles");
        let template = template.with_tools("with {{ tools | length }}").expect("the template compiles");
        assert_eq!(template.render(&[], &[]).expect("renders"), "plain");
        assert_eq!(template.render(&[], &[serde_json::json!({})]).expect("renders"), "with 1");
    }

    #[test]
    fn an_exception_of_the_template_is_a_refusal_with_its_words() {
        let failure = render("{{ raise_exception('roles must alternate') }}", &[]).expect_err("it raises");
        assert!(failure.message.contains("roles must alternate"), "{}", failure.message);
    }
}
