//! What can go wrong with a run's folder and its journal, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::domain::Digest;

/// A run folder that cannot be made, written, read or gone on with.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder cannot be made or listed.
    #[error("cannot use the folder `{}` for reports: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The fault beneath.
        source: io::Error,
    },
    /// A run of this name is there already.
    #[error("the run folder `{}` is there already", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
    },
    /// Another process holds the run.
    #[error("another process is writing the run in `{}`", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot open or read `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The fault beneath.
        source: io::Error,
    },
    /// There is no complete first event.
    #[error("`{}` holds no run: its first event is missing or cut off", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A line before the last one is damaged.
    #[error("`{}`, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer program wrote it.
    #[error("`{}` has journal format {found}; this quantgate reads formats up to {known}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format that it names.
        found: u32,
        /// The newest format that can be read.
        known: u32,
    },
    /// The plan is another one than the run began with.
    #[error("the run in `{}` began with the plan {journal}, but the plan is now {plan}", path.display())]
    Digest {
        /// The folder.
        path: PathBuf,
        /// Digest of the plan that the run began with.
        journal: Digest,
        /// Digest of the plan at hand.
        plan: Digest,
    },
}

impl JournalError {
    /// What to do about it, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Folder { .. } => Some("name a folder that can be written with `reports` in the plan"),
            Self::Taken { .. } => Some("start again: the new run gets a name of its own"),
            Self::Busy { .. } => Some("wait for that process to end, or start a new run"),
            Self::File { .. } => None,
            Self::Empty { .. } => Some("start a new run: nothing had been answered in this one"),
            Self::Line { .. } => Some("restore the file from a copy, or start a new run"),
            Self::Format { .. } => Some("use the version of quantgate that wrote it, or a newer one"),
            Self::Digest { .. } => {
                Some("give the same flags as the run began with (--limit, --seed, --suite), restore the plan, or start a new run")
            }
        }
    }
}
