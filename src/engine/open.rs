//! From a subject of the plan to an engine that answers: its model found, or made from the canary's and cached.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;

use super::Engine;
#[cfg(feature = "hub")]
use super::hub::{self, HubError};
use super::local::{LoadError, LocalEngine, Settings};
use crate::domain::{EngineSpec, LocalSpec, ModelSource, Role, Subject, SubjectName};
use crate::weights::{Checkpoint, Imatrix, Order, QUANTIZER, Recipe, WeightsError, quantize};

/// A subject that can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its model file can't be read, or the canary's can't be quantized.
    #[error("subject `{subject}`: {source}")]
    Weights {
        /// Which.
        subject: SubjectName,
        /// The fault.
        source: WeightsError,
    },
    /// Its model can't be run.
    #[error("subject `{subject}`: {source}")]
    Load {
        /// Which.
        subject: SubjectName,
        /// The fault.
        source: LoadError,
    },
    /// The canary is to be quantized: then there is no reference.
    #[error("the canary `{subject}` is to be made by quantization, but it is the full-precision reference itself")]
    QuantizedCanary {
        /// The canary.
        subject: SubjectName,
    },
    /// A variant is to be made from a canary that isn't a model in this process.
    #[error("subject `{subject}` is to be quantized from the canary `{canary}`, which is no model file")]
    NoSource {
        /// Which.
        subject: SubjectName,
        /// The canary.
        canary: SubjectName,
    },
    /// Its model is on the Hugging Face Hub, and this build cannot fetch it.
    #[error("subject `{subject}` is on the Hugging Face Hub, which this build does not fetch from")]
    NoHub {
        /// Which.
        subject: SubjectName,
    },
    /// Its model can't be had from the Hugging Face Hub.
    #[cfg(feature = "hub")]
    #[error("subject `{subject}`: {source}")]
    Hub {
        /// Which.
        subject: SubjectName,
        /// The fault.
        source: HubError,
    },
    /// A scripted subject has no model to open.
    #[error("subject `{subject}` is scripted: it is built from the plan's samples, not opened")]
    Scripted {
        /// Which.
        subject: SubjectName,
    },
    /// The cache of quantized models can't be written.
    #[error("subject `{subject}`: cannot write to the model cache at {}: {source}", path.display())]
    Cache {
        /// Which.
        subject: SubjectName,
        /// The file or folder.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
}

impl OpenError {
    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Weights { source, .. } => source.hint(),
            Self::Load { .. } | Self::Scripted { .. } => None,
            Self::NoHub { .. } => {
                Some("build it with `cargo build --release --features hub`, or download the model and name its folder")
            }
            #[cfg(feature = "hub")]
            Self::Hub { source, .. } => source.hint(),
            Self::QuantizedCanary { .. } => Some("give the canary a `model` path in place of `quantize`"),
            Self::NoSource { .. } => Some("give the variant a `model` path, or the canary the local engine and a `model` path"),
            Self::Cache { .. } => Some("check that the cache folder may be written and that the disk has room"),
        }
    }
}

/// How the Hugging Face Hub is reached, and where what comes from it is kept.
#[derive(Clone, Debug)]
pub struct HubAccess {
    /// Where it is asked: scheme and host, perhaps a path.
    pub endpoint: String,
    /// The folder of repositories, laid out as `huggingface_hub` does it.
    pub cache: PathBuf,
    /// Who asks, where that matters; sent to the endpoint alone.
    pub token: Option<SecretString>,
    /// Whether nothing may be asked: then the cache is all there is.
    pub offline: bool,
}

/// Where and in how much room subjects are opened.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Where relative paths start.
    pub root: &'a Path,
    /// The folder that models quantized from the canary are kept in.
    pub cache: &'a Path,
    /// Most bytes beside the model's own, as [`Settings::memory`].
    pub memory: Option<u64>,
    /// The Hugging Face Hub, where it may be asked at all; a build without the feature `hub` asks nobody.
    pub hub: Option<&'a HubAccess>,
}

/// A model's place on this machine.
struct Place {
    path: PathBuf,
    /// Where on the Hub it came from, its commit named.
    hub: Option<String>,
}

impl From<PathBuf> for Place {
    fn from(path: PathBuf) -> Self {
        Self { path, hub: None }
    }
}

