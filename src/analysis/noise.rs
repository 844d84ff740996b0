//! The noise floor: what a subject that was asked more than once does against itself, and what is left of a difference.

use rayon::prelude::*;

use super::sheet::Side;
use super::{Column, Comparison, Passes, Sheet};
use crate::domain::{Role, SubjectName, TaskName};
use crate::stats::{self, Excess, Overdispersion};

/// Level at which passes are said to vary more than their items explain.
const OVERDISPERSED: f64 = 0.01;

/// What one subject does against itself on one task with scores: all passes under the same settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    /// Who.
    pub subject: SubjectName,
    /// What it is for.
    pub role: Role,
    /// The task.
    pub task: TaskName,
    /// Passes over the task, at least 2.
    pub passes: u32,
    /// Items with a score in every pass.
    pub complete: u64,
    /// Share of pairs of passes in which an item's score differs, averaged over the complete items, in 0..=1; none where
    /// there is no complete item.
    pub flips: Option<f64>,
    /// The same of what was read out of the answers: behaviour, at whatever score. None where labels are not kept.
    pub changed: Option<f64>,
    /// The second pass (in the variant's place) against the first (in the canary's).
    pub again: Comparison,
    /// The standard deviation of a difference between two passes, by what the items vary and, where it is shown, whole
    /// passes; from all passes. None where there is no complete item.
    pub sd: Option<f64>,
    /// Whether whole passes vary more than their items explain; none where there is no complete item.
    pub overdispersion: Option<Overdispersion>,
}

impl Noise {
    /// What a subject of a sheet does against itself; none where it was asked once.
    #[must_use]
    pub fn of(sheet: &Sheet, passes: &Passes) -> Option<Self> {
        if passes.columns.len() < 2 {
            return None;
        }
        let side = passes.side();
        let overdispersion = overdispersion(passes);
        // Two passes differ by what each varies: twice the variance of one.
        let variance = overdispersion.map(|of| 2.0 * (of.expected_var + shown_variance(&of)));
        Some(Self {
            subject: passes.subject.clone(),
            role: passes.role,
            task: sheet.task.name.clone(),
            passes: passes.columns.len() as u32,
            complete: (0..passes.after.min(sheet.ids.len())).filter(|&item| scored(side, item)).count() as u64,
            flips: disagreement(side, sheet.ids.len(), Column::value),
            changed: disagreement(side, sheet.ids.len(), Column::label),
            again: Comparison::between(sheet, passes.pass(0), passes.pass(1)),
            sd: variance.map(f64::sqrt),
            overdispersion,
        })
    }

    /// The variance of a whole pass's mean beyond what its items explain, where it is shown (p < 0.01); else 0.
    #[must_use]
    pub fn sigma2_run(&self) -> f64 {
        self.overdispersion.as_ref().map_or(0.0, shown_variance)
    }

    /// Whether whole passes are shown to vary more than their items explain.
    #[must_use]
    pub fn is_overdispersed(&self) -> bool {
        self.sigma2_run() > 0.0
    }

    /// Whether every pass gave every item the same score, and the same answer where labels are kept.
    #[must_use]
    pub fn is_still(&self) -> bool {
        self.flips == Some(0.0) && self.changed.is_none_or(|share| share == 0.0)
    }
}

/// What is known of each sheet's subjects, in their order; none of those with one pass.
pub(super) fn measure(sheets: &[Sheet]) -> Vec<Vec<Option<Noise>>> {
    sheets.par_iter().map(|sheet| sheet.subjects.par_iter().map(|passes| Noise::of(sheet, passes)).collect()).collect()
}

/// By subject, then task.
pub(super) fn by_subject(noise: Vec<Vec<Option<Noise>>>) -> Vec<Noise> {
    let numbered = noise.into_iter().flat_map(|sheet| sheet.into_iter().enumerate());
    let mut all: Vec<(usize, Noise)> = numbered.filter_map(|(subject, noise)| Some((subject, noise?))).collect();
    // A stable sort: of one subject, tasks stay in the plan's order.
    all.sort_by_key(|(subject, _)| *subject);
    all.into_iter().map(|(_, noise)| noise).collect()
}

