//! The shape of a model, from config.json or from GGUF metadata; whatever the decoder doesn't do is refused by name.

use std::path::Path;

use serde_json::Value as Json;

use super::WeightsError;
use super::gguf::{Header, Value};
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
    /// Reads a Hugging Face config.json; `path` is for messages.
    pub(super) fn from_json(path: &Path, json: &Json) -> Result<Self, WeightsError> {
        refuse_json(path, json)?;
        let keys = JsonKeys { path, json };
        let heads = keys.count("num_attention_heads")?;
        let width = keys.count("hidden_size")?;
        let head_size = keys.count_or("head_dim", width / heads)?;
        let config = Self {
            layers: keys.count("num_hidden_layers")?,
            width,
            feed_forward: keys.count("intermediate_size")?,
            heads,
            kv_heads: keys.count_or("num_key_value_heads", heads)?,
            head_size,
            vocabulary: keys.count("vocab_size")?,
            context: keys.count("max_position_embeddings")?,
            rope: Rope::plain(RopeOrder::Half, keys.rope_base()?, head_size),
            norm_epsilon: keys.real_or("rms_norm_eps", 1e-6)?,
            tied: keys.flag("tie_word_embeddings")?,
            ..Self::llama(head_size)
        };
        config.check(path)
    }

    /// Reads GGUF metadata; `path` is for messages.
    pub(super) fn from_header(path: &Path, header: &Header) -> Result<Self, WeightsError> {
        refuse_header(path, header)?;
        let keys = HeaderKeys { path, header };
        let heads = keys.count("llama.attention.head_count")?;
        let width = keys.count("llama.embedding_length")?;
        let head_size = keys.count_or("llama.attention.key_length", width / heads)?;
        keys.same("llama.attention.value_length", head_size)?;
        keys.same("llama.rope.dimension_count", head_size)?;
        let embedding = header.tensors.iter().find(|tensor| tensor.name == "token_embd.weight");
        let config = Self {
            layers: keys.count("llama.block_count")?,
            width,
            feed_forward: keys.count("llama.feed_forward_length")?,
            heads,
            kv_heads: keys.count_or("llama.attention.head_count_kv", heads)?,
            head_size,
            vocabulary: match embedding {
                Some(tensor) => tensor.shape[0],
                None => keys.count("llama.vocab_size")?,
            },
            context: keys.count("llama.context_length")?,
            rope: Rope::plain(RopeOrder::Interleaved, keys.real_or("llama.rope.freq_base", Some(10_000.0))?, head_size),
            norm_epsilon: keys.real_or("llama.attention.layer_norm_rms_epsilon", None)?,
            tied: !header.tensors.iter().any(|tensor| tensor.name == "output.weight"),
            ..Self::llama(head_size)
        };
        config.check(path)
    }

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

    fn check(self, path: &Path) -> Result<Self, WeightsError> {
        let refuse = |what: String| Err(WeightsError::malformed(path, what));
        if !self.heads.is_multiple_of(self.kv_heads) {
            return refuse(format!("{} query heads cannot share {} key heads evenly", self.heads, self.kv_heads));
        }
        if self.head_size == 0 || !self.head_size.is_multiple_of(2) {
            return refuse(format!("a head of {} values cannot be turned in pairs", self.head_size));
        }
        let sane = |real: f32| real.is_finite() && real > 0.0;
        if !sane(self.rope.base) || !sane(self.norm_epsilon) {
            return refuse(format!("rope base {} or norm epsilon {} is not positive", self.rope.base, self.norm_epsilon));
        }
        Ok(self)
    }
}

/// The largest count that makes sense for any hyperparameter.
const LARGEST: u64 = 1 << 31;

fn in_range(path: &Path, key: &str, value: Option<u64>) -> Result<usize, WeightsError> {
    match value {
        Some(count) if (1..LARGEST).contains(&count) => Ok(count as usize),
        _ => Err(WeightsError::key(path, key, format!("must be a whole number from 1 to {}", LARGEST - 1))),
    }
}

/// config.json with the path for messages.
struct JsonKeys<'a> {
    path: &'a Path,
    json: &'a Json,
}

impl JsonKeys<'_> {
    fn find(&self, key: &str) -> Option<&Json> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    fn count(&self, key: &str) -> Result<usize, WeightsError> {
        match self.find(key) {
            Some(value) => in_range(self.path, key, value.as_u64()),
            None => Err(WeightsError::key(self.path, key, "is missing")),
        }
    }

    fn count_or(&self, key: &str, default: usize) -> Result<usize, WeightsError> {
        if self.find(key).is_none() { Ok(default) } else { self.count(key) }
    }

    fn real_or(&self, key: &str, default: f32) -> Result<f32, WeightsError> {
        let Some(value) = self.find(key) else { return Ok(default) };
        value.as_f64().map(|real| real as f32).ok_or_else(|| WeightsError::key(self.path, key, "must be a number"))
    }

    /// False where the key is absent.
    fn flag(&self, key: &str) -> Result<bool, WeightsError> {
        let Some(value) = self.find(key) else { return Ok(false) };
        value.as_bool().ok_or_else(|| WeightsError::key(self.path, key, "must be true or false"))
    }

    /// The base's two homes: its own key, and the `rope_parameters` of newer files.
    fn rope_base(&self) -> Result<f32, WeightsError> {
        let own = self.real_or("rope_theta", 10_000.0)?;
        match self.find("rope_parameters") {
            Some(parameters) => JsonKeys { path: self.path, json: parameters }.real_or("rope_theta", own),
            None => Ok(own),
        }
    }
}

