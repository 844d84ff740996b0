//! Recipes: which type each tensor gets, by the rules of llama.cpp's `llama-quantize`.

use std::fmt;
use std::str::FromStr;

use super::gguf::TensorType;
use super::{Architecture, Config, WeightsError};

/// A named quantization. A name means what `llama-quantize` makes of it, so most are mixes: the matrix that makes the
/// logits (the embedding, where tied) gets `q6_k` or better, and `q2_k` and the names that end in `_s`, `_m` and `_l` raise
/// further tensors. As there, plain `q3_k`, `q4_k` and `q5_k` are the `_m` mixes. Norms and experts' routers stay f32. Rows that
/// are no whole blocks fall back: `q2_k` and `q3_k` to `q4_0`, `q4_k` to `q5_0`, `q5_k` to `q5_1`, `q6_k` to `q8_0`, all of
/// these to f16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Recipe {
    /// Single precision.
    F32,
    /// Half precision, 5 bits of exponent.
    F16,
    /// Half precision, 8 bits of exponent.
    Bf16,
    /// 8 bits, a scale per 32 weights.
    Q8_0,
    /// 6 bits, super-blocks of 256 weights.
    Q6K,
    /// Mostly 5 bits with super-blocks; also named `q5_k`.
    Q5KM,
    /// 5 bits with super-blocks.
    Q5KS,
    /// Mostly 5 bits, a scale and a least weight per 32 weights.
    Q5_1,
    /// Mostly 5 bits, a scale per 32 weights.
    Q5_0,
    /// Mostly 4 bits with super-blocks; also named `q4_k`.
    Q4KM,
    /// 4 bits with super-blocks, a little raised in the first layers.
    Q4KS,
    /// Mostly 4 bits, a scale and a least weight per 32 weights.
    Q4_1,
    /// Mostly 4 bits, a scale per 32 weights.
    Q4_0,
    /// Mostly 3 bits with super-blocks, much raised.
    Q3KL,
    /// Mostly 3 bits with super-blocks; also named `q3_k`.
    Q3KM,
    /// 3 bits with super-blocks.
    Q3KS,
    /// Mostly 2 bits with super-blocks.
    Q2K,
    /// 2 bits with super-blocks; only with an importance matrix.
    Q2KS,
}

/// Every name, its recipe; a recipe's first name is its own.
const NAMES: [(&str, Recipe); 21] = [
    ("f32", Recipe::F32),
    ("f16", Recipe::F16),
    ("bf16", Recipe::Bf16),
    ("q8_0", Recipe::Q8_0),
    ("q6_k", Recipe::Q6K),
    ("q5_k_m", Recipe::Q5KM),
    ("q5_k", Recipe::Q5KM),
    ("q5_k_s", Recipe::Q5KS),
    ("q5_1", Recipe::Q5_1),
    ("q5_0", Recipe::Q5_0),
    ("q4_k_m", Recipe::Q4KM),
    ("q4_k", Recipe::Q4KM),
    ("q4_k_s", Recipe::Q4KS),
    ("q4_1", Recipe::Q4_1),
    ("q4_0", Recipe::Q4_0),
    ("q3_k_l", Recipe::Q3KL),
    ("q3_k_m", Recipe::Q3KM),
    ("q3_k", Recipe::Q3KM),
    ("q3_k_s", Recipe::Q3KS),
    ("q2_k", Recipe::Q2K),
    ("q2_k_s", Recipe::Q2KS),
];

impl FromStr for Recipe {
    type Err = WeightsError;

    fn from_str(name: &str) -> Result<Self, WeightsError> {
        let lower = name.to_ascii_lowercase();
        let found = NAMES.iter().find(|(known, _)| *known == lower).map(|&(_, recipe)| recipe);
        found.ok_or_else(|| {
            let known = Self::names().collect::<Vec<_>>().join(", ");
            WeightsError::Recipe { name: name.to_owned(), known }
        })
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = NAMES.iter().find(|(_, recipe)| recipe == self).expect("every recipe has a name");
        f.pad(name)
    }
}

/// The type chosen for a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// The type.
    pub(super) kind: TensorType,
    /// The type that the recipe would have liked, where the rows are no whole blocks of it.
    pub(super) wanted: Option<TensorType>,
}

