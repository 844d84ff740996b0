//! Hugging Face layout: config.json, the tokenizer's files and safetensors in one file or several.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::layout::{Entries, Entry, canonical_name};
use super::mapped::Mapped;
use super::safetensors::{self, Info};
use super::template::Templates;
use super::{Architecture, Config, WeightsError};

/// The largest JSON file that is read (a tokenizer of 256 thousand tokens takes about 30 MiB).
const LARGEST_JSON: u64 = 256 << 20;

/// A model's files, opened and checked against each other.
pub(super) struct Folder {
    /// The safetensors files.
    pub(super) files: Vec<Mapped>,
    /// The tensors by GGUF name, fused ones still whole.
    pub(super) entries: Entries,
    /// config.json, as numbers.
    pub(super) config: Config,
    /// `config.json`, `generation_config.json` and `tokenizer_config.json` as they are; null where absent.
    pub(super) json: [Json; 3],
    /// The chat templates.
    pub(super) templates: Templates,
    /// The folder.
    pub(super) path: PathBuf,
}

impl Folder {
    /// Opens a folder, or one safetensors file with the others beside it.
    pub(super) fn open(path: &Path) -> Result<Self, WeightsError> {
        let (folder, weights) = if path.is_dir() {
            (path.to_owned(), weights_files(path)?)
        } else {
            let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            (folder.to_owned(), vec![path.to_owned()])
        };
        let config_path = folder.join("config.json");
        let Some(config_json) = read_json(&config_path)? else {
            let problem = "there is no config.json in its folder".to_owned();
            return Err(WeightsError::NotAModel { path: path.to_owned(), problem });
        };
        let config = Config::from_json(&config_path, &config_json)?;
        let generation = read_json(&folder.join("generation_config.json"))?.unwrap_or_default();
        let settings = read_json(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let templates = Templates::of_folder(&folder, &settings)?;
        let files = weights.iter().map(|file| Mapped::open(file)).collect::<Result<Vec<_>, _>>()?;
        let mut entries = Entries::new();
        for (index, file) in files.iter().enumerate() {
            add_tensors(&mut entries, (index, file), config.architecture)?;
        }
        if config.tied {
            // Some writers store the shared matrix under both names.
            entries.remove("output.weight");
        }
        Ok(Self { files, entries, config, json: [config_json, generation, settings], templates, path: folder })
    }
}

/// The files that an index names, or the only one.
fn weights_files(folder: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    let single = folder.join("model.safetensors");
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index_path = folder.join("model.safetensors.index.json");
    let Some(index) = read_json(&index_path)? else {
        let problem = "it holds neither model.safetensors nor model.safetensors.index.json".to_owned();
        return Err(WeightsError::NotAModel { path: folder.to_owned(), problem });
    };
    let Some(map) = index.get("weight_map").and_then(Json::as_object) else {
        return Err(WeightsError::key(&index_path, "weight_map", "must be an object of tensor and file names"));
    };
    let names: BTreeSet<&str> = map.values().filter_map(Json::as_str).collect();
    if let Some(name) = names.iter().find(|name| name.contains(['/', '\\'])) {
        return Err(WeightsError::key(&index_path, "weight_map", format!("names `{name}`, which is not beside it")));
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// Reads a JSON file; none where it doesn't exist.
pub(super) fn read_json(path: &Path) -> Result<Option<Json>, WeightsError> {
    let Some(text) = read_text(path)? else { return Ok(None) };
    let json = serde_json::from_str(&text);
    json.map(Some).map_err(|error| WeightsError::malformed(path, format!("it is not valid JSON: {error}")))
}

/// Reads a text file; none where it doesn't exist.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, WeightsError> {
    if !path.is_file() {
        return Ok(None);
    }
    let read = |source| WeightsError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(read)?.len() > LARGEST_JSON {
        return Err(WeightsError::malformed(path, "it is larger than any file of its name"));
    }
    std::fs::read_to_string(path).map(Some).map_err(read)
}

fn add_tensors(entries: &mut Entries, (index, file): (usize, &Mapped), family: Architecture) -> Result<(), WeightsError> {
    let path = file.path();
    for Info { name, kind, shape, bytes } in safetensors::read(file)? {
        // Old checkpoints carry the rotary frequencies, which follow from the configuration.
        if name.ends_with("rotary_emb.inv_freq") {
            continue;
        }
        let Some(canonical) = canonical_name(&name, family) else {
            let hint = "no model of a known architecture has such a tensor";
            return Err(WeightsError::unsupported(path, format!("tensor `{name}`"), hint));
        };
        let kind = kind.map_err(|kind| {
            let (tensor, kind) = (name.to_string(), kind.to_lowercase());
            WeightsError::TensorType { path: path.to_owned(), tensor, kind }
        })?;
        if entries.insert(canonical, Entry { file: index, bytes, kind, shape }).is_some() {
            return Err(WeightsError::malformed(path, format!("tensor `{name}` is there twice")));
        }
    }
    Ok(())
}
