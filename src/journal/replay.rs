//! Reading a journal back, event by event, up to the point where it was cut off.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::JournalError;
use crate::event::{Event, EventKind, FORMAT};

/// What every format's first line has, however much it changes otherwise.
#[derive(Deserialize)]
struct Probe {
    format: u32,
}

/// The events of a journal, in order. A torn last line ends it silently; a damaged line before that is an error.
///
/// Numbers must be without gaps and the first event must be [`EventKind::RunStarted`].
#[derive(Debug)]
pub struct Replay {
    path: PathBuf,
    reader: BufReader<File>,
    events: u64,
    intact: u64,
    over: bool,
}

impl Replay {
    /// Opens a journal file; nothing is read yet.
    ///
    /// # Errors
    /// [`JournalError::File`] where it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let file = File::open(path).map_err(|source| JournalError::File { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), reader: BufReader::new(file), events: 0, intact: 0, over: false })
    }

    /// Bytes up to the end of the last whole event read so far.
    #[must_use]
    pub fn intact(&self) -> u64 {
        self.intact
    }

    /// The next event, or none at the end or at a torn last line.
    fn read(&mut self) -> Result<Option<Event>, JournalError> {
        let fault = |source| JournalError::File { path: self.path.clone(), source };
        let mut line = Vec::new();
        let length = self.reader.read_until(b'\n', &mut line).map_err(fault)?;
        if line.pop() != Some(b'\n') {
            return if self.events == 0 { Err(JournalError::Empty { path: self.path.clone() }) } else { Ok(None) };
        }
        match self.parse(&line) {
            Ok(event) => {
                self.events += 1;
                self.intact += length as u64;
                Ok(Some(event))
            }
            Err(JournalError::Line { .. }) if self.events > 0 && self.at_end()? => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether nothing follows.
    fn at_end(&mut self) -> Result<bool, JournalError> {
        let rest = self.reader.fill_buf().map_err(|source| JournalError::File { path: self.path.clone(), source })?;
        Ok(rest.is_empty())
    }

    /// The event of a whole line, checked against its place.
    fn parse(&self, line: &[u8]) -> Result<Event, JournalError> {
        let bad = |reason| JournalError::Line { path: self.path.clone(), line: self.events + 1, reason };
        if self.events == 0
            && let Ok(Probe { format: found }) = serde_json::from_slice(line)
            && found > FORMAT
        {
            return Err(JournalError::Format { path: self.path.clone(), found, known: FORMAT });
        }
        let event: Event = serde_json::from_slice(line).map_err(|error| bad(format!("not an event: {error}")))?;
        if event.seq != self.events {
            let Event { seq, .. } = event;
            return Err(bad(format!("event {seq} where event {} belongs: lines are missing or doubled", self.events)));
        }
        match event.kind {
            EventKind::RunStarted(_) if self.events > 0 => Err(bad("a second start of the run".to_owned())),
            EventKind::RunStarted(_) => Ok(event),
            _ if self.events == 0 => Err(bad("the first event is not the start of a run".to_owned())),
            _ => Ok(event),
        }
    }
}

impl Iterator for Replay {
    type Item = Result<Event, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.read().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Every whole event of a journal file.
///
/// # Errors
/// Those of [`Replay`]: the file, its format, or a damaged line, by name and number.
pub fn replay(path: &Path) -> Result<Vec<Event>, JournalError> {
    Replay::open(path)?.collect()
}
