//! Tokenizers: from tokenizer.json, or rebuilt from GGUF metadata so that they cut text in just the same way.

mod bytes;
mod digest;
mod listing;
mod pieces;
mod recognize;
mod split;
mod write;

use std::path::Path;

use tokenizers::Tokenizer;

use self::listing::{Listing, array, text};
use super::gguf::{Array, Header};
use super::{Config, WeightsError};

pub(super) use self::digest::digest;
pub(super) use self::listing::role;
pub(super) use self::pieces::{SPACE_PREFIX, STRIPPING};
pub(super) use self::write::describe;

/// GGUF's token types.
const NORMAL: i64 = 1;
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const UNUSED: i64 = 5;
const BYTE: i64 = 6;

/// Loads a tokenizer.json; truncation and padding that it may ask for are turned off.
pub(super) fn from_file(path: &Path) -> Result<Tokenizer, WeightsError> {
    let bytes = std::fs::read(path).map_err(|source| WeightsError::Read { path: path.to_owned(), source })?;
    parse(path, &bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Tokenizer, WeightsError> {
    let wrong = |error: tokenizers::Error| WeightsError::tokenizer(path, format!("the tokenizer is wrong: {error}"));
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(wrong)?;
    tokenizer.with_truncation(None).map_err(wrong)?;
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

/// Checks that every token has a row in the embedding.
pub(super) fn check_size(path: &Path, tokenizer: &Tokenizer, config: &Config) -> Result<(), WeightsError> {
    let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or_default() as usize;
    if largest < config.vocabulary {
        return Ok(());
    }
    let rows = config.vocabulary;
    let problem = format!("the tokenizer has a token {largest}, but the model only {rows} rows: it is another model's");
    Err(WeightsError::tokenizer(path, problem))
}

/// Checks a tokenizer given from outside against the ordinary tokens that the GGUF file lists.
pub(super) fn check_same(path: &Path, header: &Header, tokenizer: Tokenizer) -> Result<Tokenizer, WeightsError> {
    let Some(tokens) = array(header, "tokens").and_then(Array::texts) else { return Ok(tokenizer) };
    let types = array(header, "token_type").and_then(Array::integers).unwrap_or_default();
    for (id, token) in tokens.iter().enumerate() {
        let ordinary = types.get(id).is_none_or(|kind| *kind == NORMAL);
        let theirs = tokenizer.id_to_token(id as u32);
        if ordinary && theirs.as_deref() != Some(*token) {
            let theirs = theirs.map_or_else(|| "no token".to_owned(), |theirs| format!("{theirs:?}"));
            let problem =
                format!("token {id} is {token:?} in the file, but {theirs} in the given tokenizer: it is another model's");
            return Err(WeightsError::tokenizer(path, problem));
        }
    }
    Ok(tokenizer)
}

/// Rebuilds a tokenizer from GGUF metadata: byte-level BPE or SentencePiece's; any other kind is refused by name.
pub(super) fn from_header(path: &Path, header: &Header) -> Result<Tokenizer, WeightsError> {
    let refuse = |problem: String| WeightsError::tokenizer(path, problem);
    let json = match text(header, "model") {
        Some("gpt2") => bytes::tokenizer(&Listing::read(path, header)?),
        Some("llama") => pieces::tokenizer(&Listing::read(path, header)?),
        Some(other) => Err(refuse(format!("its vocabulary is of the kind `{other}`, which is not rebuilt from GGUF yet"))),
        None => Err(refuse("it has no vocabulary (`tokenizer.ggml.model` is missing)".to_owned())),
    }?;
    parse(path, json.to_string().as_bytes())
}

/// Why GGUF has no words for a tokenizer; none where it has.
#[cfg(test)]
pub(super) fn refusal(tokenizer: &Tokenizer) -> Option<String> {
    recognize::recognize(&serde_json::to_value(tokenizer).expect("a tokenizer is JSON")).err()
}
