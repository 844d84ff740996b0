//! Designs: what is asked on a gating task or slice, and by which test it will be judged.

use std::collections::BTreeMap;

use crate::domain::{MetricKind, Policy, RequestKind, Sample, Subject, Task, TaskName, Tolerance};
use crate::plan::{PlannedTask, rules};
use crate::stats::{self, FEWEST_CLUSTERS_STRICT, FEWEST_UNITS, SCORE_FROM, SUPPOSED_ICC, T_FROM};

/// Samples that share clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clusters {
    /// How many clusters there are; a sample without one is one of its own.
    pub count: u64,
    /// The design effect that their sizes imply at an intraclass correlation of 0.1; at least 1.
    pub deff: f64,
    /// Degrees of freedom of the critical value.
    pub df: f64,
}

/// What is asked on a task or a slice, and how it is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    /// The task.
    pub task: TaskName,
    /// The slice of it; the task as a whole where none.
    pub slice: Option<String>,
    /// Samples asked.
    pub samples: u64,
    /// Set where samples share clusters.
    pub clusters: Option<Clusters>,
    /// Whether scores are numbers (or means over repeated answers) rather than right or wrong.
    pub numeric: bool,
    /// How often (canary, least often asked variant) are asked each sample.
    pub repeats: (u32, u32),
    /// What may be lost.
    pub tolerance: Tolerance,
    /// One-sided error rate.
    pub alpha: f64,
    /// Whether only methods decide that hold at any number of items.
    pub strict: bool,
    /// Where a healthy canary's score is expected, by the middle of the suite's band; none where it has none.
    pub expected: Option<f64>,
}

/// Why no answers could ever pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {
    /// Fewer samples than a pass takes without a single flip.
    Samples {
        /// What it takes.
        least: u64,
    },
    /// Fewer clusters than are judged at all.
    Clusters {
        /// What it takes.
        least: u64,
    },
}

/// How a design's samples will be judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Test {
    /// Tango's score test of independent pairs.
    Score,
    /// Fay and Lumbard's exact test.
    Exact,
    /// Tango's on counts divided by a design effect, with t.
    Clustered(Clusters),
    /// The score test of a ratio; over clusters on counts divided by a design effect, with t.
    Ratio(Option<Clusters>),
    /// Student's t of differences, or of the contrast B − ρA; clusters swell its variance.
    Mean(Option<Clusters>),
    /// The betting bound.
    Bets(Option<Clusters>),
}

impl Test {
    /// The clusters that it allows for.
    pub(super) fn clusters(self) -> Option<Clusters> {
        match self {
            Self::Score | Self::Exact => None,
            Self::Clustered(clusters) => Some(clusters),
            Self::Ratio(clusters) | Self::Mean(clusters) | Self::Bets(clusters) => clusters,
        }
    }
}

impl Design {
    /// The designs of everything that gates by a loss: tasks in the plan's order, each followed by its gating slices.
    #[must_use]
    pub fn all(policy: &Policy, subjects: &[Subject], tasks: &[PlannedTask]) -> Vec<Self> {
        let mut designs = Vec::new();
        for planned in tasks.iter().filter(|planned| planned.task.metric != MetricKind::Perplexity) {
            let all: Vec<&Sample> = planned.samples.iter().collect();
            if rules::gates(policy, planned) {
                designs.push(Self::of(policy, subjects, &planned.task, (None, &all)));
            }
            let name = &planned.task.name;
            let own = policy.tasks.iter().filter(|rule| rule.task == *name).filter_map(|rule| rule.slice.as_deref());
            for slice in own.filter(|slice| policy.gates_slice(name, slice)) {
                let samples: Vec<&Sample> = all.iter().copied().filter(|s| s.slice.as_deref() == Some(slice)).collect();
                designs.push(Self::of(policy, subjects, &planned.task, (Some(slice), &samples)));
            }
        }
        designs
    }

    fn of(policy: &Policy, subjects: &[Subject], task: &Task, (slice, samples): (Option<&str>, &[&Sample])) -> Self {
        let canary = subjects.first().map_or(1, |canary| canary.repeats);
        let variants = subjects.iter().skip(1).map(|variant| variant.repeats).min().unwrap_or(1);
        let most = subjects.iter().map(|subject| subject.repeats).max().unwrap_or(1);
        Self {
            task: task.name.clone(),
            slice: slice.map(str::to_owned),
            samples: samples.len() as u64,
            clusters: clusters(samples),
            numeric: task.metric == MetricKind::Mean || most > 1 && varies(task),
            repeats: (canary, variants),
            tolerance: match slice {
                None => policy.tolerance_of(&task.name),
                Some(slice) => policy.tolerance_of_slice(&task.name, slice),
            },
            alpha: policy.alpha,
            strict: policy.strict,
            expected: task.band.map(|band| f64::midpoint(band.low, band.high)),
        }
    }

