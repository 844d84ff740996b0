//! The shape of a model, from config.json or from GGUF metadata; whatever the decoder doesn't do is refused by name.

mod header;
mod json;
mod keys;
mod rope;

use std::path::Path;

use super::WeightsError;
use super::shape::{Activation, Architecture, Experts, Rope, RopeOrder};

/// The hyperparameters of a decoder.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a part that a family has or has not")]
pub struct Config {
    /// The family.
    pub architecture: Architecture,
    /// Number of blocks.
    pub layers: usize,
    /// Length of a token's vector.
    pub width: usize,
    /// Length of the vector within a feed-forward part, or within one expert's.
    pub feed_forward: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Length of a head's vector; `heads * head_size` need not be `width`.
    pub head_size: usize,
    /// Rows of the embedding; may be more than the tokenizer has tokens.
    pub vocabulary: usize,
    /// Most positions that the model was trained for.
    pub context: usize,
    /// Rotary embedding.
    pub rope: Rope,
    /// What root-mean-square norms add to the mean square.
    pub norm_epsilon: f32,
    /// Whether the output head is the embedding itself.
    pub tied: bool,
    /// What the feed-forward gate goes through.
    pub activation: Activation,
    /// What a token's vector is multiplied with before the first block.
    pub embedding_scale: f32,
    /// What scores of queries on keys are multiplied with.
    pub attention_scale: f32,
    /// Scores become `cap · tanh(score / cap)`, after the scale.
    pub attention_cap: Option<f32>,
    /// Logits become `cap · tanh(logit / cap)`.
    pub logit_cap: Option<f32>,
    /// Per layer, how many positions a row sees at most, itself included; empty where no layer has a window.
    pub windows: Vec<Option<usize>>,
    /// Whether q, k and v have biases (`attn_q.bias` and so on).
    pub qkv_bias: bool,
    /// Whether each head of q and k has an RMS norm before it is turned (`attn_q_norm`, `attn_k_norm`).
    pub head_norms: bool,
    /// Whether norms stand behind attention and feed-forward too (`post_attention_norm`, `post_ffw_norm`).
    pub post_norms: bool,
    /// Experts, where the feed-forward part has them: `ffn_gate_inp` routes, and expert E of layer N has
    /// `blk.N.ffn_gate.E`, `blk.N.ffn_up.E`, `blk.N.ffn_down.E`, however the file stores them.
    pub experts: Option<Experts>,
}

impl Config {
    /// Everything in which a plain llama differs from no other.
    pub(super) fn llama(head_size: usize) -> Self {
        Self {
            architecture: Architecture::Llama,
            layers: 0,
            width: 0,
            feed_forward: 0,
            heads: 0,
            kv_heads: 0,
            head_size,
            vocabulary: 0,
            context: 0,
            rope: Rope::plain(RopeOrder::Half, 10_000.0, head_size),
            norm_epsilon: 1e-6,
            tied: false,
            activation: Activation::Silu,
            embedding_scale: 1.0,
            attention_scale: 1.0 / (head_size as f32).sqrt(),
            attention_cap: None,
            logit_cap: None,
            windows: Vec::new(),
            qkv_bias: false,
            head_norms: false,
            post_norms: false,
            experts: None,
        }
    }

    /// What every model of a family has, before its file is asked.
    fn family(architecture: Architecture, width: usize, head_size: usize) -> Self {
        let gemma = architecture == Architecture::Gemma2;
        Self {
            architecture,
            width,
            activation: if gemma { Activation::GeluTanh } else { Activation::Silu },
            embedding_scale: if gemma { (width as f32).sqrt() } else { 1.0 },
            qkv_bias: architecture == Architecture::Qwen2,
            head_norms: architecture == Architecture::Qwen3,
            post_norms: gemma,
            ..Self::llama(head_size)
        }
    }

    fn check(mut self, path: &Path) -> Result<Self, WeightsError> {
        let refuse = |what: String| Err(WeightsError::malformed(path, what));
        if !self.heads.is_multiple_of(self.kv_heads) {
            return refuse(format!("{} query heads cannot share {} key heads evenly", self.heads, self.kv_heads));
        }
        if let Some(Experts { count, used }) = self.experts.filter(|experts| experts.used > experts.count) {
            return refuse(format!("a token cannot take {used} of {count} experts"));
        }
        let sane = |real: f32| real.is_finite() && real > 0.0;
        if !sane(self.rope.base) || !sane(self.norm_epsilon) {
            return refuse(format!("rope base {} or norm epsilon {} is not positive", self.rope.base, self.norm_epsilon));
        }
        if !self.rope.frequencies.iter().all(|&frequency| sane(frequency)) || !sane(self.rope.magnitude) {
            return refuse(format!("its rotary embedding comes to nothing: {:?}", self.rope.scaling));
        }
        let caps = [self.attention_cap, self.logit_cap].into_iter().flatten();
        if let Some(bad) = caps.chain([self.attention_scale]).find(|&number| !sane(number)) {
            return refuse(format!("a cap or the scale of attention is {bad}, which is not positive"));
        }
        if self.windows.iter().all(Option::is_none) {
            self.windows = Vec::new();
        }
        Ok(self)
    }
}

/// Gemma 2's every other layer, or all layers: those that have a window where the file doesn't name them.
pub(super) fn customary(architecture: Architecture, layer: usize) -> bool {
    architecture != Architecture::Gemma2 || layer.is_multiple_of(2)
}

/// The scale of attention that llama.cpp takes, which GGUF has no key for.
pub(super) fn customary_scale(config: &Config) -> f32 {
    // Gemma 2 of 27 billion weights is told by its depth.
    let gemma_27b = config.architecture == Architecture::Gemma2 && config.layers == 46;
    let size = if gemma_27b { config.width / config.heads } else { config.head_size };
    1.0 / (size as f32).sqrt()
}
