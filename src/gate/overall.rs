//! The overall rule: the unweighted mean of what the gating tasks lose, which is what leaderboards average.
//!
//! Its limits are joined from those of the tasks, each by the method that decides the task (MOVER; Zou & Donner 2008): a
//! standard error would have no width where little flips. It gates where the policy sets `overall`, is outside the family of
//! claims about tasks, and never makes up for one that fails.

use super::loss::{Asked, Measured};
use super::method::{self, Pairs, Question, Spread, note_of};
use super::wording::{count, interval as interval_text, percent, pp};
use super::{Evidence, Finding, Loss, Method, Rule};
use crate::domain::{Policy, Stopping, Tolerance, Verdict};
use crate::stats::{self, Interval, TaskEffect};

/// Level at which tasks are said to move by different amounts.
const DIFFERENT: f64 = 0.01;
/// Share of the variation between tasks from which it is worth a warning.
const MUCH: f64 = 0.5;

/// What the mean over the gating tasks loses; none where fewer than two tasks gate and no rule asks for it. `losses` are the
/// tasks' own findings.
pub(super) fn finding(asked: &[Asked<'_>], policy: &Policy, losses: &[Finding]) -> Option<Finding> {
    let tasks = gating(asked, policy);
    let tolerance = policy.overall.unwrap_or(policy.tolerance);
    let proper = policy.alpha > 0.0 && policy.alpha < 0.5 && tolerance.is_testable();
    if tasks.is_empty() || (tasks.len() < 2 && policy.overall.is_none()) {
        return None;
    }
    let finding = |verdict, reason, evidence: Option<Loss>| Finding {
        rule: Rule::Overall,
        task: None,
        slice: None,
        gating: policy.overall.is_some(),
        verdict,
        reason,
        evidence: evidence.map(Evidence::Loss),
    };
    if !proper {
        let reason = "what the mean over tasks may lose cannot be tested: it lies between 0 and 1, α between 0 and 0.5";
        return Some(finding(Verdict::Invalid, reason.to_owned(), None));
    }
    let invalid = |f: &&Finding| f.gating && f.slice.is_none() && f.verdict == Verdict::Invalid;
    if let Some(task) = losses.iter().find(invalid).and_then(|f| f.task.as_ref()) {
        return Some(finding(
            Verdict::Invalid,
            format!("the mean over tasks is not known: {task} has no valid comparison"),
            None,
        ));
    }
    let mean = Mean::of(&tasks, tolerance, policy);
    let Some(delta) = mean.at(mean.question.alpha, Filled::Not) else {
        let reason = "the mean over tasks is not known: a task has no interval".to_owned();
        return Some(finding(Verdict::Inconclusive, reason, None));
    };
    let (verdict, reason) = match policy.overall.and_then(|_| unfit(&tasks)) {
        Some(reason) => (Verdict::Inconclusive, reason),
        None => mean.judged(delta),
    };
    let loss = mean.evidence(delta, verdict);
    Some(finding(verdict, reason, Some(loss)))
}

/// Why a mean that gates cannot be judged, if it can't: a task with too few pairs, or that was not asked to its end, under
/// another policy.
fn unfit(tasks: &[Asked<'_>]) -> Option<String> {
    let few = tasks.iter().find(|asked| asked.comparison.paired.n() < stats::FEWEST_UNITS || asked.comparison.is_short())?;
    let (task, n) = (&few.card.name, count(few.comparison.paired.n()));
    Some(format!("the mean over tasks is not known: of {task} there are {n} pairs only, too few or not all that it has"))
}

fn gating<'a>(asked: &[Asked<'a>], policy: &Policy) -> Vec<Asked<'a>> {
    asked.iter().filter(|asked| policy.gates(&asked.card.name, asked.card.gating)).copied().collect()
}

