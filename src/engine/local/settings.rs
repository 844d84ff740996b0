//! How a model is computed, and why one can't be.

use super::rounding;
use crate::domain::{Arithmetic, Device, KvType, LocalSpec};
use crate::weights::Config;

/// A model that can't be run in this process.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its chat template isn't valid Jinja.
    #[error("the model's chat template cannot be read: {0}")]
    Template(String),
    /// Its device can't be used.
    #[error("the device {device} cannot be used: {problem}")]
    Device {
        /// As it was asked for.
        device: Device,
        /// The tensor library's words.
        problem: String,
    },
    /// Something is asked for that is not built.
    #[error("{0} is not built yet")]
    Settings(String),
    /// Its weights can't be taken over.
    #[error("the model's weights cannot be loaded: {0}")]
    Weights(String),
}

/// How a model is computed: everything that isn't in its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How it multiplies.
    pub arithmetic: Arithmetic,
    /// How it remembers.
    pub kv: KvType,
    /// Where it computes.
    pub device: Device,
    /// Most bytes beside the model's own that it may take for what it remembers and computes; none: 512 MiB.
    pub memory: Option<u64>,
}

impl Settings {
    /// As a subject's table says.
    #[must_use]
    pub fn of(spec: &LocalSpec) -> Self {
        Self { arithmetic: spec.arithmetic, kv: spec.kv, device: spec.device, memory: None }
    }

    /// Refuses what isn't built for a model of this shape, on a device of the tensor library or off it.
    pub(super) fn check(&self, on_device: bool, config: &Config) -> Result<(), LoadError> {
        if on_device && self.arithmetic != Arithmetic::WeightsF32 {
            return Err(LoadError::Settings(format!("{} on {}", self.arithmetic.name(), self.device)));
        }
        let (size, kv) = (config.head_size, self.kv.name());
        if rounding::blocks(self.kv) && !size.is_multiple_of(rounding::BLOCK) {
            let what = format!("rounding keys to {kv} in heads of {size} values, which are not whole blocks of 32,");
            return Err(LoadError::Settings(what));
        }
        Ok(())
    }
}
