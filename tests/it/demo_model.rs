//! The demonstration model's families, vocabulary and datasets: right, reproducible, and never seen in training.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use minijinja::value::Serde;
use minijinja::{Environment, context};
use rayon::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

#[path = "../../examples/demo_model/datasets.rs"]
mod datasets;
#[path = "../../examples/demo_model/families/mod.rs"]
mod families;
#[path = "../../examples/demo_model/tokenizer.rs"]
mod tokenizer;

use families::{Draw, Example, FAMILIES, Prompt, draw, training_example};

/// What the committed weights and the committed vocabulary were made with.
const SEED: u64 = 1;
const TRAINING_EXAMPLES: u64 = 1_200_000;
const VOCABULARY_EXAMPLES: u64 = 60_000;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn rows(family: &str) -> Vec<Value> {
    let text = fs::read_to_string(repository(&format!("datasets/{family}.jsonl"))).expect("the dataset is committed");
    text.lines().map(|line| serde_json::from_str(line).expect("every line is a JSON object")).collect()
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_else(|| panic!("{} has no text in {field}", row["id"]))
}

/// What a committed row must not share with any training example: the counterpart of `datasets::identity`.
fn asked(family: &str, row: &Value) -> String {
    match family {
        "arithmetic" => format!("{}=", text(row, "question")),
        "recall" => text(row, "context").lines().last().expect("a context has a line").to_owned(),
        "trace" => text(row, "program").to_owned(),
        "tools" => text(row, "request").to_owned(),
        "needle" => text(row, "register").rsplit_once('\n').expect("a register has lines").0.to_owned(),
        "prose" => text(row, "text").to_owned(),
        "numerals" => text(row, "question").replacen("Please write", "Write", 1),
        _ => text(row, "question").to_owned(),
    }
}

#[test]
fn no_row_of_any_dataset_occurs_in_the_whole_training_stream() {
    let held_out: HashMap<&str, HashSet<String>> =
        FAMILIES.iter().map(|&(family, _)| (family, rows(family).iter().map(|row| asked(family, row)).collect())).collect();
    let seen = (0..TRAINING_EXAMPLES).into_par_iter().find_map_any(|index| {
        let (family, example) = training_example(SEED, index, TRAINING_EXAMPLES);
        let asked = datasets::identity(family, &example);
        held_out[family].contains(&asked).then_some((family, index, asked))
    });
    assert_eq!(seen, None, "a training example is also a row of a dataset");
}

#[test]
fn the_identity_of_a_row_is_the_identity_of_the_example_it_was_made_of() {
    // The walk over the training stream proves nothing unless both sides name the same thing.
    for (stream, (family, _)) in (0..).zip(FAMILIES) {
        let committed: HashSet<String> = rows(family).iter().map(|row| asked(family, row)).collect();
        let mut rng = Draw::new(77, stream);
        let found = (0..60_000).any(|_| {
            let example = draw(family, &mut rng, 0.0);
            example.held_out && committed.contains(&datasets::identity(family, &example))
        });
        // Long lists, registers and scenes are too many for two seeds to meet.
        assert!(found || ["needle", "prose", "ordering"].contains(&family), "{family}");
    }
}

#[test]
fn the_generator_writes_the_committed_datasets_and_manifest_byte_for_byte() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut files: Vec<String> = datasets::write(folder.path()).expect("writable").into_iter().map(|(file, _)| file).collect();
    files.push("manifest.toml".into());
    for file in files {
        let made = fs::read(folder.path().join(&file)).expect("written");
        let committed = fs::read(repository("datasets").join(&file)).expect("committed");
        assert!(made == committed, "{file} differs: run `cargo run --release --example demo_model -- data`");
    }
}

