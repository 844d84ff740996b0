//! The ledger of a reports folder: one line for each variant that a finished run judged, so that no attempt is forgotten.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::JournalError;
use crate::domain::{Attempt, Digest, Identity, SubjectName, Verdict};
use crate::event::RunHeader;

/// The ledger's file name.
const LEDGER: &str = "ledger.jsonl";
/// Most attempts of one variant that a run's header takes over, the newest: with more, a chance pass is certain at any α.
const MOST: usize = 200;

/// What a finished run said of one variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When the run ended (milliseconds since the Unix epoch).
    pub at_ms: u64,
    /// The run's folder name.
    pub run: String,
    /// The variant, by its name in that run.
    pub subject: SubjectName,
    /// Digest of the canary's and the variant's content, as of [`models_of`].
    pub models: Digest,
    /// Digest of what they were asked, as of [`data_of`].
    pub data: Digest,
    /// Digest of the plan.
    pub plan: Digest,
    /// Digest of the policy.
    pub policy: Digest,
    /// What the run said.
    pub verdict: Verdict,
}

/// The ledger of a reports folder; the file need not be there yet.
#[derive(Clone, Debug)]
pub struct Ledger {
    path: PathBuf,
}

impl Ledger {
    /// The ledger of a folder that runs are made in; nothing is read.
    #[must_use]
    pub fn of(reports: &Path) -> Self {
        Self { path: reports.join(LEDGER) }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every entry, in order, and the numbers (from 1) of lines that are none; nothing where there is no file.
    ///
    /// # Errors
    /// [`JournalError::File`] where the file cannot be read.
    pub fn read(&self) -> Result<(Vec<Entry>, Vec<usize>), JournalError> {
        let bytes = match fs::read(&self.path) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            read => read.map_err(|source| self.fault(source))?,
        };
        Ok(lines(&bytes))
    }

    /// Adds those entries whose run and subject it does not have yet, in one write under the file's lock, so that runs that
    /// end at the same moment keep each other's lines whole.
    ///
    /// # Errors
    /// [`JournalError::File`] where the file cannot be read, locked or written.
    pub fn append(&self, entries: &[Entry]) -> Result<(), JournalError> {
        let fault = |source| self.fault(source);
        let opened = OpenOptions::new().read(true).append(true).create(true).open(&self.path);
        let mut file = opened.map_err(fault)?;
        // Whoever holds it writes a few lines and ends; the system gives the lock back when this file is closed.
        file.lock().map_err(fault)?;
        // By the same handle: where locks are mandatory, no other one may read now.
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(fault)?;
        let (held, _) = lines(&bytes);
        let is_new = |entry: &&Entry| !held.iter().any(|held| held.run == entry.run && held.subject == entry.subject);
        let mut text = Vec::new();
        // A line that was cut off must not swallow the next one.
        if bytes.last().is_some_and(|&last| last != b'\n') {
            text.push(b'\n');
        }
        for entry in entries.iter().filter(is_new) {
            serde_json::to_writer(&mut text, entry).map_err(|error| fault(error.into()))?;
            text.push(b'\n');
        }
        let written = file.write_all(&text).and_then(|()| file.sync_data());
        // As with a run's lock: a child that is being started may have a copy of the file.
        let _ = file.unlock();
        written.map_err(fault)
    }

    fn fault(&self, source: io::Error) -> JournalError {
        JournalError::File { path: self.path.clone(), source }
    }
}

/// The entries among some lines, and the numbers (from 1) of those that are none.
fn lines(bytes: &[u8]) -> (Vec<Entry>, Vec<usize>) {
    let (mut entries, mut damaged) = (Vec::new(), Vec::new());
    for (line, number) in bytes.split(|&byte| byte == b'\n').zip(1..).filter(|(line, _)| !line.trim_ascii().is_empty()) {
        match serde_json::from_slice(line) {
            Ok(entry) => entries.push(entry),
            Err(_) => damaged.push(number),
        }
    }
    (entries, damaged)
}

