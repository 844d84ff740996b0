//! `_logits_` files of llama.cpp's perplexity tool: a model's distributions of chunks of a text, 16 bits a number.
//!
//! The file: `_logits_`; context, vocabulary and chunks as i32; the tokens of all chunks as i32; then for each chunk the rows
//! that predict its tokens behind the middle. A row has two f32 (the step, and the log-probability of the smallest value), one
//! u16 a token, and one u16 more where the vocabulary is odd. What lies more than 16 nats below the likeliest token is raised
//! to that. All numbers are little-endian.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

/// How a file begins.
const MAGIC: &[u8; 8] = b"_logits_";
/// Bytes before the tokens.
const HEADER: usize = 20;
/// Fewest tokens of a chunk of which one is scored.
const LEAST_CONTEXT: usize = 4;
/// Nats below the likeliest token beyond which all are alike.
const DEPTH: f32 = 16.0;

/// A fault of a `_logits_` file.
#[derive(Debug, thiserror::Error)]
pub enum LogitsError {
    /// The file system's.
    #[error("cannot {does} {}: {source}", .path.display())]
    Io {
        /// `read` or `write`.
        does: &'static str,
        /// The file.
        path: PathBuf,
        /// The fault beneath.
        source: io::Error,
    },
    /// It begins otherwise.
    #[error("{} is no file of log-probabilities: it does not begin with `_logits_`", .path.display())]
    Other {
        /// The file.
        path: PathBuf,
    },
    /// Its header makes no sense.
    #[error("the header of {} says {what}", .path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It ends too early, or late.
    #[error("{} has {has} bytes, and by its header {wanted}: it was cut off or is of another form", .path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        has: u64,
        /// The length that its header tells of.
        wanted: u64,
    },
}

impl LogitsError {
    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Other { .. } => Some("write one by `llama-perplexity --kl-divergence-base FILE` or by `--save-logits FILE`"),
            Self::Length { .. } => Some("write it again to the end"),
            Self::Io { .. } | Self::Header { .. } => None,
        }
    }
}

/// How a text is cut into chunks, and its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunks {
    /// Tokens of a chunk; at least 4.
    pub context: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// The tokens of all chunks, `chunks · context`, each less than `vocabulary`.
    pub tokens: Vec<u32>,
}

impl Chunks {
    /// Number of chunks.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tokens.len() / self.context
    }

    /// The place in a chunk of the first row: that after it is the first scored token.
    #[must_use]
    pub fn first(&self) -> usize {
        self.context / 2
    }

    /// Number of scored tokens of a chunk: rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.context - 1 - self.first()
    }

    /// Numbers of 16 bits in a row.
    fn width(&self) -> usize {
        self.vocabulary.next_multiple_of(2) + 4
    }
}

/// The three numbers of a header.
#[derive(Clone, Copy)]
struct Header {
    context: usize,
    vocabulary: usize,
    count: usize,
}

impl Header {
    /// Reads the numbers behind the first eight bytes; says what makes no sense.
    fn parse(bytes: &[u8; HEADER]) -> Result<Self, String> {
        let number = |at: usize| i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let at_least = |value: i32, least: usize, what: &str| {
            usize::try_from(value).ok().filter(|value| *value >= least).ok_or_else(|| format!("{value} {what}"))
        };
        Ok(Self {
            context: at_least(number(8), LEAST_CONTEXT, "tokens a chunk")?,
            vocabulary: at_least(number(12), 1, "tokens in the vocabulary")?,
            count: at_least(number(16), 1, "chunks")?,
        })
    }

    /// Bytes of the whole file; all of u64 where they can't be counted.
    fn bytes(self) -> u64 {
        let empty = Chunks { context: self.context, vocabulary: self.vocabulary, tokens: Vec::new() };
        let rows = (empty.rows() as u64).checked_mul(2 * empty.width() as u64);
        let chunk = rows.and_then(|rows| rows.checked_add(4 * self.context as u64));
        let all = chunk.and_then(|chunk| chunk.checked_mul(self.count as u64));
        all.and_then(|all| all.checked_add(HEADER as u64)).unwrap_or(u64::MAX)
    }
}

/// A file that is read chunk by chunk.
#[derive(Debug)]
pub struct LogitsReader {
    path: PathBuf,
    file: BufReader<File>,
    chunks: Chunks,
    buffer: Vec<u8>,
}

