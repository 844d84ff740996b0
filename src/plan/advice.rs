//! What a person should know of a plan before it runs: tasks that can never pass, and settings that do not do what they seem to.

use std::collections::BTreeMap;

use super::power::{Design, Never};
use super::{PlannedTask, rules, tolerance};
use crate::domain::{
    Budget, EngineSpec, Measured, MetricKind, Policy, RequestKind, Stopping, Subject, Tolerance, share_clusters,
};

/// Every piece of advice, as sentences.
pub(super) fn of(policy: &Policy, subjects: &[Subject], tasks: &[PlannedTask]) -> Vec<String> {
    let designs = Design::all(policy, subjects, tasks);
    let mut all = floors(policy, &designs);
    all.extend(clusters(&designs));
    all.extend(low_recovery(policy));
    all.extend(overall_adds_nothing(policy, tasks));
    all.extend(equal_repeats(subjects, tasks));
    all.extend(excess_of_one(policy, subjects));
    all.extend(stopping_is_moot(policy, subjects, tasks));
    all
}

/// What a design is about, as a reader names it.
fn name(design: &Design) -> String {
    match &design.slice {
        None => design.task.to_string(),
        Some(slice) => format!("{}/{slice}", design.task),
    }
}

/// One warning for each tolerance that some gating task has too few samples for.
fn floors(policy: &Policy, designs: &[Design]) -> Vec<String> {
    let mut small: BTreeMap<(u64, String), Vec<String>> = BTreeMap::new();
    for design in designs {
        // At best the canary is always right: whether a recovery can be shown otherwise, `power` tells.
        if let Some(Never::Samples { least }) = design.never(1.0) {
            let entry = small.entry((least, tolerance::shown(design.tolerance))).or_default();
            entry.push(format!("{} ({})", name(design), design.samples));
        }
    }
    let sentence = |((least, tolerance), tasks): ((u64, String), Vec<String>)| {
        format!(
            "too few samples to ever PASS {tolerance} at alpha {}, which takes at least {least}: {}",
            policy.alpha,
            tasks.join(", ")
        )
    };
    small.into_iter().map(sentence).collect()
}

fn clusters(designs: &[Design]) -> Vec<String> {
    let few = designs.iter().filter_map(|design| match (design.never(1.0), design.clusters) {
        (Some(Never::Clusters { least }), Some(clusters)) => Some(format!(
            "the samples of {} come from {} clusters, and a PASS takes at least {least}",
            name(design),
            clusters.count
        )),
        _ => None,
    });
    few.collect()
}

/// A recovery that was probably meant as a loss.
fn low_recovery(policy: &Policy) -> Vec<String> {
    let rules = policy.tasks.iter().filter_map(|rule| rule.tolerance);
    let mut all: Vec<Tolerance> = [policy.tolerance].into_iter().chain(policy.overall).chain(rules).collect();
    all.dedup();
    let low = all.into_iter().filter_map(|tolerance| match tolerance {
        Tolerance::Recovery(share) if share < 0.5 => Some(format!(
            "a recovery of {share} lets a variant lose {:.0} % of the canary's score; it is the share that must be kept, usually 0.99",
            100.0 * (1.0 - share)
        )),
        _ => None,
    });
    low.collect()
}

/// A mean over tasks that is kept wherever each task keeps its own.
fn overall_adds_nothing(policy: &Policy, tasks: &[PlannedTask]) -> Option<String> {
    let Some(Tolerance::Margin(overall)) = policy.overall else { return None };
    let gating = tasks.iter().filter(|planned| rules::gates(policy, planned));
    let margins: Option<Vec<f64>> = gating
        .map(|planned| match policy.tolerance_of(&planned.task.name) {
            Tolerance::Margin(margin) => Some(margin),
            Tolerance::Recovery(_) => None,
        })
        .collect();
    let margins = margins.filter(|margins| !margins.is_empty())?;
    let mean = margins.iter().sum::<f64>() / margins.len() as f64;
    // The same number written twice must not differ by rounding.
    (overall >= mean - 1e-12).then(|| {
        let (overall, mean) = (Tolerance::Margin(overall), (mean * 1e6).round() / 1e4);
        format!(
            "the overall rule adds nothing: tasks that keep within their margins ({mean}pp on average) keep within {} of their mean",
            tolerance::shown(overall)
        )
    })
}

