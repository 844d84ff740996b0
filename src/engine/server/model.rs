//! The model file that a server is given: its digests, read before the server reads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::domain::{Digest, Identity};
use crate::weights::{Checkpoint, Facts};

/// Bytes that are read at a time.
const BLOCK: usize = 1 << 20;

/// What a model file is known by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ModelFile {
    sha256: String,
    bytes: u64,
    /// Digests of what is in it, and its context; none for a model that isn't known here.
    known: Result<(Facts, usize), String>,
}

impl ModelFile {
    /// Reads the whole file, twice, where that blocks no other task.
    pub(super) async fn read(path: &Path) -> io::Result<Self> {
        let path = path.to_owned();
        let read = tokio::task::spawn_blocking(move || {
            let (sha256, bytes) = hash(&path)?;
            let known = Checkpoint::open(&path, None).map_err(|error| error.to_string());
            let known = known.map(|model| (model.facts().clone(), model.config().context));
            Ok(Self { sha256, bytes, known })
        });
        read.await.map_err(io::Error::other)?
    }

    /// The context that it was trained for.
    pub(super) fn context(&self) -> Option<usize> {
        self.known.as_ref().ok().map(|(_, context)| *context)
    }

    /// What tells it from other files.
    pub(super) fn details(&self) -> BTreeMap<String, String> {
        let mut details = BTreeMap::from([("model file".to_owned(), format!("sha256:{}", self.sha256))]);
        match &self.known {
            Ok((facts, _)) => details.extend(facts.quantizer.clone().map(|quantizer| ("quantizer".to_owned(), quantizer))),
            Err(_) => drop(details.insert("model".into(), "not read here: its parts are not told apart".into())),
        }
        details
    }

    /// Its identity behind an engine: weights, vocabulary and template as of a model in this process, or else the file's
    /// own digest for the weights alone.
    pub(super) fn identity(&self, engine: &str, details: &BTreeMap<String, String>) -> Identity {
        let (engine, details) = (engine.to_owned(), details.clone());
        match &self.known {
            Ok((facts, _)) => facts.identity(engine, details),
            Err(_) => Identity {
                engine,
                weights: Digest::new(format!("sha256:{}", self.sha256)),
                vocabulary: Digest::untold(),
                template: Digest::untold(),
                quantization: String::new(),
                bytes: self.bytes,
                parameters: 0,
                bits_per_weight: 0.0,
                details,
            },
        }
    }
}

/// The SHA-256 of a file in hexadecimal digits, and its length.
fn hash(path: &Path) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let (mut hasher, mut bytes, mut block) = (Sha256::new(), 0, vec![0; BLOCK]);
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            let mut digits = String::new();
            hasher.finalize().iter().for_each(|byte| _ = write!(digits, "{byte:02x}"));
            return Ok((digits, bytes));
        }
        hasher.update(&block[..count]);
        bytes += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_not_known_here_has_its_own_digest_and_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("other.gguf");
        std::fs::write(&path, "abc").expect("it is written");
        let file = ModelFile::read(&path).await.expect("it is read");
        let identity = file.identity("llama-server", &file.details());
        // FIPS 180-2, appendix B.1.
        let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((identity.weights.as_str(), identity.bytes), (digest, 3));
        assert!(identity.weights.is_content() && !identity.vocabulary.is_told());
        assert_eq!(identity.details["model file"], digest);
    }

    #[tokio::test]
    async fn the_bundled_model_has_the_digests_that_it_has_in_process() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/model.safetensors");
        let file = ModelFile::read(&path).await.expect("it is read");
        let facts = Checkpoint::open(&path, None).expect("it opens").facts().clone();
        let identity = file.identity("llama-server", &BTreeMap::new());
        assert_eq!((identity.weights, identity.vocabulary), (facts.weights, facts.vocabulary));
        assert_eq!((identity.template, file.context()), (facts.template, Some(512)));
    }
}
