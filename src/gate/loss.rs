//! The loss rule: what a variant loses on a task, or on a slice of one, must be shown to be less than is tolerated.

use super::course::Settled;
use super::method::{self, Pairs, Question, Stand};
use super::{EarlyBy, Evidence, Finding, Loss, Method, Rule, family, overall, reasons, side};
use crate::analysis::{Comparison, SliceRow};
use crate::domain::{Policy, Stopping, TaskCard, Tolerance, Verdict};
use crate::stats::{FEWEST_CLUSTERS_STRICT, FEWEST_UNITS, Interval};

/// Largest share of missing pairs that bounds are drawn for.
pub(super) const MOST_MISSING: f64 = 0.01;
/// Level at which missing halves are said to lie on one side.
const ONE_SIDED: f64 = 0.01;

/// One subject's answers to one task before the gate.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Its pairs with the canary's.
    pub(super) comparison: &'a Comparison,
    /// The task.
    pub(super) card: &'a TaskCard,
    /// The policy.
    pub(super) policy: &'a Policy,
    /// Whose answers have no score, and why, as a clause; empty where that is not known.
    pub(super) unscored: &'a dyn Fn() -> String,
    /// What early stopping makes of it.
    pub(super) settled: Option<Settled>,
    /// The canary's score over all samples, where the subject was not asked all of them.
    pub(super) canary: Option<Interval>,
}

impl<'a> Asked<'a> {
    /// By what is in the comparison alone.
    pub(super) fn plainly(comparison: &'a Comparison, card: &'a TaskCard, policy: &'a Policy) -> Self {
        Self { comparison, card, policy, unscored: &String::new, settled: None, canary: None }
    }

    /// The task as a whole.
    pub(super) fn whole(&self) -> Part<'a> {
        let tolerance = self.policy.tolerance_of(&self.card.name);
        Part::new(*self, None, Pairs::of(self.comparison, self.card), tolerance)
    }

    /// What is found of slices that gate and have no sample: nothing says that they lose little.
    pub(super) fn absent_slices(&self) -> impl Iterator<Item = Finding> {
        let has = |slice: &str| self.comparison.slices.iter().any(|row| row.slice == slice);
        let rules = self.policy.tasks.iter().filter(|rule| rule.task == self.card.name);
        let named =
            rules.filter_map(|rule| rule.slice.as_deref()).filter(|slice| self.policy.gates_slice(&self.card.name, slice));
        let absent: std::collections::BTreeSet<&str> = named.filter(|slice| !has(slice)).collect();
        absent.into_iter().map(|slice| Finding {
            rule: Rule::Loss,
            task: Some(self.card.name.clone()),
            slice: Some(slice.to_owned()),
            gating: true,
            verdict: Verdict::Invalid,
            reason: format!("no sample is of slice '{slice}', which gates: name one that the task has, or take its rule away"),
            evidence: None,
        })
    }

    /// One slice of it.
    pub(super) fn slice(&self, row: &'a SliceRow) -> Part<'a> {
        let tolerance = self.policy.tolerance_of_slice(&self.card.name, &row.slice);
        Part::new(*self, Some(row), Pairs::of_slice(self.comparison, row, self.card), tolerance)
    }
}

/// Pairs that are judged together, and what is asked of them.
pub(super) struct Part<'a> {
    pub(super) asked: Asked<'a>,
    pub(super) slice: Option<&'a SliceRow>,
    pub(super) pairs: Pairs<'a>,
    pub(super) question: Question,
}

impl<'a> Part<'a> {
    fn new(asked: Asked<'a>, slice: Option<&'a SliceRow>, pairs: Pairs<'a>, tolerance: Tolerance) -> Self {
        let policy = asked.policy;
        // A task that was looked at more than once leaves each look, and each slice at it, less than the policy's level.
        let alpha = asked.settled.map_or(policy.alpha, |settled| policy.alpha.min(0.5 * (1.0 - settled.confidence)));
        let question = Question { tolerance, alpha, strict: policy.strict };
        Self { asked, slice, pairs, question }
    }

    /// The same pairs with another tolerance.
    pub(super) fn by(mut self, tolerance: Tolerance) -> Self {
        self.question.tolerance = tolerance;
        self
    }

