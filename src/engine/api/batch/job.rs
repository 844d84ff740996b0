//! One job with a service: handed in or found again, waited for, fetched.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::form::{Ended, Form, State};
use super::lines::Line;
use super::notes::Note;
use super::{Desk, Told, lines, results};
use crate::domain::CauseKind;
use crate::engine::{Failure, RetryClass};

/// How many looks in a row may fail for a passing reason.
const MOST_FAULTS: u32 = 20;
/// How long a job is waited for: services give up after a day.
const MOST_WAIT: Duration = Duration::from_hours(50);
/// How often results are fetched again that broke off.
const MOST_FETCHES: u32 = 4;

/// A job with the service.
pub(super) struct Job {
    id: String,
    note: Note,
    /// Whether an earlier part of the run handed it in.
    resumed: bool,
}

impl Job {
    /// Finds the job that these lines were handed in with, or hands them in.
    pub(super) async fn begin(desk: Desk<'_>, form: Form, part: &[Line]) -> Result<Self, Failure> {
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
    pub(super) async fn end(mut self, desk: Desk<'_>, form: Form, part: &[Line]) -> Result<HashMap<String, Told>, Failure> {
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
pub(super) fn later(pause: Duration, longest: Duration) -> Duration {
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
