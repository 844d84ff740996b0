//! The store of answers on disk: what a model of known content said to a request, for later runs.
//!
//! A **shelf** is a folder for one content: entries of two contents never lie together. It holds **segments**, files that one
//! process creates and appends to and that others only read, so that runs beside each other need no lock to write. An entry
//! is a line: the request's key, a checksum and the answer as JSON. A line that isn't whole is passed over.

mod shelf;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use shelf::{Entry, Key, Shelf};

/// The most bytes that a store keeps; the segments that were not used for the longest time go first.
pub const MOST_BYTES: u64 = 2 << 30;

/// How a segment's name ends.
const SEGMENT: &str = "answers";

/// A store that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder of it can't be read or written.
    #[error("cannot use the answers kept in {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
}

impl StoreError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "check that the cache folder may be read and written and that the disk has room; nothing in it is needed, so it may be removed"
    }

    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::File { path: path.to_owned(), source }
    }
}

/// A folder of shelves.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    build: String,
    at_ms: u64,
}

impl Store {
    /// Opens the store in a folder, which is made where it is missing, and makes room in it where it has grown over `most`
    /// bytes. `build` names the program that asks: another build's answers are not found, since it may ask or compute in
    /// another way. `at_ms` is when this run began, in milliseconds since the Unix epoch; entries carry it.
    ///
    /// # Errors
    /// Where the folder can't be made or read.
    pub fn open(folder: &Path, build: &str, at_ms: u64, most: u64) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(StoreError::at(folder))?;
        make_room(folder, most)?;
        Ok(Self { folder: folder.to_owned(), build: build.to_owned(), at_ms })
    }

    /// The shelf of a content: of the very same bytes, and for the same build.
    ///
    /// # Errors
    /// Where it can't be made or read.
    pub fn shelf(&self, content: &[u8]) -> Result<Shelf, StoreError> {
        let mut hasher = blake3::Hasher::new_derive_key("quantgate answers of one content v1");
        hasher.update(&(self.build.len() as u64).to_le_bytes()).update(self.build.as_bytes()).update(content);
        let content = hasher.finalize();
        Shelf::open(&self.folder.join(&content.to_hex()[..32]), *content.as_bytes(), self.at_ms)
    }
}

/// A segment on disk.
struct Found {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// The segments of a shelf; none where it isn't there.
fn segments(shelf: &Path) -> Result<Vec<Found>, StoreError> {
    let mut found = Vec::new();
    for entry in listed(shelf)? {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == SEGMENT) {
            // Another process may have removed it meanwhile.
            let Ok(about) = entry.metadata() else { continue };
            found.push(Found { used: about.modified().map_err(StoreError::at(&path))?, bytes: about.len(), path });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// What a folder holds; nothing where it isn't there.
fn listed(folder: &Path) -> Result<Vec<fs::DirEntry>, StoreError> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect::<Result<_, _>>().map_err(StoreError::at(folder)),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(fault) => Err(StoreError::at(folder)(fault)),
    }
}

/// Removes segments that nobody has open, the longest unused first, until at most `most` bytes are left.
fn make_room(folder: &Path, most: u64) -> Result<(), StoreError> {
    let mut all = Vec::new();
    for shelf in listed(folder)?.into_iter().filter(|entry| entry.path().is_dir()) {
        all.extend(segments(&shelf.path())?);
    }
    all.sort_by_key(|segment| segment.used);
    let mut bytes: u64 = all.iter().map(|segment| segment.bytes).sum();
    for segment in all {
        if bytes <= most {
            break;
        }
        if remove_unused(&segment.path) {
            bytes -= segment.bytes;
        }
    }
    Ok(())
}

/// Removes a segment unless somebody reads or writes it, which their lock shows.
fn remove_unused(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    if file.try_lock().is_err() {
        return false;
    }
    let removed = fs::remove_file(path).is_ok();
    // Closing it gives the lock back as well; a fault here changes nothing.
    let _ = file.unlock();
    removed
}

#[cfg(test)]
mod tests;
