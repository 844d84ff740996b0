//! Reads GGUF headers without trusting them: every length is checked against the bytes that are left before it is used.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use super::value::{Array, Kind, Value};
use super::{ALIGNMENT, MAGIC, TensorType};
use crate::weights::WeightsError;

/// Arrays of arrays deeper than this are refused.
const DEPTH: usize = 4;

/// The most dimensions that ggml knows.
const DIMENSIONS: u32 = 4;

/// The most weights that a tensor may claim, whatever its type.
const LARGEST: u64 = 1 << 40;

/// One tensor as the header describes it.
#[derive(Clone, Debug)]
pub(in crate::weights) struct TensorInfo {
    /// Its name, unique in the file.
    pub(in crate::weights) name: String,
    /// Its shape, rows first and columns last, as candle counts (GGUF stores the reverse).
    pub(in crate::weights) shape: Vec<usize>,
    /// How it is stored.
    pub(in crate::weights) kind: TensorType,
    /// Its bytes in the file; for an unknown type, up to the next tensor.
    pub(in crate::weights) bytes: Range<usize>,
}

/// A checked header: metadata in the file's order, tensors in the file's order.
#[derive(Clone, Debug)]
pub(in crate::weights) struct Header {
    /// Keys and values; no key twice.
    pub(in crate::weights) metadata: Vec<(String, Value)>,
    /// The tensors; all lie within the file, none on another.
    pub(in crate::weights) tensors: Vec<TensorInfo>,
}

impl Header {
    /// The value of a key.
    pub(in crate::weights) fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

/// Parses the header of a GGUF file, given the whole file; `path` is for messages only.
pub(in crate::weights) fn parse(path: &Path, file: &[u8]) -> Result<Header, WeightsError> {
    let mut cursor = Cursor { path, file, at: 0 };
    check_version(&mut cursor)?;
    let tensors = cursor.u64("the number of tensors")?;
    let keys = cursor.u64("the number of metadata keys")?;
    let metadata = read_metadata(&mut cursor, keys)?;
    let alignment = alignment(path, &metadata)?;
    let raw = read_tensors(&mut cursor, tensors)?;
    let start = (cursor.at as u64).next_multiple_of(alignment);
    let tensors = place(&Place { path, length: file.len() as u64, start, alignment }, raw)?;
    Ok(Header { metadata, tensors })
}

fn check_version(cursor: &mut Cursor<'_>) -> Result<(), WeightsError> {
    if cursor.take(4, "the first four bytes")? != MAGIC {
        return Err(WeightsError::malformed(cursor.path, "a GGUF file begins with the letters GGUF"));
    }
    let version = cursor.u32("the version")?;
    match version {
        2 | 3 => Ok(()),
        1 => Err(WeightsError::unsupported(cursor.path, "GGUF version 1", "convert the model again with a current converter")),
        _ if matches!(version.swap_bytes(), 1..=3) => {
            Err(WeightsError::unsupported(cursor.path, "big-endian GGUF", "convert the model to little endian"))
        }
        _ => Err(WeightsError::unsupported(cursor.path, format!("GGUF version {version}"), "versions 2 and 3 are read")),
    }
}

fn read_metadata(cursor: &mut Cursor<'_>, count: u64) -> Result<Vec<(String, Value)>, WeightsError> {
    // The shortest key takes 13 bytes: a length, a kind and one byte of value.
    cursor.room_for(count, 13, "the metadata")?;
    let mut seen = BTreeSet::new();
    let mut metadata = Vec::new();
    for index in 0..count {
        let key = cursor.text(&format!("metadata key {index}"))?.to_owned();
        let what = format!("the value of `{key}`");
        let kind = cursor.kind(&what)?;
        let value = cursor.value(kind, &what)?;
        if !seen.insert(key.clone()) {
            return Err(WeightsError::malformed(cursor.path, format!("metadata key `{key}` occurs twice")));
        }
        metadata.push((key, value));
    }
    Ok(metadata)
}

fn alignment(path: &Path, metadata: &[(String, Value)]) -> Result<u64, WeightsError> {
    let key = "general.alignment";
    let Some((_, value)) = metadata.iter().find(|(name, _)| name == key) else { return Ok(ALIGNMENT) };
    let bytes = value.integer().and_then(|bytes| u64::try_from(bytes).ok());
    bytes
        .filter(|bytes| bytes.is_power_of_two() && (8..=1 << 20).contains(bytes))
        .ok_or_else(|| WeightsError::key(path, key, "must be a power of two, at least 8"))
}

/// A tensor whose place in the file is not yet checked.
struct RawTensor {
    name: String,
    shape: Vec<usize>,
    kind: TensorType,
    offset: u64,
}

fn read_tensors(cursor: &mut Cursor<'_>, count: u64) -> Result<Vec<RawTensor>, WeightsError> {
    // The shortest tensor takes 32 bytes: name length, dimension count, one dimension, type, offset.
    cursor.room_for(count, 32, "the list of tensors")?;
    let mut seen = BTreeSet::new();
    let mut tensors = Vec::new();
    for index in 0..count {
        let name = cursor.text(&format!("the name of tensor {index}"))?.to_owned();
        let what = format!("the description of tensor `{name}`");
        let dimensions = cursor.u32(&what)?;
        if !(1..=DIMENSIONS).contains(&dimensions) {
            let problem = format!("tensor `{name}` has {dimensions} dimensions, where 1 to {DIMENSIONS} are possible");
            return Err(WeightsError::malformed(cursor.path, problem));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(cursor.dimension(&name)?);
        }
        shape.reverse();
        let kind = TensorType(cursor.u32(&what)?);
        let offset = cursor.u64(&what)?;
        if !seen.insert(name.clone()) {
            return Err(WeightsError::malformed(cursor.path, format!("tensor `{name}` occurs twice")));
        }
        tensors.push(RawTensor { name, shape, kind, offset });
    }
    Ok(tensors)
}

/// Where a file's tensors may lie.
struct Place<'a> {
    path: &'a Path,
    length: u64,
    start: u64,
    alignment: u64,
}

