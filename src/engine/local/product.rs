//! Products with weights: `[rows, inputs] × [inputs, outputs]` on candle, one result per row whatever the rows.

use std::sync::Arc;

use candle_core::{Device, Storage, Tensor};
use rayon::prelude::*;

use crate::weights::Checkpoint;

/// Fewest rows that a thread of its own is worth.
const SHARE: usize = 16;

/// A product that could not be computed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComputeError {
    /// candle refused it.
    #[error("the tensor library failed: {0}")]
    Candle(#[from] candle_core::Error),
    /// The weights could not be read.
    #[error("the weights could not be read: {0}")]
    Weights(String),
}

/// A matrix of weights, or several side by side.
pub(super) enum Product {
    /// Kept in f32 as `[inputs, outputs]`, contiguous.
    Kept(Tensor),
    /// Read and de-quantized for every pass; the outputs of the named tensors lie side by side.
    Stored(Arc<Checkpoint>, Vec<String>),
}

impl Product {
    /// Takes the named tensors, each `[outputs, inputs]`; keeps them in f32 where `keep` says so.
    pub(super) fn new(checkpoint: &Arc<Checkpoint>, names: Vec<String>, keep: bool) -> Result<Self, ComputeError> {
        if !keep {
            return Ok(Self::Stored(Arc::clone(checkpoint), names));
        }
        Ok(Self::Kept(read(checkpoint, &names)?.t()?.contiguous()?))
    }

    /// The product of `[rows, inputs]`, row-major, of any number of rows.
    pub(super) fn apply(&self, x: &[f32], inputs: usize) -> Result<Vec<f32>, ComputeError> {
        let weights = match self {
            Self::Kept(weights) => weights.clone(),
            Self::Stored(checkpoint, names) => read(checkpoint, names)?.t()?,
        };
        let outputs = weights.dim(1)?;
        let mut out = vec![0.0; x.len() / inputs * outputs];
        // Rows are dealt out to this pool's threads; the library on its own would count the machine's cores.
        let share = (x.len() / inputs).div_ceil(rayon::current_num_threads()).max(SHARE);
        let parts = out.par_chunks_mut(share * outputs).zip(x.par_chunks(share * inputs));
        parts.map(|(out, x)| part(x, &weights, out)).collect::<Result<(), _>>()?;
        Ok(out)
    }
}

/// Some rows of a product.
///
/// The library sums in another order for a single row, and in another block size for a few narrow rows: rows of zeros
/// lift the call over both, so that a row's result never depends on its company.
fn part(x: &[f32], weights: &Tensor, out: &mut [f32]) -> Result<(), ComputeError> {
    let (inputs, outputs) = weights.dims2()?;
    let least = if outputs <= 64 && inputs > 512 { 65 } else { 2 };
    let rows = (x.len() / inputs).max(least);
    let mut padded = Vec::with_capacity(rows * inputs);
    padded.extend_from_slice(x);
    padded.resize(rows * inputs, 0.0);
    let product = Tensor::from_vec(padded, (rows, inputs), &Device::Cpu)?.matmul(weights)?;
    let (storage, _) = product.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => out.copy_from_slice(&storage.as_slice()?[..out.len()]),
        _ => return Err(ComputeError::Candle(candle_core::Error::Msg("the result is not in main memory".into()))),
    }
    Ok(())
}

/// The named tensors, one below the other, `[outputs, inputs]`.
fn read(checkpoint: &Checkpoint, names: &[String]) -> Result<Tensor, ComputeError> {
    let one = |name: &String| checkpoint.tensor(name).map_err(|error| ComputeError::Weights(error.to_string()));
    let tensors = names.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    Ok(Tensor::cat(&tensors, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_a_product_is_the_same_to_the_last_bit_among_any_number_of_rows() {
        for (inputs, outputs) in [(256, 512), (768, 256), (768, 40), (1_100, 1_000), (64, 20)] {
            let number = |i: usize| ((i * 7_919 % 1_009) as f32 - 504.0) / 300.0;
            let weights: Vec<f32> = (0..inputs * outputs).map(number).collect();
            let weights = Tensor::from_vec(weights, (inputs, outputs), &Device::Cpu).expect("a matrix");
            let product = Product::Kept(weights);
            let x: Vec<f32> = (0..700 * inputs).map(|i| number(i * 31 + 5)).collect();
            let run = |rows: std::ops::Range<usize>| {
                product.apply(&x[rows.start * inputs..rows.end * inputs], inputs).expect("the shapes agree")
            };
            let all = run(0..700);
            for (first, count) in [(0, 1), (699, 1), (5, 2), (9, 3), (3, 7), (40, 17), (100, 63), (101, 65), (8, 129), (200, 500)]
            {
                let some = run(first..first + count);
                assert_eq!(some, all[first * outputs..][..some.len()], "{count} rows of {inputs} × {outputs}");
            }
        }
    }
}
