//! llama.cpp's importance matrices: how much each column of a matrix matters, from what `llama-imatrix` saw go through it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::gguf::{self, Header, TensorInfo, TensorType, Value};
use super::mapped::Mapped;
use super::{Recipe, WeightsError};

/// An importance matrix in either of its forms: GGUF, or the older binary one (`.dat`).
#[derive(Clone, Debug)]
pub struct Imatrix {
    path: PathBuf,
    /// The mean square that each column was multiplied with, by tensor; experts one after another.
    entries: BTreeMap<String, Vec<f32>>,
    /// The text that was read for it, where the file says.
    dataset: Option<String>,
    /// Chunks of that text.
    chunks: u32,
    digest: String,
}

/// What to quantize to, and by which importances.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The types.
    pub recipe: Recipe,
    /// The importances; without them every type has guesses of its own.
    pub imatrix: Option<&'a Imatrix>,
}

impl From<Recipe> for Order<'_> {
    fn from(recipe: Recipe) -> Self {
        Self { recipe, imatrix: None }
    }
}

/// The end of the names of sums, and of those of their counts, in the GGUF form.
const SUMS: &str = ".in_sum2";
const COUNTS: &str = ".counts";

impl Imatrix {
    /// Reads a file whole and checks it: every importance is a number.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let file = Mapped::open(path)?;
        let mut read = if file.starts_with(gguf::MAGIC) { from_gguf(path, &file)? } else { from_legacy(path, &file)? };
        read.digest = blake3::hash(&file).to_hex().to_string();
        if read.entries.is_empty() {
            return Err(WeightsError::malformed(path, "an importance matrix has entries, and it has none"));
        }
        for (tensor, values) in &read.entries {
            if values.iter().any(|value| !value.is_finite()) {
                return Err(values_fault(path, tensor, "has importances that are not finite".to_owned()));
            }
        }
        Ok(read)
    }

    /// Hex digest of the file.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The tensors that it has importances of, by their names in GGUF files.
    pub fn tensors(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The importances of a tensor: one a column, experts one after another. None for the matrices at either end of the model,
    /// of which `llama-imatrix` keeps none; for others an entry must be there, and every one must be of the tensor's size.
    pub(super) fn of(&self, tensor: &str, shape: &[usize]) -> Result<Option<&[f32]>, WeightsError> {
        let Some(values) = self.entries.get(tensor) else {
            if ["token_embd.weight", "output.weight"].contains(&tensor) {
                return Ok(None);
            }
            return Err(WeightsError::MissingTensor { path: self.path.clone(), tensor: tensor.to_owned() });
        };
        let (columns, experts) = (shape[shape.len() - 1], if shape.len() == 3 { shape[0] } else { 1 });
        if values.len() == columns * experts {
            return Ok(Some(values));
        }
        let problem = format!("has {} importances, where the model has {columns} columns", values.len());
        let problem = if experts == 1 { problem } else { format!("{problem} of each of {experts} experts") };
        Err(values_fault(&self.path, tensor, problem))
    }

    /// What `llama-quantize` writes of it into a file's metadata; of files their names alone.
    pub(super) fn metadata(&self) -> Vec<(String, Value)> {
        let name = |path: &str| path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
        let mut pairs = vec![("quantize.imatrix.file".to_owned(), Value::Text(name(&self.path.to_string_lossy())))];
        if let Some(dataset) = &self.dataset {
            pairs.push(("quantize.imatrix.dataset".to_owned(), Value::Text(name(dataset))));
        }
        pairs.push(("quantize.imatrix.entries_count".to_owned(), Value::U32(self.entries.len() as u32)));
        pairs.push(("quantize.imatrix.chunks_count".to_owned(), Value::U32(self.chunks)));
        pairs
    }
}

fn values_fault(path: &Path, tensor: &str, problem: String) -> WeightsError {
    WeightsError::Values { path: path.to_owned(), tensor: tensor.to_owned(), problem }
}

/// The GGUF form: of each tensor a matrix of sums of squares, a row an expert, and how many tokens each row has seen.
fn from_gguf(path: &Path, file: &[u8]) -> Result<Imatrix, WeightsError> {
    let header = gguf::parse(path, file)?;
    for key in ["imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"] {
        if header.get(key).is_none() {
            return Err(WeightsError::key(path, key, "is missing: it is no importance matrix"));
        }
    }
    let counted: BTreeMap<&str, &TensorInfo> =
        header.tensors.iter().filter_map(|info| Some((info.name.strip_suffix(COUNTS)?, info))).collect();
    let mut entries = BTreeMap::new();
    for (tensor, sums) in header.tensors.iter().filter_map(|info| Some((info.name.strip_suffix(SUMS)?, info))) {
        let missing = || WeightsError::MissingTensor { path: path.to_owned(), tensor: format!("{tensor}{COUNTS}") };
        let counts = counted.get(tensor).ok_or_else(missing)?;
        entries.insert(tensor.to_owned(), means(path, tensor, &floats(path, file, sums)?, &floats(path, file, counts)?)?);
    }
    let chunks = header.get("imatrix.chunk_count").and_then(Value::integer).and_then(|count| u32::try_from(count).ok());
    let Some(chunks) = chunks else {
        return Err(WeightsError::key(path, "imatrix.chunk_count", "is no number of chunks"));
    };
    Ok(Imatrix { path: path.to_owned(), entries, dataset: dataset(&header), chunks, digest: String::new() })
}

