//! Intervals, tests against a margin, planning, groups and ratios by their vectors' names.

use quantgate::stats::{self, Interval, MarginVerdict, PairTable};
use serde_json::{Value, json};

use super::input::*;

pub(super) fn proportions(name: &str, input: &Input<'_>) -> Option<Value> {
    let one = |of: fn(u64, u64, f64) -> Interval| limits(of(input.count("x"), input.count("n"), input.real("conf")));
    Some(match name {
        "wilson" => one(stats::wilson),
        "clopper_pearson" => one(stats::clopper_pearson),
        "midp_binom" => one(stats::midp_binom),
        "jeffreys" => one(stats::jeffreys),
        "tango_diff" => interval(stats::tango(&input.table(), input.real("conf"))),
        "tango_diff_effective" => interval(stats::tango_effective(&input.flips(), input.real("deff"), input.real("conf"))),
        "agresti_min" => some_interval(stats::agresti_min(&input.table(), input.real("conf"))),
        "bonett_price" => some_interval(stats::bonett_price(&input.table(), input.real("conf"))),
        "fay_diff" => some_interval(stats::fay_diff(&input.table(), input.real("conf"))),
        "wald_diff" => {
            let Some((of, se)) = stats::wald_diff(&input.table(), input.real("conf")) else { return Some(Value::Null) };
            with(interval(of), &json!({ "se": se }))
        }
        "newcombe10" => {
            let Some(of) = stats::newcombe10(&input.table(), input.real("conf")) else { return Some(Value::Null) };
            with(interval(of.interval), &json!({ "phi_c": of.phi_c }))
        }
        "mcnemar" => {
            let of = stats::mcnemar(input.count("n10"), input.count("n01"));
            json!({
                "chi2": of.chi2, "p_asym": of.p_asym, "chi2_cc": of.chi2_cc, "p_cc": of.p_cc, "p_exact": of.p_exact,
                "p_midp": of.p_midp, "p_worse_exact": of.p_worse_exact, "p_worse_midp": of.p_worse_midp,
                "p_better_exact": of.p_better_exact, "p_better_midp": of.p_better_midp,
            })
        }
        "discordant_effects" => {
            let of = stats::discordant_effects(input.count("n10"), input.count("n01"), input.real("conf"));
            json!({
                "odds_ratio": optional(of.odds_ratio), "cohen_g": optional(of.cohen_g), "exact": pair(Some(of.exact)),
                "midp": pair(Some(of.midp)), "wilson": pair(Some(of.wilson)),
            })
        }
        _ => return None,
    })
}

pub(super) fn word(verdict: MarginVerdict) -> &'static str {
    match verdict {
        MarginVerdict::Pass => "PASS",
        MarginVerdict::Fail => "FAIL",
        MarginVerdict::Inconclusive => "INCONCLUSIVE",
    }
}

