//! Chat templates: where a model's files keep them, and the one for conversations with tools.

use std::path::Path;

use serde_json::Value as Json;

use super::WeightsError;
use super::folder::read_text;
use super::gguf::{Array, Header, Value};

/// GGUF's key for the template.
const KEY: &str = "tokenizer.chat_template";
/// The name of the one that is used where tools are offered.
const TOOLS: &str = "tool_use";

/// A model's chat templates, in Jinja.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Templates {
    /// The one for every conversation.
    pub(super) plain: Option<String>,
    /// The one for conversations with tools, where it is another.
    pub(super) tools: Option<String>,
}

impl Templates {
    /// Reads them from a folder: files of their own first, then `tokenizer_config.json`, where they are a text, a list of
    /// names and templates, or an object.
    pub(super) fn of_folder(folder: &Path, settings: &Json) -> Result<Self, WeightsError> {
        let (plain, tools) = (read_text(&folder.join("chat_template.jinja"))?, additional(folder)?);
        let value = settings.get("chat_template").unwrap_or(&Json::Null);
        let named = |name: &str| {
            let listed =
                value.as_array().and_then(|all| all.iter().find(|entry| entry["name"] == name)).map(|entry| &entry["template"]);
            let text = listed.or_else(|| value.get(name)).and_then(Json::as_str);
            text.map(str::to_owned)
        };
        let written = value.as_str().map(str::to_owned).or_else(|| named("default"));
        Ok(Self { plain: plain.or(written), tools: tools.or_else(|| named(TOOLS)) })
    }

    /// Reads them from GGUF metadata.
    pub(super) fn of_header(header: &Header) -> Self {
        let text = |key: &str| header.get(key).and_then(Value::text).map(str::to_owned);
        Self { plain: text(KEY), tools: text(&format!("{KEY}.{TOOLS}")) }
    }

    /// Keys and values that say them.
    pub(super) fn describe(&self) -> Vec<(String, Value)> {
        let mut metadata = Vec::new();
        if let Some(tools) = &self.tools {
            metadata.push(("tokenizer.chat_templates".to_owned(), Value::Array(Array::of_texts([TOOLS]))));
            metadata.push((format!("{KEY}.{TOOLS}"), Value::Text(tools.clone())));
        }
        metadata.extend(self.plain.iter().map(|plain| (KEY.to_owned(), Value::Text(plain.clone()))));
        metadata
    }

    /// What they are known by: the template's text, and the one for tools behind it where there is one.
    pub(super) fn digested(&self) -> String {
        let plain = self.plain.as_deref().unwrap_or_default();
        self.tools.as_ref().map_or_else(|| plain.to_owned(), |tools| format!("{plain}\0{TOOLS}\0{tools}"))
    }
}

/// The template for tools in one of the folders that hold further ones.
fn additional(folder: &Path) -> Result<Option<String>, WeightsError> {
    for place in ["additional_chat_templates", "chat_templates"] {
        if let Some(text) = read_text(&folder.join(place).join(format!("{TOOLS}.jinja")))? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}
