//! The lines of the report's table, in words: a subject's tasks, the slices with rules of their own, and the mean over tasks.

use super::model::{FindingResult, Report, SliceResult, SubjectResult, TaskResult, Unit};
use super::phrase::{NOTHING, delta, flips, p, ratio, score};
use crate::domain::{TaskName, Tolerance, Verdict};
use crate::gate::wording::{count, percent, pp, rough};
use crate::stats::Interval;

/// One line of the table.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// Whose.
    pub(super) subject: &'a SubjectResult,
    /// The task; none for the mean over tasks.
    task: Option<&'a TaskResult>,
    slice: Option<&'a SliceResult>,
    /// What the gate says; none where it was not asked.
    pub(super) finding: Option<&'a FindingResult>,
    /// The confidence of an interval at the policy's α.
    usual: f64,
}

/// How an interval came about, where it is not the usual score interval: a letter for a narrow table, and a word.
pub(super) type Mark = (&'static str, &'static str);

/// Above this, a number of items is not named: nobody has so many.
const MOST: u64 = 1_000_000;

const EXACT: Mark = ("e", "exact");
const CLUSTERED: Mark = ("c", "clustered");
const STUDENT: Mark = ("t", "Student’s t");
const BETTING: Mark = ("b", "betting bound");
/// An interval at more than the usual confidence.
pub(super) const SEQUENTIAL: Mark = ("s", "sequential bound");

/// A subject's lines: its tasks, the worst first, each followed by its slices that have a rule; then the mean over tasks.
pub(super) fn lines<'a>(report: &Report, subject: &'a SubjectResult) -> Vec<Line<'a>> {
    let usual = 1.0 - 2.0 * report.policy.alpha;
    let line = |task, slice, finding| Line { subject, task, slice, finding, usual };
    let mut lines = Vec::new();
    for task in subject.tasks_worst_first() {
        lines.push(line(Some(task), None, subject.loss_of(&task.task, None)));
        lines.extend(task.slices.iter().filter_map(|slice| {
            let finding = subject.loss_of(&task.task, Some(&slice.slice))?;
            Some(line(Some(task), Some(slice), Some(finding)))
        }));
    }
    lines.extend(subject.overall().map(|finding| line(None, None, Some(finding))));
    lines
}

/// The lines of all variants and controls, the worst first.
pub(super) fn all(report: &Report) -> Vec<Line<'_>> {
    report.worst_first().into_iter().flat_map(|subject| lines(report, subject)).collect()
}

