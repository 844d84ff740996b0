//! Tokenizers of four kinds as llama.cpp's converter writes them: rebuilt, they cut text as the tokenizer.json does and as
//! llama-tokenize does. The fixtures and their expected tokens are made by examples/tokenizers/make.py.

use std::path::{Path, PathBuf};

use candle_core::DType;
use serde_json::{Value as Json, json};
use tokenizers::Tokenizer;

use super::{folder_with, quantized, tiny_config};
use crate::weights::gguf::{self, Header, Value};
use crate::weights::{Checkpoint, vocabulary};

const KINDS: [&str; 4] = ["llama", "gemma", "tekken", "smollm"];

fn fixture(kind: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizers").join(kind).join(name)
}

fn header(kind: &str) -> Header {
    let path = fixture(kind, "vocabulary.gguf");
    gguf::parse(&path, &std::fs::read(&path).unwrap()).unwrap()
}

fn rebuilt(header: &Header) -> Tokenizer {
    vocabulary::from_header(Path::new("m.gguf"), header).unwrap()
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode_fast(text, true).unwrap().get_ids().to_vec()
}

/// Texts and the tokens that Hugging Face's library and llama-tokenize both give them.
fn expected(kind: &str) -> Vec<(String, Vec<u32>)> {
    serde_json::from_slice(&std::fs::read(fixture(kind, "ids.json")).unwrap()).unwrap()
}

fn file(kind: &str) -> Json {
    serde_json::from_slice(&std::fs::read(fixture(kind, "tokenizer.json")).unwrap()).unwrap()
}

/// A model with this tokenizer, and the one that quantizing writes.
fn pair(tokenizer: &Json, architecture: &str) -> (Checkpoint, Checkpoint) {
    let mut config = tiny_config();
    config["vocab_size"] = 640.into();
    config["model_type"] = architecture.into();
    let folder = folder_with(&config, DType::BF16);
    let begin = tokenizer["post_processor"]["single"][0]["SpecialToken"]["id"].clone();
    let settings = json!({"bos_token": begin, "eos_token": "</s>", "unk_token": "<unk>"});
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), settings.to_string()).unwrap();
    let source = Checkpoint::open(folder.path(), None).unwrap();
    let written = quantized(&source, "q8_0", &folder.path().join("m.gguf"));
    (source, written)
}

#[test]
fn a_vocabulary_by_llama_cpps_converter_cuts_text_as_both_libraries_do() {
    for kind in KINDS {
        let tokenizer = rebuilt(&header(kind));
        let own = vocabulary::from_file(&fixture(kind, "tokenizer.json")).unwrap();
        for (text, tokens) in expected(kind) {
            assert_eq!(ids(&own, &text), tokens, "{kind} {text:?}");
            assert_eq!(ids(&tokenizer, &text), tokens, "{kind} {text:?}");
            assert_eq!(tokenizer.decode(&tokens, false).unwrap(), own.decode(&tokens, false).unwrap(), "{kind} {text:?}");
        }
        let digest = |tokenizer| vocabulary::digest(Path::new("m"), tokenizer).unwrap();
        assert_eq!(digest(&tokenizer), digest(&own), "{kind}");
    }
}

#[test]
fn every_kind_is_written_and_read_back_as_the_same_tokenizer() {
    for kind in KINDS {
        let (source, written) = pair(&file(kind), "llama");
        assert_eq!(written.facts().vocabulary, source.facts().vocabulary, "{kind}");
        assert_eq!(written.special(), source.special(), "{kind}");
        for (text, tokens) in expected(kind) {
            assert_eq!(ids(written.tokenizer(), &text), tokens, "{kind} {text:?}");
        }
    }
}

