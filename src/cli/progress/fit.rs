//! How a line of progress is laid into the terminal's width: no line is ever longer than a row.

/// Columns of the longest bar, and of the shortest one that is worth its place.
const BAR: (usize, usize) = (16, 4);
/// Columns of the counts, the rate and the time left.
const COUNTS: usize = 11;
const RATE: usize = 8;
const LEFT: usize = 9;
/// Columns that the state of a subject needs before bar, rate and time left get theirs: `100.0 %  Δ −33.3 pp`.
const STATE: usize = 19;

/// The columns of one bar's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// Columns of the names in front.
    pub(super) names: usize,
    /// Columns of the bar; 0 where there is none.
    pub(super) bar: usize,
    /// Whether the rate is shown.
    pub(super) rate: bool,
    /// Whether the time left is shown.
    pub(super) left: bool,
    /// Columns of the state behind.
    pub(super) state: usize,
}

impl Fit {
    /// What fits: first the bar gets shorter, then the rate goes, then the time left, then the bar, then the names are cut.
    pub(super) fn of(width: usize, names: usize) -> Self {
        let shown = [(true, true), (false, true), (false, false)];
        for (rate, left) in shown {
            let taken = names + 1 + 1 + Self::middle(rate, left) + STATE;
            if let Some(bar) = width.checked_sub(taken).filter(|room| *room >= BAR.1) {
                let bar = bar.min(BAR.0);
                return Self { names, bar, rate, left, state: STATE + width - taken - bar };
            }
        }
        let room = width.saturating_sub(1 + Self::middle(false, false));
        let state = STATE.min(room);
        let names = names.min(room - state);
        Self { names, bar: 0, rate: false, left: false, state: room - names }
    }

    /// Columns of counts, rate and time left, with the spaces behind each.
    fn middle(rate: bool, left: bool) -> usize {
        let column = |shown: bool, columns: usize| if shown { columns + 1 } else { 0 };
        COUNTS + 1 + column(rate, RATE) + column(left, LEFT) + 1
    }

    /// The line as a template of indicatif's.
    pub(super) fn template(self) -> String {
        let bar = if self.bar == 0 { String::new() } else { format!("{{bar:{}.cyan/dim}} ", self.bar) };
        let rate = if self.rate { format!("{{rate:>{RATE}}} ") } else { String::new() };
        let left = if self.left { format!("{{left:>{LEFT}}} ") } else { String::new() };
        format!("{{prefix}} {bar}{{pos:>5}}/{{len:5}} {rate}{left} {{msg:{}!}}", self.state)
    }

    /// Columns of the whole line.
    #[cfg(test)]
    pub(super) fn columns(self) -> usize {
        let bar = if self.bar == 0 { 0 } else { self.bar + 1 };
        self.names + 1 + bar + Self::middle(self.rate, self.left) + self.state
    }
}

/// The text, or its beginning and an ellipsis.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}