/// The first of the texts that were read.
fn dataset(header: &Header) -> Option<String> {
    match header.get("imatrix.datasets") {
        Some(Value::Array(names)) => names.texts()?.first().map(|&name| name.to_owned()),
        _ => None,
    }
}

fn floats(path: &Path, file: &[u8], info: &TensorInfo) -> Result<Vec<f32>, WeightsError> {
    if info.kind != TensorType::F32 {
        let (path, tensor, kind) = (path.to_owned(), info.name.clone(), info.kind.to_string());
        return Err(WeightsError::TensorType { path, tensor, kind });
    }
    Ok(decode(&file[info.bytes.clone()]))
}

fn decode(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|raw| f32::from_le_bytes(*raw)).collect()
}

/// Sums by what they count; experts that saw nothing are all ones.
fn means(path: &Path, tensor: &str, sums: &[f32], counts: &[f32]) -> Result<Vec<f32>, WeightsError> {
    if counts.is_empty() || sums.is_empty() || !sums.len().is_multiple_of(counts.len()) {
        let problem = format!("has {} sums for {} counts", sums.len(), counts.len());
        return Err(values_fault(path, tensor, problem));
    }
    let mean = |(sums, count): (&[f32], &f32)| {
        let count = count.round();
        sums.iter().map(|sum| if count > 0.0 { sum / count } else { 1.0 }).collect::<Vec<f32>>()
    };
    Ok(sums.chunks(sums.len() / counts.len()).zip(counts).flat_map(mean).collect())
}

/// The older form: the number of entries; of each its name, calls and values; then, not in every file, the number of chunks
/// and the name of the text.
fn from_legacy(path: &Path, file: &[u8]) -> Result<Imatrix, WeightsError> {
    let mut cursor = Cursor { path, rest: file };
    let mut entries = BTreeMap::new();
    for _ in 0..cursor.count("the number of entries")? {
        let length = cursor.count("the length of a name")?;
        let name = String::from_utf8_lossy(cursor.bytes(length, "a name")?).into_owned();
        let calls = cursor.integer(&name)?;
        let length = cursor.count(&name)?;
        let mut values = decode(cursor.bytes(length.saturating_mul(4), &name)?);
        if calls > 0 {
            for value in &mut values {
                *value /= calls as f32;
            }
        }
        entries.insert(name, values);
    }
    let (mut chunks, mut dataset) = (0, None);
    if !cursor.rest.is_empty() {
        chunks = cursor.integer("the number of chunks")?.unsigned_abs();
        let length = if cursor.rest.is_empty() { 0 } else { cursor.integer("the length of the dataset's name")? };
        if let Some(length) = usize::try_from(length).ok().filter(|length| *length > 0) {
            dataset = Some(String::from_utf8_lossy(cursor.bytes(length, "the dataset's name")?).into_owned());
        }
    }
    Ok(Imatrix { path: path.to_owned(), entries, dataset, chunks, digest: String::new() })
}

/// What is left of a file in the older form.
struct Cursor<'a> {
    path: &'a Path,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn bytes(&mut self, length: usize, part: &str) -> Result<&'a [u8], WeightsError> {
        let Some((bytes, rest)) = self.rest.split_at_checked(length) else {
            let problem = format!("as an importance matrix it ends within {part}");
            return Err(WeightsError::malformed(self.path, problem));
        };
        self.rest = rest;
        Ok(bytes)
    }

    fn integer(&mut self, part: &str) -> Result<i32, WeightsError> {
        let bytes = self.bytes(4, part)?.try_into().expect("four bytes were asked for");
        Ok(i32::from_le_bytes(bytes))
    }

    /// A number above zero.
    fn count(&mut self, part: &str) -> Result<usize, WeightsError> {
        let number = self.integer(part)?;
        let problem = || format!("as an importance matrix it has {number} for {part}");
        usize::try_from(number).ok().filter(|count| *count > 0).ok_or_else(|| WeightsError::malformed(self.path, problem()))
    }
}
