//! The command line: the only room that prints, reads the environment or decides the exit code.

mod answers;
mod args;
mod compare;
mod divergence;
mod doctor;
mod failure;
mod gate;
mod hub;
mod init;
mod keys;
mod ledger;
mod power;
pub mod progress;
mod quantize;
mod referees;
mod report;
mod run;
mod seats;
mod settings;
mod spending;
mod terminal;
mod trace;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::{Cli, Command};
use failure::Failure;

/// Parses the command line, does what it says and returns the documented exit code.
#[must_use]
pub fn main() -> ExitCode {
    match dispatch() {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            terminal::complain(&failure);
            ExitCode::from(failure.code)
        }
    }
}

/// The verbs.
fn dispatch() -> Result<u8, Failure> {
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(answer) => {
            // Help and version are answers, not faults.
            let code = u8::from(answer.use_stderr()) * failure::USAGE;
            return answer.print().map(|()| code).map_err(|fault| Failure::internal(&fault));
        }
    };
    let cli = Cli::from_arg_matches(&matches).map_err(|fault| Failure::usage(fault.to_string()))?;
    let given = matches.subcommand().map_or(&matches, |(_, of_verb)| of_verb);
    match cli.command {
        None => run::run(&cli.run, given),
        Some(Command::Run(args)) => run::run(&args, given),
        Some(Command::Report(args)) => report::report(&args),
        Some(Command::Gate(args)) => gate::gate(&args),
        Some(Command::Compare(args)) => compare::compare(&args),
        Some(Command::Power(args)) => power::power(&args),
        Some(Command::Quantize(args)) => quantize::quantize(&args),
        Some(Command::Divergence(args)) => divergence::run(&args),
        Some(Command::Doctor(args)) => doctor::doctor(&args),
        Some(Command::Init(args)) => init::init(&args),
    }
}
