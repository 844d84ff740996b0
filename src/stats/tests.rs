//! Laws that hold between the functions of this room, and values from elsewhere that the vectors do not have.

use proptest::prelude::*;

use super::*;

fn table() -> impl Strategy<Value = PairTable> {
    (0..400_u64, 0..60_u64, 0..60_u64, 0..400_u64).prop_map(|(n11, n10, n01, n00)| PairTable { n11, n10, n01, n00 })
}

fn verdict_of(table: &PairTable, margin: f64) -> MarginVerdict {
    let interval = tango(table, 0.9);
    margin_verdict(interval.lower, interval.upper, margin).0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lower_limit_clears_the_margin_just_where_the_score_test_rejects(table in table(), margin in 0.001..0.3_f64) {
        prop_assume!(table.n() > 0);
        let z = normal_quantile(0.95);
        let score = ni_tests(&table, margin).expect("there are pairs").z_score;
        prop_assume!((score - z).abs() > 1e-9);
        prop_assert_eq!(tango(&table, 0.9).lower > -margin, score > z);
        prop_assert_eq!(tango(&table, 0.9).upper < -margin, score < -z);
    }

    #[test]
    fn one_more_loss_never_improves_the_verdict(table in table(), margin in 0.001..0.2_f64, from_wrong in any::<bool>()) {
        prop_assume!(table.n() > 0);
        // The same items, of which one more flips to a loss: a right one, or a gain taken back and lost.
        let worse = if from_wrong && table.n01 > 0 {
            PairTable { n01: table.n01 - 1, n10: table.n10 + 1, ..table }
        } else if table.n11 > 0 {
            PairTable { n11: table.n11 - 1, n10: table.n10 + 1, ..table }
        } else {
            table
        };
        prop_assert!(verdict_of(&worse, margin) >= verdict_of(&table, margin));
    }

    #[test]
    fn exchanging_the_subjects_mirrors_every_interval(table in table(), conf in 0.5..0.999_f64) {
        prop_assume!(table.n() > 0);
        prop_assert_eq!(tango(&table.mirrored(), conf), tango(&table, conf).mirrored());
        prop_assert_eq!(wald_diff(&table.mirrored(), conf).map(|w| w.0), wald_diff(&table, conf).map(|w| w.0.mirrored()));
        let (one, other) = (mcnemar(table.n10, table.n01), mcnemar(table.n01, table.n10));
        prop_assert_eq!((one.p_worse_exact, one.p_midp), (other.p_better_exact, other.p_midp));
    }

    #[test]
    fn intervals_hold_their_estimate_and_widen_with_confidence(table in table(), conf in 0.5..0.99_f64) {
        prop_assume!(table.n() > 0);
        let (narrow, wide) = (tango(&table, conf), tango(&table, conf + 0.005));
        prop_assert!(-1.0 <= narrow.lower && narrow.lower <= narrow.estimate && narrow.estimate <= narrow.upper);
        prop_assert!(wide.lower <= narrow.lower && narrow.upper <= wide.upper && narrow.lower < narrow.upper);
    }

    #[test]
    fn no_table_below_the_design_floor_passes(margin in 0.005..0.2_f64, alpha in 0.01..0.1_f64) {
        let floor = ni_floor(margin, alpha).tango;
        let lower = |n: u64| tango(&PairTable::of_flips(0, 0, n), 1.0 - 2.0 * alpha).lower;
        prop_assert!(lower(floor) > -margin && lower(floor - 1) <= -margin);
    }

    #[test]
    fn no_count_and_no_float_makes_a_function_panic(
        a in any::<u64>(), b in any::<u64>(), n in any::<u64>(), x in any::<f64>(), y in any::<f64>(), z in any::<f64>(),
    ) {
        let table = PairTable { n11: n, n10: a, n01: b, n00: n };
        let _ = (tango(&table, x), tango_score(&table, x), rmle_loss(&table, x), wald_diff(&table, x), newcombe10(&table, x));
        let _ = (agresti_min(&table, x), bonett_price(&table, x), tost_tango(&table, x), tango_effective(&table, x, y));
        let _ = (wilson(a, n, x), margin_verdict(x, y, z), ni_floor(x, y), ni_sample_size(x, y, z, x, y));
        let _ = (power_mcnemar(x, y, z, x, 1), mde_mcnemar(n, x, y, z, 2), chi_squared_sf(x, 1.0), quantile(&[x, y, z], x));
        let _ = (normal_cdf(x), normal_quantile(x), holm(&[x, y, z]), adjust(&[x, y, z]), deff_by_design(&[a, b, n], x));
        let _ = (cluster_mean(&[x, y, z], &[a, b, n], x), tango_cluster(&[(n, a, b), (a, b, n)], x, y));
        let _ = (mover_macro(&[table, table], x), dirichlet_ni(&PairTable::of_flips(a % 99, b % 99, n % 999), x, y));
        let _ = (ratio_score(&table, x), ratio_wald_log(&table, x), ratio_bonett_price(&table, x), ratio_ni(&table, x));
        let _ = (paired_t(&[x, y], &[y, z], x, y), fieller(&[x, y], &[y, z], z), log_ratio_delta(&[x, y], &[y, z], z));
        let _ = (log_ratio_latency(&[x, y], &[y, z], z), quantile_ci(&[x, y, z], x.fract().abs(), y));
        let _ = (epochs(&[vec![x], vec![y]], &[vec![z, x], vec![y]], x), run_overdispersion(&[vec![x, y], vec![z, x]]));
        let _ = (aa_excess(&[vec![x, y], vec![z, z]], &[vec![y], vec![x]]), mcnemar_evalue(a % 9999, b % 9999, x));
        let _ = (ni_power(n % 200, x.fract(), y.fract(), z.fract(), 0.05), pass_at_k(n % 5000, a % 5000, b % 5000));
        let _ = kld_stats(TokenColumns { nll_variant: &[x], nll_canary: &[y], kld: &[z], delta_p: &[x], documents: &[] });
    }

    #[test]
    fn lower_ratio_limit_clears_a_recovery_just_where_its_score_test_rejects(table in table(), rho0 in 0.7..1.1_f64) {
        prop_assume!(table.n() > 1 && table.n11 > 0);
        let (z, score) = (normal_quantile(0.95), ratio_ni(&table, rho0).expect("in the domain").z_score);
        prop_assume!((score - z).abs() > 1e-9);
        prop_assert_eq!(ratio_score(&table, 0.9).expect("in the domain").lower > rho0, score > z);
    }

    #[test]
    fn p_values_of_small_tables_stay_probabilities(a in 0..40_u64, b in 0..40_u64, more in 0..40_u64, x in -2.0..2.0_f64) {
        let table = PairTable::of_flips(a, b, a + b + more);
        let one = mcnemar(a, b);
        let exact = ni_tests(&table, x).map_or(0.5, |t| t.p_exact_fay);
        for p in [one.p_exact, one.p_midp, one.p_asym, one.p_cc, one.p_worse_midp, one.p_better_midp, exact] {
            prop_assert!((0.0..=1.0).contains(&p), "{p}");
        }
    }

    #[test]
    fn quantile_functions_invert_their_distribution_functions(p in 1e-9..1.0_f64, a in 0.3..500.0_f64, b in 0.3..500.0_f64) {
        prop_assume!(p < 1.0 - 1e-9);
        let back = beta_cdf(beta_quantile(p, a, b).expect("in the domain"), a, b).expect("in the domain");
        prop_assert!((back - p).abs() < 1e-9 * p.min(1.0 - p).max(1e-6), "{back} {p}");
        let back = 1.0 - t_sf(t_quantile(p, a).expect("in the domain"), a).expect("in the domain");
        prop_assert!((back - p).abs() < 1e-11, "{back} {p}");
        prop_assert!((normal_cdf(normal_quantile(p)) - p).abs() < 1e-13 * p);
    }

    #[test]
    fn order_of_a_family_does_not_change_its_adjusted_values(mut p in prop::collection::vec(0.0..1.0_f64, 1..12)) {
        let sorted = |mut v: Vec<f64>| { v.sort_by(f64::total_cmp); v };
        let before = adjust(&p);
        p.reverse();
        let after = adjust(&p);
        prop_assert_eq!(sorted(before.holm.clone()), sorted(after.holm));
        prop_assert_eq!(sorted(before.hommel.clone()), sorted(after.hommel));
        for (strict, loose) in [(&before.bonferroni, &before.holm), (&before.holm, &before.hochberg), (&before.hochberg, &before.hommel)] {
            prop_assert!(strict.iter().zip(loose).all(|(s, l)| *l <= s + 1e-12));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn exact_interval_holds_the_exact_test(table in table(), margin in 0.001..0.3_f64) {
        prop_assume!(table.n() > 0);
        let p = fay_p(&table, -margin).expect("in the domain");
        prop_assume!((p - 0.05).abs() > 1e-6);
        prop_assert_eq!(fay_diff(&table, 0.9).expect("in the domain").lower > -margin, p < 0.05);
        prop_assert_eq!(fay_diff(&table.mirrored(), 0.9), fay_diff(&table, 0.9).map(Interval::mirrored));
    }
}

#[test]
fn nothing_observed_is_inconclusive() {
    assert_eq!(verdict_of(&PairTable::default(), 0.01), MarginVerdict::Inconclusive);
    assert_eq!(ni_tests(&PairTable::default(), 0.01), None);
    assert_eq!(wilson(0, 0, 0.95), Interval { estimate: 0.5, lower: 0.0, upper: 1.0 });
    assert_eq!(margin_verdict(f64::NAN, 0.1, 0.01), (MarginVerdict::Inconclusive, None));
}

#[test]
fn lower_limit_on_the_margin_is_not_a_pass() {
    assert_eq!(margin_verdict(-0.01, 0.0, 0.01).0, MarginVerdict::Inconclusive);
    assert_eq!(margin_verdict(-0.05, -0.01, 0.01).0, MarginVerdict::Inconclusive);
}

#[test]
fn missing_p_value_counts_as_one_and_stays_in_the_family() {
    assert_eq!(holm(&[0.01, f64::NAN, 0.02]), [0.03, 1.0, 0.04]);
    assert_eq!(holm(&[]), Vec::<f64>::new());
}

/// Reference values: mpmath 1.3 with 40 digits.
#[test]
fn distributions_are_exact_where_statrs_is_not() {
    let close = |got: f64, want: f64, rel: f64| assert!((got - want).abs() <= rel * want.abs(), "got {got:e}, want {want:e}");
    close(normal_cdf(-8.0), 6.220_960_574_271_784e-16, 1e-13);
    close(normal_cdf(-1.0), 0.158_655_253_931_457_05, 1e-14);
    close(normal_cdf(-1.42), 0.077_803_840_526_546_41, 1e-14);
    close(normal_cdf(-2.815), 0.002_438_861_694_631_486, 1e-13);
    close(normal_cdf(-2.9), 0.001_865_813_300_384_037_8, 1e-13);
    close(t_quantile(0.975, 1e5).expect("in the domain"), 1.959_987_707_534_609_6, 1e-13);
    close(beta_quantile(1e-6, 0.5, 1000.5).expect("in the domain"), 7.852_018_384_068_364e-16, 1e-12);
    close(beta_cdf(0.499, 1e5, 1e5).expect("in the domain"), 0.185_546_8, 1e-6);
    close(beta_quantile(0.5, 1.0, 1.0).expect("in the domain"), 0.5, 1e-15);
    assert_eq!(beta_quantile(1e-300, 0.01, 5.0), Some(0.0), "a tail below the smallest number ends, and ends at 0");
}

#[test]
fn exact_p_agrees_with_an_integral_over_the_other_variable() {
    // 0.3815253870154060 by scipy's quad both over T and over B, whose integrands differ.
    let got = fail_tests(&PairTable::of_flips(5, 0, 50), 0.05).expect("there are pairs").p_exact_fay;
    assert!((got - 0.381_525_387_015_406).abs() < 1e-13, "{got}");
}

#[test]
fn single_cluster_has_no_standard_error() {
    let of = cluster_mean(&[0.0, 1.0, 0.0], &[7, 7, 7], 0.95).expect("there are values");
    assert_eq!((of.se_cr1, of.se_cr2, of.ci_cr2), (None, None, None));
}

#[test]
fn quantile_interpolates_between_neighbours() {
    assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), Some(3.0));
    assert_eq!(quantile(&[1.0, 2.0, 4.0], 1.0), Some(4.0));
    assert_eq!(quantile(&[], 0.5), None);
}