    /// Whether early stopping has a part in it.
    pub(super) fn is_settled(&self) -> bool {
        self.asked.settled.is_some()
    }

    /// What the sequential test of the whole task says.
    fn settled(&self) -> Option<Settled> {
        self.asked.settled.filter(|_| self.slice.is_none())
    }

    /// Whether a betting process decides about the whole task, or ended it.
    fn by_bets(&self) -> bool {
        let ended = |settled: &Settled| settled.early.is_some_and(|early| early.by == EarlyBy::Wealth);
        let decides = |settled: &Settled| self.asked.policy.stopping == Stopping::EProcess || ended(settled);
        self.settled().as_ref().is_some_and(decides) && self.pairs.means.is_none()
    }

    /// The tolerated difference at the canary's score as measured.
    pub(super) fn margin(&self) -> f64 {
        self.question.tolerance.margin_at(self.pairs.canary.map_or(1.0, |canary| canary.estimate))
    }

    /// Samples that were asked.
    pub(super) fn samples(&self) -> u64 {
        self.slice.map_or(self.asked.comparison.asked, |_| self.pairs.n() + self.pairs.missing.total())
    }

    /// Whether the question makes sense at all.
    pub(super) fn is_testable(&self) -> bool {
        let alpha = self.asked.policy.alpha;
        self.question.tolerance.is_testable() && alpha > 0.0 && alpha < 0.5 && self.question.alpha > 0.0
    }

    /// Whether the verdict depends on it.
    fn gates(&self) -> bool {
        let (policy, card) = (self.asked.policy, self.asked.card);
        match self.slice {
            None => policy.gates(&card.name, card.gating),
            Some(row) => policy.gates_slice(&card.name, &row.slice),
        }
    }

    /// Judges it, as a claim by itself.
    pub(super) fn judge(&self) -> Finding {
        if !self.is_testable() {
            return self.finding(Verdict::Invalid, reasons::untestable(self), None);
        }
        let measured = Measured::of(self);
        let (verdict, reason) = measured.verdict(self);
        let loss = measured.evidence(self, verdict);
        self.finding(verdict, reason, Some(Evidence::Loss(loss)))
    }

    fn finding(&self, verdict: Verdict, reason: String, evidence: Option<Evidence>) -> Finding {
        Finding {
            rule: Rule::Loss,
            task: Some(self.asked.card.name.clone()),
            slice: self.slice.map(|row| row.slice.clone()),
            gating: self.gates(),
            verdict,
            reason,
            evidence,
        }
    }
}

/// What a part comes to by the method that decides it.
#[derive(Clone, Copy)]
pub(super) struct Measured {
    pub(super) method: Option<Method>,
    pub(super) stand: Option<Stand>,
    pub(super) floor: u64,
}

impl Measured {
    pub(super) fn of(part: &Part<'_>) -> Self {
        let (pairs, question) = (&part.pairs, &part.question);
        let by = |method: Method| Some((method, method::stand(method, &pairs.complete(), question)?));
        // An interval of the usual kind, at a place that bets chose, would cover less than it says.
        let chosen = method::choose(pairs, question).map(|method| if part.by_bets() { Method::Betting } else { method });
        let standing = chosen.and_then(by);
        // Numbers that all differ by the same have no t, but can be bet on.
        let bets = || (pairs.means.is_some() && pairs.range.is_some()).then(|| by(Method::Betting)).flatten();
        let standing = standing.or_else(|| chosen.and_then(|_| bets()));
        let method = standing.map(|(method, _)| method).or(chosen);
        Self { method, stand: standing.map(|(_, stand)| stand), floor: method::floor(method, pairs, question) }
    }

