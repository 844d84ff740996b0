//! Tests of what is remembered: answers are the same with a cold, a warm and a scarce memory, alone and in company.

use super::encode::Vocabulary;
use super::live::{Live, Prompt};
use super::memory::{Limits, Memory};
use super::tests::random_model;
use super::{LocalEngine, Settings};
use crate::domain::{Answer, Finish, Generation, Request};
use crate::engine::{Engine as _, Failure, Passage};
use crate::weights::Checkpoint;

fn engine() -> LocalEngine {
    let folder = tempfile::tempdir().expect("a temporary folder");
    random_model(folder.path(), [64, 96, 4, 2, 24, 2]);
    let checkpoint = Checkpoint::open(folder.path(), None).expect("the model opens");
    LocalEngine::load(checkpoint, &Settings::default()).expect("the model loads")
}

/// Gives the engine an empty memory of another size.
fn limit(engine: &LocalEngine, tokens: usize, pages: usize) {
    let mut memory = engine.inner.memory();
    let limits = Limits { tokens, pages, ..memory.limits };
    *memory = Memory::new(&engine.inner.decoder, limits);
}

fn generation(max_tokens: usize, stop: &[&str]) -> Generation {
    let stop = stop.iter().map(|&stop| stop.to_owned()).collect();
    Generation { max_tokens, stop, temperature: 0.0, top_p: 1.0, seed: 0, constraint: None }
}

/// Choices, documents and texts behind one header, their own parts of many lengths.
fn requests() -> Vec<Request> {
    let head = "One is 1; two is 2; three is 3; four is 4. ";
    let text = |i: usize| format!("{head}{}Item {}: the garden", "again and ".repeat(i % 4), i % 7);
    let options = [" is", " was green", " is not", " of the old church"].map(String::from).to_vec();
    let one = |i: usize| match i % 4 {
        0 | 1 => Request::Choice { context: text(i), options: options.clone() },
        2 => Request::Perplexity { text: text(i).repeat(1 + i % 3) },
        _ => Request::Generate { prompt: text(i), generation: generation(20, &["zz"]) },
    };
    (0..48).map(one).collect()
}

fn answers(engine: &LocalEngine, requests: &[Request]) -> Vec<String> {
    // Debug prints the shortest digits that name an f64: equal texts are equal bits.
    engine.inner.answer(requests).iter().map(|answer| format!("{answer:?}")).collect()
}

#[test]
fn answers_are_the_same_to_the_last_bit_with_a_cold_a_warm_and_a_scarce_memory() {
    let engine = engine();
    let requests = requests();
    let alone: Vec<String> = requests
        .iter()
        .map(|request| {
            limit(&engine, 2_048, 64);
            answers(&engine, std::slice::from_ref(request)).remove(0)
        })
        .collect();
    assert!(alone.iter().all(|answer| answer.starts_with("Ok")), "{alone:?}");
    for (tokens, pages) in [(2_048, 1_000), (2_048, 9), (32, 1_000), (32, 9), (64, 24)] {
        limit(&engine, tokens, pages);
        for batch in [48, 5, 1, 48] {
            let told: Vec<String> = requests.chunks(batch).flat_map(|requests| answers(&engine, requests)).collect();
            for (i, (alone, told)) in alone.iter().zip(&told).enumerate() {
                assert_eq!(alone, told, "request {i} in batches of {batch}, {tokens} tokens a pass, {pages} pages");
            }
        }
    }
}

