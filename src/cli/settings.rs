//! Settings as meant: flag over environment over plan over default, with where each value came from.

use std::fs;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::args::RunArgs;
use crate::domain::{EngineSpec, KeySource, Policy, Price, Service, Subject, Tolerance};
use crate::plan::{Overrides, Plan};

/// What the flags and the environment change in the plan.
pub(super) fn overrides(args: &RunArgs) -> Overrides {
    Overrides {
        suites: args.suites.clone(),
        seed: args.seed,
        limit: args.limit,
        reports: args.reports.clone(),
        cache: args.cache.clone(),
        memory: args.memory,
        ..Overrides::default()
    }
}

/// The table of `--show-settings`: setting, value, where it came from.
pub(super) fn table(args: &RunArgs, given: &ArgMatches, plan: &Plan) -> String {
    let keys = plan_keys(args);
    let names = |paths: &[std::path::PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut rows = vec![
        ("plan", args.plan.display().to_string()),
        ("suites", args.suites.as_deref().map_or_else(|| "as in the plan".to_owned(), names)),
        ("seed", plan.seed.to_string()),
        ("limit", args.limit.map_or_else(|| "all samples".to_owned(), |limit| limit.to_string())),
        ("reports", plan.reports.display().to_string()),
        ("cache", plan.cache.display().to_string()),
        ("concurrency", args.concurrency.map_or_else(|| "as each engine says".to_owned(), |n| n.to_string())),
        ("threads", args.threads.unwrap_or(cores).to_string()),
        ("batch", args.batch.to_string()),
        (
            "memory",
            args.memory.map_or_else(|| "512 MiB a local subject".to_owned(), |bytes| format!("{bytes} bytes a local subject")),
        ),
        ("fresh", args.fresh.to_string()),
        ("no_progress", args.no_progress.to_string()),
        ("repeats", repeats(&plan.subjects)),
    ];
    rows.extend(plan.subjects.iter().flat_map(|subject| of_endpoint(subject, plan.services.get(&subject.name))));
    rows.extend(plan.spending.map(|limit| ("spending", format!("at most {limit}"))));
    rows.extend(of_policy(&plan.policy));
    let lines = rows.iter().map(|(name, value)| format!("{name:<12} {value:<28} {}", source(name, given, &keys)));
    lines.collect::<Vec<_>>().join("\n")
}

/// How often samples are asked: once, or by subject.
fn repeats(subjects: &[Subject]) -> String {
    if subjects.iter().all(|subject| subject.repeats == 1) {
        return "1".to_owned();
    }
    subjects.iter().map(|subject| format!("{} {}", subject.name, subject.repeats)).collect::<Vec<_>>().join(", ")
}

/// The settings of a subject behind an API, by their keys; no key's value is known here.
fn of_endpoint(subject: &Subject, service: Option<&Service>) -> Vec<(&'static str, String)> {
    let EngineSpec::Api(spec) = &subject.engine else { return Vec::new() };
    let at = match (&spec.server, spec.base_url.as_str()) {
        (Some(_), _) => "a server that is started".to_owned(),
        (None, address) => address.to_owned(),
    };
    let mut rows = vec![("engine", format!("{} ({}), {} at {at}", spec.preset.word(), word(&spec.dialect), spec.model))];
    rows.extend(spec.key.as_ref().map(|key| match key {
        KeySource::Env(name) => ("key_env", name.clone()),
        KeySource::File(path) => ("key_file", path.display().to_string()),
    }));
    rows.extend(spec.region.iter().map(|region| ("region", region.clone())));
    rows.extend(spec.stream.then(|| ("stream", "true".to_owned())));
    rows.extend(spec.batch.then(|| ("batch", "true".to_owned())));
    if let Some(service) = service {
        let price = |price: &Price| {
            let cached = price.cached.map_or_else(String::new, |cached| format!(", cached {cached}"));
            format!("input {}, output {}{cached}", price.input, price.output)
        };
        let said = [
            ("concurrency", service.concurrency.map(|count| count.to_string())),
            ("requests_per_minute", service.requests_per_minute.map(|count| count.to_string())),
            ("tokens_per_minute", service.tokens_per_minute.map(|count| count.to_string())),
            ("timeout", service.timeout_s.map(|seconds| format!("{seconds} s"))),
            ("hedge", service.hedge.map(|hedge| hedge.to_string())),
            ("price", service.price.as_ref().map(price)),
        ];
        rows.extend(said.into_iter().filter_map(|(key, value)| Some((key, value?))));
    }
    rows.into_iter().map(|(key, value)| (key, format!("{}: {value}", subject.name))).collect()
}

/// The policy's settings by their keys, and a row for each of its rules.
fn of_policy(policy: &Policy) -> Vec<(&'static str, String)> {
    let (key, value) = tolerance(policy.tolerance);
    let mut rows = vec![
        ("alpha", policy.alpha.to_string()),
        (key, value),
        ("strict", policy.strict.to_string()),
        ("inconclusive", word(&policy.inconclusive)),
        ("invalid", word(&policy.invalid)),
        ("stopping", word(&policy.stopping)),
        ("family", word(&policy.family)),
        ("overall", policy.overall.map_or_else(|| "not judged".to_owned(), in_words)),
    ];
    for rule in &policy.tasks {
        let name = rule.slice.as_ref().map_or_else(|| rule.task.to_string(), |slice| format!("{}/{slice}", rule.task));
        let gating = rule.gating.map(|gating| if gating { "gates" } else { "is shown only" }.to_owned());
        let says: Vec<String> = rule.tolerance.map(in_words).into_iter().chain(gating).collect();
        rows.push(("rule", format!("{name}: {}", if says.is_empty() { "gates".to_owned() } else { says.join(", ") })));
    }
    for budget in &policy.budgets {
        let on = budget.task.as_ref().map_or_else(String::new, |task| format!(" on {task}"));
        rows.push(("rule", format!("{}{on}: at most {}", budget.metric, budget.max)));
    }
    rows
}

/// The word that stands for a setting in a plan.
fn word(setting: &impl serde::Serialize) -> String {
    serde_json::to_value(setting).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A tolerance by its key.
fn tolerance(tolerance: Tolerance) -> (&'static str, String) {
    match tolerance {
        Tolerance::Margin(margin) => ("margin", format!("{}pp", (margin * 1e6).round() / 1e4)),
        Tolerance::Recovery(share) => ("recovery", share.to_string()),
    }
}

fn in_words(given: Tolerance) -> String {
    let (key, value) = tolerance(given);
    format!("{key} {value}")
}

/// What a person types to go on with a run: the flags that the plan's digest or the folder of runs depend on, again.
pub(super) fn resume_command(args: &RunArgs) -> String {
    let mut command = format!("quantgate run {} --resume", args.plan.display());
    let mut add = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            command.extend([" --", flag, " ", &value]);
        }
    };
    for suite in args.suites.iter().flatten() {
        add("suite", Some(suite.display().to_string()));
    }
    add("seed", args.seed.map(|seed| seed.to_string()));
    add("limit", args.limit.map(|limit| limit.to_string()));
    add("reports", args.reports.as_ref().map(|path| path.display().to_string()));
    add("cache", args.cache.as_ref().map(|path| path.display().to_string()));
    if args.fresh {
        command.push_str(" --fresh");
    }
    command
}