    /// Why it can never pass, whatever is answered; none where it can. Of a canary that is right on a share `canary`.
    #[must_use]
    pub fn never(&self, canary: f64) -> Option<Never> {
        let clusters = if self.strict { FEWEST_CLUSTERS_STRICT } else { FEWEST_UNITS };
        if self.clusters.is_some_and(|own| own.count < clusters) {
            return Some(Never::Clusters { least: clusters });
        }
        let least = self.floor(canary);
        (self.samples < least).then_some(Never::Samples { least })
    }

    /// Fewest samples with which a pass is possible at all: what it takes where not one answer flips, of a canary that is right
    /// on a share `canary`, which matters to a recovery only.
    #[must_use]
    pub fn floor(&self, canary: f64) -> u64 {
        let above = |bound: f64| (bound.floor() as u64).saturating_add(1);
        let canary = canary.clamp(1e-3, 1.0);
        let margin = self.tolerance.margin_at(canary);
        // What a pass takes for each unit of the critical value's square.
        let each = match self.tolerance {
            Tolerance::Margin(margin) => 1.0 / margin - 1.0,
            Tolerance::Recovery(rho) => rho / ((1.0 - rho) * canary),
        };
        let bets = || betting_floor(self.tolerance, canary, self.alpha);
        let square = |clusters: Clusters| stats::t_quantile(1.0 - self.alpha, clusters.df).map_or(f64::MAX, |t| t * t);
        let least = match self.test(None) {
            Test::Score | Test::Exact => stats::least_pairs(margin, self.alpha, self.strict),
            Test::Ratio(None) if bets() < SCORE_FROM => bets(),
            Test::Ratio(None) => above(stats::normal_quantile(1.0 - self.alpha).powi(2) * each).max(SCORE_FROM),
            Test::Clustered(clusters) | Test::Ratio(Some(clusters)) => above(clusters.deff * square(clusters) * each),
            Test::Bets(_) if self.strict || !self.numeric => bets(),
            Test::Mean(_) | Test::Bets(_) => bets().min(T_FROM),
        };
        least.max(FEWEST_UNITS)
    }

    /// What will judge the samples there are, of which about so many will differ; enough of them where none is said.
    pub(super) fn test(&self, differing: Option<f64>) -> Test {
        let (clusters, exact) = (self.clusters, self.strict || self.samples < SCORE_FROM);
        let few = differing.is_some_and(|differing| differing < T_FROM as f64);
        if self.numeric {
            return if self.strict || few { Test::Bets(clusters) } else { Test::Mean(clusters) };
        }
        match (self.tolerance, clusters) {
            (Tolerance::Margin(_), Some(clusters)) => Test::Clustered(clusters),
            (Tolerance::Margin(_), None) if exact => Test::Exact,
            (Tolerance::Margin(_), None) => Test::Score,
            (Tolerance::Recovery(_), None) if exact => Test::Bets(None),
            (Tolerance::Recovery(_), _) => Test::Ratio(clusters),
        }
    }

    /// The same with the design effect that a history measured, where that is larger than its clusters' sizes imply.
    pub(super) fn with_deff(&self, measured: Option<f64>) -> Self {
        let swell = |clusters: Clusters| Clusters { deff: clusters.deff.max(measured.unwrap_or(1.0)), ..clusters };
        Self { clusters: self.clusters.map(swell), ..self.clone() }
    }
}

/// Whether asking again can give another answer.
fn varies(task: &Task) -> bool {
    task.kind != RequestKind::Choice && task.temperature > 0.0
}

/// The clusters of samples; none where no two share one.
fn clusters(samples: &[&Sample]) -> Option<Clusters> {
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for cluster in samples.iter().filter_map(|sample| sample.cluster.as_deref()) {
        *sizes.entry(cluster).or_default() += 1;
    }
    let alone = samples.iter().filter(|sample| sample.cluster.is_none()).count();
    let sizes: Vec<u64> = sizes.into_values().chain(std::iter::repeat_n(1, alone)).collect();
    if sizes.len() == samples.len() {
        return None;
    }
    let unflipped: Vec<(u64, u64, u64)> = sizes.iter().map(|&size| (size, 0, 0)).collect();
    // One cluster has neither a design effect nor degrees of freedom: it is refused by its count.
    let deff = stats::deff_by_design(&sizes, SUPPOSED_ICC).unwrap_or(f64::MAX);
    let df = stats::tango_cluster(&unflipped, 0.0, 0.0).and_then(|clustered| clustered.df).unwrap_or(1.0);
    Some(Clusters { count: sizes.len() as u64, deff, df })
}

/// Fewest items whose betting bound passes where none differs: an item gains m/(1−m) by a margin and (1−ρ)·A by a recovery.
fn betting_floor(tolerance: Tolerance, canary: f64, alpha: f64) -> u64 {
    let gain = match tolerance {
        Tolerance::Margin(margin) => margin / (1.0 - margin),
        Tolerance::Recovery(_) => tolerance.margin_at(canary),
    };
    stats::least_bets(gain, alpha)
}
