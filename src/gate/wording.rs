//! Words and numbers as a person reads them: signed points, grouped counts, the sentences of a verdict.

use std::borrow::Borrow;

use super::{Evidence, Finding, Rule, SubjectDecision};
use crate::analysis::Unscored;
use crate::domain::{CauseKind, Family, Tolerance, Verdict};
use crate::stats::Interval;

/// A fraction as percentage points without a sign, as short as it can be: `1 pp`, `0.5 pp`.
pub(crate) fn pp(fraction: f64) -> String {
    let text = format!("{:.2}", 100.0 * fraction);
    format!("{} pp", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A share as a percentage, as short as it can be: `99 %`, `99.95 %`.
pub(crate) fn percent(share: f64) -> String {
    let text = format!("{:.2}", 100.0 * share);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A tolerance as a person reads it: `1 pp`, or `99 % of the canary's`.
pub(crate) fn tolerated(tolerance: Tolerance) -> String {
    match tolerance {
        Tolerance::Margin(margin) => pp(margin),
        Tolerance::Recovery(share) => format!("{} of the canary's", percent(share)),
    }
}

/// A fraction as signed percentage points with a true minus: `−1.20`, `+0.30`, `0.00`.
pub(crate) fn signed_points(fraction: f64) -> String {
    let text = format!("{:.2}", (100.0 * fraction).abs());
    match text.as_str() {
        "0.00" => text,
        _ if fraction < 0.0 => format!("−{text}"),
        _ => format!("+{text}"),
    }
}

/// A confidence as a percentage with at most one digit: `90 %`, `91.5 %`.
pub(crate) fn confidence_text(confidence: f64) -> String {
    let text = format!("{:.1}", 100.0 * confidence);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `90 % interval −1.40 to +0.20 pp`.
pub(crate) fn interval(delta: Interval, confidence: f64) -> String {
    let (lower, upper) = (signed_points(delta.lower), signed_points(delta.upper));
    format!("{} interval {lower} to {upper} pp", confidence_text(confidence))
}

/// `90 % interval 98.20 to 100.40 % of the canary's`; an end without bounds is named so.
pub(crate) fn shares(ratio: Interval, confidence: f64) -> String {
    let end = |share: f64| if share.is_finite() { format!("{:.2}", 100.0 * share) } else { "∞".to_owned() };
    format!("{} interval {} to {} % of the canary's", confidence_text(confidence), end(ratio.lower), end(ratio.upper))
}

/// A count with thin groups: `12,000`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with two significant digits, for what is known roughly: 302,141 is about 300,000.
pub(crate) fn rough(n: u64) -> u64 {
    let unit = 10_u64.pow(n.checked_ilog10().unwrap_or(0).saturating_sub(1));
    (n + unit / 2) / unit * unit
}

/// The word for a class of causes.
pub(crate) fn cause_word(kind: CauseKind) -> &'static str {
    match kind {
        CauseKind::Refused => "refused",
        CauseKind::Engine => "engine",
        CauseKind::Transport => "transport",
        CauseKind::Limited => "limited",
        CauseKind::Timeout => "timeout",
        CauseKind::Malformed => "malformed",
        CauseKind::Filtered => "filtered",
        CauseKind::NotANumber => "not a number",
    }
}

/// Most characters of a cause that a sentence quotes.
const QUOTED: usize = 160;

/// Whose answers have no score and the commonest cause, as a clause: `20 of 20 answers of 'v' have no score (engine: out of
/// memory)`; empty without any.
pub(super) fn without_score(rows: &[Unscored]) -> String {
    let mut sides: Vec<(&str, u64, u64)> = Vec::new();
    for row in rows {
        match sides.iter_mut().find(|side| side.0 == row.subject.as_str()) {
            Some(side) => side.1 += row.count,
            None => sides.push((row.subject.as_str(), row.count, row.of)),
        }
    }
    let Some(main) = rows.iter().max_by_key(|row| row.count) else { return String::new() };
    let side = |&(name, n, of): &(&str, u64, u64)| format!("{} of {} {} of '{name}'", count(n), count(of), plural(of, "answer"));
    let sides_text: Vec<String> = sides.iter().map(side).collect();
    let have = if sides.len() == 1 && sides[0].1 == 1 { "has" } else { "have" };
    let example = main.example.trim_end_matches(['.', '\n']);
    let cut: String = example.chars().take(QUOTED).collect();
    let more = if cut.len() < example.len() { "…" } else { "" };
    let mostly = if rows.len() > 1 { "most: " } else { "" };
    format!("{} {have} no score ({mostly}{}: {cut}{more})", list(&sides_text), cause_word(main.kind))
}

/// The word, with an s unless there is one.
pub(crate) fn plural(n: u64, word: &str) -> String {
    if n == 1 { word.to_owned() } else { format!("{word}s") }
}

/// A list as a person reads it: `a`, `a and b`, `a, b and c`.
pub(crate) fn list<S: Borrow<str>>(names: &[S]) -> String {
    match names {
        [] => String::new(),
        [one] => one.borrow().to_owned(),
        [first @ .., last] => format!("{} and {}", first.join(", "), last.borrow()),
    }
}

/// Who a correction for the number of claims is by; none where there is no correction.
pub(crate) fn correction(family: Family) -> Option<&'static str> {
    match family {
        Family::Holm => Some("Holm"),
        Family::Hochberg => Some("Hochberg"),
        Family::Bh => Some("Benjamini and Hochberg"),
        Family::By => Some("Benjamini and Yekutieli"),
        Family::None => None,
    }
}

/// Why a subject has its verdict, in one sentence that starts with a small letter.
pub(super) fn subject_reason(verdict: Verdict, findings: &[Finding]) -> String {
    let gating: Vec<&Finding> = findings.iter().filter(|f| f.gating && f.evidence.is_some()).collect();
    if verdict == Verdict::Pass {
        let n = gating.len() as u64;
        return if n == 1 {
            format!("{}.", about(gating[0]))
        } else {
            format!("all {n} gating rules hold: every loss is smaller than its margin and every budget is kept.")
        };
    }
    let mut guilty: Vec<&Finding> = findings.iter().filter(|f| f.gating && f.verdict == verdict).collect();
    // A task says more than the mean that it is part of.
    guilty.sort_by(|a, b| (a.rule == Rule::Overall).cmp(&(b.rule == Rule::Overall)).then(b.severity().total_cmp(&a.severity())));
    let more = guilty.len() as u64 - 1;
    let also = if more == 0 { String::new() } else { format!(" (and {more} more {})", plural(more, "finding")) };
    format!("{}{also}.", about(guilty[0]))
}

/// The finding's task and reason.
fn about(finding: &Finding) -> String {
    match &finding.task {
        Some(task) => format!("on {task}, {}", finding.reason),
        None => finding.reason.clone(),
    }
}

/// The sentence for a control that doesn't fail.
pub(super) fn toothless(control: &SubjectDecision) -> String {
    let (name, verdict) = (&control.subject, control.verdict);
    if verdict == Verdict::Fail {
        format!("the control {name} is known to be bad, but breaks a budget only and fails no task: the tasks have no teeth.")
    } else if verdict == Verdict::Invalid {
        format!("the control {name} could not be judged, so the tasks are not shown to have teeth: {}", control.reason)
    } else if control.findings.iter().any(|finding| finding.verdict == Verdict::Inconclusive && is_short(finding)) {
        format!(
            "the control {name} must FAIL, but was asked only as much as the run's own policy needed, which is too little for \
             this one: the tasks are not shown to have teeth. Judge by the run's policy, or run again under this one."
        )
    } else {
        format!("the control {name} is known to be bad and must FAIL, but is {verdict}: the tasks have no teeth.")
    }
}

/// Whether a finding is about a task that ended early.
fn is_short(finding: &Finding) -> bool {
    matches!(&finding.evidence, Some(Evidence::Loss(loss)) if loss.early.is_some())
}

/// The sentence for a run, given its candidates' worst verdict.
pub(super) fn run_reason(worst: Verdict, candidates: &[&SubjectDecision], controls: &[&SubjectDecision]) -> String {
    let mut candidates = candidates.to_vec();
    // A stable sort: equals stay in the plan's order.
    candidates.sort_by(|a, b| b.severity().total_cmp(&a.severity()));
    let named = |wanted: &dyn Fn(Verdict) -> bool| -> Vec<&str> {
        candidates.iter().filter(|s| wanted(s.verdict)).map(|s| s.subject.as_str()).collect()
    };
    let guilty = candidates.iter().find(|s| s.verdict == worst).map_or("", |s| s.reason.as_str());
    let names = named(&|v| v == worst);
    let main = match (worst, names.as_slice()) {
        (Verdict::Pass, [one]) => format!("{one} may replace the canary: {guilty}"),
        (Verdict::Pass, all) => format!("{} may replace the canary: every gating rule holds for each.", list(all)),
        (Verdict::Fail, [one]) => format!("{one} fails: {guilty}"),
        (Verdict::Fail, [first, ..]) => format!("{} fail. {first}: {guilty}", list(&names)),
        (_, [one]) => format!("{one} is {worst}: {guilty}"),
        (_, [first, ..]) => format!("{} are {worst}. {first}: {guilty}", list(&names)),
        (_, []) => String::new(),
    };
    let fine = named(&|v| v == Verdict::Pass);
    let passing = if worst == Verdict::Pass || fine.is_empty() { String::new() } else { format!(" {} would PASS.", list(&fine)) };
    let bad: Vec<&str> = controls.iter().map(|s| s.subject.as_str()).collect();
    let teeth = match bad.len() {
        0 => String::new(),
        1 => format!(" The control {} fails, as it must.", bad[0]),
        _ => format!(" The controls {} fail, as they must.", list(&bad)),
    };
    format!("{main}{passing}{teeth}")
}

/// What a lenient policy adds to the sentence of a run whose verdict it only warns of.
pub(super) fn let_through(verdict: Verdict) -> String {
    let key = verdict.word().to_lowercase();
    format!(" Let through: the policy's `{key}` says warn, so the exit code is 0.")
}
