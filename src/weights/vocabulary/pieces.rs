//! SentencePiece's BPE from GGUF metadata (`tokenizer.ggml.model` is `llama`): pieces that merge by their scores, and
//! bytes for what no piece spells.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Value as Json, json};

use super::super::WeightsError;
use super::super::gguf::{Array, Value};
use super::UNKNOWN;
use super::listing::Listing;

/// What stands for a space within pieces.
pub(super) const SPACE: &str = "▁";
/// The key for a rule about the first space that GGUF's `add_space_prefix` cannot say.
pub(in crate::weights) const SPACE_PREFIX: &str = "quantgate.space_prefix";
/// The key for tokens that take the white space behind them; llama.cpp knows those of Phi-3 by the model's name.
pub(in crate::weights) const STRIPPING: &str = "quantgate.stripping_token_ids";
/// The longest piece: its ways of coming about are all listed.
const LONGEST: usize = 256;

/// Where a space is put that the text doesn't have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::weights) enum Prefix {
    /// Nowhere (gemma).
    Never,
    /// Before the text, and after every special token in it.
    Always,
    /// Before the text, where it does not begin with a space or a special token.
    First,
    /// As `Always`, but not where a space is.
    Missing,
}

impl Prefix {
    /// The digest's and the file's word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Always => "always",
            Self::First => "first",
            Self::Missing => "missing",
        }
    }

    /// The normalizer and pre-tokenizer that do it, as tokenizer.json has them.
    fn steps(self) -> (Json, Json) {
        let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
        let metaspace =
            |scheme: &str| json!({"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": false});
        match self {
            Self::Never => (replace, Json::Null),
            Self::Always => {
                let both = json!([{"type": "Prepend", "prepend": SPACE}, replace]);
                (json!({"type": "Sequence", "normalizers": both}), Json::Null)
            }
            Self::First => (Json::Null, metaspace("first")),
            Self::Missing => (Json::Null, metaspace("always")),
        }
    }

    /// What a tokenizer.json does; none where GGUF has no words for it.
    pub(super) fn recognize(json: &Json) -> Option<Self> {
        let (normalizer, pre) = (&json["normalizer"], &json["pre_tokenizer"]);
        let steps = normalizer["normalizers"].as_array().map_or_else(|| vec![normalizer], |steps| steps.iter().collect());
        let replaces = |step: &Json| step["type"] == "Replace" && step["pattern"]["String"] == " " && step["content"] == SPACE;
        // No space is left to split at once they are replaced.
        let idle = pre.is_null() || pre["type"] == "Split" && pre["pattern"]["String"] == " ";
        match steps[..] {
            [replace] if replaces(replace) && idle => Some(Self::Never),
            [prepend, replace] if prepend["type"] == "Prepend" && prepend["prepend"] == SPACE && replaces(replace) && idle => {
                Some(Self::Always)
            }
            [none] if none.is_null() && pre["type"] == "Metaspace" && pre["replacement"] == SPACE && pre["split"] == false => {
                match pre["prepend_scheme"].as_str()? {
                    "first" => Some(Self::First),
                    "always" => Some(Self::Missing),
                    "never" => Some(Self::Never),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn of(listing: &Listing<'_>) -> Result<Self, WeightsError> {
        match (listing.header.get(SPACE_PREFIX), listing.header.get("tokenizer.ggml.add_space_prefix")) {
            (None, Some(Value::Bool(false))) => Ok(Self::Never),
            (None, _) => Ok(Self::Always),
            (Some(own), _) => match own.text() {
                Some("first") => Ok(Self::First),
                Some("missing") => Ok(Self::Missing),
                _ => Err(WeightsError::key(listing.path, SPACE_PREFIX, "is neither `first` nor `missing`")),
            },
        }
    }
}

/// The token of a byte that no piece spells.
pub(super) fn byte_token(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

/// The tokenizer as tokenizer.json would have it.
pub(super) fn tokenizer(listing: &Listing<'_>) -> Result<Json, WeightsError> {
    let prefix = Prefix::of(listing)?;
    let vocabulary = listing.vocabulary()?;
    let spelled = |byte: u8| {
        vocabulary.contains_key(&byte_token(byte)) || byte.is_ascii() && vocabulary.contains_key(&char::from(byte).to_string())
    };
    if let Some(byte) = (0..=u8::MAX).find(|byte| !spelled(*byte)) {
        return Err(listing.refuse(format!("its vocabulary has no token for the byte 0x{byte:02X}")));
    }
    let unknown = listing.types.iter().position(|kind| *kind == UNKNOWN).map(|id| listing.tokens[id].as_ref());
    let stripping = stripping(listing);
    let (normalizer, pre_tokenizer) = prefix.steps();
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix != Prefix::Never {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    let model = json!({"type": "BPE", "vocab": vocabulary, "merges": merges(listing)?, "unk_token": unknown,
        "fuse_unk": true, "byte_fallback": true});
    Ok(json!({
        "version": "1.0",
        "added_tokens": listing.added(|id| stripping.contains(&id)),
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": listing.post_processor(true)?,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": model,
    }))
}

/// Every way in which two pieces make a third, the highest score first; of equal ones, the longest left part.
fn merges(listing: &Listing<'_>) -> Result<Vec<Json>, WeightsError> {
    let scores = listing.array("scores", Array::reals)?;
    if scores.len() != listing.tokens.len() {
        return Err(listing.refuse(format!("it lists {} tokens, but {} scores", listing.tokens.len(), scores.len())));
    }
    let ordinary = |id: usize| !listing.is_added(id) && !listing.is_byte(id) && listing.types[id] != super::UNUSED;
    let pieces: HashMap<&str, usize> =
        (0..listing.tokens.len()).filter(|&id| ordinary(id)).map(|id| (listing.tokens[id].as_ref(), id)).collect();
    let mut merges = Vec::new();
    for (piece, &id) in &pieces {
        if piece.len() > LONGEST {
            return Err(listing.refuse(format!("token {id} has {} bytes, which no piece has", piece.len())));
        }
        for (left, right) in splits(piece) {
            if let (Some(&first), Some(&second)) = (pieces.get(left), pieces.get(right)) {
                merges.push((scores[id], left, right, (id, first, second)));
            }
        }
    }
    let length = |text: &str| text.chars().count();
    merges.sort_unstable_by(|a, b| {
        let by_score = b.0.total_cmp(&a.0);
        by_score.then_with(|| length(b.1).cmp(&length(a.1))).then_with(|| length(b.2).cmp(&length(a.2))).then(a.3.cmp(&b.3))
    });
    Ok(merges.into_iter().map(|(_, left, right, _)| json!([left, right])).collect())
}

/// The ways to cut a text in two.
pub(super) fn splits(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.char_indices().skip(1).map(|(at, _)| text.split_at(at))
}

/// The tokens that take the white space behind them: those of our own key, or by llama.cpp's rule for Phi-3.
fn stripping(listing: &Listing<'_>) -> HashSet<usize> {
    if let Some(Value::Array(array)) = listing.header.get(STRIPPING) {
        return array.integers().into_iter().flatten().filter_map(|id| usize::try_from(id).ok()).collect();
    }
    let name = listing.header.get("general.name").and_then(Value::text).unwrap_or_default().to_lowercase();
    if !name.contains("phi-3") && !name.contains("phi3") {
        return HashSet::new();
    }
    let keeps = |token: &Cow<'_, str>| ["<unk>", "<s>", "<|endoftext|>"].contains(&token.as_ref());
    (0..listing.tokens.len()).filter(|&id| listing.is_added(id) && !keeps(&listing.tokens[id])).collect()
}
