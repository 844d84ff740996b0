//! The `[canary]` and `[[variant]]` tables: who is asked, and through which engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::api;
use crate::domain::{
    Arithmetic, Device, EngineSpec, KvType, LocalSpec, ModelSource, Role, ScriptedSpec, Service, Subject, SubjectName,
};
use crate::suite::{Place, Section};
use crate::weights::Recipe;

const CANARY: &str = "canary";

/// The most that a sample is asked.
const MOST_REPEATS: u32 = 100;

/// The keys of scripted subjects alone, and of local ones alone.
const SCRIPTED: [&str; 3] = ["right_per_mille", "salt", "noise_per_mille"];
const LOCAL: [&str; 5] = ["quantize", "imatrix", "arithmetic", "kv", "device"];

/// What a model on the Hugging Face Hub is named by.
const HUB: &str = "hf://";

/// Everyone who is asked.
#[derive(Default)]
pub(super) struct Cast {
    /// The canary first.
    pub(super) subjects: Vec<Subject>,
    /// Where each names its engine, or begins; in the order of the subjects.
    pub(super) places: Vec<Place>,
    /// How endpoints are treated, where the plan says anything about it.
    pub(super) services: BTreeMap<SubjectName, Service>,
}

impl Cast {
    fn add(&mut self, section: &Section<'_>, name: String, role: Role, root: &Path) {
        let Some((subject, service)) = subject(section, name, role, root) else { return };
        if service != Service::default() {
            self.services.insert(subject.name.clone(), service);
        }
        self.subjects.push(subject);
        self.places.push(section.place_of("engine"));
    }
}

/// Reads all subjects; faults are noted with the sections.
pub(super) fn read(plan: &Section<'_>, root: &Path) -> Cast {
    let mut cast = Cast::default();
    match plan.table("canary", "[canary]") {
        Some(section) => {
            cast.add(&section, CANARY.to_owned(), Role::Canary, root);
        }
        None if plan.has("canary") => {}
        None => plan.fault("the plan has no [canary]", Some("name the full-precision model: [canary] with model = \"…\"")),
    }
    let canary_is_local = cast.subjects.first().is_none_or(|canary| matches!(canary.engine, EngineSpec::Local(_)));
    let sections = plan.tables("variant");
    if sections.is_empty() && (!plan.has("variant") || plan.is_empty_list("variant")) {
        let hint = "add the quantized model as a [[variant]] with a name and a model";
        plan.fault("the plan has no [[variant]]: there is nothing to compare the canary with", Some(hint));
    }
    let mut controls = 0;
    for section in &sections {
        let name = section.required_name("name");
        if name == CANARY {
            let hint = Some("call the variant by its quantization");
            section.fault_at("name", "the name `canary` is taken by the canary", hint);
        } else if !name.is_empty() && cast.subjects.iter().any(|other| other.name.as_str() == name) {
            section.fault_at("name", format!("two variants are named `{name}`"), Some("names are unique within a plan"));
        }
        let role = if section.flag("control") == Some(true) { Role::Control } else { Role::Variant };
        controls += usize::from(role == Role::Control);
        if !canary_is_local && section.has("quantize") {
            let hint = "name its file with `model`, or make the canary a local model";
            section.fault_at("quantize", "only a local canary can be quantized", Some(hint));
        }
        cast.add(section, name, role, root);
    }
    if controls > 0 && controls == sections.len() {
        let hint = "a control shows that the tasks have teeth; add the variant that you want to judge";
        plan.fault("every variant is a control, so nothing would be decided", Some(hint));
    }
    cast
}

/// Reads one subject with how its endpoint is treated; none where its engine is unknown.
fn subject(section: &Section<'_>, name: String, role: Role, root: &Path) -> Option<(Subject, Service)> {
    let word = section.text("engine").unwrap_or_else(|| "local".to_owned());
    let mut service = Service::default();
    let engine = match (word.as_str(), api::called(&word)) {
        ("local", _) => {
            refuse(section, &SCRIPTED, "engine scripted");
            refuse(section, &api::KEYS, "engines over HTTP");
            EngineSpec::Local(local(section, role, root))
        }
        ("scripted", _) => {
            refuse(section, &LOCAL, "engine local");
            refuse(section, &["model", "tokenizer"], "other engines");
            refuse(section, &api::KEYS, "engines over HTTP");
            EngineSpec::Scripted(scripted(section))
        }
        (_, Some(preset)) => {
            refuse(section, &SCRIPTED, "engine scripted");
            refuse(section, &LOCAL, "engine local");
            let (spec, said) = api::read(section, preset, root);
            service = said;
            EngineSpec::Api(Box::new(spec))
        }
        // Such a table has keys of its own, which are not misspelt.
        (other, None) => {
            let hint = api::engines_hint(other);
            section.fault_at("engine", format!("no engine is called `{other}`"), Some(&hint));
            return None;
        }
    };
    let repeats = repeats(section);
    section.close();
    Some((Subject { name: SubjectName::new(name), role, engine, repeats }, service))
}

