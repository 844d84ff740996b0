//! Packed weights times activations, tile by tile of outputs, on the instructions at hand.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "calls of functions compiled for instructions that the processor was asked for")
)]

use std::ops::Range;
use std::sync::OnceLock;

use super::form::Kind;
use super::pack::{GROUP, Packed};
use super::plain::{Element, Plain, rounded};
use super::rows::Rows;
use super::slab::Slab;
use super::{PATH, Path, portable};

/// Outputs that are computed together.
pub(in crate::engine::local) const TILE: usize = 2 * GROUP;

/// Bytes of activations that are multiplied by one tile after another.
const RESIDENT: usize = 384 << 10;

/// Packed weights.
#[derive(Debug)]
pub(in crate::engine::local) enum Weights {
    /// ggml's blocks; the activations are rounded for them.
    Blocks(Packed),
    /// Numbers.
    Plain(Plain),
}

/// Activations `[rows, inputs]` in every form that some weights ask for, each made once.
pub(in crate::engine::local) struct Inputs<'a> {
    values: &'a [f32],
    width: usize,
    /// Whether they are rounded to the precision of f16 and bf16 weights, as ggml does.
    round: bool,
    legacy: OnceLock<Rows>,
    super_blocks: OnceLock<Rows>,
    f16: OnceLock<Vec<f32>>,
    bf16: OnceLock<Vec<f32>>,
}

impl<'a> Inputs<'a> {
    /// Takes the rows.
    pub(in crate::engine::local) fn new(values: &'a [f32], width: usize, round: bool) -> Self {
        let (legacy, super_blocks, f16, bf16) = Default::default();
        Self { values, width, round, legacy, super_blocks, f16, bf16 }
    }

    /// Makes the form that these weights ask for.
    pub(in crate::engine::local) fn prepare(&self, weights: &Weights) {
        match weights {
            Weights::Blocks(packed) => _ = self.rows(packed.kind),
            Weights::Plain(plain) => _ = self.numbers(plain.element),
        }
    }

    fn rows(&self, kind: Kind) -> &Rows {
        let cell = if kind.form().block == 32 { &self.legacy } else { &self.super_blocks };
        cell.get_or_init(|| Rows::new(kind.form(), self.values, self.width))
    }

    fn numbers(&self, element: Element) -> &[f32] {
        match element {
            Element::F16 if self.round => self.f16.get_or_init(|| rounded(element, self.values)),
            Element::BF16 if self.round => self.bf16.get_or_init(|| rounded(element, self.values)),
            _ => self.values,
        }
    }

    /// How many rows there are.
    pub(in crate::engine::local) fn count(&self) -> usize {
        self.values.len() / self.width
    }
}

impl Weights {
    /// Number of outputs.
    pub(in crate::engine::local) fn outputs(&self) -> usize {
        match self {
            Self::Blocks(packed) => packed.outputs,
            Self::Plain(plain) => plain.outputs,
        }
    }

    /// Writes some tiles' products, output n to column `column + n` of the slab. The inputs are prepared for the weights.
    pub(in crate::engine::local) fn tiles(&self, tiles: Range<usize>, inputs: &Inputs<'_>, column: usize, slab: &mut Slab<'_>) {
        let bytes = if matches!(self, Self::Blocks(_)) { 1 } else { 4 };
        let most = (RESIDENT / bytes / inputs.width / 12 * 12).max(12);
        let mut products = vec![0.0; TILE * most.min(inputs.count())];
        for first in (0..inputs.count()).step_by(most) {
            let rows = first..inputs.count().min(first + most);
            for tile in tiles.clone() {
                let products = &mut products[..TILE * rows.len()];
                self.tile(tile, inputs, rows.clone(), products);
                let width = TILE.min(self.outputs() - tile * TILE);
                for (row, products) in rows.clone().zip(products.chunks_exact(TILE)) {
                    slab.put(row, column + tile * TILE, &products[..width]);
                }
            }
        }
    }

    /// The products of one tile with some rows: `[rows, TILE]`.
    fn tile(&self, tile: usize, inputs: &Inputs<'_>, rows: Range<usize>, out: &mut [f32]) {
        let last = self.outputs().div_ceil(GROUP) - 1;
        let groups = [2 * tile, (2 * tile + 1).min(last)];
        match self {
            Self::Blocks(packed) => blocks(*PATH, packed, groups, (inputs.rows(packed.kind), rows), out),
            Self::Plain(plain) => {
                let x = &inputs.numbers(plain.element)[rows.start * inputs.width..rows.end * inputs.width];
                numbers(*PATH, plain, groups, x, out);
            }
        }
    }
}

/// Two groups of packed blocks times some rows.
pub(super) fn blocks(path: Path, packed: &Packed, groups: [usize; 2], (rows, range): (&Rows, Range<usize>), out: &mut [f32]) {
    match path {
        // SAFETY: the path was chosen because the processor has its instructions.
        #[cfg(target_arch = "x86_64")]
        Path::Vnni => unsafe {
            use super::vnni::pair;
            let pair = match packed.kind {
                Kind::Q8_0 => pair::<0>,
                Kind::Q4_0 => pair::<1>,
                Kind::Q4_1 => pair::<2>,
                Kind::Q5_0 => pair::<3>,
                Kind::Q5_1 => pair::<4>,
                Kind::Q2K => pair::<5>,
                Kind::Q3K => pair::<6>,
                Kind::Q4K => pair::<7>,
                Kind::Q5K => pair::<8>,
                Kind::Q6K => pair::<9>,
            };
            pair(packed, groups, rows, range, out);
        },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { super::avx2::blocks(packed, groups, rows, range, out) },
        Path::Portable => {
            for (place, group) in groups.into_iter().enumerate() {
                portable::group(packed, group, rows, range.clone(), |row, products| {
                    out[TILE * row + GROUP * place..][..GROUP].copy_from_slice(products);
                });
            }
        }
    }
}

/// Two panels of numbers times some rows.
pub(super) fn numbers(path: Path, plain: &Plain, groups: [usize; 2], x: &[f32], out: &mut [f32]) {
    match path {
        // SAFETY: the path was chosen because the processor has its instructions.
        #[cfg(target_arch = "x86_64")]
        Path::Vnni => unsafe {
            use super::wide::pair;
            let pair = match plain.element {
                Element::F32 => pair::<0>,
                Element::F16 => pair::<1>,
                Element::BF16 => pair::<2>,
            };
            pair(plain, groups, x, out);
        },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { super::avx2::numbers(plain, groups, x, out) },
        Path::Portable => {
            for (place, group) in groups.into_iter().enumerate() {
                for (out, products) in out.chunks_exact_mut(TILE).zip(plain.portable(group, x)) {
                    out[GROUP * place..][..GROUP].copy_from_slice(&products);
                }
            }
        }
    }
}
