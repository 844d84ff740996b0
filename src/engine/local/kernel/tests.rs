//! Every path equals the definition to the last bit, and the definition equals a count by hand from the file's own blocks.

use half::f16;
use proptest::prelude::*;

use super::Path;
use super::decode::Block;
use super::form::{KINDS, Kind};
#[cfg(target_arch = "x86_64")]
use super::name;
use super::pack::Packed;
use super::plain::{Element, Plain};
use super::rows::Rows;
use super::tiles::{blocks, numbers};

/// The paths that this processor has.
fn paths() -> Vec<Path> {
    let paths = [
        Some(Path::Portable),
        #[cfg(target_arch = "x86_64")]
        (name() == "vnni-512").then_some(Path::Vnni),
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            (has!("avx2") && has!("fma") && has!("f16c")).then_some(Path::Avx2)
        },
    ];
    paths.into_iter().flatten().collect()
}

/// Numbers without a pattern.
fn noise(seed: u64) -> impl FnMut() -> u32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    }
}

/// Blocks of random bytes, or of one byte throughout; the f16 scales are ordinary, zero, subnormal or the largest.
fn matrix(kind: Kind, (outputs, inputs): (usize, usize), seed: u64) -> Vec<u8> {
    let form = kind.form();
    let mut random = noise(seed);
    let fill = [None, None, None, Some(0), Some(0xff), Some(0x80), Some(0x7f)][random() as usize % 7];
    let mut bytes: Vec<u8> =
        (0..outputs * inputs / form.block * form.bytes).map(|_| fill.unwrap_or_else(|| (random() >> 7) as u8)).collect();
    let places: &[usize] = match kind {
        Kind::Q8_0 | Kind::Q4_0 | Kind::Q5_0 => &[0],
        Kind::Q4_1 | Kind::Q5_1 | Kind::Q4K | Kind::Q5K => &[0, 2],
        Kind::Q2K => &[80, 82],
        Kind::Q3K => &[108],
        Kind::Q6K => &[208],
    };
    for block in bytes.chunks_exact_mut(form.bytes) {
        for &place in places {
            let scale = match random() % 8 {
                0 => f16::ZERO,
                1 => f16::from_bits((random() % 1_024) as u16),
                2 => f16::MAX,
                _ => f16::from_f32(random() as f32 / 2e11 - 0.005),
            };
            block[place..place + 2].copy_from_slice(&scale.to_le_bytes());
        }
    }
    bytes
}

/// Activations, some blocks of them zeros, extremes or tiny.
fn activations(count: usize, seed: u64) -> Vec<f32> {
    let mut random = noise(seed);
    let mut factor = 1.0;
    let value = |index: usize| {
        if index.is_multiple_of(32) {
            factor = [1.0, 1.0, 0.0, 1e-30, 1e4, 0.01][random() as usize % 6];
        }
        factor * if random().is_multiple_of(5) { 1.0 } else { random() as f32 / 1e9 - 1.0 }
    };
    (0..count).map(value).collect()
}

/// One output of one row, counted from the file's own block with what the rows were rounded to.
fn by_hand(kind: Kind, row: &[u8], rows: &Rows, index: usize) -> f32 {
    let form = kind.form();
    let (blocks, mut total) = (rows.inputs / form.block, 0.0_f32);
    for (number, raw) in row.chunks_exact(form.bytes).enumerate() {
        let mut block = Block::ZERO;
        block.read(kind, raw);
        let x = &rows.q[index * rows.inputs + number * form.block..][..form.block];
        let (mut whole, mut least) = (0_i32, 0_i32);
        for (at, (&q, &x)) in block.q.iter().zip(x).enumerate() {
            let scale = if form.scaled { i32::from(block.scales[at / form.sub]) } else { 1 };
            whole += scale * (i32::from(q) - form.offset) * i32::from(x);
            least += i32::from(block.mins[at / form.sub]) * i32::from(x);
        }
        let (d, m) = (f16::from_bits(block.d).to_f32(), f16::from_bits(block.m).to_f32());
        let at = index * blocks + number;
        total = (d * rows.d[at]).mul_add(whole as f32, total);
        if form.mins {
            total = (-(m * rows.d[at])).mul_add(least as f32, total);
        }
        if form.floor {
            total = m.mul_add(rows.s[at], total);
        }
    }
    total
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_path_gives_the_products_counted_by_hand(
        kind in 0..10_usize, outputs in 1..50_usize, count in 1..4_usize, long: bool, rows in 1..15_usize, seed: u64,
    ) {
        let kind = KINDS[kind];
        let inputs = if long { 8 } else { 1 } * count * kind.form().block;
        let bytes = matrix(kind, (outputs, inputs), seed);
        let packed = Packed::new(kind, &bytes, outputs, inputs);
        let x = activations(rows * inputs, seed ^ 1);
        let rounded = Rows::new(kind.form(), &x, inputs);
        let row = bytes.len() / outputs;
        for path in paths() {
            for tile in 0..outputs.div_ceil(32) {
                let mut out = vec![0.0; 32 * rows];
                let last = outputs.div_ceil(16) - 1;
                blocks(path, &packed, [2 * tile, (2 * tile + 1).min(last)], (&rounded, 0..rows), &mut out);
                for (index, out) in out.chunks_exact(32).enumerate() {
                    for (output, out) in (32 * tile..outputs).zip(out) {
                        let expected = by_hand(kind, &bytes[output * row..][..row], &rounded, index);
                        prop_assert!(out.to_bits() == expected.to_bits() || (out.is_nan() && expected.is_nan()),
                            "{:?} {:?}: {} for {} at {}, {}", path, kind, out, expected, index, output);
                    }
                }
                let mut alone = vec![0.0; 32];
                blocks(path, &packed, [2 * tile, (2 * tile + 1).min(last)], (&rounded, rows - 1..rows), &mut alone);
                let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(&alone), bits(&out[32 * (rows - 1)..]));
            }
        }
    }

    #[test]
    fn every_path_gives_the_same_products_of_numbers(
        element in 0..3_usize, outputs in 1..50_usize, inputs in 1..1_400_usize, rows in 1..28_usize, seed: u64,
    ) {
        let element = [Element::F32, Element::F16, Element::BF16][element];
        let values = activations(outputs * inputs, seed);
        let bytes: Vec<u8> = values.iter().flat_map(|x| match element {
            Element::F32 => x.to_le_bytes().to_vec(),
            Element::F16 => f16::from_f32(*x).to_le_bytes().to_vec(),
            Element::BF16 => half::bf16::from_f32(*x).to_le_bytes().to_vec(),
        }).collect();
        let plain = Plain::new(element, &bytes, outputs, inputs);
        let x = activations(rows * inputs, seed ^ 1);
        let last = outputs.div_ceil(16) - 1;
        for tile in 0..outputs.div_ceil(32) {
            let groups = [2 * tile, (2 * tile + 1).min(last)];
            let run = |path, x: &[f32]| {
                let mut out = vec![0.0; 32 * x.len() / inputs];
                numbers(path, &plain, groups, x, &mut out);
                out.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
            };
            let expected = run(Path::Portable, &x);
            for path in paths() {
                prop_assert_eq!(&run(path, &x), &expected);
                prop_assert_eq!(&run(path, &x[..inputs])[..], &expected[..32]);
            }
        }
    }
}

