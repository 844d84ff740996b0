//! From what an engine said to how the unit ended.

use crate::domain::{Answer, Cause, CauseKind, Certainty, Outcome, Target, TokenDivergence};
use crate::engine::Failure;
use crate::scorer::Scorer;

/// Scores an answer; a failure or a number that is not finite leaves the unit without a score.
pub(super) fn judge(scorer: &dyn Scorer, target: &Target, answer: Result<Answer, Failure>) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return Outcome::Unscored { cause: failure.into() },
    };
    if let Some(what) = not_finite(&answer) {
        return not_a_number(format!("the engine's {what} is not a finite number"));
    }
    let score = scorer.score(target, &answer);
    if !score.value.is_finite() {
        return not_a_number("the score of the answer is not a finite number".to_owned());
    }
    Outcome::Scored { answer, score }
}

fn not_a_number(message: String) -> Outcome {
    Outcome::Unscored { cause: Cause { kind: CauseKind::NotANumber, message } }
}

/// Which number of an answer is infinite or NaN; a journal could not keep it.
fn not_finite(answer: &Answer) -> Option<String> {
    let bad = |numbers: &[f64]| numbers.iter().position(|number| !number.is_finite());
    match answer {
        Answer::Text { .. } => None,
        Answer::Choice { options } => {
            let likelihoods: Vec<f64> = options.iter().map(|option| option.log_likelihood).collect();
            bad(&likelihoods).map(|index| format!("log-likelihood of option {}", index + 1))
        }
        Answer::Rolling { nll, divergence, top, .. } => {
            let apart = || {
                let TokenDivergence { canary_nll, kld, delta_p, shape, .. } = divergence.as_ref()?;
                let small = |side: &Certainty| {
                    let mut of = side.entropy.iter().zip(&side.confidence);
                    of.position(|(entropy, confidence)| !(entropy.is_finite() && confidence.is_finite()))
                };
                let shape = || shape.as_ref().and_then(|shape| small(&shape.canary).or_else(|| small(&shape.variant)));
                let first = bad(canary_nll).or_else(|| bad(kld)).or_else(|| bad(delta_p)).or_else(shape)?;
                Some(format!("divergence from the canary at token {}", first + 1))
            };
            let likeliest = || {
                let first = top.iter().position(|told| told.iter().any(|(_, log)| !log.is_finite()))?;
                Some(format!("log-likelihood of a likely token at token {}", first + 1))
            };
            bad(nll).map(|index| format!("log-likelihood of token {}", index + 1)).or_else(apart).or_else(likeliest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OptionScore, Score};

    struct Constant(f64);

    impl Scorer for Constant {
        fn score(&self, _: &Target, _: &Answer) -> Score {
            Score { value: self.0, read: String::new(), parsed: true }
        }
    }

    fn choice(log_likelihood: f64) -> Answer {
        Answer::Choice { options: vec![OptionScore { log_likelihood, tokens: 1, bytes: 1, greedy: false }] }
    }

    fn cause(outcome: Outcome) -> Option<CauseKind> {
        match outcome {
            Outcome::Unscored { cause } => Some(cause.kind),
            Outcome::Scored { .. } => None,
        }
    }

    #[test]
    fn an_impossible_option_leaves_the_unit_unscored() {
        let judged = |answer| cause(judge(&Constant(1.0), &Target::None, Ok(answer)));
        assert_eq!(judged(choice(f64::NEG_INFINITY)), Some(CauseKind::NotANumber));
        assert_eq!(judged(choice(f64::NAN)), Some(CauseKind::NotANumber));
        assert_eq!(judged(choice(-1.5)), None);
    }

    #[test]
    fn an_infinite_divergence_leaves_the_unit_unscored() {
        let divergence = |kld| {
            let against =
                TokenDivergence { canary_nll: vec![1.0], kld: vec![kld], delta_p: vec![0.0], same_top: vec![true], shape: None };
            Answer::Rolling { nll: vec![1.0], bytes: 1, divergence: Some(against), top: Vec::new() }
        };
        let judged = |kld| cause(judge(&Constant(1.0), &Target::None, Ok(divergence(kld))));
        assert_eq!(judged(f64::INFINITY), Some(CauseKind::NotANumber));
        assert_eq!(judged(0.25), None);
        let likeliest =
            |log| Answer::Rolling { nll: vec![1.0], bytes: 1, divergence: None, top: vec![vec![(3, -0.5), (9, log)]] };
        let judged = |log| cause(judge(&Constant(1.0), &Target::None, Ok(likeliest(log))));
        assert_eq!(judged(f32::NEG_INFINITY), Some(CauseKind::NotANumber));
        assert_eq!(judged(-9.0), None);
    }

    #[test]
    fn a_score_that_is_not_a_number_is_no_score() {
        assert_eq!(cause(judge(&Constant(f64::NAN), &Target::None, Ok(choice(-1.0)))), Some(CauseKind::NotANumber));
    }
}
