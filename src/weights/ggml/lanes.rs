//! Groups of weights side by side: one lane a group, so that sums keep their order within each and lanes still run in parallel.

/// Groups that are searched at a time.
pub(super) const LANES: usize = 8;

/// `N` weights each of `K` groups, weight by weight: `tile[i][lane]`.
pub(super) type Tile<const N: usize, const K: usize> = [[f32; K]; N];

/// One number a group.
pub(super) type Lane<const K: usize> = [f32; K];

/// The first `K` groups of `N` weights that lie in `values` one after another; groups that are not there are zeros.
pub(super) fn tile<const N: usize, const K: usize>(values: &[f32]) -> Tile<N, K> {
    let mut tile = [[0.0; K]; N];
    for (lane, group) in values.as_chunks::<N>().0.iter().take(K).enumerate() {
        for (row, value) in tile.iter_mut().zip(group) {
            row[lane] = *value;
        }
    }
    tile
}

/// A tile made of another, weight by weight.
#[inline(always)]
pub(super) fn map<const N: usize, const K: usize>(x: &Tile<N, K>, f: impl Fn(f32) -> f32) -> Tile<N, K> {
    let mut out = *x;
    for row in &mut out {
        for value in row {
            *value = f(*value);
        }
    }
    out
}

/// The sums of a tile's groups, each in order.
pub(super) fn sums<const N: usize, const K: usize>(x: &Tile<N, K>) -> Lane<K> {
    let mut sums = [0.0; K];
    for row in x {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
    sums
}

/// The sum of squares, in order.
pub(super) fn squares(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |sum, value| sum + value * value)
}

/// The nearest integer, halves to the even one, for values below 2²²; what ggml makes of others is kept too: the addition
/// shifts the value's integer part into the low bits of the mantissa, and no more is looked at.
#[inline(always)]
pub(super) fn nearest(value: f32) -> i32 {
    let bits = (value + 12_582_912.0).to_bits();
    (bits & 0x007f_ffff).cast_signed() - 0x0040_0000
}

/// The nearest integer between two bounds.
#[inline(always)]
pub(super) fn level(value: f32, low: i32, high: i32) -> i32 {
    nearest(value).min(high).max(low)
}
