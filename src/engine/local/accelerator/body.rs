//! The decoder's weights on a device, and a pass through them.

use std::sync::Arc;

use candle_core::{D, Device, Result as Computed, Tensor};

use super::attention::{attend, capped};
use super::store::Store;
use crate::engine::local::Settings;
use crate::engine::local::attention::Sight;
use crate::engine::local::cache::Heads;
use crate::engine::local::experts;
use crate::engine::local::forest::Pass;
use crate::engine::local::product::ComputeError;
use crate::engine::local::rope::Rope;
use crate::engine::local::rounding::{Rounding, Roundings};
use crate::weights::{Activation, Checkpoint, Config, RopeOrder};

/// One layer's weights on the device; matrices as `[inputs, outputs]`.
struct Layer {
    attention_norm: Tensor,
    /// Of queries, keys and values, each with its bias.
    qkv: [(Tensor, Option<Tensor>); 3],
    head_norms: Option<[Tensor; 2]>,
    output: Tensor,
    post_attention_norm: Option<Tensor>,
    feed_forward_norm: Tensor,
    router: Option<Tensor>,
    /// Gate, up and down of every expert; of the one part where there are none.
    gated: Vec<[Tensor; 3]>,
    post_feed_forward_norm: Option<Tensor>,
}

/// A decoder on a device.
pub(in crate::engine::local) struct Accelerator {
    checkpoint: Arc<Checkpoint>,
    device: Device,
    rope: Rope,
    roundings: Roundings,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    head: Tensor,
}

/// Reads tensors onto a device.
struct Reader<'a>(&'a Checkpoint, &'a Device);

impl Reader<'_> {
    fn tensor(&self, name: &str) -> Result<Tensor, ComputeError> {
        let tensor = self.0.tensor(name).map_err(|error| ComputeError::Weights(error.to_string()))?;
        Ok(tensor.to_device(self.1)?)
    }

    /// `[inputs, outputs]`.
    fn matrix(&self, name: &str) -> Result<Tensor, ComputeError> {
        Ok(self.tensor(name)?.t()?.contiguous()?)
    }

    fn layer(&self, index: usize) -> Result<Layer, ComputeError> {
        let config = self.0.config();
        let name = |part: &str| format!("blk.{index}.{part}");
        let optional = |there: bool, part: &str| there.then(|| self.tensor(&name(part))).transpose();
        let projection = |part: &str| -> Result<_, ComputeError> {
            let bias = optional(config.qkv_bias, &format!("{part}.bias"))?;
            Ok((self.matrix(&name(&format!("{part}.weight")))?, bias))
        };
        let head_norms =
            || Ok::<_, ComputeError>([self.tensor(&name("attn_q_norm.weight"))?, self.tensor(&name("attn_k_norm.weight"))?]);
        let gated = |suffix: String| -> Result<_, ComputeError> {
            let part = |part: &str| self.matrix(&name(&format!("{part}{suffix}.weight")));
            Ok([part("ffn_gate")?, part("ffn_up")?, part("ffn_down")?])
        };
        let suffixes = match config.experts {
            Some(experts) => (0..experts.count).map(|expert| format!(".{expert}")).collect(),
            None => vec![String::new()],
        };
        Ok(Layer {
            attention_norm: self.tensor(&name("attn_norm.weight"))?,
            qkv: [projection("attn_q")?, projection("attn_k")?, projection("attn_v")?],
            head_norms: config.head_norms.then(head_norms).transpose()?,
            output: self.matrix(&name("attn_output.weight"))?,
            post_attention_norm: optional(config.post_norms, "post_attention_norm.weight")?,
            feed_forward_norm: self.tensor(&name("ffn_norm.weight"))?,
            router: config.experts.map(|_| self.matrix(&name("ffn_gate_inp.weight"))).transpose()?,
            gated: suffixes.into_iter().map(gated).collect::<Result<_, _>>()?,
            post_feed_forward_norm: optional(config.post_norms, "post_ffw_norm.weight")?,
        })
    }
}