/// Whether an item has a score in every pass.
fn scored(side: Side<'_>, item: usize) -> bool {
    side.columns.iter().all(|column| column.value(item).is_some())
}

/// Mean share of pairs of passes that disagree about an item, over items that all passes have; none where there is none.
fn disagreement<T: PartialEq>(side: Side<'_>, items: usize, of: fn(&Column, usize) -> Option<T>) -> Option<f64> {
    let (mut apart, mut complete) = (0_u64, 0_u64);
    for item in 0..side.after.min(items) {
        if side.columns.iter().any(|column| of(column, item).is_none()) {
            continue;
        }
        complete += 1;
        for (i, one) in side.columns.iter().enumerate() {
            let one = of(one, item);
            apart += side.columns[i + 1..].iter().filter(|other| of(other, item) != one).count() as u64;
        }
    }
    let passes = side.columns.len() as u64;
    (complete > 0).then(|| apart as f64 / (complete * passes * (passes - 1) / 2) as f64)
}

/// Whether a subject's passes vary more than their items explain; none where it has one pass or no complete item.
pub(super) fn overdispersion(passes: &Passes) -> Option<Overdispersion> {
    if passes.columns.len() < 2 {
        return None;
    }
    let side = passes.side();
    let items = passes.after.min(passes.columns[0].len());
    let complete: Vec<usize> = (0..items).filter(|&item| scored(side, item)).collect();
    let run = |column: &Column| complete.iter().filter_map(|&item| column.value(item)).collect();
    let runs: Vec<Vec<f64>> = side.columns.iter().map(run).collect();
    stats::run_overdispersion(&runs)
}

/// The variance of whole passes, where it is shown; else 0.
pub(super) fn shown_variance(of: &Overdispersion) -> f64 {
    if of.p < OVERDISPERSED { of.sigma2_run } else { 0.0 }
}

/// How much more a subject differs from the canary than each from itself: by score, and by what was read. Over items that
/// every pass of both has; clusters are allowed for.
pub(super) fn excess(sheet: &Sheet, subject: usize) -> [Option<Excess>; 2] {
    let sides = (sheet.subjects[0].side(), sheet.subjects[subject].side());
    if sides.0.columns.len() < 2 {
        return [None, None];
    }
    [excess_by(sheet, sides, Column::value), excess_by(sheet, sides, Column::label)]
}

