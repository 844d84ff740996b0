//! Jobs: all requests of a task handed in at once, answered by the service within a day, at about half the price.
//!
//! A job is paid for when it is handed in, so its id is noted on disk before anything else: a run that was stopped or killed
//! and goes on waits for the same job. The service works on it whether anybody waits or not.

mod form;
mod lines;
mod notes;
mod results;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::super::{Failure, Reply, RetryClass};
use super::dialect;
use super::exchange::{Ask, Draft, inexpressible, malformed};
use super::http::Http;
use crate::domain::{ApiSpec, CauseKind, Request, SubjectName};
use form::{Ended, Form, State};
use lines::Line;
use notes::Note;

/// How soon a job is looked at again at first, and at most; each time later by half.
const LOOKS: [Duration; 2] = [Duration::from_secs(5), Duration::from_mins(1)];
/// How many looks in a row may fail for a passing reason.
const MOST_FAULTS: u32 = 20;
/// How long a job is waited for: services give up after a day.
const MOST_WAIT: Duration = Duration::from_hours(50);
/// How often results are fetched again that broke off.
const MOST_FETCHES: u32 = 4;

/// Where a subject's jobs are handed in.
#[derive(Clone, Copy)]
pub(super) struct Desk<'a> {
    /// Who is asked.
    pub(super) subject: &'a SubjectName,
    /// Its settings; whether answers are streamed is left aside, since results are fetched whole.
    pub(super) spec: &'a ApiSpec,
    /// The way there.
    pub(super) http: &'a Http,
    /// The folder with the ids of jobs that were handed in and not fetched; made where it is missing.
    pub(super) notes: &'a Path,
    /// How soon a job is looked at again at first, and at most.
    looks: [Duration; 2],
}

impl<'a> Desk<'a> {
    /// A desk whose jobs are looked at every five seconds at first and every minute at last.
    pub(super) fn new(subject: &'a SubjectName, spec: &'a ApiSpec, http: &'a Http, notes: &'a Path) -> Self {
        Self { subject, spec, http, notes, looks: LOOKS }
    }
}

/// What one request came to: the service's document, or a failure of its own.
type Told = Result<Value, Failure>;

/// Answers each request, in order, by as many jobs as the service's limits ask for, all handed in before the first is waited
/// for. Dropping the future leaves the jobs with the service; the same requests find them again.
pub(super) async fn answer(desk: Desk<'_>, requests: &[Request]) -> Vec<Result<Reply, Failure>> {
    let spec = ApiSpec { stream: false, ..desk.spec.clone() };
    let desk = Desk { spec: &spec, ..desk };
    let Some(form) = Form::of(spec.dialect) else {
        let what = format!("{} takes no jobs of many requests in this dialect", spec.preset.word());
        return requests.iter().map(|_| Err(inexpressible(what.clone()))).collect();
    };
    let mut told: Vec<Option<Told>> = requests.iter().map(|_| None).collect();
    let mut lines = Vec::with_capacity(requests.len());
    for (place, request) in requests.iter().enumerate() {
        match Line::of(&spec, place, request) {
            Ok(line) => lines.push(line),
            Err(failure) => told[place] = Some(Err(failure)),
        }
    }
    let mut jobs = Vec::new();
    for part in lines::parts(lines, form.most()) {
        let job = Job::begin(desk, form, &part).await;
        jobs.push((job, part));
    }
    for (job, part) in jobs {
        let results = match job {
            Ok(job) => job.end(desk, form, &part).await,
            Err(failure) => Err(failure),
        };
        match results {
            Ok(mut results) => part.iter().for_each(|line| told[line.place] = results.remove(&line.id)),
            Err(failure) => part.iter().for_each(|line| told[line.place] = Some(Err(failure.clone()))),
        }
    }
    let read = |(told, request): (Option<Told>, &Request)| {
        let body = told.unwrap_or_else(|| Err(malformed("the job's results lack it")))?;
        reply(&spec, request, &body)
    };
    told.into_iter().zip(requests).map(read).collect()
}

