//! Opening a subject to be examined, with what its engine itself says of the way there.

use std::sync::Arc;

use tokio::runtime::Runtime;

use super::super::failure::Failure;
use super::super::seats;
use super::finding::{Finding, Verdict};
use crate::domain::{EngineSpec, Subject};
use crate::engine::Engine;
use crate::engine::api::{Check, Standing};
use crate::plan::Plan;

/// An open subject.
pub(super) struct Open {
    pub(super) engine: Arc<dyn Engine>,
    /// What the engine found out by itself.
    pub(super) told: Vec<Finding>,
}

/// Opens a subject; one behind an API looks closer at its endpoint. Its server is started where it has one of its own.
pub(super) fn open(plan: &Plan, subject: &Subject, runtime: &Runtime) -> Result<Open, Failure> {
    let EngineSpec::Api(spec) = &subject.engine else {
        let seat = runtime.block_on(seats::seat(plan, subject))?;
        return Ok(Open { engine: seat.engine, told: Vec::new() });
    };
    runtime.block_on(async {
        // A job may take a day, and its endpoint is the same.
        let mut spec = spec.clone();
        spec.batch = false;
        let engine = seats::reach(plan, subject, &spec).await?;
        let told = engine.examine(&plan.root).await.into_iter().map(finding).collect();
        Ok(Open { engine: Arc::new(engine), told })
    })
}

fn finding(check: Check) -> Finding {
    let verdict = match check.verdict {
        Standing::Fine => Verdict::Fine,
        Standing::Doubtful => Verdict::Doubtful,
        // Other tokens, a prompt that is cut: answers would come, and would not be comparable.
        Standing::Bad => Verdict::Unfair,
    };
    Finding::new(check.name, verdict, check.says)
}
