//! A tokenizer rebuilt from GGUF cuts text exactly as the one that it came from.

use std::sync::OnceLock;

use candle_core::DType;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use tokenizers::Tokenizer;

use super::{demo, quantized, tiny};
use crate::weights::{Checkpoint, Recipe, quantize};

const NASTY: [&str; 16] = [
    "",
    " ",
    "1234567890 3.14159 1,000,000 ²³ ½ ٣٤",
    "naïve café e\u{301} Straße ŒUVRE",
    "👩\u{200d}🚀 family: 👨\u{200d}👩\u{200d}👧 🇫🇷",
    "text <|end|> and <s> in </s> the<|user|>middle <|unknown|>",
    "<|end|><|end|>  <|assistant|>\n<unk>",
    "   leading, trailing   ",
    "tabs\tand\r\nnew\n\n\nlines \r",
    "it's DON'T we'LL I'm 'quoted' ''",
    "{\"name\": \"add\", \"arguments\": {\"a\": -1.5e3}}",
    "def f(x):\n    return x * 2  # twice\n",
    "中文字符 日本語 한국어 русский العربية",
    "\u{0}\u{1}\u{7f}\u{feff}\u{fffd}\u{a0}\u{2028}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "x+y=z;a<b>c&d|e^f~g`h@i#j$k%l",
];

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode_fast(text, true).unwrap().get_ids().to_vec()
}

/// The model's own tokenizer after a change to its file, and the one rebuilt from GGUF.
fn pair(change: impl FnOnce(&mut Json)) -> (Checkpoint, Checkpoint) {
    let folder = tiny(DType::BF16);
    let path = folder.path().join("tokenizer.json");
    let mut json: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(&path, json.to_string()).unwrap();
    let source = Checkpoint::open(folder.path(), None).unwrap();
    let rebuilt = quantized(&source, "q8_0", &folder.path().join("m.gguf"));
    (source, rebuilt)
}

fn assert_same(source: &Checkpoint, rebuilt: &Checkpoint) {
    assert_eq!(source.facts().vocabulary, rebuilt.facts().vocabulary);
    for text in NASTY {
        let expected = ids(source.tokenizer(), text);
        assert_eq!(ids(rebuilt.tokenizer(), text), expected, "{text:?}");
        assert_eq!(rebuilt.tokenizer().decode(&expected, false).unwrap(), source.tokenizer().decode(&expected, false).unwrap());
    }
    for token in 0..1024 {
        assert_eq!(rebuilt.tokenizer().id_to_token(token), source.tokenizer().id_to_token(token));
    }
    let whole: Vec<u32> = (8..1024).collect();
    let text = source.tokenizer().decode(&whole, false).unwrap();
    assert_eq!(ids(rebuilt.tokenizer(), &text), ids(source.tokenizer(), &text));
}

#[test]
fn the_demo_vocabulary_is_rebuilt_exactly() {
    let (source, rebuilt) = pair(|_| {});
    assert_same(&source, &rebuilt);
    assert_eq!(ids(rebuilt.tokenizer(), "")[0], 1, "texts begin with BOS");
}

#[test]
fn every_known_way_of_splitting_is_rebuilt_exactly() {
    let llama = pair(|json| {
        let pattern = &mut json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"];
        *pattern = pattern.as_str().unwrap().replace(r"\p{N}|", r"\p{N}{1,3}|").into();
        json["model"]["ignore_merges"] = true.into();
    });
    assert_same(&llama.0, &llama.1);
    let gpt = pair(|json| {
        json["pre_tokenizer"] = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    });
    assert_same(&gpt.0, &gpt.1);
    assert_ne!(llama.0.facts().vocabulary, gpt.0.facts().vocabulary, "a way of splitting is part of the digest");
}

#[test]
fn a_tokenizer_without_bos_stays_without_and_has_another_digest() {
    let (source, rebuilt) = pair(|json| json["post_processor"] = Json::Null);
    assert_same(&source, &rebuilt);
    assert!(!rebuilt.special().add_bos && ids(rebuilt.tokenizer(), "").is_empty());
    let with = Checkpoint::open(tiny(DType::BF16).path(), None).unwrap();
    assert_ne!(with.facts().vocabulary, source.facts().vocabulary);
}

#[test]
fn what_gguf_has_no_word_for_is_refused_before_anything_is_written() {
    let refused = |change: &dyn Fn(&mut Json)| {
        let folder = tiny(DType::BF16);
        let path = folder.path().join("tokenizer.json");
        let mut json: Json = serde_json::from_slice(&std::fs::read(demo("tokenizer.json")).unwrap()).unwrap();
        change(&mut json);
        std::fs::write(&path, json.to_string()).unwrap();
        let source = Checkpoint::open(folder.path(), None).unwrap();
        let error = quantize(&source, Recipe::Q8_0, &folder.path().join("m.gguf"), &mut |_, _| {}).unwrap_err();
        assert!(!folder.path().join("m.gguf").exists());
        error.to_string()
    };
    assert!(refused(&|json| json["normalizer"] = json!({"type": "NFC"})).contains("NFC"));
    assert!(refused(&|json| json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = json!(r"\d+")).contains("splitting"));
    assert!(refused(&|json| json["model"]["ignore_merges"] = true.into()).contains("ignore_merges"));
    assert!(refused(&|json| json["added_tokens"][7]["lstrip"] = true.into()).contains("<|end|>"));
}

#[test]
fn truncation_and_padding_in_the_file_are_not_applied() {
    let (source, _) = pair(|json| {
        json["truncation"] = json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
        json["padding"] = json!({"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 3, "pad_type_id": 0, "pad_token": "<pad>"});
    });
    let length = ids(source.tokenizer(), "a few words that are more than four tokens").len();
    assert!((5..64).contains(&length), "{length}");
}

#[test]
fn more_end_tokens_than_gguf_has_roles_for_are_all_kept() {
    let folder = tiny(DType::BF16);
    let generation = json!({"eos_token_id": [2, 7, 4, 5, 6]});
    std::fs::write(folder.path().join("generation_config.json"), generation.to_string()).unwrap();
    let source = Checkpoint::open(folder.path(), None).unwrap();
    assert_eq!(source.special().eos, [2, 7, 4, 5, 6]);
    let rebuilt = quantized(&source, "q8_0", &folder.path().join("m.gguf"));
    assert_eq!(rebuilt.special(), source.special());
}

proptest! {
    #[test]
    fn any_text_is_cut_alike(texts in proptest::collection::vec(".{0,60}", 8)) {
        static PAIR: OnceLock<(Checkpoint, Checkpoint)> = OnceLock::new();
        let (source, rebuilt) = PAIR.get_or_init(|| pair(|_| {}));
        for text in texts {
            prop_assert_eq!(ids(rebuilt.tokenizer(), &text), ids(source.tokenizer(), &text));
        }
    }
}
