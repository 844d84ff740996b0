//! The `[policy]` table: how large a loss is tolerated.

use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::{PlanErrors, file, tolerance};
use crate::domain::{Budget, Family, OnDoubt, Policy, Stopping, TaskName, TaskRule, Tolerance};
use crate::suite::{Document, Place, Section, nearest};

/// Said wherever no margin was chosen.
pub(super) const MARGIN_HINT: &str =
    "choose the largest loss that you would accept before you see data: [policy] with margin = \"1pp\"";

const DOUBTS: [(&str, OnDoubt); 2] = [("block", OnDoubt::Block), ("warn", OnDoubt::Warn)];

const STOPPINGS: [(&str, Stopping); 3] =
    [("none", Stopping::None), ("group-sequential", Stopping::GroupSequential), ("e-process", Stopping::EProcess)];

const FAMILIES: [(&str, Family); 5] =
    [("holm", Family::Holm), ("hochberg", Family::Hochberg), ("bh", Family::Bh), ("by", Family::By), ("none", Family::None)];

/// The keys of a rule about a task.
const OF_TASK: [&str; 4] = ["margin", "recovery", "gating", "slice"];

/// What rules can be about, as a hint.
const RULE_HINT: &str = "a rule has a task and a margin or recovery (or gating), or a metric and a max";

/// A policy with the places of the tasks that its rules name.
pub(super) struct PolicyFile {
    /// The policy.
    pub(super) policy: Policy,
    /// Where each rule for a task names it, in the policy's order.
    pub(super) task_places: Vec<Place>,
    /// Where each rule for a task names a slice of it, or begins, in the policy's order.
    pub(super) slice_places: Vec<Place>,
    /// Where each budget names its task, or begins, in the policy's order.
    pub(super) budget_places: Vec<Place>,
    /// Where the tolerance of the mean over tasks stands; none where there is none.
    pub(super) overall_place: Option<Place>,
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
    PolicyFile {
        policy: Policy::new(Tolerance::Margin(0.01)),
        task_places: Vec::new(),
        slice_places: Vec::new(),
        budget_places: Vec::new(),
        overall_place: None,
    }
}

/// Reads the table; its faults are noted with the section.
pub(super) fn from_section(section: &Section<'_>) -> PolicyFile {
    let mut file = unset();
    let policy = &mut file.policy;
    if let Some(alpha) = section.real("alpha") {
        if !(alpha > 0.0 && alpha < 0.5) {
            let hint = "it is the chance of a wrong PASS that you accept; 0.05 is usual";
            section.fault_at("alpha", "`alpha` must be more than 0 and less than 0.5", Some(hint));
        }
        policy.alpha = alpha;
    }
    if !tolerance::is_in(section) {
        section.fault(format!("{} has neither `margin` nor `recovery`", section.name()), Some(MARGIN_HINT));
    }
    policy.tolerance = tolerance::read(section).unwrap_or(policy.tolerance);
    policy.strict = section.flag("strict").unwrap_or_default();
    policy.inconclusive = section.word("inconclusive", &DOUBTS).unwrap_or_default();
    policy.invalid = section.word("invalid", &DOUBTS).unwrap_or_default();
    policy.stopping = section.word("stopping", &STOPPINGS).unwrap_or_default();
    policy.family = section.word("family", &FAMILIES).unwrap_or_default();
    policy.overall = overall(section);
    file.overall_place = policy.overall.map(|_| section.place_of("overall"));
    for table in section.tables("rule") {
        rule(&table, &mut file);
    }
    section.close();
    file
}

/// Reads `overall`, a table with a tolerance of its own.
fn overall(section: &Section<'_>) -> Option<Tolerance> {
    const FORM: &str = "write overall = { margin = \"1pp\" } or overall = { recovery = 0.99 }";
    if !matches!(section.value("overall").map(Spanned::get_ref)?, DeValue::Table(_)) {
        section.fault_at("overall", "`overall` must be a table", Some(FORM));
        return None;
    }
    let table = section.table("overall", "overall")?;
    if !tolerance::is_in(&table) {
        table.fault("overall has neither `margin` nor `recovery`", Some(FORM));
    }
    let tolerance = tolerance::read(&table);
    table.close();
    tolerance
}

/// Reads one rule: for a task or a slice of one, or for a metric.
fn rule(table: &Section<'_>, file: &mut PolicyFile) {
    if table.has("metric") || table.has("max") {
        budget(table, file);
    } else if table.has("task") {
        exception(table, file);
    } else {
        table.fault("the rule names neither a `task` nor a `metric`", Some(RULE_HINT));
        table.skip(&OF_TASK);
    }
    table.close();
}

fn budget(table: &Section<'_>, file: &mut PolicyFile) {
    let (task, metric, max) = (table.text("task").map(TaskName::new), table.text("metric"), table.real("max"));
    for key in OF_TASK.into_iter().filter(|key| table.has(key)) {
        let hint = match key {
            "slice" => "a metric is measured on a task as a whole: remove `slice`",
            _ => "write two rules: one with what the task may lose, one with the metric's max",
        };
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
    let (says, tolerance, gating) = (tolerance::is_in(table), tolerance::read(table), table.flag("gating"));
    let slice = table.text("slice");
    let Some(task) = table.text("task").map(TaskName::new) else { return };
    // A rule that only names a slice says that the slice gates.
    if !says && !table.has("gating") && !table.has("slice") {
        let hint = "give it a `margin`, a `recovery` or `gating`";
        table.fault(format!("the rule for task `{task}` says nothing"), Some(hint));
    }
    if file.policy.tasks.iter().any(|rule| rule.task == task && rule.slice == slice) {
        let of = slice.as_ref().map_or_else(String::new, |slice| format!("slice `{slice}` of "));
        table.fault_at("task", format!("two rules are for {of}task `{task}`"), Some("make them one"));
    }
    file.task_places.push(table.place_of("task"));
    file.slice_places.push(table.place_of("slice"));
    file.policy.tasks.push(TaskRule { task, slice, tolerance, gating });
}
