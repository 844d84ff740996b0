//! Which files a model is, and whether they are here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use serde_json::Value;

use super::cache::Shelf;
use super::name::{Name, is_commit, is_path};
use super::transfer::{Client, Listing};
use super::{Fetched, HubError};
use crate::engine::HubAccess;

const CONFIG: &str = "config.json";
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const SAFETENSORS: &str = ".safetensors";
const JINJA: &str = ".jinja";

/// Most models that are named where one isn't found.
const SHOWN: usize = 8;

/// Finds a model. The Hub is asked which commit a branch is; a file of a known commit that is here needs nobody.
pub(super) async fn find(name: &Name, access: &HubAccess, tell: &Sender<(u64, u64)>) -> Result<Fetched, HubError> {
    let shelf = Shelf::new(&access.cache, name);
    if is_commit(&name.revision)
        && name.file.is_some()
        && let Some(kept) = kept(&shelf, name)
    {
        return Ok(kept);
    }
    let client = Client::new(access)?;
    let listing = match client.listing(name).await {
        Err(fault @ HubError::Unreachable { .. }) => return kept(&shelf, name).ok_or(fault),
        listing => listing?,
    };
    let fetch = Fetch { client: &client, shelf: &shelf, name, listing: &listing, tell };
    let folder = fetch.all().await?;
    shelf.remember(&listing.commit)?;
    let path = name.file.as_ref().map_or(folder.clone(), |file| folder.join(file));
    Ok(Fetched { path, place: name.at(&listing.commit) })
}

/// A model as the cache has it; none where any part of it isn't there.
fn kept(shelf: &Shelf, name: &Name) -> Option<Fetched> {
    let commit = shelf.commit()?;
    let folder = shelf.snapshot(&commit);
    let (path, whole) = match &name.file {
        Some(file) => (folder.join(file), folder.join(file).is_file()),
        None => (folder.clone(), is_whole(&folder)),
    };
    whole.then(|| Fetched { path, place: name.at(&commit) })
}

/// Whether a folder holds a model. Weights are fetched last: where they are, everything is.
fn is_whole(folder: &Path) -> bool {
    let shards = || {
        let index = fs::read(folder.join(INDEX)).ok()?;
        let shards = shards(&index)?;
        Some(!shards.is_empty() && shards.iter().all(|shard| folder.join(shard).is_file()))
    };
    folder.join(CONFIG).is_file() && (folder.join(SINGLE).is_file() || shards().unwrap_or(false))
}

/// The files that an index names; none where it is no index.
fn shards(index: &[u8]) -> Option<BTreeSet<String>> {
    let index: Value = serde_json::from_slice(index).ok()?;
    let names = index.get("weight_map")?.as_object()?.values();
    names.map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Whether a file beside the weights says something of the model.
fn is_description(file: &str) -> bool {
    let is = |start: &str, end: &str| file.starts_with(start) && file.ends_with(end);
    match file.split_once('/') {
        Some((folder, file)) => folder == "additional_chat_templates" && !file.contains('/') && file.ends_with(JINJA),
        None => {
            matches!(file, CONFIG | "generation_config.json")
                || is("tokenizer", ".json")
                || is("chat_template", ".json")
                || is("chat_template", JINJA)
        }
    }
}

/// What is fetched from where.
struct Fetch<'a> {
    client: &'a Client<'a>,
    shelf: &'a Shelf,
    name: &'a Name,
    listing: &'a Listing,
    tell: &'a Sender<(u64, u64)>,
}

impl Fetch<'_> {
    /// Every file of the model; the folder of its commit.
    async fn all(&self) -> Result<PathBuf, HubError> {
        let files = &self.listing.files;
        let weights = match &self.name.file {
            Some(file) if !files.contains(file) => return Err(self.lacks(format!("holds no file `{file}`"))),
            Some(file) => vec![file.clone()],
            None if !files.contains(CONFIG) => return Err(self.lacks("holds no config.json".to_owned())),
            None if files.contains(SINGLE) => vec![SINGLE.to_owned()],
            None if files.contains(INDEX) => self.indexed().await?,
            None => return Err(self.lacks(format!("holds neither {SINGLE} nor {INDEX}"))),
        };
        if weights.iter().all(|file| file.ends_with(SAFETENSORS)) {
            let folder = weights[0].rfind('/').map_or("", |end| &weights[0][..=end]);
            let beside = |file: &&String| file.strip_prefix(folder).is_some_and(is_description);
            for file in files.iter().filter(beside) {
                self.one(file).await?;
            }
        }
        for file in &weights {
            self.one(file).await?;
        }
        Ok(self.shelf.snapshot(&self.listing.commit))
    }

    /// The files that the index names.
    async fn indexed(&self) -> Result<Vec<String>, HubError> {
        let path = self.one(INDEX).await?;
        let text = fs::read(&path).map_err(|source| HubError::Cache { path, source })?;
        let named = shards(&text).filter(|named| !named.is_empty());
        let named = named.ok_or_else(|| self.lacks(format!("holds {INDEX} without names of files")))?;
        match named.iter().find(|file| !self.listing.files.contains(*file)) {
            Some(file) => Err(self.lacks(format!("holds no file `{file}`, which {INDEX} names"))),
            None => Ok(named.into_iter().collect()),
        }
    }

    /// One file, unless it is here.
    async fn one(&self, file: &str) -> Result<PathBuf, HubError> {
        let path = self.shelf.snapshot(&self.listing.commit).join(file);
        if path.is_file() {
            return Ok(path);
        }
        let at = Name { file: Some(file.to_owned()), ..self.name.clone() };
        let blob = self.client.file((&at, &self.listing.commit), self.shelf, self.tell).await?;
        self.shelf.link(&self.listing.commit, file, &blob)
    }

    /// Something isn't in the repository; models that are get named.
    fn lacks(&self, problem: String) -> HubError {
        let is_model = |file: &&String| Path::new(file).extension().is_some_and(|end| end == "gguf" || end == "safetensors");
        let models = self.listing.files.iter().filter(is_model);
        let place = Name { file: None, ..self.name.clone() }.at(&self.listing.commit);
        HubError::NoFile { place, problem, others: models.take(SHOWN).cloned().collect() }
    }
}

/// The listing's files that lead nowhere else.
pub(super) fn files(siblings: &Value) -> BTreeSet<String> {
    let names = siblings.as_array().into_iter().flatten().filter_map(|sibling| sibling.get("rfilename")?.as_str());
    names.filter(|name| is_path(name)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_describe_a_model_are_told_from_all_others() {
        for file in [
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "chat_template.jinja",
            "chat_template.json",
            "additional_chat_templates/tool_use.jinja",
        ] {
            assert!(is_description(file), "{file}");
        }
        for file in
            ["README.md", "tokenizer.model", "onnx/config.json", "additional_chat_templates/a/b.jinja", "model.safetensors"]
        {
            assert!(!is_description(file), "{file}");
        }
    }

    #[test]
    fn names_that_leave_the_folder_are_no_files_of_a_listing() {
        let listing = serde_json::json!([{"rfilename": "a.gguf"}, {"rfilename": "../b"}, {"rfilename": "/etc/c"}, {"other": 1}]);
        assert_eq!(files(&listing), BTreeSet::from(["a.gguf".to_owned()]));
    }
}
