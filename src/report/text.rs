//! The terminal's report: one table, worst first, then the verdict and its reason; readable without colour.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::lines::{self, Line};
use super::model::{DistributionResult, FindingResult, Report, SubjectResult, Unit, WarningResult};
use super::phrase::{self, NOTHING, bytes, number, with_interval};
use super::{asides, serving};
use crate::domain::{Role, Verdict};
use crate::gate::wording::list;

/// Columns from which headings are spelled out and columns stand apart.
const WIDE: usize = 104;
/// Narrowest width that is laid out for.
const NARROWEST: usize = 40;

/// The report as plain text, at most `width` columns wide where words allow it; it ends with a line feed.
#[must_use]
pub fn render(report: &Report, width: usize) -> String {
    let width = width.max(NARROWEST);
    let lines = lines::all(report);
    let table = table(report, &lines, width);
    let mut notes: Vec<String> =
        report.worst_first().iter().flat_map(|s| s.distributions.iter().map(|d| distribution(s, d, width))).collect();
    notes.extend(report.worst_first().into_iter().filter_map(budgets).map(|line| wrap(&line, width, "  ")));
    let asides = [asides::floor(report), asides::early(report), Some(legend(report, &lines, &table))];
    let asides: Vec<String> = asides.into_iter().flatten().map(|text| wrap(&text, width, "")).collect();
    let verdict = wrap(&format!("{}: {}", report.verdict, report.reason), width, "");
    let (served, notes) = (served(report, width), notes.join("\n"));
    let blocks = [table.text, notes, served, asides.join("\n"), warnings(report, width), subjects(report, width), verdict];
    let blocks: Vec<String> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
    format!("{}\n", blocks.join("\n\n"))
}

/// A column of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Subject,
    Task,
    N,
    Canary,
    Variant,
    Delta,
    Mark,
    Recovery,
    Flips,
    P,
    Verdict,
}

/// All columns, in the order in which they are shown.
const COLUMNS: [Column; 11] = [
    Column::Subject,
    Column::Task,
    Column::N,
    Column::Canary,
    Column::Variant,
    Column::Delta,
    Column::Mark,
    Column::Recovery,
    Column::Flips,
    Column::P,
    Column::Verdict,
];
/// The columns that go where the width is short, the first one first.
const DISPENSABLE: [Column; 5] = [Column::P, Column::Flips, Column::N, Column::Canary, Column::Variant];

