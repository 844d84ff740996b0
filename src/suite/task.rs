//! One `[[task]]` of a suite file.

use std::path::PathBuf;

use super::{Section, judging, shape};
use crate::domain::{DatasetRef, PromptSpec, RequestKind, ScorerSpec, Subset, Task, TaskName};

const KINDS: [(&str, RequestKind); 5] = [
    ("choice", RequestKind::Choice),
    ("generate", RequestKind::Generate),
    ("chat", RequestKind::Chat),
    ("tools", RequestKind::Tools),
    ("perplexity", RequestKind::Perplexity),
];

/// The word for a kind of request.
pub(super) fn word(kind: RequestKind) -> &'static str {
    KINDS.iter().find(|(_, other)| *other == kind).expect("every kind has a word").0
}

/// Reads a task; its faults are noted with the section.
pub(super) fn read(section: &Section<'_>) -> Task {
    let name = section.required_name("name");
    let about = section.text("about").unwrap_or_default();
    if !section.has("kind") {
        let hint = "kinds are choice, generate, chat, tools and perplexity";
        section.fault(format!("{} has no `kind`", section.name()), Some(hint));
    }
    // Without a kind, what depends on it is read as for generate, whose keys have no conditions of their own.
    let given = section.word("kind", &KINDS);
    let kind = given.unwrap_or(RequestKind::Generate);
    let path = section.required_text("dataset", "name a .jsonl or .csv file, from the folder of the suite");
    let dataset = DatasetRef { path: PathBuf::from(path), subset: subset(section) };
    let prompt = prompt(section, kind, given.is_some());
    let generation = generation(section, kind, given.is_some());
    let judging = judging::read(section, kind);
    if given.is_some() {
        target(section, kind, &judging.scorer);
    }
    let (shape, constrained) = shape::read(section, kind, &judging.scorer);
    Task {
        name: TaskName::new(name),
        about,
        kind,
        dataset,
        prompt,
        max_tokens: generation.max_tokens,
        stop: generation.stop,
        temperature: generation.temperature,
        top_p: generation.top_p,
        shape,
        constrained,
        scorer: judging.scorer,
        metric: judging.metric,
        gating: judging.gating,
        chance: judging.chance,
        band: judging.band,
    }
}

fn subset(section: &Section<'_>) -> Option<Subset> {
    let subset = section.table("subset", "subset")?;
    if !subset.has("rows") {
        subset.fault("subset has no `rows`", Some("say how many rows to keep: subset = { rows = 100, seed = 1 }"));
    }
    let rows = subset.whole("rows");
    if rows == Some(0) {
        subset.fault_at("rows", "a subset of 0 rows is empty", Some("keep at least one row, or leave the task out"));
    }
    let seed = subset.whole("seed").unwrap_or(0);
    subset.close();
    Some(Subset { rows: usize::try_from(rows?).unwrap_or(usize::MAX), seed })
}

/// Notes a target that is missing, or that nothing is judged by.
fn target(section: &Section<'_>, kind: RequestKind, scorer: &ScorerSpec) {
    let judged_by = kind != RequestKind::Perplexity && *scorer != ScorerSpec::Valid;
    if judged_by && !section.has("target") {
        let hint = "a template for the right answer, such as target = \"{{ answer }}\"";
        section.fault(format!("{} has no `target`", section.name()), Some(hint));
    }
    if *scorer == ScorerSpec::Valid && section.has("target") {
        let hint = "remove it; what a valid answer looks like is said by schema, regex or choices";
        section.fault_at("target", "`target` means nothing for scorer valid", Some(hint));
    }
}

/// Reads the templates and fields; where the kind is `sure`, those of other kinds are faults.
fn prompt(section: &Section<'_>, kind: RequestKind, sure: bool) -> PromptSpec {
    let prompt = section.required_text("prompt", "a template over the row's fields, such as \"{{ question }}\"");
    let perplexity = kind == RequestKind::Perplexity;
    if sure {
        only(section, &["system"], matches!(kind, RequestKind::Chat | RequestKind::Tools), kind);
        only(section, &["options"], kind == RequestKind::Choice, kind);
        only(section, &["tools"], kind == RequestKind::Tools, kind);
        only(section, &["target"], !perplexity, kind);
    }
    let field = |key, default: &str, of| (kind == of).then(|| section.text(key).unwrap_or_else(|| default.to_owned()));
    PromptSpec {
        prompt,
        system: section.text("system"),
        target: section.text("target"),
        options: field("options", "options", RequestKind::Choice),
        tools: field("tools", "tools", RequestKind::Tools),
        slice: section.text("slice"),
        cluster: section.text("cluster"),
    }
}

pub(super) struct Generated {
    pub(super) max_tokens: usize,
    pub(super) stop: Vec<String>,
    pub(super) temperature: f64,
    pub(super) top_p: f64,
}

/// Reads how text is generated; a kind that generates none has 0 tokens.
pub(super) fn generation(section: &Section<'_>, kind: RequestKind, sure: bool) -> Generated {
    let default = match kind {
        RequestKind::Generate => 64,
        RequestKind::Chat | RequestKind::Tools => 256,
        RequestKind::Choice | RequestKind::Perplexity => 0,
    };
    if sure {
        only(section, &["max_tokens", "stop", "temperature", "top_p"], default > 0, kind);
    }
    let max_tokens = section.whole("max_tokens");
    if max_tokens == Some(0) {
        section.fault_at("max_tokens", "`max_tokens` must be at least 1", None);
    }
    let stop = section.texts("stop").unwrap_or_default();
    if stop.iter().any(String::is_empty) {
        section.fault_at("stop", "an empty stop text would end every answer at once", None);
    }
    let temperature = section.real("temperature").unwrap_or(0.0);
    if temperature < 0.0 {
        section.fault_at("temperature", "`temperature` must be 0 or more", Some("0 always takes the likeliest token"));
    }
    let top_p = section.real("top_p").unwrap_or(1.0);
    if top_p <= 0.0 || top_p > 1.0 {
        section.fault_at("top_p", "`top_p` must be more than 0 and at most 1", Some("1 keeps every token"));
    }
    let max_tokens = max_tokens.map_or(default, |tokens| usize::try_from(tokens).unwrap_or(usize::MAX));
    Generated { max_tokens, stop, temperature, top_p }
}

/// Notes keys that mean nothing for this kind of task.
fn only(section: &Section<'_>, keys: &[&'static str], allowed: bool, kind: RequestKind) {
    for key in keys.iter().filter(|key| !allowed && section.has(key)) {
        section.fault_at(key, format!("`{key}` means nothing for a {} task", word(kind)), Some("remove it"));
    }
}
