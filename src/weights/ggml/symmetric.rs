//! The searches for a scale alone: a group's weights as `scale · level`, levels on both sides of zero, or all positive.

use pulp::{Arch, Simd, WithSimd};

use super::lanes::{Lane, Tile, level, nearest};

/// Groups with no weight of this size are zeros.
pub(super) const ZERO: f32 = 1e-15;

/// What was found of each group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symmetric<const K: usize> {
    /// The distance of two levels; may be negative.
    pub(super) scale: Lane<K>,
    /// Steps per unit of the grid that the levels were read on.
    density: Lane<K>,
    /// Whether all weights are zeros.
    empty: [bool; K],
    /// Minus the lowest level.
    half: i32,
}

impl<const K: usize> Symmetric<K> {
    /// The level that the search gave a weight of the group in this lane, counted from the lowest; 0 in empty groups.
    pub(super) fn level(&self, lane: usize, weight: f32) -> u8 {
        if self.empty[lane] {
            return 0;
        }
        (self.half + level(self.density[lane] * weight, -self.half, self.half - 1)) as u8
    }
}

/// The weight of the greatest size of each group, with its sign: the first of those.
#[inline(always)]
fn extremes<const N: usize, const K: usize>(x: &Tile<N, K>) -> (Lane<K>, [bool; K]) {
    let (mut extreme, mut size) = ([0.0; K], [0.0; K]);
    for row in x {
        for k in 0..K {
            let greater = row[k].abs() > size[k];
            size[k] = if greater { row[k].abs() } else { size[k] };
            extreme[k] = if greater { row[k] } else { extreme[k] };
        }
    }
    (extreme, size.map(|size| size < ZERO))
}

/// Finds each group's scale for levels from `-half` to `half - 1`: 19 grids around the one that has the greatest weight on its
/// last level, and the least-squares scale on each; the one with the least weighted squared error is kept.
pub(super) fn search<const N: usize, const K: usize>(x: &Tile<N, K>, w: &Tile<N, K>, half: u8) -> Symmetric<K> {
    Arch::new().dispatch(Search { x, w, half })
}

/// A search, to be compiled once for each width of vector instructions.
struct Search<'a, const N: usize, const K: usize> {
    x: &'a Tile<N, K>,
    w: &'a Tile<N, K>,
    half: u8,
}

impl<const N: usize, const K: usize> WithSimd for Search<'_, N, K> {
    type Output = Symmetric<K>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Symmetric<K> {
        find(self.x, self.w, self.half)
    }
}

#[inline(always)]
fn find<const N: usize, const K: usize>(x: &Tile<N, K>, w: &Tile<N, K>, half: u8) -> Symmetric<K> {
    let (extreme, empty) = extremes(x);
    let half = i32::from(half);
    let mut density = extreme.map(|extreme| -half as f32 / extreme);
    let (sum_xl, sum_l2) = sums(x, w, &density, half);
    let (mut scale, mut best) = ([0.0; K], [0.0; K]);
    for k in 0..K {
        scale[k] = if sum_l2[k] == 0.0 { 0.0 } else { sum_xl[k] / sum_l2[k] };
        best[k] = scale[k] * sum_xl[k];
    }
    for i in (-9_i8..=9).filter(|i| *i != 0) {
        let steps = half as f32 + 0.1 * f32::from(i);
        let tried = extreme.map(|extreme| -steps / extreme);
        let (sum_xl, sum_l2) = sums(x, w, &tried, half);
        for k in 0..K {
            let better = (sum_l2[k] > 0.0) & (sum_xl[k] * sum_xl[k] > best[k] * sum_l2[k]);
            let fitted = sum_xl[k] / sum_l2[k];
            density[k] = if better { tried[k] } else { density[k] };
            scale[k] = if better { fitted } else { scale[k] };
            best[k] = if better { fitted * sum_xl[k] } else { best[k] };
        }
    }
    for k in 0..K {
        scale[k] = if empty[k] { 0.0 } else { scale[k] };
    }
    Symmetric { scale, density, empty, half }
}

/// The weighted sums of weights times levels, and of squared levels, on a grid of this density.
#[inline(always)]
fn sums<const N: usize, const K: usize>(x: &Tile<N, K>, w: &Tile<N, K>, density: &Lane<K>, half: i32) -> (Lane<K>, Lane<K>) {
    let (mut sum_xl, mut sum_l2) = ([0.0; K], [0.0; K]);
    for i in 0..N {
        for k in 0..K {
            let l = level(density[k] * x[i][k], -half, half - 1) as f32;
            sum_xl[k] += w[i][k] * x[i][k] * l;
            sum_l2[k] += w[i][k] * l * l;
        }
    }
    (sum_xl, sum_l2)
}

/// Finds each group's scale for levels from `-half` to `half - 1`, each weight weighed by its square: from the grid that has the
/// greatest weight on its last level, levels are moved one by one while that lessens the error, five times over at most. Returns
/// the scales, and the levels counted from the lowest (0 in empty groups).
pub(super) fn refined<const N: usize, const K: usize>(x: &Tile<N, K>, half: u8) -> (Lane<K>, Tile<N, K>) {
    Arch::new().dispatch(Refinement { x, half })
}

/// A refinement, to be compiled once for each width of vector instructions.
struct Refinement<'a, const N: usize, const K: usize> {
    x: &'a Tile<N, K>,
    half: u8,
}

impl<const N: usize, const K: usize> WithSimd for Refinement<'_, N, K> {
    type Output = (Lane<K>, Tile<N, K>);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (Lane<K>, Tile<N, K>) {
        refine(self.x, self.half)
    }
}

