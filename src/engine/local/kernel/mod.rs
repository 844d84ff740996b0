//! Products of packed weights: the one place of the engine with vector instructions in it.
//!
//! Weights are packed once, sixteen outputs side by side (`pack` for ggml's blocks, `plain` for numbers); activations are
//! rounded as the blocks ask (`rows`). `portable` and `plain` define every product in plain Rust; `vnni`, `wide` and `avx2`
//! compute the same numbers to the last bit with wider instructions, chosen once by what the processor has. A row's result
//! depends on nothing but the row and the weights.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod decode;
mod form;
mod pack;
mod plain;
mod portable;
mod rows;
mod slab;
#[cfg(test)]
mod tests;
mod tiles;
#[cfg(target_arch = "x86_64")]
mod vnni;
#[cfg(target_arch = "x86_64")]
mod wide;

pub(super) use self::form::Kind;
pub(super) use self::pack::Packed;
pub(super) use self::plain::{Element, Plain};
pub(super) use self::slab::Slab;
pub(super) use self::tiles::{Inputs, TILE, Weights};

use std::sync::LazyLock;

/// The instructions that products run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Vnni,
    /// AVX2 with FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Whatever the compiler makes of plain Rust.
    Portable,
}

/// The best that this processor has.
static PATH: LazyLock<Path> = LazyLock::new(|| {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let wide = has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512vnni");
        if wide && has!("avx512dq") && has!("avx512cd") {
            return Path::Vnni;
        }
        if has!("avx2") && has!("fma") && has!("f16c") {
            return Path::Avx2;
        }
    }
    Path::Portable
});

/// The name of the instructions in use: `vnni-512`, `avx2` or `portable`.
pub(super) fn name() -> &'static str {
    match *PATH {
        #[cfg(target_arch = "x86_64")]
        Path::Vnni => "vnni-512",
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => "avx2",
        Path::Portable => "portable",
    }
}
