//! What will run: subjects, tasks and policy, resolved and checked before the first request.

mod able;
mod advice;
mod api;
mod digest;
mod file;
mod order;
mod policy;
pub mod power;
mod render;
mod rules;
mod shape;
mod subjects;
mod tasks;
#[cfg(test)]
mod tests;
mod tolerance;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use policy::read_policy;

use tasks::Tasks;

use crate::domain::{Digest, Policy, Sample, Service, Subject, SubjectName, Task, TaskCard};
use crate::suite::{Diagnostic, Diagnostics};

/// A plan as a file with an explanation of every key, for `quantgate init`.
pub const TEMPLATE: &str = include_str!("template.toml");

/// Everything that keeps a plan from running; at least one fault.
pub type PlanErrors = Diagnostics;

/// A task with its samples, rendered and in their final order.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedTask {
    /// The task as its suite says.
    pub task: Task,
    /// What the journal keeps of it.
    pub card: TaskCard,
    /// What is asked; ids are unique.
    pub samples: Vec<Sample>,
}

/// Everything that a run does, checked: nothing in it can be refused later but by an engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The plan's name.
    pub name: String,
    /// The folder that the plan's relative paths start from; empty for the working folder.
    pub root: PathBuf,
    /// Digest of everything that can change a result: subjects (models as the plan writes
    /// them), tasks, rendered samples, settings, policy and seed; not folders of datasets, reports or cache, nor concurrency.
    pub digest: Digest,
    /// Seed of everything that is random.
    pub seed: u64,
    /// Who is asked, the canary first, then variants and controls in the plan's order; names are unique. Their paths
    /// are as written: see [`Plan::resolve`].
    pub subjects: Vec<Subject>,
    /// What is asked, in order; names are unique.
    pub tasks: Vec<PlannedTask>,
    /// The tolerances.
    pub policy: Policy,
    /// How the endpoints of subjects are treated and what they cost; without what the plan says nothing about.
    pub services: BTreeMap<SubjectName, Service>,
    /// The most that this run may cost, in the currency of the prices.
    pub spending: Option<f64>,
    /// The folder that run folders are made in.
    pub reports: PathBuf,
    /// The folder that quantized variants are cached in.
    pub cache: PathBuf,
    /// Most bytes that each subject in this process may take beside its model's own; none: the engine's default.
    pub memory: Option<u64>,
    /// What a person should know before the run, as sentences; nothing of it keeps the plan from running.
    pub warnings: Vec<String>,
}

/// Settings from outside the plan, which win over it. Their paths start from the working folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Suite files in place of the plan's.
    pub suites: Option<Vec<PathBuf>>,
    /// The seed.
    pub seed: Option<u64>,
    /// The folder that run folders are made in.
    pub reports: Option<PathBuf>,
    /// The folder that quantized variants are cached in.
    pub cache: Option<PathBuf>,
    /// Most bytes that each subject in this process may take beside its model's own.
    pub memory: Option<u64>,
    /// Most samples of each task: a seeded subset, at least 1.
    pub limit: Option<usize>,
    /// A file with a policy in place of the plan's.
    pub policy: Option<PathBuf>,
}

impl Plan {
    /// Reads a plan, its suites and its datasets, renders every sample and checks everything that can be checked
    /// without loading a model. `src/plan/template.toml` describes the plan's keys.
    ///
    /// # Errors
    /// Every fault of all these files.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, PlanErrors> {
        if !path.exists() {
            let message = format!("there is no plan {}", path.display());
            return Err(Diagnostic::new(message, Some("`quantgate init` writes one")).into());
        }
        let mut faults = Vec::new();
        let file = file::read(path, overrides, &mut faults)?;
        let textual = !able::all_score(&file.cast.subjects);
        let (skip, as_text) = (&file.skip, &file.as_text);
        let sources = tasks::Sources { skip, as_text, textual, seed: file.seed, limit: overrides.limit };
        let tasks = tasks::plan(&file.suites, sources, &mut faults);
        let policy = file.policy.unwrap_or_else(policy::unset);
        // With a suite missing, every rule for its tasks would look misspelt.
        if let Some(tasks) = &tasks {
            rules::check(&policy, &file.cast.subjects, tasks, &mut faults);
            faults.extend(rules::nothing_gates(&policy.policy, &tasks.planned));
            able::check(&file.cast, &tasks.planned, &policy.policy, &mut faults);
        }
        let (Some(Tasks { planned: tasks, textual, skipped }), true) = (tasks, faults.is_empty()) else {
            return Err(Diagnostics(faults));
        };
        let subjects = file.cast.subjects;
        let mut warnings = able::advice(&subjects, &tasks, &textual, &skipped);
        warnings.extend(advice::of(&policy.policy, &subjects, &tasks));
        let digest = digest::of(file.seed, &subjects, &tasks, &policy.policy);
        Ok(Self {
            name: file.name,
            root: file.root,
            digest,
            seed: file.seed,
            subjects,
            tasks,
            policy: policy.policy,
            services: file.cast.services,
            spending: file.spending,
            reports: file.reports,
            cache: file.cache,
            memory: overrides.memory,
            warnings,
        })
    }

    /// Where a path of the plan leads from the working folder.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }
}
