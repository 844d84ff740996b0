//! What goes to standard output and standard error.
#![expect(clippy::print_stderr, reason = "this is the one place that prints")]

use std::io::{IsTerminal, Write};

use super::failure::Failure;

/// A result, on standard output.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that went away (`| head`) is no fault of ours.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A note for the person who waits, on standard error.
pub(super) fn note(text: &str) {
    eprintln!("{text}");
}

/// A warning, on standard error.
pub(super) fn warn(text: &str) {
    eprintln!("{} {text}", paint("warning:", "33;1"));
}

/// A fault, on standard error.
pub(super) fn complain(failure: &Failure) {
    eprintln!("{} {}", paint("error:", "31;1"), failure.what);
    if let Some(hint) = &failure.hint {
        eprintln!("{} {hint}", paint(" hint:", "36;1"));
    }
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
