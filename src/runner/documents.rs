//! Documents under canary and variants side by side: full distributions, held for one block of rows and never stored.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use rayon::prelude::*;

use super::Seat;
use super::ask::Word;
use super::passages::{Block, blocks, join};
use super::stage::{Gone, Stage};
use crate::domain::{Answer, CauseKind, Request};
use crate::engine::{Distribution, Extent, Failure, Passage, Reply, RetryClass};
use crate::metric::{Rows, divergence};

/// The canary's place among the seats.
const CANARY: usize = 0;
/// How many of a place's likeliest tokens are told: as many as endpoints are asked for.
const LIKELIEST: usize = 20;

/// The seats that show distributions, and how large those of the next documents are.
pub(super) struct Documents {
    /// The canary first, if it is one of them.
    seats: Vec<usize>,
    /// By sample, as the first of the seats reads it; none where it can't be read.
    extents: BTreeMap<usize, Option<Extent>>,
    /// Whether answers tell the likeliest tokens: they are compared with an endpoint's, which tells no more.
    likeliest: bool,
}

/// A seat on its way through a batch.
struct Track {
    seat: usize,
    /// The samples that its rows are computed for: its own open ones, and for the canary those of the others.
    samples: Vec<usize>,
    /// What was read of those that it reports; none where the run was asked to stop.
    words: BTreeMap<usize, Word<Answer>>,
    took: Duration,
}

/// The canary's rows of one block, by sample.
type Held = BTreeMap<usize, Word<Distribution>>;

impl Documents {
    /// The seats that show distributions; none where these can be laid neither beside the canary's nor beside the likeliest
    /// tokens of an endpoint.
    pub(super) fn shown_by(stage: &Stage, seats: &[usize]) -> Option<Self> {
        let shows = |&seat: &usize| stage.work.seats[seat].engine.capabilities().distributions;
        let seats: Vec<usize> = seats.iter().copied().filter(shows).collect();
        let likeliest = is_bounded(&stage.work.seats, &seats);
        let compared = likeliest || seats.len() > 1 && seats.contains(&CANARY);
        compared.then(|| Self { seats, extents: BTreeMap::new(), likeliest })
    }

    /// Whether a seat is one of them.
    pub(super) fn shows(&self, seat: usize) -> bool {
        self.seats.contains(&seat)
    }

    /// How many of the next documents fit together into a block of rows; at least the first, which may need many blocks.
    pub(super) async fn fitting(&mut self, stage: &Stage, task: usize, rest: &[usize]) -> usize {
        let rest = &rest[..rest.len().min(stage.options.batch)];
        let unread: Vec<usize> = rest.iter().copied().filter(|sample| !self.extents.contains_key(sample)).collect();
        if !unread.is_empty() {
            let texts: Vec<String> = unread.iter().map(|&sample| document(stage, task, sample).to_owned()).collect();
            let read = stage.work.seats[self.seats[0]].engine.extents(&texts).await;
            self.extents.extend(unread.into_iter().zip(read).map(|(sample, extent)| (sample, extent.ok())));
        }
        let sizes = rest.iter().map(|sample| self.rows(*sample));
        let together = sizes.scan(0_usize, |sum, size| {
            *sum = sum.saturating_add(size);
            Some(*sum)
        });
        together.take_while(|&sum| sum <= self.room(stage, rest)).count()
    }

    /// Number of rows of a sample; one where it can't be read, which its engine says again when it is asked for it.
    fn rows(&self, sample: usize) -> usize {
        self.extents.get(&sample).copied().flatten().map_or(1, |extent| extent.tokens)
    }

    /// Rows of a block; at least one.
    fn room(&self, stage: &Stage, samples: &[usize]) -> usize {
        let vocabulary = samples.iter().filter_map(|sample| self.extents.get(sample)?.map(|extent| extent.vocabulary)).max();
        (stage.options.rows_bytes / (size_of::<f32>() * vocabulary.unwrap_or(1).max(1))).max(1)
    }

