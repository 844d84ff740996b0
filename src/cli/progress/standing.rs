//! How a run stands: counts and paired differences by task and subject, and the words for them.

use std::collections::HashMap;
use std::fmt::Write;

use super::fit::cut;
use crate::domain::{Answer, MetricKind, Outcome, SampleId, Score, SubjectName, TaskCard, TaskName, UnitKey};
use crate::event::{Event, EventKind, RunHeader};

/// The canary's place among the subjects.
const CANARY: usize = 0;

/// One subject on one task.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    /// Units that ended.
    pub(super) done: usize,
    /// Of these, units without a score.
    pub(super) unscored: usize,
    micros: u64,
    total: Portion,
    difference: Portion,
    portions: HashMap<(SampleId, u32), Portion>,
    /// After how many samples the subject was settled on the task.
    settled: Option<usize>,
    /// Whether its line was told.
    told: bool,
}

/// A part of a mean: right answers among answers, or −ln p among tokens.
#[derive(Clone, Copy, Debug, Default)]
struct Portion {
    sum: f64,
    weight: f64,
}

impl Portion {
    /// What one score adds.
    fn of(answer: &Answer, score: &Score) -> Self {
        match answer {
            Answer::Rolling { nll, .. } => Self { sum: nll.iter().sum(), weight: nll.len() as f64 },
            Answer::Choice { .. } | Answer::Text { .. } => Self { sum: score.value, weight: 1.0 },
        }
    }

    fn add(&mut self, sum: f64, weight: f64) {
        self.sum += sum;
        self.weight += weight;
    }

    /// The mean; none before the first part.
    fn mean(self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

/// Where an event belongs that moved something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) task: usize,
    pub(super) subject: usize,
}

/// Everything so far.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) run: String,
    pub(super) subjects: Vec<SubjectName>,
    pub(super) tasks: Vec<TaskCard>,
    repeats: Vec<u32>,
    cells: Vec<Cell>,
}

impl Standing {
    /// Takes note of an event; the place of the unit that ended, the subject that was settled or the batch that began, if it
    /// is one.
    pub(super) fn note(&mut self, event: &Event) -> Option<Place> {
        match &event.kind {
            EventKind::RunStarted(header) => {
                self.start(header);
                None
            }
            EventKind::BatchStarted { subject, task, .. } => self.place(subject, task),
            EventKind::UnitFinished { unit, outcome, micros, .. } => self.unit(unit, outcome, *micros),
            EventKind::TaskSettled { subject, task, after } => {
                let place = self.place(subject, task)?;
                self.cell_mut(place).settled = Some(*after);
                self.forget(place.task);
                Some(place)
            }
            _ => None,
        }
    }

    fn start(&mut self, header: &RunHeader) {
        let RunHeader { run, subjects, tasks, .. } = header;
        let repeats = subjects.iter().map(|subject| subject.repeats).collect();
        let subjects: Vec<SubjectName> = subjects.iter().map(|subject| subject.name.clone()).collect();
        let cells = vec![Cell::default(); subjects.len() * tasks.len()];
        *self = Self { run: run.clone(), subjects, tasks: tasks.clone(), repeats, cells };
    }

    fn place(&self, subject: &SubjectName, task: &TaskName) -> Option<Place> {
        let task = self.tasks.iter().position(|card| card.name == *task)?;
        let subject = self.subjects.iter().position(|name| name == subject)?;
        Some(Place { task, subject })
    }

    fn unit(&mut self, unit: &UnitKey, outcome: &Outcome, micros: u64) -> Option<Place> {
        let place = self.place(&unit.subject, &unit.task)?;
        let cell = self.cell_mut(place);
        cell.done += 1;
        cell.micros += micros;
        match outcome {
            Outcome::Unscored { .. } => cell.unscored += 1,
            Outcome::Scored { answer, score } => {
                let portion = Portion::of(answer, score);
                cell.total.add(portion.sum, portion.weight);
                let key = (unit.sample.clone(), unit.repeat);
                cell.portions.insert(key.clone(), portion);
                self.pair(place, &key, portion);
            }
        }
        self.forget(place.task);
        Some(place)
    }

    /// Lets the portions of a task go when no pair of it can come any more.
    fn forget(&mut self, task: usize) {
        if self.is_over(task) {
            for subject in 0..self.subjects.len() {
                self.cell_mut(Place { task, subject }).portions = HashMap::new();
            }
        }
    }

