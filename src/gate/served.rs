//! What endpoints told beside their answers: whether each answer came from the subject's own model, asked as the canary was.

use std::collections::BTreeMap;

use super::wording::{count, list, plural};
use super::{Case, Code, Finding, Rule, Warning, constant};
use crate::analysis::{Account, Record, Told};
use crate::domain::{Digest, EngineSpec, Role, Subject, SubjectName, UnitKey, Verdict};

/// Most names that a sentence lists.
const LISTED: usize = 4;

/// One finding where the endpoint of the canary or of the subject told anything; none of subjects in process.
pub(super) fn findings(case: &Case<'_>) -> Option<Finding> {
    let record = case.record;
    let sides = [&record.header.canary()?.name, case.subject];
    let told = sides.iter().any(|side| record.endpoints.of(side).next().is_some());
    let faults = sides.into_iter().flat_map(|side| of_side(record, side)).chain(prompts(record, sides));
    let faults: Vec<String> = faults.chain(constant::fault(record, sides[0])).collect();
    let (verdict, reason) = match faults.as_slice() {
        [] => (Verdict::Pass, fine(record, sides)),
        faults => (Verdict::Invalid, faults.join("; ")),
    };
    told.then_some(Finding { rule: Rule::Served, task: None, slice: None, gating: true, verdict, reason, evidence: None })
}

/// What a subject's endpoint told that spoils its answers.
fn of_side(record: &Record, subject: &SubjectName) -> Vec<String> {
    let matching = |spoils: fn(&Told) -> bool| Cases::of(record.endpoints.of(subject).filter(|(_, told)| spoils(told)));
    let fallbacks = matching(|told| told.fallbacks > 0).map(|cases| {
        format!("{} came from another model, as a fallback ({}): switch fallbacks off", cases.answers(subject), cases.example())
    });
    let truncated = matching(|told| told.truncated).map(|cases| {
        format!("the prompts of {} were cut to fit the context ({}): make it larger", cases.answers(subject), cases.example())
    });
    [fallbacks, truncated, another_model(record, subject)].into_iter().flatten().collect()
}

/// Answers from another model than most, by the service's own word; those of fallbacks are told apart.
fn another_model(record: &Record, subject: &SubjectName) -> Option<String> {
    let own = || record.endpoints.of(subject).filter(|(_, told)| told.fallbacks == 0);
    let mut models: BTreeMap<&str, u64> = BTreeMap::new();
    own().filter_map(|(_, told)| told.model.as_deref()).for_each(|model| *models.entry(model).or_default() += 1);
    // Of equals the first by name.
    let main = models.iter().rev().max_by_key(|(_, n)| **n).map(|(model, _)| *model).filter(|_| models.len() > 1)?;
    let cases = Cases::of(own().filter(|(_, told)| told.model.as_deref().is_some_and(|model| model != main)))?;
    let mut others: Vec<(String, u64)> =
        models.iter().filter(|(model, _)| **model != main).map(|(model, n)| ((*model).to_owned(), *n)).collect();
    others.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let (answers, example) = (cases.answers(subject), cases.example());
    Some(format!("{answers} came from {}, not from '{main}' ({example}): name one release, and start a new run", names(&others)))
}

/// Prompts that were not the canary's, where both are told and of one kind.
fn prompts(record: &Record, [canary, subject]: [&SubjectName; 2]) -> Option<String> {
    let own = record.endpoints.of(subject);
    let cases = Cases::of(own.filter(|(unit, told)| compared(record, canary, (unit, told)) == Some(false)))?;
    let (n, example) = (count(cases.n), cases.example());
    let prompts = plural(cases.n, "prompt");
    let were = if cases.n == 1 { "was" } else { "were" };
    let what = "use one template, and endpoints that add nothing of their own";
    Some(format!("{n} {prompts} of '{subject}' {were} not the canary's ({example}): {what}"))
}

