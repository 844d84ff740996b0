//! Verdicts: the gate's four answers and their exit codes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The gate's answer; ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// The loss is smaller than the margin, shown at level α.
    Pass,
    /// The data cannot tell.
    Inconclusive,
    /// The loss is at least the margin, shown at level α; or a budget is broken.
    Fail,
    /// The comparison is not fair or not complete.
    Invalid,
}

impl Verdict {
    /// The process exit code: 0, 3, 1 or 4.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Inconclusive => 3,
            Self::Invalid => 4,
        }
    }

    /// The word, as reports and pipelines spell it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Fail => "FAIL",
            Self::Invalid => "INVALID",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
