//! What endpoints told beside answers, kept small: a run has a hundred thousand of them, and few different names.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::domain::{Digest, Origin, Served, SubjectName, UnitKey, Usage};

/// What an endpoint told beside one answer; equal names and digests share their text. Its pace is with the times.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// The model that answered, by the service's own word.
    pub model: Option<Arc<str>>,
    /// The service's mark for the configuration that answered.
    pub fingerprint: Option<Arc<str>>,
    /// Digest of what was asked, with its kind in front.
    pub prompt: Option<Digest>,
    /// How many other models were tried before.
    pub fallbacks: u32,
    /// Whether the service cut the prompt to fit its context.
    pub truncated: bool,
    /// Tokens that the service counted.
    pub usage: Option<Usage>,
    /// Requests that were sent again for this answer.
    pub retries: u32,
    /// Whether the answer was taken from the cache of answers.
    pub cached: bool,
}

impl Told {
    /// Whether an endpoint told it. Of a model in this process it is known at most that an answer was in the cache.
    pub(super) fn is_of_endpoint(&self) -> bool {
        *self != Self { cached: true, ..Self::default() }
    }
}

/// What the endpoints of a run told; empty where every subject is in process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Endpoints {
    /// By unit, without those beyond where their subject was settled.
    pub told: BTreeMap<UnitKey, Told>,
    /// The ways that each subject's requests took: another one only where a resume found another.
    pub origins: BTreeMap<SubjectName, Vec<Origin>>,
}

impl Endpoints {
    /// What was told beside the answers of a subject, with the unit that it was told of.
    pub fn of<'a>(&'a self, subject: &'a SubjectName) -> impl Iterator<Item = (&'a UnitKey, &'a Told)> {
        // Units of one subject stand together, in the order of their tasks' names.
        let first = UnitKey { subject: subject.clone(), task: "".into(), sample: "".into(), repeat: 0 };
        self.told.range(first..).take_while(move |(unit, _)| unit.subject == *subject)
    }

    pub(super) fn came_by(&mut self, subject: &SubjectName, origin: Origin) {
        let ways = self.origins.entry(subject.clone()).or_default();
        if !ways.contains(&origin) {
            ways.push(origin);
        }
    }
}

/// Names and digests that were met, each kept once.
#[derive(Default)]
pub(super) struct Words {
    texts: HashSet<Arc<str>>,
    digests: HashSet<Digest>,
}

impl Words {
    /// What was told, without its pace.
    pub(super) fn told(&mut self, served: Served) -> Told {
        Told {
            model: served.model.map(|model| self.text(&model)),
            fingerprint: served.fingerprint.map(|mark| self.text(&mark)),
            prompt: served.prompt.map(|digest| self.digest(digest)),
            fallbacks: served.fallbacks,
            truncated: served.truncated,
            usage: served.usage,
            retries: served.retries,
            cached: served.cached,
        }
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(text);
        self.texts.insert(Arc::clone(&new));
        new
    }

    fn digest(&mut self, digest: Digest) -> Digest {
        if let Some(known) = self.digests.get(&digest) {
            return known.clone();
        }
        self.digests.insert(digest.clone());
        digest
    }
}
