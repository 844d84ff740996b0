//! `quantgate doctor` against endpoints on the loopback: what it says, what it exits with, and what it never says.

use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

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
        "less than 0.01: 1 request, 30 tokens",
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

/// HMAC with SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with).to_vec();
    let inner = Sha256::digest([pad(0x36), message.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// The `authorization` of a request by the rules of "Create a signed AWS API request" (docs.aws.amazon.com/IAM): canonical
/// request, string to sign, derived key.
fn signature(request: &Received, secret: &str, region: &str) -> String {
    let header = |name: &str| request.header(name).unwrap_or_else(|| panic!("{name} is sent: {request:?}"));
    let names = "content-type;host;x-amz-date;x-amz-security-token";
    let headers: Vec<String> = names.split(';').map(|name| format!("{name}:{}", header(name))).collect();
    let headers = headers.join("\n");
    // A path is encoded once more than it is sent: only `%` is left to be.
    let path = request.path.replace('%', "%25");
    let body = hex(&Sha256::digest(&request.body));
    let canonical = format!("{}\n{path}\n\n{headers}\n\n{names}\n{body}", request.method);
    let (at, day) = (header("x-amz-date"), &header("x-amz-date")[..8]);
    let scope = format!("{day}/{region}/bedrock/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let key = [day, region, "bedrock", "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part.as_bytes()));
    let signature = hex(&hmac(&key, text.as_bytes()));
    format!("AWS4-HMAC-SHA256 Credential=AKIDQGEXAMPLE/{scope}, SignedHeaders={names}, Signature={signature}")
}

#[test]
fn without_an_api_key_requests_to_bedrock_are_signed_with_aws_credentials() {
    const SECRET: &str = "wJalr/recognisable+Secret/EXAMPLEKEY";
    const TOKEN: &str = "IQoJb3JpZ2luX2VjE/recognisable==";
    let server = Loopback::start(|request: &Received| match request.path.as_str() {
        "/model/m.large-2407-v1%3A0/converse" => Script::json(
            200,
            json!({"output": {"message": {"role": "assistant", "content": [{"text": "four"}]}}, "stopReason": "end_turn",
                "usage": {"inputTokens": 9, "outputTokens": 1, "totalTokens": 10}, "metrics": {"latencyMs": 5}})
            .to_string(),
        ),
        _ => Script::json(404, r#"{"message":"no such operation"}"#),
    });
    let cloud = format!("engine = \"bedrock\"\nmodel = \"m.large-2407-v1:0\"\nbase_url = \"{}\"\n", server.url());
    let subject = format!("{cloud}region = \"eu-west-3\"\nomit = [\"inferenceConfig.topP\"]");
    let bench = bench(&subject, &subject);
    let doctor = |variables: &[(&str, &str)]| {
        let mut command: Command = bench.binary();
        for name in ["AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            command.env_remove(name);
        }
        let output = command.arg("doctor").envs(variables.iter().copied()).output().expect("the binary starts");
        let ended = Ended(output);
        (ended.code(), format!("{}{}", String::from_utf8_lossy(&ended.0.stdout), ended.complaint()))
    };
    let id = ("AWS_ACCESS_KEY_ID", "AKIDQGEXAMPLE");
    let (code, said) = doctor(&[]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("neither AWS_BEARER_TOKEN_BEDROCK nor AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"), "{said}");
    let (code, said) = doctor(&[id]);
    assert!(code == 2 && said.contains("AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY"), "{said}");
    let (code, said) = doctor(&[id, ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", TOKEN)]);
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("recognisable"), "{said}");
    let asked: Vec<Received> = server.log().into_iter().filter(|request| request.method == "POST").collect();
    assert_eq!(asked.len(), 2, "one request a subject");
    for request in &asked {
        assert_eq!(request.header("x-amz-security-token"), Some(TOKEN));
        assert_eq!(request.header("authorization"), Some(signature(request, SECRET, "eu-west-3").as_str()));
        let settings = &request.json()["inferenceConfig"];
        assert!(settings.get("temperature").is_some() && settings.get("topP").is_none(), "{settings}");
    }
    assert!(server.log().iter().all(|request| !format!("{request:?}").contains(SECRET)), "the secret is never sent");
    let (code, said) = doctor(&[("AWS_BEARER_TOKEN_BEDROCK", KEY), id, ("AWS_SECRET_ACCESS_KEY", SECRET)]);
    assert_eq!(code, 0, "{said}");
    let last = server.log().pop().expect("it was asked");
    assert_eq!(last.header("authorization"), Some(format!("Bearer {KEY}").as_str()), "an API key comes first");
}