/// How much the gating tasks' differences differ, as a clause, where that is not chance.
pub(super) fn heterogeneity(asked: &[Asked<'_>], policy: &Policy) -> Option<String> {
    let tasks = gating(asked, policy);
    if tasks.len() < 2 || !(policy.alpha > 0.0 && policy.alpha < 0.5) {
        return None;
    }
    let mean = Mean::of(&tasks, policy.tolerance, policy);
    let effects: Option<Vec<TaskEffect>> = mean.tasks.iter().map(|task| task.effect(&mean.question)).collect();
    let pooled = stats::pooled(&effects?, 0.9)?;
    let p = stats::chi_squared_sf(pooled.q, (tasks.len() - 1) as f64)?;
    (p < DIFFERENT && pooled.i2 >= MUCH)
        .then(|| format!("Q {:.1} over {} tasks (p {p:.4}), I² {:.0} %", pooled.q, tasks.len(), 100.0 * pooled.i2))
}

/// Which missing halves are filled in.
#[derive(Clone, Copy)]
enum Filled {
    Not,
    Badly,
    Well,
}

/// One task of the mean.
struct Member<'a> {
    pairs: Pairs<'a>,
    method: Option<Method>,
    /// What its complete pairs come to, where they are numbers.
    spread: Option<Spread>,
}

/// The mean over some tasks.
struct Mean<'a> {
    tasks: Vec<Member<'a>>,
    question: Question,
}

impl<'a> Mean<'a> {
    fn of(asked: &[Asked<'a>], tolerance: Tolerance, policy: &Policy) -> Self {
        // Of tasks that were looked at repeatedly, the strictest level holds for their mean; curtailment spends none.
        let looked_at = asked.iter().filter(|_| policy.stopping != Stopping::None);
        let alpha = looked_at.map(|asked| asked.whole().question.alpha).fold(policy.alpha, f64::min);
        let question = Question { tolerance, alpha, strict: policy.strict };
        let member = |asked: &Asked<'a>| {
            // By a margin, whatever the task's own tolerance: members are differences.
            let part = asked.whole().by(Tolerance::Margin(0.5));
            let method = Measured::of(&part).method;
            Member { pairs: part.pairs, method, spread: method.and_then(|method| method::spread(method, &part.pairs)) }
        };
        Self { tasks: asked.iter().map(member).collect(), question }
    }

    /// What is tolerated of the mean as measured.
    fn margin(&self) -> f64 {
        let scores = self.tasks.iter().map(|task| task.pairs.canary.map_or(0.0, |canary| canary.estimate));
        self.question.tolerance.margin_at(scores.sum::<f64>() / self.tasks.len() as f64)
    }

    /// The mean of what is held against a bound, at a one-sided level: B − A against −margin, or B − ρ₀A against 0.
    fn at(&self, alpha: f64, filled: Filled) -> Option<Interval> {
        let members: Vec<Interval> =
            self.tasks.iter().map(|task| task.contrast(self.question.share(), alpha, filled)).collect::<Option<_>>()?;
        let count = members.len() as f64;
        let estimate = members.iter().map(|i| i.estimate).sum::<f64>() / count;
        let down = members.iter().map(|i| (i.estimate - i.lower).powi(2)).sum::<f64>().sqrt() / count;
        let up = members.iter().map(|i| (i.upper - i.estimate).powi(2)).sum::<f64>().sqrt() / count;
        Some(Interval { estimate, lower: estimate - down, upper: estimate + up })
    }

    fn bound(&self) -> f64 {
        match self.question.tolerance {
            Tolerance::Margin(margin) => -margin,
            Tolerance::Recovery(_) => 0.0,
        }
    }

    fn verdict(&self, interval: Interval) -> Verdict {
        if interval.lower > self.bound() {
            Verdict::Pass
        } else if interval.upper < self.bound() {
            Verdict::Fail
        } else {
            Verdict::Inconclusive
        }
    }

    fn judged(&self, interval: Interval) -> (Verdict, String) {
        let verdict = self.verdict(interval);
        let (margin, text) = (pp(self.margin()), interval_text(self.difference(interval), self.question.confidence()));
        let tasks = count(self.tasks.len() as u64);
        let missing = self.tasks.iter().any(|task| task.pairs.missing.total() > 0);
        let turned = |filled| self.at(self.question.alpha, filled).is_none_or(|other| self.verdict(other) != verdict);
        if missing && (turned(Filled::Badly) || turned(Filled::Well)) {
            let what = format!("what the missing answers would have been could turn the mean over {tasks} tasks ({text})");
            return (Verdict::Inconclusive, what);
        }
        let tolerated = match self.question.tolerance {
            Tolerance::Margin(_) => format!("the margin of {margin}"),
            Tolerance::Recovery(share) => format!("what a recovery of {} leaves, {margin}", percent(share)),
        };
        let what = match verdict {
            Verdict::Pass => format!("the mean over {tasks} tasks loses less than {tolerated} ({text})"),
            Verdict::Fail => format!("the mean over {tasks} tasks loses more than {tolerated} ({text})"),
            _ => format!("the mean over {tasks} tasks may lose more than {tolerated} ({text})"),
        };
        (verdict, what)
    }

