//! Super-blocks of 256 weights whose groups have a scale and a minimum: `Q2_K`, `Q4_K`, `Q5_K`.

use half::f16;

use super::affine::{self, Affine, Grids};
use super::lanes::{LANES, Tile, level, map, nearest, squares, sums, tile};
use super::symmetric::positive;
use super::{IMPORTANT, SUPER, push_quarters, weighed};

/// The grids of each type where no importance is known.
const PLAIN_2: Grids = Grids { top: 3, first: -0.5, stride: 0.1, tries: 15, absolute: true };
const PLAIN_4: Grids = Grids { top: 15, first: -1.0, stride: 0.1, tries: 20, absolute: false };
const PLAIN_5: Grids = Grids { top: 31, first: -0.5, stride: 0.1, tries: 15, absolute: false };

/// The greatest scale or minimum of a group of `Q4_K` and `Q5_K`, in units of the super-block's.
const TOP: u8 = 63;

/// Two bits a weight, 16 groups of 16. `importance` is as long as the row.
pub(super) fn q2(row: &[f32], importance: Option<&[f32]>, out: &mut Vec<u8>) {
    for (index, block) in row.as_chunks::<SUPER>().0.iter().enumerate() {
        let importance = importance.map(|all| &all[index * SUPER..][..SUPER]);
        let variance = squares(block) / SUPER as f32;
        let (mut scales, mut depths, mut sizes) = ([0.0; 16], [0.0; 16], [0.0; 16]);
        let found = [0, LANES].map(|first| {
            let x: Tile<16, LANES> = tile(&block[first * 16..]);
            let (w, grids) = match importance {
                Some(all) => (weighed(&x, &tile(&all[first * 16..]), variance), Grids { top: 3, ..IMPORTANT }),
                None => (map(&x, f32::abs), PLAIN_2),
            };
            let found = affine::search(&x, &w, grids);
            scales[first..first + LANES].copy_from_slice(&found.scale);
            depths[first..first + LANES].copy_from_slice(&found.depth);
            sizes[first..first + LANES].copy_from_slice(&sums(&w));
            found
        });
        let (scale, depth, nibbles) = match importance {
            Some(_) => {
                let (scale, low) = positive(&scales, &sizes, 15);
                let (depth, high) = positive(&depths, &sizes, 15);
                (scale, depth, std::array::from_fn(|j| low[j] | high[j] << 4))
            }
            None => nibbles(&scales, &depths),
        };
        let units = Units { scale: f16::from_f32(scale), depth: f16::from_f32(depth) };
        let steps = nibbles.map(|byte| (byte & 15, byte >> 4));
        let levels = units.levels::<16, 16>(block, &steps, &found);
        out.extend_from_slice(&nibbles);
        push_quarters(out, &levels);
        units.push(out);
    }
}

/// Four bits a weight, eight groups of 32.
pub(super) fn q4(row: &[f32], importance: Option<&[f32]>, out: &mut Vec<u8>) {
    eights(row, importance, PLAIN_4, out);
}

/// Five bits a weight, eight groups of 32.
pub(super) fn q5(row: &[f32], importance: Option<&[f32]>, out: &mut Vec<u8>) {
    eights(row, importance, PLAIN_5, out);
}

fn eights(row: &[f32], importance: Option<&[f32]>, plain: Grids, out: &mut Vec<u8>) {
    for (index, block) in row.as_chunks::<SUPER>().0.iter().enumerate() {
        let importance = importance.map(|all| &all[index * SUPER..][..SUPER]);
        let x: Tile<32, LANES> = tile(block);
        let (found, units, packed) = if let Some(important) = importance {
            let w = weighed(&x, &tile(important), 2.0 * squares(block) / SUPER as f32);
            let found = affine::search(&x, &w, Grids { top: plain.top, ..IMPORTANT });
            let sizes = sums(&w);
            let (scale, scales) = positive(&found.scale, &sizes, TOP);
            let (depth, depths) = positive(&found.depth, &sizes, TOP);
            let clip = |steps: [u8; LANES]| if plain.top > 15 { steps.map(|step| step.min(TOP)) } else { steps };
            (found, Units::of(scale, depth), pack(clip(scales), clip(depths)))
        } else {
            let found = affine::search(&x, &around_mean(&x), plain);
            let (scale, scales) = sixths(&found.scale);
            let (depth, depths) = sixths(&found.depth);
            (found, Units::of(scale, depth), pack(scales, depths))
        };
        let levels = units.levels::<32, LANES>(block, &unpack(&packed), &[found]);
        units.push(out);
        out.extend_from_slice(&packed);
        if plain.top > 15 {
            let bit = |group: usize, i: usize| (levels[group * 32 + i] >> 4 & 1) << group;
            out.extend((0..32).map(|i| (0..8).fold(0, |byte, group| byte | bit(group, i))));
        }
        for pair in levels.as_chunks::<64>().0 {
            let (low, high) = pair.split_at(32);
            out.extend(low.iter().zip(high).map(|(low, high)| low & 15 | (high & 15) << 4));
        }
    }
}

