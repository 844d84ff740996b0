//! The search for a scale and a minimum: a group's weights as `scale · level + min`, levels from zero up.

use pulp::{Arch, Simd, WithSimd};

use super::lanes::{Lane, Tile, level};

/// Which grids are tried: the first has `top` steps from the least weight to the greatest, the others
/// `top + first + i · stride` for `i` from 0 to `tries`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grids {
    /// The highest level.
    pub(super) top: i32,
    /// The first other grid's difference in steps.
    pub(super) first: f32,
    /// The difference between two grids.
    pub(super) stride: f32,
    /// The number of the last one.
    pub(super) tries: u8,
    /// Whether absolute errors are weighed, not squared ones.
    pub(super) absolute: bool,
}

/// What was found of each group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine<const K: usize> {
    /// The distance of two levels.
    pub(super) scale: Lane<K>,
    /// What is subtracted: the least weight's negative, or zero where all are positive.
    pub(super) depth: Lane<K>,
    /// Steps per unit of the grid that the levels were read on.
    density: Lane<K>,
    /// Where that grid begins.
    base: Lane<K>,
    /// The highest level.
    pub(super) top: i32,
}

impl<const K: usize> Affine<K> {
    /// The level that the search gave a weight of the group in this lane.
    pub(super) fn level(&self, lane: usize, weight: f32) -> u8 {
        level(self.density[lane] * (weight - self.base[lane]), 0, self.top) as u8
    }
}

/// Finds each group's scale and minimum: on every grid the levels are read, the weighted least-squares line through them is
/// drawn, and the line with the least weighted error is kept. A better line's minimum is where later grids begin.
pub(super) fn search<const N: usize, const K: usize>(x: &Tile<N, K>, w: &Tile<N, K>, grids: Grids) -> Affine<K> {
    Arch::new().dispatch(Search { x, w, grids })
}

/// A search, to be compiled once for each width of vector instructions.
struct Search<'a, const N: usize, const K: usize> {
    x: &'a Tile<N, K>,
    w: &'a Tile<N, K>,
    grids: Grids,
}

impl<const N: usize, const K: usize> WithSimd for Search<'_, N, K> {
    type Output = Affine<K>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Affine<K> {
        find(self.x, self.w, self.grids)
    }
}

#[inline(always)]
fn find<const N: usize, const K: usize>(x: &Tile<N, K>, w: &Tile<N, K>, grids: Grids) -> Affine<K> {
    let (mut min, max, sum_w, sum_x) = ranges(x, w);
    let mut flat = [false; K];
    let mut density = [0.0; K];
    let mut scale = [0.0; K];
    for k in 0..K {
        flat[k] = max[k] == min[k];
        density[k] = grids.top as f32 / (max[k] - min[k]);
        scale[k] = 1.0 / density[k];
    }
    let mut base = min;
    let mut levels = [[0.0; K]; N];
    sums(x, w, (&density, &base), grids.top, &mut levels);
    let mut best = errors(x, w, (&scale, &min), &levels, grids.absolute);
    for i in 0..=grids.tries {
        let steps = grids.first + grids.stride * f32::from(i) + grids.top as f32;
        let mut tried = [0.0; K];
        for k in 0..K {
            tried[k] = steps / (max[k] - min[k]);
        }
        let found = sums(x, w, (&tried, &min), grids.top, &mut levels);
        let (line, determined) = lines(&found, &sum_w, &sum_x);
        let error = errors(x, w, (&line.0, &line.1), &levels, grids.absolute);
        for k in 0..K {
            let better = determined[k] & (error[k] < best[k]);
            base[k] = if better { min[k] } else { base[k] };
            density[k] = if better { tried[k] } else { density[k] };
            best[k] = if better { error[k] } else { best[k] };
            scale[k] = if better { line.0[k] } else { scale[k] };
            min[k] = if better { line.1[k] } else { min[k] };
        }
    }
    for k in 0..K {
        if flat[k] {
            (scale[k], density[k], min[k]) = (0.0, 0.0, base[k]);
        }
    }
    Affine { scale, depth: min.map(|min| -min), density, base, top: grids.top }
}

