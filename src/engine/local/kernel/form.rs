//! The block formats in one table: how each stores its integers and what multiplies them.

/// A block format of ggml's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(in crate::engine::local) enum Kind {
    /// 8 bits, a scale per 32 weights.
    Q8_0,
    /// 4 bits, a scale per 32 weights.
    Q4_0,
    /// 4 bits, a scale and a least value per 32 weights.
    Q4_1,
    /// 5 bits, a scale per 32 weights.
    Q5_0,
    /// 5 bits, a scale and a least value per 32 weights.
    Q5_1,
    /// 2 bits in super-blocks.
    Q2K,
    /// 3 bits in super-blocks.
    Q3K,
    /// 4 bits in super-blocks.
    Q4K,
    /// 5 bits in super-blocks.
    Q5K,
    /// 6 bits in super-blocks.
    Q6K,
}

/// All of them, in the order of [`FORMS`].
#[cfg(test)]
pub(super) const KINDS: [Kind; 10] =
    [Kind::Q8_0, Kind::Q4_0, Kind::Q4_1, Kind::Q5_0, Kind::Q5_1, Kind::Q2K, Kind::Q3K, Kind::Q4K, Kind::Q5K, Kind::Q6K];

/// What a format consists of.
#[derive(Debug)]
pub(super) struct Form {
    /// Bytes of a block in a file.
    pub(super) bytes: usize,
    /// Weights that share one f16 scale: 32 or 256.
    pub(super) block: usize,
    /// Weights that share one integer scale: 16 or 32.
    pub(super) sub: usize,
    /// Bits of an integer in the lower plane: 8, 4 or 2.
    pub(super) low: usize,
    /// Bits of an integer in the upper plane: 0, 1 or 2.
    pub(super) high: usize,
    /// What is taken from the stored integer.
    pub(super) offset: i32,
    /// Whether integer scales multiply the parts of a block.
    pub(super) scaled: bool,
    /// Whether integer least values stand beside the integer scales.
    pub(super) mins: bool,
    /// Whether an f16 least value stands beside the f16 scale of a block without integer scales.
    pub(super) floor: bool,
}

impl Form {
    const fn legacy(bytes: usize, (low, high): (usize, usize), offset: i32, floor: bool) -> Self {
        Self { bytes, block: 32, sub: 32, low, high, offset, scaled: false, mins: false, floor }
    }

    const fn super_block(bytes: usize, (low, high): (usize, usize), sub: usize, offset: i32) -> Self {
        Self { bytes, block: 256, sub, low, high, offset, scaled: true, mins: offset == 0, floor: false }
    }

    /// Lines of 64 bytes that 32 weights of 16 outputs take.
    pub(super) const fn lines(&self) -> usize {
        self.low + self.high
    }

    /// Bytes of one block's scales for 16 outputs.
    pub(super) const fn side(&self) -> usize {
        let parts = self.block / self.sub;
        let floats = if self.mins || self.floor { 64 } else { 32 };
        floats + if self.scaled { 16 * parts } else { 0 } + if self.mins { 16 * parts } else { 0 }
    }

    /// Where the integer scales of one block begin among its scales.
    pub(super) const fn scales_at(&self) -> usize {
        if self.mins || self.floor { 64 } else { 32 }
    }

    /// Where its integer least values begin.
    pub(super) const fn mins_at(&self) -> usize {
        self.scales_at() + 16 * (self.block / self.sub)
    }
}

/// The formats, by [`Kind`].
pub(super) const FORMS: [Form; 10] = [
    Form::legacy(34, (8, 0), 128, false),
    Form::legacy(18, (4, 0), 8, false),
    Form::legacy(20, (4, 0), 0, true),
    Form::legacy(22, (4, 1), 16, false),
    Form::legacy(24, (4, 1), 0, true),
    Form::super_block(84, (2, 0), 16, 0),
    Form::super_block(110, (2, 1), 16, 4),
    Form::super_block(144, (4, 0), 32, 0),
    Form::super_block(176, (4, 1), 32, 0),
    Form::super_block(210, (4, 2), 16, 32),
];

impl Kind {
    /// Its row of the table.
    pub(super) const fn form(self) -> &'static Form {
        &FORMS[self as usize]
    }
}