/// Where a setting's value came from.
fn source(name: &str, given: &ArgMatches, plan_keys: &[String]) -> String {
    let known = given.try_contains_id(name).unwrap_or(false);
    match known.then(|| given.value_source(name)).flatten() {
        Some(ValueSource::CommandLine) => "flag".to_owned(),
        Some(ValueSource::EnvVariable) => format!("environment (QUANTGATE_{})", name.to_uppercase()),
        _ if plan_keys.iter().any(|key| key == name) => "plan".to_owned(),
        _ => "default".to_owned(),
    }
}

/// The keys that the plan file sets, those of its policy and its subjects included.
fn plan_keys(args: &RunArgs) -> Vec<String> {
    // The plan was read and checked before: what can't be read here can't happen, and would only lose a word in a table.
    let table: toml::Table = fs::read_to_string(&args.plan).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
    let keys_of = |value: &toml::Value| value.as_table().map(|table| table.keys().cloned().collect()).unwrap_or_default();
    let tables = ["policy", "canary"].into_iter().filter_map(|name| table.get(name));
    let variants = table.get("variant").and_then(toml::Value::as_array).into_iter().flatten();
    let below: Vec<String> = tables.chain(variants).flat_map(|value| -> Vec<String> { keys_of(value) }).collect();
    table.keys().cloned().chain(below).collect()
}
