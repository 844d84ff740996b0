//! The published table of sample sizes and smallest margins, floors by every test, and what changes power.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Clusters, Design, Expected, Never, Outlook, Spread};
use crate::domain::{TaskName, Tolerance};
use crate::stats;

fn design(samples: u64, tolerance: Tolerance) -> Design {
    Design {
        task: TaskName::new("t"),
        slice: None,
        samples,
        clusters: None,
        numeric: false,
        repeats: (1, 1),
        tolerance,
        alpha: 0.05,
        strict: false,
        expected: None,
    }
}

fn margin(samples: u64, margin: f64) -> Design {
    design(samples, Tolerance::Margin(margin))
}

fn flips(flips: f64) -> Expected {
    Expected { canary: 0.8, flips, loss: 0.0, spread: None, deff: None }
}

/// Two numbers equal to a share of either.
fn near(a: f64, b: f64, share: f64) -> bool {
    (a - b).abs() <= share * a.abs().max(b.abs())
}

#[test]
fn samples_needed_are_those_of_the_published_table() {
    let rates = [0.01, 0.02, 0.04, 0.06, 0.10];
    let rows: [(f64, [u64; 5], [u64; 5]); 4] = [
        (0.005, [2800, 5131, 9985, 14898, 24763], [3809, 7068, 13812, 20624, 34294]),
        (0.01, [856, 1397, 2562, 3768, 6215], [1132, 1901, 3530, 5207, 8602]),
        (0.02, [298, 425, 695, 982, 1578], [378, 563, 947, 1349, 2178]),
        (0.05, [86, 107, 147, 188, 274], [103, 134, 192, 251, 374]),
    ];
    for (m, eighty, ninety) in rows {
        for ((rate, at_80), at_90) in rates.into_iter().zip(eighty).zip(ninety) {
            let needed = |power| Outlook::of(&margin(1000, m), flips(rate), power).needed;
            assert_eq!((needed(0.8), needed(0.9)), (Some(at_80), Some(at_90)), "margin {m} at {rate} flips");
        }
    }
}

#[test]
fn smallest_margins_are_those_of_the_published_benchmarks() {
    let benchmarks = [
        (164, [3.7, 4.7, 6.1]),
        (198, [3.3, 4.1, 5.4]),
        (541, [1.7, 2.3, 3.1]),
        (1319, [1.0, 1.4, 2.0]),
        (5000, [0.5, 0.7, 1.0]),
    ];
    for (samples, points) in benchmarks {
        for (rate, points) in [0.02, 0.04, 0.08].into_iter().zip(points) {
            let smallest = Outlook::of(&margin(samples, 0.01), flips(rate), 0.8).smallest;
            let Some(Tolerance::Margin(found)) = smallest else { panic!("{samples} samples show something") };
            assert!((100.0 * found - points).abs() <= 0.0501, "{samples} at {rate}: {found}");
        }
    }
}

#[test]
fn what_is_needed_gives_about_the_power_that_was_asked_for() {
    for (m, rate) in [(0.01, 0.02), (0.02, 0.04), (0.05, 0.1)] {
        let needed = Outlook::of(&margin(100, m), flips(rate), 0.8).needed.expect("some number does");
        let planned = Outlook::of(&margin(needed, m), flips(rate), 0.8).planned;
        assert!(planned.exact && (planned.power - 0.8).abs() < 0.025, "{needed} samples: {planned:?}");
    }
    let many = Outlook::of(&margin(300_000, 0.001), flips(0.02), 0.8).planned;
    let fewer = Outlook::of(&margin(200_000, 0.001), flips(0.02), 0.8).planned;
    assert!(!many.exact && fewer.exact && many.power > fewer.power, "{many:?} {fewer:?}");
}

