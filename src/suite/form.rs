//! The text form of a choice task: what is asked where some subject gives no log-likelihoods.

use super::{Section, TaskPlaces, TextForm, judging, task};
use crate::domain::{PromptSpec, RequestKind, ScorerSpec, Task};

const FORMS: [(&str, RequestKind); 2] = [("generate", RequestKind::Generate), ("chat", RequestKind::Chat)];

/// Reads `generate` or `chat` of a task; faults are noted with the section.
pub(super) fn read(section: &Section<'_>, task: &Task) -> Option<TextForm> {
    let given: Vec<_> = FORMS.into_iter().filter(|(key, _)| section.has(key)).collect();
    let (key, kind) = *given.first()?;
    if task.kind != RequestKind::Choice && section.has("kind") {
        let hint = "a choice task is asked so where some subject gives no log-likelihoods; other tasks have no other form";
        section.fault_at(key, format!("`{key}` is a form of choice tasks alone"), Some(hint));
    } else if given.len() > 1 {
        section.fault_at("chat", format!("{} has two text forms", section.name()), Some("keep one of them"));
    }
    let table = section.table(key, &format!("{key} of {}", section.name()))?;
    if table.has("gating") {
        table.fault_at("gating", "a form gates as its task does", Some("write `gating` into the task itself"));
    }
    let generation = task::generation(&table, kind, true);
    let judging = judging::read(&table, kind);
    if judging.scorer == ScorerSpec::Valid {
        table.fault_at("scorer", "a form has no shape to judge answers by", Some("judge it by what the right option says"));
    }
    if kind == RequestKind::Generate && table.has("system") {
        table.fault_at("system", "`system` means nothing for a generate task", Some("remove it, or write a `chat` form"));
    }
    let own = &task.prompt;
    let prompt = PromptSpec {
        prompt: table.text("prompt").unwrap_or_else(|| own.prompt.clone()),
        system: table.text("system"),
        target: table.text("target").or_else(|| own.target.clone()),
        options: None,
        tools: None,
        slice: own.slice.clone(),
        cluster: own.cluster.clone(),
    };
    table.close();
    let form = Task {
        about: format!("Asked as text, not by log-likelihood. {}", task.about).trim_end().to_owned(),
        kind,
        prompt,
        shape: None,
        constrained: false,
        max_tokens: generation.max_tokens,
        stop: generation.stop,
        temperature: generation.temperature,
        top_p: generation.top_p,
        scorer: judging.scorer,
        metric: judging.metric,
        chance: judging.chance,
        band: judging.band,
        ..task.clone()
    };
    let mut keys = section.places();
    keys.extend(table.places());
    Some(TextForm { task: form, places: TaskPlaces { header: table.place(), keys } })
}
