//! How many requests may be under way: additive growth, multiplicative back-off.
//!
//! Chiu & Jain, *Analysis of the increase and decrease algorithms for congestion avoidance* (1989), with the slow start and
//! the one cut a round trip of Jacobson, *Congestion avoidance and control* (1988).

/// Where a window begins that nobody stated.
const FIRST: f64 = 8.0;
/// A round trip of answers adds this share of the most, or one, whichever is more: back from a half in eight round trips.
const STEP: f64 = 1.0 / 16.0;

/// The number of requests that may be under way.
#[derive(Debug)]
pub(super) struct Window {
    now: f64,
    most: f64,
    /// Until the endpoint first had no room: an answer makes room for one more, which doubles the window each round trip.
    doubling: bool,
    /// Whether it was this window that held a request back last: one that is not used says nothing about a wider one.
    limits: bool,
    /// Counts the cuts: what was sent before the last one says nothing about what is possible now.
    round: u32,
}

impl Window {
    /// A window of at most `most`, at once where somebody stated that number.
    pub(super) fn new(most: usize, stated: bool) -> Self {
        let most = most.max(1) as f64;
        Self { now: if stated { most } else { most.min(FIRST) }, most, doubling: true, limits: true, round: 0 }
    }

    /// How many requests may be under way; at least 1.
    pub(super) fn width(&self) -> usize {
        self.now as usize
    }

    /// Whether there is room for one more beside those under way.
    pub(super) fn has_room(&mut self, under_way: usize) -> bool {
        let has_room = under_way < self.width();
        self.limits |= !has_room;
        has_room
    }

    /// Takes note that something else held a request back.
    pub(super) fn is_idle(&mut self) {
        self.limits = false;
    }

    /// The round trip that a request sent now belongs to.
    pub(super) fn round(&self) -> u32 {
        self.round
    }

    /// Takes note of an answer.
    pub(super) fn grow(&mut self) {
        if self.limits {
            let step = if self.doubling { 1.0 } else { (self.most * STEP).max(1.0) / self.now };
            self.now = (self.now + step).min(self.most);
        }
    }

    /// Halves the window, where the request that found no room was sent after the last cut.
    pub(super) fn cut(&mut self, round: u32, under_way: usize) {
        if round == self.round {
            self.now = (self.now.min(under_way as f64 + 1.0) / 2.0).floor().max(1.0);
            self.doubling = false;
            self.round += 1;
        }
    }

    /// Begins anew, one at a time, after an outage.
    pub(super) fn restart(&mut self) {
        (self.now, self.doubling) = (1.0, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stated_width_is_there_at_once_and_another_is_doubled_each_round_trip() {
        assert_eq!(Window::new(64, true).width(), 64);
        let mut window = Window::new(64, false);
        for expected in [8, 16, 32, 64, 64] {
            assert_eq!(window.width(), expected);
            for _ in 0..window.width() {
                window.grow();
            }
        }
    }

    #[test]
    fn a_round_trip_of_refusals_halves_once_and_growth_is_additive_after() {
        let mut window = Window::new(16, true);
        let round = window.round();
        for under_way in (0..16).rev() {
            window.cut(round, under_way);
        }
        assert_eq!(window.width(), 8);
        for expected in [9, 10, 11] {
            // One answer more than a round trip's: each adds its share of a window that is wider by those before.
            for _ in 0..=window.width() {
                window.grow();
            }
            assert_eq!(window.width(), expected);
        }
        for _ in 0..9 {
            window.cut(window.round(), window.width());
        }
        assert_eq!(window.width(), 1, "the floor");
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut window = Window::new(64, false);
        window.is_idle();
        for _ in 0..100 {
            assert!(window.has_room(3));
            window.grow();
        }
        assert_eq!(window.width(), 8);
        assert!(!window.has_room(8));
        window.grow();
        assert_eq!(window.width(), 9);
    }
}
