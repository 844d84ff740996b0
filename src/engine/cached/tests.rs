//! What is kept, what is found, and above all what is not.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use serde_json::Map;

use super::super::scripted::{Faults, ScriptedEngine};
use super::super::store::MOST_BYTES;
use super::*;
use crate::domain::{Answer, ApiSpec, Dialect, Digest, Finish, Generation, Pace, Preset, ScriptedSpec, Target};

fn request(at: usize, seed: u64) -> Request {
    let generation = Generation { max_tokens: 8, stop: Vec::new(), temperature: 0.0, top_p: 1.0, seed, constraint: None };
    Request::Generate { prompt: format!("{at} + 1 ="), generation }
}

fn requests(range: std::ops::Range<usize>) -> Vec<Request> {
    range.map(|at| request(at, 7)).collect()
}

fn api() -> ApiSpec {
    ApiSpec {
        preset: Preset::LlamaServer,
        dialect: Dialect::LlamaCpp,
        base_url: "http://127.0.0.1:8080".to_owned(),
        model: "model".to_owned(),
        key: None,
        region: None,
        project: None,
        api_version: None,
        stream: false,
        batch: false,
        extra: Map::new(),
        omit: Vec::new(),
        headers: BTreeMap::new(),
        tokenizer: None,
        server: None,
    }
}

fn spec() -> EngineSpec {
    EngineSpec::Api(Box::new(api()))
}

fn store(folder: &Path) -> Store {
    Store::open(folder, "build", 1, MOST_BYTES).expect("the store opens")
}

/// A model with these weights: right where its weights say so. Everything else about it is every other model's, too.
fn model(weights: Digest, right_per_mille: u32) -> Arc<ScriptedEngine> {
    let spec = ScriptedSpec { right_per_mille, salt: "a".to_owned(), noise_per_mille: 0 };
    let target = Target::Text(vec!["7".to_owned()]);
    let known = requests(0..100);
    let engine = ScriptedEngine::new(&spec, known.iter().map(|request| (request, &target)));
    Arc::new(engine.with_identity(|identity| {
        identity.weights = weights;
        identity.engine = "llama-server b6999".to_owned();
        identity.details.clear();
    }))
}

fn cached(inner: Arc<dyn Engine>, spec: &EngineSpec, folder: &Path, look: bool) -> Cached {
    Cached::over(inner, spec, &store(folder), look).expect("the store can be read").expect("its content is proven")
}

fn content(text: &str) -> Digest {
    Digest::new(format!("sha256:{text}"))
}

fn texts(replies: &[Result<Reply, Failure>]) -> Vec<&str> {
    replies
        .iter()
        .map(|reply| match &reply.as_ref().expect("it is answered").answer {
            Answer::Text { text, .. } => text.as_str(),
            _ => panic!("a text was asked for"),
        })
        .collect()
}

fn is_cached(reply: &Result<Reply, Failure>) -> bool {
    reply.as_ref().is_ok_and(|reply| reply.served.as_deref().is_some_and(|served| served.cached))
}

#[tokio::test]
async fn two_models_of_one_name_and_different_weights_never_share_an_answer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let asked = requests(0..100);
    let canary = cached(model(content("full"), 1000), &spec(), folder.path(), true);
    let right = canary.answer(&asked).await;
    assert_eq!(texts(&right), vec!["7"; 100]);
    // A cache keyed by name and request alone would give the variant the canary's answers, and a difference of 0 forever.
    let broken = model(content("broken"), 0);
    let variant = cached(Arc::clone(&broken) as Arc<dyn Engine>, &spec(), folder.path(), true);
    let wrong = variant.answer(&asked).await;
    assert!(texts(&wrong).iter().all(|text| *text != "7"), "its own answers, all wrong");
    assert_eq!((variant.found(), broken.times_asked(&asked[0])), (0, 1));
    // Nor the other way round, nor in a later run.
    for (weights, per_mille, expected) in [("full", 1000, true), ("broken", 0, false)] {
        let again = cached(model(content(weights), per_mille), &spec(), folder.path(), true);
        let replies = again.answer(&asked).await;
        assert!(texts(&replies).iter().all(|text| (*text == "7") == expected), "{weights}");
        assert_eq!(again.found(), 100);
    }
}

