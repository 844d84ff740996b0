//! A model's description as GGUF metadata: its shape, its tokenizer and its chat template.

use serde_json::Value as Json;

use super::gguf::{Array, Value};
use super::metadata::shape;
use super::special::END_TOKENS;
use super::vocabulary::{CONTROL, NORMAL, UNUSED, USER_DEFINED, recognize};
use super::{Checkpoint, Special, WeightsError};

/// Keys and values, in the order in which they are written.
pub(super) type Metadata = Vec<(String, Value)>;

/// Describes a model that was opened from Hugging Face files.
pub(super) fn describe(source: &Checkpoint, name: &str) -> Result<Metadata, WeightsError> {
    let mut metadata = Metadata::new();
    let mut put = |key: &str, value: Value| metadata.push((key.to_owned(), value));
    put("general.architecture", Value::Text(source.config().architecture.name().to_owned()));
    put("general.type", Value::Text("model".to_owned()));
    put("general.name", Value::Text(name.to_owned()));
    metadata.extend(shape(source.config()));
    tokenizer(&mut metadata, source)?;
    roles(&mut metadata, source.special());
    if let Some(template) = source.chat_template() {
        metadata.push(("tokenizer.chat_template".to_owned(), Value::Text(template.to_owned())));
    }
    Ok(metadata)
}

fn roles(metadata: &mut Metadata, special: &Special) {
    let end = |index: usize| special.eos.get(index).copied();
    let roles = [
        ("bos", special.bos),
        ("eos", end(0)),
        ("eot", end(1)),
        ("eom", end(2)),
        ("unknown", special.unk),
        ("padding", special.pad),
    ];
    for (role, id) in roles {
        metadata.extend(id.map(|id| (format!("tokenizer.ggml.{role}_token_id"), Value::U32(id))));
    }
    if special.eos.len() > 3 {
        // GGUF has three roles for tokens that end an answer; further ones go into a key of our own.
        let ids: Vec<i32> = special.eos.iter().map(|&id| id.cast_signed()).collect();
        metadata.push((END_TOKENS.to_owned(), Value::Array(Array::of_integers(&ids))));
    }
    metadata.push(("tokenizer.ggml.add_bos_token".to_owned(), Value::Bool(special.add_bos)));
}

fn tokenizer(metadata: &mut Metadata, source: &Checkpoint) -> Result<(), WeightsError> {
    let path = source.path();
    let refuse = |problem: String| WeightsError::tokenizer(path, format!("GGUF cannot hold this tokenizer: {problem}"));
    let json = serde_json::to_value(source.tokenizer()).map_err(|error| refuse(error.to_string()))?;
    let split = recognize(&json).map_err(&refuse)?;
    let (tokens, types) = tokens(source, &json).map_err(&refuse)?;
    let merges: Option<Vec<String>> = json["model"]["merges"].as_array().and_then(|merges| merges.iter().map(merge).collect());
    let merges = merges.ok_or_else(|| refuse("its merges are not pairs of tokens without spaces".to_owned()))?;
    let mut put = |key: &str, value: Value| metadata.push((format!("tokenizer.ggml.{key}"), value));
    put("model", Value::Text("gpt2".to_owned()));
    put("pre", Value::Text(split.name.to_owned()));
    put("tokens", Value::Array(Array::of_texts(tokens.iter().map(String::as_str))));
    put("token_type", Value::Array(Array::of_integers(&types)));
    put("merges", Value::Array(Array::of_texts(merges.iter().map(String::as_str))));
    put("add_eos_token", Value::Bool(adds_end(source)));
    Ok(())
}

/// A merge as GGUF spells it; tokenizer.json has had two spellings.
fn merge(merge: &Json) -> Option<String> {
    match merge {
        Json::String(text) if text.matches(' ').count() == 1 => Some(text.clone()),
        Json::Array(pair) => match pair.as_slice() {
            [Json::String(left), Json::String(right)] if !left.contains(' ') && !right.contains(' ') => {
                Some(format!("{left} {right}"))
            }
            _ => None,
        },
        _ => None,
    }
}

fn adds_end(source: &Checkpoint) -> bool {
    let last = source.tokenizer().encode_fast("a", true).ok().and_then(|encoding| encoding.get_ids().last().copied());
    last.is_some_and(|last| source.special().eos.first() == Some(&last))
}

/// Every row's token and its type; rows without a token are filled as llama.cpp's converter does.
fn tokens(source: &Checkpoint, json: &Json) -> Result<(Vec<String>, Vec<i32>), String> {
    let rows = source.config().vocabulary;
    let mut tokens: Vec<String> = (0..rows).map(|row| format!("[PAD{row}]")).collect();
    let mut types = vec![UNUSED as i32; rows];
    for (token, id) in source.tokenizer().get_vocab(true) {
        tokens[id as usize] = token;
        types[id as usize] = NORMAL as i32;
    }
    for added in json["added_tokens"].as_array().into_iter().flatten() {
        let flag = |name: &str| added[name].as_bool().unwrap_or(false);
        if flag("lstrip") || flag("rstrip") || flag("single_word") {
            return Err(format!("added token {} takes white space or word borders into account", added["content"]));
        }
        let id = added["id"].as_u64().and_then(|id| usize::try_from(id).ok()).filter(|&id| id < rows);
        let id = id.ok_or_else(|| format!("added token {} has no row", added["content"]))?;
        types[id] = if flag("special") { CONTROL as i32 } else { USER_DEFINED as i32 };
    }
    Ok((tokens, types))
}
