//! What a report is made of beside the numbers: who was asked what, and the texts that a person wants to see.

use std::collections::BTreeMap;

use super::model::{FlippedItem, LatencyResult, Said, SampleRow, StreamingResult, TimingResult, UnscoredResult};
use crate::analysis::{self, Account, Comparison, Comparisons, Counts, Latency, Record, Streaming, TimingSummary, Unscored};
use crate::domain::{
    Answer, Attempt, EngineSpec, Finish, Identity, Origin, Outcome, Role, SampleCard, SampleId, SubjectName, TaskCard, TaskName,
    UnitKey,
};
use crate::gate::wording::cause_word;

/// Most losses, and most gains, of one variant on one task that the browser shows.
const SHOWN: (usize, usize) = (20, 10);

/// What a report says of a run beside its numbers. A report of results that no run made has no times and no identities.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The version of quantgate that asked or read the answers.
    pub quantgate: String,
    /// The run's folder name.
    pub run: String,
    /// The plan's name.
    pub plan: String,
    /// The plan's digest.
    pub digest: String,
    /// The plan's seed.
    pub seed: u64,
    /// Who was asked, in the plan's order.
    pub subjects: Vec<Asked>,
    /// What was asked, in the plan's order.
    pub tasks: Vec<TaskCard>,
    /// Whether other programs asked and judged, and a run only read their results.
    pub recorded: bool,
    /// Whether every unit is accounted for.
    pub finished: bool,
    /// How many answers there are.
    pub counts: Counts,
    /// Answers without a score.
    pub unscored: Vec<UnscoredResult>,
    /// Earlier runs that judged the same models.
    pub attempts: Vec<Attempt>,
    /// When things happened.
    pub timing: TimingResult,
    /// Each subject's latency distribution: (milliseconds, share at or below).
    pub ecdfs: Vec<(SubjectName, Vec<(f64, f64)>)>,
}

/// One who was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its name.
    pub name: SubjectName,
    /// What it is for.
    pub role: Role,
    /// How often it was asked each sample, at least 1.
    pub repeats: u32,
    /// What it turned out to be; none where nobody knows.
    pub identity: Option<Identity>,
    /// What its answers came to, as far as its endpoint told; none in process.
    pub account: Option<Account>,
    /// The ways that its requests took.
    pub origins: Vec<Origin>,
}

/// The texts of a report: what was asked and answered, as far as it is shown.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// Every unit, for `samples.csv`: by task, sample, subject, pass; empty where there are too many or none are known.
    pub samples: Vec<SampleRow>,
    /// Items whose answer flipped: by subject, task, losses first; at most a few dozen each.
    pub flipped: Vec<FlippedItem>,
}

impl Facts {
    /// What a journal says of its run.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let header = &record.header;
        let latencies = analysis::latencies(record);
        let asked = header.subjects.iter().map(|subject| Asked {
            name: subject.name.clone(),
            role: subject.role,
            repeats: subject.repeats.max(1),
            identity: record.identities.get(&subject.name).cloned(),
            account: Account::of(record, &subject.name),
            origins: record.endpoints.origins.get(&subject.name).cloned().unwrap_or_default(),
        });
        Self {
            quantgate: header.version.clone(),
            run: header.run.clone(),
            plan: header.plan.clone(),
            digest: header.digest.to_string(),
            seed: header.seed,
            subjects: asked.collect(),
            tasks: header.tasks.clone(),
            recorded: is_recorded(record),
            finished: record.finished,
            counts: record.counts,
            unscored: analysis::unscored(record).iter().map(UnscoredResult::from).collect(),
            attempts: header.earlier.clone(),
            timing: timing(record, &latencies),
            ecdfs: latencies.into_iter().map(|l| (l.subject, l.ecdf)).collect(),
        }
    }

    /// Answers that there would have been, had every subject been asked every sample to the last.
    pub(super) fn whole(&self) -> usize {
        let of = |repeats| self.tasks.iter().map(|task| task.samples * task.metric.passes(repeats) as usize).sum::<usize>();
        self.subjects.iter().map(|subject| of(subject.repeats)).sum()
    }
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

fn is_recorded(record: &Record) -> bool {
    record.header.subjects.iter().any(|subject| matches!(subject.engine, EngineSpec::Recorded(_)))
}

