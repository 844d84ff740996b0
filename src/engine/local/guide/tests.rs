//! Masks against those of outlines-core, an engine of another make, along random ways through many languages.

use std::collections::BTreeSet;
use std::path::Path;

use outlines_core::json_schema::regex_from_value;
use outlines_core::prelude::{Index, Vocabulary};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::{Guide, Guides, Spelling, enforce, loose};
use crate::domain::Constraint;
use crate::weights::Special;

/// The demonstration model's byte-level vocabulary.
fn demo() -> Spelling {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/tokenizer.json");
    let tokenizer = tokenizers::Tokenizer::from_file(path).expect("a tokenizer");
    let special = Special { bos: Some(1), eos: vec![2], ..Special::default() };
    Spelling::new(&tokenizer, &special, 1_024)
}

/// A vocabulary as `SentencePiece` writes them: single bytes beside pieces that spell the same.
fn pieces() -> Spelling {
    let bytes = (0..=255).map(|byte| format!("<0x{byte:02X}>"));
    let words = ["▁", "▁{", "{\"", "\":", "▁\"", "12", "0", "1", "7", "a", "b", "ab", "-", "true", "▁true", "é", "中"];
    let vocabulary: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).into_iter().chain(bytes).collect();
    let vocabulary: Vec<String> = vocabulary.into_iter().chain(words.map(String::from)).collect();
    let rows = vocabulary.len();
    let vocab: serde_json::Map<String, Value> = vocabulary.into_iter().zip((0..rows).map(Value::from)).collect();
    let file = json!({
        "version": "1.0", "added_tokens": [],
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        ]},
        "model": {"type": "BPE", "vocab": vocab, "merges": [], "byte_fallback": true, "unk_token": "<unk>"},
    });
    let tokenizer = tokenizers::Tokenizer::from_bytes(file.to_string()).expect("a tokenizer");
    let special = Special { bos: Some(1), eos: vec![2], unk: Some(0), ..Special::default() };
    Spelling::new(&tokenizer, &special, rows + 3)
}

fn guide(guides: &Guides, constraint: &Constraint, spell: fn() -> Spelling) -> Guide {
    guides.guide(constraint, spell).unwrap_or_else(|failure| panic!("{constraint:?}: {failure}"))
}

/// The same vocabulary for outlines-core, without special tokens and what spells nothing.
fn theirs(spelling: &Spelling) -> Vocabulary {
    let mut vocabulary = Vocabulary::new(spelling.eos[0]);
    for (bytes, id) in spelling.tokens.iter().zip(0..) {
        if !bytes.is_empty() && bytes[0] != 0xFF {
            vocabulary.try_insert(bytes.clone(), id).expect("it is not the end token");
        }
    }
    vocabulary
}

fn allowed(guide: &mut Guide) -> BTreeSet<u32> {
    let mask = guide.mask().expect("something can follow");
    mask.iter().collect()
}

/// Masks that were compared, and tokens among them that outlines-core alone leaves out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Compared {
    masks: usize,
    dropped: usize,
}

/// Walks `ways` random ways through a language and compares every mask.
///
/// outlines-core leaves out a token that ends one byte behind a whole text and in the middle of a longer one (the `.` after
/// `0` in `0(\.5)?`): its automaton reports a match one byte late. Such tokens are counted; any other difference is a fault.
fn compare(constraint: &Constraint, pattern: &str, spell: fn() -> Spelling, ways: u64) -> Compared {
    let (guides, vocabulary, spelling) = (Guides::default(), theirs(&spell()), spell());
    let index = Index::new(pattern, &vocabulary).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let whole = regex::bytes::Regex::new(&format!(r"\A(?:{pattern})\z")).expect("a regular expression");
    let mut compared = Compared::default();
    for way in 0..ways {
        let mut stream = ChaCha8Rng::seed_from_u64(way);
        let (mut ours, mut state) = (guide(&guides, constraint, spell), index.initial_state());
        for _ in 0..40 {
            let their: BTreeSet<u32> = index.allowed_tokens(&state).unwrap_or_default().into_iter().collect();
            compared.masks += 1;
            if ours.is_complete() {
                assert_eq!(their, BTreeSet::from([vocabulary.eos_token_id()]), "{pattern} after {:?}", ours.text());
                break;
            }
            let our = allowed(&mut ours);
            let missing: Vec<u32> = their.difference(&our).copied().collect();
            assert!(missing.is_empty(), "{pattern} after {:?}: theirs alone {missing:?}", ours.text());
            for &token in our.difference(&their) {
                let text = [&ours.written[..], &spelling.tokens[token as usize]].concat();
                let late = whole.is_match(&text[..text.len() - 1]) && !whole.is_match(&text);
                assert!(late, "{pattern} after {:?}: ours alone {token}", ours.text());
                compared.dropped += 1;
            }
            let open: Vec<u32> = their.into_iter().filter(|&token| token != vocabulary.eos_token_id()).collect();
            if open.is_empty() {
                break;
            }
            let token = open[(stream.next_u64() % open.len() as u64) as usize];
            ours.accept(token).expect("the mask allows it");
            state = index.next_state(&state, &token).expect("their mask allows it");
        }
    }
    compared
}

