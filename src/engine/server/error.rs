//! What can be wrong with a server that is to be started, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::SubjectName;

/// A server that can't be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The plan's command can't be one.
    #[error("subject `{subject}`: its server's command: {problem}")]
    Command {
        /// Whose server.
        subject: SubjectName,
        /// What is wrong.
        problem: String,
    },
    /// The model file can't be read.
    #[error("subject `{subject}`: cannot read {}: {source}", path.display())]
    Model {
        /// Whose server.
        subject: SubjectName,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// There is no free port.
    #[error("subject `{subject}`: no free port for its server: {source}")]
    Port {
        /// Whose server.
        subject: SubjectName,
        /// The cause.
        source: io::Error,
    },
    /// The file for what it writes can't be made.
    #[error("subject `{subject}`: cannot write {}: {source}", path.display())]
    Log {
        /// Whose server.
        subject: SubjectName,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The program isn't there or can't be run.
    #[error("subject `{subject}`: its server `{program}` can't be run: {problem}")]
    Start {
        /// Whose server.
        subject: SubjectName,
        /// The program.
        program: String,
        /// Why not.
        problem: String,
    },
    /// It ended before it answered.
    #[error("subject `{subject}`: its server ended before it answered ({end}); {log}")]
    Exited {
        /// Whose server.
        subject: SubjectName,
        /// How.
        end: String,
        /// Its last words.
        log: String,
    },
    /// It did not answer in time.
    #[error("subject `{subject}`: its server did not answer within {seconds} s ({last}); {log}")]
    Slow {
        /// Whose server.
        subject: SubjectName,
        /// The limit.
        seconds: u64,
        /// What it said last.
        last: String,
        /// Its last words.
        log: String,
    },
}

impl ServerError {
    /// A command that can't be one.
    pub(super) fn command(subject: &SubjectName, problem: impl Into<String>) -> Self {
        Self::Command { subject: subject.clone(), problem: problem.into() }
    }

    /// A model file that can't be read.
    pub(super) fn model(subject: &SubjectName, path: &Path, source: io::Error) -> Self {
        Self::Model { subject: subject.clone(), path: path.to_owned(), source }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Command { .. } => {
                "write `server.command` as a list: the program and its arguments, with `{port}` where the port goes"
            }
            Self::Model { .. } => "name a file of this machine as the server's model",
            Self::Port { .. } => "end other servers, or look at the machine's limits",
            Self::Log { .. } => "make room, or take another folder for the run",
            Self::Start { .. } => "install it, or name its path in `server.command`",
            Self::Exited { .. } => "its log tells more; the same flags can be tried by hand",
            Self::Slow { .. } => "look at its log: a model may be too large for this machine",
        }
    }
}
