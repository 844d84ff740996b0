//! The studies: what is simulated, and which bound its table must keep.

use std::fmt::Write;

use quantgate::analysis::Comparison;
use quantgate::domain::{Step, Stopping, TaskCard, Tolerance, Verdict};
use quantgate::gate::{Course, Terms, judge_losses};
use quantgate::stats::{ni_power, ni_sample_size};
use rayon::prelude::*;

use crate::draw::{Draws, Trinomial, urn};
use crate::gate::Gate;

/// The seed of every study.
const SEED: u64 = 20_261_122;
/// The gate's default level.
const ALPHA: f64 = 0.05;

/// A study's Markdown, and whether its bound holds.
pub(crate) struct Table {
    pub(crate) text: String,
    pub(crate) holds: bool,
}

/// How often each verdict came.
#[derive(Clone, Copy, Default)]
pub(crate) struct Rates {
    pub(crate) pass: f64,
    pub(crate) fail: f64,
}

/// The rates of verdicts over some simulated runs.
pub(crate) fn rates(runs: usize, mut verdict: impl FnMut() -> Verdict) -> Rates {
    let mut rates = Rates::default();
    for _ in 0..runs {
        match verdict() {
            Verdict::Pass => rates.pass += 1.0,
            Verdict::Fail => rates.fail += 1.0,
            Verdict::Inconclusive | Verdict::Invalid => {}
        }
    }
    Rates { pass: rates.pass / runs as f64, fail: rates.fail / runs as f64 }
}

/// Simulated runs at a scale.
pub(crate) fn runs(at_one: usize, scale: f64) -> usize {
    ((at_one as f64 * scale) as usize).max(100)
}

/// The probabilities (loss, gain) of an item with flip rate `psi` and difference `delta`; flips are at least what the
/// difference needs.
pub(crate) fn flips(psi: f64, delta: f64) -> (f64, f64) {
    let psi = psi.max(delta.abs());
    (0.5 * (psi - delta), 0.5 * (psi + delta))
}

fn points(share: f64) -> String {
    format!("{} pp", (share * 1e4).round() / 100.0)
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1e4).round() / 100.0)
}

/// False PASS for independent right-or-wrong items, on the margin itself: the worst case within "too bad".
pub(crate) fn independent(scale: f64) -> Table {
    const BOUND: f64 = 0.055;
    let runs = runs(1_000_000, scale);
    let margins = [0.01, 0.02, 0.05];
    let cells: Vec<(u64, f64, f64)> = [30, 50, 200, 1000, 5000]
        .into_iter()
        .flat_map(|n| margins.into_iter().flat_map(move |margin| [0.01, 0.04, 0.10].map(|psi| (n, margin, psi))))
        .collect();
    let found: Vec<Rates> = cells
        .par_iter()
        .enumerate()
        .map(|(stream, &(n, margin, psi))| {
            let (p10, p01) = flips(psi, -margin);
            let mut gate = Gate::new(Tolerance::Margin(margin), n);
            let (mut draws, mut items) = (Draws::new(SEED, stream as u64), Trinomial::new(p10, p01));
            rates(runs, || gate.counts(n, items.draw(n, &mut draws), n * 4 / 5))
        })
        .collect();
    let mut text = format!(
        "## Independent items, true loss exactly at the margin\n\n{runs} runs a cell, α = {ALPHA}. A PASS is wrong here; the bound is {BOUND}. \
         Where the flip rate would be below the margin, it is the margin: then every flip is a loss. Below 50 items the exact \
         interval decides.\n\n| n | margin | flips | false PASS | FAIL |\n| ---: | ---: | ---: | ---: | ---: |\n"
    );
    let mut worst: f64 = 0.0;
    for ((n, margin, psi), of) in cells.iter().zip(&found) {
        worst = worst.max(of.pass);
        let psi = psi.max(*margin);
        let _ = writeln!(text, "| {n} | {} | {} | {:.4} | {:.4} |", points(*margin), percent(psi), of.pass, of.fail);
    }
    let _ = writeln!(text, "\nWorst: {worst:.4}.");
    Table { text, holds: worst <= BOUND }
}

