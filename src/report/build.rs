//! Facts, comparisons and a decision to the report's model.

use super::facts::{Asked, Facts, Texts};
use super::findings;
use super::model::{
    DistributionResult, ExcessResult, NamedResult, NoiseResult, RatioResult, Report, RunResult, ServedResult, ServiceResult,
    SidesResult, SliceResult, SubjectResult, TaskResult, Unit, UnitsResult, WarningResult,
};
use crate::analysis::{Account, Amount, Asymmetry, Comparison, Comparisons, Record, SliceRow};
use crate::domain::{MetricKind, Policy, SubjectName, TaskCard, Verdict};
use crate::gate::{Decision, Evidence, Rule, SubjectDecision};

/// What a report shows the judgement of.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// Every variant and control against the canary.
    pub comparisons: &'a Comparisons,
    /// What the gate says of them.
    pub decision: &'a Decision,
    /// The tolerances that it went by.
    pub policy: &'a Policy,
}

impl Report {
    /// The report of a run that was judged by a policy.
    #[must_use]
    pub fn new(record: &Record, comparisons: &Comparisons, decision: &Decision, policy: &Policy) -> Self {
        Self::of(Facts::of(record), Judged { comparisons, decision, policy }, Texts::of(record, comparisons))
    }

    /// The report of comparisons, wherever their answers come from.
    #[must_use]
    pub fn of(facts: Facts, judged: Judged<'_>, texts: Texts) -> Self {
        let Judged { decision, policy, .. } = judged;
        let units = units(&facts);
        let subjects = facts.subjects.iter().map(|asked| subject_result(asked, &facts.tasks, judged)).collect();
        let services = facts.subjects.iter().filter_map(|asked| service(asked, judged.comparisons)).collect();
        Self {
            verdict: decision.verdict,
            reason: decision.reason.clone(),
            quantgate: facts.quantgate,
            plan: facts.plan,
            digest: facts.digest,
            seed: facts.seed,
            policy: policy.clone(),
            finished: facts.finished,
            units,
            tasks: facts.tasks,
            subjects,
            noise: judged.comparisons.noise.iter().map(NoiseResult::from).collect(),
            unscored: facts.unscored,
            warnings: decision.warnings.iter().map(WarningResult::from).collect(),
            run: RunResult { id: facts.run, attempts: facts.attempts, services },
            timing: facts.timing,
            recorded: facts.recorded,
            samples: texts.samples,
            flipped: texts.flipped,
            ecdfs: facts.ecdfs,
        }
    }
}

fn units(facts: &Facts) -> UnitsResult {
    let counts = facts.counts;
    let settled = facts.whole().saturating_sub(counts.expected);
    UnitsResult { expected: counts.expected, scored: counts.scored, unscored: counts.unscored, settled }
}

fn subject_result(asked: &Asked, cards: &[TaskCard], judged: Judged<'_>) -> SubjectResult {
    let Judged { comparisons, decision, .. } = judged;
    let own = decision.subjects.iter().find(|d| d.subject == asked.name);
    let card = |c: &Comparison| cards.iter().find(|card| card.name == c.task);
    let tasks = comparisons.tasks.iter().filter(|c| c.subject == asked.name);
    let distributions = comparisons.distributions.iter().filter(|d| d.subject == asked.name);
    SubjectResult {
        name: asked.name.clone(),
        role: asked.role,
        verdict: own.map(|d| d.verdict),
        reason: own.map_or_else(String::new, |d| d.reason.clone()),
        teeth: own.and_then(|d| d.teeth),
        repeats: asked.repeats,
        identity: asked.identity.clone(),
        findings: own.map_or_else(Vec::new, |d| d.findings.iter().map(|f| findings::result(f, cards)).collect()),
        tasks: tasks.filter_map(|c| Some(task_result(c, card(c), own?))).collect(),
        distributions: distributions.map(DistributionResult::from).collect(),
        served: asked.account.as_ref().map(|account| ServedResult {
            tokens_ratio: ratio(comparisons, &asked.name, Amount::Output),
            ..ServedResult::from(account)
        }),
        severity: own.map_or(f64::NEG_INFINITY, SubjectDecision::severity),
    }
}

