//! What is said where subjects can't be asked what the tasks ask, and what is asked instead.

use insta::assert_snapshot;

use super::{PLAN, Place};
use crate::domain::{MetricKind, Request, RequestKind};
use crate::plan::Plan;

const CHOICE: &str = "
[[task]]
name = \"facts\"
about = \"Which one?\"
kind = \"choice\"
dataset = \"facts.jsonl\"
prompt = \"{{ q }}\"
target = \"{{ a }}\"
";

const REMOTE: &str = "engine = \"mistral\"\nmodel = \"m\"";
const SCORING: &str = "engine = \"vllm\"\nmodel = \"m\"";

/// A plan of two subjects on the usual two tasks and a choice task with further keys.
fn place(canary: &str, variant: &str, choice: &str) -> Place {
    let place = Place::new();
    let plan = PLAN.replace("model = \"model\"", canary).replace("quantize = \"q8_0\"", variant);
    place.write("plan.toml", &plan).write("suite.toml", &format!("{}{CHOICE}{choice}", super::SUITE));
    place.write("facts.jsonl", "{\"id\":\"1\",\"q\":\"A cat is\",\"a\":\" a pet\",\"options\":[\" a pet\",\" a car\"]}\n");
    place
}

fn of<'p>(plan: &'p Plan, name: &str) -> &'p crate::plan::PlannedTask {
    plan.tasks.iter().find(|planned| planned.task.name.as_str() == name).expect("the task is there")
}

#[test]
fn log_likelihoods_that_a_subject_does_not_give_are_never_made_up() {
    assert_snapshot!(place(SCORING, REMOTE, "").faults());
    assert_snapshot!(
        place("engine = \"openai\"\nmodel = \"davinci-002\"\napi = \"completions\"\nbatch = true", SCORING, "").faults()
    );
}

