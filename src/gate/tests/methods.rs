//! Every method: by hand where that can be done, and what must hold of each.

use proptest::prelude::*;

use super::sheets::{Scores, binary, card};
use crate::analysis::{Asymmetry, Comparison};
use crate::domain::{MetricKind, Policy, SubjectName, TaskName, Tolerance, Verdict};
use crate::gate::method::{self, Pairs, Question, Stand};
use crate::gate::{Evidence, Finding, Loss, Method, judge_loss};
use crate::stats::{self, Interval, PairTable};

/// A policy with a margin.
fn margin(margin: f64) -> Policy {
    Policy::new(Tolerance::Margin(margin))
}

/// A policy with a recovery.
fn recovery(share: f64) -> Policy {
    Policy::new(Tolerance::Recovery(share))
}

fn of_table(n11: u64, n10: u64, n01: u64, n00: u64) -> Comparison {
    Comparison::of_table(SubjectName::new("q4"), TaskName::new("arithmetic"), PairTable { n11, n10, n01, n00 })
}

fn loss(finding: &Finding) -> &Loss {
    match &finding.evidence {
        Some(Evidence::Loss(loss)) => loss,
        other => panic!("a loss has its numbers, not {other:?}: {}", finding.reason),
    }
}

/// Scores around 0.6 in which the variant has less on the first `lower` items.
fn numbers(items: usize, lower: usize, by: f64) -> (Vec<f64>, Vec<f64>) {
    let canary: Vec<f64> = (0..items).map(|i| 0.5 + 0.2 * ((i * 7) % 11) as f64 / 10.0).collect();
    let variant = canary.iter().enumerate().map(|(i, a)| if i < lower { a - by * (1.0 + (i % 3) as f64) } else { *a }).collect();
    (canary, variant)
}

fn means(items: usize, lower: usize, by: f64, range: Option<(f64, f64)>) -> Scores {
    let (canary, variant) = numbers(items, lower, by);
    Scores::once(card(MetricKind::Mean, range), canary, variant)
}

const UNIT: Option<(f64, f64)> = Some((0.0, 1.0));

#[test]
fn a_recovery_without_a_flip_passes_from_the_number_that_its_score_asks() {
    // T² = x(1−ρ)/ρ with x right answers of the canary: 1.645² · 99 = 267.8.
    let verdict = |right: u64| judge_loss(&of_table(right, 0, 0, 30), &binary("arithmetic"), &recovery(0.99));
    assert_eq!((verdict(267).verdict, verdict(268).verdict), (Verdict::Inconclusive, Verdict::Pass));
    let passed = verdict(270);
    let Loss { method, ratio, margin, p_pass, .. } = loss(&passed);
    assert_eq!(*method, Some(Method::RatioScore));
    assert!((margin - 0.009).abs() < 1e-12, "1 % of 0.9");
    assert!(ratio.is_some_and(|ratio| ratio.lower > 0.99 && (ratio.estimate - 1.0).abs() < 1e-12));
    assert!(p_pass.is_some_and(|p| (p - stats::normal_sf((270.0_f64 * 0.01 / 0.99).sqrt())).abs() < 1e-12));
    assert!(passed.reason.contains("99 % of the canary's score, here a loss of 0.9 pp"), "{}", passed.reason);
    // 268 right answers at 90 % are 298 items.
    assert_eq!(loss(&verdict(270)).floor, 298);
}

#[test]
fn a_recovery_that_is_not_kept_fails_and_says_so() {
    let finding = judge_loss(&of_table(600, 150, 10, 240), &binary("arithmetic"), &recovery(0.95));
    assert_eq!(finding.verdict, Verdict::Fail, "{}", finding.reason);
    assert!(finding.reason.contains("it keeps less than 95 % of the canary's score"), "{}", finding.reason);
}

