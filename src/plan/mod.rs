//! What will run: subjects, tasks and policy, resolved and checked before the first request.

use std::path::PathBuf;

use crate::domain::{Digest, Policy, Sample, Subject, Task, TaskCard};

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
    /// The folder that the plan's relative paths start from.
    pub root: PathBuf,
    /// Digest of everything that can change a result: subjects, tasks, samples, settings, policy and seed, not paths
    /// or concurrency.
    pub digest: Digest,
    /// Seed of everything that is random.
    pub seed: u64,
    /// Who is asked, the canary first, then variants and controls in the plan's order; names are unique.
    pub subjects: Vec<Subject>,
    /// What is asked, in order; names are unique.
    pub tasks: Vec<PlannedTask>,
    /// The tolerances.
    pub policy: Policy,
    /// The folder that run folders are made in.
    pub reports: PathBuf,
    /// The folder that quantized variants are cached in.
    pub cache: PathBuf,
}
