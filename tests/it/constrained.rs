//! Answers of the demonstration model that are held to a shape, and the same questions asked freely.

use std::path::{Path, PathBuf};

use quantgate::domain::{Answer, Constraint, Finish, Generation, Request};
use quantgate::engine::Engine as _;
use quantgate::engine::local::{LocalEngine, Settings};
use quantgate::plan::{Overrides, Plan};
use quantgate::weights::Checkpoint;
use serde_json::{Value, json};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn engine() -> LocalEngine {
    let checkpoint = Checkpoint::open(&repository("models/demo"), None).expect("the demonstration model");
    LocalEngine::load(checkpoint, &Settings::default()).expect("it runs in this process")
}

/// The answers to requests that are asked together.
fn ask(engine: &LocalEngine, requests: &[Request]) -> Vec<Result<Answer, String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let replies = runtime.block_on(engine.answer(requests));
    replies.into_iter().map(|reply| reply.map(|reply| reply.answer).map_err(|failure| failure.message)).collect()
}

fn texts(engine: &LocalEngine, requests: &[Request]) -> Vec<(String, Finish)> {
    let read = |answer| match answer {
        Ok(Answer::Text { text, finish, .. }) => (text, finish),
        other => panic!("{other:?}"),
    };
    ask(engine, requests).into_iter().map(read).collect()
}

/// Fifty requests in words.
fn prompts() -> Vec<String> {
    let rows = std::fs::read_to_string(repository("datasets/tools.jsonl")).expect("the dataset is committed");
    let words = |line: &str| {
        let row: Value = serde_json::from_str(line).expect("every line is a JSON object");
        format!("{}\n", row["request"].as_str().expect("a request"))
    };
    rows.lines().take(50).map(words).collect()
}

fn request(prompt: &str, constraint: Option<Constraint>, (temperature, seed): (f64, u64)) -> Request {
    let generation = Generation { max_tokens: 240, stop: vec![], temperature, top_p: 1.0, seed, constraint };
    Request::Generate { prompt: prompt.to_owned(), generation }
}

fn schema() -> Value {
    json!({
        "$defs": {"Tool": {"enum": ["timer", "alarm", "table"], "title": "Tool", "type": "string"}},
        "type": "object", "title": "Call", "additionalProperties": false, "required": ["tool", "minutes", "urgent", "days"],
        "properties": {
            "tool": {"$ref": "#/$defs/Tool"},
            "minutes": {"type": "integer", "minimum": 5, "maximum": 90},
            "urgent": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
            "days": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 7}, "maxItems": 3},
        },
    })
}

#[test]
fn a_constrained_answer_always_has_its_shape_and_a_free_one_mostly_not() {
    let (engine, prompts) = (engine(), prompts());
    let (choice, pattern) = (["Monday", "Monday morning", "no day at all"], r"[A-Z][a-z]{2,7}: [0-9]{1,3}(\.[0-9]{2})? €");
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    let regex = regex::Regex::new(&format!("^(?:{pattern})$")).expect("a regular expression");
    let json = |text: &str| serde_json::from_str(text).is_ok_and(|value| validator.is_valid(&value));
    let shapes = [
        (Constraint::JsonSchema(schema()), &json as &dyn Fn(&str) -> bool),
        (Constraint::Regex(pattern.to_owned()), &|text| regex.is_match(text)),
        (Constraint::Choice(choice.map(String::from).to_vec()), &|text| choice.contains(&text)),
    ];
    let free: Vec<Request> = prompts.iter().map(|prompt| request(prompt, None, (0.0, 0))).collect();
    let free = texts(&engine, &free);
    for (constraint, fits) in shapes {
        for temperature in [0.0, 1.2] {
            let held = prompts.iter().zip(0..);
            let held: Vec<Request> =
                held.map(|(prompt, seed)| request(prompt, Some(constraint.clone()), (temperature, seed))).collect();
            for (text, finish) in texts(&engine, &held) {
                assert_eq!(finish, Finish::End, "{constraint} at {temperature}: {text:?}");
                assert!(fits(&text), "{constraint} at {temperature}: {text:?}");
            }
        }
        let fitting = free.iter().filter(|(text, _)| fits(text)).count();
        println!("{fitting} of {} free answers are {constraint}", free.len());
        assert!(fitting < 10, "{fitting} fit {constraint}");
    }
}

