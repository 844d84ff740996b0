//! Hand-made runs of subjects behind an API, for the tests of this room and of those above it.

use std::collections::BTreeMap;

use super::fixture::{Event, EventKind, Reply, Run};
use super::{Comparisons, Record, fold};
use crate::domain::{
    Answer, ApiSpec, Dialect, Digest, EngineSpec, Identity, Origin, Outcome, Pace, Preset, Price, Role, Served, Service,
    SubjectName, UnitKey, Usage,
};

/// Changes what an endpoint tells of one unit: by subject, task, and the item's number.
type Told = dyn Fn(&str, &str, usize, &mut Served);

/// A hand-made run whose subjects are all behind an API.
pub(crate) struct Api {
    pub(crate) run: Run,
    /// What endpoints tell beyond what [`Api::of`] says.
    pub(crate) told: Box<Told>,
    /// What tokens cost, by subject.
    pub(crate) prices: Vec<(&'static str, Price)>,
    /// What a subject's weights are known by.
    pub(crate) weights: fn(&str) -> Digest,
    /// The way that a subject's requests take.
    pub(crate) origin: fn(&str) -> Origin,
}

impl Api {
    /// A run whose endpoints tell of every answer: the model by its subject's name, one mark, the same prompt of both, 40 tokens
    /// read and 10 written, the first after about 100 ms and the others 20 ms apart; the variant takes half as long again.
    pub(crate) fn of(run: Run) -> Self {
        let documents = run.documents;
        assert_eq!(documents, 0, "documents have no hand-made endpoint");
        Self { run, told: Box::new(|_, _, _, _| ()), prices: Vec::new(), weights: Digest::named, origin }
    }

    /// Canary and `q4`, right on all of 60 items but every eighth.
    pub(crate) fn pair() -> Self {
        Self::of(Run::pair(60, |_, item| if item % 8 == 7 { Reply::Wrong } else { Reply::Right }))
    }

    /// The same with a change in what is told.
    pub(crate) fn telling(told: impl Fn(&str, &str, usize, &mut Served) + 'static) -> Self {
        Self { told: Box::new(told), ..Self::pair() }
    }

    pub(crate) fn compared(&self) -> (Record, Comparisons) {
        let record = fold(self.events()).expect("the hand-made journal is consistent");
        let comparisons = Comparisons::of(&record);
        (record, comparisons)
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let mut events = self.run.events();
        for event in &mut events {
            match &mut event.kind {
                EventKind::RunStarted(header) => {
                    for subject in &mut header.subjects {
                        subject.engine = EngineSpec::Api(Box::new(spec(subject.name.as_str())));
                    }
                    header.services = self.prices.iter().map(|(name, price)| (SubjectName::new(name), service(*price))).collect();
                }
                EventKind::SubjectReady { subject, identity, origin, .. } => {
                    **identity = behind_api(subject.as_str(), (self.weights)(subject.as_str()));
                    *origin = Some(Box::new((self.origin)(subject.as_str())));
                }
                EventKind::UnitFinished { unit, served, .. } => *served = Some(Box::new(self.served(unit))),
                _ => {}
            }
        }
        events
    }

    fn served(&self, unit: &UnitKey) -> Served {
        let item = item_of(unit);
        let is_canary = unit.subject.as_str() == "canary";
        let wander = (item as u64 * 7919) % 1000;
        let slow = |micros: u64| if is_canary { micros } else { micros * 3 / 2 + wander % 7 };
        let mut served = Served {
            model: Some(format!("{}-2026-01", unit.subject)),
            fingerprint: Some("fp_a".to_owned()),
            prompt: Some(Digest::new(format!("chat:blake3:{}", unit.sample))),
            usage: Some(Usage { prompt: 40, completion: 10, cached: 0 }),
            pace: Some(Pace { first_us: slow(100_000 + 20 * wander), rest_us: slow(9 * (20_000 + wander)), tokens: 10 }),
            ..Served::default()
        };
        (self.told)(unit.subject.as_str(), unit.task.as_str(), item, &mut served);
        served
    }
}

/// A canary and a variant that answer documents of 40 tokens with their likeliest tokens, by subject and document.
pub(crate) fn likeliest(documents: usize, top: impl Fn(&str, usize) -> Vec<Vec<(u32, f32)>>) -> Vec<Event> {
    let subjects = vec![("canary", Role::Canary), ("q4", Role::Variant)];
    let mut events = Run { subjects, documents, ..Run::small() }.events();
    for event in &mut events {
        let EventKind::UnitFinished { unit, outcome, .. } = &mut event.kind else { continue };
        if let Outcome::Scored { answer: Answer::Rolling { divergence, top: told, .. }, .. } = outcome.as_mut() {
            (*divergence, *told) = (None, top(unit.subject.as_str(), item_of(unit)));
        }
    }
    events
}

/// The number at the end of a sample's id.
fn item_of(unit: &UnitKey) -> usize {
    unit.sample.as_str().rsplit('-').next().and_then(|number| number.parse().ok()).expect("an item has a number")
}

fn service(price: Price) -> Service {
    Service { price: Some(price), ..Service::default() }
}

pub(crate) fn origin(subject: &str) -> Origin {
    Origin {
        host: format!("{subject}.example.com:443"),
        address: Some("192.0.2.7".to_owned()),
        tls_issuer: Some("Example Trust CA 1".to_owned()),
        path: "managed API".to_owned(),
        region: Some("eu-west-1".to_owned()),
        stated_region: Some("eu".to_owned()),
        notes: vec!["the service may answer with another build of the model from one day to the next".to_owned()],
    }
}

fn spec(model: &str) -> ApiSpec {
    ApiSpec {
        preset: Preset::OpenaiCompatible,
        dialect: Dialect::OpenaiChat,
        base_url: format!("https://{model}.example.com/v1"),
        model: model.to_owned(),
        key: None,
        region: Some("eu".to_owned()),
        project: None,
        api_version: None,
        stream: true,
        batch: false,
        extra: serde_json::Map::new(),
        omit: Vec::new(),
        headers: BTreeMap::new(),
        tokenizer: None,
        server: None,
    }
}

fn behind_api(subject: &str, weights: Digest) -> Identity {
    Identity {
        engine: "openai-compatible".to_owned(),
        weights,
        vocabulary: Digest::untold(),
        template: Digest::untold(),
        quantization: String::new(),
        bytes: 0,
        parameters: 0,
        bits_per_weight: 0.0,
        details: BTreeMap::from([("model".to_owned(), format!("{subject}-2026-01"))]),
    }
}
