//! The forecast for a person: one row a gating task, then what it rests on and what it comes to.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{Forecast, Row, Source, Stopped};
use crate::domain::Tolerance;
use crate::gate::wording::{count, list, percent, pp};
use crate::plan::power::{Never, Outlook};

/// Narrowest width that is laid out for.
const NARROWEST: usize = 40;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Task,
    Samples,
    Tolerated,
    Flips,
    Needed,
    Power,
    Asked,
    Smallest,
}

const COLUMNS: [Column; 8] = [
    Column::Task,
    Column::Samples,
    Column::Tolerated,
    Column::Flips,
    Column::Needed,
    Column::Power,
    Column::Asked,
    Column::Smallest,
];
/// The columns that go where the width is short, the first one first.
const DISPENSABLE: [Column; 4] = [Column::Tolerated, Column::Flips, Column::Smallest, Column::Samples];

impl Column {
    fn heading(self, forecast: &Forecast) -> String {
        let wanted = percent(forecast.power);
        match self {
            Self::Task => "task".to_owned(),
            Self::Samples => "samples".to_owned(),
            Self::Tolerated => "tolerated".to_owned(),
            Self::Flips => "flips".to_owned(),
            Self::Needed => format!("needed for {wanted}"),
            Self::Power => "P(PASS)".to_owned(),
            Self::Asked => "asked".to_owned(),
            Self::Smallest => format!("shows with {wanted}"),
        }
    }

    fn cell(self, row: &Row) -> String {
        let both = |of: &dyn Fn(&Outlook) -> String| pair(of(&row.outlook), row.outlook_at_worst.as_ref().map(of));
        match self {
            Self::Task => name(row),
            Self::Samples => count(row.design.samples),
            Self::Tolerated => tolerated(row),
            Self::Flips => flips(row),
            Self::Needed => both(&|outlook| outlook.needed.map_or_else(|| "no number".to_owned(), count)),
            Self::Power if row.never.is_some() => "never".to_owned(),
            Self::Power => pair(chance(row.power()), row.power_at_worst().map(chance)),
            Self::Asked => {
                let share = |stopped: Stopped| format!("{:.0} %", 100.0 * stopped.asked);
                pair(row.stopped.map_or_else(|| "100 %".to_owned(), share), row.stopped_at_worst.map(share))
            }
            Self::Smallest => both(&|outlook| outlook.smallest.map_or_else(|| "nothing".to_owned(), tightest)),
        }
    }
}

/// The forecast as text, at most `width` columns wide where words allow it; it ends with a line feed.
pub(super) fn render(forecast: &Forecast, width: usize) -> String {
    let width = width.max(NARROWEST);
    let wrapped = |text: String| wrap(&text, width);
    let mut blocks = vec![wrapped(title(forecast)), laid_out(forecast, width)];
    blocks.push(sources(forecast).into_iter().map(wrapped).collect::<Vec<_>>().join("\n"));
    blocks.extend(hopeless(forecast).map(wrapped));
    blocks.push(wrapped(together(forecast)));
    blocks.retain(|block| !block.is_empty());
    format!("{}\n", blocks.join("\n\n"))
}

/// What is expected and in parentheses what is at worst, where that differs.
fn pair(now: String, worst: Option<String>) -> String {
    match worst.filter(|worst| *worst != now) {
        Some(worst) => format!("{now} ({worst})"),
        None => now,
    }
}

fn name(row: &Row) -> String {
    row.design.slice.as_ref().map_or_else(|| row.design.task.to_string(), |slice| format!("{}/{slice}", row.design.task))
}

fn title(forecast: &Forecast) -> String {
    let losing = if forecast.rows.iter().any(|row| row.expected.loss > 0.0) { "loses what --loss says" } else { "loses nothing" };
    let by = if forecast.policy.strict { " by exact tests" } else { "" };
    format!(
        "{}: what it can show of a variant that in truth {losing}, at α = {} a side{by}",
        forecast.plan, forecast.policy.alpha
    )
}

