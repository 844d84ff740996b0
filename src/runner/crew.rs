//! The workers of a run: one for all subjects that share this machine, one for each endpoint, one for each that takes jobs.

use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use super::RunError;
use super::crowd::{Crowd, Group, Trouble, hand_in};
use super::stage::Stage;
use super::turns::take_turns;
use crate::engine::Lane;

/// Workers, by whether they can be told to end.
#[derive(Default)]
pub(super) struct Crew {
    /// These end when they are asked to, with everything that was answered.
    crowds: JoinSet<Result<Option<Trouble>, JoinError>>,
    /// These may compute without looking up.
    others: JoinSet<Option<Trouble>>,
    trouble: Option<Trouble>,
}

impl Crew {
    /// Sets everybody to work.
    pub(super) fn hire(stage: &Arc<Stage>) -> Self {
        let mut crew = Self::default();
        for group in Group::all(stage) {
            crew.crowds.spawn(Crowd::new(Arc::clone(stage), group).work());
        }
        let mut shared = Vec::new();
        for (place, seat) in stage.work.seats.iter().enumerate() {
            let stage = Arc::clone(stage);
            match seat.engine.capabilities().lane {
                Lane::Shared => shared.push(place),
                // Where the dispatcher is gone, it says itself why.
                Lane::Bulk => drop(crew.others.spawn(async move { hand_in(stage, place).await.ok().flatten() })),
                Lane::Own(_) => {}
            }
        }
        let stage = Arc::clone(stage);
        crew.others.spawn(async move { take_turns(stage, shared).await.ok().and(None) });
        crew
    }

    /// Waits for everybody, or for the first that panics.
    pub(super) async fn all(&mut self) -> Result<(), JoinError> {
        let Self { crowds, others, trouble } = self;
        let crowds = async {
            while let Some(ended) = crowds.join_next().await {
                *trouble = ended??.or(trouble.take());
            }
            Ok(())
        };
        let mut jobs = None;
        let others = async {
            while let Some(ended) = others.join_next().await {
                jobs = ended?.or(jobs.take());
            }
            Ok(())
        };
        let ended = tokio::try_join!(crowds, others).map(|_| ());
        *trouble = trouble.take().or(jobs);
        ended
    }

    /// Sends everybody home who was asked to end; the trouble that one of them had, or the last panic.
    pub(super) async fn dismiss(mut self) -> Result<Option<Trouble>, JoinError> {
        self.others.abort_all();
        let mut panic = None;
        while let Some(ended) = self.crowds.join_next().await {
            match ended.flatten() {
                Ok(trouble) => self.trouble = trouble.or(self.trouble),
                Err(error) => panic = Some(error),
            }
        }
        panic.map_or(Ok(self.trouble), Err)
    }
}

impl Trouble {
    /// The run's end by it, with some units left.
    pub(super) fn ends(self, left: usize) -> RunError {
        let Self { endpoint, lasted, what, barred } = self;
        if barred {
            return RunError::Barred { endpoint, left, what };
        }
        RunError::Unreachable { endpoint, minutes: lasted.as_secs_f64() / 60.0, left, what }
    }
}
