//! Hand-made journals for the tests of this room and of those above it.

use std::collections::BTreeMap;

use super::{Comparisons, Record, fold};
use crate::domain::{
    Answer, Band, Budget, Cause, CauseKind, Certainty, Digest, EngineSpec, Finish, Identity, LocalSpec, MetricKind, ModelSource,
    OptionScore, Outcome, Policy, RequestKind, Role, SampleCard, SampleId, Score, Subject, SubjectName, TaskCard, TaskName,
    TokenDivergence, TokenShape, Tolerance, UnitKey,
};
use crate::event::{FORMAT, RunHeader};

// The rooms above name events in their tests only, through this file.
pub(crate) use crate::event::{Event, EventKind};

/// How a subject replies to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Right,
    Wrong,
    /// Wrong, cut off at the token limit and unreadable.
    CutOff,
    /// Wrong, with these words.
    Says(&'static str),
    /// No score: the engine failed.
    Missing,
}

/// How each subject replies to each item of each task.
type Replies = dyn Fn(&str, &str, usize) -> Reply;

/// The same in each later pass, by its number.
type RepeatReplies = dyn Fn(&str, &str, usize, u32) -> Reply;

/// A run to make a journal of. A task named `capitals` is a choice task; the others generate.
pub(crate) struct Run {
    pub(crate) subjects: Vec<(&'static str, Role)>,
    pub(crate) tasks: Vec<&'static str>,
    pub(crate) items: usize,
    pub(crate) documents: usize,
    pub(crate) policy: Policy,
    /// By subject, task and item.
    pub(crate) reply: Box<Replies>,
    /// The source that an item shares with others.
    pub(crate) cluster: fn(usize) -> Option<String>,
    /// How far a subject's distributions lie from the canary's.
    pub(crate) shift: fn(&str) -> f64,
    /// How often a subject is asked.
    pub(crate) repeats: fn(&str) -> u32,
    /// By subject, task, item and pass, from the second pass on; as in the first where none.
    pub(crate) again: Option<Box<RepeatReplies>>,
    /// How long a subject took on an item (microseconds).
    pub(crate) micros: fn(&str, usize) -> u64,
}

/// A policy with a margin of ten points, so that few items do.
pub(crate) fn policy() -> Policy {
    Policy {
        budgets: vec![Budget { metric: "kld.mean".to_owned(), task: None, max: 0.05 }],
        ..Policy::new(Tolerance::Margin(0.1))
    }
}

impl Run {
    /// Canary, `q4` and the control `q2` on two tasks of 60 items and 30 documents: `q4` passes, `q2` fails.
    pub(crate) fn small() -> Self {
        Self {
            subjects: vec![("canary", Role::Canary), ("q4", Role::Variant), ("q2", Role::Control)],
            tasks: vec!["arithmetic", "capitals"],
            items: 60,
            documents: 30,
            policy: policy(),
            reply: Box::new(small_reply),
            cluster: |_| None,
            shift: |subject| match subject {
                "q4" => 0.01,
                "q2" => 0.9,
                _ => 0.0,
            },
            repeats: |_| 1,
            again: None,
            micros: |subject, item| 900 + (item as u64 * 7919) % 4000 + 400 * subject.len() as u64,
        }
    }

    /// One variant on one task of some items, without documents or budgets; `reply` gets (is the canary, item).
    pub(crate) fn pair(items: usize, reply: impl Fn(bool, usize) -> Reply + 'static) -> Self {
        let (canary, variant) = (("canary", Role::Canary), ("q4", Role::Variant));
        let policy = Policy { budgets: Vec::new(), ..policy() };
        Self {
            subjects: vec![canary, variant],
            tasks: vec!["arithmetic"],
            items,
            documents: 0,
            policy,
            reply: Box::new(move |subject, _, item| reply(subject == "canary", item)),
            ..Self::small()
        }
    }

    pub(crate) fn record(&self) -> Record {
        fold(self.events()).expect("the hand-made journal is consistent")
    }

