//! The ledger, from both ends: what a new run should know of earlier ones, and what a finished one leaves to later ones.
//!
//! A ledger that cannot be read or written is worth a warning and never a run.

use std::path::Path;

use super::failure::chain;
use super::terminal;
use crate::analysis::Record;
use crate::domain::{Attempt, Identity, Role, SubjectName};
use crate::gate::{Decision, policy_digest};
use crate::journal::{Entry, Ledger, data_of, models_of};
use crate::plan::Plan;
use crate::runner::Seat;

/// Earlier finished runs that judged the models of these seats, by variant.
pub(super) fn earlier(plan: &Plan, seats: &[Seat]) -> Vec<Attempt> {
    let variants = seats.iter().filter(|seat| seat.subject.role == Role::Variant);
    let variants = variants.map(|seat| (&seat.subject.name, seat.engine.identity()));
    attempts(&plan.reports, seats[0].engine.identity(), variants)
}

/// Earlier finished runs of a reports folder that judged the same models, by variant.
pub(super) fn attempts<'a>(
    reports: &Path,
    canary: &Identity,
    variants: impl Iterator<Item = (&'a SubjectName, &'a Identity)>,
) -> Vec<Attempt> {
    let ledger = Ledger::of(reports);
    let entries = match ledger.read() {
        Ok((entries, damaged)) => {
            if let Some(first) = damaged.first() {
                let (path, more) = (ledger.path().display(), damaged.len() - 1);
                let others = if more > 0 { format!(" and {more} more") } else { String::new() };
                terminal::warn(&format!("{path}: line {first}{others} cannot be read, so that attempt is forgotten"));
            }
            entries
        }
        Err(fault) => {
            terminal::warn(&format!("{}: earlier attempts are not known", chain(&fault)));
            return Vec::new();
        }
    };
    variants.flat_map(|(name, variant)| Entry::attempts(&entries, name, &models_of(canary, variant))).collect()
}

/// What a finished run leaves: its verdict on each variant. Nothing for a run that is not complete.
pub(super) fn entries(record: &Record, decision: &Decision) -> Vec<Entry> {
    let header = &record.header;
    let canary = header.canary();
    let canary = canary.and_then(|canary| record.identities.get(&canary.name)).filter(|_| record.finished);
    let judged = decision.subjects.iter().filter(|subject| subject.role == Role::Variant);
    let entry = |subject: &crate::gate::SubjectDecision| {
        Some(Entry {
            at_ms: record.timing.ended_ms,
            run: header.run.clone(),
            subject: subject.subject.clone(),
            models: models_of(canary?, record.identities.get(&subject.subject)?),
            data: data_of(header),
            plan: header.digest.clone(),
            policy: policy_digest(&header.policy),
            verdict: subject.verdict,
        })
    };
    judged.filter_map(entry).collect()
}

/// Writes them into the ledger beside the run's folder.
pub(super) fn keep(folder: &Path, entries: &[Entry]) {
    let ledger = Ledger::of(folder.parent().unwrap_or(Path::new("")));
    if let Err(fault) = ledger.append(entries) {
        terminal::warn(&format!("{}: later runs will not know of this one", chain(&fault)));
    }
}
