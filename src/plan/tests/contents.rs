//! What is said of a plan's tasks and rows.

use insta::assert_snapshot;

use super::{Place, SUITE, changed};
use crate::domain::Target;

#[test]
fn a_dataset_that_is_not_what_its_manifest_lists_is_refused() {
    let place = Place::new();
    let entry = "source = \"own\"\nlicence = \"MIT\"\nrevision = \"1\"\nsha256 = \"00ff\"\nrows = 1";
    place.write("manifest.toml", &format!("[[dataset]]\nfile = \"prose.jsonl\"\n{entry}\n"));
    assert_snapshot!(place.faults(), @r#"
    prose.jsonl is not the file that manifest.toml lists: its sha256 is c07692ccb1e8431ccb75cfde1fc84d2f96195c868647777296c0846198241241, listed is 00ff
      --> suite.toml:14:11
       |
    14 | dataset = "prose.jsonl"
       |           ^^^^^^^^^^^^^
       = hint: restore the listed file, or, where the change is meant, write its new sha256 and rows into the manifest
    "#);
}

#[test]
fn a_duplicate_id_is_named_with_both_lines() {
    assert_snapshot!(changed("sums.jsonl", "\"id\":\"s3\"", "\"id\":\"s0\""), @r#"
    sums.jsonl:4: id `s0` is taken: line 1 has it too
     --> suite.toml:6:11
      |
    6 | dataset = "sums.jsonl"
      |           ^^^^^^^^^^^^
      = hint: every row is one JSON object (or CSV record) with an `id` that no other row has
    "#);
}

#[test]
fn an_empty_dataset_is_refused() {
    let place = Place::new();
    place.write("prose.jsonl", "\n");
    assert_snapshot!(place.faults(), @r#"
    prose.jsonl has no rows
      --> suite.toml:14:11
       |
    14 | dataset = "prose.jsonl"
       |           ^^^^^^^^^^^^^
       = hint: a task needs at least one row
    "#);
}

#[test]
fn a_field_that_rows_lack_is_named_once_with_the_first_row() {
    assert_snapshot!(changed("suite.toml", "{{ q }}", "{{ question }}"), @r#"
    sums.jsonl:1: row `s0` has no field `question`, which `prompt` asks for; so in 199 more rows
     --> suite.toml:7:10
      |
    7 | prompt = "{{ question }}="
      |          ^^^^^^^^^^^^^^^^^
      = hint: its fields are id, kind, q, a
    "#);
    assert_snapshot!(changed("sums.jsonl", "\"kind\":\"add\",\"q\":\"5+1\"", "\"q\":\"5+1\""), @r#"
    sums.jsonl:6: row `s5` has no field `kind`, which `slice` asks for
     --> suite.toml:9:9
      |
    9 | slice = "kind"
      |         ^^^^^^
      = hint: its fields are id, q, a
    "#);
}

#[test]
fn a_template_that_is_none_is_refused() {
    assert_snapshot!(changed("suite.toml", "{{ q }}", "{{ q }"), @r#"
    `prompt` is not a template: unexpected `}`, expected end of variable block
     --> suite.toml:7:10
      |
    7 | prompt = "{{ q }="
      |          ^^^^^^^^^
    "#);
    assert_snapshot!(changed("suite.toml", "{{ q }}", "{{ q | shout }}"), @r#"
    sums.jsonl:1: row `s0` cannot be put into `prompt`: unknown filter: filter shout is unknown; so in 199 more rows
     --> suite.toml:7:10
      |
    7 | prompt = "{{ q | shout }}="
      |          ^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn choices_need_at_least_two_options_with_the_target_among_them() {
    let place = Place::new();
    place.write("suite.toml", &SUITE.replace("kind = \"generate\"", "kind = \"choice\""));
    let rows = [
        "{\"id\":\"a\",\"kind\":\"k\",\"q\":\"Q\",\"a\":\"x\",\"options\":[\"x\",\"y\"]}",
        "{\"id\":\"b\",\"kind\":\"k\",\"q\":\"Q\",\"a\":\"z\",\"options\":[\"x\",\"y\"]}",
        "{\"id\":\"c\",\"kind\":\"k\",\"q\":\"Q\",\"a\":\"x\",\"options\":[\"x\"]}",
        "{\"id\":\"d\",\"kind\":\"k\",\"q\":\"Q\",\"a\":\"x\",\"options\":[\"x\",\"x\"]}",
        "{\"id\":\"e\",\"kind\":\"k\",\"q\":\"Q\",\"a\":\"x\",\"options\":\"x\"}",
        "{\"id\":\"f\",\"kind\":\"k\",\"q\":\"Q\",\"a\":\"x\"}",
    ];
    place.write("sums.jsonl", &rows.join("\n"));
    assert_snapshot!(place.faults(), @r#"
    sums.jsonl:2: row `b` has a target that is none of its options
     --> suite.toml:8:10
      |
    8 | target = "{{ a }}"
      |          ^^^^^^^^^
      = hint: its target is "z"; the options are ["x", "y"]

    sums.jsonl:3: row `c` has fewer than two texts in its field `options`
     --> suite.toml:3:1
      |
    3 | [[task]]
      | ^^^^^^^^

    sums.jsonl:4: row `d` has the same text twice in its field `options`
     --> suite.toml:3:1
      |
    3 | [[task]]
      | ^^^^^^^^

    sums.jsonl:5: row `e` has a field `options` that is not a list of texts
     --> suite.toml:3:1
      |
    3 | [[task]]
      | ^^^^^^^^

    sums.jsonl:6: row `f` has no field `options`, which `options` asks for
     --> suite.toml:3:1
      |
    3 | [[task]]
      | ^^^^^^^^
      = hint: its fields are id, kind, q, a
    "#);
    place.write("sums.jsonl", rows[0]);
    let plan = place.load();
    assert_eq!(plan.tasks[0].samples[0].target, Target::Option(0));
    assert_eq!((plan.tasks[0].task.chance, plan.tasks[0].card.chance), (0.5, 0.5), "guessing between two options");
}

#[test]
fn targets_must_suit_their_scorer() {
    let place = Place::new();
    let suite = SUITE.replace("slice = \"kind\"", "scorer = \"number\"");
    place.write("suite.toml", &suite).change("sums.jsonl", "\"a\":1}", "\"a\":\"one\"}");
    assert_snapshot!(place.faults(), @r#"
    sums.jsonl:1: row `s0` has a target without a number
     --> suite.toml:8:10
      |
    8 | target = "{{ a }}"
      |          ^^^^^^^^^
      = hint: its target is "one"
    "#);
    place.write("suite.toml", &suite.replace("number", "tool-call"));
    assert_snapshot!(place.faults(), @r#"
    sums.jsonl:1: row `s0` has a target that is no tool call; so in 199 more rows
     --> suite.toml:8:10
      |
    8 | target = "{{ a }}"
      |          ^^^^^^^^^
      = hint: not JSON: expected value at line 1 column 1; write target = "{{ call | tojson }}" for a field `call`
    "#);
}

#[test]
fn a_subset_larger_than_its_dataset_is_refused() {
    assert_snapshot!(changed("suite.toml", "slice", "subset = { rows = 201 }\nslice"), @r#"
    task `sums` wants 201 rows of sums.jsonl, which has 200
     --> suite.toml:9:10
      |
    9 | subset = { rows = 201 }
      |          ^^^^^^^^^^^^^^
      = hint: ask for fewer rows, or leave `subset` out
    "#);
}

#[test]
fn a_task_name_that_two_suites_share_is_refused() {
    let place = Place::new();
    place.write("more.toml", SUITE).change("plan.toml", "[\"suite.toml\"]", "[\"suite.toml\", \"more.toml\"]");
    place.change("more.toml", "\"prose\"", "\"tales\"");
    assert_snapshot!(place.faults(), @r#"
    two tasks are named `sums`: suite.toml has it too
     --> more.toml:4:8
      |
    4 | name = "sums"
      |        ^^^^^^
      = hint: names are unique within a plan, over all of its suites
    "#);
}

#[test]
fn faults_of_plan_suite_and_dataset_are_told_together() {
    let place = Place::new();
    place.change("plan.toml", "\"2pp\"", "0").change("suite.toml", "kind = \"gen", "knd = \"gen");
    let both = place.faults();
    assert!(both.contains("margin 0 can never be shown") && both.contains("unknown key `knd`"), "{both}");
    let place = Place::new();
    place.change("plan.toml", "\"2pp\"", "0").change("prose.jsonl", "\"id\"", "\"di\"");
    let both = place.faults();
    assert!(both.contains("margin 0 can never be shown") && both.contains("prose.jsonl:1: no `id`"), "{both}");
}

#[test]
fn tasks_of_a_suite_called_smoke_come_first() {
    let place = Place::new();
    place.write("more.toml", SUITE).change("plan.toml", "[\"suite.toml\"]", "[\"suite.toml\", \"more.toml\"]");
    place.change("more.toml", "\"suite\"", "\"smoke\"").change("more.toml", "\"sums\"", "\"few\"");
    place.change("more.toml", "\"prose\"", "\"tales\"");
    let names: Vec<String> = place.load().tasks.iter().map(|planned| planned.task.name.to_string()).collect();
    assert_eq!(names, ["few", "tales", "sums", "prose"]);
}
