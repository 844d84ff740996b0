//! A workbench for tests of the real binary: a folder with a small plan on the bundled model.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A temporary folder with a plan, and the way to run it.
pub(crate) struct Bench {
    folder: TempDir,
}

/// What a finished process left.
pub(crate) struct Ended(pub(crate) Output);

impl Bench {
    /// A plan of the bundled model against two quantizations and a control, on a few samples of each task.
    pub(crate) fn new(name: &str) -> Self {
        let folder = tempfile::Builder::new().prefix(name).tempdir().expect("a temporary folder can be made");
        let bench = Self { folder };
        bench.write("quantgate.toml", &plan("", ""));
        bench
    }

    /// The repository's root.
    pub(crate) fn repository() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    /// A file of the bench.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the bench.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder can be made");
        fs::write(&path, text).expect("the file can be written");
        path
    }

    /// A reports folder of its own.
    pub(crate) fn reports(&self, name: &str) -> PathBuf {
        self.path("reports").join(name)
    }

    /// The binary, without any setting from the environment but that every answer is asked for: an equal answer that was
    /// kept from an earlier run would prove nothing.
    pub(crate) fn binary(&self) -> Command {
        self.binary_of(env!("CARGO_BIN_EXE_quantgate"))
    }

    /// Another program in the bench's folder.
    pub(crate) fn binary_of(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env_clear().env("QUANTGATE_FRESH", "1");
        command
    }

    /// `quantgate run` on the bench's plan: twelve samples a task.
    pub(crate) fn command(&self, reports: &Path, more: &[&str]) -> Command {
        let mut command = self.binary();
        command.args(["run", "quantgate.toml", "--no-progress", "--reports"]).arg(reports).args(more);
        if !more.contains(&"--limit") {
            command.args(["--limit", "12"]);
        }
        command
    }

    /// The same, to its end.
    pub(crate) fn run(&self, reports: &Path, more: &[&str]) -> Ended {
        Ended(self.command(reports, more).output().expect("the binary starts"))
    }
}

impl Ended {
    /// Standard error as text.
    pub(crate) fn complaint(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// The exit code.
    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    /// Panics unless a verdict was given.
    pub(crate) fn success_or_verdict(self) -> Self {
        assert!(matches!(self.code(), 0 | 1 | 3 | 4), "exit code {}: {}", self.code(), self.complaint());
        self
    }
}

/// A plan on the bundled model, with more top-level keys and more tables.
pub(crate) fn plan(keys: &str, tables: &str) -> String {
    let root = Bench::repository().display();
    format!(
        "name = \"bench\"\nsuites = [\"{root}/suites/standard.toml\"]\nseed = 7\n{keys}\n\
         [canary]\nmodel = \"{root}/models/demo\"\n\n\
         [[variant]]\nname = \"q8_0\"\nquantize = \"q8_0\"\n\n\
         [[variant]]\nname = \"q2_k\"\nquantize = \"q2_k\"\ncontrol = true\n\n\
         [policy]\nmargin = \"5pp\"\n{tables}"
    )
}
