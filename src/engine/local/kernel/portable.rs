//! The definition of a product of packed blocks with rounded rows: plain Rust that every other path equals bit for bit.
//!
//! For every row and output, in the order of the blocks: Σ scale · Σ (q − offset) · x in whole numbers, then
//! `total = fma(d · dx, that as f32, total)`; where a block has least values, then
//! `total = fma(−m · dx, (Σ least · Σ x) as f32, total)`, or `total = fma(m, s, total)` where the least value is an f16.

use std::ops::Range;

use half::f16;

use super::form::Form;
use super::pack::{GROUP, Line, Packed};
use super::rows::Rows;

/// A group's products with some rows; `take` gets each row's number in the range and its products.
pub(super) fn group(packed: &Packed, group: usize, rows: &Rows, range: Range<usize>, mut take: impl FnMut(usize, &[f32; GROUP])) {
    let form = packed.kind.form();
    assert!(rows.inputs == packed.inputs && rows.block == form.block && range.end <= rows.count());
    let (lines, sides) = packed.group(group);
    let steps: Vec<Line> = lines.chunks_exact(form.lines()).flat_map(|lines| unpack(form, lines)).collect();
    for (place, row) in range.enumerate() {
        let mut total = [0.0; GROUP];
        for (index, side) in sides.chunks_exact(form.side()).enumerate() {
            block(form, (&steps[index * form.block / 4..], side), (rows, row, index), &mut total);
        }
        take(place, &total);
    }
}

/// Adds one block's products.
fn block(form: &Form, (steps, side): (&[Line], &[u8]), (rows, row, index): (&Rows, usize, usize), total: &mut [f32; GROUP]) {
    let sums = if form.sub == 16 { &rows.sums_16 } else { &rows.sums_32 };
    let sums = &sums[(row * rows.inputs + index * form.block) / form.sub..][..form.block / form.sub];
    let x = &rows.q[row * rows.inputs + index * form.block..][..form.block];
    let at = row * (rows.inputs / form.block) + index;
    let mut whole = [0_i32; GROUP];
    let mut least = [0_i32; GROUP];
    for (part, (x, &sum)) in x.chunks_exact(form.sub).zip(sums).enumerate() {
        let mut products = [-form.offset * i32::from(sum); GROUP];
        for (step, x) in steps[part * form.sub / 4..].iter().zip(x.as_chunks::<4>().0) {
            for (product, four) in products.iter_mut().zip(step.0.as_chunks::<4>().0) {
                *product += four.iter().zip(x).map(|(&q, &x)| i32::from(q) * i32::from(x)).sum::<i32>();
            }
        }
        for output in 0..GROUP {
            let scale = if form.scaled { side[form.scales_at() + 16 * part + output].cast_signed() } else { 1 };
            whole[output] += i32::from(scale) * products[output];
            if form.mins {
                let min = side[form.mins_at() + 32 * (part / 2) + 2 * output + part % 2];
                least[output] += i32::from(min) * i32::from(sum);
            }
        }
    }
    for (output, total) in total.iter_mut().enumerate() {
        *total = (half(side, output) * rows.d[at]).mul_add(whole[output] as f32, *total);
        if form.mins {
            *total = (-half(side, GROUP + output) * rows.d[at]).mul_add(least[output] as f32, *total);
        }
        if form.floor {
            *total = half(side, GROUP + output).mul_add(rows.s[at], *total);
        }
    }
}

/// An f16 among the scales.
fn half(side: &[u8], index: usize) -> f32 {
    f16::from_le_bytes([side[2 * index], side[2 * index + 1]]).to_f32()
}

/// The eight steps that a unit's lines hold.
pub(super) fn unpack(form: &Form, lines: &[Line]) -> [Line; 8] {
    let mut steps = [Line([0; 64]); 8];
    let (low, high) = lines.split_at(form.low);
    let mask = u8::MAX >> (8 - form.low);
    for (index, step) in steps.iter_mut().enumerate() {
        let each = 8 / form.low;
        let (line, shift) = (&low[index / each], index % each * form.low);
        for (out, &byte) in step.0.iter_mut().zip(&line.0) {
            *out = (byte >> shift) & mask;
        }
        if let Some(each) = 8_usize.checked_div(form.high) {
            let (line, shift) = (&high[index / each], index % each * form.high);
            let mask = (1 << form.high) - 1;
            for (out, &byte) in step.0.iter_mut().zip(&line.0) {
                *out |= ((byte >> shift) & mask) << form.low;
            }
        }
    }
    steps
}
