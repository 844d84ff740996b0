//! Who is compared, and on which tasks and scores: paths with names, opened and checked against each other.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::args::CompareArgs;
use super::super::failure::Failure;
use super::super::terminal;
use super::of_files;
use crate::domain::{Role, SubjectName, TaskName};
use crate::harness::{self, Rows, Source, TaskHead};
use crate::suite::nearest;

/// A subject with its results.
pub(super) struct Compared {
    /// Its name in the reports.
    pub(super) name: SubjectName,
    /// What it is for.
    pub(super) role: Role,
    /// Its results.
    pub(super) source: Source,
}

/// A task that every subject has, with the score that counts.
pub(super) struct Chosen {
    /// The task.
    pub(super) name: TaskName,
    /// The score's name.
    pub(super) metric: String,
}

/// Opens the canary's results, then the variants'.
pub(super) fn open(args: &CompareArgs) -> Result<Vec<Compared>, Failure> {
    let (_, source) = opened(&args.canary, args)?;
    let mut subjects = vec![Compared { name: SubjectName::new("canary"), role: Role::Canary, source }];
    for typed in &args.variants {
        let (name, source) = opened(typed, args)?;
        let name = name.unwrap_or_else(|| short(&source.model));
        let taken = |name: &str| subjects.iter().any(|other| other.name.as_str() == name);
        let mut free = name.clone();
        let mut count = 1;
        while taken(&free) {
            count += 1;
            free = format!("{name}-{count}");
        }
        let role = if args.controls.contains(&free) { Role::Control } else { Role::Variant };
        subjects.push(Compared { name: SubjectName::new(&free), role, source });
    }
    let names: Vec<&str> = subjects[1..].iter().map(|subject| subject.name.as_str()).collect();
    if let Some(control) = args.controls.iter().find(|control| !names.contains(&control.as_str())) {
        let hint = format!("variants are {}; a name may stand before the path, as in {control}=PATH", names.join(", "));
        return Err(Failure::usage(format!("no variant is called '{control}'")).with_hint(hint));
    }
    for subject in &subjects {
        say(subject, &subjects[0]);
    }
    Ok(subjects)
}

/// `[NAME=]PATH[#MODEL]`, where the path as it stands is none.
fn opened(typed: &str, args: &CompareArgs) -> Result<(Option<String>, Source), Failure> {
    let exists = |text: &str| Path::new(text).exists();
    let (name, rest) = match typed.split_once('=') {
        Some((name, rest)) if !exists(typed) && !name.contains('/') => (Some(name.to_owned()), rest),
        _ => (None, typed),
    };
    let (path, model) = match rest.rsplit_once('#') {
        Some((path, model)) if !exists(rest) => (path, Some(model)),
        _ => (rest, None),
    };
    let source = harness::open(Path::new(path), model, args.format).map_err(of_files)?;
    Ok((name, source))
}

/// The last part of a model's path or address.
fn short(model: &str) -> String {
    let last = model.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if last.is_empty() { "variant".to_owned() } else { last.to_owned() }
}

/// What a person should know of a source before its verdict.
fn say(subject: &Compared, canary: &Compared) {
    for note in &subject.source.notes {
        terminal::warn(&format!("{}: {note}", subject.name));
    }
    let digests = |source: &Source| source.files.iter().map(|file| file.digest.clone()).collect::<Vec<_>>();
    if subject.role == Role::Canary {
        return;
    }
    if digests(&subject.source) == digests(&canary.source) {
        terminal::warn(&format!("{}: its files are the canary's own, byte for byte", subject.name));
    }
    let (ours, theirs) = (&canary.source, &subject.source);
    if ours.program != theirs.program {
        terminal::warn(&format!("{}: its results are of {}, the canary's of {}", subject.name, theirs.program, ours.program));
    }
    // Greedy answers can change with the batch that they were computed in, and with the device.
    for name in ["batch_size", "device", "transformers_version"] {
        if let (Some(a), Some(b)) = (ours.details.get(name), theirs.details.get(name))
            && a != b
        {
            let what = "which can change answers whatever the weights";
            terminal::warn(&format!("{}: its {name} is {b}, the canary's {a}, {what}", subject.name));
        }
    }
}

/// The tasks to compare: those asked for, or all; each must be there for every subject, run in the same way.
pub(super) fn tasks(args: &CompareArgs, subjects: &[Compared]) -> Result<Vec<Chosen>, Failure> {
    let names = names(args, subjects)?;
    let mut chosen = Vec::with_capacity(names.len());
    for name in names {
        let ours = subjects[0].source.task(&name).expect("the names are those of tasks that every subject has");
        let metric = metric(args, ours)?;
        let canary = Rows { source: &subjects[0].source, task: ours, metric: &metric };
        for subject in &subjects[1..] {
            let theirs = subject.source.task(&name).expect("the names are those of tasks that every subject has");
            if !theirs.metrics.iter().any(|head| head.name == metric) {
                return Err(no_metric(&metric, theirs, &format!("{}, task '{name}'", subject.name)));
            }
            harness::alike(canary, Rows { source: &subject.source, task: theirs, metric: &metric }).map_err(of_files)?;
        }
        chosen.push(Chosen { name, metric });
    }
    check_metrics(args, &chosen)?;
    Ok(chosen)
}