/// Checks that the tensors are aligned, whole, within the file and beside each other.
fn place(place: &Place<'_>, raw: Vec<RawTensor>) -> Result<Vec<TensorInfo>, WeightsError> {
    let mut order: Vec<usize> = (0..raw.len()).collect();
    order.sort_by_key(|&index| raw[index].offset);
    let mut ends = vec![0_u64; raw.len()];
    let mut cut = None;
    for (rank, &index) in order.iter().enumerate() {
        let tensor = &raw[index];
        let next = order.get(rank + 1).map(|&other| raw[other].offset);
        let end = end_of(place, tensor, next)?;
        if next.is_some_and(|next| next < end) {
            let problem = format!("tensor `{}` lies on the tensor after it", tensor.name);
            return Err(WeightsError::malformed(place.path, problem));
        }
        ends[index] = place.start.checked_add(end).ok_or_else(|| too_far(place, tensor))?;
        if ends[index] > place.length {
            cut.get_or_insert(index);
        }
    }
    if let Some(index) = cut {
        let part = format!("tensor `{}`", raw[index].name);
        let missing = ends.iter().max().copied().unwrap_or_default() - place.length;
        return Err(WeightsError::Truncated { path: place.path.to_owned(), part, missing });
    }
    let whole = |(tensor, end): (RawTensor, u64)| TensorInfo {
        bytes: (place.start + tensor.offset) as usize..end as usize,
        name: tensor.name,
        shape: tensor.shape,
        kind: tensor.kind,
    };
    Ok(raw.into_iter().zip(ends).map(whole).collect())
}

/// Where a tensor ends, counted from the start of the data; one of unknown type reaches to the next, or to the file's end.
fn end_of(place: &Place<'_>, tensor: &RawTensor, next: Option<u64>) -> Result<u64, WeightsError> {
    if !tensor.offset.is_multiple_of(place.alignment) {
        let problem = format!("tensor `{}` begins at {}, no multiple of {}", tensor.name, tensor.offset, place.alignment);
        return Err(WeightsError::malformed(place.path, problem));
    }
    let weights = tensor.shape.iter().try_fold(1_u64, |product, &size| product.checked_mul(size as u64));
    if weights.is_none_or(|weights| weights > LARGEST) {
        return Err(too_far(place, tensor));
    }
    let Some((block, _)) = tensor.kind.block() else {
        return Ok(next.unwrap_or_else(|| place.length.saturating_sub(place.start).max(tensor.offset)));
    };
    let (columns, rows) = tensor.shape.split_last().expect("a tensor has at least one dimension");
    let columns = *columns as u64;
    if !columns.is_multiple_of(block) {
        let problem = format!("tensor `{}` has rows of {columns} weights, no whole {} blocks", tensor.name, tensor.kind);
        return Err(WeightsError::malformed(place.path, problem));
    }
    let rows = rows.iter().map(|&rows| rows as u64).product();
    let size = tensor.kind.size(columns, rows);
    size.and_then(|size| tensor.offset.checked_add(size)).ok_or_else(|| too_far(place, tensor))
}

