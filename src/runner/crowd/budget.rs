//! A budget for retries: a share of the requests, so that asking again cannot multiply the load of an endpoint in trouble.
//!
//! Beyer et al., *Site Reliability Engineering* (2016), chapter 21, "Deciding to retry".

/// Requests sent again that each new request allows for.
const SHARE: f64 = 0.2;
/// Those allowed before any.
const FIRST: f64 = 32.0;

/// What is left of the budget.
#[derive(Debug)]
pub(super) struct Budget(f64);

impl Budget {
    pub(super) fn new() -> Self {
        Self(FIRST)
    }

    /// A unit is asked for the first time.
    pub(super) fn earn(&mut self) {
        self.0 += SHARE;
    }

    /// One more is sent again; false where the budget is used up.
    pub(super) fn spend(&mut self) -> bool {
        let is_there = self.0 >= 1.0;
        self.0 -= if is_there { 1.0 } else { 0.0 };
        is_there
    }
}
