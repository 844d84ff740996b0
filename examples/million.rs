//! Times comparing and judging a million paired items × 10 variants: `cargo run --release --example million`, optionally with another number.
//!
//! Right and wrong answers and fractions, of independent items with slices and of items in clusters of five; and two passes.

#![expect(clippy::print_stdout, reason = "a program for a person")]

use std::collections::BTreeMap;
use std::time::Instant;

use quantgate::analysis::{Column, Comparisons, Counts, Groups, Mark, Passes, Record, Sheet, Timing};
use quantgate::domain::{
    Digest, EngineSpec, Identity, LocalSpec, MetricKind, ModelSource, Policy, RequestKind, Role, SampleId, Subject, SubjectName,
    TaskCard, TaskName, Tolerance,
};
use quantgate::event::{FORMAT, RunHeader};
use quantgate::gate::decide;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const VARIANTS: usize = 10;

fn main() {
    let items = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000_usize);
    let threads = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!("{items} items × {VARIANTS} variants on {threads} threads, best of 3");
    for (name, clustered, binary, passes) in [
        ("independent, right or wrong", false, true, 1),
        ("clusters of 5, right or wrong", true, true, 1),
        ("independent, fractions", false, false, 1),
        ("clusters of 5, fractions", true, false, 1),
        ("independent, two passes each", false, true, 2),
    ] {
        let sheet = sheet(items, clustered, binary, passes);
        let record = record(&sheet);
        let policy = Policy::new(Tolerance::Margin(0.01));
        let once = || {
            let start = Instant::now();
            let comparisons = Comparisons::of_sheets(std::slice::from_ref(&sheet));
            let compared = start.elapsed().as_secs_f64();
            let decision = decide(&record, &comparisons, &policy);
            (start.elapsed().as_secs_f64(), compared, decision.subjects.iter().map(|s| s.verdict.word()).collect::<Vec<_>>())
        };
        let best = (0..3).map(|_| once()).min_by(|a, b| a.0.total_cmp(&b.0)).expect("three were timed");
        println!("{name}: {:.3} s (comparing {:.3} s), {:?}", best.0, best.1, best.2);
    }
    println!("peak memory: {}", peak().unwrap_or_else(|| "unknown".to_owned()));
}

/// The most memory that the process held, as the kernel tells it.
fn peak() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().skip(1).collect::<Vec<_>>().join(" "))
}

fn name(subject: usize) -> SubjectName {
    SubjectName::new(if subject == 0 { "canary".to_owned() } else { format!("v{subject}") })
}

fn role(subject: usize) -> Role {
    if subject == 0 { Role::Canary } else { Role::Variant }
}

/// Every variant flips each answer of the canary with a chance of its own, from 0.5 to 5 %.
fn sheet(items: usize, clustered: bool, binary: bool, passes: usize) -> Sheet {
    let mut rng = ChaCha8Rng::seed_from_u64(1234);
    let mut chance = || f64::from(rng.next_u32()) / f64::from(u32::MAX);
    let right: Vec<bool> = (0..items).map(|_| chance() < 0.7).collect();
    let mut column = |subject: usize| {
        let mut column = Column::with_capacity(items);
        for &right in &right {
            let right = right ^ (chance() < 0.005 * subject as f64);
            let value = if binary || !right { f64::from(u8::from(right)) } else { 0.5 + 0.5 * chance() };
            let mark = Mark { value: Some(value), label: u64::from(right), ..Mark::default() };
            if passes > 1 { column.push_labelled(mark) } else { column.push(mark) }
        }
        column
    };
    let subjects = (0..=VARIANTS).map(|subject| Passes {
        subject: name(subject),
        role: role(subject),
        after: items,
        columns: (0..passes).map(|_| column(subject)).collect(),
    });
    let subjects = subjects.collect();
    let slices = ["de", "en", "fr"];
    let clusters: Vec<String> = (0..if clustered { items } else { 0 }).map(|item| format!("c{}", item / 5)).collect();
    Sheet {
        task: task(items),
        ids: (0..items).map(|item| SampleId::new(format!("i{item:07}"))).collect(),
        slices: Groups::of((0..items).map(|item| Some(slices[item % 3]))),
        clusters: Groups::of(clusters.iter().map(|name| Some(name.as_str()))),
        subjects,
    }
}

fn task(samples: usize) -> TaskCard {
    TaskCard {
        name: TaskName::new("million"),
        about: String::new(),
        kind: RequestKind::Generate,
        metric: MetricKind::Accuracy,
        gating: true,
        chance: 0.0,
        band: None,
        range: Some((0.0, 1.0)),
        dataset: String::new(),
        digest: Digest::new("none"),
        samples,
    }
}

/// A finished run without its answers: what the gate reads beside the comparisons.
fn record(sheet: &Sheet) -> Record {
    let subject = |i: usize| Subject {
        name: name(i),
        role: role(i),
        engine: EngineSpec::Local(LocalSpec::new(ModelSource::Quantize("q4_k_m".to_owned()))),
        repeats: sheet.subjects[i].columns.len() as u32,
    };
    let identity = Identity {
        engine: "none".to_owned(),
        weights: Digest::new("none"),
        vocabulary: Digest::new("none"),
        template: Digest::new("none"),
        quantization: "none".to_owned(),
        bytes: 1,
        parameters: 1,
        bits_per_weight: 8.0,
        details: BTreeMap::new(),
    };
    let units = sheet.ids.len() * (VARIANTS + 1);
    Record {
        header: RunHeader {
            format: FORMAT,
            version: String::new(),
            run: String::new(),
            plan: String::new(),
            digest: Digest::new("none"),
            seed: 1234,
            subjects: (0..=VARIANTS).map(subject).collect(),
            tasks: vec![sheet.task.clone()],
            policy: Policy::new(Tolerance::Margin(0.01)),
            earlier: Vec::new(),
            services: BTreeMap::new(),
        },
        identities: (0..=VARIANTS).map(|i| (name(i), identity.clone())).collect(),
        changed: Vec::new(),
        samples: BTreeMap::new(),
        settled: BTreeMap::new(),
        outcomes: BTreeMap::new(),
        finished: true,
        counts: Counts { expected: units, scored: units, unscored: 0 },
        timing: Timing::default(),
        endpoints: quantgate::analysis::Endpoints::default(),
    }
}
