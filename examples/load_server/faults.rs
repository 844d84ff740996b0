//! What a bad day of a service looks like: which request meets which fault, by a seed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// An answer after the usual time.
    Answer,
    /// 429 with `Retry-After` in seconds.
    LimitedSeconds(u64),
    /// 429 with `retry-after-ms`.
    LimitedMillis(u64),
    /// 429 with `Retry-After` as a date, this many whole seconds ahead.
    LimitedDate(u64),
    /// 500 with an error object.
    Internal,
    /// 503 without a word on when to come again.
    Unavailable,
    /// The connection is reset before a byte of an answer.
    Reset,
    /// The connection is closed within the body.
    ClosedWithin,
    /// The answer's headers take this many milliseconds.
    SlowHeaders(u64),
    /// The body stops half way and the connection stays open.
    Stalled,
    /// The body is whole by its length and its JSON is cut off.
    Truncated,
    /// 200 with a page of HTML.
    WrongType,
    /// The answer comes twice.
    Twice,
    /// The answer comes when nobody waits for it any more.
    Late,
}

/// Requests of ten thousand that meet a fault, and which, by a number that says how badly.
type Share = (u64, fn(u64) -> Deed);

/// How often each fault comes, per ten thousand requests.
const SHARES: [Share; 13] = [
    (4, |draw| Deed::LimitedSeconds(1 + draw % 2)),
    (4, |draw| Deed::LimitedMillis(200 + draw % 900)),
    (2, |draw| Deed::LimitedDate(1 + draw % 2)),
    (250, |_| Deed::Internal),
    (150, |_| Deed::Unavailable),
    (120, |_| Deed::Reset),
    (60, |_| Deed::ClosedWithin),
    (60, |draw| Deed::SlowHeaders(200 + draw % 600)),
    (20, |_| Deed::Stalled),
    (100, |_| Deed::Truncated),
    (100, |_| Deed::WrongType),
    (60, |_| Deed::Twice),
    (20, |_| Deed::Late),
];

/// What the `nth` request of this id meets.
pub(crate) fn deed(seed: u64, id: u64, nth: u32) -> Deed {
    let draw = stirred(seed ^ stirred(id) ^ stirred(u64::from(nth).wrapping_add(0x9e37_79b9_7f4a_7c15)));
    let (mut place, detail) = (draw % 10_000, draw >> 32);
    for (share, deed) in SHARES {
        if place < share {
            return deed(detail);
        }
        place -= share;
    }
    Deed::Answer
}

impl Deed {
    /// How long nothing may be sent from now on, if it says so.
    pub(crate) fn hold(self) -> Option<Duration> {
        match self {
            Self::LimitedSeconds(seconds) => Some(Duration::from_secs(seconds)),
            Self::LimitedMillis(millis) => Some(Duration::from_millis(millis)),
            // A date names a whole second: this much is left of the span until then.
            Self::LimitedDate(seconds) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Some(Duration::from_secs(now.as_secs() + seconds).saturating_sub(now))
            }
            _ => None,
        }
    }
}

/// The finalizer of `SplitMix64` (Steele, Lea & Flood, 2014).
pub(crate) fn stirred(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
