//! Products with weights: `[rows, inputs] × [outputs, inputs]ᵀ`, in the named arithmetic, one result per row whatever the rows.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::kernel::{Element, Inputs, Kind, Packed, Plain, Slab, TILE, Weights};
use crate::domain::Arithmetic;
use crate::weights::{Checkpoint, Matrix, TensorType};

/// Products of fewer multiplications than this are left to the calling thread.
const ALONE: usize = 1 << 20;

/// Tasks that a thread gets where there are many rows, so that a slower thread gets fewer.
const TASKS: usize = 4;

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

/// How weights are multiplied.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// The named arithmetic.
    pub(super) arithmetic: Arithmetic,
    /// Whether quantized weights are kept in f32 where the arithmetic computes with that; else they are de-quantized, some
    /// outputs at a time, in every pass.
    pub(super) keep: bool,
}

/// A matrix of weights, or several side by side.
pub(super) struct Product {
    checkpoint: Arc<Checkpoint>,
    how: How,
    parts: Vec<Part>,
    outputs: usize,
}

/// One of the matrices.
struct Part {
    name: String,
    /// Where its outputs begin.
    column: usize,
    outputs: usize,
    form: Form,
    /// What the form says, packed when it is first needed.
    packed: OnceLock<Weights>,
}

/// What becomes of a stored matrix.
#[derive(Clone, Copy)]
enum Form {
    /// Blocks stay blocks.
    Blocks(Kind),
    /// Numbers stay as they are.
    Numbers(Element),
    /// Blocks become f32, once.
    Kept,
    /// Blocks become f32 in every pass, some outputs at a time.
    Read,
}

impl Form {
    fn of(kind: TensorType, how: How) -> Option<Self> {
        let blocks = match kind {
            TensorType::F32 => return Some(Self::Numbers(Element::F32)),
            TensorType::F16 => return Some(Self::Numbers(Element::F16)),
            TensorType::BF16 => return Some(Self::Numbers(Element::BF16)),
            TensorType::Q8_0 => Kind::Q8_0,
            TensorType::Q4_0 => Kind::Q4_0,
            TensorType::Q4_1 => Kind::Q4_1,
            TensorType::Q5_0 => Kind::Q5_0,
            TensorType::Q5_1 => Kind::Q5_1,
            TensorType::Q2_K => Kind::Q2K,
            TensorType::Q3_K => Kind::Q3K,
            TensorType::Q4_K => Kind::Q4K,
            TensorType::Q5_K => Kind::Q5K,
            TensorType::Q6_K => Kind::Q6K,
            _ => return None,
        };
        Some(match how.arithmetic {
            Arithmetic::Ggml => Self::Blocks(blocks),
            Arithmetic::WeightsF32 if how.keep => Self::Kept,
            Arithmetic::WeightsF32 => Self::Read,
        })
    }
}

impl Product {
    /// Takes the named tensors, each `[outputs, inputs]`; their outputs lie side by side in the results. Nothing is read
    /// before the first product.
    pub(super) fn new(checkpoint: &Arc<Checkpoint>, names: Vec<String>, how: How) -> Result<Self, ComputeError> {
        let (mut outputs, mut parts) = (0, Vec::with_capacity(names.len()));
        for name in names {
            let matrix = matrix(checkpoint, &name)?;
            let unknown = || ComputeError::Weights(format!("tensor `{name}` is {}, which cannot be multiplied", matrix.kind));
            let form = Form::of(matrix.kind, how).ok_or_else(unknown)?;
            let (column, rows) = (outputs, matrix.rows);
            outputs += rows;
            parts.push(Part { name, column, outputs: rows, form, packed: OnceLock::new() });
        }
        Ok(Self { checkpoint: Arc::clone(checkpoint), how, parts, outputs })
    }

    /// The product of `[rows, inputs]`, row-major, of any number of rows.
    pub(super) fn apply(&self, x: &[f32], inputs: usize) -> Result<Vec<f32>, ComputeError> {
        let inputs = Inputs::new(x, inputs, self.how.arithmetic == Arithmetic::Ggml);
        for part in &self.parts {
            part.pack(&self.checkpoint)?;
            if let Some(weights) = part.packed.get() {
                inputs.prepare(weights);
            }
        }
        let mut out = vec![0.0; inputs.count() * self.outputs];
        let threads = rayon::current_num_threads();
        let tasks = match inputs.count() {
            0 => return Ok(out),
            _ if x.len() * self.outputs < ALONE || threads == 1 => 1,
            1..16 => threads,
            _ => threads * TASKS,
        };
        let tasks = self.divide(tasks);
        let mut bounds: Vec<usize> =
            tasks.iter().map(|task| task.first().map_or(0, |&(part, tile)| self.column(part, tile))).collect();
        bounds.push(self.outputs);
        let slabs = Slab::divide(&mut out, self.outputs, &bounds);
        let work = |(task, mut slab): (Vec<(usize, usize)>, Slab<'_>)| {
            let runs = task.chunk_by(|a, b| a.0 == b.0);
            runs.map(|run| (run[0].0, run[0].1..run[0].1 + run.len()))
                .try_for_each(|(part, tiles)| self.parts[part].multiply(&self.checkpoint, tiles, &inputs, &mut slab))
        };
        if tasks.len() == 1 {
            tasks.into_iter().zip(slabs).try_for_each(work)?;
        } else {
            tasks.into_par_iter().zip(slabs).with_max_len(1).try_for_each(work)?;
        }
        Ok(out)
    }

