//! The digest of everything in a plan that can change a result.

use std::path::PathBuf;

use serde::Serialize;

use super::PlannedTask;
use crate::domain::{Digest, EngineSpec, Policy, Sample, Subject, Task};

#[derive(Serialize)]
struct Content<'a> {
    form: u32,
    seed: u64,
    subjects: Vec<Subject>,
    tasks: Vec<TaskContent<'a>>,
    policy: &'a Policy,
}

#[derive(Serialize)]
struct TaskContent<'a> {
    task: Task,
    data: &'a Digest,
    samples: &'a [Sample],
}

/// BLAKE3 over the JSON of seed, subjects (with their model paths as written), tasks, datasets' digests, rendered samples
/// and policy. Left out is what changes no result: names and paths of files, folders, sentences about tasks, where keys are
/// found.
pub(super) fn of(seed: u64, subjects: &[Subject], tasks: &[PlannedTask], policy: &Policy) -> Digest {
    let keyless = |subject: &Subject| {
        let mut subject = subject.clone();
        if let EngineSpec::Api(spec) = &mut subject.engine {
            spec.key = None;
        }
        subject
    };
    let subjects = subjects.iter().map(keyless).collect();
    let tasks = tasks.iter().map(|planned| {
        let mut task = planned.task.clone();
        task.dataset.path = PathBuf::new();
        task.about = String::new();
        TaskContent { task, data: &planned.card.digest, samples: &planned.samples }
    });
    let content = Content { form: 2, seed, subjects, tasks: tasks.collect(), policy };
    let json = serde_json::to_vec(&content).expect("the content has only text keys and finite numbers");
    Digest::new(format!("blake3:{}", blake3::hash(&json).to_hex()))
}
