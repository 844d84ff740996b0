//! Progress on a terminal: a bar for each subject of the tasks under way; a task that is over becomes a line.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::standing::{Place, Standing, ready};
use crate::event::{Event, EventKind, Sink, SinkError};

/// Redraws a second, at most.
const FRAMES: u8 = 8;

/// Bars, drawn on the standard error stream.
#[derive(Debug)]
pub struct Bars {
    screen: MultiProgress,
    standing: Standing,
    under_way: BTreeMap<usize, Vec<ProgressBar>>,
}

impl Bars {
    /// Draws on the standard error stream; nothing is drawn where that is no terminal.
    #[must_use]
    pub fn on_stderr() -> Self {
        Self::on(ProgressDrawTarget::stderr_with_hz(FRAMES))
    }

    /// Draws on any target.
    #[must_use]
    pub fn on(target: ProgressDrawTarget) -> Self {
        let screen = MultiProgress::with_draw_target(target);
        Self { screen, standing: Standing::default(), under_way: BTreeMap::new() }
    }

    /// Takes note of an earlier part of the run without a word about it.
    pub fn recall(&mut self, events: &[Event]) {
        for event in events {
            self.standing.note(event);
        }
    }

    /// The bars of a task, made when it gets under way.
    fn show(&mut self, task: usize) {
        if self.under_way.contains_key(&task) || self.standing.is_over(task) {
            return;
        }
        let standing = &self.standing;
        let card = &standing.tasks[task];
        let (wide, high) = (standing.task_width(), standing.subject_width());
        let bars = standing.subjects.iter().enumerate().map(|(subject, name)| {
            let place = Place { task, subject };
            // Only the first bar of a task bears its name: the eye finds groups without lines between them.
            let title = if subject == 0 { card.name.as_str() } else { "" };
            let bar = self.screen.add(ProgressBar::new(card.samples as u64).with_style(style()));
            bar.set_prefix(format!("{title:wide$}  {name:high$}"));
            bar.set_position(standing.cell(place).done as u64);
            bar.set_message(standing.state(place));
            bar.reset_eta();
            bar
        });
        let bars = bars.collect();
        self.under_way.insert(task, bars);
    }

    /// Moves a bar; the last one of a task to arrive turns all of them into a line.
    fn advance(&mut self, place: Place) {
        self.show(place.task);
        if let Some(bar) = self.under_way.get(&place.task).and_then(|bars| bars.get(place.subject)) {
            bar.set_message(self.standing.state(place));
            bar.set_position(self.standing.cell(place).done as u64);
        }
        if self.standing.is_over(place.task) {
            for bar in self.under_way.remove(&place.task).into_iter().flatten() {
                bar.finish_and_clear();
                self.screen.remove(&bar);
            }
            self.say(&self.standing.summary(place.task));
        }
    }

    /// Prints a line above the bars.
    fn say(&self, line: &str) {
        if self.screen.println(line).is_err() {
            self.screen.set_draw_target(ProgressDrawTarget::hidden());
        }
    }

    /// Takes all bars away.
    fn clear(&mut self) {
        for bar in std::mem::take(&mut self.under_way).into_values().flatten() {
            bar.finish_and_clear();
        }
    }
}

impl Sink for Bars {
    fn emit(&mut self, event: &Event) -> Result<(), SinkError> {
        let place = self.standing.note(event);
        match (&event.kind, place) {
            (EventKind::RunStarted(_), _) => self.say(&format!("run {}", self.standing.run)),
            (EventKind::RunResumed { done }, _) => {
                self.say(&format!("run {} goes on: {done} units were done", self.standing.run));
            }
            (EventKind::SubjectReady { .. }, _) => {
                if let Some(line) = ready(event) {
                    self.say(&line);
                }
            }
            (EventKind::BatchStarted { .. }, Some(place)) => self.show(place.task),
            (EventKind::UnitFinished { .. }, Some(place)) => self.advance(place),
            (EventKind::RunFinished { .. }, _) => self.clear(),
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Name, bar, counts, rate, time left, and how it stands. Words and digits say it all; colour only helps.
fn style() -> ProgressStyle {
    let template = "{prefix} {bar:20.cyan/dim} {pos:>5}/{len:5} {per_sec:>10} {eta:>4} left  {msg}";
    ProgressStyle::with_template(template).expect("the template is well-formed").progress_chars("━━╌")
}