/// Repeats that give the same answer again.
fn equal_repeats(subjects: &[Subject], tasks: &[PlannedTask]) -> Option<String> {
    let greedy = |planned: &PlannedTask| planned.task.kind == RequestKind::Choice || planned.task.temperature == 0.0;
    let repeated = subjects.iter().filter(|s| s.repeats > 1 && matches!(s.engine, EngineSpec::Local(_)));
    let names: Vec<&str> = repeated.map(|subject| subject.name.as_str()).collect();
    (!names.is_empty() && tasks.iter().all(greedy)).then(|| {
        format!(
            "repeats of {} will be equal, answer by answer: a model in this process gives the same answer to the same request, \
             and no task here has a temperature above 0",
            names.join(", ")
        )
    })
}

/// Flips beyond the canary's own where a variant has none of its own to take off.
fn excess_of_one(policy: &Policy, subjects: &[Subject]) -> Option<String> {
    let bounded = policy.budgets.iter().any(|budget| budget.metric == "flips.excess");
    let once: Vec<&str> = subjects.iter().skip(1).filter(|s| s.repeats < 2).map(|s| s.name.as_str()).collect();
    (bounded && !once.is_empty()).then(|| {
        format!(
            "`flips.excess` of {} can hide a change on hard items: asked once, a variant's flips less the canary's own are no test \
             of noise; set repeats = 2 for it",
            once.join(", ")
        )
    })
}

/// Tasks that early stopping leaves alone.
fn stopping_is_moot(policy: &Policy, subjects: &[Subject], tasks: &[PlannedTask]) -> Option<String> {
    if policy.stopping == Stopping::None {
        return None;
    }
    let gating: Vec<&PlannedTask> = tasks.iter().filter(|planned| rules::gates(policy, planned)).collect();
    let whole = whole(policy, subjects);
    let mut full: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for planned in &gating {
        if let Some(why) = whole.or_else(|| in_full(policy, planned)) {
            full.entry(why).or_default().push(planned.task.name.as_str());
        }
    }
    let parts: Vec<String> = full.iter().map(|(why, names)| format!("{} ({why})", names.join(", "))).collect();
    let stopping = if policy.stopping == Stopping::EProcess { "e-process" } else { "group-sequential" };
    (!parts.is_empty()).then(|| format!("stopping = \"{stopping}\" ends nothing early on {}", parts.join(", ")))
}

/// Why all tasks are asked in full.
fn whole(policy: &Policy, subjects: &[Subject]) -> Option<&'static str> {
    let of_answers = |budget: &Budget| budget.measured() != Some(Measured::Documents) && budget.task.is_none();
    // A variant that is asked once can end early beside one that is asked more often, but not beside such a canary.
    let canary_repeats = subjects.first().is_some_and(|canary| canary.repeats > 1);
    let others_repeat = subjects.len() > 1 && subjects.iter().skip(1).all(|subject| subject.repeats > 1);
    if policy.overall.is_some() {
        Some("`overall` needs all of every task")
    } else if canary_repeats || others_repeat {
        Some("samples are repeated")
    } else if policy.budgets.iter().any(of_answers) {
        Some("a budget is measured on its answers")
    } else {
        None
    }
}

/// Why a task is asked in full.
fn in_full(policy: &Policy, planned: &PlannedTask) -> Option<&'static str> {
    let name = &planned.task.name;
    let of_slice = policy.tasks.iter().any(|rule| rule.task == *name && rule.slice.is_some());
    let of_answers = |budget: &Budget| budget.measured() != Some(Measured::Documents) && budget.task.as_ref() == Some(name);
    if matches!(policy.tolerance_of(name), Tolerance::Recovery(_)) {
        Some("a recovery is judged at the end")
    } else if planned.task.metric == MetricKind::Mean {
        Some("its scores are not just right or wrong")
    } else if share_clusters(planned.samples.iter().map(|sample| sample.cluster.as_deref())) {
        Some("its samples share clusters")
    } else if of_slice {
        Some("a rule is about a slice of it")
    } else if policy.budgets.iter().any(of_answers) {
        Some("a budget is measured on its answers")
    } else {
        None
    }
}
