//! A model that is run in this process: where its weights are, and in which numbers it is computed.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which numbers the local engine multiplies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arithmetic {
    /// Weights de-quantized to f32, products in f32: the effect of quantizing the weights alone.
    #[default]
    #[serde(rename = "weights-f32")]
    WeightsF32,
    /// ggml's: activations rounded to 8 bits (per 32 values for the types of 32 weights a block, per 256 for k-quants), integer
    /// products; activations rounded to the weights' own type for f16 and bf16. What llama.cpp serves on a processor.
    #[serde(rename = "ggml")]
    Ggml,
}

impl Arithmetic {
    /// Every arithmetic by its name.
    pub const NAMES: [(&str, Self); 2] = [("weights-f32", Self::WeightsF32), ("ggml", Self::Ggml)];

    /// Its name, as in a plan.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WeightsF32 => "weights-f32",
            Self::Ggml => "ggml",
        }
    }
}

/// To which type keys and values are rounded before they are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvType {
    /// They stay as they were computed.
    #[default]
    #[serde(rename = "f32")]
    F32,
    /// Half precision: llama.cpp's default.
    #[serde(rename = "f16")]
    F16,
    /// 8 bits, a scale per 32 values.
    #[serde(rename = "q8_0")]
    Q8_0,
    /// 4 bits, a scale per 32 values.
    #[serde(rename = "q4_0")]
    Q4_0,
}

impl KvType {
    /// Every type by its name.
    pub const NAMES: [(&str, Self); 4] = [("f32", Self::F32), ("f16", Self::F16), ("q8_0", Self::Q8_0), ("q4_0", Self::Q4_0)];

    /// Its name, as in a plan.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        }
    }
}

/// Whether a setting is the one that nobody needs to name: plans and journals leave it out.
fn is_default<T: Default + PartialEq>(setting: &T) -> bool {
    *setting == T::default()
}

/// Where a local model is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA accelerator, by its number.
    Cuda(usize),
    /// An Apple accelerator, by its number.
    Metal(usize),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal(number) => write!(f, "metal:{number}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let (kind, number) = name.split_once(':').unwrap_or((name, "0"));
        let number = number.parse().ok().filter(|_| name != "cpu:0");
        match (kind, number) {
            ("cpu", Some(0)) => Ok(Self::Cpu),
            ("cuda", Some(number)) => Ok(Self::Cuda(number)),
            ("metal", Some(number)) => Ok(Self::Metal(number)),
            _ => Err(format!("no device is called `{name}`: there are cpu, cuda:N and metal:N")),
        }
    }
}

impl TryFrom<String> for Device {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

/// Where a local subject's weights come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelSource {
    /// A GGUF file, a safetensors file or a Hugging Face folder.
    Path(PathBuf),
    /// Made from the canary's weights on first use, in this quantization (as in `quantgate quantize --to`), then cached.
    Quantize(String),
    /// On the Hugging Face Hub: `owner/name@revision/file`, or `owner/name@revision` for a whole folder.
    Hub(String),
}

/// A model run in this process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalSpec {
    /// Its weights.
    pub source: ModelSource,
    /// A tokenizer.json to use in place of the model's own.
    pub tokenizer: Option<PathBuf>,
    /// How it multiplies.
    pub arithmetic: Arithmetic,
    /// How it remembers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kv: KvType,
    /// Where it computes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub device: Device,
    /// llama.cpp's importance matrix to quantize it by, for [`ModelSource::Quantize`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imatrix: Option<PathBuf>,
}

impl LocalSpec {
    /// A model with every setting at its default.
    #[must_use]
    pub fn new(source: ModelSource) -> Self {
        let (arithmetic, kv, device) = (Arithmetic::default(), KvType::default(), Device::default());
        Self { source, tokenizer: None, arithmetic, kv, device, imatrix: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_its_name_and_a_spec_with_defaults_is_written_as_before_there_were_any() {
        for (name, device) in [("cpu", Device::Cpu), ("cuda:0", Device::Cuda(0)), ("metal:3", Device::Metal(3))] {
            assert_eq!(name.parse(), Ok(device));
            assert_eq!(device.to_string(), name);
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for wrong in ["", "gpu", "cuda:", "cuda:-1", "cpu:1", "cpu:0", "cuda:x"] {
            assert!(wrong.parse::<Device>().is_err(), "{wrong}");
        }
        let spec = LocalSpec::new(ModelSource::Quantize("q4_0".into()));
        let written = serde_json::to_string(&spec).expect("a spec is JSON");
        assert_eq!(written, r#"{"source":{"quantize":"q4_0"},"tokenizer":null,"arithmetic":"weights-f32"}"#);
        assert_eq!(serde_json::from_str::<LocalSpec>(&written).expect("it is read again"), spec);
    }
}
