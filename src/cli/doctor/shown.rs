//! Findings as lines and as JSON.

use serde_json::json;

use super::super::terminal;
use super::finding::{Examined, Finding, Verdict};
use crate::domain::{EngineSpec, Identity, ModelSource};
use crate::plan::Plan;

/// What answers for a subject, in words.
pub(super) fn engine(engine: &EngineSpec) -> String {
    match engine {
        EngineSpec::Local(spec) => match &spec.source {
            ModelSource::Path(path) => format!("{} in this process", path.display()),
            ModelSource::Hub(name) => format!("hf://{name} in this process"),
            ModelSource::Quantize(recipe) => format!("the canary in {recipe}, in this process"),
        },
        EngineSpec::Api(spec) => match &spec.server {
            Some(_) => format!("{} by {}, started for it", spec.model, spec.preset.word()),
            None => format!("{} by {}", spec.model, spec.preset.word()),
        },
        EngineSpec::Scripted(_) => "scripted answers".to_owned(),
        EngineSpec::Recorded(spec) => format!("results of {}", spec.program),
    }
}

/// What a subject turned out to be.
pub(super) fn identity(identity: &Identity) -> Finding {
    let quantization = if identity.quantization.is_empty() { String::new() } else { format!(", {}", identity.quantization) };
    if identity.weights.is_content() {
        Finding::fine("identity", format!("{}{quantization}, weights {}", identity.engine, identity.weights))
    } else if identity.weights.is_told() {
        let says = format!(
            "{}{quantization}; its weights are known by name alone, which may stand for others tomorrow",
            identity.engine
        );
        Finding::doubtful("identity", says)
    } else {
        Finding::doubtful("identity", format!("{}{quantization}; nothing is told of its weights", identity.engine))
    }
}

/// What is odd about how a subject's prompts begin, where its engine tells: a server may do it another way.
pub(super) fn beginning(identity: &Identity) -> Option<Finding> {
    let says = identity.details.get("beginning")?;
    Some(Finding::doubtful("beginning", format!("{says}: a server that adds or drops one reads other prompts")))
}

/// A subject's findings, a line each.
pub(super) fn say(examined: &Examined) {
    terminal::say(&format!("{} · {}", examined.subject, examined.engine));
    let width = examined.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    for check in &examined.checks {
        // One check is one line, whatever an endpoint put into its words.
        let says = check.says.split_whitespace().collect::<Vec<_>>().join(" ");
        terminal::say_marked(check.verdict.mark(), &format!("{:<width$}  {says}", check.name));
    }
    terminal::say("");
}

/// The last line.
pub(super) fn summary(all: &[Examined]) -> String {
    let count = |verdict| all.iter().flat_map(|examined| &examined.checks).filter(|check| check.verdict == verdict).count();
    let (bad, unfair, doubtful) = (count(Verdict::Bad), count(Verdict::Unfair), count(Verdict::Doubtful));
    let plural = |n: usize, one: &str, more: &str| format!("{n} {}", if n == 1 { one } else { more });
    if bad > 0 {
        format!("{} a run from starting", plural(bad, "check keeps", "checks keep"))
    } else if unfair > 0 {
        format!("{} a comparison INVALID", plural(unfair, "check would make", "checks would make"))
    } else if doubtful > 0 {
        format!("a run can start; {} worth a look", plural(doubtful, "check is", "checks are"))
    } else {
        "a run can start".to_owned()
    }
}

/// Everything as JSON.
pub(super) fn json(plan: &Plan, all: &[Examined], worst: Verdict) -> String {
    let value = json!({
        "plan": plan.name,
        "digest": plan.digest,
        "verdict": worst,
        "exit_code": worst.code(),
        "warnings": plan.warnings,
        "subjects": all,
    });
    serde_json::to_string_pretty(&value).expect("it has only text keys")
}