#[test]
fn a_task_is_asked_as_text_of_all_subjects_where_one_gives_no_log_likelihoods() {
    let form = "chat = { system = \"Brief.\", prompt = \"{{ q }} … what?\", target = \"{{ a | trim }}\", max_tokens = 9, band = [0.2, 1] }";
    let place = place(REMOTE, SCORING, form);
    place.change("plan.toml", "seed", "skip = [\"prose\", \"sums\"]\nseed");
    let plan = place.load();
    let facts = of(&plan, "facts");
    assert_eq!((facts.card.kind, facts.card.metric, facts.card.chance), (RequestKind::Chat, MetricKind::Accuracy, 0.0));
    assert_eq!(facts.card.about, "Asked as text, not by log-likelihood. Which one?");
    assert_eq!(facts.card.band.map(|band| band.low), Some(0.2));
    let Request::Chat { messages, generation, .. } = &facts.samples[0].request else { panic!("it is asked as text") };
    assert_eq!((messages[0].content.as_str(), messages[1].content.as_str()), ("Brief.", "A cat is … what?"));
    assert_eq!(generation.max_tokens, 9);
    assert_eq!(plan.tasks.len(), 1);
    assert_snapshot!(plan.warnings[..2].join("\n"), @"
    set aside by the plan: sums, prose
    facts is asked as text of all subjects, since canary (mistral) tells no log-likelihoods: its scores are not those of the likeliest option
    ");
}

#[test]
fn where_all_subjects_give_log_likelihoods_the_text_form_is_no_part_of_the_plan() {
    let without = place(SCORING, SCORING, "");
    let with = place(SCORING, SCORING, "generate = { max_tokens = 3 }");
    assert_eq!(of(&with.load(), "facts").task.kind, RequestKind::Choice);
    assert_eq!(with.load().digest, without.load().digest);
    let skipping = place(SCORING, SCORING, "");
    skipping.change("plan.toml", "seed", "skip = [\"prose\"]\nseed");
    assert_ne!(skipping.load().digest, without.load().digest);
}

#[test]
fn a_plan_may_ask_a_task_as_text_whatever_its_subjects_can_do() {
    let place = place(SCORING, SCORING, "generate = { max_tokens = 3 }");
    place.change("plan.toml", "seed", "as_text = [\"facts\"]\nseed");
    let plan = place.load();
    assert_eq!(of(&plan, "facts").task.kind, RequestKind::Generate);
    assert!(plan.warnings[0].starts_with("facts is asked as text of all subjects, by the plan's word"), "{}", plan.warnings[0]);
    place.change("plan.toml", "[\"facts\"]", "[\"sums\", \"fact\"]");
    let faults = place.faults();
    assert!(faults.contains("`as_text` names `sums`, which says nowhere how it is asked as text"), "{faults}");
    assert!(faults.contains("`as_text` names `fact`, and no suite has such a task"), "{faults}");
}

#[test]
fn the_digest_follows_the_text_form_that_is_asked() {
    let digest = |form: &str| {
        let place =
            place(SCORING, "engine = \"llama-server\"\nmodel = \"m\"\nbase_url = \"http://h\"\napi = \"completions\"", form);
        place.change("plan.toml", "seed", "skip = [\"prose\"]\nseed");
        place.load().digest
    };
    assert_ne!(digest("generate = { max_tokens = 3 }"), digest("generate = { max_tokens = 4 }"));
}

#[test]
fn prompts_are_not_continued_by_some_and_answered_by_others() {
    let place = place(SCORING, REMOTE, "");
    place.change("plan.toml", "seed", "skip = [\"prose\", \"facts\"]\nseed");
    assert_snapshot!(place.faults());
    let plan = PLAN.replace("model = \"model\"", REMOTE).replace("quantize = \"q8_0\"", REMOTE);
    place.write("plan.toml", &plan.replace("seed", "skip = [\"prose\", \"facts\"]\nseed"));
    assert_snapshot!(place.load().warnings.join("\n"), @"
    set aside by the plan: prose, facts
    no subject continues prompts as they are: the prompts of sums are sent as messages of a user, and scores are not those of other plans
    ");
}

#[test]
fn tasks_that_are_set_aside_must_be_there_and_leave_something() {
    let faults = |skip: &str| {
        let place = Place::new();
        place.change("plan.toml", "seed", &format!("skip = {skip}\nseed"));
        place.faults()
    };
    assert_snapshot!(faults("[\"prosa\"]"), @r#"
    `skip` names `prosa`, and no suite has such a task
     --> plan.toml:3:8
      |
    3 | skip = ["prosa"]
      |        ^^^^^^^^^
      = hint: did you mean `prose`?
    "#);
    assert!(faults("[\"prose\", \"sums\"]").contains("sets every task aside"));
    let place = Place::new();
    place.change("plan.toml", "seed", "skip = [\"prose\"]\nseed");
    place.change("plan.toml", "\"2pp\"", "\"2pp\"\nrule = [{ task = \"prose\", metric = \"kld.mean\", max = 1 }]");
    assert!(place.faults().contains("task `prose` is set aside by `skip`"), "{}", place.faults());
}

#[test]
fn a_stated_region_that_the_address_contradicts_is_refused() {
    let place = place(&format!("{REMOTE}\nregion = \"us\""), SCORING, "");
    place.change("plan.toml", "seed", "skip = [\"prose\", \"sums\", \"facts\"]\nseed");
    assert!(place.faults().contains("the plan says region `us`, and the address is one of region `eu`"), "{}", place.faults());
}

#[test]
fn a_budget_on_the_cost_takes_the_prices_of_all() {
    let priced = "engine = \"vllm\"\nmodel = \"m\"\nprice = { input = 1, output = 2 }";
    let place = place(priced, SCORING, "");
    place.change("plan.toml", "margin = \"2pp\"", "margin = \"2pp\"\n[[policy.rule]]\nmetric = \"cost.ratio\"\nmax = 1.0");
    let faults = place.faults();
    assert!(faults.contains("prices of the canary and of every variant; without one: q8 (vllm)"), "{faults}");
    place.change("plan.toml", "name = \"q8\"", "name = \"q8\"\nprice = { input = 1, output = 2 }");
    place.load();
}
