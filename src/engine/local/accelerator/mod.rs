//! The decoder on an accelerator: the same passes over the same forest, on the tensor library's kernels for a device.
//!
//! Weights are de-quantized to f32 once and stay on the device, where every product and all of attention is in f32. Here the
//! library's kernels decide the order of sums: a row's last bits may depend on its company, as they never do on the processor.
//! Keys and values that are rounded in blocks take the way over main memory.

mod attention;
mod body;
mod store;

pub(super) use self::body::Accelerator;
pub(super) use self::store::Store;

use candle_core::Device;

use super::LoadError;

/// A device of the tensor library; none for the processor, which has a decoder of its own.
pub(super) fn open(device: crate::domain::Device) -> Result<Option<Device>, LoadError> {
    let opened = match device {
        crate::domain::Device::Cpu => return Ok(None),
        crate::domain::Device::Cuda(number) => Device::new_cuda(number),
        crate::domain::Device::Metal(number) => Device::new_metal(number),
    };
    opened.map(Some).map_err(|error| LoadError::Device { device, problem: error.to_string() })
}