impl Accelerator {
    /// Takes the weights over to a device.
    pub(in crate::engine::local) fn new(
        checkpoint: &Arc<Checkpoint>,
        settings: &Settings,
        device: &Device,
    ) -> Result<Self, ComputeError> {
        let (config, read) = (checkpoint.config(), Reader(checkpoint, device));
        let embedding = read.tensor("token_embd.weight")?;
        Ok(Self {
            rope: Rope::new(&config.rope, config.context),
            roundings: Roundings::new(settings.kv, settings.arithmetic, config.head_size),
            layers: (0..config.layers).map(|index| read.layer(index)).collect::<Result<_, _>>()?,
            norm: read.tensor("output_norm.weight")?,
            head: if config.tied { embedding.t()? } else { read.matrix("output.weight")? },
            embedding,
            checkpoint: Arc::clone(checkpoint),
            device: device.clone(),
        })
    }

    fn config(&self) -> &Config {
        self.checkpoint.config()
    }

    /// An empty cache with so many lasting pages.
    pub(in crate::engine::local) fn store(&self, heads: Heads, pages: usize) -> Store {
        Store::new(self.device.clone(), heads, self.layers.len(), pages)
    }

    /// The normalized final states of the pass's wanted rows, `[wanted, width]`.
    pub(in crate::engine::local) fn states(&self, pass: &Pass, store: &mut Store) -> Result<Vec<f32>, ComputeError> {
        let config = self.config();
        let ids = Tensor::new(&pass.tokens[..], &self.device)?;
        let mut x = self.embedding.index_select(&ids, 0)?.affine(f64::from(config.embedding_scale), 0.0)?;
        let angles = self.angles(&pass.positions)?;
        let wanted = Tensor::new(&pass.wanted[..], &self.device)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let mut attended = self.attended(pass, (index, &self.normed(&x, &layer.attention_norm)?), &angles, store)?;
            if index + 1 == self.layers.len() {
                (attended, x) = (attended.index_select(&wanted, 0)?, x.index_select(&wanted, 0)?);
            }
            x = self.added(&x, &attended.matmul(&layer.output)?, layer.post_attention_norm.as_ref())?;
            let fed = self.fed(layer, &self.normed(&x, &layer.feed_forward_norm)?)?;
            x = self.added(&x, &fed, layer.post_feed_forward_norm.as_ref())?;
        }
        Ok(self.normed(&x, &self.norm)?.flatten_all()?.to_vec1()?)
    }

    /// Logits of some final states, `[rows, vocabulary]`.
    pub(in crate::engine::local) fn logits(&self, states: &[f32]) -> Result<Vec<f32>, ComputeError> {
        let width = self.config().width;
        let logits = Tensor::from_slice(states, (states.len() / width, width), &self.device)?.matmul(&self.head)?;
        Ok(capped(&logits, self.config().logit_cap)?.flatten_all()?.to_vec1()?)
    }

    /// One layer's attention over normalized states, before its output product.
    fn attended(&self, pass: &Pass, (index, h): (usize, &Tensor), angles: &[Tensor; 2], store: &mut Store) -> Computed<Tensor> {
        let (config, layer) = (self.config(), &self.layers[index]);
        let project = |part: usize| {
            let (weights, bias) = &layer.qkv[part];
            let product = h.matmul(weights)?;
            let product = if let Some(bias) = bias { product.broadcast_add(bias)? } else { product };
            product.reshape((h.dim(0)?, product.dim(1)? / config.head_size, config.head_size))
        };
        let ready = |part: usize, rounding: Rounding| {
            let mut heads = project(part)?;
            if let Some(norms) = &layer.head_norms {
                heads = self.normed(&heads, &norms[part])?;
            }
            self.rounded(&self.turned(&heads, angles)?, rounding)
        };
        let (q, k) = (ready(0, self.roundings.queries)?, ready(1, self.roundings.keys)?);
        store.write(index, &pass.writes, &k, &self.rounded(&project(2)?, self.roundings.values)?)?;
        let window = config.windows.get(index).copied().flatten();
        attend(Sight { scale: config.attention_scale, cap: config.attention_cap, window }, &q, &pass.blocks, |pieces, seen| {
            store.read(index, pieces, seen)
        })
    }

    /// The feed-forward part.
    fn fed(&self, layer: &Layer, x: &Tensor) -> Computed<Tensor> {
        let gated = |expert: usize, x: &Tensor| {
            let [gate, up, down] = &layer.gated[expert];
            let gate = x.matmul(gate)?;
            let gate = match self.config().activation {
                Activation::Silu => gate.silu()?,
                Activation::GeluTanh => gate.gelu()?,
            };
            (gate * x.matmul(up)?)?.matmul(down)
        };
        let (Some(router), Some(experts)) = (&layer.router, self.config().experts) else { return gated(0, x) };
        let logits: Vec<f32> = x.matmul(router)?.flatten_all()?.to_vec1()?;
        let mut out = x.zeros_like()?;
        for (expert, share) in experts::route(&logits, experts.count, experts.used).iter().enumerate() {
            if share.rows.is_empty() {
                continue;
            }
            let rows = Tensor::new(&share.rows[..], &self.device)?;
            let factors = Tensor::from_slice(&share.factors, (share.factors.len(), 1), &self.device)?;
            let found = gated(expert, &x.index_select(&rows, 0)?)?.broadcast_mul(&factors)?;
            out = out.index_add(&rows, &found, 0)?;
        }
        Ok(out)
    }

    /// RMS norm over the last dimension.
    fn normed(&self, x: &Tensor, weight: &Tensor) -> Computed<Tensor> {
        let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
        let root = mean.affine(1.0, f64::from(self.config().norm_epsilon))?.sqrt()?;
        x.broadcast_div(&root)?.broadcast_mul(weight)
    }

    /// States with a part's output, through its norm where it has one.
    fn added(&self, x: &Tensor, y: &Tensor, norm: Option<&Tensor>) -> Computed<Tensor> {
        match norm {
            Some(norm) => x + self.normed(y, norm)?,
            None => x + y,
        }
    }

    /// Cosines and sines of positions, each `[rows, 1, pairs]`.
    fn angles(&self, positions: &[u32]) -> Computed<[Tensor; 2]> {
        let (mut cosines, mut sines) = (Vec::new(), Vec::new());
        for &position in positions {
            let (cos, sin) = self.rope.angles(position as usize);
            cosines.extend_from_slice(cos);
            sines.extend_from_slice(sin);
        }
        let shape = (positions.len(), 1, self.config().rope.size / 2);
        Ok([Tensor::from_vec(cosines, shape, &self.device)?, Tensor::from_vec(sines, shape, &self.device)?])
    }

    /// `[rows, heads, size]` turned to their positions.
    fn turned(&self, x: &Tensor, [cos, sin]: &[Tensor; 2]) -> Computed<Tensor> {
        let (rows, heads, size) = x.dims3()?;
        let turning = self.config().rope.size;
        let part = x.narrow(2, 0, turning)?.contiguous()?;
        let (split, last) = match self.config().rope.order {
            RopeOrder::Half => ((rows, heads, 2, turning / 2), 2),
            RopeOrder::Interleaved => ((rows, heads, turning / 2, 2), 3),
        };
        let pairs = part.reshape(split)?;
        let [a, b] = [pairs.narrow(last, 0, 1)?.squeeze(last)?, pairs.narrow(last, 1, 1)?.squeeze(last)?];
        let x_turned = (a.broadcast_mul(cos)? - b.broadcast_mul(sin)?)?;
        let y_turned = (b.broadcast_mul(cos)? + a.broadcast_mul(sin)?)?;
        let turned = Tensor::stack(&[x_turned, y_turned], last)?.reshape((rows, heads, turning))?;
        if turning == size { Ok(turned) } else { Tensor::cat(&[turned, x.narrow(2, turning, size - turning)?], 2) }
    }

    /// Heads as they are remembered.
    fn rounded(&self, x: &Tensor, rounding: Rounding) -> Computed<Tensor> {
        if rounding.is_none() {
            return x.contiguous();
        }
        let mut numbers: Vec<f32> = x.flatten_all()?.to_vec1()?;
        numbers.chunks_exact_mut(self.config().head_size).for_each(|head| rounding.apply(head));
        Tensor::from_vec(numbers, x.shape(), &self.device)
    }
}