fn too_far(place: &Place<'_>, tensor: &RawTensor) -> WeightsError {
    let problem = format!("tensor `{}` is larger than any file: shape {:?}", tensor.name, tensor.shape);
    WeightsError::malformed(place.path, problem)
}

/// A place in the file, and what is read from there on.
struct Cursor<'a> {
    path: &'a Path,
    file: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn left(&self) -> u64 {
        (self.file.len() - self.at) as u64
    }

    fn truncated(&self, needed: u64, what: &str) -> WeightsError {
        let missing = needed.saturating_sub(self.left());
        WeightsError::Truncated { path: self.path.to_owned(), part: what.to_owned(), missing }
    }

    /// Checks that `count` things of at least `each` bytes can still come.
    fn room_for(&self, count: u64, each: u64, what: &str) -> Result<(), WeightsError> {
        let needed = count.saturating_mul(each);
        if needed > self.left() { Err(self.truncated(needed, what)) } else { Ok(()) }
    }

    fn take(&mut self, count: u64, what: &str) -> Result<&'a [u8], WeightsError> {
        if count > self.left() {
            return Err(self.truncated(count, what));
        }
        let end = self.at + count as usize;
        let bytes = &self.file[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn u32(&mut self, what: &str) -> Result<u32, WeightsError> {
        let bytes = self.take(4, what)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes were taken")))
    }

    fn u64(&mut self, what: &str) -> Result<u64, WeightsError> {
        let bytes = self.take(8, what)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("eight bytes were taken")))
    }

    fn dimension(&mut self, tensor: &str) -> Result<usize, WeightsError> {
        let dimension = self.u64(&format!("the shape of tensor `{tensor}`"))?;
        usize::try_from(dimension)
            .ok()
            .filter(|&dimension| dimension > 0)
            .ok_or_else(|| WeightsError::malformed(self.path, format!("tensor `{tensor}` has a dimension of {dimension}")))
    }

    fn text(&mut self, what: &str) -> Result<&'a str, WeightsError> {
        let length = self.u64(what)?;
        let bytes = self.take(length, what)?;
        std::str::from_utf8(bytes).map_err(|_| WeightsError::malformed(self.path, format!("{what} is not UTF-8")))
    }

    fn kind(&mut self, what: &str) -> Result<Kind, WeightsError> {
        let number = self.u32(what)?;
        Kind::of(number)
            .ok_or_else(|| WeightsError::malformed(self.path, format!("{what} is of kind {number}, which GGUF doesn't know")))
    }

    fn value(&mut self, kind: Kind, what: &str) -> Result<Value, WeightsError> {
        match kind {
            Kind::Text => Ok(Value::Text(self.text(what)?.to_owned())),
            Kind::Array => {
                let element = self.kind(what)?;
                let count = self.u64(what)?;
                let from = self.at;
                self.skip(element, count, (what, 1))?;
                Ok(Value::Array(Array { element, count, bytes: self.file[from..self.at].to_vec() }))
            }
            number => {
                let width = number.width().expect("only text and arrays have no width");
                let raw = self.take(width as u64, what)?;
                Ok(Value::number(number, raw).expect("as many bytes were taken as the kind is wide"))
            }
        }
    }

    /// Passes over an array's elements, checking that they are whole.
    fn skip(&mut self, element: Kind, count: u64, (what, depth): (&str, usize)) -> Result<(), WeightsError> {
        if let Some(width) = element.width() {
            self.take(count.saturating_mul(width as u64), what)?;
            return Ok(());
        }
        if depth > DEPTH {
            return Err(WeightsError::malformed(self.path, format!("{what} holds arrays within arrays, {DEPTH} deep")));
        }
        self.room_for(count, 8, what)?;
        for _ in 0..count {
            if element == Kind::Text {
                let length = self.u64(what)?;
                self.take(length, what)?;
            } else {
                let inner = self.kind(what)?;
                let inner_count = self.u64(what)?;
                self.skip(inner, inner_count, (what, depth + 1))?;
            }
        }
        Ok(())
    }
}