#[test]
fn the_manifest_pins_every_dataset_with_its_digest_rows_and_licence() {
    let text = fs::read_to_string(repository("datasets/manifest.toml")).expect("the manifest is committed");
    let manifest: toml::Table = toml::from_str(&text).expect("the manifest is TOML");
    let entries = manifest["dataset"].as_array().expect("a list of datasets");
    assert_eq!(entries.len(), FAMILIES.len());
    for entry in entries {
        let file = entry["file"].as_str().expect("a file name");
        let bytes = fs::read(repository("datasets").join(file)).expect("the file is committed");
        let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        assert_eq!(entry["sha256"].as_str(), Some(digest.as_str()), "{file}");
        let lines = bytes.split(|&byte| byte == b'\n').count() - 1;
        assert_eq!(entry["rows"].as_integer(), i64::try_from(lines).ok(), "{file}");
        assert_eq!(entry["licence"].as_str(), Some("MIT OR Apache-2.0"), "{file}");
    }
}

#[test]
fn every_gating_dataset_has_a_thousand_different_questions_in_balanced_slices() {
    for (family, _) in FAMILIES {
        let rows = rows(family);
        let ids: HashSet<&str> = rows.iter().map(|row| text(row, "id")).collect();
        let questions: HashSet<String> = rows.iter().map(|row| asked(family, row)).collect();
        let expected = if family == "prose" { 250 } else { 1_000 };
        assert_eq!((rows.len(), ids.len(), questions.len()), (expected, expected, expected), "{family}");
        let mut slices: BTreeMap<&str, usize> = BTreeMap::new();
        for row in &rows {
            *slices.entry(text(row, "slice")).or_default() += 1;
        }
        let smallest = slices.values().min().copied().unwrap_or_default();
        assert!(smallest * slices.len() * 4 >= expected, "{family} has a slice of a few rows only: {slices:?}");
    }
}

#[test]
fn the_committed_vocabulary_is_the_one_the_trainer_learns() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tokenizer.json");
    tokenizer::train(&path, SEED, VOCABULARY_EXAMPLES).expect("the vocabulary is learned");
    let committed = fs::read(repository("models/demo/tokenizer.json")).expect("committed");
    assert!(fs::read(path).expect("written") == committed, "models/demo/tokenizer.json differs");
}

#[test]
fn the_corpus_renders_chats_as_the_models_own_template_does() {
    let config = fs::read_to_string(repository("models/demo/tokenizer_config.json")).expect("committed");
    let config: Value = serde_json::from_str(&config).expect("tokenizer_config.json is JSON");
    let mut environment = Environment::new();
    environment.add_function("raise_exception", |message: String| -> Result<String, minijinja::Error> {
        Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, message))
    });
    let template = environment.template_from_str(text(&config, "chat_template")).expect("the template parses");
    let render = |tools: &[Value], messages: Value, open: bool| {
        let (tools, messages) = (minijinja::Value::from(Serde(tools)), minijinja::Value::from(Serde(messages)));
        let values = context! { bos_token => "<s>", tools, messages, add_generation_prompt => open };
        template.render(values)
    };
    let mut rng = Draw::new(7, 0);
    for family in ["numerals", "tools"] {
        for _ in 0..100 {
            let example = draw(family, &mut rng, 0.0);
            let (tools, user) = match &example.prompt {
                Prompt::Chat(user) => (&[][..], user),
                Prompt::Tools(tools, user) => (&tools[..], user),
                Prompt::Plain(_) | Prompt::Document => panic!("{family} is a chat"),
            };
            let segments = example.segments();
            let asked = json!([{ "role": "user", "content": user }]);
            assert_eq!(render(tools, asked, true).expect("renders"), segments[0].0);
            let answered = json!([{ "role": "user", "content": user }, { "role": "assistant", "content": example.answer }]);
            let whole: String = segments.iter().map(|(text, _)| text.as_str()).collect();
            assert_eq!(render(tools, answered, false).expect("renders"), whole);
        }
    }
    assert!(render(&[], json!([{ "role": "judge", "content": "" }]), true).is_err(), "unknown roles are refused");
}