#[test]
fn few_tokens_have_no_uncertainty_and_lists_must_match() {
    let column = [1.0, 2.0];
    let tokens = TokenColumns { nll_variant: &column, nll_canary: &column, kld: &column, delta_p: &column, documents: &[] };
    let of = kld_stats(tokens).expect("the lists agree");
    assert_eq!((of.ppl_ratio, of.mean_kld_unc, of.by_document), (1.0, 0.0, None));
    assert_eq!(kld_stats(TokenColumns { kld: &column[..1], ..tokens }), None);
}

fn differences() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((-20..=20_i32).prop_map(|d| f64::from(d) / 20.0), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn betting_bounds_depend_on_the_counts_alone_and_mirror(mut d in differences(), alpha in 0.01..0.2_f64) {
        let of = betting_interval(&d, 1.0, alpha, 20).expect("in the domain");
        prop_assert!(-1.0 <= of.lower && of.lower <= of.estimate && of.estimate <= of.upper && of.upper <= 1.0);
        d.reverse();
        let reversed = betting_interval(&d, 1.0, alpha, 20).expect("in the domain");
        prop_assert_eq!((of.lower, of.upper), (reversed.lower, reversed.upper));
        let negated: Vec<f64> = d.iter().map(|d| -d).collect();
        let mirror = betting_interval(&negated, 1.0, alpha, 20).expect("in the domain").mirrored();
        prop_assert!((mirror.lower - of.lower).abs() < 1e-9 && (mirror.upper - of.upper).abs() < 1e-9);
    }

    #[test]
    fn betting_bound_of_counts_is_that_of_the_list(b in 0..30_u64, c in 0..30_u64, more in 0..200_u64) {
        let mut list = vec![-1.0; b as usize];
        list.extend(vec![1.0; c as usize]);
        list.extend(vec![0.0; more as usize]);
        let counted = betting_counts(&PairTable::of_flips(b, c, b + c + more), 0.05, 20).expect("in the domain");
        let listed = betting_interval(&list, 1.0, 0.05, 20).expect("in the domain");
        prop_assert!((counted.lower - listed.lower).abs() < 1e-12 && (counted.upper - listed.upper).abs() < 1e-12);
    }

    #[test]
    fn wealth_reaches_its_threshold_just_where_the_bound_clears_the_margin(d in differences(), margin in 0.01..0.5_f64) {
        let mut bets = Betting::about_margin(20, margin, 1.0).expect("in the domain");
        prop_assert!(d.iter().all(|d| bets.push_difference(*d, 1.0)));
        let (of, least) = (betting_interval(&d, 1.0, 0.05, 20).expect("in the domain"), 20.0_f64.ln());
        prop_assume!((bets.log_pass() - least).abs() > 1e-9 && (bets.log_fail() - least).abs() > 1e-9);
        prop_assert_eq!(of.lower > -margin, bets.log_pass() > least);
        prop_assert_eq!(of.upper < -margin, bets.log_fail() > least);
    }

    #[test]
    fn bootstrap_does_not_depend_on_the_order_of_the_items(mut d in differences(), seed in any::<u64>()) {
        let how = Resampling { replicates: 200, seed, ..Resampling::default() };
        let before = bootstrap_mean(&d, &how);
        d.reverse();
        prop_assert_eq!(before, bootstrap_mean(&d, &how));
    }

    #[test]
    fn sign_flips_of_ones_are_the_exact_test_of_mcnemar(b in 0..40_u64, c in 0..40_u64, zeros in 0..5_usize) {
        let mut list = vec![-1.0; b as usize];
        list.extend(vec![1.0; c as usize]);
        list.extend(vec![0.0; zeros]);
        let (of, exact) = (signflip_exact(&list).expect("whole numbers are counted"), mcnemar(b, c));
        prop_assert!((of.p_worse - exact.p_worse_exact).abs() < 1e-12 && (of.p_better - exact.p_better_exact).abs() < 1e-12);
        prop_assert!((of.p_two_sided - exact.p_exact).abs() < 1e-12);
    }

    #[test]
    fn boundaries_spend_their_error_rate_and_no_more(
        steps in prop::collection::vec(0.02..1.0_f64, 1..6), alpha in 0.005..0.2_f64,
    ) {
        let all: f64 = steps.iter().sum();
        let mut reached = 0.0;
        let fractions: Vec<f64> = steps.iter().map(|step| { reached += step / all; reached }).collect();
        for kind in [Boundary::Pocock, Boundary::ObrienFleming, Boundary::LanDemetsObf, Boundary::LanDemetsPocock] {
            let of = group_sequential(&fractions, alpha, kind).expect("in the domain");
            prop_assert!((of.spent().last().expect("a look") - alpha).abs() < 1e-9);
            prop_assert!(of.bounds().iter().all(|bound| *bound >= normal_quantile(1.0 - alpha) - 1e-9));
        }
    }

    #[test]
    fn one_more_loss_at_the_last_look_never_improves_a_sequential_verdict(b in 0..40_u64, c in 0..40_u64, margin in 0.005..0.1_f64) {
        let verdict = |b: u64| {
            let looks = [PairTable::of_flips(b / 2, c / 2, 300), PairTable::of_flips(b, c, 600)];
            sequential_verdict(&looks, &[0.5, 1.0], margin, 0.05, 0.05).expect("in the domain").verdict
        };
        prop_assert!(verdict(b + 2) >= verdict(b));
    }

    #[test]
    fn no_number_makes_a_later_function_panic_or_answer_nan(
        a in any::<u64>(), b in any::<u64>(), n in any::<u64>(), x in any::<f64>(), y in any::<f64>(), z in any::<f64>(), w in -1.0..1.0_f64,
    ) {
        let how = Resampling { replicates: 50, conf: x, seed: a, stream: b };
        let table = PairTable { n11: n, n10: a, n01: b, n00: n };
        let values = [x, y, z, w, 0.0, 1.0];
        let limits = [
            betting_interval(&[w, -w, 0.5], 1.0, 0.05, 20), betting_interval(&values, x, y, 20), betting_counts(&table, 0.05, 20),
            betting_counts(&table, x, 3), cluster_bootstrap_t(&[(x, y), (y, z), (z, x)], &how),
            hl_paired(&[w, 0.3, 0.1], x).map(|of| of.interval),
        ];
        for of in limits.into_iter().flatten().filter(|of| of.estimate.is_finite()) {
            prop_assert!(!of.lower.is_nan() && !of.upper.is_nan(), "{of:?}");
        }
        let _ = (hgkelly_case(&values, x, y, 5, &[3, 6]), hgkelly_wor(&values, n, x, 7), hedged_cs(&values, x, 50));
        let _ = (bootstrap_mean(&values, &how), cluster_bootstrap(&[(x, y), (y, z)], &how), quantile_ratio(&values, &values, w, 2, &how));
        let _ = (bca_from_replicates(x, &values, Some(y), z), exhaustive_bootstrap_mean(&values[..4], x));
        let _ = (signflip(&values, &how), cluster_signflip(&values, &[1, 1, 2, 2, 3, 3], &how), hl_paired(&values, x));
        let _ = (wilcoxon(&values, Zeros::Pratt), mann_whitney(&values, &[x, w]), cuped(&values, &[w, x, y, z, 1.0, 2.0], x, y));
        let _ = (neyman(a, &[(b, w.abs()), (n, 0.0), (7, x)]), neyman(a, &[(b, w.abs()), (n, 0.0)]));
        let _ = (clustered_mcnemar(&[table, PairTable::of_flips(1, 2, 3), table.mirrored()]), obf_spending(x, y));
        let _ = (GroupSequential::new(&[x, y, z], w), GroupSequential::new(&[0.3, x], 0.05));
        let _ = (sequential_verdict(&[table, table], &[0.4, 0.9], w, 0.05, 0.01), Betting::new(20, x).map(|mut bets| bets.push(y)));
    }
}