    pub(crate) fn compared(&self) -> (Record, Comparisons) {
        let record = self.record();
        let comparisons = Comparisons::of(&record);
        (record, comparisons)
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let mut kinds = vec![EventKind::RunStarted(Box::new(self.header()))];
        for (subject, _) in &self.subjects {
            let identity = Box::new(identity(subject));
            kinds.push(EventKind::SubjectReady { subject: SubjectName::new(subject), identity, load_ms: 120, origin: None });
        }
        let cards = self.cards();
        let recorded =
            cards.iter().map(|(task, samples)| EventKind::TaskRecorded { task: task.clone(), samples: samples.clone() });
        kinds.extend(recorded);
        let (mut scored, mut unscored) = (0, 0);
        for (task, samples) in &cards {
            for (item, card) in samples.iter().enumerate() {
                for (subject, repeat) in self.asked(task) {
                    let outcome = self.outcome((subject, repeat), task.as_str(), item);
                    let count = if matches!(outcome, Outcome::Scored { .. }) { &mut scored } else { &mut unscored };
                    *count += 1;
                    let unit =
                        UnitKey { subject: SubjectName::new(subject), task: task.clone(), sample: card.id.clone(), repeat };
                    let micros = (self.micros)(subject, item);
                    kinds.push(EventKind::UnitFinished { unit, outcome: Box::new(outcome), micros, served: None });
                }
            }
        }
        kinds.push(EventKind::RunFinished { scored, unscored });
        let at = |seq: u64| 1_795_359_845_000 + seq * 7;
        kinds.into_iter().zip(0..).map(|(kind, seq)| Event { seq, at_ms: at(seq), kind }).collect()
    }

    /// Every subject with each of its passes over a task; documents are read once.
    fn asked(&self, task: &TaskName) -> Vec<(&'static str, u32)> {
        let passes = |name: &str| if task.as_str() == "prose" { 1 } else { (self.repeats)(name) };
        self.subjects.iter().flat_map(|(name, _)| (0..passes(name)).map(move |repeat| (*name, repeat))).collect()
    }

    fn header(&self) -> RunHeader {
        let engine = || {
            let source = ModelSource::Quantize("q4_k_m".to_owned());
            EngineSpec::Local(LocalSpec::new(source))
        };
        let subject = |&(name, role): &(&str, Role)| {
            let repeats = (self.repeats)(name);
            Subject { name: SubjectName::new(name), role, engine: engine(), repeats }
        };
        RunHeader {
            format: FORMAT,
            version: "0.1.0".to_owned(),
            run: "2026-11-22-150405-demo".to_owned(),
            plan: "demo".to_owned(),
            digest: Digest::new("blake3:91d6f0c2"),
            seed: 1234,
            subjects: self.subjects.iter().map(subject).collect(),
            tasks: self.cards().iter().map(|(task, samples)| task_card(task, samples.len())).collect(),
            policy: self.policy.clone(),
            earlier: Vec::new(),
            services: BTreeMap::new(),
        }
    }

    fn cards(&self) -> Vec<(TaskName, Vec<SampleCard>)> {
        let card = |task: &str, item| SampleCard { cluster: (self.cluster)(item), ..sample_card(task, item) };
        let items = |task: &str| (0..self.items).map(|item| card(task, item)).collect();
        let mut cards: Vec<_> = self.tasks.iter().map(|task| (TaskName::new(task), items(task))).collect();
        if self.documents > 0 {
            let documents = (0..self.documents).map(|item| sample_card("prose", item)).collect();
            cards.push((TaskName::new("prose"), documents));
        }
        cards
    }

