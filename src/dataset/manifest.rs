//! The manifest beside datasets: where each came from, under which licence, and what it must contain.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Dataset;

/// What a manifest says about one file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The file, from the manifest's folder.
    pub file: PathBuf,
    /// Who or what made it.
    pub source: String,
    /// Under which licence.
    pub licence: String,
    /// Which revision of the source.
    pub revision: String,
    /// Hex SHA-256 of the file's bytes.
    pub sha256: String,
    /// Number of rows.
    pub rows: usize,
    /// One sentence about it.
    #[serde(default)]
    pub about: String,
}

/// A `manifest.toml` and the folder that it lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The manifest itself.
    pub path: PathBuf,
    /// What it lists; no file twice.
    pub entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    dataset: Vec<Entry>,
}

/// A manifest that can't be read, or a dataset that is not what its manifest lists.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The manifest can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The manifest.
        path: PathBuf,
        /// The fault beneath.
        source: std::io::Error,
    },
    /// The manifest is not a manifest.
    #[error("{} is not a manifest: {}", path.display(), source.to_string().trim_end())]
    Malformed {
        /// The manifest.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: Box<toml::de::Error>,
    },
    /// A file is listed twice.
    #[error("{} lists {} twice", path.display(), file.display())]
    Twice {
        /// The manifest.
        path: PathBuf,
        /// The file.
        file: PathBuf,
    },
    /// The file's content is another.
    #[error("{} is not the file that {} lists: its sha256 is {found}, listed is {listed}", file.display(), path.display())]
    Digest {
        /// The manifest.
        path: PathBuf,
        /// The dataset.
        file: PathBuf,
        /// The digest of the file.
        found: String,
        /// The digest in the manifest.
        listed: String,
    },
    /// The file has more or fewer rows.
    #[error("{} has {found} rows, but {} lists {listed}", file.display(), path.display())]
    Rows {
        /// The manifest.
        path: PathBuf,
        /// The dataset.
        file: PathBuf,
        /// Rows of the file.
        found: usize,
        /// Rows in the manifest.
        listed: usize,
    },
}

impl ManifestError {
    /// What to do about it, where that is not plain from the sentence.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Digest { .. } | Self::Rows { .. } => {
                Some("restore the listed file, or, where the change is meant, write its new sha256 and rows into the manifest")
            }
            _ => None,
        }
    }
}

impl Manifest {
    /// Reads a manifest: a TOML file of `[[dataset]]` tables with `file`, `source`, `licence`, `revision`, `sha256`,
    /// `rows` and, if you like, `about`.
    ///
    /// # Errors
    /// Where it can't be read, has a key missing or too many, or lists a file twice.
    pub fn load(path: &Path) -> Result<Self, ManifestError> {
        let text = fs::read_to_string(path).map_err(|source| ManifestError::Unreadable { path: path.to_owned(), source })?;
        let document: Document = toml::from_str(&text)
            .map_err(|source| ManifestError::Malformed { path: path.to_owned(), source: Box::new(source) })?;
        let entries = document.dataset;
        let twice = entries.iter().enumerate().find(|(i, entry)| entries[..*i].iter().any(|e| e.file == entry.file));
        if let Some((_, entry)) = twice {
            return Err(ManifestError::Twice { path: path.to_owned(), file: entry.file.clone() });
        }
        Ok(Self { path: path.to_owned(), entries })
    }

    /// What it says about a file, if anything.
    pub fn entry(&self, file: &Path) -> Option<&Entry> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let wanted = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let lies_at = |entry: &&Entry| {
            let path = folder.join(&entry.file);
            fs::canonicalize(&path).unwrap_or(path) == wanted
        };
        self.entries.iter().find(lies_at)
    }

    /// Whether the dataset is listed and, where it is, whether it is what the manifest says. A file that is not listed
    /// is allowed: it is its user's own.
    ///
    /// # Errors
    /// Where its digest or its number of rows is another than the listed one.
    pub fn verify(&self, dataset: &Dataset) -> Result<bool, ManifestError> {
        let Some(entry) = self.entry(&dataset.path) else { return Ok(false) };
        let (path, file) = (self.path.clone(), dataset.path.clone());
        let found = dataset.digest.as_str().trim_start_matches("sha256:");
        if found != entry.sha256.to_lowercase().trim_start_matches("sha256:") {
            return Err(ManifestError::Digest { path, file, found: found.to_owned(), listed: entry.sha256.clone() });
        }
        if dataset.rows.len() != entry.rows {
            return Err(ManifestError::Rows { path, file, found: dataset.rows.len(), listed: entry.rows });
        }
        Ok(true)
    }
}