    /// Takes all seats through a batch, block of rows by block of rows, each seat's rows beside the canary's, and reports their
    /// open units. Never more is held than the canary's rows of a block and one variant's.
    pub(super) async fn walk(&mut self, stage: &Stage, task: usize, batch: &[usize]) -> Result<(), Gone> {
        let mut tracks: Vec<Track> = self.seats.iter().map(|&seat| Track::new(stage, seat, task, batch)).collect();
        if self.shows(CANARY) {
            let wanted = |&sample: &usize| tracks.iter().any(|track| track.words.contains_key(&sample));
            tracks[0].samples = batch.iter().copied().filter(wanted).collect();
        }
        for track in tracks.iter().filter(|track| !track.samples.is_empty()) {
            stage.announce(track.seat, task, track.samples.len()).await?;
        }
        let sizes = batch.iter().map(|&sample| (sample, self.rows(sample)));
        let blocks = blocks(sizes, self.room(stage, batch));
        let last = blocks.len().saturating_sub(1);
        for (number, block) in blocks.iter().enumerate() {
            let mut held = Held::new();
            for track in &mut tracks {
                if stage.stop.asked() {
                    return Ok(());
                }
                self.advance(stage, (task, block), track, &mut held).await;
                if number == last {
                    track.report(stage, task).await?;
                }
            }
        }
        self.extents.retain(|sample, _| !batch.contains(sample));
        Ok(())
    }

    /// Computes a seat's rows of a block, reads them beside the canary's and keeps what was read. The canary's are held.
    async fn advance(&self, stage: &Stage, (task, block): (usize, &Block), track: &mut Track, held: &mut Held) {
        let wanted = |(sample, _): &&(usize, Range<usize>)| track.samples.contains(sample);
        let parts: Vec<(usize, Range<usize>)> = block.iter().filter(wanted).cloned().collect();
        let Some((first, _)) = parts.first() else { return };
        let passage = |(sample, rows): &(usize, Range<usize>)| Passage {
            text: document(stage, task, *sample).to_owned(),
            rows: rows.clone(),
        };
        let passages: Vec<Passage> = parts.iter().map(passage).collect();
        let salt = stage.samples(task)[*first].id.as_str();
        let began = tokio::time::Instant::now();
        let replies = stage.ask(track.seat, &passages, |engine, passages| engine.distributions(passages), salt).await;
        let canary: &Held = held;
        let read = parts.par_iter().zip(&replies).map(|((sample, rows), reply)| {
            let bytes = document(stage, task, *sample).len() as u32;
            let canary = canary.get(sample).and_then(Option::as_ref);
            (*sample, beside(canary, reply.as_ref(), (bytes, rows.start), self.likeliest))
        });
        let read: Vec<(usize, Word<Answer>)> = read.collect();
        track.took += began.elapsed();
        for ((sample, word), (_, rows)) in read.into_iter().zip(&parts) {
            track.keep(sample, rows.start == 0, word);
        }
        if track.seat == CANARY {
            *held = parts.into_iter().map(|(sample, _)| sample).zip(replies).collect();
        }
    }
}

impl Track {
    fn new(stage: &Stage, seat: usize, task: usize, batch: &[usize]) -> Self {
        let samples = stage.open((seat, 0), task, batch);
        let words = samples.iter().map(|&sample| (sample, None)).collect();
        Self { seat, samples, words, took: Duration::ZERO }
    }

    /// Lays what was read of a document behind what was read before; one that failed is read no further.
    fn keep(&mut self, sample: usize, first: bool, word: Word<Answer>) {
        let failed = !matches!(word, Some(Ok(_)));
        if let Some(whole) = self.words.get_mut(&sample) {
            *whole = if first { word } else { join(whole.take(), word) };
        }
        if failed {
            self.samples.retain(|&other| other != sample);
        }
    }

    /// Reports its own units.
    async fn report(&mut self, stage: &Stage, task: usize) -> Result<(), Gone> {
        let words = std::mem::take(&mut self.words);
        let replies = words.into_iter().map(|(sample, word)| (sample, word.map(|answer| answer.map(Reply::from))));
        if replies.len() == 0 { Ok(()) } else { stage.report((self.seat, 0), task, replies, self.took).await }
    }
}

/// The text of a perplexity sample.
fn document(stage: &Stage, task: usize, sample: usize) -> &str {
    match &stage.work.plan.tasks[task].samples[sample].request {
        Request::Perplexity { text } => text,
        // A plan gives every sample its task's kind of request; an empty text fails as one.
        Request::Choice { .. } | Request::Generate { .. } | Request::Chat { .. } => "",
    }
}

