//! Subjects behind an API: what their answers took and cost, and where they came from, in the words of every format.

use super::model::{Report, ServedResult, ServiceResult, StreamingResult, SubjectResult};
use super::phrase::{NOTHING, milliseconds, money, number, with_interval};
use crate::domain::Origin;
use crate::gate::wording::count;

/// A column of the table of what answers took.
pub(super) struct Column {
    /// Its heading.
    pub(super) heading: &'static str,
    /// A cell for each subject; the first column names them.
    pub(super) cells: Vec<String>,
    /// The order in which columns go where the width is short, from 1; 0 for one that stays.
    pub(super) goes: u8,
}

/// One subject with everything that is known of its endpoint.
struct Row<'a> {
    subject: &'a SubjectResult,
    served: Option<&'a ServedResult>,
    service: Option<&'a ServiceResult>,
    streamed: Option<&'a StreamingResult>,
}

/// A row for the canary, then for the others, the worst first; without subjects in process.
fn rows(report: &Report) -> Vec<Row<'_>> {
    let subjects = report.canary().into_iter().chain(report.worst_first());
    let row = |subject| Row::of(report, subject);
    subjects.map(row).filter(|row| row.served.is_some() || row.service.is_some()).collect()
}

impl<'a> Row<'a> {
    fn of(report: &'a Report, subject: &'a SubjectResult) -> Self {
        Self {
            subject,
            served: subject.served.as_ref(),
            service: report.run.services.iter().find(|service| service.subject == subject.name),
            streamed: report.timing.streaming.get(&subject.name),
        }
    }

    fn served(&self, cell: impl Fn(&ServedResult) -> Option<String>) -> Option<String> {
        self.served.and_then(cell)
    }

    fn service(&self, cell: impl Fn(&ServiceResult) -> Option<String>) -> Option<String> {
        self.service.and_then(cell)
    }

    fn streamed(&self, cell: impl Fn(&StreamingResult) -> Option<String>) -> Option<String> {
        self.streamed.and_then(cell)
    }
}

/// What a column says of a subject.
type Cell<'a> = &'a dyn Fn(&Row<'_>) -> Option<String>;

/// The table of what answers took and cost: columns that some subject has something in; none where no endpoint told anything.
pub(super) fn table(report: &Report) -> Vec<Column> {
    let rows: Vec<Row<'_>> = rows(report).into_iter().filter(|row| row.served.is_some()).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let nonzero = |n: u64| (n > 0).then(|| count(n));
    let counted = |s: &ServedResult, n: u64| (s.counted > 0).then(|| count(n));
    let columns: [(&'static str, u8, Cell<'_>); 12] = [
        ("answers", 6, &|row| row.served(|s| Some(count(s.answers)))),
        ("from cache", 3, &|row| row.service(|s| nonzero(s.reused))),
        ("sent again", 1, &|row| row.service(|s| nonzero(s.retries))),
        ("tokens read", 4, &|row| row.served(|s| counted(s, s.prompt_tokens))),
        ("cached", 2, &|row| row.service(|s| nonzero(s.cached_tokens))),
        ("written", 9, &|row| row.served(|s| counted(s, s.completion_tokens))),
        ("× canary", 8, &|row| row.served(|s| s.tokens_ratio.map(|ratio| format!("{:.3}", ratio.value)))),
        ("first token", 10, &|row| row.streamed(|s| Some(milliseconds(s.first.p50_ms)))),
        ("between", 7, &|row| row.streamed(|s| s.between.as_ref().map(|between| milliseconds(between.p50_ms)))),
        ("tokens/s", 5, &|row| row.streamed(|s| s.per_second.map(|rate| format!("{rate:.1}")))),
        ("cost", 0, &|row| row.service(|s| s.cost.map(money))),
        ("per 1,000", 11, &|row| row.service(|s| s.per_thousand.map(money))),
    ];
    let names = rows.iter().map(|row| row.subject.name.to_string()).collect();
    let mut all = vec![Column { heading: "subject", cells: names, goes: 0 }];
    for (heading, goes, cell) in columns {
        let cells: Vec<Option<String>> = rows.iter().map(cell).collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| NOTHING.to_owned())).collect();
            all.push(Column { heading, cells, goes });
        }
    }
    all
}

