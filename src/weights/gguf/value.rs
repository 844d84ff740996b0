//! Metadata values, and how they are laid out in bytes.

/// What a metadata value or an array's element is, by GGUF's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::weights) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

/// The kinds in the order of their numbers.
const KINDS: [Kind; 13] = [
    Kind::U8,
    Kind::I8,
    Kind::U16,
    Kind::I16,
    Kind::U32,
    Kind::I32,
    Kind::F32,
    Kind::Bool,
    Kind::Text,
    Kind::Array,
    Kind::U64,
    Kind::I64,
    Kind::F64,
];

impl Kind {
    /// The kind with this number.
    pub(super) fn of(number: u32) -> Option<Self> {
        KINDS.get(number as usize).copied()
    }

    /// Its number.
    pub(super) fn number(self) -> u32 {
        self as u32
    }

    /// Bytes of one value; none for text and arrays.
    pub(super) fn width(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text | Self::Array => None,
        }
    }
}

/// An array, kept as the bytes of its elements: a copy of the file's own, decoded when asked.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::weights) struct Array {
    /// Kind of each element.
    pub(super) element: Kind,
    /// Number of elements.
    pub(super) count: u64,
    /// The elements, back to back, checked to be whole.
    pub(super) bytes: Vec<u8>,
}

impl Array {
    /// Number of elements.
    pub(in crate::weights) fn len(&self) -> usize {
        usize::try_from(self.count).expect("an array's elements were read from memory, so their number fits")
    }

    /// Its texts; none where it holds something else or text that is not UTF-8.
    pub(in crate::weights) fn texts(&self) -> Option<Vec<&str>> {
        if self.element != Kind::Text {
            return None;
        }
        let mut texts = Vec::with_capacity(self.len());
        let mut rest = self.bytes.as_slice();
        for _ in 0..self.count {
            let (length, tail) = rest.split_first_chunk::<8>()?;
            let (text, tail) = tail.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
            texts.push(std::str::from_utf8(text).ok()?);
            rest = tail;
        }
        Some(texts)
    }

    /// Its whole numbers; none where it holds something else.
    pub(in crate::weights) fn integers(&self) -> Option<Vec<i64>> {
        let width = self.element.width()?;
        self.bytes.chunks_exact(width).map(|raw| Value::number(self.element, raw)?.integer()).collect()
    }

    /// Its numbers as reals, whole ones too; none where it holds something else.
    pub(in crate::weights) fn reals(&self) -> Option<Vec<f64>> {
        let width = self.element.width()?;
        let real = |value: Value| value.real().or_else(|| value.integer().map(|integer| integer as f64));
        self.bytes.chunks_exact(width).map(|raw| real(Value::number(self.element, raw)?)).collect()
    }
}

/// A metadata value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::weights) enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Text(String),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

impl Value {
    /// Decodes a number or a truth value from exactly its bytes.
    pub(super) fn number(kind: Kind, raw: &[u8]) -> Option<Self> {
        Some(match kind {
            Kind::U8 => Self::U8(u8::from_le_bytes(raw.try_into().ok()?)),
            Kind::I8 => Self::I8(i8::from_le_bytes(raw.try_into().ok()?)),
            Kind::U16 => Self::U16(u16::from_le_bytes(raw.try_into().ok()?)),
            Kind::I16 => Self::I16(i16::from_le_bytes(raw.try_into().ok()?)),
            Kind::U32 => Self::U32(u32::from_le_bytes(raw.try_into().ok()?)),
            Kind::I32 => Self::I32(i32::from_le_bytes(raw.try_into().ok()?)),
            Kind::F32 => Self::F32(f32::from_le_bytes(raw.try_into().ok()?)),
            Kind::Bool => Self::Bool(u8::from_le_bytes(raw.try_into().ok()?) != 0),
            Kind::U64 => Self::U64(u64::from_le_bytes(raw.try_into().ok()?)),
            Kind::I64 => Self::I64(i64::from_le_bytes(raw.try_into().ok()?)),
            Kind::F64 => Self::F64(f64::from_le_bytes(raw.try_into().ok()?)),
            Kind::Text | Kind::Array => return None,
        })
    }

    /// What kind of value it is.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::U8(_) => Kind::U8,
            Self::I8(_) => Kind::I8,
            Self::U16(_) => Kind::U16,
            Self::I16(_) => Kind::I16,
            Self::U32(_) => Kind::U32,
            Self::I32(_) => Kind::I32,
            Self::F32(_) => Kind::F32,
            Self::Bool(_) => Kind::Bool,
            Self::Text(_) => Kind::Text,
            Self::Array(_) => Kind::Array,
            Self::U64(_) => Kind::U64,
            Self::I64(_) => Kind::I64,
            Self::F64(_) => Kind::F64,
        }
    }

    /// The value as a whole number, where it is one.
    pub(in crate::weights) fn integer(&self) -> Option<i64> {
        match self {
            Self::U8(value) => Some(i64::from(*value)),
            Self::I8(value) => Some(i64::from(*value)),
            Self::U16(value) => Some(i64::from(*value)),
            Self::I16(value) => Some(i64::from(*value)),
            Self::U32(value) => Some(i64::from(*value)),
            Self::I32(value) => Some(i64::from(*value)),
            Self::U64(value) => i64::try_from(*value).ok(),
            Self::I64(value) => Some(*value),
            _ => None,
        }
    }

    /// The value as a real number, where it is stored as one.
    pub(in crate::weights) fn real(&self) -> Option<f64> {
        match self {
            Self::F32(value) => Some(f64::from(*value)),
            Self::F64(value) => Some(*value),
            _ => None,
        }
    }

    /// The value as text, where it is text.
    pub(in crate::weights) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}
