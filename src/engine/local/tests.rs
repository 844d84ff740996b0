//! The engine against a slow decoder of another make, and against itself in other company.

mod shapes;
mod slow;

use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::decoder::Decoder;
use super::encode::{Span, Vocabulary};
use super::score;
use super::{LocalEngine, Settings};
use crate::domain::{Answer, CauseKind, Finish, Generation, Message, Request};
use crate::engine::{Engine as _, Extent, Failure, Passage};
use crate::weights::{Checkpoint, Recipe, RopeOrder, quantize};

/// The demonstration model's folder, for its tokenizer.
const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo");

/// Width, feed-forward size, heads, key heads, head size, layers.
type Shape = [usize; 6];
const SMALL: Shape = [64, 96, 4, 2, 24, 2];

/// Writes a Hugging Face folder with random weights and the demonstration model's tokenizer.
pub(in crate::engine) fn random_model(folder: &Path, shape: Shape) {
    std::fs::create_dir_all(folder).expect("writable");
    damaged_model(folder, shape, |_, _| {});
}

/// The same with some weights changed, by their Hugging Face name.
fn damaged_model(folder: &Path, shape: Shape, damage: impl Fn(&str, &mut Vec<f32>)) {
    let [width, forward, heads, keys, size, layers] = shape;
    for file in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
        std::fs::copy(Path::new(DEMO).join(file), folder.join(file)).expect("the demonstration tokenizer is there");
    }
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": width,
        "intermediate_size": forward, "num_attention_heads": heads, "num_key_value_heads": keys, "head_dim": size,
        "num_hidden_layers": layers, "max_position_embeddings": 96, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "vocab_size": 1024, "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32",
    });
    std::fs::write(folder.join("config.json"), config.to_string()).expect("writable");
    let mut names: Vec<(String, Vec<usize>)> =
        vec![("model.embed_tokens.weight".into(), vec![1024, width]), ("model.norm.weight".into(), vec![width])];
    for layer in 0..layers {
        let parts = [
            ("input_layernorm", vec![width]),
            ("self_attn.q_proj", vec![heads * size, width]),
            ("self_attn.k_proj", vec![keys * size, width]),
            ("self_attn.v_proj", vec![keys * size, width]),
            ("self_attn.o_proj", vec![width, heads * size]),
            ("post_attention_layernorm", vec![width]),
            ("mlp.gate_proj", vec![forward, width]),
            ("mlp.up_proj", vec![forward, width]),
            ("mlp.down_proj", vec![width, forward]),
        ];
        names.extend(parts.map(|(part, shape)| (format!("model.layers.{layer}.{part}.weight"), shape)));
    }
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let tensors = names.into_iter().map(|(name, shape)| {
        let norm = shape.len() == 1;
        let spread = if norm { 0.2 } else { 3.0 / (shape[1] as f32).sqrt() };
        let draw = |_| (random.next_u32() as f32 / u32::MAX as f32 - 0.5) * spread + f32::from(u8::from(norm));
        let mut numbers: Vec<f32> = (0..shape.iter().product::<usize>()).map(draw).collect();
        damage(&name, &mut numbers);
        let tensor = Tensor::from_vec(numbers, shape, &Device::Cpu).expect("the shape holds the numbers");
        (name, tensor)
    });
    let tensors: std::collections::HashMap<String, Tensor> = tensors.collect();
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).expect("writable");
}

fn small_model() -> (tempfile::TempDir, Checkpoint) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    random_model(folder.path(), SMALL);
    let checkpoint = Checkpoint::open(folder.path(), None).expect("the model opens");
    (folder, checkpoint)
}

fn engine() -> LocalEngine {
    LocalEngine::load(small_model().1, &Settings::default()).expect("the model loads")
}

