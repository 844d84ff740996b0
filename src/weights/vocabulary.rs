//! Tokenizers: from tokenizer.json, or rebuilt from GGUF metadata so that they cut text in just the same way.

use std::path::Path;

use serde_json::{Value as Json, json};
use tokenizers::Tokenizer;

use super::gguf::{Array, Header, Value};
use super::{Config, WeightsError};
use crate::domain::Digest;

/// How a byte-level vocabulary's text is split before merging.
pub(super) struct Split {
    /// llama.cpp's name for it.
    pub(super) name: &'static str,
    /// The pattern, as tokenizer.json files have it; the byte-level step's own where `name` is `gpt-2`.
    pub(super) pattern: &'static str,
    /// Whether a piece that is a token as a whole is taken without merging.
    pub(super) ignore_merges: bool,
    /// Whether texts begin with BOS where the file doesn't say.
    add_bos: bool,
}

/// The ways of splitting that are known.
pub(super) const SPLITS: [Split; 3] = [
    Split {
        name: "qwen2",
        pattern: r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ignore_merges: false,
        add_bos: false,
    },
    Split {
        name: "llama-bpe",
        pattern: r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ignore_merges: true,
        add_bos: true,
    },
    Split {
        name: "gpt-2",
        pattern: r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        ignore_merges: false,
        add_bos: false,
    },
];

/// GGUF's token types.
pub(super) const NORMAL: i64 = 1;
pub(super) const UNKNOWN: i64 = 2;
pub(super) const CONTROL: i64 = 3;
pub(super) const USER_DEFINED: i64 = 4;
pub(super) const UNUSED: i64 = 5;

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

fn array<'a>(header: &'a Header, name: &str) -> Option<&'a Array> {
    match header.get(&format!("tokenizer.ggml.{name}")) {
        Some(Value::Array(array)) => Some(array),
        _ => None,
    }
}

/// Rebuilds a byte-level BPE tokenizer from GGUF metadata; any other kind is refused by name.
pub(super) fn from_header(path: &Path, header: &Header) -> Result<Tokenizer, WeightsError> {
    let text = |name: &str| header.get(&format!("tokenizer.ggml.{name}")).and_then(Value::text);
    let refuse = |problem: String| WeightsError::tokenizer(path, problem);
    match text("model") {
        Some("gpt2") => {}
        Some(other) => {
            return Err(refuse(format!("its vocabulary is of the kind `{other}`, which is not rebuilt from GGUF yet")));
        }
        None => return Err(refuse("it has no vocabulary (`tokenizer.ggml.model` is missing)".to_owned())),
    }
    let pre = text("pre").unwrap_or("default");
    let split = SPLITS.iter().find(|split| split.name == pre);
    let split = split.ok_or_else(|| refuse(format!("its pre-tokenizer `{pre}` is not known")))?;
    let missing = |name: &str| refuse(format!("`tokenizer.ggml.{name}` is missing or of the wrong kind"));
    let tokens = array(header, "tokens").and_then(Array::texts).ok_or_else(|| missing("tokens"))?;
    let merges = array(header, "merges").and_then(Array::texts).ok_or_else(|| missing("merges"))?;
    let types = array(header, "token_type").and_then(Array::integers).ok_or_else(|| missing("token_type"))?;
    if types.len() != tokens.len() {
        return Err(refuse(format!("it lists {} tokens, but {} token types", tokens.len(), types.len())));
    }
    let mut vocabulary = serde_json::Map::new();
    let mut added = Vec::new();
    for (id, (token, kind)) in tokens.iter().zip(&types).enumerate() {
        if *kind == UNUSED {
            continue;
        }
        if vocabulary.insert((*token).to_owned(), id.into()).is_some() {
            return Err(refuse(format!("token {id} ({token:?}) occurs twice")));
        }
        if [CONTROL, USER_DEFINED, UNKNOWN].contains(kind) {
            added.push(added_token(id, token, *kind != USER_DEFINED));
        }
    }
    let pairs: Option<Vec<Json>> = merges.iter().map(|merge| merge.split_once(' ').map(|(a, b)| json!([a, b]))).collect();
    let pairs = pairs.ok_or_else(|| refuse("a merge is not two tokens with a space between".to_owned()))?;
    let file = json!({
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": pre_tokenizer(split),
        "post_processor": post_processor(path, header, (split, &tokens))?,
        "decoder": byte_level(false),
        "model": {"type": "BPE", "vocab": vocabulary, "merges": pairs, "ignore_merges": split.ignore_merges},
    });
    parse(path, file.to_string().as_bytes())
}

fn added_token(id: usize, token: &str, special: bool) -> Json {
    json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": special})
}

fn byte_level(use_regex: bool) -> Json {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex})
}

fn pre_tokenizer(split: &Split) -> Json {
    let pieces = json!({"type": "Split", "pattern": {"Regex": split.pattern}, "behavior": "Isolated", "invert": false});
    json!({"type": "Sequence", "pretokenizers": [pieces, byte_level(false)]})
}

