//! Jobs: all requests of a task handed in at once, answered by the service within a day, at about half the price.
//!
//! A job is paid for when it is handed in, so its id is noted on disk before anything else: a run that was stopped or killed
//! and goes on waits for the same job. The service works on it whether anybody waits or not.

mod form;
mod job;
mod lines;
mod notes;
mod results;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::super::{Failure, Reply};
use super::dialect;
use super::exchange::{Ask, Draft, inexpressible, malformed};
use super::http::Http;
use crate::domain::{ApiSpec, Request, SubjectName};
use form::Form;
use job::Job;
use lines::Line;

/// How soon a job is looked at again at first, and at most; each time later by half.
const LOOKS: [Duration; 2] = [Duration::from_secs(5), Duration::from_mins(1)];

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