impl LogitsReader {
    /// Opens a file and checks its header, its tokens and its length.
    ///
    /// # Errors
    /// Where any of them is not what it should be.
    pub fn open(path: &Path) -> Result<Self, LogitsError> {
        let failed = |source| LogitsError::Io { does: "read", path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let has = file.metadata().map_err(failed)?.len();
        let mut file = BufReader::new(file);
        let mut head = Vec::with_capacity(HEADER);
        file.by_ref().take(HEADER as u64).read_to_end(&mut head).map_err(failed)?;
        if !head.starts_with(MAGIC) {
            return Err(LogitsError::Other { path: path.to_owned() });
        }
        let length = |wanted| LogitsError::Length { path: path.to_owned(), has, wanted };
        let head: [u8; HEADER] = head.try_into().map_err(|_| length(HEADER as u64))?;
        let senseless = |what| LogitsError::Header { path: path.to_owned(), what };
        let header = Header::parse(&head).map_err(senseless)?;
        if has != header.bytes() {
            return Err(length(header.bytes()));
        }
        // The file is as long as its header says, so this is no more than it holds.
        let mut tokens = vec![0_u8; 4 * header.context * header.count];
        file.read_exact(&mut tokens).map_err(failed)?;
        let tokens: Vec<u32> = tokens.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let Header { context, vocabulary, .. } = header;
        if let Some(token) = tokens.iter().find(|token| **token as usize >= vocabulary) {
            return Err(senseless(format!(
                "{vocabulary} tokens in the vocabulary, and there is a token {}",
                token.cast_signed()
            )));
        }
        let chunks = Chunks { context, vocabulary, tokens };
        Ok(Self { path: path.to_owned(), file, chunks, buffer: Vec::new() })
    }

    /// The tokens, and how they are cut.
    #[must_use]
    pub fn chunks(&self) -> &Chunks {
        &self.chunks
    }

    /// The next chunk's natural log-probabilities, `rows · vocabulary`, in place of what is in `rows`. They carry the rounding
    /// and the depth of the file, so that a row need not sum to 1.
    ///
    /// # Errors
    /// Where the file can't be read, or has no more chunks.
    pub fn next(&mut self, rows: &mut Vec<f32>) -> Result<(), LogitsError> {
        let width = self.chunks.width();
        self.buffer.resize(2 * width * self.chunks.rows(), 0);
        let failed = |source| LogitsError::Io { does: "read", path: self.path.clone(), source };
        self.file.read_exact(&mut self.buffer).map_err(failed)?;
        rows.clear();
        for row in self.buffer.chunks_exact(2 * width) {
            rows.extend(unpack(row, self.chunks.vocabulary));
        }
        Ok(())
    }
}

/// A file that is written chunk by chunk.
#[derive(Debug)]
pub struct LogitsWriter {
    path: PathBuf,
    file: BufWriter<File>,
    chunks: Chunks,
}

impl LogitsWriter {
    /// Begins a new file, in place of one that is there.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn create(path: &Path, chunks: &Chunks) -> Result<Self, LogitsError> {
        let failed = |source| LogitsError::Io { does: "write", path: path.to_owned(), source };
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        file.write_all(MAGIC).map_err(failed)?;
        for number in [chunks.context, chunks.vocabulary, chunks.count()] {
            file.write_all(&(number as u32).to_le_bytes()).map_err(failed)?;
        }
        for token in &chunks.tokens {
            file.write_all(&token.to_le_bytes()).map_err(failed)?;
        }
        Ok(Self { path: path.to_owned(), file, chunks: chunks.clone() })
    }

