//! Writing a report: every format into the run's folder, each file whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::model::Report;
use super::plot::{self, PlotError};
use super::{csv, html, json, junit, markdown};

/// A report that could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The fault beneath.
        source: io::Error,
    },
    /// A format could not be made.
    #[error("cannot make {what}: {fault}")]
    Format {
        /// The file's name.
        what: &'static str,
        /// The fault beneath.
        fault: String,
    },
    /// A plot could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
}

impl ReportError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some space, then run `quantgate report` again: the journal is untouched")
            }
            Self::Write { .. } => Some("check that the folder exists and may be written to, then run `quantgate report` again"),
            Self::Format { .. } | Self::Plot(_) => None,
        }
    }
}

/// Writes every format into a folder: `report.html`, `report.md`, `results.json`, `samples.csv`, `metrics.csv`,
/// `junit.xml` and `plots/*.svg`. The same report gives the same bytes.
///
/// # Errors
/// Where a format cannot be made or a file cannot be written. A file is then as it was before.
pub fn write_all(report: &Report, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let figures = plot::all(report)?;
    let mut files: Vec<(PathBuf, Vec<u8>)> = vec![
        (folder.join("report.html"), html::render(report, &figures)?.into_bytes()),
        (folder.join("report.md"), markdown::render(report).into_bytes()),
        (folder.join("results.json"), json::render(report)?.into_bytes()),
        (folder.join("samples.csv"), csv::samples(report)?),
        (folder.join("metrics.csv"), csv::metrics(report)?),
        (folder.join("junit.xml"), junit::render(report)?.into_bytes()),
    ];
    let plots = folder.join("plots");
    files.extend(figures.iter().map(|figure| (plots.join(format!("{}.svg", figure.name)), figure.svg.clone().into_bytes())));
    fs::create_dir_all(&plots).map_err(|source| ReportError::Write { path: plots.clone(), source })?;
    for (path, content) in &files {
        write_atomically(path, content).map_err(|source| ReportError::Write { path: path.clone(), source })?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

/// Writes beside the file, then takes its place.
fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = PathBuf::from(beside);
    let written = fs::File::create(&beside).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    let placed = written.and_then(|()| fs::rename(&beside, path));
    if placed.is_err() {
        // The half-written file is of no use; that it may not go either adds nothing to the fault.
        let _ = fs::remove_file(&beside);
    }
    placed
}
