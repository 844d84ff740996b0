//! What the page shows, as words and numbers in their final form; the template only lays them out and escapes them.

use std::collections::BTreeMap;

use askama::Template;

use super::browser::{FlipGroup, flip_groups};
use super::card::{Badge, Card, anchor, card, unbroken};
use super::notes::{FloorRow, WarningGroup, attempts, floor, warnings};
use crate::domain::{Family, Identity, Role, Stopping};
use crate::gate::wording::{count, signed_points, tolerated};
use crate::report::model::{Report, SubjectResult};
use crate::report::plot::Figure;
use crate::report::serving::{self, Way};
use crate::report::{asides, lines, phrase};

/// The page.
#[derive(Template)]
#[template(path = "page.html")]
pub(super) struct Page<'a> {
    report: &'a Report,
    badge: Badge,
    reason: String,
    begun: String,
    took: Option<String>,
    terms: String,
    sized: bool,
    overview: Vec<OverviewRow>,
    forest: Vec<&'a Figure>,
    figures: Vec<&'a Figure>,
    cards: Vec<Card>,
    p_meaning: String,
    early: Option<String>,
    serving: Vec<serving::Column>,
    serving_rows: Vec<Vec<String>>,
    serving_legend: String,
    ways: Vec<Way>,
    floor: Vec<FloorRow>,
    floor_passes: u32,
    floor_table: bool,
    attempts: Vec<(String, Badge, String, String)>,
    flips: Vec<FlipGroup>,
    warnings: Vec<WarningGroup>,
    policy: Vec<(String, String)>,
    identities: Vec<(String, Vec<(String, String)>)>,
    about: Vec<(String, String)>,
}

/// One subject in the overview.
struct OverviewRow {
    name: String,
    anchor: Option<String>,
    control: bool,
    badge: Badge,
    quantization: String,
    size: String,
    bits: String,
    accuracy: String,
    delta: String,
    flips: String,
    kld: String,
    perplexity: String,
}

impl<'a> Page<'a> {
    pub(super) fn of(report: &'a Report, figures: &'a [Figure]) -> Self {
        let (started, ended) = (report.timing.started_ms, report.timing.ended_ms);
        let (floor, serving) = (floor(report), serving::table(report));
        let row = |row: usize| serving.iter().map(|column| column.cells[row].clone()).collect();
        Self {
            serving_rows: (0..serving.first().map_or(0, |first| first.cells.len())).map(row).collect(),
            serving_legend: serving::legend(report, &serving),
            serving,
            ways: serving::ways(report),
            badge: Badge::of(Some(report.verdict)),
            reason: unbroken(&report.reason),
            begun: phrase::instant(started),
            // Reading takes no time worth telling.
            took: (!report.recorded).then(|| phrase::duration(ended.saturating_sub(started))),
            terms: terms(report),
            sized: report.subjects.iter().any(|s| s.identity.as_ref().is_some_and(Identity::has_size)),
            overview: overview(report),
            forest: figures.iter().filter(|f| f.name == "forest").collect(),
            figures: figures.iter().filter(|f| f.name != "forest").collect(),
            cards: report.worst_first().into_iter().enumerate().map(|(i, s)| card(report, i, s)).collect(),
            p_meaning: asides::of_p(report, &lines::all(report)),
            early: asides::early(report),
            floor_passes: report.floor().iter().map(|noise| noise.passes).max().unwrap_or(1),
            floor_table: !floor.is_empty(),
            floor,
            attempts: attempts(report),
            flips: flip_groups(report),
            warnings: warnings(report),
            policy: policy(report),
            identities: report
                .subjects
                .iter()
                .filter_map(|s| Some((s.name.to_string(), identity(s.identity.as_ref()?, report.recorded))))
                .collect(),
            about: about(report),
            report,
        }
    }
}

/// The rules of the verdict, in a line.
fn terms(report: &Report) -> String {
    let tolerances = phrase::sentence(&phrase::tolerances(&report.policy));
    let confidence = 100.0 * (1.0 - 2.0 * report.policy.alpha);
    unbroken(&format!("{tolerances}, {confidence:.0} % intervals; every gating rule must pass."))
}

