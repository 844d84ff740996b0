//! How a task's answers are judged: scorer, metric, gating and what is expected of a healthy canary.

use toml::Spanned;
use toml::de::DeValue;

use super::{Section, task};
use crate::domain::{Band, ChoiceValue, MetricKind, Normalization, RequestKind, ScorerSpec};

const TRIMMED: ScorerSpec = ScorerSpec::Exact { trim: true, ignore_case: false };

const CHOICE: ScorerSpec = ScorerSpec::Choice { normalize: Normalization::None, value: ChoiceValue::Right };

const SCORERS: [(&str, ScorerSpec); 8] = [
    ("choice", CHOICE),
    ("exact", TRIMMED),
    ("f1", ScorerSpec::F1),
    ("number", ScorerSpec::Number),
    ("tool-call", ScorerSpec::ToolCall),
    ("json", ScorerSpec::Json { fields: Vec::new() }),
    ("valid", ScorerSpec::Valid),
    ("likelihood", ScorerSpec::Likelihood),
];

const NORMALIZATIONS: [(&str, Normalization); 3] =
    [("none", Normalization::None), ("token", Normalization::Token), ("byte", Normalization::Byte)];

const VALUES: [(&str, ChoiceValue); 2] = [("right", ChoiceValue::Right), ("probability", ChoiceValue::Probability)];

/// What a task says of its judging.
pub(super) struct Judging {
    pub(super) scorer: ScorerSpec,
    pub(super) metric: MetricKind,
    pub(super) gating: bool,
    pub(super) chance: f64,
    pub(super) band: Option<Band>,
}

/// Reads it, with the kind's defaults.
pub(super) fn read(section: &Section<'_>, kind: RequestKind) -> Judging {
    let perplexity = kind == RequestKind::Perplexity;
    let scorer = scorer(section, kind);
    let gating = section.flag("gating").unwrap_or(!perplexity);
    if gating && perplexity {
        let hint = "perplexity is shown beside the verdict; bound it with a [[policy.rule]] that names a metric and a max";
        section.fault_at("gating", "a perplexity task cannot gate: nothing in it is right or wrong", Some(hint));
    }
    let chance = section.real("chance").unwrap_or(0.0);
    if !(0.0..1.0).contains(&chance) {
        section.fault_at("chance", "`chance` must be at least 0 and less than 1", Some("it is the accuracy of guessing"));
    }
    let band = section.pair("band").map(|(low, high)| Band { low, high });
    if band.is_some_and(|band| !(0.0 <= band.low && band.low < band.high && band.high <= 1.0)) {
        let hint = "it is where a healthy canary's accuracy lies: band = [0.6, 0.98]";
        section.fault_at("band", "`band` must be two numbers between 0 and 1, the lower first", Some(hint));
    }
    for key in ["chance", "band"] {
        if perplexity && section.has(key) {
            section.fault_at(key, format!("`{key}` means nothing for a perplexity task"), Some("remove it"));
        }
    }
    Judging { metric: scorer.metric(), scorer, gating, chance, band }
}

fn scorer(section: &Section<'_>, kind: RequestKind) -> ScorerSpec {
    let default = match kind {
        RequestKind::Choice => CHOICE,
        RequestKind::Generate | RequestKind::Chat => TRIMMED,
        RequestKind::Tools => ScorerSpec::ToolCall,
        RequestKind::Perplexity => ScorerSpec::Likelihood,
    };
    let given = match section.value("scorer").map(Spanned::get_ref) {
        None => return default,
        Some(DeValue::String(_)) => section.word("scorer", &SCORERS.each_ref().map(|(word, spec)| (*word, spec))).cloned(),
        Some(_) => section.table("scorer", "scorer").and_then(|table| from_table(&table)),
    };
    let Some(given) = given else { return default };
    let fits = match given {
        ScorerSpec::Choice { .. } => kind == RequestKind::Choice,
        ScorerSpec::Likelihood => kind == RequestKind::Perplexity,
        _ => !matches!(kind, RequestKind::Choice | RequestKind::Perplexity),
    };
    if !fits {
        let hint = match kind {
            RequestKind::Choice => "choice tasks are judged by scorer choice",
            RequestKind::Perplexity => "perplexity tasks are judged by scorer likelihood",
            _ => "answers in text are judged by scorer exact, f1, number, json, valid or tool-call",
        };
        let message = format!("scorer {} cannot judge a {} task", word(&given), task::word(kind));
        section.fault_at("scorer", message, Some(hint));
    }
    given
}

fn word(spec: &ScorerSpec) -> &'static str {
    let same = |other: &ScorerSpec| std::mem::discriminant(other) == std::mem::discriminant(spec);
    SCORERS.iter().find(|(_, other)| same(other)).expect("every scorer has a word").0
}

fn from_table(table: &Section<'_>) -> Option<ScorerSpec> {
    if !table.has("kind") {
        let hint = "kinds are choice, exact, f1, number, tool-call, json, valid and likelihood";
        table.fault("scorer has no `kind`", Some(hint));
    }
    let kind = table.word("kind", &SCORERS.each_ref().map(|(word, spec)| (*word, spec))).cloned();
    let (normalize, value) = (table.word("normalize", &NORMALIZATIONS), table.word("value", &VALUES));
    let (trim, ignore_case, fields) = (table.flag("trim"), table.flag("ignore_case"), table.texts("fields"));
    let settings =
        [("normalize", "choice"), ("value", "choice"), ("trim", "exact"), ("ignore_case", "exact"), ("fields", "json")];
    for (key, only) in settings {
        if table.has(key) && kind.as_ref().is_some_and(|kind| word(kind) != only) {
            table.fault_at(key, format!("`{key}` is a setting of scorer {only}"), Some("remove it"));
        }
    }
    let scorer = kind.map(|kind| match kind {
        ScorerSpec::Choice { .. } => {
            ScorerSpec::Choice { normalize: normalize.unwrap_or_default(), value: value.unwrap_or_default() }
        }
        ScorerSpec::Exact { .. } => ScorerSpec::Exact { trim: trim.unwrap_or(true), ignore_case: ignore_case.unwrap_or(false) },
        ScorerSpec::Json { .. } => ScorerSpec::Json { fields: fields.clone().unwrap_or_default() },
        other => other,
    });
    table.close();
    scorer
}
