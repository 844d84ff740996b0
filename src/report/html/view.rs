//! What the page shows, as words and numbers in their final form; the template only lays them out and escapes them.

use std::collections::BTreeMap;

use askama::Template;

use super::browser::{FlipGroup, flip_groups};
use crate::domain::{Identity, Role, Verdict};
use crate::gate::wording::{count, pp, signed_points, tolerated};
use crate::report::model::{DistributionResult, Report, SliceResult, SubjectResult, TaskResult};
use crate::report::phrase;
use crate::report::plot::Figure;
use crate::stats::Interval;

/// The page.
#[derive(Template)]
#[template(path = "page.html")]
pub(super) struct Page<'a> {
    report: &'a Report,
    badge: Badge,
    reason: String,
    begun: String,
    took: String,
    confidence: String,
    margin: String,
    overview: Vec<OverviewRow>,
    forest: Vec<&'a Figure>,
    figures: Vec<&'a Figure>,
    cards: Vec<Card>,
    flips: Vec<FlipGroup>,
    warnings: Vec<WarningGroup>,
    policy: Vec<(String, String)>,
    identities: Vec<(String, Vec<(String, String)>)>,
    about: Vec<(String, String)>,
}

/// A verdict with its sign and its class in the style sheet.
struct Badge {
    word: &'static str,
    class: &'static str,
    sign: &'static str,
}

