//! The model in training: a llama shape with tied embeddings, its weights in f32 variables.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Result, Tensor, Var};
use candle_nn::ops::rms_norm_slow;
use serde::Deserialize;

use super::operations::{ExampleSoftmax, Rotation};
use super::rows::{Batch, ROW};
use crate::families::Draw;

/// The part of config.json that the shape depends on.
#[derive(Deserialize)]
pub(super) struct Config {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    vocab_size: usize,
    rms_norm_eps: f32,
    rope_theta: f32,
}

/// Weights by their Hugging Face names, and what the forward pass needs beside them.
pub(super) struct Model {
    config: Config,
    weights: BTreeMap<String, Var>,
    angles: Arc<Vec<(f32, f32)>>,
}

impl Model {
    /// A model with seeded normal weights: 1/√inputs, smaller where a layer writes to the residual stream.
    pub(super) fn new(config: Config, seed: u64) -> Result<Self> {
        let (d, f, h) = (config.hidden_size, config.intermediate_size, config.head_dim);
        let (q, kv) = (config.num_attention_heads * h, config.num_key_value_heads * h);
        let residual = 1.0 / (2.0 * config.num_hidden_layers as f64).sqrt();
        let mut rng = Draw::new(seed, u64::MAX);
        let mut weights = BTreeMap::new();
        let mut normal = |name: String, rows: usize, columns: usize, deviation: f64| -> Result<()> {
            let values: Vec<f32> = (0..rows * columns).map(|_| (gaussian(&mut rng) * deviation) as f32).collect();
            weights.insert(name, Var::from_vec(values, (rows, columns), &Device::Cpu)?);
            Ok(())
        };
        normal("model.embed_tokens.weight".into(), config.vocab_size, d, 0.02)?;
        for layer in 0..config.num_hidden_layers {
            let inputs = |n: usize| (n as f64).powf(-0.5);
            for (part, rows, columns, deviation) in [
                ("self_attn.q_proj", q, d, inputs(d)),
                ("self_attn.k_proj", kv, d, inputs(d)),
                ("self_attn.v_proj", kv, d, inputs(d)),
                ("self_attn.o_proj", d, q, inputs(q) * residual),
                ("mlp.gate_proj", f, d, inputs(d)),
                ("mlp.up_proj", f, d, inputs(d)),
                ("mlp.down_proj", d, f, inputs(f) * residual),
            ] {
                normal(format!("model.layers.{layer}.{part}.weight"), rows, columns, deviation)?;
            }
        }
        let mut norms = vec!["model.norm.weight".to_owned()];
        for layer in 0..config.num_hidden_layers {
            norms.extend(["input", "post_attention"].map(|at| format!("model.layers.{layer}.{at}_layernorm.weight")));
        }
        for name in norms {
            weights.insert(name, Var::ones(d, candle_core::DType::F32, &Device::Cpu)?);
        }
        let angles = Arc::new(angles(h, config.rope_theta));
        Ok(Self { config, weights, angles })
    }

    /// The weights by name, in the order of the names.
    pub(super) fn weights(&self) -> &BTreeMap<String, Var> {
        &self.weights
    }

    /// Logits of the counted positions of a batch: `[n, vocabulary]`.
    pub(super) fn logits(&self, batch: &Batch) -> Result<Tensor> {
        let embedding = self.weight("model.embed_tokens");
        let mut x = embedding.index_select(&batch.tokens, 0)?;
        for layer in 0..self.config.num_hidden_layers {
            let at = |part: &str| format!("model.layers.{layer}.{part}");
            x = (&x + self.attention(&at("self_attn"), &self.norm(&at("input_layernorm"), &x)?, batch)?)?;
            x = (&x + self.feed_forward(&at("mlp"), &self.norm(&at("post_attention_layernorm"), &x)?)?)?;
        }
        self.norm("model.norm", &x.index_select(&batch.counted, 0)?)?.matmul(&embedding.t()?)
    }

    /// Grouped-query attention within each example. Queries that share a key head are stacked, so keys are not repeated.
    fn attention(&self, name: &str, x: &Tensor, batch: &Batch) -> Result<Tensor> {
        let (heads, shared, size) = (self.config.num_attention_heads, self.config.num_key_value_heads, self.config.head_dim);
        let rotation = |heads| Rotation { angles: Arc::clone(&self.angles), length: ROW, heads };
        let q = self.linear(&format!("{name}.q_proj"), x)?.apply_op1(rotation(heads))?;
        let k = self.linear(&format!("{name}.k_proj"), x)?.apply_op1(rotation(shared))?;
        let v = self.linear(&format!("{name}.v_proj"), x)?.reshape((batch.rows, ROW, shared, size))?;
        let v = v.transpose(1, 2)?.contiguous()?;
        let q = q.reshape((batch.rows, shared, heads / shared * ROW, size))?;
        let softmax = ExampleSoftmax { starts: Arc::clone(&batch.starts), scale: (size as f32).powf(-0.5) };
        let out = q.matmul(&k.t()?)?.apply_op1(softmax)?.matmul(&v)?;
        let out = out.reshape((batch.rows, heads, ROW, size))?.transpose(1, 2)?;
        self.linear(&format!("{name}.o_proj"), &out.reshape((batch.rows * ROW, heads * size))?)
    }

    /// `SwiGLU`.
    fn feed_forward(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let gate = self.linear(&format!("{name}.gate_proj"), x)?.silu()?;
        self.linear(&format!("{name}.down_proj"), &(gate * self.linear(&format!("{name}.up_proj"), x)?)?)
    }

    fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weight(name).t()?)
    }

    fn norm(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        rms_norm_slow(x, self.weight(name), self.config.rms_norm_eps)
    }

    fn weight(&self, name: &str) -> &Tensor {
        self.weights[&format!("{name}.weight")].as_tensor()
    }
}

/// (cos, sin) of every position and frequency, for heads of `size` components.
fn angles(size: usize, theta: f32) -> Vec<(f32, f32)> {
    let frequencies: Vec<f32> = (0..size / 2).map(|i| theta.powf(-2.0 * i as f32 / size as f32)).collect();
    let angle = |position: usize, frequency: &f32| position as f32 * frequency;
    (0..ROW).flat_map(|p| frequencies.iter().map(move |f| (angle(p, f).cos(), angle(p, f).sin()))).collect()
}

/// One standard normal number (Box–Muller).
fn gaussian(rng: &mut Draw) -> f64 {
    const STEPS: u32 = 1 << 30;
    let (u, v) = (f64::from(rng.below(STEPS) + 1) / f64::from(STEPS), f64::from(rng.below(STEPS)) / f64::from(STEPS));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
