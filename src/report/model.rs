//! The report's model: what every format shows, in the order in which it is shown. Plain data, no text but sentences.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{Identity, Policy, Role, SampleId, SubjectName, TaskCard, TaskName, Verdict};
use crate::stats::{Interval, PairTable};

/// A judged run. The order of subjects and tasks is the plan's.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The run's verdict.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// The version of quantgate that made the run.
    pub quantgate: String,
    /// The plan's name.
    pub plan: String,
    /// The plan's digest.
    pub digest: String,
    /// The plan's seed.
    pub seed: u64,
    /// The tolerances that the verdict rests on.
    pub policy: Policy,
    /// Whether every unit is accounted for.
    pub finished: bool,
    /// How many answers there are.
    pub units: UnitsResult,
    /// What was asked.
    pub tasks: Vec<TaskCard>,
    /// Who was asked, the canary first.
    pub subjects: Vec<SubjectResult>,
    /// Answers without a score: by subject, task, then the commonest class of causes first.
    pub unscored: Vec<UnscoredResult>,
    /// What a reader should know beside the verdict.
    pub warnings: Vec<WarningResult>,
    /// What tells this run from another of the same plan: nothing in it is a result.
    pub run: RunResult,
    /// Times: nothing in it is a result.
    pub timing: TimingResult,
    /// Every unit, for `samples.csv`: by task, sample, subject.
    #[serde(skip)]
    pub samples: Vec<SampleRow>,
    /// Items whose answer flipped, for the browser: by subject, task, losses first; at most a few dozen each.
    #[serde(skip)]
    pub flipped: Vec<FlippedItem>,
    /// Each subject's latency distribution: (milliseconds, share at or below).
    #[serde(skip)]
    pub ecdfs: Vec<(SubjectName, Vec<(f64, f64)>)>,
}

/// How many answers a run has.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct UnitsResult {
    /// Answers asked for: subjects × samples.
    pub expected: usize,
    /// Answers with a score.
    pub scored: usize,
    /// Answers without one.
    pub unscored: usize,
}

/// The answers of one subject on one task that have no score for causes of one class.
#[derive(Clone, Debug, Serialize)]
pub struct UnscoredResult {
    /// Whose answers.
    pub subject: SubjectName,
    /// On which task.
    pub task: TaskName,
    /// The class of their causes: `refused`, `engine`, `transport` or `not a number`.
    pub cause: &'static str,
    /// How many.
    pub count: u64,
    /// How many samples the task has.
    pub of: u64,
    /// The commonest message.
    pub example: String,
}

/// What tells this run from another of the same plan.
#[derive(Clone, Debug, Serialize)]
pub struct RunResult {
    /// The run's folder name.
    pub id: String,
}

/// One subject: what it is, and how it compares.
#[derive(Clone, Debug, Serialize)]
pub struct SubjectResult {
    /// Its name.
    pub name: SubjectName,
    /// What it is for.
    pub role: Role,
    /// Its verdict; none for the canary.
    pub verdict: Option<Verdict>,
    /// Why, in one sentence; empty for the canary.
    pub reason: String,
    /// For a control: whether it fails as it must; none for the others.
    pub teeth: Option<bool>,
    /// What it turned out to be; none where it was never loaded.
    pub identity: Option<Identity>,
    /// Its findings.
    pub findings: Vec<FindingResult>,
    /// Right-or-wrong tasks.
    pub tasks: Vec<TaskResult>,
    /// Perplexity tasks.
    pub distributions: Vec<DistributionResult>,
    /// How bad it is beside others of its verdict: the worst loss as a multiple of its margin.
    #[serde(skip)]
    pub severity: f64,
}

/// The answer to one rule.
#[derive(Clone, Debug, Serialize)]
pub struct FindingResult {
    /// `complete`, `fair`, `noise`, `loss`, `overall`, `budget` or `latency`.
    pub rule: &'static str,
    /// The task that it is about.
    pub task: Option<TaskName>,
    /// The slice of the task that it is about; the task as a whole where none.
    pub slice: Option<String>,
    /// The metric that it is about.
    pub metric: Option<String>,
    /// Whether the verdict depends on it.
    pub gating: bool,
    /// The answer.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// The tolerated loss or value.
    pub limit: Option<f64>,
    /// The value found.
    pub value: Option<f64>,
    /// The interval that the verdict rests on.
    pub interval: Option<Interval>,
    /// That interval's confidence.
    pub confidence: Option<f64>,
    /// The method of that interval.
    pub method: Option<&'static str>,
    /// For a recovery: variant over canary with the interval that decided.
    pub ratio: Option<Interval>,
    /// One-sided p of "the loss is at least what is tolerated".
    pub p_pass: Option<f64>,
    /// One-sided p of "the loss is at most what is tolerated".
    pub p_fail: Option<f64>,
    /// The same, corrected for the number of such claims about the subject.
    pub p_fail_adjusted: Option<f64>,
    /// Samples asked, where the subject was asked no more before the last.
    pub asked: Option<u64>,
    /// Fewest items with which a pass is possible.
    pub floor: Option<u64>,
    /// Items that would settle an open question.
    pub needed: Option<u64>,
    /// What the interval says beyond the verdict.
    pub note: Option<&'static str>,
    /// How bad it is beside others of its verdict.
    #[serde(skip)]
    pub severity: f64,
}