impl Badge {
    fn of(verdict: Option<Verdict>) -> Self {
        match verdict {
            Some(Verdict::Pass) => Self { word: "PASS", class: "pass", sign: "✓" },
            Some(Verdict::Fail) => Self { word: "FAIL", class: "fail", sign: "✗" },
            Some(Verdict::Inconclusive) => Self { word: "INCONCLUSIVE", class: "open", sign: "?" },
            Some(Verdict::Invalid) => Self { word: "INVALID", class: "invalid", sign: "⊘" },
            None => Self { word: "canary", class: "canary", sign: "●" },
        }
    }
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

/// One variant or control.
struct Card {
    name: String,
    anchor: String,
    control: bool,
    open: bool,
    badge: Badge,
    reason: String,
    tasks: Vec<TaskRow>,
    others: Vec<OtherFinding>,
    distributions: Vec<DistributionBlock>,
    slices: Vec<(String, Vec<SliceLine>)>,
}

/// One task in a card.
struct TaskRow {
    name: String,
    n: String,
    canary: String,
    variant: String,
    delta: String,
    margin: String,
    lost: String,
    gained: String,
    p: String,
    badge: Badge,
    gating: bool,
    reason: String,
}

/// A finding that is not a task's.
struct OtherFinding {
    badge: Badge,
    rule: String,
    reason: String,
}

/// One perplexity task in a card.
struct DistributionBlock {
    task: String,
    size: String,
    rows: Vec<(&'static str, String)>,
    quantiles: Vec<(&'static str, String)>,
}

/// One slice of a task.
struct SliceLine {
    name: String,
    n: String,
    canary: String,
    variant: String,
    delta: String,
    lost: String,
    gained: String,
}

/// The warnings of one code.
struct WarningGroup {
    code: &'static str,
    meaning: &'static str,
    items: Vec<String>,
}

impl<'a> Page<'a> {
    pub(super) fn of(report: &'a Report, figures: &'a [Figure]) -> Self {
        let took = report.timing.ended_ms.saturating_sub(report.timing.started_ms);
        Self {
            badge: Badge::of(Some(report.verdict)),
            reason: unbroken(&report.reason),
            begun: phrase::instant(report.timing.started_ms),
            took: phrase::duration(took),
            confidence: format!("{:.0}", 100.0 * (1.0 - 2.0 * report.policy.alpha)),
            margin: tolerated(report.policy.tolerance),
            overview: overview(report),
            forest: figures.iter().filter(|f| f.name == "forest").collect(),
            figures: figures.iter().filter(|f| f.name != "forest").collect(),
            cards: report.worst_first().into_iter().enumerate().map(|(i, s)| card(i, s)).collect(),
            flips: flip_groups(report),
            warnings: warnings(report),
            policy: policy(report),
            identities: report
                .subjects
                .iter()
                .filter_map(|s| Some((s.name.to_string(), identity(s.identity.as_ref()?))))
                .collect(),
            about: about(report),
            report,
        }
    }
}

fn overview(report: &Report) -> Vec<OverviewRow> {
    let judged = report.worst_first();
    let canary_accuracy = judged.first().and_then(|s| s.mean_accuracy(|t| t.canary));
    let anchors: BTreeMap<_, _> = judged.iter().enumerate().map(|(i, s)| (s.name.clone(), anchor(i))).collect();
    let subjects = report.canary().into_iter().chain(judged);
    subjects.map(|s| overview_row(s, canary_accuracy, anchors.get(&s.name).cloned())).collect()
}

fn overview_row(subject: &SubjectResult, canary: Option<f64>, anchor: Option<String>) -> OverviewRow {
    let none = || phrase::NOTHING.to_owned();
    let is_canary = subject.role == Role::Canary;
    let own = if is_canary { canary } else { subject.mean_accuracy(|t| t.variant) };
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
        quantization: identity.map_or_else(none, |i| i.quantization.clone()),
        size: identity.map_or_else(none, |i| phrase::bytes(i.bytes)),
        bits: identity.map_or_else(none, |i| format!("{:.2}", i.bits_per_weight)),
        accuracy: own.map_or_else(none, |a| format!("{:.1} %", 100.0 * a)),
        delta: own.zip(canary).filter(|_| !is_canary).map_or_else(none, |(a, c)| format!("{} pp", signed_points(a - c))),
        flips: if subject.tasks.iter().all(|t| t.n == 0) { none() } else { format!("{} / {}", flips.0, flips.1) },
        kld: moved.map_or_else(none, |m| phrase::number(m.kld_mean)),
        perplexity: ratio.unwrap_or_else(none),
    }
}

fn anchor(place: usize) -> String {
    format!("subject-{place}")
}

fn card(place: usize, subject: &SubjectResult) -> Card {
    let others = subject.findings.iter().filter(|f| f.rule != "loss").map(|f| OtherFinding {
        badge: Badge::of(Some(f.verdict)),
        rule: f.metric.clone().unwrap_or_else(|| f.rule.to_owned()),
        reason: f.task.as_ref().map_or_else(|| f.reason.clone(), |task| format!("on {task}, {}", f.reason)),
    });
    Card {
        name: subject.name.to_string(),
        anchor: anchor(place),
        control: subject.role == Role::Control,
        open: subject.role == Role::Variant && subject.verdict != Some(Verdict::Pass),
        badge: Badge::of(subject.verdict),
        reason: unbroken(&phrase::sentence(&subject.reason)),
        tasks: subject.tasks_worst_first().into_iter().map(|t| task_row(subject, t)).collect(),
        others: others.collect(),
        distributions: subject.distributions.iter().map(distribution).collect(),
        slices: subject.tasks.iter().filter(|t| !t.slices.is_empty()).map(slices).collect(),
    }
}

fn task_row(subject: &SubjectResult, task: &TaskResult) -> TaskRow {
    let finding = subject.findings.iter().find(|f| f.rule == "loss" && f.slice.is_none() && f.task.as_ref() == Some(&task.task));
    TaskRow {
        name: task.task.to_string(),
        n: count(task.n),
        canary: phrase::percent(task.canary),
        variant: phrase::percent(task.variant),
        delta: phrase::delta(task.gate),
        margin: pp(task.margin),
        lost: phrase::of_pairs(task.n, task.table.n10),
        gained: phrase::of_pairs(task.n, task.table.n01),
        p: phrase::p_of(task),
        badge: Badge::of(Some(task.verdict)),
        gating: task.gating,
        reason: finding.map_or_else(String::new, |f| unbroken(&phrase::sentence(&f.reason))),
    }
}

fn slices(task: &TaskResult) -> (String, Vec<SliceLine>) {
    let line = |s: &SliceResult| SliceLine {
        name: s.slice.clone(),
        n: count(s.n),
        canary: phrase::percent(s.canary),
        variant: phrase::percent(s.variant),
        delta: phrase::delta(s.delta),
        lost: phrase::of_pairs(s.n, s.table.n10),
        gained: phrase::of_pairs(s.n, s.table.n01),
    };
    (task.task.to_string(), task.slices.iter().map(line).collect())
}

fn distribution(d: &DistributionResult) -> DistributionBlock {
    let number = |x: Option<f64>| x.map_or_else(|| phrase::NOTHING.to_owned(), phrase::number);
    let exp = |i: Interval| Interval { estimate: i.estimate.exp(), lower: i.lower.exp(), upper: i.upper.exp() };
    let mut rows = vec![
        ("Perplexity of the canary", number(d.canary_perplexity)),
        ("Perplexity of the variant", number(d.variant_perplexity)),
        (
            "Ratio",
            d.ln_ratio
                .map_or_else(|| phrase::NOTHING.to_owned(), |r| phrase::with_interval(r.exp(), d.ln_ratio_interval.map(exp))),
        ),
    ];
    let mut quantiles = Vec::new();
    if let Some(moved) = &d.displacement {
        let share = |x: f64| format!("{:.2} %", 100.0 * x);
        rows.push(("Mean divergence, nats", phrase::with_interval(moved.kld_mean, moved.kld_interval)));
        rows.push(("Same top token", share(moved.same_top)));
        rows.push(("Mean Δp", share(moved.delta_p_mean).replace('-', "−")));
        rows.push(("RMS Δp", share(moved.delta_p_rms)));
        let names = [
            ("min", "min"),
            ("median", "median"),
            ("p90", "90 %"),
            ("p95", "95 %"),
            ("p99", "99 %"),
            ("p999", "99.9 %"),
            ("max", "max"),
        ];
        quantiles.extend(names.map(|(key, label)| (label, phrase::number(moved.kld[key]))));
    }
    let missing = if d.missing == 0 { String::new() } else { format!(", {} documents not compared", d.missing) };
    let size = format!("{} documents, {} tokens{missing}", count(d.documents as u64), count(d.tokens as u64));
    DistributionBlock { task: d.task.to_string(), size, rows, quantiles }
}

/// The sentence with its units tied to their numbers.
fn unbroken(sentence: &str) -> String {
    sentence.replace(" pp", "\u{a0}pp").replace(" %", "\u{a0}%")
}

fn warnings(report: &Report) -> Vec<WarningGroup> {
    let mut groups: Vec<WarningGroup> = Vec::new();
    for warning in &report.warnings {
        let names = [warning.subject.as_ref().map(ToString::to_string), warning.task.as_ref().map(ToString::to_string)];
        let names: Vec<String> = names.into_iter().flatten().collect();
        let item = if names.is_empty() { warning.detail.clone() } else { format!("{}: {}", names.join(", "), warning.detail) };
        match groups.last_mut().filter(|g| g.code == warning.code) {
            Some(group) => group.items.push(item),
            None => groups.push(WarningGroup { code: warning.code, meaning: warning.meaning, items: vec![item] }),
        }
    }
    groups
}

fn policy(report: &Report) -> Vec<(String, String)> {
    let policy = &report.policy;
    let mut rows = vec![
        ("Largest tolerated loss".to_owned(), tolerated(policy.tolerance)),
        ("Error rate of each claim, α".to_owned(), format!("{} per side", policy.alpha)),
    ];
    for rule in &policy.tasks {
        let margin = rule.tolerance.map(|t| format!("may lose {}", tolerated(t)));
        let gating = rule.gating.map(|g| if g { "gates".to_owned() } else { "is shown only".to_owned() });
        rows.push((format!("Task {}", rule.task), [margin, gating].into_iter().flatten().collect::<Vec<_>>().join(", ")));
    }
    for budget in &policy.budgets {
        let on = budget.task.as_ref().map_or_else(|| "every perplexity task".to_owned(), ToString::to_string);
        rows.push((format!("Budget {}", budget.metric), format!("at most {} on {on}", budget.max)));
    }
    let blocks = |on: crate::domain::OnDoubt| if on == crate::domain::OnDoubt::Block { "blocks" } else { "only warns" };
    rows.push(("INCONCLUSIVE".to_owned(), blocks(policy.inconclusive).to_owned()));
    rows.push(("INVALID".to_owned(), blocks(policy.invalid).to_owned()));
    rows
}

fn identity(identity: &Identity) -> Vec<(String, String)> {
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

fn about(report: &Report) -> Vec<(String, String)> {
    let units = report.units;
    let [expected, scored, unscored] = [units.expected, units.scored, units.unscored].map(|n| count(n as u64));
    vec![
        ("Run".to_owned(), report.run.id.clone()),
        ("Answers".to_owned(), format!("{expected} asked for, {scored} scored, {unscored} without a score")),
        ("Resumed".to_owned(), format!("{} times", report.timing.resumed)),
        ("Seed".to_owned(), report.seed.to_string()),
        ("Plan".to_owned(), report.digest.clone()),
        ("quantgate".to_owned(), report.quantgate.clone()),
    ]
}
