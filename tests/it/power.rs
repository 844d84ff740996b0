//! `quantgate power` on the real binary: the shipped plan, a plan that can never pass, and flips from a finished run.

use serde_json::Value;

use crate::bench::{Bench, Ended};

/// `quantgate power` in a bench, with an empty reports folder unless the arguments name one.
fn power(bench: &Bench, more: &[&str]) -> Ended {
    let mut command = bench.binary();
    command.arg("power").args(more);
    if !more.contains(&"--reports") {
        command.args(["--reports", "nowhere"]);
    }
    Ended(command.output().expect("the binary starts"))
}

fn output(ended: &Ended) -> String {
    String::from_utf8_lossy(&ended.0.stdout).into_owned()
}

fn forecast(ended: &Ended) -> Value {
    serde_json::from_str(&output(ended)).expect("it is JSON")
}

/// The plan that the repository ships.
fn shipped() -> String {
    Bench::repository().join("quantgate.toml").display().to_string()
}

#[test]
fn the_shipped_plan_can_show_its_margins_on_every_task() {
    let bench = Bench::new("power");
    let ended = power(&bench, &[&shipped(), "--json", "--flips", "4%,arithmetic=6%"]);
    assert_eq!(ended.code(), 0, "{}", ended.complaint());
    let forecast = forecast(&ended);
    let tasks = forecast["tasks"].as_array().expect("a list of tasks");
    assert_eq!(tasks.len(), 7, "perplexity does not gate");
    for task in tasks {
        // The published sizes for 2pp at 6 % and at 4 % flips.
        let needed = if task["task"] == "arithmetic" { 982 } else { 695 };
        assert_eq!(task["expected"]["needed"], needed, "{task}");
        assert_eq!((&task["source"]["kind"], &task["never"]), (&"given".into(), &Value::Null), "{task}");
        let (power, more) = (task["expected"]["power"].as_f64(), task["samples"].as_u64() > Some(needed));
        assert!(more && power.is_some_and(|power| (0.79..0.96).contains(&power)), "{task}");
        assert!(task["expected"]["smallest"]["margin"].as_f64().is_some_and(|margin| margin < 0.02), "{task}");
    }
    let product: f64 = tasks.iter().filter_map(|task| task["expected"]["power"].as_f64()).product();
    assert!(forecast["all_pass"].as_f64().is_some_and(|all| (all - product).abs() < 1e-12));
    let text = output(&power(&bench, &[&shipped(), "--flips", "4%"]));
    assert!(text.contains("needed for 80 %") && text.contains("arithmetic"), "{text}");
    assert!(!bench.path("nowhere").exists(), "nothing is run");
}

#[test]
fn a_plan_that_can_never_pass_is_told_and_ends_like_its_run_would() {
    let bench = Bench::new("hopeless");
    let few = power(&bench, &[&shipped(), "--limit", "100"]);
    assert_eq!(few.code(), 3, "{}", few.complaint());
    assert!(output(&few).contains("Can never PASS") && output(&few).contains("133"), "{}", output(&few));
    bench.write("warn.toml", "margin = \"2pp\"\ninconclusive = \"warn\"\n");
    assert_eq!(power(&bench, &[&shipped(), "--limit", "100", "--policy", "warn.toml"]).code(), 0);
    bench.write("loose.toml", "margin = \"5pp\"\n");
    let enough = power(&bench, &[&shipped(), "--limit", "100", "--policy", "loose.toml", "--json", "--loss", "1pp"]);
    assert_eq!(enough.code(), 0, "{}", enough.complaint());
    let first = &forecast(&enough)["tasks"][0];
    assert_eq!((&first["never"], &first["source"]["kind"], &first["loss"]), (&Value::Null, &"assumed".into(), &0.01.into()));
}

#[test]
fn a_word_about_a_task_that_is_not_there_is_refused() {
    let bench = Bench::new("slip");
    let ended = power(&bench, &[&shipped(), "--flips", "arithmetics=4%"]);
    assert_eq!(ended.code(), 2);
    assert!(ended.complaint().contains("did you mean `arithmetic`?"), "{}", ended.complaint());
    assert_eq!(power(&bench, &[&shipped(), "--flips", "4"]).code(), 2, "4 may mean 4 % or everything");
}

#[test]
fn flips_are_those_that_the_newest_finished_run_measured() {
    let bench = Bench::new("history");
    bench.run(&bench.reports("r"), &[]).success_or_verdict();
    let reports = bench.reports("r").display().to_string();
    let ended = power(&bench, &["quantgate.toml", "--reports", &reports, "--json"]);
    assert_eq!(ended.code(), 0, "{}", ended.complaint());
    let forecast = forecast(&ended);
    for task in forecast["tasks"].as_array().expect("a list of tasks") {
        let source = &task["source"];
        assert_eq!(
            (&source["kind"], &source["subject"], &source["pairs"]),
            (&"run".into(), &"q8_0".into(), &12.into()),
            "{task}"
        );
        let (flips, worst) = (task["flips"].as_f64(), task["flips_at_worst"].as_f64());
        assert!(flips.zip(worst).is_some_and(|(flips, worst)| worst > flips + 0.1), "12 pairs say little: {task}");
        let power = |of: &str| task[of]["power"].as_f64();
        assert!(power("at_worst") < power("expected"), "{task}");
    }
    let slice = bench.write("slice.toml", "margin = \"5pp\"\nrule = [{ task = \"numerals\", slice = \"French\" }]\n");
    let sliced = power(&bench, &["quantgate.toml", "--reports", &reports, "--json", "--policy", &slice.display().to_string()]);
    let rows = self::forecast(&sliced)["tasks"].as_array().expect("a list of tasks").clone();
    let part = rows.iter().find(|row| row["slice"] == "French").expect("the slice gates");
    assert_eq!((&part["samples"], &part["source"]["kind"]), (&200.into(), &"run".into()), "{part}");
    let given = power(&bench, &["quantgate.toml", "--reports", &reports, "--flips", "tools=1%"]);
    assert!(output(&given).contains("Flips of tools: as given."), "{}", output(&given));
}

#[test]
fn early_stopping_is_planned_for_with_the_rule_that_will_stop_the_run() {
    let bench = Bench::new("stopping");
    let first = |stopping: &str| {
        bench.write("policy.toml", &format!("margin = \"2pp\"\nstopping = \"{stopping}\"\n"));
        let ended = power(&bench, &[&shipped(), "--flips", "4%", "--json", "--policy", "policy.toml"]);
        assert_eq!(ended.code(), 0, "{}", ended.complaint());
        forecast(&ended)["tasks"][0].clone()
    };
    assert_eq!(first("none")["stopping"], Value::Null);
    let looks = first("group-sequential");
    let of = |task: &Value, key: &str| task["stopping"][key].as_f64().expect("it is simulated");
    assert!((of(&looks, "power") - looks["expected"]["power"].as_f64().expect("a number")).abs() < 0.05, "{looks}");
    assert!((0.6..0.85).contains(&of(&looks, "asked")), "a variant without a loss is asked at most 82 %: {looks}");
    let bets = first("e-process");
    assert!(of(&bets, "power") < of(&looks, "power") - 0.1, "{bets}");
    assert_eq!(bets["stopping"], first("e-process")["stopping"], "equal plans have equal forecasts");
}