/// The importance of weights of which nothing is known: their size and their group's root mean square together.
fn around_mean(x: &Tile<32, LANES>) -> Tile<32, LANES> {
    let mean = sums(&map(x, |weight| weight * weight)).map(|sum| (sum / 32.0).sqrt());
    let mut w = *x;
    for row in &mut w {
        for (value, mean) in row.iter_mut().zip(mean) {
            *value = mean + value.abs();
        }
    }
    w
}

/// Scales and minima in fifteenths of the greatest, as bytes of two halves, and the units of both.
fn nibbles(scales: &[f32; 16], depths: &[f32; 16]) -> (f32, f32, [u8; 16]) {
    let (scale, depth) = (greatest(scales), greatest(depths));
    let mut bytes = [0; 16];
    for (byte, value) in bytes.iter_mut().zip(scales).filter(|_| scale > 0.0) {
        *byte = nearest(15.0 / scale * value) as u8;
    }
    for (byte, value) in bytes.iter_mut().zip(depths).filter(|_| depth > 0.0) {
        *byte |= (nearest(15.0 / depth * value) << 4) as u8;
    }
    (scale / 15.0, depth / 15.0, bytes)
}

/// Values in 63rds of the greatest, and the unit.
fn sixths(values: &[f32; LANES]) -> (f32, [u8; LANES]) {
    let greatest = greatest(values);
    let inverse = if greatest > 0.0 { f32::from(TOP) / greatest } else { 0.0 };
    (greatest / f32::from(TOP), values.map(|value| (nearest(inverse * value) as u8).min(TOP)))
}

fn greatest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |greatest, &value| if value > greatest { value } else { greatest })
}

/// Eight scales and eight minima of six bits in twelve bytes: the first four of each whole, the others' low four bits together
/// and their high two bits on top of the first.
fn pack(scales: [u8; LANES], depths: [u8; LANES]) -> [u8; 12] {
    let mut packed = [0; 12];
    packed[..4].copy_from_slice(&scales[..4]);
    packed[4..8].copy_from_slice(&depths[..4]);
    for j in 4..LANES {
        packed[j + 4] = scales[j] & 15 | (depths[j] & 15) << 4;
        packed[j - 4] |= scales[j] >> 4 << 6;
        packed[j] |= depths[j] >> 4 << 6;
    }
    packed
}

/// The scales and minima that [`pack`] packed.
fn unpack(packed: &[u8; 12]) -> [(u8, u8); LANES] {
    std::array::from_fn(|j| {
        if j < 4 {
            return (packed[j] & 63, packed[j + 4] & 63);
        }
        (packed[j + 4] & 15 | packed[j - 4] >> 6 << 4, packed[j + 4] >> 4 | packed[j] >> 6 << 4)
    })
}

/// The units of a super-block's scales and minima.
#[derive(Clone, Copy, Debug)]
struct Units {
    scale: f16,
    depth: f16,
}

impl Units {
    fn of(scale: f32, depth: f32) -> Self {
        Self { scale: f16::from_f32(scale), depth: f16::from_f32(depth) }
    }

    /// The nearest level to each weight by what is stored of its group; what the search found where the stored scale is zero.
    fn levels<const N: usize, const G: usize>(
        self,
        block: &[f32; SUPER],
        steps: &[(u8, u8); G],
        found: &[Affine<LANES>],
    ) -> [u8; SUPER] {
        let mut levels = [0; SUPER];
        let groups = block.as_chunks::<N>().0.iter().zip(levels.as_chunks_mut::<N>().0);
        for (j, (weights, levels)) in groups.enumerate() {
            let scale = self.scale.to_f32() * f32::from(steps[j].0);
            let depth = self.depth.to_f32() * f32::from(steps[j].1);
            let found = &found[j / LANES];
            if scale == 0.0 {
                *levels = weights.map(|weight| found.level(j % LANES, weight));
            } else {
                *levels = weights.map(|weight| level((weight + depth) / scale, 0, found.top) as u8);
            }
        }
        levels
    }

    fn push(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.scale.to_le_bytes());
        out.extend_from_slice(&self.depth.to_le_bytes());
    }
}