#[test]
fn looks_at_other_fractions_than_planned_still_spend_at_most_the_error_rate() {
    let planned = GroupSequential::new(&[0.25, 0.5, 0.75, 1.0], 0.05).expect("in the domain");
    let early = GroupSequential::new(&[0.2, 0.5, 0.75, 0.97], 0.05).expect("in the domain");
    assert!(early.bounds()[0] > planned.bounds()[0] && early.spent()[3] < 0.05);
    let closing = GroupSequential::closing(&[0.2, 0.5, 0.75, 0.97], 0.05).expect("in the domain");
    assert_eq!(closing.spent().last(), Some(&0.05));
    assert!(closing.bounds()[3] < early.bounds()[3]);
    assert_eq!(GroupSequential::new(&[0.5, 0.5], 0.05), None);
    assert_eq!(GroupSequential::new(&[], 0.05), None);
}

#[test]
fn looks_that_may_spend_nothing_observable_have_an_infinite_boundary() {
    let of = GroupSequential::new(&[0.001, 1.0], 0.05).expect("in the domain");
    assert!(of.bounds()[0].is_infinite());
    assert!((of.bounds()[1] - normal_quantile(0.95)).abs() < 1e-9);
}

#[test]
fn bound_of_many_different_values_is_that_of_their_counts() {
    // Just below and just above the number of values from which they are multiplied instead of counted.
    let list = |n: u32| (0..n).map(|i| (f64::from(i) * 0.754_877_666_2).fract() - 0.45).collect::<Vec<f64>>();
    let (few, many) = (list(4000), list(40_000));
    let repeated: Vec<f64> = few.iter().flat_map(|v| [*v; 10]).collect();
    let (listed, counted) = (betting_interval(&many, 1.0, 0.05, 20), betting_interval(&repeated, 1.0, 0.05, 20));
    let (listed, counted) = (listed.expect("in the domain"), counted.expect("in the domain"));
    assert!((listed.lower - counted.lower).abs() < 2e-4 && (listed.upper - counted.upper).abs() < 2e-4, "{listed:?} {counted:?}");
}

