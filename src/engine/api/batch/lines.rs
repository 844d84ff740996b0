//! The requests of a job: a line each, in as many parts as the service's limits ask for.

use serde_json::Value;

use super::super::super::Failure;
use super::super::body::adjust;
use super::super::dialect;
use super::super::exchange::Ask;
use crate::domain::{ApiSpec, Request, SubjectName};

/// One request of a job.
pub(super) struct Line {
    /// Its place among the requests.
    pub(super) place: usize,
    /// What its result is found by: the place and a digest of the request. Letters, digits and hyphens, at most 64.
    pub(super) id: String,
    /// The path that it would be sent to by itself.
    pub(super) path: String,
    /// The dialect's headers.
    pub(super) headers: Vec<(&'static str, String)>,
    /// Its body as JSON.
    pub(super) body: String,
}

/// The most that a job may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) lines: usize,
    pub(super) bytes: usize,
}

/// What a line needs beside its body: its id and the members around both.
const AROUND: usize = 200;

impl Line {
    /// A request as it would be sent by itself, with what the plan adds and leaves out.
    pub(super) fn of(spec: &ApiSpec, place: usize, request: &Request) -> Result<Self, Failure> {
        let mut wire = dialect::encode(&Ask { spec, request })?;
        adjust(spec, &mut wire.body);
        let body = Value::Object(wire.body).to_string();
        let digest = blake3::hash(body.as_bytes()).to_hex();
        let id = format!("q{place}-{}", &digest[..24]);
        Ok(Self { place, id, path: wire.path, headers: wire.headers, body })
    }

    /// About how many bytes it takes in a job.
    fn bytes(&self) -> usize {
        self.body.len() + AROUND
    }
}

/// Divides lines into jobs: none too large, and one path a job.
pub(super) fn parts(lines: Vec<Line>, most: Most) -> Vec<Vec<Line>> {
    let mut parts: Vec<Vec<Line>> = Vec::new();
    let mut bytes = 0;
    for line in lines {
        let fits = |part: &&mut Vec<Line>| {
            part.len() < most.lines && bytes + line.bytes() <= most.bytes && part.last().is_none_or(|last| last.path == line.path)
        };
        if let Some(part) = parts.last_mut().filter(fits) {
            bytes += line.bytes();
            part.push(line);
        } else {
            bytes = line.bytes();
            parts.push(vec![line]);
        }
    }
    parts
}

/// What a job is known by on this machine: the subject, where it is asked, and every line.
pub(super) fn key(subject: &SubjectName, spec: &ApiSpec, part: &[Line]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("quantgate job v1");
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    };
    [subject.as_str(), &spec.base_url, &spec.model].into_iter().for_each(&mut add);
    for (name, value) in &spec.headers {
        add(name);
        add(value);
    }
    for line in part {
        add(&line.id);
        add(&line.path);
    }
    hasher.finalize().to_hex()[..32].to_owned()
}