#[test]
fn a_space_in_front_of_the_text_alone_is_kept_and_is_another_vocabulary() {
    let mut json = file("llama");
    json["normalizer"] = Json::Null;
    let step = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false});
    json["pre_tokenizer"] = step;
    let (source, written) = pair(&json, "llama");
    assert_eq!(written.facts().vocabulary, source.facts().vocabulary);
    for text in ["a<s>b</s>", " a", "<s> in </s> the middle", ""] {
        assert_eq!(ids(written.tokenizer(), text), ids(source.tokenizer(), text), "{text:?}");
    }
    let always = pair(&file("llama"), "llama").0;
    assert_ne!(ids(always.tokenizer(), "a<s>b"), ids(source.tokenizer(), "a<s>b"), "the two rules differ behind special tokens");
    assert_ne!(always.facts().vocabulary, source.facts().vocabulary);
}

#[test]
fn tokens_that_take_the_white_space_behind_them_are_kept() {
    let mut json = file("llama");
    json["added_tokens"][2]["rstrip"] = true.into();
    let (source, written) = pair(&json, "llama");
    assert_eq!(written.facts().vocabulary, source.facts().vocabulary);
    assert_eq!(ids(written.tokenizer(), "a</s>  b"), ids(source.tokenizer(), "a</s>  b"));
    assert_ne!(pair(&file("llama"), "llama").0.facts().vocabulary, source.facts().vocabulary);
}

#[test]
fn a_file_named_phi_3_takes_white_space_as_llama_cpp_does() {
    let mut header = header("llama");
    let stripped = |header: &Header| ids(&rebuilt(header), "a</s>  b") == ids(&rebuilt(header), "a</s>b");
    assert!(!stripped(&header));
    header.metadata.retain(|(key, _)| key != "general.name");
    header.metadata.push(("general.name".to_owned(), Value::Text("Phi-3 mini".to_owned())));
    assert!(stripped(&header));
}

#[test]
fn merges_that_no_scores_could_give_are_refused() {
    let refused = |change: &dyn Fn(&mut Json)| {
        let mut json = file("llama");
        change(&mut json);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, json.to_string()).unwrap();
        vocabulary::refusal(&vocabulary::from_file(&path).unwrap())
    };
    assert_eq!(refused(&|_| {}), None);
    let merges = |json: &mut Json, change: &dyn Fn(&mut Vec<Json>)| change(json["model"]["merges"].as_array_mut().unwrap());
    let lacks = refused(&|json| merges(json, &|all| drop(all.remove(3)))).unwrap();
    assert!(lacks.contains("lacks merges"), "{lacks}");
    assert!(refused(&|json| json["normalizer"] = json!({"type": "NFKC"})).unwrap().contains("NFKC"));
    assert!(refused(&|json| json["model"]["ignore_merges"] = true.into()).unwrap().contains("whole words"));
}

#[test]
fn roles_that_a_vocabulary_of_pieces_does_not_name_are_llama_cpps() {
    let mut header = header("llama");
    header.metadata.retain(|(key, _)| !key.ends_with("_token_id"));
    let roles = ["unknown", "bos", "eos", "padding"].map(|name| vocabulary::role(&header, name));
    assert_eq!(roles, [Some(0), Some(1), Some(2), None]);
    assert_eq!(ids(&rebuilt(&header), "")[..], [1], "texts begin with BOS where nothing else is said");
}

#[test]
fn a_vocabulary_without_a_byte_is_refused() {
    let mut header = header("llama");
    let Some((_, Value::Array(tokens))) = header.metadata.iter_mut().find(|(key, _)| key == "tokenizer.ggml.tokens") else {
        panic!("there are tokens")
    };
    let texts: Vec<String> = tokens.texts().unwrap().iter().map(|text| text.replace("<0x41>", "<none>")).collect();
    *tokens = gguf::Array::of_texts(texts.iter().map(|text| if text == "A" { "AAAA" } else { text.as_str() }));
    let error = vocabulary::from_header(Path::new("m.gguf"), &header).unwrap_err().to_string();
    assert!(error.contains("0x41"), "{error}");
}
