//! Loading: each subject of the plan becomes an engine that answers.

use std::sync::Arc;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use tokio::runtime::Runtime;

use super::failure::{Failure, chain};
use super::{hub, keys};
use crate::domain::{ApiSpec, EngineSpec, LocalSpec, ModelSource, Subject};
use crate::engine::api::{Access, ApiEngine};
use crate::engine::scripted::ScriptedEngine;
use crate::engine::server::Managed;
use crate::engine::{self, Engine, Surroundings};
use crate::plan::Plan;
use crate::runner::Seat;

/// Opens every subject, the canary first; variants that are to be made from it are made here, and servers are started.
/// Connections to services live in `runtime`.
pub(super) fn load(plan: &Plan, runtime: &Runtime) -> Result<Vec<Seat>, Failure> {
    keys::check(plan)?;
    plan.subjects.iter().map(|subject| runtime.block_on(seat(plan, subject))).collect()
}

/// Opens one subject.
pub(super) async fn seat(plan: &Plan, subject: &Subject) -> Result<Seat, Failure> {
    let began = Instant::now();
    let engine: Arc<dyn Engine> = match &subject.engine {
        EngineSpec::Scripted(spec) => {
            let samples = plan.tasks.iter().flat_map(|planned| &planned.samples);
            Arc::new(ScriptedEngine::new(spec, samples.map(|sample| (&sample.request, &sample.target))))
        }
        EngineSpec::Local(_) => open(plan, subject)?,
        EngineSpec::Api(spec) => Arc::new(reach(plan, subject, spec).await?),
        EngineSpec::Recorded(_) => {
            let what = format!("subject '{}' has answers that another program asked for, so it cannot be asked", subject.name);
            return Err(Failure::usage(what).with_hint("compare such results with `quantgate compare`"));
        }
    };
    Ok(Seat { subject: subject.clone(), engine, load_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) })
}

/// A subject behind an API, its server started where it has one of its own.
pub(super) async fn reach(plan: &Plan, subject: &Subject, spec: &ApiSpec) -> Result<ApiEngine, Failure> {
    let key = keys::read(subject, spec, &plan.root)?;
    let server = match &spec.server {
        Some(_) => Some(start(plan, subject, spec).await?),
        None => None,
    };
    let service = plan.services.get(&subject.name).copied().unwrap_or_default();
    let (root, jobs) = (plan.root.clone(), plan.cache.join("jobs"));
    let access = Access { key, service, root, jobs, server };
    let opened = ApiEngine::open(&subject.name, spec, access).await;
    opened.map_err(|fault| Failure::usage(chain(&fault)).with_hint(fault.hint()))
}

/// A server of the subject's own; what it writes is kept beside the runs.
async fn start(plan: &Plan, subject: &Subject, spec: &ApiSpec) -> Result<Managed, Failure> {
    let folder = plan.reports.join("servers");
    std::fs::create_dir_all(&folder).map_err(|fault| {
        Failure::usage(format!("cannot make the folder {}: {fault}", folder.display()))
            .with_hint("check that the reports folder may be written")
    })?;
    let file: String = subject.name.as_str().chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    let log = folder.join(format!("{file}.log"));
    let started = Managed::start(&subject.name, spec, &plan.root, &log, &keys::of_others(plan, spec)).await;
    started.map_err(|fault| Failure::usage(chain(&fault)).with_hint(fault.hint()))
}

/// A model in this process; making it from the canary and fetching it show a bar.
fn open(plan: &Plan, subject: &Subject) -> Result<Arc<dyn Engine>, Failure> {
    let bar = ProgressBar::new(0).with_style(bar_style());
    let fetching = matches!(&subject.engine, EngineSpec::Local(LocalSpec { source: ModelSource::Hub(_), .. }));
    let what = if fetching { format!("fetching {}", subject.name) } else { format!("making {} from the canary", subject.name) };
    bar.set_message(what);
    let mut advance = |done: u64, all: u64| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let hub = hub::access(plan)?;
    let around = Surroundings { root: &plan.root, cache: &plan.cache, memory: plan.memory, hub: hub.as_ref() };
    let opened = engine::open(subject, &plan.subjects[0], around, &mut advance);
    bar.finish_and_clear();
    opened.map_err(|fault| Failure { hint: fault.hint().map(str::to_owned), ..Failure::usage(chain(&fault)) })
}

/// A bar with a message, in weights.
fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template("{msg} {bar:24} {percent} %").unwrap_or_else(|_| ProgressStyle::default_bar())
}
