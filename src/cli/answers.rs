//! Answers of earlier runs: which subjects' are looked for, and what is said about it.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::failure::chain;
use super::terminal;
use crate::domain::Measured;
use crate::engine::Engine;
use crate::engine::cached::Cached;
use crate::engine::store::{MOST_BYTES, Store, StoreError};
use crate::plan::Plan;
use crate::runner::{Clock, Seat, System};

/// The subjects whose answers are kept.
pub(super) struct Kept(Vec<Arc<Cached>>);

/// Lays a cache of answers over every seat whose model's content is proven and that is asked once: a repeat that got the
/// answer it already has would show no noise. Where `fresh`, or where times are judged, every answer is asked for again.
/// A store that can't be used is told, and the run goes on without it.
pub(super) fn keep(plan: &Plan, fresh: bool, seats: &mut [Seat]) -> Kept {
    let can = |seat: &&mut Seat| seat.subject.repeats == 1 && Cached::can_keep(&seat.subject.engine, seat.engine.identity());
    let mut able: Vec<&mut Seat> = seats.iter_mut().filter(can).collect();
    if able.is_empty() {
        return Kept(Vec::new());
    }
    let look = !fresh && !judges_times(plan);
    let kept = store(plan).and_then(|store| able.iter_mut().map(|seat| over(seat, &store, look)).collect());
    match kept {
        Ok(kept) => Kept(kept),
        Err(fault) => {
            terminal::warn(&format!("{}, so no answers are kept; {}", chain(&fault), fault.hint()));
            Kept(Vec::new())
        }
    }
}

/// Lays a cache over a seat that can have one.
fn over(seat: &mut Seat, store: &Store, look: bool) -> Result<Arc<Cached>, StoreError> {
    let cached = Cached::over(Arc::clone(&seat.engine), &seat.subject.engine, store, look)?;
    let cached = Arc::new(cached.expect("only seats that can have one come here"));
    seat.engine = Arc::clone(&cached) as Arc<dyn Engine>;
    Ok(cached)
}

/// The store in the plan's cache folder, for this very program.
fn store(plan: &Plan) -> Result<Store, StoreError> {
    let program = std::env::current_exe().and_then(|path| build(&path));
    let build = program.map_err(|source| StoreError::File { path: "the program itself".into(), source })?;
    Store::open(&plan.cache.join("answers"), &build, System.now_ms(), MOST_BYTES)
}

/// The digest of a program's file: a version alone would not tell apart what was built from changed sources.
fn build(path: &std::path::Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Whether the policy has a budget on times: then canary and variants are asked side by side.
fn judges_times(plan: &Plan) -> bool {
    plan.policy.budgets.iter().any(|budget| budget.measured() == Some(Measured::Times))
}

impl Kept {
    /// Says how many answers were not asked for, and what kept answers from being kept.
    pub(super) fn tell(&self) {
        let found: usize = self.0.iter().map(|cached| cached.found()).sum();
        if found > 0 {
            terminal::note(&format!("{found} answers were kept from earlier runs; --fresh asks for them again"));
        }
        if let Some(fault) = self.0.iter().find_map(|cached| cached.fault()) {
            terminal::warn(&format!("{fault}; later answers were not kept for other runs"));
        }
    }
}
