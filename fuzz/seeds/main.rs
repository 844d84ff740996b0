//! Makes the first inputs of both targets from the small models of tests/fixtures/families:
//! `cargo run --release --bin seeds` within fuzz/ fills corpus/gguf and corpus/safetensors.

use std::path::Path;

use quantgate::weights::{Checkpoint, Recipe, quantize};
use serde_json::{Map, Value, json};

/// The families in the order of the safetensors target's configurations.
const FAMILIES: [&str; 12] =
    ["llama", "llama3", "mistral", "mistral_window", "nemo", "mixtral", "qwen2", "qwen3", "gemma2", "phi3", "phi3_long", "yarn"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let models = here.join("../tests/fixtures/families");
    let (gguf, safetensors) = (here.join("corpus/gguf"), here.join("corpus/safetensors"));
    std::fs::create_dir_all(&gguf)?;
    std::fs::create_dir_all(&safetensors)?;
    let work = std::env::temp_dir().join(format!("quantgate-seeds-{}", std::process::id()));
    std::fs::create_dir_all(&work)?;
    let pieces = work.join("pieces.json");
    std::fs::write(&pieces, pieces_json().to_string())?;
    for (index, family) in FAMILIES.iter().enumerate() {
        let folder = models.join(family);
        let file = std::fs::read(folder.join("model.safetensors"))?;
        std::fs::write(safetensors.join(family), [&[u8::try_from(index)?, 0, 0][..], &file].concat())?;
        for (tokenizer, name) in [(models.join("tokenizer.json"), "bytes"), (pieces.clone(), "pieces")] {
            let source = Checkpoint::open(&folder, Some(&tokenizer))?;
            for recipe in [Recipe::Bf16, Recipe::Q8_0] {
                let out = gguf.join(format!("{family}-{name}-{recipe}.gguf"));
                if let Err(error) = quantize(&source, recipe, &out, &mut |_, _| {}) {
                    eprintln!("{family} {name} {recipe}: {error}");
                }
            }
        }
    }
    std::fs::remove_dir_all(&work)?;
    Ok(())
}

/// A tokenizer of pieces with 284 tokens.
fn pieces_json() -> Value {
    let mut vocabulary = Map::new();
    let mut put = |token: &str| vocabulary.insert(token.to_owned(), vocabulary.len().into());
    for token in ["<unk>", "<s>", "</s>"] {
        put(token);
    }
    for byte in 0..=u8::MAX {
        put(&format!("<0x{byte:02X}>"));
    }
    let letters = ["▁", "t", "h", "e", "a", "n", "d", "é", "中", "H", "l", "o"];
    for letter in letters {
        put(letter);
    }
    let merges = [["▁", "t"], ["h", "e"], ["▁t", "he"], ["a", "n"], ["an", "d"], ["▁", "▁"], ["l", "l"]];
    for [left, right] in merges {
        put(&[left, right].concat());
    }
    let special = |id: usize, token: &str| json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    json!({
        "version": "1.0",
        "added_tokens": [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocabulary, "merges": merges},
    })
}