/// An answer out of a job's results.
fn reply(spec: &ApiSpec, request: &Request, body: &Value) -> Result<Reply, Failure> {
    let mut draft = Draft::default();
    dialect::whole(spec.dialect, body, &mut draft)?;
    draft.served.prompt = Some(Ask { spec, request }.prompt());
    draft.finish()
}

/// A job with the service.
struct Job {
    id: String,
    note: Note,
    /// Whether an earlier part of the run handed it in.
    resumed: bool,
}

impl Job {
    /// Finds the job that these lines were handed in with, or hands them in.
    async fn begin(desk: Desk<'_>, form: Form, part: &[Line]) -> Result<Self, Failure> {
        let key = lines::key(desk.subject, desk.spec, part);
        let mut note = Note::take(desk.notes, &key)?;
        if let Some(id) = note.id() {
            return Ok(Self { id, note, resumed: true });
        }
        let id = form.hand_in(desk, part).await?;
        note.write(&id)?;
        Ok(Self { id, note, resumed: false })
    }

    /// Waits for its end and fetches its results, by the lines' ids. Its note goes once there is nothing to wait for.
    async fn end(mut self, desk: Desk<'_>, form: Form, part: &[Line]) -> Result<HashMap<String, Told>, Failure> {
        let mut ended = wait(desk, form, &self.id).await;
        if self.resumed && ended.as_ref().is_err_and(|failure| failure.retry == RetryClass::No) {
            // The service no longer knows the job that the note is of.
            self.id = form.hand_in(desk, part).await?;
            self.note.write(&self.id)?;
            ended = wait(desk, form, &self.id).await;
        }
        let results = match ended {
            Ok(ended) => fetch(desk, form, part, &ended).await,
            Err(failure) => Err(failure),
        };
        if results.as_ref().err().is_none_or(|failure| failure.retry == RetryClass::No) {
            self.note.forget();
        }
        results
    }
}

/// Looks at a job until it ended.
async fn wait(desk: Desk<'_>, form: Form, id: &str) -> Result<Ended, Failure> {
    let [mut pause, longest] = desk.looks;
    let began = Instant::now();
    let mut faults = 0;
    while began.elapsed() < MOST_WAIT {
        let mut hold = Duration::ZERO;
        match form.look(desk, id).await {
            Ok(State::Ended(ended)) => return Ok(ended),
            Ok(State::Working) => faults = 0,
            Err(failure) if failure.retry == RetryClass::No || faults >= MOST_FAULTS => return Err(failure),
            Err(failure) => {
                faults += 1;
                hold = failure.wait.unwrap_or_default();
            }
        }
        sleep(pause.max(hold)).await;
        pause = later(pause, longest);
    }
    let what = format!("job {id} did not end within {} hours", MOST_WAIT.as_secs() / 3600);
    Err(Failure::new(CauseKind::Timeout, RetryClass::No, what))
}

/// The pause after this one.
fn later(pause: Duration, longest: Duration) -> Duration {
    pause.mul_f64(1.5).min(longest)
}

/// Fetches what an ended job came to; its lines without a result have the job's own failure.
async fn fetch(desk: Desk<'_>, form: Form, part: &[Line], ended: &Ended) -> Result<HashMap<String, Told>, Failure> {
    let mut results = HashMap::new();
    for path in &ended.files {
        let [mut pause, _] = desk.looks;
        let mut tries = 1;
        loop {
            match results::read(desk, form, path).await {
                // The first word on a request counts.
                Ok(found) => {
                    for (id, told) in found {
                        results.entry(id).or_insert(told);
                    }
                }
                Err(failure) if failure.retry != RetryClass::No && tries < MOST_FETCHES => {
                    tries += 1;
                    sleep(pause.max(failure.wait.unwrap_or_default())).await;
                    pause *= 2;
                    continue;
                }
                Err(failure) => return Err(failure),
            }
            break;
        }
    }
    if let Some(why) = &ended.why {
        for line in part {
            results.entry(line.id.clone()).or_insert_with(|| Err(why.clone()));
        }
    }
    Ok(results)
}