impl Line<'_> {
    /// What it is about: a task, `task / slice`, or the mean.
    pub(super) fn name(&self) -> String {
        match (self.task, self.slice) {
            (None, _) => "mean of tasks".to_owned(),
            (Some(task), None) => task.task.to_string(),
            (Some(task), Some(slice)) => format!("{} / {}", task.task, slice.slice),
        }
    }

    /// The task that it is about; none for the mean.
    pub(super) fn task_name(&self) -> Option<&TaskName> {
        self.task.map(|task| &task.task)
    }

    /// Whether it is about a whole task.
    pub(super) fn is_task(&self) -> bool {
        self.task.is_some() && self.slice.is_none()
    }

    /// In what its scores are read.
    pub(super) fn unit(&self) -> Unit {
        let is_own = |task: &&TaskResult| task.gating && task.unit == Unit::Score;
        let of_mean = || if self.subject.tasks.iter().any(|task| is_own(&task)) { Unit::Score } else { Unit::Points };
        self.task.map_or_else(of_mean, |task| task.unit)
    }

    /// Whether lost and gained count items with a lower and a higher score.
    pub(super) fn is_graded(&self) -> bool {
        self.task.is_some_and(|task| task.graded)
    }

    /// Whether the verdict depends on it.
    pub(super) fn gates(&self) -> bool {
        self.finding.map_or_else(|| self.task.is_some_and(|task| task.gating), |finding| finding.gating)
    }

    /// What the gate says.
    pub(super) fn answer(&self) -> Verdict {
        self.finding.map_or_else(|| self.task.map_or(Verdict::Invalid, |task| task.verdict), |finding| finding.verdict)
    }

    /// The verdict's word; in brackets where nothing depends on it.
    pub(super) fn verdict(&self) -> String {
        if self.gates() { self.answer().to_string() } else { format!("({})", self.answer()) }
    }

    fn pairs(&self) -> u64 {
        match (self.slice, self.task) {
            (Some(slice), _) => slice.n,
            (None, Some(task)) => task.n,
            (None, None) => self.finding.and_then(|f| f.n).unwrap_or(0),
        }
    }

    /// Complete pairs; of how many samples, where asking ended early.
    pub(super) fn n(&self) -> String {
        let n = self.pairs();
        match self.task.filter(|task| self.slice.is_none() && task.asked < task.samples) {
            Some(task) => format!("{}/{}", count(n), count(task.samples)),
            None if n == 0 && self.task.is_none() => NOTHING.to_owned(),
            None => count(n),
        }
    }

    /// Whether asking ended before the last sample.
    pub(super) fn is_early(&self) -> bool {
        self.is_task() && self.task.is_some_and(|task| task.asked < task.samples)
    }

    /// The canary's score.
    pub(super) fn canary(&self) -> String {
        self.side(|task| task.canary, |slice| slice.canary)
    }

    /// The variant's score.
    pub(super) fn variant(&self) -> String {
        self.side(|task| task.variant, |slice| slice.variant)
    }

    fn side(&self, of_task: fn(&TaskResult) -> Option<Interval>, of_slice: fn(&SliceResult) -> Option<Interval>) -> String {
        match (self.slice, self.task) {
            (Some(slice), _) => score(of_slice(slice).map(|i| i.estimate), self.unit()),
            (None, Some(task)) => score(of_task(task).map(|i| i.estimate), self.unit()),
            (None, None) if self.unit() == Unit::Score => NOTHING.to_owned(),
            (None, None) => score(self.subject.mean_accuracy(of_task), Unit::Points),
        }
    }

    /// Variant less canary with the interval that decided.
    pub(super) fn interval(&self) -> Option<Interval> {
        self.finding.map_or_else(|| self.task.and_then(|task| task.gate), |finding| finding.interval)
    }

    /// That in words.
    pub(super) fn delta(&self) -> String {
        delta(self.interval(), self.unit())
    }

    /// Variant over canary with the interval that decided, for a recovery.
    pub(super) fn ratio(&self) -> Option<Interval> {
        self.finding.and_then(|finding| finding.ratio)
    }

    /// The share to keep and the canary's score that it is of, for a recovery.
    pub(super) fn kept(&self) -> Option<(f64, f64)> {
        let Some(Tolerance::Recovery(kept)) = self.finding.and_then(|finding| finding.tolerance) else { return None };
        // What is tolerated is 1 − ρ of the canary's score.
        self.margin().filter(|_| kept < 1.0).map(|margin| (kept, margin / (1.0 - kept))).filter(|(_, canary)| *canary > 0.0)
    }

    /// The ratio, or for a mean over tasks, which is judged by its difference, about the one that this comes to.
    pub(super) fn about_ratio(&self) -> Option<Interval> {
        let about = || {
            let ((_, canary), d) = (self.kept()?, self.interval()?);
            let over = |x: f64| 1.0 + x / canary;
            Some(Interval { estimate: over(d.estimate), lower: over(d.lower), upper: over(d.upper) })
        };
        self.ratio().or_else(about)
    }

    /// That in per cent.
    pub(super) fn recovery(&self) -> String {
        match self.ratio() {
            None if self.task.is_none() && self.about_ratio().is_some() => format!("≈ {}", ratio(self.about_ratio())),
            decided => ratio(decided),
        }
    }

    /// The tolerated difference in the unit of the scores.
    pub(super) fn margin(&self) -> Option<f64> {
        self.finding.and_then(|finding| finding.limit).or_else(|| self.task.map(|task| task.margin))
    }

    /// That in words.
    pub(super) fn margin_text(&self) -> String {
        let text = |margin| if self.unit() == Unit::Points { pp(margin) } else { score(Some(margin), Unit::Score) };
        self.margin().map_or_else(|| NOTHING.to_owned(), text)
    }

    /// What may be lost, in words; for a recovery with the difference that it comes to.
    pub(super) fn tolerated(&self) -> String {
        match self.kept() {
            Some((kept, _)) => format!("{}, {}", percent(kept), self.margin_text()),
            None => self.margin_text(),
        }
    }

    /// The same without the difference that a recovery comes to.
    pub(super) fn tolerated_share(&self) -> String {
        self.kept().map_or_else(|| self.tolerated(), |(kept, _)| percent(kept))
    }

    /// `12/3`: lost and gained.
    pub(super) fn flips(&self) -> String {
        match (self.slice, self.task) {
            (Some(slice), _) => flips(slice.n, &slice.table),
            (None, Some(task)) => flips(task.n, &task.table),
            (None, None) => NOTHING.to_owned(),
        }
    }

    /// The p of a loss as large as tolerated or larger; for FAIL that of one no larger, corrected for the number of claims.
    pub(super) fn p(&self) -> String {
        let of = |f: &FindingResult| if f.verdict == Verdict::Fail { f.p_fail_adjusted.or(f.p_fail) } else { f.p_pass };
        self.finding.and_then(of).map_or_else(|| NOTHING.to_owned(), p)
    }

    /// Whether its p is one that was corrected.
    pub(super) fn is_corrected(&self) -> bool {
        let corrected = |f: &FindingResult| match (f.p_fail, f.p_fail_adjusted) {
            (Some(raw), Some(adjusted)) => f.verdict == Verdict::Fail && p(raw) != p(adjusted),
            _ => false,
        };
        self.finding.is_some_and(corrected)
    }

    /// McNemar's mid-p of no difference; for scores that are not right or wrong, that of as many worse as better.
    pub(super) fn p_none(&self) -> Option<String> {
        self.task.filter(|task| self.slice.is_none() && task.n > 0).map(|task| p(task.p_mid))
    }

    /// How the interval that decided came about, where it is not the usual score interval.
    pub(super) fn marks(&self) -> Vec<Mark> {
        let Some(finding) = self.finding else { return Vec::new() };
        let method = match finding.method {
            Some("fay-lumbard") => Some(EXACT),
            Some("tango-clustered" | "ratio-score-clustered" | "cr2-t") => Some(CLUSTERED),
            Some("paired-t") => Some(STUDENT),
            Some("betting") => Some(BETTING),
            _ => None,
        };
        let unusual = finding.confidence.is_some_and(|confidence| (confidence - self.usual).abs() > 1e-9);
        method.into_iter().chain(unusual.then_some(SEQUENTIAL)).collect()
    }

    /// Items that would settle an open question.
    pub(super) fn needed(&self) -> Option<String> {
        self.finding
            .and_then(|finding| finding.needed)
            .map(|n| if n > MOST { "more than a million".to_owned() } else { count(rough(n)) })
    }
}