#[test]
fn a_recovery_of_nothing_is_never_a_pass() {
    let finding = judge_loss(&of_table(0, 0, 5, 200), &binary("arithmetic"), &recovery(0.9));
    assert_eq!(finding.verdict, Verdict::Invalid, "{}", finding.reason);
    let few = judge_loss(&of_table(0, 0, 0, 5), &binary("arithmetic"), &recovery(0.9));
    assert_eq!(few.verdict, Verdict::Inconclusive);
}

#[test]
fn a_strict_policy_takes_the_exact_interval_at_any_number_of_items() {
    let strict = Policy { strict: true, ..margin(0.02) };
    let of = |n: u64, policy: &Policy| judge_loss(&of_table(n, 0, 0, n / 5), &binary("arithmetic"), policy);
    // Without a flip: n > z²(1/m − 1) = 132.6 by the score, and 0.98ⁿ < 0.05 exactly: 149.
    assert_eq!(loss(&of(200, &strict)).method, Some(Method::FayLumbard));
    assert_eq!(loss(&of(200, &strict)).floor, 149);
    assert_eq!(judge_loss(&of_table(118, 0, 0, 30), &binary("a"), &strict).verdict, Verdict::Inconclusive);
    assert_eq!(judge_loss(&of_table(118, 0, 0, 30), &binary("a"), &margin(0.02)).verdict, Verdict::Pass);
    assert_eq!(judge_loss(&of_table(119, 0, 0, 30), &binary("a"), &strict).verdict, Verdict::Pass);
}

#[test]
fn numbers_are_judged_by_t_from_twenty_differences_on_and_by_bets_before() {
    let method = |lower: usize| {
        loss(&judge_loss(&means(300, lower, 0.01, UNIT).comparison(), &card(MetricKind::Mean, UNIT), &margin(0.1))).method
    };
    assert_eq!((method(19), method(20)), (Some(Method::Betting), Some(Method::PairedT)));
    let strict = Policy { strict: true, ..margin(0.1) };
    let finding = judge_loss(&means(300, 60, 0.01, UNIT).comparison(), &card(MetricKind::Mean, UNIT), &strict);
    assert_eq!(loss(&finding).method, Some(Method::Betting));
    assert_eq!(finding.verdict, Verdict::Pass, "{}", finding.reason);
}

