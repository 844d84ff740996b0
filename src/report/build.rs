//! A record, its comparisons and a decision to the report's model.

use std::collections::BTreeMap;

use super::model::{
    DisplacementResult, DistributionResult, FindingResult, FlippedItem, LatencyResult, Report, RunResult, Said, SampleRow,
    SidesResult, SliceResult, SubjectResult, TaskResult, TimingResult, UnitsResult, UnscoredResult, WarningResult,
};
use crate::analysis::{
    Asymmetry, Comparison, Comparisons, Counts, Displacement, DistributionComparison, Latency, Record, TimingSummary, Unscored,
    latencies, unscored,
};
use crate::domain::{
    Answer, Finish, Outcome, Policy, Role, SampleCard, SampleId, Subject, SubjectName, TaskName, UnitKey, Verdict,
};
use crate::gate::wording::cause_word;
use crate::gate::{Decision, Evidence, Finding, Method, Rule, SubjectDecision, note_word};

/// Most losses, and most gains, of one variant on one task that the browser shows.
const SHOWN: (usize, usize) = (20, 10);

impl Report {
    /// The report of a run that was judged by a policy.
    #[must_use]
    pub fn new(record: &Record, comparisons: &Comparisons, decision: &Decision, policy: &Policy) -> Self {
        let header = &record.header;
        let of = |subject| subject_result(subject, record, comparisons, decision);
        let latencies = latencies(record);
        Self {
            verdict: decision.verdict,
            reason: decision.reason.clone(),
            quantgate: header.version.clone(),
            plan: header.plan.clone(),
            digest: header.digest.to_string(),
            seed: header.seed,
            policy: policy.clone(),
            finished: record.finished,
            units: units(record),
            tasks: header.tasks.clone(),
            subjects: header.subjects.iter().map(of).collect(),
            unscored: unscored(record).iter().map(UnscoredResult::from).collect(),
            warnings: decision.warnings.iter().map(WarningResult::from).collect(),
            run: RunResult { id: header.run.clone() },
            timing: timing(record, &latencies),
            samples: samples(record),
            flipped: flipped(record, comparisons),
            ecdfs: latencies.into_iter().map(|l| (l.subject, l.ecdf)).collect(),
        }
    }
}

fn units(record: &Record) -> UnitsResult {
    let Counts { expected, scored, unscored } = record.counts;
    UnitsResult { expected, scored, unscored }
}

impl From<&Unscored> for UnscoredResult {
    fn from(row: &Unscored) -> Self {
        Self {
            subject: row.subject.clone(),
            task: row.task.clone(),
            cause: cause_word(row.kind),
            count: row.count,
            of: row.of,
            example: row.example.clone(),
        }
    }
}

fn subject_result(subject: &Subject, record: &Record, comparisons: &Comparisons, decision: &Decision) -> SubjectResult {
    let judged = decision.subjects.iter().find(|d| d.subject == subject.name);
    let tasks = comparisons.tasks.iter().filter(|c| c.subject == subject.name);
    let distributions = comparisons.distributions.iter().filter(|d| d.subject == subject.name);
    SubjectResult {
        name: subject.name.clone(),
        role: subject.role,
        verdict: judged.map(|d| d.verdict),
        reason: judged.map_or_else(String::new, |d| d.reason.clone()),
        teeth: judged.and_then(|d| d.teeth),
        identity: record.identities.get(&subject.name).cloned(),
        findings: judged.map_or_else(Vec::new, |d| d.findings.iter().map(FindingResult::from).collect()),
        tasks: tasks.filter_map(|c| Some(task_result(c, judged?))).collect(),
        distributions: distributions.map(DistributionResult::from).collect(),
        severity: judged.map_or(f64::NEG_INFINITY, SubjectDecision::severity),
    }
}

