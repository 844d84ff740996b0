//! The journal: an append-only file of events, the only truth about a run.
//!
//! One JSON line an event. What was flushed survives the end of the process at any moment; a line that was cut off in
//! the middle is dropped when the run goes on, and its unit is asked again. One process at a time writes a run.

mod error;
mod folder;
mod ledger;
mod lock;
mod replay;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use error::JournalError;
pub use folder::{RunFolder, latest, run_id, unfinished};
pub use ledger::{Entry, Ledger, data_of, models_of};
pub use replay::{Replay, replay};

use self::lock::Lock;
use crate::domain::Digest;
use crate::event::{Event, EventKind, RunHeader, Sink, SinkError};

/// The longest that written events wait for the disk itself: what a power cut may cost.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The writer of one run's journal; it holds the run's lock as long as it lives.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    buffer: Vec<u8>,
    synced: Instant,
    unsynced: bool,
    finished: bool,
    _lock: Lock,
}

impl Journal {
    /// Makes the folder `reports/<header.run>` and an empty, locked journal in it. The runner sends the header itself, as
    /// the run's first event.
    ///
    /// # Errors
    /// [`JournalError::Folder`], [`JournalError::Taken`], [`JournalError::Busy`] or [`JournalError::File`].
    pub fn create(reports: &Path, header: &RunHeader) -> Result<(Self, RunFolder), JournalError> {
        fs::create_dir_all(reports).map_err(|source| JournalError::Folder { path: reports.to_owned(), source })?;
        let path = reports.join(&header.run);
        fs::create_dir(&path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => JournalError::Taken { path: path.clone() },
            _ => JournalError::Folder { path: path.clone(), source },
        })?;
        let folder = RunFolder::new(path);
        let lock = Lock::take(&folder)?;
        let path = folder.journal();
        let opened = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = opened.map_err(|source| JournalError::File { path: path.clone(), source })?;
        Ok((Self::over(file, path, lock), folder))
    }

    /// Goes on with a run: reads what is there, cuts a torn last line off and gives back every whole event.
    ///
    /// `plan` is the digest of the plan at hand; the run must have begun with the same.
    ///
    /// # Errors
    /// [`JournalError::Busy`] while another process writes the run, [`JournalError::Digest`] for another plan, and those
    /// of [`Replay`].
    pub fn resume(folder: &RunFolder, plan: &Digest) -> Result<(Self, Vec<Event>), JournalError> {
        let path = folder.journal();
        if !path.exists() {
            return Err(JournalError::Empty { path });
        }
        let lock = Lock::take(folder)?;
        let mut replay = Replay::open(&path)?;
        let events = replay.by_ref().collect::<Result<Vec<Event>, JournalError>>()?;
        if let Some(EventKind::RunStarted(header)) = events.first().map(|event| &event.kind)
            && header.digest != *plan
        {
            let (journal, plan) = (header.digest.clone(), plan.clone());
            return Err(JournalError::Digest { path: folder.path().to_owned(), journal, plan });
        }
        let opened = OpenOptions::new().append(true).open(&path);
        let cut = opened.and_then(|file| file.set_len(replay.intact()).map(|()| file));
        let file = cut.map_err(|source| JournalError::File { path: path.clone(), source })?;
        Ok((Self::over(file, path, lock), events))
    }

    /// A writer over an open file.
    fn over(file: File, path: PathBuf, lock: Lock) -> Self {
        let synced = Instant::now();
        Self { file, path, buffer: Vec::new(), synced, unsynced: false, finished: false, _lock: lock }
    }

    /// Writes the buffer in one call, and at most once a second makes the disk keep it.
    fn write(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.write_all(&self.buffer)?;
            self.buffer.clear();
            self.unsynced = true;
        }
        if self.unsynced && (self.finished || self.synced.elapsed() >= SYNC_EVERY) {
            self.file.sync_data()?;
            self.unsynced = false;
            self.synced = Instant::now();
        }
        Ok(())
    }

    /// The fault of a write, with what it means for the run.
    fn fault(&self, source: io::Error) -> SinkError {
        let path = self.path.display();
        let kept = "everything answered so far is kept, and `quantgate run --resume` goes on from there";
        let what = match source.kind() {
            io::ErrorKind::StorageFull => format!("no space left on the disk of `{path}`: make room; {kept}"),
            _ => format!("cannot write the journal `{path}`: {source}; {kept}"),
        };
        SinkError { what, source: Some(source) }
    }
}

impl Sink for Journal {
    fn emit(&mut self, event: &Event) -> Result<(), SinkError> {
        if !event.kind.is_durable() {
            return Ok(());
        }
        self.finished = matches!(event.kind, EventKind::RunFinished { .. });
        serde_json::to_writer(&mut self.buffer, event).map_err(|error| self.fault(error.into()))?;
        self.buffer.push(b'\n');
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.write().map_err(|source| self.fault(source))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if self.unsynced {
            // Nobody is left to tell: the file has the events, only a power cut in the next seconds could take them.
            let _ = self.file.sync_data();
        }
    }
}
