//! Scores to numbers with a direction: each file holds one measure.

mod divergence;

pub use divergence::{DivergenceError, Rows, divergence};
