//! What a plan resolves to, and what is said of one that can't be run.

mod able;
mod api;
mod contents;
mod policies;
mod resolved;
mod shapes;
mod subjects;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Overrides, Plan};

const PLAN: &str = "\
name = \"demo\"
suites = [\"suite.toml\"]
seed = 7

[canary]
model = \"model\"

[[variant]]
name = \"q8\"
quantize = \"q8_0\"

[policy]
margin = \"2pp\"
";

const SUITE: &str = "\
name = \"suite\"

[[task]]
name = \"sums\"
kind = \"generate\"
dataset = \"sums.jsonl\"
prompt = \"{{ q }}=\"
target = \"{{ a }}\"
slice = \"kind\"

[[task]]
name = \"prose\"
kind = \"perplexity\"
dataset = \"prose.jsonl\"
prompt = \"{{ text }}\\n\"
";

/// A folder with a good plan, its suite, its datasets and a model.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a folder can be made"));
        fs::create_dir(place.0.path().join("model")).expect("a folder can be made");
        let sum = |i: usize| format!("{{\"id\":\"s{i}\",\"kind\":\"add\",\"q\":\"{i}+1\",\"a\":{}}}\n", i + 1);
        let sums: Vec<String> = (0..200).map(sum).collect();
        place.write("plan.toml", PLAN).write("suite.toml", SUITE).write("sums.jsonl", &sums.concat());
        place.write("prose.jsonl", "{\"id\":\"p\",\"text\":\"Once <b> & \\\"c\\\".\"}\n");
        place
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        fs::write(self.0.path().join(name), text).expect("a file can be written");
        self
    }

    /// Replaces text in a file, which must be there.
    fn change(&self, name: &str, from: &str, to: &str) -> &Self {
        let text = fs::read_to_string(self.0.path().join(name)).expect("the file is there");
        assert!(text.contains(from), "{name} has {from:?}");
        self.write(name, &text.replacen(from, to, 1))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load_with(&self, overrides: &Overrides) -> Result<Plan, String> {
        Plan::load(&self.path("plan.toml"), overrides).map_err(|errors| self.shown(&errors.to_string()))
    }

    fn load(&self) -> Plan {
        self.load_with(&Overrides::default()).expect("the plan is good")
    }

    fn faults(&self) -> String {
        self.load_with(&Overrides::default()).expect_err("the plan has a fault")
    }

    fn shown(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// What is said of a plan with this change.
fn changed(file: &str, from: &str, to: &str) -> String {
    let place = Place::new();
    place.change(file, from, to);
    place.faults()
}