    /// Deals the tiles of all parts out, as evenly as they go: part and tile.
    fn divide(&self, tasks: usize) -> Vec<Vec<(usize, usize)>> {
        let tiles = |(index, part): (usize, &Part)| (0..part.outputs.div_ceil(TILE)).map(move |tile| (index, tile));
        let all: Vec<(usize, usize)> = self.parts.iter().enumerate().flat_map(tiles).collect();
        let tasks = tasks.clamp(1, all.len().max(1));
        (0..tasks).map(|task| all[task * all.len() / tasks..(task + 1) * all.len() / tasks].to_vec()).collect()
    }

    /// Where a part's tile begins.
    fn column(&self, part: usize, tile: usize) -> usize {
        self.parts[part].column + tile * TILE
    }
}

impl Part {
    /// Packs the matrix where it is kept and has not been packed.
    fn pack(&self, checkpoint: &Checkpoint) -> Result<(), ComputeError> {
        if self.packed.get().is_some() || matches!(self.form, Form::Read) {
            return Ok(());
        }
        let matrix = matrix(checkpoint, &self.name)?;
        let weights = match self.form {
            Form::Blocks(kind) => Weights::Blocks(Packed::new(kind, matrix.bytes, matrix.rows, matrix.columns)),
            Form::Numbers(element) => Weights::Plain(Plain::new(element, matrix.bytes, matrix.rows, matrix.columns)),
            Form::Kept | Form::Read => {
                let mut values = vec![0.0; matrix.rows * matrix.columns];
                matrix.read(&mut values)?;
                Weights::Plain(Plain::of(&values, matrix.columns))
            }
        };
        // Of two threads that pack at once one is too late; a lock held over parallel work could wait for itself.
        let _late = self.packed.set(weights);
        checkpoint.forget(&self.name);
        Ok(())
    }

    /// Some tiles' products.
    fn multiply(
        &self,
        checkpoint: &Checkpoint,
        tiles: Range<usize>,
        inputs: &Inputs<'_>,
        slab: &mut Slab<'_>,
    ) -> Result<(), ComputeError> {
        if let Some(weights) = self.packed.get() {
            weights.tiles(tiles, inputs, self.column, slab);
            return Ok(());
        }
        let matrix = matrix(checkpoint, &self.name)?;
        for tile in tiles {
            let rows = tile * TILE..self.outputs.min((tile + 1) * TILE);
            let mut values = vec![0.0; rows.len() * matrix.columns];
            matrix.slice(rows).read(&mut values)?;
            Weights::Plain(Plain::of(&values, matrix.columns)).tiles(0..1, inputs, self.column + tile * TILE, slab);
        }
        Ok(())
    }
}

/// A matrix in its file.
fn matrix<'a>(checkpoint: &'a Checkpoint, name: &str) -> Result<Matrix<'a>, ComputeError> {
    checkpoint.matrix(name).map_err(|error| ComputeError::Weights(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::local::random_model;
    use crate::weights::{Recipe, quantize};

    #[test]
    fn a_row_of_a_product_is_the_same_to_the_last_bit_among_any_number_of_rows() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        random_model(folder.path(), [256, 512, 5, 1, 40, 1]);
        let plain = Arc::new(Checkpoint::open(folder.path(), None).expect("the model opens"));
        let path = folder.path().join("blocks.gguf");
        quantize(&plain, Recipe::Q4KM, &path, &mut |_, _| ()).expect("it can be written");
        let blocks = Arc::new(Checkpoint::open(&path, None).expect("it opens"));
        let names = || ["attn_q", "attn_k", "attn_v"].map(|part| format!("blk.0.{part}.weight")).to_vec();
        let (f32, ggml) = (Arithmetic::WeightsF32, Arithmetic::Ggml);
        for (checkpoint, arithmetic, keep) in [(plain, f32, true), (blocks.clone(), f32, false), (blocks, ggml, true)] {
            let product = Product::new(&checkpoint, names(), How { arithmetic, keep }).expect("known types");
            let x: Vec<f32> = (0..700 * 256).map(|i| ((i * 7_919 % 1_009) as f32 - 504.0) / 300.0).collect();
            let run = |rows: Range<usize>| product.apply(&x[rows.start * 256..rows.end * 256], 256).expect("shapes agree");
            let all = run(0..700);
            assert_eq!(all.len(), 700 * 280);
            for (first, count) in [(0, 1), (699, 1), (5, 2), (9, 3), (3, 7), (40, 17), (100, 63), (101, 65), (200, 500)] {
                let some = run(first..first + count);
                assert!(some == all[first * 280..][..some.len()], "{count} rows");
            }
        }
    }
}