#[test]
fn number_words_are_those_of_the_four_languages() {
    let mut words: HashMap<(String, usize), String> = HashMap::new();
    let mut rng = Draw::new(9, 0);
    while words.len() < 4_000 {
        let example = draw("numerals", &mut rng, 0.0);
        let Prompt::Chat(user) = &example.prompt else { panic!("numerals are chats") };
        let parts: Vec<&str> = user.split(' ').collect();
        words.insert((parts[3].to_owned(), parts[1].parse().expect("a number")), example.answer);
    }
    let well_known = [
        ("French", 0, "zéro"),
        ("French", 21, "vingt et un"),
        ("French", 71, "soixante et onze"),
        ("French", 77, "soixante-dix-sept"),
        ("French", 80, "quatre-vingts"),
        ("French", 81, "quatre-vingt-un"),
        ("French", 91, "quatre-vingt-onze"),
        ("French", 99, "quatre-vingt-dix-neuf"),
        ("French", 100, "cent"),
        ("French", 200, "deux cents"),
        ("French", 201, "deux cent un"),
        ("French", 380, "trois cent quatre-vingts"),
        ("German", 1, "eins"),
        ("German", 16, "sechzehn"),
        ("German", 17, "siebzehn"),
        ("German", 21, "einundzwanzig"),
        ("German", 30, "dreißig"),
        ("German", 101, "einhunderteins"),
        ("German", 777, "siebenhundertsiebenundsiebzig"),
        ("Spanish", 16, "dieciséis"),
        ("Spanish", 22, "veintidós"),
        ("Spanish", 31, "treinta y uno"),
        ("Spanish", 100, "cien"),
        ("Spanish", 101, "ciento uno"),
        ("Spanish", 500, "quinientos"),
        ("Spanish", 999, "novecientos noventa y nueve"),
        ("Italian", 3, "tre"),
        ("Italian", 21, "ventuno"),
        ("Italian", 23, "ventitré"),
        ("Italian", 28, "ventotto"),
        ("Italian", 90, "novanta"),
        ("Italian", 100, "cento"),
        ("Italian", 103, "centotré"),
        ("Italian", 108, "centotto"),
        ("Italian", 180, "centottanta"),
        ("Italian", 200, "duecento"),
        ("Italian", 333, "trecentotrentatré"),
    ];
    for (language, number, expected) in well_known {
        assert_eq!(words[&(language.to_owned(), number)], expected, "{number} in {language}");
    }
    for language in ["French", "German", "Spanish", "Italian"] {
        let all: HashSet<&str> = (0..1_000).map(|n| words[&(language.to_owned(), n)].as_str()).collect();
        assert_eq!(all.len(), 1_000, "two numbers have one name in {language}");
    }
    for row in rows("numerals") {
        let question = asked("numerals", &row);
        let parts: Vec<&str> = question.split(' ').collect();
        assert_eq!(words[&(parts[3].to_owned(), parts[1].parse().expect("a number"))], text(&row, "answer"));
    }
}

#[test]
fn sums_differences_and_products_are_right() {
    for row in rows("arithmetic") {
        let question = text(&row, "question");
        let numbers = |by: char| question.split(by).map(|n| n.parse::<i64>().expect("a number")).collect::<Vec<_>>();
        let (slice, value) = if question.contains('*') {
            ("multiply", numbers('*').iter().product::<i64>())
        } else if question.contains('-') {
            ("subtract", numbers('-')[0] - numbers('-')[1])
        } else {
            (if numbers('+').len() == 3 { "add three" } else { "add" }, numbers('+').iter().sum())
        };
        assert_eq!((slice, value.to_string().as_str()), (text(&row, "slice"), text(&row, "answer")), "{question}");
    }
}

#[test]
fn programs_end_in_the_value_that_is_claimed() {
    for row in rows("trace") {
        let mut values: HashMap<&str, i64> = HashMap::new();
        let lines: Vec<&str> = text(&row, "program").lines().collect();
        let (asked, assignments) = lines.split_last().expect("a program has lines");
        for line in assignments {
            let (name, expression) = line.split_once('=').expect("an assignment");
            let term = |text: &str| text.parse().unwrap_or_else(|_| values[text]);
            let value = if let Some((left, right)) = expression.split_once('+') {
                term(left) + term(right)
            } else if let Some((left, right)) = expression.split_once('-') {
                term(left) - term(right)
            } else {
                term(expression)
            };
            values.insert(name, value);
        }
        assert_eq!(values[asked.trim_end_matches('?')].to_string(), text(&row, "answer"), "{}", row["id"]);
        assert_eq!(["two lines", "three lines", "four lines"][assignments.len() - 2], text(&row, "slice"));
    }
}

