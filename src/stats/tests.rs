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
