//! What can be wrong with a model file, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// A model that cannot be read, written or quantized; every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file system refused a read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file system refused a write: no space, no permission, no folder.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The path holds no model of a known form.
    #[error("{} is no model: {problem}", path.display())]
    NotAModel {
        /// The file or folder.
        path: PathBuf,
        /// What is not there.
        problem: String,
    },
    /// The file breaks its own format.
    #[error("{} is damaged or not what it claims to be: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// The file ends too early.
    #[error("{} is cut off in {part}: {missing} bytes are missing", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The first tensor, or part of the header, that is not whole.
        part: String,
        /// Bytes that the file lacks altogether; for a header, at least as many.
        missing: u64,
    },
    /// A configuration or metadata key is absent or has a value that cannot be right.
    #[error("{}: key `{key}` {problem}", path.display())]
    Key {
        /// The file that should hold it.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The file is sound, but asks for something that is not built.
    #[error("{}: {feature} is not supported", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it asks for, by the name it uses.
        feature: String,
        /// What to do instead; may be empty.
        hint: String,
    },
    /// A tensor that the architecture needs is not there.
    #[error("{}: tensor `{tensor}` is missing", path.display())]
    MissingTensor {
        /// The file or folder.
        path: PathBuf,
        /// The tensor, by its GGUF name.
        tensor: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("{}: tensor `{tensor}` has shape {found:?}, where the configuration asks for {expected:?}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its shape, rows first.
        found: Vec<usize>,
        /// The shape that it should have.
        expected: Vec<usize>,
    },
    /// A tensor is stored in a way that cannot be decoded.
    #[error("{}: tensor `{tensor}` is stored as {kind}, which cannot be read", path.display())]
    TensorType {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The name of its type.
        kind: String,
    },
    /// The tokenizer is absent, broken, of an unknown kind or another model's.
    #[error("{}: {problem}", path.display())]
    Tokenizer {
        /// The file that should hold it.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The name of a quantization is not known.
    #[error("unknown quantization `{name}`; known are {known}")]
    Recipe {
        /// The name as given.
        name: String,
        /// Every known name.
        known: String,
    },
    /// A tensor's values cannot be stored in the type that was asked for.
    #[error("{}: tensor `{tensor}` {problem}", path.display())]
    Values {
        /// The source file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong with its values.
        problem: String,
    },
    /// candle failed on a tensor.
    #[error("{}: tensor `{tensor}`: {source}", path.display())]
    Compute {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// candle's own words.
        source: Box<candle_core::Error>,
    },
}

const OWN_TOKENIZER: &str = "give the model's own file: tokenizer = \"…/tokenizer.json\"";

impl WeightsError {
    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Some("check the path"),
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => Some("free some disk space"),
            Self::Write { .. } => Some("check that the folder exists and may be written"),
            Self::NotAModel { .. } => {
                Some("give a GGUF file, a .safetensors file with config.json beside it, or a Hugging Face folder")
            }
            Self::Truncated { .. } | Self::Malformed { .. } => Some("download or write the file again"),
            Self::Unsupported { hint, .. } if !hint.is_empty() => Some(hint),
            Self::Tokenizer { .. } => Some(OWN_TOKENIZER),
            Self::TensorType { .. } => Some("quantize the model again to a type such as q8_0 or q4_k_m"),
            _ => None,
        }
    }

    pub(super) fn malformed(path: &Path, problem: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), problem: problem.into() }
    }

    pub(super) fn key(path: &Path, key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Key { path: path.to_owned(), key: key.into(), problem: problem.into() }
    }

    pub(super) fn unsupported(path: &Path, feature: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unsupported { path: path.to_owned(), feature: feature.into(), hint: hint.into() }
    }

    pub(super) fn tokenizer(path: &Path, problem: impl Into<String>) -> Self {
        Self::Tokenizer { path: path.to_owned(), problem: problem.into() }
    }

    /// For `map_err` on candle's results.
    pub(super) fn compute<'a>(path: &'a Path, tensor: &'a str) -> impl Fn(candle_core::Error) -> Self + 'a {
        move |source| Self::Compute { path: path.to_owned(), tensor: tensor.to_owned(), source: Box::new(source) }
    }
}
