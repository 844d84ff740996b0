//! What a good plan resolves to.

use std::fs;
use std::path::Path;

use super::{Place, SUITE};
use crate::domain::{EngineSpec, ModelSource, Request, Role, Target, Tolerance};
use crate::plan::{Overrides, Plan};

#[test]
fn a_plan_resolves_to_subjects_tasks_samples_and_folders() {
    let place = Place::new();
    let plan = place.load();
    assert_eq!((plan.name.as_str(), plan.seed), ("demo", 7));
    let subjects: Vec<_> = plan.subjects.iter().map(|subject| (subject.name.as_str(), subject.role)).collect();
    assert_eq!(subjects, [("canary", Role::Canary), ("q8", Role::Variant)]);
    let EngineSpec::Local(variant) = &plan.subjects[1].engine else { panic!("variants are local by default") };
    assert_eq!(variant.source, ModelSource::Quantize("q8_0".into()));
    let EngineSpec::Local(canary) = &plan.subjects[0].engine else { panic!("the canary is local by default") };
    assert_eq!(canary.source, ModelSource::Path("model".into()), "paths stay as written");
    assert_eq!(plan.resolve(Path::new("model")), place.path("model"));
    assert_eq!((plan.reports, plan.cache), (place.path("reports"), place.path("models/cache")));
    assert_eq!((plan.policy.alpha, plan.policy.tolerance), (0.05, Tolerance::Margin(0.02)));
    assert_eq!(plan.tasks[0].card.samples, 200);
    assert!(plan.tasks[0].card.digest.as_str().starts_with("sha256:"));
    assert_eq!(plan.warnings, Vec::<String>::new());
}

#[test]
fn rows_are_rendered_without_escaping_and_with_their_last_line_break() {
    let plan = Place::new().load();
    assert_eq!(plan.tasks[1].samples[0].request, Request::Perplexity { text: "Once <b> & \"c\".\n".into() });
    let sample = plan.tasks[0].samples.iter().find(|sample| sample.id.as_str() == "s41").expect("the row is there");
    assert_eq!((sample.slice.as_deref(), &sample.target), (Some("add"), &Target::Text(vec!["42".into()])));
    let Request::Generate { prompt, .. } = &sample.request else { panic!("the task generates") };
    assert_eq!(prompt, "41+1=");
}

#[test]
fn samples_come_in_an_order_that_the_seed_decides_and_the_file_does_not() {
    let ids = |plan: &Plan| plan.tasks[0].samples.iter().map(|sample| sample.id.clone()).collect::<Vec<_>>();
    let place = Place::new();
    let first = place.load();
    let sums = fs::read_to_string(place.path("sums.jsonl")).expect("the file is there");
    let reversed: Vec<&str> = sums.lines().rev().collect();
    place.write("sums.jsonl", &reversed.join("\n"));
    assert_eq!(ids(&place.load()), ids(&first));
    let other = place.load_with(&Overrides { seed: Some(8), ..Overrides::default() }).expect("the plan is good");
    assert_ne!(ids(&other), ids(&first));
    assert!(!ids(&first).is_sorted());
}

#[test]
fn the_digest_follows_what_changes_a_result_and_nothing_else() {
    let digest = |place: &Place, overrides: &Overrides| place.load_with(overrides).expect("the plan is good").digest;
    let none = Overrides::default();
    let original = digest(&Place::new(), &none);
    let folders = Overrides { reports: Some("r".into()), cache: Some("c".into()), ..Overrides::default() };
    assert_eq!(digest(&Place::new(), &folders), original, "folders");
    let same = [("plan.toml", "\"demo\"", "\"other\""), ("suite.toml", "kind = \"gen", "about = \"Sums.\"\nkind = \"gen")];
    for (file, from, to) in same {
        let place = Place::new();
        place.change(file, from, to);
        assert_eq!(digest(&place, &none), original, "{to}");
    }
    let different = [
        ("plan.toml", "seed = 7", "seed = 8"),
        ("plan.toml", "q8_0", "q4_0"),
        ("plan.toml", "2pp", "3pp"),
        ("plan.toml", "margin = \"2pp\"", "recovery = 0.98"),
        ("plan.toml", "2pp\"", "2pp\"\nstrict = true"),
        ("plan.toml", "2pp\"", "2pp\"\nstopping = \"e-process\""),
        ("plan.toml", "2pp\"", "2pp\"\nfamily = \"by\""),
        ("plan.toml", "2pp\"", "2pp\"\nrule = [{ task = \"sums\", slice = \"add\" }]"),
        ("plan.toml", "\"model\"", "\"model\"\nrepeats = 2"),
        ("suite.toml", "slice = \"kind\"", "slice = \"kind\"\nscorer = \"f1\""),
        ("suite.toml", "slice = \"kind\"", ""),
        ("suite.toml", "slice = \"kind\"", "slice = \"kind\"\nmax_tokens = 63"),
        ("suite.toml", "}}=", "}} ="),
        ("sums.jsonl", "\"a\":1}", "\"a\":11}"),
    ];
    for (file, from, to) in different {
        let place = Place::new();
        place.change(file, from, to);
        assert_ne!(digest(&place, &none), original, "{to}");
    }
}

#[test]
fn overrides_win_over_the_plan() {
    let place = Place::new();
    place.write("other.toml", &SUITE.replace("sums\"\nk", "totals\"\nk"));
    place.write("policy.toml", "alpha = 0.1\nmargin = 0.03\ninvalid = \"warn\"\n");
    let overrides = Overrides {
        suites: Some(vec![place.path("other.toml")]),
        seed: Some(1),
        reports: Some("elsewhere".into()),
        cache: None,
        limit: Some(50),
        policy: Some(place.path("policy.toml")),
        memory: Some(1 << 30),
    };
    let plan = place.load_with(&overrides).expect("the plan is good");
    assert_eq!((plan.tasks[0].task.name.as_str(), plan.tasks[0].samples.len()), ("totals", 50));
    assert_eq!(plan.tasks[1].samples.len(), 1, "a limit above the number of rows keeps them all");
    assert_eq!((plan.seed, plan.reports.as_path(), plan.policy.alpha), (1, Path::new("elsewhere"), 0.1));
    assert_eq!(plan.policy.tolerance, Tolerance::Margin(0.03));
}

#[test]
fn sampling_seeds_differ_between_samples_and_tasks_but_not_between_loads() {
    let seeds = |plan: &Plan| -> Vec<u64> {
        let seed = |request: &Request| match request {
            Request::Generate { generation, .. } => generation.seed,
            _ => 0,
        };
        plan.tasks[0].samples.iter().map(|sample| seed(&sample.request)).collect()
    };
    let place = Place::new();
    let first = seeds(&place.load());
    assert_eq!(seeds(&place.load()), first);
    let mut distinct = first.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), first.len());
}

#[test]
fn a_limit_of_no_samples_is_refused() {
    let none = Overrides { limit: Some(0), ..Overrides::default() };
    let errors = Place::new().load_with(&none).expect_err("nothing would run");
    assert_eq!(errors, "a limit of 0 samples leaves nothing to run\n  hint: give at least 1");
}
