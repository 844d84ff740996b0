//! Drafts of answers, digests of prompts, seeds.

use super::*;
use crate::domain::{Dialect, Preset};

fn generation(seed: u64) -> Generation {
    Generation { max_tokens: 8, stop: Vec::new(), temperature: 0.0, top_p: 1.0, seed, constraint: None }
}

fn chat(content: &str, tools: Vec<Value>) -> Request {
    let messages = vec![Message { role: "user".into(), content: content.into() }];
    Request::Chat { messages, tools, generation: generation(1) }
}

#[test]
fn a_conversations_digest_depends_on_messages_and_tools_and_on_nothing_else() {
    let digest = |request: &Request| prompt_digest(request).as_str().to_owned();
    let one = digest(&chat("Hi", vec![json!({"a": 1, "b": {"c": 2, "d": 3}})]));
    let other_order = digest(&chat("Hi", vec![json!({"b": {"d": 3, "c": 2}, "a": 1})]));
    assert_eq!(one, other_order);
    assert!(one.starts_with("chat:blake3:"), "{one}");
    assert_ne!(one, digest(&chat("Hi!", vec![json!({"a": 1, "b": {"c": 2, "d": 3}})])));
    assert_ne!(one, digest(&chat("Hi", vec![json!({"a": 1, "b": {"c": 2, "d": 4}})])));
    let mut hotter = chat("Hi", vec![]);
    if let Request::Chat { generation, .. } = &mut hotter {
        generation.temperature = 1.0;
    }
    assert_eq!(digest(&hotter), digest(&chat("Hi", vec![])));
}

#[test]
fn a_prompt_that_goes_out_as_a_message_has_the_digest_of_that_conversation() {
    let request = Request::Generate { prompt: "Hi".into(), generation: generation(1) };
    let sent =
        |preset, dialect| Ask { spec: &super::super::fixture::spec(preset, dialect, "m", false), request: &request }.prompt();
    assert_eq!(sent(Preset::Openai, Dialect::OpenaiChat), prompt_digest(&chat("Hi", vec![])));
    let raw = sent(Preset::Vllm, Dialect::OpenaiCompletions);
    assert_eq!(raw.as_str(), format!("text:blake3:{}", blake3::hash(b"Hi").to_hex()));
}

#[test]
fn seeds_fit_into_31_bits_and_small_ones_stay() {
    assert_eq!(seed(&generation(1234)), 1234);
    assert_eq!(seed(&generation(u64::from(u32::MAX))), 0x7fff_ffff);
    assert_eq!(seed(&generation(1 << 32)), 1);
    assert!(seed(&generation(u64::MAX)) <= 0x7fff_ffff);
}

#[test]
fn an_answer_without_an_end_is_malformed_and_a_filtered_one_is_none() {
    let cut = Draft { text: "Hel".into(), ..Draft::default() }.finish().unwrap_err();
    assert_eq!((cut.kind, cut.retry), (CauseKind::Malformed, RetryClass::Transient));
    let filtered = Draft { filtered: true, finish: Some(Finish::End), ..Draft::default() }.finish().unwrap_err();
    assert_eq!((filtered.kind, filtered.retry), (CauseKind::Filtered, RetryClass::No));
}

#[test]
fn arguments_that_are_no_json_reach_the_scorer_as_they_are() {
    let mut draft = Draft { finish: Some(Finish::End), text: "Let me see.".into(), ..Draft::default() };
    draft.call(0).name = "f".into();
    draft.call(0).arguments = "{\"a\": ".into();
    let Answer::Text { text, .. } = draft.finish().unwrap().answer else { panic!("text") };
    assert_eq!(text, r#"{"name": "f", "arguments": {"a": }"#);
}

#[test]
fn a_text_ends_before_the_first_stop_text_in_it() {
    let read = |text: &str, finish, stops: &[&str]| {
        let mut draft = Draft { text: text.to_owned(), finish, ..Draft::default() };
        draft.cut(&stops.iter().map(|&stop| stop.to_owned()).collect::<Vec<_>>());
        (draft.text, draft.finish)
    };
    let (end, length) = (Some(Finish::End), Some(Finish::Length));
    assert_eq!(read("é4\n\nQ: 5", length, &["Q:", "\n"]), ("é4".to_owned(), Some(Finish::Stop)));
    assert_eq!(read("4", end, &["\n", ""]), ("4".to_owned(), end));
    assert_eq!(read("\n4", end, &["\n"]), (String::new(), Some(Finish::Stop)));
    // A response that broke off stays one, whatever its text holds.
    assert_eq!(read("4\n", None, &["\n"]), ("4".to_owned(), None));
}