/// Regular expressions of users, and those that Outlines writes for types, with alternatives of which none begins another:
/// outlines-core takes the first alternative that matches, where a regular expression has both.
const REGEXES: [&str; 22] = [
    r"(-)?(0|[1-9][0-9]*)",
    r"((-)?(0|[1-9][0-9]*))(\.[0-9]+)?([eE][+-][0-9]+)?",
    r"(true|false)",
    r#""([^"\\\x00-\x1F\x7F-\x9F]|\\["\\/bfnrt])*""#,
    r"\d{4}-\d{2}-\d{2}",
    r"(?:\d{4})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[1-2][0-9]|3[0-1])",
    r"(2[0-3]|[01][0-9]):([0-5][0-9]):([0-5][0-9])(\.[0-9]+)?(Z)?",
    r"(-?(?:[1-9][0-9]*)?[0-9]{4})-(1[0-2]|0[1-9])-(3[01]|0[1-9]|[12][0-9])T(2[0-3]|[01][0-9]):([0-5][0-9]):([0-5][0-9])(\.[0-9]{3})?(Z)?",
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]*[a-z0-9])?",
    r"(https?|ftp):\/\/([^\s:@]+(:[^\s:@]*)?@)?([a-zA-Z\d.-]+\.[a-zA-Z]{2,}|localhost)(:\d+)?(\/[^\s?#]*)?(\?[^\s#]*)?(#[^\s]*)?",
    r"\(?\d{3}\)?[ -]?\d{3}-\d{4}",
    r"((25[0-5]|2[0-4]\d|1\d\d|[1-9]\d|\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]\d|\d)x",
    r"[A-Z][a-z]+( [A-Z][a-z]+){0,2}",
    r"(red|green|blue)(, (red|green|blue))*",
    r"\s*yes\s*",
    r"[^,]+,[^,]+",
    r".{3,7}!",
    r"[\p{L}]+[.?!]",
    r"(?i)(yes|no)",
    r"a/b\\c\.d",
    r"",
];

#[test]
fn the_tokens_on_offer_are_those_of_outlines_core_along_every_regular_expression() {
    let mut all = Compared::default();
    for regex in REGEXES {
        let constraint = Constraint::Regex(regex.to_owned());
        for one in [compare(&constraint, regex, demo, 20), compare(&constraint, regex, pieces, 10)] {
            if one.dropped > 0 {
                println!("{regex}: {one:?}");
            }
            all = Compared { masks: all.masks + one.masks, dropped: all.dropped + one.dropped };
        }
    }
    println!("{all:?}");
    assert!(all.masks > 4_000, "{all:?}");
}

/// Schemas whose language is one for both: no string without a pattern and no real number (the two escape and write
/// exponents differently), every property required, no others allowed, no white space.
fn schemas() -> Vec<Value> {
    let object = |properties: Value| {
        let required: Vec<&String> = properties.as_object().expect("an object").keys().collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    };
    let mut all = vec![
        json!({"type": "integer"}),
        json!({"enum": ["red", "green", 7, null, true]}),
        json!({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3}),
        object(json!({"armor": {"$ref": "#/$defs/Armor"}, "strength": {"type": "integer"}})),
        object(json!({"code": {"type": "string", "pattern": "^[A-Z]{2}[0-9]{3}$"}, "kind": {"const": "cat"}})),
        object(json!({"a": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "b": object(json!({"c": {"type": "boolean"}}))})),
        object(
            json!({"m": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}}}),
        ),
    ];
    all[3]["$defs"] = json!({"Armor": {"enum": ["leather", "chainmail", "plate"], "type": "string"}});
    all
}

