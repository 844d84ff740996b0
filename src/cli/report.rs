//! `quantgate report`: from a journal to every report, byte for byte.

use std::path::Path;

use super::args::ReportArgs;
use super::failure::{Failure, chain};
use super::run::{find, of_journal};
use super::{ledger, terminal};
use crate::analysis::{self, Comparisons, Record};
use crate::domain::Policy;
use crate::gate;
use crate::journal::{self, Entry, RunFolder};
use crate::report::{self, Report};
use crate::suite::nearest;

/// Makes the reports of a run again. The exit code says whether that worked, not what the verdict is.
pub(super) fn report(args: &ReportArgs) -> Result<u8, Failure> {
    let folder = find(&args.run, &args.reports)?;
    write(&folder, &judge(&folder, None)?).map(|()| 0)
}

/// A run, judged.
pub(super) struct Judged {
    /// What all formats are written from.
    pub(super) report: Report,
    /// The verdict's exit code under the policy.
    pub(super) code: u8,
    /// What the ledger keeps of it.
    pub(super) entries: Vec<Entry>,
}

/// Judges the run in a folder by its own policy, or by another.
pub(super) fn judge(folder: &Path, policy: Option<&Policy>) -> Result<Judged, Failure> {
    let events = journal::replay(&RunFolder::new(folder).journal()).map_err(|fault| of_journal(&fault))?;
    let record: Record = analysis::fold(events).map_err(|fault| {
        Failure::usage(format!("{}: {}", folder.display(), chain(&fault)))
            .with_hint("the journal was changed by hand, or is not one")
    })?;
    if let Some(policy) = policy {
        check_tasks(policy, &record)?;
    }
    let policy = policy.unwrap_or(&record.header.policy);
    let comparisons = Comparisons::of(&record);
    let decision = gate::decide(&record, &comparisons, policy);
    let code = gate::exit_code(&decision, policy);
    let entries = ledger::entries(&record, &decision);
    Ok(Judged { report: Report::new(&record, &comparisons, &decision, policy), code, entries })
}

/// A rule about a task that the run doesn't have is a slip of the pen, not a rule without effect.
pub(super) fn check_tasks(policy: &Policy, record: &Record) -> Result<(), Failure> {
    let names: Vec<&str> = record.header.tasks.iter().map(|card| card.name.as_str()).collect();
    let of_budgets = policy.budgets.iter().filter_map(|budget| budget.task.as_ref());
    let mut named = policy.tasks.iter().map(|rule| &rule.task).chain(of_budgets);
    match named.find(|task| !names.contains(&task.as_str())) {
        None => Ok(()),
        Some(task) => {
            let hint = nearest(task.as_str(), names.iter().copied())
                .map_or_else(|| format!("its tasks are {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
            Err(Failure::usage(format!("the policy has a rule for `{task}`, but the run has no such task")).with_hint(hint))
        }
    }
}

/// Ends a run: its line in the ledger, its reports, and the verdict's exit code.
pub(super) fn finish(folder: &Path) -> Result<u8, Failure> {
    let judged = judge(folder, None)?;
    // Before anybody can have seen the verdict: an attempt that was seen and then broken off counts too.
    ledger::keep(folder, &judged.entries);
    write(folder, &judged)?;
    Ok(judged.code)
}

/// Writes all reports of a judged run into its folder and shows the table.
fn write(folder: &Path, judged: &Judged) -> Result<(), Failure> {
    report::write_all(&judged.report, folder).map_err(|fault| {
        let failure = Failure::internal(&fault);
        Failure { hint: fault.hint().map(str::to_owned), ..failure }
    })?;
    terminal::say(report::text(&judged.report, terminal::width()).trim_end());
    terminal::note(&format!("\nreport: {}", folder.join("report.html").display()));
    Ok(())
}