impl Entry {
    /// What a later run of the same models keeps of these entries, for a variant of its own; its newest ones, in order.
    #[must_use]
    pub fn attempts(entries: &[Self], subject: &SubjectName, models: &Digest) -> Vec<Attempt> {
        let same: Vec<&Self> = entries.iter().filter(|entry| entry.models == *models).collect();
        let newest = same[same.len().saturating_sub(MOST)..].iter();
        let attempt = |entry: &&Self| Attempt {
            subject: subject.clone(),
            run: entry.run.clone(),
            verdict: entry.verdict,
            plan: entry.plan.clone(),
            policy: entry.policy.clone(),
        };
        newest.map(attempt).collect()
    }
}

/// What makes two models the same two again, on whichever machine and under whichever version: their weights,
/// vocabularies, templates and quantizations.
#[must_use]
pub fn models_of(canary: &Identity, variant: &Identity) -> Digest {
    let parts = [canary, variant].into_iter().flat_map(|identity| {
        let Identity { weights, vocabulary, template, quantization, .. } = identity;
        [weights.as_str(), vocabulary.as_str(), template.as_str(), quantization.as_str()]
    });
    digest("quantgate ledger models v1", parts)
}

/// What a run asks, as far as its header tells: seed, tasks, datasets and numbers of samples.
#[must_use]
pub fn data_of(header: &RunHeader) -> Digest {
    let tasks = header.tasks.iter().map(|card| format!("{} {} {}", card.name, card.digest, card.samples));
    let parts: Vec<String> = std::iter::once(header.seed.to_string()).chain(tasks).collect();
    digest("quantgate ledger data v1", parts.iter().map(String::as_str))
}

fn digest<'a>(purpose: &str, parts: impl Iterator<Item = &'a str>) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(purpose);
    for part in parts {
        // The length in front keeps ("a", "bc") apart from ("ab", "c").
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    Digest::new(format!("blake3:{}", hasher.finalize().to_hex()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(run: &str, subject: &str) -> Entry {
        Entry {
            at_ms: 5,
            run: run.to_owned(),
            subject: subject.into(),
            models: "blake3:m".into(),
            data: "blake3:d".into(),
            plan: "blake3:p".into(),
            policy: "blake3:q".into(),
            verdict: Verdict::Pass,
        }
    }

    #[test]
    fn a_run_is_in_the_ledger_once_however_often_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(folder.path());
        assert_eq!(ledger.read().unwrap(), (vec![], vec![]));
        ledger.append(&[entry("a", "q4"), entry("a", "q8")]).unwrap();
        ledger.append(&[entry("a", "q8"), entry("b", "q4")]).unwrap();
        let (entries, damaged) = ledger.read().unwrap();
        assert_eq!((entries, damaged), (vec![entry("a", "q4"), entry("a", "q8"), entry("b", "q4")], vec![]));
    }

    #[test]
    fn a_damaged_line_is_named_and_costs_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(folder.path());
        ledger.append(&[entry("a", "q4")]).unwrap();
        let mut bytes = fs::read(ledger.path()).unwrap();
        bytes.extend_from_slice(b"{\"at_ms\":7,\"ru\xff");
        fs::write(ledger.path(), bytes).unwrap();
        ledger.append(&[entry("b", "q4")]).unwrap();
        assert_eq!(ledger.read().unwrap(), (vec![entry("a", "q4"), entry("b", "q4")], vec![2]));
    }

    #[test]
    fn writers_at_the_same_moment_keep_each_others_lines() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(folder.path());
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let ledger = &ledger;
                scope.spawn(move || (0..5).for_each(|run| ledger.append(&[entry(&format!("{writer}-{run}"), "q4")]).unwrap()));
            }
        });
        let (entries, damaged) = ledger.read().unwrap();
        assert_eq!((entries.len(), damaged.len()), (40, 0));
    }

    #[test]
    fn attempts_are_those_on_the_same_models_under_any_name() {
        let entries = [entry("a", "q4"), Entry { models: "blake3:n".into(), ..entry("b", "q4") }, entry("c", "quart")];
        let attempts = Entry::attempts(&entries, &"mine".into(), &"blake3:m".into());
        let told: Vec<(&str, &str)> = attempts.iter().map(|a| (a.subject.as_str(), a.run.as_str())).collect();
        assert_eq!(told, [("mine", "a"), ("mine", "c")]);
    }
}
