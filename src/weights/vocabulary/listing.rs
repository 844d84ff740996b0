//! What GGUF metadata lists of a vocabulary, whatever its kind: tokens, their types, and what stands around a text.

use std::borrow::Cow;
use std::path::Path;

use serde_json::{Map, Value as Json, json};

use super::super::WeightsError;
use super::super::gguf::{Array, Header, Value};
use super::{BYTE, CONTROL, UNKNOWN, UNUSED, USER_DEFINED};

/// The tokens of a file with their types; as many of the one as of the other.
pub(super) struct Listing<'a> {
    pub(super) path: &'a Path,
    pub(super) header: &'a Header,
    pub(super) tokens: Vec<Cow<'a, str>>,
    pub(super) types: Vec<i64>,
}

/// An array of the tokenizer's metadata.
pub(super) fn array<'a>(header: &'a Header, name: &str) -> Option<&'a Array> {
    match header.get(&format!("tokenizer.ggml.{name}")) {
        Some(Value::Array(array)) => Some(array),
        _ => None,
    }
}

/// A text of the tokenizer's metadata.
pub(super) fn text<'a>(header: &'a Header, name: &str) -> Option<&'a str> {
    header.get(&format!("tokenizer.ggml.{name}")).and_then(Value::text)
}

/// The token with a role, `bos`, `eos`, `unknown` and so on: what the file says, or else what llama.cpp takes for a
/// vocabulary of pieces.
pub(in crate::weights) fn role(header: &Header, name: &str) -> Option<u32> {
    let key = format!("tokenizer.ggml.{name}_token_id");
    if let Some(value) = header.get(&key) {
        return value.integer().and_then(|id| u32::try_from(id).ok());
    }
    match (text(header, "model"), name) {
        (Some("llama"), "unknown") => Some(0),
        (Some("llama"), "bos") => Some(1),
        (Some("llama"), "eos") => Some(2),
        _ => None,
    }
}

impl<'a> Listing<'a> {
    /// Reads tokens and types.
    pub(super) fn read(path: &'a Path, header: &'a Header) -> Result<Self, WeightsError> {
        let missing = |name| missing(path, name);
        let texts = array(header, "tokens").and_then(Array::texts).ok_or_else(|| missing("tokens"))?;
        let types = array(header, "token_type").and_then(Array::integers).ok_or_else(|| missing("token_type"))?;
        if types.len() != texts.len() {
            let problem = format!("it lists {} tokens, but {} token types", texts.len(), types.len());
            return Err(WeightsError::tokenizer(path, problem));
        }
        // An empty token can't be found in any text; llama.cpp names it so.
        let name = |(id, text): (usize, &'a str)| match text {
            "" => Cow::Owned(format!("[EMPTY_{id}]")),
            text => Cow::Borrowed(text),
        };
        let tokens = texts.into_iter().enumerate().map(name).collect();
        Ok(Self { path, header, tokens, types })
    }

    /// An array that has to be there.
    pub(super) fn array<T>(&self, name: &str, read: impl FnOnce(&'a Array) -> Option<T>) -> Result<T, WeightsError> {
        array(self.header, name).and_then(read).ok_or_else(|| missing(self.path, name))
    }

    pub(super) fn refuse(&self, problem: impl Into<String>) -> WeightsError {
        WeightsError::tokenizer(self.path, problem)
    }

    /// Every token that can be read or written, with its number.
    pub(super) fn vocabulary(&self) -> Result<Map<String, Json>, WeightsError> {
        let mut vocabulary = Map::new();
        for (id, (token, kind)) in self.tokens.iter().zip(&self.types).enumerate() {
            if *kind != UNUSED && vocabulary.insert(token.clone().into_owned(), id.into()).is_some() {
                return Err(self.refuse(format!("token {id} ({token:?}) occurs twice")));
            }
        }
        Ok(vocabulary)
    }

    /// Whether a token is found in a text before anything else is done with it.
    pub(super) fn is_added(&self, id: usize) -> bool {
        [CONTROL, USER_DEFINED, UNKNOWN].contains(&self.types[id])
    }

    /// Whether a token stands for one byte.
    pub(super) fn is_byte(&self, id: usize) -> bool {
        self.types[id] == BYTE
    }

    /// The tokens that are found before anything else; `strips` says which take the white space behind them.
    pub(super) fn added(&self, strips: impl Fn(usize) -> bool) -> Vec<Json> {
        let token = |id: usize| {
            let (content, special) = (&self.tokens[id], self.types[id] != USER_DEFINED);
            json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": strips(id),
                "normalized": false, "special": special})
        };
        (0..self.tokens.len()).filter(|&id| self.is_added(id)).map(token).collect()
    }

    /// Puts BOS before and EOS after a text as the metadata says; null where neither.
    pub(super) fn post_processor(&self, add_bos: bool) -> Result<Json, WeightsError> {
        let flag = |name: &str, default| match self.header.get(&format!("tokenizer.ggml.add_{name}_token")) {
            Some(Value::Bool(flag)) => *flag,
            _ => default,
        };
        let token = |name: &str| {
            let id = role(self.header, name).and_then(|id| usize::try_from(id).ok());
            let found = id.and_then(|id| Some((id, self.tokens.get(id)?.as_ref())));
            let key = || format!("tokenizer.ggml.{name}_token_id");
            found.ok_or_else(|| WeightsError::key(self.path, key(), "is missing or not a token, but texts should have it"))
        };
        let mut single = vec![json!({"Sequence": {"id": "A", "type_id": 0}})];
        let mut special = Map::new();
        let mut use_token = |id: usize, text: &str| {
            special.insert(text.to_owned(), json!({"id": text, "ids": [id], "tokens": [text]}));
            json!({"SpecialToken": {"id": text, "type_id": 0}})
        };
        if flag("bos", add_bos) {
            let (id, text) = token("bos")?;
            single.insert(0, use_token(id, text));
        }
        if flag("eos", false) {
            let (id, text) = token("eos")?;
            single.push(use_token(id, text));
        }
        if special.is_empty() {
            return Ok(Json::Null);
        }
        let mut pair = single.clone();
        pair.push(json!({"Sequence": {"id": "B", "type_id": 1}}));
        Ok(json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}))
    }
}

fn missing(path: &Path, name: &str) -> WeightsError {
    WeightsError::tokenizer(path, format!("`tokenizer.ggml.{name}` is missing or of the wrong kind"))
}
