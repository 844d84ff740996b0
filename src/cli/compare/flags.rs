//! Flags of `compare` as typed: tolerances, error rates and formats.

use crate::harness::Format;

/// Reads a margin: `2pp` or `0.02`.
pub(in crate::cli) fn margin(text: &str) -> Result<f64, String> {
    let (number, unit) = text.trim().strip_suffix("pp").map_or((text.trim(), 1.0), |points| (points.trim(), 100.0));
    between(
        number.parse::<f64>().map(|n| n / unit),
        1.0,
        "percentage points (2pp) or a share (0.02), more than 0 and less than 100pp",
    )
}

/// Reads a share of the canary's score.
pub(in crate::cli) fn recovery(text: &str) -> Result<f64, String> {
    between(text.parse(), 1.0, "a share, more than 0 and less than 1, such as 0.99")
}

/// Reads an error rate.
pub(in crate::cli) fn alpha(text: &str) -> Result<f64, String> {
    between(text.parse(), 0.5, "more than 0 and less than 0.5; 0.05 is usual")
}

fn between(number: Result<f64, std::num::ParseFloatError>, end: f64, form: &str) -> Result<f64, String> {
    number.ok().filter(|n| *n > 0.0 && *n < end).ok_or_else(|| format!("it is {form}"))
}

/// Reads a format's name.
pub(in crate::cli) fn format(text: &str) -> Result<Format, String> {
    let found = Format::ALL.iter().find(|(word, _)| *word == text).map(|(_, format)| *format);
    let words: Vec<&str> = Format::ALL.iter().map(|(word, _)| *word).collect();
    found.ok_or_else(|| format!("formats are {}", words.join(", ")))
}
