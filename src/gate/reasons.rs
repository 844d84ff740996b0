//! Why a loss is judged as it is: the clauses of a finding.

use super::Method;
use super::loss::{Measured, Part};
use super::method::{Stand, UNBOUNDED_FROM};
use super::wording::{confidence_text, count, interval as interval_text, plural, pp, rough, shares};
use crate::domain::{MetricKind, Tolerance, Verdict};
use crate::stats::{Annotation, FEWEST_UNITS, T_FROM};

/// Above this, a number of items is not named: nobody has so many.
const MOST_PRACTICAL: u64 = 1_000_000;

/// A question that makes no sense.
pub(super) fn untestable(part: &Part<'_>) -> String {
    let alpha = part.asked.policy.alpha;
    match part.question.tolerance {
        Tolerance::Margin(margin) => {
            format!("a margin of {margin} at α = {alpha} cannot be tested: the margin lies between 0 and 1, α between 0 and 0.5")
        }
        Tolerance::Recovery(share) => format!(
            "a recovery of {share} at α = {alpha} cannot be tested: the recovery lies between 0 and 1, α between 0 and 0.5"
        ),
    }
}

/// Too few pairs.
pub(super) fn too_few(n: u64) -> String {
    format!("{} cannot tell anything: at least {} are needed", items(n), FEWEST_UNITS)
}

/// Too few clusters.
pub(super) fn few_sources(have: u64, needed: u64) -> String {
    format!("the items come from {} only: at least {needed} are needed", sources(have))
}

/// No interval.
pub(super) fn undefined(part: &Part<'_>, method: Option<Method>) -> String {
    match (part.question.tolerance, method) {
        (Tolerance::Recovery(_), None) => "the canary scores nothing here, so there is no share of it to keep".to_owned(),
        (Tolerance::Recovery(_), Some(_)) => {
            "the canary's score cannot be told from 0, so there is no share of it to keep".to_owned()
        }
        _ => "the scores do not vary, and without bounds nothing can be told from that: give the task's `range`".to_owned(),
    }
}

/// Missing halves that could turn the verdict.
pub(super) fn missing_could_turn(part: &Part<'_>, interval: &str) -> String {
    format!("{}, and what they would have been could turn the verdict ({interval})", unscored(part))
}

/// Scores without bounds.
pub(super) fn unbounded(part: &Part<'_>, interval: &str) -> String {
    if part.question.strict {
        return format!("a strict policy accepts no score without bounds ({interval}): give the task's `range`");
    }
    let (units, differing) = (part.pairs.sources().unwrap_or(part.pairs.n()), part.pairs.differing());
    if units < UNBOUNDED_FROM || differing < T_FROM {
        return format!(
            "scores without bounds are judged from {UNBOUNDED_FROM} items on of which {T_FROM} differ, there are {} of which {} \
             ({interval}): give the task's `range`, or add items",
            count(units),
            count(differing)
        );
    }
    format!("a bootstrap does not agree with the t interval ({interval}): a few items weigh too much")
}

/// A sign-flip test of another mind.
pub(super) fn signs_disagree(interval: &str) -> String {
    format!("the interval decides ({interval}), but the sign-flip test over sources does not agree: add sources")
}

/// Whole passes that vary, where bets cannot allow for it.
pub(super) fn shaken(interval: &str) -> String {
    format!("whole passes differ by more than their items explain, for which {interval} cannot allow: add items or passes")
}

/// A canary that was cut off.
pub(super) fn cut_off(part: &Part<'_>, interval: &str) -> String {
    let comparison = part.asked.comparison;
    let more = |word: &str, side: crate::analysis::Asymmetry| {
        format!("{} answers of the canary {word}, {} of the variant", count(side.canary), count(side.variant))
    };
    let said = if comparison.truncated.p_mid <= comparison.unparsed.p_mid {
        more("were cut off", comparison.truncated)
    } else {
        more("could not be read", comparison.unparsed)
    };
    format!("{said}: without that it might not pass ({interval}); give answers more tokens")
}

/// More missing than bounds are drawn for.
pub(super) fn too_many_missing(part: &Part<'_>) -> String {
    format!("{}, too many for a verdict", unscored(part))
}

/// Missing on one side.
pub(super) fn missing_on_one_side(part: &Part<'_>) -> String {
    format!("{}, too many more on one side than on the other", unscored(part))
}

/// A canary that guesses.
pub(super) fn canary_cannot(part: &Part<'_>) -> String {
    let (canary, chance) = (part.pairs.canary.map_or(0.0, |canary| canary.estimate), part.asked.card.chance);
    if part.pairs.means.is_some() {
        return format!(
            "the canary cannot do this task (it scores {canary:.3}, guessing gives {chance:.3}), so nothing could be lost"
        );
    }
    let (has, guess) = (100.0 * canary, 100.0 * chance);
    format!("the canary cannot do this task ({has:.1} % right, guessing gives {guess:.1} %), so nothing could be lost")
}

