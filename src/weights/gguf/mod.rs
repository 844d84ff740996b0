//! The GGUF container, versions 2 and 3, little endian.

mod kind;
mod reader;
#[cfg(test)]
mod tests;
mod value;
mod writer;

pub use kind::TensorType;
pub(super) use reader::{Header, TensorInfo, parse};
pub(super) use value::{Array, Value};
pub(super) use writer::{TensorPlan, Writer};

/// The four bytes that every GGUF file begins with.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";

/// Tensors begin at multiples of this many bytes where the file doesn't say otherwise.
pub(super) const ALIGNMENT: u64 = 32;