#[test]
fn too_few_samples_can_never_pass_and_have_no_power() {
    for (m, least) in [(0.01, 268), (0.02, 133), (0.05, 52)] {
        assert_eq!(margin(least, m).never(1.0), None);
        assert_eq!(margin(least - 1, m).never(1.0), Some(Never::Samples { least }));
        assert!(Outlook::of(&margin(least - 1, m), flips(0.0), 0.8).planned.power.abs() < f64::EPSILON);
        let exact = Design { strict: true, ..margin(least, m) };
        assert!(exact.floor(1.0) > least, "the exact test asks for more");
        assert!(stats::fay_p(&all_same(exact.floor(1.0)), -m).is_some_and(|p| p < 0.05));
        assert!(stats::fay_p(&all_same(exact.floor(1.0) - 1), -m).is_some_and(|p| p >= 0.05));
    }
    assert_eq!(margin(30, 0.1).floor(1.0), 29, "below 50 samples the exact test decides");
    assert_eq!(margin(30, 0.5).floor(1.0), 10, "fewer than ten tell nothing");
}

fn all_same(n: u64) -> stats::PairTable {
    stats::PairTable { n11: n, n10: 0, n01: 0, n00: 0 }
}

#[test]
fn the_floor_of_a_recovery_is_where_its_score_test_passes_without_a_flip() {
    for canary in [1.0, 0.8, 0.5] {
        let floor = design(1000, Tolerance::Recovery(0.99)).floor(canary);
        let passes = |n: u64| {
            let right = (n as f64 * canary).round() as u64;
            let table = stats::PairTable { n11: right, n10: 0, n01: 0, n00: n - right };
            stats::ratio_ni(&table, 0.99).is_some_and(|test| test.p_score < 0.05)
        };
        // Right answers are whole, so that the floor of a share of them may be one off.
        assert!(passes(floor + 1) && !passes(floor - 2), "canary {canary}: {floor}");
    }
}

#[test]
fn a_recovery_of_a_perfect_canary_needs_about_what_its_margin_does_and_a_weak_one_far_more() {
    let recovery = |canary| {
        let expected = Expected { canary, ..flips(0.04) };
        Outlook::of(&design(1000, Tolerance::Recovery(0.99)), expected, 0.8)
    };
    let strong = recovery(0.98);
    let (Some(needed), Some(as_margin)) = (strong.needed, Outlook::of(&margin(1000, strong.margin), flips(0.04), 0.8).needed)
    else {
        panic!("some number does")
    };
    assert!(near(needed as f64, as_margin as f64, 0.03), "{needed} against {as_margin}");
    assert!(recovery(0.3).needed.is_some_and(|weak| weak > 9 * needed));
    assert!((recovery(0.3).margin - 0.003).abs() < 1e-12);
}

#[test]
fn expected_losses_cost_power_and_those_at_the_margin_leave_none() {
    let at = |loss| Outlook::of(&margin(1000, 0.02), Expected { loss, ..flips(0.04) }, 0.8);
    assert!(at(0.0).planned.power > at(0.005).planned.power && at(0.005).planned.power > at(0.01).planned.power);
    assert!(at(0.005).needed > at(0.0).needed);
    assert_eq!(at(0.02).needed, None);
    assert!(at(0.02).planned.power <= 0.055, "a pass at the margin is an error");
}

#[test]
fn samples_that_share_clusters_count_for_fewer() {
    let clusters = Clusters { count: 100, deff: 1.9, df: 99.0 };
    let shared = Design { clusters: Some(clusters), ..margin(1000, 0.02) };
    let (alone, shared) = (Outlook::of(&margin(1000, 0.02), flips(0.04), 0.8), Outlook::of(&shared, flips(0.04), 0.8));
    let (Some(alone_needs), Some(shared_needs)) = (alone.needed, shared.needed) else { panic!("some number does") };
    assert!(near(shared_needs as f64, 1.9 * alone_needs as f64, 0.03), "{shared_needs} against {alone_needs}");
    assert!(shared.planned.power < alone.planned.power && shared.floor > alone.floor);
    let swollen = Expected { deff: Some(4.0), ..flips(0.04) };
    let measured = Design { clusters: Some(clusters), ..margin(1000, 0.02) };
    assert!(Outlook::of(&measured, swollen, 0.8).needed.is_some_and(|needed| needed > 2 * shared_needs));
    let few = Design { clusters: Some(Clusters { count: 9, ..clusters }), ..margin(1000, 0.02) };
    assert_eq!(few.never(1.0), Some(Never::Clusters { least: 10 }));
    assert_eq!(Design { strict: true, ..few }.never(1.0), Some(Never::Clusters { least: 30 }));
}

