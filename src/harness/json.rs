//! JSON as bytes: values are found and skipped without being built, and Python's `NaN` and `Infinity` are read.
//!
//! What nobody asks for is skipped by its brackets and quotes alone, so a fault inside of it can go unseen; a value that is
//! cut off cannot.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

/// Values nested deeper than this are not built: a file must not be able to exhaust the stack.
const DEEPEST: usize = 128;

/// Where the text stops being JSON, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Bytes before the fault.
    pub(super) at: usize,
    /// What is wrong there.
    pub(super) what: &'static str,
}

/// Finds the end of one value, chunk by chunk.
#[derive(Debug, Default)]
pub(super) struct Skim {
    depth: usize,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    /// A number, `true`, `null`, `NaN`.
    Bare,
    /// Between the values of an object or array.
    Nested,
    Text,
    Escape,
}

impl Skim {
    /// Takes the next bytes: the number of those that belong to the value if it ends here, or `None` if all of them do and
    /// it goes on. A bare value ends before the byte that cannot be part of it.
    ///
    /// # Errors
    /// The offset of a byte that cannot begin a value.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Option<usize>, usize> {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::Text => match bytes[at..].iter().position(|b| matches!(b, b'"' | b'\\')) {
                    None => return Ok(None),
                    Some(n) => {
                        at += n + 1;
                        if bytes[at - 1] == b'\\' {
                            self.state = State::Escape;
                        } else if self.depth == 0 {
                            return Ok(Some(at));
                        } else {
                            self.state = State::Nested;
                        }
                        continue;
                    }
                },
                State::Escape => self.state = State::Text,
                State::Nested => match bytes[at] {
                    b'"' => self.state = State::Text,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => {
                        self.depth -= 1;
                        if self.depth == 0 {
                            return Ok(Some(at + 1));
                        }
                    }
                    _ => {}
                },
                State::Bare => {
                    if !is_bare(bytes[at]) {
                        return Ok(Some(at));
                    }
                }
                State::Before => match bytes[at] {
                    b'"' => self.state = State::Text,
                    b'{' | b'[' => {
                        self.depth = 1;
                        self.state = State::Nested;
                    }
                    byte if is_bare(byte) => self.state = State::Bare,
                    _ => return Err(at),
                },
            }
            at += 1;
        }
        Ok(None)
    }

    /// Whether the value may end where the text does.
    pub(super) fn may_end(&self) -> bool {
        self.state == State::Bare
    }
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

/// What is between two brackets, piece by piece.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    text: &'a [u8],
    at: usize,
    /// `b'}'` or `b']'`.
    close: u8,
    begun: bool,
    over: bool,
}

/// One member of an object: its key and the bytes of its value.
pub(super) type Field<'a> = (Cow<'a, str>, &'a [u8]);

impl<'a> Pieces<'a> {
    fn open(text: &'a [u8], brackets: [u8; 2]) -> Option<Self> {
        let at = blank(text, 0);
        (text.get(at) == Some(&brackets[0])).then_some(Self { text, at: at + 1, close: brackets[1], begun: false, over: false })
    }

    /// Steps to the next piece; false at the closing bracket, behind which nothing may follow.
    fn step(&mut self) -> Result<bool, Fault> {
        self.at = blank(self.text, self.at);
        let next = self.text.get(self.at).copied();
        let first = !std::mem::replace(&mut self.begun, true);
        match next {
            None => Err(self.fault("the text ends too early")),
            Some(byte) if byte == self.close => {
                self.at = blank(self.text, self.at + 1);
                self.over = true;
                if self.at == self.text.len() { Ok(false) } else { Err(self.fault("something follows the end")) }
            }
            Some(b',') if !first => {
                self.at = blank(self.text, self.at + 1);
                Ok(true)
            }
            Some(_) if first => Ok(true),
            Some(_) => Err(self.fault("a comma is missing")),
        }
    }

