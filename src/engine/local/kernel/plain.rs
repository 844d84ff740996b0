//! Products with weights that are numbers (f32, f16, bf16) in f32: the panels, and the definition of a product.
//!
//! For every row and output: the inputs are taken in runs of 512; within a run `partial = fma(weight, x, partial)` in the
//! order of the inputs, from zero; the partial sums are added in the order of the runs, from zero.

use half::{bf16, f16};
use rayon::prelude::*;

use super::pack::{GROUP, Line};

/// Inputs that are summed before their sum is added to the total.
pub(super) const RUN: usize = 512;

/// How a panel stores its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(in crate::engine::local) enum Element {
    /// Single precision.
    F32,
    /// Half precision, 5 bits of exponent.
    F16,
    /// Half precision, 8 bits of exponent.
    BF16,
}

impl Element {
    /// Bytes of a number.
    pub(super) const fn bytes(self) -> usize {
        if matches!(self, Self::F32) { 4 } else { 2 }
    }
}

/// A matrix in panels of 16 outputs: the 16 numbers of one input side by side, input after input.
#[derive(Debug)]
pub(in crate::engine::local) struct Plain {
    pub(super) element: Element,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) lines: Vec<Line>,
}

impl Plain {
    /// Packs `[outputs, inputs]`, little-endian numbers row after row.
    ///
    /// # Panics
    /// Where the bytes are not so many.
    pub(in crate::engine::local) fn new(element: Element, bytes: &[u8], outputs: usize, inputs: usize) -> Self {
        let size = element.bytes();
        assert!(bytes.len() == outputs * inputs * size, "a matrix of whole rows");
        let lines = (inputs * GROUP * size).div_ceil(64);
        let mut panels = vec![Line([0; 64]); outputs.div_ceil(GROUP) * lines];
        let parts = panels.par_chunks_mut(lines.max(1)).zip(bytes.par_chunks((GROUP * inputs * size).max(1)));
        parts.for_each(|(panel, rows)| match element {
            Element::F32 => turn::<4>(panel, rows, inputs),
            _ => turn::<2>(panel, rows, inputs),
        });
        Self { element, outputs, inputs, lines: panels }
    }

    /// Packs `[outputs, inputs]` f32 on the calling thread.
    pub(in crate::engine::local) fn of(values: &[f32], inputs: usize) -> Self {
        let outputs = values.len() / inputs;
        let mut panels = vec![Line([0; 64]); outputs.div_ceil(GROUP) * inputs];
        for (panel, rows) in panels.chunks_mut(inputs).zip(values.chunks(GROUP * inputs)) {
            for (output, row) in rows.chunks_exact(inputs).enumerate() {
                for (line, x) in panel.iter_mut().zip(row) {
                    line.0[4 * output..][..4].copy_from_slice(&x.to_le_bytes());
                }
            }
        }
        Self { element: Element::F32, outputs, inputs, lines: panels }
    }

    /// The panel of a group of outputs.
    pub(super) fn group(&self, group: usize) -> &[Line] {
        let lines = (self.inputs * GROUP * self.element.bytes()).div_ceil(64);
        &self.lines[group * lines..][..lines]
    }

    /// The sixteen numbers of one input.
    fn numbers(&self, panel: &[Line], input: usize) -> [f32; GROUP] {
        std::array::from_fn(|output| {
            let at = (input * GROUP + output) * self.element.bytes();
            let raw = &panel[at / 64].0[at % 64..];
            match self.element {
                Element::F32 => f32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]),
                Element::F16 => f16::from_le_bytes([raw[0], raw[1]]).to_f32(),
                Element::BF16 => bf16::from_le_bytes([raw[0], raw[1]]).to_f32(),
            }
        })
    }

    /// A group's products with `[rows, inputs]`: `[rows, 16]`. The definition.
    pub(super) fn portable(&self, group: usize, x: &[f32]) -> Vec<[f32; GROUP]> {
        let panel = self.group(group);
        let numbers: Vec<[f32; GROUP]> = (0..self.inputs).map(|input| self.numbers(panel, input)).collect();
        let row = |x: &[f32]| {
            let mut total = [0.0_f32; GROUP];
            for (numbers, x) in numbers.chunks(RUN).zip(x.chunks(RUN)) {
                let mut partial = [0.0_f32; GROUP];
                for (numbers, &x) in numbers.iter().zip(x) {
                    for (partial, &number) in partial.iter_mut().zip(numbers) {
                        *partial = number.mul_add(x, *partial);
                    }
                }
                for (total, partial) in total.iter_mut().zip(partial) {
                    *total += partial;
                }
            }
            total
        };
        x.chunks_exact(self.inputs).map(row).collect()
    }
}

/// Turns up to sixteen rows into a panel.
fn turn<const N: usize>(panel: &mut [Line], rows: &[u8], inputs: usize) {
    for (output, row) in rows.chunks_exact(inputs * N).enumerate() {
        for (input, number) in row.as_chunks::<N>().0.iter().enumerate() {
            let at = (input * GROUP + output) * N;
            panel[at / 64].0[at % 64..][..N].copy_from_slice(number);
        }
    }
}

/// `x` rounded to the element's precision.
pub(super) fn rounded(element: Element, x: &[f32]) -> Vec<f32> {
    let mut out = x.to_vec();
    let round = |x: &mut f32| {
        *x = match element {
            Element::F32 => *x,
            Element::F16 => f16::from_f32(*x).to_f32(),
            Element::BF16 => bf16::from_f32(*x).to_f32(),
        };
    };
    out.par_chunks_mut(1 << 14).for_each(|x| x.iter_mut().for_each(round));
    out
}
