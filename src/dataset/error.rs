//! Why a dataset can't be used, in sentences that name file and line.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// Most faults of one file that are spelled out.
const SHOWN: usize = 20;

/// One thing wrong with one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, as a fragment of a sentence.
    pub what: String,
}

/// A dataset that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// There is no such file.
    #[error("there is no dataset {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is there but can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The fault beneath.
        source: io::Error,
    },
    /// A kind of file that is known and not read yet.
    #[error("{} is {what}, which is not supported yet", path.display())]
    Unsupported {
        /// The file or address.
        path: PathBuf,
        /// Its kind.
        what: &'static str,
    },
    /// A kind of file that is not known.
    #[error("{} is not a dataset: its name ends in none of .jsonl, .csv, .jsonl.gz, .csv.gz", path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// A gzip file that can't be unpacked.
    #[error("cannot unpack {}: {source}", path.display())]
    Packed {
        /// The file.
        path: PathBuf,
        /// The fault beneath.
        source: io::Error,
    },
    /// A file without rows.
    #[error("{} has no rows", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Rows with faults, in the order of their lines.
    #[error("{}", listed(path, faults))]
    Rows {
        /// The file.
        path: PathBuf,
        /// What is wrong with them; never empty.
        faults: Vec<RowFault>,
    },
}

impl DatasetError {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound {
            return Self::Missing { path: path.to_owned() };
        }
        Self::Unreadable { path: path.to_owned(), source }
    }

    /// What to do about it, where that is not plain from the sentence.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing { .. } => "dataset paths start from the suite's folder".to_owned(),
            Self::Unreadable { .. } | Self::UnknownKind { .. } => return None,
            Self::Unsupported { what, .. } if what.starts_with("an address") => {
                "download the file and name it by its path".to_owned()
            }
            Self::Unsupported { .. } => "convert it to .jsonl or .csv; both may be packed with gzip".to_owned(),
            Self::Packed { .. } => "the file is damaged or cut off; fetch it again".to_owned(),
            Self::Empty { .. } => "a task needs at least one row".to_owned(),
            Self::Rows { .. } => "every row is one JSON object (or CSV record) with an `id` that no other row has".to_owned(),
        })
    }
}

fn listed(path: &Path, faults: &[RowFault]) -> String {
    let path = path.display();
    let mut text = String::new();
    for (i, fault) in faults.iter().take(SHOWN).enumerate() {
        let separator = if i == 0 { "" } else { "\n" };
        let _ = write!(text, "{separator}{path}:{}: {}", fault.line, fault.what);
    }
    if faults.len() > SHOWN {
        let _ = write!(text, "\n{path}: and {} more faults", faults.len() - SHOWN);
    }
    text
}
