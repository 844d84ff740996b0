//! The three ways in which services take jobs: how one is handed in, looked at and read.
//!
//! `OpenAI`: a file is uploaded, and a batch made of it (platform.openai.com, "Batch API"). Mistral: a job with its requests
//! inside (docs.mistral.ai, "Batch inference"). Anthropic: a batch of messages (platform.claude.com, "Message Batches").

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::super::super::{Failure, RetryClass};
use super::super::exchange::{Draft, malformed};
use super::super::headroom::Told as Headers;
use super::super::{dialect, fault, preset};
use super::lines::{Line, Most};
use super::notes::is_id;
use super::{Desk, Told};
use crate::domain::{CauseKind, Dialect};

/// Bytes of a job, below what every service takes (200 MB and more), so that it is sent within a request's time.
const BYTES: usize = 64 << 20;

/// A way of taking jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Files and batches.
    Openai,
    /// Jobs with requests inside.
    Mistral,
    /// Batches of messages.
    Anthropic,
}

/// How far a job is.
#[derive(Debug)]
pub(super) enum State {
    /// It is worked on.
    Working,
    /// Nothing more happens to it.
    Ended(Ended),
}

/// A job that ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// Paths of its results, those of requests that went well first.
    pub(super) files: Vec<String>,
    /// Why requests have no result; none where each should have one.
    pub(super) why: Option<Failure>,
}

impl Form {
    /// How jobs are taken where this dialect is spoken; none where they are not.
    pub(super) fn of(dialect: Dialect) -> Option<Self> {
        match dialect {
            Dialect::OpenaiChat | Dialect::OpenaiCompletions => Some(Self::Openai),
            Dialect::Mistral => Some(Self::Mistral),
            Dialect::Anthropic => Some(Self::Anthropic),
            Dialect::Ollama | Dialect::LlamaCpp | Dialect::Bedrock | Dialect::Vertex => None,
        }
    }

    /// The most that a job may hold.
    pub(super) fn most(self) -> Most {
        let lines = match self {
            Self::Openai => 50_000,
            // With the requests inside.
            Self::Mistral => 10_000,
            Self::Anthropic => 100_000,
        };
        Most { lines, bytes: BYTES }
    }