#[inline(always)]
fn refine<const N: usize, const K: usize>(x: &Tile<N, K>, half: u8) -> (Lane<K>, Tile<N, K>) {
    let (extreme, empty) = extremes(x);
    let half = i32::from(half);
    let density = extreme.map(|extreme| -half as f32 / extreme);
    let (mut sum_xl, mut sum_l2) = ([0.0; K], [0.0; K]);
    let mut levels = [[0.0; K]; N];
    for i in 0..N {
        for k in 0..K {
            let l = level(density[k] * x[i][k], -half, half - 1) as f32;
            let w = x[i][k] * x[i][k];
            levels[i][k] = l;
            sum_xl[k] += w * x[i][k] * l;
            sum_l2[k] += w * l * l;
        }
    }
    for _ in 0..5 {
        let mut moves = [0; K];
        for i in 0..N {
            nudge(&x[i], half, &mut levels[i], (&mut sum_xl, &mut sum_l2), &mut moves);
        }
        if moves.iter().zip(&empty).all(|(moves, empty)| *moves == 0 || *empty) {
            break;
        }
    }
    let mut scale = [0.0; K];
    for k in 0..K {
        scale[k] = if (sum_l2[k] > 0.0) & !empty[k] { sum_xl[k] / sum_l2[k] } else { 0.0 };
        for row in &mut levels {
            row[k] = if empty[k] { 0.0 } else { row[k] + half as f32 };
        }
    }
    (scale, levels)
}

/// Moves one weight of each group to the level that fits the others' scale best, if that lessens the error; counts moves.
#[inline(always)]
fn nudge<const K: usize>(
    x: &Lane<K>,
    half: i32,
    levels: &mut Lane<K>,
    (sum_xl, sum_l2): (&mut Lane<K>, &mut Lane<K>),
    moves: &mut [u32; K],
) {
    for k in 0..K {
        let (x, old) = (x[k], levels[k]);
        let w = x * x;
        let rest_xl = sum_xl[k] - w * x * old;
        let rest_l2 = sum_l2[k] - w * old * old;
        let new = level(x * rest_l2 / rest_xl, -half, half - 1) as f32;
        let with_xl = rest_xl + w * x * new;
        let with_l2 = rest_l2 + w * new * new;
        let lessens = with_xl * with_xl * sum_l2[k] > sum_xl[k] * sum_xl[k] * with_l2;
        let better = (rest_xl > 0.0) & (new != old) & (with_l2 > 0.0) & lessens;
        levels[k] = if better { new } else { old };
        sum_xl[k] = if better { with_xl } else { sum_xl[k] };
        sum_l2[k] = if better { with_l2 } else { sum_l2[k] };
        moves[k] += u32::from(better);
    }
}

/// Finds the scale of positive values for levels from 0 to `top`, each with its weight: nine grids by their squared error,
/// then levels moved one by one, five times over at most. Returns the scale and the levels.
///
/// Levels are bytes, as in ggml: what a negative value would become is kept too.
pub(super) fn positive<const N: usize>(x: &[f32; N], w: &[f32; N], top: u8) -> (f32, [u8; N]) {
    let max = x.iter().fold(0.0_f32, |max, &value| if max > value { max } else { value });
    let mut levels = [0_u8; N];
    if max < ZERO {
        return (0.0, levels);
    }
    let top = i32::from(top);
    let density = best_grid(x, w, top, max);
    let (mut sum_xl, mut sum_l2) = (0.0_f32, 0.0_f32);
    for i in 0..N {
        let l = nearest(density * x[i]).min(top);
        levels[i] = l as u8;
        sum_xl += w[i] * x[i] * l as f32;
        sum_l2 += w[i] * l as f32 * l as f32;
    }
    for _ in 0..5 {
        let mut moved = false;
        for i in 0..N {
            let old = f32::from(levels[i]);
            let rest_xl = sum_xl - w[i] * x[i] * old;
            let rest_l2 = sum_l2 - w[i] * old * old;
            if !(rest_xl > 0.0 && rest_l2 > 0.0) {
                continue;
            }
            let new = nearest(x[i] * rest_l2 / rest_xl).min(top);
            let with_xl = rest_xl + w[i] * x[i] * new as f32;
            let with_l2 = rest_l2 + w[i] * new as f32 * new as f32;
            if new != i32::from(levels[i]) && with_xl * with_xl * sum_l2 > sum_xl * sum_xl * with_l2 {
                (levels[i], sum_xl, sum_l2) = (new as u8, with_xl, with_l2);
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    (if sum_l2 > 0.0 { sum_xl / sum_l2 } else { 0.0 }, levels)
}

/// Steps per unit of the grid with the least weighted squared error.
fn best_grid<const N: usize>(x: &[f32; N], w: &[f32; N], top: i32, max: f32) -> f32 {
    let error = |density: f32, read: fn(i32, i32) -> i32| {
        let scale = 1.0 / density;
        (0..N).fold(0.0_f32, |sum, i| {
            let off = x[i] - scale * read(nearest(density * x[i]), top) as f32;
            sum + w[i] * off * off
        })
    };
    let mut best = top as f32 / max;
    let mut least = error(best, |l, _| i32::from(l as u8));
    for i in (-4_i8..=4).filter(|i| *i != 0) {
        let density = (0.1 * f32::from(i) + top as f32) / max;
        let error = error(density, i32::min);
        if error < least {
            (best, least) = (density, error);
        }
    }
    best
}
