//! `quantgate gate`: the verdict of a finished run, under its own policy or another; writes nothing.

use super::args::GateArgs;
use super::failure::Failure;
use super::report::judge;
use super::run::find;
use super::terminal;
use crate::plan;
use crate::report;

/// Shows the verdict and returns its exit code.
pub(super) fn gate(args: &GateArgs) -> Result<u8, Failure> {
    let folder = find(&args.run, &args.reports)?;
    let policy = match &args.policy {
        Some(path) => Some(plan::read_policy(path).map_err(|faults| Failure::usage(faults.to_string()))?),
        None => None,
    };
    let by = args.policy.as_ref().map_or_else(|| "its own policy".to_owned(), |path| path.display().to_string());
    terminal::note(&format!("{} by {by}\n", folder.display()));
    let judged = judge(&folder, policy.as_ref())?;
    terminal::say(report::text(&judged.report, terminal::width()).trim_end());
    Ok(judged.code)
}
