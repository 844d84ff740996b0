//! The lock of a run folder: one process at a time writes a run.

use std::fs::{File, OpenOptions, TryLockError};

use super::{JournalError, RunFolder};

/// A run folder's lock, held until it is dropped; the system gives it back when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock, or says that another process has it.
    pub(super) fn take(folder: &RunFolder) -> Result<Self, JournalError> {
        let path = folder.lock();
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(|source| JournalError::File { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(JournalError::Busy { path: folder.path().to_owned() }),
            Err(TryLockError::Error(source)) => Err(JournalError::File { path, source }),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file alone would leave the lock to a child process that is just being started and has a copy of it. A
        // fault here is the system's own, and the lock goes with the process at the latest.
        let _ = self.0.unlock();
    }
}