#[test]
fn all_zero_differences_are_bounded_between_the_rule_of_three_and_its_share_of_the_grid() {
    let of = betting_counts(&PairTable::of_flips(0, 0, 150), 0.05, 20).expect("in the domain");
    let (least, most) = (20.0_f64.ln() / 150.0, (20.0_f64.ln() + 20.0_f64.ln()) / 150.0);
    assert!(least < of.upper && of.upper < most && (of.upper - 0.030).abs() < 5e-4, "{of:?}");
    assert_eq!(betting_interval(&[], 1.0, 0.05, 20).map(|of| (of.lower, of.upper)), Some((-1.0, 1.0)));
    assert_eq!(betting_interval(&[1.5], 1.0, 0.05, 20), None);
}

#[test]
fn drawn_sign_flips_agree_with_counted_ones() {
    let d: Vec<f64> = (0..36).map(|i| (f64::from(i) * 0.618_033_988_7).fract() - 0.42).collect();
    let counted = signflip_exact(&d).expect("few values are enumerated");
    let more: Vec<f64> = d.iter().copied().chain([1e-9, -1.3e-9, 1.7e-9, -1.1e-9, 1.9e-9]).collect();
    let drawn = signflip(&more, &Resampling::default()).expect("finite values");
    assert!(counted.exact && !drawn.exact);
    assert!((counted.p_better - drawn.p_better).abs() < 0.012, "{counted:?} {drawn:?}");
}

