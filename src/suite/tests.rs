//! What a suite file may say, and what is said of one that can't be read.

use std::fs;

use insta::assert_snapshot;

use super::{SuiteFile, nearest};
use crate::domain::{ChoiceValue, MetricKind, Normalization, RequestKind, ScorerSpec, Task};

fn load(text: &str) -> Result<SuiteFile, String> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("suite.toml");
    fs::write(&path, text).expect("a file can be written");
    SuiteFile::load(&path).map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

fn faults(text: &str) -> String {
    load(text).expect_err("the suite has a fault")
}

/// A suite of one task with these lines beside name, dataset and prompt.
fn suite(lines: &str) -> String {
    format!("name = \"s\"\n[[task]]\nname = \"t\"\ndataset = \"d.jsonl\"\nprompt = \"{{{{ q }}}}\"\n{lines}\n")
}

fn task(lines: &str) -> Task {
    load(&suite(lines)).expect("the suite is good").suite.tasks.remove(0)
}

#[test]
fn each_kind_of_task_has_its_own_defaults() {
    let choice = task("kind = \"choice\"\ntarget = \"{{ a }}\"");
    assert_eq!(choice.scorer, ScorerSpec::Choice { normalize: Normalization::None, value: ChoiceValue::Right });
    assert_eq!((choice.prompt.options.as_deref(), choice.prompt.tools.as_deref()), (Some("options"), None));
    let generate = task("kind = \"generate\"\ntarget = \"{{ a }}\"");
    assert_eq!(generate.scorer, ScorerSpec::Exact { trim: true, ignore_case: false });
    assert_eq!((generate.max_tokens, generate.temperature, generate.top_p), (64, 0.0, 1.0));
    let tools = task("kind = \"tools\"\ntarget = \"{{ a }}\"");
    assert_eq!((tools.scorer, tools.prompt.tools.as_deref()), (ScorerSpec::ToolCall, Some("tools")));
    let prose = task("kind = \"perplexity\"");
    assert_eq!((prose.scorer, prose.metric), (ScorerSpec::Likelihood, MetricKind::Perplexity));
    assert!(!prose.gating && choice.gating && generate.gating && tools.gating);
}

#[test]
fn every_key_of_a_task_is_read() {
    let text = "kind = \"chat\"\nabout = \"Why.\"\nsystem = \"Be {{ s }}\"\ntarget = \"{{ a }}\"\nslice = \"lang\"\ncluster = \"page\"\n\
        max_tokens = 7\nstop = [\"\\n\", \"END\"]\ntemperature = 0.7\ntop_p = 0.9\ngating = false\nchance = 0.25\n\
        band = [0.5, 1]\nsubset = { rows = 9, seed = 4 }\nscorer = { kind = \"exact\", trim = false, ignore_case = true }";
    let task = task(text);
    assert_eq!(task.kind, RequestKind::Chat);
    assert_eq!((task.about.as_str(), task.prompt.system.as_deref()), ("Why.", Some("Be {{ s }}")));
    assert_eq!((task.prompt.slice.as_deref(), task.prompt.cluster.as_deref()), (Some("lang"), Some("page")));
    assert_eq!((task.max_tokens, task.stop), (7, vec!["\n".to_owned(), "END".to_owned()]));
    assert_eq!((task.temperature, task.top_p, task.gating, task.chance), (0.7, 0.9, false, 0.25));
    assert_eq!(task.band.map(|band| (band.low, band.high)), Some((0.5, 1.0)));
    assert_eq!(task.dataset.subset.map(|subset| (subset.rows, subset.seed)), Some((9, 4)));
    assert_eq!(task.scorer, ScorerSpec::Exact { trim: false, ignore_case: true });
    assert_eq!(self::task("kind = \"generate\"\ntarget = \"1\"\nscorer = \"number\"").scorer, ScorerSpec::Number);
}

