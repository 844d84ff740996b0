//! The cards of the page: one for each variant and control, with its table, budgets, distributions and slices.

use crate::domain::{Role, Verdict};
use crate::gate::wording::{count, percent};
use crate::report::lines::{self, Line};
use crate::report::model::{
    BucketResult, CalibrationResult, DistributionResult, FindingResult, Report, SliceResult, SubjectResult, TaskResult, Unit,
};
use crate::report::{phrase, serving};
use crate::stats::Interval;

/// A verdict with its sign and its class in the style sheet.
pub(super) struct Badge {
    pub(super) word: &'static str,
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
}

impl Badge {
    pub(super) fn of(verdict: Option<Verdict>) -> Self {
        match verdict {
            Some(Verdict::Pass) => Self { word: "PASS", class: "pass", sign: "✓" },
            Some(Verdict::Fail) => Self { word: "FAIL", class: "fail", sign: "✗" },
            Some(Verdict::Inconclusive) => Self { word: "INCONCLUSIVE", class: "open", sign: "?" },
            Some(Verdict::Invalid) => Self { word: "INVALID", class: "invalid", sign: "⊘" },
            None => Self { word: "canary", class: "canary", sign: "●" },
        }
    }
}

/// One variant or control.
pub(super) struct Card {
    pub(super) name: String,
    pub(super) anchor: String,
    pub(super) control: bool,
    pub(super) open: bool,
    pub(super) badge: Badge,
    pub(super) reason: String,
    pub(super) table: Table,
    pub(super) others: Vec<OtherFinding>,
    pub(super) distributions: Vec<DistributionBlock>,
    pub(super) serving: Vec<(&'static str, String)>,
    pub(super) slices: Vec<(String, Vec<SliceLine>)>,
}

/// The table of a card.
pub(super) struct Table {
    pub(super) confidence: String,
    pub(super) percent: &'static str,
    pub(super) unit: &'static str,
    pub(super) flips: &'static str,
    pub(super) delta: bool,
    pub(super) recovery: bool,
    pub(super) p: bool,
    pub(super) columns: usize,
    pub(super) rows: Vec<TaskRow>,
}

/// One line of it.
pub(super) struct TaskRow {
    pub(super) name: String,
    pub(super) part: bool,
    pub(super) own_unit: bool,
    pub(super) n: String,
    pub(super) canary: String,
    pub(super) variant: String,
    pub(super) delta: String,
    pub(super) recovery: String,
    pub(super) tolerated: String,
    pub(super) flips: String,
    pub(super) p: String,
    pub(super) tags: Vec<String>,
    pub(super) badge: Badge,
    pub(super) gating: bool,
    pub(super) reason: String,
}

/// A finding that is not a task's.
pub(super) struct OtherFinding {
    pub(super) badge: Badge,
    pub(super) rule: String,
    pub(super) reason: String,
}

/// One perplexity task in a card.
pub(super) struct DistributionBlock {
    pub(super) task: String,
    pub(super) size: String,
    pub(super) rows: Vec<(&'static str, String)>,
    pub(super) quantiles: Vec<(&'static str, String)>,
    /// What the quantiles are of.
    pub(super) of: &'static str,
    /// The canary's certainty, with the share of tokens, their divergence and their same top tokens.
    pub(super) buckets: Vec<[String; 4]>,
}

/// One slice of a task.
pub(super) struct SliceLine {
    pub(super) name: String,
    pub(super) n: String,
    pub(super) canary: String,
    pub(super) variant: String,
    pub(super) delta: String,
    pub(super) flips: String,
}

/// The sentence with its units tied to their numbers.
pub(super) fn unbroken(sentence: &str) -> String {
    sentence.replace(" pp", "\u{a0}pp").replace(" %", "\u{a0}%")
}

/// The anchor of the place-th card.
pub(super) fn anchor(place: usize) -> String {
    format!("subject-{place}")
}

/// One subject's card.
pub(super) fn card(report: &Report, place: usize, subject: &SubjectResult) -> Card {
    let others = subject.findings.iter().filter(|f| is_listed(f)).map(|f| OtherFinding {
        badge: Badge::of(Some(f.verdict)),
        rule: f.metric.clone().unwrap_or_else(|| f.rule.to_owned()),
        reason: unbroken(&f.task.as_ref().map_or_else(|| f.reason.clone(), |task| format!("on {task}, {}", f.reason))),
    });
    Card {
        name: subject.name.to_string(),
        anchor: anchor(place),
        control: subject.role == Role::Control,
        open: subject.role == Role::Variant && subject.verdict != Some(Verdict::Pass),
        badge: Badge::of(subject.verdict),
        reason: unbroken(&phrase::sentence(&subject.reason)),
        table: table(report, subject),
        others: others.collect(),
        distributions: subject.distributions.iter().map(distribution).collect(),
        serving: serving::details(report, subject),
        slices: subject.tasks.iter().filter(|t| !t.slices.is_empty()).map(slices).collect(),
    }
}

/// Whether a finding is shown below the table: the table has the losses, and the noise floor is the run's, not a variant's.
fn is_listed(finding: &FindingResult) -> bool {
    !matches!(finding.rule, "loss" | "overall") && (finding.rule != "noise" || finding.verdict != Verdict::Pass)
}

fn table(report: &Report, subject: &SubjectResult) -> Table {
    let lines = lines::lines(report, subject);
    let recovery = lines.iter().any(|line| line.ratio().is_some());
    let points = lines.iter().all(|line| line.unit() == Unit::Points);
    let graded = lines.iter().any(Line::is_task) && lines.iter().filter(|line| line.is_task()).all(Line::is_graded);
    // Where every verdict rests on a ratio, the difference only takes its place.
    let delta = !lines.iter().all(|line| line.about_ratio().is_some());
    let p = lines.iter().any(|line| line.p() != phrase::NOTHING);
    Table {
        confidence: format!("{:.0}", 100.0 * (1.0 - 2.0 * report.policy.alpha)),
        percent: if points { " %" } else { "" },
        unit: if points { " pp" } else { "" },
        flips: if graded { "worse/better" } else { "lost/gained" },
        delta,
        recovery,
        p,
        columns: 7 + usize::from(delta) + usize::from(recovery) + usize::from(p),
        rows: lines.iter().map(row).collect(),
    }
}

fn row(line: &Line<'_>) -> TaskRow {
    TaskRow {
        name: line.name(),
        part: !line.is_task(),
        own_unit: line.unit() == Unit::Score,
        n: line.n(),
        canary: line.canary(),
        variant: line.variant(),
        delta: line.delta(),
        recovery: line.recovery(),
        tolerated: unbroken(&line.tolerated_share()),
        flips: line.flips(),
        p: line.p(),
        tags: tags(line),
        badge: Badge::of(Some(line.answer())),
        gating: line.gates(),
        reason: line.finding.map_or_else(String::new, |f| unbroken(&phrase::sentence(&f.reason))),
    }
}

/// What a line says in small print: how its interval came about, the p of no change, the items that would tell.
fn tags(line: &Line<'_>) -> Vec<String> {
    let mut tags: Vec<String> = line.marks().into_iter().map(|(_, word)| word.to_owned()).collect();
    tags.extend(line.p_none().map(|p| format!("no change: p\u{a0}{p}")));
    // The reason may already name the number.
    let said = |number: &String| line.finding.is_some_and(|f| f.reason.contains(number.as_str()));
    let margin = line.kept().map(|(kept, _)| (kept, line.margin_text())).filter(|(_, margin)| !said(margin));
    tags.extend(margin.map(|(kept, margin)| format!("{} is {margin}", percent(kept))));
    tags.extend(line.needed().filter(|needed| !said(needed)).map(|needed| format!("to tell: {needed} items")));
    tags
}

fn slices(task: &TaskResult) -> (String, Vec<SliceLine>) {
    let line = |s: &SliceResult| SliceLine {
        name: s.slice.clone(),
        n: count(s.n),
        canary: phrase::score(s.canary.map(|i| i.estimate), task.unit),
        variant: phrase::score(s.variant.map(|i| i.estimate), task.unit),
        delta: phrase::delta(s.delta, task.unit),
        flips: phrase::flips(s.n, &s.table),
    };
    (task.task.to_string(), task.slices.iter().map(line).collect())
}

/// Quantiles by their keys, as the page names them.
const QUANTILES: [(&str, &str); 7] =
    [("min", "min"), ("median", "median"), ("p90", "90 %"), ("p95", "95 %"), ("p99", "99 %"), ("p999", "99.9 %"), ("max", "max")];

/// The tokens of which the canary is about equally certain: range, share, mean divergence and same top tokens.
fn bucket(b: &BucketResult) -> [String; 4] {
    let share = |x: f64| format!("{:.1} %", 100.0 * x);
    let or_nothing = |x: Option<String>| x.unwrap_or_else(|| phrase::NOTHING.to_owned());
    let range = format!("{:.0}–{:.0} %", 100.0 * b.from, 100.0 * b.to);
    [range, share(b.share), or_nothing(b.kld_mean.map(phrase::number)), or_nothing(b.same_top.map(share))]
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
    let (mut quantiles, mut buckets) = (Vec::new(), Vec::new());
    if let Some(moved) = &d.displacement {
        let share = |x: f64| format!("{:.2} %", 100.0 * x);
        rows.push(("Mean divergence, nats", phrase::with_interval(moved.kld_mean, moved.kld_interval)));
        rows.push(("Same top token", share(moved.same_top)));
        rows.push(("Mean Δp", share(moved.delta_p_mean).replace('-', "−")));
        rows.push(("RMS Δp", share(moved.delta_p_rms)));
        if let Some(looks) = &moved.looks {
            let both = |of: fn(&CalibrationResult) -> String| format!("{} → {}", of(&looks.canary), of(&looks.variant));
            rows.push(("Top five tokens shared", share(looks.top5)));
            rows.push(("Entropy, nats", both(|side| phrase::number(side.entropy))));
            rows.push(("Calibration error", both(|side| format!("{:.2} %", 100.0 * side.calibration_error))));
            buckets.extend(looks.buckets.iter().map(bucket));
        }
        quantiles.extend(QUANTILES.map(|(key, label)| (label, phrase::number(moved.kld[key]))));
    }
    if let Some(bound) = &d.kld_bound {
        rows.push(("Mean divergence at least, nats", phrase::with_interval(bound.mean, bound.interval)));
        rows.push(("Lower bound from the top", bound.k.to_string()));
        quantiles.extend(QUANTILES.map(|(key, label)| (label, phrase::number(bound.quantiles[key]))));
    }
    let of = if d.kld_bound.is_some() { "Divergence per token, at least" } else { "Divergence per token" };
    let missing = if d.missing == 0 { String::new() } else { format!(", {} documents not compared", d.missing) };
    let size = format!("{} documents, {} tokens{missing}", count(d.documents as u64), count(d.tokens as u64));
    DistributionBlock { task: d.task.to_string(), size, rows, quantiles, of, buckets }
}