/// Reads how often each sample is asked.
fn repeats(section: &Section<'_>) -> u32 {
    let given = section.whole("repeats").unwrap_or(1);
    let repeats = u32::try_from(given).ok().filter(|repeats| (1..=MOST_REPEATS).contains(repeats));
    repeats.unwrap_or_else(|| {
        let hint = "it is how often each sample is asked; 2 shows how much a model differs from itself";
        section.fault_at("repeats", format!("`repeats` must be from 1 to {MOST_REPEATS}"), Some(hint));
        1
    })
}

/// Reads a path that must lead somewhere.
pub(super) fn existing(section: &Section<'_>, key: &'static str, root: &Path) -> Option<PathBuf> {
    let path = PathBuf::from(section.text(key)?);
    if !root.join(&path).exists() {
        let hint = "paths start from the plan's folder";
        section.fault_at(key, format!("there is no {key} {}", path.display()), Some(hint));
    }
    Some(path)
}

fn local(section: &Section<'_>, role: Role, root: &Path) -> LocalSpec {
    let words: Vec<(&str, &str)> = Recipe::names().map(|word| (word, word)).collect();
    let hub = section.text("model").and_then(|name| name.strip_prefix(HUB).map(str::to_owned));
    let model = if hub.is_some() { None } else { existing(section, "model", root) };
    let quantize = section.word("quantize", &words);
    let name = section.name();
    match (role, section.has("model"), section.has("quantize")) {
        (Role::Canary, _, true) => {
            let hint = "the canary is the full-precision model that variants are made from";
            section.fault_at("quantize", "the canary cannot be quantized", Some(hint));
        }
        (Role::Canary, false, _) => {
            let hint = "name a Hugging Face folder, a safetensors file or a GGUF file";
            section.fault(format!("{name} has no `model`"), Some(hint));
        }
        (_, true, true) => {
            section.fault_at("quantize", format!("{name} has both `model` and `quantize`"), Some("keep one of them"));
        }
        (_, false, false) => {
            let hint = "name its file with `model`, or have it made from the canary: quantize = \"q4_k_m\"";
            section.fault(format!("{name} has neither `model` nor `quantize`"), Some(hint));
        }
        _ => {}
    }
    let source = match quantize {
        Some(word) => ModelSource::Quantize(word.to_owned()),
        None => hub.map_or_else(|| ModelSource::Path(model.unwrap_or_default()), ModelSource::Hub),
    };
    let imatrix = existing(section, "imatrix", root);
    if imatrix.is_some() && !section.has("quantize") {
        let hint = "it says which weights matter most to `quantize`; a file that is quantized already has used its own";
        section.fault_at("imatrix", "`imatrix` without `quantize` has no effect", Some(hint));
    }
    let arithmetic = section.word("arithmetic", &Arithmetic::NAMES).unwrap_or_default();
    // Keys and values are as those of the engine whose arithmetic it is, unless told otherwise.
    let customary = if arithmetic == Arithmetic::Ggml { KvType::F16 } else { KvType::F32 };
    let kv = section.word("kv", &KvType::NAMES).unwrap_or(customary);
    LocalSpec { source, tokenizer: existing(section, "tokenizer", root), arithmetic, kv, device: device(section), imatrix }
}

/// Reads where a model is computed.
fn device(section: &Section<'_>) -> Device {
    let Some(name) = section.text("device") else { return Device::default() };
    name.parse().unwrap_or_else(|problem: String| {
        section.fault_at("device", problem, None);
        Device::default()
    })
}

fn scripted(section: &Section<'_>) -> ScriptedSpec {
    let right = section.whole("right_per_mille");
    if right.is_none() && !section.has("right_per_mille") {
        let hint = "of a thousand samples, so many are answered right: right_per_mille = 900";
        section.fault(format!("{} has no `right_per_mille`", section.name()), Some(hint));
    }
    let noise = section.whole("noise_per_mille");
    for (key, share) in [("right_per_mille", right), ("noise_per_mille", noise)] {
        if share.is_some_and(|share| share > 1000) {
            section.fault_at(key, format!("`{key}` must be at most 1000"), None);
        }
    }
    let share = |given: Option<u64>| u32::try_from(given.unwrap_or(0)).unwrap_or(1000);
    ScriptedSpec { right_per_mille: share(right), salt: section.text("salt").unwrap_or_default(), noise_per_mille: share(noise) }
}

/// Notes keys that belong to another engine.
fn refuse(section: &Section<'_>, keys: &[&'static str], engine: &str) {
    for key in keys.iter().filter(|key| section.has(key)) {
        section.fault_at(key, format!("`{key}` is a key of {engine}"), Some("remove it, or change `engine`"));
    }
}