#[test]
fn what_requests_share_is_computed_once_for_a_task_however_it_is_batched() {
    let engine = engine();
    let requests: Vec<Request> = requests().into_iter().filter(|request| matches!(request, Request::Choice { .. })).collect();
    let vocabulary = &engine.inner.vocabulary;
    let mut sequences: Vec<Vec<u32>> = Vec::new();
    for request in &requests {
        let Request::Choice { context, options } = request else { continue };
        sequences.extend(vocabulary.options(context, options).expect("fits").into_iter().map(|span| span.input));
    }
    sequences.sort();
    let shared = |pair: &[Vec<u32>]| super::forest::shared(&pair[0], &pair[1]);
    let different = sequences.iter().map(Vec::len).sum::<usize>() - sequences.windows(2).map(shared).sum::<usize>();
    let all: usize = sequences.iter().map(Vec::len).sum();
    for (batch, slack) in [(requests.len(), 1), (4, 6), (1, 12)] {
        limit(&engine, 64, 1_000);
        for requests in requests.chunks(batch) {
            answers(&engine, requests);
        }
        let computed = engine.inner.memory().computed;
        // The second time that a beginning comes up, it is kept; a state that is asked for again is computed again.
        let most = different + slack * requests.len();
        assert!(computed <= most, "{computed} rows for {different} different tokens (of {all}) in batches of {batch}");
    }
}

#[test]
fn sixty_four_greedy_answers_are_those_of_each_alone_and_go_on_after_making_room() {
    let engine = engine();
    let request = |i: usize| {
        let prompt = format!("{}The library has {} doors and", "Behind the church. ".repeat(i % 3), i * 7 % 64);
        Request::Generate { prompt, generation: generation(3 + i * 5 % 40, &["door"]) }
    };
    let requests: Vec<Request> = (0..64).map(request).collect();
    let alone: Vec<String> = requests.iter().map(|one| answers(&engine, std::slice::from_ref(one)).remove(0)).collect();
    assert!(alone.iter().all(|answer| answer.starts_with("Ok")), "{alone:?}");
    for (tokens, pages) in [(2_048, 2_000), (48, 2_000), (48, 30), (16, 8)] {
        limit(&engine, tokens, pages);
        assert_eq!(answers(&engine, &requests), alone, "{tokens} tokens a pass, {pages} pages");
        let memory = engine.inner.memory();
        assert_eq!(memory.forest.available(), pages, "everything is given back");
    }
}

#[test]
fn a_context_beyond_the_memory_is_refused_alone_and_one_within_goes_in_blocks() {
    let engine = engine();
    let long = "The old man counts the boats by the church and writes their names in a small book.";
    let requests = [
        Request::Choice { context: long.into(), options: vec![" So".into(), " Then he reads".into()] },
        Request::Perplexity { text: long.repeat(2) },
        Request::Generate { prompt: long.into(), generation: generation(4, &[]) },
        Request::Choice { context: "A".into(), options: vec![" b".into(), " c".into()] },
    ];
    let whole = answers(&engine, &requests);
    assert!(whole.iter().all(|answer| answer.starts_with("Ok")), "{whole:?}");
    limit(&engine, 16, 12);
    assert_eq!(answers(&engine, &requests), whole, "in blocks of sixteen tokens");
    limit(&engine, 16, 3);
    let told = answers(&engine, &requests);
    for (index, told) in told.iter().enumerate().take(3) {
        assert!(told.contains("Refused") && told.contains("--memory"), "request {index}: {told}");
    }
    assert_eq!(told[3], whole[3], "the small one is answered");
    limit(&engine, 16, 12);
    assert_eq!(answers(&engine, &requests), whole, "and nothing is left behind");
}

#[test]
fn passages_of_a_growing_document_stand_on_those_before() {
    let engine = engine();
    let text = "The old man counts the boats by the church and writes their names in a small book.".to_owned();
    let tokens = engine.inner.extents(std::slice::from_ref(&text)).remove(0).expect("it is read").tokens;
    for at in (0..tokens).step_by(8) {
        let passage = Passage { text: text.clone(), rows: at..at + 8 };
        engine.inner.distributions(&[passage]).remove(0).expect("a passage has distributions");
    }
    let computed = engine.inner.memory().computed;
    assert_eq!(computed, tokens, "every token once");
}

