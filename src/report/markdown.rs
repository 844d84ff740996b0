//! `report.md`: the report for a merge request or a wiki.

use std::fmt::Write;

use super::model::{CalibrationResult, Report, SubjectResult, Unit, UnscoredResult, WarningResult};
use super::phrase::{NOTHING, bytes, delta, duration, instant, number, score, sentence, tolerances, with_interval};
use super::{asides, lines, serving};
use crate::domain::{Role, Verdict};
use crate::gate::wording::count;

/// The text of `report.md`.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    head(&mut text, report);
    overview(&mut text, report);
    for subject in report.worst_first() {
        section(&mut text, report, subject);
    }
    served(&mut text, report);
    floor(&mut text, report);
    attempts(&mut text, report);
    unscored(&mut text, &report.unscored);
    warnings(&mut text, &report.warnings);
    foot(&mut text, report);
    text
}

/// Appends a line; writing to a string cannot fail.
macro_rules! line {
    ($text:expr) => { $text.push('\n') };
    ($text:expr, $($args:tt)*) => {{ writeln!($text, $($args)*).expect("a string takes every write"); }};
}

fn head(text: &mut String, report: &Report) {
    line!(text, "# {} {}: {}", sign(report.verdict), escape(&report.plan), report.verdict);
    line!(text);
    line!(text, "{}", escape(&report.reason));
    line!(text);
}

fn overview(text: &mut String, report: &Report) {
    line!(text, "| subject | verdict | size | bits per weight | mean accuracy | Δ mean |");
    line!(text, "| --- | --- | ---: | ---: | ---: | ---: |");
    let percent = |x: Option<f64>| x.map_or_else(|| NOTHING.to_owned(), |x| format!("{:.1} %", 100.0 * x));
    for subject in report.canary().into_iter().chain(report.worst_first()) {
        let is_canary = subject.role == Role::Canary;
        let own = if is_canary { report.canary_mean() } else { subject.mean_accuracy(|t| t.variant) };
        let change = match (own, subject.mean_accuracy(|t| t.canary)) {
            (Some(own), Some(canary)) if !is_canary => pp_signed(own - canary),
            _ => NOTHING.to_owned(),
        };
        let verdict = match (subject.verdict, subject.role) {
            (None, _) => "canary".to_owned(),
            (Some(v), Role::Control) => format!("{v} (control)"),
            (Some(v), _) => format!("**{v}**"),
        };
        let sized = subject.identity.as_ref().filter(|i| i.has_size());
        let (size, bits) =
            sized.map_or((NOTHING.to_owned(), NOTHING.to_owned()), |i| (bytes(i.bytes), format!("{:.2}", i.bits_per_weight)));
        line!(text, "| {} | {verdict} | {size} | {bits} | {} | {change} |", escape(subject.name.as_str()), percent(own));
    }
    line!(text);
}

fn section(text: &mut String, report: &Report, subject: &SubjectResult) {
    let control = if subject.role == Role::Control { " (control)" } else { "" };
    let verdict_word = subject.verdict.map_or("", Verdict::word);
    line!(text, "## {}{control}: {verdict_word}", escape(subject.name.as_str()));
    line!(text);
    line!(text, "{}", escape(&sentence(&subject.reason)));
    line!(text);
    table(text, report, subject);
    for finding in subject.guilty() {
        let task = finding.task.as_ref().map_or_else(String::new, |task| format!(", {task}"));
        let slice = finding.slice.as_ref().map_or_else(String::new, |slice| format!(" / {slice}"));
        line!(text, "* {} ({}{}{}): {}", finding.verdict, finding.rule, escape(&task), escape(&slice), escape(&finding.reason));
    }
    for finding in subject.budgets().filter(|f| f.verdict == Verdict::Pass) {
        line!(text, "* {} ({}): {}", finding.verdict, finding.rule, escape(&finding.reason));
    }
    for d in &subject.distributions {
        let task = escape(d.task.as_str());
        let number = |x: Option<f64>| x.map_or_else(|| NOTHING.to_owned(), number);
        let perplexity = format!("perplexity {} → {}", number(d.canary_perplexity), number(d.variant_perplexity));
        let moved = d.displacement.as_ref().map_or_else(String::new, |m| {
            let kld = with_interval(m.kld_mean, m.kld_interval);
            let looks = m.looks.as_ref().map_or_else(String::new, |looks| {
                let error = |side: &CalibrationResult| format!("{:.1}", 100.0 * side.calibration_error);
                let (canary, variant) = (error(&looks.canary), error(&looks.variant));
                format!(", top five shared {:.1} %, calibration error {canary} → {variant} %", 100.0 * looks.top5)
            });
            format!(", KLD {kld} nats, p99 {}, same top token {:.1} %{looks}", number(Some(m.kld["p99"])), 100.0 * m.same_top)
        });
        let bound = d.kld_bound.as_ref().map_or_else(String::new, |bound| {
            let at_least = with_interval(bound.mean, bound.interval);
            format!(", KLD at least {at_least} nats (lower bound from the top {})", bound.k)
        });
        line!(text, "* {task} ({} tokens): {perplexity}{moved}{bound}", count(d.tokens as u64));
    }
    line!(text);
}

