//! Whether the policy's rules are about tasks, slices and measurements that there are.

use super::PlannedTask;
use super::policy::PolicyFile;
use super::tasks::Tasks;
use crate::domain::{Budget, Measured, MetricKind, Policy, Subject, TaskName, TaskRule};
use crate::suite::{Diagnostic, Place, nearest};

/// The metric that numbers have none of: where nothing is right or wrong there are no errors.
const ERRORS: &str = "error.ratio";

/// Adds a fault for each rule that no task answers to, or that asks of a task what it can't give.
pub(super) fn check(file: &PolicyFile, subjects: &[Subject], tasks: &Tasks, faults: &mut Vec<Diagnostic>) {
    let places = file.task_places.iter().zip(&file.slice_places);
    for (rule, (place, slice_place)) in file.policy.tasks.iter().zip(places) {
        let Some(task) = find(&rule.task, tasks, place, faults) else { continue };
        let gates = rule.gating == Some(true) || rule.tolerance.is_some() || rule.slice.is_some();
        if task.task.metric == MetricKind::Perplexity && gates {
            let message = format!("task `{}` is a perplexity task: it has no margin and cannot gate", rule.task);
            let hint = "bound it with a rule that has a metric and a max";
            faults.push(Diagnostic::new(message, Some(hint)).at(place.clone()));
        } else {
            faults.extend(no_slice(rule, task).map(|fault| fault.at(slice_place.clone())));
        }
    }
    for (budget, place) in file.policy.budgets.iter().zip(&file.budget_places) {
        let on = match &budget.task {
            Some(task) => find(task, tasks, place, faults).map(|task| of_task(budget, task)),
            None => Some(of_any(budget, &tasks.planned)),
        };
        let fault = on.flatten().or_else(|| unrepeated(budget, subjects));
        faults.extend(fault.map(|fault| fault.at(place.clone())));
    }
    if let Some(place) = &file.overall_place {
        let gating = tasks.planned.iter().filter(|planned| gates(&file.policy, planned)).count();
        if gating < 2 {
            let what = if gating == 0 { "none gates" } else { "only one gates" };
            let message = format!("`overall` is about the mean over the gating tasks, and {what}");
            faults.push(Diagnostic::new(message, Some("remove `overall`, or let more tasks gate")).at(place.clone()));
        }
    }
}

/// Whether the verdict depends on the task as a whole.
pub(super) fn gates(policy: &Policy, planned: &PlannedTask) -> bool {
    planned.task.metric != MetricKind::Perplexity && policy.gates(&planned.task.name, planned.task.gating)
}

/// A fault where a rule is about a slice that the task doesn't have. A task whose dataset has faults has no samples to ask.
fn no_slice(rule: &TaskRule, planned: &PlannedTask) -> Option<Diagnostic> {
    let wanted = rule.slice.as_deref()?;
    if planned.samples.is_empty() {
        return None;
    }
    let mut slices: Vec<&str> = planned.samples.iter().filter_map(|sample| sample.slice.as_deref()).collect();
    slices.sort_unstable();
    slices.dedup();
    if slices.contains(&wanted) {
        return None;
    }
    let task = &rule.task;
    if slices.is_empty() {
        let hint = "name the field that groups its rows in the suite: slice = \"language\"";
        return Some(Diagnostic::new(format!("task `{task}` has no slices"), Some(hint)));
    }
    let hint = match nearest(wanted, slices.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its slices are {}", slices.join(", ")),
    };
    Some(Diagnostic::new(format!("task `{task}` has no slice `{wanted}`"), Some(&hint)))
}

/// Whether a budget's metric can be measured on a task. Of a metric that nobody knows, nothing is said here.
fn fits(budget: &Budget, planned: &PlannedTask) -> bool {
    match budget.measured() {
        Some(Measured::Documents) => planned.task.metric == MetricKind::Perplexity,
        Some(Measured::Items) if budget.metric == ERRORS => planned.task.metric == MetricKind::Accuracy,
        Some(Measured::Items | Measured::Times | Measured::Amounts) => planned.task.metric != MetricKind::Perplexity,
        None => true,
    }
}

/// The kind of tasks that a metric is measured on.
fn kind(budget: &Budget) -> &'static str {
    match budget.measured() {
        Some(Measured::Documents) => "perplexity tasks",
        Some(Measured::Items) if budget.metric == ERRORS => "right-or-wrong tasks",
        Some(Measured::Items | Measured::Times | Measured::Amounts) | None => "tasks with scores",
    }
}

fn of_task(budget: &Budget, planned: &PlannedTask) -> Option<Diagnostic> {
    let message = || format!("`{}` is measured on {}, which `{}` is not", budget.metric, kind(budget), planned.task.name);
    (!fits(budget, planned)).then(|| Diagnostic::new(message(), None))
}

fn of_any(budget: &Budget, tasks: &[PlannedTask]) -> Option<Diagnostic> {
    if tasks.is_empty() || tasks.iter().any(|planned| fits(budget, planned)) {
        return None;
    }
    let message = format!("`{}` is measured on {}, and there is none", budget.metric, kind(budget));
    let hint = match budget.measured() {
        Some(Measured::Documents) => "add a perplexity task, or remove the rule",
        _ => "add a task, or remove the rule",
    };
    Some(Diagnostic::new(message, Some(hint)))
}

/// A fault where flips beyond the canary's own are bounded, and the canary has none of its own to compare with.
fn unrepeated(budget: &Budget, subjects: &[Subject]) -> Option<Diagnostic> {
    let canary = subjects.first().filter(|canary| canary.repeats < 2)?;
    let hint = "ask it twice: [canary] with repeats = 2, and the variants too, for a test that holds whatever the noise";
    let message =
        format!("`{}` compares with how much the {} differs from itself, and it is asked once", budget.metric, canary.name);
    (budget.metric == "flips.excess").then(|| Diagnostic::new(message, Some(hint)))
}

/// A fault where the verdict would depend on nothing: no task or slice gates and no metric has a budget.
pub(super) fn nothing_gates(policy: &Policy, tasks: &[PlannedTask]) -> Option<Diagnostic> {
    let of_slices = || policy.tasks.iter().any(|rule| rule.slice.is_some() && rule.gating != Some(false));
    let decided =
        tasks.is_empty() || tasks.iter().any(|planned| gates(policy, planned)) || of_slices() || !policy.budgets.is_empty();
    let hint = "set `gating = true` for a task, or give a metric a max";
    (!decided).then(|| Diagnostic::new("no task gates and no metric has a budget: nothing would be decided", Some(hint)))
}

fn find<'t>(name: &TaskName, tasks: &'t Tasks, place: &Place, faults: &mut Vec<Diagnostic>) -> Option<&'t PlannedTask> {
    let found = tasks.planned.iter().find(|task| task.task.name == *name);
    if tasks.skipped.contains(name) {
        let message = format!("task `{name}` is set aside by `skip`, so no rule can be about it");
        faults.push(Diagnostic::new(message, Some("remove the rule, or ask the task")).at(place.clone()));
    } else if found.is_none() {
        let names: Vec<&str> = tasks.planned.iter().map(|task| task.task.name.as_str()).collect();
        let hint = nearest(name.as_str(), names.iter().copied())
            .map_or_else(|| format!("tasks are {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
        faults.push(Diagnostic::new(format!("no task is called `{name}`"), Some(&hint)).at(place.clone()));
    }
    found
}