/// How often something befell each side, and the p of no asymmetry.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SidesResult {
    /// On the canary's side.
    pub canary: u64,
    /// On the variant's side.
    pub variant: u64,
    /// McNemar's mid-p.
    pub p: f64,
}

/// A slice of a task.
#[derive(Clone, Debug, Serialize)]
pub struct SliceResult {
    /// Its name.
    pub slice: String,
    /// Complete pairs.
    pub n: u64,
    /// The counts.
    pub table: PairTable,
    /// The canary's accuracy.
    pub canary: Option<Interval>,
    /// The variant's accuracy.
    pub variant: Option<Interval>,
    /// Variant less canary, with a 95 % interval.
    pub delta: Option<Interval>,
}

/// A variant against the canary on one right-or-wrong task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskResult {
    /// The task.
    pub task: TaskName,
    /// Whether the verdict depends on it.
    pub gating: bool,
    /// The answer of the margin rule.
    pub verdict: Verdict,
    /// The margin.
    pub margin: f64,
    /// Complete pairs.
    pub n: u64,
    /// Samples asked.
    pub samples: u64,
    /// The counts.
    pub table: PairTable,
    /// Share of items that flipped.
    pub flip_rate: f64,
    /// The canary's accuracy with its Wilson 95 % interval.
    pub canary: Option<Interval>,
    /// The variant's accuracy with its Wilson 95 % interval.
    pub variant: Option<Interval>,
    /// Variant less canary with the interval that the gate decided on.
    pub gate: Option<Interval>,
    /// Variant less canary with its 95 % interval.
    pub delta: Option<Interval>,
    /// McNemar's mid-p of no difference.
    pub p_mid: f64,
    /// McNemar's exact p of no difference.
    pub p_exact: f64,
    /// Items without a score: on the canary's side, on the variant's, on both.
    pub missing: [u64; 3],
    /// Answers cut off at the token limit.
    pub truncated: SidesResult,
    /// Answers that could not be read.
    pub unparsed: SidesResult,
    /// By slice.
    pub slices: Vec<SliceResult>,
    /// Ids of the items lost.
    pub lost: Vec<SampleId>,
    /// Ids of the items gained.
    pub gained: Vec<SampleId>,
}

/// A variant against the canary on one perplexity task.
#[derive(Clone, Debug, Serialize)]
pub struct DistributionResult {
    /// The task.
    pub task: TaskName,
    /// Documents compared.
    pub documents: usize,
    /// Documents that could not be compared.
    pub missing: usize,
    /// Tokens compared.
    pub tokens: usize,
    /// The canary's perplexity.
    pub canary_perplexity: Option<f64>,
    /// The variant's perplexity.
    pub variant_perplexity: Option<f64>,
    /// The logarithm of their ratio, variant over canary.
    pub ln_ratio: Option<f64>,
    /// That with its document-clustered 95 % interval.
    pub ln_ratio_interval: Option<Interval>,
    /// How far the distributions moved apart.
    pub displacement: Option<DisplacementResult>,
}

/// How far the distributions moved apart, per token.
#[derive(Clone, Debug, Serialize)]
pub struct DisplacementResult {
    /// Mean divergence (nats).
    pub kld_mean: f64,
    /// That with its document-clustered 95 % interval.
    pub kld_interval: Option<Interval>,
    /// `min`, `median`, `p90`, `p95`, `p99`, `p999`, `max` (nats).
    pub kld: BTreeMap<&'static str, f64>,
    /// Mean Δp.
    pub delta_p_mean: f64,
    /// Root mean square of Δp.
    pub delta_p_rms: f64,
    /// Share of tokens with the same top token.
    pub same_top: f64,
    /// That with its document-clustered 95 % interval.
    pub same_top_interval: Option<Interval>,
    /// Share of tokens by divergence: from (nats), to (nats; null for no end), share.
    pub histogram: Vec<(f64, f64, f64)>,
}

/// Something that a reader should know.
#[derive(Clone, Debug, Serialize)]
pub struct WarningResult {
    /// Its code.
    pub code: &'static str,
    /// What the code means.
    pub meaning: &'static str,
    /// The subject that it is about.
    pub subject: Option<SubjectName>,
    /// The task that it is about.
    pub task: Option<TaskName>,
    /// The numbers.
    pub detail: String,
}

