//! Tasks with scores: the canary's and a variant's answers to the same samples, side by side.

use rayon::prelude::*;

use super::noise::{self, Noise};
use super::sheet::Side;
use super::{Column, Groups, Sheet};
use crate::domain::{Role, SampleId, Step, SubjectName, TaskName};
use crate::metric::{Asymmetry, Paired, asymmetry, paired};
use crate::stats::{Excess, PairTable};

/// Pairs without one of their halves, by what the other half says. A score above the middle of its range counts as right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// The canary is right, the variant has no score.
    pub canary_right_variant_missing: u64,
    /// The canary is wrong, the variant has no score.
    pub canary_wrong_variant_missing: u64,
    /// The canary has no score, the variant is right.
    pub canary_missing_variant_right: u64,
    /// The canary has no score, the variant is wrong.
    pub canary_missing_variant_wrong: u64,
    /// Neither has a score.
    pub both: u64,
}

impl Missing {
    /// Samples on which the variant alone has no score.
    #[must_use]
    pub fn variant_only(&self) -> u64 {
        self.canary_right_variant_missing + self.canary_wrong_variant_missing
    }

    /// Samples on which the canary alone has no score.
    #[must_use]
    pub fn canary_only(&self) -> u64 {
        self.canary_missing_variant_right + self.canary_missing_variant_wrong
    }

    /// The same from the other side.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        Self {
            canary_right_variant_missing: self.canary_missing_variant_right,
            canary_wrong_variant_missing: self.canary_missing_variant_wrong,
            canary_missing_variant_right: self.canary_right_variant_missing,
            canary_missing_variant_wrong: self.canary_wrong_variant_missing,
            both: self.both,
        }
    }

    /// Samples that are not a complete pair.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.variant_only() + self.canary_only() + self.both
    }
}

/// The scores of complete pairs, where they are not all right or wrong: numbers, or means over repeated answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeanPairs {
    /// The canary's score of each complete pair, in the task's order.
    pub canary: Vec<f64>,
    /// The variant's.
    pub variant: Vec<f64>,
    /// The cluster of each complete pair, by number; empty where no two share one.
    pub clusters: Vec<u32>,
    /// The canary's scores of items that the variant has none of.
    pub canary_alone: Vec<f64>,
    /// The variant's scores of items that the canary has none of.
    pub variant_alone: Vec<f64>,
    /// The smallest and largest possible score; none where there are no bounds.
    pub range: Option<(f64, f64)>,
}

impl MeanPairs {
    fn mirrored(&self) -> Self {
        Self {
            canary: self.variant.clone(),
            variant: self.canary.clone(),
            canary_alone: self.variant_alone.clone(),
            variant_alone: self.canary_alone.clone(),
            ..self.clone()
        }
    }
}

/// The pairs of one slice of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceRow {
    /// The slice's name.
    pub slice: String,
    /// Its complete pairs.
    pub paired: Paired,
    /// Its samples that are not a complete pair.
    pub missing: Missing,
    /// As in [`Comparison::clusters`].
    pub clusters: Vec<(u64, u64, u64)>,
    /// As in [`Comparison::means`].
    pub means: Option<MeanPairs>,
}

