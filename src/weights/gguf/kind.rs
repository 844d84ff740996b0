//! Tensor types: ggml's numbers, names and block sizes.

use std::fmt;

use candle_core::quantized::GgmlDType;

/// The type of a stored tensor, by ggml's number; unknown numbers are kept, so that a file can still be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorType(pub(in crate::weights) u32);

/// One row: number, name, weights in a block, bytes of a block, candle's name for it where candle reads it.
type Row = (u32, &'static str, u64, u64, Option<GgmlDType>);

/// ggml's types; sizes as in ggml's type table.
const KNOWN: &[Row] = &[
    (0, "f32", 1, 4, Some(GgmlDType::F32)),
    (1, "f16", 1, 2, Some(GgmlDType::F16)),
    (2, "q4_0", 32, 18, Some(GgmlDType::Q4_0)),
    (3, "q4_1", 32, 20, Some(GgmlDType::Q4_1)),
    (6, "q5_0", 32, 22, Some(GgmlDType::Q5_0)),
    (7, "q5_1", 32, 24, Some(GgmlDType::Q5_1)),
    (8, "q8_0", 32, 34, Some(GgmlDType::Q8_0)),
    (9, "q8_1", 32, 36, None),
    (10, "q2_k", 256, 84, Some(GgmlDType::Q2K)),
    (11, "q3_k", 256, 110, Some(GgmlDType::Q3K)),
    (12, "q4_k", 256, 144, Some(GgmlDType::Q4K)),
    (13, "q5_k", 256, 176, Some(GgmlDType::Q5K)),
    (14, "q6_k", 256, 210, Some(GgmlDType::Q6K)),
    (15, "q8_k", 256, 292, None),
    (16, "iq2_xxs", 256, 66, None),
    (17, "iq2_xs", 256, 74, None),
    (18, "iq3_xxs", 256, 98, None),
    (19, "iq1_s", 256, 50, None),
    (20, "iq4_nl", 32, 18, None),
    (21, "iq3_s", 256, 110, None),
    (22, "iq2_s", 256, 82, None),
    (23, "iq4_xs", 256, 136, None),
    (24, "i8", 1, 1, None),
    (25, "i16", 1, 2, None),
    (26, "i32", 1, 4, None),
    (27, "i64", 1, 8, None),
    (28, "f64", 1, 8, None),
    (29, "iq1_m", 256, 56, None),
    (30, "bf16", 1, 2, Some(GgmlDType::BF16)),
    (34, "tq1_0", 256, 54, None),
    (35, "tq2_0", 256, 66, None),
    (39, "mxfp4", 32, 17, None),
];

impl TensorType {
    /// Single precision.
    pub const F32: Self = Self(0);
    /// Half precision, 5 bits of exponent.
    pub const F16: Self = Self(1);
    /// 4 bits, a scale per 32 weights.
    pub const Q4_0: Self = Self(2);
    /// 4 bits, a scale and a least value per 32 weights.
    pub const Q4_1: Self = Self(3);
    /// 5 bits, a scale per 32 weights.
    pub const Q5_0: Self = Self(6);
    /// 5 bits, a scale and a least value per 32 weights.
    pub const Q5_1: Self = Self(7);
    /// 8 bits, a scale per 32 weights.
    pub const Q8_0: Self = Self(8);
    /// 2 bits in super-blocks of 256 weights.
    pub const Q2_K: Self = Self(10);
    /// 3 bits in super-blocks of 256 weights.
    pub const Q3_K: Self = Self(11);
    /// 4 bits in super-blocks of 256 weights.
    pub const Q4_K: Self = Self(12);
    /// 5 bits in super-blocks of 256 weights.
    pub const Q5_K: Self = Self(13);
    /// 6 bits in super-blocks of 256 weights.
    pub const Q6_K: Self = Self(14);
    /// Half precision, 8 bits of exponent.
    pub const BF16: Self = Self(30);

    fn row(self) -> Option<&'static Row> {
        KNOWN.iter().find(|row| row.0 == self.0)
    }

    /// Weights in a block and bytes of a block; none for a number that is not in the table.
    #[must_use]
    pub fn block(self) -> Option<(u64, u64)> {
        self.row().map(|row| (row.2, row.3))
    }

    /// candle's name for the type; none where candle cannot de-quantize it.
    pub(in crate::weights) fn dtype(self) -> Option<GgmlDType> {
        self.row().and_then(|row| row.4)
    }

    /// Whether values are stored one by one: f32, f16 or bf16.
    #[must_use]
    pub fn is_plain(self) -> bool {
        [Self::F32, Self::F16, Self::BF16].contains(&self)
    }

    /// Bytes of a tensor of this type; none for an unknown type, for rows that are no whole blocks, or on overflow.
    #[must_use]
    pub fn size(self, columns: u64, rows: u64) -> Option<u64> {
        let (weights, bytes) = self.block()?;
        if !columns.is_multiple_of(weights) {
            return None;
        }
        (columns / weights).checked_mul(bytes)?.checked_mul(rows)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => f.pad(row.1),
            None => write!(f, "ggml type {}", self.0),
        }
    }
}
