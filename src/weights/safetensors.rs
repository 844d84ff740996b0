//! Reads safetensors headers without trusting them: nothing is kept that the header's own length doesn't pay for.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::WeightsError;
use super::gguf::TensorType;
use super::mapped::Mapped;

/// The longest header that the format's own library reads.
const LONGEST: u64 = 100 << 20;

/// The most dimensions that a tensor of a model has.
const DIMENSIONS: usize = 4;

/// One tensor as the header describes it.
pub(super) struct Info<'a> {
    /// Its name, unique in the file.
    pub(super) name: Cow<'a, str>,
    /// How it is stored; the file's own word where that is nothing a model's weights are stored as.
    pub(super) kind: Result<TensorType, &'a str>,
    /// Its shape, rows first.
    pub(super) shape: Vec<usize>,
    /// Its bytes in the file.
    pub(super) bytes: Range<usize>,
}

/// The tensors of a file, in the order of their bytes: each whole, none on another, nothing between them.
pub(super) fn read(file: &Mapped) -> Result<Vec<Info<'_>>, WeightsError> {
    let malformed = |problem: String| WeightsError::malformed(file.path(), format!("its safetensors header is wrong: {problem}"));
    let truncated = |part: String, missing| WeightsError::Truncated { path: file.path().to_owned(), part, missing };
    let have = file.len() as u64;
    let length = file.first_chunk::<8>().map(|raw| u64::from_le_bytes(*raw));
    let length = length.ok_or_else(|| malformed("it is shorter than its own length".to_owned()))?;
    if length > LONGEST || file.get(8) != Some(&b'{') {
        return Err(malformed(format!("it would take {length} bytes and begin with a brace")));
    }
    let start = length + 8;
    if start > have {
        return Err(truncated("its header".to_owned(), start - have));
    }
    let List(mut raw) = serde_json::from_slice(&file[8..start as usize]).map_err(|error| malformed(error.to_string()))?;
    raw.sort_by_key(|tensor| tensor.offsets);
    let mut at = 0;
    for tensor in &raw {
        let (first, last) = tensor.offsets;
        if first != at || last < first {
            return Err(malformed(format!("tensor `{}` takes bytes {first} to {last}, where {at} should be first", tensor.name)));
        }
        if tensor.kind().is_ok_and(|kind| tensor.size(kind) != Some(last - first)) {
            return Err(malformed(format!("tensor `{}` of shape {:?} takes {} bytes", tensor.name, tensor.shape, last - first)));
        }
        at = last;
    }
    let left = have - start;
    if let Some(cut) = raw.iter().find(|tensor| tensor.offsets.1 > left) {
        return Err(truncated(format!("tensor `{}`", cut.name), at - left));
    }
    if at < left {
        return Err(malformed(format!("{} bytes behind its tensors are no tensor's", left - at)));
    }
    Ok(raw.into_iter().map(|tensor| tensor.placed(start)).collect())
}

/// One tensor, not yet checked against the file.
struct Raw<'a> {
    name: Cow<'a, str>,
    dtype: &'a str,
    shape: Vec<usize>,
    offsets: (u64, u64),
}

impl<'a> Raw<'a> {
    fn kind(&self) -> Result<TensorType, &'a str> {
        match self.dtype {
            "F32" => Ok(TensorType::F32),
            "F16" => Ok(TensorType::F16),
            "BF16" => Ok(TensorType::BF16),
            other => Err(other),
        }
    }

    /// With its place in the file, given where the header ends.
    fn placed(self, start: u64) -> Info<'a> {
        let (first, last) = self.offsets;
        let bytes = (start + first) as usize..(start + last) as usize;
        Info { kind: self.kind(), bytes, name: self.name, shape: self.shape }
    }

    fn size(&self, kind: TensorType) -> Option<u64> {
        self.shape.iter().try_fold(kind.size(1, 1)?, |size, &dimension| size.checked_mul(dimension as u64))
    }
}

/// What stands under a tensor's name.
#[derive(Deserialize)]
struct Fields<'a> {
    dtype: &'a str,
    shape: Shape,
    data_offsets: (u64, u64),
}

/// A shape of few dimensions.
struct Shape(Vec<usize>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a shape of at most {DIMENSIONS} dimensions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        let mut shape = Vec::with_capacity(DIMENSIONS);
        while let Some(dimension) = list.next_element()? {
            if shape.len() == DIMENSIONS {
                return Err(A::Error::invalid_length(DIMENSIONS + 1, &self));
            }
            shape.push(dimension);
        }
        Ok(Shape(shape))
    }
}

/// The whole header.
struct List<'a>(Vec<Raw<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for List<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names of tensors with their type, shape and place")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let Fields { dtype, shape: Shape(shape), data_offsets } = map.next_value()?;
            list.push(Raw { name, dtype, shape, offsets: data_offsets });
        }
        Ok(List(list))
    }
}

/// A key, borrowed from the header where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
