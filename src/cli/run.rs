//! `quantgate run`: load, ask, judge, report.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::ArgMatches;
use tokio::runtime::Runtime;

use super::args::RunArgs;
use super::failure::{Failure, INTERNAL, INTERRUPTED, USAGE, chain};
use super::progress::{self, Bars, Plain};
use super::{answers, ledger, referees, report, seats, settings, spending, terminal, trace};
use crate::event::{Event, FORMAT, RunHeader, Sink};
use crate::journal::{self, Journal, JournalError, RunFolder};
use crate::plan::Plan;
use crate::runner::{self, Clock, Options, Start, Summary, System, Work};
use crate::scorer;

/// Runs the plan and returns the verdict's exit code.
pub(super) fn run(args: &RunArgs, given: &ArgMatches) -> Result<u8, Failure> {
    let plan = Plan::load(&args.plan, &settings::overrides(args)).map_err(|faults| Failure::usage(faults.to_string()))?;
    if args.show_settings {
        terminal::say(&settings::table(args, given, &plan));
        return Ok(0);
    }
    for warning in &plan.warnings {
        terminal::warn(warning);
    }
    if let Some(asked) = args.threads {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if asked > cores {
            terminal::warn(&format!("--threads {asked}: there are {cores} cores, so {cores} are used"));
        }
        let threads = asked.min(cores);
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|fault| Failure::internal(&fault))?;
    }
    if let Some(folder) = args.resume.as_deref().and_then(|name| finished(name, &plan)) {
        terminal::note(&format!("{} is complete: nothing is left to ask", folder.display()));
        return report::finish(&folder);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|fault| Failure::internal(&fault))?;
    let mut work = prepare(plan, &runtime)?;
    trace::follow(&mut work.seats, args.verbose);
    let earlier = answers::keep(&work.plan, args.fresh, &mut work.seats);
    let limit = work.plan.spending;
    let began = Instant::now();
    let (folder, sinks, start) = open_journal(args, &work)?;
    let folder = folder.path().to_owned();
    let summary = ask(args, runtime, (work, start), sinks).map_err(|failure| kept(failure, &folder))?;
    earlier.tell();
    if summary.left() > 0 {
        return Err(unfinished(args, summary, limit, &folder));
    }
    let saved = match summary.saved {
        0 => String::new(),
        saved => format!("; {saved} of {} answers were not asked", summary.units),
    };
    let spent = spending::spent(summary);
    terminal::note(&format!("asked everything in {:.1} s{saved}{spent}", began.elapsed().as_secs_f64()));
    report::finish(&folder)
}

/// The end of a run that has units left: it was asked to stop, or it spent what it may.
fn unfinished(args: &RunArgs, summary: Summary, limit: Option<f64>, folder: &Path) -> Failure {
    let (command, folder) = (settings::resume_command(args), folder.display());
    let (what, hint) = if let Some(limit) = limit.filter(|_| summary.broke) {
        let hint = format!("raise `limit` in the plan's [spending]; then `{command}` goes on; all answers are in {folder}");
        (spending::reached(summary, limit), hint)
    } else {
        let what = format!("interrupted with {} of {} units done", summary.scored + summary.unscored, summary.units);
        (what, format!("`{command}` goes on; all answers are in {folder}"))
    };
    Failure { code: INTERRUPTED, what, hint: Some(hint) }
}

/// Everything that is needed before the first request, checked.
fn prepare(plan: Plan, runtime: &Runtime) -> Result<Work, Failure> {
    let seats = seats::load(&plan, runtime)?;
    let scorers = plan.tasks.iter().map(|planned| scorer::of(&planned.task.scorer)).collect();
    let referees = referees::of(&plan);
    let work = Work { plan: Arc::new(plan), seats, scorers, referees };
    runner::check(&work).map_err(|fault| of_runner(&fault))?;
    Ok(work)
}

/// What a run writes to and starts from.
type Opened = (RunFolder, Vec<Box<dyn Sink>>, Start);

/// A new run's journal, or the journal of the run that goes on.
fn open_journal(args: &RunArgs, work: &Work) -> Result<Opened, Failure> {
    let plan = &*work.plan;
    let earlier = match &args.resume {
        None => None,
        Some(name) if name == Path::new("latest") => newest_unfinished(plan)?,
        Some(name) => Some(RunFolder::new(find(name, &plan.reports)?)),
    };
    if args.resume.is_some() && earlier.is_none() {
        terminal::note(&format!("no unfinished run in {}: starting a new one", plan.reports.display()));
    }
    let Some(folder) = earlier else {
        let header = RunHeader { earlier: ledger::earlier(plan, &work.seats), ..header(plan) };
        let (journal, folder) = Journal::create(&plan.reports, &header).map_err(|fault| of_journal(&fault))?;
        return Ok((folder, sinks(args, journal, &[]), Start::Fresh(Box::new(header))));
    };
    let (journal, events) = Journal::resume(&folder, &plan.digest).map_err(|fault| of_journal(&fault))?;
    terminal::note(&format!("resuming {}", folder.path().display()));
    Ok((folder, sinks(args, journal, &events), Start::Resume(events)))
}

