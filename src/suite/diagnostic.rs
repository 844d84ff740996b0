//! Faults of configuration files, as a person wants them: a sentence, the line it is about, and what to do.

use std::fmt;

/// A stretch of one line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The whole line.
    pub text: String,
    /// Characters that are meant, from the column on; 0 where the file as a whole is meant.
    pub width: usize,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, as a sentence without its capital and its full stop; may have several lines.
    pub message: String,
    /// Where, if it is one place of a file.
    pub place: Option<Place>,
    /// What to do, where that is not plain.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A fault without a place.
    pub fn new(message: impl Into<String>, hint: Option<&str>) -> Self {
        Self { message: message.into(), place: None, hint: hint.map(str::to_owned) }
    }

    /// The same fault at a place.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let Some(place) = &self.place else {
            return self.hint.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"));
        };
        let number = place.line.to_string();
        let gutter = " ".repeat(number.len());
        if place.width == 0 {
            write!(f, "\n  --> {}", place.file)?;
            return self.hint.iter().try_for_each(|hint| write!(f, "\n   = hint: {hint}"));
        }
        write!(f, "\n{gutter}--> {}:{}:{}", place.file, place.line, place.column)?;
        // Tabs stay tabs, so that the carets stand below what they mean.
        let before: String = place.text.chars().take(place.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        write!(f, "\n{gutter} |\n{number} | {}\n{gutter} | {before}{}", place.text, "^".repeat(place.width))?;
        self.hint.iter().try_for_each(|hint| write!(f, "\n{gutter} = hint: {hint}"))
    }
}

/// Every fault that was found; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.0.iter().enumerate() {
            write!(f, "{}{diagnostic}", if i == 0 { "" } else { "\n\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}
