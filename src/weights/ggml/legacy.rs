//! Blocks of 32 weights with a scale of their own: `Q4_0`, `Q4_1`, `Q5_0`, `Q5_1`, `Q8_0`.

use half::f16;

use super::affine::{self, Grids};
use super::lanes::{LANES, squares, tile};
use super::{IMPORTANT, symmetric, weighed};

/// Weights of a block.
const BLOCK: usize = 32;

/// Levels from the block's weight of the greatest size (at level 0) to nearly its negative; `bits` each.
pub(super) fn symmetric(row: &[f32], bits: u32, out: &mut Vec<u8>) {
    let half = f32::from(1_u8 << (bits - 1));
    let top = (1_u8 << bits) - 1;
    for block in row.as_chunks::<BLOCK>().0 {
        let (mut size, mut extreme) = (0.0_f32, 0.0_f32);
        for &weight in block {
            let greater = size < weight.abs();
            size = if greater { weight.abs() } else { size };
            extreme = if greater { weight } else { extreme };
        }
        let scale = extreme / -half;
        let density = inverse(scale);
        let levels = block.map(|weight| truncated(weight * density + (half + 0.5)).min(top.into()) as u8);
        push_half(out, scale);
        push_levels(out, &levels, bits);
    }
}

/// Levels from the block's least weight up; `bits` each.
pub(super) fn affine(row: &[f32], bits: u32, out: &mut Vec<u8>) {
    let top = (1_u8 << bits) - 1;
    for block in row.as_chunks::<BLOCK>().0 {
        let min = block.iter().fold(f32::MAX, |min, &weight| if weight < min { weight } else { min });
        let max = block.iter().fold(f32::MIN, |max, &weight| if weight > max { weight } else { max });
        let scale = (max - min) / f32::from(top);
        let density = inverse(scale);
        let levels = block.map(|weight| truncated((weight - min) * density + 0.5).min(top.into()) as u8);
        push_half(out, scale);
        push_half(out, min);
        push_levels(out, &levels, bits);
    }
}

/// Bytes from -127 to 127.
pub(super) fn bytes(row: &[f32], out: &mut Vec<u8>) {
    for block in row.as_chunks::<BLOCK>().0 {
        let size = block.iter().fold(0.0_f32, |size, weight| if size > weight.abs() { size } else { weight.abs() });
        let scale = size / 127.0;
        let density = inverse(scale);
        push_half(out, scale);
        out.extend_from_slice(&block.map(|weight| rounded(weight * density)));
    }
}

/// As [`symmetric`], with scales searched by weights' importance.
pub(super) fn symmetric_by(row: &[f32], importance: &[f32], bits: u32, out: &mut Vec<u8>) {
    let variance = squares(row) / row.len() as f32;
    for (blocks, important) in row.chunks(BLOCK * LANES).zip(importance.chunks(BLOCK * LANES)) {
        let x = tile::<BLOCK, LANES>(blocks);
        let w = weighed(&x, &tile(important), variance);
        let found = symmetric::search(&x, &w, 1 << (bits - 1));
        for (lane, block) in blocks.as_chunks::<BLOCK>().0.iter().enumerate() {
            push_half(out, found.scale[lane]);
            push_levels(out, &block.map(|weight| found.level(lane, weight)), bits);
        }
    }
}

/// As [`affine`], with scales and minima searched by weights' importance.
pub(super) fn affine_by(row: &[f32], importance: &[f32], bits: u32, out: &mut Vec<u8>) {
    let variance = squares(row) / row.len() as f32;
    let grids = Grids { top: (1 << bits) - 1, ..IMPORTANT };
    for (blocks, important) in row.chunks(BLOCK * LANES).zip(importance.chunks(BLOCK * LANES)) {
        let x = tile::<BLOCK, LANES>(blocks);
        let w = weighed(&x, &tile(important), variance);
        let found = affine::search(&x, &w, grids);
        for (lane, block) in blocks.as_chunks::<BLOCK>().0.iter().enumerate() {
            push_half(out, found.scale[lane]);
            push_half(out, -found.depth[lane]);
            push_levels(out, &block.map(|weight| found.level(lane, weight)), bits);
        }
    }
}

/// `1 / scale`, and zero for zero.
fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// The integer part as a byte with a sign. Where a scale is so small that its inverse is infinite, processors make 0 of it.
#[inline(always)]
fn truncated(value: f32) -> i32 {
    if value.abs() < 256.0 { i32::from(value as i32 as i8) } else { 0 }
}

/// The nearest integer, halves away from zero, as the bits of a byte with a sign; 0 for what is infinite.
#[inline(always)]
fn rounded(value: f32) -> u8 {
    // The greatest number below one half: one half itself would lift the number below it to one.
    let away = value + 0.499_999_97_f32.copysign(value);
    truncated(away) as u8
}

fn push_half(out: &mut Vec<u8>, value: f32) {
    out.extend_from_slice(&f16::from_f32(value).to_le_bytes());
}

/// The levels' fifth bits, if they have five, as one number; then their low halves: weight `i` beside weight `i + 16`.
fn push_levels(out: &mut Vec<u8>, levels: &[u8; BLOCK], bits: u32) {
    if bits == 5 {
        let fifth = levels.iter().enumerate().fold(0_u32, |all, (i, level)| all | u32::from(level >> 4 & 1) << i);
        out.extend_from_slice(&fifth.to_le_bytes());
    }
    let (low, high) = levels.split_at(BLOCK / 2);
    out.extend(low.iter().zip(high).map(|(low, high)| low & 15 | (high & 15) << 4));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_away_from_zero_and_the_number_below_one_half_is_not() {
        for (value, rounds) in [(0.5, 1), (-0.5, -1), (1.5, 2), (2.5, 3), (-126.5, -127), (0.499_999_97, 0), (0.3, 0)] {
            assert_eq!(rounded(value).cast_signed(), rounds, "{value}");
        }
        let mut value = -127.25_f32;
        while value <= 127.25 {
            assert_eq!(i32::from(rounded(value).cast_signed()), value.round() as i32, "{value}");
            value += 0.125;
        }
        assert_eq!(rounded(f32::INFINITY), 0);
    }
}
