//! Files read piece by piece: lines with their offsets, and one large JSON document of which only parts are held.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::json::Skim;
use super::{HarnessError, Place};
use crate::domain::Digest;

/// Bytes read at once.
const CHUNK: usize = 1 << 18;
const ENTRY: usize = 1 << 13;

/// Opens a file for reading from an offset.
pub(super) fn open(path: &Path, from: u64) -> Result<BufReader<File>, HarnessError> {
    // What is read from the middle is one entry.
    let chunk = if from == 0 { CHUNK } else { ENTRY };
    let opened = File::open(path).and_then(|mut file| file.seek(SeekFrom::Start(from)).map(|_| file));
    opened.map(|file| BufReader::with_capacity(chunk, file)).map_err(|source| HarnessError::unreadable(path, source))
}

/// `blake3:` and the hex digest of a file, with its length in bytes.
pub(super) fn digest(path: &Path) -> Result<(Digest, u64), HarnessError> {
    let mut hasher = blake3::Hasher::new();
    let read = File::open(path).and_then(|file| hasher.update_reader(file).map(|_| ()));
    read.map_err(|source| HarnessError::unreadable(path, source))?;
    Ok((Digest::new(format!("blake3:{}", hasher.finalize().to_hex())), hasher.count()))
}

/// One line of a file.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// Where it begins in the file (bytes).
    pub(super) at: u64,
    /// Its number, from 1.
    pub(super) number: u64,
    /// Its bytes without white space around them.
    pub(super) bytes: &'a [u8],
}

impl Line<'_> {
    pub(super) fn place(&self) -> Place {
        Place::Line(self.number)
    }
}

/// A file's lines that are not blank.
pub(super) struct Lines<R> {
    from: R,
    buffer: Vec<u8>,
    at: u64,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, buffer: Vec::new(), at: 0, number: 0 }
    }

    /// The next line that is not blank.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            self.buffer.clear();
            let began = self.at;
            let length = self.from.read_until(b'\n', &mut self.buffer)?;
            if length == 0 {
                return Ok(None);
            }
            self.at += length as u64;
            self.number += 1;
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(Some(Line { at: began, number: self.number, bytes: without_mark(&self.buffer).trim_ascii() }));
            }
        }
    }
}

/// The text without a byte order mark.
pub(super) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

/// The line that begins at an offset.
pub(super) fn line_at(path: &Path, at: u64) -> Result<Vec<u8>, HarnessError> {
    let mut line = Vec::new();
    open(path, at)?.read_until(b'\n', &mut line).map_err(|source| HarnessError::unreadable(path, source))?;
    Ok(without_mark(&line).trim_ascii().to_vec())
}

/// Why a document could not be read on.
#[derive(Debug)]
pub(super) enum Broken {
    /// The file system's fault.
    Io(io::Error),
    /// It is not JSON from this byte on.
    Text(u64, &'static str),
    /// What is in it is not what it should be.
    Entry(HarnessError),
    /// Nothing: the reader has all it needs.
    Enough,
}

impl From<io::Error> for Broken {
    fn from(fault: io::Error) -> Self {
        Self::Io(fault)
    }
}

impl From<HarnessError> for Broken {
    fn from(fault: HarnessError) -> Self {
        Self::Entry(fault)
    }
}

impl Broken {
    /// The fault as one of a file; none where there was enough.
    pub(super) fn of(self, path: &Path) -> Result<(), HarnessError> {
        match self {
            Self::Io(source) => Err(HarnessError::unreadable(path, source)),
            Self::Text(at, what) => Err(HarnessError::file(
                path,
                format!("not JSON: {what} (byte {at})"),
                "the file may be cut off or damaged: write it again",
            )),
            Self::Entry(fault) => Err(fault),
            Self::Enough => Ok(()),
        }
    }
}

/// One JSON document, read from front to back.
pub(super) struct Document<R> {
    from: R,
    at: u64,
}

impl<R: BufRead> Document<R> {
    /// A document whose first byte has an offset.
    pub(super) fn new(from: R, at: u64) -> Self {
        Self { from, at }
    }

    /// Offset of the next byte.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    fn take(&mut self, n: usize) {
        self.from.consume(n);
        self.at += n as u64;
    }

    fn text_fault(&self, what: &'static str) -> Broken {
        Broken::Text(self.at, what)
    }

