//! Reports of subjects behind an API: snapshots of every format, and a page to look at.

use super::{check, page};
use crate::analysis::endpoints::{self, Api, likeliest};
use crate::analysis::fixture::{Reply, Run};
use crate::analysis::{Comparisons, Record, fold};
use crate::domain::{Budget, Origin, Policy, Price, Role, Usage, Verdict};
use crate::gate::decide;
use crate::report::{Report, csv, json, junit, markdown, text, write_all};

/// A canary and two variants behind an API: `q4` is cheaper and slower, a few of its answers come from the cache, and its
/// address tells another region than the plan; `q8` falls back on another model for two answers.
fn api() -> Api {
    let mut run = Run::pair(60, |_, item| if item % 8 == 7 { Reply::Wrong } else { Reply::Right });
    run.subjects = vec![("canary", Role::Canary), ("q4", Role::Variant), ("q8", Role::Variant)];
    run.tasks = vec!["arithmetic", "numerals"];
    let budgets = [("ttft.p95_ratio", 1.2), ("itl.mean_ratio", 2.0), ("output.tokens_ratio", 1.1), ("cost.ratio", 0.8)];
    run.policy.budgets = budgets.map(|(metric, max)| Budget { metric: metric.to_owned(), task: None, max }).into_iter().collect();
    let mut api = Api::of(run);
    api.prices = vec![
        ("canary", Price { input: 2.0, output: 6.0, cached: Some(0.5) }),
        ("q4", Price { input: 0.5, output: 1.5, cached: None }),
        ("q8", Price { input: 1.0, output: 3.0, cached: None }),
    ];
    api.told = Box::new(|subject, task, item, told| {
        let written = 10 + (item as u64 * 7 + subject.len() as u64) % 5;
        told.usage = Some(Usage { prompt: 40, completion: written, cached: if subject == "canary" { 16 } else { 0 } });
        told.cached = subject == "q4" && task == "numerals" && item < 12;
        told.retries = u32::from(subject == "q8" && item % 20 == 3);
        told.fallbacks = u32::from(subject == "q8" && task == "arithmetic" && item >= 58);
        if subject == "q4" && item > 40 {
            told.fingerprint = Some("fp_b".to_owned());
        }
    });
    api.origin = |subject| match subject {
        "q4" => Origin { region: Some("us-east-1".to_owned()), ..endpoints::origin(subject) },
        "q8" => Origin {
            host: "127.0.0.1:8080".to_owned(),
            address: Some("127.0.0.1".to_owned()),
            path: "this machine".to_owned(),
            ..Origin::default()
        },
        _ => endpoints::origin(subject),
    };
    api
}

fn reported(record: &Record, policy: &Policy) -> Report {
    let comparisons = Comparisons::of(record);
    let decision = decide(record, &comparisons, policy);
    Report::new(record, &comparisons, &decision, policy)
}

fn report() -> Report {
    let api = api();
    reported(&api.compared().0, &api.run.policy)
}

#[test]
fn the_terminal_shows_what_answers_took_and_where_they_came_from() {
    let report = report();
    insta::assert_snapshot!("serving_text_120", text(&report, 120));
    insta::assert_snapshot!("serving_text_60", text(&report, 60));
    for width in [40, 50, 80, 100, 120, 200] {
        let text = text(&report, width);
        assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
    }
}

#[test]
fn markdown_tables_and_lists_show_the_same() {
    insta::assert_snapshot!("serving_markdown", markdown::render(&report()));
}

#[test]
fn the_results_hold_all_of_it_and_keep_what_the_next_run_may_differ_in_apart() {
    let text = json::render(&report()).expect("results can be written");
    let mut results: serde_json::Value = serde_json::from_str(&text).expect("results are JSON");
    let schema: serde_json::Value = serde_json::from_str(crate::report::SCHEMA).expect("the schema is JSON");
    check(&schema, &schema, &results, "$");
    let shown = serde_json::json!({
        "served": results["subjects"][1]["served"],
        "services": results["run"]["services"],
        "streaming": results["timing"]["streaming"]["q4"],
    });
    // The last digits of a logarithm are the machine's own.
    insta::with_settings!({ filters => vec![(r"(\d\.\d{9})\d+(e-\d+)?", "$1…$2")] }, {
        insta::assert_snapshot!("serving_results", serde_json::to_string_pretty(&shown).expect("JSON"));
    });
    let object = results.as_object_mut().expect("results are an object");
    assert!(object.remove("run").is_some() && object.remove("timing").is_some());
    let rest = results.to_string();
    // A warning names the host, since its region is why there is one; addresses and issuers are nowhere else.
    assert!(!rest.contains("192.0.2.7") && !rest.contains("Example Trust"), "an address is no result");
}