    fn value(&mut self) -> Result<&'a [u8], Fault> {
        self.at = blank(self.text, self.at);
        let rest = &self.text[self.at..];
        let mut skim = Skim::default();
        let end = match skim.feed(rest) {
            Ok(Some(end)) => end,
            Ok(None) if skim.may_end() => rest.len(),
            Ok(None) => {
                self.at = self.text.len();
                return Err(self.fault("the text ends too early"));
            }
            Err(_) => return Err(self.fault("no value where one must be")),
        };
        self.at += end;
        Ok(&rest[..end])
    }

    fn field(&mut self) -> Result<Option<Field<'a>>, Fault> {
        if !self.step()? {
            return Ok(None);
        }
        if self.text.get(self.at) != Some(&b'"') {
            return Err(self.fault("no key where one must be"));
        }
        let before = self.at;
        let key = text_of(self.value()?).ok_or(Fault { at: before, what: "the key is not UTF-8 text" })?;
        self.at = blank(self.text, self.at);
        if self.text.get(self.at) != Some(&b':') {
            return Err(self.fault("a colon is missing"));
        }
        self.at += 1;
        Ok(Some((key, self.value()?)))
    }

    fn fault(&mut self, what: &'static str) -> Fault {
        self.over = true;
        Fault { at: self.at, what }
    }
}

/// The members of an object, in its order.
pub(super) struct Fields<'a>(Pieces<'a>);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.over {
            return None;
        }
        let field = self.0.field();
        self.0.over |= field.is_err();
        field.transpose()
    }
}

/// The values of an array, in its order.
pub(super) struct Items<'a>(Pieces<'a>);

impl<'a> Iterator for Items<'a> {
    type Item = Result<&'a [u8], Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.over {
            return None;
        }
        let item = self.0.step().and_then(|more| if more { self.0.value().map(Some) } else { Ok(None) });
        self.0.over |= item.is_err();
        item.transpose()
    }
}

/// The members of an object; none where the text is something else.
pub(super) fn fields(text: &[u8]) -> Option<Fields<'_>> {
    Pieces::open(text, *b"{}").map(Fields)
}

/// The values of an array; none where the text is something else.
pub(super) fn items(text: &[u8]) -> Option<Items<'_>> {
    Pieces::open(text, *b"[]").map(Items)
}

/// The value of a member; none where there is none, or where the text is no whole object.
pub(super) fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(object)?.map_while(Result::ok).find(|(key, _)| key == name).map(|(_, value)| value)
}

/// The value at the end of a path of members.
pub(super) fn at<'a>(object: &'a [u8], path: &[&str]) -> Option<&'a [u8]> {
    path.iter().try_fold(object, |value, name| member(value, name))
}

/// A string's text; none for any other value.
pub(super) fn text_of(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') || inner.iter().any(u8::is_ascii_control) {
        return serde_json::from_slice::<String>(raw).ok().map(Cow::Owned);
    }
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

/// A string's text, or a number or a word as it is written; none for objects, arrays and null.
pub(super) fn word_of(raw: &[u8]) -> Option<Cow<'_, str>> {
    match raw.first()? {
        b'"' => text_of(raw),
        b'{' | b'[' => None,
        _ if raw == b"null" => None,
        _ => std::str::from_utf8(raw).ok().map(Cow::Borrowed),
    }
}

/// A string's text, and any other value as it is written.
pub(super) fn shown(raw: &[u8]) -> String {
    text_of(raw).map_or_else(|| String::from_utf8_lossy(raw).into_owned(), Cow::into_owned)
}

/// A number, `true` (1) or `false` (0); NaN for `NaN`; none for any other value.
pub(super) fn number_of(raw: &[u8]) -> Option<f64> {
    match raw {
        b"true" => Some(1.0),
        b"false" => Some(0.0),
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => serde_json::from_slice(raw).ok(),
    }
}

/// The whole value, with null for what JSON has no number for. None where it is no value, or one that is nested too deep.
pub(super) fn value_of(raw: &[u8]) -> Option<Value> {
    value_within(raw, DEEPEST)
}

fn value_within(raw: &[u8], depth: usize) -> Option<Value> {
    serde_json::from_slice(raw).ok().or_else(|| lenient(raw, depth.checked_sub(1)?))
}

