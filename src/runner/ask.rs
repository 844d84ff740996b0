//! Asking an engine, and asking again what failed for a passing reason.

use std::time::Duration;

use super::{Backoff, Stop};
use crate::domain::CauseKind;
use crate::engine::{BoxFuture, Engine, Failure, RetryClass};

/// What one input came to; none where the run was asked to stop before it could be asked again.
pub(super) type Word<Out> = Option<Result<Out, Failure>>;

/// One of the engine's two ways of asking.
pub(super) type Call<In, Out> = for<'a> fn(&'a dyn Engine, &'a [In]) -> BoxFuture<'a, Vec<Result<Out, Failure>>>;

/// How long to keep asking.
pub(super) struct Patience<'a> {
    pub(super) retries: u32,
    pub(super) backoff: Backoff,
    pub(super) stop: &'a Stop,
    /// What the jitter is drawn from, so that subjects do not wait in step.
    pub(super) salt: &'a str,
}

/// Asks for every input, and again only for those whose failure was passing. Replies are in the inputs' order.
pub(super) async fn ask<In: Clone + Sync, Out: Send>(
    engine: &dyn Engine,
    inputs: &[In],
    call: Call<In, Out>,
    patience: Patience<'_>,
) -> Vec<Word<Out>> {
    let mut replies: Vec<Word<Out>> = inputs.iter().map(|_| None).collect();
    let mut open: Vec<usize> = (0..inputs.len()).collect();
    for attempt in 0.. {
        let again: Vec<In>;
        let round = if open.len() == inputs.len() {
            inputs
        } else {
            again = open.iter().map(|&index| inputs[index].clone()).collect();
            &again
        };
        let answers = call(engine, round).await;
        let short = open.len().saturating_sub(answers.len());
        let answers = answers.into_iter().chain((0..short).map(|_| Err(silence())));
        let last = attempt >= patience.retries;
        let (mut failed, mut word) = (Vec::new(), Duration::ZERO);
        for (&index, answer) in open.iter().zip(answers) {
            match answer {
                Err(Failure { retry: RetryClass::Transient | RetryClass::Busy | RetryClass::Unreached, wait, .. }) if !last => {
                    failed.push(index);
                    word = word.max(wait.unwrap_or_default());
                }
                answer => replies[index] = Some(answer),
            }
        }
        open = failed;
        if open.is_empty() {
            break;
        }
        // The endpoint's own word on when to ask again goes before any of ours.
        let wait = patience.backoff.wait(attempt, patience.salt).max(word);
        tokio::select! {
            biased;
            () = patience.stop.drain() => break,
            () = tokio::time::sleep(wait) => {}
        }
    }
    replies
}

/// The failure of a request that the engine gave no word about.
pub(super) fn silence() -> Failure {
    let message = "the engine gave fewer answers than it was asked for".to_owned();
    Failure::new(CauseKind::Engine, RetryClass::No, message)
}

impl Backoff {
    /// The wait after a failed attempt (counted from 0): uniform between 0 and min(ceiling, base · 2^attempt), the "full
    /// jitter" of Brooker, *Exponential backoff and jitter* (AWS Architecture Blog, 2015). The draw is a hash of the salt.
    #[must_use]
    pub fn wait(self, attempt: u32, salt: &str) -> Duration {
        let most = self.base.saturating_mul(1_u32.checked_shl(attempt.min(31)).unwrap_or(u32::MAX)).min(self.ceiling);
        let mut hasher = blake3::Hasher::new();
        hasher.update(salt.as_bytes()).update(&attempt.to_le_bytes());
        let draw = hasher.finalize().as_bytes()[..8].iter().fold(0_u64, |draw, &byte| draw << 8 | u64::from(byte));
        most.mul_f64(draw as f64 / u64::MAX as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_ceiling_and_differ_between_salts() {
        let backoff = Backoff { base: Duration::from_millis(100), ceiling: Duration::from_secs(2) };
        let salts: Vec<String> = (0..200).map(|salt: u32| salt.to_string()).collect();
        let longest = |attempt| salts.iter().map(|salt| backoff.wait(attempt, salt)).max().unwrap_or_default();
        for (attempt, limit) in [(0, 100), (1, 200), (3, 800), (6, 2000), (60, 2000), (u32::MAX, 2000)] {
            let (longest, limit) = (longest(attempt), Duration::from_millis(limit));
            assert!(longest <= limit && longest > limit / 2, "attempt {attempt}: {longest:?} of {limit:?}");
        }
        assert_ne!(backoff.wait(3, "a"), backoff.wait(3, "b"));
        assert_eq!(backoff.wait(3, "a"), backoff.wait(3, "a"));
    }
}