/// The least weight of each group or zero, the greatest, the sum of importances and the weighted sum of weights.
#[inline(always)]
fn ranges<const N: usize, const K: usize>(x: &Tile<N, K>, w: &Tile<N, K>) -> (Lane<K>, Lane<K>, Lane<K>, Lane<K>) {
    let (mut min, mut max, mut sum_w, mut sum_x) = (x[0], x[0], w[0], x[0]);
    for k in 0..K {
        sum_x[k] *= w[0][k];
    }
    for i in 1..N {
        for k in 0..K {
            min[k] = if x[i][k] < min[k] { x[i][k] } else { min[k] };
            max[k] = if x[i][k] > max[k] { x[i][k] } else { max[k] };
            sum_w[k] += w[i][k];
            sum_x[k] += w[i][k] * x[i][k];
        }
    }
    for min in &mut min {
        *min = if *min > 0.0 { 0.0 } else { *min };
    }
    (min, max, sum_w, sum_x)
}

/// Reads the levels on a grid (its density, its base) and sums what a line through them needs: weighted levels, their
/// squares, their products with the weights.
#[inline(always)]
fn sums<const N: usize, const K: usize>(
    x: &Tile<N, K>,
    w: &Tile<N, K>,
    (density, base): (&Lane<K>, &Lane<K>),
    top: i32,
    levels: &mut Tile<N, K>,
) -> [Lane<K>; 3] {
    let [mut sum_l, mut sum_l2, mut sum_xl] = [[0.0; K]; 3];
    for i in 0..N {
        for k in 0..K {
            let l = level(density[k] * (x[i][k] - base[k]), 0, top) as f32;
            levels[i][k] = l;
            let wl = w[i][k] * l;
            sum_l[k] += wl;
            sum_l2[k] += wl * l;
            sum_xl[k] += wl * x[i][k];
        }
    }
    [sum_l, sum_l2, sum_xl]
}

/// The least-squares lines (scale, minimum), and whether they are determined at all. A minimum above zero becomes zero.
#[inline(always)]
fn lines<const K: usize>(sums: &[Lane<K>; 3], sum_w: &Lane<K>, sum_x: &Lane<K>) -> ((Lane<K>, Lane<K>), [bool; K]) {
    let [sum_l, sum_l2, sum_xl] = sums;
    let (mut scale, mut min, mut determined) = ([0.0; K], [0.0; K], [false; K]);
    for k in 0..K {
        let determinant = sum_w[k] * sum_l2[k] - sum_l[k] * sum_l[k];
        determined[k] = determinant > 0.0;
        scale[k] = (sum_w[k] * sum_xl[k] - sum_x[k] * sum_l[k]) / determinant;
        min[k] = (sum_l2[k] * sum_x[k] - sum_l[k] * sum_xl[k]) / determinant;
        let above = min[k] > 0.0;
        scale[k] = if above { sum_xl[k] / sum_l2[k] } else { scale[k] };
        min[k] = if above { 0.0 } else { min[k] };
    }
    ((scale, min), determined)
}

/// The weighted errors of lines (scale, minimum) through levels.
#[inline(always)]
fn errors<const N: usize, const K: usize>(
    x: &Tile<N, K>,
    w: &Tile<N, K>,
    (scale, min): (&Lane<K>, &Lane<K>),
    levels: &Tile<N, K>,
    absolute: bool,
) -> Lane<K> {
    let mut errors = [0.0; K];
    for i in 0..N {
        for k in 0..K {
            let off = scale[k] * levels[i][k] + min[k] - x[i][k];
            let off = if absolute { off.abs() } else { off * off };
            errors[k] += w[i][k] * off;
        }
    }
    errors
}