/// Puts BOS before and EOS after a text as the metadata says; null where neither.
fn post_processor(path: &Path, header: &Header, (split, tokens): (&Split, &[&str])) -> Result<Json, WeightsError> {
    let flag = |name: &str, default| match header.get(&format!("tokenizer.ggml.add_{name}_token")) {
        Some(Value::Bool(flag)) => *flag,
        _ => default,
    };
    let token = |name: &str| {
        let key = format!("tokenizer.ggml.{name}_token_id");
        let id = header.get(&key).and_then(Value::integer).and_then(|id| usize::try_from(id).ok());
        let found = id.and_then(|id| Some((id, *tokens.get(id)?)));
        found.ok_or_else(|| WeightsError::key(path, key, "is missing or not a token, but texts should have it"))
    };
    let mut single = vec![json!({"Sequence": {"id": "A", "type_id": 0}})];
    let mut special = serde_json::Map::new();
    let mut use_token = |id: usize, text: &str| {
        special.insert(text.to_owned(), json!({"id": text, "ids": [id], "tokens": [text]}));
        json!({"SpecialToken": {"id": text, "type_id": 0}})
    };
    if flag("bos", split.add_bos) {
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

/// Recognizes a tokenizer.json that GGUF has words for: byte-level BPE with a known way of splitting; else says what is in
/// the way.
pub(super) fn recognize(json: &Json) -> Result<&'static Split, String> {
    let model = &json["model"];
    if model["type"] != "BPE" || model["byte_fallback"] == true || !model["dropout"].is_null() {
        return Err(format!("its model is not byte-level BPE but {}", model["type"]));
    }
    if !json["normalizer"].is_null() {
        return Err(format!("it normalizes text ({})", json["normalizer"]["type"]));
    }
    let pre = &json["pre_tokenizer"];
    let Some(split) = SPLITS.iter().find(|split| Some(split.pattern) == pattern_of(pre)) else {
        let known = SPLITS.map(|split| split.name).join(", ");
        return Err(format!("its way of splitting text is not one of {known}: {pre}"));
    };
    if model["ignore_merges"].as_bool().unwrap_or(false) != split.ignore_merges {
        return Err(format!("`{}` vocabularies have ignore_merges = {}", split.name, split.ignore_merges));
    }
    Ok(split)
}

/// The pattern that a byte-level pre-tokenizer splits by.
fn pattern_of(pre: &Json) -> Option<&str> {
    let steps = pre["pretokenizers"].as_array().map_or_else(|| vec![pre], |steps| steps.iter().collect());
    let bytes =
        |step: &Json, regex: bool| step["type"] == "ByteLevel" && step["add_prefix_space"] == false && step["use_regex"] == regex;
    match steps.as_slice() {
        [step] if bytes(step, true) => SPLITS.iter().find(|split| split.name == "gpt-2").map(|split| split.pattern),
        [split, step] if bytes(step, false) && split["type"] == "Split" && split["behavior"] == "Isolated" => {
            split["pattern"]["Regex"].as_str().filter(|_| split["invert"] != true)
        }
        _ => None,
    }
}

/// A text whose encoding shows how a tokenizer splits, normalizes and begins: cases, contractions, digits, accents, white
/// space of all kinds, scripts without spaces, joined emoji, characters that a vocabulary may lack.
const PROBE: &str = "Hello world, it's 12345.678 o'clock; DON'T  stop\n\n\tnow \r\n  é ﬁ e\u{301} naïve Straße \u{a0}中文字 дом \
                     👩\u{200d}🚀 x²≥½ {\"key\": [1, -2]} __init__(self): \u{0}~^ ʼn Ω   ";

/// A digest of the tokens, their merges and how text is cut; equal for tokenizer.json and what is rebuilt from GGUF.
pub(super) fn digest(path: &Path, tokenizer: &Tokenizer) -> Result<Digest, WeightsError> {
    let fail = |error: String| WeightsError::tokenizer(path, format!("the tokenizer fails: {error}"));
    let mut tokens: Vec<(u32, String)> = tokenizer.get_vocab(true).into_iter().map(|(token, id)| (id, token)).collect();
    tokens.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for (id, token) in tokens {
        hasher.update(&id.to_le_bytes());
        hasher.update(&(token.len() as u64).to_le_bytes());
        hasher.update(token.as_bytes());
    }
    let mut added: Vec<u32> = tokenizer.get_added_tokens_decoder().into_keys().collect();
    added.sort_unstable();
    let probe = tokenizer.encode_fast(PROBE, true).map_err(|error| fail(error.to_string()))?;
    for id in added.iter().chain(probe.get_ids()) {
        hasher.update(&id.to_le_bytes());
    }
    let json = serde_json::to_value(tokenizer).map_err(|error| fail(error.to_string()))?;
    hasher.update(json["model"]["merges"].to_string().as_bytes());
    // The probe cannot meet every case, so the rule is part of the digest too, by name where it has one.
    let rule = match recognize(&json) {
        Ok(split) => split.name.to_owned(),
        Err(_) => format!("{} {} {}", json["normalizer"], json["pre_tokenizer"], json["model"]["ignore_merges"]),
    };
    hasher.update(rule.as_bytes());
    Ok(Digest::new(format!("blake3:{}", hasher.finalize().to_hex())))
}
