//! Progress on a terminal: a bar for each subject of the tasks under way; a task that is over becomes a line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::fit::{Fit, cut};
use super::standing::{Place, Standing, count, ready};
use crate::event::{Event, EventKind, Sink, SinkError};

/// Redraws a second, at most.
const FRAMES: u8 = 8;

/// The screen of the bars that are drawn now: what else goes to standard error has to pass above them.
static SCREEN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Prints a line on standard error, above the bars where there are any: one that passes them by would leave rows behind.
pub fn aside(line: &str) {
    let screen = SCREEN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if screen.is_none_or(|screen| screen.is_hidden() || screen.println(line).is_err()) {
        // Where standard error is gone, nobody waits for the line.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// Bars, drawn on the standard error stream.
#[derive(Debug)]
pub struct Bars {
    screen: MultiProgress,
    standing: Standing,
    under_way: BTreeMap<usize, Vec<ProgressBar>>,
    /// Where units ended since the last redraw: one redraw for many events keeps the numbers of a bar together.
    moved: BTreeSet<Place>,
}

impl Bars {
    /// Draws on the standard error stream; nothing is drawn where that is no terminal.
    #[must_use]
    pub fn on_stderr() -> Self {
        let bars = Self::on(ProgressDrawTarget::stderr_with_hz(FRAMES));
        *SCREEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bars.screen.clone());
        bars
    }

    /// Draws on any target.
    #[must_use]
    pub fn on(target: ProgressDrawTarget) -> Self {
        let screen = MultiProgress::with_draw_target(target);
        Self { screen, standing: Standing::default(), under_way: BTreeMap::new(), moved: BTreeSet::new() }
    }

    /// Takes note of an earlier part of the run without a word about it.
    pub fn recall(&mut self, events: &[Event]) {
        for event in events {
            self.standing.note(event);
        }
    }

    /// The bars of a task, made when it gets under way.
    fn show(&mut self, task: usize) {
        if self.under_way.contains_key(&task) {
            return;
        }
        let standing = &self.standing;
        let card = &standing.tasks[task];
        let (wide, high) = (standing.task_width(), standing.subject_width());
        let fit = Fit::of(columns(), wide + 2 + high);
        let bars = standing.subjects.iter().enumerate().map(|(subject, name)| {
            let place = Place { task, subject };
            // Only the first bar of a task bears its name: the eye finds groups without lines between them.
            let title = if subject == 0 { card.name.as_str() } else { "" };
            let bar = self.screen.add(ProgressBar::new(standing.units(place) as u64).with_style(style(fit)));
            bar.set_prefix(cut(&format!("{title:wide$}  {name:high$}"), fit.names));
            bar.set_position(standing.cell(place).done as u64);
            bar.set_message(standing.state(place));
            bar.reset_eta();
            bar
        });
        let bars = bars.collect();
        self.under_way.insert(task, bars);
    }

    /// Counts a subject's time on a task from its own first request: its bar may have stood since another's.
    fn begin(&self, place: Place) {
        let bar = self.under_way.get(&place.task).and_then(|bars| bars.get(place.subject));
        if let Some(bar) = bar.filter(|_| self.standing.cell(place).done == 0) {
            bar.reset_eta();
        }
    }

    /// Moves a bar; the last one of a task to arrive turns all of them into a line.
    fn advance(&mut self, place: Place) {
        if let Some(bar) = self.under_way.get(&place.task).and_then(|bars| bars.get(place.subject)) {
            bar.set_length(self.standing.units(place) as u64);
            bar.set_position(self.standing.cell(place).done as u64);
            bar.set_message(self.standing.state(place));
        }
        if self.standing.is_over(place.task)
            && let Some(bars) = self.under_way.remove(&place.task)
        {
            for bar in bars {
                bar.finish_and_clear();
                self.screen.remove(&bar);
            }
            self.say(&self.standing.summary(place.task, columns()));
        }
    }

    /// Prints a line above the bars.
    fn say(&self, line: &str) {
        if self.screen.println(cut(line, columns())).is_err() {
            self.screen.set_draw_target(ProgressDrawTarget::hidden());
        }
    }

    /// Takes all bars away.
    fn clear(&mut self) {
        for bar in std::mem::take(&mut self.under_way).into_values().flatten() {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
        // A terminal that is gone needs no clearing.
        let _ = self.screen.clear();
    }
}

impl Sink for Bars {
    fn emit(&mut self, event: &Event) -> Result<(), SinkError> {
        let place = self.standing.note(event);
        match (&event.kind, place) {
            (EventKind::RunStarted(_), _) => self.say(&self.standing.outlook()),
            (EventKind::RunResumed { done }, _) => {
                self.say(&format!("run {} goes on: {} done", self.standing.run, count(*done, "unit")));
            }
            (EventKind::SubjectReady { .. }, _) => {
                if let Some(line) = ready(event) {
                    self.say(&line);
                }
            }
            (EventKind::BatchStarted { .. }, Some(place)) => {
                self.show(place.task);
                self.begin(place);
            }
            (EventKind::UnitFinished { .. } | EventKind::TaskSettled { .. }, Some(place)) => {
                if !self.standing.is_over(place.task) {
                    self.show(place.task);
                }
                self.moved.insert(place);
            }
            (EventKind::RunFinished { .. }, _) => {
                self.flush()?;
                self.clear();
            }
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        for place in std::mem::take(&mut self.moved) {
            self.advance(place);
        }
        Ok(())
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.clear();
        *SCREEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Columns of the terminal that standard error goes to.
fn columns() -> usize {
    const USUAL: usize = 80;
    console::Term::stderr().size_checked().map_or(USUAL, |(_, columns)| usize::from(columns))
}

/// Name, bar, counts, rate, time left, and how it stands. Words and digits say it all; colour only helps.
fn style(fit: Fit) -> ProgressStyle {
    let rate = |state: &ProgressState, text: &mut dyn Write| {
        let rate = state.per_sec();
        // A column that cannot be written is left empty: it is for the eye only.
        let _ = if rate < 9.95 { write!(text, "{rate:.1}/s") } else { write!(text, "{rate:.0}/s") };
    };
    let left = |state: &ProgressState, text: &mut dyn Write| {
        let seconds = state.eta().as_secs();
        let _ = match (state.pos(), seconds) {
            (0, _) => Ok(()),
            (_, 0..100) => write!(text, "{seconds}s left"),
            (_, 100..6000) => write!(text, "{}m left", seconds.div_ceil(60)),
            _ => write!(text, "{}h left", seconds.div_ceil(3600)),
        };
    };
    let style = ProgressStyle::with_template(&fit.template()).expect("the template is well-formed");
    style.with_key("rate", rate).with_key("left", left).progress_chars("━━╌")
}
