//! What is said of policies that can't hold, and warned of those that can't be met.

use insta::assert_snapshot;

use super::{Place, SUITE, changed};
use crate::domain::{Family, OnDoubt, Stopping, TaskName, Tolerance};
use crate::plan::read_policy;

#[test]
fn too_few_samples_for_the_margin_are_a_warning_and_no_fault() {
    let place = Place::new();
    place.change("plan.toml", "2pp", "1pp");
    let warning = "too few samples to ever PASS a margin of 1pp at alpha 0.05, which takes at least 268: sums (200)";
    assert_eq!(place.load().warnings, [warning]);
}

#[test]
fn settings_that_do_not_do_what_they_seem_to_are_told_of() {
    let place = Place::new();
    let policy = "2pp\"\nstopping = \"e-process\"\nrule = [{ task = \"sums\", slice = \"add\", recovery = 0.01 }, \
        { metric = \"flips.excess\", max = 0.01 }]";
    place.change("plan.toml", "2pp\"", policy).change("plan.toml", "\"model\"", "\"model\"\nrepeats = 2");
    assert_snapshot!(place.load().warnings.join("\n"), @r#"
    a recovery of 0.01 lets a variant lose 99 % of the canary's score; it is the share that must be kept, usually 0.99
    repeats of canary will be equal, answer by answer: a model in this process gives the same answer to the same request, and no task here has a temperature above 0
    `flips.excess` of q8 can hide a change on hard items: asked once, a variant's flips less the canary's own are no test of noise; set repeats = 2 for it
    stopping = "e-process" ends nothing early on sums (samples are repeated)
    "#);
}

#[test]
fn an_overall_margin_that_its_tasks_keep_anyway_is_told_of() {
    let place = Place::new();
    let both = SUITE.replace("[[task]]\nname = \"prose\"", "[[task]]\nname = \"more\"").replace("perplexity", "generate");
    place.write(
        "suite.toml",
        &both.replace("{{ text }}\\n\"", "{{ q }}\"\ntarget = \"{{ a }}\"").replace("prose.jsonl", "sums.jsonl"),
    );
    place.change("plan.toml", "2pp\"", "2pp\"\noverall = { margin = \"1pp\" }\nrule = [{ task = \"more\", margin = \"3pp\" }]");
    assert_eq!(place.load().warnings, Vec::<String>::new());
    assert_eq!(place.load().policy.overall, Some(Tolerance::Margin(0.01)));
    place.change("plan.toml", "1pp", "2.5pp");
    assert_snapshot!(place.load().warnings.join("\n"), @"the overall rule adds nothing: tasks that keep within their margins (2.5pp on average) keep within a margin of 2.5pp of their mean");
}

#[test]
fn every_key_of_a_policy_is_read() {
    let place = Place::new();
    place.write(
        "policy.toml",
        "alpha = 0.025\nrecovery = \"99%\"\nstrict = true\ninconclusive = \"warn\"\ninvalid = \"warn\"\n\
         stopping = \"group-sequential\"\nfamily = \"by\"\noverall = { recovery = 0.995 }\n\
         rule = [{ task = \"a\", slice = \"s\" }, { task = \"a\", recovery = 0.9 }, { metric = \"latency.p95_ratio\", max = 1.1 }]\n",
    );
    let policy = read_policy(&place.path("policy.toml")).expect("the policy is good");
    assert_eq!((policy.alpha, policy.tolerance), (0.025, Tolerance::Recovery(0.99)));
    assert_eq!((policy.inconclusive, policy.invalid), (OnDoubt::Warn, OnDoubt::Warn));
    assert_eq!((policy.strict, policy.stopping, policy.family), (true, Stopping::GroupSequential, Family::By));
    assert_eq!(policy.overall, Some(Tolerance::Recovery(0.995)));
    let task = TaskName::new("a");
    assert!(policy.gates_slice(&task, "s") && !policy.gates_slice(&task, "t"));
    assert_eq!(policy.tolerance_of_slice(&task, "s"), Tolerance::Recovery(0.9), "a slice takes its task's");
    assert_eq!(policy.budgets[0].metric, "latency.p95_ratio");
}

#[test]
fn recoveries_that_can_never_be_shown_or_are_written_as_per_cent_are_refused() {
    let given = |text: &str| changed("plan.toml", "margin = \"2pp\"", text);
    assert_snapshot!(given("recovery = 99"), @r#"
    `recovery` must be less than 1
      --> plan.toml:13:12
       |
    13 | recovery = 99
       |            ^^
       = hint: a bare number is a share: write 0.99, or "99%"
    "#);
    assert_snapshot!(given("recovery = 1.0"), @r"
    `recovery` must be less than 1
      --> plan.toml:13:12
       |
    13 | recovery = 1.0
       |            ^^^
       = hint: a recovery of 1 can never be shown: no number of samples proves that nothing is lost; 0.99 is a usual start
    ");
    assert_snapshot!(given("recovery = 0"), @r"
    `recovery` must be more than 0
      --> plan.toml:13:12
       |
    13 | recovery = 0
       |            ^
       = hint: it is the share of the canary's score that the variant must keep: recovery = 0.99
    ");
    assert_snapshot!(given("recovery = \"1pp\""), @r#"
    `1pp` is not a recovery
      --> plan.toml:13:12
       |
    13 | recovery = "1pp"
       |            ^^^^^
       = hint: write a share, 0.99, or per cent, "99%"
    "#);
    assert_snapshot!(given("margin = \"1pp\"\nrecovery = 0.99"), @r"
    [policy] has both `margin` and `recovery`
      --> plan.toml:14:12
       |
    14 | recovery = 0.99
       |            ^^^^
       = hint: a margin is an absolute difference, a recovery a share of the canary's score: keep the one that you mean
    ");
}

#[test]
fn words_and_tables_of_a_policy_have_their_forms() {
    let policy = "margin = \"2pp\"\nstopping = \"group_sequential\"\nfamily = \"bonferroni\"\noverall = \"1pp\"\nstric = true";
    assert_snapshot!(changed("plan.toml", "margin = \"2pp\"", policy), @r#"
    `stopping` is one of none, group-sequential, e-process, not `group_sequential`
      --> plan.toml:14:12
       |
    14 | stopping = "group_sequential"
       |            ^^^^^^^^^^^^^^^^^^
       = hint: did you mean `group-sequential`?

    `family` is one of holm, hochberg, bh, by, none, not `bonferroni`
      --> plan.toml:15:10
       |
    15 | family = "bonferroni"
       |          ^^^^^^^^^^^^

    `overall` must be a table
      --> plan.toml:16:11
       |
    16 | overall = "1pp"
       |           ^^^^^
       = hint: write overall = { margin = "1pp" } or overall = { recovery = 0.99 }

    unknown key `stric` in [policy]
      --> plan.toml:17:1
       |
    17 | stric = true
       | ^^^^^
       = hint: did you mean `strict`?
    "#);
    assert_snapshot!(changed("plan.toml", "margin = \"2pp\"", "margin = \"2pp\"\noverall = { mean = 1 }"), @r#"
    overall has neither `margin` nor `recovery`
      --> plan.toml:14:11
       |
    14 | overall = { mean = 1 }
       |           ^^^^^^^^^^^^
       = hint: write overall = { margin = "1pp" } or overall = { recovery = 0.99 }

    unknown key `mean` in overall
      --> plan.toml:14:13
       |
    14 | overall = { mean = 1 }
       |             ^^^^
       = hint: the keys of overall are margin, recovery
    "#);
    assert_snapshot!(changed("plan.toml", "margin = \"2pp\"", "margin = \"2pp\"\noverall = { margin = \"1pp\" }"), @r#"
    `overall` is about the mean over the gating tasks, and only one gates
      --> plan.toml:14:11
       |
    14 | overall = { margin = "1pp" }
       |           ^^^^^^^^^^^^^^^^^^
       = hint: remove `overall`, or let more tasks gate
    "#);
}

#[test]
fn rules_about_slices_name_slices_that_there_are() {
    let rules = "2pp\"\nrule = [{ task = \"sums\", slice = \"ad\" }, { task = \"sums\", slice = \"whole\" }, { task = \"prose\", slice = \"a\" }, \
        { task = \"sums\", slice = \"ad\", gating = false }, { metric = \"flips.rate\", max = 0.1, slice = \"add\" }]";
    assert_snapshot!(changed("plan.toml", "2pp\"", rules), @r#"
    two rules are for slice `ad` of task `sums`
      --> plan.toml:14:120
       |
    14 | rule = [{ task = "sums", slice = "ad" }, { task = "sums", slice = "whole" }, { task = "prose", slice = "a" }, { task = "sums", slice = "ad", gating = false }, { metric = "flips.rate", max = 0.1, slice = "add" }]
       |                                                                                                                        ^^^^^^
       = hint: make them one

    `slice` does not go with `metric` and `max` in one rule
      --> plan.toml:14:204
       |
    14 | rule = [{ task = "sums", slice = "ad" }, { task = "sums", slice = "whole" }, { task = "prose", slice = "a" }, { task = "sums", slice = "ad", gating = false }, { metric = "flips.rate", max = 0.1, slice = "add" }]
       |                                                                                                                                                                                                            ^^^^^
       = hint: a metric is measured on a task as a whole: remove `slice`

    task `sums` has no slice `ad`
      --> plan.toml:14:34
       |
    14 | rule = [{ task = "sums", slice = "ad" }, { task = "sums", slice = "whole" }, { task = "prose", slice = "a" }, { task = "sums", slice = "ad", gating = false }, { metric = "flips.rate", max = 0.1, slice = "add" }]
       |                                  ^^^^
       = hint: did you mean `add`?

    task `sums` has no slice `whole`
      --> plan.toml:14:67
       |
    14 | rule = [{ task = "sums", slice = "ad" }, { task = "sums", slice = "whole" }, { task = "prose", slice = "a" }, { task = "sums", slice = "ad", gating = false }, { metric = "flips.rate", max = 0.1, slice = "add" }]
       |                                                                   ^^^^^^^
       = hint: its slices are add

    task `prose` is a perplexity task: it has no margin and cannot gate
      --> plan.toml:14:87
       |
    14 | rule = [{ task = "sums", slice = "ad" }, { task = "sums", slice = "whole" }, { task = "prose", slice = "a" }, { task = "sums", slice = "ad", gating = false }, { metric = "flips.rate", max = 0.1, slice = "add" }]
       |                                                                                       ^^^^^^^
       = hint: bound it with a rule that has a metric and a max

    task `sums` has no slice `ad`
      --> plan.toml:14:136
       |
    14 | rule = [{ task = "sums", slice = "ad" }, { task = "sums", slice = "whole" }, { task = "prose", slice = "a" }, { task = "sums", slice = "ad", gating = false }, { metric = "flips.rate", max = 0.1, slice = "add" }]
       |                                                                                                                                        ^^^^
       = hint: did you mean `add`?
    "#);
    let place = Place::new();
    place.change("suite.toml", "slice = \"kind\"", "").change(
        "plan.toml",
        "2pp\"",
        "2pp\"\nrule = [{ task = \"sums\", slice = \"add\" }]",
    );
    assert_snapshot!(place.faults(), @r#"
    task `sums` has no slices
      --> plan.toml:14:34
       |
    14 | rule = [{ task = "sums", slice = "add" }]
       |                                  ^^^^^
       = hint: name the field that groups its rows in the suite: slice = "language"
    "#);
}

#[test]
fn budgets_are_measured_on_tasks_that_can_be_measured_so() {
    let rules = "2pp\"\nrule = [{ metric = \"flips.rate\", max = 0.1, task = \"prose\" }, { metric = \"flips.excess\", max = 0.1 }, \
        { metric = \"latency.p50_ratio\", max = 1.1, task = \"prose\" }, { metric = \"error.ratio\", max = 1.5 }, { metric = \"kld.mean\", max = 0.1 }]";
    assert_snapshot!(changed("plan.toml", "2pp\"", rules), @r#"
    `flips.rate` is measured on tasks with scores, which `prose` is not
      --> plan.toml:14:52
       |
    14 | rule = [{ metric = "flips.rate", max = 0.1, task = "prose" }, { metric = "flips.excess", max = 0.1 }, { metric = "latency.p50_ratio", max = 1.1, task = "prose" }, { metric = "error.ratio", max = 1.5 }, { metric = "kld.mean", max = 0.1 }]
       |                                                    ^^^^^^^

    `flips.excess` compares with how much the canary differs from itself, and it is asked once
      --> plan.toml:14:63
       |
    14 | rule = [{ metric = "flips.rate", max = 0.1, task = "prose" }, { metric = "flips.excess", max = 0.1 }, { metric = "latency.p50_ratio", max = 1.1, task = "prose" }, { metric = "error.ratio", max = 1.5 }, { metric = "kld.mean", max = 0.1 }]
       |                                                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = hint: ask it twice: [canary] with repeats = 2, and the variants too, for a test that holds whatever the noise

    `latency.p50_ratio` is measured on tasks with scores, which `prose` is not
      --> plan.toml:14:153
       |
    14 | rule = [{ metric = "flips.rate", max = 0.1, task = "prose" }, { metric = "flips.excess", max = 0.1 }, { metric = "latency.p50_ratio", max = 1.1, task = "prose" }, { metric = "error.ratio", max = 1.5 }, { metric = "kld.mean", max = 0.1 }]
       |                                                                                                                                                         ^^^^^^^
    "#);
    let place = Place::new();
    place.write("suite.toml", &SUITE[..SUITE.rfind("[[task]]").expect("there are two tasks")]);
    place.change("plan.toml", "2pp\"", "2pp\"\nrule = [{ metric = \"kld.mean\", max = 0.1 }]");
    assert_snapshot!(place.faults(), @r#"
    `kld.mean` is measured on perplexity tasks, and there is none
      --> plan.toml:14:9
       |
    14 | rule = [{ metric = "kld.mean", max = 0.1 }]
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = hint: add a perplexity task, or remove the rule
    "#);
}

#[test]
fn a_plan_in_which_nothing_gates_is_refused() {
    let place = Place::new();
    place.change("plan.toml", "2pp\"", "2pp\"\nrule = [{ task = \"sums\", gating = false }]");
    assert_snapshot!(place.faults(), @r"
    no task gates and no metric has a budget: nothing would be decided
      hint: set `gating = true` for a task, or give a metric a max
    ");
}

#[test]
fn a_policy_is_read_from_a_file_of_its_own_and_from_a_plan() {
    let place = Place::new();
    place.write("bare.toml", "margin = \"0.5 pp\"\n[[rule]]\nmetric = \"kld.mean\"\nmax = 0.05\n");
    let bare = read_policy(&place.path("bare.toml")).expect("the policy is good");
    assert_eq!((bare.tolerance, bare.budgets.len()), (Tolerance::Margin(0.005), 1));
    assert_eq!(read_policy(&place.path("plan.toml")).expect("the policy is good").tolerance, Tolerance::Margin(0.02));
    place.write("bad.toml", "margn = \"1pp\"\n");
    let error = read_policy(&place.path("bad.toml")).expect_err("the policy has faults").to_string();
    assert_snapshot!(place.shown(&error), @r#"
    the policy has neither `margin` nor `recovery`
      --> bad.toml
       = hint: choose the largest loss that you would accept before you see data: [policy] with margin = "1pp"

    unknown key `margn` in the policy
     --> bad.toml:1:1
      |
    1 | margn = "1pp"
      | ^^^^^
      = hint: did you mean `margin`?
    "#);
}

#[test]
fn margins_that_can_never_be_shown_are_refused() {
    assert_snapshot!(changed("plan.toml", "\"2pp\"", "0"), @r#"
    `margin` must be more than 0
      --> plan.toml:13:10
       |
    13 | margin = 0
       |          ^
       = hint: margin 0 can never be shown: no number of samples proves that nothing is lost; "1pp" is a usual start
    "#);
    assert_snapshot!(changed("plan.toml", "\"2pp\"", "2"), @r#"
    `margin` must be less than 1, that is 100pp
      --> plan.toml:13:10
       |
    13 | margin = 2
       |          ^
       = hint: a bare number is a share: 0.02 is two percentage points, which may also be written "2pp"
    "#);
    assert_snapshot!(changed("plan.toml", "\"2pp\"", "\"-1pp\""), @r#"
    `margin` must be more than 0
      --> plan.toml:13:10
       |
    13 | margin = "-1pp"
       |          ^^^^^^
       = hint: a margin is the largest loss that is tolerated, written without a sign: "1pp"
    "#);
    assert_snapshot!(changed("plan.toml", "\"2pp\"", "\"2%\""), @r#"
    `2%` is not a margin
      --> plan.toml:13:10
       |
    13 | margin = "2%"
       |          ^^^^
       = hint: write percentage points, "2pp", or a share, 0.02
    "#);
    assert_snapshot!(changed("plan.toml", "margin = \"2pp\"", ""), @r#"
    [policy] has neither `margin` nor `recovery`
      --> plan.toml:12:1
       |
    12 | [policy]
       | ^^^^^^^^
       = hint: choose the largest loss that you would accept before you see data: [policy] with margin = "1pp"
    "#);
}

#[test]
fn levels_outside_their_range_are_refused() {
    assert_snapshot!(changed("plan.toml", "margin", "alpha = 0.5\ninconclusive = \"ignore\"\nmargin"), @r#"
    `alpha` must be more than 0 and less than 0.5
      --> plan.toml:13:9
       |
    13 | alpha = 0.5
       |         ^^^
       = hint: it is the chance of a wrong PASS that you accept; 0.05 is usual

    `inconclusive` is one of block, warn, not `ignore`
      --> plan.toml:14:16
       |
    14 | inconclusive = "ignore"
       |                ^^^^^^^^
    "#);
}

const RULES: &str = "\
margin = \"2pp\"
[[policy.rule]]
task = \"sum\"
margin = \"1pp\"
[[policy.rule]]
task = \"prose\"
gating = true
[[policy.rule]]
task = \"sums\"
[[policy.rule]]
metric = \"kdl.mean\"
max = 0.05
[[policy.rule]]
metric = \"kld.mean\"
task = \"sums\"
max = 0.05
[[policy.rule]]
metric = \"kld.p99\"
margin = \"1pp\"
[[policy.rule]]
margin = \"1pp\"
";

#[test]
fn rules_are_about_tasks_and_metrics_that_there_are() {
    assert_snapshot!(changed("plan.toml", "margin = \"2pp\"\n", RULES), @r#"
    the rule for task `sums` says nothing
      --> plan.toml:20:1
       |
    20 | [[policy.rule]]
       | ^^^^^^^^^^^^^^^
       = hint: give it a `margin`, a `recovery` or `gating`

    no metric is called `kdl.mean`
      --> plan.toml:23:10
       |
    23 | metric = "kdl.mean"
       |          ^^^^^^^^^^
       = hint: did you mean `kld.mean`?

    the rule has no `max`
      --> plan.toml:29:1
       |
    29 | [[policy.rule]]
       | ^^^^^^^^^^^^^^^
       = hint: a budget reads: metric = "kld.mean", max = 0.05

    `margin` does not go with `metric` and `max` in one rule
      --> plan.toml:31:10
       |
    31 | margin = "1pp"
       |          ^^^^^
       = hint: write two rules: one with what the task may lose, one with the metric's max

    the rule names neither a `task` nor a `metric`
      --> plan.toml:32:1
       |
    32 | [[policy.rule]]
       | ^^^^^^^^^^^^^^^
       = hint: a rule has a task and a margin or recovery (or gating), or a metric and a max

    no task is called `sum`
      --> plan.toml:15:8
       |
    15 | task = "sum"
       |        ^^^^^
       = hint: did you mean `sums`?

    task `prose` is a perplexity task: it has no margin and cannot gate
      --> plan.toml:18:8
       |
    18 | task = "prose"
       |        ^^^^^^^
       = hint: bound it with a rule that has a metric and a max

    `kld.mean` is measured on perplexity tasks, which `sums` is not
      --> plan.toml:27:8
       |
    27 | task = "sums"
       |        ^^^^^^
    "#);
}