/// The newest unfinished run of this plan, or else of any: resuming that one says what differs.
fn newest_unfinished(plan: &Plan) -> Result<Option<RunFolder>, Failure> {
    let of = |digest| journal::unfinished(&plan.reports, digest).map_err(|fault| of_journal(&fault));
    Ok(of(Some(&plan.digest))?.or(of(None)?))
}

/// The newest run that `--resume` could mean, where it is this plan's and already has every answer: it may have been
/// killed while its reports were written.
fn finished(name: &Path, plan: &Plan) -> Option<PathBuf> {
    if name != Path::new("latest") || journal::unfinished(&plan.reports, Some(&plan.digest)).ok()?.is_some() {
        return None;
    }
    journal::latest(&plan.reports, Some(&plan.digest)).ok()?.map(|folder| folder.path().to_owned())
}

/// The journal first, then what a person sees.
fn sinks(args: &RunArgs, journal: Journal, earlier: &[Event]) -> Vec<Box<dyn Sink>> {
    let progress: Box<dyn Sink> = if args.no_progress || !std::io::stderr().is_terminal() {
        let mut plain = Plain::to_stderr();
        plain.recall(earlier);
        Box::new(plain)
    } else {
        let mut bars = Bars::on_stderr();
        bars.recall(earlier);
        Box::new(bars)
    };
    vec![Box::new(journal), progress]
}

/// What the journal of a new run opens with.
fn header(plan: &Plan) -> RunHeader {
    RunHeader {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        run: journal::run_id(&plan.reports, &plan.name, System.now_ms()),
        plan: plan.name.clone(),
        digest: plan.digest.clone(),
        seed: plan.seed,
        subjects: plan.subjects.clone(),
        tasks: plan.tasks.iter().map(|planned| planned.card.clone()).collect(),
        policy: plan.policy.clone(),
        earlier: Vec::new(),
        services: plan.services.clone(),
    }
}

/// Asks everything that is still to be asked. The first signal drains, the second stops.
fn ask(args: &RunArgs, runtime: Runtime, (work, start): (Work, Start), sinks: Vec<Box<dyn Sink>>) -> Result<Summary, Failure> {
    let spending = spending::of(&work.plan);
    let options = Options { batch: args.batch, concurrency: args.concurrency, spending, ..Options::default() };
    let (handle, stop) = runner::stop();
    runtime.spawn(async move {
        while signal().await {
            progress::aside("stopping after the batches under way; once more to stop at once");
            handle.ask();
        }
    });
    let summary = runtime.block_on(runner::run(work, start, sinks, options, stop));
    // A batch that a second signal left behind may still be computing: nobody waits for it.
    runtime.shutdown_background();
    summary.map_err(|fault| of_runner(&fault))
}

/// Waits for an interrupt, or where there is such a thing for a request to terminate; false where none can come.
async fn signal() -> bool {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return tokio::signal::ctrl_c().await.is_ok() };
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed.is_ok(),
            asked = terminate.recv() => asked.is_some(),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.is_ok()
}

/// A fault during the run, with where the answers so far are.
fn kept(failure: Failure, folder: &Path) -> Failure {
    if failure.code != INTERNAL || failure.hint.is_some() || failure.what.contains("--resume") {
        return failure;
    }
    failure.with_hint(format!("everything answered so far is kept in {}; `--resume` goes on", folder.display()))
}

fn of_runner(fault: &runner::RunError) -> Failure {
    Failure { code: fault.exit_code(), what: chain(fault), hint: fault.hint().map(str::to_owned) }
}

pub(super) fn of_journal(fault: &JournalError) -> Failure {
    Failure { code: USAGE, what: chain(fault), hint: fault.hint().map(str::to_owned) }
}

/// The run folder that a person named, `latest` included.
pub(super) fn find(run: &Path, reports: &Path) -> Result<PathBuf, Failure> {
    if run != Path::new("latest") {
        let journal = RunFolder::new(run).journal();
        let hint = if run.join("results.json").is_file() {
            "the folder has reports but no journal, as `quantgate compare` makes it: compare again"
        } else {
            "name a run's folder, or `latest`"
        };
        let missing = || Failure::usage(format!("there is no run {}", run.display())).with_hint(hint);
        return journal.exists().then(|| run.to_owned()).ok_or_else(missing);
    }
    let found = journal::latest(reports, None).map_err(|fault| of_journal(&fault))?;
    let found = found.ok_or_else(|| Failure::usage(format!("there is no run in {}", reports.display())));
    found.map(|folder| folder.path().to_owned()).map_err(|failure| failure.with_hint("`quantgate run` makes one"))
}
