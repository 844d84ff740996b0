//! Run folders: what they are called, what lies in them, and which one is the newest.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{JournalError, Replay};
use crate::domain::{Digest, Moment};
use crate::event::{Event, EventKind, RunHeader};

/// The journal's file name.
const JOURNAL: &str = "journal.jsonl";
/// The lock's file name.
const LOCK: &str = "journal.lock";
/// Longest last event of a finished run, in bytes, with room to spare.
const LAST_EVENT: u64 = 4096;

/// The folder of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Names a folder; nothing is read or made.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal in it.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }

    /// The file that is locked while a process writes the run.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.path.join(LOCK)
    }

    /// When the run began (milliseconds since the Unix epoch) and what it was going to do.
    ///
    /// # Errors
    /// [`JournalError::File`], [`JournalError::Empty`], [`JournalError::Format`] or [`JournalError::Line`].
    pub fn header(&self) -> Result<(u64, RunHeader), JournalError> {
        let path = self.journal();
        match Replay::open(&path)?.next().transpose()? {
            Some(Event { at_ms, kind: EventKind::RunStarted(header), .. }) => Ok((at_ms, *header)),
            _ => Err(JournalError::Empty { path }),
        }
    }

    /// Whether the run's last event says that every unit ended.
    ///
    /// # Errors
    /// [`JournalError::File`] where the journal cannot be read.
    pub fn is_finished(&self) -> Result<bool, JournalError> {
        let path = self.journal();
        let tail = read_tail(&path).map_err(|source| JournalError::File { path, source })?;
        let Some(end) = tail.iter().rposition(|&byte| byte == b'\n') else { return Ok(false) };
        let start = tail[..end].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let last = serde_json::from_slice::<Event>(&tail[start..end]);
        Ok(last.is_ok_and(|event| matches!(event.kind, EventKind::RunFinished { .. })))
    }
}

/// The last bytes of a file, as many as the last event of a finished run can have.
fn read_tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_EVENT)))?;
    let mut tail = Vec::new();
    file.take(LAST_EVENT).read_to_end(&mut tail)?;
    Ok(tail)
}

/// A name for a new run's folder such as `demo-20261122-153012` (UTC), with `-2`, `-3`, … behind it while that is taken.
///
/// Letters and digits of the plan's name are kept, anything else becomes `-`, so that the name is a plain folder name.
#[must_use]
pub fn run_id(reports: &Path, plan: &str, now_ms: u64) -> String {
    let slug: String = plan.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let slug = match slug.trim_matches('-') {
        "" => "run",
        slug => slug,
    };
    let first = format!("{slug}-{}", stamp(now_ms));
    let mut id = first.clone();
    let mut count = 1;
    while reports.join(&id).exists() {
        count += 1;
        id = format!("{first}-{count}");
    }
    id
}

/// A time as `yyyymmdd-hhmmss` in UTC.
fn stamp(now_ms: u64) -> String {
    let Moment { year, month, day, hour, minute, second } = Moment::utc(now_ms);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

/// The run that began last, finished or not, of one plan or of any; none where there is no such run.
///
/// # Errors
/// [`JournalError::Folder`] where the folder cannot be listed.
pub fn latest(reports: &Path, plan: Option<&Digest>) -> Result<Option<RunFolder>, JournalError> {
    newest(reports, |_, header| Ok(is_of(header, plan)))
}

/// The run that began last among those of a plan, or of any, that did not finish, for `--resume`.
///
/// # Errors
/// [`JournalError::Folder`] where the folder cannot be listed, [`JournalError::File`] where a journal cannot be read.
pub fn unfinished(reports: &Path, plan: Option<&Digest>) -> Result<Option<RunFolder>, JournalError> {
    newest(reports, |folder, header| Ok(is_of(header, plan) && !folder.is_finished()?))
}

/// Whether a run is of a plan, where one is asked for.
fn is_of(header: &RunHeader, plan: Option<&Digest>) -> bool {
    plan.is_none_or(|digest| header.digest == *digest)
}

/// The newest run that is wanted; folders without a readable first event are no runs.
fn newest(
    reports: &Path,
    wanted: impl Fn(&RunFolder, &RunHeader) -> Result<bool, JournalError>,
) -> Result<Option<RunFolder>, JournalError> {
    let fault = |source| JournalError::Folder { path: reports.to_owned(), source };
    let entries = match fs::read_dir(reports) {
        Ok(entries) => entries,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(fault(source)),
    };
    let mut found: Vec<(u64, PathBuf, RunHeader)> = Vec::new();
    for entry in entries {
        let folder = RunFolder::new(entry.map_err(fault)?.path());
        if let Ok((began, header)) = folder.header() {
            found.push((began, folder.path, header));
        }
    }
    found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    for (_, path, header) in found.into_iter().rev() {
        let folder = RunFolder::new(path);
        if wanted(&folder, &header)? {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}
