//! The plan and the suites that come with quantgate load, and mean what the README says.

use std::path::PathBuf;

use quantgate::domain::{MetricKind, RequestKind, Role};
use quantgate::plan::{Overrides, Plan};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn load(overrides: &Overrides) -> Plan {
    let plan = Plan::load(&root().join("quantgate.toml"), overrides);
    plan.unwrap_or_else(|errors| panic!("the shipped plan has faults:\n{errors}"))
}

#[test]
fn the_default_plan_judges_three_variants_and_a_control_on_seven_full_sized_tasks() {
    let plan = load(&Overrides::default());
    let roles: Vec<Role> = plan.subjects.iter().map(|subject| subject.role).collect();
    assert_eq!(roles, [Role::Canary, Role::Variant, Role::Variant, Role::Variant, Role::Control]);
    let gating: Vec<_> = plan.tasks.iter().filter(|planned| planned.task.gating).collect();
    assert!(gating.len() >= 7, "{} tasks gate", gating.len());
    for planned in &gating {
        assert!(planned.samples.len() >= 1000, "{} has {} samples", planned.task.name, planned.samples.len());
        assert!(planned.samples.iter().all(|sample| sample.slice.is_some()), "{} has slices", planned.task.name);
    }
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}

#[test]
fn the_shipped_suites_have_the_same_tasks_of_every_kind_and_the_smoke_suite_is_small() {
    let smoke = load(&Overrides { suites: Some(vec![root().join("suites/smoke.toml")]), ..Overrides::default() });
    let standard = load(&Overrides::default());
    assert_eq!(smoke.tasks.len(), standard.tasks.len());
    for (small, full) in smoke.tasks.iter().zip(&standard.tasks) {
        let mut same = small.task.clone();
        same.dataset = full.task.dataset.clone();
        assert_eq!(same, full.task, "only the number of rows differs");
        assert!(small.samples.len() <= 60);
        assert!(small.samples.iter().all(|sample| full.samples.contains(sample)), "{}", small.task.name);
    }
    let kinds = [RequestKind::Choice, RequestKind::Generate, RequestKind::Chat, RequestKind::Tools, RequestKind::Perplexity];
    for kind in kinds {
        assert!(standard.tasks.iter().any(|planned| planned.task.kind == kind), "{kind:?} occurs");
    }
}

#[test]
fn every_shipped_dataset_is_listed_in_the_manifest() {
    use quantgate::dataset::{Manifest, read};
    let manifest = Manifest::load(&root().join("datasets/manifest.toml")).expect("the manifest is good");
    for planned in load(&Overrides::default()).tasks {
        let dataset = read(&root().join(&planned.task.dataset.path)).expect("the dataset is good");
        assert!(manifest.verify(&dataset).expect("the dataset is the listed one"), "{} is listed", planned.card.dataset);
    }
}

#[test]
fn perplexity_is_shown_and_never_gates() {
    let plan = load(&Overrides::default());
    let shown: Vec<_> = plan.tasks.iter().filter(|planned| planned.task.metric == MetricKind::Perplexity).collect();
    assert!(!shown.is_empty() && shown.iter().all(|planned| !planned.task.gating));
}
