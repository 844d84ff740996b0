//! Settings as meant: flag over environment over plan over default, with where each value came from.

use std::fs;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::args::RunArgs;
use crate::domain::{Policy, Tolerance};
use crate::plan::{Overrides, Plan};

/// What the flags and the environment change in the plan.
pub(super) fn overrides(args: &RunArgs) -> Overrides {
    Overrides {
        suites: args.suites.clone(),
        seed: args.seed,
        limit: args.limit,
        reports: args.reports.clone(),
        cache: args.cache.clone(),
        ..Overrides::default()
    }
}

/// The table of `--show-settings`: setting, value, where it came from.
pub(super) fn table(args: &RunArgs, given: &ArgMatches, plan: &Plan) -> String {
    let keys = plan_keys(args);
    let names = |paths: &[std::path::PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rows = [
        ("plan", args.plan.display().to_string()),
        ("suites", args.suites.as_deref().map_or_else(|| "as in the plan".to_owned(), names)),
        ("seed", plan.seed.to_string()),
        ("limit", args.limit.map_or_else(|| "all samples".to_owned(), |limit| limit.to_string())),
        ("reports", plan.reports.display().to_string()),
        ("cache", plan.cache.display().to_string()),
        ("concurrency", args.concurrency.map_or_else(|| "as each engine says".to_owned(), |n| n.to_string())),
        ("threads", args.threads.unwrap_or(cores).to_string()),
        ("batch", args.batch.to_string()),
        ("no_progress", args.no_progress.to_string()),
        ("alpha", plan.policy.alpha.to_string()),
        tolerance(&plan.policy),
        ("inconclusive", format!("{:?}", plan.policy.inconclusive).to_lowercase()),
        ("invalid", format!("{:?}", plan.policy.invalid).to_lowercase()),
        ("rule", format!("{} by task, {} by metric", plan.policy.tasks.len(), plan.policy.budgets.len())),
    ];
    let lines = rows.iter().map(|(name, value)| format!("{name:<12} {value:<28} {}", source(name, given, &keys)));
    lines.collect::<Vec<_>>().join("\n")
}

/// The policy's tolerance, by its key.
fn tolerance(policy: &Policy) -> (&'static str, String) {
    match policy.tolerance {
        Tolerance::Margin(margin) => ("margin", format!("{}pp", (margin * 1e6).round() / 1e4)),
        Tolerance::Recovery(share) => ("recovery", share.to_string()),
    }
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

/// The keys that the plan file sets, those of its policy included.
fn plan_keys(args: &RunArgs) -> Vec<String> {
    // The plan was read and checked before: what can't be read here can't happen, and would only lose a word in a table.
    let table: toml::Table = fs::read_to_string(&args.plan).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
    let policy = table.get("policy").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
    table.keys().chain(policy).cloned().collect()
}
