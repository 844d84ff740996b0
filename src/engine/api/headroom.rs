//! What a response's headers say of limits and waits.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

use super::super::Headroom;

/// What the headers of one response told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Told {
    /// How long to wait before anything is asked again.
    pub(super) wait: Option<Duration>,
    /// What is left of the limits.
    pub(super) headroom: Headroom,
}

/// Names of the headers for one limit: what is left, and when all is there again.
type Names = (&'static str, &'static str);

/// Limits on requests, the most telling first: `OpenAI`'s and its look-alikes', Anthropic's, then what others use.
const REQUESTS: [Names; 4] = [
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
];

/// Limits on tokens. Anthropic's `tokens` stand for whichever of its limits is the tightest.
const TOKENS: [Names; 4] = [
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
];

/// Mistral tells what is left of a minute in the header's name, and no reset: all is there again after a minute at most.
const MISTRAL: Names = ("x-ratelimit-remaining-req-minute", "x-ratelimit-remaining-tokens-minute");
const MINUTE: Duration = Duration::from_mins(1);

/// Seconds since the epoch are above this, and seconds from now below.
const EPOCH: f64 = 1e9;
/// Milliseconds since the epoch are above this.
const EPOCH_MS: f64 = 1e12;
/// The longest wait that is believed: a year.
const LONGEST: f64 = 366.0 * 86_400.0;

/// Reads the headers of one response, `now` by our own clock.
///
/// A date is counted from the response's own `Date`, so that a server's wrong clock does no harm. Without a word on the wait,
/// a limit of which nothing is left says when it is there again.
pub(super) fn read(headers: &HeaderMap, now: SystemTime) -> Told {
    let now = text(headers, "date").and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
    let limit = |names: &[Names]| names.iter().find_map(|names| limit(headers, *names, now));
    let minute = |name| text(headers, name).and_then(number).map(|left| (left, MINUTE));
    let headroom = Headroom {
        requests: limit(&REQUESTS).or_else(|| minute(MISTRAL.0)),
        tokens: limit(&TOKENS).or_else(|| minute(MISTRAL.1)),
    };
    Told { wait: wait(headers, now), headroom }
}

/// What is left where nothing of a limit is: the longest reset among those.
pub(super) fn until_reset(headroom: Headroom) -> Option<Duration> {
    let spent = [headroom.requests, headroom.tokens].into_iter().flatten();
    spent.filter(|(left, _)| *left < 1.0).map(|(_, reset)| reset).max()
}

/// `retry-after-ms` before `Retry-After`, since it is the finer of the two.
fn wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    if let Some(ms) = text(headers, "retry-after-ms").and_then(number) {
        return seconds(ms / 1e3);
    }
    let after = text(headers, "retry-after")?;
    match number(after) {
        Some(given) => seconds(given),
        None => Some(httpdate::parse_http_date(after).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// One limit, where both of its headers are there.
fn limit(headers: &HeaderMap, (left, reset): Names, now: SystemTime) -> Option<(f64, Duration)> {
    let left = number(text(headers, left)?)?;
    Some((left, moment(text(headers, reset)?, now)?))
}

/// How long until a moment, in any of the ways in which services write one.
fn moment(text: &str, now: SystemTime) -> Option<Duration> {
    let since = |then: Duration| (SystemTime::UNIX_EPOCH + then).duration_since(now).unwrap_or_default();
    match number(text) {
        Some(ms) if ms >= EPOCH_MS => Some(since(Duration::try_from_secs_f64(ms / 1e3).ok()?)),
        Some(epoch) if epoch >= EPOCH => Some(since(Duration::try_from_secs_f64(epoch).ok()?)),
        Some(given) => seconds(given),
        None => duration(text).or_else(|| Some(since(rfc3339(text)?))),
    }
}

/// Lengths of time as Go writes them: `1s`, `6m0s`, `20ms`, `1h2m3.5s`.
fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut sum) = (text.trim(), 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (value, behind) = (number(&rest[..digits])?, &rest[digits..]);
        let end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        sum += value
            * match &behind[..end] {
                "d" => 86_400.0,
                "h" => 3_600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" | "μs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &behind[end..];
    }
    if text.trim().is_empty() { None } else { seconds(sum) }
}

/// Time since the epoch of a moment as RFC 3339 writes it: `2026-11-22T21:40:05Z`, with fractions and offsets.
fn rfc3339(text: &str) -> Option<Duration> {
    let text = text.trim();
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let signs = text.as_bytes();
    let written = signs[4] == b'-' && signs[7] == b'-' && signs[13] == b':' && signs[16] == b':';
    if !written || !(1..=12).contains(&month) || !(1..=31).contains(&day) || year < 1970 {
        return None;
    }
    let behind = &text[19..];
    let digits = behind.strip_prefix('.').map_or(0, |rest| 1 + rest.bytes().take_while(u8::is_ascii_digit).count());
    let fraction = if digits > 1 { format!("0{}", &behind[..digits]).parse().ok()? } else { 0.0 };
    let offset = match &behind[digits..] {
        "Z" | "z" => 0,
        zone => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            sign * (zone.get(1..3)?.parse::<i64>().ok()? * 3600 + zone.get(4..6)?.parse::<i64>().ok()? * 60)
        }
    };
    let whole = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Duration::try_from_secs_f64(u32::try_from(whole).ok()?.into()).ok()?.checked_add(seconds(fraction)?)
}

/// Days since 1970 of a date of the Gregorian calendar, counted in years that begin in March so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let shifted = (month + 9) % 12;
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * shifted + 2) / 5 + day - 1 - 719_468
}

