//! Model files: GGUF and safetensors, read and written; quantization and its mixes.
//!
//! [`Checkpoint`] is one open model, whatever its form; it names tensors as GGUF does.

mod checkpoint;
mod config;
mod describe;
mod error;
mod facts;
mod folder;
mod ggml;
mod gguf;
mod imatrix;
mod layout;
mod mapped;
mod matrix;
mod metadata;
mod quantize;
mod recipe;
mod rope;
mod safetensors;
mod shape;
mod special;
mod template;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use checkpoint::Checkpoint;
pub use config::Config;
pub use error::WeightsError;
pub use facts::Facts;
pub use ggml::quantize_rows;
pub use gguf::TensorType;
pub use imatrix::{Imatrix, Order};
pub use matrix::Matrix;
pub use quantize::{QUANTIZER, quantize, strangers};
pub use recipe::Recipe;
pub use shape::{Activation, Architecture, Experts, Rope, RopeOrder, RopeScaling};
pub use special::Special;