#[test]
fn the_tokens_on_offer_are_those_of_outlines_core_where_a_schema_means_the_same_to_both() {
    let mut masks = 0;
    for mut schema in schemas() {
        let regex = regex_from_value(&schema, Some(""), None).expect("outlines-core knows it");
        schema["x-guidance"] = json!({"whitespace_flexible": false});
        let by_schema = Constraint::JsonSchema(schema);
        let by_regex = Constraint::Regex(regex.clone());
        for (constraint, spell) in [(&by_schema, demo as fn() -> Spelling), (&by_schema, pieces), (&by_regex, demo)] {
            let one = compare(constraint, &regex, spell, 15);
            assert_eq!(one.dropped, 0, "{regex}");
            masks += one.masks;
        }
    }
    println!("{masks} masks equal");
    assert!(masks > 1_500, "{masks}");
}

/// Whether a text is whole and allowed, token by token.
fn accepts(guides: &Guides, constraint: &Constraint, text: &str) -> bool {
    let mut guide = guide(guides, constraint, demo);
    let tokens = guide.tokens.tok_trie().greedy_tokenize(text.as_bytes());
    for token in tokens {
        if guide.is_complete() || !allowed(&mut guide).contains(&token) {
            return false;
        }
        guide.accept(token).expect("the mask allows it");
    }
    assert_eq!(guide.text(), text);
    guide.is_complete() || allowed(&mut guide).contains(&2)
}

#[test]
fn a_choice_offers_every_way_of_spelling_its_texts_and_the_end_after_one() {
    let texts = ["yes", "no, never", "a|b", "x/y", "(?)"].map(String::from).to_vec();
    assert!(compare(&Constraint::Choice(texts), r"yes|no, never|a\|b|x/y|\(\?\)", demo, 40).masks > 100);
    let (guides, nested) = (Guides::default(), Constraint::Choice(vec!["12".into(), "127".into(), String::new()]));
    for (text, whole) in [("12", true), ("127", true), ("", true), ("1", false), ("1277", false), ("2", false)] {
        assert_eq!(accepts(&guides, &nested, text), whole, "{text:?}");
    }
}

/// Schemas in the shapes that pydantic gives them for Outlines and Instructor, each with texts that fit it and that break it.
const SHAPES: &str = include_str!("shapes.json");

#[test]
fn schemas_as_pydantic_writes_them_are_taken_as_they_are() {
    let shapes: serde_json::Map<String, Value> = serde_json::from_str(SHAPES).expect("JSON");
    let guides = Guides::default();
    for (name, shape) in &shapes {
        let constraint = Constraint::JsonSchema(shape["schema"].clone());
        assert_eq!((enforce(&constraint), loose(&constraint)), (Ok(()), vec![]), "{name}");
        for (key, whole) in [("fits", true), ("breaks", false)] {
            for text in shape[key].as_array().expect("a list").iter().filter_map(Value::as_str) {
                assert_eq!(accepts(&guides, &constraint, text), whole, "{name}: {text}");
            }
        }
    }
    assert!(shapes.len() >= 20);
}