/// Seconds that can be waited: neither negative nor endless.
fn seconds(given: f64) -> Option<Duration> {
    (0.0..=LONGEST).contains(&given).then(|| Duration::from_secs_f64(given))
}

/// A number in decimal digits; `inf` and `nan` are none.
fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| value.is_finite())
}

/// A header as text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    fn told(lines: &[(&'static str, &str)]) -> Told {
        // 2026-11-22T12:00:00Z
        read(&headers(lines), SystemTime::UNIX_EPOCH + Duration::from_hours(498_708))
    }

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn waits_are_read_in_seconds_fractions_milliseconds_and_dates() {
        let wait = |lines: &[(&'static str, &str)]| told(lines).wait;
        assert_eq!(wait(&[("retry-after", "20")]), Some(secs(20.0)));
        assert_eq!(wait(&[("retry-after", "0.25")]), Some(secs(0.25)));
        assert_eq!(wait(&[("retry-after", "2"), ("retry-after-ms", "1500")]), Some(secs(1.5)));
        assert_eq!(wait(&[("retry-after", "Sun, 22 Nov 2026 12:00:07 GMT")]), Some(secs(7.0)));
        // RFC 9110 §10.2.3 knows both forms; a date that is past asks for no wait.
        assert_eq!(wait(&[("retry-after", "Sun, 22 Nov 2026 11:59:00 GMT")]), Some(Duration::ZERO));
        for nonsense in ["soon", "-1", "NaN", "inf", "1e300", ""] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn a_date_is_counted_from_the_servers_own_clock() {
        let lines = [("date", "Sun, 22 Nov 2026 09:00:00 GMT"), ("retry-after", "Sun, 22 Nov 2026 09:00:30 GMT")];
        assert_eq!(told(&lines).wait, Some(secs(30.0)));
    }

    #[test]
    fn openais_limits_are_read_with_their_durations() {
        // As in OpenAI's guide on rate limits, "Rate limits in headers".
        let lines = [
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ];
        let headroom = Headroom { requests: Some((59.0, secs(1.0))), tokens: Some((149_984.0, secs(360.0))) };
        assert_eq!(told(&lines), Told { wait: None, headroom });
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, expected) in [("20ms", 0.02), ("7.66s", 7.66), ("2m59.56s", 179.56), ("1h2m3s", 3723.0), ("1d", 86_400.0)] {
            assert!((duration(text).expect(text).as_secs_f64() - expected).abs() < 1e-9, "{text}");
        }
        for nonsense in ["", "s", "5", "5x", "1m5", "..s"] {
            assert_eq!(duration(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn anthropics_limits_are_read_with_their_moments() {
        // As in Anthropic's page on rate limits, "Response headers".
        let lines = [
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-11-22T12:00:01Z"),
            ("anthropic-ratelimit-tokens-remaining", "49000"),
            ("anthropic-ratelimit-tokens-reset", "2026-11-22T13:00:04.5+01:00"),
            ("anthropic-ratelimit-input-tokens-remaining", "7"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-22T12:00:09Z"),
            ("retry-after", "3"),
        ];
        let headroom = Headroom { requests: Some((0.0, secs(1.0))), tokens: Some((49_000.0, secs(4.5))) };
        assert_eq!(told(&lines), Told { wait: Some(secs(3.0)), headroom });
        assert_eq!(until_reset(headroom), Some(secs(1.0)));
        assert_eq!(until_reset(Headroom { requests: Some((1.0, secs(9.0))), tokens: None }), None);
    }

    #[test]
    fn mistrals_limits_are_those_of_a_minute() {
        let lines = [
            ("x-ratelimit-limit-tokens-minute", "5000000"),
            ("x-ratelimit-remaining-tokens-minute", "4999911"),
            ("x-ratelimit-tokens-query-cost", "52"),
            ("x-ratelimit-limit-req-minute", "720"),
            ("x-ratelimit-remaining-req-minute", "717"),
        ];
        let headroom = Headroom { requests: Some((717.0, MINUTE)), tokens: Some((4_999_911.0, MINUTE)) };
        assert_eq!(told(&lines).headroom, headroom);
    }

    #[test]
    fn resets_are_read_as_seconds_as_epoch_and_as_epoch_in_milliseconds() {
        for reset in ["30", "1795348830", "1795348830000", "30s", "2026-11-22T12:00:30Z"] {
            let headroom = told(&[("x-ratelimit-remaining", "4"), ("x-ratelimit-reset", reset)]).headroom;
            assert_eq!(headroom.requests, Some((4.0, secs(30.0))), "{reset}");
        }
        let without = told(&[("x-ratelimit-remaining-requests", "4")]).headroom;
        assert_eq!(without, Headroom::default(), "what is left says nothing without a time");
    }

    #[test]
    fn moments_agree_with_the_calendar() {
        for (text, expected) in
            [("1970-01-01T00:00:00Z", 0), ("2000-02-29T00:00:00Z", 951_782_400), ("2024-03-01T01:00:00+01:00", 1_709_251_200)]
        {
            assert_eq!(rfc3339(text), Some(Duration::from_secs(expected)), "{text}");
        }
        for nonsense in ["", "2026", "2026-13-01T00:00:00Z", "2026-11-22 12", "1900-01-01T00:00:00Z", "aaaa-bb-ccTdd:ee:ffZ"] {
            assert_eq!(rfc3339(nonsense), None, "{nonsense}");
        }
    }
}
