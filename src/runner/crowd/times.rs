//! How long answers took, to see which request takes much longer than others.

use std::collections::HashMap;
use std::time::Duration;

/// Answers before a request can be told to be late.
const ENOUGH: u32 = 20;
/// A request is late after this many times the usual.
const LATE: f64 = 3.0;
/// What is usual while there is more to send: the 99th percentile.
const USUAL: f64 = 0.99;
/// What is usual when only the last requests are under way, and a twin takes nobody's place (the backup tasks of Dean &
/// Ghemawat, *`MapReduce`*, 2004).
const USUAL_AT_LAST: f64 = 0.9;
/// And never before this.
const SOONEST: Duration = Duration::from_secs(1);
/// Each bar of a histogram ends this much above the one before.
const RATIO: f64 = 1.05;
/// Bars of a histogram: from a microsecond to more than two hours.
const BARS: usize = 470;

/// Times of each seat on each task.
#[derive(Default)]
pub(super) struct Times(HashMap<(usize, usize), Histogram>);

struct Histogram {
    bars: Vec<u32>,
    count: u32,
}

impl Times {
    /// Takes note of an answer's time.
    pub(super) fn note(&mut self, seat: usize, task: usize, took: Duration) {
        let histogram = self.0.entry((seat, task)).or_insert_with(|| Histogram { bars: vec![0; BARS], count: 0 });
        let bar = (took.as_micros().max(1) as f64).ln() / RATIO.ln();
        histogram.bars[(bar as usize).min(BARS - 1)] += 1;
        histogram.count += 1;
    }

    /// After how long each request of each seat and task is late, `at_last` where nothing more is to be sent; those with few
    /// answers so far have no limit.
    pub(super) fn limits(&self, at_last: bool) -> HashMap<(usize, usize), Duration> {
        let share = if at_last { USUAL_AT_LAST } else { USUAL };
        let limit = |histogram: &Histogram| (histogram.quantile(share).mul_f64(LATE)).max(SOONEST);
        self.0.iter().filter(|(_, known)| known.count >= ENOUGH).map(|(&place, known)| (place, limit(known))).collect()
    }
}

impl Histogram {
    /// The upper end of the bar in which a quantile lies.
    fn quantile(&self, share: f64) -> Duration {
        let above = (f64::from(self.count) * (1.0 - share)).floor() as u64;
        let mut seen = 0;
        let bar = self.bars.iter().rposition(|&count| {
            seen += u64::from(count);
            seen > above
        });
        Duration::from_secs_f64(RATIO.powf(f64::from(bar.unwrap_or(0) as u32 + 1)) / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_late_after_three_times_what_nearly_all_took_and_a_second_at_least() {
        let mut times = Times::default();
        for ms in 0..19 {
            times.note(0, 0, Duration::from_millis(900 + ms));
        }
        assert!(times.limits(false).is_empty(), "too few to tell");
        times.note(0, 0, Duration::from_secs(1));
        times.note(1, 0, Duration::from_millis(5));
        for _ in 0..200 {
            times.note(2, 1, Duration::from_millis(50));
        }
        times.note(2, 1, Duration::from_mins(1));
        let limits = times.limits(false);
        let limit = limits[&(0, 0)].as_secs_f64();
        assert!((2.9..3.3).contains(&limit), "{limit}");
        assert_eq!(limits.get(&(1, 0)), None);
        assert_eq!(limits[&(2, 1)], SOONEST, "one of 201 is not the rule");
        for _ in 0..10 {
            times.note(2, 1, Duration::from_mins(1));
        }
        assert!(times.limits(false)[&(2, 1)] > Duration::from_mins(3) && times.limits(true)[&(2, 1)] == SOONEST);
    }
}
