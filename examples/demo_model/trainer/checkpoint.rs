//! Checkpoints that training goes on from, and the finished weights.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use super::Error;
use super::model::Model;
use super::optimizer::Optimizer;

/// File name of the checkpoint.
const STATE: &str = "state.safetensors";
/// Name of the one-element tensor that holds the number of finished steps.
const STEP: &str = "step";

/// Writes weights, optimizer states and the number of finished steps, all or nothing.
pub(super) fn save(folder: &Path, model: &Model, optimizer: &Optimizer, step: usize) -> Result<(), Error> {
    let mut tensors: HashMap<String, Tensor> = optimizer.tensors().into_iter().collect();
    tensors.extend(model.weights().iter().map(|(name, weight)| (name.clone(), weight.as_tensor().clone())));
    tensors.insert(STEP.into(), Tensor::new(&[step as u32], &Device::Cpu)?);
    let unfinished = folder.join("state.unfinished");
    candle_core::safetensors::save(&tensors, &unfinished)?;
    fs::rename(unfinished, folder.join(STATE))?;
    Ok(())
}

/// Restores a checkpoint, if the folder has one; returns the number of finished steps.
pub(super) fn load(folder: &Path, model: &Model, optimizer: &mut Optimizer) -> Result<usize, Error> {
    let path = folder.join(STATE);
    if !path.exists() {
        return Ok(0);
    }
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu)?;
    let find = |name: &str| {
        let missing = || candle_core::Error::Msg(format!("{}: no tensor is named {name}", path.display()));
        tensors.get(name).cloned().ok_or_else(missing)
    };
    for (name, weight) in model.weights() {
        weight.set(&find(name)?)?;
    }
    optimizer.restore(find)?;
    Ok(find(STEP)?.to_vec1::<u32>()?[0] as usize)
}

/// Writes the weights alone, rounded to bf16, as Hugging Face readers expect them.
pub(super) fn export(path: &Path, model: &Model) -> Result<(), Error> {
    let rounded = |(name, weight): (&String, &candle_core::Var)| Ok((name.clone(), weight.to_dtype(DType::BF16)?));
    let tensors = model.weights().iter().map(rounded).collect::<candle_core::Result<Vec<_>>>()?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(tensors, Some(metadata), path)?;
    Ok(())
}
