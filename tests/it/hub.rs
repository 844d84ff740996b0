//! Models from the Hugging Face Hub: a server of its shape on the loopback, and another that stores its large files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quantgate::domain::{EngineSpec, Identity, LocalSpec, ModelSource, Role, Subject};
use quantgate::engine::{HubAccess, HubError, OpenError, Surroundings, open};
use quantgate::weights::{Checkpoint, Recipe, quantize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::loopback::{Close, Loopback, Received, Script};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TOKEN: &str = "hf_recognisable";
const LARGE: usize = 1 << 20;

type Files = BTreeMap<String, Vec<u8>>;

/// How the host of large files fails at its first request for content.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// The connection ends after this many bytes.
    Torn(usize),
    /// One bit is another.
    Flipped,
}

/// The Hub, its storage, and an empty cache.
struct Hub {
    front: Loopback,
    storage: Loopback,
    cache: tempfile::TempDir,
}

impl Hub {
    fn start(files: Files, fault: Fault) -> Self {
        let files = Arc::new(files);
        let stored = Arc::clone(&files);
        let asked = AtomicUsize::new(0);
        let storage = Loopback::start(move |request| store(&stored, request, (&asked, fault)));
        let elsewhere = storage.url();
        let front = Loopback::start(move |request| answer(&files, request, &elsewhere));
        Self { front, storage, cache: tempfile::tempdir().expect("a temporary folder") }
    }

    fn access(&self) -> HubAccess {
        let (endpoint, cache) = (self.front.url(), self.cache.path().to_owned());
        HubAccess { endpoint, cache, token: Some(TOKEN.into()), offline: false }
    }

    /// Opens a model by name.
    fn open(&self, name: &str) -> Result<Identity, OpenError> {
        open_with(name, &self.access())
    }

    /// How often the Hub and its storage were asked.
    fn asked(&self) -> (usize, usize) {
        (self.front.log().len(), self.storage.log().len())
    }

    fn repository(&self) -> PathBuf {
        self.cache.path().join("models--quant--demo")
    }
}

/// Opens a model by name.
fn open_with(name: &str, access: &HubAccess) -> Result<Identity, OpenError> {
    let around = Surroundings { root: Path::new("."), cache: &access.cache, memory: None, hub: Some(access) };
    let subject = subject("canary", ModelSource::Hub(name.to_owned()));
    open(&subject, &subject, around, &mut |_, _| ()).map(|engine| engine.identity().clone())
}

fn subject(name: &str, source: ModelSource) -> Subject {
    let role = if name == "canary" { Role::Canary } else { Role::Variant };
    Subject { name: name.into(), role, engine: EngineSpec::Local(LocalSpec::new(source)), repeats: 1 }
}

