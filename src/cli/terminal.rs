//! What goes to standard output and standard error.
#![expect(clippy::print_stderr, reason = "this is the one place that prints")]

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use super::failure::Failure;

/// A result, on standard output.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that went away (`| head`) is no fault of ours.
    let _ = writeln!(out, "{}", harmless(text)).and_then(|()| out.flush());
}

/// A result behind a mark in colour where somebody sees it, on standard output.
pub(super) fn say_marked((mark, code): (&str, &str), text: &str) {
    let mut out = std::io::stdout().lock();
    let mark = if out.is_terminal() { format!("\x1b[{code}m{mark}\x1b[0m") } else { mark.to_owned() };
    let _ = writeln!(out, "  {mark} {}", harmless(text)).and_then(|()| out.flush());
}

/// A note for the person who waits, on standard error.
pub(super) fn note(text: &str) {
    eprintln!("{}", harmless(text));
}

/// A warning, on standard error.
pub(super) fn warn(text: &str) {
    eprintln!("{} {}", paint("warning:", "33;1"), harmless(text));
}

/// A fault, on standard error.
pub(super) fn complain(failure: &Failure) {
    eprintln!("{} {}", paint("error:", "31;1"), harmless(&failure.what));
    if let Some(hint) = &failure.hint {
        eprintln!("{} {}", paint(" hint:", "36;1"), harmless(hint));
    }
}

/// The text without what a terminal would obey: names and messages come from models and from other programs' files.
fn harmless(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.contains(obeyed) { Cow::Owned(text.replace(obeyed, "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// A word in colour where somebody sees it.
fn paint(word: &str, code: &str) -> String {
    if std::io::stderr().is_terminal() { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() }
}

/// Columns of the terminal, or of a page where standard output is none.
pub(super) fn width() -> usize {
    const PAGE: usize = 120;
    console::Term::stdout().size_checked().map_or(PAGE, |(_, columns)| usize::from(columns))
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn what_a_terminal_would_obey_is_not_passed_on() {
        assert_eq!(harmless("task \u{1b}[2Jgone\rover\u{9b}1m"), "task \u{fffd}[2Jgone\u{fffd}over\u{fffd}1m");
        assert_eq!(harmless("two\n\tlines, Δ −1.2 pp"), "two\n\tlines, Δ −1.2 pp");
    }
}