#[test]
fn gguf_and_weights_that_are_read_for_every_pass_give_the_same_logits() {
    let (folder, checkpoint) = small_model();
    let path = folder.path().join("model.gguf");
    quantize(&checkpoint, Recipe::F32, &path, &mut |_, _| ()).expect("it can be written");
    let ids: Vec<u32> = (0..50).map(|i| (i * 29 + 3) % 1024).collect();
    let logits = |checkpoint: Checkpoint, bytes: u64| {
        let decoder = Decoder::within(&Arc::new(checkpoint), &Settings::default(), bytes).expect("the weights are there");
        score::raw(&decoder, &[Span { input: ids.clone(), targets: ids.clone() }]).remove(0).expect("finite").concat()
    };
    let gguf = || Checkpoint::open(&path, None).expect("it opens");
    assert_eq!(gguf().config().rope.order, RopeOrder::Interleaved);
    let original = logits(checkpoint, u64::MAX);
    for other in [logits(gguf(), u64::MAX), logits(gguf(), 0)] {
        let worst = original.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-5, "{worst:e}");
    }
}

/// Requests of every kind whose prompts share beginnings of many lengths.
fn requests() -> Vec<Request> {
    let head = "A few examples first: one is 1; two is 2; three is 3.\n";
    let text = |i: usize| format!("{head}{}Item {}: the garden", "again and ".repeat(i % 4), i % 7);
    let generation = |temperature, seed| {
        let stop = vec!["zz".to_owned()];
        Generation { max_tokens: 20, stop, temperature, top_p: 0.9, seed, constraint: None }
    };
    let options = [" is", " was green", " is not", " of the old church"].map(String::from).to_vec();
    let one = |i: usize| match i % 4 {
        0 => Request::Choice { context: text(i), options: options.clone() },
        1 => Request::Perplexity { text: text(i).repeat(1 + i % 3) },
        2 => Request::Generate { prompt: text(i), generation: generation(0.0, 0) },
        _ => Request::Chat {
            messages: vec![Message { role: "user".into(), content: text(i) }],
            tools: vec![],
            generation: generation(1.3, i as u64),
        },
    };
    (0..32).map(one).collect()
}

fn bits(answer: &Result<Answer, Failure>) -> String {
    // Debug prints the shortest digits that name an f64: equal texts are equal bits.
    format!("{answer:?}")
}

#[test]
fn an_answer_is_the_same_to_the_last_bit_whatever_its_batch_order_and_threads() {
    let engine = engine();
    let requests = requests();
    let alone: Vec<String> =
        requests.iter().map(|request| bits(&engine.inner.answer(std::slice::from_ref(request))[0])).collect();
    assert!(alone.iter().all(|answer| answer.starts_with("Ok")), "{alone:?}");
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let together = pool.install(|| engine.inner.answer(&requests));
        for (i, (alone, together)) in alone.iter().zip(&together).enumerate() {
            assert_eq!(*alone, bits(together), "request {i} with all others on {threads} threads");
        }
    }
    let order: Vec<usize> = (0..requests.len()).map(|i| i * 11 % requests.len()).collect();
    let shuffled: Vec<Request> = order.iter().map(|&i| requests[i].clone()).collect();
    for (&i, answer) in order.iter().zip(engine.inner.answer(&shuffled)) {
        assert_eq!(alone[i], bits(&answer), "request {i} in another order");
    }
}

#[test]
fn choices_follow_the_harness_rule_and_add_up_token_log_probabilities() {
    let engine = engine();
    let vocabulary = &engine.inner.vocabulary;
    let options = ["the church".to_owned(), " church".to_owned()];
    let spaced = vocabulary.options("In the garden of ", &options).expect("fits");
    let moved: Vec<String> = options.iter().map(|option| format!(" {option}")).collect();
    assert_eq!(spaced, vocabulary.options("In the garden of", &moved).expect("fits"));
    let Answer::Choice { options: scores } = engine
        .inner
        .answer(&[Request::Choice { context: "In the garden of ".into(), options: options.to_vec() }])
        .remove(0)
        .expect("answered")
    else {
        panic!("a choice is answered by scores")
    };
    for (span, score) in spaced.iter().zip(&scores) {
        let logits = engine.logits(&span.input).expect("fits");
        let rows: Vec<&[f32]> = logits.chunks(1024).skip(span.input.len() - span.targets.len()).collect();
        let expected: f64 = rows
            .iter()
            .zip(&span.targets)
            .map(|(row, &target)| {
                let total: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
                f64::from(row[target as usize]) - total.ln()
            })
            .sum();
        assert!((score.log_likelihood - expected).abs() < 1e-5, "{} and {expected}", score.log_likelihood);
        assert_eq!(score.tokens as usize, span.targets.len());
    }
    assert_eq!(scores[0].bytes, 10);
    let empty = vocabulary.options("", &options).expect("BOS stands in for the context");
    assert_eq!(empty[0].input[0], 1);
    let refusal = vocabulary.options("a", &["b".into(), String::new()]).expect_err("an empty option");
    assert!(refusal.message.contains("option 2"), "{}", refusal.message);
}

