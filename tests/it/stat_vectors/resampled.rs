//! Sequential analyses, resampling, permutations and ranks by their vectors' names.

use quantgate::stats::{self, PairTable};
use serde_json::{Value, json};

use super::input::*;
use super::intervals::word;

pub(super) fn sequential(name: &str, input: &Input<'_>) -> Option<Value> {
    let undefined = || Some(Value::Null);
    let bets = || u32::try_from(input.count("G")).expect("a small number");
    Some(match name {
        "hgkelly_case" => {
            let times: Vec<usize> = input.counts("times").into_iter().map(|t| t as usize).collect();
            let (d, margin, alpha) = (input.reals("d"), input.real("margin"), input.real("alpha"));
            let Some(of) = stats::hgkelly_case(&d, margin, alpha, bets(), &times) else { return undefined() };
            json!({
                "log_e_pass": of.log_e_pass, "log_e_fail": of.log_e_fail, "lower": of.lower, "upper": of.upper,
                "lower_running": of.lower_running, "upper_running": of.upper_running,
                "first_pass_t": of.first_pass_t, "first_fail_t": of.first_fail_t,
            })
        }
        "hgkelly_wor" => {
            let (d, margin) = (input.reals("d"), input.real("margin"));
            let Some(of) = stats::hgkelly_wor(&d, input.count("N"), margin, bets()) else { return undefined() };
            json!({ "log_e": of.into_iter().map(number).collect::<Vec<_>>() })
        }
        "hedged_cs" => {
            let breaks = u32::try_from(input.count("breaks")).expect("a small number");
            let Some((lower, upper)) = stats::hedged_cs(&input.reals("x"), input.real("alpha"), breaks) else {
                return undefined();
            };
            json!({ "lower": lower, "upper": upper })
        }
        "group_sequential" => {
            let kind = match input.0["kind"].as_str().expect("a name") {
                "pocock" => stats::Boundary::Pocock,
                "obf" => stats::Boundary::ObrienFleming,
                "ld_obf" => stats::Boundary::LanDemetsObf,
                "ld_pocock" => stats::Boundary::LanDemetsPocock,
                other => panic!("unknown boundary {other}"),
            };
            let Some(of) = stats::group_sequential(&input.reals("t"), input.real("alpha"), kind) else { return undefined() };
            let bounds: Vec<Value> = of.bounds().iter().copied().map(number).collect();
            json!({ "constant": of.constant(), "bounds": bounds, "cum_spend": of.spent() })
        }
        "gs_verdict" => {
            let look = |row: &Value| match row.as_array().expect("a look").as_slice() {
                [b, c, n] => PairTable::of_flips(counted(b), counted(c), counted(n)),
                _ => panic!("a look is [n10, n01, n]"),
            };
            let looks: Vec<PairTable> = input.list("looks").iter().map(look).collect();
            let (fractions, margin, alpha) = (input.reals("fractions"), input.real("margin"), input.real("alpha"));
            let Some(of) = stats::sequential_verdict(&looks, &fractions, margin, alpha, alpha) else { return undefined() };
            let numbers = |list: Vec<f64>| list.into_iter().map(number).collect::<Vec<_>>();
            json!({
                "verdict": word(of.verdict), "look": of.look, "z": numbers(of.z), "bounds": numbers(of.pass_bounds),
            })
        }
        _ => return None,
    })
}

pub(super) fn bootstraps(name: &str, input: &Input<'_>) -> Option<Value> {
    let undefined = || Some(Value::Null);
    Some(match name {
        "bca_from_replicates" => {
            let accel = Some(input.real("accel")).filter(|a| !a.is_nan());
            let (estimate, conf) = (input.real("theta_hat"), input.real("conf"));
            let Some(of) = stats::bca_from_replicates(estimate, &input.reals("reps"), accel, conf) else { return undefined() };
            json!({ "z0": of.z0, "alpha1": of.alpha1, "alpha2": of.alpha2, "lower": of.lower, "upper": of.upper })
        }
        "exhaustive_bootstrap_mean" => {
            let (values, conf) = (input.reals("d"), input.real("conf"));
            let Some(all) = stats::exhaustive_bootstrap_mean(&values, conf) else { return undefined() };
            let drawn = stats::bootstrap_mean(&values, &stats::Resampling { conf, ..stats::Resampling::default() });
            let (of, drawn) = (all.bootstrap, drawn.expect("values that can be enumerated can be drawn").percentile);
            json!({
                "theta": of.estimate, "accel": optional(of.acceleration), "B": all.resamples, "perc_lower": of.percentile.0,
                "perc_upper": of.percentile.1, "boot_se": of.se, "z0": optional(of.bca.map(|bca| bca.z0)),
                "bca_lower": optional(of.bca.map(|bca| bca.lower)), "bca_upper": optional(of.bca.map(|bca| bca.upper)),
                "drawn": { "perc_lower": drawn.0, "perc_upper": drawn.1 },
            })
        }
        _ => return None,
    })
}