/// What it took to get a subject's answers; none of a subject in process.
fn service(asked: &Asked, comparisons: &Comparisons) -> Option<ServiceResult> {
    let account = asked.account.as_ref();
    if account.is_none() && asked.origins.is_empty() {
        return None;
    }
    let count = |of: fn(&Account) -> u64| account.map_or(0, of);
    Some(ServiceResult {
        subject: asked.name.clone(),
        origins: asked.origins.clone(),
        reused: count(|account| account.reused),
        retries: count(|account| account.retries),
        cached_tokens: count(|account| account.tokens.cached),
        cost: account.and_then(|account| account.cost),
        paid: account.and_then(|account| account.paid),
        per_thousand: account.and_then(Account::per_thousand),
        cost_ratio: ratio(comparisons, &asked.name, Amount::Cost),
    })
}

/// A subject's total over the canary's, over all tasks.
fn ratio(comparisons: &Comparisons, subject: &SubjectName, amount: Amount) -> Option<RatioResult> {
    let mut rows = comparisons.amounts.iter();
    let row = rows.find(|row| row.subject == *subject && row.amount == amount && row.task.is_none())?;
    Some(RatioResult { value: row.amounts.ratio()?, interval: row.amounts.shown() })
}

impl From<&Account> for ServedResult {
    fn from(account: &Account) -> Self {
        let named = |counts: &[(String, u64)]| {
            counts.iter().map(|(name, answers)| NamedResult { name: name.clone(), answers: *answers }).collect()
        };
        Self {
            answers: account.answers,
            counted: account.counted,
            prompt_tokens: account.tokens.prompt,
            completion_tokens: account.tokens.completion,
            tokens_ratio: None,
            models: named(&account.models),
            fingerprints: named(&account.marks),
        }
    }
}

impl From<&crate::gate::Warning> for WarningResult {
    fn from(warning: &crate::gate::Warning) -> Self {
        Self {
            code: warning.code.word(),
            meaning: warning.code.meaning(),
            remedy: warning.code.remedy(),
            subject: warning.subject.clone(),
            task: warning.task.clone(),
            detail: warning.detail.clone(),
        }
    }
}

impl From<Asymmetry> for SidesResult {
    fn from(sides: Asymmetry) -> Self {
        Self { canary: sides.canary, variant: sides.variant, p: sides.p_mid }
    }
}

fn task_result(comparison: &Comparison, card: Option<&TaskCard>, judged: &SubjectDecision) -> TaskResult {
    let own = |f: &&crate::gate::Finding| f.rule == Rule::Loss && f.slice.is_none() && f.task.as_ref() == Some(&comparison.task);
    let finding = judged.findings.iter().find(own);
    let (margin, gate) = match finding.and_then(|f| f.evidence.as_ref()) {
        Some(Evidence::Loss(loss)) => (loss.margin, loss.delta),
        _ => (0.0, None),
    };
    let paired = &comparison.paired;
    TaskResult {
        task: comparison.task.clone(),
        metric: findings::metric(card),
        graded: comparison.means.is_some(),
        gating: finding.is_some_and(|f| f.gating),
        verdict: finding.map_or(Verdict::Invalid, |f| f.verdict),
        margin,
        n: paired.n(),
        samples: comparison.samples,
        asked: comparison.asked,
        table: paired.table,
        flip_rate: paired.flip_rate(),
        canary: paired.canary,
        variant: paired.variant,
        gate,
        delta: paired.delta,
        p_mid: paired.p_mid,
        p_exact: paired.p_exact,
        missing: [comparison.missing.canary_only(), comparison.missing.variant_only(), comparison.missing.both],
        excess: comparison.excess.as_ref().map(ExcessResult::from),
        drift: comparison.drift.as_ref().map(ExcessResult::from),
        truncated: comparison.truncated.into(),
        unparsed: comparison.unparsed.into(),
        slices: comparison.slices.iter().map(SliceResult::from).collect(),
        lost: comparison.lost.clone(),
        gained: comparison.gained.clone(),
        unit: unit(card),
    }
}

/// Scores between 0 and 1 are read in percentage points, others in their own unit.
fn unit(card: Option<&TaskCard>) -> Unit {
    let is_share = |card: &TaskCard| card.metric != MetricKind::Mean || card.range == Some((0.0, 1.0));
    if card.is_none_or(is_share) { Unit::Points } else { Unit::Score }
}

impl From<&SliceRow> for SliceResult {
    fn from(row: &SliceRow) -> Self {
        Self {
            slice: row.slice.clone(),
            n: row.paired.n(),
            table: row.paired.table,
            canary: row.paired.canary,
            variant: row.paired.variant,
            delta: row.paired.delta,
        }
    }
}
