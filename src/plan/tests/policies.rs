//! What is said of policies that can't hold, and warned of those that can't be met.

use insta::assert_snapshot;

use super::{Place, changed};
use crate::domain::Tolerance;
use crate::plan::read_policy;

#[test]
fn too_few_samples_for_the_margin_are_a_warning_and_no_fault() {
    let place = Place::new();
    place.change("plan.toml", "2pp", "1pp");
    let warning = "too few samples to ever PASS a margin of 1pp at alpha 0.05, which takes at least 268: sums (200)";
    assert_eq!(place.load().warnings, [warning]);
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
    the policy has no `margin`
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
    [policy] has no `margin`
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
       = hint: give it a `margin` or `gating`

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
       = hint: write two rules: one with the task's margin, one with the metric's max

    the rule names neither a `task` nor a `metric`
      --> plan.toml:32:1
       |
    32 | [[policy.rule]]
       | ^^^^^^^^^^^^^^^
       = hint: a rule has a task and a margin (or gating), or a metric and a max

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
