//! `quantgate compare`: the same pairing, tests, policy and reports on results that other programs made.

mod flags;
mod record;
mod sheets;
mod subjects;
mod texts;

use std::path::{Path, PathBuf};

use super::args::CompareArgs;
use super::failure::Failure;
use super::report::check_tasks;
use super::{ledger, terminal};
use crate::analysis::{Comparisons, Record};
use crate::domain::{Attempt, Measured, Policy, Role, Subject, SubjectName, Tolerance};
use crate::gate;
use crate::harness::HarnessError;
use crate::journal;
use crate::plan;
use crate::report::{self, Report};
use crate::runner::{Clock, System};
pub(super) use flags::{alpha, format, margin, recovery};
use record::Tally;
use subjects::Compared;

/// Compares results, writes all reports, shows the table and returns the verdict's exit code.
pub(super) fn compare(args: &CompareArgs) -> Result<u8, Failure> {
    let policy = policy(args)?;
    let subjects = subjects::open(args)?;
    let tasks = subjects::tasks(args, &subjects)?;
    let mut tally = Tally::new(&subjects, &tasks, policy);
    check_tasks(&tally.record.header.policy, &tally.record)?;
    let mut comparisons = Comparisons::of_sheets(&[]);
    let (mut sliced, mut clustered) = (false, false);
    for task in &tasks {
        let filled = sheets::fill(&subjects, task, &sheets::grouping(args)).map_err(of_files)?;
        sliced |= !filled.sheet.slices.names().is_empty();
        clustered |= !filled.sheet.clusters.names().is_empty();
        let own = Comparisons::of_sheets(std::slice::from_ref(&filled.sheet));
        let texts = texts::of(&subjects, task, &filled, &own.tasks).map_err(of_files)?;
        tally.take(&filled, texts);
        comparisons.tasks.extend(own.tasks);
        comparisons.noise.extend(own.noise);
    }
    found("slice", args.slice.as_deref(), sliced)?;
    found("cluster", args.cluster.as_deref(), clustered)?;
    // By subject, then task: the sorts are stable.
    let place = |name: &SubjectName| subjects.iter().position(|subject| subject.name == *name);
    comparisons.tasks.sort_by_key(|comparison| place(&comparison.subject));
    comparisons.noise.sort_by_key(|noise| place(&noise.subject));
    finish(args, tally, &comparisons)
}

fn finish(args: &CompareArgs, tally: Tally, comparisons: &Comparisons) -> Result<u8, Failure> {
    let (partial, mut record) = tally.end();
    let now = System.now_ms();
    (record.timing.started_ms, record.timing.ended_ms) = (now, now);
    record.header.run = journal::run_id(&args.reports, "compare", now);
    let folder: PathBuf = args.out.clone().unwrap_or_else(|| args.reports.join(&record.header.run));
    record.header.earlier = earlier(&folder, &record);
    let policy = &record.header.policy;
    let decision = gate::decide(&record, comparisons, policy);
    let judged = Report::new(&record, comparisons, &decision, policy);
    report::write_all(&judged, &folder)
        .map_err(|fault| Failure::internal(&fault).with_hint("check that the folder may be written to, then compare again"))?;
    ledger::keep(&folder, &ledger::entries(&record, &decision));
    terminal::say(report::text(&judged, terminal::width()).trim_end());
    if partial {
        terminal::note(
            "\nsamples.csv holds the samples that flipped (the first of each task) or have no score: there are too many for all",
        );
    }
    terminal::note(&format!("\nreport: {}", folder.join("report.html").display()));
    Ok(gate::exit_code(&decision, policy))
}

/// Earlier comparisons of the same files, as the ledger beside the folder has them.
fn earlier(folder: &Path, record: &Record) -> Vec<Attempt> {
    let known = |subject: &&Subject| subject.role == Role::Variant;
    let variants = record.header.subjects.iter().filter(known).map(|subject| (&subject.name, &record.identities[&subject.name]));
    let canary = record.header.canary().expect("the canary is the first subject");
    ledger::attempts(folder.parent().unwrap_or(Path::new("")), &record.identities[&canary.name], variants)
}

/// Refuses a grouping that no sample has: taken for independent, samples that share a source would show more than they do.
fn found(flag: &str, name: Option<&str>, any: bool) -> Result<(), Failure> {
    let Some(name) = name.filter(|_| !any) else { return Ok(()) };
    let hint = "name a column of the CSV file, or a member of the samples' documents or metadata";
    Err(Failure::usage(format!("no sample of the canary has a `{name}`, which --{flag} names")).with_hint(hint))
}

/// The policy that the flags say.
fn policy(args: &CompareArgs) -> Result<Policy, Failure> {
    let mut policy = match (&args.policy, args.margin, args.recovery) {
        (Some(path), ..) => plan::read_policy(path).map_err(|faults| Failure::usage(faults.to_string()))?,
        (None, Some(margin), _) => Policy::new(Tolerance::Margin(margin)),
        (None, None, Some(share)) => Policy::new(Tolerance::Recovery(share)),
        (None, None, None) => {
            let hint =
                "choose the largest loss that you would accept before you look: --margin 1pp, --recovery 0.99 or --policy FILE";
            return Err(Failure::usage("no margin was chosen").with_hint(hint));
        }
    };
    policy.alpha = args.alpha.unwrap_or(policy.alpha);
    // A rule that cannot be applied must not look as if it were kept.
    match policy.budgets.iter().find(|budget| budget.measured() != Some(Measured::Items)) {
        None => Ok(policy),
        Some(budget) => {
            let what = format!("the policy bounds `{}`, which other programs' results don't have", budget.metric);
            Err(Failure::usage(what).with_hint("compare with a policy without that rule"))
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn of_files(fault: HarnessError) -> Failure {
    let hint = fault.hint().to_owned();
    Failure::usage(fault.to_string()).with_hint(hint)
}

/// What a subject's rows of a task are.
fn rows<'a>(subject: &'a Compared, task: &'a subjects::Chosen) -> Option<crate::harness::Rows<'a>> {
    let head = subject.source.task(&task.name)?;
    Some(crate::harness::Rows { source: &subject.source, task: head, metric: &task.metric })
}