/// Whether a unit's prompt is the canary's of the same sample and pass; none where that can't be told.
fn compared(record: &Record, canary: &SubjectName, (unit, told): (&UnitKey, &Told)) -> Option<bool> {
    let kind = |digest: &Digest| digest.as_str().split_once(':').map(|(kind, _)| kind.to_owned());
    let own = told.prompt.as_ref()?;
    let others = record.endpoints.told.get(&UnitKey { subject: canary.clone(), ..unit.clone() })?.prompt.as_ref()?;
    (kind(own)? == kind(others)?).then(|| own == others)
}

/// What a pair without a fault shows.
fn fine(record: &Record, [canary, subject]: [&SubjectName; 2]) -> String {
    let same = record.endpoints.of(subject).filter(|told| compared(record, canary, *told) == Some(true)).count() as u64;
    let prompts = match same {
        0 => "whether the prompts were the canary's is not told".to_owned(),
        n => format!("{} {} as the canary's", count(n), if n == 1 { "prompt was the same" } else { "prompts were the same" }),
    };
    format!("no answer came from another model as far as the services tell, and {prompts}")
}

/// Some answers: how many, and the first of them.
struct Cases<'a> {
    n: u64,
    first: &'a UnitKey,
}

impl<'a> Cases<'a> {
    fn of(mut units: impl Iterator<Item = (&'a UnitKey, &'a Told)>) -> Option<Self> {
        let (first, _) = units.next()?;
        Some(Self { n: 1 + units.count() as u64, first })
    }

    /// `12 answers of 'q4'`.
    fn answers(&self, subject: &SubjectName) -> String {
        format!("{} {} of '{subject}'", count(self.n), plural(self.n, "answer"))
    }

    /// `sample 'a-1' of arithmetic`.
    fn example(&self) -> String {
        let first = if self.n == 1 { "" } else { "first " };
        format!("{first}sample '{}' of {}", self.first.sample, self.first.task)
    }
}

/// `'a' (57) and 'b' (3)`; of many the first ones.
fn names(counted: &[(String, u64)]) -> String {
    let mut all: Vec<String> = counted.iter().take(LISTED).map(|(name, n)| format!("'{name}' ({})", count(*n))).collect();
    if counted.len() > LISTED {
        all.push(format!("{} more", counted.len() - LISTED));
    }
    list(&all)
}

/// What endpoints told that a reader should know: marks that changed, models known by name alone, regions that contradict.
/// Controls give none: they are meant to be bad.
pub(super) fn warnings(record: &Record) -> Vec<Warning> {
    record.header.subjects.iter().filter(|subject| subject.role != Role::Control).flat_map(|s| of_subject(record, s)).collect()
}

fn of_subject(record: &Record, subject: &Subject) -> Vec<Warning> {
    let warning = |code, detail| Warning { code, subject: Some(subject.name.clone()), task: None, detail };
    let marks = Account::of(record, &subject.name).map(|account| account.marks).filter(|marks| marks.len() > 1);
    let fingerprint = marks.map(|marks| warning(Code::Fingerprint, format!("{} marks: {}", marks.len(), names(&marks))));
    let identity = record.identities.get(&subject.name).filter(|_| matches!(subject.engine, EngineSpec::Api(_)));
    let unproven = identity.filter(|identity| !identity.weights.is_content()).map(|identity| {
        let name = identity.weights.as_str().strip_prefix("name:");
        warning(Code::Unproven, name.map_or_else(|| "nothing told".to_owned(), |name| format!("known as '{name}'")))
    });
    let ways = record.endpoints.origins.get(&subject.name).map_or(&[][..], Vec::as_slice);
    let region = ways
        .iter()
        .find_map(|way| Some((way, way.contradiction()?)))
        .map(|(way, (stated, told))| warning(Code::Region, format!("the plan states '{stated}', {} tells '{told}'", way.host)));
    [fingerprint, unproven, region].into_iter().flatten().collect()
}
