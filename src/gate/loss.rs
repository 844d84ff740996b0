//! The margin rule: a right-or-wrong task's loss must be shown to be smaller than the margin.

use super::wording::{count, interval as interval_text, plural, pp, rough, without_score};
use super::{Case, Evidence, Finding, Loss, Method, Rule, evidence};
use crate::analysis::Comparison;
use crate::domain::{TaskCard, Verdict};
use crate::stats::{Annotation, Interval};

/// Fewest pairs that are judged at all.
const FEWEST: u64 = 10;
/// Largest share of missing pairs that bounds are drawn for.
const MOST_MISSING: f64 = 0.01;
/// Level at which missing halves are said to lie on one side.
const ONE_SIDED: f64 = 0.01;

/// Above this, a number of items is not named: nobody has so many.
const MOST_PRACTICAL: u64 = 1_000_000;

/// One finding for each right-or-wrong task.
pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let own = case.comparisons.tasks.iter().filter(|c| c.subject == *case.subject);
    own.filter_map(|comparison| Some(judge(case, comparison, case.record.task(&comparison.task)?))).collect()
}

fn judge(case: &Case<'_>, comparison: &Comparison, card: &TaskCard) -> Finding {
    let canary = comparison.paired.canary.map_or(1.0, |canary| canary.estimate);
    let (margin, alpha) = (case.policy.tolerance_of(&card.name).margin_at(canary), case.policy.alpha);
    let usable = margin > 0.0 && margin < 1.0 && alpha > 0.0 && alpha < 0.5;
    let test = usable.then(|| Test::of(comparison, margin, alpha));
    let (verdict, reason) = match &test {
        None => (
            Verdict::Invalid,
            format!("a margin of {margin} at α = {alpha} cannot be tested: the margin lies between 0 and 1, α between 0 and 0.5"),
        ),
        Some(test) => test.verdict(case, comparison, card),
    };
    Finding {
        rule: Rule::Loss,
        task: Some(card.name.clone()),
        slice: None,
        gating: case.policy.gates(&card.name, card.gating),
        verdict,
        reason,
        evidence: test.map(|test| Evidence::Loss(test.evidence(case, comparison, verdict))),
    }
}

/// A task's margin test.
struct Test {
    margin: f64,
    alpha: f64,
    floor: u64,
    method: Option<Method>,
    delta: Option<Interval>,
}

impl Test {
    fn of(comparison: &Comparison, margin: f64, alpha: f64) -> Self {
        let difference = evidence::difference(comparison, alpha);
        let method = difference.map(|d| d.method);
        let floor = method.map_or_else(|| evidence::floor(margin, alpha), |m| m.floor(margin, alpha));
        Self { margin, alpha, floor, method, delta: difference.map(|d| d.delta) }
    }

    /// Pairs that would settle the question.
    fn needed(&self, comparison: &Comparison) -> Option<u64> {
        let needed = evidence::needed(&comparison.paired.table, self.margin, self.alpha)?;
        Some(self.method.map_or(needed, |m| m.swollen(needed)).max(self.floor))
    }

    fn verdict(&self, case: &Case<'_>, comparison: &Comparison, card: &TaskCard) -> (Verdict, String) {
        if let Some(fault) = self.fault(case, comparison, card) {
            return (Verdict::Invalid, fault);
        }
        let n = comparison.paired.n();
        let clusters = comparison.clusters.len() as u64;
        if n >= FEWEST && clusters > 0 && clusters < FEWEST {
            let what = format!("the items come from {} only: at least {FEWEST} are needed", sources(clusters));
            return (Verdict::Inconclusive, what);
        }
        match self.delta {
            Some(delta) if n >= FEWEST => self.bounded(case, comparison, delta),
            _ => (Verdict::Inconclusive, format!("{} cannot tell anything: at least {FEWEST} are needed", items(n))),
        }
    }

    /// Why the task's comparison is not valid, if it isn't.
    fn fault(&self, case: &Case<'_>, comparison: &Comparison, card: &TaskCard) -> Option<String> {
        let missing = comparison.missing.total();
        let share = missing as f64 / comparison.samples.max(1) as f64;
        if share > MOST_MISSING || share > self.margin / 2.0 {
            return Some(format!("{}, too many for a verdict", unscored(case, comparison)));
        }
        if comparison.missingness.p_mid < ONE_SIDED {
            return Some(format!("{}, too many more on one side than on the other", unscored(case, comparison)));
        }
        let canary = comparison.paired.canary?;
        let n = comparison.paired.n() as f64;
        let spread = |p: f64| (p * (1.0 - p) / n).sqrt();
        let reach = card.chance + 2.0 * spread(card.chance).max(spread(canary.estimate));
        (comparison.paired.n() >= FEWEST && canary.estimate <= reach).then(|| {
            let (has, guess) = (100.0 * canary.estimate, 100.0 * card.chance);
            format!("the canary cannot do this task ({has:.1} % right, guessing gives {guess:.1} %), so nothing could be lost")
        })
    }