pub(super) fn margins(name: &str, input: &Input<'_>) -> Option<Value> {
    Some(match name {
        "ni_tests" => {
            let Some(of) = stats::ni_tests(&input.flips(), input.real("margin")) else { return Some(Value::Null) };
            json!({
                "estimate": of.estimate, "z_score": number(of.z_score), "p_score": of.p_score,
                "rmle_q_loss": of.rmle_q_loss, "z_wald": optional(of.z_wald), "p_wald": optional(of.p_wald),
                "p_exact_fay": of.p_exact_fay,
            })
        }
        "fail_tests" => {
            let Some(of) = stats::fail_tests(&input.flips(), input.real("margin")) else { return Some(Value::Null) };
            json!({ "z_score": number(of.z_score), "p_score": of.p_score, "p_exact_fay": of.p_exact_fay })
        }
        "tost_tango" => {
            let Some(of) = stats::tost_tango(&input.flips(), input.real("margin")) else { return Some(Value::Null) };
            json!({ "p_lower": of.p_lower, "p_upper": of.p_upper, "p_tost": of.p_tost })
        }
        "verdict" => {
            let (verdict, note) = stats::margin_verdict(input.real("lower"), input.real("upper"), input.real("margin"));
            // A verdict that the missing halves flip is one of several that do not agree.
            let flips = input.0.get("missing_flips").is_some_and(|v| v == true);
            let other = if verdict == MarginVerdict::Fail { MarginVerdict::Pass } else { MarginVerdict::Fail };
            let verdict = if flips { stats::agreed(&[verdict, other]) } else { verdict };
            json!({ "verdict": word(verdict), "note": note.filter(|_| !flips) })
        }
        "ni_floor" => {
            let of = stats::ni_floor(input.real("margin"), input.real("alpha"));
            json!({ "n_tango": of.tango, "n_exact": of.exact })
        }
        "pair_counts" => {
            let of = stats::pair_counts(&input.halves("canary"), &input.halves("variant"));
            let (table, halves) = (of.table, of.halves);
            json!({
                "n11": table.n11, "n10": table.n10, "n01": table.n01, "n00": table.n00, "n": table.n(),
                "a_right_b_missing": halves.a_right_b_missing, "a_wrong_b_missing": halves.a_wrong_b_missing,
                "a_missing_b_right": halves.a_missing_b_right, "a_missing_b_wrong": halves.a_missing_b_wrong,
                "both_missing": halves.both_missing, "invalid": of.invalid,
            })
        }
        "missing_bounds" => {
            let halves = stats::Halves {
                a_right_b_missing: input.count("a_right_b_missing"),
                a_wrong_b_missing: input.count("a_wrong_b_missing"),
                a_missing_b_right: input.count("a_missing_b_right"),
                a_missing_b_wrong: input.count("a_missing_b_wrong"),
                both_missing: input.count("both_missing"),
            };
            let of = stats::missing_bounds(&input.table(), &halves, input.real("margin"), input.real("conf"));
            let three = |i: Interval| json!([i.estimate, i.lower, i.upper]);
            json!({
                "complete": three(of.complete), "worst": three(of.worst), "best": three(of.best),
                "verdict_complete": word(of.verdict_complete), "verdict_robust": word(of.verdict_robust),
                "missing_rate": of.missing_rate,
            })
        }
        _ => return None,
    })
}

pub(super) fn planning(name: &str, input: &Input<'_>) -> Option<Value> {
    let rates = || (input.real("p10"), input.real("p01"), input.real("alpha"), input.real("power"));
    let sides = || u8::try_from(input.count("sides")).expect("1 or 2");
    Some(match name {
        "ni_sample_size" => {
            let (p10, p01, alpha, power) = rates();
            let Some(of) = stats::ni_sample_size(p10, p01, input.real("margin"), alpha, power) else { return Some(Value::Null) };
            json!({
                "n_rmle": of.n_rmle, "n_rmle_ceil": of.pairs(), "n_wald": of.n_wald, "n_wald_ceil": of.n_wald.ceil(),
            })
        }
        "power_mcnemar" => {
            let (p10, p01, alpha, power) = rates();
            let Some(of) = stats::power_mcnemar(p10, p01, alpha, power, sides()) else { return Some(Value::Null) };
            json!({
                "n_connor": of.n_connor, "n_connor_ceil": of.n_connor.ceil(),
                "n_miettinen": of.n_miettinen, "n_miettinen_ceil": of.n_miettinen.ceil(),
            })
        }
        "mde_mcnemar" => {
            let (n, psi, alpha) = (input.count("n"), input.real("psi"), input.real("alpha"));
            let Some(of) = stats::mde_mcnemar(n, psi, alpha, input.real("power"), sides()) else { return Some(Value::Null) };
            json!({ "mde": optional(of.mde), "mde_crude": of.mde_crude })
        }
        "quantiles" => {
            let (p, a, b) = (input.real("p"), input.real("a"), input.real("b"));
            json!({ "value": optional(match input.0["dist"].as_str().expect("a name") {
                "norm_ppf" => Some(stats::normal_quantile(p)),
                "norm_cdf" => Some(stats::normal_cdf(p)),
                "t_ppf" => stats::t_quantile(p, a),
                "t_sf" => stats::t_sf(p, a),
                "beta_ppf" => stats::beta_quantile(p, a, b),
                "beta_cdf" => stats::beta_cdf(p, a, b),
                "chi2_sf" => stats::chi_squared_sf(p, a),
                "binom_half_cdf" => Some(stats::binomial_cdf(p as u64, a as u64, 0.5)),
                other => panic!("unknown distribution {other}"),
            }) })
        }
        "adjust" => {
            let of = stats::adjust(&input.reals("p"));
            json!({
                "bonferroni": of.bonferroni, "holm": of.holm, "hochberg": of.hochberg, "hommel": of.hommel, "bh": of.bh,
                "by": of.by, "iut_max_p": of.iut_max_p, "simes": of.simes,
            })
        }
        _ => return None,
    })
}

