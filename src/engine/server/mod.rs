//! Servers that are started for one subject, watched, and stopped when the subject is no longer asked.
//!
//! `command` says what is run, `guard` runs it so that it never outlives this process, `health` waits until it answers,
//! `model` reads the file that it serves. A server that dies is not started again: what made it die would do so again, and
//! a part of a run is to be answered by one process. What it was asked stays open, and the run ends with its last words;
//! going on with the run starts it again.

mod command;
mod error;
mod guard;
mod health;
mod model;
mod tail;
#[cfg(test)]
mod tests;

pub use error::ServerError;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use self::command::CommandLine;
use self::guard::Guarded;
use self::model::ModelFile;
use crate::domain::{ApiSpec, Identity, SubjectName};

/// How long a server may take until it answers: a large model has to be read first.
const PATIENCE: Duration = Duration::from_mins(15);
/// Ports that are tried: another program may take a free one before the server does.
const TRIES: u32 = 3;

/// A server that runs for one subject. Dropping it stops the server.
pub struct Managed {
    base_url: String,
    details: BTreeMap<String, String>,
    model: Option<ModelFile>,
    engine: String,
    guarded: Guarded,
    log: PathBuf,
}

impl Managed {
    /// Starts the server of `subject` on a free port of this machine and waits until it answers.
    ///
    /// `root` is what relative paths are relative to; `log` is the file that gets what the server writes. The server gets
    /// this process's environment without the `withheld` variables, which hold keys that are none of its business.
    pub async fn start(
        subject: &SubjectName,
        spec: &ApiSpec,
        root: &Path,
        log: &Path,
        withheld: &[String],
    ) -> Result<Self, ServerError> {
        Self::start_within(PATIENCE, (subject, spec), root, log, withheld).await
    }

    /// As [`Managed::start`], with another limit of time.
    async fn start_within(
        patience: Duration,
        (subject, spec): (&SubjectName, &ApiSpec),
        root: &Path,
        log: &Path,
        withheld: &[String],
    ) -> Result<Self, ServerError> {
        let server = spec.server.as_ref().ok_or_else(|| ServerError::command(subject, "the plan names none"))?;
        // A plan in the working folder has an empty one.
        let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        // The server runs in `root`: what it is told must not be relative to this process's folder.
        let path = server.model.as_ref().map(|path| absolute(root.join(path)).unwrap_or_else(|_| root.join(path)));
        let model = match &path {
            Some(path) => Some(ModelFile::read(path).await.map_err(|problem| ServerError::model(subject, path, problem))?),
            None => None,
        };
        let trained = model.as_ref().and_then(ModelFile::context);
        let command = CommandLine::new(spec, server, trained).map_err(|problem| ServerError::command(subject, problem))?;
        let mut tries = 1;
        let (guarded, port) = loop {
            let port = free_port(subject).await?;
            let guarded = Guarded::start(subject, &command.filled(port, path.as_deref()), root, log, withheld)?;
            match health::wait(subject, spec.preset, port, &guarded, patience).await {
                Ok(()) => break (guarded, port),
                Err(ServerError::Exited { log, .. }) if tries < TRIES && tail::port_was_taken(&log) => tries += 1,
                Err(error) => return Err(error),
            }
        };
        let version = command.version(root, withheld).await;
        let mut details = command.details(version.as_deref());
        if let Some(model) = &model {
            details.extend(model.details());
        }
        let engine = version.map_or_else(|| command.program(), |version| format!("{} {version}", command.program()));
        let base_url = format!("http://127.0.0.1:{port}");
        Ok(Self { base_url, details, model, engine, guarded, log: log.to_owned() })
    }

    /// Scheme, host and port, without a path.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// What about it can change an answer, by name: program, version, flags, the model file's digest.
    #[must_use]
    pub fn details(&self) -> &BTreeMap<String, String> {
        &self.details
    }

    /// Where what it writes goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What the subject is, by the file that its server was given: weights, vocabulary and template by the same digests as
    /// for a model in this process. None where the plan names no file.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.model.as_ref().map(|model| model.identity(&self.engine, &self.details))
    }

    /// What became of it and its last words, once it has ended.
    #[must_use]
    pub fn fallen(&self) -> Option<String> {
        self.guarded.ended().map(|end| format!("the server ended ({end}); {}", tail::of(&self.log)))
    }

    /// Stops it and waits until it has ended.
    pub async fn stop(self) {
        self.guarded.stop().await;
    }
}

/// A port of this machine that nothing listens on.
async fn free_port(subject: &SubjectName) -> Result<u16, ServerError> {
    let bound = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|source| ServerError::Port { subject: subject.clone(), source })
}