impl From<&Finding> for FindingResult {
    fn from(finding: &Finding) -> Self {
        let blank = Self {
            rule: finding.rule.word(),
            task: finding.task.clone(),
            slice: finding.slice.clone(),
            metric: None,
            gating: finding.gating,
            verdict: finding.verdict,
            reason: finding.reason.clone(),
            limit: None,
            value: None,
            interval: None,
            confidence: None,
            method: None,
            ratio: None,
            p_pass: None,
            p_fail: None,
            p_fail_adjusted: None,
            asked: None,
            floor: None,
            needed: None,
            note: None,
            severity: finding.severity(),
        };
        match &finding.evidence {
            None => blank,
            Some(Evidence::Loss(loss)) => Self {
                metric: Some("accuracy".to_owned()),
                limit: Some(loss.margin),
                value: loss.delta.map(|d| d.estimate),
                interval: loss.delta,
                confidence: Some(loss.confidence),
                method: loss.method.map(Method::word),
                ratio: loss.ratio,
                p_pass: loss.p_pass,
                p_fail: loss.p_fail,
                p_fail_adjusted: loss.p_fail_adjusted,
                floor: Some(loss.floor),
                needed: loss.needed,
                note: loss.note.map(note_word),
                asked: loss.early.map(|early| early.asked),
                ..blank
            },
            Some(Evidence::Budget(spent)) => Self {
                metric: Some(spent.metric.clone()),
                limit: Some(spent.max),
                value: spent.value,
                interval: spent.interval,
                confidence: spent.interval.map(|_| 0.95),
                ..blank
            },
        }
    }
}

impl From<&crate::gate::Warning> for WarningResult {
    fn from(warning: &crate::gate::Warning) -> Self {
        Self {
            code: warning.code.word(),
            meaning: warning.code.meaning(),
            subject: warning.subject.clone(),
            task: warning.task.clone(),
            detail: warning.detail.clone(),
        }
    }
}

impl From<Asymmetry> for SidesResult {
    fn from(sides: Asymmetry) -> Self {
        Self { canary: sides.canary, variant: sides.variant, p: sides.p_mid }
    }
}

fn task_result(comparison: &Comparison, judged: &SubjectDecision) -> TaskResult {
    let own = |f: &&Finding| f.rule == Rule::Loss && f.slice.is_none() && f.task.as_ref() == Some(&comparison.task);
    let finding = judged.findings.iter().find(own);
    let (margin, gate) = match finding.and_then(|f| f.evidence.as_ref()) {
        Some(Evidence::Loss(loss)) => (loss.margin, loss.delta),
        _ => (0.0, None),
    };
    let paired = &comparison.paired;
    let slice = |row: &crate::analysis::SliceRow| SliceResult {
        slice: row.slice.clone(),
        n: row.paired.n(),
        table: row.paired.table,
        canary: row.paired.canary,
        variant: row.paired.variant,
        delta: row.paired.delta,
    };
    TaskResult {
        task: comparison.task.clone(),
        gating: finding.is_some_and(|f| f.gating),
        verdict: finding.map_or(Verdict::Invalid, |f| f.verdict),
        margin,
        n: paired.n(),
        samples: comparison.samples,
        table: paired.table,
        flip_rate: paired.flip_rate(),
        canary: paired.canary,
        variant: paired.variant,
        gate,
        delta: paired.delta,
        p_mid: paired.p_mid,
        p_exact: paired.p_exact,
        missing: [comparison.missing.canary_only(), comparison.missing.variant_only(), comparison.missing.both],
        truncated: comparison.truncated.into(),
        unparsed: comparison.unparsed.into(),
        slices: comparison.slices.iter().map(slice).collect(),
        lost: comparison.lost.clone(),
        gained: comparison.gained.clone(),
    }
}

impl From<&DistributionComparison> for DistributionResult {
    fn from(distribution: &DistributionComparison) -> Self {
        let likelihood = distribution.likelihood.as_ref();
        Self {
            task: distribution.task.clone(),
            documents: distribution.documents - distribution.missing,
            missing: distribution.missing,
            tokens: likelihood.map_or(0, |l| l.tokens),
            canary_perplexity: likelihood.map(|l| l.canary_perplexity),
            variant_perplexity: likelihood.map(|l| l.variant_perplexity),
            ln_ratio: likelihood.map(|l| l.ln_ratio),
            ln_ratio_interval: likelihood.and_then(|l| l.ln_ratio_interval),
            displacement: likelihood.and_then(|l| l.displacement.as_ref()).map(DisplacementResult::from),
        }
    }
}

impl From<&Displacement> for DisplacementResult {
    fn from(moved: &Displacement) -> Self {
        let q = &moved.quantiles;
        let names = ["min", "median", "p90", "p95", "p99", "p999", "max"];
        Self {
            kld_mean: moved.kld_mean,
            kld_interval: moved.kld,
            kld: names.into_iter().zip([q.min, q.median, q.p90, q.p95, q.p99, q.p999, q.max]).collect(),
            delta_p_mean: moved.delta_p_mean,
            delta_p_rms: moved.delta_p_rms,
            same_top: moved.same_top_share,
            same_top_interval: moved.same_top,
            histogram: moved.histogram.iter().map(|bin| (bin.from, bin.to, bin.share)).collect(),
        }
    }
}

