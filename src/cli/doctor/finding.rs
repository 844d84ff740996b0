//! What was found: one line a check, by subject.

use serde::Serialize;

/// How bad it is, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Fine,
    /// A person should know of it; a run is possible.
    Doubtful,
    /// A run is possible, and its comparison would be INVALID.
    Unfair,
    /// A run can't start.
    Bad,
}

impl Verdict {
    /// Its mark and the colour of that.
    pub(super) fn mark(self) -> (&'static str, &'static str) {
        match self {
            Self::Fine => ("✓", "32"),
            Self::Doubtful => ("!", "33;1"),
            Self::Unfair | Self::Bad => ("✗", "31;1"),
        }
    }

    /// The exit code that it asks for.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Fine | Self::Doubtful => 0,
            Self::Unfair => 4,
            Self::Bad => 2,
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at, in a word or two.
    pub(super) name: String,
    /// How it is.
    pub(super) verdict: Verdict,
    /// What was found, as a sentence without its capital and full stop.
    pub(super) says: String,
}

impl Finding {
    pub(super) fn new(name: &str, verdict: Verdict, says: impl Into<String>) -> Self {
        Self { name: name.to_owned(), verdict, says: says.into() }
    }

    pub(super) fn fine(name: &str, says: impl Into<String>) -> Self {
        Self::new(name, Verdict::Fine, says)
    }

    pub(super) fn doubtful(name: &str, says: impl Into<String>) -> Self {
        Self::new(name, Verdict::Doubtful, says)
    }

    pub(super) fn unfair(name: &str, says: impl Into<String>) -> Self {
        Self::new(name, Verdict::Unfair, says)
    }

    pub(super) fn bad(name: &str, says: impl Into<String>) -> Self {
        Self::new(name, Verdict::Bad, says)
    }
}

/// All checks of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Examined {
    /// The subject.
    pub(super) subject: String,
    /// Canary, variant or control.
    pub(super) role: String,
    /// What answers for it, in words.
    pub(super) engine: String,
    /// What was found, in the order in which it was looked at.
    pub(super) checks: Vec<Finding>,
}

impl Examined {
    /// The worst that was found.
    pub(super) fn worst(&self) -> Verdict {
        self.checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Fine)
    }
}
