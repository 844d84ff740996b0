//! What the run's answers cost so far.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Spending, StopHandle, Work};
use crate::domain::{Price, Served, SubjectName};

/// Adds up what answers cost, and asks the run to end when that is too much.
#[derive(Debug)]
pub(super) struct Till {
    prices: Vec<(SubjectName, Price)>,
    limit: f64,
    spent: Mutex<f64>,
    own: Arc<StopHandle>,
}

impl Till {
    /// An empty one; without prices everything is free.
    pub(super) fn new(work: &Work, spending: Option<&Spending>, own: Arc<StopHandle>) -> Self {
        let prices = spending.map_or(&[][..], |spending| &spending.prices);
        let named = work.seats.iter().zip(prices).filter_map(|(seat, price)| Some((seat.subject.name.clone(), (*price)?)));
        let limit = spending.map_or(f64::INFINITY, |spending| spending.limit);
        Self { prices: named.collect(), limit, spent: Mutex::new(0.0), own }
    }

    /// Adds a unit's cost, as its service counted the tokens; an answer from the cache of answers costs nothing.
    pub(super) fn add(&self, subject: &SubjectName, served: Option<&Served>) {
        let usage = served.filter(|served| !served.cached).and_then(|served| served.usage);
        let price = self.prices.iter().find(|(name, _)| name == subject);
        if let (Some(usage), Some((_, price))) = (usage, price) {
            *self.spent.lock().unwrap_or_else(PoisonError::into_inner) += price.of(usage);
            if self.is_out() {
                self.own.drain();
            }
        }
    }

    /// The sum.
    pub(super) fn spent(&self) -> f64 {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the limit is reached.
    pub(super) fn is_out(&self) -> bool {
        self.spent() >= self.limit
    }
}
