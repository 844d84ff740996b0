//! The likeliest option is the answer.

use super::{Scorer, judged, misfit, unread};
use crate::domain::{Answer, Normalization, OptionScore, Score, Target};

/// Takes the option with the highest log-likelihood, made comparable by `normalize`; the first of equals wins
/// (lm-evaluation-harness's `acc` and `acc_norm`, llama.cpp's multiple choice).
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// How options of different lengths are compared.
    pub(super) normalize: Normalization,
}

impl Choice {
    fn value(self, option: &OptionScore) -> f64 {
        match self.normalize {
            Normalization::None => option.log_likelihood,
            Normalization::Token => option.log_likelihood / f64::from(option.tokens.max(1)),
            Normalization::Byte => option.log_likelihood / f64::from(option.bytes.max(1)),
        }
    }
}

impl Scorer for Choice {
    fn score(&self, target: &Target, answer: &Answer) -> Score {
        let (Target::Option(right), Answer::Choice { options }) = (target, answer) else {
            return misfit("choice", target, answer);
        };
        if let Some(broken) = options.iter().position(|option| option.log_likelihood.is_nan()) {
            let read = format!("the log-likelihood of option {} is not a number", broken + 1);
            return Score { value: f64::NAN, read, parsed: false };
        }
        let values: Vec<f64> = options.iter().map(|option| self.value(option)).collect();
        let best = (0..values.len()).reduce(|best, i| if values[i] > values[best] { i } else { best });
        match best {
            Some(best) => judged(best == *right, format!("option {}", best + 1)),
            None => unread("no options"),
        }
    }
}