fn refuse_json(path: &Path, json: &Json) -> Result<(), WeightsError> {
    let refuse = |feature: String| Err(WeightsError::unsupported(path, feature, ""));
    match json.get("model_type").and_then(Json::as_str) {
        Some("llama" | "mistral") => {}
        Some(other) => return Err(architecture(path, other)),
        None => return Err(WeightsError::key(path, "model_type", "is missing")),
    }
    let set = |key: &str| json.get(key).filter(|value| !matches!(value, Json::Null | Json::Bool(false)));
    for key in ["attention_bias", "mlp_bias", "sliding_window", "quantization_config"] {
        if let Some(value) = set(key) {
            return refuse(format!("`{key}` = {value}"));
        }
    }
    if let Some(activation) = set("hidden_act").filter(|value| value.as_str() != Some("silu")) {
        return refuse(format!("`hidden_act` = {activation}"));
    }
    if let Some(factor) = set("partial_rotary_factor").filter(|value| value.as_f64() != Some(1.0)) {
        return refuse(format!("`partial_rotary_factor` = {factor}"));
    }
    for key in ["rope_scaling", "rope_parameters"] {
        let Some(rope) = set(key) else { continue };
        let kind = rope.get("rope_type").or_else(|| rope.get("type"));
        if kind.is_some_and(|kind| kind != "default") || (kind.is_none() && rope.get("factor").is_some()) {
            return refuse(format!("rotary scaling (`{key}` = {rope})"));
        }
    }
    Ok(())
}

fn architecture(path: &Path, name: &str) -> WeightsError {
    WeightsError::unsupported(path, format!("the architecture `{name}`"), "models of the llama architecture can be loaded")
}

/// GGUF metadata with the path for messages.
struct HeaderKeys<'a> {
    path: &'a Path,
    header: &'a Header,
}

impl HeaderKeys<'_> {
    fn count(&self, key: &str) -> Result<usize, WeightsError> {
        match self.header.get(key) {
            // Some writers store one number per layer.
            Some(Value::Array(array)) => {
                let counts = array.integers().unwrap_or_default();
                let even = counts.first().filter(|first| counts.iter().all(|count| count == *first));
                let Some(count) = even else {
                    return Err(WeightsError::unsupported(self.path, format!("`{key}` that differs between layers"), ""));
                };
                in_range(self.path, key, u64::try_from(*count).ok())
            }
            Some(value) => in_range(self.path, key, value.integer().and_then(|count| u64::try_from(count).ok())),
            None => Err(WeightsError::key(self.path, key, "is missing")),
        }
    }

    fn count_or(&self, key: &str, default: usize) -> Result<usize, WeightsError> {
        if self.header.get(key).is_none() { Ok(default) } else { self.count(key) }
    }

    /// Refuses a key that is there and differs from what the decoder assumes.
    fn same(&self, key: &str, expected: usize) -> Result<(), WeightsError> {
        let found = self.count_or(key, expected)?;
        if found == expected {
            return Ok(());
        }
        let feature = format!("`{key}` = {found} with heads of {expected} values");
        Err(WeightsError::unsupported(self.path, feature, ""))
    }

    fn real_or(&self, key: &str, default: Option<f64>) -> Result<f32, WeightsError> {
        let value = match self.header.get(key) {
            Some(value) => value.real().ok_or_else(|| WeightsError::key(self.path, key, "must be a real number"))?,
            None => default.ok_or_else(|| WeightsError::key(self.path, key, "is missing"))?,
        };
        Ok(value as f32)
    }
}

fn refuse_header(path: &Path, header: &Header) -> Result<(), WeightsError> {
    match header.get("general.architecture").and_then(Value::text) {
        Some("llama") => {}
        Some(other) => return Err(architecture(path, other)),
        None => return Err(WeightsError::key(path, "general.architecture", "is missing")),
    }
    let number = |value: &Value| value.real().or_else(|| value.integer().map(|integer| integer as f64));
    for (key, value) in &header.metadata {
        let harmless = match key.as_str() {
            "llama.rope.scaling.type" => value.text() == Some("none"),
            "llama.rope.scale_linear" => number(value) == Some(1.0),
            "llama.expert_count" | "llama.expert_used_count" | "llama.attention.sliding_window" => number(value) == Some(0.0),
            "llama.attention.causal" => *value == Value::Bool(true),
            "split.count" if number(value).is_some_and(|parts| parts > 1.0) => {
                let hint = "join the parts first: llama-gguf-split --merge";
                return Err(WeightsError::unsupported(path, "a model in several GGUF files", hint));
            }
            other => !other.starts_with("llama.rope.scaling."),
        };
        if !harmless {
            return Err(WeightsError::unsupported(path, format!("`{key}` = {value:?}"), ""));
        }
    }
    Ok(())
}