#[test]
fn decoded_blocks_are_what_the_library_de_quantizes() {
    use crate::weights::{Matrix, TensorType};
    let types = [
        TensorType::Q8_0,
        TensorType::Q4_0,
        TensorType::Q4_1,
        TensorType::Q5_0,
        TensorType::Q5_1,
        TensorType::Q2_K,
        TensorType::Q3_K,
        TensorType::Q4_K,
        TensorType::Q5_K,
        TensorType::Q6_K,
    ];
    for (kind, stored) in KINDS.into_iter().zip(types) {
        let form = kind.form();
        let bytes = matrix(kind, (8, 256), 5);
        let mut expected = vec![0.0; 8 * 256];
        Matrix { kind: stored, rows: 8, columns: 256, bytes: &bytes }.read(&mut expected).expect("whole blocks");
        for (raw, expected) in bytes.chunks_exact(form.bytes).zip(expected.chunks_exact(form.block)) {
            let mut block = Block::ZERO;
            block.read(kind, raw);
            let (d, m) = (f16::from_bits(block.d).to_f32(), f16::from_bits(block.m).to_f32());
            for (at, (&q, &expected)) in block.q.iter().zip(expected).enumerate() {
                let scale = if form.scaled { f32::from(block.scales[at / form.sub]) } else { 1.0 };
                let least = if form.mins { -m * f32::from(block.mins[at / form.sub]) } else { m };
                let value = d * scale * (i32::from(q) - form.offset) as f32 + if form.mins || form.floor { least } else { 0.0 };
                assert!((value - expected).abs() <= 1e-5 * (value.abs() + least.abs()), "{kind:?}: {value} for {expected}");
            }
        }
    }
}

#[test]
fn activations_are_rounded_as_ggml_rounds_them() {
    let x: Vec<f32> = (0..32).map(|i| if i == 3 { -254.0 } else { i as f32 }).collect();
    let rows = Rows::new(Kind::Q8_0.form(), &x, 32);
    // 127 / 254 is a half: odd numbers end on ties, which go to even.
    assert_eq!(rows.q[..8], [0, 0, 1, -127, 2, 2, 3, 4]);
    assert_eq!(rows.d, [2.0]);
    let x: Vec<f32> = (0..256).map(|i| if i == 3 { -254.0 } else { i as f32 / 2.0 }).collect();
    let rows = Rows::new(Kind::Q4K.form(), &x, 256);
    assert_eq!(rows.q[..6], [0, 0, 0, -127, 1, 1], "the largest magnitude becomes −127 where it is negative too");
    assert_eq!(rows.d, [2.0]);
}

#[test]
fn what_is_no_number_stays_none_in_every_product() {
    for kind in KINDS {
        for (broken, what) in [(f32::NAN, "nan"), (-f32::NAN, "-nan"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
            let mut x: Vec<f32> = (0..3 * 256).map(|i| (i % 7) as f32 - 3.0).collect();
            x[256..512].fill(broken);
            x[600] = broken;
            let rows = Rows::new(kind.form(), &x, 256);
            let mut bytes = matrix(kind, (16, 256), 5);
            // All scales are finite then, and none is zero.
            for byte in &mut bytes {
                *byte = (*byte & 0x3f) | 1;
            }
            let packed = Packed::new(kind, &bytes, 16, 256);
            for path in paths() {
                let mut out = vec![0.0; 32 * 3];
                blocks(path, &packed, [0, 0], (&rows, 0..3), &mut out);
                assert!(out[..32].iter().all(|x| x.is_finite()), "{kind:?} {path:?} {what}");
                assert!(out[32..].iter().all(|x| !x.is_finite()), "{kind:?} {path:?} {what}");
            }
        }
    }
}
