//! A variant that is the canary itself: nothing could be lost, whatever the verdict says.

use std::collections::{BTreeMap, BTreeSet};

use super::{Code, Warning};
use crate::analysis::Record;
use crate::domain::{ApiSpec, EngineSpec, Identity, Role, Subject};

/// One warning for each variant that is the canary by its content, by its address, or by its service's own word.
pub(super) fn warnings(record: &Record) -> Vec<Warning> {
    let Some(canary) = record.header.canary() else { return Vec::new() };
    let variants = record.header.subjects.iter().filter(|subject| subject.role == Role::Variant);
    let same = variants.filter_map(|subject| {
        let detail = proven(record, canary, subject).or_else(|| told(record, canary, subject))?;
        Some(Warning { code: Code::SameModel, subject: Some(subject.name.clone()), task: None, detail })
    });
    same.collect()
}

/// Whether both are the same weights, served in the same way.
fn proven(record: &Record, canary: &Subject, subject: &Subject) -> Option<String> {
    let identity = |subject: &Subject| {
        let seen = matches!(subject.engine, EngineSpec::Local(_) | EngineSpec::Api(_));
        record.identities.get(&subject.name).filter(|identity| seen && identity.weights.is_content())
    };
    let (first, own) = (identity(canary)?, identity(subject)?);
    let settings = match (&canary.engine, &subject.engine) {
        (EngineSpec::Api(first), EngineSpec::Api(own)) => asked_alike(first, own),
        (EngineSpec::Local(_), EngineSpec::Local(_)) => true,
        _ => false,
    };
    let alike = settings && essence(first, canary) == essence(own, subject);
    alike.then(|| "its weights are the canary's, and so is the way of serving them".to_owned())
}

/// What a subject turned out to be, without the name that the plan gives it.
fn essence<'a>(identity: &'a Identity, subject: &Subject) -> (Vec<&'a str>, BTreeMap<&'a str, String>) {
    let name = match &subject.engine {
        EngineSpec::Api(spec) => spec.model.as_str(),
        _ => "",
    };
    let unnamed = |text: &str| if name.is_empty() { text.to_owned() } else { text.replace(name, "…") };
    let Identity { engine, weights, vocabulary, template, quantization, details, .. } = identity;
    let parts = vec![engine.as_str(), weights.as_str(), vocabulary.as_str(), template.as_str(), quantization];
    (parts, details.iter().map(|(name, value)| (name.as_str(), unnamed(value))).collect())
}

/// Whether both are asked by the same settings, their address and the model's name left aside.
fn asked_alike(first: &ApiSpec, own: &ApiSpec) -> bool {
    (first.dialect, &first.extra, &first.omit, &first.headers) == (own.dialect, &own.extra, &own.omit, &own.headers)
}

/// Whether one address was asked for one model, or says of all answers that one model gave them.
fn told(record: &Record, canary: &Subject, subject: &Subject) -> Option<String> {
    let (EngineSpec::Api(first), EngineSpec::Api(own)) = (&canary.engine, &subject.engine) else { return None };
    let one_address = first.server.is_none() && own.server.is_none() && first.base_url == own.base_url;
    if !one_address || !asked_alike(first, own) || first.project != own.project {
        return None;
    }
    if first.model == own.model {
        return Some(format!("'{}' at {}, as the canary", own.model, own.base_url));
    }
    let (models, others) = (named(record, canary), named(record, subject));
    let (1, Some(model), true) = (models.len(), models.first(), models == others) else { return None };
    Some(format!("{} says of the canary's answers and of its that '{model}' gave them", own.base_url))
}

/// The models that gave a subject's answers, by the service's word.
fn named<'a>(record: &'a Record, subject: &'a Subject) -> BTreeSet<&'a str> {
    record.endpoints.of(&subject.name).filter_map(|(_, told)| told.model.as_deref()).collect()
}