#[test]
fn bootstrap_t_of_equal_clusters_is_near_their_t_interval() {
    let clusters: Vec<(f64, f64)> = (0..200).map(|i| ((f64::from(i) * 0.618_033_988_7).fract() * 50.0, 50.0)).collect();
    let of = cluster_bootstrap_t(&clusters, &Resampling::default()).expect("clusters vary");
    let values: Vec<f64> = clusters.iter().map(|(sum, size)| sum / size).collect();
    let by_t = cluster_mean(&values, &(0..200).collect::<Vec<u32>>(), 0.9)
        .and_then(|mean| mean.interval(0.9))
        .expect("several clusters");
    assert!((of.lower - by_t.lower).abs() < 2e-3 && (of.upper - by_t.upper).abs() < 2e-3, "{of:?} {by_t:?}");
    let bca = cluster_bootstrap(&clusters, &Resampling::default()).and_then(|of| of.bca).expect("clusters vary");
    assert!((bca.lower - by_t.lower).abs() < 2e-3 && (bca.upper - by_t.upper).abs() < 2e-3, "{bca:?} {by_t:?}");
}

#[test]
fn ratio_of_quantiles_of_proportional_times_has_no_spread() {
    let a: Vec<f64> = (1..=60).map(|i| 10.0 + (f64::from(i) * 0.37).fract()).collect();
    let b: Vec<f64> = a.iter().map(|t| 1.5 * t).collect();
    for block in [1, 5] {
        let of =
            quantile_ratio(&a, &b, 0.9, block, &Resampling { replicates: 300, ..Resampling::default() }).expect("in the domain");
        assert!(
            (of.estimate - 1.5).abs() < 1e-12 && (of.percentile.0 - 1.5).abs() < 1e-9 && (of.percentile.1 - 1.5).abs() < 1e-9
        );
    }
    assert_eq!(quantile_ratio(&a, &b, 0.9, 40, &Resampling::default()), None);
}

