//! The answers of one content: found by their requests' keys, read when they are wanted, added at the end of an own segment.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{SEGMENT, StoreError, segments};
use crate::domain::{Answer, Request, Served};

/// What an answer is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// Hex digits of a key in a line.
const KEY: usize = 64;
/// Hex digits of a line's checksum.
const CHECK: usize = 16;
/// Where a line's JSON begins: after key, space, checksum and space.
const JSON: usize = KEY + 1 + CHECK + 1;

/// An answer that was kept.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Entry {
    /// When the run that asked began, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The answer.
    pub answer: Answer,
    /// What the endpoint told beside it.
    #[serde(default)]
    pub served: Option<Box<Served>>,
}

/// An entry on its way to the disk.
#[derive(Serialize)]
struct Writing<'a> {
    at_ms: u64,
    answer: &'a Answer,
    #[serde(skip_serializing_if = "Option::is_none")]
    served: Option<&'a Served>,
}

/// Where a line is.
#[derive(Clone, Debug)]
struct Place {
    segment: usize,
    bytes: Range<u64>,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: File,
}

#[derive(Debug, Default)]
struct State {
    places: HashMap<Key, Place>,
    segments: Vec<Segment>,
    /// The own segment's number, with its length; none before the first answer.
    own: Option<(usize, u64)>,
    /// The first fault. From then on nothing is written; what can still be read is.
    fault: Option<StoreError>,
}

/// The kept answers of one content. Any number of threads and processes may use the same.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    content: [u8; 32],
    at_ms: u64,
    state: Mutex<State>,
}

impl Shelf {
    /// Opens a folder and notes where its answers are; those that other processes add from now on are not seen.
    pub(super) fn open(folder: &Path, content: [u8; 32], at_ms: u64) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(StoreError::at(folder))?;
        let mut state = State::default();
        for found in segments(folder)? {
            // Another process may have removed it meanwhile, to make room.
            let Ok(file) = OpenOptions::new().read(true).append(true).open(&found.path) else { continue };
            // Shared with other readers and with its writer; it only keeps the file from being removed.
            if file.try_lock_shared().is_err() {
                continue;
            }
            // What is used is kept longest. Where the time can't be set, it only goes earlier.
            let _ = file.set_modified(SystemTime::now());
            state.take(Segment { path: found.path, file })?;
        }
        Ok(Self { folder: folder.to_owned(), content, at_ms, state: Mutex::new(state) })
    }

    /// The key of a request to this content: BLAKE3 of its JSON, every setting and the seed included.
    #[must_use]
    pub fn key(&self, request: &Request) -> Key {
        Key(*blake3::keyed_hash(&self.content, &json(request)).as_bytes())
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many answers it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().places.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The answer to a request, where there is one that can be read.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Entry> {
        let mut state = self.state();
        let place = state.places.get(key).cloned()?;
        let segment = state.segments.get_mut(place.segment)?;
        match segment.read(&place) {
            Ok(line) => json_of(&line, key).and_then(|json| serde_json::from_slice(json).ok()),
            Err(fault) => {
                let fault = StoreError::at(&segment.path)(fault);
                state.fault.get_or_insert(fault);
                None
            }
        }
    }

    /// Keeps answers; the newest of a request's is the one that is found.
    pub fn put<'a>(&self, entries: impl IntoIterator<Item = (Key, &'a Answer, Option<&'a Served>)>) {
        let mut lines = Vec::new();
        let mut kept = Vec::new();
        for (key, answer, served) in entries {
            let began = lines.len() as u64;
            let json = json(&Writing { at_ms: self.at_ms, answer, served });
            let Key(bytes) = key;
            lines.extend(blake3::Hash::from_bytes(bytes).to_hex().as_bytes());
            lines.push(b' ');
            lines.extend(check(&key, &json));
            lines.push(b' ');
            lines.extend(json);
            lines.push(b'\n');
            kept.push((key, began..lines.len() as u64));
        }
        let mut state = self.state();
        if kept.is_empty() || state.fault.is_some() {
            return;
        }
        if let Err(fault) = state.append(self, &lines, kept) {
            state.fault = Some(fault);
        }
    }

    /// The first fault as a sentence, where there was one. Nothing was kept after it.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.state().fault.as_ref().map(ToString::to_string)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the shelf")
    }
}

