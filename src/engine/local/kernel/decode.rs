//! Blocks as files store them, taken apart into integers and scales.

use super::form::Kind;

/// One block: the integers with their offset still in them, and what multiplies them.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Integers, in the order of the weights.
    pub(super) q: [u8; 256],
    /// Integer scales.
    pub(super) scales: [i8; 16],
    /// Integer least values.
    pub(super) mins: [u8; 16],
    /// Bits of the f16 scale.
    pub(super) d: u16,
    /// Bits of the f16 that multiplies the least values, or is one.
    pub(super) m: u16,
}

impl Block {
    /// Nothing but zeros.
    pub(super) const ZERO: Self = Self { q: [0; 256], scales: [0; 16], mins: [0; 16], d: 0, m: 0 };

    /// Reads a block of the kind.
    pub(super) fn read(&mut self, kind: Kind, raw: &[u8]) {
        let half = |at: usize| u16::from_le_bytes([raw[at], raw[at + 1]]);
        match kind {
            Kind::Q8_0 => {
                self.d = half(0);
                for (q, &x) in self.q[..32].iter_mut().zip(&raw[2..34]) {
                    *q = x ^ 0x80;
                }
            }
            Kind::Q4_0 => {
                self.d = half(0);
                self.nibbles(&raw[2..18]);
            }
            Kind::Q4_1 => {
                (self.d, self.m) = (half(0), half(2));
                self.nibbles(&raw[4..20]);
            }
            Kind::Q5_0 => {
                self.d = half(0);
                self.nibbles(&raw[6..22]);
                self.fifth(&raw[2..6]);
            }
            Kind::Q5_1 => {
                (self.d, self.m) = (half(0), half(2));
                self.nibbles(&raw[8..24]);
                self.fifth(&raw[4..8]);
            }
            Kind::Q2K => {
                (self.d, self.m) = (half(80), half(82));
                for (index, &byte) in raw[..16].iter().enumerate() {
                    (self.scales[index], self.mins[index]) = ((byte & 15).cast_signed(), byte >> 4);
                }
                self.pairs(&raw[16..80]);
            }
            Kind::Q3K => {
                self.d = half(108);
                self.pairs(&raw[32..96]);
                self.bits(&raw[..32], 4);
                self.scales_of_3(&raw[96..108]);
            }
            Kind::Q4K => {
                (self.d, self.m) = (half(0), half(2));
                self.scales_and_mins(&raw[4..16]);
                self.long_nibbles(&raw[16..144]);
            }
            Kind::Q5K => {
                (self.d, self.m) = (half(0), half(2));
                self.scales_and_mins(&raw[4..16]);
                self.long_nibbles(&raw[48..176]);
                self.bits(&raw[16..48], 16);
            }
            Kind::Q6K => {
                self.d = half(208);
                for (scale, &x) in self.scales.iter_mut().zip(&raw[192..208]) {
                    *scale = x.cast_signed();
                }
                self.sixes(&raw[..128], &raw[128..192]);
            }
        }
    }

    /// 16 bytes: the lower halves are weights 0 to 15, the upper ones 16 to 31.
    fn nibbles(&mut self, raw: &[u8]) {
        for (index, &byte) in raw.iter().enumerate() {
            (self.q[index], self.q[index + 16]) = (byte & 15, byte >> 4);
        }
    }

    /// 32 bits, one per weight: the fifth.
    fn fifth(&mut self, raw: &[u8]) {
        for (index, q) in self.q[..32].iter_mut().enumerate() {
            *q |= ((raw[index / 8] >> (index % 8)) & 1) << 4;
        }
    }

    /// 64 bytes: each run of 32 holds four runs of 32 weights, two bits each.
    fn pairs(&mut self, raw: &[u8]) {
        for (q, raw) in self.q.chunks_exact_mut(128).zip(raw.chunks_exact(32)) {
            for (part, q) in q.chunks_exact_mut(32).enumerate() {
                for (q, &byte) in q.iter_mut().zip(raw) {
                    *q = (byte >> (2 * part)) & 3;
                }
            }
        }
    }

    /// 128 bytes: each run of 32 holds two runs of 32 weights, lower and upper halves.
    fn long_nibbles(&mut self, raw: &[u8]) {
        for (q, raw) in self.q.chunks_exact_mut(64).zip(raw.chunks_exact(32)) {
            let (low, high) = q.split_at_mut(32);
            for ((low, high), &byte) in low.iter_mut().zip(high).zip(raw) {
                (*low, *high) = (byte & 15, byte >> 4);
            }
        }
    }

    /// 32 bytes whose bit n belongs to the n-th run of 32 weights; it is worth `value`.
    fn bits(&mut self, raw: &[u8], value: u8) {
        for (part, q) in self.q.chunks_exact_mut(32).enumerate() {
            for (q, &byte) in q.iter_mut().zip(raw) {
                *q |= ((byte >> part) & 1) * value;
            }
        }
    }

    /// 128 bytes of lower halves and 64 of upper pairs.
    fn sixes(&mut self, low: &[u8], high: &[u8]) {
        for ((q, low), high) in self.q.chunks_exact_mut(128).zip(low.chunks_exact(64)).zip(high.chunks_exact(32)) {
            for (part, q) in q.chunks_exact_mut(32).enumerate() {
                let low = &low[32 * (part % 2)..][..32];
                for ((q, &low), &high) in q.iter_mut().zip(low).zip(high) {
                    *q = ((low >> (4 * (part / 2))) & 15) | (((high >> (2 * part)) & 3) << 4);
                }
            }
        }
    }

    /// 12 bytes: eight pairs of a scale and a least value, 6 bits each.
    fn scales_and_mins(&mut self, raw: &[u8]) {
        for index in 0..4 {
            let (first, second, both) = (raw[index], raw[index + 4], raw[index + 8]);
            (self.scales[index], self.mins[index]) = ((first & 63).cast_signed(), second & 63);
            self.scales[index + 4] = ((both & 15) | ((first >> 6) << 4)).cast_signed();
            self.mins[index + 4] = (both >> 4) | ((second >> 6) << 4);
        }
    }

    /// 12 bytes: sixteen scales of 6 bits, less 32.
    fn scales_of_3(&mut self, raw: &[u8]) {
        for (index, scale) in self.scales.iter_mut().enumerate() {
            let low = (raw[index % 8] >> (4 * (index / 8))) & 15;
            let high = (raw[8 + index % 4] >> (2 * (index / 4))) & 3;
            *scale = (low | (high << 4)).cast_signed() - 32;
        }
    }
}
