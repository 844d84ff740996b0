//! Muon for the matrices of the blocks, `AdamW` for embeddings and norms.
//!
//! Muon: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks" (momentum orthogonalized by a
//! quintic Newton–Schulz iteration). `AdamW`: Loshchilov and Hutter, arXiv 1711.05101. `candle_nn::AdamW` keeps its moments
//! to itself, and a checkpoint needs them, so the update is written out here.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var, bail};

use super::model::Model;

const MUON_RATE: f64 = 0.02;
const MUON_MOMENTUM: f64 = 0.95;
const MUON_DECAY: f64 = 0.02;
const NEWTON_SCHULZ_STEPS: usize = 5;
const ADAM_RATE: f64 = 0.004;
const ADAM_MEAN: f64 = 0.9;
const ADAM_SQUARE: f64 = 0.98;
const ADAM_EPSILON: f64 = 1e-8;

/// The state of one weight's update.
enum State {
    Muon { momentum: Tensor },
    Adam { mean: Tensor, square: Tensor },
}

/// Updates all weights of a model.
pub(super) struct Optimizer(Vec<(String, Var, State)>);

impl Optimizer {
    /// Fresh states for every weight.
    pub(super) fn new(model: &Model) -> Result<Self> {
        let slot = |(name, weight): (&String, &Var)| {
            let zero = weight.zeros_like()?;
            let in_block = weight.rank() == 2 && !name.contains("embed");
            let state = if in_block { State::Muon { momentum: zero } } else { State::Adam { mean: zero.clone(), square: zero } };
            Ok((name.clone(), weight.clone(), state))
        };
        Ok(Self(model.weights().iter().map(slot).collect::<Result<_>>()?))
    }

    /// One update with the gradients of step `step` (from 0), at `factor` times the full learning rates.
    pub(super) fn step(&mut self, gradients: &GradStore, step: usize, factor: f64) -> Result<()> {
        for (name, weight, state) in &mut self.0 {
            let Some(gradient) = gradients.get(weight) else { bail!("{name} has no gradient") };
            // Gradients of a transposed use are views; everything below walks them several times.
            let gradient = gradient.contiguous()?;
            let updated = match state {
                State::Muon { momentum } => muon(weight, momentum, &gradient, MUON_RATE * factor)?,
                State::Adam { mean, square } => {
                    *mean = ((&*mean * ADAM_MEAN)? + (&gradient * (1.0 - ADAM_MEAN))?)?;
                    *square = ((&*square * ADAM_SQUARE)? + (gradient.sqr()? * (1.0 - ADAM_SQUARE))?)?;
                    let unbiased = |power: f64| 1.0 / (1.0 - power.powf(step as f64 + 1.0));
                    let scale = ((&*square * unbiased(ADAM_SQUARE))?.sqrt()? + ADAM_EPSILON)?;
                    (weight.as_tensor() - (mean.div(&scale)? * (ADAM_RATE * factor * unbiased(ADAM_MEAN)))?)?
                }
            };
            weight.set(&updated)?;
        }
        Ok(())
    }

    /// The states by name, for a checkpoint.
    pub(super) fn tensors(&self) -> Vec<(String, Tensor)> {
        let mut all = Vec::new();
        for (name, _, state) in &self.0 {
            match state {
                State::Muon { momentum } => all.push((format!("momentum.{name}"), momentum.clone())),
                State::Adam { mean, square } => {
                    all.push((format!("mean.{name}"), mean.clone()));
                    all.push((format!("square.{name}"), square.clone()));
                }
            }
        }
        all
    }

    /// Takes the states from a checkpoint; `find` gives the tensor of a name.
    pub(super) fn restore(&mut self, find: impl Fn(&str) -> Result<Tensor>) -> Result<()> {
        for (name, _, state) in &mut self.0 {
            match state {
                State::Muon { momentum } => *momentum = find(&format!("momentum.{name}"))?,
                State::Adam { mean, square } => {
                    *mean = find(&format!("mean.{name}"))?;
                    *square = find(&format!("square.{name}"))?;
                }
            }
        }
        Ok(())
    }
}

/// Muon's step for one matrix: Nesterov momentum, orthogonalized, scaled by its shape; returns the new weight.
fn muon(weight: &Var, momentum: &mut Tensor, gradient: &Tensor, rate: f64) -> Result<Tensor> {
    let blend = |old: &Tensor, new: &Tensor| (old * MUON_MOMENTUM)? + (new * (1.0 - MUON_MOMENTUM))?;
    *momentum = blend(momentum, gradient)?;
    let (rows, columns) = weight.dims2()?;
    let update = orthogonal(&blend(momentum, gradient)?)?;
    let scale = rate * (rows as f64 / columns as f64).max(1.0).sqrt();
    (weight.as_tensor() * (1.0 - rate * MUON_DECAY))? - (update * scale)?
}

/// The matrix with its singular values driven towards 1.
fn orthogonal(matrix: &Tensor) -> Result<Tensor> {
    const A: f64 = 3.4445;
    const B: f64 = -4.7750;
    const C: f64 = 2.0315;
    let tall = matrix.dim(0)? > matrix.dim(1)?;
    let norm = f64::from(matrix.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?);
    let mut x = (matrix / (norm + 1e-7))?;
    if tall {
        x = x.t()?.contiguous()?;
    }
    for _ in 0..NEWTON_SCHULZ_STEPS {
        let square = x.matmul(&x.t()?)?;
        let polynomial = ((&square * B)? + (square.matmul(&square)? * C)?)?;
        x = ((&x * A)? + polynomial.matmul(&x)?)?;
    }
    if tall { x.t()?.contiguous() } else { Ok(x) }
}