/// The table with as many columns as fit.
fn laid_out(forecast: &Forecast, width: usize) -> String {
    let mut columns = COLUMNS.to_vec();
    if forecast.rows.iter().all(|row| row.stopped.is_none()) {
        columns.retain(|column| *column != Column::Asked);
    }
    for dispensable in DISPENSABLE {
        if lines(forecast, &columns).iter().all(|line| line.chars().count() <= width) {
            break;
        }
        columns.retain(|column| *column != dispensable);
    }
    let lines = lines(forecast, &columns);
    let rule = "─".repeat(lines.iter().map(|line| line.chars().count()).max().unwrap_or(0));
    format!("{}\n{rule}\n{}", lines[0], lines[1..].join("\n"))
}

fn lines(forecast: &Forecast, columns: &[Column]) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.heading(forecast)).collect::<Vec<_>>());
    for row in &forecast.rows {
        table.add_row(columns.iter().map(|column| column.cell(row)).collect::<Vec<_>>());
    }
    for (index, column) in columns.iter().enumerate() {
        let Some(styled) = table.column_mut(index) else { continue };
        styled.set_padding((0, 2));
        if *column != Column::Task {
            styled.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// `2 pp`, or what a recovery comes to: `99 % = 0.85 pp`.
fn tolerated(row: &Row) -> String {
    match row.design.tolerance {
        Tolerance::Margin(margin) => pp(margin),
        Tolerance::Recovery(share) => format!("{} = {}", percent(share), pp(row.outlook.margin)),
    }
}

fn flips(row: &Row) -> String {
    let expected = percent(row.expected.flips);
    match row.worst {
        Some(worst) => format!("{expected} (≤ {})", percent(worst.flips)),
        None => expected,
    }
}

/// A margin that is surely shown, a recovery that is surely kept: rounded to the safe side.
fn tightest(tolerance: Tolerance) -> String {
    match tolerance {
        Tolerance::Margin(margin) => pp((margin * 1e4).ceil() / 1e4),
        Tolerance::Recovery(share) => percent((share * 1e4).floor() / 1e4),
    }
}

/// A probability in whole per cent, never rounded up to a certainty.
fn chance(probability: f64) -> String {
    match 100.0 * probability {
        p if p > 99.0 => "> 99 %".to_owned(),
        p if p < 1.0 => "< 1 %".to_owned(),
        p => format!("{p:.0} %"),
    }
}

/// What the expectations rest on.
fn sources(forecast: &Forecast) -> Vec<String> {
    let mut of_runs: Vec<(String, Vec<String>)> = Vec::new();
    let (mut given, mut assumed) = (Vec::new(), Vec::new());
    for row in &forecast.rows {
        match &row.source {
            Source::Given => given.push(name(row)),
            Source::Assumed => assumed.push(name(row)),
            Source::Run(measured) => {
                let whose = format!("{} in {}", measured.subject, measured.run);
                match of_runs.iter_mut().find(|(other, _)| *other == whose) {
                    Some((_, names)) => names.push(name(row)),
                    None => of_runs.push((whose, vec![name(row)])),
                }
            }
        }
    }
    // Where one source is that of all tasks, their names add nothing.
    let of = |names: &[String]| if names.len() == forecast.rows.len() { String::new() } else { format!(" of {}", list(names)) };
    let mut sentences: Vec<String> = of_runs.iter().map(|(whose, names)| format!("Flips{}: {whose}.", of(names))).collect();
    if !of_runs.is_empty() {
        sentences.push("In parentheses: with flips at the upper end of their 90 % interval.".to_owned());
    }
    if !given.is_empty() {
        sentences.push(format!("Flips{}: as given.", of(&given)));
    }
    if !assumed.is_empty() {
        sentences.push(format!(
            "Flips{} are assumed, since no finished run has measured them: say --flips 2% or --flips TASK=2% if you know better.",
            of(&assumed)
        ));
    }
    sentences.extend(noise(forecast));
    if forecast.rows.iter().any(|row| row.stopped.is_some()) {
        let what = "Where a task may end early, P(PASS) and the share asked are simulated, within about two points; what is needed and \
             shown is that of one test at the end.";
        sentences.push(what.to_owned());
    }
    if forecast.rows.iter().any(|row| !row.outlook.planned.exact) {
        sentences.push("Probabilities of clusters, recoveries, numeric scores and very large tasks are approximate.".to_owned());
    }
    sentences
}

/// What the canary differs from itself by.
fn noise(forecast: &Forecast) -> Option<String> {
    let own = forecast.rows.iter().filter(|row| row.design.slice.is_none()).filter_map(|row| match &row.source {
        Source::Run(measured) => Some(format!("{} of {}", percent(measured.own_flips?), row.design.task)),
        _ => None,
    });
    let own: Vec<String> = own.collect();
    (!own.is_empty()).then(|| format!("The canary itself flips on {}.", list(&own)))
}

/// What can never pass.
fn hopeless(forecast: &Forecast) -> Option<String> {
    let mut whys: Vec<(String, Vec<String>)> = Vec::new();
    for row in &forecast.rows {
        let why = match row.never {
            None => continue,
            Some(Never::Samples { least }) => format!("{} samples, at least {} needed", count(row.design.samples), count(least)),
            Some(Never::Clusters { least }) => {
                let clusters = row.design.clusters.map_or(0, |clusters| clusters.count);
                format!("samples from {} clusters, at least {} needed", count(clusters), count(least))
            }
        };
        match whys.iter_mut().find(|(other, _)| *other == why) {
            Some((_, names)) => names.push(name(row)),
            None => whys.push((why, vec![name(row)])),
        }
    }
    let parts: Vec<String> = whys.iter().map(|(why, names)| format!("{} ({why})", list(names))).collect();
    let advice = "ask more, tolerate more, or let them be shown only (gating = false)";
    (!parts.is_empty())
        .then(|| format!("Can never PASS, whatever is answered: {}. Then the run can't either: {advice}.", parts.join("; ")))
}

/// What all tasks come to; empty where one of them can never pass.
fn together(forecast: &Forecast) -> String {
    if forecast.rows.iter().any(|row| row.never.is_some()) {
        return String::new();
    }
    if forecast.rows.is_empty() {
        return "No task gates by a loss: only budgets decide, and they are not planned for here.".to_owned();
    }
    let chances = |now: f64, worst: Option<f64>| pair(chance(now), worst.map(chance));
    let worst = forecast.rows.iter().any(|row| row.worst.is_some());
    let worst = worst.then(|| forecast.all(|row| row.power_at_worst().unwrap_or_else(|| row.power())));
    let all = chances(forecast.all(Row::power), worst);
    let several = forecast.rows.iter().any(|row| row.design.task != forecast.rows[0].design.task);
    let product = if several { " (the product, since different tasks have different samples)" } else { "" };
    let mean = forecast.overall.as_ref().map_or_else(String::new, |(planned, worst)| {
        format!("; their mean passes with {}", chances(planned.power, worst.map(|worst| worst.power)))
    });
    let variants = match forecast.variants {
        0 | 1 => String::new(),
        several => format!("; the run takes all {several} variants"),
    };
    format!("A variant passes all of these with {all}{product}{mean}{variants}.")
}

/// Words laid into lines of at most `width` characters; a unit stays with its number.
fn wrap(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let is_unit = matches!(word.trim_end_matches([')', ',', '.', ';', ':']), "%" | "pp");
        match words.last_mut().filter(|_| is_unit) {
            Some(number) => number.extend([" ", word]),
            None => words.push(word.to_owned()),
        }
    }
    for word in words {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word);
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
    }
    lines.join("\n")
}
