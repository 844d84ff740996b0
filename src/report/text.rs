//! The terminal's report: one table, worst first, then the verdict and its reason; readable without colour.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::model::{DistributionResult, Report, SubjectResult, TaskResult};
use super::phrase::{bytes, delta, flips, number, p_of, percent, verdict, with_interval};
use crate::domain::Role;
use crate::gate::wording::{count, list, tolerated};

/// Columns from which headings are spelled out and columns stand apart.
const WIDE: usize = 104;
/// Narrowest width that is laid out for.
const NARROWEST: usize = 40;

/// The report as plain text, at most `width` columns wide where words allow it; it ends with a line feed.
#[must_use]
pub fn render(report: &Report, width: usize) -> String {
    let width = width.max(NARROWEST);
    let table = table(report, width);
    let mut blocks = vec![table.text];
    let distributions: Vec<String> =
        report.worst_first().iter().flat_map(|s| s.distributions.iter().map(|d| distribution(s, d, width))).collect();
    if !distributions.is_empty() {
        blocks.push(distributions.join("\n"));
    }
    blocks.push(wrap(&legend(report, table.has_p), width, ""));
    if !report.warnings.is_empty() {
        blocks.push(warnings(report, width));
    }
    blocks.push(subjects(report, width));
    blocks.push(wrap(&format!("{}: {}", report.verdict, report.reason), width, ""));
    blocks.retain(|block| !block.is_empty());
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
    Flips,
    P,
    Verdict,
}

/// All columns, in the order in which they are shown.
const COLUMNS: [Column; 9] = [
    Column::Subject,
    Column::Task,
    Column::N,
    Column::Canary,
    Column::Variant,
    Column::Delta,
    Column::Flips,
    Column::P,
    Column::Verdict,
];
/// The columns that go where the width is short, the first one first.
const DISPENSABLE: [Column; 5] = [Column::P, Column::Flips, Column::N, Column::Canary, Column::Variant];

impl Column {
    fn heading(self, report: &Report, wide: bool) -> String {
        let heading = match self {
            Self::Subject => "subject",
            Self::Task => "task",
            Self::N => "n",
            Self::Canary if wide => "canary %",
            Self::Canary => "canary",
            Self::Variant if wide => "variant %",
            Self::Variant => "variant",
            Self::Delta => return format!("Δ pp [{:.0} %]", 100.0 * (1.0 - 2.0 * report.policy.alpha)),
            Self::Flips if wide => "lost/gained",
            Self::Flips => "flips",
            Self::P => "p",
            Self::Verdict => "verdict",
        };
        heading.to_owned()
    }

    fn cell(self, subject: &SubjectResult, task: &TaskResult) -> String {
        match self {
            Self::Subject => subject.name.to_string(),
            Self::Task => task.task.to_string(),
            Self::N => count(task.n),
            Self::Canary => percent(task.canary),
            Self::Variant => percent(task.variant),
            Self::Delta => delta(task.gate),
            Self::Flips => flips(task),
            Self::P => p_of(task),
            Self::Verdict => verdict(task),
        }
    }

    fn is_number(self) -> bool {
        !matches!(self, Self::Subject | Self::Task | Self::Verdict)
    }
}

/// The lines of the report's table.
struct Lines {
    text: String,
    has_p: bool,
}

/// Every row of the table: a subject and one of its tasks, the worst first.
fn rows(report: &Report) -> Vec<(&SubjectResult, &TaskResult)> {
    report.worst_first().into_iter().flat_map(|s| s.tasks_worst_first().into_iter().map(move |t| (s, t))).collect()
}

/// The table with as many columns as fit; no cell is ever broken or cut. Where not even the least fit, two lines a row.
fn table(report: &Report, width: usize) -> Lines {
    let rows = rows(report);
    if rows.is_empty() {
        return Lines { text: String::new(), has_p: false };
    }
    let mut columns = COLUMNS.to_vec();
    let mut dispensable = DISPENSABLE.into_iter();
    let mut wide = width >= WIDE;
    loop {
        let lines = laid_out(report, &rows, &columns, wide);
        if lines.iter().all(|line| line.chars().count() <= width) {
            let rule = "─".repeat(lines.iter().map(|line| line.chars().count()).max().unwrap_or(0));
            let text = format!("{}\n{rule}\n{}", lines[0], lines[1..].join("\n"));
            return Lines { text, has_p: columns.contains(&Column::P) };
        }
        if std::mem::take(&mut wide) {
            continue;
        }
        let Some(next) = dispensable.next() else { break };
        columns.retain(|column| *column != next);
    }
    let stacked = rows.iter().map(|(s, t)| {
        let names = wrap(&format!("{} on {}", s.name, t.task), width, "  ");
        format!("{names}\n  {}", wrap(&format!("{} {}", delta(t.gate), verdict(t)), width - 2, "  "))
    });
    Lines { text: stacked.collect::<Vec<_>>().join("\n"), has_p: false }
}

fn laid_out(report: &Report, rows: &[(&SubjectResult, &TaskResult)], columns: &[Column], wide: bool) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.heading(report, wide)).collect::<Vec<_>>());
    for (subject, task) in rows {
        table.add_row(columns.iter().map(|column| column.cell(subject, task)).collect::<Vec<_>>());
    }
    for (index, column) in columns.iter().enumerate() {
        let Some(styled) = table.column_mut(index) else { continue };
        styled.set_padding((0, if wide { 2 } else { 1 }));
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
    match (distribution.canary_perplexity, distribution.variant_perplexity) {
        (Some(canary), Some(variant)) => parts.push(format!("perplexity {} → {}", number(canary), number(variant))),
        _ => parts.push("no document could be compared".to_owned()),
    }
    wrap(&format!("{} on {}: {}", subject.name, distribution.task, parts.join(", ")), width, "  ")
}

fn legend(report: &Report, has_p: bool) -> String {
    let margin = tolerated(report.policy.tolerance);
    let others: Vec<String> =
        report.policy.tasks.iter().filter_map(|r| Some(format!("{} {}", r.task, tolerated(r.tolerance?)))).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let exceptions = if others.is_empty() { String::new() } else { format!(" ({})", list(&others)) };
    let shown = report.subjects.iter().any(|s| s.tasks.iter().any(|t| !t.gating));
    let brackets = if shown { " Tasks with a verdict in brackets are shown and do not gate." } else { "" };
    let p = if has_p { " p is McNemar's mid-p of no difference; the verdict rests on the interval and the margin." } else { "" };
    format!("Margin {margin}{exceptions}, α = {} per side.{p}{brackets}", report.policy.alpha)
}

/// Warnings, one line for each code: the tasks and subjects with their numbers.
fn warnings(report: &Report, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut codes: Vec<&str> = report.warnings.iter().map(|w| w.code).collect();
    codes.dedup();
    for code in codes {
        let own: Vec<_> = report.warnings.iter().filter(|w| w.code == code).collect();
        let about = |w: &&super::model::WarningResult| {
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
        let where_ = if about.is_empty() { String::new() } else { format!(" {}.", about.join(", ")) };
        lines.push(wrap(&format!("{code}: {}{where_}", own[0].meaning), width, "  "));
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
        wrap(&format!("{verdict} {role}{}{size}: {}", s.name, s.reason), width, "  ")
    };
    report.worst_first().iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Words laid into lines of at most `width` characters, those after the first indented; a unit stays with its number.
fn wrap(text: &str, width: usize, indent: &str) -> String {
    let mut pieces: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let is_unit = matches!(word.trim_end_matches([')', ']', ',', '.', ':']), "%" | "pp" | "nats" | "MB" | "GB" | "kB");
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