/// A variant or control against the canary on one task with scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Who is compared with the canary.
    pub subject: SubjectName,
    /// What it is for.
    pub role: Role,
    /// The task.
    pub task: TaskName,
    /// Samples that the task has.
    pub samples: u64,
    /// Samples that count for this subject, from the first: fewer where its verdict was certain before the last.
    pub asked: u64,
    /// The complete pairs. Where scores are not all right or wrong (see `means`), a loss is an item with a lower score, a
    /// gain one with a higher; of equal ones those above the middle of the range count as right.
    pub paired: Paired,
    /// Set where scores are not all right or wrong.
    pub means: Option<MeanPairs>,
    /// The incomplete pairs among the samples asked.
    pub missing: Missing,
    /// Whether the missing halves lie on one side.
    pub missingness: Asymmetry,
    /// Answers cut off at the token limit, among complete pairs.
    pub truncated: Asymmetry,
    /// Answers out of which nothing could be read, among complete pairs.
    pub unparsed: Asymmetry,
    /// The samples asked by slice, in alphabetical order; empty where samples have none.
    pub slices: Vec<SliceRow>,
    /// Samples on which the variant does worse, in the task's order.
    pub lost: Vec<SampleId>,
    /// Samples on which the variant does better, in the task's order.
    pub gained: Vec<SampleId>,
    /// Where samples share clusters, so that they are not independent: (pairs, losses, gains) of each cluster that has a
    /// complete pair; a sample without a cluster is one of its own. Empty where none is shared.
    pub clusters: Vec<(u64, u64, u64)>,
    /// What each sample says, in the order that was fixed before the run, as many as were asked.
    pub steps: Vec<Step>,
    /// How much more often the two differ in score than each differs from itself; none where the canary has one pass. With
    /// one pass of the variant (`flip_bb` is none) it is no test of noise.
    pub excess: Option<Excess>,
    /// The same by what was read out of the answers: behaviour that changed, at whatever score. None where labels are not
    /// kept.
    pub drift: Option<Excess>,
    /// What whole passes vary beyond their items adds to the variance of the difference: σ²(1/passes of the canary +
    /// 1/passes of the variant); 0 where that is unknown or not shown.
    pub run_variance: f64,
}

/// Every variant and control on every task with scores: by subject, then task. `noise` holds what is known of each sheet's
/// subjects, in their order.
pub(super) fn compare(sheets: &[Sheet], noise: &[Vec<Option<Noise>>]) -> Vec<Comparison> {
    let sheets = sheets.iter().zip(noise);
    let places: Vec<(&Sheet, &[Option<Noise>], usize)> =
        sheets.flat_map(|(sheet, noise)| (1..sheet.subjects.len()).map(move |i| (sheet, noise.as_slice(), i))).collect();
    let one = |(sheet, noise, i): (&Sheet, &[Option<Noise>], usize)| {
        let variances = [0, i].map(|subject: usize| noise[subject].as_ref().map_or(0.0, Noise::sigma2_run));
        (i, Comparison::noisy(sheet, i, variances))
    };
    let mut all: Vec<(usize, Comparison)> = places.into_par_iter().map(one).collect();
    // A stable sort: of one subject, tasks stay in the plan's order.
    all.sort_by_key(|(subject, _)| *subject);
    all.into_iter().map(|(_, comparison)| comparison).collect()
}

/// Both scores of an item.
type Halves = (Option<f64>, Option<f64>);

impl Comparison {
    /// Compares the subject at an index of the sheet (1 and up) with its canary.
    ///
    /// # Panics
    /// Where the sheet has no such subject.
    #[must_use]
    pub fn of(sheet: &Sheet, subject: usize) -> Self {
        let variance = |passes| noise::overdispersion(passes).map_or(0.0, |of| noise::shown_variance(&of));
        Self::noisy(sheet, subject, [0, subject].map(|i: usize| variance(&sheet.subjects[i])))
    }

    /// As [`Self::of`], where the run variances of canary and variant are known.
    fn noisy(sheet: &Sheet, subject: usize, variances: [f64; 2]) -> Self {
        let (canary, variant) = (&sheet.subjects[0], &sheet.subjects[subject]);
        let [excess, drift] = noise::excess(sheet, subject);
        // What shakes one subject's passes shakes the other's: the larger of the two holds for both.
        let shares = [canary, variant].map(|passes| 1.0 / passes.columns.len() as f64);
        let run_variance = variances[0].max(variances[1]) * (shares[0] + shares[1]);
        Self { excess, drift, run_variance, ..Self::between(sheet, canary.side(), variant.side()) }
    }

