//! Packed weights: sixteen outputs side by side, so that one vector holds four weights of each.
//!
//! 32 weights of 16 outputs are eight *steps* of four weights; byte `4 · output + i` of a step is weight i of that output.
//! A plane keeps some bits of every step: 8 bits are the steps themselves, 4 bits hold two steps in a line of 64 bytes,
//! 2 bits hold four, 1 bit holds eight. The scales of a block stand apart: 16 f16 scales, 16 f16 of the least values, the
//! integer scales output by output for each part, the integer least values in pairs of parts.

use rayon::prelude::*;

use super::decode::Block;
use super::form::{Form, Kind};

/// Outputs side by side.
pub(super) const GROUP: usize = 16;

/// 64 bytes at a boundary of 64: one cache line, one vector.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u8; 64]);

/// Packed blocks of one matrix.
#[derive(Debug)]
pub(in crate::engine::local) struct Packed {
    pub(super) kind: Kind,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) quants: Vec<Line>,
    pub(super) sides: Vec<u8>,
}

impl Packed {
    /// Packs `[outputs, inputs]` as a file stores it: row after row of blocks.
    ///
    /// # Panics
    /// Where the bytes are not so many.
    pub(in crate::engine::local) fn new(kind: Kind, bytes: &[u8], outputs: usize, inputs: usize) -> Self {
        let form = kind.form();
        let blocks = inputs / form.block;
        let row = blocks * form.bytes;
        assert!(bytes.len() == outputs * row && inputs.is_multiple_of(form.block), "a matrix of whole blocks");
        let groups = outputs.div_ceil(GROUP);
        let lines = inputs / 32 * form.lines();
        let mut quants = vec![Line([0; 64]); groups * lines];
        let mut sides = vec![0; groups * blocks * form.side()];
        let parts = quants.par_chunks_mut(lines).zip(sides.par_chunks_mut(blocks * form.side()));
        parts.zip(bytes.par_chunks(GROUP * row)).for_each(|((quants, sides), bytes)| {
            let mut decoded = vec![Block::ZERO; GROUP];
            let places = quants.chunks_exact_mut(form.block / 32 * form.lines()).zip(sides.chunks_exact_mut(form.side()));
            for (index, (quants, side)) in places.enumerate() {
                for (decoded, row) in decoded.iter_mut().zip(bytes.chunks_exact(row)) {
                    decoded.read(kind, &row[index * form.bytes..][..form.bytes]);
                }
                for (unit, quants) in quants.chunks_exact_mut(form.lines()).enumerate() {
                    planes(form, &steps(&decoded, unit), quants);
                }
                scales(form, &decoded, side);
            }
        });
        Self { kind, outputs, inputs, quants, sides }
    }

    /// The lines and the scales of a group of outputs.
    pub(super) fn group(&self, group: usize) -> (&[Line], &[u8]) {
        let form = self.kind.form();
        let (lines, side) = (self.inputs / 32 * form.lines(), self.inputs / form.block * form.side());
        (&self.quants[group * lines..][..lines], &self.sides[group * side..][..side])
    }
}

/// Eight steps of 32 weights.
fn steps(blocks: &[Block], unit: usize) -> [Line; 8] {
    let mut steps = [Line([0; 64]); 8];
    for (output, block) in blocks.iter().enumerate() {
        for (step, four) in steps.iter_mut().zip(block.q[32 * unit..][..32].as_chunks::<4>().0) {
            step.0[4 * output..][..4].copy_from_slice(four);
        }
    }
    steps
}

/// Distributes the bits of eight steps over the lines of a unit.
fn planes(form: &Form, steps: &[Line; 8], lines: &mut [Line]) {
    let (low, high) = lines.split_at_mut(form.low);
    let each = 8 / form.low;
    let mask = u8::MAX >> (8 - form.low);
    for (line, steps) in low.iter_mut().zip(steps.chunks_exact(each)) {
        *line = gather(steps, |part, byte| (byte & mask) << (part * form.low));
    }
    if form.high > 0 {
        let mask = (1 << form.high) - 1;
        for (line, steps) in high.iter_mut().zip(steps.chunks_exact(8 / form.high)) {
            *line = gather(steps, |part, byte| ((byte >> form.low) & mask) << (part * form.high));
        }
    }
}

/// One line of the bits that `f` takes from each of some steps.
fn gather(steps: &[Line], f: impl Fn(usize, u8) -> u8) -> Line {
    let mut line = Line([0; 64]);
    for (part, step) in steps.iter().enumerate() {
        for (out, &byte) in line.0.iter_mut().zip(&step.0) {
            *out |= f(part, byte);
        }
    }
    line
}

/// The scales of one block of sixteen outputs.
fn scales(form: &Form, blocks: &[Block], side: &mut [u8]) {
    for (output, block) in blocks.iter().enumerate() {
        side[2 * output..][..2].copy_from_slice(&block.d.to_le_bytes());
        if form.mins || form.floor {
            side[32 + 2 * output..][..2].copy_from_slice(&block.m.to_le_bytes());
        }
        for part in 0..form.block / form.sub {
            if form.scaled {
                side[form.scales_at() + 16 * part + output] = block.scales[part].cast_unsigned();
            }
            if form.mins {
                side[form.mins_at() + 32 * (part / 2) + 2 * output + part % 2] = block.mins[part];
            }
        }
    }
}