/// Whether a seat that is `shown` makes a pair with one behind an endpoint that tells the likeliest tokens of a document, by ids
/// that mean the same: both vocabularies are known, and are one.
fn is_bounded(seats: &[Seat], shown: &[usize]) -> bool {
    let tells = |seat: &Seat| {
        let able = seat.engine.capabilities();
        able.log_likelihood && !able.distributions && seat.engine.endpoint().is_some()
    };
    let canary = &seats[CANARY];
    let alike = |seat: &Seat| {
        let vocabulary = &seat.engine.identity().vocabulary;
        vocabulary.is_told() && *vocabulary == canary.engine.identity().vocabulary
    };
    if tells(canary) {
        shown.iter().any(|&seat| alike(&seats[seat]))
    } else {
        shown.contains(&CANARY) && seats.iter().any(|seat| tells(seat) && alike(seat))
    }
}

/// An answer without a divergence, read from a subject's rows.
fn own(rows: &Distribution, bytes: u32, likeliest: bool) -> Answer {
    let top = if likeliest { top(rows) } else { Vec::new() };
    Answer::Rolling { nll: nll(rows), bytes, divergence: None, top }
}

/// The likeliest tokens of each row with their log-probabilities, falling.
fn top(shown: &Distribution) -> Vec<Vec<(u32, f32)>> {
    let of = |row: &[f32]| {
        let falling = |a: &u32, b: &u32| row[*b as usize].total_cmp(&row[*a as usize]).then(a.cmp(b));
        let mut ids: Vec<u32> = (0..row.len() as u32).collect();
        if ids.len() > LIKELIEST {
            ids.select_nth_unstable_by(LIKELIEST, falling);
            ids.truncate(LIKELIEST);
        }
        ids.sort_unstable_by(falling);
        ids.into_iter().map(|id| (id, row[id as usize])).collect()
    };
    shown.rows.par_chunks_exact(shown.vocabulary.max(1)).map(of).collect()
}

/// −ln p of each token that the document has.
fn nll(shown: &Distribution) -> Vec<f64> {
    let rows = shown.rows.chunks_exact(shown.vocabulary.max(1));
    rows.zip(&shown.tokens).map(|(row, &token)| -f64::from(row[token as usize])).collect()
}

/// A distribution as the divergence wants it.
fn view(shown: &Distribution) -> Rows<'_> {
    let Distribution { tokens, rows, vocabulary } = shown;
    Rows { tokens, rows, vocabulary: *vocabulary }
}

/// What a passage says that begins behind so many tokens of its document: a variant's rows beside the canary's; without
/// those, an answer without divergence.
fn beside(
    canary: Option<&Result<Distribution, Failure>>,
    reply: Option<&Result<Distribution, Failure>>,
    (bytes, start): (u32, usize),
    likeliest: bool,
) -> Word<Answer> {
    let rows = match reply? {
        Ok(rows) => rows,
        Err(failure) => return Some(Err(failure.clone())),
    };
    let Some(Ok(canary)) = canary else { return Some(Ok(own(rows, bytes, likeliest))) };
    Some(match divergence(view(canary), view(rows)) {
        Ok((nll, against)) => Ok(Answer::Rolling { nll, bytes, divergence: Some(against), top: Vec::new() }),
        Err(error) => Err(Failure::new(CauseKind::Engine, RetryClass::No, error.behind(start).to_string())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_tokens_of_a_row_fall_and_are_no_more_than_endpoints_tell() {
        let rows: Vec<f32> = (0..30).map(|id| -((id * 7 % 30) as f32)).chain((0..30).map(|id| -(id as f32))).collect();
        let told = top(&Distribution { tokens: vec![3, 4], rows, vocabulary: 30 });
        assert_eq!(told.len(), 2);
        assert!(told.iter().all(|place| place.len() == LIKELIEST));
        // 13 · 7 = 91 ≡ 1 and 26 · 7 = 182 ≡ 2 (mod 30).
        assert_eq!(told[0][..3], [(0, 0.0), (13, -1.0), (26, -2.0)]);
        assert_eq!(told[1][19], (19, -19.0));
        let few = top(&Distribution { tokens: vec![0], rows: vec![-2.0, -0.5], vocabulary: 2 });
        assert_eq!(few, [vec![(1, -0.5), (0, -2.0)]]);
    }
}