/// Writes tokens one after the other; the answer.
fn write(vocabulary: &Vocabulary, tokens: &[u32], generation: &Generation) -> Result<Answer, Failure> {
    let prompt = Prompt { tokens: vec![1], generation, guide: None };
    let mut live = Live::new(vocabulary, 0, prompt);
    for &token in tokens {
        let mut logits = vec![0.0; 1_024];
        logits[token as usize] = 1.0;
        if let Some(answer) = live.take(vocabulary, &logits) {
            return answer;
        }
    }
    panic!("no end after {} tokens", tokens.len());
}

#[test]
fn stop_texts_cut_exactly_across_tokens_characters_of_many_bytes_and_special_tokens() {
    let engine = engine();
    let vocabulary = &engine.inner.vocabulary;
    let text = "Grüße: ☕ und 🦀🦀 naïve Züge, then the church.";
    let prompt = vocabulary.prompt(text).expect("fits");
    let tokens = &prompt[1..];
    assert!(tokens.len() > 20 && tokens.len() > text.split(' ').count() * 2, "characters are cut into bytes");
    for stop in ["ß", "ße: ☕", "☕", "🦀🦀", "🦀 n", "ïve", " Z", "üge", "church", "h.", "."] {
        let Ok(Answer::Text { text: cut, finish, tokens: used }) = write(vocabulary, tokens, &generation(90, &["never", stop]))
        else {
            panic!("{stop:?}: no text")
        };
        let end = text.find(stop).expect("it is there");
        assert_eq!((cut.as_str(), finish), (&text[..end], Finish::Stop), "{stop:?}");
        let enough = (1..=tokens.len()).find(|&n| vocabulary.text(&tokens[..n]).is_ok_and(|text| text.contains(stop)));
        assert_eq!(Some(used.len()), enough, "{stop:?} ends the answer with the token that completes it");
    }
    // A byte that begins no character, and then text.
    let odd: Vec<u32> = [&tokens[tokens.len() - 1..], &prompt[4..5], tokens].concat();
    let full = vocabulary.text(&odd).expect("decodes");
    let Ok(Answer::Text { text: cut, .. }) = write(vocabulary, &odd, &generation(90, &["naïve"])) else { panic!("no text") };
    assert_eq!(cut, full[..full.find("naïve").expect("it is there")]);
    // 5 is <|user|>, 6 <|assistant|>: decoded text shows neither.
    let turn: Vec<u32> = [tokens, &[6, 5]].concat();
    for stop in ["<|user|>", "<|assistant|><|user|>"] {
        let answer = write(vocabulary, &turn, &generation(90, &[stop]));
        let Ok(Answer::Text { text: cut, finish, .. }) = answer else { panic!("{stop}: no text") };
        assert_eq!((cut.as_str(), finish), (text, Finish::Stop), "{stop}");
    }
}

#[test]
fn the_memory_that_is_asked_for_bounds_passes_and_pages() {
    let engine = engine();
    let config_of = |memory: Option<u64>| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        random_model(folder.path(), [64, 96, 4, 2, 24, 2]);
        let checkpoint = Checkpoint::open(folder.path(), None).expect("the model opens");
        Limits::of(&engine.inner.decoder, checkpoint.config(), memory)
    };
    let (usual, small, tiny) = (config_of(Some(512 << 20)), config_of(Some(64 << 20)), config_of(Some(1 << 20)));
    assert!(usual.pages > small.pages && small.pages > 0 && tiny.pages == 0, "{usual:?} {small:?} {tiny:?}");
    assert!(usual.tokens >= small.tokens && small.tokens > tiny.tokens && tiny.tokens >= 32);
    assert!(usual.pages * usual.page_bytes <= 512 << 20 && small.pages * small.page_bytes <= 64 << 20);
    let untold = config_of(None);
    assert_eq!((untold.pages, untold.tokens), (32 * 96 / 16, usual.tokens), "32 whole contexts are enough for a small model");
    assert_eq!(engine.capabilities().context, 96);
}