#[test]
fn flips_of_few_clusters_cannot_be_significant() {
    let of = cluster_signflip(&[1.0, 1.0, 1.0, 1.0], &["a", "a", "b", "b"], &Resampling::default()).expect("finite values");
    assert_eq!((of.p_better, of.exact), (0.25, true));
}

#[test]
fn limits_without_a_flip_have_their_closed_form_at_every_n() {
    for n in [1, 2, 3, 5, 10, 100, 10_000_000] {
        let z2 = normal_quantile(0.95).powi(2);
        let of = tango(&PairTable::of_flips(0, 0, n), 0.9);
        assert!((of.upper - z2 / (n as f64 + z2)).abs() < 1e-14 && (of.lower + of.upper).abs() < 1e-15, "{n} {of:?}");
        let lost = tango(&PairTable::of_flips(n, 0, n), 0.9);
        assert!(lost.lower <= -1.0 && lost.upper > -1.0, "{n} {lost:?}");
    }
}

#[test]
fn a_variant_without_a_right_answer_has_a_ratio_with_an_upper_limit() {
    // Of x right answers of the canary none was kept: T(φ) = −√(xφ).
    for right in [1_u64, 5, 400] {
        let table = PairTable { n11: 0, n10: right, n01: 0, n00: 3 };
        let upper = ratio_score(&table, 0.9).expect("the canary was right").upper;
        assert!((upper - z_of(0.9).powi(2) / right as f64).abs() < 1e-9, "{right}: {upper}");
    }
}

#[test]
fn one_task_has_no_variation_between_tasks() {
    let task = TaskEffect { delta: -0.0232, se: 0.009, df: 1673.0, n: 1674, n10: 30, n01: 33 };
    let of = pooled(&[task], 0.95).expect("it is proper");
    assert!(of.i2.abs() < 1e-12 && of.tau2_dl.abs() < 1e-12, "{} {}", of.i2, of.tau2_dl);
}
