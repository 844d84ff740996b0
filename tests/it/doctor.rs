//! `quantgate doctor` against endpoints on the loopback: what it says, what it exits with, and what it never says.

use std::process::Command;

use serde_json::{Value, json};

use crate::bench::{Bench, Ended};
use crate::loopback::{Loopback, Received, Script};

const KEY: &str = "qg-recognisable-Zk3q9T7vB1xW5yR8nM2p";

/// A whole answer of chat completions, with the members that OpenAI's specification requires.
fn completion(model: &str) -> String {
    let message = json!({"role": "assistant", "content": "four \u{1b}[2J\nlegs", "refusal": null});
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 30, "completion_tokens": 4, "total_tokens": 34});
    json!({"id": "c1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage})
        .to_string()
}

/// A service that lists one model and answers everything with it.
fn service(headers: &'static [(&'static str, &'static str)]) -> Loopback {
    Loopback::start(move |request: &Received| match request.path.as_str() {
        "/v1/models" => Script::json(200, json!({"object": "list", "data": [{"id": "m-2411", "object": "model"}]}).to_string()),
        "/v1/chat/completions" => Script::json_with(200, headers, completion("m-2411")),
        _ => Script::json(404, json!({"error": {"message": "no such path", "type": "invalid_request_error"}}).to_string()),
    })
}

/// A bench with one chat task, whose canary and variant have these keys.
fn bench(canary: &str, variant: &str) -> Bench {
    let bench = Bench::new("doctor");
    bench.write("data.jsonl", "{\"id\":\"1\",\"q\":\"How many legs has a cat?\",\"a\":\"four\"}\n");
    let task = "kind = \"chat\"\ndataset = \"data.jsonl\"\nprompt = \"{{ q }}\"\ntarget = \"{{ a }}\"\nmax_tokens = 8\n";
    bench.write("suite.toml", &format!("name = \"s\"\n[[task]]\nname = \"t\"\n{task}"));
    let subjects = format!("[canary]\n{canary}\n\n[[variant]]\nname = \"small\"\n{variant}\n");
    bench.write("quantgate.toml", &format!("name = \"d\"\nsuites = [\"suite.toml\"]\n{subjects}\n[policy]\nmargin = \"5pp\"\n"));
    bench
}

fn doctor(bench: &Bench, more: &[&str]) -> (i32, String, String) {
    let mut command: Command = bench.binary();
    let ended = Ended(command.arg("doctor").args(more).env("MY_KEY", KEY).output().expect("the binary starts"));
    (ended.code(), String::from_utf8_lossy(&ended.0.stdout).into_owned(), ended.complaint())
}

/// A subject of an engine at a server.
fn at(engine: &str, server: &Loopback, more: &str) -> String {
    format!("engine = \"{engine}\"\nbase_url = \"{}/v1\"\nmodel = \"m-2411\"\nkey_env = \"MY_KEY\"\n{more}", server.url())
}

#[test]
fn each_subject_is_asked_once_and_every_check_is_a_line_without_the_key() {
    let server = service(&[]);
    let price = "price = { input = 1.0, output = 2.0 }\nrequests_per_minute = 30\nregion = \"eu\"";
    let bench = bench(&at("openai-compatible", &server, price), &at("openai-compatible", &server, ""));
    let (code, said, complaint) = doctor(&bench, &["-q"]);
    assert_eq!((code, said.as_str()), (2, ""), "no such flag: {complaint}");
    let (code, said, complaint) = doctor(&bench, &[]);
    assert_eq!(code, 0, "{said}\n{complaint}");
    let parts = [
        "canary · m-2411 by openai-compatible",
        "path",
        "this machine: nothing leaves it",
        "eu by the plan alone",
        "\"four \\u{1b}[2J\\nlegs\" in",
        "30 tokens read, 4 written",
        "30 requests a minute",
        "about 0.00 at most: 1 requests",
        "the same model at the same address as the canary",
        "a run can start",
    ];
    for part in parts {
        assert!(said.contains(part), "`{part}` should be said in:\n{said}");
    }
    assert!(!said.contains(KEY) && !complaint.contains(KEY), "the key is nowhere");
    let asked = server.log().into_iter().filter(|request| request.path == "/v1/chat/completions").collect::<Vec<_>>();
    assert_eq!(asked.len(), 2, "one request a subject");
    assert!(asked.iter().all(|request| request.header("authorization") == Some(&format!("Bearer {KEY}"))));
}

#[test]
fn the_same_is_there_for_programs() {
    let server = service(&[]);
    let subject = at("openai-compatible", &server, "");
    let (code, said, _) = doctor(&bench(&subject, &subject), &["--json"]);
    let value: Value = serde_json::from_str(&said).expect("it is JSON");
    assert_eq!((code, &value["exit_code"], &value["verdict"]), (0, &json!(0), &json!("doubtful")));
    let checks = value["subjects"][1]["checks"].as_array().expect("a list of checks");
    let answer = checks.iter().find(|check| check["name"] == "answer").expect("it was asked");
    assert_eq!(answer["verdict"], "fine");
}

#[test]
fn a_missing_key_or_model_keeps_a_run_from_starting() {
    let server = service(&[]);
    let keyless = at("openai-compatible", &server, "").replace("MY_KEY", "OTHER_KEY");
    let misspelt = at("mistral", &server, "").replace("m-2411", "m-2412");
    let (code, said, _) = doctor(&bench(&keyless, &misspelt), &[]);
    assert_eq!(code, 2, "{said}");
    for part in ["OTHER_KEY", "has no model `m-2412`", "m-2411", "2 checks keep a run from starting"] {
        assert!(said.contains(part), "`{part}` should be said in:\n{said}");
    }
}

#[test]
fn an_answer_of_another_model_would_make_the_pair_invalid() {
    let server = service(&[("x-litellm-attempted-fallbacks", "1")]);
    let subject = at("litellm", &server, "");
    let (code, said, complaint) = doctor(&bench(&subject, &subject), &[]);
    assert_eq!(code, 4, "{said}\n{complaint}");
    assert!(said.contains("another model answered"), "{said}");
}

#[test]
fn an_endpoint_that_refuses_is_bad_and_the_next_subject_is_still_examined() {
    let refusing = Loopback::start(|_: &Received| {
        Script::json(
            401,
            json!({"error": {"message": format!("Incorrect API key provided: {KEY}"), "code": "invalid_api_key"}}).to_string(),
        )
    });
    let server = service(&[]);
    let (code, said, _) = doctor(&bench(&at("openai-compatible", &refusing, ""), &at("openai-compatible", &server, "")), &[]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("small · m-2411") && said.contains("30 tokens read"), "{said}");
    assert!(!said.contains(KEY), "a key that the service quotes is not passed on:\n{said}");
}
