//! A model's description as GGUF metadata: its shape, its tokenizer and its chat template.

use super::gguf::{Array, Value};
use super::metadata::shape;
use super::special::END_TOKENS;
use super::{Checkpoint, Special, WeightsError, vocabulary};

/// Keys of our own that say what a model is, not how its file was made.
pub(super) const KEPT: [&str; 3] = [END_TOKENS, vocabulary::SPACE_PREFIX, vocabulary::STRIPPING];

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
    metadata.extend(vocabulary::describe(source)?);
    roles(&mut metadata, source.special());
    metadata.extend(source.templates().describe());
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
    let ids: Vec<i32> = special.eos.iter().map(|&id| id.cast_signed()).collect();
    metadata.push((END_TOKENS.to_owned(), Value::Array(Array::of_integers(&ids))));
    metadata.push(("tokenizer.ggml.add_bos_token".to_owned(), Value::Bool(special.add_bos)));
}
