//! One table of a TOML file: its keys are asked for one by one, and what nobody asked for is an unknown key.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Diagnostic, Document, Place, nearest, secret};

/// A table that is being read. A value of the wrong type is noted as a fault and read as if it were absent.
#[derive(Debug)]
pub struct Section<'d> {
    document: &'d Document,
    name: String,
    table: &'d DeTable<'d>,
    /// Its header, or none for the whole file.
    span: Option<Range<usize>>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'d> Section<'d> {
    /// The whole file, called `name` in messages.
    pub fn root(document: &'d Document, name: &str, table: &'d DeTable<'d>) -> Self {
        Self { document, name: name.to_owned(), table, span: None, asked: RefCell::default() }
    }

    /// What it is called in messages: the suite, a task by its name, `[policy]`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a key, whatever its type.
    pub fn value(&self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        if !self.asked.borrow().contains(&key) {
            self.asked.borrow_mut().push(key);
        }
        self.table.get(key)
    }

    /// Takes keys for known without reading them.
    pub fn skip(&self, keys: &[&'static str]) {
        self.asked.borrow_mut().extend(keys);
    }

    /// Whether a key is there.
    pub fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    /// Whether a key holds a list without items.
    pub fn is_empty_list(&self, key: &'static str) -> bool {
        matches!(self.value(key).map(Spanned::get_ref), Some(DeValue::Array(items)) if items.is_empty())
    }

    /// Text.
    pub fn text(&self, key: &'static str) -> Option<String> {
        self.typed(key, "text in quotes", |value| value.as_str().map(str::to_owned))
    }

    /// Text that must be there; empty where it is not, and the fault is noted.
    pub fn required_text(&self, key: &'static str, hint: &str) -> String {
        if !self.has(key) {
            self.fault(format!("{} has no `{key}`", self.name), Some(hint));
        }
        self.text(key).unwrap_or_default()
    }

    /// A name that must be there: letters, digits, `_`, `-` and `.`, since names become parts of file names.
    pub fn required_name(&self, key: &'static str) -> String {
        const HINT: &str = "a name has letters, digits, `_`, `-` and `.`, and starts with a letter or a digit";
        let name = self.required_text(key, HINT);
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let good = name.chars().all(allowed) && name.starts_with(char::is_alphanumeric);
        if !good && matches!(self.value(key).map(Spanned::get_ref), Some(DeValue::String(_))) {
            self.fault_at(key, format!("`{name}` is not a name"), Some(HINT));
        }
        name
    }

    /// A list of texts.
    pub fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        self.typed(key, "a list of texts in quotes", |value| {
            value.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
        })
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &'static str) -> Option<bool> {
        self.typed(key, "true or false", DeValue::as_bool)
    }

    /// A whole number that is not negative.
    pub fn whole(&self, key: &'static str) -> Option<u64> {
        self.typed(key, "a whole number, 0 or more", |value| {
            let number = value.as_integer()?;
            u64::from_str_radix(number.as_str(), number.radix()).ok()
        })
    }

    /// A finite number.
    pub fn real(&self, key: &'static str) -> Option<f64> {
        self.typed(key, "a number", real)
    }

    /// A list of exactly two finite numbers.
    pub fn pair(&self, key: &'static str) -> Option<(f64, f64)> {
        self.typed(key, "a list of two numbers", |value| {
            let mut items = value.as_array()?.iter().map(|item| real(item.get_ref()));
            let pair = (items.next()??, items.next()??);
            items.next().is_none().then_some(pair)
        })
    }

    /// One of several words.
    pub fn word<T: Copy>(&self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let given = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == given).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let hint = nearest(&given, known.iter().copied()).map(|word| format!("did you mean `{word}`?"));
            let message = format!("`{key}` is one of {}, not `{given}`", known.join(", "));
            self.fault_at(key, message, hint.as_deref());
        }
        found
    }

    /// A table, called `name` in messages.
    pub fn table(&self, key: &'static str, name: &str) -> Option<Section<'d>> {
        let value = self.value(key)?;
        let table = self.typed(key, "a table", DeValue::as_table)?;
        Some(Section {
            document: self.document,
            name: name.to_owned(),
            table,
            span: Some(value.span()),
            asked: RefCell::default(),
        })
    }

    /// The tables of a `[[key]]` list; each is called by its `name` in messages.
    pub fn tables(&self, key: &'static str) -> Vec<Section<'d>> {
        let Some(items) = self.typed(key, "a list of tables", DeValue::as_array) else { return Vec::new() };
        let mut sections = Vec::with_capacity(items.len());
        for item in items {
            let Some(table) = item.get_ref().as_table() else {
                let message = format!("`{key}` must be a list of tables, written [[{}]]", self.path_of(key));
                let fault = Diagnostic::new(message, None);
                self.document.note(fault.at(self.document.place(&item.span())));
                continue;
            };
            let name = match table.get("name").and_then(|name| name.get_ref().as_str()) {
                Some(name) => format!("{key} `{name}`"),
                None => format!("[[{}]]", self.path_of(key)),
            };
            let (document, asked) = (self.document, RefCell::default());
            sections.push(Section { document, name, table, span: Some(item.span()), asked });
        }
        sections
    }

    /// Every key with its value, for a table whose keys are anybody's. A date is noted as a fault and left out.
    pub fn members(&self) -> Vec<(String, Value)> {
        let mut members = Vec::with_capacity(self.table.len());
        for (key, value) in self.table {
            let Some(json) = json(value.get_ref()) else {
                let message = format!("`{}` of {} has a date, or a number that is none", key.get_ref(), self.name);
                let fault = Diagnostic::new(message, Some("write it as text in quotes"));
                self.document.note(fault.at(self.document.place(&value.span())));
                continue;
            };
            members.push((key.get_ref().to_string(), json));
        }
        members
    }

    /// Notes a fault of a member of such a table.
    pub fn fault_of(&self, member: &str, message: impl Into<String>, hint: Option<&str>) {
        self.document.note(Diagnostic::new(message, hint).at(self.place_of(member)));
    }

    /// Notes a fault of the section as a whole.
    pub fn fault(&self, message: impl Into<String>, hint: Option<&str>) {
        self.document.note(Diagnostic::new(message, hint).at(self.place()));
    }

    /// Notes a fault of a key's value, or of the section where the key is absent.
    pub fn fault_at(&self, key: &'static str, message: impl Into<String>, hint: Option<&str>) {
        self.document.note(Diagnostic::new(message, hint).at(self.place_of(key)));
    }

    /// Where the section begins.
    pub fn place(&self) -> Place {
        self.span.as_ref().map_or_else(|| self.document.whole(), |span| self.document.place(span))
    }

    /// Where a key's value stands, or the section where the key is absent.
    pub fn place_of(&self, key: &str) -> Place {
        self.table.get(key).map_or_else(|| self.place(), |value| self.document.place(&value.span()))
    }

    /// The places of all values, by key.
    pub fn places(&self) -> BTreeMap<String, Place> {
        self.table.iter().map(|(key, value)| (key.get_ref().to_string(), self.document.place(&value.span()))).collect()
    }

    /// The end of the reading: notes every key that nobody asked for, and secrets as what they are.
    pub fn close(&self) {
        let asked = self.asked.borrow();
        for key in self.table.keys() {
            let given: &str = key.get_ref();
            if asked.contains(&given) {
                continue;
            }
            if secret::is_secret_name(given) {
                let message = format!("`{given}` in {}: a secret does not belong in this file", self.name);
                let hint = "name the environment variable that holds it, key_env = \"…\", or a file with nothing else in it, key_file = \"…\"";
                self.document.note(Diagnostic::new(message, Some(hint)).at(self.document.place(&key.span())));
                continue;
            }
            let hint = match nearest(given, asked.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("the keys of {} are {}", self.name, asked.join(", ")),
            };
            let fault = Diagnostic::new(format!("unknown key `{given}` in {}", self.name), Some(&hint));
            self.document.note(fault.at(self.document.place(&key.span())));
        }
    }

    /// A key below this table's own, as TOML writes it: `policy.rule`.
    fn path_of(&self, key: &str) -> String {
        let own = self.name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        own.map_or_else(|| key.to_owned(), |own| format!("{own}.{key}"))
    }

    fn typed<T>(&self, key: &'static str, wanted: &str, read: impl Fn(&'d DeValue<'d>) -> Option<T>) -> Option<T> {
        let value = self.value(key)?.get_ref();
        let found = read(value);
        if found.is_none() {
            self.fault_at(key, format!("`{key}` must be {wanted}"), None);
        }
        found
    }
}

/// A finite number, written as an integer or a float.
fn real(value: &DeValue<'_>) -> Option<f64> {
    let number = match value {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok()? as f64,
        DeValue::Float(number) => number.as_str().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// A value as JSON; none where it has a date or a number that JSON has not.
fn json(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::from(text.as_ref())),
        DeValue::Boolean(flag) => Some(Value::from(*flag)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::from),
        DeValue::Float(_) => real(value).map(Value::from),
        DeValue::Datetime(_) => None,
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect::<Option<Vec<_>>>().map(Value::from),
        DeValue::Table(table) => {
            let members = table.iter().map(|(key, value)| Some((key.get_ref().to_string(), json(value.get_ref())?)));
            members.collect::<Option<serde_json::Map<_, _>>>().map(Value::from)
        }
    }
}
