//! Models on the Hugging Face Hub: looked up by name, fetched into the cache that the Hub's own tools share, known by commit.

mod cache;
mod name;
mod snapshot;
mod transfer;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc;

use super::HubAccess;
use name::Name;

/// A model that can't be had from the Hub.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// What the plan names is no name.
    #[error("`hf://{name}` {problem}")]
    Name {
        /// As given, behind `hf://`.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The endpoint's address can't be used.
    #[error("`{endpoint}` is no address of a Hub")]
    Endpoint {
        /// As given.
        endpoint: String,
    },
    /// There is no such repository, or none for everyone to see.
    #[error("the Hub has no repository `{repository}`")]
    NoRepository {
        /// `owner/name`.
        repository: String,
    },
    /// There is no such branch, tag or commit.
    #[error("the Hub's repository `{repository}` has no revision `{revision}`")]
    NoRevision {
        /// `owner/name`.
        repository: String,
        /// As asked.
        revision: String,
    },
    /// There is no such file, or no model in the folder.
    #[error("`{place}` {problem}{}", beside(others))]
    NoFile {
        /// Repository and commit.
        place: String,
        /// What is not there.
        problem: String,
        /// Models that are.
        others: Vec<String>,
    },
    /// The Hub doesn't give it to this asker.
    #[error("the Hub refuses `{repository}` with status {status}")]
    Denied {
        /// `owner/name`.
        repository: String,
        /// 401 or 403.
        status: u16,
    },
    /// The Hub can't be asked or breaks off, and the cache doesn't have it.
    #[error("the Hub {cause}, and the cache does not hold all of `{place}`")]
    Unreachable {
        /// Repository and revision.
        place: String,
        /// Why.
        cause: String,
    },
    /// The Hub says what it shouldn't.
    #[error("the Hub's answer on `{place}` cannot be used: {problem}")]
    Answer {
        /// What was asked.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// What came isn't what the Hub tells of.
    #[error("{place} came damaged: its {what} is not what the Hub tells of")]
    Damaged {
        /// Which file.
        place: String,
        /// `size` or `SHA-256`.
        what: &'static str,
    },
    /// The cache can't be read or written.
    #[error("the Hub's cache cannot be used at {}: {source}", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
}

impl HubError {
    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        Some(match self {
            Self::Name { .. } => {
                "write hf://owner/name@revision for a folder or hf://owner/name@revision/file; a revision's own slash is %2F"
            }
            Self::Endpoint { .. } => "set HF_ENDPOINT to an address that begins with https:// or http://, or not at all",
            Self::NoRepository { .. } => "check the name; one that is not public needs HF_TOKEN",
            Self::NoRevision { .. } => "name a branch, a tag or a commit of it; without one it is main",
            Self::NoFile { .. } => "name a file of the repository, or one whose folder holds config.json and safetensors",
            Self::Denied { .. } => {
                "check the name, set HF_TOKEN to a token that may read it, and accept its conditions on its page if it has any"
            }
            Self::Unreachable { .. } => "try again with a connection; what came so far is kept",
            Self::Answer { .. } => "check HF_ENDPOINT",
            Self::Damaged { .. } => "try again: the damaged file was removed",
            Self::Cache { .. } => "check that it may be written and has room, or name another folder with HF_HUB_CACHE",
        })
    }
}

/// `; it has a.gguf, b.gguf`.
fn beside(others: &[String]) -> String {
    if others.is_empty() { String::new() } else { format!("; it has {}", others.join(", ")) }
}

/// A model of the Hub on this machine.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    /// The file or folder.
    pub(super) path: PathBuf,
    /// `owner/name@commit/file`.
    pub(super) place: String,
}

/// Finds a model by its name behind `hf://`; what the cache lacks is fetched. `progress` is told the bytes of a file that are
/// here, and its bytes in all.
///
/// Waits for the Hub: call it where blocking is allowed.
pub(super) fn fetch(name: &str, access: &HubAccess, progress: &mut dyn FnMut(u64, u64)) -> Result<Fetched, HubError> {
    let name = Name::parse(name)?;
    let (tell, told) = mpsc::channel();
    // The caller's thread may drive a runtime already, and in one there can be no other.
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime on this thread needs nothing but a few descriptors");
            runtime.block_on(snapshot::find(&name, access, &tell))
        });
        for (done, all) in told {
            progress(done, all);
        }
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