fn overview(report: &Report) -> Vec<OverviewRow> {
    let judged = report.worst_first();
    let anchors: BTreeMap<_, _> = judged.iter().enumerate().map(|(i, s)| (s.name.clone(), anchor(i))).collect();
    let subjects = report.canary().into_iter().chain(judged);
    subjects.map(|s| overview_row(report, s, anchors.get(&s.name).cloned())).collect()
}

fn overview_row(report: &Report, subject: &SubjectResult, anchor: Option<String>) -> OverviewRow {
    let none = || phrase::NOTHING.to_owned();
    let is_canary = subject.role == Role::Canary;
    let own = if is_canary { report.canary_mean() } else { subject.mean_accuracy(|t| t.variant) };
    let canary = subject.mean_accuracy(|t| t.canary).filter(|_| !is_canary);
    let identity = subject.identity.as_ref().filter(|i| i.has_size());
    let first = subject.distributions.first();
    let moved = first.and_then(|d| d.displacement.as_ref());
    let ratio = first.and_then(|d| d.ln_ratio).map(|r| format!("× {:.3}", r.exp()));
    let flips: (u64, u64) = subject.tasks.iter().fold((0, 0), |sum, t| (sum.0 + t.table.n10, sum.1 + t.table.n01));
    OverviewRow {
        name: subject.name.to_string(),
        anchor,
        control: subject.role == Role::Control,
        badge: Badge::of(subject.verdict),
        quantization: quantization(report, subject),
        size: identity.map_or_else(none, |i| phrase::bytes(i.bytes)),
        bits: identity.map_or_else(none, |i| format!("{:.2}", i.bits_per_weight)),
        accuracy: own.map_or_else(none, |a| format!("{:.1} %", 100.0 * a)),
        delta: own.zip(canary).map_or_else(none, |(a, c)| format!("{} pp", signed_points(a - c))),
        flips: if subject.tasks.iter().all(|t| t.n == 0) { none() } else { format!("{} / {}", count(flips.0), count(flips.1)) },
        kld: match (moved, first.and_then(|d| d.kld_bound.as_ref())) {
            (Some(moved), _) => phrase::number(moved.kld_mean),
            (None, Some(bound)) => format!("≥ {}", phrase::number(bound.mean)),
            (None, None) => none(),
        },
        perplexity: ratio.unwrap_or_else(none),
    }
}

/// A subject's quantization, where its files or its service tell one.
fn quantization(report: &Report, subject: &SubjectResult) -> String {
    let told = subject.identity.as_ref().filter(|i| i.has_size() || !report.recorded);
    told.map(|i| i.quantization.clone()).filter(|word| word != "not told").unwrap_or_default()
}

fn policy(report: &Report) -> Vec<(String, String)> {
    let policy = &report.policy;
    let mut rows = vec![
        ("Tolerated".to_owned(), phrase::tolerance(policy.tolerance)),
        ("Error rate of each claim, α".to_owned(), format!("{} per side", policy.alpha)),
    ];
    for rule in &policy.tasks {
        let may_lose = rule.tolerance.map(|t| format!("tolerated {}", tolerated(t)));
        let gating = rule.gating.map(|g| if g { "gates".to_owned() } else { "is shown only".to_owned() });
        let slice = rule.slice.as_ref().map_or_else(String::new, |slice| format!(" / {slice}"));
        let says = [may_lose, gating].into_iter().flatten().collect::<Vec<_>>().join(", ");
        rows.push((format!("Task {}{slice}", rule.task), says));
    }
    rows.extend(policy.overall.map(|overall| ("Mean of gating tasks".to_owned(), format!("tolerated {}", tolerated(overall)))));
    if policy.strict {
        rows.push(("Strict".to_owned(), "only methods that hold at any number of items".to_owned()));
    }
    rows.push(("Claims that a task regressed".to_owned(), family(policy.family).to_owned()));
    rows.push(("Early stopping".to_owned(), stopping(policy.stopping).to_owned()));
    for budget in &policy.budgets {
        let on = budget.task.as_ref().map_or_else(|| "every task that has it".to_owned(), ToString::to_string);
        rows.push((format!("Budget {}", budget.metric), format!("at most {} on {on}", budget.max)));
    }
    let blocks = |on: crate::domain::OnDoubt| if on == crate::domain::OnDoubt::Block { "blocks" } else { "only warns" };
    rows.push(("INCONCLUSIVE".to_owned(), blocks(policy.inconclusive).to_owned()));
    rows.push(("INVALID".to_owned(), blocks(policy.invalid).to_owned()));
    rows
}

