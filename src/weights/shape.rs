//! What a decoder can be made of: the parts in which families differ, as plain numbers.

use std::fmt;

/// A family of decoders, by GGUF's name; mistral and mixtral are llamas with windows or experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// Llama, Mistral, Nemo, Mixtral.
    Llama,
    /// Qwen2 and Qwen2.5: biases on q, k and v.
    Qwen2,
    /// Qwen3: norms on each head of q and k.
    Qwen3,
    /// Gemma 2: soft caps, norms behind the parts too, every other layer with a window.
    Gemma2,
    /// Phi-3 and Phi-3.5: fused tensors, a window.
    Phi3,
}

impl Architecture {
    /// Every family.
    pub const ALL: [Self; 5] = [Self::Llama, Self::Qwen2, Self::Qwen3, Self::Gemma2, Self::Phi3];

    /// GGUF's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma2 => "gemma2",
            Self::Phi3 => "phi3",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which pairs of a head's values are turned together by rotary embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeOrder {
    /// Value `i` with value `i + size / 2`: Hugging Face, and GGUF for every family but llama.
    Half,
    /// Value `2i` with value `2i + 1`: llama in GGUF.
    Interleaved,
}

/// How frequencies were stretched for contexts longer than those of training, as the model's file says it.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// Every frequency divided by the factor.
    Linear {
        /// At least 1.
        factor: f32,
    },
    /// Llama 3.1: slow frequencies divided by the factor, fast ones kept, those between mixed.
    Llama3 {
        /// Divides the slow frequencies.
        factor: f32,
        /// Wavelengths above `original / low` count as slow.
        low: f32,
        /// Wavelengths below `original / high` count as fast.
        high: f32,
        /// Context of training.
        original: usize,
    },
    /// `YaRN` (arXiv 2309.00071).
    Yarn {
        /// How much longer the context is.
        factor: f32,
        /// Context of training.
        original: usize,
        /// Turns over the original context above which a frequency is kept.
        beta_fast: f32,
        /// Turns below which it is divided by the factor.
        beta_slow: f32,
    },
    /// One divisor a pair, given by the file (`rope_freqs`).
    Factors(Vec<f32>),
    /// `LongRoPE` (arXiv 2402.13753): one divisor a pair, other ones for texts that are longer than those of training. Only
    /// those for short texts are run, so that a token's logits never depend on the text's length.
    Long {
        /// Divisors up to the context of training.
        short: Vec<f32>,
        /// Divisors beyond it; kept for files that are written.
        long: Vec<f32>,
        /// Context of training: the most that is run.
        original: usize,
        /// Context that the divisors for long texts are for.
        context: usize,
    },
}

/// Rotary embedding, ready to be applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Which values turn together, given how this file orders the rows of q and k.
    pub order: RopeOrder,
    /// Base of the frequencies.
    pub base: f32,
    /// How many of a head's values turn, from the first on; even, at most the head's size.
    pub size: usize,
    /// How the frequencies came about.
    pub scaling: RopeScaling,
    /// Radians a position of each of the `size / 2` pairs, scaling applied.
    pub frequencies: Vec<f32>,
    /// What cosines and sines are multiplied with; 1 but for `YaRN` and its like.
    pub magnitude: f32,
}

/// What the gate of a feed-forward part goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x · σ(x).
    Silu,
    /// The Gaussian error linear unit in its tanh form.
    GeluTanh,
}

/// A feed-forward part that is split into experts, of which each token takes some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Experts {
    /// How many there are.
    pub count: usize,
    /// How many a token takes: the likeliest, weighted by a softmax over themselves.
    pub used: usize,
}
