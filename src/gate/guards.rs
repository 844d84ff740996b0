//! The guards: what makes a verdict weaker than it looks, found in the data.

use super::loss::{Asked, Measured, Part};
use super::side::ASYMMETRY;
use super::wording::{count, plural, rough};
use super::{Code, Warning, attempts, course, method, noise, overall, same, served};
use crate::analysis::{self, Asymmetry, Comparisons, DistributionComparison, Record};
use crate::domain::{CauseKind, Policy, Role, SubjectName, Verdict};
use crate::stats;

/// Fewer flips than this are few.
const FEW_FLIPS: u64 = 20;
/// Fewer differing numbers than this are few.
const FEW_DIFFERENT: u64 = 30;
/// Fewer documents than this are few.
const FEW_DOCUMENTS: usize = 30;
/// Fewer clusters than this are few.
const FEW_CLUSTERS: usize = 30;
/// From this share on most of a variance is the answers' own.
const MOSTLY: f64 = 0.5;
/// A canary above this share of right answers leaves little to lose.
const CEILING: f64 = 0.98;

/// Every warning, by code, then in the plan's order. Controls give none: they are meant to be bad.
pub(super) fn warnings(record: &Record, comparisons: &Comparisons, policy: &Policy) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for comparison in comparisons.tasks.iter().filter(|c| c.role == Role::Variant) {
        if let Some(card) = record.task(&comparison.task).filter(|card| policy.gates(&card.name, card.gating)) {
            let part = Asked::plainly(comparison, card, policy).whole();
            of_comparison(&mut warnings, &part);
            of_size(&mut warnings, &part);
            of_canary(&mut warnings, &part);
            warnings.extend(of_looks(record, &part));
            warnings.extend(of_sampling(record, comparisons, &part));
        }
    }
    for subject in record.header.subjects.iter().filter(|subject| subject.role == Role::Variant) {
        warnings.extend(of_tasks(record, comparisons, policy, &subject.name));
    }
    for distribution in comparisons.distributions.iter().filter(|d| d.role == Role::Variant) {
        of_distribution(&mut warnings, distribution, policy);
    }
    warnings.extend(noise::warnings(record, comparisons, policy));
    warnings.extend(same::warnings(record));
    warnings.extend(served::warnings(record));
    warnings.extend(attempts::warnings(record, policy));
    of_run(&mut warnings, record, comparisons, policy);
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
    let comparison = part.asked.comparison;
    let mut warn = |code, detail| {
        let (subject, task) = (Some(comparison.subject.clone()), Some(comparison.task.clone()));
        warnings.push(Warning { code, subject, task, detail });
    };
    let sides = |a: &Asymmetry| format!("canary {}, variant {}", a.canary, a.variant);
    if comparison.truncated.p_mid < ASYMMETRY {
        warn(Code::Truncation, sides(&comparison.truncated));
    }
    if comparison.unparsed.p_mid < ASYMMETRY {
        warn(Code::Parse, sides(&comparison.unparsed));
    }
}