    /// The verdict on the complete pairs, if the missing ones could not turn it.
    fn bounded(&self, case: &Case<'_>, comparison: &Comparison, delta: Interval) -> (Verdict, String) {
        let (verdict, note) = evidence::decided(delta, self.margin);
        if comparison.missing.total() > 0 && self.robust(comparison) != Some(verdict) {
            let (missing, interval) = (unscored(case, comparison), self.interval(delta));
            let what = format!("{missing}, and what they would have been could turn the verdict ({interval})");
            return (Verdict::Inconclusive, what);
        }
        (verdict, self.reason(comparison, delta, (verdict, note)))
    }

    /// The verdict whatever the missing halves would have been.
    fn robust(&self, comparison: &Comparison) -> Option<Verdict> {
        let table = &comparison.paired.table;
        Some(evidence::robust(table, &comparison.missing, self.method?, (self.margin, self.alpha)))
    }

    fn reason(&self, comparison: &Comparison, delta: Interval, decided: (Verdict, Option<Annotation>)) -> String {
        let (interval, margin) = (self.interval(delta), pp(self.margin));
        match decided {
            (Verdict::Pass, Some(Annotation::DetectableRegressionWithinMargin)) => {
                format!("it is worse ({interval}), but by less than the margin of {margin}")
            }
            (Verdict::Pass, Some(Annotation::Improvement)) => format!("it is better than the canary ({interval})"),
            (Verdict::Pass, _) => format!("any loss is smaller than the margin of {margin} ({interval})"),
            (Verdict::Fail, _) => format!("it loses more than the margin of {margin} ({interval})"),
            _ => self.open(comparison, delta),
        }
    }

    /// Why the data cannot tell, and what would.
    fn open(&self, comparison: &Comparison, delta: Interval) -> String {
        let (n, margin, interval) = (comparison.paired.n(), pp(self.margin), self.interval(delta));
        if n < self.floor {
            let floor = count(self.floor);
            return format!(
                "{} cannot show a loss to be below {margin}, even without a flip: a pass needs at least {floor} ({interval})",
                items(n)
            );
        }
        match self.needed(comparison) {
            None => format!("the observed drop is at or over the margin of {margin}, but not surely ({interval})"),
            Some(needed) if needed > MOST_PRACTICAL => {
                format!("a loss of {margin} is not excluded ({interval}), and more than a million items would be needed to tell")
            }
            Some(needed) if needed > n => {
                // Rounding must not bring the number below what there is.
                let about = items(if rough(needed) > n { rough(needed) } else { needed });
                format!("a loss of {margin} is not excluded ({interval}): about {about} would tell, there are {}", count(n))
            }
            Some(_) => format!("a loss of {margin} is not excluded ({interval}): another {} should tell", items(n)),
        }
    }

    fn interval(&self, delta: Interval) -> String {
        let text = interval_text(delta, 1.0 - 2.0 * self.alpha);
        match self.method {
            Some(Method::FayLumbard) => format!("exact {text}"),
            Some(Method::ClusteredTango { .. }) => format!("clustered {text}"),
            _ => text,
        }
    }

    fn evidence(&self, case: &Case<'_>, comparison: &Comparison, verdict: Verdict) -> Loss {
        let note = self.delta.map(|delta| evidence::decided(delta, self.margin)).filter(|(v, _)| *v == verdict);
        let open = verdict == Verdict::Inconclusive && comparison.paired.n() > 0;
        Loss {
            tolerance: case.policy.tolerance_of(&comparison.task),
            margin: self.margin,
            confidence: 1.0 - 2.0 * self.alpha,
            method: self.method,
            delta: self.delta,
            ratio: None,
            p_pass: None,
            p_fail: None,
            p_fail_adjusted: None,
            n: comparison.paired.n(),
            floor: self.floor,
            needed: if open { self.needed(comparison) } else { None },
            note: note.and_then(|(_, note)| note),
            early: None,
        }
    }
}

/// Whose answers have no score, and why.
fn unscored(case: &Case<'_>, comparison: &Comparison) -> String {
    let text = without_score(&case.unscored(&comparison.task));
    if !text.is_empty() {
        return text;
    }
    // A run that is not finished has answers that are neither scored nor unscored.
    format!("{} of {} items have no answer", count(comparison.missing.total()), count(comparison.samples))
}

fn sources(n: u64) -> String {
    format!("{} {}", count(n), plural(n, "source"))
}

fn items(n: u64) -> String {
    format!("{} {}", count(n), plural(n, "item"))
}