#[tokio::test]
async fn an_endpoint_that_shows_only_a_name_is_not_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for weights in [Digest::untold(), Digest::named("mistral-large-latest")] {
        let engine = model(weights, 1000);
        let none = Cached::over(engine, &spec(), &store(folder.path()), true).expect("nothing is read");
        assert!(none.is_none());
    }
    let unknown = ScriptedEngine::new(&ScriptedSpec { right_per_mille: 1, salt: String::new(), noise_per_mille: 0 }, []);
    let unknown = unknown.with_identity(|identity| identity.engine = "llama-server".to_owned());
    let none = Cached::over(Arc::new(unknown), &spec(), &store(folder.path()), true).expect("nothing is read");
    assert!(none.is_none(), "another build may answer otherwise");
    let scripted = EngineSpec::Scripted(ScriptedSpec { right_per_mille: 1, salt: String::new(), noise_per_mille: 0 });
    let none = Cached::over(model(content("full"), 1000), &scripted, &store(folder.path()), true).expect("nothing is read");
    assert!(none.is_none(), "a script costs nothing to ask");
}

#[tokio::test]
async fn a_later_run_asks_only_what_is_missing_and_gives_equal_answers_in_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let asked = requests(0..40);
    let some: Vec<Request> = asked.iter().skip(1).step_by(3).cloned().collect();
    let whole = model(content("full"), 600).answer(&asked).await;
    let first = cached(model(content("full"), 600), &spec(), folder.path(), true);
    assert!(first.answer(&some).await.iter().all(|reply| !is_cached(reply)));
    drop(first);
    let engine = model(content("full"), 600);
    let second = cached(Arc::clone(&engine) as Arc<dyn Engine>, &spec(), folder.path(), true);
    let replies = second.answer(&asked).await;
    assert_eq!(texts(&replies), texts(&whole));
    assert_eq!(second.found(), some.len());
    for (request, reply) in asked.iter().zip(&replies) {
        assert_eq!(is_cached(reply), some.contains(request));
        assert_eq!(engine.times_asked(request), u32::from(!some.contains(request)));
    }
    assert!(second.answer(&asked).await.iter().all(is_cached), "now it has all of them");
}

#[tokio::test]
async fn a_run_that_refuses_kept_answers_asks_again_and_keeps_the_new_ones() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let asked = requests(0..10);
    cached(model(content("full"), 0), &spec(), folder.path(), true).answer(&asked).await;
    let fresh = cached(model(content("full"), 1000), &spec(), folder.path(), false);
    assert_eq!(texts(&fresh.answer(&asked).await), vec!["7"; 10]);
    assert_eq!(texts(&fresh.answer(&asked).await), vec!["7"; 10]);
    assert_eq!(fresh.found(), 0);
    let later = cached(model(content("full"), 0), &spec(), folder.path(), true);
    assert_eq!(texts(&later.answer(&asked).await), vec!["7"; 10]);
}

#[tokio::test]
async fn whatever_can_change_an_answer_is_part_of_what_it_is_kept_by() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    cached(model(content("full"), 1000), &spec(), folder.path(), true).answer(&requests(0..1)).await;
    let found = async |engine: Arc<dyn Engine>, spec: &EngineSpec, request: Request| {
        let later = cached(engine, spec, folder.path(), true);
        later.answer(&[request]).await;
        later.found()
    };
    let changed = |change: fn(&mut ApiSpec)| {
        let mut spec = api();
        change(&mut spec);
        EngineSpec::Api(Box::new(spec))
    };
    let same = || model(content("full"), 1000) as Arc<dyn Engine>;
    assert_eq!(found(same(), &spec(), request(0, 7)).await, 1);
    let elsewhere = changed(|spec| spec.base_url = "http://10.0.0.1/v1".to_owned());
    assert_eq!(found(same(), &elsewhere, request(0, 7)).await, 1, "the same content at another address");
    assert_eq!(found(same(), &spec(), request(0, 8)).await, 0, "another seed");
    let others = [
        changed(|spec| spec.dialect = Dialect::OpenaiChat),
        changed(|spec| spec.stream = true),
        changed(|spec| spec.omit.push("seed".to_owned())),
        changed(|spec| drop(spec.extra.insert("top_k".to_owned(), 1.into()))),
        changed(|spec| drop(spec.headers.insert("x-adapter".to_owned(), "b".to_owned()))),
        EngineSpec::Local(crate::domain::LocalSpec::new(crate::domain::ModelSource::Path("m".into()))),
    ];
    for spec in others {
        assert_eq!(found(same(), &spec, request(0, 7)).await, 0, "{spec:?}");
    }
    let identities: [fn(&mut Identity); 4] = [
        |identity| identity.engine = "llama-server b7000".to_owned(),
        |identity| identity.template = Digest::new("blake3:other"),
        |identity| identity.vocabulary = Digest::new("blake3:other"),
        |identity| drop(identity.details.insert("kv".to_owned(), "q8_0".to_owned())),
    ];
    for change in identities {
        let spec_of = ScriptedSpec { right_per_mille: 1000, salt: "a".to_owned(), noise_per_mille: 0 };
        let engine = ScriptedEngine::new(&spec_of, []).with_identity(|identity| {
            *identity = model(content("full"), 1000).identity().clone();
            change(identity);
        });
        assert_eq!(found(Arc::new(engine), &spec(), request(0, 7)).await, 0);
    }
}