#[test]
fn what_cannot_be_enforced_is_refused_in_words_and_what_is_loose_is_told() {
    let regex = |text: &str| enforce(&Constraint::Regex(text.to_owned())).expect_err(text);
    assert_eq!(regex("(?=a)b"), "look-around, including look-ahead and look-behind, is not supported");
    assert_eq!(regex("(a"), "unclosed group");
    assert_eq!(regex(r"a\"), "the regular expression ends in a backslash");
    assert!(regex(r"\bfoo").contains("lookarounds not supported"), "{}", regex(r"\bfoo"));
    assert_eq!(enforce(&Constraint::Choice(vec![])), Err("there is no text to choose".to_owned()));
    let schema = |schema: Value| enforce(&Constraint::JsonSchema(schema));
    assert_eq!(schema(json!({"not": {"type": "string"}})), Err(r#"Unimplemented keys: ["not"]"#.to_owned()));
    assert!(schema(json!({"type": "objekt"})).is_err() && schema(json!({"$ref": "#/$defs/none"})).is_err());
    let set = json!({"type": "array", "items": {"type": "integer"}, "uniqueItems": true});
    assert_eq!((schema(set.clone()), loose(&Constraint::JsonSchema(set)).len()), (Ok(()), 1));
    let named = json!({"type": "object", "properties": {"uniqueItems": {"type": "boolean"}, "format": {"type": "string"}}});
    assert_eq!(loose(&Constraint::JsonSchema(named)), Vec::<&str>::new(), "properties with a keyword's name are none");
    let guides = Guides::default();
    let Err(failure) = guides.guide(&Constraint::Regex("(".to_owned()), demo) else { panic!("refused") };
    assert_eq!(failure.message, "the constraint cannot be enforced: unclosed group");
    let mute = || Spelling { eos: vec![], ..demo() };
    assert!(Guides::default().guide(&Constraint::Regex("a".to_owned()), mute).is_err(), "no end token");
}

#[test]
fn pydantic_s_decimal_pattern_is_restated_without_a_change() {
    let [(_, restated)] = super::grammar::RESTATED;
    let (guides, restated) = (Guides::default(), Constraint::Regex(restated.to_owned()));
    // (?!^[-+.]*$)[+-]?0*\d*\.?\d* by hand: a sign, digits with at most one point, and something that is no sign or point.
    let decimal = |text: &str| {
        let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
        let plain = rest.chars().all(|letter| letter.is_ascii_digit() || letter == '.');
        plain && rest.matches('.').count() <= 1 && rest.contains(|letter: char| letter.is_ascii_digit())
    };
    let letters = ['+', '-', '.', '0', '7', 'e'];
    let mut texts = vec![String::new()];
    for _ in 0..3 {
        texts.extend(texts.clone().iter().flat_map(|text| letters.map(|letter| format!("{text}{letter}"))));
    }
    for text in texts {
        assert_eq!(accepts(&guides, &restated, &text), decimal(&text), "{text:?}");
    }
}

#[test]
#[ignore = "a measurement: cargo test --release --lib guide::tests::measure -- --ignored --nocapture"]
fn measure_the_time_of_a_mask() {
    let large = || {
        // Words of made-up syllables, as many as large vocabularies have, beside all single bytes.
        let syllables = ["ka", "lo", "mi", "ten", "ras", "vu", "er", "ing", "on", "st", "é", "0", "17", "_", "(", "\""];
        let mut tokens: BTreeSet<Vec<u8>> = (0..=254_u8).map(|byte| vec![byte]).collect();
        let mut stream = ChaCha8Rng::seed_from_u64(1);
        while tokens.len() < 128_000 {
            let mut word = if stream.next_u64().is_multiple_of(2) { " ".to_owned() } else { String::new() };
            for _ in 0..=stream.next_u64() % 4 {
                word += syllables[(stream.next_u64() % syllables.len() as u64) as usize];
            }
            tokens.insert(word.into_bytes());
        }
        let mut tokens: Vec<Vec<u8>> = tokens.into_iter().collect();
        tokens.push(b"\xFF</s>".to_vec());
        Spelling { eos: vec![tokens.len() as u32 - 1], tokens }
    };
    let shapes: serde_json::Map<String, Value> = serde_json::from_str(SHAPES).expect("JSON");
    let schema = Constraint::JsonSchema(shapes["enums by reference"]["schema"].clone());
    let constraints = [
        ("schema", schema),
        ("regex", Constraint::Regex(REGEXES[7].into())),
        ("words", Constraint::Regex("[a-z ]{5,200}[.]".into())),
    ];
    for (name, spell) in [("1,024", demo as fn() -> Spelling), ("128,001", large)] {
        let (guides, built) = (Guides::default(), std::time::Instant::now());
        let first = guides.guide(&constraints[0].1, spell).expect("a guide");
        println!("{name} tokens: ready after {:?}", built.elapsed());
        let ends = first.tokens.tok_trie().eos_token();
        for (what, constraint) in &constraints {
            let (mut times, started) = (Vec::new(), std::time::Instant::now());
            let mut starts = 0;
            for way in 0..20 {
                let mut stream = ChaCha8Rng::seed_from_u64(way);
                let begun = std::time::Instant::now();
                let mut guide = guides.guide(constraint, spell).expect("a guide");
                starts += begun.elapsed().as_micros();
                while !guide.is_complete() && times.len() < 4_000 {
                    let at = std::time::Instant::now();
                    guide.look();
                    times.push(at.elapsed().as_nanos() as f64 / 1e3);
                    let open: Vec<u32> = allowed(&mut guide).into_iter().filter(|&token| token != ends).collect();
                    let Some(&token) = open.get((stream.next_u64() % open.len().max(1) as u64) as usize) else { break };
                    guide.accept(token).expect("allowed");
                }
            }
            times.sort_by(f64::total_cmp);
            let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
            let (count, mean) = (times.len(), times.iter().sum::<f64>() / times.len() as f64);
            println!(
                "  {what}: {count} masks, {mean:.1} µs a mask in the mean, median {:.1}, 99 % below {:.1}, most {:.1}; {} µs a start; {:?}",
                at(0.5),
                at(0.99),
                at(1.0),
                starts / 20,
                started.elapsed()
            );
        }
    }
}