#[test]
fn an_unknown_key_comes_with_its_place_and_the_nearest_known_key() {
    assert_snapshot!(faults(&suite("kind = \"generate\"\ntarget = \"{{ a }}\"\nmax_token = 6")), @r#"
    unknown key `max_token` in task `t`
     --> suite.toml:8:1
      |
    8 | max_token = 6
      | ^^^^^^^^^
      = hint: did you mean `max_tokens`?
    "#);
}

#[test]
fn every_fault_of_a_suite_is_told_at_once_in_the_order_of_the_file() {
    let text = "\
nam = \"standard\"

[[task]]
name = \"sums\"
kind = \"generat\"
dataset = 7
prompt = \"{{ q }}\"
band = [0.9, 0.6]
subset = { rows = 0, sed = 1 }
";
    assert_snapshot!(faults(text), @r#"
    the suite has no `name`
      --> suite.toml
       = hint: a name has letters, digits, `_`, `-` and `.`, and starts with a letter or a digit

    unknown key `nam` in the suite
     --> suite.toml:1:1
      |
    1 | nam = "standard"
      | ^^^
      = hint: did you mean `name`?

    `kind` is one of choice, generate, chat, tools, perplexity, not `generat`
     --> suite.toml:5:8
      |
    5 | kind = "generat"
      |        ^^^^^^^^^
      = hint: did you mean `generate`?

    `dataset` must be text in quotes
     --> suite.toml:6:11
      |
    6 | dataset = 7
      |           ^

    `band` must be two numbers between 0 and 1, the lower first
     --> suite.toml:8:8
      |
    8 | band = [0.9, 0.6]
      |        ^^^^^^^^^^
      = hint: it is where a healthy canary's accuracy lies: band = [0.6, 0.98]

    a subset of 0 rows is empty
     --> suite.toml:9:19
      |
    9 | subset = { rows = 0, sed = 1 }
      |                   ^
      = hint: keep at least one row, or leave the task out

    unknown key `sed` in subset
     --> suite.toml:9:22
      |
    9 | subset = { rows = 0, sed = 1 }
      |                      ^^^
      = hint: did you mean `seed`?
    "#);
}

#[test]
fn keys_and_scorers_that_mean_nothing_for_a_kind_are_refused() {
    let lines = "\
kind = \"choice\"
max_tokens = 4
scorer = { kind = \"exact\", normalise = \"none\" }
temperature = 0
colour = \"red\"
";
    assert_snapshot!(faults(&suite(lines)), @r#"
    task `t` has no `target`
     --> suite.toml:2:1
      |
    2 | [[task]]
      | ^^^^^^^^
      = hint: a template for the right answer, such as target = "{{ answer }}"

    `max_tokens` means nothing for a choice task
     --> suite.toml:7:14
      |
    7 | max_tokens = 4
      |              ^
      = hint: remove it

    scorer exact cannot judge a choice task
     --> suite.toml:8:10
      |
    8 | scorer = { kind = "exact", normalise = "none" }
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = hint: choice tasks are judged by scorer choice

    unknown key `normalise` in scorer
     --> suite.toml:8:28
      |
    8 | scorer = { kind = "exact", normalise = "none" }
      |                            ^^^^^^^^^
      = hint: did you mean `normalize`?

    `temperature` means nothing for a choice task
     --> suite.toml:9:15
      |
    9 | temperature = 0
      |               ^
      = hint: remove it

    unknown key `colour` in task `t`
      --> suite.toml:10:1
       |
    10 | colour = "red"
       | ^^^^^^
       = hint: the keys of task `t` are name, about, kind, dataset, subset, prompt, system, tools, target, options, slice, cluster, max_tokens, stop, temperature, top_p, scorer, gating, chance, band, schema, regex, choices, constrained, generate, chat
    "#);
}

#[test]
fn a_perplexity_task_has_no_target_and_cannot_gate() {
    assert_snapshot!(faults(&suite("kind = \"perplexity\"\ngating = true\ntarget = \"{{ a }}\"")), @r#"
    a perplexity task cannot gate: nothing in it is right or wrong
     --> suite.toml:7:10
      |
    7 | gating = true
      |          ^^^^
      = hint: perplexity is shown beside the verdict; bound it with a [[policy.rule]] that names a metric and a max

    `target` means nothing for a perplexity task
     --> suite.toml:8:10
      |
    8 | target = "{{ a }}"
      |          ^^^^^^^^^
      = hint: remove it
    "#);
}

#[test]
fn two_tasks_of_one_name_are_refused() {
    let one = suite("kind = \"perplexity\"");
    let two = format!("{one}{}", one.replace("name = \"s\"\n", ""));
    assert_snapshot!(faults(&two), @r#"
    two tasks are named `t`
     --> suite.toml:8:8
      |
    8 | name = "t"
      |        ^^^
      = hint: names are unique within a plan
    "#);
}

#[test]
fn values_out_of_their_range_are_refused() {
    let generate = "kind = \"generate\"\ntarget = \"a\"\n";
    assert_snapshot!(faults(&suite(&format!("{generate}max_tokens = 0\nstop = [\"\"]\ntop_p = 0\nchance = 1"))), @r#"
    `max_tokens` must be at least 1
     --> suite.toml:8:14
      |
    8 | max_tokens = 0
      |              ^

    an empty stop text would end every answer at once
     --> suite.toml:9:8
      |
    9 | stop = [""]
      |        ^^^^

    `top_p` must be more than 0 and at most 1
      --> suite.toml:10:9
       |
    10 | top_p = 0
       |         ^
       = hint: 1 keeps every token

    `chance` must be at least 0 and less than 1
      --> suite.toml:11:10
       |
    11 | chance = 1
       |          ^
       = hint: it is the accuracy of guessing
    "#);
    assert_snapshot!(faults(&suite(&format!("{generate}temperature = nan\nseed = 1\nmax_tokens = -1"))), @r#"
    `temperature` must be a number
     --> suite.toml:8:15
      |
    8 | temperature = nan
      |               ^^^

    unknown key `seed` in task `t`
     --> suite.toml:9:1
      |
    9 | seed = 1
      | ^^^^
      = hint: the keys of task `t` are name, about, kind, dataset, subset, prompt, system, options, tools, target, slice, cluster, max_tokens, stop, temperature, top_p, scorer, gating, chance, band, schema, regex, choices, constrained, generate, chat

    `max_tokens` must be a whole number, 0 or more
      --> suite.toml:10:14
       |
    10 | max_tokens = -1
       |              ^^
    "#);
}

#[test]
fn a_suite_without_tasks_is_refused() {
    assert_snapshot!(faults("name = \"empty\"\n"), @r#"
    the suite has no tasks
      --> suite.toml
       = hint: add a [[task]] with a name, a kind, a dataset and a prompt
    "#);
}

#[test]
fn what_is_not_toml_is_named_with_every_place() {
    assert_snapshot!(faults("name = \"s\nabout = 1 2\n"), @r#"
    not TOML: invalid basic string, expected `"`
     --> suite.toml:1:10
      |
    1 | name = "s
      |          ^

    not TOML: string values must be quoted, expected literal string
     --> suite.toml:2:9
      |
    2 | about = 1 2
      |         ^^^
    "#);
}

#[test]
fn names_that_cannot_be_part_of_a_file_name_are_refused() {
    let text = suite("kind = \"perplexity\"").replace("name = \"t\"", "name = \"../t\"");
    assert_snapshot!(faults(&text), @r#"
    `../t` is not a name
     --> suite.toml:3:8
      |
    3 | name = "../t"
      |        ^^^^^^
      = hint: a name has letters, digits, `_`, `-` and `.`, and starts with a letter or a digit
    "#);
}

#[test]
fn carets_stand_below_what_they_mean_in_lines_with_tabs_and_wide_letters() {
    assert_snapshot!(faults("name = \"s\"\ntask = [\n\t{ name = \"t\", about = \"é\", kind = \"chit\" } ]"), @r#"
    task `t` has no `dataset`
     --> suite.toml:3:2
      |
    3 | 	{ name = "t", about = "é", kind = "chit" } ]
      | 	^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = hint: name a .jsonl or .csv file, from the folder of the suite

    task `t` has no `prompt`
     --> suite.toml:3:2
      |
    3 | 	{ name = "t", about = "é", kind = "chit" } ]
      | 	^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = hint: a template over the row's fields, such as "{{ question }}"

    `kind` is one of choice, generate, chat, tools, perplexity, not `chit`
     --> suite.toml:3:36
      |
    3 | 	{ name = "t", about = "é", kind = "chit" } ]
      | 	                                  ^^^^^^
      = hint: did you mean `chat`?
    "#);
}

#[test]
fn only_near_names_are_offered() {
    assert_eq!(nearest("datset", ["dataset", "target"]), Some("dataset"));
    assert_eq!(nearest("MAX-TOKENS", ["max_tokens", "stop"]), Some("max_tokens"));
    assert_eq!(nearest("colour", ["dataset", "target", "stop"]), None);
}

#[test]
fn a_suite_that_is_cut_off_or_garbled_anywhere_is_refused_or_read_but_never_panics() {
    let whole = suite(
        "kind = \"chat\"\nstop = [\"é\"]\nband = [0.5, 1]\nscorer = { kind = \"exact\", trim = true }\ntarget = \"{{ a }}\"",
    );
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("suite.toml");
    for (at, letter) in whole.char_indices() {
        let (before, after) = (&whole[..at], &whole[at + letter.len_utf8()..]);
        for text in [before.to_owned(), format!("{before}{after}"), format!("{before}é{after}"), format!("{before}\u{0}{after}")]
        {
            fs::write(&path, text).expect("a file can be written");
            if let Err(errors) = SuiteFile::load(&path) {
                assert!(!errors.to_string().is_empty());
            }
        }
    }
}

#[test]
fn scores_that_need_not_be_right_or_wrong_have_a_mean_and_a_range() {
    let choice = task(
        "kind = \"choice\"\ntarget = \"{{ a }}\"\nscorer = { kind = \"choice\", normalize = \"byte\", value = \"probability\" }",
    );
    assert_eq!(choice.scorer, ScorerSpec::Choice { normalize: Normalization::Byte, value: ChoiceValue::Probability });
    assert_eq!((choice.metric, choice.scorer.range(), choice.gating), (MetricKind::Mean, Some((0.0, 1.0)), true));
    let f1 = task("kind = \"generate\"\ntarget = \"{{ a }}\"\nscorer = \"f1\"");
    assert_eq!((f1.metric, f1.scorer.range()), (MetricKind::Mean, Some((0.0, 1.0))));
    assert_eq!(task("kind = \"choice\"\ntarget = \"{{ a }}\"").scorer.range(), None);
    assert_snapshot!(faults(&suite("kind = \"choice\"\ntarget = \"{{ a }}\"\nscorer = { kind = \"choice\", value = \"probabilty\" }")), @r#"
    `value` is one of right, probability, not `probabilty`
     --> suite.toml:8:37
      |
    8 | scorer = { kind = "choice", value = "probabilty" }
      |                                     ^^^^^^^^^^^^
      = hint: did you mean `probability`?
    "#);
    assert_snapshot!(faults(&suite("kind = \"generate\"\ntarget = \"{{ a }}\"\nscorer = { kind = \"exact\", value = \"right\" }")), @r#"
    `value` is a setting of scorer choice
     --> suite.toml:8:36
      |
    8 | scorer = { kind = "exact", value = "right" }
      |                                    ^^^^^^^
      = hint: remove it
    "#);
}

#[test]
fn a_choice_task_may_say_how_it_is_asked_as_text() {
    let choice = "kind = \"choice\"\nabout = \"Why.\"\ntarget = \"{{ a }}\"\nslice = \"s\"\nband = [0.5, 1]\n";
    let read = |form: &str| load(&suite(&format!("{choice}{form}"))).map(|file| file.forms[0].clone());
    assert_eq!(read(""), Ok(None));
    let form =
        read("generate = { max_tokens = 5, stop = [\".\"], scorer = \"f1\" }").expect("it is good").expect("it is there").task;
    assert_eq!((form.kind, form.max_tokens, form.scorer), (RequestKind::Generate, 5, ScorerSpec::F1));
    assert_eq!((form.metric, form.band, form.prompt.options), (MetricKind::Mean, None, None));
    assert_eq!((form.prompt.prompt.as_str(), form.prompt.target.as_deref()), ("{{ q }}", Some("{{ a }}")));
    assert_eq!(form.prompt.slice.as_deref(), Some("s"));
    let both = "generate = { system = \"x\", gating = false, options = \"o\" }\nchat = {}";
    assert_snapshot!(read(both).expect_err("it has faults"), @r#"
    `system` means nothing for a generate task
      --> suite.toml:11:23
       |
    11 | generate = { system = "x", gating = false, options = "o" }
       |                       ^^^
       = hint: remove it, or write a `chat` form

    a form gates as its task does
      --> suite.toml:11:37
       |
    11 | generate = { system = "x", gating = false, options = "o" }
       |                                     ^^^^^
       = hint: write `gating` into the task itself

    unknown key `options` in generate of task `t`
      --> suite.toml:11:44
       |
    11 | generate = { system = "x", gating = false, options = "o" }
       |                                            ^^^^^^^
       = hint: the keys of generate of task `t` are gating, max_tokens, stop, temperature, top_p, scorer, chance, band, system, prompt, target

    task `t` has two text forms
      --> suite.toml:12:8
       |
    12 | chat = {}
       |        ^^
       = hint: keep one of them
    "#);
    let other = suite("kind = \"perplexity\"\nchat = { target = \"{{ a }}\" }");
    assert_snapshot!(faults(&other), @r#"
    `chat` is a form of choice tasks alone
     --> suite.toml:7:8
      |
    7 | chat = { target = "{{ a }}" }
      |        ^^^^^^^^^^^^^^^^^^^^^^
      = hint: a choice task is asked so where some subject gives no log-likelihoods; other tasks have no other form
    "#);
}
