//! What a tokenizer is known by: its tokens, and how it cuts text into them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use tokenizers::Tokenizer;

use super::super::WeightsError;
use super::pieces::{Prefix, SPACE, byte_token};
use super::recognize::{Kind, is_run, recognize};
use crate::domain::Digest;

/// A text whose encoding shows how a tokenizer splits, normalizes and begins: cases, contractions, digits, accents, white
/// space of all kinds, scripts without spaces, joined emoji, characters that a vocabulary may lack.
const PROBE: &str = "Hello world, it's 12345.678 o'clock; DON'T  stop\n\n\tnow \r\n  é ﬁ e\u{301} naïve Straße \u{a0}中文字 дом \
                     👩\u{200d}🚀 x²≥½ {\"key\": [1, -2]} __init__(self): \u{0}~^ ʼn Ω   ";

/// A digest of the tokens, their merges and how text is cut; equal for tokenizer.json and what is rebuilt from GGUF.
pub(in crate::weights) fn digest(path: &Path, tokenizer: &Tokenizer) -> Result<Digest, WeightsError> {
    let fail = |error: String| WeightsError::tokenizer(path, format!("the tokenizer fails: {error}"));
    let encode = |text: &str| tokenizer.encode_fast(text, true).map_err(|error| fail(error.to_string()));
    let json = serde_json::to_value(tokenizer).map_err(|error| fail(error.to_string()))?;
    let kind = recognize(&json);
    let pieces = matches!(kind, Ok(Kind::Pieces(..)));
    let vocabulary = tokenizer.get_vocab(true);
    let mut tokens: Vec<(u32, Cow<'_, str>)> =
        vocabulary.iter().map(|(token, id)| (*id, if pieces { canonical(token, &vocabulary) } else { token.into() })).collect();
    tokens.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for (id, token) in tokens {
        hasher.update(&id.to_le_bytes());
        hasher.update(&(token.len() as u64).to_le_bytes());
        hasher.update(token.as_bytes());
    }
    let mut added: Vec<u32> = tokenizer.get_added_tokens_decoder().into_keys().collect();
    added.sort_unstable();
    for id in added.iter().chain(encode(PROBE)?.get_ids()) {
        hasher.update(&id.to_le_bytes());
    }
    // The probe cannot meet every case, so the rule is part of the digest too, by name where it has one.
    match kind {
        Ok(Kind::Bytes(split)) => {
            hasher.update(json["model"]["merges"].to_string().as_bytes());
            hasher.update(split.name().as_bytes());
        }
        Ok(Kind::Pieces(prefix, order)) => {
            let runs = encode(&runs())?;
            merging(&mut hasher, tokenizer, (prefix, &order), runs.get_ids());
        }
        Err(_) => {
            hasher.update(json["model"]["merges"].to_string().as_bytes());
            let rule = format!("{} {} {}", json["normalizer"], json["pre_tokenizer"], json["model"]["ignore_merges"]);
            hasher.update(rule.as_bytes());
        }
    }
    Ok(Digest::new(format!("blake3:{}", hasher.finalize().to_hex())))
}

/// A piece as a GGUF file and a tokenizer.json both could spell it: spaces in pieces of the user's own, and the tab that
/// stands in the place of its byte in gemma's vocabulary.
fn canonical<'a>(token: &'a str, vocabulary: &HashMap<String, u32>) -> Cow<'a, str> {
    if let [byte] = token.as_bytes() {
        let spelled = byte_token(*byte);
        if !vocabulary.contains_key(&spelled) {
            return spelled.into();
        }
    }
    if token.contains(' ') { token.replace(' ', SPACE).into() } else { token.into() }
}

/// How pieces merge. Which way of making a piece comes first has no bearing but where parts overlap, so only the order of
/// the pieces counts; that of runs shows in how runs are cut.
fn merging(hasher: &mut blake3::Hasher, tokenizer: &Tokenizer, (prefix, order): (Prefix, &[u32]), runs: &[u32]) {
    let run = |id: &u32| tokenizer.id_to_token(*id).is_some_and(|piece| is_run(&piece));
    let (mut alike, ordered): (Vec<u32>, Vec<u32>) = order.iter().partition(|id| run(id));
    alike.sort_unstable();
    for id in ordered.iter().chain(&alike).chain(runs) {
        hasher.update(&id.to_le_bytes());
    }
    let mut stripping: Vec<String> = tokenizer
        .get_added_tokens_decoder()
        .into_iter()
        .filter(|(_, token)| token.rstrip || token.lstrip || token.single_word)
        .map(|(id, token)| format!("{id} {} {} {}", token.lstrip, token.rstrip, token.single_word))
        .collect();
    stripping.sort_unstable();
    hasher.update(format!("pieces, space {}, {}", prefix.name(), stripping.join(", ")).as_bytes());
}

/// Runs of 2 to 20 spaces, line ends, tabs and signs, between letters.
fn runs() -> String {
    let run = |length: usize| [" ", "\n", "\t", "=", "-", "a"].map(|piece| format!("x{}", piece.repeat(length))).concat();
    (2..=20).map(run).collect()
}
