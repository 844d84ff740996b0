//! Super-blocks of 256 weights whose groups of 16 have a scale alone: `Q3_K`, `Q6_K`.

use half::f16;

use super::lanes::{LANES, Tile, level, map, nearest, squares, sums, tile};
use super::symmetric::{self, Symmetric, ZERO};
use super::{SUPER, push_quarters, weighed};

/// Groups of a super-block.
const GROUPS: usize = 16;

/// Weights of a group.
const GROUP: usize = 16;

/// Three bits a weight. `importance` is as long as the row.
pub(super) fn q3(row: &[f32], importance: Option<&[f32]>, out: &mut Vec<u8>) {
    for (index, block) in row.as_chunks::<SUPER>().0.iter().enumerate() {
        let importance = importance.map(|all| &all[index * SUPER..][..SUPER]);
        let (searched, scale, steps) = match importance {
            Some(importance) => three_by(block, importance),
            None => three(block),
        };
        let unit = f16::from_f32(scale);
        let signed = steps.map(|step| i32::from(step) - 32);
        let levels = levels(block, &searched, (unit, &signed), 4);
        let high = |i: usize| (0..8).fold(0, |byte, bit| byte | (levels[bit * 32 + i] >> 2 & 1) << bit);
        out.extend((0..32).map(high));
        push_quarters(out, &levels.map(|level| level & 3));
        out.extend((0..8).map(|j| steps[j] & 15 | (steps[j + 8] & 15) << 4));
        out.extend((0..4).map(|j| (0..4).fold(0, |byte, part| byte | steps[j + part * 4] >> 4 << (2 * part))));
        out.extend_from_slice(&unit.to_le_bytes());
    }
}

/// The levels of the search, the unit of scales, and the scales in units, 32 too high.
fn three(block: &[f32; SUPER]) -> ([u8; SUPER], f32, [u8; GROUPS]) {
    // Each step waits for the one before, so all groups go side by side here.
    let (scales, levels) = symmetric::refined::<GROUP, GROUPS>(&tile(block), 4);
    let searched = std::array::from_fn(|i| levels[i % GROUP][i / GROUP] as u8);
    let (extreme, _) = extreme(&scales);
    if extreme == 0.0 {
        return (searched, 0.0, [0; GROUPS]);
    }
    let inverse = -32.0 / extreme;
    let step = |scale| (i32::from(nearest(inverse * scale) as i8).clamp(-32, 31) + 32) as u8;
    (searched, 1.0 / inverse, scales.map(step))
}

/// As [`three`], by weights' importance.
fn three_by(block: &[f32; SUPER], importance: &[f32]) -> ([u8; SUPER], f32, [u8; GROUPS]) {
    let variance = 2.0 * squares(block) / SUPER as f32;
    let (mut searched, mut scales, mut sizes) = ([0; SUPER], [0.0; GROUPS], [0.0; GROUPS]);
    for first in [0, LANES] {
        let x: Tile<GROUP, LANES> = tile(&block[first * GROUP..]);
        let w = weighed(&x, &tile(&importance[first * GROUP..]), variance);
        let found = symmetric::search(&x, &w, 4);
        scales[first..first + LANES].copy_from_slice(&found.scale);
        sizes[first..first + LANES].copy_from_slice(&sums(&w));
        keep(&found, first, block, &mut searched);
    }
    let found = symmetric::search::<GROUPS, 1>(&tile(&scales), &tile(&sizes), 32);
    (searched, found.scale[0], scales.map(|scale| found.level(0, scale)))
}

/// Six bits a weight. `importance` is as long as the row.
pub(super) fn q6(row: &[f32], importance: Option<&[f32]>, out: &mut Vec<u8>) {
    for (index, block) in row.as_chunks::<SUPER>().0.iter().enumerate() {
        let (mut searched, mut scales) = ([0; SUPER], [0.0; GROUPS]);
        for first in [0, LANES] {
            let x: Tile<GROUP, LANES> = tile(&block[first * GROUP..]);
            let w = match importance {
                Some(all) => tile(&all[index * SUPER + first * GROUP..]),
                None => map(&x, |weight| weight * weight),
            };
            let found = symmetric::search(&x, &w, 32);
            scales[first..first + LANES].copy_from_slice(&found.scale);
            keep(&found, first, block, &mut searched);
        }
        let (extreme, size) = extreme(&scales);
        if size < ZERO {
            out.extend_from_slice(&[0; 210]);
            continue;
        }
        let inverse = -128.0 / extreme;
        let unit = f16::from_f32(1.0 / inverse);
        let steps = scales.map(|scale| nearest(inverse * scale).min(127) as i8);
        let levels = levels(block, &searched, (unit, &steps.map(i32::from)), 32);
        push_six(out, &levels);
        out.extend_from_slice(&steps.map(i8::cast_unsigned));
        out.extend_from_slice(&unit.to_le_bytes());
    }
}

/// Low halves of bytes for all levels, then their other two bits, four to a byte.
fn push_six(out: &mut Vec<u8>, levels: &[u8; SUPER]) {
    for half in levels.as_chunks::<128>().0 {
        let (first, second) = half.split_at(64);
        out.extend(first.iter().zip(second).map(|(low, high)| low & 15 | (high & 15) << 4));
    }
    for half in levels.as_chunks::<128>().0 {
        let high = |i: usize| (0..4).fold(0, |byte, part| byte | half[i + part * 32] >> 4 << (2 * part));
        out.extend((0..32).map(high));
    }
}

/// The scale of the greatest size, the first of those, and its size.
fn extreme(scales: &[f32; GROUPS]) -> (f32, f32) {
    let greater = |(extreme, size), &scale: &f32| if scale.abs() > size { (scale, scale.abs()) } else { (extreme, size) };
    scales.iter().fold((0.0, 0.0), greater)
}

/// Keeps the levels that a search gave its groups.
fn keep(found: &Symmetric<LANES>, first: usize, block: &[f32; SUPER], searched: &mut [u8; SUPER]) {
    let groups = block.as_chunks::<GROUP>().0.iter().zip(searched.as_chunks_mut::<GROUP>().0);
    for (lane, (weights, levels)) in groups.skip(first).take(LANES).enumerate() {
        *levels = weights.map(|weight| found.level(lane, weight));
    }
}

/// The nearest level to each weight by what is stored of its group; what the search found where the stored scale is zero.
fn levels(block: &[f32; SUPER], searched: &[u8; SUPER], (unit, steps): (f16, &[i32; GROUPS]), half: i32) -> [u8; SUPER] {
    let mut levels = *searched;
    let groups = block.as_chunks::<GROUP>().0.iter().zip(levels.as_chunks_mut::<GROUP>().0);
    for ((weights, levels), step) in groups.zip(steps) {
        let scale = unit.to_f32() * *step as f32;
        if scale != 0.0 {
            *levels = weights.map(|weight| (half + level(weight / scale, -half, half - 1)) as u8);
        }
    }
    levels
}
