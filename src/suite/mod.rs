//! Suites: TOML files of tasks, read with every fault told at once, by file, line, column and key.
//!
//! The forms of a fault ([`Diagnostic`]) and of a half-read TOML table ([`Section`]) serve plans as well.

mod diagnostic;
mod document;
mod form;
mod judging;
mod secret;
mod section;
mod shape;
mod task;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

pub use diagnostic::{Diagnostic, Diagnostics, Place};
pub use document::{Document, nearest};
pub use secret::{is_secret_name, looks_secret};
pub use section::Section;

use crate::domain::{Suite, Task};

/// Where a task's keys stand in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPlaces {
    /// Its `[[task]]` line.
    pub header: Place,
    /// The values that the file gives, by key.
    pub keys: BTreeMap<String, Place>,
}

impl TaskPlaces {
    /// The place of a key's value, or of the task where the file does not give the key.
    pub fn of(&self, key: &str) -> Place {
        self.keys.get(key).unwrap_or(&self.header).clone()
    }
}

/// A task asked as text in place of log-likelihoods, for subjects that give none.
#[derive(Clone, Debug, PartialEq)]
pub struct TextForm {
    /// The task in that form, of kind generate or chat.
    pub task: Task,
    /// Where its keys stand.
    pub places: TaskPlaces,
}

/// A suite with the places that later checks point to.
#[derive(Clone, Debug, PartialEq)]
pub struct SuiteFile {
    /// What the file says.
    pub suite: Suite,
    /// One for each task, in the suite's order.
    pub places: Vec<TaskPlaces>,
    /// The text form of each task that declares one, in the suite's order.
    pub forms: Vec<Option<TextForm>>,
}

impl SuiteFile {
    /// Reads a suite file. Its keys are `name`, `about` and `[[task]]`; those of a task are described in
    /// `suites/standard.toml`. Dataset paths are kept as written: they start from the suite's folder.
    ///
    /// # Errors
    /// Every fault of the file.
    pub fn load(path: &Path) -> Result<Self, Diagnostics> {
        let document = Document::read(path)?;
        let parsed = document.parse()?;
        let root = Section::root(&document, "the suite", parsed.get_ref());
        let name = root.required_name("name");
        let about = root.text("about").unwrap_or_default();
        let sections = root.tables("task");
        if !root.has("task") || root.is_empty_list("task") {
            root.fault("the suite has no tasks", Some("add a [[task]] with a name, a kind, a dataset and a prompt"));
        }
        let mut suite = Suite { name, about, tasks: Vec::with_capacity(sections.len()) };
        let (mut places, mut forms) = (Vec::with_capacity(sections.len()), Vec::with_capacity(sections.len()));
        for section in sections {
            let task = task::read(&section);
            if suite.tasks.iter().any(|earlier| earlier.name == task.name) && !task.name.as_str().is_empty() {
                section.fault_at("name", format!("two tasks are named `{}`", task.name), Some("names are unique within a plan"));
            }
            forms.push(form::read(&section, &task));
            suite.tasks.push(task);
            places.push(TaskPlaces { header: section.place(), keys: section.places() });
            section.close();
        }
        root.close();
        document.finish()?;
        Ok(Self { suite, places, forms })
    }
}