#[test]
fn rolling_windows_score_every_token_once_and_equal_the_distribution() {
    let engine = engine();
    let short = "The old man counts the boats by the church.".to_owned();
    let long = short.repeat(12);
    let windows = engine.inner.vocabulary.windows(&long).expect("has tokens");
    assert!(windows.len() > 1, "longer than the context");
    let scored: Vec<u32> = windows.iter().flat_map(|window| window.targets.clone()).collect();
    let tokens = engine.inner.vocabulary.prompt(&short).expect("fits");
    assert_eq!(scored[..tokens.len() - 1], tokens[1..], "every token from the first on, without BOS");
    assert!(windows.iter().all(|window| window.input.len() <= 96 && window.targets.len() <= window.input.len()));
    assert!(windows.last().is_some_and(|window| window.input.len() == 96), "the last window is filled up");
    let distributions = engine.inner.distributions(&[whole(&long), whole(&short)]);
    for (text, rows) in [long, short].into_iter().zip(distributions) {
        let Answer::Rolling { nll, .. } = engine.inner.answer(&[Request::Perplexity { text }]).remove(0).expect("answered")
        else {
            panic!("a document is answered by its tokens' −ln p")
        };
        let rows = rows.expect("documents of any length have distributions");
        assert_eq!(nll.len(), rows.tokens.len());
        for ((row, &token), nll) in rows.rows.chunks(rows.vocabulary).zip(&rows.tokens).zip(nll) {
            assert!((f64::from(row[token as usize]) + nll).abs() < 1e-6);
            let total: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
            assert!((total - 1.0).abs() < 1e-5, "{total}");
        }
    }
}

fn whole(text: &str) -> Passage {
    Passage { text: text.to_owned(), rows: 0..usize::MAX }
}

#[test]
fn passages_of_a_document_laid_end_to_end_are_the_document_to_the_last_bit() {
    let engine = engine();
    let text = "The old man counts the boats by the church.".repeat(12);
    let whole = engine.inner.distributions(&[whole(&text)]).remove(0).expect("documents of any length have distributions");
    let vocabulary = whole.vocabulary;
    let extent = engine.inner.extents(std::slice::from_ref(&text)).remove(0).expect("it is read");
    assert_eq!(extent, Extent { tokens: whole.tokens.len(), vocabulary });
    for block in [1, 7, 64, 95, 96, 97, 1_000] {
        let mut at = 0;
        while at < extent.tokens {
            let passage = Passage { text: text.clone(), rows: at..at + block };
            let part = engine.inner.distributions(&[passage]).remove(0).expect("a passage has distributions");
            let end = extent.tokens.min(at + block);
            assert_eq!(part.tokens, whole.tokens[at..end]);
            let bits = |rows: &[f32]| rows.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&part.rows), bits(&whole.rows[at * vocabulary..end * vocabulary]), "rows {at}..{end}");
            // One passage of the shortest blocks tells enough.
            at += if block == 1 { 41 } else { block };
        }
    }
    let beyond = Passage { text, rows: extent.tokens..extent.tokens + 5 };
    let beyond = engine.inner.distributions(&[beyond]).remove(0).expect("an empty passage is no fault");
    assert!(beyond.tokens.is_empty() && beyond.rows.is_empty());
}

