//! Tasks whose answers should have a shape: judged by it, or held to it.

use super::Place;
use crate::domain::{Constraint, Request, Sample, Target};
use crate::plan::Plan;

const TASKS: &str = "
name = \"shapes\"

[[task]]
name = \"facts\"
kind = \"generate\"
dataset = \"facts.jsonl\"
prompt = \"{{ q }}\"
KEYS

[[task]]
name = \"sums\"
kind = \"generate\"
dataset = \"sums.jsonl\"
prompt = \"{{ q }}=\"
target = \"{{ a }}\"
";

const ROW: &str = r#"{"id":"1","q":"Who?","age":{"years":3},"days":["Mon","Tue"],"form":{"type":"object"},"tools":[TOOLS]}"#;
const TOOL: &str =
    r#"{"type":"function","function":{"name":"ring","parameters":{"type":"object","properties":{"at":{"type":"string"}}}}}"#;

/// A plan with one task of these keys on one row, and a schema beside it.
fn place(keys: &str) -> Place {
    let place = Place::new();
    place.write("suite.toml", &TASKS.replace("KEYS", keys)).write("age.json", r#"{"type":"object","required":["years"]}"#);
    place.write("wrong.json", r#"{"type":"objekt"}"#).write("facts.jsonl", &ROW.replace("TOOLS", TOOL));
    place
}

fn sample(plan: &Plan) -> &Sample {
    &plan.tasks.iter().find(|planned| planned.task.name.as_str() == "facts").expect("the task is there").samples[0]
}

fn held(plan: &Plan) -> Option<&Constraint> {
    match &sample(plan).request {
        Request::Generate { generation, .. } | Request::Chat { generation, .. } => generation.constraint.as_ref(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn validity_is_asked_freely_and_judged_by_the_shape() {
    let plan = place("schema = \"age.json\"\nscorer = \"valid\"").load();
    let schema = serde_json::json!({"type": "object", "required": ["years"]});
    assert_eq!((held(&plan), &sample(&plan).target), (None, &Target::Shape(Constraint::JsonSchema(schema))));
    assert_eq!(sample(&plan).card().target, r#"JSON of the schema {"type":"object","required":["years"]}"#);
    let plan = place("choices = { field = \"days\" }\nscorer = \"valid\"").load();
    assert_eq!(sample(&plan).target, Target::Shape(Constraint::Choice(vec!["Mon".into(), "Tue".into()])));
}

#[test]
fn a_constrained_task_holds_answers_to_the_shape_and_judges_what_they_say() {
    let plan = place("regex = \"[0-9]+\"\nconstrained = true\ntarget = \"3\"").load();
    assert_eq!(
        (held(&plan), &sample(&plan).target),
        (Some(&Constraint::Regex("[0-9]+".into())), &Target::Text(vec!["3".into()]))
    );
    let keys = "schema = { field = \"form\" }\nconstrained = true\ntarget = \"{{ age | tojson }}\"\nscorer = { kind = \"json\", fields = [\"years\"] }";
    let plan = place(keys).load();
    assert_eq!(held(&plan), Some(&Constraint::JsonSchema(serde_json::json!({"type": "object"}))));
    assert_eq!(sample(&plan).target, Target::Json(serde_json::json!({"years": 3})));
    assert!(plan.warnings.iter().all(|warning| !warning.contains("held")), "{:?}", plan.warnings);
    let set = place("schema = \"age.json\"\nconstrained = true\ntarget = \"3\"\nscorer = \"json\"");
    set.write("age.json", r#"{"type":"array","items":{"type":"integer"},"uniqueItems":true}"#);
    let warning = "answers of `facts` are not held to all of their schema: `uniqueItems`: a list may have the same item twice";
    assert!(set.load().warnings.iter().any(|told| told == warning));
}

#[test]
fn a_tools_task_needs_no_schema_beside_its_tools() {
    let tools = |keys: &str| {
        let place = place(keys);
        place.change("suite.toml", "\"generate\"", "\"tools\"");
        place
    };
    let plan = tools("scorer = \"valid\"").load();
    let call = serde_json::json!({"anyOf": [{
        "type": "object", "required": ["name", "arguments"], "additionalProperties": false,
        "properties": {
            "name": {"const": "ring"},
            "arguments": {"type": "object", "properties": {"at": {"type": "string"}}, "additionalProperties": false},
        },
    }]});
    assert_eq!((held(&plan), &sample(&plan).target), (None, &Target::Shape(Constraint::JsonSchema(call.clone()))));
    let target = r#"target = '{"name":"ring","arguments":{"at":"noon"}}'"#;
    let plan = tools(&format!("constrained = true\n{target}")).load();
    assert_eq!(held(&plan), Some(&Constraint::JsonSchema(call)));
    assert!(matches!(sample(&plan).target, Target::Call(_)));
    let plan = tools(target).load();
    assert_eq!(held(&plan), None, "without the key all is as ever");
}

#[test]
fn a_shape_that_is_of_no_use_is_refused_at_its_key() {
    let fault = |keys: &str| place(keys).faults();
    let told = [
        (
            "regex = \"(?=a)b\"\nconstrained = true\ntarget = \"3\"",
            "facts.jsonl:1: row `1` gets a shape of its answer that is of no use: look-around",
            9,
        ),
        ("schema = \"none.json\"\nscorer = \"valid\"", "none.json cannot be read", 9),
        ("schema = \"wrong.json\"\nscorer = \"valid\"\n", "it is not a JSON Schema", 9),
        ("schema = { field = \"q\" }\nscorer = \"valid\"", "row `1` has a field `q` that is not a JSON Schema", 9),
        ("choices = { field = \"nix\" }\nscorer = \"valid\"", "row `1` has no field `nix`, which `choices` asks for", 9),
        ("target = \"x\"\nscorer = \"json\"", "row `1` has a target that is not JSON", 9),
        ("choices = [\"a\"]\ntarget = \"a\"", "`choices` is used for nothing", 9),
        ("constrained = true\ntarget = \"a\"", "nothing says what answers are held to", 9),
        ("scorer = \"valid\"", "nothing says what a valid answer is", 9),
        ("regex = \"a\"\nscorer = \"valid\"\nconstrained = true", "is valid, unless it is cut off", 10),
        ("regex = \"a\"\nconstrained = true\nstop = [\"b\"]\ntarget = \"a\"", "a stop text could cut a constrained answer", 11),
        ("regex = \"a\"\nchoices = [\"a\"]\nscorer = \"valid\"", "task `facts` has two shapes of an answer", 10),
        ("regex = \"a\"\nscorer = \"valid\"\ntarget = \"a\"", "`target` means nothing for scorer valid", 11),
    ];
    for (keys, says, line) in told {
        let faults = fault(keys);
        assert!(faults.contains(says) && faults.contains(&format!("suite.toml:{line}:")), "{keys}\n{faults}");
    }
}

#[test]
fn what_a_subject_cannot_be_held_to_is_not_asked_of_it_freely() {
    let place = place("regex = \"a+\"\nconstrained = true\ntarget = \"a\"");
    place.change("plan.toml", "quantize = \"q8_0\"", "engine = \"vllm\"\nmodel = \"m\"");
    let faults = place.faults();
    assert!(faults.contains("task `facts` is answered under a constraint, which q8 (vllm) can't be held to"), "{faults}");
    assert!(faults.contains("scorer = \"valid\" tells how often"), "{faults}");
}
