//! What the run's answers cost so far.

use super::{Spending, Work};
use crate::domain::{Price, Served, SubjectName};

/// Adds up what answers cost.
#[derive(Debug)]
pub(super) struct Till {
    prices: Vec<(SubjectName, Price)>,
    limit: f64,
    spent: f64,
}

impl Till {
    /// An empty one; without prices everything is free.
    pub(super) fn new(work: &Work, spending: Option<&Spending>) -> Self {
        let prices = spending.map_or(&[][..], |spending| &spending.prices);
        let named = work.seats.iter().zip(prices).filter_map(|(seat, price)| Some((seat.subject.name.clone(), (*price)?)));
        Self { prices: named.collect(), limit: spending.map_or(f64::INFINITY, |spending| spending.limit), spent: 0.0 }
    }

    /// Adds a unit's cost, as its service counted the tokens; an answer from the cache of answers costs nothing.
    pub(super) fn add(&mut self, subject: &SubjectName, served: Option<&Served>) {
        let usage = served.filter(|served| !served.cached).and_then(|served| served.usage);
        let price = self.prices.iter().find(|(name, _)| name == subject);
        if let (Some(usage), Some((_, price))) = (usage, price) {
            self.spent += price.of(usage);
        }
    }

    /// The sum.
    pub(super) fn spent(&self) -> f64 {
        self.spent
    }

    /// Whether the limit is reached.
    pub(super) fn is_out(&self) -> bool {
        self.spent >= self.limit
    }
}
