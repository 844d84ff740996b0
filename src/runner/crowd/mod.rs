//! Subjects behind endpoints: many requests under way at once, one limiter and one fair order for each endpoint.
//!
//! One loop for each endpoint decides what is sent when; requests are tasks of their own. A failure is waited out beside
//! the requests under way, in the place of none. Nothing here is part of a result: what a unit comes to is its answer.

mod breaker;
mod bucket;
mod budget;
mod bulk;
mod drive;
mod ends;
mod fleet;
mod gate;
mod order;
mod times;
mod waiting;
mod window;

use std::collections::BTreeMap;

pub(super) use bulk::hand_in;
pub(super) use drive::{Crowd, Trouble};

use super::stage::Stage;
use crate::engine::{Endpoint, Lane};

/// The seats behind one endpoint, and what it can take.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The endpoint's name; the subject's where it has no endpoint.
    name: String,
    /// By their places, rising.
    seats: Vec<usize>,
    /// Most requests under way.
    most: usize,
    /// Whether a person stated that number; otherwise it is found out how many are possible.
    stated: bool,
    requests_per_minute: Option<f64>,
    tokens_per_minute: Option<f64>,
    /// Whether late requests get a twin.
    hedge: bool,
}

impl Group {
    /// Every endpoint with its seats: those of one name together, a seat without one by itself.
    pub(super) fn all(stage: &Stage) -> Vec<Self> {
        let mut named: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut groups = Vec::new();
        for (place, seat) in stage.work.seats.iter().enumerate() {
            if let Lane::Own(width) = seat.engine.capabilities().lane {
                match seat.engine.endpoint() {
                    Some(endpoint) => named.entry(&endpoint.name).or_default().push(place),
                    None => groups.push(Self::single(stage, place, width)),
                }
            }
        }
        groups.extend(named.into_iter().map(|(name, seats)| Self::behind(stage, name, seats)));
        groups.sort_by_key(|group| group.seats[0]);
        groups
    }

    /// A seat that shares its limits with no other.
    fn single(stage: &Stage, seat: usize, width: usize) -> Self {
        Self {
            name: stage.work.seats[seat].subject.name.to_string(),
            seats: vec![seat],
            most: stage.options.concurrency.map_or(width, |cap| width.min(cap)).max(1),
            stated: true,
            requests_per_minute: None,
            tokens_per_minute: None,
            hedge: false,
        }
    }

    /// The seats of one endpoint: where they differ in what it can take, the least counts; what a person said goes before
    /// what is usual.
    fn behind(stage: &Stage, name: &str, seats: Vec<usize>) -> Self {
        let endpoints: Vec<&Endpoint> = seats.iter().filter_map(|&seat| stage.work.seats[seat].engine.endpoint()).collect();
        let service = |&seat: &usize| stage.work.plan.services.get(&stage.work.seats[seat].subject.name);
        let planned = seats.iter().filter_map(|seat| service(seat)?.concurrency).min().map(|most| most as usize);
        let stated = planned.into_iter().chain(stage.options.concurrency).min();
        let usual = endpoints.iter().map(|endpoint| endpoint.concurrency).min().unwrap_or(1);
        let least = |budget: fn(&Endpoint) -> Option<f64>| endpoints.iter().filter_map(|one| budget(one)).reduce(f64::min);
        Self {
            name: name.to_owned(),
            most: stated.unwrap_or(usual).max(1),
            stated: stated.is_some(),
            requests_per_minute: least(|endpoint| endpoint.requests_per_minute),
            tokens_per_minute: least(|endpoint| endpoint.tokens_per_minute),
            hedge: endpoints.iter().all(|endpoint| endpoint.hedge),
            seats,
        }
    }

    /// How many samples the endpoint's subjects may be ahead of the slowest, where verdicts may end a task early.
    fn lead(&self) -> usize {
        const LEAST: usize = 8;
        (2 * self.most).max(LEAST)
    }
}
