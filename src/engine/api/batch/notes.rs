//! Notes of jobs that were handed in and not fetched, so that nothing is paid for twice.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::super::{Failure, RetryClass};
use crate::domain::CauseKind;

/// How old a note may be. A job of an earlier day may have been answered by a model that meanwhile is another.
const OLDEST: Duration = Duration::from_hours(48);

/// The note of one job, locked while somebody waits for it. It stays where it is unless it is forgotten.
#[derive(Debug)]
pub(super) struct Note {
    path: PathBuf,
    file: File,
    id: Option<String>,
}

impl Note {
    /// Takes the first note under this key that nobody holds, and makes one where there is none: two runs that ask the same
    /// at once have a job each.
    pub(super) fn take(folder: &Path, key: &str) -> Result<Self, Failure> {
        fs::create_dir_all(folder).map_err(|fault| unwritable(folder, &fault))?;
        for number in 0.. {
            let path = folder.join(format!("{key}-{number}.job"));
            let taken = Self::open(&path).map_err(|fault| unwritable(&path, &fault))?;
            if let Some(note) = taken {
                return Ok(note);
            }
        }
        unreachable!("some number is free")
    }

    /// A note, unless somebody holds it.
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(fault)) => return Err(fault),
        }
        let mut text = String::new();
        // What is no text was not written here; another job is handed in.
        let read = file.read_to_string(&mut text);
        let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
        let whole = read.is_ok() && text.ends_with('\n') && age < OLDEST;
        let id = whole.then(|| text.trim().to_owned()).filter(|id| is_id(id));
        Ok(Some(Self { path: path.to_owned(), file, id }))
    }

    /// The id of the job that was handed in.
    pub(super) fn id(&self) -> Option<String> {
        self.id.clone()
    }

    /// Notes a job that was handed in.
    pub(super) fn write(&mut self, id: &str) -> Result<(), Failure> {
        let mut write = || {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(format!("{id}\n").as_bytes())?;
            self.file.sync_all()
        };
        write().map_err(|fault| unwritable(&self.path, &fault))?;
        self.id = Some(id.to_owned());
        Ok(())
    }

    /// Removes the note: its job was fetched.
    pub(super) fn forget(&mut self) {
        // A note that stays leads to a job that is fetched again, or that the service no longer knows.
        let _ = fs::remove_file(&self.path);
        self.id = None;
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if self.id.is_none() {
            let _ = fs::remove_file(&self.path);
        }
        // The lock goes with the file at the latest.
        let _ = self.file.unlock();
    }
}

/// Whether a text can be a job's or a file's id, and so a part of a path.
pub(super) fn is_id(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !text.is_empty() && text.len() <= 200 && text.chars().all(plain)
}

fn unwritable(path: &Path, fault: &io::Error) -> Failure {
    let what = format!("cannot note the job in {}, so it is not handed in: {fault}", path.display());
    Failure::new(CauseKind::Engine, RetryClass::No, what)
}