#[test]
fn greedy_text_is_what_step_by_step_logits_say_and_stop_texts_cut_it_across_tokens() {
    let engine = engine();
    let prompt = "The library".to_owned();
    let generation =
        |stop: Vec<String>| Generation { max_tokens: 12, stop, temperature: 0.0, top_p: 1.0, seed: 0, constraint: None };
    let ask = |stop| {
        let request = Request::Generate { prompt: prompt.clone(), generation: generation(stop) };
        match engine.inner.answer(&[request]).remove(0).expect("answered") {
            Answer::Text { text, tokens, finish } => (text, tokens, finish),
            other => panic!("{other:?}"),
        }
    };
    let (text, tokens, finish) = ask(vec![]);
    assert_eq!((tokens.len(), finish), (12, Finish::Length), "{text:?}");
    let mut ids = engine.inner.vocabulary.prompt(&prompt).expect("fits");
    for &token in &tokens {
        let logits = engine.logits(&ids).expect("fits");
        assert_eq!(super::lanes::first_best(&logits[logits.len() - 1024..]), token);
        ids.push(token);
    }
    // A stop text of which no token has all.
    let (middle, end) = (text.char_indices().nth(text.chars().count() / 2).expect("text").0, text.len());
    let stop = text[middle..end].chars().take(6).collect::<String>();
    let (cut, used, finish) = ask(vec!["never there".into(), stop.clone()]);
    assert_eq!(finish, Finish::Stop);
    assert_eq!(cut, text[..text.find(&stop).expect("it is there")]);
    assert!(used.len() <= tokens.len());
}

#[test]
fn what_cannot_be_answered_fails_alone_and_says_why() {
    let engine = engine();
    let generation = Generation { max_tokens: 3, stop: vec![], temperature: 0.0, top_p: 1.0, seed: 0, constraint: None };
    let words = "one two three four ".repeat(40);
    let answers = engine.inner.answer(&[
        Request::Generate { prompt: words.clone(), generation: generation.clone() },
        Request::Generate { prompt: String::new(), generation: generation.clone() },
        Request::Choice { context: words, options: vec!["a".into(), "b".into()] },
        Request::Perplexity { text: String::new() },
        Request::Chat { messages: vec![Message { role: "tool".into(), content: "x".into() }], tools: vec![], generation },
    ]);
    let kinds: Vec<Option<CauseKind>> = answers.iter().map(|answer| answer.as_ref().err().map(|failure| failure.kind)).collect();
    let refused = Some(CauseKind::Refused);
    assert_eq!(kinds, [refused, None, refused, refused, refused]);
    let message = |i: usize| answers[i].as_ref().expect_err("refused").message.clone();
    assert!(message(0).contains("96") && message(2).contains("96"), "{} / {}", message(0), message(2));
    assert!(message(4).contains("role tool"), "{}", message(4));
}

#[test]
fn weights_that_overflow_are_reported_as_not_a_number() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    damaged_model(folder.path(), SMALL, |name, numbers| {
        if name == "model.norm.weight" {
            numbers.fill(f32::MAX);
        }
    });
    let checkpoint = Checkpoint::open(folder.path(), None).expect("the model opens");
    let engine = LocalEngine::load(checkpoint, &Settings::default()).expect("the model loads");
    for request in requests().into_iter().take(4) {
        let failure = engine.inner.answer(&[request]).remove(0).expect_err("no finite logits");
        assert_eq!(failure.kind, CauseKind::NotANumber);
    }
}

#[test]
fn chat_prompts_have_one_bos_and_end_with_the_assistant_turn() {
    let engine = engine();
    let template = engine.inner.template.as_ref().expect("the tokenizer's folder has one");
    let rendered = template.render(&[Message { role: "user".into(), content: "Hi".into() }], &[]).expect("renders");
    let vocabulary: &Vocabulary = &engine.inner.vocabulary;
    let ids = vocabulary.rendered(&rendered).expect("fits");
    assert_eq!(ids[..2], [1, 5]);
    assert_eq!(ids.last(), Some(&6));
    assert_eq!(ids.iter().filter(|&&id| id == 1).count(), 1);
}

#[test]
fn the_trait_answers_inside_and_outside_of_a_runtime() {
    let engine = engine();
    let requests = [Request::Perplexity { text: "The church".into() }];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let inside = runtime.block_on(engine.answer(&requests));
    let mut outside = engine.answer(&requests);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(outside) = outside.as_mut().poll(&mut context) else { panic!("it has nothing to wait for") };
    assert_eq!(inside, outside);
    assert!(engine.capabilities().chat && engine.capabilities().context == 96);
    assert_eq!(engine.identity().details["arithmetic"], "weights-f32");
}
