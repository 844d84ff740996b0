//! Documents under canary and variant side by side: full distributions, held for one batch and never stored.

use rayon::prelude::*;

use super::Seat;
use super::ask::Word;
use super::stage::{Gone, Stage};
use crate::domain::{Answer, CauseKind, Request};
use crate::engine::{Distribution, Failure, Reply, RetryClass};
use crate::metric::{Rows, divergence};

/// The canary's place among the seats.
const CANARY: usize = 0;
/// How many of a place's likeliest tokens are told: as many as endpoints are asked for.
const LIKELIEST: usize = 20;

/// The seats that show distributions, and the canary's rows of the batch under way.
pub(super) struct Documents {
    seats: Vec<usize>,
    batch: Vec<(usize, Word<Distribution>)>,
    /// The most bytes of rows that a byte of text has needed so far; none before the first document.
    density: Option<f64>,
    /// Whether answers tell the likeliest tokens: they are compared with an endpoint's, which tells no more.
    likeliest: bool,
}

impl Documents {
    /// The seats that show distributions; none where these can be laid neither beside the canary's nor beside the likeliest
    /// tokens of an endpoint.
    pub(super) fn shown_by(stage: &Stage, seats: &[usize]) -> Option<Self> {
        let shows = |&seat: &usize| stage.work.seats[seat].engine.capabilities().distributions;
        let seats: Vec<usize> = seats.iter().copied().filter(shows).collect();
        let likeliest = is_bounded(&stage.work.seats, &seats);
        let compared = likeliest || seats.len() > 1 && seats.contains(&CANARY);
        compared.then(|| Self { seats, batch: Vec::new(), density: None, likeliest })
    }

    /// Whether a seat is one of them.
    pub(super) fn shows(&self, seat: usize) -> bool {
        self.seats.contains(&seat)
    }

    /// How many of the next documents fit into the memory for rows: the first alone, then by what that needed.
    pub(super) fn fitting(&self, stage: &Stage, task: usize, rest: &[usize]) -> usize {
        let Some(density) = self.density else { return 1 };
        let budget = stage.options.rows_bytes as f64;
        let sizes = rest.iter().map(|&sample| document(stage, task, sample).len() as f64 * density);
        let together = sizes.scan(0.0, |sum, size| {
            *sum += size;
            Some(*sum)
        });
        together.take_while(|&sum| sum <= budget).count()
    }

    /// Computes the canary's rows of a batch, as far as any of the seats needs them, and reports its own open units.
    pub(super) async fn canary(&mut self, stage: &Stage, task: usize, batch: &[usize]) -> Result<(), Gone> {
        self.batch.clear();
        if !self.shows(CANARY) {
            return Ok(());
        }
        let needed = |&&sample: &&usize| self.seats.iter().any(|&seat| stage.is_open((seat, 0), task, sample));
        let needed: Vec<usize> = batch.iter().filter(needed).copied().collect();
        let began = tokio::time::Instant::now();
        let replies = rows(stage, CANARY, task, &needed).await?;
        for (&sample, reply) in needed.iter().zip(&replies) {
            if let Some(Ok(distribution)) = reply {
                let bytes = size_of_val(distribution.rows.as_slice()) as f64;
                let density = bytes / document(stage, task, sample).len().max(1) as f64;
                self.density = Some(self.density.map_or(density, |most| most.max(density)));
            }
        }
        let open = needed.iter().zip(&replies).filter(|(sample, _)| stage.is_open((CANARY, 0), task, **sample));
        let likeliest = self.likeliest;
        let own = |sample| move |reply: &_| own(reply, document(stage, task, sample), likeliest);
        let own: Vec<_> = open.map(|(&sample, reply)| (sample, reply.as_ref().map(own(sample)))).collect();
        let took = began.elapsed();
        self.batch = needed.into_iter().zip(replies).collect();
        if own.is_empty() { Ok(()) } else { stage.report((CANARY, 0), task, own.into_iter(), took).await }
    }

    /// Computes a variant's rows of the batch and reports its open units, with their divergence from the canary's.
    pub(super) async fn variant(&self, stage: &Stage, seat: usize, task: usize, batch: &[usize]) -> Result<(), Gone> {
        let open = if seat == CANARY { Vec::new() } else { stage.open((seat, 0), task, batch) };
        if open.is_empty() {
            return Ok(());
        }
        let began = tokio::time::Instant::now();
        let replies = rows(stage, seat, task, &open).await?;
        let compared = open.into_par_iter().zip(replies).map(|(sample, reply)| {
            let canary = self.batch.iter().find(|(other, _)| *other == sample).and_then(|(_, reply)| reply.as_ref());
            (sample, beside(canary, reply, document(stage, task, sample), self.likeliest))
        });
        let compared: Vec<_> = compared.collect();
        stage.report((seat, 0), task, compared.into_iter(), began.elapsed()).await
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

/// A seat's rows of some documents.
async fn rows(stage: &Stage, seat: usize, task: usize, samples: &[usize]) -> Result<Vec<Word<Distribution>>, Gone> {
    let Some(&first) = samples.first() else { return Ok(Vec::new()) };
    stage.announce(seat, task, samples.len()).await?;
    let texts: Vec<String> = samples.iter().map(|&sample| document(stage, task, sample).to_owned()).collect();
    let salt = stage.samples(task)[first].id.as_str();
    Ok(stage.ask(seat, &texts, |engine, texts| engine.distributions(texts), salt).await)
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
fn own(rows: &Result<Distribution, Failure>, text: &str, likeliest: bool) -> Result<Reply, Failure> {
    match rows {
        Ok(rows) => {
            let top = if likeliest { top(rows) } else { Vec::new() };
            Ok(Answer::Rolling { nll: nll(rows), bytes: text.len() as u32, divergence: None, top }.into())
        }
        Err(failure) => Err(failure.clone()),
    }
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

/// A variant's answer beside the canary's rows; without those, an answer without divergence.
fn beside(canary: Option<&Result<Distribution, Failure>>, reply: Word<Distribution>, text: &str, likeliest: bool) -> Word<Reply> {
    let bytes = text.len() as u32;
    let reply = reply?;
    let (Some(Ok(canary)), Ok(variant)) = (canary, &reply) else { return Some(own(&reply, text, likeliest)) };
    let compared = divergence(view(canary), view(variant));
    Some(match compared {
        Ok((nll, against)) => Ok(Answer::Rolling { nll, bytes, divergence: Some(against), top: Vec::new() }.into()),
        Err(error) => Err(Failure::new(CauseKind::Engine, RetryClass::No, error.to_string())),
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
