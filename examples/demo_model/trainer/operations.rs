//! Two operations with gradients that candle has no fused form of: attention's masked softmax and the rotation of heads.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// softmax(scale · x) of each row over the positions that it may attend to; zero elsewhere.
///
/// The input is `[rows, heads, …, ROW, ROW]` in any grouping of the middle dimensions: only the last dimension and the
/// number of rows are read from it.
#[derive(Clone)]
pub(super) struct ExampleSoftmax {
    /// First position that each position of each row may attend to; the last one is itself.
    pub(super) starts: Arc<Vec<u32>>,
    /// Factor before the softmax.
    pub(super) scale: f32,
}

/// The gradient of [`ExampleSoftmax`] from its result and the gradient of that.
struct ExampleSoftmaxGradient(ExampleSoftmax);

impl ExampleSoftmax {
    /// The range of columns that line `line` of `lines` attends to, at `length` columns.
    fn range(&self, line: usize, lines: usize, length: usize) -> std::ops::RangeInclusive<usize> {
        let row = line / (lines / (self.starts.len() / length));
        let position = line % length;
        self.starts[row * length + position] as usize..=position
    }
}

impl CustomOp1 for ExampleSoftmax {
    fn name(&self) -> &'static str {
        "example-softmax"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let scores = floats(storage, layout)?;
        let length = layout.dims()[layout.dims().len() - 1];
        let lines = scores.len() / length;
        let mut out = vec![0_f32; scores.len()];
        out.par_chunks_mut(length).zip(scores.par_chunks(length)).enumerate().for_each(|(line, (out, scores))| {
            let range = self.range(line, lines, length);
            let (out, scores) = (&mut out[range.clone()], &scores[range]);
            let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for (out, score) in out.iter_mut().zip(scores) {
                *out = ((score - largest) * self.scale).exp();
                sum += *out;
            }
            for out in out.iter_mut() {
                *out /= sum;
            }
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, _scores: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(result.apply_op2_no_bwd(&gradient.contiguous()?, &ExampleSoftmaxGradient(self.clone()))?))
    }
}

impl CustomOp2 for ExampleSoftmaxGradient {
    fn name(&self) -> &'static str {
        "example-softmax-gradient"
    }

    fn cpu_fwd(&self, result: &CpuStorage, l1: &Layout, gradient: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (result, gradient) = (floats(result, l1)?, floats(gradient, l2)?);
        let length = l1.dims()[l1.dims().len() - 1];
        let lines = result.len() / length;
        let mut out = vec![0_f32; result.len()];
        out.par_chunks_mut(length).enumerate().for_each(|(line, out)| {
            let range = self.0.range(line, lines, length);
            let at = line * length..(line + 1) * length;
            let (p, g) = (&result[at.clone()][range.clone()], &gradient[at][range.clone()]);
            let dot: f32 = p.iter().zip(g).map(|(p, g)| p * g).sum();
            for (out, (p, g)) in out[range].iter_mut().zip(p.iter().zip(g)) {
                *out = p * (g - dot) * self.0.scale;
            }
        });
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }
}

/// Rotary position embedding in the half-split order, together with the transposition that attention needs:
/// `[rows * length, heads * size]` becomes `[rows, heads, length, size]`.
#[derive(Clone)]
pub(super) struct Rotation {
    /// (cos, sin) for each position and each of the size/2 frequencies.
    pub(super) angles: Arc<Vec<(f32, f32)>>,
    /// Positions of a row.
    pub(super) length: usize,
    /// Heads side by side in the input.
    pub(super) heads: usize,
}

/// [`Rotation`] backwards: the transposed rotation, which is its inverse and its gradient.
struct InverseRotation(Rotation);

impl Rotation {
    /// Components of one head.
    fn size(&self) -> usize {
        2 * self.angles.len() / self.length
    }

    /// Applies `turn(from, to, angles)` to each head at each position; the places are those of the input and the output
    /// of the forward direction.
    fn each_head(&self, mut turn: impl FnMut(usize, usize, &[(f32, f32)])) {
        let (size, half) = (self.size(), self.size() / 2);
        for position in 0..self.length {
            let angles = &self.angles[position * half..(position + 1) * half];
            for head in 0..self.heads {
                turn((position * self.heads + head) * size, (head * self.length + position) * size, angles);
            }
        }
    }
}

impl CustomOp1 for Rotation {
    fn name(&self) -> &'static str {
        "rotation"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, size) = (floats(storage, layout)?, self.size());
        let row = self.length * self.heads * size;
        let mut out = vec![0_f32; x.len()];
        out.par_chunks_mut(row).zip(x.par_chunks(row)).for_each(|(out, x)| {
            self.each_head(|from, to, angles| turn(&x[from..from + size], &mut out[to..to + size], angles, 1.0));
        });
        Ok((CpuStorage::F32(out), Shape::from((x.len() / row, self.heads, self.length, size))))
    }

    fn bwd(&self, _x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(&InverseRotation(self.clone()))?))
    }
}

impl CustomOp1 for InverseRotation {
    fn name(&self) -> &'static str {
        "inverse-rotation"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, size) = (floats(storage, layout)?, self.0.size());
        let row = self.0.length * self.0.heads * size;
        let mut out = vec![0_f32; x.len()];
        out.par_chunks_mut(row).zip(x.par_chunks(row)).for_each(|(out, x)| {
            self.0.each_head(|to, from, angles| turn(&x[from..from + size], &mut out[to..to + size], angles, -1.0));
        });
        Ok((CpuStorage::F32(out), Shape::from((x.len() / (self.0.heads * size), self.0.heads * size))))
    }
}

/// Turns the pairs (i, i + half) of one head by their angles, times `direction`.
fn turn(x: &[f32], out: &mut [f32], angles: &[(f32, f32)], direction: f32) {
    let half = angles.len();
    for (i, (cos, sin)) in angles.iter().enumerate() {
        let (a, b, sin) = (x[i], x[i + half], sin * direction);
        out[i] = a * cos - b * sin;
        out[i + half] = b * cos + a * sin;
    }
}

/// The numbers of a contiguous f32 tensor.
fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((from, to))) => Ok(&all[from..to]),
        _ => bail!("only contiguous f32 tensors are supported"),
    }
}
