//! The guards: what makes a verdict weaker than it looks, found in the data.

use super::loss::{Asked, Measured, Part};
use super::side::ASYMMETRY;
use super::wording::{count, plural, rough};
use super::{Code, Warning, attempts, method, noise};
use crate::analysis::{Asymmetry, Comparisons, DistributionComparison, Record};
use crate::domain::{Policy, Role};

/// Fewer flips than this are few.
const FEW_FLIPS: u64 = 20;
/// Fewer differing numbers than this are few.
const FEW_DIFFERENT: u64 = 30;
/// Fewer documents than this are few.
const FEW_DOCUMENTS: usize = 30;
/// Fewer clusters than this are few.
const FEW_CLUSTERS: usize = 30;
/// A canary above this share of right answers leaves little to lose.
const CEILING: f64 = 0.98;

/// Every warning, by code, then in the plan's order. Controls give none: they are meant to be bad.
pub(super) fn warnings(record: &Record, comparisons: &Comparisons, policy: &Policy) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for comparison in comparisons.tasks.iter().filter(|c| c.role == Role::Variant) {
        if let Some(card) = record.task(&comparison.task).filter(|card| policy.gates(&card.name, card.gating)) {
            let part = Asked::plainly(comparison, card, policy).whole();
            of_comparison(&mut warnings, &part);
            of_canary(&mut warnings, &part);
        }
    }
    for distribution in comparisons.distributions.iter().filter(|d| d.role == Role::Variant) {
        of_distribution(&mut warnings, distribution, policy);
    }
    warnings.extend(noise::warnings(record, comparisons, policy));
    warnings.extend(attempts::warnings(record, policy));
    of_run(&mut warnings, record, policy);
    // What is said of the canary is said once, not once for every variant.
    warnings.sort_by_key(|w| w.code);
    let mut seen = Vec::new();
    warnings.retain(|w| {
        w.subject.is_some() || w.task.is_none() || {
            let key = (w.code, w.task.clone());
            let new = !seen.contains(&key);
            seen.push(key);
            new
        }
    });
    warnings
}

fn of_comparison(warnings: &mut Vec<Warning>, part: &Part<'_>) {
    let (comparison, n) = (part.asked.comparison, part.pairs.n());
    let mut warn = |code, detail| {
        let (subject, task) = (Some(comparison.subject.clone()), Some(comparison.task.clone()));
        warnings.push(Warning { code, subject, task, detail });
    };
    let flips = part.pairs.differing();
    if n > 0 && flips < few_flips(part) {
        warn(Code::LowDiscordance, format!("{flips} {}", plural(flips, "flip")));
    }
    let method = (n > 0 && part.is_testable()).then(|| Measured::of(part).method);
    if let Some(method) = method
        && let Some(needed) = method::needed_without_loss(method, &part.pairs, &part.question)
        && n < needed
        && n >= method::floor(method, &part.pairs, &part.question)
    {
        warn(Code::Underpowered, format!("{} items, about {} needed", count(n), count(rough(needed))));
    }
    let sides = |a: &Asymmetry| format!("canary {}, variant {}", a.canary, a.variant);
    if comparison.truncated.p_mid < ASYMMETRY {
        warn(Code::Truncation, sides(&comparison.truncated));
    }
    if comparison.unparsed.p_mid < ASYMMETRY {
        warn(Code::Parse, sides(&comparison.unparsed));
    }
}

/// Fewer differing pairs than this are few: of numbers more than of right and wrong.
fn few_flips(part: &Part<'_>) -> u64 {
    if part.pairs.means.is_some() { FEW_DIFFERENT } else { FEW_FLIPS }
}

fn of_canary(warnings: &mut Vec<Warning>, part: &Part<'_>) {
    let (comparison, card) = (part.asked.comparison, part.asked.card);
    let mut warn = |code, detail| {
        warnings.push(Warning { code, subject: None, task: Some(card.name.clone()), detail });
    };
    if part.is_testable() {
        let floor = method::floor(None, &part.pairs, &part.question);
        let n = part.pairs.n();
        // Without a single pair something else is wrong than the number of items.
        if n > 0 && n < floor && part.pairs.means.is_none() {
            warn(Code::Floor, format!("{} items, at least {} needed", count(n), count(floor)));
        }
    }
    let clusters = comparison.clusters.len();
    if clusters > 0 && clusters < FEW_CLUSTERS {
        warn(Code::FewClusters, format!("{clusters} sources"));
    }
    let Some(canary) = comparison.paired.canary else { return };
    let right = 100.0 * canary.estimate;
    if canary.estimate > CEILING {
        warn(Code::Ceiling, format!("canary {right:.1} % right"));
    }
    if let Some(band) = card.band.filter(|band| canary.estimate < band.low || canary.estimate > band.high) {
        let (low, high) = (100.0 * band.low, 100.0 * band.high);
        warn(Code::Band, format!("canary {right:.1} % right, expected {low:.0} to {high:.0} %"));
    }
}

fn of_distribution(warnings: &mut Vec<Warning>, distribution: &DistributionComparison, policy: &Policy) {
    let budgeted = policy.budgets.iter().any(|b| b.task.as_ref().is_none_or(|task| *task == distribution.task));
    let documents = distribution.documents - distribution.missing;
    if budgeted && documents < FEW_DOCUMENTS {
        let (task, detail) = (Some(distribution.task.clone()), format!("{documents} documents"));
        warnings.push(Warning { code: Code::FewDocuments, subject: Some(distribution.subject.clone()), task, detail });
    }
}

fn of_run(warnings: &mut Vec<Warning>, record: &Record, policy: &Policy) {
    let named = policy.tasks.iter().map(|r| &r.task).chain(policy.budgets.iter().filter_map(|b| b.task.as_ref()));
    for task in named.filter(|task| record.task(task).is_none()) {
        let detail = "no such task in this run".to_owned();
        warnings.push(Warning { code: Code::UnknownTask, subject: None, task: Some(task.clone()), detail });
    }
}
