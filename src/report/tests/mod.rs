//! Whole reports of hand-made runs: snapshots of the text formats, safety, repeatability and a page to look at.

mod evidence;
mod serving;

use std::path::Path;

use super::{Report, html, json, junit, markdown, plot, text, write_all};
use crate::analysis::fixture::{EventKind, Reply, Run};
use crate::domain::{Budget, Role, TaskName, TaskRule, Tolerance};
use crate::gate::decide;

fn report(run: &Run) -> Report {
    let (record, comparisons) = run.compared();
    let decision = decide(&record, &comparisons, &run.policy);
    Report::new(&record, &comparisons, &decision, &run.policy)
}

fn page(report: &Report) -> String {
    html::render(report, &plot::all(report).expect("the plots can be drawn")).expect("the page can be made")
}

/// A number in 0..1 that looks random and is the same each time.
fn hash(subject: &str, task: &str, item: usize) -> f64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in subject.bytes().chain(task.bytes()).chain(item.to_le_bytes()) {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    state ^= state >> 29;
    state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (state >> 11) as f64 / (1_u64 << 53) as f64
}

/// A run like that of the standard suite: four variants, seven tasks.
fn standard() -> Run {
    let mut run = Run::small();
    run.subjects = vec![
        ("canary", Role::Canary),
        ("q8_0", Role::Variant),
        ("q4_k_m", Role::Variant),
        ("q4_0", Role::Variant),
        ("q2_k", Role::Control),
    ];
    run.tasks = vec!["arithmetic", "recall", "numerals", "trace", "tools", "ordering", "capitals"];
    (run.items, run.documents) = (1000, 40);
    run.policy.tolerance = Tolerance::Margin(0.02);
    run.policy.tasks = vec![
        TaskRule { task: TaskName::new("trace"), slice: None, tolerance: Some(Tolerance::Margin(0.03)), gating: None },
        TaskRule { task: TaskName::new("ordering"), slice: None, tolerance: None, gating: Some(false) },
    ];
    run.policy.budgets = vec![
        Budget { metric: "kld.mean".to_owned(), task: None, max: 0.1 },
        Budget { metric: "perplexity.ratio".to_owned(), task: None, max: 1.05 },
    ];
    run.reply = Box::new(|subject, task, item| {
        let skill = 0.72 + 0.24 * hash("", task, 0);
        let canary = hash("canary", task, item) < skill;
        let flips = match subject {
            "q8_0" => 0.006,
            "q4_k_m" => 0.02,
            "q4_0" => 0.05,
            "q2_k" => 0.45,
            _ => 0.0,
        };
        let flip = hash(subject, task, item) < flips * if canary { 1.0 } else { 0.6 } * (0.4 + hash(task, "w", 1));
        if canary == flip { Reply::Wrong } else { Reply::Right }
    });
    run.shift = |subject| match subject {
        "q8_0" => 0.002,
        "q4_k_m" => 0.03,
        "q4_0" => 0.09,
        "q2_k" => 1.1,
        _ => 0.0,
    };
    run
}

#[test]
fn the_terminal_text_of_a_small_run() {
    insta::assert_snapshot!("text_120", text(&report(&Run::small()), 120));
    insta::assert_snapshot!("text_80", text(&report(&Run::small()), 80));
}

#[test]
fn the_terminal_text_keeps_within_narrow_widths_and_breaks_no_number() {
    let mut long = Run::small();
    long.subjects[1].0 = "mistral-7b-q4_k_m";
    long.tasks = vec!["closed-book-recall-of-facts", "capitals"];
    for run in [Run::small(), standard(), long] {
        for width in [40, 50, 80, 100] {
            let text = text(&report(&run), width);
            let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap_or("");
            assert!(widest.chars().count() <= width, "{text}");
            assert!(run.tasks.len() != 2 || text.contains("[−4.31, +4.31]"), "an interval is never broken: {text}");
            assert!(text.contains(run.tasks[0]), "nor is a name: {text}");
            let has_p = text.lines().next().is_some_and(|head| head.split_whitespace().any(|word| word == "p"));
            assert_eq!(has_p, text.contains("p tests a loss"), "{text}");
        }
    }
}

#[test]
fn the_markdown_of_a_small_run() {
    insta::assert_snapshot!("markdown", markdown::render(&report(&Run::small())));
}

#[test]
fn the_results_of_a_small_run() {
    let results = json::render(&report(&Run::small())).expect("results can be written");
    // The last digits of a logarithm are the machine's own.
    insta::with_settings!({ filters => vec![(r"(\d\.\d{9})\d+(e-\d+)?", "$1…$2")] }, {
        insta::assert_snapshot!("results", results);
    });
}

#[test]
fn the_junit_of_a_small_run() {
    insta::assert_snapshot!("junit", junit::render(&report(&Run::small())).expect("JUnit can be written"));
}