pub(super) fn groups(name: &str, input: &Input<'_>) -> Option<Value> {
    let tasks = || input.list("tasks").iter().map(|task| task.as_object().expect("a task"));
    Some(match name {
        "cluster_mean" => {
            let labels: Vec<String> = input.list("clusters").iter().map(Value::to_string).collect();
            let Some(of) = stats::cluster_mean(&input.reals("values"), &labels, input.real("conf")) else {
                return Some(Value::Null);
            };
            json!({
                "mean": of.mean, "G": of.clusters, "n": of.items, "se_iid": optional(of.se_iid), "se_cr0": of.se_cr0,
                "se_cr1": optional(of.se_cr1), "se_cr2": optional(of.se_cr2), "se_cr3": optional(of.se_cr3),
                "df_cr1": optional(of.df_cr1), "df_satt": optional(of.df_satt), "deff": optional(of.deff),
                "ci_cr1": pair(of.ci_cr1), "ci_cr2": pair(of.ci_cr2),
            })
        }
        "tango_cluster" => {
            let (n, b, c) = (input.counts("n"), input.counts("n10"), input.counts("n01"));
            let clusters: Vec<_> = n.into_iter().zip(b.into_iter().zip(c)).map(|(n, (b, c))| (n, b, c)).collect();
            let Some(of) = stats::tango_cluster(&clusters, input.real("margin"), input.real("conf")) else {
                return Some(Value::Null);
            };
            json!({
                "estimate": of.estimate, "deff": optional(of.deff), "df": optional(of.df), "z_ni": optional(of.z_ni),
                "p_ni": optional(of.p_ni), "lower": optional(of.limits.map(|l| l.0)), "upper": optional(of.limits.map(|l| l.1)),
            })
        }
        "kld_stats" => kld(input),
        "mover_macro" => {
            let tables: Vec<PairTable> = tasks().map(|task| Input(task).flips()).collect();
            some_interval(stats::mover_macro(&tables, input.real("conf")))
        }
        "pooled" => {
            let effect = |task: Input<'_>| stats::TaskEffect {
                delta: task.real("delta"),
                se: task.real("se"),
                df: task.real("df"),
                n: task.count("n"),
                n10: task.count("n10"),
                n01: task.count("n01"),
            };
            let effects: Vec<_> = tasks().map(|task| effect(Input(task))).collect();
            let Some(of) = stats::pooled(&effects, input.real("conf")) else { return Some(Value::Null) };
            json!({
                "macro": of.macro_mean, "macro_se": of.macro_se, "macro_df": of.macro_df, "macro_ci": pair(Some(of.macro_ci)),
                "micro": of.micro_mean, "micro_se": of.micro_se, "micro_ci": pair(Some(of.micro_ci)),
                "strat_mcnemar_z": optional(of.strat_mcnemar_z), "fixed": of.fixed, "fixed_se": of.fixed_se, "Q": of.q,
                "I2": of.i2, "tau2_dl": of.tau2_dl, "random": of.random, "random_se": of.random_se,
            })
        }
        _ => return None,
    })
}