    /// The next byte that is not white space (or a byte order mark), without taking it.
    pub(super) fn peek(&mut self) -> Result<u8, Broken> {
        loop {
            let chunk = self.from.fill_buf()?;
            if chunk.is_empty() {
                return Err(self.text_fault("the text ends too early"));
            }
            let blank = chunk.iter().take_while(|b| matches!(b, b' ' | b'\n' | b'\r' | b'\t')).count();
            let mark = if self.at == 0 && chunk.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
            let next = chunk.get(blank.max(mark)).copied();
            self.take(blank.max(mark));
            if let Some(byte) = next.filter(|_| mark == 0) {
                return Ok(byte);
            }
        }
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Broken> {
        if self.peek()? != byte {
            return Err(self.text_fault(what));
        }
        self.take(1);
        Ok(())
    }

    /// Takes the next value: into `held` where it is wanted, past it where not.
    pub(super) fn value(&mut self, mut held: Option<&mut Vec<u8>>) -> Result<(), Broken> {
        self.peek()?;
        let mut skim = Skim::default();
        loop {
            let chunk = self.from.fill_buf()?;
            if chunk.is_empty() {
                return if skim.may_end() { Ok(()) } else { Err(self.text_fault("the text ends too early")) };
            }
            let fed = skim.feed(chunk);
            let n = match fed {
                Ok(end) => end.unwrap_or(chunk.len()),
                Err(_) => return Err(self.text_fault("no value where one must be")),
            };
            if let Some(held) = held.as_deref_mut() {
                held.extend_from_slice(&chunk[..n]);
            }
            self.take(n);
            if matches!(fed, Ok(Some(_))) {
                return Ok(());
            }
        }
    }

    /// Walks an object: `each` gets every key and takes its value.
    pub(super) fn object(&mut self, mut each: impl FnMut(&mut Self, &str) -> Result<(), Broken>) -> Result<(), Broken> {
        self.expect(b'{', "no object where one must be")?;
        let mut key = Vec::new();
        let mut first = true;
        loop {
            match self.peek()? {
                b'}' => {
                    self.take(1);
                    return Ok(());
                }
                b',' if !first => self.take(1),
                _ if first => {}
                _ => return Err(self.text_fault("a comma is missing")),
            }
            first = false;
            key.clear();
            self.value(Some(&mut key))?;
            let Some(name) = super::json::text_of(&key) else { return Err(self.text_fault("no key where one must be")) };
            self.expect(b':', "a colon is missing")?;
            each(self, &name)?;
        }
    }

    /// Walks an array: `each` takes one value a time.
    pub(super) fn array(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Broken>) -> Result<(), Broken> {
        self.expect(b'[', "no list where one must be")?;
        let mut first = true;
        loop {
            match self.peek()? {
                b']' => {
                    self.take(1);
                    return Ok(());
                }
                b',' if !first => {
                    self.take(1);
                    self.peek()?;
                }
                _ if first => {}
                _ => return Err(self.text_fault("a comma is missing")),
            }
            first = false;
            each(self)?;
        }
    }

    /// Walks an array of samples: `each` gets the offset, the number (from 1) and the bytes of one. How many there were.
    pub(super) fn samples(&mut self, each: &mut impl FnMut(u64, u64, &[u8]) -> Result<(), HarnessError>) -> Result<u64, Broken> {
        let (mut held, mut number) = (Vec::new(), 0);
        self.array(|document| {
            document.peek()?;
            let at = document.at();
            held.clear();
            document.value(Some(&mut held))?;
            number += 1;
            Ok(each(at, number, &held)?)
        })?;
        Ok(number)
    }
}

/// The value that begins at an offset of a file.
pub(super) fn value_at(path: &Path, at: u64) -> Result<Vec<u8>, HarnessError> {
    let mut held = Vec::new();
    match Document::new(open(path, at)?, at).value(Some(&mut held)) {
        Ok(()) => Ok(held),
        Err(broken) => broken.of(path).map(|()| held),
    }
}

/// The first bytes of a file, at most `n`.
pub(super) fn head(path: &Path, n: u64) -> Result<Vec<u8>, HarnessError> {
    let mut head = Vec::new();
    open(path, 0)?.take(n).read_to_end(&mut head).map_err(|source| HarnessError::unreadable(path, source))?;
    Ok(head)
}

/// A folder's entries, by name.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, HarnessError> {
    let unreadable = |source| HarnessError::unreadable(folder, source);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    Ok(paths)
}
