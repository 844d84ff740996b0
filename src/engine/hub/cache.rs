//! The Hub's cache: content in `blobs`, commits as folders of links in `snapshots`, branches and tags in `refs`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use sha2::{Digest, Sha256};

use super::HubError;
use super::name::{Name, is_commit};

/// One repository's part of the cache.
pub(super) struct Shelf {
    folder: PathBuf,
    revision: String,
    repository: CacheRepo,
}

impl Shelf {
    /// The part of a name's repository, its revision in view.
    pub(super) fn new(cache: &Path, name: &Name) -> Self {
        let repo = Repo::with_revision(name.repository.clone(), RepoType::Model, name.revision.clone());
        let folder = cache.join(repo.folder_name());
        Self { folder, revision: name.revision.clone(), repository: Cache::new(cache.to_owned()).repo(repo) }
    }

    /// The commit that the revision is, or was when it was last asked for.
    pub(super) fn commit(&self) -> Option<String> {
        if is_commit(&self.revision) {
            return Some(self.revision.clone());
        }
        let text = fs::read_to_string(self.folder.join("refs").join(&self.revision)).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Keeps which commit the revision is.
    pub(super) fn remember(&self, commit: &str) -> Result<(), HubError> {
        if is_commit(&self.revision) || self.commit().as_deref() == Some(commit) {
            return Ok(());
        }
        self.repository.create_ref(commit).map_err(unusable(&self.folder.join("refs")))
    }

    /// The folder of a commit.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.repository.pointer_path(commit)
    }

    /// The place of some content, which the Hub calls by its `ETag`.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Lets a commit have a file with some content.
    pub(super) fn link(&self, commit: &str, file: &str, blob: &Path) -> Result<PathBuf, HubError> {
        let place = self.snapshot(commit).join(file);
        let unusable = unusable(&place);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).map_err(&unusable)?;
        }
        let up = "../".repeat(file.split('/').count() + 1);
        let content = blob.file_name().unwrap_or_default();
        match link(&Path::new(&up).join("blobs").join(content), blob, &place) {
            Err(fault) if fault.kind() != io::ErrorKind::AlreadyExists || !place.exists() => Err(unusable(fault)),
            _ => Ok(place),
        }
    }
}

#[cfg(unix)]
fn link(relative: &Path, _: &Path, place: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(relative, place)
}

#[cfg(not(unix))]
fn link(_: &Path, blob: &Path, place: &Path) -> io::Result<()> {
    fs::hard_link(blob, place)
}

/// What came so far of some content; locked, so that two processes don't write into one file.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    blob: PathBuf,
    /// Bytes that are here.
    pub(super) length: u64,
}

impl Part {
    /// Opens what came so far; none where all of it is here. Waits while another process fetches it.
    pub(super) fn open(blob: &Path) -> Result<Option<Self>, HubError> {
        let path = blob.with_extension("incomplete");
        let unusable = unusable(&path);
        if let Some(folder) = blob.parent() {
            fs::create_dir_all(folder).map_err(&unusable)?;
        }
        if blob.exists() {
            return Ok(None);
        }
        let file = OpenOptions::new().create(true).read(true).append(true).open(&path).map_err(&unusable)?;
        file.lock().map_err(&unusable)?;
        if blob.exists() {
            return Ok(None);
        }
        let length = file.metadata().map_err(&unusable)?.len();
        Ok(Some(Self { file, path, blob: blob.to_owned(), length }))
    }

    /// Forgets what came.
    pub(super) fn clear(&mut self) -> Result<(), HubError> {
        self.length = 0;
        self.file.set_len(0).map_err(unusable(&self.path))
    }

    /// Adds what came.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.file.write_all(bytes).map_err(unusable(&self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Makes it the content, which has this many bytes as the Hub says, and is called by their SHA-256 where it is a large
    /// file's. One that isn't is removed.
    pub(super) fn finish(mut self, size: Option<u64>, place: &str) -> Result<PathBuf, HubError> {
        let unusable = unusable(&self.path);
        let damaged = |what| HubError::Damaged { place: place.to_owned(), what };
        let etag = self.blob.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let fault = if size.is_some_and(|size| size != self.length) {
            Some(damaged("size"))
        } else if etag.len() == 64 && digest(&mut self.file).map_err(&unusable)? != etag {
            Some(damaged("SHA-256"))
        } else {
            None
        };
        if let Some(fault) = fault {
            fs::remove_file(&self.path).map_err(unusable)?;
            return Err(fault);
        }
        fs::rename(&self.path, &self.blob).map_err(unusable)?;
        Ok(self.blob)
    }
}

/// A file's SHA-256 in hex.
fn digest(file: &mut File) -> io::Result<String> {
    use std::fmt::Write as _;
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = Sha256::new();
    io::copy(file, &mut HashWriter(&mut hasher))?;
    let mut text = String::new();
    for byte in hasher.finalize() {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Hashes what is written.
struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A fault at a place in the cache.
fn unusable(path: &Path) -> impl Fn(io::Error) -> HubError + use<> {
    let path = path.to_owned();
    move |source| HubError::Cache { path: path.clone(), source }
}