#[test]
fn a_constrained_answer_is_the_same_alone_and_among_64_and_leaves_free_ones_as_they_were() {
    let (engine, prompts) = (engine(), prompts());
    let shape = |i: usize| match i % 4 {
        0 => Some(Constraint::JsonSchema(schema())),
        1 => Some(Constraint::Regex(format!("[a-z]{{3,9}}-[0-9]{{{}}}", 1 + i % 3))),
        2 => Some(Constraint::Choice(vec![format!("item {i}"), "none".to_owned()])),
        _ => None,
    };
    let one = |i: usize| request(&prompts[i % prompts.len()], shape(i), (f64::from(u8::from(i % 8 > 3)), i as u64));
    let requests: Vec<Request> = (0..64).map(one).collect();
    let together = ask(&engine, &requests);
    for (i, (request, together)) in requests.iter().zip(&together).enumerate().step_by(3) {
        assert_eq!(ask(&engine, std::slice::from_ref(request))[0], *together, "request {i}");
    }
    let free: Vec<Request> = requests.into_iter().skip(3).step_by(4).collect();
    let others: Vec<&Result<Answer, String>> = together.iter().skip(3).step_by(4).collect();
    assert_eq!(ask(&engine, &free).iter().collect::<Vec<_>>(), others);
}

#[test]
fn a_constraint_that_cannot_be_enforced_fails_its_own_request_alone() {
    let engine = engine();
    let wrong = request("x", Some(Constraint::Regex("(?=a)b".to_owned())), (0.0, 0));
    let right = request("x", Some(Constraint::Regex("ab".to_owned())), (0.0, 0));
    let answers = ask(&engine, &[wrong, right]);
    let told = "the constraint cannot be enforced: look-around, including look-ahead and look-behind, is not supported";
    assert_eq!(answers[0], Err(told.to_owned()));
    assert!(matches!(&answers[1], Ok(Answer::Text { text, finish: Finish::End, .. }) if text == "ab"), "{:?}", answers[1]);
}

#[test]
fn the_suite_of_the_guide_asks_for_calls_that_are_always_valid_where_they_are_held_to_it() {
    let guide = std::fs::read_to_string(repository("docs/constrained.md")).expect("the guide is there");
    let suite = guide.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("it shows a suite");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let data = repository("datasets").display().to_string();
    std::fs::write(folder.path().join("suite.toml"), suite.replace("../datasets", &data)).expect("writable");
    let plan =
        "name = \"p\"\nsuites = [\"suite.toml\"]\n[canary]\nmodel = \"m\"\n[[variant]]\nname = \"v\"\nquantize = \"q8_0\"\n";
    let plan = plan.replace("\"m\"", &format!("{:?}", repository("models/demo").display().to_string()));
    std::fs::write(folder.path().join("plan.toml"), format!("{plan}[policy]\nmargin = \"2pp\"\n")).expect("writable");
    let overrides = Overrides { limit: Some(24), ..Overrides::default() };
    let plan = Plan::load(&folder.path().join("plan.toml"), &overrides).expect("the plan is good");
    let [free, held] = &plan.tasks[..] else { panic!("two tasks") };
    let requests =
        |task: &quantgate::plan::PlannedTask| task.samples.iter().map(|sample| sample.request.clone()).collect::<Vec<_>>();
    let (free_requests, held_requests) = (requests(free), requests(held));
    assert!(
        held_requests
            .iter()
            .all(|request| matches!(request, Request::Chat { generation, .. } if generation.constraint.is_some()))
    );
    let engine = engine();
    let valid = quantgate::scorer::of(&free.task.scorer);
    let count = |requests: &[Request]| {
        let answers = ask(&engine, requests);
        let scored = free.samples.iter().filter_map(|sample| {
            // The two tasks have their own order of the same rows.
            let place = requests.iter().position(|request| same(request, &sample.request))?;
            Some(valid.score(&sample.target, answers[place].as_ref().ok()?).value)
        });
        scored.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value))
    };
    let (asked, right) = count(&held_requests);
    assert!((right - f64::from(asked)).abs() < 1e-9, "{right} of {asked} constrained answers are valid, not all");
    println!("valid: {:?} freely, {right} of {asked} under the constraint", count(&free_requests));
    assert!(asked > 0);
}

/// Whether two requests put the same question.
fn same(a: &Request, b: &Request) -> bool {
    match (a, b) {
        (Request::Chat { messages: a, .. }, Request::Chat { messages: b, .. }) => a == b,
        _ => false,
    }
}
