//! The `[policy]` table: how large a loss is tolerated.

use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::{PlanErrors, file};
use crate::domain::{Budget, OnDoubt, Policy, TaskName, TaskRule, Tolerance};
use crate::suite::{Document, Place, Section, nearest};

/// Said wherever no margin was chosen.
pub(super) const MARGIN_HINT: &str =
    "choose the largest loss that you would accept before you see data: [policy] with margin = \"1pp\"";

const DOUBTS: [(&str, OnDoubt); 2] = [("block", OnDoubt::Block), ("warn", OnDoubt::Warn)];

/// A policy with the places of the tasks that its rules name.
pub(super) struct PolicyFile {
    /// The policy.
    pub(super) policy: Policy,
    /// Where each rule for a task names it, in the policy's order.
    pub(super) task_places: Vec<Place>,
    /// Where each budget names its task, or begins, in the policy's order.
    pub(super) budget_places: Vec<Place>,
}

/// Reads the policy of a file: its `[policy]` table, where it has one (as a plan does), otherwise the file as a whole.
///
/// # Errors
/// Every fault of the policy. Whether its tasks exist is not checked here.
pub fn read_policy(path: &Path) -> Result<Policy, PlanErrors> {
    from_file(path).map(|file| file.policy)
}

/// As [`read_policy`], with the places.
pub(super) fn from_file(path: &Path) -> Result<PolicyFile, PlanErrors> {
    let document = Document::read(path)?;
    let parsed = document.parse()?;
    let root = Section::root(&document, "the policy", parsed.get_ref());
    let policy = match root.table("policy", "[policy]") {
        Some(table) => {
            // The other keys of a plan are none of the policy's business.
            root.skip(&file::KEYS);
            root.close();
            from_section(&table)
        }
        None if root.has("policy") => unset(),
        None => {
            let bare = Section::root(&document, "the policy", parsed.get_ref());
            from_section(&bare)
        }
    };
    document.finish()?;
    Ok(policy)
}

/// A policy that stands in for one with faults.
pub(super) fn unset() -> PolicyFile {
    PolicyFile { policy: Policy::new(Tolerance::Margin(0.01)), task_places: Vec::new(), budget_places: Vec::new() }
}

/// Reads the table; its faults are noted with the section.
pub(super) fn from_section(section: &Section<'_>) -> PolicyFile {
    let mut file = unset();
    if let Some(alpha) = section.real("alpha") {
        if !(alpha > 0.0 && alpha < 0.5) {
            let hint = "it is the chance of a wrong PASS that you accept; 0.05 is usual";
            section.fault_at("alpha", "`alpha` must be more than 0 and less than 0.5", Some(hint));
        }
        file.policy.alpha = alpha;
    }
    if !section.has("margin") {
        section.fault(format!("{} has no `margin`", section.name()), Some(MARGIN_HINT));
    }
    file.policy.tolerance = margin(section).unwrap_or(file.policy.tolerance);
    file.policy.inconclusive = section.word("inconclusive", &DOUBTS).unwrap_or_default();
    file.policy.invalid = section.word("invalid", &DOUBTS).unwrap_or_default();
    for table in section.tables("rule") {
        rule(&table, &mut file);
    }
    section.close();
    file
}

/// Reads one rule: for a task, or for a metric.
fn rule(table: &Section<'_>, file: &mut PolicyFile) {
    if table.has("metric") || table.has("max") {
        budget(table, file);
    } else if table.has("task") {
        exception(table, file);
    } else {
        let hint = "a rule has a task and a margin (or gating), or a metric and a max";
        table.fault("the rule names neither a `task` nor a `metric`", Some(hint));
        table.skip(&["margin", "gating"]);
    }
    table.close();
}

fn budget(table: &Section<'_>, file: &mut PolicyFile) {
    let (task, metric, max) = (table.text("task").map(TaskName::new), table.text("metric"), table.real("max"));
    for key in ["margin", "gating"].into_iter().filter(|key| table.has(key)) {
        let hint = "write two rules: one with the task's margin, one with the metric's max";
        table.fault_at(key, format!("`{key}` does not go with `metric` and `max` in one rule"), Some(hint));
    }
    for key in ["metric", "max"].into_iter().filter(|key| !table.has(key)) {
        let hint = "a budget reads: metric = \"kld.mean\", max = 0.05";
        table.fault(format!("the rule has no `{key}`"), Some(hint));
    }
    if max.is_some_and(|max| max <= 0.0) {
        table.fault_at("max", "`max` must be more than 0", None);
    }
    let Some(metric) = metric else { return };
    if !Budget::names().any(|name| name == metric) {
        let near = nearest(&metric, Budget::names()).map(|near| format!("did you mean `{near}`?"));
        let hint = near.unwrap_or_else(|| format!("metrics are {}", Budget::names().collect::<Vec<_>>().join(", ")));
        table.fault_at("metric", format!("no metric is called `{metric}`"), Some(&hint));
    }
    file.budget_places.push(table.place_of("task"));
    file.policy.budgets.push(Budget { metric, task, max: max.unwrap_or(f64::MAX) });
}

fn exception(table: &Section<'_>, file: &mut PolicyFile) {
    let (tolerance, gating) = (margin(table), table.flag("gating"));
    let Some(task) = table.text("task").map(TaskName::new) else { return };
    if !table.has("margin") && !table.has("gating") {
        table.fault(format!("the rule for task `{task}` says nothing"), Some("give it a `margin` or `gating`"));
    }
    if file.policy.tasks.iter().any(|rule| rule.task == task) {
        table.fault_at("task", format!("two rules are for task `{task}`"), Some("make them one"));
    }
    file.task_places.push(table.place_of("task"));
    file.policy.tasks.push(TaskRule { task, slice: None, tolerance, gating });
}

/// Reads `margin`: percentage points ("2pp") or a share (0.02).
fn margin(section: &Section<'_>) -> Option<Tolerance> {
    let share = match section.value("margin").map(Spanned::get_ref)? {
        DeValue::String(text) => {
            let points = text.trim().strip_suffix("pp").and_then(|points| points.trim().parse::<f64>().ok());
            let Some(points) = points.filter(|points| points.is_finite()) else {
                let message = format!("`{text}` is not a margin");
                section.fault_at("margin", message, Some("write percentage points, \"2pp\", or a share, 0.02"));
                return None;
            };
            points / 100.0
        }
        _ => section.real("margin")?,
    };
    if share == 0.0 {
        let hint = "margin 0 can never be shown: no number of samples proves that nothing is lost; \"1pp\" is a usual start";
        section.fault_at("margin", "`margin` must be more than 0", Some(hint));
    } else if share < 0.0 {
        let hint = "a margin is the largest loss that is tolerated, written without a sign: \"1pp\"";
        section.fault_at("margin", "`margin` must be more than 0", Some(hint));
    } else if share >= 1.0 {
        let hint = "a bare number is a share: 0.02 is two percentage points, which may also be written \"2pp\"";
        section.fault_at("margin", "`margin` must be less than 1, that is 100pp", Some(hint));
    }
    (share > 0.0 && share < 1.0).then_some(Tolerance::Margin(share))
}