fn names(args: &CompareArgs, subjects: &[Compared]) -> Result<Vec<TaskName>, Failure> {
    let of = |subject: &Compared| subject.source.tasks.iter().map(|task| task.name.clone()).collect::<BTreeSet<_>>();
    let all: BTreeSet<TaskName> = subjects.iter().flat_map(of).collect();
    let wanted: Vec<TaskName> = if args.tasks.is_empty() { all.iter().cloned().collect() } else { asked(args, &all)? };
    for name in &wanted {
        let has = |subject: &&Compared| subject.source.task(name).is_some();
        if let Some(without) = subjects.iter().find(|subject| !has(subject)) {
            let with = subjects.iter().find(has).map_or("", |subject| subject.name.as_str());
            let what = format!("task '{name}' is in the results of {with}, but not in those of {}", without.name);
            return Err(Failure::usage(what).with_hint("evaluate both on the same tasks, or name those to compare with --task"));
        }
    }
    Ok(wanted)
}

fn asked(args: &CompareArgs, all: &BTreeSet<TaskName>) -> Result<Vec<TaskName>, Failure> {
    let wanted: BTreeSet<TaskName> = args.tasks.iter().map(TaskName::new).collect();
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        let names: Vec<&str> = all.iter().map(TaskName::as_str).collect();
        let near = nearest(unknown.as_str(), names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let hint = near.unwrap_or_else(|| format!("tasks are {}", names.join(", ")));
        return Err(Failure::usage(format!("no task is called '{unknown}'")).with_hint(hint));
    }
    Ok(wanted.into_iter().collect())
}

/// `TASK=NAME` as it was typed.
fn of_task(typed: &str) -> (Option<&str>, &str) {
    typed.split_once('=').map_or((None, typed), |(task, name)| (Some(task), name))
}

/// The score that counts for a task: the one named for it, the one named for all, or the first.
fn metric(args: &CompareArgs, task: &TaskHead) -> Result<String, Failure> {
    let typed = || args.metrics.iter().map(|typed| of_task(typed));
    let own = typed().find(|(of, _)| *of == Some(task.name.as_str())).or_else(|| typed().find(|(of, _)| of.is_none()));
    let Some((_, name)) = own else { return first(task) };
    let head = task.metric(name).ok_or_else(|| no_metric(name, task, &format!("task '{}'", task.name)))?;
    if head.higher_is_better {
        return Ok(head.name.clone());
    }
    let what = format!("`{}` of task '{}' is better when it is lower, and a loss is a lower score", head.name, task.name);
    Err(Failure::usage(what).with_hint(format!("its scores are {}", listed(task))))
}

fn first(task: &TaskHead) -> Result<String, Failure> {
    let head = task.metrics.iter().find(|head| head.higher_is_better);
    head.map(|head| head.name.clone()).ok_or_else(|| {
        let what = format!("task '{}' has no score that is better when it is higher (it has {})", task.name, listed(task));
        Failure::usage(what).with_hint("leave it out: name the tasks to compare with --task")
    })
}

fn no_metric(name: &str, task: &TaskHead, place: &str) -> Failure {
    let near = nearest(name, task.metrics.iter().map(|head| head.name.as_str())).map(|near| format!("did you mean `{near}`? "));
    let hint = format!("{}its scores are {}; --metric TASK=NAME names one for one task", near.unwrap_or_default(), listed(task));
    Failure::usage(format!("{place} has no score `{name}`")).with_hint(hint)
}

fn listed(task: &TaskHead) -> String {
    task.metrics.iter().map(|head| head.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// A metric for a task that isn't compared is a slip of the pen.
fn check_metrics(args: &CompareArgs, chosen: &[Chosen]) -> Result<(), Failure> {
    let typed = args.metrics.iter().filter_map(|typed| of_task(typed).0);
    let mut unknown = typed.filter(|task| !chosen.iter().any(|c| c.name.as_str() == *task));
    match unknown.next() {
        None => Ok(()),
        Some(task) => {
            let names: Vec<&str> = chosen.iter().map(|c| c.name.as_str()).collect();
            Err(Failure::usage(format!("--metric names a score of '{task}', which is not compared"))
                .with_hint(format!("tasks are {}", names.join(", "))))
        }
    }
}