    /// Adds the next chunk's logits, `rows · vocabulary`.
    ///
    /// # Errors
    /// Where they can't be written.
    pub fn add(&mut self, logits: &[f32]) -> Result<(), LogitsError> {
        let width = self.chunks.width();
        let mut bytes = vec![0_u8; 2 * width * self.chunks.rows()];
        let rows = logits.par_chunks_exact(self.chunks.vocabulary);
        rows.zip(bytes.par_chunks_exact_mut(2 * width)).for_each(|(row, bytes)| pack(row, bytes));
        self.file.write_all(&bytes).map_err(|source| self.failed(source))
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Where its last bytes can't be written.
    pub fn finish(mut self) -> Result<(), LogitsError> {
        self.file.flush().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> LogitsError {
        LogitsError::Io { does: "write", path: self.path.clone(), source }
    }
}

/// A row of logits in 16 bits a number; the operations and their precision are llama.cpp's, so that its bytes come out.
fn pack(logits: &[f32], bytes: &mut [u8]) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let smallest = logits.iter().copied().fold(f32::INFINITY, f32::min);
    let least = smallest.max(largest - DEPTH);
    let total: f64 = logits.iter().map(|&x| f64::from((x - largest).exp())).sum();
    let step = (largest - least) / 65_535.0;
    bytes[..4].copy_from_slice(&step.to_le_bytes());
    bytes[4..8].copy_from_slice(&(least - largest - total.ln() as f32).to_le_bytes());
    if step > 0.0 {
        let inverse = 1.0 / step;
        for (bytes, &x) in bytes[8..].as_chunks_mut::<2>().0.iter_mut().zip(logits) {
            let steps = if x > least { (inverse * (x - least)).round_ties_even() } else { 0.0 };
            *bytes = (steps as u16).to_le_bytes();
        }
    }
}

/// The log-probabilities of a row's bytes.
fn unpack(row: &[u8], vocabulary: usize) -> impl Iterator<Item = f32> {
    let float = |at: usize| f32::from_le_bytes([row[at], row[at + 1], row[at + 2], row[at + 3]]);
    let (step, least) = (float(0), float(4));
    let values = row[8..8 + 2 * vocabulary].as_chunks::<2>().0;
    values.iter().map(move |bytes| step * f32::from(u16::from_le_bytes(*bytes)) + least)
}

/// Turns rows of logits into the log-probabilities that a file would hold of them, without a file.
pub fn as_stored(rows: &mut [f32], vocabulary: usize) {
    rows.par_chunks_exact_mut(vocabulary).for_each(|row| {
        let mut bytes = vec![0; 8 + 2 * vocabulary];
        pack(row, &mut bytes);
        row.iter_mut().zip(unpack(&bytes, vocabulary)).for_each(|(x, stored)| *x = stored);
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunks(vocabulary: usize) -> Chunks {
        Chunks { context: 4, vocabulary, tokens: vec![0, 1, 2, 1, 2, 1, 0, 0] }
    }

    fn written(chunks: &Chunks, logits: &[&[f32]]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("base");
        let mut writer = LogitsWriter::create(&path, chunks).expect("it can be written");
        for logits in logits {
            writer.add(logits).expect("it can be written");
        }
        writer.finish().expect("it can be written");
        (folder, path)
    }

    #[test]
    fn a_file_has_the_bytes_that_the_format_says() {
        // Logits 2, 0, −40 in a vocabulary of three: the last is raised to 2 − 16, so a step is 16 / 65535.
        let (_folder, path) = written(&chunks(3), &[&[2.0, 0.0, -40.0], &[1.0, 1.0, 1.0]]);
        let bytes = std::fs::read(&path).expect("it is there");
        let mut expected = b"_logits_".to_vec();
        expected.extend([4_i32, 3, 2, 0, 1, 2, 1, 2, 1, 0, 0].iter().flat_map(|number| number.to_le_bytes()));
        let (step, total) = (16.0_f32 / 65_535.0, (1.0 + (-2.0_f64).exp()).ln() as f32);
        expected.extend(step.to_le_bytes());
        expected.extend((-16.0 - total).to_le_bytes());
        // 14 / 16 of 65535 is 57343.125.
        expected.extend([65_535_u16, 57_343, 0, 0].iter().flat_map(|number| number.to_le_bytes()));
        expected.extend(0.0_f32.to_le_bytes());
        expected.extend((-(3.0_f64.ln() as f32)).to_le_bytes());
        expected.extend([0; 8]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn files_that_are_none_or_were_cut_off_are_told_apart() {
        let (folder, path) = written(&chunks(3), &[&[2.0, 0.0, -40.0], &[1.0, 1.0, 1.0]]);
        let whole = std::fs::read(&path).expect("it is there");
        let said = |bytes: &[u8]| {
            let path = folder.path().join("other");
            std::fs::write(&path, bytes).expect("it can be written");
            LogitsReader::open(&path).map(|_| ()).expect_err("it is refused").to_string().replace(&*path.to_string_lossy(), "F")
        };
        assert_eq!(said(b"GGUF"), "F is no file of log-probabilities: it does not begin with `_logits_`");
        let short = said(&whole[..whole.len() - 1]);
        assert_eq!(short, "F has 83 bytes, and by its header 84: it was cut off or is of another form");
        assert_eq!(said(&whole[..12]), "F has 12 bytes, and by its header 20: it was cut off or is of another form");
        let mut changed = whole.clone();
        changed[16..20].copy_from_slice(&i32::MAX.to_le_bytes());
        assert!(said(&changed).contains("84 bytes"), "nothing is reserved for what is not there");
        changed[12..16].copy_from_slice(&(-3_i32).to_le_bytes());
        assert_eq!(said(&changed), "the header of F says -3 tokens in the vocabulary");
        let mut changed = whole;
        changed[20..24].copy_from_slice(&3_i32.to_le_bytes());
        assert_eq!(said(&changed), "the header of F says 3 tokens in the vocabulary, and there is a token 3");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_within_half_a_step(
            logits in (2_usize..40).prop_flat_map(|vocabulary| proptest::collection::vec(-30.0_f32..30.0, 2 * vocabulary)),
        ) {
            let vocabulary = logits.len() / 2;
            let chunks = Chunks { context: 4, vocabulary, tokens: vec![0, 1, 0, 1, 0, 1, 0, 1] };
            let rows: Vec<&[f32]> = logits.chunks_exact(vocabulary).collect();
            let (_folder, path) = written(&chunks, &rows);
            let mut reader = LogitsReader::open(&path).expect("it is whole");
            prop_assert_eq!(reader.chunks(), &chunks);
            let mut read = Vec::new();
            for row in rows {
                reader.next(&mut read).expect("there is another chunk");
                let mut stored = row.to_vec();
                as_stored(&mut stored, vocabulary);
                prop_assert_eq!(&stored, &read, "with and without a file");
                let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let total: f64 = row.iter().map(|&x| f64::from(x - largest).exp()).sum();
                for (&x, &read) in row.iter().zip(&read) {
                    let held = f64::from(x.max(largest - DEPTH) - largest) - total.ln();
                    prop_assert!((held - f64::from(read)).abs() < 16.0 / 65_535.0 * 0.51 + 1e-5, "{} and {}", held, read);
                }
            }
            prop_assert!(reader.next(&mut read).is_err(), "there are no more chunks");
        }
    }
}
