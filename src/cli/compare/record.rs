//! A record in which the gate and the reports find what they need: subjects, tasks, identities, and the texts that are shown.

use std::collections::BTreeMap;

use super::sheets::Filled;
use super::subjects::{Chosen, Compared};
use super::texts::Texts;
use crate::analysis::{Counts, Endpoints, Record, Timing};
use crate::domain::{Digest, EngineSpec, Identity, MetricKind, Policy, RecordedSpec, Subject, TaskCard};
use crate::event::{FORMAT, RunHeader};
use crate::gate::policy_digest;
use crate::harness::Source;

/// What stands for what another program's files don't tell.
const UNTOLD: &str = "not told";

/// A record in the making, task by task.
pub(super) struct Tally {
    /// So far.
    pub(super) record: Record,
    partial: bool,
}

impl Tally {
    /// A record of no sample.
    pub(super) fn new(subjects: &[Compared], tasks: &[Chosen], policy: Policy) -> Self {
        let spec =
            |source: &Source| EngineSpec::Recorded(RecordedSpec { program: source.program.clone(), model: source.model.clone() });
        let subject = |s: &Compared| Subject { name: s.name.clone(), role: s.role, engine: spec(&s.source), repeats: 1 };
        let header = RunHeader {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run: String::new(),
            plan: "compare".to_owned(),
            digest: digest(subjects, tasks, &policy),
            seed: 0,
            subjects: subjects.iter().map(subject).collect(),
            tasks: tasks.iter().map(|task| unread(subjects, task)).collect(),
            policy,
            earlier: Vec::new(),
            services: BTreeMap::new(),
        };
        let record = Record {
            header,
            identities: subjects.iter().map(|s| (s.name.clone(), identity(&s.source))).collect(),
            changed: Vec::new(),
            samples: BTreeMap::new(),
            settled: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            finished: true,
            counts: Counts::default(),
            timing: Timing::default(),
            endpoints: Endpoints::default(),
        };
        Self { record, partial: false }
    }

    /// Adds a task.
    pub(super) fn take(&mut self, filled: &Filled, texts: Texts) {
        let card = &filled.sheet.task;
        if let Some(unread) = self.record.header.tasks.iter_mut().find(|task| task.name == card.name) {
            *unread = card.clone();
        }
        for (subject, passes) in self.record.header.subjects.iter_mut().zip(&filled.sheet.subjects) {
            subject.repeats = subject.repeats.max(passes.columns.len() as u32);
            let scored: usize = passes.columns.iter().map(|c| (0..c.len()).filter(|i| c.value(*i).is_some()).count()).sum();
            let all = passes.columns.len() * filled.sheet.ids.len();
            self.record.counts.expected += all;
            self.record.counts.scored += scored;
            self.record.counts.unscored += all - scored;
        }
        self.record.samples.insert(card.name.clone(), texts.cards);
        self.record.outcomes.extend(texts.outcomes);
        self.partial |= texts.partial;
    }

    /// Whether samples were left out of it, and the record.
    pub(super) fn end(self) -> (bool, Record) {
        (self.partial, self.record)
    }
}

/// The card of a task before its rows are read.
fn unread(subjects: &[Compared], task: &Chosen) -> TaskCard {
    let head = subjects[0].source.task(&task.name).expect("every subject has the chosen tasks");
    TaskCard {
        name: task.name.clone(),
        about: String::new(),
        kind: head.kind,
        metric: MetricKind::Accuracy,
        range: None,
        gating: true,
        chance: head.chance,
        band: None,
        dataset: String::new(),
        digest: Digest::new(UNTOLD),
        samples: 0,
    }
}

/// What is known of a model whose results another program wrote: the program, and its files.
fn identity(source: &Source) -> Identity {
    let untold = || Digest::new(UNTOLD);
    let mut all = blake3::Hasher::new();
    let mut details = source.details.clone();
    details.insert("model".to_owned(), source.model.clone());
    for file in &source.files {
        all.update(file.digest.as_str().as_bytes());
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        details.insert(format!("file {name}"), format!("{}, {} bytes", file.digest, file.bytes));
    }
    Identity {
        engine: format!("results of {}", source.program),
        weights: Digest::new(format!("results:blake3:{}", all.finalize().to_hex())),
        vocabulary: untold(),
        template: untold(),
        quantization: UNTOLD.to_owned(),
        bytes: 0,
        parameters: source.parameters,
        bits_per_weight: 0.0,
        details,
    }
}

/// A digest of everything that the verdict depends on.
fn digest(subjects: &[Compared], tasks: &[Chosen], policy: &Policy) -> Digest {
    let mut all = blake3::Hasher::new();
    let mut add = |text: &str| {
        all.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    };
    for subject in subjects {
        add(subject.name.as_str());
        add(&format!("{:?}", subject.role));
        subject.source.files.iter().for_each(|file| add(file.digest.as_str()));
    }
    for task in tasks {
        add(task.name.as_str());
        add(&task.metric);
    }
    add(policy_digest(policy).as_str());
    Digest::new(format!("blake3:{}", all.finalize().to_hex()))
}
