//! The feed-forward part of a layer: a gated product, or experts of which each row takes some.

use std::sync::Arc;

use pulp::Arch;

use super::experts;
use super::product::{ComputeError, How, Product};
use super::rows;
use crate::weights::{Activation, Checkpoint};

/// A feed-forward part.
pub(super) enum FeedForward {
    /// Every row goes through it.
    Dense(Gated),
    /// Every row goes through the experts that are likeliest for it.
    Experts {
        /// One output an expert.
        router: Product,
        experts: Vec<Gated>,
        /// How many a row takes.
        used: usize,
    },
}

/// `down · (activation(gate · x) · (up · x))`.
pub(super) struct Gated {
    /// Gate and up side by side.
    gate_up: Product,
    down: Product,
    activation: Activation,
    width: usize,
    inner: usize,
}

impl FeedForward {
    /// Takes the weights of one layer's part over.
    pub(super) fn load(checkpoint: &Arc<Checkpoint>, layer: usize, how: How) -> Result<Self, ComputeError> {
        let one = |suffix: &str| Gated::load(checkpoint, layer, suffix, how);
        let Some(shape) = checkpoint.config().experts else { return Ok(Self::Dense(one("")?)) };
        Ok(Self::Experts {
            router: Product::new(checkpoint, vec![format!("blk.{layer}.ffn_gate_inp.weight")], how)?,
            experts: (0..shape.count).map(|expert| one(&format!(".{expert}"))).collect::<Result<_, _>>()?,
            used: shape.used,
        })
    }

    /// The part's output for every row of `[rows, width]`.
    pub(super) fn apply(&self, arch: Arch, x: &[f32], width: usize) -> Result<Vec<f32>, ComputeError> {
        match self {
            Self::Dense(gated) => gated.apply(arch, x),
            Self::Experts { router, experts, used } => {
                let logits = router.apply(x, width)?;
                let shares = experts::route(&logits, experts.len(), *used);
                experts::mix(arch, (x, width), &shares, |expert, x| experts[expert].apply(arch, x))
            }
        }
    }
}

impl Gated {
    /// `suffix` is empty, or a dot and the expert's number.
    fn load(checkpoint: &Arc<Checkpoint>, layer: usize, suffix: &str, how: How) -> Result<Self, ComputeError> {
        let config = checkpoint.config();
        let name = |part: &str| format!("blk.{layer}.{part}{suffix}.weight");
        Ok(Self {
            gate_up: Product::new(checkpoint, vec![name("ffn_gate"), name("ffn_up")], how)?,
            down: Product::new(checkpoint, vec![name("ffn_down")], how)?,
            activation: config.activation,
            width: config.width,
            inner: config.feed_forward,
        })
    }

    /// Its output for every row of `[rows, width]`.
    fn apply(&self, arch: Arch, x: &[f32]) -> Result<Vec<f32>, ComputeError> {
        let gate_up = self.gate_up.apply(x, self.width)?;
        let activated = rows::gated(arch, self.activation, &gate_up, self.inner);
        drop(gate_up);
        self.down.apply(&activated, self.inner)
    }
}