impl Column {
    fn heading(self, report: &Report, lines: &[Line<'_>], wide: bool) -> String {
        let confidence = 100.0 * (1.0 - 2.0 * report.policy.alpha);
        let points = lines.iter().all(|line| line.unit() == Unit::Points);
        let heading = match self {
            Self::Subject => "subject",
            Self::Task => "task",
            Self::N => "n",
            Self::Canary if wide && points => "canary %",
            Self::Canary => "canary",
            Self::Variant if wide && points => "variant %",
            Self::Variant => "variant",
            Self::Delta => return format!("Δ {}[{confidence:.0} %]", if points { "pp " } else { "" }),
            Self::Mark => "",
            Self::Recovery => return format!("recovery % [{confidence:.0} %]"),
            Self::Flips if wide && lines.iter().all(Line::is_graded) => "worse/better",
            Self::Flips if wide => "lost/gained",
            Self::Flips => "flips",
            Self::P => "p",
            Self::Verdict => "verdict",
        };
        heading.to_owned()
    }

    fn cell(self, line: &Line<'_>) -> String {
        match self {
            Self::Subject => line.subject.name.to_string(),
            Self::Task => format!("{}{}", line.name(), if line.unit() == Unit::Score { "†" } else { "" }),
            Self::N => line.n(),
            Self::Canary => line.canary(),
            Self::Variant => line.variant(),
            Self::Delta => line.delta(),
            Self::Mark => line.marks().into_iter().map(|(letter, _)| letter).collect(),
            Self::Recovery => line.recovery(),
            Self::Flips => line.flips(),
            Self::P => line.p(),
            Self::Verdict => line.verdict(),
        }
    }

    fn is_number(self) -> bool {
        !matches!(self, Self::Subject | Self::Task | Self::Mark | Self::Verdict)
    }
}

/// The columns that some line has something in, and those of them that may go, the first one first.
fn columns(lines: &[Line<'_>]) -> (Vec<Column>, Vec<Column>) {
    let mut columns = COLUMNS.to_vec();
    columns.retain(|column| match column {
        Column::Mark => lines.iter().any(|line| !line.marks().is_empty()),
        Column::Recovery => lines.iter().any(|line| line.ratio().is_some()),
        Column::P => lines.iter().any(|line| line.p() != NOTHING),
        _ => true,
    });
    // Where every verdict rests on a ratio, the difference is the first that can be done without.
    let by_ratio = lines.iter().all(|line| line.about_ratio().is_some());
    let dispensable = by_ratio.then_some(Column::Delta).into_iter().chain(DISPENSABLE).collect();
    (columns, dispensable)
}

/// The report's table, and the columns that fit.
struct Laid {
    text: String,
    columns: Vec<Column>,
    wide: bool,
}

/// The table with as many columns as fit; no cell is ever broken or cut. Where not even the least fit, two lines a row.
fn table(report: &Report, lines: &[Line<'_>], width: usize) -> Laid {
    if lines.is_empty() {
        return Laid { text: String::new(), columns: Vec::new(), wide: false };
    }
    let (mut columns, dispensable) = columns(lines);
    let mut dispensable = dispensable.into_iter();
    let mut wide = width >= WIDE;
    loop {
        let rows = laid_out(report, lines, &columns, wide);
        let widest = rows.iter().map(|row| row.chars().count()).max().unwrap_or(0);
        if widest <= width {
            let text = format!("{}\n{}\n{}", rows[0], "─".repeat(widest), rows[1..].join("\n"));
            return Laid { text, columns, wide };
        }
        if std::mem::take(&mut wide) {
            continue;
        }
        let Some(next) = dispensable.next() else { break };
        columns.retain(|column| *column != next);
    }
    let stacked = lines.iter().map(|line| {
        let names = wrap(&format!("{} on {}", line.subject.name, line.name()), width, "  ");
        format!("{names}\n  {}", wrap(&format!("{} {}", line.delta(), line.verdict()), width - 2, "  "))
    });
    Laid { text: stacked.collect::<Vec<_>>().join("\n"), columns: Vec::new(), wide: false }
}

/// What the answers of subjects behind an API took, as much of it as fits, and where they came from.
fn served(report: &Report, width: usize) -> String {
    let mut columns = serving::table(report);
    let grid = loop {
        let rows = grid(&columns);
        let next = columns.iter().filter(|column| column.goes > 0).map(|column| column.goes).min();
        match next.filter(|_| rows.iter().any(|row| row.chars().count() > width)) {
            Some(next) => columns.retain(|column| column.goes != next),
            None => break rows,
        }
    };
    let legend = wrap(&serving::legend(report, &columns), width, "");
    let ways = serving::ways(report).iter().map(|way| wrap(&way.line(), width, "  ")).collect::<Vec<_>>().join("\n");
    let parts = [grid.join("\n"), legend, ways];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn grid(columns: &[serving::Column]) -> Vec<String> {
    if columns.len() < 2 {
        return Vec::new();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.heading).collect::<Vec<_>>());
    for row in 0..columns[0].cells.len() {
        table.add_row(columns.iter().map(|column| column.cells[row].as_str()).collect::<Vec<_>>());
    }
    for index in 0..columns.len() {
        let Some(styled) = table.column_mut(index) else { continue };
        styled.set_padding((0, 2));
        if index > 0 {
            styled.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn laid_out(report: &Report, lines: &[Line<'_>], columns: &[Column], wide: bool) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.heading(report, lines, wide)).collect::<Vec<_>>());
    for line in lines {
        table.add_row(columns.iter().map(|column| column.cell(line)).collect::<Vec<_>>());
    }
    for (index, column) in columns.iter().enumerate() {
        let Some(styled) = table.column_mut(index) else { continue };
        // A mark stands close to its interval.
        let marked = *column == Column::Delta && columns.contains(&Column::Mark);
        styled.set_padding((0, if wide && !marked { 2 } else { 1 }));
        if column.is_number() {
            styled.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn distribution(subject: &SubjectResult, distribution: &DistributionResult, width: usize) -> String {
    let mut parts = Vec::new();
    if let Some(moved) = &distribution.displacement {
        parts.push(format!("KLD {} nats", with_interval(moved.kld_mean, moved.kld_interval)));
        parts.push(format!("p99 {}", number(moved.kld["p99"])));
        parts.push(format!("same top token {:.1} %", 100.0 * moved.same_top));
    }
    if let Some(bound) = &distribution.kld_bound {
        let at_least = with_interval(bound.mean, bound.interval);
        parts.push(format!("KLD at least {at_least} nats (lower bound from the top {})", bound.k));
    }
    match (distribution.canary_perplexity, distribution.variant_perplexity) {
        (Some(canary), Some(variant)) => parts.push(format!("perplexity {} → {}", number(canary), number(variant))),
        _ => parts.push("no document could be compared".to_owned()),
    }
    wrap(&format!("{} on {}: {}", subject.name, distribution.task, parts.join(", ")), width, "  ")
}

/// What a subject's budgets came to; none where it has none.
fn budgets(subject: &SubjectResult) -> Option<String> {
    let budgets: Vec<&FindingResult> = subject.budgets().collect();
    let of = budgets.chunk_by(|a, b| a.metric == b.metric && a.limit == b.limit).map(|same| match same {
        [one] => format!("{} {}", phrase::spent(one), one.verdict),
        many => spent_together(many),
    });
    let of: Vec<String> = of.collect();
    (!of.is_empty()).then(|| format!("{} budgets: {}", subject.name, of.join(", ")))
}

/// One budget on several tasks: `flips.rate on 7 tasks up to 0.0310 of 0.05: 6 PASS, 1 INCONCLUSIVE`.
fn spent_together(findings: &[&FindingResult]) -> String {
    let first = findings[0];
    let (metric, n) = (first.metric.as_deref().unwrap_or(first.rule), findings.len());
    let most = findings.iter().filter_map(|f| f.value).reduce(f64::max);
    let most = most.map_or_else(String::new, |most| format!(" up to {}", number(most)));
    let limit = first.limit.map_or_else(String::new, |limit| format!(" of {limit}"));
    let mut verdicts: Vec<Verdict> = findings.iter().map(|f| f.verdict).collect();
    verdicts.sort_unstable();
    let counts: Vec<String> = verdicts.chunk_by(|a, b| a == b).map(|same| format!("{} {}", same.len(), same[0])).collect();
    format!("{metric} on {n} tasks{most}{limit}: {}", counts.join(", "))
}

fn legend(report: &Report, lines: &[Line<'_>], table: &Laid) -> String {
    let columns = &table.columns;
    let mut parts = vec![format!("{}.", phrase::sentence(&phrase::tolerances(&report.policy)))];
    if columns.contains(&Column::N) && lines.iter().any(Line::is_early) {
        parts.push("n a/b: ended after a of b items.".to_owned());
    }
    if columns.contains(&Column::P) {
        parts.push(asides::of_p(report, lines));
    }
    if columns.contains(&Column::Mark) {
        parts.extend(asides::of_marks(lines));
    }
    // A wide heading says it by itself where it is so of every line.
    let said = table.wide && lines.iter().all(Line::is_graded);
    if columns.contains(&Column::Flips) && lines.iter().any(Line::is_graded) && !said {
        parts.push("Flips of scores that are not right or wrong: items worse/better.".to_owned());
    }
    let own: Vec<&Line<'_>> = lines.iter().filter(|line| line.unit() == Unit::Score).collect();
    if !own.is_empty() {
        let mut margins: Vec<String> = own.iter().map(|line| line.tolerated()).collect();
        margins.dedup();
        let margin = if margins.len() == 1 { format!(" (tolerated: {})", margins[0]) } else { String::new() };
        parts.push(format!("† in units of its score{margin}."));
    }
    if lines.iter().any(|line| !line.gates()) {
        parts.push("Lines with a verdict in brackets are shown and do not gate.".to_owned());
    }
    parts.join(" ")
}

/// Warnings, one paragraph for each code: the tasks and subjects with their numbers, then what to do.
fn warnings(report: &Report, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut codes: Vec<&str> = report.warnings.iter().map(|w| w.code).collect();
    codes.dedup();
    for code in codes {
        let own: Vec<&WarningResult> = report.warnings.iter().filter(|w| w.code == code).collect();
        let about = |w: &&WarningResult| {
            let parts = [w.subject.as_ref().map(ToString::to_string), w.task.as_ref().map(ToString::to_string)];
            let names: Vec<String> = parts.into_iter().flatten().collect();
            if names.is_empty() { None } else { Some(format!("{} ({})", names.join(" "), w.detail)) }
        };
        let mut about: Vec<String> = own.iter().filter_map(about).collect();
        if about.len() > 4 {
            let more = about.len() - 3;
            about.truncate(3);
            about.push(format!("{more} more"));
        }
        let about: Vec<&str> = about.iter().map(String::as_str).collect();
        let about = if about.is_empty() { String::new() } else { format!("{}.", list(&about)) };
        let parts = [own[0].meaning, about.as_str(), own[0].remedy];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        lines.push(wrap(&format!("{code}: {}", parts.join(" ")), width, "  "));
    }
    lines.join("\n")
}

/// One line for each variant and control.
fn subjects(report: &Report, width: usize) -> String {
    let line = |s: &&SubjectResult| {
        let size = s.identity.as_ref().filter(|i| i.has_size()).map_or_else(String::new, |i| {
            format!(" ({}, {}, {:.2} bits per weight)", i.quantization, bytes(i.bytes), i.bits_per_weight)
        });
        let role = if s.role == Role::Control { "control " } else { "" };
        let verdict = s.verdict.map_or("", crate::domain::Verdict::word);
        // The run's own sentence may already say why.
        let why = if report.reason.contains(&s.reason) { String::new() } else { format!(": {}", s.reason) };
        wrap(&format!("{verdict} {role}{}{size}{why}", s.name), width, "  ")
    };
    report.worst_first().iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Words laid into lines of at most `width` characters, those after the first indented; a unit stays with its number.
fn wrap(text: &str, width: usize, indent: &str) -> String {
    let mut pieces: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let is_unit = matches!(word.trim_end_matches([')', ']', ',', '.', ':']), "%" | "pp" | "nats" | "ms" | "MB" | "GB" | "kB");
        match pieces.last_mut().filter(|_| is_unit) {
            Some(number) => number.extend([" ", word]),
            None => pieces.push(word.to_owned()),
        }
    }
    let mut lines: Vec<String> = vec![String::new()];
    for piece in pieces {
        let line = lines.last_mut().expect("there is always a line");
        let used = line.chars().count();
        if used > indent.len() && used + 1 + piece.chars().count() > width {
            lines.push(format!("{indent}{piece}"));
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&piece);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn wrapped_lines_keep_within_their_width_and_lose_no_word() {
        let text = "one two three four five six seven eight nine ten";
        let wrapped = wrap(text, 14, "  ");
        assert!(wrapped.lines().all(|line| line.chars().count() <= 14), "{wrapped}");
        assert_eq!(wrapped.split_whitespace().collect::<Vec<_>>(), text.split(' ').collect::<Vec<_>>());
    }
}