fn family(family: Family) -> &'static str {
    match family {
        Family::Holm => "corrected by Holm",
        Family::Hochberg => "corrected by Hochberg",
        Family::Bh => "corrected by Benjamini and Hochberg",
        Family::By => "corrected by Benjamini and Yekutieli",
        Family::None => "each at the full α",
    }
}

fn stopping(stopping: Stopping) -> &'static str {
    match stopping {
        Stopping::None => "only where no answer left could turn the verdict",
        Stopping::GroupSequential => "at four looks (Lan and DeMets, O’Brien and Fleming)",
        Stopping::EProcess => "at any item, by betting",
    }
}

fn identity(identity: &Identity, recorded: bool) -> Vec<(String, String)> {
    if !recorded && !identity.has_size() {
        return told(identity);
    }
    if !identity.has_size() {
        let of_files = [("engine".to_owned(), identity.engine.clone()), ("results".to_owned(), identity.weights.to_string())];
        return of_files.into_iter().chain(identity.details.clone()).collect();
    }
    let mut rows = vec![
        ("engine".to_owned(), identity.engine.clone()),
        ("quantization".to_owned(), identity.quantization.clone()),
        ("size".to_owned(), format!("{} bytes", count(identity.bytes))),
        ("parameters".to_owned(), count(identity.parameters)),
        ("bits per weight".to_owned(), format!("{:.3}", identity.bits_per_weight)),
        ("weights".to_owned(), identity.weights.to_string()),
        ("vocabulary".to_owned(), identity.vocabulary.to_string()),
        ("template".to_owned(), identity.template.to_string()),
    ];
    rows.extend(identity.details.iter().map(|(k, v)| (k.clone(), v.clone())));
    rows
}

/// What a service told of the model behind it.
fn told(identity: &Identity) -> Vec<(String, String)> {
    let digests = [("weights", &identity.weights), ("vocabulary", &identity.vocabulary), ("template", &identity.template)];
    let mut rows = vec![("engine".to_owned(), identity.engine.clone())];
    if !identity.quantization.is_empty() {
        rows.push(("quantization".to_owned(), identity.quantization.clone()));
    }
    rows.extend(digests.map(|(name, digest)| (name.to_owned(), digest.to_string())));
    rows.extend(identity.details.iter().map(|(k, v)| (k.clone(), v.clone())));
    rows
}

fn about(report: &Report) -> Vec<(String, String)> {
    let units = report.units;
    let [expected, scored, unscored] = [units.expected, units.scored, units.unscored].map(|n| count(n as u64));
    vec![
        ("Run".to_owned(), report.run.id.clone()),
        ("Answers".to_owned(), format!("{expected} asked for, {scored} scored, {unscored} without a score")),
        ("Passes".to_owned(), passes(report)),
        ("Resumed".to_owned(), format!("{} times", report.timing.resumed)),
        ("Seed".to_owned(), report.seed.to_string()),
        ("Plan".to_owned(), report.digest.clone()),
        ("quantgate".to_owned(), report.quantgate.clone()),
    ]
}

/// How often each subject was asked: `1 each`, or `canary 3, q4 1`.
fn passes(report: &Report) -> String {
    match report.subjects.first() {
        Some(first) if report.subjects.iter().all(|s| s.repeats == first.repeats) => format!("{} each", first.repeats),
        _ => report.subjects.iter().map(|s| format!("{} {}", s.name, s.repeats)).collect::<Vec<_>>().join(", "),
    }
}
