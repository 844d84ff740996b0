//! Memory-mapped files: the one place of this room with `unsafe` in it.
#![expect(unsafe_code, reason = "mapping a file is unsafe by nature: another process could change it while it is read")]

use std::fs::File;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};

use super::WeightsError;

/// A file's content, mapped read-only for as long as this value lives.
#[derive(Debug)]
pub(super) struct Mapped {
    path: PathBuf,
    map: memmap2::Mmap,
}

impl Mapped {
    /// Maps a file; an empty one is refused, because no model is empty.
    pub(super) fn open(path: &Path) -> Result<Self, WeightsError> {
        let read = |source| WeightsError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read)?;
        if file.metadata().map_err(read)?.len() == 0 {
            return Err(WeightsError::malformed(path, "it is empty"));
        }
        // SAFETY: the map is read-only and nothing here writes the file; a program that shortens a model file under a
        // running reader gets SIGBUS, as with every mapped reader.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(read)?;
        Ok(Self { path: path.to_owned(), map })
    }

    /// Gives the memory behind some bytes back; they are read from the file again when they are asked for again.
    pub(super) fn forget(&self, bytes: Range<usize>) {
        #[cfg(unix)]
        if !bytes.is_empty() {
            // SAFETY: the map is read-only and backed by its file, so that dropped pages come back with the same content.
            // A system that refuses keeps the pages: nothing is lost by that.
            let _kept = unsafe { self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, bytes.start, bytes.len()) };
        }
        #[cfg(not(unix))]
        let _ = bytes;
    }

    /// Where the file was found.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