impl State {
    /// Notes where a segment's answers are.
    fn take(&mut self, segment: Segment) -> Result<(), StoreError> {
        let number = self.segments.len();
        let mut reader = BufReader::with_capacity(1 << 18, &segment.file);
        let (mut line, mut at) = (Vec::new(), 0_u64);
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(StoreError::at(&segment.path))? as u64;
            if read == 0 {
                break;
            }
            if let Some(key) = key_of(&line) {
                self.places.insert(key, Place { segment: number, bytes: at..at + read });
            }
            at += read;
        }
        self.segments.push(segment);
        Ok(())
    }

    /// Adds lines to the own segment, in one write.
    fn append(&mut self, shelf: &Shelf, lines: &[u8], kept: Vec<(Key, Range<u64>)>) -> Result<(), StoreError> {
        let (number, length) = if let Some(own) = self.own {
            own
        } else {
            self.segments.push(Segment::create(&shelf.folder, shelf.at_ms)?);
            (self.segments.len() - 1, 0)
        };
        let segment = &mut self.segments[number];
        segment.file.write_all(lines).map_err(StoreError::at(&segment.path))?;
        self.own = Some((number, length + lines.len() as u64));
        let place = |bytes: Range<u64>| Place { segment: number, bytes: length + bytes.start..length + bytes.end };
        self.places.extend(kept.into_iter().map(|(key, bytes)| (key, place(bytes))));
        Ok(())
    }
}

impl Segment {
    /// Makes a segment that no other process writes to.
    fn create(folder: &Path, at_ms: u64) -> Result<Self, StoreError> {
        for number in 0.. {
            let path = folder.join(format!("{at_ms}-{}-{number}.{SEGMENT}", std::process::id()));
            match OpenOptions::new().read(true).append(true).create_new(true).open(&path) {
                Ok(file) => {
                    file.lock_shared().map_err(StoreError::at(&path))?;
                    return Ok(Self { path, file });
                }
                Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {}
                Err(fault) => return Err(StoreError::at(&path)(fault)),
            }
        }
        unreachable!("some number is free")
    }

    fn read(&mut self, place: &Place) -> io::Result<Vec<u8>> {
        let mut line = vec![0; (place.bytes.end - place.bytes.start) as usize];
        self.file.seek(SeekFrom::Start(place.bytes.start))?;
        self.file.read_exact(&mut line)?;
        Ok(line)
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("requests and answers have text keys only")
}

/// The checksum of an entry: of its key, too, so that a line can't answer another request.
fn check(key: &Key, json: &[u8]) -> Vec<u8> {
    let Key(key) = key;
    blake3::keyed_hash(key, json).to_hex()[..CHECK].as_bytes().to_vec()
}

/// The key of a line; none where the line isn't whole and as it was written.
fn key_of(line: &[u8]) -> Option<Key> {
    let hex = std::str::from_utf8(line.get(..KEY)?).ok()?;
    let key = Key(*blake3::Hash::from_hex(hex).ok()?.as_bytes());
    json_of(line, &key).map(|_| key)
}

/// A line's JSON; none where the line isn't whole, isn't as it was written or is another key's.
fn json_of<'a>(line: &'a [u8], key: &Key) -> Option<&'a [u8]> {
    let json = line.get(JSON..)?.strip_suffix(b"\n")?;
    let Key(bytes) = key;
    let named = line[..KEY] == *blake3::Hash::from_bytes(*bytes).to_hex().as_bytes();
    (named && line[KEY + 1..JSON - 1] == check(key, json)[..]).then_some(json)
}