/// False PASS of a recovery rule, where the variant keeps exactly the tolerated share.
pub(crate) fn recovery(scale: f64) -> Table {
    const BOUND: f64 = 0.06;
    let runs = runs(200_000, scale);
    let cells: Vec<(u64, f64, f64, f64)> = [200, 1000, 5000]
        .into_iter()
        .flat_map(|n| {
            [0.98, 0.99].into_iter().flat_map(move |rho| [(n, rho, 0.8, 0.04), (n, rho, 0.8, 0.10), (n, rho, 0.5, 0.10)])
        })
        .collect();
    let found: Vec<Rates> = cells
        .par_iter()
        .enumerate()
        .map(|(stream, &(n, rho, accuracy, psi))| {
            let (p10, p01) = flips(psi, -(1.0 - rho) * accuracy);
            // The canary's own score varies from run to run with the items: of those that did not flip.
            let mut gate = Gate::new(Tolerance::Recovery(rho), n);
            let mut draws = Draws::new(SEED + 1, stream as u64);
            let mut items = Trinomial::new(p10, p01);
            let mut stays = Trinomial::new((accuracy - p10) / (1.0 - p10 - p01), 0.0);
            rates(runs, || {
                let (lost, gained) = items.draw(n, &mut draws);
                let (kept, _) = stays.draw(n - lost - gained, &mut draws);
                gate.counts(n, (lost, gained), kept + lost)
            })
        })
        .collect();
    let mut text = format!(
        "## Recovery, true recovery exactly at the tolerated share\n\n{runs} runs a cell, α = {ALPHA}, independent items; the bound is \
         {BOUND}.\n\n| n | recovery | canary | flips | false PASS | FAIL |\n| ---: | ---: | ---: | ---: | ---: | ---: |\n"
    );
    let mut worst: f64 = 0.0;
    for ((n, rho, accuracy, psi), of) in cells.iter().zip(&found) {
        worst = worst.max(of.pass);
        let _ = writeln!(text, "| {n} | {rho} | {} | {} | {:.4} | {:.4} |", percent(*accuracy), percent(*psi), of.pass, of.fail);
    }
    let _ = writeln!(text, "\nWorst: {worst:.4}.");
    Table { text, holds: worst <= BOUND }
}

