//! The types to which keys, values and queries are rounded, as ggml rounds them; every number stays an f32.
//!
//! What is reproduced of llama.cpp's processor backend: keys and values are rounded when they are stored, in blocks of 32
//! along a head, by the reference functions of `f16`, `q8_0` and `q4_0`. Where such blocks hold 8 or 4 bits and the head is a
//! multiple of 64, llama.cpp first turns queries and keys by a Hadamard matrix (as large a power of two as divides the head)
//! and values by one of 64, and turns the attended values back. The matrix is symmetric and orthogonal, so that turning,
//! rounding and turning back at once, as here, gives the same products. With ggml's arithmetic, queries are rounded to the type
//! that its dot product takes: f16 against f16 keys, `q8_0` against `q8_0` and `q4_0` keys. Scores, softmax and weighted sums
//! stay in f32.
//!
//! What is not: with f16 keys llama.cpp does three things by circumstance. Many rows under flash attention multiply unrounded
//! queries; a few rows under it also add values up in f16; without it the softmax's weights are rounded to f16. One row's
//! result would depend on its company. Its vector code rounds `q8_0` ties to even, its reference (here) away from zero.

#![expect(clippy::inline_always, reason = "the whole kernel has to be compiled with the wide instructions of its caller")]

use crate::domain::{Arithmetic, KvType};

/// Values that share a scale.
pub(super) const BLOCK: usize = 32;
/// The least turning matrix, and the one for values.
const TURN: usize = 64;

/// How one kind of head is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rounding {
    kind: KvType,
    /// Size of the Hadamard matrix; 1 for none.
    turn: usize,
}

/// How queries, keys and values are rounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roundings {
    pub queries: Rounding,
    pub keys: Rounding,
    pub values: Rounding,
}

impl Roundings {
    /// As asked for, for heads of a size.
    pub(super) fn new(kv: KvType, arithmetic: Arithmetic, size: usize) -> Self {
        let turned = blocks(kv) && size.is_multiple_of(TURN);
        let largest = 1 << size.trailing_zeros();
        let of = |kind, turn| Rounding { kind, turn: if turned { turn } else { 1 } };
        let query = match (arithmetic, kv) {
            (Arithmetic::WeightsF32, _) => KvType::F32,
            (Arithmetic::Ggml, KvType::Q4_0) => KvType::Q8_0,
            (Arithmetic::Ggml, kv) => kv,
        };
        Self { queries: of(query, largest), keys: of(kv, largest), values: of(kv, TURN) }
    }

    /// Sizes of the Hadamard matrices of keys and of values, where they are turned.
    pub(super) fn turns(&self) -> Option<[usize; 2]> {
        (self.keys.turn > 1).then_some([self.keys.turn, self.values.turn])
    }
}

/// Whether a type rounds in blocks of [`BLOCK`].
pub(super) fn blocks(kv: KvType) -> bool {
    matches!(kv, KvType::Q8_0 | KvType::Q4_0)
}

impl Rounding {
    /// Whether nothing is rounded.
    pub(super) fn is_none(self) -> bool {
        self.kind == KvType::F32
    }

    /// Rounds one head.
    #[inline(always)]
    pub(super) fn apply(self, head: &mut [f32]) {
        if self.is_none() {
            return;
        }
        self.turn(head);
        match self.kind {
            KvType::F32 => {}
            KvType::F16 => head.iter_mut().for_each(|x| *x = to_f16(*x)),
            KvType::Q8_0 => head.as_chunks_mut().0.iter_mut().for_each(to_q8_0),
            KvType::Q4_0 => head.as_chunks_mut().0.iter_mut().for_each(to_q4_0),
        }
        self.turn(head);
    }

    /// Multiplies by the Hadamard matrix over its root, by the fast transform.
    #[inline(always)]
    fn turn(self, head: &mut [f32]) {
        if self.turn == 1 {
            return;
        }
        let scale = 1.0 / (self.turn as f32).sqrt();
        for part in head.chunks_exact_mut(self.turn) {
            let mut step = 1;
            while step < self.turn {
                for pair in part.chunks_exact_mut(2 * step) {
                    let (x, y) = pair.split_at_mut(step);
                    for (x, y) in x.iter_mut().zip(y) {
                        (*x, *y) = (*x + *y, *x - *y);
                    }
                }
                step *= 2;
            }
            for x in part {
                *x *= scale;
            }
        }
    }
}

/// The nearest half-precision number, even of two; an infinity from 65,520 on.
#[inline(always)]
fn to_f16(x: f32) -> f32 {
    // Units of half precision below 2⁻¹⁴ are those of single precision from 0.5 on.
    const LEAST_NORMAL: f32 = 6.103_515_6e-5;
    let size = x.abs();
    let bits = size.to_bits();
    let rounded = f32::from_bits((bits + 0xfff + (bits >> 13 & 1)) & !0x1fff);
    let small = (size + 0.5) - 0.5;
    let near = if size < LEAST_NORMAL { small } else { rounded };
    let finite = if size < 65_520.0 { near } else { size * f32::INFINITY };
    finite.copysign(x)
}

/// 8 bits a value and a half-precision scale.
#[inline(always)]
fn to_q8_0(block: &mut [f32; BLOCK]) {
    let most = block.iter().fold(0.0_f32, |most, x| if x.abs() > most { x.abs() } else { most });
    let scale = most / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let stored = to_f16(scale);
    for x in block {
        *x = (*x * inverse).round() * stored;
    }
}