pub(super) fn ratios(name: &str, input: &Input<'_>) -> Option<Value> {
    let sides = || (input.reals("a"), input.reals("b"), input.real("conf"));
    let undefined = || Some(Value::Null);
    Some(match name {
        "ratio_score" => some_interval(stats::ratio_score(&input.table(), input.real("conf"))),
        "ratio_bonett_price" => some_interval(stats::ratio_bonett_price(&input.table(), input.real("conf"))),
        "ratio_wald_log" => {
            let Some((of, se)) = stats::ratio_wald_log(&input.table(), input.real("conf")) else { return undefined() };
            with(interval(of), &json!({ "se_log": number(se) }))
        }
        "ratio_ni" => {
            let Some(of) = stats::ratio_ni(&input.table(), input.real("rho0")) else { return undefined() };
            json!({
                "z_score": number(of.z_score), "p_score": of.p_score, "contrast_mean": of.contrast_mean,
                "contrast_se": of.contrast_se, "z_contrast": optional(of.z_contrast), "p_contrast": optional(of.p_contrast),
            })
        }
        "fieller" => {
            let (a, b, conf) = sides();
            let Some(of) = stats::fieller(&a, &b, conf) else { return undefined() };
            let (lower, upper) = (of.limits.map(|l| l.0), of.limits.map(|l| l.1));
            json!({ "estimate": of.estimate, "g": of.g, "lower": optional(lower), "upper": optional(upper) })
        }
        "log_ratio_delta" => {
            let (a, b, conf) = sides();
            let Some((of, se)) = stats::log_ratio_delta(&a, &b, conf) else { return undefined() };
            with(interval(of), &json!({ "se_log": se }))
        }
        "log_ratio_latency" => {
            let (a, b, conf) = sides();
            let Some(of) = stats::log_ratio_latency(&a, &b, conf) else { return undefined() };
            json!({ "ratio": of.estimate, "lower": of.lower, "upper": of.upper })
        }
        "paired_t" => {
            let (a, b, conf) = sides();
            let Some(of) = stats::paired_t(&a, &b, input.real("margin"), conf) else { return undefined() };
            json!({
                "mean": of.interval.estimate, "lower": of.interval.lower, "upper": of.interval.upper, "se": of.se,
                "df": of.df, "t_ni": optional(of.t_ni), "p_ni": optional(of.p_ni),
                "p_two_sided_zero": optional(of.p_two_sided_zero),
            })
        }
        _ => return None,
    })
}

pub(super) fn repeats(name: &str, input: &Input<'_>) -> Option<Value> {
    let lists = |key: &str| -> Vec<Vec<f64>> {
        input.list(key).iter().map(|row| row.as_array().expect("a list").iter().map(real).collect()).collect()
    };
    let labels = |key: &str| -> Vec<Vec<String>> {
        input.list(key).iter().map(|row| row.as_array().expect("a list").iter().map(Value::to_string).collect()).collect()
    };
    let undefined = || Some(Value::Null);
    Some(match name {
        "epochs" => {
            let Some(of) = stats::epochs(&lists("canary"), &lists("variant"), input.real("conf")) else { return undefined() };
            json!({
                "mean_a": of.mean_a, "mean_b": of.mean_b, "delta": of.interval.estimate, "se": of.se,
                "lower": of.interval.lower, "upper": of.interval.upper, "var_total": of.var_total,
                "var_sampling": optional(of.var_sampling), "var_between": optional(of.var_between),
            })
        }
        "aa_excess" => {
            let Some(of) = stats::aa_excess(&labels("canary_runs"), &labels("variant_runs")) else { return undefined() };
            json!({
                "flip_ab": of.flip_ab, "flip_aa": of.flip_aa, "flip_bb": optional(of.flip_bb), "excess": of.excess,
                "se": of.se, "z": optional(of.z), "p": of.p,
            })
        }
        "run_overdispersion" => {
            let Some(of) = stats::run_overdispersion(&lists("runs")) else { return undefined() };
            json!({
                "expected_var": of.expected_var, "observed_var": of.observed_var, "chi2": optional(of.chi2), "df": of.df,
                "p": of.p, "sigma2_run": of.sigma2_run,
            })
        }
        "pass_at_k" => {
            let Some(of) = stats::pass_at_k(input.count("n"), input.count("c"), input.count("k")) else { return undefined() };
            json!({ "pass_at_k": of.pass_at_k, "pass_hat_k": of.pass_hat_k })
        }
        "quantile_ci" => {
            let Some(of) = stats::quantile_ci(&input.reals("x"), input.real("q"), input.real("conf")) else { return undefined() };
            json!({
                "estimate": of.estimate, "r": of.lower.map(|l| l.0), "s": of.upper.map(|u| u.0),
                "lower": optional(of.lower.map(|l| l.1)), "upper": optional(of.upper.map(|u| u.1)),
            })
        }
        _ => return None,
    })
}

