//! The time of day, so that tests can say what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time that events are stamped with; no result depends on it.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Clock for System {
    fn now_ms(&self) -> u64 {
        // A clock set before 1970 stamps events with 0: the stamp is for people only.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }
}

/// Always the same time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(pub u64);

impl Clock for Fixed {
    fn now_ms(&self) -> u64 {
        self.0
    }
}
