//! What can be wrong with other programs' result files, each with what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Where in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line, from 1.
    Line(u64),
    /// A sample of a document that is not made of lines, from 1.
    Sample(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(n) => write!(f, "line {n}"),
            Self::Sample(n) => write!(f, "sample {n}"),
        }
    }
}

/// A fault of result files.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// The file system's.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The fault beneath.
        source: io::Error,
    },
    /// The file or folder as a whole is not what it should be.
    #[error("{}: {what}", .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// One sample's entry is not what it should be.
    #[error("{}, {place}: {what}", .path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: Place,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Two results that cannot be compared.
    #[error("{what}")]
    Unlike {
        /// What differs.
        what: String,
        /// What to do.
        hint: String,
    },
}

impl HarnessError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Unreadable { .. } => "check that it exists and may be read",
            Self::File { hint, .. } | Self::Entry { hint, .. } | Self::Unlike { hint, .. } => hint,
        }
    }

    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), source }
    }

    pub(super) fn file(path: &Path, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), what: what.into(), hint: hint.into() }
    }

    pub(super) fn entry(path: &Path, place: Place, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Entry { path: path.to_owned(), place, what: what.into(), hint: hint.into() }
    }

    pub(super) fn unlike(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unlike { what: what.into(), hint: hint.into() }
    }
}