/// Order statistics of a subject's latency (milliseconds).
#[derive(Clone, Debug, Serialize)]
pub struct LatencyResult {
    /// The task; all where none.
    pub task: Option<TaskName>,
    /// Units.
    pub n: usize,
    /// The median.
    pub p50_ms: f64,
    /// The 95th percentile.
    pub p95_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// Times of a run.
#[derive(Clone, Debug, Serialize)]
pub struct TimingResult {
    /// When it began (milliseconds since the Unix epoch).
    pub started_ms: u64,
    /// When its last event happened (milliseconds since the Unix epoch).
    pub ended_ms: u64,
    /// How often it was resumed.
    pub resumed: usize,
    /// Milliseconds that each load took.
    pub load_ms: BTreeMap<SubjectName, Vec<u64>>,
    /// How long answers took, by subject.
    pub latency: BTreeMap<SubjectName, Vec<LatencyResult>>,
}

/// One subject's answer to one sample.
#[derive(Clone, Debug)]
pub struct SampleRow {
    /// The task.
    pub task: TaskName,
    /// The sample.
    pub sample: SampleId,
    /// Its slice.
    pub slice: String,
    /// The subject.
    pub subject: SubjectName,
    /// The subject's role.
    pub role: Role,
    /// What the subject said.
    pub said: Said,
    /// What would be right.
    pub target: String,
}

/// An answer as a person reads it.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// `scored`, `unscored` or `missing`.
    pub status: &'static str,
    /// The score.
    pub value: Option<f64>,
    /// Whether the answer could be read.
    pub parsed: Option<bool>,
    /// `stop`, `end` or `length`.
    pub finish: &'static str,
    /// What was read out of the answer.
    pub read: String,
    /// The answer: the text, or the options' log-likelihoods.
    pub answer: String,
    /// Why there is no score.
    pub cause: String,
}

/// An item whose answer flipped.
#[derive(Clone, Debug)]
pub struct FlippedItem {
    /// The variant.
    pub subject: SubjectName,
    /// The task.
    pub task: TaskName,
    /// The sample.
    pub sample: SampleId,
    /// True where the canary was right.
    pub lost: bool,
    /// The prompt.
    pub prompt: String,
    /// What would be right.
    pub target: String,
    /// The canary's answer.
    pub canary: Said,
    /// The variant's answer.
    pub variant: Said,
}

impl Report {
    /// The canary.
    pub(super) fn canary(&self) -> Option<&SubjectResult> {
        self.subjects.iter().find(|s| s.role == Role::Canary)
    }

    /// Variants and controls, the worst candidate first, the controls last; of one verdict the largest loss against
    /// its margin first.
    pub(super) fn worst_first(&self) -> Vec<&SubjectResult> {
        let mut judged: Vec<&SubjectResult> = self.subjects.iter().filter(|s| s.role != Role::Canary).collect();
        judged.sort_by(|a, b| {
            let place = |s: &SubjectResult| (s.role == Role::Control, std::cmp::Reverse(s.verdict));
            place(a).cmp(&place(b)).then(b.severity.total_cmp(&a.severity))
        });
        judged
    }
}

impl SubjectResult {
    /// The right-or-wrong tasks, gating ones first, then the worst verdict, then the largest loss against its margin.
    pub(super) fn tasks_worst_first(&self) -> Vec<&TaskResult> {
        let mut tasks: Vec<&TaskResult> = self.tasks.iter().collect();
        let delta = |t: &TaskResult| t.delta.map_or(f64::NEG_INFINITY, |d| d.estimate / t.margin.max(f64::MIN_POSITIVE));
        tasks.sort_by(|a, b| {
            (!a.gating, std::cmp::Reverse(a.verdict))
                .cmp(&(!b.gating, std::cmp::Reverse(b.verdict)))
                .then(delta(a).total_cmp(&delta(b)))
        });
        tasks
    }

    /// Gating findings that don't pass: the worst verdict first, then the largest loss against its margin.
    pub(super) fn guilty(&self) -> Vec<&FindingResult> {
        let mut guilty: Vec<&FindingResult> = self.findings.iter().filter(|f| f.gating && f.verdict != Verdict::Pass).collect();
        guilty.sort_by(|a, b| b.verdict.cmp(&a.verdict).then(b.severity.total_cmp(&a.severity)));
        guilty
    }

    /// The unweighted mean of a side's accuracies over the gating tasks (all tasks where none gates); none without tasks.
    pub(super) fn mean_accuracy(&self, side: impl Fn(&TaskResult) -> Option<Interval>) -> Option<f64> {
        let gating = self.tasks.iter().any(|t| t.gating);
        let rates: Vec<f64> =
            self.tasks.iter().filter(|t| t.gating || !gating).filter_map(|t| side(t).map(|i| i.estimate)).collect();
        if rates.is_empty() { None } else { Some(rates.iter().sum::<f64>() / rates.len() as f64) }
    }
}