impl Recipe {
    /// Every name that parses, the finest first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// `general.file_type`, by llama.cpp's numbers.
    pub(super) fn file_type(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q8_0 => 7,
            Self::Q5_0 => 8,
            Self::Q5_1 => 9,
            Self::Q2K => 10,
            Self::Q3KS => 11,
            Self::Q3KM => 12,
            Self::Q3KL => 13,
            Self::Q4KS => 14,
            Self::Q4KM => 15,
            Self::Q5KS => 16,
            Self::Q5KM => 17,
            Self::Q6K => 18,
            Self::Q2KS => 21,
            Self::Bf16 => 32,
        }
    }

    /// Whether it only stores values one by one.
    pub(super) fn is_plain(self) -> bool {
        self.base().is_plain()
    }

    /// Whether it makes no sense without importances, and is refused without them, as by `llama-quantize`.
    pub(super) fn needs_importance(self) -> bool {
        self == Self::Q2KS
    }

    fn base(self) -> TensorType {
        match self {
            Self::F32 => TensorType::F32,
            Self::F16 => TensorType::F16,
            Self::Bf16 => TensorType::BF16,
            Self::Q8_0 => TensorType::Q8_0,
            Self::Q6K => TensorType::Q6_K,
            Self::Q5KM | Self::Q5KS => TensorType::Q5_K,
            Self::Q5_1 => TensorType::Q5_1,
            Self::Q5_0 => TensorType::Q5_0,
            Self::Q4KM | Self::Q4KS => TensorType::Q4_K,
            Self::Q4_1 => TensorType::Q4_1,
            Self::Q4_0 => TensorType::Q4_0,
            Self::Q3KL | Self::Q3KM | Self::Q3KS => TensorType::Q3_K,
            Self::Q2K | Self::Q2KS => TensorType::Q2_K,
        }
    }

    /// The type of the tensor with this GGUF name and shape in a model of this configuration; `important` where an
    /// importance matrix is at hand, whatever it says of this tensor.
    pub(super) fn choose(self, name: &str, shape: &[usize], config: &Config, important: bool) -> Choice {
        if shape.len() < 2 || name.ends_with("ffn_gate_inp.weight") {
            return Choice { kind: TensorType::F32, wanted: None };
        }
        if self.is_plain() {
            return Choice { kind: self.base(), wanted: None };
        }
        let columns = shape[shape.len() - 1];
        let wanted = self.wanted(name, columns, config, important);
        let kind = fitting(wanted, columns);
        Choice { kind, wanted: (kind != wanted).then_some(wanted) }
    }

    /// The recipe's wish for a matrix.
    fn wanted(self, name: &str, columns: usize, config: &Config, important: bool) -> TensorType {
        let head = if config.tied { "token_embd.weight" } else { "output.weight" };
        if name == head {
            return match self.base() {
                base if !fits(base, columns) => TensorType::Q8_0,
                TensorType::Q8_0 => TensorType::Q8_0,
                _ => TensorType::Q6_K,
            };
        }
        let mut parts = name.split('.');
        let block = parts.next().filter(|first| *first == "blk").and_then(|_| parts.next()?.parse().ok());
        let eight = config.experts.is_some_and(|experts| experts.count == 8);
        match (block, parts.next()) {
            // Beside eight experts the matrices that all of them share are small.
            (Some(_), Some("attn_v" | "attn_k" | "attn_qkv")) if eight => TensorType::Q8_0,
            (Some(layer), Some("attn_v" | "attn_qkv")) => self.values(layer, config),
            (Some(layer), Some("ffn_down" | "ffn_down_exps")) => self.down(layer, config.layers, important),
            (Some(_), Some("attn_output")) if eight => match self {
                Self::Q2K | Self::Q3KS | Self::Q3KM | Self::Q4KS | Self::Q4KM => TensorType::Q5_K,
                _ => self.base(),
            },
            (Some(_), Some("attn_output")) => match self {
                Self::Q2K => TensorType::Q3_K,
                Self::Q3KM => TensorType::Q4_K,
                Self::Q3KL => TensorType::Q5_K,
                _ => self.base(),
            },
            _ => self.base(),
        }
    }

    fn values(self, layer: usize, config: &Config) -> TensorType {
        let shared = config.heads / config.kv_heads >= 4;
        let chosen = match self {
            Self::Q2K | Self::Q2KS if shared => TensorType::Q4_K,
            Self::Q2K => TensorType::Q3_K,
            Self::Q3KM if layer < 2 => TensorType::Q5_K,
            Self::Q3KM => TensorType::Q4_K,
            Self::Q3KL => TensorType::Q5_K,
            Self::Q4KM | Self::Q5KM if more_bits(layer, config.layers) => TensorType::Q6_K,
            Self::Q4KS if layer < 4 => TensorType::Q5_K,
            _ => self.base(),
        };
        // In the 70-billion shape eight heads share each row of this matrix, so more bits cost little.
        let seventy = config.layers == 80
            && match config.architecture {
                Architecture::Llama => config.heads != config.kv_heads,
                Architecture::Qwen2 => true,
                _ => false,
            };
        if seventy && [TensorType::Q3_K, TensorType::Q4_K].contains(&chosen) { TensorType::Q5_K } else { chosen }
    }

    fn down(self, layer: usize, layers: usize, important: bool) -> TensorType {
        let first = layer < layers / 8;
        match self {
            Self::Q2K => TensorType::Q3_K,
            Self::Q2KS if first => TensorType::Q4_K,
            Self::Q3KM if layer < layers / 16 => TensorType::Q5_K,
            Self::Q3KM => TensorType::Q4_K,
            Self::Q3KL => TensorType::Q5_K,
            Self::Q4KM | Self::Q5KM if more_bits(layer, layers) => TensorType::Q6_K,
            Self::Q4KS if first => TensorType::Q5_K,
            // A least weight keeps the first layers from going astray, but only where importances are known.
            Self::Q4_0 if first && important => TensorType::Q4_1,
            Self::Q5_0 if first && important => TensorType::Q5_1,
            _ => self.base(),
        }
    }
}

/// The layers at either end, and every third between.
fn more_bits(layer: usize, layers: usize) -> bool {
    let edge = layers / 8;
    layer < edge || layer >= 7 * layers / 8 || (layer - edge) % 3 == 2
}

fn fits(kind: TensorType, columns: usize) -> bool {
    kind.block().is_some_and(|(weights, _)| (columns as u64).is_multiple_of(weights))
}

/// The type itself, or the one with smaller blocks that stands in for it.
fn fitting(wanted: TensorType, columns: usize) -> TensorType {
    let smaller = match wanted {
        _ if fits(wanted, columns) => wanted,
        TensorType::Q2_K | TensorType::Q3_K => TensorType::Q4_0,
        TensorType::Q4_K => TensorType::Q5_0,
        TensorType::Q5_K => TensorType::Q5_1,
        TensorType::Q6_K => TensorType::Q8_0,
        other => other,
    };
    if fits(smaller, columns) { smaller } else { TensorType::F16 }
}

#[cfg(test)]
mod tests;
