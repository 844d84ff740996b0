//! What chat templates take from Python: `json.dumps` and `strftime`.

use std::fmt::Write as _;

use minijinja::{Error, ErrorKind};
use serde_json::{Number, Value};

/// The layout of `json.dumps`.
pub(super) struct Json {
    /// Spaces a level; none writes one line.
    pub indent: Option<usize>,
    /// Whether characters beyond ASCII are escaped.
    pub ascii: bool,
    /// Whether keys are sorted.
    pub sorted: bool,
    /// Between items.
    pub item: String,
    /// Between key and value.
    pub key: String,
}

impl Default for Json {
    fn default() -> Self {
        Self { indent: None, ascii: false, sorted: false, item: ", ".into(), key: ": ".into() }
    }
}

impl Json {
    /// The value's text.
    pub(super) fn dump(&self, value: &Value) -> String {
        self.value(value, 0)
    }

    fn value(&self, value: &Value, depth: usize) -> String {
        match value {
            Value::Null => "null".into(),
            Value::Bool(truth) => truth.to_string(),
            Value::Number(value) => number(value),
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| self.value(item, depth + 1)).collect();
                self.list(['[', ']'], &items, depth)
            }
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                if self.sorted {
                    entries.sort_by_key(|entry| entry.0);
                }
                let entry = |(key, value): (&String, &Value)| self.text(key) + &self.key + &self.value(value, depth + 1);
                let items: Vec<String> = entries.into_iter().map(entry).collect();
                self.list(['{', '}'], &items, depth)
            }
        }
    }

    fn list(&self, [open, close]: [char; 2], items: &[String], depth: usize) -> String {
        let line = |depth: usize| match self.indent {
            Some(indent) if !items.is_empty() => format!("\n{}", " ".repeat(indent * depth)),
            _ => String::new(),
        };
        let between = self.item.clone() + &line(depth + 1);
        format!("{open}{}{}{}{close}", line(depth + 1), items.join(&between), line(depth))
    }

    fn text(&self, text: &str) -> String {
        let mut out = String::from('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.ascii && !c.is_ascii()) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}").expect("a String takes everything");
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
        out
    }
}

/// A number as Python's `repr` writes it: the shortest digits, an exponent below 1e-4 and from 1e16 on.
fn number(number: &Number) -> String {
    let Some(value) = number.as_f64().filter(|_| number.is_f64()) else { return number.to_string() };
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{value:?}")
}

/// `strftime` of a fixed day, 26 July 2024, the one that templates without a clock fall back to: a prompt never depends
/// on the day it is asked.
pub(super) fn strftime(format: &str) -> Result<String, Error> {
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let code = match rest.next() {
            Some('-') => rest.next(),
            code => code,
        };
        out.push_str(match code {
            Some('d') => "26",
            Some('m') => "07",
            Some('b') => "Jul",
            Some('B') => "July",
            Some('Y') => "2024",
            Some('y') => "24",
            Some('a') => "Fri",
            Some('A') => "Friday",
            Some('H' | 'M' | 'S') => "00",
            Some('F') => "2024-07-26",
            Some('%') => "%",
            _ => return Err(Error::new(ErrorKind::InvalidOperation, format!("strftime_now doesn't know a code in {format:?}"))),
        });
    }
    Ok(out)
}
