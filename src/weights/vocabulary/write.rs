//! A tokenizer as GGUF metadata.

use serde_json::Value as Json;

use super::super::gguf::{Array, Value};
use super::super::{Checkpoint, WeightsError};
use super::pieces::{Prefix, SPACE, SPACE_PREFIX, STRIPPING};
use super::recognize::{Kind, is_byte, parts, recognize};
use super::{BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED};

/// Every row's token with its type, and the added ones that take the white space behind them.
struct Rows {
    tokens: Vec<String>,
    types: Vec<i32>,
    stripping: Vec<i32>,
}

/// Keys and values that say a model's tokenizer.
pub(in crate::weights) fn describe(source: &Checkpoint) -> Result<Vec<(String, Value)>, WeightsError> {
    let refuse = |problem: String| WeightsError::tokenizer(source.path(), format!("GGUF cannot hold this tokenizer: {problem}"));
    let json = serde_json::to_value(source.tokenizer()).map_err(|error| refuse(error.to_string()))?;
    let kind = recognize(&json).map_err(&refuse)?;
    let rows = Rows::of(source, &json).map_err(&refuse)?;
    let mut metadata = Vec::new();
    let mut put = |key: &str, value: Value| metadata.push((format!("tokenizer.ggml.{key}"), value));
    let (model, pre) = match &kind {
        Kind::Bytes(split) => ("gpt2", split.name()),
        Kind::Pieces(..) => ("llama", "default"),
    };
    put("model", Value::Text(model.to_owned()));
    put("pre", Value::Text(pre.to_owned()));
    match kind {
        Kind::Bytes(_) => {
            if !rows.stripping.is_empty() {
                let token = &rows.tokens[rows.stripping[0] as usize];
                return Err(refuse(format!("added token {token:?} takes white space or word borders into account")));
            }
            put("tokens", Value::Array(Array::of_texts(rows.tokens.iter().map(String::as_str))));
            put("token_type", Value::Array(Array::of_integers(&rows.types)));
            let merges: Option<Vec<String>> = json["model"]["merges"].as_array().and_then(|all| all.iter().map(merge).collect());
            let merges = merges.ok_or_else(|| refuse("its merges are not pairs of tokens without spaces".to_owned()))?;
            put("merges", Value::Array(Array::of_texts(merges.iter().map(String::as_str))));
            put("add_eos_token", Value::Bool(adds_end(source)));
        }
        Kind::Pieces(prefix, order) => {
            let (rows, scores) = rows.into_pieces(&json, &order);
            put("tokens", Value::Array(Array::of_texts(rows.tokens.iter().map(String::as_str))));
            put("scores", Value::Array(Array::of_reals(&scores)));
            put("token_type", Value::Array(Array::of_integers(&rows.types)));
            put("add_space_prefix", Value::Bool(prefix != Prefix::Never));
            put("add_eos_token", Value::Bool(adds_end(source)));
            if matches!(prefix, Prefix::First | Prefix::Missing) {
                metadata.push((SPACE_PREFIX.to_owned(), Value::Text(prefix.name().to_owned())));
            }
            metadata.push((STRIPPING.to_owned(), Value::Array(Array::of_integers(&rows.stripping))));
        }
    }
    Ok(metadata)
}

impl Rows {
    /// Every row's token and its type; rows without a token are filled as llama.cpp's converter does.
    fn of(source: &Checkpoint, json: &Json) -> Result<Self, String> {
        let rows = source.config().vocabulary;
        let mut tokens: Vec<String> = (0..rows).map(|row| format!("[PAD{row}]")).collect();
        let mut types = vec![UNUSED as i32; rows];
        let mut stripping = Vec::new();
        for (token, id) in source.tokenizer().get_vocab(true) {
            tokens[id as usize] = token;
            types[id as usize] = NORMAL as i32;
        }
        for added in json["added_tokens"].as_array().into_iter().flatten() {
            let flag = |name: &str| added[name].as_bool().unwrap_or(false);
            if flag("lstrip") || flag("single_word") {
                return Err(format!("added token {} takes white space or word borders into account", added["content"]));
            }
            let id = added["id"].as_u64().and_then(|id| usize::try_from(id).ok()).filter(|&id| id < rows);
            let id = id.ok_or_else(|| format!("added token {} has no row", added["content"]))?;
            types[id] = if flag("special") { CONTROL as i32 } else { USER_DEFINED as i32 };
            if flag("rstrip") {
                // Below the number of rows, which is below 2^31.
                stripping.push((id as u32).cast_signed());
            }
        }
        Ok(Self { tokens, types, stripping })
    }

    /// The rows of a vocabulary of pieces, as llama.cpp's converter has them, and a score for each: by the order in which
    /// pieces merge, then those that nothing merges into.
    fn into_pieces(mut self, json: &Json, order: &[u32]) -> (Self, Vec<f32>) {
        let unknown = json["model"]["unk_token"].as_str();
        let mut scores: Vec<f32> = (0..self.tokens.len()).map(|id| -((order.len() + id) as f32)).collect();
        for (rank, &id) in order.iter().enumerate() {
            scores[id as usize] = -(rank as f32);
        }
        for (id, kind) in self.types.iter_mut().enumerate() {
            if i64::from(*kind) == USER_DEFINED {
                // Such tokens are looked for in the text as it is, where spaces are spaces.
                self.tokens[id] = self.tokens[id].replace(SPACE, " ");
            } else if Some(self.tokens[id].as_str()) == unknown {
                *kind = UNKNOWN as i32;
            } else if i64::from(*kind) == NORMAL && is_byte(&self.tokens[id]) {
                *kind = BYTE as i32;
            }
            if i64::from(*kind) != NORMAL {
                scores[id] = if i64::from(*kind) == BYTE { 0.0 } else { -1000.0 };
            }
        }
        (self, scores)
    }
}

/// A merge as GGUF spells it.
fn merge(merge: &Json) -> Option<String> {
    let (left, right) = parts(merge)?;
    (!left.contains(' ') && !right.contains(' ')).then(|| format!("{left} {right}"))
}

fn adds_end(source: &Checkpoint) -> bool {
    let last = source.tokenizer().encode_fast("a", true).ok().and_then(|encoding| encoding.get_ids().last().copied());
    last.is_some_and(|last| source.special().eos.first() == Some(&last))
}
