//! The tokens with a role: where a text begins and ends.

use std::path::Path;

use serde_json::Value as Json;
use tokenizers::Tokenizer;

use super::gguf::{Header, Value};
use super::{WeightsError, vocabulary};

/// The key for all end tokens: GGUF has roles for three.
pub(super) const END_TOKENS: &str = "quantgate.end_token_ids";
/// The tokens that end an answer wherever they are in a vocabulary: files of llama.cpp name one or two of a model's end
/// tokens, and llama.cpp finds the others by their text.
const END_TEXTS: [&str; 13] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<｜end▁of▁sentence｜>",
];

/// The special tokens of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Special {
    /// The token that a text begins with.
    pub bos: Option<u32>,
    /// Every token that ends an answer, the tokenizer's own first; each once.
    pub eos: Vec<u32>,
    /// The text of `bos` (chat templates ask for it); empty where there is none.
    pub bos_text: String,
    /// The text of the first of `eos`; empty where there is none.
    pub eos_text: String,
    /// The token for what the vocabulary cannot spell.
    pub unk: Option<u32>,
    /// The token that fills batches.
    pub pad: Option<u32>,
    /// Whether the tokenizer puts `bos` in front when asked for special tokens.
    pub add_bos: bool,
}

impl Special {
    /// Gathers the roles from the files of a Hugging Face folder; absent files are `Json::Null`.
    pub(super) fn from_json(path: &Path, files: [&Json; 3], tokenizer: &Tokenizer) -> Result<Self, WeightsError> {
        let [config, generation, settings] = files;
        let text = |key: &str| {
            let value = settings.get(key)?;
            value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
        };
        let id = |key: &str| text(key).and_then(|text| tokenizer.token_to_id(&text));
        let first = |key: &str| ids(config, key).chain(ids(generation, key)).next();
        let mut eos: Vec<u32> = id("eos_token").into_iter().collect();
        eos.extend(ids(config, "eos_token_id"));
        eos.extend(ids(generation, "eos_token_id"));
        let special = Self {
            bos: id("bos_token").or_else(|| first("bos_token_id")),
            eos,
            unk: id("unk_token"),
            pad: id("pad_token").or_else(|| first("pad_token_id")),
            ..Self::default()
        };
        special.complete(path, tokenizer)
    }

    /// Gathers the roles from GGUF metadata.
    pub(super) fn from_header(path: &Path, header: &Header, tokenizer: &Tokenizer) -> Result<Self, WeightsError> {
        let id = |name: &str| vocabulary::role(header, name);
        let mut eos: Vec<u32> = ["eos", "eot", "eom"].iter().filter_map(|name| id(name)).collect();
        if let Some(Value::Array(array)) = header.get(END_TOKENS) {
            eos.extend(array.integers().into_iter().flatten().filter_map(|id| u32::try_from(id).ok()));
        } else {
            eos.extend(END_TEXTS.iter().filter_map(|text| tokenizer.token_to_id(text)));
        }
        let special = Self { bos: id("bos"), eos, unk: id("unknown"), pad: id("padding"), ..Self::default() };
        special.complete(path, tokenizer)
    }

    /// Fills in what the tokenizer knows and checks that every id is one of its tokens.
    fn complete(mut self, path: &Path, tokenizer: &Tokenizer) -> Result<Self, WeightsError> {
        let mut seen = Vec::new();
        self.eos.retain(|id| {
            !seen.contains(id) && {
                seen.push(*id);
                true
            }
        });
        for id in self.bos.iter().chain(&self.eos) {
            if tokenizer.id_to_token(*id).is_none() {
                return Err(WeightsError::tokenizer(path, format!("special token {id} is not in the vocabulary")));
            }
        }
        let text = |id: Option<u32>| id.and_then(|id| tokenizer.id_to_token(id)).unwrap_or_default();
        self.bos_text = text(self.bos);
        self.eos_text = text(self.eos.first().copied());
        let empty = tokenizer.encode_fast("", true);
        let empty = empty.map_err(|error| WeightsError::tokenizer(path, format!("the tokenizer fails: {error}")))?;
        self.add_bos = self.bos.is_some() && empty.get_ids().first().copied() == self.bos;
        Ok(self)
    }
}

/// The ids under a key that holds one id or a list of them.
fn ids<'a>(json: &'a Json, key: &str) -> impl Iterator<Item = u32> + use<'a> {
    let value = json.get(key);
    let list = value.and_then(Json::as_array).map_or(&[] as &[Json], Vec::as_slice);
    value.into_iter().chain(list).filter_map(Json::as_u64).filter_map(|id| u32::try_from(id).ok())
}
