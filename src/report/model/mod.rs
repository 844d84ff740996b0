//! The report's model: what every format shows, in the order in which it is shown. Plain data, no text but sentences.

mod distribution;
mod finding;
mod item;
mod noise;
mod serving;
mod task;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{Attempt, Identity, Policy, Role, SubjectName, TaskCard, TaskName, Verdict};
use crate::stats::Interval;

pub use distribution::{
    BoundResult, BucketResult, CalibrationResult, DisplacementResult, DistributionResult, DocumentResult, LooksResult,
};
pub use finding::{EarlyResult, FindingResult};
pub use item::{FlippedItem, Said, SampleRow};
pub use noise::{ExcessResult, NoiseResult};
pub use serving::{NamedResult, RatioResult, ServedResult, ServiceResult, StreamingResult};
pub use task::{SidesResult, SliceResult, TaskResult, Unit};

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
    /// What subjects that were asked more than once do against themselves: by subject, the canary first, then task.
    pub noise: Vec<NoiseResult>,
    /// Answers without a score: by subject, task, then the commonest class of causes first.
    pub unscored: Vec<UnscoredResult>,
    /// What a reader should know beside the verdict.
    pub warnings: Vec<WarningResult>,
    /// What tells this run from another of the same plan: nothing in it is a result.
    pub run: RunResult,
    /// Times: nothing in it is a result.
    pub timing: TimingResult,
    /// Whether other programs asked and judged, and a run only read their results.
    #[serde(skip)]
    pub recorded: bool,
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
    /// Answers asked for: subjects × samples × repeats, as far as no verdict was certain before.
    pub expected: usize,
    /// Answers with a score.
    pub scored: usize,
    /// Answers without one.
    pub unscored: usize,
    /// Answers that nobody asked for, since the verdict on their task was certain before.
    pub settled: usize,
}

/// The answers of one subject on one task that have no score for causes of one class.
#[derive(Clone, Debug, Serialize)]
pub struct UnscoredResult {
    /// Whose answers.
    pub subject: SubjectName,
    /// On which task.
    pub task: TaskName,
    /// The class of their causes: `refused`, `engine`, `transport`, `limited`, `timeout`, `malformed`, `filtered` or
    /// `not a number`.
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
    /// Earlier runs that judged the same models.
    pub attempts: Vec<Attempt>,
    /// What it took to get the answers of subjects behind an API.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceResult>,
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
    /// How often it was asked each sample.
    pub repeats: u32,
    /// What it turned out to be; none where it was never loaded.
    pub identity: Option<Identity>,
    /// Its findings.
    pub findings: Vec<FindingResult>,
    /// Tasks with scores.
    pub tasks: Vec<TaskResult>,
    /// Perplexity tasks.
    pub distributions: Vec<DistributionResult>,
    /// What its endpoint told beside its answers; none in process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served: Option<ServedResult>,
    /// How bad it is beside others of its verdict: the worst loss as a multiple of its margin.
    #[serde(skip)]
    pub severity: f64,
}

/// Something that a reader should know.
#[derive(Clone, Debug, Serialize)]
pub struct WarningResult {
    /// Its code.
    pub code: &'static str,
    /// What the code means.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
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
    /// How fast streamed answers came, by subject.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub streaming: BTreeMap<SubjectName, StreamingResult>,
}

impl Report {
    /// What the canary does against itself on each task; empty where it was asked once.
    pub(super) fn floor(&self) -> Vec<&NoiseResult> {
        let canary = self.canary().map(|canary| &canary.name);
        self.noise.iter().filter(|noise| Some(&noise.subject) == canary).collect()
    }

    /// In what a task's scores are read.
    pub(super) fn unit_of(&self, task: &TaskName) -> Unit {
        let tasks = self.subjects.iter().flat_map(|subject| &subject.tasks);
        tasks.filter(|own| own.task == *task).map(|own| own.unit).next().unwrap_or_default()
    }

    /// The canary's mean score, on the items of the subject that was asked most.
    pub(super) fn canary_mean(&self) -> Option<f64> {
        let asked = |s: &&SubjectResult| s.tasks.iter().map(|task| task.n).sum::<u64>();
        let judged = self.subjects.iter().filter(|s| s.role != Role::Canary);
        // Of equals the first: the order of the plan.
        judged.rev().max_by_key(asked).and_then(|s| s.mean_accuracy(|task| task.canary))
    }

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
    /// The tasks with scores, gating ones first, then the worst verdict, then the largest loss against its margin.
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

    /// Findings about budgets, those of latency included.
    pub(super) fn budgets(&self) -> impl Iterator<Item = &FindingResult> {
        self.findings.iter().filter(|f| matches!(f.rule, "budget" | "latency"))
    }

    /// Gating findings that don't pass: the worst verdict first, then the largest loss against its margin.
    pub(super) fn guilty(&self) -> Vec<&FindingResult> {
        let mut guilty: Vec<&FindingResult> = self.findings.iter().filter(|f| f.gating && f.verdict != Verdict::Pass).collect();
        guilty.sort_by(|a, b| b.verdict.cmp(&a.verdict).then(b.severity.total_cmp(&a.severity)));
        guilty
    }

    /// The finding about a task's loss, or about that of one of its slices.
    pub(super) fn loss_of(&self, task: &TaskName, slice: Option<&str>) -> Option<&FindingResult> {
        let about = |f: &&FindingResult| f.rule == "loss" && f.task.as_ref() == Some(task) && f.slice.as_deref() == slice;
        self.findings.iter().find(about)
    }

    /// The finding about the mean loss over the gating tasks.
    pub(super) fn overall(&self) -> Option<&FindingResult> {
        self.findings.iter().find(|f| f.rule == "overall")
    }

    /// The unweighted mean of a side's scores over the gating tasks whose scores lie between 0 and 1 (all such tasks where
    /// none gates); none without such tasks.
    pub(super) fn mean_accuracy(&self, side: impl Fn(&TaskResult) -> Option<Interval>) -> Option<f64> {
        let gating = self.tasks.iter().any(|t| t.gating);
        let counted = self.tasks.iter().filter(|t| (t.gating || !gating) && t.unit == Unit::Points);
        let rates: Vec<f64> = counted.filter_map(|t| side(t).map(|i| i.estimate)).collect();
        if rates.is_empty() { None } else { Some(rates.iter().sum::<f64>() / rates.len() as f64) }
    }
}
