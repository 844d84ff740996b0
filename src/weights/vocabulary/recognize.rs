//! The kinds of tokenizer.json that GGUF has words for, told by what the file does.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::pieces::{Prefix, splits};
use super::split::Split;

/// A kind of tokenizer.
pub(in crate::weights) enum Kind {
    /// Byte-level BPE with a known way of splitting.
    Bytes(&'static Split),
    /// SentencePiece's BPE: where a space is put in front, and the pieces that others merge into, the highest score first.
    Pieces(Prefix, Vec<u32>),
}

/// Recognizes a tokenizer.json that GGUF has words for; else says what is in the way.
pub(in crate::weights) fn recognize(json: &Json) -> Result<Kind, String> {
    let model = &json["model"];
    if model["type"] != "BPE" || !model["dropout"].is_null() {
        return Err(format!("its model is not BPE without dropout but {}", model["type"]));
    }
    let ignore_merges = model["ignore_merges"].as_bool().unwrap_or(false);
    if model["byte_fallback"] == true {
        let prefix = Prefix::recognize(json).ok_or_else(|| {
            let (normalizer, pre) = (&json["normalizer"], &json["pre_tokenizer"]);
            format!("its way of treating spaces is not one of SentencePiece's: {normalizer}, {pre}")
        })?;
        if ignore_merges {
            return Err("pieces with scores are always merged, and it takes whole words without".to_owned());
        }
        return Ok(Kind::Pieces(prefix, order(json)?));
    }
    if !json["normalizer"].is_null() {
        return Err(format!("it normalizes text ({})", json["normalizer"]["type"]));
    }
    Split::recognize(&json["pre_tokenizer"], ignore_merges).map(Kind::Bytes)
}

/// Whether a piece is one character again and again: SentencePiece gives runs of white space one score, so that their order
/// among each other is not told by it.
pub(super) fn is_run(piece: &str) -> bool {
    let mut characters = piece.chars();
    characters.next().is_some_and(|first| characters.all(|other| other == first))
}

/// A merge's two parts; tokenizer.json has had two spellings.
pub(super) fn parts(merge: &Json) -> Option<(&str, &str)> {
    match merge {
        Json::String(text) => text.split_once(' '),
        Json::Array(pair) => match pair.as_slice() {
            [Json::String(left), Json::String(right)] => Some((left, right)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a token stands for a byte.
pub(super) fn is_byte(token: &str) -> bool {
    token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>')).is_some_and(|digits| {
        digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit() || (b'A'..=b'F').contains(&digit))
    })
}

/// The pieces that others merge into, in the order of the merges. Refused where scores could not say the same: a piece
/// whose merges are apart, or lacks a way of coming about.
fn order(json: &Json) -> Result<Vec<u32>, String> {
    let added: HashSet<&str> =
        json["added_tokens"].as_array().into_iter().flatten().filter_map(|token| token["content"].as_str()).collect();
    let all = json["model"]["vocab"].as_object().ok_or("it has no vocabulary")?;
    let mut pieces: HashMap<&str, (u32, u32)> = HashMap::new();
    for (piece, id) in all {
        let ordinary = !added.contains(piece.as_str()) && !is_byte(piece);
        if let Some(id) = id.as_u64().and_then(|id| u32::try_from(id).ok()).filter(|_| ordinary) {
            pieces.insert(piece, (id, 0));
        }
    }
    let mut order = Vec::new();
    let mut last = None;
    for merge in json["model"]["merges"].as_array().into_iter().flatten() {
        let (left, right) = parts(merge).ok_or("its merges are not pairs of tokens")?;
        let piece = [left, right].concat();
        if !pieces.contains_key(left) || !pieces.contains_key(right) {
            continue;
        }
        let Some((id, ways)) = pieces.get_mut(piece.as_str()) else { continue };
        if *ways == 0 {
            order.push(*id);
        } else if last != Some(*id) && !is_run(&piece) {
            return Err(format!("its merges are not in an order that scores give: those of {piece:?} are apart"));
        }
        *ways += 1;
        if !is_run(&piece) {
            last = Some(*id);
        }
    }
    let ways =
        |piece: &str| splits(piece).filter(|(left, right)| pieces.contains_key(left) && pieces.contains_key(right)).count();
    match pieces.iter().find(|(piece, (_, found))| ways(piece) != *found as usize) {
        Some((piece, _)) => Err(format!("it lacks merges of pieces that make the piece {piece:?}")),
        None => Ok(order),
    }
}