pub(super) fn permutations(name: &str, input: &Input<'_>) -> Option<Value> {
    let undefined = || Some(Value::Null);
    Some(match name {
        "signflip_exact" => {
            let Some(of) = stats::signflip_exact(&input.reals("d")) else { return undefined() };
            json!({ "p_better": of.p_better, "p_worse": of.p_worse, "p_two_sided": of.p_two_sided })
        }
        "wilcoxon" => {
            let zeros = match input.0["zero_method"].as_str().expect("a name") {
                "wilcox" => stats::Zeros::Dropped,
                "pratt" => stats::Zeros::Pratt,
                other => panic!("unknown rule for zeros {other}"),
            };
            let Some(of) = stats::wilcoxon(&input.reals("d"), zeros) else { return undefined() };
            json!({
                "w_plus": of.w_plus, "w_minus": of.w_minus, "p_exact": optional(of.p_exact),
                "p_better_exact": optional(of.p_better_exact), "p_worse_exact": optional(of.p_worse_exact),
                "p_asym": of.p_asym, "p_asym_cc": of.p_asym_cc, "rank_biserial": optional(of.rank_biserial),
            })
        }
        "hl_paired" => {
            let Some(of) = stats::hl_paired(&input.reals("d"), input.real("conf")) else { return undefined() };
            with(interval(of.interval), &json!({ "achieved_conf": of.achieved_conf }))
        }
        "mann_whitney" => {
            let Some(of) = stats::mann_whitney(&input.reals("x"), &input.reals("y")) else { return undefined() };
            json!({
                "U": of.u, "p_asym": of.p_asym, "p_exact": optional(of.p_exact), "prob_superiority": of.prob_superiority,
                "hl_shift": optional(of.hl_shift),
            })
        }
        _ => return None,
    })
}

pub(super) fn allocations(name: &str, input: &Input<'_>) -> Option<Value> {
    let undefined = || Some(Value::Null);
    Some(match name {
        "clustered_mcnemar" => {
            let [n11, n10, n01, n00] = ["n11", "n10", "n01", "n00"].map(|key| input.counts(key));
            let table = |i: usize| PairTable { n11: n11[i], n10: n10[i], n01: n01[i], n00: n00[i] };
            let Some(of) = stats::clustered_mcnemar(&(0..n11.len()).map(table).collect::<Vec<_>>()) else { return undefined() };
            let (chi2, p) = (|t: Option<(f64, f64)>| optional(t.map(|t| t.0)), |t: Option<(f64, f64)>| optional(t.map(|t| t.1)));
            json!({
                "obuchowski": chi2(of.obuchowski), "p_obuchowski": p(of.obuchowski), "durkalski": chi2(of.durkalski),
                "p_durkalski": p(of.durkalski), "yang": chi2(of.yang), "p_yang": p(of.yang),
                "eliasziw": chi2(of.eliasziw), "p_eliasziw": p(of.eliasziw),
            })
        }
        "cuped" => {
            let (d, x) = (input.reals("d"), input.reals("x"));
            let Some(of) = stats::cuped(&d, &x, input.real("mu_x"), input.real("conf")) else { return undefined() };
            let more = json!({ "theta": of.theta, "se": of.se, "variance_ratio": optional(of.variance_ratio) });
            with(interval(of.interval), &more)
        }
        "neyman" => {
            let stratum = |row: &Value| (counted(&row["N"]), real(&row["psi"]));
            let strata: Vec<(u64, f64)> = input.list("strata").iter().map(stratum).collect();
            let Some(of) = stats::neyman(input.count("total"), &strata) else { return undefined() };
            json!({ "real": of.real, "integer": of.integer })
        }
        _ => return None,
    })
}
