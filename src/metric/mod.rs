//! Scores to numbers with a direction: each file holds one measure.

mod amount;
mod block;
mod bound;
mod certainty;
mod divergence;
mod latency;
mod likelihood;
mod paired;
mod rows;
mod stored;
mod timing;

pub use amount::PairedAmounts;
pub use block::{Block, Figure, Part, ScoredChunks, block, perplexity};
pub use bound::{KldBound, Likeliest, kld_bound};
pub use certainty::{Bucket, Calibration, Looks, OneDocument};
pub use divergence::{DivergenceError, Rows, divergence};
pub use latency::PairedTimes;
pub use likelihood::{Displacement, DocumentTokens, HistogramBin, Likelihood, Quantiles, likelihood};
pub use paired::{Asymmetry, Paired, asymmetry, paired};
pub use rows::log_softmax;
pub use stored::stored_divergence;
pub use timing::{TimingSummary, ecdf, timing_summary};
