//! Quantiles of a sample.

/// The type-7 quantile: linear interpolation at index f·(n−1) of values in ascending order, as numpy, R and llama.cpp do.
///
/// Source: Hyndman & Fan 1996. `sorted` must be ascending and free of NaN (the caller's order is trusted); f is cut to
/// [0, 1]. `None` for no values or f not a number.
#[must_use]
pub fn quantile(sorted: &[f64], f: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1).filter(|_| !f.is_nan())?;
    let at = f.clamp(0.0, 1.0) * last as f64;
    let below = at.floor() as usize;
    let share = at - below as f64;
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    Some(if share == 0.0 { low } else { low + share * (high - low) })
}