#[test]
fn the_exact_test_has_less_power_than_the_score_test_and_more_with_more_samples() {
    let at = |samples, strict| {
        let planned = Outlook::of(&Design { strict, ..margin(samples, 0.05) }, flips(0.04), 0.8).planned;
        assert!(planned.exact);
        planned.power
    };
    assert!(at(150, true) < at(150, false) && at(150, false) - at(150, true) < 0.15);
    assert!(at(250, true) > at(150, true));
    let few = Outlook::of(&margin(49, 0.1), flips(0.04), 0.8).planned;
    assert!(few.exact && few.power > 0.5 && few.power < 1.0, "{few:?}");
}

#[test]
fn repeats_take_off_the_part_of_the_variance_that_is_sampling() {
    let spread = Spread { between: 0.01, canary: 0.04, variant: 0.04 };
    let at = |repeats| {
        let design = Design { numeric: true, repeats, ..margin(1000, 0.02) };
        Outlook::of(&design, Expected { spread: Some(spread), ..flips(0.2) }, 0.8).needed.expect("some number does")
    };
    assert!(near(at((1, 1)) as f64 / at((4, 4)) as f64, 0.09 / 0.03, 0.01), "{} {}", at((1, 1)), at((4, 4)));
    let numbers = Outlook::of(&Design { numeric: true, ..margin(1000, 0.02) }, flips(0.04), 0.8);
    assert!(numbers.needed.is_some() && !numbers.planned.exact);
}

#[test]
fn a_mean_over_tasks_shows_less_than_any_of_them_could() {
    let tasks: Vec<Design> = (0..4).map(|_| margin(500, 0.02)).collect();
    let with: Vec<(&Design, Expected)> = tasks.iter().map(|design| (design, flips(0.04))).collect();
    let mean =
        |tasks: &[(&Design, Expected)], m| super::mean_power(tasks, Tolerance::Margin(m), 0.05).expect("there are tasks").power;
    let alone = Outlook::of(&tasks[0], flips(0.04), 0.8).planned.power;
    assert!((mean(&with[..1], 0.02) - alone).abs() < 0.06, "{} against {alone}", mean(&with[..1], 0.02));
    assert!(mean(&with, 0.01) > mean(&with[..1], 0.01) + 0.2);
    let lossy: Vec<_> = with.iter().map(|(design, expected)| (*design, Expected { loss: 0.01, ..*expected })).collect();
    assert!(mean(&lossy, 0.01) < 0.1, "a loss of the margin hardly passes");
    assert!((super::joint(&[0.8, 0.5]) - 0.4).abs() < 1e-12);
}

#[test]
fn the_power_of_a_recovery_is_about_what_its_test_has_in_simulation() {
    let (samples, rho) = (1500, 0.98);
    let expected = Expected { canary: 0.7, ..flips(0.05) };
    let planned = Outlook::of(&design(samples, Tolerance::Recovery(rho)), expected, 0.8).planned;
    let (lost, gained) = expected.shares();
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut table = || {
        let mut table = stats::PairTable { n11: 0, n10: 0, n01: 0, n00: 0 };
        for _ in 0..samples {
            let at = f64::from(random.next_u32()) / 2.0_f64.powi(32);
            let count = match at {
                at if at < lost => &mut table.n10,
                at if at < lost + gained => &mut table.n01,
                at if at < expected.canary + gained => &mut table.n11,
                _ => &mut table.n00,
            };
            *count += 1;
        }
        table
    };
    let passed = (0..1000).filter(|_| stats::ratio_ni(&table(), rho).is_some_and(|test| test.p_score < 0.05)).count();
    let simulated = passed as f64 / 1000.0;
    assert!((0.3..0.9).contains(&simulated) && (planned.power - simulated).abs() < 0.05, "{planned:?} against {simulated}");
}
