//! Whether the subjects can be asked what the tasks ask, as far as it is known without asking anybody.

use std::collections::BTreeSet;

use super::subjects::Cast;
use super::{PlannedTask, api};
use crate::domain::{ApiSpec, Budget, EngineSpec, Policy, Preset, Request, RequestKind, Subject, TaskName};
use crate::engine::api::preset;
use crate::engine::local;
use crate::suite::Diagnostic;

/// The settings of an API subject.
fn remote(subject: &Subject) -> Option<&ApiSpec> {
    match &subject.engine {
        EngineSpec::Api(spec) => Some(spec),
        _ => None,
    }
}

/// Whether a subject tells how likely a given text is.
fn scores(subject: &Subject) -> bool {
    remote(subject).is_none_or(|spec| !spec.batch && preset::scoring(spec) != preset::Scoring::None)
}

/// Whether a subject continues prompts as they are.
fn continues(subject: &Subject) -> bool {
    remote(subject).is_none_or(preset::raw)
}

fn converses(subject: &Subject) -> bool {
    remote(subject).is_none_or(preset::chat)
}

fn offers_tools(subject: &Subject) -> bool {
    remote(subject).is_none_or(|spec| preset::of(spec.preset).tools)
}

/// Whether every subject tells how likely a given text is, so that no task needs its text form.
pub(super) fn all_score(subjects: &[Subject]) -> bool {
    subjects.iter().all(scores)
}

/// Subjects with their engines, as a sentence names them.
fn named<'s>(subjects: impl Iterator<Item = &'s Subject>) -> String {
    let name = |subject: &Subject| match remote(subject) {
        Some(spec) => format!("{} ({})", subject.name, spec.preset.word()),
        None => format!("{} (local)", subject.name),
    };
    subjects.map(name).collect::<Vec<_>>().join(", ")
}

/// Adds a fault for each thing that tasks ask and some subject can't do.
pub(super) fn check(cast: &Cast, tasks: &[PlannedTask], policy: &Policy, faults: &mut Vec<Diagnostic>) {
    let of = |kinds: &[RequestKind]| -> Vec<&str> {
        let asked = tasks.iter().filter(|planned| kinds.contains(&planned.task.kind));
        asked.map(|planned| planned.task.name.as_str()).collect()
    };
    likelihoods(cast, &of(&[RequestKind::Choice]), &of(&[RequestKind::Perplexity]), faults);
    prompts(cast, &of(&[RequestKind::Generate]), faults);
    let mut need = |kinds: &[RequestKind], able: fn(&Subject) -> bool, what: &str, hint: &str| {
        let names = of(kinds);
        if !names.is_empty() {
            faults.extend(unable(cast, able, &format!("{}: {{who}} {what}", tasks_named(&names)), hint));
        }
    };
    let hint = "ask by `api = \"chat\"`, or leave the tasks out by `skip`";
    need(&[RequestKind::Chat, RequestKind::Tools], converses, "take no conversations", hint);
    need(&[RequestKind::Tools], offers_tools, "can be offered no tools", "leave the tasks out by `skip`");
    constrained(cast, tasks, faults);
    faults.extend(policy.budgets.iter().filter_map(|budget| unstreamed(cast, budget).or_else(|| unpriced(cast, budget))));
}

/// A fault at the first subject that isn't able; `{who}` in the message is all of them.
fn unable(cast: &Cast, able: fn(&Subject) -> bool, message: &str, hint: &str) -> Option<Diagnostic> {
    let first = cast.subjects.iter().position(|subject| !able(subject))?;
    let who = named(cast.subjects.iter().filter(|subject| !able(subject)));
    Some(Diagnostic::new(message.replace("{who}", &who), Some(hint)).at(cast.places[first].clone()))
}

