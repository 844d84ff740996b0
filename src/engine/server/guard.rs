//! A process that never outlives this one: its keeper ends it when the pipe from here closes, however that comes about.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{ChildStdin, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{ServerError, tail};
use crate::domain::SubjectName;

/// How long its keeper may take to end a server, in all.
const PATIENCE: Duration = Duration::from_secs(15);
/// Tenths of a second that a server may take to end when it is asked to.
#[cfg(unix)]
const GRACE: &str = if cfg!(test) { "5" } else { "100" };

/// Runs the words behind `$1` in a group of its own and waits for them. When standard input closes (this process stopped it, ended, panicked
/// or was killed), the group is asked to end (SIGTERM) and after `$1` tenths of a second made to (SIGKILL). Signals from a terminal
/// don't reach the group, so that answers under way are not lost to the first Ctrl-C.
#[cfg(unix)]
const KEEPER: &str = r#"
grace=$1
shift
trap : TERM INT HUP
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
(
    trap : TERM INT HUP
    read -r _ <&3
    kill -TERM 0
    n=0
    while kill -0 "$server" 2>/dev/null && [ "$n" -lt "$grace" ]; do sleep 0.1; n=$((n + 1)); done
    kill -KILL 0
) &
exec 3<&-
while :; do
    wait "$server"
    code=$?
    kill -0 "$server" 2>/dev/null || exit "$code"
done
"#;

/// A process under guard. Dropping it lets it be ended.
pub(super) struct Guarded {
    program: String,
    log: PathBuf,
    /// While this is open, the process runs.
    pub(super) line: Option<ChildStdin>,
    end: watch::Receiver<Option<String>>,
}

impl Guarded {
    /// Starts a command in a folder, without some variables of the environment; what it writes goes to the end of `log`.
    ///
    /// # Errors
    /// A log that can't be written, and a program that can't be run. One that isn't found shows in [`Guarded::ended`].
    pub(super) fn start(
        subject: &SubjectName,
        words: &[String],
        folder: &Path,
        log: &Path,
        withheld: &[String],
    ) -> Result<Self, ServerError> {
        let program = words.first().cloned().unwrap_or_default();
        let fault = |source| ServerError::Log { subject: subject.clone(), path: log.to_owned(), source };
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder).map_err(fault)?;
        }
        let out = File::options().create(true).append(true).open(log).map_err(fault)?;
        let errors = out.try_clone().map_err(fault)?;
        let mut command = command(words);
        for name in withheld {
            command.env_remove(name);
        }
        command.current_dir(folder).stdin(Stdio::piped()).stdout(out).stderr(errors);
        let start = |problem: std::io::Error| ServerError::Start {
            subject: subject.clone(),
            program: program.clone(),
            problem: problem.to_string(),
        };
        let mut child = command.spawn().map_err(start)?;
        let line = child.stdin.take();
        let (tell, end) = watch::channel(None);
        tokio::spawn(async move {
            let said = match child.wait().await {
                Ok(status) => words_of(status),
                Err(fault) => format!("it can't be watched: {fault}"),
            };
            tell.send_replace(Some(said));
        });
        Ok(Self { program, log: log.to_owned(), line, end })
    }

    /// Where what it writes goes.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, once it has.
    pub(super) fn ended(&self) -> Option<String> {
        self.end.borrow().clone()
    }

    /// Waits until it has ended.
    pub(super) async fn end(&self) {
        let mut end = self.end.clone();
        // A closed channel means that its watcher is gone with the runtime: nothing is left to wait for.
        let _ = end.wait_for(Option::is_some).await;
    }

    /// What its end, before it answered, means.
    pub(super) fn fault(&self, subject: &SubjectName, end: String) -> ServerError {
        let (subject, program) = (subject.clone(), self.program.clone());
        match end.as_str() {
            "status 127" => ServerError::Start { subject, program, problem: "there is no such program".into() },
            "status 126" => ServerError::Start { subject, program, problem: "it is no program that may be run".into() },
            _ => ServerError::Exited { subject, end, log: tail::of(&self.log) },
        }
    }

    /// Ends it and waits until it has ended, or its keeper should have done with it.
    pub(super) async fn stop(mut self) {
        drop(self.line.take());
        let _ = timeout(PATIENCE, self.end()).await;
    }
}

/// The command under its keeper.
#[cfg(unix)]
fn command(words: &[String]) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(KEEPER).args(["quantgate-keeper", GRACE]).args(words).process_group(0);
    command
}

/// The command itself: it is ended with its handle, and may outlive a killed process.
#[cfg(not(unix))]
fn command(words: &[String]) -> Command {
    let mut command = Command::new(words.first().map(String::as_str).unwrap_or_default());
    command.args(words.get(1..).unwrap_or_default()).kill_on_drop(true);
    command
}

/// How a process ended.
fn words_of(status: ExitStatus) -> String {
    match status.code() {
        // A shell tells of a signal as 128 and its number.
        Some(code) if code > 128 => format!("signal {}", code - 128),
        Some(code) => format!("status {code}"),
        None => "killed".into(),
    }
}