#[test]
fn lists_are_sorted_or_reversed() {
    for row in rows("ordering") {
        let (verb, list) = text(&row, "question").trim_end_matches(':').split_once(' ').expect("a verb and a list");
        let mut items: Vec<&str> = list.split(' ').collect();
        match verb {
            "sort" => items.sort_by_key(|item| item.parse::<u32>().expect("a number")),
            _ => items.reverse(),
        }
        assert_eq!((verb, items.join(" ").as_str()), (text(&row, "slice"), text(&row, "answer")), "{}", row["id"]);
    }
}

#[test]
fn registers_hold_the_asked_name_once_with_the_code_that_was_begun() {
    for row in rows("needle") {
        let lines: Vec<&str> = text(&row, "register").lines().collect();
        let (asked, entries) = lines.split_last().expect("a register has lines");
        let (name, begun) = asked.split_once("? ").expect("a name and a digit");
        let entries: Vec<(&str, &str)> = entries.iter().filter_map(|entry| entry.split_once(' ')).collect();
        let codes: Vec<&str> = entries.iter().filter(|(n, _)| *n == name).map(|&(_, code)| code).collect();
        assert_eq!(codes, [format!("{begun}{}", text(&row, "answer"))], "{}", row["id"]);
        let alike = entries.iter().filter(|(_, code)| code.starts_with(begun)).count();
        assert_eq!(["one code begins so", "two codes begin so"][alike - 1], text(&row, "slice"), "{}", row["id"]);
    }
}

#[test]
fn options_are_twelve_and_hold_the_answer_once() {
    let mut facts = HashSet::new();
    for row in rows("recall") {
        let options: Vec<&str> =
            row["options"].as_array().expect("a list").iter().map(|option| option.as_str().expect("a text")).collect();
        assert_eq!(options.iter().collect::<HashSet<_>>().len(), 12, "{}", row["id"]);
        assert_eq!(options.len(), 12, "{}", row["id"]);
        assert!(options.iter().all(|option| option.starts_with(' ')), "{}", row["id"]);
        assert!(options.contains(&format!(" {}", text(&row, "answer")).as_str()), "{}", row["id"]);
        facts.insert(asked("recall", &row));
    }
    assert_eq!(facts.len(), 1_000);
}

#[test]
fn calls_fit_the_tools_on_offer_and_take_their_arguments_from_the_request() {
    for row in rows("tools") {
        let call = &row["call"];
        let tools = row["tools"].as_array().expect("a list");
        let offered: Vec<&Value> = tools.iter().filter(|tool| tool["function"]["name"] == call["name"]).collect();
        assert_eq!((tools.len(), offered.len()), (3, 1), "{}", row["id"]);
        let properties = offered[0]["function"]["parameters"]["properties"].as_object().expect("a schema");
        let arguments = call["arguments"].as_object().expect("an object");
        assert!(arguments.keys().eq(properties.keys()), "{}", row["id"]);
        for (name, value) in arguments {
            assert_eq!(properties[name]["type"] == "integer", value.is_u64(), "{}", row["id"]);
            let shown = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            assert!(text(&row, "request").contains(&shown), "{}: {shown}", row["id"]);
        }
    }
}

#[test]
fn training_draws_are_a_function_of_seed_and_index() {
    let rendered = |example: &Example| example.segments().into_iter().map(|(text, _)| text).collect::<String>();
    for index in [0, 1, 599_999, TRAINING_EXAMPLES - 1] {
        let (first, again) =
            (training_example(SEED, index, TRAINING_EXAMPLES).1, training_example(SEED, index, TRAINING_EXAMPLES).1);
        assert_eq!(rendered(&first), rendered(&again));
        assert_ne!(rendered(&first), rendered(&training_example(SEED + 1, index, TRAINING_EXAMPLES).1));
    }
}