/// What the table's words mean, as far as it has them.
pub(super) fn legend(report: &Report, columns: &[Column]) -> String {
    let has = |heading: &str| columns.iter().any(|column| column.heading == heading);
    let mut parts = Vec::new();
    if has("× canary") {
        parts.push("× canary: tokens written over the canary's.".to_owned());
    }
    if has("first token") {
        parts.push("Times are medians of streamed answers.".to_owned());
    }
    if has("cost") {
        let of = |cell: fn(&ServiceResult) -> Option<f64>| report.run.services.iter().filter_map(cell).sum::<f64>();
        let (cost, paid) = (of(|s| s.cost), of(|s| s.paid));
        let reused = report.run.services.iter().any(|s| s.reused > 0 && s.cost.is_some());
        let paid = if reused { format!(", of which this run paid {}", money(paid)) } else { String::new() };
        parts.push(format!("Cost in the plan's currency: {} in all{paid}.", money(cost)));
    }
    parts.join(" ")
}

/// Further numbers of a subject: each with what it is.
pub(super) fn details(report: &Report, subject: &SubjectResult) -> Vec<(&'static str, String)> {
    let row = Row::of(report, subject);
    let mut all = Vec::new();
    let ratio = |r: &super::model::RatioResult| with_interval(r.value, r.interval);
    if let Some(r) = row.served.and_then(|s| s.tokens_ratio.as_ref()) {
        all.push(("Tokens written, × canary", ratio(r)));
    }
    if let Some(r) = row.service.and_then(|s| s.cost_ratio.as_ref()) {
        all.push(("Cost, × canary", ratio(r)));
    }
    if let Some(s) = row.streamed {
        let times = |of: &super::model::LatencyResult| {
            format!("{} at the median, {} at 95 %", milliseconds(of.p50_ms), milliseconds(of.p95_ms))
        };
        all.push(("First token", times(&s.first)));
        all.extend(s.between.as_ref().map(|between| ("Between tokens", times(between))));
        all.extend(s.per_second.map(|rate| ("Tokens a second", number(rate))));
    }
    let names = |named: &[super::model::NamedResult]| {
        let one = |n: &super::model::NamedResult| format!("{} ({})", n.name, count(n.answers));
        (!named.is_empty()).then(|| named.iter().map(one).collect::<Vec<_>>().join(", "))
    };
    all.extend(row.served.and_then(|s| names(&s.models)).map(|models| ("Answered by", models)));
    all.extend(row.served.and_then(|s| names(&s.fingerprints)).map(|marks| ("Marks", marks)));
    all
}

/// Where one subject's answers came from.
pub(super) struct Way {
    pub(super) subject: String,
    pub(super) host: String,
    pub(super) address: String,
    pub(super) issuer: String,
    pub(super) region: String,
    /// Whether the address tells another region than the plan.
    pub(super) contradicted: bool,
    pub(super) path: String,
    pub(super) notes: Vec<String>,
}

/// Where the answers of each subject came from; empty where all came from this process.
pub(super) fn ways(report: &Report) -> Vec<Way> {
    let of_row = |row: &Row<'_>| -> Vec<Way> {
        let origins = row.service.map_or(&[][..], |service| service.origins.as_slice());
        origins.iter().map(|origin| Way::of(row.subject.name.as_str(), origin)).collect()
    };
    rows(report).iter().flat_map(of_row).collect()
}

impl Way {
    fn of(subject: &str, origin: &Origin) -> Self {
        let or_nothing = |text: &Option<String>| text.clone().unwrap_or_else(|| NOTHING.to_owned());
        Self {
            subject: subject.to_owned(),
            host: origin.host.clone(),
            address: or_nothing(&origin.address),
            issuer: or_nothing(&origin.tls_issuer),
            region: region(origin),
            contradicted: origin.contradiction().is_some(),
            path: origin.path.clone(),
            notes: origin.notes.clone(),
        }
    }

    /// In one sentence: `q4: api.example.com:443 (192.0.2.7), managed API, region eu-west-1, TLS by Example CA`.
    pub(super) fn line(&self) -> String {
        let known = |text: &String| (text != NOTHING).then(|| text.clone());
        let address = known(&self.address).map_or_else(String::new, |address| format!(" ({address})"));
        let tls = known(&self.issuer).map_or_else(|| "no TLS".to_owned(), |issuer| format!("TLS by {issuer}"));
        let region = known(&self.region).map(|region| format!("region {region}"));
        let parts = [Some(self.path.clone()), region, Some(tls)].into_iter().flatten().collect::<Vec<_>>().join(", ");
        format!("{}: {}{address}, {parts}", self.subject, self.host)
    }
}

/// The region in words: what the address tells, what the plan states, and whether the two go together.
fn region(origin: &Origin) -> String {
    match (&origin.region, &origin.stated_region) {
        (Some(told), Some(stated)) if origin.contradiction().is_some() => format!("{told}, but the plan states {stated}"),
        (Some(told), Some(stated)) if told != stated => format!("{told} (plan: {stated})"),
        (Some(told), _) => told.clone(),
        (None, Some(stated)) => format!("{stated} by the plan, the address tells none"),
        (None, None) => NOTHING.to_owned(),
    }
}
