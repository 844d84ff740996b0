//! The likeliest option is the answer.

use super::{Scorer, judged, misfit, unread};
use crate::domain::{Answer, ChoiceValue, Normalization, OptionScore, Score, Target};

/// Takes the option with the highest log-likelihood, made comparable by `normalize`; the first of equals wins
/// (lm-evaluation-harness's `acc` and `acc_norm`, llama.cpp's multiple choice).
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// How options of different lengths are compared.
    pub(super) normalize: Normalization,
    /// Whether the score is that choice, right or wrong, or the probability of the right option.
    pub(super) value: ChoiceValue,
}

impl Choice {
    fn comparable(self, option: &OptionScore) -> f64 {
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
        let values: Vec<f64> = options.iter().map(|option| self.comparable(option)).collect();
        let Some(best) = (0..values.len()).reduce(|best, i| if values[i] > values[best] { i } else { best }) else {
            return unread("no options");
        };
        let read = format!("option {}", best + 1);
        match self.value {
            ChoiceValue::Right => judged(best == *right, read),
            ChoiceValue::Probability => Score { value: share(&values, *right, values[best]), read, parsed: true },
        }
    }
}

/// The softmax of one of several logarithms, of which `best` is the largest. Where all are impossible, none is likelier than
/// another; an index beyond them has no share.
fn share(logarithms: &[f64], of: usize, best: f64) -> f64 {
    let Some(own) = logarithms.get(of) else { return 0.0 };
    if best == f64::NEG_INFINITY {
        return 1.0 / logarithms.len() as f64;
    }
    let total: f64 = logarithms.iter().map(|logarithm| (logarithm - best).exp()).sum();
    (own - best).exp() / total
}
