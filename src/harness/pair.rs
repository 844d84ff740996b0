//! Pairing: the canary's samples as a roll of keys, on which the rows of every subject find their place as they stream by.

use std::collections::{BTreeSet, HashSet};

use super::{Grouping, HarnessError, Row, Source, TaskHead, key_of};

/// Whose rows: a source, one of its tasks, and the name of the metric.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The model's results.
    pub source: &'a Source,
    /// The task.
    pub task: &'a TaskHead,
    /// The metric, as in the task's heads.
    pub metric: &'a str,
}

/// What takes a subject's rows with the number of the sample that each belongs to.
pub type PlacedSink<'a> = dyn FnMut(usize, &Row<'_>) + 'a;

/// The samples of a task as the canary's file has them: 36 bytes each, whatever their texts.
#[derive(Clone, Debug)]
pub struct Roll {
    /// By sample, in the order in which the file has them first.
    keys: Vec<u128>,
    asked: Vec<u64>,
    at: Vec<u64>,
    /// Numbers of samples, ordered by their keys.
    order: Vec<u32>,
    /// Keys that several samples share, since their content is the same: their ids tell them apart.
    shared: HashSet<u128>,
}

/// One row, while the roll is made.
struct Entry {
    key: u128,
    id: u64,
    epoch: u32,
    asked: u64,
    at: u64,
}