    /// Compares one side of a sheet with another.
    pub(super) fn between(sheet: &Sheet, canary: Side<'_>, variant: Side<'_>) -> Self {
        let asked = variant.after.min(sheet.ids.len());
        let halves: Vec<Halves> = (0..asked).map(|item| (canary.score(item), variant.score(item))).collect();
        let all: Vec<usize> = (0..asked).collect();
        let whole = Part::of(sheet, &halves, &all);
        let complete = |item: &usize| matches!(halves[*item], (Some(_), Some(_)));
        let befell = |holds: fn(&Column, usize) -> bool| {
            asymmetry((0..asked).filter(complete).map(|item| (canary.any(item, holds), variant.any(item, holds))))
        };
        let steps: Vec<Step> = halves.iter().map(|&halves| Step::of(halves)).collect();
        let ids = |wanted: Step| (0..asked).filter(|&i| steps[i] == wanted).map(|i| sheet.ids[i].clone()).collect();
        Self {
            subject: variant.subject.clone(),
            role: variant.role,
            task: sheet.task.name.clone(),
            samples: sheet.ids.len() as u64,
            asked: asked as u64,
            missingness: asymmetry(halves.iter().map(|(a, b)| (a.is_none(), b.is_none()))),
            truncated: befell(Column::truncated),
            unparsed: befell(Column::unparsed),
            slices: slices(sheet, &halves),
            lost: ids(Step::Loss),
            gained: ids(Step::Gain),
            paired: whole.paired,
            means: whole.means,
            missing: whole.missing,
            clusters: whole.clusters,
            steps,
            excess: None,
            drift: None,
            run_variance: 0.0,
        }
    }

    /// Whether the subject was asked no more because its verdict was certain before the last sample. The samples that were
    /// asked then stand for nothing but that verdict: where it was certain depends on them.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.asked < self.samples
    }

    /// The same comparison from the other side: the subject in the canary's place, the canary in its. Without slices and
    /// without what is known of noise.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let turned = |of: Asymmetry| Asymmetry { canary: of.variant, variant: of.canary, ..of };
        let table = self.paired.table.mirrored();
        let means = self.means.as_ref().map(MeanPairs::mirrored);
        Self {
            paired: match &means {
                None => paired(table),
                Some(means) => Paired::of_means(table, &means.canary, &means.variant),
            },
            means,
            missing: self.missing.mirrored(),
            missingness: turned(self.missingness),
            truncated: turned(self.truncated),
            unparsed: turned(self.unparsed),
            slices: Vec::new(),
            lost: self.gained.clone(),
            gained: self.lost.clone(),
            clusters: self.clusters.iter().map(|&(n, lost, gained)| (n, gained, lost)).collect(),
            steps: self.steps.iter().map(|step| step.mirrored()).collect(),
            excess: None,
            drift: None,
            run_variance: 0.0,
            subject: self.subject.clone(),
            task: self.task.clone(),
            ..*self
        }
    }

    /// A comparison of one table of independent right-or-wrong pairs, as simulations and imports make them.
    #[must_use]
    pub fn of_table(subject: SubjectName, task: TaskName, table: PairTable) -> Self {
        let nobody = asymmetry(std::iter::empty());
        Self {
            subject,
            role: Role::Variant,
            task,
            samples: table.n(),
            asked: table.n(),
            paired: paired(table),
            means: None,
            missing: Missing::default(),
            missingness: nobody,
            truncated: nobody,
            unparsed: nobody,
            slices: Vec::new(),
            lost: Vec::new(),
            gained: Vec::new(),
            clusters: Vec::new(),
            steps: Vec::new(),
            excess: None,
            drift: None,
            run_variance: 0.0,
        }
    }
}

fn slices(sheet: &Sheet, halves: &[Halves]) -> Vec<SliceRow> {
    let names = sheet.slices.names();
    let mut items: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
    for item in 0..halves.len() {
        if let Some(slice) = sheet.slices.group(item) {
            items[slice].push(item);
        }
    }
    let row = |(name, items): (&String, Vec<usize>)| {
        let Part { paired, missing, clusters, means } = Part::of(sheet, halves, &items);
        SliceRow { slice: name.clone(), paired, missing, clusters, means }
    };
    names.iter().zip(items).filter(|(_, items)| !items.is_empty()).map(row).collect()
}