#[tokio::test]
async fn failures_are_asked_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let asked = requests(0..20);
    let target = Target::Text(vec!["7".to_owned()]);
    let script = ScriptedSpec { right_per_mille: 1000, salt: "a".to_owned(), noise_per_mille: 0 };
    let faults = Faults { transient_per_mille: 500, times: 1, permanent_per_mille: 0 };
    let engine = ScriptedEngine::new(&script, asked.iter().map(|request| (request, &target))).with_faults(faults);
    let engine: Arc<dyn Engine> = Arc::new(engine);
    let first = cached(Arc::clone(&engine), &spec(), folder.path(), true);
    let failed = first.answer(&asked).await.iter().filter(|reply| reply.is_err()).count();
    assert!(failed > 0 && failed < 20, "{failed} of 20");
    let replies = first.answer(&asked).await;
    assert_eq!(replies.iter().filter(|reply| is_cached(reply)).count(), 20 - failed);
    assert!(replies.iter().all(Result::is_ok), "what failed once was asked again");
}

/// An endpoint that tells something beside its answers: one thing a call.
struct Telling {
    identity: Identity,
    told: Mutex<Vec<Served>>,
}

impl Engine for Telling {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn capabilities(&self) -> Capabilities {
        model(content("full"), 0).capabilities()
    }

    fn answer<'a>(&'a self, requests: &'a [Request]) -> BoxFuture<'a, Vec<Result<Reply, Failure>>> {
        let served = self.told.lock().expect("nothing panics").remove(0);
        let answer = Answer::Text { text: "7".to_owned(), tokens: Vec::new(), finish: Finish::End };
        let reply = Reply { served: Some(Box::new(served)), ..Reply::from(answer) };
        Box::pin(std::future::ready(requests.iter().map(|_| Ok(reply.clone())).collect()))
    }

    fn extents<'a>(&'a self, _: &'a [String]) -> BoxFuture<'a, Vec<Result<Extent, Failure>>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    fn distributions<'a>(&'a self, _: &'a [Passage]) -> BoxFuture<'a, Vec<Result<Distribution, Failure>>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

#[tokio::test]
async fn answers_of_a_fallback_or_of_a_model_with_another_name_are_not_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = || Served {
        model: Some("m-1".to_owned()),
        pace: Some(Pace { first_us: 10, rest_us: 20, tokens: 3 }),
        retries: 2,
        ..Served::default()
    };
    let told = vec![
        own(),
        Served { fallbacks: 1, ..own() },
        Served { model: Some("m-2".to_owned()), ..own() },
        Served { fingerprint: Some("fp_2".to_owned()), ..own() },
        own(),
    ];
    let engine = Telling { identity: model(content("full"), 0).identity().clone(), told: Mutex::new(told) };
    let first = cached(Arc::new(engine), &spec(), folder.path(), true);
    for at in 0..5 {
        first.answer(&requests(at..at + 1)).await;
    }
    let engine = Telling { identity: model(content("full"), 0).identity().clone(), told: Mutex::new(vec![own()]) };
    let later = cached(Arc::new(engine), &spec(), folder.path(), true);
    let replies = later.answer(&requests(0..5)).await;
    assert_eq!(replies.iter().map(is_cached).collect::<Vec<_>>(), [true, false, false, false, true]);
    let served = replies[0].as_ref().expect("it is there").served.clone().expect("it has what was told");
    let expected = Served { model: Some("m-1".to_owned()), cached: true, ..Served::default() };
    assert_eq!(*served, expected, "how long it took then says nothing of now");
}
