//! A budget a minute, as a token bucket: what is spent comes back at an even rate.

use std::time::Duration;

use tokio::time::Instant;

/// Room that a rounding error may be short of.
const EPSILON: f64 = 1e-6;

/// A token bucket that holds a second's worth, at least one: no span of a minute sees more than the budget.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: f64,
    most: f64,
    /// Below 0 where more was spent than was there.
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket for a budget of `per_minute`.
    pub(super) fn new(per_minute: f64, now: Instant) -> Self {
        let most = (per_minute / 60.0).max(1.0);
        // A full bucket and a minute's refill together are the budget.
        let per_second = ((per_minute - most + 1.0) / 60.0).max(per_minute / 120.0).max(f64::MIN_POSITIVE);
        Self { per_second, most, level: most, at: now }
    }

    /// When there is room for `need`; none where there is now. What never fits waits for a full bucket.
    pub(super) fn wait(&mut self, now: Instant, need: f64) -> Option<Instant> {
        self.refill(now);
        let short = need.min(self.most) - self.level;
        // A century is as good as forever, and an instant can hold it.
        (short > EPSILON).then(|| now + Duration::from_secs_f64((short / self.per_second).clamp(1e-6, 3e9)))
    }

    /// Spends; a negative amount gives back.
    pub(super) fn take(&mut self, now: Instant, amount: f64) {
        self.refill(now);
        self.level = (self.level - amount).min(self.most);
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_second).min(self.most);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds at which requests go out that are sent as soon as they may.
    fn sent(per_minute: f64, cost: f64, times: usize) -> Vec<f64> {
        let start = Instant::now();
        let (mut now, mut bucket) = (start, Bucket::new(per_minute, start));
        let send = |_| {
            while let Some(at) = bucket.wait(now, cost) {
                now = at;
            }
            bucket.take(now, cost);
            (now - start).as_secs_f64()
        };
        (0..times).map(send).collect()
    }

    #[test]
    fn no_minute_sees_more_than_the_budget_and_a_long_run_nearly_all_of_it() {
        for per_minute in [1.0, 30.0, 60.0, 90.0, 600.0, 6000.0] {
            let sent = sent(per_minute, 1.0, per_minute as usize * 4);
            for (first, begin) in sent.iter().enumerate() {
                let within = sent[first..].iter().take_while(|&at| *at < begin + 60.0 - 1e-3).count();
                assert!(within as f64 <= per_minute, "{within} of {per_minute} a minute from {begin}");
            }
            let last = sent[sent.len() - 1];
            assert!(last <= 245.0, "{per_minute}: four minutes' work took {last} s");
        }
    }

    #[test]
    fn what_is_larger_than_the_bucket_goes_out_when_it_is_full_and_is_paid_for_after() {
        let sent = sent(6000.0, 1000.0, 3);
        assert!(sent[0] < 1e-9 && (9.0..11.5).contains(&sent[1]) && (19.0..22.5).contains(&sent[2]), "{sent:?}");
    }
}
