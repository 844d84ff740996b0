//! Keys of config.json and of GGUF metadata, checked as they are read.

use std::path::Path;

use serde_json::Value as Json;

use super::super::WeightsError;
use super::super::gguf::{Header, Value};

/// The largest count that makes sense for any hyperparameter.
const LARGEST: usize = (1 << 31) - 1;

/// The most layers: what is kept for each must not outgrow a small file.
pub(super) const LAYERS: usize = 4096;

/// The longest head, for the same reason.
pub(super) const HEAD: usize = 1 << 14;

/// The most experts, for the same reason.
pub(super) const EXPERTS: usize = 1024;

fn in_range(path: &Path, key: &str, (value, most): (Option<u64>, usize)) -> Result<usize, WeightsError> {
    match value {
        Some(count) if (1..=most as u64).contains(&count) => Ok(count as usize),
        Some(count) => Err(WeightsError::key(path, key, format!("is {count}, but must be from 1 to {most}"))),
        None => Err(WeightsError::key(path, key, format!("must be a whole number from 1 to {most}"))),
    }
}

/// config.json, or an object within it, with the path for messages.
#[derive(Clone, Copy)]
pub(super) struct JsonKeys<'a> {
    pub(super) path: &'a Path,
    pub(super) json: &'a Json,
}

impl<'a> JsonKeys<'a> {
    /// A value that is there and not null.
    pub(super) fn find(&self, key: &str) -> Option<&'a Json> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    /// A value that is there and neither null nor false.
    pub(super) fn set(&self, key: &str) -> Option<&'a Json> {
        self.find(key).filter(|value| **value != Json::Bool(false))
    }

    /// The object under a key.
    pub(super) fn within(&self, key: &str) -> Option<Self> {
        self.find(key).map(|json| Self { path: self.path, json })
    }

    pub(super) fn count(&self, key: &str) -> Result<usize, WeightsError> {
        self.count_to(key, LARGEST)
    }

    pub(super) fn count_to(&self, key: &str, most: usize) -> Result<usize, WeightsError> {
        match self.find(key) {
            Some(value) => in_range(self.path, key, (value.as_u64(), most)),
            None => Err(self.missing(key)),
        }
    }

    pub(super) fn count_or(&self, key: &str, default: usize) -> Result<usize, WeightsError> {
        if self.find(key).is_none() { Ok(default) } else { self.count(key) }
    }

    pub(super) fn real(&self, key: &str) -> Result<Option<f64>, WeightsError> {
        let Some(value) = self.find(key) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| WeightsError::key(self.path, key, "must be a number"))
    }

    /// A number of which null says that there is none, with what absence means.
    pub(super) fn nullable(&self, key: &str, default: Option<f64>) -> Result<Option<f64>, WeightsError> {
        if self.json.get(key).is_none() { Ok(default) } else { self.real(key) }
    }

    pub(super) fn flag_or(&self, key: &str, default: bool) -> Result<bool, WeightsError> {
        let Some(value) = self.find(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| WeightsError::key(self.path, key, "must be true or false"))
    }

    /// A list of numbers of a given length.
    pub(super) fn reals(&self, key: &str, length: usize) -> Result<Vec<f32>, WeightsError> {
        let list = self.find(key).ok_or_else(|| self.missing(key))?.as_array().filter(|list| list.len() == length);
        let reals = list.and_then(|list| list.iter().map(|value| value.as_f64().map(|real| real as f32)).collect());
        reals.ok_or_else(|| WeightsError::key(self.path, key, format!("must be a list of {length} numbers")))
    }

    pub(super) fn missing(&self, key: &str) -> WeightsError {
        WeightsError::key(self.path, key, "is missing")
    }

    pub(super) fn refuse(&self, feature: String) -> WeightsError {
        WeightsError::unsupported(self.path, feature, "")
    }
}

/// The keys of one architecture in GGUF metadata, with the path for messages.
#[derive(Clone, Copy)]
pub(super) struct HeaderKeys<'a> {
    pub(super) path: &'a Path,
    pub(super) header: &'a Header,
    /// The architecture's name, which its keys begin with.
    pub(super) prefix: &'a str,
}

impl<'a> HeaderKeys<'a> {
    /// The full name of a key.
    pub(super) fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    pub(super) fn find(&self, key: &str) -> Option<&'a Value> {
        self.header.get(&self.name(key))
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.find(key).and_then(Value::text)
    }

    pub(super) fn count(&self, key: &str) -> Result<usize, WeightsError> {
        self.count_to(key, LARGEST)
    }

    pub(super) fn count_to(&self, key: &str, most: usize) -> Result<usize, WeightsError> {
        let name = self.name(key);
        let integer = match self.find(key) {
            // Some writers store one number per layer.
            Some(Value::Array(array)) => {
                let counts = array.integers().unwrap_or_default();
                let even = counts.first().filter(|first| counts.iter().all(|count| count == *first));
                let differ = || WeightsError::unsupported(self.path, format!("`{name}` that differs between layers"), "");
                Some(*even.ok_or_else(differ)?)
            }
            Some(value) => value.integer(),
            None => return Err(WeightsError::key(self.path, name, "is missing")),
        };
        in_range(self.path, &name, (integer.and_then(|count| u64::try_from(count).ok()), most))
    }

    pub(super) fn count_or(&self, key: &str, default: usize) -> Result<usize, WeightsError> {
        if self.find(key).is_none() { Ok(default) } else { self.count(key) }
    }

    /// A count of which zero says that there is none.
    pub(super) fn optional(&self, key: &str, most: usize) -> Result<Option<usize>, WeightsError> {
        match self.find(key) {
            None => Ok(None),
            Some(value) if value.integer() == Some(0) => Ok(None),
            Some(_) => self.count_to(key, most).map(Some),
        }
    }

    pub(super) fn real(&self, key: &str) -> Result<Option<f32>, WeightsError> {
        let Some(value) = self.find(key) else { return Ok(None) };
        let wrong = || WeightsError::key(self.path, self.name(key), "must be a real number");
        value.real().map(|real| Some(real as f32)).ok_or_else(wrong)
    }

    /// Refuses a count that is there and differs from what follows from others.
    pub(super) fn same(&self, key: &str, expected: usize) -> Result<(), WeightsError> {
        let found = self.count_or(key, expected)?;
        if found == expected { Ok(()) } else { Err(self.refuse(format!("`{}` = {found}, not {expected}", self.name(key)))) }
    }

    pub(super) fn refuse(&self, feature: String) -> WeightsError {
        WeightsError::unsupported(self.path, feature, "")
    }
}

/// The refusal of an architecture that isn't built.
pub(super) fn architecture(path: &Path, name: &str) -> WeightsError {
    let hint = "llama, mistral, mixtral, qwen2, qwen3, gemma2 and phi3 can be loaded";
    WeightsError::unsupported(path, format!("the architecture `{name}`"), hint)
}
