//! The decoder: embeddings, layers of attention and feed-forward parts with RMS norms, and the vocabulary head.
//!
//! One code for every family: what a layer has beside the plain llama (biases, norms on heads, norms behind its parts, a
//! window, experts) is there or not by the model's [`Config`]. Weights are exact in f32 whatever their type, and products,
//! norms and attention are in f32; only keys, values and queries may be rounded (`rounding`), and with ggml's arithmetic
//! what enters a product (`product`).

use std::sync::Arc;

use candle_core::Device;
use pulp::Arch;
use rayon::prelude::*;

use super::Settings;
use super::accelerator::Accelerator;
use super::attention::{Attention, Sight};
use super::cache::{Cache, Heads, LayerCache};
use super::forest::Pass;
use super::layer::{Layer, vector};
use super::product::{ComputeError, How, Product};
use super::remember::Memory;
use super::rope::Rope;
use super::rounding::Roundings;
use super::rows;
use crate::weights::{Checkpoint, Config};

/// Models whose f32 form is larger are de-quantized tensor by tensor in every pass.
const KEPT_BYTES: u64 = 2 << 30;
/// Logits that are in memory at a time.
const LOGITS: usize = 4 << 20;

/// A loaded decoder.
pub(super) struct Decoder {
    checkpoint: Arc<Checkpoint>,
    memory: Memory,
    weights: Weights,
    arch: Arch,
}

/// Where its weights are.
enum Weights {
    /// In main memory or in the file.
    Processor(Processor),
    /// On a device that does the whole work of a pass.
    Device(Box<Accelerator>),
}

/// Weights that the processor multiplies.
struct Processor {
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Product,
}

impl Decoder {
    /// Takes the weights over.
    pub(super) fn new(checkpoint: &Arc<Checkpoint>, settings: &Settings) -> Result<Self, ComputeError> {
        Self::within(checkpoint, settings, KEPT_BYTES)
    }

    /// Keeps the weights in f32 where they take at most so many bytes.
    pub(super) fn within(checkpoint: &Arc<Checkpoint>, settings: &Settings, bytes: u64) -> Result<Self, ComputeError> {
        let keep = checkpoint.facts().parameters.saturating_mul(4) <= bytes;
        let how = How { arithmetic: settings.arithmetic, keep };
        let head = if checkpoint.has("output.weight") { "output.weight" } else { "token_embd.weight" };
        let layer = |index| Layer::load(checkpoint, index, how);
        let weights = Processor {
            layers: (0..checkpoint.config().layers).map(layer).collect::<Result<_, _>>()?,
            norm: vector(checkpoint, "output_norm.weight")?,
            head: Product::new(checkpoint, vec![head.into()], how)?,
        };
        Ok(Self::around(checkpoint, settings, Weights::Processor(weights)))
    }

    /// Takes the weights over to a device of the tensor library.
    pub(super) fn on(checkpoint: &Arc<Checkpoint>, settings: &Settings, device: &Device) -> Result<Self, ComputeError> {
        let weights = Box::new(Accelerator::new(checkpoint, settings, device)?);
        Ok(Self::around(checkpoint, settings, Weights::Device(weights)))
    }

    fn around(checkpoint: &Arc<Checkpoint>, settings: &Settings, weights: Weights) -> Self {
        let config = checkpoint.config();
        let memory = Memory {
            heads: Heads { queries: config.heads, keys: config.kv_heads, size: config.head_size },
            rope: Rope::new(&config.rope, config.context),
            roundings: Roundings::new(settings.kv, settings.arithmetic, config.head_size),
            epsilon: config.norm_epsilon,
        };
        Self { memory, weights, arch: Arch::new(), checkpoint: Arc::clone(checkpoint) }
    }

    /// The model's shape.
    fn config(&self) -> &Config {
        self.checkpoint.config()
    }

    /// Length of a row of logits.
    pub(super) fn vocabulary(&self) -> usize {
        self.config().vocabulary
    }

    /// The vector instructions in use.
    pub(super) fn arch(&self) -> Arch {
        self.arch
    }

    /// An empty cache with so many lasting pages.
    pub(super) fn cache(&self, pages: usize) -> Cache {
        match &self.weights {
            Weights::Processor(weights) => Cache::new(self.memory.heads, weights.layers.len(), pages),
            Weights::Device(device) => Cache::on(self.memory.heads, device.store(self.memory.heads, pages)),
        }
    }

    /// Bytes that a lasting page takes in all layers.
    pub(super) fn page_bytes(&self) -> usize {
        self.config().layers * 2 * size_of::<f32>() * self.memory.heads.page()
    }