/// What a model is known by, where it came from left out.
fn but_for_the_hub(mut identity: Identity) -> Identity {
    identity.details.remove("hub");
    identity
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The Hub itself: a listing by revision, small files by way of another of its own addresses, large ones elsewhere.
fn answer(files: &Files, request: &Received, elsewhere: &str) -> Script {
    let refusal = |status: u16, code: &str| Script::json_with(status, &[("x-error-code", code)], r#"{"error":"no"}"#);
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return refusal(401, "RepoNotFound");
    }
    let path = request.path.replace("%20", " ");
    if let Some(revision) = path.strip_prefix("/api/models/quant/demo/revision/") {
        if !["main", COMMIT, "refs%2Fpr%2F1"].contains(&revision) {
            return refusal(404, "RevisionNotFound");
        }
        let siblings: Vec<_> = files.keys().map(|name| json!({"rfilename": name})).collect();
        return Script::json(200, json!({"id": "quant/demo", "sha": COMMIT, "siblings": siblings}).to_string());
    }
    let (from, redirected) =
        (format!("/quant/demo/resolve/{COMMIT}/"), format!("/api/resolve-cache/models/quant/demo/{COMMIT}/"));
    if let Some(name) = path.strip_prefix(&from) {
        let Some(content) = files.get(name) else { return refusal(404, "EntryNotFound") };
        if content.len() < LARGE {
            let to = format!("{redirected}{}", name.replace(' ', "%20"));
            return Script::whole(307, &[("location", &to), ("x-repo-commit", COMMIT)], "Temporary Redirect");
        }
        let (to, etag) = (format!("{elsewhere}/{}?signature=x", name.replace(' ', "%20")), format!("\"{}\"", sha256(content)));
        let size = content.len().to_string();
        let headers = [("location", &*to), ("x-repo-commit", COMMIT), ("x-linked-etag", &etag), ("x-linked-size", &size)];
        return Script::whole(302, &headers, "Found");
    }
    match path.strip_prefix(&redirected).and_then(|name| files.get(name)) {
        Some(content) => {
            let etag = format!("\"{}\"", &sha256(content)[..40]);
            Script::whole(200, &[("etag", &etag), ("x-repo-commit", COMMIT)], content)
        }
        None => refusal(404, "RepoNotFound"),
    }
}

/// The host of large files: bytes, whole or from a place on.
fn store(files: &Files, request: &Received, (asked, fault): (&AtomicUsize, Fault)) -> Script {
    let path = request.path.replace("%20", " ");
    let name = path.trim_start_matches('/').split('?').next().unwrap_or_default();
    let mut content = files.get(name).expect("only files that are there are sent here").clone();
    let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
    if first && fault == Fault::Flipped {
        content[LARGE / 2] ^= 1;
    }
    let range = request.header("range").map(|range| range.trim_start_matches("bytes=").trim_end_matches('-').to_owned());
    if let Some(from) = range.map(|from| from.parse::<usize>().expect("a range begins with a number")) {
        let told = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
        return Script::whole(206, &[("content-range", &told), ("etag", "\"of-the-storage\"")], &content[from..]);
    }
    let script = Script::whole(200, &[("etag", "\"of-the-storage\"")], &content);
    let Fault::Torn(length) = fault else { return script };
    if !first {
        return script;
    }
    let mut acts = script.acts;
    if let Some(crate::loopback::Act::Send(bytes)) = acts.last_mut() {
        bytes.truncate(bytes.len() - content.len() + length);
    }
    Script { acts, close: Close::End }
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo")
}

/// The demo model's folder.
fn folder() -> Files {
    let entries = fs::read_dir(demo()).expect("it is there").map(|entry| entry.expect("readable").path());
    entries
        .map(|path| {
            (path.file_name().expect("files have names").to_string_lossy().into_owned(), fs::read(&path).expect("readable"))
        })
        .collect()
}

/// The demo model in one file.
fn gguf() -> Files {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.gguf");
    let recipe: Recipe = "q8_0".parse().expect("a recipe");
    quantize(&Checkpoint::open(&demo(), None).expect("a model"), recipe, &path, &mut |_, _| ()).expect("it can be quantized");
    let other = [("README.md", b"a model".to_vec()), ("q4/other.gguf", b"GGUF".to_vec())];
    let files = [("q8/model q8.gguf", fs::read(path).expect("readable"))];
    files.into_iter().chain(other).map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

fn fault(opened: Result<Identity, OpenError>) -> HubError {
    match opened {
        Err(OpenError::Hub { source, .. }) => source,
        other => panic!("the Hub's fault was expected, not {other:?}"),
    }
}

#[test]
fn a_folder_is_fetched_once_is_the_same_model_and_serves_as_a_canary_to_quantize() {
    let hub = Hub::start(folder(), Fault::None);
    let first = hub.open("quant/demo").unwrap();
    assert_eq!(first.details["hub"], format!("quant/demo@{COMMIT}"));
    let here = subject("canary", ModelSource::Path(demo()));
    let around = Surroundings { root: Path::new("."), cache: Path::new("."), memory: None, hub: None };
    let here = open(&here, &here, around, &mut |_, _| ()).unwrap().identity().clone();
    assert_eq!(but_for_the_hub(first.clone()), here);
    let mut fetched: Vec<String> =
        hub.front.log().iter().filter_map(|request| request.path.rsplit('/').next().map(str::to_owned)).collect();
    fetched.sort();
    fetched.dedup();
    let expected =
        ["config.json", "generation_config.json", "main", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
    assert_eq!(fetched, expected, "nothing else is fetched");

    let (front, stored) = hub.asked();
    assert_eq!(stored, 1);
    assert_eq!(hub.open("quant/demo@main").unwrap(), first);
    assert_eq!(hub.asked(), (front + 1, stored), "the Hub is asked for the commit and nothing more");
    assert_eq!(hub.open("quant/demo@refs%2Fpr%2F1").unwrap(), first);

    assert_eq!(fs::read_to_string(hub.repository().join("refs/main")).unwrap(), COMMIT);
    assert_eq!(fs::read_to_string(hub.repository().join("refs/refs/pr/1")).unwrap(), COMMIT);
    let weights = hub.repository().join("snapshots").join(COMMIT).join("model.safetensors");
    let blob = fs::canonicalize(hub.repository().join("blobs").join(sha256(&folder()["model.safetensors"]))).unwrap();
    assert_eq!(fs::canonicalize(weights).unwrap(), blob);

    let access = hub.access();
    let around = Surroundings { root: Path::new("."), cache: hub.cache.path(), memory: None, hub: Some(&access) };
    let canary = subject("canary", ModelSource::Hub("quant/demo".to_owned()));
    let variant = subject("small", ModelSource::Quantize("q8_0".to_owned()));
    let variant = open(&variant, &canary, around, &mut |_, _| ()).unwrap();
    assert_eq!(variant.identity().quantization, "q8_0");
    assert_eq!(hub.asked().1, stored);
}

#[test]
fn one_file_is_fetched_from_where_it_is_stored_without_the_token_and_at_a_commit_needs_nobody_again() {
    let hub = Hub::start(gguf(), Fault::None);
    let mut told = Vec::new();
    let access = hub.access();
    let around = Surroundings { root: Path::new("."), cache: hub.cache.path(), memory: None, hub: Some(&access) };
    let model = subject("canary", ModelSource::Hub("quant/demo/q8/model q8.gguf".to_owned()));
    let engine = open(&model, &model, around, &mut |done, all| told.push((done, all))).unwrap();
    assert_eq!(engine.identity().details["hub"], format!("quant/demo@{COMMIT}/q8/model q8.gguf"));
    assert_eq!(engine.identity().quantization, "q8_0");
    let size = gguf()["q8/model q8.gguf"].len() as u64;
    assert_eq!(told.last(), Some(&(size, size)));
    assert!(hub.storage.log().iter().all(|request| request.header("authorization").is_none()));
    assert_eq!(hub.asked(), (2, 1));
    let again = hub.open(&format!("quant/demo@{COMMIT}/q8/model q8.gguf")).unwrap();
    assert_eq!(&again, engine.identity());
    assert_eq!(hub.asked(), (2, 1), "a commit never changes");
}

#[test]
fn weights_in_several_files_are_those_that_the_index_names() {
    let mut files = folder();
    let weights = files.remove("model.safetensors").unwrap();
    files.insert("model-00001-of-00001.safetensors".to_owned(), weights);
    files.insert("consolidated.safetensors".to_owned(), vec![0; LARGE]);
    let index = json!({"weight_map": {"any": "model-00001-of-00001.safetensors"}});
    files.insert("model.safetensors.index.json".to_owned(), index.to_string().into_bytes());
    let hub = Hub::start(files, Fault::None);
    let model = hub.open("quant/demo@main").unwrap();
    assert_eq!(hub.asked().1, 1);
    let access = HubAccess { offline: true, ..hub.access() };
    assert_eq!(open_with("quant/demo@main", &access).unwrap(), model);
    fs::remove_file(hub.repository().join("snapshots").join(COMMIT).join("model-00001-of-00001.safetensors")).unwrap();
    let missing = fault(open_with("quant/demo@main", &access));
    assert!(matches!(missing, HubError::Unreachable { .. }), "{missing}");
}

#[test]
fn a_file_that_broke_off_goes_on_where_it_ended() {
    let hub = Hub::start(gguf(), Fault::Torn(LARGE));
    let broken = fault(hub.open("quant/demo/q8/model q8.gguf"));
    assert!(matches!(broken, HubError::Unreachable { .. }), "{broken}");
    hub.open("quant/demo/q8/model q8.gguf").unwrap();
    let range = hub.storage.log()[1].header("range").map(str::to_owned).unwrap();
    let from: usize = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
    assert!(0 < from && from <= LARGE, "{range}");
}

#[test]
fn a_damaged_file_is_told_of_removed_and_fetched_anew() {
    let hub = Hub::start(gguf(), Fault::Flipped);
    let damaged = fault(hub.open("quant/demo/q8/model q8.gguf"));
    assert!(matches!(damaged, HubError::Damaged { what: "SHA-256", .. }), "{damaged}");
    assert_eq!(fs::read_dir(hub.repository().join("blobs")).unwrap().count(), 0);
    hub.open("quant/demo/q8/model q8.gguf").unwrap();
    assert_eq!(hub.storage.log()[1].header("range"), None);
}

#[test]
fn without_the_hub_the_cache_is_used_and_what_it_lacks_is_said() {
    let hub = Hub::start(folder(), Fault::None);
    let model = hub.open("quant/demo").unwrap();
    let (access, asked) = (hub.access(), hub.asked());
    let forbidden = HubAccess { offline: true, ..access.clone() };
    assert_eq!(open_with("quant/demo@main", &forbidden).unwrap(), model);
    assert_eq!(hub.asked(), asked);
    let lacking = fault(open_with("quant/other@main", &forbidden)).to_string();
    assert!(lacking.contains("HF_HUB_OFFLINE") && lacking.contains("quant/other@main"), "{lacking}");
    let Hub { front, cache, .. } = hub;
    drop(front);
    assert_eq!(open_with("quant/demo", &access).unwrap(), model);
    let lacking = fault(open_with("quant/demo@v2", &access)).to_string();
    assert!(lacking.contains("cannot be reached") && lacking.contains("quant/demo@v2"), "{lacking}");
    drop(cache);
}

#[test]
fn what_is_not_there_is_named() {
    let hub = Hub::start(gguf(), Fault::None);
    let says = |name: &str, parts: &[&str]| {
        let error = hub.open(name).unwrap_err();
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)) && error.hint().is_some(), "{text}");
    };
    says("quant/none", &["no repository `quant/none`"]);
    says("quant/demo@v9", &["`quant/demo` has no revision `v9`"]);
    says("quant/demo/x.gguf", &["holds no file `x.gguf`", "q4/other.gguf, q8/model q8.gguf"]);
    says("quant/demo", &["holds no config.json", "q4/other.gguf, q8/model q8.gguf"]);
    says("quant", &["`hf://quant` names no repository"]);
    assert_eq!(hub.asked().1, 0);
}