fn summary(task: Option<TaskName>, s: TimingSummary) -> LatencyResult {
    LatencyResult { task, n: s.n, p50_ms: s.p50_ms, p95_ms: s.p95_ms, max_ms: s.max_ms }
}

fn timing(record: &Record, latencies: &[Latency]) -> TimingResult {
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
        streaming: analysis::streaming(record).into_iter().map(streamed).collect(),
    }
}

fn streamed(of: Streaming) -> (SubjectName, StreamingResult) {
    let (first, between) = (summary(None, of.first), of.between.map(|between| summary(None, between)));
    (of.subject, StreamingResult { first, between, per_second: of.per_second })
}

impl Texts {
    /// The texts that a journal holds.
    #[must_use]
    pub fn of(record: &Record, comparisons: &Comparisons) -> Self {
        Self { samples: samples(record), flipped: flipped(record, comparisons) }
    }
}

fn samples(record: &Record) -> Vec<SampleRow> {
    let mut rows = Vec::new();
    // Of results that another program wrote, only some texts are read.
    let is_partial = is_recorded(record);
    for task in &record.header.tasks {
        for (place, card) in record.samples_of(&task.name).iter().enumerate() {
            for subject in &record.header.subjects {
                let settled = record.after(&subject.name, &task.name).is_some_and(|after| place >= after);
                rows.extend((0..task.metric.passes(subject.repeats)).map(|repeat| SampleRow {
                    task: task.name.clone(),
                    sample: card.id.clone(),
                    slice: card.slice.clone().unwrap_or_default(),
                    subject: subject.name.clone(),
                    role: subject.role,
                    repeat,
                    said: match said(record, (&subject.name, &task.name, repeat), card) {
                        said if settled && said.status == "missing" => Said { status: "settled", ..said },
                        said => said,
                    },
                    target: card.target.clone(),
                }));
            }
        }
    }
    rows.retain(|row| !is_partial || row.said.status != "missing");
    rows
}

fn flipped(record: &Record, comparisons: &Comparisons) -> Vec<FlippedItem> {
    let Some(canary) = record.header.canary() else { return Vec::new() };
    let mut items = Vec::new();
    for comparison in &comparisons.tasks {
        let cards: BTreeMap<&SampleId, &SampleCard> =
            record.samples_of(&comparison.task).iter().map(|card| (&card.id, card)).collect();
        let item = |id: &SampleId, lost: bool| {
            let card = cards.get(id)?;
            let (canary, variant) = telling(record, &canary.name, comparison, card, lost);
            Some(FlippedItem {
                subject: comparison.subject.clone(),
                task: comparison.task.clone(),
                sample: id.clone(),
                lost,
                prompt: card.prompt.clone(),
                target: card.target.clone(),
                canary,
                variant,
            })
        };
        items.extend(comparison.lost.iter().take(SHOWN.0).filter_map(|id| item(id, true)));
        items.extend(comparison.gained.iter().take(SHOWN.1).filter_map(|id| item(id, false)));
    }
    items
}

/// The answers of the first pass in which the item flipped the way that its mean did; else of the first.
fn telling(record: &Record, canary: &SubjectName, comparison: &Comparison, card: &SampleCard, lost: bool) -> (Said, Said) {
    let (task, variant) = (&comparison.task, &comparison.subject);
    let repeats = record.header.subjects.iter().find(|s| s.name == *variant).map_or(1, |s| s.repeats.max(1));
    let sides = |repeat| (said(record, (canary, task, repeat), card), said(record, (variant, task, repeat), card));
    let tells = |(canary, variant): &(Said, Said)| match (canary.value, variant.value) {
        (Some(a), Some(b)) => {
            if lost {
                b < a
            } else {
                b > a
            }
        }
        _ => false,
    };
    (0..repeats).map(sides).find(tells).unwrap_or_else(|| sides(0))
}

/// What a subject said about a sample in one of its passes.
fn said(record: &Record, (subject, task, repeat): (&SubjectName, &TaskName, u32), card: &SampleCard) -> Said {
    let unit = UnitKey { subject: subject.clone(), task: task.clone(), sample: card.id.clone(), repeat };
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
