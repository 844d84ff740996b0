//! A TOML file that is being read: its text, and the faults found so far.

use std::cell::RefCell;
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use super::{Diagnostic, Diagnostics, Place, secret};

/// A TOML file and its faults. Sections note what is wrong and go on, so that one reading finds everything.
#[derive(Debug)]
pub struct Document {
    file: String,
    text: String,
    faults: RefCell<Vec<Diagnostic>>,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it is missing, unreadable or not UTF-8.
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Diagnostic::new(format!("there is no file {file}"), None),
            ErrorKind::InvalidData => Diagnostic::new(format!("{file} is not UTF-8 text"), None),
            _ => Diagnostic::new(format!("cannot read {file}: {error}"), None),
        })?;
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Ok(Self { file, text, faults: RefCell::default() })
    }

    /// The file as TOML.
    ///
    /// # Errors
    /// Every fault of syntax.
    pub fn parse(&self) -> Result<Spanned<DeTable<'_>>, Diagnostics> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        if errors.is_empty() {
            return Ok(table);
        }
        let faults = errors.iter().map(|error| {
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            let fault = Diagnostic::new(format!("not TOML: {message}"), None);
            error.span().map_or(fault.clone(), |span| fault.at(self.place(&span)))
        });
        Err(Diagnostics(faults.collect()))
    }

    /// The line and column of a range of bytes; of several lines, the first counts. What looks like a secret in the line is
    /// masked.
    pub fn place(&self, span: &Range<usize>) -> Place {
        let start = span.start.min(self.text.len());
        let line_start = self.text[..start].rfind('\n').map_or(0, |i| i + 1);
        let text = self.text[line_start..].lines().next().unwrap_or_default();
        let end = span.end.clamp(start, (line_start + text.len()).max(start));
        Place {
            file: self.file.clone(),
            line: self.text[..start].matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            text: secret::masked(text),
            width: self.text[start..end].chars().count().max(1),
        }
    }

    /// The file as a whole.
    pub fn whole(&self) -> Place {
        Place { file: self.file.clone(), line: 1, column: 1, text: String::new(), width: 0 }
    }

    /// Notes a fault. What looks like a secret in its words is masked.
    pub fn note(&self, fault: Diagnostic) {
        let (message, hint) = (secret::masked(&fault.message), fault.hint.as_deref().map(secret::masked));
        self.faults.borrow_mut().push(Diagnostic { message, hint, ..fault });
    }

    /// The end of the reading.
    ///
    /// # Errors
    /// Every fault that was noted, in the order of the file.
    pub fn finish(&self) -> Result<(), Diagnostics> {
        let mut faults = self.faults.take();
        faults.sort_by_key(|fault| fault.place.as_ref().map(|place| (place.line, place.column)));
        if faults.is_empty() { Ok(()) } else { Err(Diagnostics(faults)) }
    }
}

/// The name among those known that a misspelt one most likely means; none where nothing is near.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase().replace('-', "_");
    let distances = known.into_iter().map(|name| (strsim::damerau_levenshtein(&given, &name.replace('-', "_")), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= (given.len().max(name.len()) / 3).max(1)).then_some(name)
}
