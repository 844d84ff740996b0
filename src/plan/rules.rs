//! Whether the policy's rules are about tasks that there are.

use super::PlannedTask;
use super::policy::PolicyFile;
use crate::domain::{MetricKind, Policy, TaskName};
use crate::suite::{Diagnostic, Place, nearest};

/// Adds a fault for each rule that no task answers to, or that asks of a task what it can't give.
pub(super) fn check(file: &PolicyFile, tasks: &[PlannedTask], faults: &mut Vec<Diagnostic>) {
    for (rule, place) in file.policy.tasks.iter().zip(&file.task_places) {
        let Some(task) = find(&rule.task, tasks, place, faults) else { continue };
        let gates = rule.gating == Some(true) || rule.tolerance.is_some();
        if task.task.metric == MetricKind::Perplexity && gates {
            let message = format!("task `{}` is a perplexity task: it has no margin and cannot gate", rule.task);
            let hint = "bound it with a rule that has a metric and a max";
            faults.push(Diagnostic::new(message, Some(hint)).at(place.clone()));
        }
    }
    for (budget, place) in file.policy.budgets.iter().zip(&file.budget_places) {
        let of_task = budget.task.as_ref().and_then(|task| find(task, tasks, place, faults));
        if let Some(task) = of_task
            && task.task.metric != MetricKind::Perplexity
        {
            let message = format!("`{}` is measured on perplexity tasks, which `{}` is not", budget.metric, task.task.name);
            faults.push(Diagnostic::new(message, None).at(place.clone()));
        }
    }
    let measured = tasks.iter().any(|task| task.task.metric == MetricKind::Perplexity);
    if let (Some(budget), Some(place), false) = (file.policy.budgets.first(), file.budget_places.first(), measured) {
        let message = format!("`{}` is measured on perplexity tasks, and there is none", budget.metric);
        faults.push(Diagnostic::new(message, Some("add a perplexity task, or remove the rule")).at(place.clone()));
    }
}

/// A fault where the verdict would depend on nothing: no task gates and no metric has a budget.
pub(super) fn nothing_gates(policy: &Policy, tasks: &[PlannedTask]) -> Option<Diagnostic> {
    let gates = |planned: &PlannedTask| {
        planned.task.metric == MetricKind::Accuracy && policy.gates(&planned.task.name, planned.task.gating)
    };
    let decided = tasks.is_empty() || tasks.iter().any(gates) || !policy.budgets.is_empty();
    let hint = "set `gating = true` for a task, or give a metric a max";
    (!decided).then(|| Diagnostic::new("no task gates and no metric has a budget: nothing would be decided", Some(hint)))
}

fn find<'t>(name: &TaskName, tasks: &'t [PlannedTask], place: &Place, faults: &mut Vec<Diagnostic>) -> Option<&'t PlannedTask> {
    let found = tasks.iter().find(|task| task.task.name == *name);
    if found.is_none() {
        let names: Vec<&str> = tasks.iter().map(|task| task.task.name.as_str()).collect();
        let hint = nearest(name.as_str(), names.iter().copied())
            .map_or_else(|| format!("tasks are {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
        faults.push(Diagnostic::new(format!("no task is called `{name}`"), Some(&hint)).at(place.clone()));
    }
    found
}
