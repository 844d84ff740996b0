//! Writes GGUF files one tensor at a time, beside the goal and then in its place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::value::{Array, Kind, Value};
use super::{ALIGNMENT, MAGIC, TensorType};
use crate::weights::WeightsError;

/// The version that is written.
const VERSION: u32 = 3;

/// A tensor that will be written.
#[derive(Clone, Debug)]
pub(in crate::weights) struct TensorPlan {
    /// Its name.
    pub(in crate::weights) name: String,
    /// Its shape, rows first.
    pub(in crate::weights) shape: Vec<usize>,
    /// How it will be stored; rows are whole blocks of it.
    pub(in crate::weights) kind: TensorType,
}

impl TensorPlan {
    /// Its bytes, without padding.
    pub(in crate::weights) fn size(&self) -> u64 {
        let (columns, rows) = self.shape.split_last().expect("a tensor has at least one dimension");
        let rows = rows.iter().map(|&rows| rows as u64).product();
        self.kind.size(*columns as u64, rows).expect("the plan chose a type whose blocks fit the rows")
    }
}

/// A file being written. Dropped before [`Writer::finish`], it leaves nothing behind.
pub(in crate::weights) struct Writer {
    goal: PathBuf,
    partial: PathBuf,
    file: Option<BufWriter<File>>,
    /// Bytes of each tensor still to come, last first.
    expected: Vec<u64>,
}

impl Writer {
    /// Begins a file: the whole header is written, and the tensors must follow in the plan's order.
    pub(in crate::weights) fn create(
        goal: &Path,
        metadata: &[(String, Value)],
        tensors: &[TensorPlan],
    ) -> Result<Self, WeightsError> {
        let partial = partial_name(goal);
        let open = OpenOptions::new().write(true).create_new(true).open(&partial);
        let file = open.map_err(|source| WeightsError::Write { path: goal.to_owned(), source })?;
        let expected = tensors.iter().rev().map(TensorPlan::size).collect();
        let mut writer = Self { goal: goal.to_owned(), partial, file: Some(BufWriter::new(file)), expected };
        writer.write(&header(metadata, tensors))?;
        Ok(writer)
    }

    /// Writes the next tensor's bytes and the padding after them.
    pub(in crate::weights) fn tensor(&mut self, bytes: &[u8]) -> Result<(), WeightsError> {
        assert_eq!(self.expected.pop(), Some(bytes.len() as u64), "tensors come in the plan's order and sizes");
        self.write(bytes)?;
        self.write(&vec![0; padding(bytes.len() as u64)])
    }

    /// Puts the file on the disk for good and in the goal's place.
    pub(in crate::weights) fn finish(mut self) -> Result<(), WeightsError> {
        assert!(self.expected.is_empty(), "every planned tensor was written");
        let file = self.file.take().expect("a writer has its file until it is finished");
        let place = || {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            fs::rename(&self.partial, &self.goal)?;
            File::open(folder_of(&self.goal))?.sync_all()
        };
        let placed = place();
        if placed.is_err() {
            self.discard();
        }
        placed.map_err(|source| WeightsError::Write { path: self.goal.clone(), source })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WeightsError> {
        let file = self.file.as_mut().expect("a writer has its file until it is finished");
        file.write_all(bytes).map_err(|source| WeightsError::Write { path: self.goal.clone(), source })
    }

    fn discard(&self) {
        // Nothing more can be done about a file that cannot be removed; the first error is the one to report.
        let _ = fs::remove_file(&self.partial);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            self.discard();
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name beside the goal that nobody else uses: in containers, every process may have the same number.
fn partial_name(goal: &Path) -> PathBuf {
    let name = goal.file_name().unwrap_or_default().to_string_lossy();
    let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    goal.with_file_name(format!(".{name}.{}-{moment:x}.partial", std::process::id()))
}

fn padding(length: u64) -> usize {
    (length.next_multiple_of(ALIGNMENT) - length) as usize
}

fn header(metadata: &[(String, Value)], tensors: &[TensorPlan]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        put_text(&mut bytes, key);
        bytes.extend(value.kind().number().to_le_bytes());
        put_value(&mut bytes, value);
    }
    let mut offset = 0;
    for tensor in tensors {
        put_text(&mut bytes, &tensor.name);
        bytes.extend((tensor.shape.len() as u32).to_le_bytes());
        for size in tensor.shape.iter().rev() {
            bytes.extend((*size as u64).to_le_bytes());
        }
        bytes.extend(tensor.kind.0.to_le_bytes());
        bytes.extend(u64::to_le_bytes(offset));
        offset += tensor.size().next_multiple_of(ALIGNMENT);
    }
    bytes.resize(bytes.len() + padding(bytes.len() as u64), 0);
    bytes
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn put_value(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(value) => bytes.push(*value),
        Value::I8(value) => bytes.extend(value.to_le_bytes()),
        Value::U16(value) => bytes.extend(value.to_le_bytes()),
        Value::I16(value) => bytes.extend(value.to_le_bytes()),
        Value::U32(value) => bytes.extend(value.to_le_bytes()),
        Value::I32(value) => bytes.extend(value.to_le_bytes()),
        Value::F32(value) => bytes.extend(value.to_le_bytes()),
        Value::Bool(value) => bytes.push(u8::from(*value)),
        Value::Text(text) => put_text(bytes, text),
        Value::Array(array) => {
            bytes.extend(array.element.number().to_le_bytes());
            bytes.extend(array.count.to_le_bytes());
            bytes.extend(&array.bytes);
        }
        Value::U64(value) => bytes.extend(value.to_le_bytes()),
        Value::I64(value) => bytes.extend(value.to_le_bytes()),
        Value::F64(value) => bytes.extend(value.to_le_bytes()),
    }
}

impl Array {
    /// An array of texts.
    pub(in crate::weights) fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut array = Self { element: Kind::Text, count: 0, bytes: Vec::new() };
        for text in texts {
            put_text(&mut array.bytes, text);
            array.count += 1;
        }
        array
    }

    /// An array of 32-bit whole numbers.
    pub(in crate::weights) fn of_integers(integers: &[i32]) -> Self {
        let bytes = integers.iter().flat_map(|integer| integer.to_le_bytes()).collect();
        Self { element: Kind::I32, count: integers.len() as u64, bytes }
    }

    /// An array of 32-bit real numbers.
    pub(in crate::weights) fn of_reals(reals: &[f32]) -> Self {
        let bytes = reals.iter().flat_map(|real| real.to_le_bytes()).collect();
        Self { element: Kind::F32, count: reals.len() as u64, bytes }
    }
}