    /// Headers of every exchange about a job.
    pub(super) fn headers(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Openai | Self::Mistral => Vec::new(),
            Self::Anthropic => vec![("anthropic-version", "2023-06-01".to_owned())],
        }
    }

    /// Hands lines in, at least one and all of one path; the job's id.
    pub(super) async fn hand_in(self, desk: Desk<'_>, part: &[Line]) -> Result<String, Failure> {
        let first = part.first().expect("a part has lines");
        let (path, body) = match self {
            Self::Openai => {
                let file = upload(desk, &self.path(desk, "/files"), part).await?;
                let body = json!({"input_file_id": file, "endpoint": endpoint(&first.path), "completion_window": "24h"});
                (self.path(desk, "/batches"), body.to_string())
            }
            Self::Mistral => {
                let requests = joined(part, |line| format!(r#"{{"custom_id":"{}","body":{}}}"#, line.id, line.body), ",");
                let (model, endpoint) = (Value::from(desk.spec.model.as_str()), endpoint(&first.path));
                let head = format!(r#""model":{model},"endpoint":"{endpoint}","timeout_hours":24"#);
                (self.path(desk, "/batch/jobs"), format!(r#"{{{head},"requests":[{requests}]}}"#))
            }
            Self::Anthropic => {
                let requests = joined(part, |line| format!(r#"{{"custom_id":"{}","params":{}}}"#, line.id, line.body), ",");
                (self.path(desk, "/messages/batches"), format!(r#"{{"requests":[{requests}]}}"#))
            }
        };
        let reply = desk.http.post(&path, &first.headers, body.into_bytes()).await?.json().await?;
        id(&reply, "id")
    }

    /// Looks how far a job is.
    pub(super) async fn look(self, desk: Desk<'_>, job: &str) -> Result<State, Failure> {
        let reply = desk.http.get_with(&self.path(desk, &self.job(job)), &self.headers()).await?.json().await?;
        self.state(desk, &reply, job)
    }

    /// Where a job is, behind what all paths begin with.
    fn job(self, job: &str) -> String {
        match self {
            Self::Openai => format!("/batches/{job}"),
            Self::Mistral => format!("/batch/jobs/{job}"),
            Self::Anthropic => format!("/messages/batches/{job}"),
        }
    }

    /// A path with what all paths of the service begin with.
    fn path(self, desk: Desk<'_>, rest: &str) -> String {
        match self {
            Self::Anthropic if desk.spec.base_url.ends_with("/v1") => rest.to_owned(),
            Self::Anthropic => format!("/v1{rest}"),
            Self::Openai | Self::Mistral => preset::api_path(desk.spec, rest),
        }
    }

    /// What a service says of a job.
    fn state(self, desk: Desk<'_>, reply: &Value, job: &str) -> Result<State, Failure> {
        let word = |key: &str| reply[key].as_str().unwrap_or_default().to_owned();
        let status = if self == Self::Anthropic { word("processing_status") } else { word("status") };
        let why = match (self, status.as_str()) {
            (Self::Openai, "validating" | "in_progress" | "finalizing" | "cancelling")
            | (Self::Mistral, "QUEUED" | "RUNNING" | "CANCELLATION_REQUESTED")
            | (Self::Anthropic, "in_progress" | "canceling") => return Ok(State::Working),
            (Self::Openai, "completed") | (Self::Mistral, "SUCCESS") | (Self::Anthropic, "ended") => None,
            (_, "failed" | "FAILED") => Some(refused(reply)),
            (_, "expired" | "TIMEOUT_EXCEEDED") => Some(expired("the service did not come to it within the job's time")),
            (_, "cancelled" | "CANCELLED") => Some(cancelled()),
            (_, other) => return Err(malformed(format!("job {job} has the status `{other}`"))),
        };
        let names = match self {
            Self::Openai => ["output_file_id", "error_file_id"],
            Self::Mistral => ["output_file", "error_file"],
            Self::Anthropic => {
                let results = self.path(desk, &format!("{}/results", self.job(job)));
                return Ok(State::Ended(Ended { files: vec![results], why }));
            }
        };
        let given = names.into_iter().filter(|name| reply[*name].is_string());
        let files = given.map(|name| Ok(self.path(desk, &format!("/files/{}/content", id(reply, name)?))));
        Ok(State::Ended(Ended { files: files.collect::<Result<_, Failure>>()?, why }))
    }

    /// A line of results: the request's id and what it came to; none for a line without an id.
    pub(super) fn result(self, desk: Desk<'_>, line: &Value) -> Option<(String, Told)> {
        let id = line["custom_id"].as_str()?.to_owned();
        let told = match self {
            Self::Anthropic => of_message(&line["result"]),
            Self::Openai | Self::Mistral => of_response(desk, line),
        };
        Some((id, told))
    }
}

/// What a line of a response says, as `OpenAI` and Mistral write it.
fn of_response(desk: Desk<'_>, line: &Value) -> Told {
    let response = &line["response"];
    if !response.is_object() {
        let error = &line["error"];
        let said = error["message"].as_str().unwrap_or("no reason was given");
        return Err(match error["code"].as_str().unwrap_or_default() {
            "batch_expired" | "timeout" => expired(said),
            "batch_cancelled" => cancelled(),
            "batch_failed" => Failure::new(CauseKind::Transport, RetryClass::Transient, said),
            _ => Failure::new(CauseKind::Refused, RetryClass::No, said),
        });
    }
    let body = &response["body"];
    match response["status_code"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200) {
        200..300 => Ok(body.clone()),
        status => {
            let said = dialect::refusal(desk.spec.dialect, status, body.to_string().as_bytes());
            Err(fault::of_status(status, &HeaderMap::new(), &said, (desk.http.host(), Headers::default())))
        }
    }
}

/// What a line says, as Anthropic writes it.
fn of_message(result: &Value) -> Told {
    match result["type"].as_str().unwrap_or_default() {
        "succeeded" => Ok(result["message"].clone()),
        "expired" => Err(expired("the service did not come to it within the job's time")),
        "canceled" => Err(cancelled()),
        "errored" => {
            let told = dialect::whole(Dialect::Anthropic, &result["error"], &mut Draft::default());
            Err(told.err().unwrap_or_else(|| malformed("an error without its kind")))
        }
        other => Err(malformed(format!("a result of the type `{other}`"))),
    }
}

/// Uploads lines as a file; its id.
async fn upload(desk: Desk<'_>, path: &str, part: &[Line]) -> Result<String, Failure> {
    let write = |line: &Line| {
        let url = endpoint(&line.path);
        format!(r#"{{"custom_id":"{}","method":"POST","url":"{url}","body":{}}}"#, line.id, line.body)
    };
    let file = joined(part, write, "\n");
    // A digest of the content does not occur in it.
    let boundary = format!("quantgate-{}", &blake3::hash(file.as_bytes()).to_hex()[..32]);
    let field = |name: &str| format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"");
    let body = format!(
        "{}\r\n\r\nbatch\r\n{}; filename=\"quantgate.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n{file}\n\r\n--{boundary}--\r\n",
        field("purpose"),
        field("file"),
    );
    let kind = format!("multipart/form-data; boundary={boundary}");
    let reply = desk.http.post_as(&kind, path, body.into_bytes()).await?.json().await?;
    id(&reply, "id")
}

fn joined(part: &[Line], write: impl Fn(&Line) -> String, between: &str) -> String {
    part.iter().map(write).collect::<Vec<_>>().join(between)
}

/// The path by which a job names what its requests are for, which begins with the API's version.
fn endpoint(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let ends = ["/chat/completions", "/fim/completions", "/completions"];
    format!("/v1{}", ends.into_iter().find(|end| path.ends_with(end)).unwrap_or(path))
}

/// An id out of a reply.
fn id(reply: &Value, key: &str) -> Result<String, Failure> {
    let id = reply[key].as_str().filter(|id| is_id(id));
    id.map(str::to_owned).ok_or_else(|| malformed(format!("it has no `{key}` that is an id")))
}

/// The failure of a job that the service did not take.
fn refused(reply: &Value) -> Failure {
    let errors = reply["errors"]["data"].as_array().or_else(|| reply["errors"].as_array());
    let errors = errors.map_or(&[][..], Vec::as_slice);
    let said: Vec<&str> = errors.iter().filter_map(|error| error["message"].as_str()).take(3).collect();
    let said = if said.is_empty() { "no reason was given".to_owned() } else { said.join("; ") };
    let limited = errors.iter().any(|error| error["code"].as_str().is_some_and(|code| code.contains("limit_exceeded")));
    let (kind, class) = if limited { (CauseKind::Limited, RetryClass::Busy) } else { (CauseKind::Refused, RetryClass::No) };
    Failure::new(kind, class, format!("the service failed the job: {said}"))
}

fn expired(said: &str) -> Failure {
    Failure::new(CauseKind::Timeout, RetryClass::Transient, said)
}

fn cancelled() -> Failure {
    Failure::new(CauseKind::Transport, RetryClass::No, "the job was cancelled at the service")
}