fn excess_by<T: PartialEq>(
    sheet: &Sheet,
    (canary, variant): (Side<'_>, Side<'_>),
    of: fn(&Column, usize) -> Option<T>,
) -> Option<Excess> {
    let (mut a, mut b, mut clusters) = (Vec::new(), Vec::new(), Vec::new());
    let groups = sheet.clusters.names().len();
    for item in 0..variant.after.min(canary.after).min(sheet.ids.len()) {
        let all = |side: Side<'_>| side.columns.iter().all(|column| of(column, item).is_some());
        if all(canary) && all(variant) {
            a.extend(canary.columns.iter().filter_map(|column| of(column, item)));
            b.extend(variant.columns.iter().filter_map(|column| of(column, item)));
            // An item without a cluster is one of its own.
            clusters.push(sheet.clusters.group(item).unwrap_or(groups + item));
        }
    }
    let a: Vec<&[T]> = a.chunks_exact(canary.columns.len()).collect();
    let b: Vec<&[T]> = b.chunks_exact(variant.columns.len()).collect();
    if groups == 0 { stats::aa_excess(&a, &b) } else { stats::aa_excess_clustered(&a, &b, &clusters) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Comparisons, Mark};
    use super::*;
    use crate::analysis::fixture::{Reply, Run};

    /// A number in 0..1 that looks random.
    fn shuffled(n: usize) -> f64 {
        let mixed = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 32)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A sheet of a canary and a variant with two passes each, whose marks are by subject, pass and item.
    fn sheet(items: usize, mark: impl Fn(usize, usize, usize) -> Mark) -> Sheet {
        let mut sheet = Sheet::all(&Run::pair(items, |_, _| Reply::Right).record()).remove(0);
        for (subject, passes) in sheet.subjects.iter_mut().enumerate() {
            let column = |pass| {
                let mut column = Column::with_capacity(items);
                (0..items).for_each(|item| column.push_labelled(mark(subject, pass, item)));
                column
            };
            passes.columns = (0..2).map(column).collect();
        }
        sheet
    }

    /// Right with a chance, by subject and pass.
    fn chances(items: usize, chance: impl Fn(usize, usize) -> f64) -> Sheet {
        sheet(items, |subject, pass, item| {
            let right = shuffled(item * 8 + subject * 4 + pass * 2 + 1) < chance(subject, pass);
            Mark { value: Some(f64::from(u8::from(right))), label: u64::from(right), ..Mark::default() }
        })
    }

    fn compared(sheet: Sheet) -> (Comparison, Vec<Noise>) {
        let mut all = Comparisons::of_sheets(&[sheet]);
        (all.tasks.remove(0), all.noise)
    }

    #[test]
    fn flips_between_passes_are_counted_and_the_second_stands_against_the_first() {
        let run = Run {
            repeats: |_| 2,
            again: Some(Box::new(|subject, _, item, _| match (subject, item) {
                ("canary", 0..6) => Reply::Wrong,
                ("canary", 6) => Reply::Missing,
                ("canary", 7..10) => Reply::Says("other words"),
                _ => Reply::Right,
            })),
            ..Run::pair(60, |_, item| if (7..10).contains(&item) { Reply::Wrong } else { Reply::Right })
        };
        let (_, comparisons) = run.compared();
        let names: Vec<&str> = comparisons.noise.iter().map(|noise| noise.subject.as_str()).collect();
        assert_eq!(names, ["canary", "q4"], "the canary comes first");
        let noise = &comparisons.noise[0];
        assert_eq!((noise.passes, noise.complete), (2, 59));
        assert!((noise.flips.unwrap_or(0.0) - 6.0 / 59.0).abs() < 1e-12 && noise.changed > noise.flips);
        let table = noise.again.paired.table;
        assert_eq!((table.n10, table.n01, table.n()), (6, 0, 59));
        assert_eq!(noise.again.missing.total(), 1);
        assert!(!noise.is_still() && noise.sd.is_some_and(|sd| sd > 0.0));
    }

    #[test]
    fn equal_distributions_have_no_excess_and_different_ones_have() {
        let z = |sheet: Sheet| compared(sheet).0.excess.and_then(|of| of.z).expect("scores vary");
        let equal = z(chances(4000, |_, _| 0.6));
        assert!(equal.abs() < 3.5, "{equal}");
        let apart = z(chances(4000, |subject, _| if subject == 0 { 0.6 } else { 0.8 }));
        assert!(apart > 4.0, "{apart}");
    }

    #[test]
    fn answers_that_changed_at_equal_scores_are_drift_without_excess() {
        let (comparison, noise) =
            compared(sheet(50, |subject, _, _| Mark { value: Some(1.0), label: subject as u64, ..Mark::default() }));
        let (excess, drift) = (comparison.excess.expect("two passes"), comparison.drift.expect("labels"));
        assert!(excess.excess.abs() < 1e-12 && (drift.excess - 2.0).abs() < 1e-12);
        assert!(noise.iter().all(Noise::is_still), "each agrees with itself");
    }

    #[test]
    fn a_variant_with_one_pass_gets_the_difference_of_flips_and_is_marked() {
        let mut sheet = chances(400, |_, _| 0.6);
        sheet.subjects[1].columns.truncate(1);
        let (comparison, noise) = compared(sheet);
        let excess = comparison.excess.expect("the canary has two passes");
        assert!(excess.flip_bb.is_none() && noise.len() == 1);
        assert!((excess.excess - (excess.flip_ab - excess.flip_aa)).abs() < 1e-12);
    }

    #[test]
    fn a_pass_that_is_worse_as_a_whole_is_overdispersed_and_enters_the_difference() {
        let (even, noise) = compared(chances(2000, |_, _| 0.7));
        assert!(noise.iter().all(|of| !of.is_overdispersed()) && even.run_variance == 0.0);
        let (shaken, noise) = compared(chances(2000, |subject, pass| if (subject, pass) == (0, 1) { 0.6 } else { 0.7 }));
        assert!(noise[0].is_overdispersed() && !noise[1].is_overdispersed());
        assert!((shaken.run_variance - noise[0].sigma2_run()).abs() < 1e-12, "1/2 + 1/2 of the larger");
        assert!(noise[0].sd > noise[1].sd);
    }

    #[test]
    fn clusters_widen_the_error_of_the_excess() {
        let mut alone = chances(400, |subject, _| 0.6 + 0.1 * subject as f64);
        let copies = |item: usize| item / 4;
        let of = alone.clone();
        alone = sheet(400, |subject, pass, item| Mark {
            value: of.subjects[subject].columns[pass].value(copies(item)),
            ..Mark::default()
        });
        let mut shared = alone.clone();
        let names: Vec<String> = (0..400).map(|item| copies(item).to_string()).collect();
        shared.clusters = super::super::Groups::of(names.iter().map(|name| Some(name.as_str())));
        let se = |sheet: Sheet| compared(sheet).0.excess.map(|of| of.se).expect("two passes");
        let (alone, shared) = (se(alone), se(shared));
        assert!(shared > 1.9 * alone && shared < 2.1 * alone, "four copies of an item are one: {alone} and {shared}");
    }

    #[test]
    fn a_number_that_is_not_finite_is_a_missing_one() {
        let strange = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        let value = |subject: usize, pass: usize, item: usize| match item {
            0..3 if (subject, pass) == (0, 1) => strange[item],
            3..6 if subject == 1 => strange[item - 3],
            _ => shuffled(item * 8 + subject * 4 + pass),
        };
        let (comparison, noise) = compared(sheet(40, |s, p, i| Mark { value: Some(value(s, p, i)), ..Mark::default() }));
        assert_eq!((comparison.paired.n(), comparison.missing.variant_only(), noise[0].complete), (37, 3, 37));
        let numbers =
            [comparison.excess.map(|of| of.excess), noise[0].sd, noise[1].flips, comparison.paired.delta.map(|d| d.lower)];
        assert!(numbers.iter().all(|of| of.is_some_and(f64::is_finite)), "{numbers:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_order_of_items_changes_no_number(order in Just((0..60_usize).collect::<Vec<_>>()).prop_shuffle()) {
            let mark = |subject: usize, pass: usize, item: usize| {
                let n = item * 8 + subject * 4 + pass * 2;
                let value = (shuffled(n) > 0.05).then(|| (shuffled(n + 1) * 4.0).floor() / 4.0);
                Mark { value, label: (shuffled(n) * 3.0) as u64, ..Mark::default() }
            };
            let (one, noise) = compared(sheet(60, mark));
            let (other, again) = compared(sheet(60, |s, p, i| mark(s, p, order[i])));
            let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-12,
                (a, b) => a.is_none() && b.is_none(),
            };
            prop_assert_eq!(one.paired.table, other.paired.table);
            prop_assert_eq!(one.missing, other.missing);
            prop_assert!(near(one.excess.map(|e| e.se), other.excess.map(|e| e.se)));
            prop_assert!(near(one.drift.map(|e| e.excess), other.drift.map(|e| e.excess)));
            prop_assert!(near(one.paired.delta.map(|d| d.upper), other.paired.delta.map(|d| d.upper)));
            prop_assert!(near(Some(one.run_variance), Some(other.run_variance)));
            for (a, b) in noise.iter().zip(&again) {
                prop_assert!(near(a.flips, b.flips) && near(a.changed, b.changed) && near(a.sd, b.sd));
            }
        }

        #[test]
        fn the_other_side_sees_every_difference_mirrored(seed in 0_usize..10_000) {
            let mark = |subject: usize, item: usize| {
                let n = seed * 977 + item * 2 + subject;
                Mark { value: (shuffled(n) > 0.1).then(|| (shuffled(n + 7) * 3.0).floor() / 2.0), ..Mark::default() }
            };
            let (one, _) = compared(sheet(40, |subject, _, item| mark(subject, item)));
            let (other, _) = compared(sheet(40, |subject, _, item| mark(1 - subject, item)));
            let mirrored = one.mirrored();
            prop_assert_eq!(&mirrored.paired, &other.paired);
            prop_assert_eq!((mirrored.missing, &mirrored.steps, &mirrored.means), (other.missing, &other.steps, &other.means));
            prop_assert_eq!((&mirrored.lost, &mirrored.gained), (&other.lost, &other.gained));
        }
    }
}