    /// The interval as one of the difference: of a recovery, B − ρ₀A less what the share leaves.
    fn difference(&self, interval: Interval) -> Interval {
        let shift = match self.question.tolerance {
            Tolerance::Margin(_) => 0.0,
            Tolerance::Recovery(_) => self.margin(),
        };
        let Interval { estimate, lower, upper } = interval;
        Interval { estimate: estimate - shift, lower: lower - shift, upper: upper - shift }
    }

    fn evidence(&self, interval: Interval, verdict: Verdict) -> Loss {
        let delta = self.difference(interval);
        // Exact limits, and those of a canary's mean, take too long to be solved for their level.
        let slow = |task: &Member<'_>| matches!(task.method, Some(Method::FayLumbard | Method::Betting));
        let fast = !self.tasks.iter().any(|task| slow(task) || task.spread.is_some() && self.question.share().is_some());
        let at = |alpha: f64| self.at(alpha, Filled::Not);
        let p_pass = || method::touches(|alpha| at(alpha).is_some_and(|i| i.lower > self.bound()));
        let p_fail = || method::touches(|alpha| at(alpha).is_some_and(|i| i.upper < self.bound()));
        let p = fast.then(|| opposed(p_pass(), p_fail()));
        Loss {
            tolerance: self.question.tolerance,
            margin: self.margin(),
            confidence: self.question.confidence(),
            method: Some(Method::Mover),
            delta: Some(delta),
            ratio: None,
            p_pass: p.map(|p| p.0),
            p_fail: p.map(|p| p.1),
            p_fail_adjusted: None,
            n: self.tasks.iter().map(|task| task.pairs.n()).sum(),
            floor: stats::FEWEST_UNITS * self.tasks.len() as u64,
            needed: None,
            note: note_of(delta, 0.0, verdict),
            early: None,
        }
    }
}

/// The p-values of two opposite claims, of which limits tell only the one that is at most ½: the other is its rest.
fn opposed(pass: f64, fail: f64) -> (f64, f64) {
    if pass < 0.5 { (pass, 1.0 - pass) } else { (1.0 - fail, fail) }
}

impl Member<'_> {
    /// B − A of the complete pairs with its limits at a one-sided level.
    fn difference(&self, alpha: f64) -> Option<Interval> {
        match &self.spread {
            Some(spread) => spread.interval(alpha),
            None => method::difference(self.method?, &self.pairs.complete(), alpha),
        }
    }

    /// B − A, or B − ρA, with its limits at a one-sided level.
    fn contrast(&self, share: Option<f64>, alpha: f64, filled: Filled) -> Option<Interval> {
        let scores = match filled {
            Filled::Not => self.pairs.complete(),
            Filled::Badly => self.pairs.filled(false)?,
            Filled::Well => self.pairs.filled(true)?,
        };
        let difference = match filled {
            Filled::Not => self.difference(alpha)?,
            Filled::Badly | Filled::Well => method::difference(self.method?, &scores, alpha)?,
        };
        let Some(share) = share else { return Some(difference) };
        // B − ρA = (B − A) + (1 − ρ)A; that the canary's score goes against the difference only makes this too wide.
        let canary = method::canary(self.method?, &scores, alpha)?;
        let rest = 1.0 - share;
        let estimate = difference.estimate + rest * canary.estimate;
        let down = (difference.estimate - difference.lower).hypot(rest * (canary.estimate - canary.lower));
        let up = (difference.upper - difference.estimate).hypot(rest * (canary.upper - canary.estimate));
        Some(Interval { estimate, lower: estimate - down, upper: estimate + up })
    }

    /// The difference with a standard error that its interval implies, which is never 0.
    fn effect(&self, question: &Question) -> Option<TaskEffect> {
        let difference = self.difference(question.alpha)?;
        let z = stats::z_of(question.confidence());
        let se = 0.5 * (difference.upper - difference.lower) / z;
        let (n, table) = (self.pairs.n(), self.pairs.table);
        Some(TaskEffect { delta: difference.estimate, se, df: n.max(2) as f64 - 1.0, n, n10: table.n10, n01: table.n01 })
    }
}