    /// Adds the pairs that a score completes.
    fn pair(&mut self, place: Place, sample: &(SampleId, u32), new: Portion) {
        let canary = Place { subject: CANARY, ..place };
        if place != canary {
            if let Some(reference) = self.cell(canary).portions.get(sample).copied() {
                self.cell_mut(place).difference.add(new.sum - reference.sum, reference.weight);
            }
            return;
        }
        for subject in CANARY + 1..self.subjects.len() {
            let cell = self.cell_mut(Place { subject, ..place });
            if let Some(other) = cell.portions.get(sample).copied() {
                cell.difference.add(other.sum - new.sum, new.weight);
            }
        }
    }

    /// A subject's state on a task.
    pub(super) fn cell(&self, place: Place) -> &Cell {
        &self.cells[place.task * self.subjects.len() + place.subject]
    }

    fn cell_mut(&mut self, place: Place) -> &mut Cell {
        &mut self.cells[place.task * self.subjects.len() + place.subject]
    }

    /// How many units a subject has to answer on a task.
    pub(super) fn units(&self, place: Place) -> usize {
        let card = &self.tasks[place.task];
        let all = card.samples * card.metric.passes(self.repeats[place.subject]) as usize;
        // Answers that were under way when it was settled come on top.
        self.cell(place).settled.map_or(all, |after| after.max(self.cell(place).done))
    }

    /// Whether a subject has ended a task.
    pub(super) fn is_done(&self, place: Place) -> bool {
        self.cell(place).done >= self.units(place)
    }

    /// Whether all subjects have ended a task.
    pub(super) fn is_over(&self, task: usize) -> bool {
        (0..self.subjects.len()).all(|subject| self.is_done(Place { task, subject }))
    }

    /// What a subject has reached on a task: `93.1 %` or `perplexity 12.31`; empty before the first score.
    pub(super) fn level(&self, place: Place) -> String {
        let Some(mean) = self.cell(place).total.mean() else { return String::new() };
        match self.tasks[place.task].metric {
            MetricKind::Accuracy | MetricKind::Mean => format!("{:5.1} %", 100.0 * mean),
            MetricKind::Perplexity => format!("ppl {:.2}", mean.exp()),
        }
    }

    /// How a variant stands against the canary on the samples that both have: `Δ  −0.8 pp`, or for perplexity `× 1.012`;
    /// empty for the canary.
    pub(super) fn delta(&self, place: Place) -> String {
        let Some(mean) = self.cell(place).difference.mean() else { return String::new() };
        match self.tasks[place.task].metric {
            MetricKind::Accuracy | MetricKind::Mean => format!("Δ {:>5} pp", signed(100.0 * mean)),
            MetricKind::Perplexity => format!("× {:.3}", mean.exp()),
        }
    }

    /// Level, delta and failures in one piece of text.
    pub(super) fn state(&self, place: Place) -> String {
        let mut text = self.level(place);
        let delta = self.delta(place);
        if !delta.is_empty() {
            let _ = write!(text, "  {delta}");
        }
        match self.cell(place).unscored {
            0 => {}
            unscored => {
                let _ = write!(text, "  {unscored} unscored");
            }
        }
        text
    }

    /// One line about what is going to happen.
    pub(super) fn outlook(&self) -> String {
        let samples = self.tasks.iter().map(|task| task.samples).sum();
        let (subjects, tasks) = (count(self.subjects.len(), "subject"), count(self.tasks.len(), "task"));
        format!("run {}: {subjects}, {tasks}, {} each", self.run, count(samples, "sample"))
    }

    /// The lines that are due after a unit ended: a subject's when both it and the canary have ended the task, so that
    /// the difference is the whole one.
    pub(super) fn ended(&mut self, place: Place) -> Vec<String> {
        let canary = Place { subject: CANARY, ..place };
        if !self.is_done(place) || !self.is_done(canary) {
            return Vec::new();
        }
        let subjects = if place == canary { 0..self.subjects.len() } else { place.subject..place.subject + 1 };
        let places = subjects.map(|subject| Place { subject, ..place });
        let due: Vec<Place> = places.filter(|&place| self.is_done(place) && !self.cell(place).told).collect();
        for &place in &due {
            self.cell_mut(place).told = true;
        }
        due.into_iter().map(|place| self.line(place)).collect()
    }