/// Why a verdict is what it is.
pub(super) fn of(part: &Part<'_>, measured: &Measured, stand: &Stand, verdict: Verdict) -> String {
    let interval = measured.method.map_or_else(String::new, |method| interval(part, method, stand));
    let note = stand.note(verdict);
    let whole = match (verdict, part.question.tolerance) {
        (Verdict::Pass, Tolerance::Margin(margin)) => match note {
            Some(Annotation::DetectableRegressionWithinMargin) => {
                format!("it is worse ({interval}), but by less than the margin of {}", amount(part, margin))
            }
            Some(Annotation::Improvement) => format!("it is better than the canary ({interval})"),
            _ => format!("any loss is smaller than the margin of {} ({interval})", amount(part, margin)),
        },
        (Verdict::Pass, Tolerance::Recovery(_)) => match note {
            Some(Annotation::DetectableRegressionWithinMargin) => {
                format!("it is worse ({interval}), but keeps more than {}", kept(part))
            }
            Some(Annotation::Improvement) => format!("it is better than the canary ({interval})"),
            _ => format!("it keeps more than {} ({interval})", kept(part)),
        },
        (Verdict::Fail, Tolerance::Margin(margin)) => {
            format!("it loses more than the margin of {} ({interval})", amount(part, margin))
        }
        (Verdict::Fail, Tolerance::Recovery(_)) => format!("it keeps less than {} ({interval})", kept(part)),
        _ => open(part, measured, stand, &interval),
    };
    whole + &stopped(part)
}

/// A subject that was asked no more by a rule under which it would not have been settled there.
pub(super) fn elsewhere(part: &Part<'_>, interval: &str) -> String {
    let comparison = part.asked.comparison;
    let (asked, samples) = (count(comparison.asked), items(comparison.samples));
    format!("it was asked {asked} of {samples} only, by another rule for stopping, and the rest would tell ({interval})")
}

/// What is to be kept: `99 % of the canary's score, here a loss of 0.62 pp`.
fn kept(part: &Part<'_>) -> String {
    let share = part.question.share().unwrap_or(1.0);
    format!("{} of the canary's score, here a loss of {}", super::wording::percent(share), amount(part, part.margin()))
}

/// What another policy's early stop leaves.
fn stopped(part: &Part<'_>) -> String {
    let comparison = part.asked.comparison;
    let (asked, samples) = (comparison.asked, comparison.samples);
    if part.slice.is_some() || asked >= samples || part.is_settled() {
        return String::new();
    }
    format!("; asked were {} of {} only, by another policy's rule for stopping", count(asked), items(samples))
}

/// Why the data cannot tell, and what would.
fn open(part: &Part<'_>, measured: &Measured, stand: &Stand, interval: &str) -> String {
    let (n, margin) = (part.pairs.n(), amount(part, part.margin()));
    let loss = match part.question.tolerance {
        Tolerance::Margin(_) => format!("a loss of {margin}"),
        Tolerance::Recovery(share) => format!("a loss of {margin}, which leaves {}", super::wording::percent(share)),
    };
    if n < measured.floor {
        let floor = count(measured.floor);
        return format!(
            "{} cannot show a loss to be below {margin}, even without a flip: a pass needs at least {floor} ({interval})",
            items(n)
        );
    }
    match measured.needed(part).filter(|_| stand.room() > 0.0) {
        None => format!("the observed drop is at or over the margin of {margin}, but not surely ({interval})"),
        Some(needed) if needed > MOST_PRACTICAL => {
            format!("{loss} is not excluded ({interval}), and more than a million items would be needed to tell")
        }
        Some(needed) if needed > n => {
            // Rounding must not bring the number below what there is.
            let about = items(if rough(needed) > n { rough(needed) } else { needed });
            format!("{loss} is not excluded ({interval}): about {about} would tell, there are {}", count(n))
        }
        Some(_) => format!("{loss} is not excluded ({interval}): another {} should tell", items(n)),
    }
}

/// The interval that decided, named where it is not the usual one.
pub(super) fn interval(part: &Part<'_>, method: Method, stand: &Stand) -> String {
    let confidence = part.question.confidence();
    let text = match stand.ratio {
        Some(ratio) => shares(ratio, confidence),
        None if in_points(part) => interval_text(stand.delta, confidence),
        None => {
            format!("{} interval {} to {}", confidence_text(confidence), signed(stand.delta.lower), signed(stand.delta.upper))
        }
    };
    match method {
        Method::FayLumbard => format!("exact {text}"),
        Method::Betting => format!("betting {text}"),
        Method::ClusteredTango { .. } | Method::ClusteredRatio { .. } | Method::ClusteredT => format!("clustered {text}"),
        Method::Tango | Method::RatioScore | Method::PairedT | Method::Mover => text,
    }
}

/// Whether a task's scores lie between 0 and 1, so that their differences read as percentage points.
fn in_points(part: &Part<'_>) -> bool {
    let card = part.asked.card;
    card.metric == MetricKind::Accuracy || card.range.is_some_and(|(low, high)| low >= 0.0 && high <= 1.0)
}

/// A loss in the unit of the task's scores.
fn amount(part: &Part<'_>, loss: f64) -> String {
    if in_points(part) { pp(loss) } else { own_unit(loss) }
}

/// A number in a unit of its own, without zeros at its end.
fn own_unit(value: f64) -> String {
    let text = format!("{:.3}", value.abs());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The same with its sign.
fn signed(value: f64) -> String {
    let sign = if value < 0.0 { "−" } else { "+" };
    format!("{sign}{}", own_unit(value))
}

/// Whose answers have no score, and why.
fn unscored(part: &Part<'_>) -> String {
    let text = (part.asked.unscored)();
    if !text.is_empty() {
        return text;
    }
    // A run that is not finished has answers that are neither scored nor unscored.
    format!("{} of {} items have no answer", count(part.pairs.missing.total()), count(part.samples()))
}

fn sources(n: u64) -> String {
    format!("{} {}", count(n), plural(n, "source"))
}

fn items(n: u64) -> String {
    format!("{} {}", count(n), plural(n, "item"))
}