#[test]
fn the_program_reads_where_the_hub_is_and_ends_with_one_sentence_that_keeps_the_token() {
    let hub = Hub::start(gguf(), Fault::None);
    let bench = crate::bench::Bench::new("hub");
    let run = |name: &str, token: &str| {
        let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites/smoke.toml");
        let plan = format!(
            "name = \"hub\"\nsuites = [{suite:?}]\n[canary]\nmodel = \"hf://{name}\"\n[[variant]]\nname = \"v\"\nengine = \"scripted\"\nright_per_mille = 900\n[policy]\nmargin = \"1pp\"\n"
        );
        bench.write("quantgate.toml", &plan);
        let mut command = Command::new(env!("CARGO_BIN_EXE_quantgate"));
        command.arg("run").arg(bench.path("quantgate.toml")).arg("--no-progress").env("HF_ENDPOINT", hub.front.url());
        command.env("HF_HOME", hub.cache.path()).env("HF_TOKEN", token).env_remove("HF_HUB_CACHE").env_remove("HF_HUB_OFFLINE");
        let ended = command.current_dir(hub.cache.path()).output().unwrap();
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned() + &String::from_utf8_lossy(&ended.stdout))
    };
    let (code, said) = run("quant/demo/q8/model q8.gguf", "hf_recognisably_wrong");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("refuses `quant/demo` with status 401") && said.contains("HF_TOKEN"), "{said}");
    assert!(!said.contains("recognisabl"), "{said}");
    // Without the variable, the token is the one that was logged in with.
    fs::write(hub.cache.path().join("token"), format!("{TOKEN}\n")).unwrap();
    let (code, said) = run("quant/none", "");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("subject `canary`: the Hub has no repository `quant/none`"), "{said}");
    assert!(!said.contains("recognisabl"), "{said}");
    let last = hub.front.log().pop().unwrap();
    assert_eq!(last.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
}
