//! One layer's weights, by the tensors' names.

use std::sync::Arc;

use super::feed_forward::FeedForward;
use super::product::{ComputeError, How, Product};
use crate::weights::Checkpoint;

/// The weights of one layer.
pub(super) struct Layer {
    pub attention_norm: Vec<f32>,
    /// Queries, keys and values side by side.
    pub qkv: Product,
    /// As long as a row of queries, keys and values.
    pub bias: Option<Vec<f32>>,
    /// Of each query head, and of each key head.
    pub head_norms: Option<[Vec<f32>; 2]>,
    /// How many positions a row sees at most, itself included.
    pub window: Option<usize>,
    pub output: Product,
    /// Of attention's output, before it is added.
    pub post_attention_norm: Option<Vec<f32>>,
    pub feed_forward_norm: Vec<f32>,
    pub feed_forward: FeedForward,
    /// Of the feed-forward part's output, before it is added.
    pub post_feed_forward_norm: Option<Vec<f32>>,
}

impl Layer {
    /// Takes a layer's weights over, multiplied as `how` says.
    pub(super) fn load(checkpoint: &Arc<Checkpoint>, index: usize, how: How) -> Result<Self, ComputeError> {
        let config = checkpoint.config();
        let name = |part: &str| format!("blk.{index}.{part}");
        let product = |parts: &[&str]| Product::new(checkpoint, parts.iter().map(|part| name(part)).collect(), how);
        let weight = |part: &str| vector(checkpoint, &name(part));
        let post = |part: &str| config.post_norms.then(|| weight(part)).transpose();
        let three =
            |parts: [&str; 3]| Ok::<_, ComputeError>(parts.map(weight).into_iter().collect::<Result<Vec<_>, _>>()?.concat());
        let two = |parts: [&str; 2]| Ok::<_, ComputeError>([weight(parts[0])?, weight(parts[1])?]);
        Ok(Self {
            attention_norm: weight("attn_norm.weight")?,
            qkv: product(&["attn_q.weight", "attn_k.weight", "attn_v.weight"])?,
            bias: config.qkv_bias.then(|| three(["attn_q.bias", "attn_k.bias", "attn_v.bias"])).transpose()?,
            head_norms: config.head_norms.then(|| two(["attn_q_norm.weight", "attn_k_norm.weight"])).transpose()?,
            window: config.windows.get(index).copied().flatten(),
            output: product(&["attn_output.weight"])?,
            post_attention_norm: post("post_attention_norm.weight")?,
            feed_forward_norm: weight("ffn_norm.weight")?,
            feed_forward: FeedForward::load(checkpoint, index, how)?,
            post_feed_forward_norm: post("post_ffw_norm.weight")?,
        })
    }
}

/// A tensor's numbers, row-major.
pub(super) fn vector(checkpoint: &Checkpoint, name: &str) -> Result<Vec<f32>, ComputeError> {
    let tensor = checkpoint.tensor(name).map_err(|error| ComputeError::Weights(error.to_string()))?;
    Ok(tensor.flatten_all()?.to_vec1()?)
}
