//! The terminal's report: one table, worst first, then the verdict and its reason; readable without colour.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};

use super::model::{DistributionResult, Report, SubjectResult, TaskResult};
use super::phrase::{NOTHING, bytes, delta, flips, number, p_of, percent, verdict, with_interval};
use crate::domain::Role;
use crate::gate::wording::{count, list, pp, signed_points};

/// Columns from which the whole table fits.
const WIDE: usize = 104;
/// Narrowest width that is laid out for.
const NARROWEST: usize = 40;

/// The report as plain text, at most `width` columns wide where words allow it; it ends with a line feed.
#[must_use]
pub fn render(report: &Report, width: usize) -> String {
    let width = width.max(NARROWEST);
    let mut blocks = vec![table(report, width)];
    let distributions: Vec<String> =
        report.worst_first().iter().flat_map(|s| s.distributions.iter().map(|d| distribution(s, d, width))).collect();
    if !distributions.is_empty() {
        blocks.push(distributions.join("\n"));
    }
    blocks.push(wrap(&legend(report), width, ""));
    if !report.warnings.is_empty() {
        blocks.push(warnings(report, width));
    }
    blocks.push(subjects(report, width));
    blocks.push(wrap(&format!("{}: {}", report.verdict, report.reason), width, ""));
    blocks.retain(|block| !block.is_empty());
    format!("{}\n", blocks.join("\n\n"))
}

fn table(report: &Report, width: usize) -> String {
    let wide = width >= WIDE;
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    let interval = format!("Δ pp [{:.0} %]", 100.0 * (1.0 - 2.0 * report.policy.alpha));
    table.set_header(if wide {
        vec!["subject", "task", "n", "canary %", "variant %", &interval, "lost/gained", "p", "verdict"]
    } else {
        vec!["subject", "task", "n", "canary", "variant", &interval, "flips", "verdict"]
    });
    let mut rows = 0;
    for subject in report.worst_first() {
        for task in subject.tasks_worst_first() {
            table.add_row(row(subject, task, wide));
            rows += 1;
        }
    }
    if rows == 0 {
        return String::new();
    }
    for index in 2..if wide { 8 } else { 7 } {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // Names may be broken over lines where the width asks for it; numbers and verdicts are not.
    for column in table.column_iter_mut().skip(2) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, if wide { 2 } else { 1 }));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    let rule = "─".repeat(lines.iter().map(|line| line.chars().count()).max().unwrap_or(0).min(width));
    let (head, body) = lines.split_first().map_or(("", &[][..]), |(head, body)| (head.as_str(), body));
    format!("{head}\n{rule}\n{}", body.join("\n"))
}

fn row(subject: &SubjectResult, task: &TaskResult, wide: bool) -> Vec<String> {
    let mut cells = vec![subject.name.to_string(), task.task.to_string(), count(task.n)];
    cells.extend([percent(task.canary), percent(task.variant)]);
    if wide {
        cells.extend([delta(task.gate), flips(task), p_of(task)]);
    } else {
        // One decimal each: what fits into 80 columns.
        let short = |x: f64| {
            let text = signed_points(x);
            text.split_once('.').map_or(text.clone(), |_| one_decimal(x))
        };
        let interval = task
            .gate
            .map_or_else(|| NOTHING.to_owned(), |d| format!("{} [{}, {}]", short(d.estimate), short(d.lower), short(d.upper)));
        cells.extend([interval, flips(task)]);
    }
    cells.push(verdict(task));
    cells
}

/// Signed percentage points with one decimal and a true minus.
fn one_decimal(fraction: f64) -> String {
    let text = format!("{:.1}", (100.0 * fraction).abs());
    match text.as_str() {
        "0.0" => text,
        _ if fraction < 0.0 => format!("−{text}"),
        _ => format!("+{text}"),
    }
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

fn legend(report: &Report) -> String {
    let margin = pp(report.policy.margin.0);
    let others: Vec<String> =
        report.policy.tasks.iter().filter_map(|r| Some(format!("{} {}", r.task, pp(r.margin?.0)))).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let exceptions = if others.is_empty() { String::new() } else { format!(" ({})", list(&others)) };
    let shown = report.subjects.iter().any(|s| s.tasks.iter().any(|t| !t.gating));
    let brackets = if shown { " Tasks with a verdict in brackets are shown and do not gate." } else { "" };
    let p = "p is McNemar's mid-p of no difference; the verdict rests on the interval and the margin.";
    format!("Margin {margin}{exceptions}, α = {} per side. {p}{brackets}", report.policy.alpha)
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
        let size = s.identity.as_ref().map_or_else(String::new, |i| {
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