fn tasks_named(names: &[&str]) -> String {
    let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("task{} {}", if names.len() == 1 { "" } else { "s" }, listed.join(", "))
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// Log-likelihoods that some subject doesn't give are never made up.
fn likelihoods(cast: &Cast, choices: &[&str], documents: &[&str], faults: &mut Vec<Diagnostic>) {
    let could = api::could_score();
    if !choices.is_empty() {
        let hint = format!(
            "engines that give them: {could}; or declare in the suite how a task is asked as text, chat = {{ prompt = …, target = … }}, \
             or set it aside: skip = [{}]",
            quoted(choices)
        );
        let message = format!("{} asked by log-likelihood, which {{who}} can't tell", is(choices));
        faults.extend(unable(cast, scores, &message, &hint));
    }
    if !documents.is_empty() {
        let hint = format!("engines that give them: {could}; or set aside what can't be asked: skip = [{}]", quoted(documents));
        let message = format!("{} measured by log-likelihood, which {{who}} can't tell", is(documents));
        faults.extend(unable(cast, scores, &message, &hint));
    }
}

fn is(names: &[&str]) -> String {
    format!("{} {}", tasks_named(names), if names.len() == 1 { "is" } else { "are" })
}

/// Whether a subject's answers can be held to a shape while they are written.
fn enforces(subject: &Subject) -> bool {
    remote(subject).is_none()
}

/// Answers that some subject can't be held to are never asked free in their place.
fn constrained(cast: &Cast, tasks: &[PlannedTask], faults: &mut Vec<Diagnostic>) {
    let held = tasks.iter().filter(|planned| planned.task.constrained);
    let names: Vec<&str> = held.map(|planned| planned.task.name.as_str()).collect();
    if names.is_empty() {
        return;
    }
    let message = format!("{} answered under a constraint, which {{who}} can't be held to", is(&names));
    let hint = format!(
        "models in this process can; ask the others without `constrained` (scorer = \"valid\" tells how often they keep to the \
         shape), or set it aside: skip = [{}]",
        quoted(&names)
    );
    faults.extend(unable(cast, enforces, &message, &hint));
}

/// A prompt that some continue and others answer as a message is not the same prompt.
fn prompts(cast: &Cast, names: &[&str], faults: &mut Vec<Diagnostic>) {
    if names.is_empty() || !cast.subjects.iter().any(continues) {
        return;
    }
    let continuing = named(cast.subjects.iter().filter(|subject| continues(subject)));
    let message = format!(
        "{} asked by a prompt to be continued, as {continuing} can; {{who}} would be sent it as a message, which is another prompt",
        is(names)
    );
    let hint = format!(
        "make chat tasks of them (kind = \"chat\"), ask all by `api = \"chat\"`, or set them aside: skip = [{}]",
        quoted(names)
    );
    faults.extend(unable(cast, continues, &message, &hint));
}

/// A fault where times within an answer have a budget, and some subject's answers come whole.
fn unstreamed(cast: &Cast, budget: &Budget) -> Option<Diagnostic> {
    let within = budget.metric.starts_with("ttft.") || budget.metric.starts_with("itl.");
    let streams = |subject: &Subject| remote(subject).is_some_and(|spec| spec.stream);
    let hint = "set stream = true for the canary and every variant; a model in this process does not stream";
    let message =
        format!("`{}` is measured on answers that are read as they are written, and those of {{who}} come whole", budget.metric);
    if within { unable(cast, streams, &message, hint) } else { None }
}

/// A fault where the cost has a budget, and some subject has no price.
fn unpriced(cast: &Cast, budget: &Budget) -> Option<Diagnostic> {
    let priced = |subject: &Subject| cast.services.get(&subject.name).is_some_and(|service| service.price.is_some());
    let first = cast.subjects.iter().position(|subject| budget.metric == "cost.ratio" && !priced(subject))?;
    let who = named(cast.subjects.iter().filter(|subject| !priced(subject)));
    let message = format!("`{}` takes the prices of the canary and of every variant; without one: {who}", budget.metric);
    let hint =
        "give each its price of a million tokens: price = { input = 2.0, output = 6.0 }; a model in this process costs none";
    Some(Diagnostic::new(message, Some(hint)).at(cast.places[first].clone()))
}

/// What a person should know of how the subjects are asked, as sentences.
pub(super) fn advice(subjects: &[Subject], tasks: &[PlannedTask], textual: &[TaskName], skipped: &[TaskName]) -> Vec<String> {
    let mut all = Vec::new();
    let listed = |names: &[TaskName]| names.iter().map(TaskName::as_str).collect::<Vec<_>>().join(", ");
    if !skipped.is_empty() {
        all.push(format!("set aside by the plan: {}", listed(skipped)));
    }
    if !textual.is_empty() {
        let without = named(subjects.iter().filter(|subject| !scores(subject)));
        let why = if without.is_empty() {
            "by the plan's word".to_owned()
        } else {
            format!("since {without} tells no log-likelihoods")
        };
        all.push(format!(
            "{} asked as text of all subjects, {why}: its scores are not those of the likeliest option",
            if let [one] = textual { format!("{one} is") } else { format!("{} are", listed(textual)) }
        ));
    }
    for planned in tasks.iter().filter(|planned| planned.task.constrained) {
        let held = planned.samples.iter().filter_map(|sample| match &sample.request {
            Request::Generate { generation, .. } | Request::Chat { generation, .. } => generation.constraint.as_ref(),
            Request::Choice { .. } | Request::Perplexity { .. } => None,
        });
        let loose: BTreeSet<&str> = held.flat_map(local::loose).collect();
        for what in loose {
            all.push(format!("answers of `{}` are not held to all of their schema: {what}", planned.task.name));
        }
    }
    let raw: Vec<&str> = tasks
        .iter()
        .filter(|planned| planned.task.kind == RequestKind::Generate)
        .map(|planned| planned.task.name.as_str())
        .collect();
    if !raw.is_empty() && !subjects.iter().any(continues) {
        all.push(format!(
            "no subject continues prompts as they are: the prompts of {} are sent as messages of a user, and scores are not those of \
             other plans",
            raw.join(", ")
        ));
    }
    let unbounded = |spec: &ApiSpec| {
        spec.preset == Preset::Ollama && spec.extra.get("options").is_none_or(|options| options.get("num_ctx").is_none())
    };
    let names: Vec<&str> = subjects.iter().filter(|s| remote(s).is_some_and(unbounded)).map(|s| s.name.as_str()).collect();
    if !names.is_empty() {
        all.push(format!(
            "Ollama may cut prompts of {} to a context that it chooses: say which with extra = {{ options = {{ num_ctx = 8192 }} }}",
            names.join(", ")
        ));
    }
    let moving = |spec: &ApiSpec| spec.model.ends_with("-latest") || spec.model.ends_with(":latest");
    let names: Vec<&str> = subjects.iter().filter(|s| remote(s).is_some_and(moving)).map(|s| s.name.as_str()).collect();
    if !names.is_empty() {
        all.push(format!(
            "the model of {} is named by what moves: pin it, so that a later run asks the same model",
            names.join(", ")
        ));
    }
    all
}