/// Opens a subject. Models quantized from the `canary` are kept by the canary's content, the recipe, the importance matrix and the
/// quantizer, and made again where a kept file isn't what was written. `progress` is told the weights quantized and the weights
/// in all; of a model from the Hub, the bytes of the file under way.
///
/// Reads whole model files and computes: call it where blocking is allowed.
pub fn open(
    subject: &Subject,
    canary: &Subject,
    around: Surroundings<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Arc<dyn Engine>, OpenError> {
    let Surroundings { root, cache, memory, .. } = around;
    let EngineSpec::Local(spec) = &subject.engine else {
        return Err(OpenError::Scripted { subject: subject.name.clone() });
    };
    let failed = |source| OpenError::Weights { subject: subject.name.clone(), source };
    let tokenizer = spec.tokenizer.as_ref().map(|path| root.join(path));
    let Place { path, hub } = match &spec.source {
        ModelSource::Path(path) => root.join(path).into(),
        ModelSource::Hub(name) => fetched(&subject.name, name, around, progress)?,
        ModelSource::Quantize(_) if subject.role == Role::Canary => {
            return Err(OpenError::QuantizedCanary { subject: subject.name.clone() });
        }
        ModelSource::Quantize(recipe) => {
            let recipe: Recipe = recipe.parse().map_err(failed)?;
            let imatrix = spec.imatrix.as_ref().map(|path| Imatrix::open(&root.join(path))).transpose().map_err(failed)?;
            let source = canary_model(subject, canary, around)?;
            made(&subject.name, &source, Order { recipe, imatrix: imatrix.as_ref() }, (cache, progress))?.into()
        }
    };
    let checkpoint = Checkpoint::open(&path, tokenizer.as_deref()).map_err(failed)?;
    let engine = LocalEngine::load(checkpoint, &Settings { memory, ..Settings::of(spec) });
    let engine = engine.map_err(|source| OpenError::Load { subject: subject.name.clone(), source })?;
    Ok(Arc::new(match hub {
        Some(place) => engine.with_detail("hub", place),
        None => engine,
    }))
}

/// A model of the Hub, in its cache on this machine.
#[cfg(feature = "hub")]
fn fetched(
    subject: &SubjectName,
    name: &str,
    around: Surroundings<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Place, OpenError> {
    let Some(access) = around.hub else { return Err(OpenError::NoHub { subject: subject.clone() }) };
    let found = hub::fetch(name, access, progress);
    let found = found.map_err(|source| OpenError::Hub { subject: subject.clone(), source })?;
    Ok(Place { path: found.path, hub: Some(found.place) })
}

/// A model of the Hub, which this build has no way to.
#[cfg(not(feature = "hub"))]
fn fetched(subject: &SubjectName, _: &str, _: Surroundings<'_>, _: &mut dyn FnMut(u64, u64)) -> Result<Place, OpenError> {
    Err(OpenError::NoHub { subject: subject.clone() })
}

/// The canary's open model.
fn canary_model(subject: &Subject, canary: &Subject, around: Surroundings<'_>) -> Result<Checkpoint, OpenError> {
    let no_source = || OpenError::NoSource { subject: subject.name.clone(), canary: canary.name.clone() };
    let EngineSpec::Local(LocalSpec { source, tokenizer, .. }) = &canary.engine else { return Err(no_source()) };
    let path = match source {
        ModelSource::Path(path) => around.root.join(path),
        ModelSource::Hub(name) => fetched(&canary.name, name, around, &mut |_, _| ())?.path,
        ModelSource::Quantize(_) => return Err(no_source()),
    };
    let tokenizer = tokenizer.as_ref().map(|path| around.root.join(path));
    let model = Checkpoint::open(&path, tokenizer.as_deref());
    model.map_err(|source| OpenError::Weights { subject: canary.name.clone(), source })
}

/// The cached file of a model in a quantization; made where it is not there or not what was written.
fn made(
    subject: &SubjectName,
    source: &Checkpoint,
    order: Order,
    (cache, progress): (&Path, &mut dyn FnMut(u64, u64)),
) -> Result<PathBuf, OpenError> {
    let path = cache.join(cached_name(source, order));
    let note = path.with_extension("gguf.digest");
    if intact(&path, &note) {
        return Ok(path);
    }
    let unwritable = |path: &Path| {
        let (subject, path) = (subject.clone(), path.to_owned());
        move |source| OpenError::Cache { subject, path, source }
    };
    fs::create_dir_all(cache).map_err(unwritable(cache))?;
    let facts = quantize(source, order, &path, progress);
    let facts = facts.map_err(|source| OpenError::Weights { subject: subject.clone(), source })?;
    fs::write(&note, facts.weights.as_str()).map_err(unwritable(&note))?;
    Ok(path)
}

/// The file of a model in a quantization: its content, the recipe, the importance matrix and the quantizer.
fn cached_name(source: &Checkpoint, order: Order) -> String {
    let short = |digest: &str| digest.chars().take(16).collect::<String>();
    let imatrix = order.imatrix.map(|imatrix| format!("-by-{}", short(imatrix.digest()))).unwrap_or_default();
    let quantizer = QUANTIZER.replace(['(', ')'], "").replace(' ', "-");
    format!("{}-{}{imatrix}-{quantizer}.gguf", short(&content(source)), order.recipe)
}

/// Hex digest of everything of a model that a file made from it holds: weights, shape, special tokens, vocabulary, template.
fn content(source: &Checkpoint) -> String {
    let facts = source.facts();
    let parts = (&facts.weights, &facts.vocabulary, &facts.template, source.config(), source.special());
    blake3::hash(format!("{parts:?}").as_bytes()).to_hex().to_string()
}

/// Whether a cached model holds the weights that were written. A file that can't be read counts as not there: it is made
/// again, from the same weights by the same steps.
fn intact(path: &Path, note: &Path) -> bool {
    let Ok(written) = fs::read_to_string(note) else { return false };
    Checkpoint::open(path, None).is_ok_and(|model| model.facts().weights.as_str() == written.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ScriptedSpec;

    fn subject(name: &str, role: Role, source: ModelSource) -> Subject {
        let engine = EngineSpec::Local(LocalSpec::new(source));
        Subject { name: name.into(), role, engine, repeats: 1 }
    }

    #[test]
    fn a_variant_is_made_from_the_canary_once_and_made_again_where_its_file_was_damaged() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let shape = [256, 256, 4, 2, 64, 1];
        super::super::local::random_model(&folder.path().join("model"), shape);
        let canary = subject("canary", Role::Canary, ModelSource::Path("model".into()));
        let variant = subject("small", Role::Variant, ModelSource::Quantize("q4_0".into()));
        let cache = folder.path().join("cache");
        let around = Surroundings { root: folder.path(), cache: &cache, memory: None, hub: None };
        let mut told = 0;
        let ask = |told: &mut u32| {
            let engine = open(&variant, &canary, around, &mut |_, _| *told += 1).expect("it opens");
            (engine.identity().clone(), std::mem::take(told))
        };
        let (first, work) = ask(&mut told);
        assert!(work > 0);
        assert_eq!(first.quantization, "q4_0");
        assert_eq!(ask(&mut told), (first.clone(), 0), "the cached file is used");
        let path = fs::read_dir(&cache).expect("there").map(|entry| entry.expect("readable").path());
        let path = path.into_iter().find(|path| path.extension().is_some_and(|end| end == "gguf")).expect("a model");
        let mut bytes = fs::read(&path).expect("readable");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&path, bytes).expect("writable");
        let (again, work) = ask(&mut told);
        assert!(work > 0, "one flipped bit is seen");
        assert_eq!(again, first);
        let original = open(&canary, &canary, around, &mut |_, _| ()).expect("it opens");
        assert_eq!(original.identity().vocabulary, first.vocabulary);
        assert_eq!(original.identity().template, first.template);
    }

    #[test]
    fn subjects_without_a_model_of_their_own_are_refused_with_a_reason() {
        let quantize = || ModelSource::Quantize("q8_0".into());
        let scripted = EngineSpec::Scripted(ScriptedSpec { right_per_mille: 500, salt: String::new(), noise_per_mille: 0 });
        let scripted = Subject { name: "script".into(), role: Role::Canary, engine: scripted, repeats: 1 };
        let canary = subject("canary", Role::Canary, quantize());
        let variant = subject("small", Role::Variant, quantize());
        let around = Surroundings { root: Path::new("."), cache: Path::new("."), memory: None, hub: None };
        let open = |subject, canary| open(subject, canary, around, &mut |_, _| ()).err();
        assert!(matches!(open(&canary, &canary), Some(OpenError::QuantizedCanary { .. })));
        assert!(matches!(open(&variant, &scripted), Some(OpenError::NoSource { .. })));
        assert!(matches!(open(&scripted, &scripted), Some(OpenError::Scripted { .. })));
        let distant = subject("far", Role::Variant, ModelSource::Hub("owner/name@main/a.gguf".into()));
        let error = open(&distant, &canary).expect("nobody may be asked");
        assert!(matches!(error, OpenError::NoHub { .. }));
        assert!(error.hint().is_some_and(|hint| hint.contains("`cargo build --release --features hub`")));
        let unknown = subject("odd", Role::Variant, ModelSource::Quantize("q9".into()));
        let error = open(&unknown, &canary).expect("no such quantization");
        assert!(error.to_string().contains("q9"), "{error}");
    }
}