fn timing(record: &Record, latencies: &[Latency]) -> TimingResult {
    let summary = |task: Option<TaskName>, s: TimingSummary| LatencyResult {
        task,
        n: s.n,
        p50_ms: s.p50_ms,
        p95_ms: s.p95_ms,
        max_ms: s.max_ms,
    };
    let of = |latency: &Latency| {
        let all = latency.all.map(|s| summary(None, s));
        let tasks = latency.tasks.iter().map(|(task, s)| summary(Some(task.clone()), *s));
        (latency.subject.clone(), all.into_iter().chain(tasks).collect())
    };
    TimingResult {
        started_ms: record.timing.started_ms,
        ended_ms: record.timing.ended_ms,
        resumed: record.timing.resumed,
        load_ms: record.timing.load_ms.clone(),
        latency: latencies.iter().map(of).collect::<BTreeMap<_, _>>(),
    }
}

fn samples(record: &Record) -> Vec<SampleRow> {
    let mut rows = Vec::new();
    for task in &record.header.tasks {
        for card in record.samples_of(&task.name) {
            rows.extend(record.header.subjects.iter().map(|subject| SampleRow {
                task: task.name.clone(),
                sample: card.id.clone(),
                slice: card.slice.clone().unwrap_or_default(),
                subject: subject.name.clone(),
                role: subject.role,
                said: said(record, &subject.name, &task.name, card),
                target: card.target.clone(),
            }));
        }
    }
    rows
}

fn flipped(record: &Record, comparisons: &Comparisons) -> Vec<FlippedItem> {
    let Some(canary) = record.header.subjects.iter().find(|s| s.role == Role::Canary) else { return Vec::new() };
    let mut items = Vec::new();
    for comparison in &comparisons.tasks {
        let cards: BTreeMap<&SampleId, &SampleCard> =
            record.samples_of(&comparison.task).iter().map(|card| (&card.id, card)).collect();
        let item = |id: &SampleId, lost: bool| {
            let card = cards.get(id)?;
            Some(FlippedItem {
                subject: comparison.subject.clone(),
                task: comparison.task.clone(),
                sample: id.clone(),
                lost,
                prompt: card.prompt.clone(),
                target: card.target.clone(),
                canary: said(record, &canary.name, &comparison.task, card),
                variant: said(record, &comparison.subject, &comparison.task, card),
            })
        };
        items.extend(comparison.lost.iter().take(SHOWN.0).filter_map(|id| item(id, true)));
        items.extend(comparison.gained.iter().take(SHOWN.1).filter_map(|id| item(id, false)));
    }
    items
}

/// What a subject said about a sample.
fn said(record: &Record, subject: &SubjectName, task: &TaskName, card: &SampleCard) -> Said {
    let unit = UnitKey { subject: subject.clone(), task: task.clone(), sample: card.id.clone(), repeat: 0 };
    match record.outcomes.get(&unit) {
        None => Said { status: "missing", ..Said::default() },
        Some(Outcome::Unscored { cause }) => Said { status: "unscored", cause: cause.message.clone(), ..Said::default() },
        Some(Outcome::Scored { answer, score }) => Said {
            status: "scored",
            value: Some(score.value),
            parsed: Some(score.parsed),
            finish: finish(answer),
            read: score.read.clone(),
            answer: answer_text(answer, &card.options),
            cause: String::new(),
        },
    }
}

fn finish(answer: &Answer) -> &'static str {
    match answer {
        Answer::Text { finish: Finish::Stop, .. } => "stop",
        Answer::Text { finish: Finish::End, .. } => "end",
        Answer::Text { finish: Finish::Length, .. } => "length",
        Answer::Choice { .. } | Answer::Rolling { .. } => "",
    }
}

/// The text, or each option with its log-likelihood; nothing for a document.
fn answer_text(answer: &Answer, options: &[String]) -> String {
    match answer {
        Answer::Text { text, .. } => text.clone(),
        Answer::Choice { options: scores } => {
            let name = |i: usize| options.get(i).map_or("?", |option| option.trim());
            let lines: Vec<String> =
                scores.iter().enumerate().map(|(i, s)| format!("{}: {:.3}", name(i), s.log_likelihood)).collect();
            lines.join("\n")
        }
        Answer::Rolling { .. } => String::new(),
    }
}
