//! Moments as calendars show them: year to second in UTC, from milliseconds.

/// A moment in UTC by the proleptic Gregorian calendar, without leap seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// From 1970 on.
    pub year: u64,
    /// 1..=12.
    pub month: u64,
    /// 1..=31.
    pub day: u64,
    /// 0..=23.
    pub hour: u64,
    /// 0..=59.
    pub minute: u64,
    /// 0..=59.
    pub second: u64,
}

impl Moment {
    /// From milliseconds since the Unix epoch: eras of 400 years that begin on 1 March, so that leap days come last.
    #[must_use]
    pub fn utc(since_epoch_ms: u64) -> Self {
        let seconds = since_epoch_ms / 1000;
        let days = seconds / 86_400 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
            hour: seconds / 3600 % 24,
            minute: seconds / 60 % 60,
            second: seconds % 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_have_their_known_dates() {
        let date = |ms| {
            let Moment { year, month, day, hour, minute, second } = Moment::utc(ms);
            [year, month, day, hour, minute, second]
        };
        assert_eq!(date(0), [1970, 1, 1, 0, 0, 0]);
        assert_eq!(date(951_782_399_999), [2000, 2, 28, 23, 59, 59]);
        assert_eq!(date(951_782_400_000), [2000, 2, 29, 0, 0, 0]);
        assert_eq!(date(1_709_251_200_000), [2024, 3, 1, 0, 0, 0]);
        assert_eq!(date(4_107_542_400_000), [2100, 3, 1, 0, 0, 0]);
    }
}