    /// Runs the layers over the pass's new rows and returns the normalized final states of the wanted ones,
    /// `[wanted, width]`.
    pub(super) fn states(&self, pass: &Pass, cache: &mut Cache) -> Result<Vec<f32>, ComputeError> {
        if pass.wanted.is_empty() {
            return Ok(Vec::new());
        }
        let Processor { layers, norm, .. } = match &self.weights {
            Weights::Processor(weights) => weights,
            Weights::Device(device) => return device.states(pass, cache.store()),
        };
        let (width, epsilon) = (self.config().width, self.config().norm_epsilon);
        let mut x = self.embed(&pass.tokens)?;
        for (index, layer) in layers.iter().enumerate() {
            let wanted = (index + 1 == layers.len()).then_some(&pass.wanted[..]);
            let attended = self.attended(pass, (layer, &x), cache.layer(index), wanted)?;
            if let Some(wanted) = wanted {
                x = rows::gather(&x, wanted, width);
            }
            self.add(&mut x, &attended, layer.post_attention_norm.as_deref());
            let fed = rows::normed(self.arch, &x, &layer.feed_forward_norm, epsilon);
            let fed = layer.feed_forward.apply(self.arch, &fed, width)?;
            self.add(&mut x, &fed, layer.post_feed_forward_norm.as_deref());
        }
        Ok(rows::normed(self.arch, &x, norm, epsilon))
    }

    /// What one layer's attention adds to the wanted rows (all, where none are named).
    fn attended(
        &self,
        pass: &Pass,
        (layer, x): (&Layer, &[f32]),
        mut store: LayerCache<'_>,
        wanted: Option<&[u32]>,
    ) -> Result<Vec<f32>, ComputeError> {
        let config = self.config();
        let Heads { queries, size, .. } = self.memory.heads;
        let mut qkv = layer.qkv.apply(&rows::normed(self.arch, x, &layer.attention_norm, config.norm_epsilon), config.width)?;
        self.memory.prepare(self.arch, layer, &pass.positions, &mut qkv);
        self.memory.remember(pass, &qkv, &mut store);
        let sight = Sight { scale: config.attention_scale, cap: config.attention_cap, window: layer.window };
        let (heads, blocks) = (self.memory.heads, &pass.blocks[..]);
        let rows = (&qkv[..], self.memory.row());
        let mut attended = Attention { heads, sight, rows, blocks, layer: &store, wanted }.run(self.arch);
        drop(qkv);
        if let Some(wanted) = wanted {
            attended = rows::gather(&attended, wanted, queries * size);
        }
        layer.output.apply(&attended, queries * size)
    }

    /// Adds a part's output to the states, through its norm where it has one.
    fn add(&self, x: &mut [f32], y: &[f32], norm: Option<&[f32]>) {
        rows::add(self.arch, x, y, norm.map(|norm| (norm, self.memory.epsilon)));
    }

    /// Logits of final states, in blocks of rows: `take` gets the number of the first row and `[rows, vocabulary]`.
    pub(super) fn logits(&self, states: &[f32], mut take: impl FnMut(usize, &[f32])) -> Result<(), ComputeError> {
        let width = self.config().width;
        let rows = (LOGITS / self.vocabulary()).max(2);
        for (index, block) in states.chunks(rows * width).enumerate() {
            let logits = match &self.weights {
                Weights::Processor(weights) => self.capped(weights.head.apply(block, width)?),
                Weights::Device(device) => device.logits(block)?,
            };
            take(index * rows, &logits);
        }
        Ok(())
    }

    /// Logits after the model's cap.
    fn capped(&self, mut logits: Vec<f32>) -> Vec<f32> {
        if let Some(cap) = self.config().logit_cap {
            rows::cap(self.arch, &mut logits, cap);
        }
        logits
    }

    /// Rows of the embedding, read from the file one by one, times their scale.
    fn embed(&self, tokens: &[u32]) -> Result<Vec<f32>, ComputeError> {
        let (width, scale) = (self.config().width, self.config().embedding_scale);
        let table = self.checkpoint.matrix("token_embd.weight").map_err(|error| ComputeError::Weights(error.to_string()))?;
        let mut out = vec![0.0; tokens.len() * width];
        out.par_chunks_mut(width).zip(tokens).with_min_len(rows::ROWS).try_for_each(|(out, &token)| {
            table.slice(token as usize..token as usize + 1).read(out)?;
            if scale.to_bits() != 1.0_f32.to_bits() {
                for x in out {
                    *x *= scale;
                }
            }
            Ok::<_, ComputeError>(())
        })?;
        Ok(out)
    }
}