fn lenient(raw: &[u8], depth: usize) -> Option<Value> {
    if let Some(members) = fields(raw) {
        return members
            .map(|m| m.ok().and_then(|(key, value)| Some((key.into_owned(), value_within(value, depth)?))))
            .collect::<Option<_>>()
            .map(Value::Object);
    }
    if let Some(values) = items(raw) {
        return values.map(|v| v.ok().and_then(|value| value_within(value, depth))).collect::<Option<_>>().map(Value::Array);
    }
    number_of(raw).map(|_| Value::Null)
}

/// The value's text with its keys in order.
pub(super) fn sorted(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let ordered: BTreeMap<&String, String> = members.iter().map(|(key, value)| (key, sorted(value))).collect();
            let text: Vec<String> =
                ordered.into_iter().map(|(key, value)| format!("{}:{value}", Value::from(key.as_str()))).collect();
            format!("{{{}}}", text.join(","))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(sorted).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// The offset of the next byte that is not white space.
fn blank(text: &[u8], from: usize) -> usize {
    from + text.get(from..).map_or(0, |rest| rest.iter().take_while(|b| matches!(b, b' ' | b'\n' | b'\r' | b'\t')).count())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(text: &str) -> Result<Vec<(String, String)>, Fault> {
        let of = |field: Result<Field<'_>, Fault>| field.map(|(k, v)| (k.into_owned(), String::from_utf8_lossy(v).into_owned()));
        fields(text.as_bytes()).expect("an object").map(of).collect()
    }

    #[test]
    fn members_come_with_the_bytes_of_their_values() {
        let found = keys(r#" { "a" : 1 , "b\n":"}\"{", "c":[{"d":"]"}], "e":NaN} "#).expect("it is an object");
        let pairs: Vec<_> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("a", "1"), ("b\n", "\"}\\\"{\""), ("c", "[{\"d\":\"]\"}]"), ("e", "NaN")]);
        assert_eq!(keys("{}"), Ok(Vec::new()));
    }

    #[test]
    fn a_text_that_is_cut_off_anywhere_is_a_fault() {
        let whole = r#"{"a":1,"b":"x\"y","c":[{"d":null}],"e":-2.5e3}"#;
        for end in 1..whole.len() {
            assert!(keys(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
    }

    #[test]
    fn two_texts_glued_together_are_a_fault() {
        assert!(keys(r#"{"a":1}{"b":2}"#).is_err());
        assert!(keys(r#"{"a":1,,"b":2}"#).is_err());
        assert!(keys(r#"{"a":1 "b":2}"#).is_err());
    }

    #[test]
    fn numbers_are_read_to_the_last_digit_and_pythons_words_too() {
        assert_eq!(number_of(b"0.30000000000000004"), Some(0.1 + 0.2));
        assert_eq!([number_of(b"true"), number_of(b"0"), number_of(b"\"1\"")], [Some(1.0), Some(0.0), None]);
        assert!(number_of(b"NaN").is_some_and(f64::is_nan));
        assert_eq!(value_of(b"{\"a\":[NaN,1]}"), Some(serde_json::json!({"a": [null, 1]})));
    }

    #[test]
    fn a_value_nested_too_deep_is_none_and_no_overflow() {
        let nested = |depth: usize| format!("{}NaN{}", "[".repeat(depth), "]".repeat(depth));
        assert!(value_of(nested(100).as_bytes()).is_some());
        assert_eq!(value_of(nested(100_000).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = fields(&bytes).map(Iterator::count);
            let _ = items(&bytes).map(Iterator::count);
            let _ = (value_of(&bytes), text_of(&bytes), word_of(&bytes), number_of(&bytes));
        }

        #[test]
        fn chunks_of_any_size_end_a_value_at_the_same_byte(text in r#"[a-z"\\{}\[\],: 0-9]{0,60}"#, cut in 0..60_usize) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            let whole = Skim::default().feed(bytes);
            let mut skim = Skim::default();
            let parts = match skim.feed(&bytes[..cut]) {
                Ok(None) => skim.feed(&bytes[cut..]).map(|end| end.map(|n| n + cut)).map_err(|n| n + cut),
                ended => ended,
            };
            prop_assert_eq!(whole, parts);
        }
    }
}