impl Roll {
    /// Reads the canary's samples of a task.
    ///
    /// # Errors
    /// Where an entry can't be read or a sample is there twice.
    pub fn of(rows: Rows<'_>) -> Result<Self, HarnessError> {
        let mut entries: Vec<Entry> = Vec::with_capacity(rows.task.announced.unwrap_or(0).min(1 << 24) as usize);
        rows.source.read(rows.task, rows.metric, &Grouping::default(), &mut |row| {
            let id = key_of(&[row.id.as_bytes()]) as u64;
            entries.push(Entry { key: row.key, id, epoch: row.epoch, asked: row.asked, at: row.at });
            Ok(())
        })?;
        check_number(rows, entries.len())?;
        let shared = shared(&entries);
        for entry in entries.iter_mut().filter(|entry| shared.contains(&entry.key)) {
            entry.key = told_apart(entry.key, entry.id);
        }
        let mut order: Vec<u32> = (0..entries.len() as u32).collect();
        order.sort_unstable_by_key(|i| (entries[*i as usize].key, *i));
        // Of a sample's epochs only the first stays.
        let later: HashSet<u32> =
            order.windows(2).filter(|w| entries[w[0] as usize].key == entries[w[1] as usize].key).map(|w| w[1]).collect();
        if !later.is_empty() {
            let mut number = 0;
            entries.retain(|_| {
                number += 1;
                !later.contains(&(number - 1))
            });
            order = (0..entries.len() as u32).collect();
            order.sort_unstable_by_key(|i| entries[*i as usize].key);
        }
        Ok(Self {
            keys: entries.iter().map(|entry| entry.key).collect(),
            asked: entries.iter().map(|entry| entry.asked).collect(),
            at: entries.iter().map(|entry| entry.at).collect(),
            order,
            shared,
        })
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Where a sample's first entry begins in the canary's file.
    #[must_use]
    pub fn at(&self, sample: usize) -> u64 {
        self.at[sample]
    }

    /// Streams a subject's rows to where they belong; the number of samples that it has of the roll's. `canary` is whose
    /// roll this is, so that a difference can be told in words; a subject that is the canary itself is checked for nothing but
    /// repetition.
    ///
    /// # Errors
    /// Where an entry can't be read, a sample is there twice for one epoch, was asked differently, or isn't the canary's.
    pub fn follow(
        &self,
        rows: Rows<'_>,
        canary: Option<Rows<'_>>,
        by: &Grouping,
        each: &mut PlacedSink<'_>,
    ) -> Result<usize, HarnessError> {
        let mut seen = Seen { first: vec![None; self.len()], more: BTreeSet::new() };
        let (mut next, mut strangers, mut count) = (0, 0_u64, 0);
        rows.source.read(rows.task, rows.metric, by, &mut |row| {
            count += 1;
            let Some(sample) = self.find(&row, next) else {
                strangers += 1;
                return Ok(());
            };
            next = sample + 1;
            if !seen.add(sample, row.epoch) {
                return Err(twice(rows, &row));
            }
            if let Some(canary) = canary.filter(|_| self.asked[sample] != row.asked) {
                check_asked((canary, self.at[sample]), rows, &row)?;
            }
            each(sample, &row);
            Ok(())
        })?;
        check_number(rows, count)?;
        let found = seen.first.iter().flatten().count();
        if strangers > 0 {
            return Err(strange(rows, found, (strangers, count as u64)));
        }
        Ok(found)
    }

    /// The sample that a row belongs to; files of one program mostly have the same order, so `guess` comes first.
    fn find(&self, row: &Row<'_>, guess: usize) -> Option<usize> {
        let key = if self.shared.contains(&row.key) { told_apart(row.key, key_of(&[row.id.as_bytes()]) as u64) } else { row.key };
        if self.keys.get(guess) == Some(&key) {
            return Some(guess);
        }
        let place = self.order.binary_search_by_key(&key, |i| self.keys[*i as usize]).ok()?;
        Some(self.order[place] as usize)
    }
}

/// Which epochs of which samples have been seen.
struct Seen {
    first: Vec<Option<u32>>,
    more: BTreeSet<(usize, u32)>,
}

impl Seen {
    /// False where it was seen before.
    fn add(&mut self, sample: usize, epoch: u32) -> bool {
        match self.first[sample] {
            None => {
                self.first[sample] = Some(epoch);
                true
            }
            Some(first) => first != epoch && self.more.insert((sample, epoch)),
        }
    }
}

/// Keys that different samples have in one epoch.
fn shared(entries: &[Entry]) -> HashSet<u128> {
    let mut order: Vec<u32> = (0..entries.len() as u32).collect();
    let of = |i: u32| &entries[i as usize];
    order.sort_unstable_by_key(|i| (of(*i).key, of(*i).epoch));
    let same = |w: &&[u32]| {
        let (a, b) = (of(w[0]), of(w[1]));
        a.key == b.key && a.epoch == b.epoch && a.id != b.id
    };
    order.windows(2).filter(same).map(|w| of(w[0]).key).collect()
}

fn told_apart(key: u128, id: u64) -> u128 {
    key_of(&[&key.to_le_bytes(), &id.to_le_bytes()])
}

/// The file must have as many rows as it says.
fn check_number(rows: Rows<'_>, found: usize) -> Result<(), HarnessError> {
    let path = rows.source.file_of(rows.task);
    if found == 0 {
        let what = format!("no sample of task '{}' has a `{}`", rows.task.name, rows.metric);
        return Err(HarnessError::file(path, what, "write the file again, or name another metric with --metric"));
    }
    match rows.task.announced {
        Some(said) if said != found as u64 => {
            let what = format!("it holds {found} samples of task '{}', and {said} were asked", rows.task.name);
            Err(HarnessError::file(path, what, "the file may be cut off, or written twice: run the evaluation again"))
        }
        _ => Ok(()),
    }
}

fn twice(rows: Rows<'_>, row: &Row<'_>) -> HarnessError {
    let epoch = if row.epoch > 1 { format!(" in epoch {}", row.epoch) } else { String::new() };
    let what = format!("sample '{}' of task '{}' is there a second time{epoch}", row.id, rows.task.name);
    HarnessError::entry(rows.source.file_of(rows.task), row.place, what, "keep one entry for each sample and epoch")
}

/// Says what was asked differently; nothing where the difference is one of writing only.
fn check_asked((canary, at): (Rows<'_>, u64), rows: Rows<'_>, row: &Row<'_>) -> Result<(), HarnessError> {
    let ours = canary.source.excerpt(canary.task, at)?;
    let theirs = rows.source.excerpt(rows.task, row.at)?;
    let differs = ours.asked.iter().zip(&theirs.asked).find(|(a, b)| a.1 != b.1);
    let Some(((name, a), (_, b))) = differs else { return Ok(()) };
    let what = format!(
        "sample '{}' of task '{}' was asked differently: its {name} is {} for the canary, and {} in {} ({})",
        row.id,
        rows.task.name,
        short(a),
        short(b),
        rows.source.file_of(rows.task).display(),
        row.place,
    );
    Err(HarnessError::unlike(what, "evaluate both with the same task, examples, chat template and settings"))
}

/// The beginning of a text, in quotes.
fn short(text: &str) -> String {
    const LONGEST: usize = 24;
    let start: String = text.chars().take(LONGEST).collect();
    if start.len() < text.len() { format!("{start:?}…") } else { format!("{start:?}") }
}

fn strange(rows: Rows<'_>, found: usize, (strangers, count): (u64, u64)) -> HarnessError {
    let path = rows.source.file_of(rows.task);
    let task = &rows.task.name;
    let what = if found == 0 {
        format!("it has no sample of task '{task}' that the canary has")
    } else {
        format!("{strangers} of its {count} samples of task '{task}' are not the canary's")
    };
    HarnessError::file(path, what, "evaluate both on the same samples of the same data (version, split, --limit)")
}

/// Whether two sources' results for a task may be compared at all: the same program's, with the same settings.
///
/// # Errors
/// What differs.
pub fn alike(canary: Rows<'_>, variant: Rows<'_>) -> Result<(), HarnessError> {
    let (a, b) = (canary.source, variant.source);
    if a.format != b.format {
        let what = format!("the canary's results are of {}, those of {} are of {}", a.program, b.model, b.program);
        return Err(HarnessError::unlike(what, "evaluate both with the same program"));
    }
    if let (Some(one), Some(other)) = (a.details.get("use_cache"), b.details.get("use_cache"))
        && one == other
    {
        let what = format!(
            "both were run with --use_cache {one}, which doesn't tell models apart: the variant may have got the canary's answers"
        );
        return Err(HarnessError::unlike(what, "run them again without --use_cache, or each with a cache of its own"));
    }
    for (name, ours) in &canary.task.settings {
        let Some(theirs) = variant.task.settings.get(name).filter(|theirs| *theirs != ours) else { continue };
        let what = format!(
            "task '{}' was run differently: {name} is {ours} for the canary, and {theirs} for {}",
            canary.task.name, b.model
        );
        return Err(HarnessError::unlike(what, "evaluate both in the same way"));
    }
    Ok(())
}