/// False PASS where items share sources.
pub(crate) fn clustered(scale: f64) -> Table {
    const BOUND: f64 = 0.09;
    let runs = runs(20_000, scale);
    let cells: Vec<(usize, u64, f64, f64, f64)> = [30, 60, 120]
        .into_iter()
        .flat_map(|groups| {
            [5, 20].into_iter().flat_map(move |size| [0.0, 0.1, 0.3].into_iter().map(move |icc| (groups, size, icc)))
        })
        .flat_map(|(groups, size, icc)| {
            [(0.02, 0.04), (0.02, 0.10), (0.05, 0.10)].map(|(margin, psi)| (groups, size, icc, margin, psi))
        })
        .collect();
    let found: Vec<Rates> = cells
        .par_iter()
        .enumerate()
        .map(|(stream, &(groups, size, icc, margin, psi))| {
            let gate = Gate::new(Tolerance::Margin(margin), groups as u64 * size);
            let mut draws = Draws::new(SEED + 2, stream as u64);
            rates(runs, || gate.clusters((0..groups).map(|_| urn(size, flips(psi, -margin), icc, &mut draws)).collect()))
        })
        .collect();
    let mut text = format!(
        "## Clustered items, true loss exactly at the margin\n\n{runs} runs a cell, α = {ALPHA}, Dirichlet-multinomial clusters \
         with intraclass correlation ICC; the bound is {BOUND}.\n\n| sources | items each | ICC | margin | flips | false PASS | FAIL |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    );
    let mut worst: f64 = 0.0;
    for ((groups, size, icc, margin, psi), of) in cells.iter().zip(&found) {
        worst = worst.max(of.pass);
        let (margin, psi) = (points(*margin), percent(*psi));
        let _ = writeln!(text, "| {groups} | {size} | {icc} | {margin} | {psi} | {:.4} | {:.4} |", of.pass, of.fail);
    }
    let _ = writeln!(text, "\nWorst: {worst:.4}.");
    Table { text, holds: worst <= BOUND }
}

/// PASS of a variant that lost nothing, at the number of items that is planned for it.
pub(crate) fn power(scale: f64) -> Table {
    const WANTED: f64 = 0.8;
    const OFF: f64 = 0.02;
    let runs = runs(200_000, scale);
    let cells: Vec<(f64, f64)> =
        [0.005, 0.01, 0.02, 0.05].into_iter().flat_map(|margin| [0.01, 0.04, 0.10].map(|psi| (margin, psi))).collect();
    let found: Vec<(u64, f64, Rates)> = cells
        .par_iter()
        .enumerate()
        .map(|(stream, &(margin, psi))| {
            let (p10, p01) = flips(psi, 0.0);
            let n = ni_sample_size(p10, p01, margin, ALPHA, WANTED).map_or(0, |size| size.pairs());
            let planned = ni_power(n, p10, p01, margin, ALPHA).map_or(0.0, |power| power.p_pass_exact);
            let mut gate = Gate::new(Tolerance::Margin(margin), n);
            let (mut draws, mut items) = (Draws::new(SEED + 3, stream as u64), Trinomial::new(p10, p01));
            (n, planned, rates(runs, || gate.counts(n, items.draw(n, &mut draws), n * 4 / 5)))
        })
        .collect();
    let mut text = format!(
        "## Power, as planned and as it is\n\n{runs} runs a cell; nothing is truly lost. n is the published size for a power of {WANTED} \
         (Nam 1997); *planned* is the chance of a PASS that `quantgate power` states for it, which counts flips in whole numbers. The \
         gate must come within {} points of that.\n\n| margin | flips | n | planned | PASS | false FAIL |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        100.0 * OFF
    );
    let mut off: f64 = 0.0;
    for ((margin, psi), (n, planned, of)) in cells.iter().zip(&found) {
        off = off.max((of.pass - planned).abs());
        let (margin, psi) = (points(*margin), percent(*psi));
        let _ = writeln!(text, "| {margin} | {psi} | {n} | {planned:.4} | {:.4} | {:.5} |", of.pass, of.fail);
    }
    let _ = writeln!(text, "\nFarthest from the plan: {:.2} points.", 100.0 * off);
    Table { text, holds: off <= OFF }
}

/// What a sequential course came to: its verdict and the share of items that it took.
fn course(terms: Terms, (p10, p01): (f64, f64), draws: &mut Draws) -> (Verdict, f64) {
    let Some(mut course) = Course::new(terms) else { return (Verdict::Inconclusive, 1.0) };
    for _ in 0..terms.samples {
        let step = match draws.uniform() {
            u if u < p10 => Step::Loss,
            u if u < p10 + p01 => Step::Gain,
            _ => Step::Tie,
        };
        if let Some(ending) = course.take(step) {
            return (ending.verdict, ending.after as f64 / terms.samples as f64);
        }
    }
    (Verdict::Inconclusive, 1.0)
}

/// The rates of verdicts, and the mean share of items asked.
fn courses(runs: usize, terms: Terms, p: (f64, f64), draws: &mut Draws) -> (Rates, f64) {
    let mut asked = 0.0;
    let rates = rates(runs, || {
        let (verdict, share) = course(terms, p, draws);
        asked += share;
        verdict
    });
    (rates, asked / runs as f64)
}

/// False PASS under early stopping, and what it saves.
pub(crate) fn sequential(scale: f64) -> Table {
    const BOUND: f64 = 0.06;
    /// What a plainly fine variant and a plainly broken one may cost, as shares of the items.
    const COST: (f64, f64) = (0.82, 0.10);
    let runs = runs(20_000, scale);
    let cells: Vec<(Stopping, u64, f64, f64)> = [Stopping::GroupSequential, Stopping::EProcess]
        .into_iter()
        .flat_map(|stopping| {
            let sizes = [(1000, 0.02, 0.04), (1000, 0.02, 0.06), (1000, 0.05, 0.10), (2500, 0.01, 0.04), (5000, 0.01, 0.04)];
            sizes.map(|(n, margin, psi)| (stopping, n, margin, psi))
        })
        .collect();
    let found: Vec<[(Rates, f64); 3]> = cells
        .par_iter()
        .enumerate()
        .map(|(stream, &(stopping, samples, margin, psi))| {
            let terms = Terms { samples, margin, alpha: ALPHA, alpha_fail: ALPHA, strict: false, stopping };
            let mut draws = Draws::new(SEED + 4, stream as u64);
            [flips(psi, -margin), flips(psi, 0.0), flips(psi, -margin - 0.15)].map(|p| courses(runs, terms, p, &mut draws))
        })
        .collect();
    let mut text = format!(
        "## Early stopping\n\n{runs} runs a cell, α = {ALPHA}, independent items. *At the margin* a PASS is wrong (bound {BOUND}); *fine* lost \
         nothing; *broken* lost 15 pp more than the margin. *Asked* is the mean share of the items: at most {} of a fine variant under \
         group-sequential looks, at most {} of a broken one.\n\n| stopping | n | margin | flips | at the margin: false PASS | FAIL | fine: PASS | \
         false FAIL | asked | broken: FAIL | asked |\n| :-- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        COST.0, COST.1
    );
    let (mut worst, mut holds): (f64, bool) = (0.0, true);
    for ((stopping, n, margin, psi), [(at, _), (fine, fine_cost), (broken, broken_cost)]) in cells.iter().zip(&found) {
        worst = worst.max(at.pass);
        holds &= *broken_cost <= COST.1 && (*stopping == Stopping::EProcess || *fine_cost <= COST.0);
        let name = if *stopping == Stopping::EProcess { "e-process" } else { "group-sequential" };
        let _ = writeln!(
            text,
            "| {name} | {n} | {} | {} | {:.4} | {:.4} | {:.3} | {:.4} | {:.3} | {:.4} | {:.3} |",
            points(*margin),
            percent(*psi),
            at.pass,
            at.fail,
            fine.pass,
            fine.fail,
            fine_cost,
            broken.fail,
            broken_cost
        );
    }
    let _ = writeln!(text, "\nWorst false PASS: {worst:.4}.");
    Table { text, holds: holds && worst <= BOUND }
}

/// FAIL of a variant that is the canary, over several tasks at once.
pub(crate) fn identical(scale: f64) -> Table {
    let runs = runs(5_000, scale);
    let cells: Vec<(usize, u64, f64, f64)> = [1, 5, 10]
        .into_iter()
        .flat_map(|tasks| {
            [(200, 0.01, 0.04), (200, 0.01, 0.10), (1000, 0.01, 0.10), (1000, 0.02, 0.04)].map(|(n, m, psi)| (tasks, n, m, psi))
        })
        .collect();
    let found: Vec<Rates> = cells
        .par_iter()
        .enumerate()
        .map(|(stream, &(tasks, n, margin, psi))| {
            let (p10, p01) = flips(psi, 0.0);
            let gates: Vec<Gate> = (0..tasks).map(|task| Gate::new(Tolerance::Margin(margin), n).named(task)).collect();
            let (mut draws, mut items) = (Draws::new(SEED + 5, stream as u64), Trinomial::new(p10, p01));
            rates(runs, || {
                let tables: Vec<Comparison> = gates.iter().map(|gate| gate.comparison(n, items.draw(n, &mut draws))).collect();
                let all: Vec<(&Comparison, &TaskCard)> = tables.iter().zip(gates.iter().map(Gate::card)).collect();
                let findings = judge_losses(&all, &gates[0].policy);
                findings.iter().filter(|f| f.gating).map(|f| f.verdict).max().unwrap_or(Verdict::Invalid)
            })
        })
        .collect();
    let mut text = format!(
        "## The canary against itself\n\n{runs} runs a cell, α = {ALPHA}; equal numbers of true losses and gains. The chance that any of the \
         tasks FAILs, with Holm's correction, must stay at or below α.\n\n| tasks | n | margin | flips | all PASS | any FAIL |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    );
    let mut worst: f64 = 0.0;
    for ((tasks, n, margin, psi), of) in cells.iter().zip(&found) {
        worst = worst.max(of.fail);
        let _ = writeln!(text, "| {tasks} | {n} | {} | {} | {:.4} | {:.5} |", points(*margin), percent(*psi), of.pass, of.fail);
    }
    let _ = writeln!(text, "\nWorst: {worst:.5}.");
    Table { text, holds: worst <= ALPHA }
}