fn table(text: &mut String, report: &Report, subject: &SubjectResult) {
    let lines = lines::lines(report, subject);
    if lines.is_empty() {
        return;
    }
    let confidence = 100.0 * (1.0 - 2.0 * report.policy.alpha);
    let (unit, percent) = if lines.iter().all(|line| line.unit() == Unit::Points) { (" pp", " %") } else { ("", "") };
    let recovery = lines.iter().any(|line| line.ratio().is_some());
    let (head, rule) = if recovery { (format!(" recovery % [{confidence:.0} %] |"), " ---: |") } else { (String::new(), "") };
    line!(
        text,
        "| task | n | canary{percent} | variant{percent} | Δ{unit} [{confidence:.0} %] |{head} tolerated | lost/gained | p | verdict |"
    );
    line!(text, "| --- | ---: | ---: | ---: | ---: |{rule} ---: | ---: | ---: | --- |");
    for line in &lines {
        let letters: String = line.marks().into_iter().map(|(letter, _)| letter).collect();
        let marks = if letters.is_empty() { letters } else { format!(" {letters}") };
        let recovered = if recovery { format!(" {} |", line.recovery()) } else { String::new() };
        let (name, n, delta, p) = (escape(&line.name()), line.n(), line.delta(), escape(&line.p()));
        let (canary, variant, tolerated, flips) = (line.canary(), line.variant(), line.tolerated(), line.flips());
        line!(
            text,
            "| {name} | {n} | {canary} | {variant} | {delta}{marks} |{recovered} {tolerated} | {flips} | {p} | {} |",
            line.verdict()
        );
    }
    line!(text);
}

fn served(text: &mut String, report: &Report) {
    let (columns, ways) = (serving::table(report), serving::ways(report));
    if columns.len() > 1 {
        line!(text, "## Serving");
        line!(text);
        line!(text, "| {} |", columns.iter().map(|column| column.heading).collect::<Vec<_>>().join(" | "));
        line!(text, "| --- |{}", " ---: |".repeat(columns.len() - 1));
        for row in 0..columns[0].cells.len() {
            line!(text, "| {} |", columns.iter().map(|column| escape(&column.cells[row])).collect::<Vec<_>>().join(" | "));
        }
        line!(text);
        for subject in report.canary().into_iter().chain(report.worst_first()) {
            let details = serving::details(report, subject);
            let details: Vec<String> = details.into_iter().map(|(what, of)| format!("{} {of}", what.to_lowercase())).collect();
            if !details.is_empty() {
                line!(text, "* {}: {}", escape(subject.name.as_str()), escape(&details.join("; ")));
            }
        }
        line!(text);
        let legend = serving::legend(report, &columns);
        if !legend.is_empty() {
            line!(text, "{legend}");
            line!(text);
        }
    }
    if !ways.is_empty() {
        line!(text, "## Where the answers came from");
        line!(text);
        for way in &ways {
            line!(text, "* {}", escape(&way.line()));
            for note in &way.notes {
                line!(text, "  * {}", escape(&sentence(note)));
            }
        }
        line!(text);
    }
}

