//! Matrices as they lie in a file, and their rows in f32.

use std::ops::Range;

use candle_core::Device;
use candle_core::quantized::{QStorage, QTensor};
use half::slice::HalfFloatSliceExt as _;
use half::{bf16, f16};

use super::TensorType;

/// A stored matrix; nothing of it is copied.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// How its weights are stored.
    pub kind: TensorType,
    /// Number of rows: the outputs of a product.
    pub rows: usize,
    /// Weights of a row: the inputs of a product; whole blocks of `kind`.
    pub columns: usize,
    /// Row after row.
    pub bytes: &'a [u8],
}

impl Matrix<'_> {
    /// The bytes of some rows.
    ///
    /// # Panics
    /// Where there are no such rows.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let row = self.bytes.len() / self.rows;
        Matrix { rows: rows.len(), bytes: &self.bytes[rows.start * row..rows.end * row], ..*self }
    }

    /// Every weight in f32, de-quantized, row after row, into `out` (`rows · columns` long).
    pub fn read(&self, out: &mut [f32]) -> candle_core::Result<()> {
        match self.kind {
            TensorType::F32 => decode(self.bytes, f32::from_le_bytes, out),
            TensorType::F16 => halves(self.bytes, out),
            TensorType::BF16 => decode(self.bytes, |raw| bf16::from_le_bytes(raw).to_f32(), out),
            kind => {
                let Some(dtype) = kind.dtype() else { candle_core::bail!("{kind} cannot be read") };
                let storage = QStorage::from_data(self.bytes.into(), &Device::Cpu, dtype)?;
                let tensor = QTensor::new(storage, (self.rows, self.columns))?.dequantize(&Device::Cpu)?;
                out.copy_from_slice(&tensor.flatten_all()?.to_vec1::<f32>()?);
            }
        }
        Ok(())
    }
}

/// Half-precision values, turned many at a time: processors have an instruction for that.
fn halves(bytes: &[u8], out: &mut [f32]) {
    const STRETCH: usize = 512;
    let mut buffer = [f16::ZERO; STRETCH];
    for (out, bytes) in out.chunks_mut(STRETCH).zip(bytes.chunks(2 * STRETCH)) {
        let buffer = &mut buffer[..out.len()];
        for (value, raw) in buffer.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *value = f16::from_le_bytes(*raw);
        }
        buffer.convert_to_f32_slice(out);
    }
}

/// Little-endian values; the mapped bytes need not be aligned for them.
fn decode<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32, out: &mut [f32]) {
    for (out, raw) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *out = value(*raw);
    }
}