    fn verdict(&self, part: &Part<'_>) -> (Verdict, String) {
        if let Some(fault) = fault(part) {
            return (Verdict::Invalid, fault);
        }
        let n = part.pairs.n();
        if n < FEWEST_UNITS {
            return (Verdict::Inconclusive, reasons::too_few(n));
        }
        if let Some(few) = too_few_sources(part, self.stand.as_ref()) {
            return (Verdict::Inconclusive, reasons::few_sources(few.0, few.1));
        }
        let Some(stand) = self.stand else { return (Verdict::Inconclusive, reasons::undefined(part, self.method)) };
        if part.slice.is_some() && part.asked.comparison.is_short() {
            let interval = self.method.map_or_else(String::new, |method| reasons::interval(part, method, &stand));
            return (Verdict::Inconclusive, reasons::elsewhere(part, &interval));
        }
        let verdict = part.settled().map_or(stand.verdict(), |settled| settled.verdict);
        if let Some(doubt) = self.doubt(part, &stand, verdict) {
            return (Verdict::Inconclusive, doubt);
        }
        if verdict == Verdict::Inconclusive && part.settled().is_some_and(|settled| settled.early.is_some()) {
            let interval = self.method.map_or_else(String::new, |method| reasons::interval(part, method, &stand));
            return (verdict, reasons::elsewhere(part, &interval));
        }
        (verdict, reasons::of(part, self, &stand, verdict))
    }

    /// Why a verdict that the numbers give is not given.
    fn doubt(&self, part: &Part<'_>, stand: &Stand, verdict: Verdict) -> Option<String> {
        let (passes, method) = (verdict == Verdict::Pass, self.method?);
        let interval = || reasons::interval(part, method, stand);
        // A sequential test has taken every missing half for the one that speaks against it.
        if part.pairs.missing.total() > 0 && part.settled().is_none() && !self.survives_missing(part, verdict) {
            return Some(reasons::missing_could_turn(part, &interval()));
        }
        if !matches!(verdict, Verdict::Pass | Verdict::Fail) {
            return None;
        }
        if is_unbounded(part) && !unbounded_may_decide(part, passes) {
            return Some(reasons::unbounded(part, &interval()));
        }
        if part.question.strict && part.pairs.sources().is_some() && !method::signs_agree(&part.pairs, &part.question, passes) {
            return Some(reasons::signs_disagree(&interval()));
        }
        let allows = matches!(method, Method::PairedT | Method::ClusteredT);
        if passes && allows && part.pairs.n() < self.floor {
            return Some(reasons::of(part, self, stand, Verdict::Inconclusive));
        }
        if !allows && part.pairs.run_variance > 0.0 {
            return Some(reasons::shaken(&interval()));
        }
        (passes && !side::survives(part, method)).then(|| reasons::cut_off(part, &interval()))
    }

    /// Whether the verdict is the same whatever the missing halves would have been.
    fn survives_missing(&self, part: &Part<'_>, verdict: Verdict) -> bool {
        let at = |good: bool| {
            let filled = part.pairs.filled(good)?;
            Some(method::stand(self.method?, &filled, &part.question)?.verdict())
        };
        [at(false), at(true)].into_iter().all(|at| at == Some(verdict))
    }

    /// The p-values at the policy's level: those of a look are held against less.
    fn p_values(&self, part: &Part<'_>, verdict: Verdict) -> [Option<f64>; 2] {
        let Some(stand) = self.stand else { return [None; 2] };
        let alpha = part.asked.policy.alpha;
        let scaled = [stand.p_pass, stand.p_fail].map(|p| (p * (alpha / part.question.alpha)).min(1.0));
        if part.settled().is_none() {
            return scaled.map(Some);
        }
        // The sequential test decides, at a level that need not be that of the interval; a p that would say otherwise is none.
        let decided = [verdict == Verdict::Pass, verdict == Verdict::Fail];
        [0, 1].map(|i| if decided[i] { Some(scaled[i].min(alpha.next_down())) } else { Some(scaled[i]).filter(|p| *p >= alpha) })
    }

    fn evidence(&self, part: &Part<'_>, verdict: Verdict) -> Loss {
        let open = verdict == Verdict::Inconclusive && part.pairs.n() > 0;
        let [p_pass, p_fail] = self.p_values(part, verdict);
        Loss {
            tolerance: part.question.tolerance,
            margin: part.margin(),
            confidence: part.question.confidence(),
            method: self.method,
            delta: self.stand.map(|stand| stand.delta),
            ratio: self.stand.and_then(|stand| stand.ratio),
            p_pass,
            p_fail,
            p_fail_adjusted: p_fail,
            n: part.pairs.n(),
            floor: self.floor,
            needed: if open { self.needed(part) } else { None },
            note: self.stand.filter(|stand| stand.verdict() == verdict).and_then(|stand| stand.note(verdict)),
            early: part.settled().and_then(|settled| settled.early),
        }
    }