    /// One line about what a subject came to on a task.
    fn line(&self, place: Place) -> String {
        let (task, subject) = (&self.tasks[place.task], &self.subjects[place.subject]);
        let seconds = self.cell(place).micros as f64 / 1e6;
        let (wide, high) = (self.task_width(), self.subject_width());
        let asked = self.cell(place).settled.filter(|&after| after < task.samples);
        let samples = asked.map_or_else(|| count(task.samples, "sample"), |after| format!("{after} of {}", task.samples));
        let state = self.state(place);
        format!("{:wide$}  {subject:high$}  {samples:>12} in {seconds:6.1} s  {state}", task.name)
    }

    /// One line about what all subjects came to on a task, in words where the width allows it, else in numbers.
    pub(super) fn summary(&self, task: usize, width: usize) -> String {
        let long = self.told(task);
        if long.chars().count() <= width {
            return long;
        }
        let card = &self.tasks[task];
        let mut text = format!("{:width$}", card.name, width = self.task_width());
        for (subject, name) in self.subjects.iter().enumerate() {
            let place = Place { task, subject };
            let short = |state: &str| {
                let state = state.trim_start_matches('Δ').trim().trim_end_matches(" pp");
                state.replace(" %", "%").replace("× ", "×")
            };
            let state = if subject == CANARY { self.level(place) } else { self.delta(place) };
            let state = if state.is_empty() { "–".to_owned() } else { short(&state) };
            let aligned = if subject == CANARY { 6 } else { 5 };
            let _ = write!(text, "  {name} {state:<aligned$}");
        }
        let unscored: usize = (0..self.subjects.len()).map(|subject| self.cell(Place { task, subject }).unscored).sum();
        if unscored > 0 {
            let _ = write!(text, "  {unscored} unscored");
        }
        cut(text.trim_end(), width)
    }

    /// The summary with every unit spelled out.
    fn told(&self, task: usize) -> String {
        let card = &self.tasks[task];
        let mut text = format!("{:width$}", card.name, width = self.task_width());
        let mut unscored = 0;
        for (subject, name) in self.subjects.iter().enumerate() {
            let place = Place { task, subject };
            unscored += self.cell(place).unscored;
            let delta = self.delta(place);
            let state = if delta.is_empty() { self.level(place) } else { delta };
            let state = if state.is_empty() { "no score" } else { &state };
            let _ = write!(text, "  {name} {state:<10}");
        }
        if unscored > 0 {
            let _ = write!(text, "  {unscored} unscored");
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// Columns that the longest task name needs.
    pub(super) fn task_width(&self) -> usize {
        self.tasks.iter().map(|card| card.name.as_str().chars().count()).max().unwrap_or(0)
    }

    /// Columns that the longest subject name needs.
    pub(super) fn subject_width(&self) -> usize {
        self.subjects.iter().map(|name| name.as_str().chars().count()).max().unwrap_or(0)
    }
}

/// A count and what is counted, in the plural where there isn't one.
pub(super) fn count(number: usize, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}

/// A number with one decimal place and its sign, a true minus among them.
fn signed(number: f64) -> String {
    let rounded = format!("{:.1}", number.abs());
    match rounded.as_str() {
        "0.0" => "±0.0".to_owned(),
        _ if number < 0.0 => format!("−{rounded}"),
        _ => format!("+{rounded}"),
    }
}

/// What a subject turned out to be, in one line; none for other events.
pub(super) fn ready(event: &Event) -> Option<String> {
    let EventKind::SubjectReady { subject, identity, load_ms, origin } = &event.kind else { return None };
    let seconds = *load_ms as f64 / 1e3;
    let (quantization, bits) = (&identity.quantization, identity.bits_per_weight);
    let size = if bits > 0.0 { format!("{quantization}, {bits:.2} bits per weight") } else { quantization.clone() };
    Some(match origin {
        None => format!("{subject} is ready: {size}, loaded in {seconds:.1} s"),
        Some(origin) if bits > 0.0 => format!("{subject} is ready: {} at {}, {size}", identity.engine, origin.host),
        Some(origin) => format!("{subject} is ready: {} at {}", identity.engine, origin.host),
    })
}
