//! How surprised the subject is by a document; nothing is right or wrong.

use super::{Scorer, misfit};
use crate::domain::{Answer, Score, Target};

/// The mean −ln p of the document's scored tokens (nats).
#[derive(Clone, Copy, Debug)]
pub(super) struct Likelihood;

impl Scorer for Likelihood {
    fn score(&self, target: &Target, answer: &Answer) -> Score {
        let Answer::Rolling { nll, .. } = answer else { return misfit("likelihood", target, answer) };
        // A document without a scored token gives 0/0: it has no score, and the runner says so.
        let mean = nll.iter().sum::<f64>() / nll.len() as f64;
        Score { value: mean, read: format!("{mean:.4} nats a token over {} tokens", nll.len()), parsed: mean.is_finite() }
    }
}
