//! What is read and said of subjects behind an API.

use std::path::PathBuf;

use insta::assert_snapshot;

use super::Place;
use crate::domain::{ApiSpec, Dialect, EngineSpec, KeySource, Preset, Price, Service};
use crate::engine::api::preset;
use crate::plan::Plan;

/// A plan whose canary and variant are behind an API, with further keys of each; its suite has no perplexity task.
fn place(canary: &str, variant: &str) -> Place {
    let place = Place::new();
    let suite = super::SUITE.split("[[task]]\nname = \"prose\"").next().expect("there is a first task");
    place.write("suite.toml", &suite.replace("\"generate\"", "\"chat\""));
    let plan = format!(
        "name = \"demo\"\nsuites = [\"suite.toml\"]\n\n[canary]\n{canary}\n\n[[variant]]\nname = \"small\"\n{variant}\n\n[policy]\nmargin = \"2pp\"\n"
    );
    place.write("plan.toml", &plan);
    place
}

fn spec(plan: &Plan, at: usize) -> &ApiSpec {
    let EngineSpec::Api(spec) = &plan.subjects[at].engine else { panic!("the subject is behind an API") };
    spec
}

const MISTRAL: &str = "engine = \"mistral\"\nmodel = \"mistral-large-2411\"";

#[test]
fn a_service_needs_no_more_than_its_model() {
    let plan = place(MISTRAL, "engine = \"anthropic\"\nmodel = \"m\"").load();
    let canary = spec(&plan, 0);
    assert_eq!((canary.preset, canary.dialect, canary.model.as_str()), (Preset::Mistral, Dialect::Mistral, "mistral-large-2411"));
    assert!(canary.base_url.starts_with("https://api.mistral.ai"), "{}", canary.base_url);
    assert_eq!(canary.key, Some(KeySource::Env("MISTRAL_API_KEY".into())));
    assert_eq!(spec(&plan, 1).key, Some(KeySource::Env("ANTHROPIC_API_KEY".into())));
    assert!(plan.services.is_empty());
    assert_eq!(plan.spending, None);
}