#[test]
fn what_a_model_says_is_text_on_the_page() {
    let page = page(&report(&Run::small()));
    assert!(!page.contains("<script"), "no script, neither ours nor a model's");
    assert!(page.contains("script&#62;alert(1)") || page.contains("&lt;script&gt;alert(1)"), "the answer is shown, escaped");
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn names_from_a_plan_are_text_in_plots_page_and_markdown() {
    let mut run = Run::small();
    run.tasks = vec!["<img src=x>", "capitals"];
    let report = report(&run);
    for figure in plot::all(&report).expect("the plots can be drawn") {
        assert!(!figure.svg.contains("<img"), "{}", figure.name);
    }
    assert!(!page(&report).contains("<img"));
    assert!(!markdown::render(&report).contains("| <img"));
}

#[test]
fn a_report_of_nothing_can_be_written_too() {
    let mut run = Run::pair(0, |_, _| Reply::Right);
    run.tasks = Vec::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_all(&report(&run), folder.path()).expect("an empty report can be written");
    write_all(&report(&Run::pair(12, |_, _| Reply::Missing)), folder.path()).expect("a report without scores can be written");
    let empty = report(&Run::pair(12, |_, _| Reply::Missing));
    for text in [text(&empty, 120), markdown::render(&empty)] {
        assert!(!text.contains("1.000") && !text.contains("0/0") && !text.contains("W_FLOOR"), "{text}");
    }
    assert!(markdown::render(&empty).contains("| q4 | arithmetic | 12 of 12 | engine | the engine ran out of memory |"));
    let page = page(&empty);
    assert!(page.contains("<td class=\"num\">12 of 12</td><td>engine</td>"));
    assert!(!page.contains("NaN") && !page.contains("inf"), "no number that is none");
}

#[test]
fn the_same_journal_gives_the_same_bytes() {
    let (one, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let files = write_all(&report(&standard()), one.path()).expect("the report can be written");
    write_all(&report(&standard()), other.path()).expect("the report can be written");
    assert!(files.len() >= 11, "{files:?}");
    for file in files {
        let name = file.strip_prefix(one.path()).expect("files lie in the folder");
        assert_eq!(std::fs::read(&file).ok(), std::fs::read(other.path().join(name)).ok(), "{}", name.display());
    }
    assert!(
        std::fs::read_dir(one.path()).expect("the folder").flatten().all(|f| f.path().extension().is_none_or(|e| e != "tmp"))
    );
}

#[test]
fn two_runs_of_one_plan_differ_in_run_and_timing_only() {
    let value = |late: u64| {
        let mut events = Run::small().events();
        for event in &mut events {
            event.at_ms += late;
            match &mut event.kind {
                EventKind::RunStarted(header) => header.run = format!("run-{late}"),
                EventKind::UnitFinished { micros, .. } => *micros += late,
                _ => {}
            }
        }
        let record = crate::analysis::fold(events).expect("the journal is consistent");
        let comparisons = crate::analysis::Comparisons::of(&record);
        let policy = Run::small().policy;
        let decision = decide(&record, &comparisons, &policy);
        let text = json::render(&Report::new(&record, &comparisons, &decision, &policy)).expect("results can be written");
        let mut value: serde_json::Value = serde_json::from_str(&text).expect("results are JSON");
        let object = value.as_object_mut().expect("results are an object");
        assert!(object.remove("run").is_some() && object.remove("timing").is_some());
        value
    };
    assert_eq!(value(0), value(1000));
}

#[test]
fn the_published_schema_names_every_key_of_the_results() {
    let schema: serde_json::Value = serde_json::from_str(super::SCHEMA).expect("the schema is JSON");
    assert_eq!(schema["$id"], super::SCHEMA_ID);
    for run in [Run::small(), Run::pair(20, |canary, _| if canary { Reply::Right } else { Reply::Missing })] {
        let text = json::render(&report(&run)).expect("results can be written");
        let results: serde_json::Value = serde_json::from_str(&text).expect("results are JSON");
        assert_eq!(results["$schema"], super::SCHEMA_ID);
        check(&schema, &schema, &results, "$");
    }
}

/// A small reader of the part of JSON Schema that the file uses: references, properties, items, required and closed objects.
fn check(root: &serde_json::Value, schema: &serde_json::Value, value: &serde_json::Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("{at}: {name} is not in the schema"));
        return check(root, target, value, at);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let chosen = any.iter().find(|s| (s["type"] == "null") == value.is_null());
        return check(root, chosen.unwrap_or_else(|| panic!("{at}: nothing fits")), value, at);
    }
    if let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object()) {
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(object.contains_key(required.as_str().unwrap_or_default()), "{at}: {required} is missing");
        }
        for (key, inner) in object {
            let inner_schema = properties.get(key).unwrap_or_else(|| panic!("{at}.{key} is not in the schema"));
            check(root, inner_schema, inner, &format!("{at}.{key}"));
        }
    }
    if let (None, Some(object)) = (schema["properties"].as_object(), value.as_object()) {
        object.values().for_each(|inner| check(root, &schema["additionalProperties"], inner, at));
    }
    for inner in value.as_array().into_iter().flatten() {
        check(root, &schema["items"], inner, &format!("{at}[]"));
    }
    let types: Vec<&str> = match &schema["type"] {
        serde_json::Value::String(one) => vec![one],
        serde_json::Value::Array(many) => many.iter().filter_map(|t| t.as_str()).collect(),
        _ => return,
    };
    let is = match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(n) if n.is_u64() && types.contains(&"integer") => "integer",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(text) => {
            let listed = schema["enum"].as_array().is_none_or(|all| all.iter().any(|one| one == text));
            assert!(listed, "{at}: {text} is not one of the schema's");
            "string"
        }
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    };
    assert!(types.contains(&is), "{at}: {value} is not {types:?}");
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "").expect("a file");
    let error = write_all(&report(&Run::small()), &blocked).expect_err("a file is no folder");
    assert!(error.to_string().contains("file") && error.hint().is_some(), "{error}");
}

#[test]
fn a_standard_run_makes_a_page_of_reasonable_size() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/sample-report");
    write_all(&report(&standard()), &folder).expect("the report can be written");
    let bytes = std::fs::metadata(folder.join("report.html")).expect("the page is there").len();
    assert!((50_000..3_000_000).contains(&bytes), "{bytes} bytes");
}
