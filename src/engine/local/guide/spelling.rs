//! The bytes of every token of a vocabulary.

use llguidance::toktrie::TokTrie;
use serde_json::Value as Json;
use tokenizers::Tokenizer;

use crate::weights::Special;

/// The longest token that a trie holds, in bytes: it counts a node's parents within 10 bits.
const LONGEST: usize = 1 << 10;

/// A vocabulary by its bytes.
pub(in crate::engine::local) struct Spelling {
    /// What each token writes, by id, one for each row of the logits; empty where a token is never on offer; special tokens
    /// have a marker in front that no text has.
    pub(super) tokens: Vec<Vec<u8>>,
    /// The tokens that end an answer.
    pub(super) eos: Vec<u32>,
}

impl Spelling {
    /// Spells out a vocabulary with `rows` rows in the model's logits.
    pub(in crate::engine::local) fn new(tokenizer: &Tokenizer, special: &Special, rows: usize) -> Self {
        let writing = Writing::of(tokenizer);
        let mut tokens = vec![Vec::new(); rows];
        for (token, id) in tokenizer.get_vocab(false) {
            if let Some(slot) = tokens.get_mut(id as usize) {
                *slot = writing.bytes(&token);
            }
        }
        let roles = special.eos.iter().copied().chain(special.bos).chain(special.unk).chain(special.pad);
        let mut marked: Vec<u32> = roles.collect();
        for (id, added) in tokenizer.get_added_tokens_decoder() {
            if let Some(slot) = tokens.get_mut(id as usize) {
                *slot = added.content.clone().into_bytes();
            }
            marked.extend(added.special.then_some(id));
        }
        for bytes in &mut tokens {
            if bytes.len() >= LONGEST || bytes.first() == Some(&TokTrie::SPECIAL_TOKEN_MARKER) {
                bytes.clear();
            }
        }
        marked.sort_unstable();
        marked.dedup();
        for id in marked {
            if let Some(slot) = tokens.get_mut(id as usize) {
                let name = tokenizer.id_to_token(id).unwrap_or_default().into_bytes();
                *slot = [&[TokTrie::SPECIAL_TOKEN_MARKER][..], &name[..name.len().min(LONGEST - 2)]].concat();
            }
        }
        Self { tokens, eos: special.eos.iter().copied().filter(|&id| (id as usize) < rows).collect() }
    }
}

/// How a tokenizer writes bytes as tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// Each byte as one of 256 letters (byte-level BPE).
    Letters,
    /// As text, with a sign for the space and `<0xNN>` for single bytes (`SentencePiece`).
    Pieces(char),
}

impl Writing {
    /// As the tokenizer's decoder tells.
    fn of(tokenizer: &Tokenizer) -> Self {
        let decoder = serde_json::to_value(tokenizer.get_decoder()).unwrap_or_default();
        let steps: Vec<&Json> = decoder["decoders"].as_array().map_or_else(|| vec![&decoder], |steps| steps.iter().collect());
        if steps.iter().any(|step| step["type"] == "ByteLevel") {
            return Self::Letters;
        }
        let sign = |step: &&Json| match step["type"].as_str()? {
            "Replace" if step["content"] == " " => step["pattern"]["String"].as_str()?.chars().next(),
            "Metaspace" => step["replacement"].as_str()?.chars().next(),
            _ => None,
        };
        Self::Pieces(steps.iter().find_map(sign).unwrap_or('▁'))
    }

    /// What a token writes.
    fn bytes(self, token: &str) -> Vec<u8> {
        match self {
            Self::Letters => {
                // A character that stands for no byte: a token added as text.
                let bytes: Option<Vec<u8>> = token.chars().map(byte_of).collect();
                bytes.unwrap_or_else(|| token.as_bytes().to_vec())
            }
            Self::Pieces(sign) => match single_byte(token) {
                Some(byte) => vec![byte],
                None => token.replace(sign, " ").into_bytes(),
            },
        }
    }
}

/// The byte that a letter of GPT-2's alphabet stands for: printable Latin-1 stands for itself, the other 68 bytes for
/// U+0100 and up, in order.
fn byte_of(letter: char) -> Option<u8> {
    let code = u32::from(letter);
    let itself = |code: u32| matches!(code, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    if itself(code) {
        return u8::try_from(code).ok();
    }
    let place = code.checked_sub(0x100)? as usize;
    (0..=u8::MAX).filter(|&byte| !itself(u32::from(byte))).nth(place)
}

/// The byte of a token like `<0x0A>`.
fn single_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_for_all_bytes_and_pieces_for_text() {
        let all: Vec<u8> = (0_u32..0x180).filter_map(char::from_u32).filter_map(byte_of).collect();
        let distinct: std::collections::BTreeSet<u8> = all.iter().copied().collect();
        assert_eq!((all.len(), distinct.len()), (256, 256));
        assert_eq!(Writing::Letters.bytes("ĠÃ©Ċ"), " é\n".as_bytes());
        assert_eq!(Writing::Letters.bytes("中"), "中".as_bytes(), "no letter: a token that was added as text");
        let pieces = Writing::Pieces('▁');
        assert_eq!(pieces.bytes("▁hello"), b" hello");
        assert_eq!((pieces.bytes("<0xE4>"), pieces.bytes("<0xE>")), (vec![0xE4], b"<0xE>".to_vec()));
    }
}
