//! Opening a subject to be examined, with what its engine itself says of the way there.

use std::sync::Arc;

use super::super::failure::Failure;
use super::super::seats;
use super::finding::Finding;
use tokio::runtime::Runtime;

use crate::domain::Subject;
use crate::engine::Engine;
use crate::plan::Plan;

/// An open subject.
pub(super) struct Open {
    pub(super) engine: Arc<dyn Engine>,
    /// What the engine found out by itself.
    pub(super) told: Vec<Finding>,
}

/// Opens a subject.
pub(super) fn open(plan: &Plan, subject: &Subject, runtime: &Runtime) -> Result<Open, Failure> {
    let seat = runtime.block_on(seats::seat(plan, subject))?;
    Ok(Open { engine: seat.engine, told: Vec::new() })
}