/// 4 bits a value and a half-precision scale by which the value farthest from zero becomes −8.
#[inline(always)]
fn to_q4_0(block: &mut [f32; BLOCK]) {
    let farthest = block.iter().fold(0.0_f32, |far, &x| if x.abs() > far.abs() { x } else { far });
    let scale = farthest / -8.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let stored = to_f16(scale);
    for x in block {
        let level = (*x * inverse + 8.5).trunc();
        // Not `min`, which would drop a NaN.
        let level = if level > 15.0 { 15.0 } else { level };
        *x = (level - 8.0) * stored;
    }
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::{GgmlDType, QTensor};
    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn halves_are_those_of_the_half_crate() {
        let edges =
            [0.0, 6.1e-5, 5.96e-8, 2.98e-8, 2.99e-8, 65_504.0, 65_519.99, 65_520.0, 1e9, f32::INFINITY, 1.0, 2_049.0, 2_051.0];
        let spread = (0..200_000_u32).map(|i| f32::from_bits(0x3000_0000_u32.wrapping_add(i.wrapping_mul(7_919) % 0x2000_0000)));
        for x in edges.into_iter().chain(spread) {
            for x in [x, -x] {
                assert_eq!(to_f16(x).to_bits(), half::f16::from_f32(x).to_f32().to_bits(), "{x:e}");
            }
        }
        assert!(to_f16(f32::NAN).is_nan());
    }

    /// Numbers between −3 and 3.
    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7_919 + i * i * 31) % 6_007) as f32 / 1_001.0 - 3.0).collect()
    }

    #[test]
    fn blocks_are_rounded_as_the_tensor_library_quantizes_them() {
        for (kind, dtype) in [(KvType::Q8_0, GgmlDType::Q8_0), (KvType::Q4_0, GgmlDType::Q4_0)] {
            let rounding = Rounding { kind, turn: 1 };
            let mut ours = numbers(32 * 50);
            let tensor = Tensor::new(&ours[..], &Device::Cpu).expect("numbers");
            let theirs = QTensor::quantize(&tensor, dtype).and_then(|q| q.dequantize(&Device::Cpu)).expect("whole blocks");
            rounding.apply(&mut ours);
            assert_eq!(ours, theirs.to_vec1::<f32>().expect("numbers"), "{kind:?}");
        }
    }

    #[test]
    fn a_block_is_rounded_as_by_hand() {
        let mut block = [0.0; BLOCK];
        (block[0], block[1], block[2], block[3]) = (-127.0, 0.5, 2.4, -3.5);
        to_q8_0(&mut block);
        assert_eq!(block[..5], [-127.0, 1.0, 2.0, -4.0, 0.0], "a scale of 1, halves away from zero");
        (block[0], block[1], block[2], block[3]) = (-8.0, 7.9, 0.4, 0.6);
        to_q4_0(&mut block);
        assert_eq!(block[..5], [-8.0, 7.0, 0.0, 1.0, 0.0], "a scale of 1, at most 7");
        let mut zeros = [0.0; BLOCK];
        to_q4_0(&mut zeros);
        assert!(zeros.iter().all(|x| x.abs() < f32::MIN_POSITIVE));
        for round in [to_q8_0, to_q4_0] {
            let mut broken = [1.0; BLOCK];
            broken[7] = f32::NAN;
            round(&mut broken);
            assert!(broken[7].is_nan(), "what isn't a number stays so");
        }
    }

    #[test]
    fn heads_are_turned_by_the_hadamard_matrix_rounded_and_turned_back() {
        let roundings = Roundings::new(KvType::Q8_0, Arithmetic::Ggml, 192);
        assert_eq!(roundings.turns(), Some([64, 64]));
        assert_eq!(Roundings::new(KvType::Q4_0, Arithmetic::Ggml, 256).turns(), Some([256, 64]));
        assert_eq!(Roundings::new(KvType::Q8_0, Arithmetic::Ggml, 96).turns(), None);
        assert_eq!(Roundings::new(KvType::F16, Arithmetic::Ggml, 128).turns(), None);
        // Whole numbers, and a root of 8: every sum is exact.
        let head: Vec<f32> = numbers(64).into_iter().map(f32::round).collect();
        let matrix = |x: &[f32]| -> Vec<f32> {
            let sign = |i: usize, j: usize| if (i & j).count_ones().is_multiple_of(2) { 0.125 } else { -0.125 };
            (0..64).map(|i| x.iter().enumerate().map(|(j, x)| sign(i, j) * x).sum()).collect()
        };
        let mut expected = matrix(&head);
        Rounding { kind: KvType::Q4_0, turn: 1 }.apply(&mut expected);
        let expected = matrix(&expected);
        let mut found = head.clone();
        Rounding { kind: KvType::Q4_0, turn: 64 }.apply(&mut found);
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found} and {expected}");
        }
    }

    #[test]
    fn queries_are_rounded_to_the_type_that_is_multiplied_with_the_keys() {
        let query = |kv, arithmetic| Roundings::new(kv, arithmetic, 128).queries.kind;
        assert_eq!(query(KvType::Q4_0, Arithmetic::Ggml), KvType::Q8_0);
        assert_eq!(query(KvType::Q8_0, Arithmetic::Ggml), KvType::Q8_0);
        assert_eq!(query(KvType::F16, Arithmetic::Ggml), KvType::F16);
        assert_eq!(query(KvType::F32, Arithmetic::Ggml), KvType::F32);
        assert_eq!(query(KvType::Q4_0, Arithmetic::WeightsF32), KvType::F32);
    }
}