/// Too few items or flips; not of a subject that was asked no more because its verdict was certain.
fn of_size(warnings: &mut Vec<Warning>, part: &Part<'_>) {
    let (comparison, n) = (part.asked.comparison, part.pairs.n());
    // Without a single pair something else is wrong than the number of items.
    if n == 0 || !part.is_testable() || comparison.asked < comparison.samples {
        return;
    }
    let mut warn = |code, subject, detail| {
        warnings.push(Warning { code, subject, task: Some(comparison.task.clone()), detail });
    };
    let subject = || Some(comparison.subject.clone());
    let flips = part.pairs.differing();
    if flips < few_flips(part) {
        warn(Code::LowDiscordance, subject(), format!("{flips} {}", plural(flips, "flip")));
    }
    let method = Measured::of(part).method;
    let needed = method::needed_without_loss(method, &part.pairs, &part.question).filter(|needed| n < *needed);
    if let Some(needed) = needed.filter(|_| n >= method::floor(method, &part.pairs, &part.question)) {
        warn(Code::Underpowered, subject(), format!("{} items, about {} needed", count(n), count(rough(needed))));
    }
    let floor = method::floor(method.filter(|_| part.pairs.means.is_some()), &part.pairs, &part.question);
    if n < floor {
        warn(Code::Floor, None, format!("{} items, at least {} needed", count(n), count(floor)));
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
    let clusters = comparison.clusters.len();
    if clusters > 0 && clusters < FEW_CLUSTERS {
        warn(Code::FewClusters, format!("{clusters} sources"));
    }
    let Some(canary) = comparison.paired.canary else { return };
    let right = 100.0 * canary.estimate;
    if canary.estimate > CEILING && part.pairs.means.is_none() {
        warn(Code::Ceiling, format!("canary {right:.1} % right"));
    }
    if let Some(band) = card.band.filter(|band| canary.estimate < band.low || canary.estimate > band.high) {
        let (low, high) = (100.0 * band.low, 100.0 * band.high);
        warn(
            Code::Band,
            match part.pairs.means {
                None => format!("canary {right:.1} % right, expected {low:.0} to {high:.0} %"),
                Some(_) => format!("canary {:.3}, expected {} to {}", canary.estimate, band.low, band.high),
            },
        );
    }
}

/// A subject that was asked no more by another rule than the one that judges it now.
fn of_looks(record: &Record, part: &Part<'_>) -> Option<Warning> {
    let comparison = part.asked.comparison;
    if comparison.asked >= comparison.samples {
        return None;
    }
    let settled = course::settled(record, comparison, part.asked.policy);
    let (subject, task) = (Some(comparison.subject.clone()), Some(comparison.task.clone()));
    let detail = format!("{} of {} samples asked", count(comparison.asked), count(comparison.samples));
    let decided = settled.is_some_and(|settled| settled.verdict != Verdict::Inconclusive);
    (!decided).then_some(Warning { code: Code::MultiLook, subject, task, detail })
}

/// Where answers are sampled: how much of the variance more repeats would remove (Miller 2024).
fn of_sampling(record: &Record, comparisons: &Comparisons, part: &Part<'_>) -> Option<Warning> {
    let (comparison, means) = (part.asked.comparison, part.pairs.means?);
    let canary = record.header.canary()?;
    let of_passes = |subject: &SubjectName| {
        let noise = comparisons.noise_of(subject, &comparison.task)?;
        Some(noise.overdispersion.as_ref()?.expected_var / f64::from(noise.passes))
    };
    let sampled = of_passes(&canary.name)? + of_passes(&comparison.subject)?;
    let total = stats::paired_t(&means.canary, &means.variant, 0.0, 0.9)?.se.powi(2);
    let share = if total > 0.0 { (sampled / total).min(1.0) } else { 0.0 };
    let (subject, task) = (Some(comparison.subject.clone()), Some(comparison.task.clone()));
    let detail = format!("{:.0} % of the variance of the difference", 100.0 * share);
    (share > MOSTLY).then_some(Warning { code: Code::Sampling, subject, task, detail })
}

/// Gating tasks of a variant that move by different amounts.
fn of_tasks(record: &Record, comparisons: &Comparisons, policy: &Policy, subject: &SubjectName) -> Option<Warning> {
    let own = comparisons.tasks.iter().filter(|comparison| comparison.subject == *subject);
    let asked: Vec<Asked<'_>> =
        own.filter_map(|comparison| Some(Asked::plainly(comparison, record.task(&comparison.task)?, policy))).collect();
    let detail = overall::heterogeneity(&asked, policy)?;
    Some(Warning { code: Code::Heterogeneity, subject: Some(subject.clone()), task: None, detail })
}

fn of_distribution(warnings: &mut Vec<Warning>, distribution: &DistributionComparison, policy: &Policy) {
    let budgeted = policy.budgets.iter().any(|b| b.task.as_ref().is_none_or(|task| *task == distribution.task));
    let documents = distribution.documents - distribution.missing;
    if budgeted && documents < FEW_DOCUMENTS {
        let (task, detail) = (Some(distribution.task.clone()), format!("{documents} documents"));
        warnings.push(Warning { code: Code::FewDocuments, subject: Some(distribution.subject.clone()), task, detail });
    }
}

fn of_run(warnings: &mut Vec<Warning>, record: &Record, comparisons: &Comparisons, policy: &Policy) {
    for row in analysis::unscored(record).into_iter().filter(|row| row.kind == CauseKind::NotANumber) {
        let detail = format!("{} {}", count(row.count), plural(row.count, "answer"));
        warnings.push(Warning { code: Code::NotANumber, subject: Some(row.subject), task: Some(row.task), detail });
    }
    let named = policy.tasks.iter().map(|r| &r.task).chain(policy.budgets.iter().filter_map(|b| b.task.as_ref()));
    for task in named.filter(|task| record.task(task).is_none()) {
        let detail = "no such task in this run".to_owned();
        warnings.push(Warning { code: Code::UnknownTask, subject: None, task: Some(task.clone()), detail });
    }
    for rule in policy.tasks.iter().filter(|rule| record.task(&rule.task).is_some()) {
        let Some(slice) = &rule.slice else { continue };
        let known = |slices: &[analysis::SliceRow]| slices.iter().any(|row| row.slice == *slice);
        if !comparisons.tasks.iter().any(|comparison| comparison.task == rule.task && known(&comparison.slices)) {
            let detail = format!("no sample of slice '{slice}'");
            warnings.push(Warning { code: Code::UnknownTask, subject: None, task: Some(rule.task.clone()), detail });
        }
    }
}
