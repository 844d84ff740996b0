//! The plan file itself: names, folders, suites, and its tables.

use std::path::{Path, PathBuf};

use super::policy::{self, PolicyFile};
use super::subjects::{self, Cast};
use super::{Overrides, PlanErrors, api};
use crate::domain::TaskName;
use crate::suite::{Diagnostic, Document, Place, Section};

/// The keys of a plan file, for readers that only look at some of them.
pub(super) const KEYS: [&str; 10] =
    ["name", "suites", "skip", "as_text", "seed", "reports", "cache", "canary", "variant", "spending"];

/// A suite that the plan names.
pub(super) struct SuiteRef {
    /// Its file, from the working folder.
    pub(super) path: PathBuf,
    /// Where the plan names it; none for a suite from outside.
    pub(super) place: Option<Place>,
}

/// Names of tasks that the plan lists.
pub(super) struct Listed {
    /// The names.
    pub(super) names: Vec<String>,
    /// Where they stand.
    pub(super) place: Place,
}

impl Listed {
    fn read(section: &Section<'_>, key: &'static str) -> Self {
        Self { names: section.texts(key).unwrap_or_default(), place: section.place_of(key) }
    }

    /// Whether a task is among them.
    pub(super) fn has(&self, task: &TaskName) -> bool {
        self.names.iter().any(|name| name == task.as_str())
    }
}

/// What a plan file says, with the overrides laid over it.
pub(super) struct PlanFile {
    pub(super) name: String,
    pub(super) root: PathBuf,
    pub(super) suites: Vec<SuiteRef>,
    /// Tasks that are set aside.
    pub(super) skip: Listed,
    /// Tasks that are asked in their text form, whatever the subjects can do.
    pub(super) as_text: Listed,
    pub(super) seed: u64,
    pub(super) reports: PathBuf,
    pub(super) cache: PathBuf,
    pub(super) cast: Cast,
    /// The most that a run may cost.
    pub(super) spending: Option<f64>,
    /// None where it has faults of its own.
    pub(super) policy: Option<PolicyFile>,
}

/// Reads the file; faults of content are added to `faults`.
///
/// # Errors
/// Where the file can't be read or is not TOML: then nothing else can be said.
pub(super) fn read(path: &Path, overrides: &Overrides, faults: &mut Vec<Diagnostic>) -> Result<PlanFile, PlanErrors> {
    let document = Document::read(path)?;
    let parsed = document.parse()?;
    let section = Section::root(&document, "the plan", parsed.get_ref());
    let root = path.parent().unwrap_or(Path::new("")).to_owned();
    let folder = |key, given: &Option<PathBuf>, default: &str| {
        let written = section.text(key);
        given.clone().unwrap_or_else(|| root.join(written.as_deref().unwrap_or(default)))
    };
    let seed = section.whole("seed");
    let file = PlanFile {
        name: section.required_name("name"),
        suites: suites(&section, &root, overrides),
        skip: Listed::read(&section, "skip"),
        as_text: Listed::read(&section, "as_text"),
        seed: overrides.seed.or(seed).unwrap_or(0),
        reports: folder("reports", &overrides.reports, "reports"),
        cache: folder("cache", &overrides.cache, "models/cache"),
        cast: subjects::read(&section, &root),
        spending: api::spending(&section),
        policy: None,
        root: root.clone(),
    };
    if file.spending.is_some() {
        api::unpriced(&section, &file.cast.subjects, &file.cast.services);
    }
    let policy = plan_policy(&section, overrides);
    section.close();
    if let Err(found) = document.finish() {
        faults.extend(found.0);
    }
    let policy = match &overrides.policy {
        None => policy,
        Some(path) => match policy::from_file(path) {
            Ok(policy) => Some(policy),
            Err(found) => {
                faults.extend(found.0);
                None
            }
        },
    };
    if overrides.limit == Some(0) {
        faults.push(Diagnostic::new("a limit of 0 samples leaves nothing to run", Some("give at least 1")));
    }
    Ok(PlanFile { policy, ..file })
}

fn suites(section: &Section<'_>, root: &Path, overrides: &Overrides) -> Vec<SuiteRef> {
    let written = section.texts("suites");
    if let Some(paths) = &overrides.suites {
        return paths.iter().map(|path| SuiteRef { path: path.clone(), place: None }).collect();
    }
    let hint = Some("name at least one suite file: suites = [\"suites/standard.toml\"]");
    if !section.has("suites") {
        section.fault("the plan has no `suites`", hint);
    } else if written.as_ref().is_some_and(Vec::is_empty) {
        section.fault_at("suites", "the plan's list of suites is empty", hint);
    }
    let place = section.place_of("suites");
    let paths = written.unwrap_or_default();
    paths.iter().map(|path| SuiteRef { path: root.join(path), place: Some(place.clone()) }).collect()
}

fn plan_policy(section: &Section<'_>, overrides: &Overrides) -> Option<PolicyFile> {
    let table = section.table("policy", "[policy]");
    if table.is_none() && overrides.policy.is_none() && !section.has("policy") {
        section.fault("the plan has no [policy]", Some(policy::MARGIN_HINT));
    }
    table.map(|table| policy::from_section(&table))
}