#[test]
fn the_t_interval_of_numbers_is_students() {
    let scores = means(120, 40, 0.03, UNIT);
    let finding = judge_loss(&scores.comparison(), &scores.card, &margin(0.05));
    let d: Vec<f64> = scores.passes[1][0].iter().zip(&scores.passes[0][0]).map(|(b, a)| b - a).collect();
    let n = d.len() as f64;
    let mean = d.iter().sum::<f64>() / n;
    let se = (d.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
    // t with 119 degrees of freedom at 0.95.
    let t = 1.657_759_284_6;
    let delta = loss(&finding).delta.expect("it has an interval");
    assert!((delta.estimate - mean).abs() < 1e-12 && (delta.lower - (mean - t * se)).abs() < 1e-8, "{delta:?}");
    assert_eq!(finding.verdict, Verdict::Pass, "{}", finding.reason);
}

#[test]
fn numbers_that_all_differ_by_the_same_are_bet_on_and_do_not_pass_for_want_of_variance() {
    let canary = vec![0.5; 40];
    let variant = vec![0.47; 40];
    let scores = Scores::once(card(MetricKind::Mean, UNIT), canary, variant);
    let finding = judge_loss(&scores.comparison(), &scores.card, &margin(0.05));
    assert_eq!(loss(&finding).method, Some(Method::Betting));
    assert_eq!(finding.verdict, Verdict::Inconclusive, "{}", finding.reason);
}

#[test]
fn numbers_without_bounds_need_a_hundred_items_and_a_bootstrap_of_the_same_mind() {
    let of = |items: usize, lower: usize, policy: &Policy| {
        let scores = means(items, lower, 0.01, None);
        judge_loss(&scores.comparison(), &scores.card, policy)
    };
    assert_eq!(of(150, 40, &margin(0.05)).verdict, Verdict::Pass);
    let few = of(99, 40, &margin(0.05));
    assert_eq!(few.verdict, Verdict::Inconclusive);
    assert!(few.reason.contains("without bounds are judged from 100 items on"), "{}", few.reason);
    assert_eq!(of(150, 19, &margin(0.05)).verdict, Verdict::Inconclusive);
    let strict = of(150, 40, &Policy { strict: true, ..margin(0.05) });
    assert!(strict.reason.contains("a strict policy accepts no score without bounds"), "{}", strict.reason);
    assert_eq!(strict.verdict, Verdict::Inconclusive);
}

#[test]
fn right_and_wrong_answers_that_were_asked_twice_are_means_between_0_and_1() {
    let items = 200;
    let column = |flip: usize| (0..items).map(|i| if i % 8 == 7 || i % 16 == flip { 0.0 } else { 1.0 }).collect::<Vec<f64>>();
    let passes = [vec![column(99), column(1)], vec![column(2), column(3)]];
    let scores = Scores { passes, ..Scores::once(binary("arithmetic"), vec![0.0; items], vec![0.0; items]) };
    let comparison = scores.comparison();
    let pairs = Pairs::of(&comparison, &scores.card);
    assert!(pairs.means.is_some() && pairs.range == UNIT);
    assert_eq!(loss(&judge_loss(&comparison, &scores.card, &margin(0.1))).method, Some(Method::PairedT));
}

#[test]
fn a_missing_number_is_bounded_by_the_ends_of_the_range() {
    let verdict = |missing: usize, edge: f64| {
        let mut scores = means(400, 100, 0.03, UNIT);
        for item in 0..missing {
            scores.passes[1][0][399 - item] = f64::NAN;
        }
        judge_loss(&scores.comparison(), &scores.card, &margin(edge))
    };
    let upper = loss(&verdict(0, 0.05)).delta.expect("it has an interval").lower.abs() + 1e-4;
    assert_eq!(verdict(0, upper).verdict, Verdict::Pass);
    let at_edge = verdict(2, upper);
    assert_eq!(at_edge.verdict, Verdict::Inconclusive);
    assert!(at_edge.reason.contains("could turn the verdict"), "{}", at_edge.reason);
    assert_eq!(verdict(2, 0.05).verdict, Verdict::Pass);
    // Without bounds nothing bounds a missing half.
    let mut scores = means(400, 100, 0.01, None);
    scores.passes[1][0][399] = f64::NAN;
    assert_eq!(judge_loss(&scores.comparison(), &scores.card, &margin(0.2)).verdict, Verdict::Inconclusive);
}

#[test]
fn numbers_in_clusters_are_judged_over_clusters() {
    let clustered = Scores { cluster: |i| Some((i / 10).to_string()), ..means(400, 200, 0.01, UNIT) };
    let alone = means(400, 200, 0.01, UNIT);
    let width = |scores: &Scores| {
        let finding = judge_loss(&scores.comparison(), &scores.card, &margin(0.05));
        let delta = loss(&finding).delta.expect("it has an interval");
        (loss(&finding).method, delta.upper - delta.lower)
    };
    let ((one, narrow), (other, wide)) = (width(&alone), width(&clustered));
    assert_eq!((one, other), (Some(Method::PairedT), Some(Method::ClusteredT)));
    assert!(wide > 2.0 * narrow, "the first twenty clusters hold all differences: {wide} and {narrow}");
}

#[test]
fn numbers_that_differ_in_two_clusters_only_are_not_judged_by_t() {
    let scores = Scores { cluster: |i| Some((i / 10).to_string()), ..means(400, 20, 0.0001, UNIT) };
    let finding = judge_loss(&scores.comparison(), &scores.card, &margin(0.02));
    assert_eq!(loss(&finding).method, Some(Method::Betting));
    assert_eq!(finding.verdict, Verdict::Inconclusive, "38 of 40 sources say nothing: {}", finding.reason);
}

#[test]
fn numbers_that_hardly_vary_pass_from_the_items_on_that_no_unseen_loss_takes() {
    // Every item differs by a trifle; one in fifty could lose everything and not be among a hundred.
    let of = |items: usize| {
        let scores = means(items, items, 0.0001, UNIT);
        judge_loss(&scores.comparison(), &scores.card, &margin(0.01))
    };
    let few = of(100);
    assert_eq!((loss(&few).method, few.verdict), (Some(Method::PairedT), Verdict::Inconclusive));
    assert!(few.reason.contains("at least 268"), "{}", few.reason);
    assert_eq!(of(268).verdict, Verdict::Pass, "{}", of(268).reason);
}

#[test]
fn a_pass_of_numbers_that_the_canarys_cut_off_answers_explain_is_not_given() {
    let of = |range: Option<(f64, f64)>, cut: u64| {
        let scores = means(400, 200, 0.001, range);
        let mut comparison = scores.comparison();
        comparison.truncated = Asymmetry { canary: cut, variant: 0, p_mid: if cut > 6 { 0.001 } else { 1.0 } };
        judge_loss(&comparison, &scores.card, &margin(0.05))
    };
    assert_eq!(of(UNIT, 0).verdict, Verdict::Pass, "{}", of(UNIT, 0).reason);
    assert_eq!(of(UNIT, 10).verdict, Verdict::Pass, "ten of 400 are 2.5 pp: {}", of(UNIT, 10).reason);
    assert_eq!(of(UNIT, 30).verdict, Verdict::Inconclusive);
    assert!(of(UNIT, 30).reason.contains("were cut off"), "{}", of(UNIT, 30).reason);
    assert_eq!(of(None, 30).verdict, Verdict::Inconclusive, "without bounds nobody knows");
}

#[test]
fn below_ten_clusters_only_an_exact_sign_flip_of_the_same_mind_lets_a_verdict_stand() {
    let of = |sources: usize, policy: &Policy| {
        let scores: Vec<f64> = (0..400).map(|i| if i % 8 == 7 { 0.0 } else { 1.0 }).collect();
        let mut scores = Scores::once(binary("arithmetic"), scores.clone(), scores);
        scores.cluster = match sources {
            4 => |i| Some((i / 100).to_string()),
            8 => |i| Some((i / 50).to_string()),
            _ => |i| Some((i / 20).to_string()),
        };
        judge_loss(&scores.comparison(), &scores.card, policy)
    };
    // Of eight clusters all signs agree by chance in 1 of 256 cases, of four in 1 of 16.
    assert_eq!(of(8, &margin(0.4)).verdict, Verdict::Pass);
    let four = of(4, &margin(0.9));
    assert_eq!(four.verdict, Verdict::Inconclusive);
    assert!(four.reason.contains("4 sources only: at least 10"), "{}", four.reason);
    let strict = of(20, &Policy { strict: true, ..margin(0.4) });
    assert!(strict.reason.contains("20 sources only: at least 30"), "{}", strict.reason);
    assert_eq!(of(20, &margin(0.4)).verdict, Verdict::Pass);
}

#[test]
fn a_recovery_over_clusters_allows_for_what_they_share() {
    let scores = |cluster: fn(usize) -> Option<String>| {
        let canary: Vec<f64> = (0..600).map(|i| if i % 8 == 7 { 0.0 } else { 1.0 }).collect();
        let variant = canary.iter().enumerate().map(|(i, a)| if i / 6 % 10 == 0 { 0.0 } else { *a }).collect();
        Scores { cluster, ..Scores::once(binary("arithmetic"), canary, variant) }
    };
    let of = |scores: &Scores| {
        let finding = judge_loss(&scores.comparison(), &scores.card, &recovery(0.8));
        (loss(&finding).method, loss(&finding).ratio.expect("it has a ratio"))
    };
    let ((one, alone), (other, shared)) = (of(&scores(|_| None)), of(&scores(|i| Some((i / 6).to_string()))));
    assert_eq!(one, Some(Method::RatioScore));
    assert!(matches!(other, Some(Method::ClusteredRatio { deff, .. }) if deff > 3.0), "{other:?}");
    assert!(shared.upper - shared.lower > 1.7 * (alone.upper - alone.lower), "{shared:?} and {alone:?}");
}

#[test]
fn a_recovery_of_numbers_has_fiellers_limits() {
    let scores = means(120, 40, 0.03, UNIT);
    let finding = judge_loss(&scores.comparison(), &scores.card, &recovery(0.9));
    let fieller = stats::fieller(&scores.passes[0][0], &scores.passes[1][0], 0.9).and_then(|of| of.limits);
    let (ratio, (lower, upper)) = (loss(&finding).ratio.expect("it has a ratio"), fieller.expect("its mean is far from 0"));
    assert!((ratio.lower - lower).abs() < 1e-8 && (ratio.upper - upper).abs() < 1e-8, "{ratio:?} {lower} {upper}");
    assert_eq!(finding.verdict, Verdict::Pass, "{}", finding.reason);
}

/// Each method with scores that it takes.
fn stands(table: PairTable, clusters: &[(u64, u64, u64)], question: &Question) -> Vec<(Method, Option<Stand>)> {
    let scores = method::Scores::Counts(table);
    let (deff, df) = (1.0 + clusters.len() as f64 / 7.0, 12.5);
    let ways = match question.tolerance {
        Tolerance::Margin(_) => vec![Method::Tango, Method::FayLumbard, Method::ClusteredTango { deff, df }],
        Tolerance::Recovery(_) => vec![Method::RatioScore, Method::ClusteredRatio { deff, df }, Method::Betting],
    };
    ways.into_iter().map(|way| (way, method::stand(way, &scores, question))).collect()
}

fn of_numbers(scores: &Scores, question: &Question) -> Vec<(Method, Option<Stand>)> {
    let comparison = scores.comparison();
    let pairs = Pairs::of(&comparison, &scores.card);
    let t = if comparison.clusters.is_empty() { Method::PairedT } else { Method::ClusteredT };
    [t, Method::Betting].into_iter().map(|way| (way, method::stand(way, &pairs.complete(), question))).collect()
}

/// That the interval, the p-values and the verdict say the same.
fn holds(way: Method, stand: &Stand, question: &Question) {
    let (interval, bound) = match question.tolerance {
        Tolerance::Margin(margin) => (stand.delta, -margin),
        Tolerance::Recovery(share) => (stand.ratio.expect("a recovery has a ratio"), share),
    };
    let said = format!("{way:?} {stand:?} {question:?}");
    assert!(stand.p_pass.is_finite() && stand.p_fail.is_finite(), "{said}");
    assert_eq!(interval.lower > bound, stand.p_pass < question.alpha, "{said}");
    assert_eq!(interval.upper < bound, stand.p_fail < question.alpha, "{said}");
    assert_eq!(stand.verdict() == Verdict::Pass, stand.p_pass < question.alpha, "{said}");
    assert_eq!(stand.verdict() == Verdict::Fail, stand.p_fail < question.alpha, "{said}");
}

fn tolerance(bound: f64, share: bool) -> Tolerance {
    if share { Tolerance::Recovery(1.0 - bound) } else { Tolerance::Margin(bound) }
}

prop_compose! {
    fn tables()(n11 in 1_u64..300, n10 in 0_u64..40, n01 in 0_u64..40, n00 in 0_u64..200) -> PairTable {
        PairTable { n11, n10, n01, n00 }
    }
}

prop_compose! {
    fn many()(items in 12_usize..60, seed in 1_u64..1000, quiet in 0_u64..4, shared: bool) -> Scores {
        let draw = |i: usize, k: u64| ((i as u64 * 2_654_435_761 + seed * 40_503 + k * 97) % 1009) as f64 / 1008.0;
        let canary: Vec<f64> = (0..items).map(|i| 0.3 + 0.6 * draw(i, 1)).collect();
        let moved = |i: usize| if (i as u64 + seed).is_multiple_of(quiet + 1) { 0.1 * (draw(i, 2) - 0.5) } else { 0.0 };
        let variant = canary.iter().enumerate().map(|(i, a)| a + moved(i)).collect();
        let cluster: fn(usize) -> Option<String> = if shared { |i| Some((i / 2).to_string()) } else { |_| None };
        Scores { cluster, ..Scores::once(card(MetricKind::Mean, UNIT), canary, variant) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_interval_the_p_values_and_the_verdict_say_the_same_of_counts(
        table in tables(), clusters in 1_usize..40, bound in 0.01_f64..0.3, alpha in 0.01_f64..0.2, share: bool,
    ) {
        let question = Question { tolerance: tolerance(bound, share), alpha, strict: false };
        for (way, stand) in stands(table, &vec![(1, 0, 0); clusters], &question) {
            holds(way, &stand.expect("there are right answers"), &question);
        }
    }

    #[test]
    fn the_interval_the_p_values_and_the_verdict_say_the_same_of_numbers(
        scores in many(), bound in 0.005_f64..0.2, alpha in 0.01_f64..0.2, share: bool,
    ) {
        let question = Question { tolerance: tolerance(bound, share), alpha, strict: false };
        for (way, stand) in of_numbers(&scores, &question) {
            if let Some(stand) = stand {
                holds(way, &stand, &question);
            }
        }
    }

    #[test]
    fn one_more_loss_makes_a_pass_less_likely_and_a_fail_more_by_every_method_of_counts(
        table in tables(), clusters in 1_usize..40, bound in 0.01_f64..0.3, share: bool,
    ) {
        let question = Question { tolerance: tolerance(bound, share), alpha: 0.05, strict: false };
        let worse = PairTable { n11: table.n11 - 1, n10: table.n10 + 1, ..table };
        let clusters = vec![(1, 0, 0); clusters];
        for ((way, before), (_, after)) in stands(table, &clusters, &question).into_iter().zip(stands(worse, &clusters, &question)) {
            if let (Some(before), Some(after)) = (before, after) {
                prop_assert!(after.p_pass >= before.p_pass - 1e-9, "{way:?} {before:?} {after:?}");
                prop_assert!(after.p_fail <= before.p_fail + 1e-9, "{way:?} {before:?} {after:?}");
                prop_assert!(after.verdict() >= before.verdict(), "{way:?} {before:?} {after:?}");
            }
        }
    }

    #[test]
    fn a_lower_score_never_betters_a_bet(scores in many(), bound in 0.01_f64..0.2, item in 0_usize..12, by in 0.0_f64..0.2) {
        let question = Question { tolerance: Tolerance::Margin(bound), alpha: 0.05, strict: true };
        let bet = |scores: &Scores| of_numbers(scores, &question).remove(1).1.expect("there are bounds");
        let before = bet(&scores);
        let mut scores = scores;
        scores.passes[1][0][item] = (scores.passes[1][0][item] - by).max(0.0);
        prop_assert!(bet(&scores).verdict() >= before.verdict());
        prop_assert!(bet(&scores).p_pass >= before.p_pass - 1e-9);
    }

    #[test]
    fn exchanging_the_subjects_mirrors_the_difference_and_turns_the_ratio_over(
        table in tables(), clusters in 1_usize..40, bound in 0.01_f64..0.3, share: bool,
    ) {
        let question = Question { tolerance: tolerance(bound, share), alpha: 0.05, strict: false };
        let clusters = vec![(1, 0, 0); clusters];
        let close = |a: f64, b: f64| a.total_cmp(&b).is_eq() || (a - b).abs() < 1e-6 * a.abs().max(1.0);
        let all = stands(table, &clusters, &question).into_iter().zip(stands(table.mirrored(), &clusters, &question));
        for ((way, one), (_, other)) in all {
            let (one, other) = (one.expect("there are right answers"), other.expect("there are right answers"));
            let mirrored = other.delta.mirrored();
            let same = |a: Interval, b: Interval| close(a.lower, b.lower) && close(a.upper, b.upper);
            // By bets the limits of a contrast are not those of its mirror.
            if way != Method::Betting {
                prop_assert!(same(one.delta, mirrored), "{way:?} {one:?} {other:?}");
                if let (Some(one), Some(other)) = (one.ratio, other.ratio) {
                    prop_assert!(close(one.lower, 1.0 / other.upper) && close(one.upper, 1.0 / other.lower), "{one:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn the_order_of_items_changes_nothing(scores in many(), bound in 0.01_f64..0.2, turn in 0_usize..60, share: bool) {
        let policy = Policy::new(tolerance(bound, share));
        let of = |scores: &Scores| judge_loss(&scores.comparison(), &scores.card, &policy);
        let before = of(&scores);
        let mut scores = Scores { cluster: |_| None, ..scores };
        let alone = of(&scores);
        for passes in &mut scores.passes {
            let len = passes[0].len();
            passes[0].rotate_left(turn % len);
            passes[0].reverse();
        }
        let after = of(&scores);
        prop_assert_eq!(alone.verdict, after.verdict);
        let delta = |finding: &Finding| loss(finding).delta.map(|delta| [delta.lower, delta.upper]);
        if let (Some(one), Some(other)) = (delta(&alone), delta(&after)) {
            prop_assert!((one[0] - other[0]).abs() < 1e-9 && (one[1] - other[1]).abs() < 1e-9);
        }
        prop_assert!(before.verdict <= Verdict::Invalid);
    }

    #[test]
    fn a_looser_tolerance_never_worsens_a_verdict_by_any_method(
        scores in many(), table in tables(), tight in 0.005_f64..0.2, more in 0.0_f64..0.2, share: bool, strict: bool,
    ) {
        let policy = |bound: f64| Policy { strict, ..Policy::new(tolerance(bound, share)) };
        let of_numbers = |bound: f64| judge_loss(&scores.comparison(), &scores.card, &policy(bound)).verdict;
        prop_assert!(of_numbers(tight + more) <= of_numbers(tight), "numbers");
        let comparison = of_table(table.n11, table.n10, table.n01, table.n00);
        let of_counts = |bound: f64| judge_loss(&comparison, &binary("arithmetic"), &policy(bound)).verdict;
        prop_assert!(of_counts(tight + more) <= of_counts(tight), "counts");
    }

    #[test]
    fn a_larger_alpha_keeps_a_pass(scores in many(), table in tables(), bound in 0.01_f64..0.2, alpha in 0.01_f64..0.1, share: bool) {
        let policy = |alpha: f64| Policy { alpha, ..Policy::new(tolerance(bound, share)) };
        let of = |alpha: f64| {
            let comparison = of_table(table.n11, table.n10, table.n01, table.n00);
            [judge_loss(&scores.comparison(), &scores.card, &policy(alpha)).verdict,
             judge_loss(&comparison, &binary("arithmetic"), &policy(alpha)).verdict]
        };
        for (narrow, wide) in of(2.0 * alpha).into_iter().zip(of(alpha)) {
            prop_assert!(wide != Verdict::Pass || narrow == Verdict::Pass);
        }
    }

    #[test]
    fn what_is_not_a_number_reaches_no_finding(
        scores in many(), hit in proptest::collection::vec((0_usize..2, 0_usize..12, 0_usize..3), 0..4), share: bool,
    ) {
        let mut scores = scores;
        for (side, item, kind) in hit {
            scores.passes[side][0][item] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][kind];
        }
        let finding = judge_loss(&scores.comparison(), &scores.card, &Policy::new(tolerance(0.05, share)));
        if let Some(Evidence::Loss(loss)) = &finding.evidence {
            let limits = loss.delta.iter().chain(&loss.ratio).flat_map(|i| [i.estimate, i.lower, i.upper]);
            let all = limits.chain(loss.p_pass).chain(loss.p_fail).chain(loss.p_fail_adjusted).chain([loss.margin]);
            for number in all {
                prop_assert!(!number.is_nan(), "{loss:?}");
            }
        }
    }
}