fn floor(text: &mut String, report: &Report) {
    let floor = report.floor();
    if floor.is_empty() {
        return;
    }
    line!(text, "## The canary against itself");
    line!(text);
    line!(text, "| task | passes | items | flips % | Δ [95 %] |");
    line!(text, "| --- | ---: | ---: | ---: | ---: |");
    for noise in floor {
        let (task, n, flips) = (escape(noise.task.as_str()), count(noise.n), score(noise.flips, Unit::Points));
        let delta = delta(noise.delta, report.unit_of(&noise.task));
        line!(text, "| {task} | {} | {n} | {flips} | {delta} |", noise.passes);
    }
    line!(text);
}

fn attempts(text: &mut String, report: &Report) {
    if report.run.attempts.is_empty() {
        return;
    }
    line!(text, "## Earlier runs of the same models");
    line!(text);
    for attempt in &report.run.attempts {
        let (subject, run) = (escape(attempt.subject.as_str()), escape(&attempt.run));
        line!(text, "* {subject}: {} in {run}", attempt.verdict);
    }
    line!(text);
}

fn unscored(text: &mut String, rows: &[UnscoredResult]) {
    if rows.is_empty() {
        return;
    }
    line!(text, "## Answers without a score");
    line!(text);
    line!(text, "| subject | task | answers | cause | for example |");
    line!(text, "| --- | --- | ---: | --- | --- |");
    for row in rows {
        let (subject, task) = (escape(row.subject.as_str()), escape(row.task.as_str()));
        let (n, of) = (count(row.count), count(row.of));
        line!(text, "| {subject} | {task} | {n} of {of} | {} | {} |", row.cause, escape(&row.example));
    }
    line!(text);
}

fn warnings(text: &mut String, warnings: &[WarningResult]) {
    if warnings.is_empty() {
        return;
    }
    line!(text, "## Warnings");
    line!(text);
    let mut last = "";
    for warning in warnings {
        if warning.code != last {
            let remedy = if warning.remedy.is_empty() { String::new() } else { format!(" {}", warning.remedy) };
            line!(text, "* `{}`: {}{remedy}", warning.code, warning.meaning);
            last = warning.code;
        }
        let names: Vec<String> =
            [warning.subject.as_ref().map(ToString::to_string), warning.task.as_ref().map(ToString::to_string)]
                .into_iter()
                .flatten()
                .collect();
        if !names.is_empty() {
            line!(text, "  * {}: {}", escape(&names.join(", ")), escape(&warning.detail));
        }
    }
    line!(text);
}

fn foot(text: &mut String, report: &Report) {
    let policy = &report.policy;
    line!(text, "## Run");
    line!(text);
    let lines = lines::all(report);
    line!(text, "* {}; {}", escape(&tolerances(policy)), asides::of_p(report, &lines));
    for aside in [asides::of_marks(&lines), asides::early(report)].into_iter().flatten() {
        line!(text, "* {aside}");
    }
    for budget in &policy.budgets {
        line!(text, "* budget: {} at most {}", escape(&budget.metric), budget.max);
    }
    let units = report.units;
    let [expected, scored, unscored] = [units.expected, units.scored, units.unscored].map(|n| count(n as u64));
    line!(text, "* {expected} answers: {scored} scored, {unscored} unscored");
    let took = duration(report.timing.ended_ms.saturating_sub(report.timing.started_ms));
    // Reading takes no time worth telling.
    let took = if report.recorded { String::new() } else { format!(", took {took}") };
    let begun = instant(report.timing.started_ms);
    line!(text, "* run {}, begun {begun}{took}", escape(&report.run.id));
    line!(text, "* quantgate {}, seed {}, plan `{}`", escape(&report.quantgate), report.seed, escape(&report.digest));
}

fn pp_signed(fraction: f64) -> String {
    format!("{} pp", crate::gate::wording::signed_points(fraction))
}

/// A sign for each verdict that survives plain text.
fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::Fail => "✗",
        Verdict::Inconclusive => "?",
        Verdict::Invalid => "⊘",
    }
}

/// Text that Markdown takes literally, on one line.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '&' => escaped.extend(['\\', c]),
            '\n' | '\r' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn names_cannot_break_out_of_a_table_or_make_markup() {
        assert_eq!(escape("a|b\n<script>"), "a\\|b \\<script\\>");
    }
}