    /// Pairs that would settle an open question.
    pub(super) fn needed(&self, part: &Part<'_>) -> Option<u64> {
        method::needed(self.method, &part.pairs, &part.question)
    }
}

/// Whether scores without bounds are judged.
fn is_unbounded(part: &Part<'_>) -> bool {
    part.pairs.means.is_some() && part.pairs.range.is_none()
}

/// Scores without bounds need many units and a bootstrap of one mind with t; a strict policy accepts none.
fn unbounded_may_decide(part: &Part<'_>, passes: bool) -> bool {
    let units = part.pairs.sources().unwrap_or(part.pairs.n());
    let enough = units >= method::UNBOUNDED_FROM && method::many_differ(&part.pairs) && !part.question.strict;
    enough && method::bootstrap_agrees(&part.pairs.complete(), &part.question, passes)
}

/// The number of clusters and the number that is needed, where there are too few; below ten the exact sign-flip may still
/// speak for a verdict.
fn too_few_sources(part: &Part<'_>, stand: Option<&Stand>) -> Option<(u64, u64)> {
    let have = part.pairs.sources()?;
    if part.question.strict {
        return (have < FEWEST_CLUSTERS_STRICT).then_some((have, FEWEST_CLUSTERS_STRICT));
    }
    if have >= FEWEST_UNITS {
        return None;
    }
    let verdict = stand.map(Stand::verdict).filter(|verdict| *verdict != Verdict::Inconclusive);
    let agree = verdict.is_some_and(|v| method::signs_agree(&part.pairs, &part.question, v == Verdict::Pass));
    (!agree).then_some((have, FEWEST_UNITS))
}

/// Why the comparison is not valid, if it isn't.
fn fault(part: &Part<'_>) -> Option<String> {
    let missing = part.pairs.missing.total();
    let share = missing as f64 / part.samples().max(1) as f64;
    if share > MOST_MISSING || share > part.margin() / 2.0 && missing > 0 {
        return Some(reasons::too_many_missing(part));
    }
    if part.slice.is_none() && part.asked.comparison.missingness.p_mid < ONE_SIDED {
        return Some(reasons::missing_on_one_side(part));
    }
    // A variant that is plainly broken ends a task after few samples, from which the canary's skill is hard to tell.
    let broken = part.settled().is_some_and(|settled| settled.verdict == Verdict::Fail);
    (!broken && part.pairs.n() >= FEWEST_UNITS && cannot_do(part)).then(|| reasons::canary_cannot(part))
}

/// Whether the canary's score is not told from guessing, so that there is nothing to lose.
fn cannot_do(part: &Part<'_>) -> bool {
    let known = part.asked.canary.filter(|_| part.slice.is_none());
    let Some(canary) = known.or(part.pairs.canary) else { return false };
    let chance = part.asked.card.chance;
    if part.pairs.means.is_some() {
        // The interval is the mean's own 95 % one.
        return canary.lower <= chance;
    }
    let n = if known.is_some() { part.asked.comparison.samples } else { part.pairs.n() } as f64;
    let spread = |p: f64| (p * (1.0 - p) / n).sqrt();
    canary.estimate <= chance + 2.0 * spread(chance).max(spread(canary.estimate))
}

/// The findings about losses: tasks with their slices in order, then the mean over them.
pub(super) fn findings(asked: &[Asked<'_>], policy: &Policy) -> Vec<Finding> {
    let of_task = |asked: &Asked<'_>| {
        let named = asked.comparison.slices.iter().filter(|row| policy.names_slice(&asked.card.name, &row.slice));
        let slices: Vec<(Finding, bool)> = named.map(|row| (asked.slice(row).judge(), false)).collect();
        let absent = asked.absent_slices().map(|finding| (finding, false));
        std::iter::once((asked.whole().judge(), asked.settled.is_some())).chain(slices).chain(absent).collect::<Vec<_>>()
    };
    let mut findings: Vec<(Finding, bool)> = asked.iter().flat_map(of_task).collect();
    family::correct(&mut findings, policy);
    let mut findings: Vec<Finding> = findings.into_iter().map(|(finding, _)| finding).collect();
    findings.extend(overall::finding(asked, policy, &findings));
    findings
}