#[test]
fn every_key_of_a_subject_behind_an_api_is_read() {
    let variant = "\
engine = \"vllm\"
model = \"my/model\"
base_url = \"http://gpu-1:8000/v1/\"
api = \"chat\"
key_file = \"sums.jsonl\"
region = \"eu\"
stream = true
extra = { chat_template_kwargs = { thinking = false }, min_p = 0.0 }
omit = [\"seed\"]
headers = { X-Team = \"a\" }
concurrency = 64
requests_per_minute = 600
tokens_per_minute = 1e6
timeout = \"1.5m\"
hedge = false
price = { input = 2, output = 6.5, cached = 0.2 }";
    let place = place(MISTRAL, variant);
    place.change("plan.toml", "2411\"", "2411\"\nprice = { input = 1, output = 1 }\ntimeout = 20");
    place.change("plan.toml", "[canary]", "[spending]\nlimit = 5.0\n\n[canary]");
    let plan = place.load();
    let spec = spec(&plan, 1);
    assert_eq!((spec.dialect, spec.base_url.as_str()), (Dialect::OpenaiChat, "http://gpu-1:8000/v1"));
    assert_eq!(spec.key, Some(KeySource::File(PathBuf::from("sums.jsonl"))));
    assert_eq!((spec.region.as_deref(), spec.stream, spec.batch), (Some("eu"), true, false));
    assert_eq!(
        serde_json::Value::from(spec.extra.clone()),
        serde_json::json!({"chat_template_kwargs": {"thinking": false}, "min_p": 0.0})
    );
    assert_eq!((spec.omit.as_slice(), spec.headers["x-team"].as_str()), (&["seed".to_owned()][..], "a"));
    let price = Price { input: 2.0, output: 6.5, cached: Some(0.2) };
    let service = Service {
        concurrency: Some(64),
        requests_per_minute: Some(600.0),
        tokens_per_minute: Some(1e6),
        timeout_s: Some(90.0),
        hedge: Some(false),
        price: Some(price),
    };
    assert_eq!(plan.services[&plan.subjects[1].name], service);
    assert_eq!(plan.services[&plan.subjects[0].name].timeout_s, Some(20.0));
    assert_eq!(plan.spending, Some(5.0));
}

#[test]
fn a_dot_goes_into_a_member_and_what_requests_do_not_have_cannot_be_left_out() {
    let cloud = "engine = \"bedrock\"\nmodel = \"m\"\nregion = \"eu-west-3\"\n";
    let good = "omit = [\"inferenceConfig.topP\"]\nextra = { \"additionalModelRequestFields.top_k\" = 1, additionalModelRequestFields = { seed = 7 } }";
    let plan = place(&format!("{cloud}{good}"), MISTRAL).load();
    let spec = spec(&plan, 0);
    assert_eq!(spec.omit, ["inferenceConfig.topP"]);
    let expected = serde_json::json!({"additionalModelRequestFields": {"top_k": 1, "seed": 7}});
    assert_eq!(serde_json::Value::from(spec.extra.clone()), expected);
    for (keys, fault, hint) in [
        ("omit = [\"topP\"]", "`topP` is left out of requests that do not have it", "did you mean `inferenceConfig.topP`?"),
        ("omit = [\"inferenceConfig.top\"]", "do not have it", "did you mean `inferenceConfig.topP`?"),
        ("omit = [\"seed\"]", "`seed` is left out of requests", "remove it from `omit`"),
        ("omit = [\"messages.content\"]", "is part of what is asked", "leave out what a model refuses"),
        ("omit = [\"a.b\"]\nextra = { a = { b = 1 } }", "both in `extra` and in `omit`", "keep one of them"),
        ("extra = { \"a.b\" = 1, a = 2 }", "is in extra twice", "keep one of them"),
        ("extra = { \"a..b\" = 1 }", "is no path", ""),
        ("extra = { \"messages.x\" = 1 }", "is part of what is asked", "remove it"),
    ] {
        let faults = place(&format!("{cloud}{keys}"), MISTRAL).faults();
        assert!(faults.contains(fault) && faults.contains(hint), "{keys}: {faults}");
    }
}

#[test]
fn clouds_are_addressed_by_their_region_and_servers_by_a_file() {
    let vertex = "engine = \"vertex\"\nmodel = \"m@1\"\nregion = \"europe-west4\"\nproject = \"p\"";
    let plan = place("engine = \"bedrock\"\nmodel = \"m\"\nregion = \"eu-west-1\"", vertex).load();
    assert!(spec(&plan, 0).base_url.contains("eu-west-1"), "{}", spec(&plan, 0).base_url);
    assert!(spec(&plan, 1).base_url.contains("europe-west4"), "{}", spec(&plan, 1).base_url);
    let started = "engine = \"llama-server\"\nmodel = \"sums.jsonl\"\nserver = { context = 4096, parallel = 4, threads = 2, kv_cache = \"q8_0\", args = [\"--no-mmap\"] }";
    let command = "engine = \"openai-compatible\"\nmodel = \"m\"\ncommand = [\"serve\", \"--port={port}\", \"m\"]";
    let plan = place(started, command).load();
    let server = spec(&plan, 0).server.as_ref().expect("a server is started");
    assert_eq!((server.context, server.parallel, server.threads), (Some(4096), Some(4), Some(2)));
    assert_eq!((server.kv_cache.as_deref(), server.args.as_slice()), (Some("q8_0"), &["--no-mmap".to_owned()][..]));
    assert_eq!((server.model.clone(), server.command.len()), (Some(PathBuf::from("sums.jsonl")), 0));
    assert_eq!((spec(&plan, 0).base_url.as_str(), spec(&plan, 1).base_url.as_str()), ("", ""));
    assert_eq!(spec(&plan, 1).server.as_ref().map(|server| server.command.len()), Some(3));
    let whole = "engine = \"vllm\"\nmodel = \"m\"\nserver = { command = [\"vllm\", \"{model}\", \"{port}\"], threads = 2 }";
    let own = "engine = \"llama-server\"\nmodel = \"sums.jsonl\"\ncommand = [\"/opt/llama-server\"]";
    let faults = place(own, whole).faults();
    assert!(faults.contains("`threads` means nothing beside a command of one's own"), "{faults}");
    assert!(faults.contains("there is no model m") && !faults.contains("has no {port}"), "{faults}");
    let running = "engine = \"llama-server\"\nmodel = \"any\"\nbase_url = \"http://127.0.0.1:8080\"";
    assert_eq!(spec(&place(running, running).load(), 0).server, None);
}

#[test]
fn every_fault_of_a_subject_is_told_at_once() {
    let canary = "\
engine = \"mistral\"
base_url = \"https://me:secretword@api.mistral.ai/v1\"
api = \"chatt\"
regoin = \"eu\"
api_version = \"1\"
command = [\"serve\"]
concurrency = 0
requests_per_minute = -1
timeout = \"90 parsecs\"
price = { input = -1 }
stream = true
batch = true";
    let variant = "\
engine = \"openai-compatible\"
model = \"m\"
salt = \"a\"
quantize = \"q4_0\"
batch = true
command = [\"serve\", \"{prot}\"]
server = { context = 1, kv_cache = \"q8_0\", parallel = 0 }
extra = { model = \"other\", stream = true, seed = 1 }
omit = [\"messages\", \"seed\"]
headers = { Host = \"a\", X-A = 1 }";
    assert_snapshot!(place(canary, variant).faults());
}

#[test]
fn a_secret_in_a_plan_is_refused_and_not_repeated() {
    let secret = "Zk3q9T7vB1xW5yR8nM2pL6sD4fG0hJkQ";
    let variant = |keys: &str| format!("engine = \"openai-compatible\"\nbase_url = \"https://host/v1\"\nmodel = \"m\"\n{keys}");
    let ways = [
        format!("api_key = \"{secret}\""),
        format!("token = \"{secret}\""),
        format!("key_env = \"{secret}\""),
        format!("key_file = \"{secret}\""),
        format!("headers = {{ Authorization = \"Bearer {secret}\" }}"),
        format!("headers = {{ x-mine = \"{secret}\" }}"),
        format!("extra = {{ api_key = \"{secret}\" }}"),
        format!("extra = {{ deep = [{{ password = \"{secret}\" }}] }}"),
        format!("apii = \"{secret}\""),
        format!("api = \"{secret}\""),
        format!("api_key = {secret}"),
        format!("base_url = \"https://{secret}@host\""),
        format!("region = \"{secret}\""),
    ];
    for way in ways {
        let text = if way.starts_with("base_url") {
            format!("engine = \"openai-compatible\"\nmodel = \"m\"\n{way}")
        } else {
            variant(&way)
        };
        let said = place(MISTRAL, &text).faults();
        assert!(!said.contains(secret), "{said}");
    }
    assert_snapshot!(place(MISTRAL, &variant("api_key = \"short\"\nheaders = { X-Api-Key = \"q\" }")).faults());
}

#[test]
fn a_key_goes_over_https_or_stays_on_ones_own_network() {
    let variant = "engine = \"vllm\"\nmodel = \"m\"\nkey_env = \"VLLM_KEY\"\nbase_url = \"http://vllm.example.com/v1\"";
    assert_snapshot!(place(MISTRAL, variant).faults());
    place(MISTRAL, &format!("{variant}\ninsecure = true")).load();
    place(MISTRAL, &variant.replace("vllm.example.com", "10.1.2.3:8000")).load();
    place(MISTRAL, &variant.replace("key_env = \"VLLM_KEY\"\n", "")).load();
}

#[test]
fn what_a_service_needs_is_asked_for() {
    assert_snapshot!(place("engine = \"bedrock\"\nmodel = \"m\"", "engine = \"vertex\"\nmodel = \"m\"").faults());
    assert_snapshot!(place("engine = \"azure\"", "engine = \"llama-server\"\nmodel = \"no.gguf\"").faults());
    let spending = place(MISTRAL, "engine = \"ollama\"\nmodel = \"m\"");
    spending.change("plan.toml", "[canary]", "[spending]\nlimit = 0\n\n[canary]");
    assert_snapshot!(spending.faults());
}

#[test]
fn the_digest_follows_the_subject_and_not_how_its_endpoint_is_treated() {
    let variant = "engine = \"vllm\"\nmodel = \"m\"";
    let digest = |more: &str| place(MISTRAL, &format!("{variant}\n{more}")).load().digest;
    let original = digest("");
    let same = [
        "concurrency = 3",
        "requests_per_minute = 10",
        "tokens_per_minute = 10",
        "timeout = 5",
        "hedge = true",
        "price = { input = 1, output = 2 }",
        "key_env = \"OTHER\"",
    ];
    for more in same {
        assert_eq!(digest(more), original, "{more}");
    }
    let different = [
        "api = \"chat\"",
        "base_url = \"http://gpu:8000/v1\"",
        "region = \"eu\"",
        "stream = true",
        "extra = { min_p = 0.1 }",
        "omit = [\"seed\"]",
        "headers = { X-A = \"1\" }",
        "repeats = 2",
    ];
    for more in different {
        assert_ne!(digest(more), original, "{more}");
    }
    let place = place(MISTRAL, variant);
    place.change("plan.toml", "[canary]", "[spending]\nlimit = 5\n\n[canary]");
    place.change("plan.toml", "2411\"", "2411\"\nprice = { input = 1, output = 1 }");
    assert_eq!(place.load().digest, original, "a spending limit");
}

/// The documentation of engines.
const DOCS: &str = include_str!("../../../docs/engines.md");

/// What the documentation's table says of a preset, from what the engines know of it.
fn row(word: &str, preset: Preset) -> String {
    let facts = preset::of(preset);
    let api = |dialect: &Dialect| match dialect {
        Dialect::OpenaiChat => "chat",
        Dialect::OpenaiCompletions => "completions",
        _ => "native",
    };
    let able = |able: fn(&ApiSpec) -> bool| {
        let there = facts.dialects.iter().filter(|dialect| {
            let value = serde_json::json!({"preset": preset, "dialect": dialect, "base_url": "https://host/v1", "model": "m"});
            able(&serde_json::from_value(value).expect("it is a subject"))
        });
        let there: Vec<&str> = there.map(api).collect();
        if there.is_empty() { "no".to_owned() } else { there.join(", ") }
    };
    let yes = |flag: bool| if flag { "yes" } else { "no" };
    let apis: Vec<&str> = facts.dialects.iter().map(api).collect();
    let key = if facts.key_needed { format!("`{}`", facts.key_variable) } else { "`key_env`, if it wants one".to_owned() };
    let (scores, raw) = (able(|spec| preset::scoring(spec) != preset::Scoring::None), able(preset::raw));
    let (tools, jobs, seed) = (yes(facts.tools), yes(facts.batch), yes(facts.seed));
    format!("| `{word}` | {} | {scores} | {raw} | {tools} | {jobs} | {seed} | {key} |", apis.join(", "))
}

#[test]
fn the_documentations_table_says_what_the_presets_can_do() {
    let rows: Vec<String> = Preset::ALL.iter().map(|(word, preset)| row(word, *preset)).collect();
    let missing: Vec<&str> = rows.iter().map(String::as_str).filter(|row| !DOCS.contains(row)).collect();
    assert!(missing.is_empty(), "docs/engines.md lacks\n{}", missing.join("\n"));
}

#[test]
fn every_preset_has_an_example_in_the_documentation_that_loads() {
    let examples: Vec<&str> = DOCS.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let variants: Vec<&str> = examples.into_iter().filter(|text| text.starts_with("[[variant]]")).collect();
    for (word, _) in Preset::ALL {
        assert!(variants.iter().any(|text| text.contains(&format!("engine = \"{word}\""))), "{word} has an example");
    }
    for example in variants {
        let place = place(MISTRAL, "");
        std::fs::create_dir(place.path("models")).expect("a folder can be made");
        place.write("models/my-model-q4_k_m.gguf", "");
        place.change("plan.toml", "[[variant]]\nname = \"small\"", example);
        place.load_with(&crate::plan::Overrides::default()).unwrap_or_else(|faults| panic!("{example}\n{faults}"));
    }
}