    fn outcome(&self, (subject, repeat): (&str, u32), task: &str, item: usize) -> Outcome {
        if task == "prose" {
            return document(item, (self.shift)(subject), subject == "canary");
        }
        let right = target(task, item);
        let reply = match &self.again {
            Some(again) if repeat > 0 => again(subject, task, item, repeat),
            _ => (self.reply)(subject, task, item),
        };
        if reply == Reply::Missing {
            let cause = Cause { kind: CauseKind::Engine, message: "the engine ran out of memory".to_owned() };
            return Outcome::Unscored { cause };
        }
        let read = match reply {
            Reply::Right => right,
            Reply::Says(words) => words.to_owned(),
            _ if task == "capitals" => "Lyon".to_owned(),
            _ => (item * 3).to_string(),
        };
        let finish = if reply == Reply::CutOff { Finish::Length } else { Finish::End };
        let answer = if task == "capitals" {
            let good = f64::from(u8::from(reply == Reply::Right));
            let option = |ll: f64| OptionScore { log_likelihood: ll, tokens: 2, bytes: 5, greedy: false };
            Answer::Choice { options: vec![option(-2.0 + good), option(-1.5)] }
        } else {
            Answer::Text { text: read.clone(), tokens: Vec::new(), finish }
        };
        let value = if reply == Reply::Right { 1.0 } else { 0.0 };
        Outcome::Scored { answer, score: Score { value, read, parsed: reply != Reply::CutOff } }
    }
}

fn small_reply(subject: &str, task: &str, item: usize) -> Reply {
    match (subject, task, item) {
        (_, _, i) if i % 8 == 7 => Reply::Wrong,
        ("q4", "arithmetic", 3) => Reply::Says("<script>alert(1)</script>"),
        ("q2", _, i) if i % 2 == 0 => Reply::CutOff,
        _ => Reply::Right,
    }
}

fn target(task: &str, item: usize) -> String {
    if task == "capitals" { "Paris".to_owned() } else { (item * 2 + 1).to_string() }
}

fn sample_card(task: &str, item: usize) -> SampleCard {
    let (prompt, options) = match task {
        "capitals" => (format!("Question {item}: the capital of France is"), vec!["Paris".to_owned(), "Lyon".to_owned()]),
        "prose" => (format!("Document {item}. The harbour was quiet."), Vec::new()),
        _ => (format!("What is {item} + {}?", item + 1), Vec::new()),
    };
    SampleCard {
        id: SampleId::new(format!("{task}-{item:04}")),
        slice: (task != "prose").then(|| if item.is_multiple_of(2) { "even".to_owned() } else { "odd".to_owned() }),
        cluster: None,
        prompt,
        target: if task == "prose" { String::new() } else { target(task, item) },
        options,
    }
}

fn task_card(task: &TaskName, samples: usize) -> TaskCard {
    let (kind, metric, chance) = match task.as_str() {
        "prose" => (RequestKind::Perplexity, MetricKind::Perplexity, 0.0),
        "capitals" => (RequestKind::Choice, MetricKind::Accuracy, 0.5),
        _ => (RequestKind::Generate, MetricKind::Accuracy, 0.0),
    };
    TaskCard {
        name: task.clone(),
        about: format!("A hand-made task named {task}."),
        kind,
        metric,
        gating: metric == MetricKind::Accuracy,
        chance,
        band: Some(Band { low: 0.6, high: 0.98 }),
        range: None,
        dataset: format!("{task}.jsonl"),
        digest: Digest::new("sha256:5e0f"),
        samples,
    }
}

fn identity(subject: &str) -> Identity {
    let (quantization, bits) = match subject {
        "canary" => ("bf16", 16.0),
        "q8_0" => ("q8_0", 8.5),
        "q4_k_m" | "q4" => ("q4_k_m", 4.85),
        "q4_0" => ("q4_0", 4.5),
        _ => ("q2_k", 2.63),
    };
    Identity {
        engine: "local 0.1.0".to_owned(),
        weights: Digest::new(format!("blake3:{subject}")),
        vocabulary: Digest::new("blake3:7c11"),
        template: Digest::new("blake3:02ab"),
        quantization: quantization.to_owned(),
        bytes: (5_200_000.0 * bits / 8.0) as u64,
        parameters: 5_200_000,
        bits_per_weight: bits,
        details: BTreeMap::from([("arithmetic".to_owned(), "weights-f32".to_owned())]),
    }
}

/// What a shift makes flatter: of 40 tokens, about as many right as it is certain of.
fn certainty(wave: &impl Fn(usize) -> f64, shift: f64) -> Certainty {
    let confidence = |t: usize| (0.98 - 0.9 * wave(t)) / (1.0 + shift);
    Certainty {
        entropy: (0..40).map(|t| (0.1 + 3.0 * wave(t) + 0.2 * shift) as f32).collect(),
        confidence: (0..40).map(|t| confidence(t) as f32).collect(),
        right: (0..40).map(|t| wave(t + 11) < confidence(t)).collect(),
    }
}

/// A document of 40 tokens whose likelihoods a shift moves, by an amount that differs from token to token.
fn document(item: usize, shift: f64, is_canary: bool) -> Outcome {
    let wave = |token: usize| ((item * 31 + token * 17) % 23) as f64 / 23.0;
    let canary_nll: Vec<f64> = (0..40).map(|t| 0.3 + 3.0 * wave(t)).collect();
    let nll: Vec<f64> = canary_nll.iter().enumerate().map(|(t, nll)| nll + shift * (wave(t + 5) - 0.3)).collect();
    let divergence = TokenDivergence {
        kld: (0..40).map(|t| shift * wave(t).powi(3) + 1e-6).collect(),
        delta_p: canary_nll.iter().zip(&nll).map(|(p, q)| (-q).exp() - (-p).exp()).collect(),
        same_top: (0..40).map(|t| wave(t + 2) > shift * 0.4).collect(),
        shape: Some(Box::new(TokenShape {
            top5: (0..40).map(|t| if wave(t + 3) > shift { 5 } else { 4 }).collect(),
            canary: certainty(&wave, 0.0),
            variant: certainty(&wave, shift),
        })),
        canary_nll,
    };
    let mean = nll.iter().sum::<f64>() / 40.0;
    let answer = Answer::Rolling { nll, bytes: 200, divergence: (!is_canary).then_some(divergence), top: Vec::new() };
    Outcome::Scored { answer, score: Score { value: mean, read: String::new(), parsed: true } }
}