pub(super) fn enumerated(name: &str, input: &Input<'_>) -> Option<Value> {
    let undefined = || Some(Value::Null);
    Some(match name {
        "exact_power_mcnemar" => {
            let (p10, p01) = (input.real("p10"), input.real("p01"));
            let Some(of) = stats::exact_power_mcnemar(input.count("n"), p10, p01, input.real("alpha")) else {
                return undefined();
            };
            json!({ "power_exact": of.power_exact, "power_midp": of.power_midp })
        }
        "ni_power" => {
            let (n, p10, p01, margin) = (input.count("n"), input.real("p10"), input.real("p01"), input.real("margin"));
            let Some(of) = stats::ni_power(n, p10, p01, margin, input.real("alpha")) else { return undefined() };
            json!({ "p_pass_exact": of.p_pass_exact, "p_fail_exact": of.p_fail_exact, "p_pass_asym": of.p_pass_asym })
        }
        "dirichlet_ni" => {
            let Some(of) = stats::dirichlet_ni(&input.flips(), input.real("margin"), input.real("k")) else { return undefined() };
            json!({ "posterior_prob": of.posterior_prob, "posterior_mean": of.posterior_mean })
        }
        "mcnemar_evalue" => {
            let Some(of) = stats::mcnemar_evalue(input.count("n10"), input.count("n01"), input.real("a")) else {
                return undefined();
            };
            json!({
                "log_e_two_sided": of.log_e_two_sided, "log_e_worse": of.log_e_worse,
                "p_anytime_two_sided": of.p_anytime_two_sided, "p_anytime_worse": of.p_anytime_worse,
            })
        }
        _ => return None,
    })
}

fn kld(input: &Input<'_>) -> Value {
    let documents: Vec<u32> = input.counts("docs").into_iter().map(|d| u32::try_from(d).expect("a small number")).collect();
    let Some(of) = stats::kld_stats(stats::TokenColumns {
        nll_variant: &input.reals("nll_q"),
        nll_canary: &input.reals("nll_base"),
        kld: &input.reals("kld"),
        delta_p: &input.reals("dp"),
        documents: &documents,
    }) else {
        return Value::Null;
    };
    json!({
        "ppl_q": of.ppl_variant, "ppl_q_unc": of.ppl_variant_unc, "ppl_base": of.ppl_canary,
        "log_ppl_ratio": of.log_ppl_ratio, "log_ppl_ratio_unc": of.log_ppl_ratio_unc, "ppl_ratio": of.ppl_ratio,
        "ppl_ratio_unc": of.ppl_ratio_unc, "cor": optional(of.cor), "mean_kld": of.mean_kld,
        "mean_kld_unc": of.mean_kld_unc, "mean_dp": of.mean_dp, "mean_dp_unc": of.mean_dp_unc, "rms_dp": of.rms_dp,
        "rms_dp_unc": optional(of.rms_dp_unc), "log_ppl_ratio_se_doc_cr1": optional(of.by_document.map(|by| by.log_ppl_ratio_se)),
        "mean_kld_se_doc_cr1": optional(of.by_document.map(|by| by.mean_kld_se)), "ppl_ratio_ci95_doc": pair(of.by_document.map(|by| by.ppl_ratio_ci95)),
    })
}
