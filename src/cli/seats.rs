//! Loading: each subject of the plan becomes an engine that answers.

use std::sync::Arc;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::failure::{Failure, chain};
use crate::domain::{EngineSpec, Subject};
use crate::engine::scripted::ScriptedEngine;
use crate::engine::{self, Engine};
use crate::plan::Plan;
use crate::runner::Seat;

/// Opens every subject, the canary first; variants that are to be made from it are made here.
pub(super) fn load(plan: &Plan) -> Result<Vec<Seat>, Failure> {
    plan.subjects.iter().map(|subject| seat(plan, subject)).collect()
}

/// Opens one subject.
pub(super) fn seat(plan: &Plan, subject: &Subject) -> Result<Seat, Failure> {
    let began = Instant::now();
    let engine: Arc<dyn Engine> = match &subject.engine {
        EngineSpec::Scripted(spec) => {
            let samples = plan.tasks.iter().flat_map(|planned| &planned.samples);
            Arc::new(ScriptedEngine::new(spec, samples.map(|sample| (&sample.request, &sample.target))))
        }
        EngineSpec::Local(_) => open(plan, subject)?,
        EngineSpec::Api(_) => {
            return Err(Failure::usage(format!("subject '{}' is behind an API, which cannot be asked yet", subject.name)));
        }
        EngineSpec::Recorded(_) => {
            let what = format!("subject '{}' has answers that another program asked for, so it cannot be asked", subject.name);
            return Err(Failure::usage(what).with_hint("compare such results with `quantgate compare`"));
        }
    };
    Ok(Seat { subject: subject.clone(), engine, load_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) })
}

/// A model in this process; making it from the canary shows a bar.
fn open(plan: &Plan, subject: &Subject) -> Result<Arc<dyn Engine>, Failure> {
    let bar = ProgressBar::new(0).with_style(bar_style());
    bar.set_message(format!("making {} from the canary", subject.name));
    let mut advance = |done: u64, all: u64| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let opened = engine::open(subject, &plan.subjects[0], &plan.root, &plan.cache, &mut advance);
    bar.finish_and_clear();
    opened.map_err(|fault| Failure { hint: fault.hint().map(str::to_owned), ..Failure::usage(chain(&fault)) })
}

/// A bar with a message, in weights.
fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template("{msg} {bar:24} {percent} %").unwrap_or_else(|_| ProgressStyle::default_bar())
}