#[test]
fn junit_has_a_case_for_what_endpoints_told() {
    let junit = junit::render(&report()).expect("JUnit can be written");
    assert!(junit.contains(r#"<testcase name="served" classname="q4"/>"#), "{junit}");
    assert!(
        junit.contains("2 answers of &apos;q8&apos; came from another model") || junit.contains("2 answers of 'q8' came"),
        "{junit}"
    );
}

#[test]
fn the_flat_table_has_tokens_money_and_times_once() {
    let table = String::from_utf8(csv::metrics(&report()).expect("a table")).expect("text");
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("q4,variant,,,")).collect();
    insta::with_settings!({ filters => vec![(r"(\d\.\d{9})\d+(e-\d+)?", "$1…$2")] }, {
        insta::assert_snapshot!("serving_metrics", rows.join("\n"));
    });
    assert_eq!(rows.iter().filter(|row| row.contains(",output.tokens_ratio,")).count(), 1);
}

#[test]
fn the_page_shows_it_and_takes_every_word_for_text() {
    let mut api = api();
    api.origin = |subject| Origin { notes: vec!["<script>alert(1)</script>".to_owned()], ..(self::api().origin)(subject) };
    let page = page(&reported(&api.compared().0, &api.run.policy));
    assert!(page.contains("Where the answers came from") && page.contains("us-east-1, but the plan states eu"));
    assert!(!page.contains("<script"), "a note is text");
    assert!(page.contains("tokens read") && page.contains("Answered by") && page.contains("fp_a (82), fp_b (38)"));
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/report-of-serving");
    write_all(&report(), &folder).expect("the report can be written");
}

#[test]
fn a_run_whose_answers_all_came_from_the_cache_has_a_report_without_times_and_paid_nothing() {
    let mut api = api();
    api.told = Box::new(|_, _, _, told| told.cached = true);
    let report = reported(&api.compared().0, &api.run.policy);
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_all(&report, folder.path()).expect("the report can be written");
    assert!(report.timing.streaming.is_empty() && !page(&report).contains("NaN"));
    let paid: Vec<Option<f64>> = report.run.services.iter().map(|service| service.paid).collect();
    assert_eq!(paid, [Some(0.0); 3]);
    let text = text(&report, 120);
    assert!(text.contains("of which this run paid 0.") && !text.contains("first token"), "{text}");
}

#[test]
fn in_process_nothing_of_it_is_shown() {
    let run = Run::small();
    let report = reported(&run.record(), &run.policy);
    let (results, page) = (json::render(&report).expect("results can be written"), page(&report));
    assert!(!results.contains("served") && !results.contains("services") && !results.contains("streaming"));
    assert!(!page.contains("Serving") && !page.contains("Where the answers came from"));
    assert!(!markdown::render(&report).contains("Serving") && !text(&report, 120).contains("tokens"));
}

#[test]
fn a_lower_bound_of_the_divergence_is_labelled_so_in_every_format() {
    let events = likeliest(40, |subject, item| {
        let p = if subject == "canary" { 0.8 } else { 0.7 + 0.01 * (item % 5) as f64 };
        vec![vec![(1, p.ln() as f32), (2, (0.5 * (1.0 - p)).ln() as f32)]; 40]
    });
    let record = fold(events).expect("the journal is consistent");
    let report = reported(&record, &record.header.policy);
    let text = text(&report, 120);
    let line = text.lines().find(|line| line.starts_with("q4 on prose")).expect("documents have a line");
    assert!(line.contains("KLD at least 0.01") && text.contains("(lower bound from the top 2)"), "{text}");
    assert!(text.contains("kld_bound.mean on prose") && !text.contains("KLD 0"), "{text}");
    assert!(markdown::render(&report).contains("nats (lower bound from the top 2)"));
    assert!(page(&report).contains("<td class=\"num\">≥ 0.01"), "at a glance too");
    assert!(page(&report).contains("Mean divergence at least, nats") && page(&report).contains("Divergence per token, at least"));
    let table = String::from_utf8(csv::metrics(&report).expect("a table")).expect("text");
    assert!(table.contains("q4,variant,prose,,kld_bound.mean,0.01") && !table.contains(",kld.mean,"), "{table}");
    let results: serde_json::Value =
        serde_json::from_str(&json::render(&report).expect("results can be written")).expect("results are JSON");
    let schema: serde_json::Value = serde_json::from_str(crate::report::SCHEMA).expect("the schema is JSON");
    check(&schema, &schema, &results, "$");
    assert_eq!(results["subjects"][1]["distributions"][0]["kld_bound"]["k"], 2);
    assert_eq!(report.subjects[1].findings.iter().find(|f| f.rule == "budget").map(|f| f.verdict), Some(Verdict::Inconclusive));
}