/// What some of a sheet's items come to.
struct Part {
    paired: Paired,
    missing: Missing,
    clusters: Vec<(u64, u64, u64)>,
    means: Option<MeanPairs>,
}

impl Part {
    fn of(sheet: &Sheet, halves: &[Halves], items: &[usize]) -> Self {
        let range = sheet.task.range;
        let middle = range.map_or(0.5, |(low, high)| f64::midpoint(low, high));
        let right = |value: f64| value > middle;
        let (mut table, mut missing) = (PairTable { n11: 0, n10: 0, n01: 0, n00: 0 }, Missing::default());
        let mut binary = true;
        for &item in items {
            let (a, b) = halves[item];
            let count = match (a, b) {
                (Some(a), Some(b)) => {
                    let zero_or_one = |v: f64| v.to_bits() == 0.0_f64.to_bits() || v.to_bits() == 1.0_f64.to_bits();
                    binary &= zero_or_one(a) && zero_or_one(b);
                    match Step::of((Some(a), Some(b))) {
                        Step::Loss => &mut table.n10,
                        Step::Gain => &mut table.n01,
                        Step::Tie | Step::Missing if right(a) => &mut table.n11,
                        Step::Tie | Step::Missing => &mut table.n00,
                    }
                }
                (Some(a), None) if right(a) => &mut missing.canary_right_variant_missing,
                (Some(_), None) => &mut missing.canary_wrong_variant_missing,
                (None, Some(b)) if right(b) => &mut missing.canary_missing_variant_right,
                (None, Some(_)) => &mut missing.canary_missing_variant_wrong,
                (None, None) => &mut missing.both,
            };
            *count += 1;
        }
        let labels = cluster_labels(&sheet.clusters, halves, items);
        let means = (!binary).then(|| means(halves, items, &labels, range));
        let clusters = clusters(halves, items, &labels);
        let paired = match &means {
            None => paired(table),
            Some(means) => Paired::of_means(table, &means.canary, &means.variant),
        };
        Self { paired, missing, clusters, means }
    }
}

/// The cluster of each complete pair, numbered by first appearance; an item without a cluster is one of its own. Empty
/// where no two share one.
fn cluster_labels(groups: &Groups, halves: &[Halves], items: &[usize]) -> Vec<u32> {
    if groups.names().is_empty() {
        return Vec::new();
    }
    let mut numbers: Vec<Option<u32>> = vec![None; groups.names().len()];
    let mut next = 0;
    let mut labels = Vec::new();
    for &item in items.iter().filter(|&&item| matches!(halves[item], (Some(_), Some(_)))) {
        let known = groups.group(item).and_then(|group| numbers[group]);
        let label = known.unwrap_or(next);
        if known.is_none() {
            next += 1;
            if let Some(group) = groups.group(item) {
                numbers[group] = Some(label);
            }
        }
        labels.push(label);
    }
    if next as usize == labels.len() { Vec::new() } else { labels }
}

fn clusters(halves: &[Halves], items: &[usize], labels: &[u32]) -> Vec<(u64, u64, u64)> {
    let mut counts = vec![(0, 0, 0); labels.iter().max().map_or(0, |most| *most as usize + 1)];
    let complete = items.iter().map(|&item| Step::of(halves[item])).filter(|step| *step != Step::Missing);
    for (&label, step) in labels.iter().zip(complete) {
        let count: &mut (u64, u64, u64) = &mut counts[label as usize];
        count.0 += 1;
        count.1 += u64::from(step == Step::Loss);
        count.2 += u64::from(step == Step::Gain);
    }
    counts
}

fn means(halves: &[Halves], items: &[usize], labels: &[u32], range: Option<(f64, f64)>) -> MeanPairs {
    let mut means = MeanPairs { clusters: labels.to_vec(), range, ..MeanPairs::default() };
    for &item in items {
        match halves[item] {
            (Some(a), Some(b)) => {
                means.canary.push(a);
                means.variant.push(b);
            }
            (Some(a), None) => means.canary_alone.push(a),
            (None, Some(b)) => means.variant_alone.push(b),
            (None, None) => {}
        }
    }
    means
}
